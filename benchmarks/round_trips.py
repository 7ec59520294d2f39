"""Count what a scan asks a server, for each folder and for each file.

    python -m benchmarks.round_trips [--files 2000] [--json > sshfs.json]
    COMFY_GUEST=all COMFY_ROUND_TRIPS=guest.json python -m pytest tests/whole/test_round_trips.py
    python -m benchmarks.round_trips --table sshfs.json guest.json

sshfs mounts a folder of this machine, with its caches off and then on; the requests are those of
the sftp protocol. The second line counts the same on the kernel's NFS and SMB clients, in a guest
that is slow: some minutes for each. The third prints the table of docs/network.md. Nothing here
depends on the speed of the machine.

Beside the program's own scans stand plain loops: a stat of each folder by its path, which is what
scans did before folders were asked for together, and a stat of each file by its name.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks.engine import LONG, Engine, MovedClock
from benchmarks.network import build_tree
from benchmarks.peers import find_command
from benchmarks.tables import aligned
from scanner.core.roots import COMPLETE, Root
from scanner.disk.mounts import mount_of
from scanner.disk.trust import PROOFS_WANTED
from scanner.output.file_names import Outputs
from scanner.settings.schema import Settings
from tests.support.real_mounts import SshfsMount

INTERVAL = 1.0
"""Seconds between scans: so short that even a small tree is not listed whole in every scan."""

RARELY = 86_400.0
"""`verify_within` here: a scan lists one folder in its turn, and no more."""

UNCHANGED = "unchanged scan"
BY_PATH = "stat of each folder by its path"
VERIFICATION = "full verification"
BY_NAME = "stat of each file by its name"
FIND = "find -printf '%s %T@ %p'"


COLUMNS = {
    BY_PATH: "A folder, by its path",
    UNCHANGED: "A folder, unchanged scan",
    BY_NAME: "An entry, stat of each by its path",
    VERIFICATION: "An entry, full verification",
    FIND: "An entry, `find`",
}
"""Steps and what the table calls them."""


class Step(NamedTuple):
    """One step on one mount. `per` says what the `things` are: folders, or entries."""

    mount: str
    name: str
    per: str
    things: int
    requests: dict[str, int]

    @property
    def each(self) -> float:
        """Requests for each folder or entry."""
        return sum(self.requests.values()) / self.things


class CountedEngine(Engine):
    """The program's engine on one mount, whose folders' times are trusted."""

    def __init__(self, folder: Path, top: Path) -> None:
        self.clock = MovedClock()
        outputs = Outputs(str(folder / "comfy_inventory.json"), str(folder))
        settings = Settings(verify_within=RARELY)
        super().__init__(outputs, None, [Root("models", str(top))], settings, self.clock)
        self.mount = mount_of(str(top), self.clock.mounts())

    def learn(self) -> None:
        """Scan until all is at rest, and take the trust for given that scans earn otherwise."""
        self.scan_later()
        self.store.trust_of(self.mount).proofs = PROOFS_WANTED
        for _ in range(2):
            self.scan_later(LONG)

    def scan_later(self, ahead: float = INTERVAL) -> None:
        """One scan, `ahead` seconds later by the moved clock."""
        self.clock.advance(ahead)
        result = self.scanner.scan(self.scanner.zones().all, interval=INTERVAL)
        if not set(result.states.values()) <= COMPLETE:
            raise SystemExit(f"Not every root is online: {result.states}")

    def verify(self) -> None:
        """A scan that lists every folder."""
        self.restart()
        self.scan_later()


def steps_on(
    name: str,
    top: Path,
    requests: Callable[[], Counter[str]],
    *,
    cache_seconds: float,
    has_find: bool = True,
) -> Iterator[Step]:
    """Count the steps on a mount. `requests` says what was asked since it was mounted; before each
    step its caches, which live for `cache_seconds`, run out."""
    folders = [Path(folder) for folder, _, _ in os.walk(top)]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    entries = len(folders) + len(files)
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-") as outputs:
        engine = CountedEngine(Path(outputs), top)
        try:
            engine.learn()
            wanted: list[tuple[str, str, int, Callable[[], object]]] = [
                (BY_PATH, "folder", len(folders), lambda: [os.stat(one) for one in folders]),
                (UNCHANGED, "folder", len(folders), engine.scan_later),
                (VERIFICATION, "entry", entries, engine.verify),
                (BY_NAME, "entry", entries, lambda: [os.stat(one) for one in files]),
            ]
            if has_find:
                wanted.append((FIND, "entry", entries, lambda: _find(top)))
            for step, per, count, run in wanted:
                time.sleep(cache_seconds)
                before = requests()
                run()
                made = requests() - before
                yield Step(name, step, per, count, dict(made.most_common()))
        finally:
            engine.close()


def _find(top: Path) -> None:
    subprocess.run(find_command(str(top)), check=True, stdout=subprocess.DEVNULL)


def sshfs_steps(folder: Path, files: int) -> Iterator[Step]:
    """The steps on sshfs, without and with its caches."""
    build_tree(folder / "server", files)
    for caches, seconds in ((False, 0.0), (True, 21.0)):
        name = "sshfs" if caches else "sshfs, caches off"
        with SshfsMount(folder / "server", folder / "mount", caches=caches) as mount:
            yield from steps_on(
                name,
                mount.point,
                lambda: mount.requests,
                cache_seconds=seconds,
            )


def rows(steps: list[Step]) -> list[tuple[str, ...]]:
    """The table for people and for docs/network.md."""
    return [
        (step.mount, step.name, f"{step.each:.2f} a {step.per}", _kinds(step)) for step in steps
    ]


def _kinds(step: Step) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in step.requests.items()) or "none"


def markdown(reports: Sequence[str]) -> str:
    """The table of docs/network.md, from the JSON of both kinds of mounts."""
    found: dict[str, dict[str, float]] = {}
    for report in reports:
        for one in json.loads(Path(report).read_text()):
            found.setdefault(one["mount"], {})[one["name"]] = one["each"]
    lines = [("Mount", *COLUMNS.values()), ("---",) * (len(COLUMNS) + 1)]
    for mount, each in sorted(found.items()):
        cells = (f"{each[step]:.2f}" if step in each else "-" for step in COLUMNS)
        lines.append((mount, *cells))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(steps: list[Step]) -> list[dict[str, Any]]:
    return [{**step._asdict(), "each": round(step.each, 3)} for step in steps]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.round_trips", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--table", nargs="+", metavar="JSON", help="print the table of docs/")
    options = parser.parse_args()
    if options.table:
        print(markdown(options.table))
        return 0
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-") as work:
        try:
            steps = list(sshfs_steps(Path(work), options.files))
        except pytest.skip.Exception as reason_to_skip:
            print(f"This cannot run here: {reason_to_skip}", file=sys.stderr)
            return 1
    if options.json:
        json.dump(as_json(steps), sys.stdout, indent=1)
    else:
        print(aligned(["mount", "step", "requests", "of which"], rows(steps)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
