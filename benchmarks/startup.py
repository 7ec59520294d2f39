"""What commands cost from the start of a process to its end, beside `python -c pass`.

    python -m benchmarks.startup [REPEATS]

The sample installation has been scanned before, so that `scan` finds nothing to do. Processor time
is what counts: a start waits for nothing, and other work on the machine hardly changes it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.processes import CHECKOUT, BenchmarkError, environment, run_to_null
from benchmarks.targets import STARTS
from scripts.build_sample import build

REPEATS = 15
"""Runs of each command, in turn, of which the median is taken."""

SETTLED = 3.5
"""Seconds between the scans before: what was seen first has settled in the second one."""

SCRIPT = "import sys; from scanner.cli import main; sys.exit(main())"
"""What the script does that an installation makes."""

PLAIN = "python -c pass"

COMMANDS = {
    "--version": ("--version",),
    "--help": ("--help",),
    "status": ("status",),
    "find": ("find", "sdxl", "base"),
    "changes": ("changes",),
    "roots": ("roots",),
    "scan": ("scan",),
}


class Row(NamedTuple):
    """One command."""

    command: str
    cpu: float
    """Median of processor seconds, user and system, with those of its children."""
    ratio: float
    """Median of its ratios to `python -c pass` in the same round."""

    @property
    def target(self) -> float | None:
        """The most that `ratio` may be; None where nothing is promised."""
        return STARTS.get(self.command)


def measure(repeats: int = REPEATS, tell: Callable[[str], None] = lambda text: None) -> list[Row]:
    """Run every command `repeats` times, in turn. Raises BenchmarkError."""
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-") as work:
        build(work)
        environ = environment(work) | {"COLUMNS": "100"}
        # Modules are compiled once, as where the program is installed, and not into the checkout.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        environ["PYTHONPYCACHEPREFIX"] = os.path.join(work, "pycache")
        ours = [sys.executable, "-c", SCRIPT]
        commands = {name: [*ours, *arguments] for name, arguments in COMMANDS.items()}
        commands[PLAIN] = [sys.executable, "-c", "pass"]
        for _ in range(3):
            run_to_null(commands["scan"], environ, work)
            time.sleep(SETTLED)
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(repeats):
            tell(f"start-up: {number + 1} of {repeats}")
            for name, command in commands.items():
                cost = run_to_null(command, environ, work)
                if cost.cpu is None:
                    raise BenchmarkError("This system does not tell what a process costs.")
                seconds[name].append(cost.cpu)
    plain = seconds.pop(PLAIN)
    rows = [Row(PLAIN, statistics.median(plain), 1.0)]
    for name, taken in seconds.items():
        ratios = [cpu / base for cpu, base in zip(taken, plain, strict=True)]
        rows.append(Row(name, statistics.median(taken), statistics.median(ratios)))
    return rows


def table(rows: list[Row]) -> str:
    """`rows` as a table of Markdown."""
    lines = ["| command | CPU, ms | : `python -c pass` | at most |", "|---|---:|---:|---:|"]
    for row in rows:
        most = "" if row.target is None else f"{row.target:g}"
        lines.append(f"| `{row.command}` | {row.cpu * 1000:.0f} | {row.ratio:.1f} | {most} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    os.chdir(CHECKOUT)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    try:
        print(table(measure(repeats)))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
