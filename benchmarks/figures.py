"""What was measured: values that are written as JSON and read again for tables and comparisons."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.processes import Cost

FIRST = "first scan"
UNCHANGED = "unchanged scan"
EVERY_5S = "unchanged scan, every 5 s"
FULL = "full verification"
ONE = "one change"
PERCENT = "1 % changed"
MOVED = "moved folder"
RESTART = "restart"
WHOLE = "one change, first inventory"
"""The first change that a process tells: it has no inventory of its own yet to copy from."""
FINGERPRINTS = "taking fingerprints"
SCENARIOS = (FIRST, UNCHANGED, EVERY_5S, FULL, ONE, PERCENT, MOVED, RESTART)

OURS = "comfy-inventory"
FIND = "find"
WATCHDOG = "watchdog"
WATCHFILES = "watchfiles"
RCLONE = "rclone"
WHO = (OURS, FIND, WATCHDOG, WATCHFILES, RCLONE)


@dataclass
class Line:
    """One program in one scenario: every run of it. Seconds, and MB of a million bytes."""

    scenario: str
    who: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    """Most memory of the process so far; None where it was not measured."""
    peak_is_bound: bool = False
    """Whether less than `peak_mb` could not be seen."""
    reported: int | None = None
    """How many changes it told; None for those that compare nothing."""

    def add(self, cost: Cost, reported: int | None = None) -> None:
        """Note one run."""
        self.wall.append(cost.wall)
        if cost.cpu is not None:
            self.cpu.append(cost.cpu)
        if cost.peak_mb is not None:
            self.peak_is_bound = cost.is_bound
            self.peak_mb = max(cost.peak_mb, self.peak_mb or 0.0)
        if reported is not None:
            self.reported = reported


@dataclass
class Publishing:
    """What one change costs beyond finding it, run by run: seconds, and the inventory's bytes."""

    commit: list[float] = field(default_factory=list)
    """State and change list, both on the disk."""
    publish: list[float] = field(default_factory=list)
    """A new inventory, on the disk."""
    copy: list[float] = field(default_factory=list)
    """A plain copy of the inventory in the same folder, on the disk."""
    bytes: int = 0
    commit_cpu: list[float] = field(default_factory=list)
    publish_cpu: list[float] = field(default_factory=list)
    copy_cpu: list[float] = field(default_factory=list)
    """The same three in seconds of processor time."""
    first: float | None = None
    """Seconds for the first inventory of a process, which is written whole."""


@dataclass
class Size:
    """All that was measured on one tree."""

    files: int
    folders: int
    moved_files: int = 0
    """Files below the folder that is moved."""
    verify_seconds: float = 0.0
    """Within how long the program reads every file again, by its own account."""
    lines: list[Line] = field(default_factory=list)
    publishing: Publishing = field(default_factory=Publishing)
    peaks: dict[str, float] = field(default_factory=dict)
    """Most memory of the program's processes, in MB, by what they did."""
    notes: list[str] = field(default_factory=list)
    """What was left out on this tree, and why."""

    @property
    def entries(self) -> int:
        """Files and folders."""
        return self.files + self.folders

    def line(self, scenario: str, who: str) -> Line:
        """The line of one program in one scenario, made where there is none."""
        found = self.find(scenario, who)
        if found is None:
            found = Line(scenario, who)
            self.lines.append(found)
        return found

    def find(self, scenario: str, who: str) -> Line | None:
        """The same, or None."""
        wanted = (scenario, who)
        return next((line for line in self.lines if (line.scenario, line.who) == wanted), None)

    def seconds(self, scenario: str, who: str) -> float | None:
        """Median of the elapsed seconds; None where it was not run."""
        line = self.find(scenario, who)
        return median(line.wall) if line else None

    def note_peak(self, name: str, cost: Cost) -> None:
        """Keep the most that processes of this name have used."""
        if cost.peak_mb is not None:
            self.peaks[name] = max(cost.peak_mb, self.peaks.get(name, 0.0))


@dataclass
class Start:
    """What a command costs from the start of its process to its end."""

    command: str
    cpu: float
    """Median of processor seconds, user and system."""
    ratio: float
    """Median of its ratios to `python -c pass` in the same round, in processor time."""


@dataclass
class Results:
    """One run of the benchmarks."""

    time: str
    """When it began, UTC."""
    version: str
    machine: dict[str, Any]
    repeats: int
    """Runs of each program, at the least."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Programs that could not be compared with, and why."""
    sizes: list[Size] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    took: float = 0.0
    """Seconds of the whole run."""


def median(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return statistics.median(values) if values else None


def write(path: str, results: Results) -> None:
    """Write `results` as JSON."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(_rounded(asdict(results)), file, indent=1)
        file.write("\n")


def _rounded(value: Any) -> Any:
    """Microseconds are enough."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def read(path: str) -> Results:
    """What `write` wrote. Raises OSError, ValueError, KeyError and TypeError for other files."""
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    sizes = [_size(size) for size in data.pop("sizes")]
    starts = [Start(**start) for start in data.pop("starts", ())]
    return Results(**data, sizes=sizes, starts=starts)


def _size(data: dict[str, Any]) -> Size:
    lines = [Line(**line) for line in data.pop("lines")]
    return Size(**data | {"lines": lines, "publishing": Publishing(**data["publishing"])})
