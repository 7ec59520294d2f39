"""Time scans of a network mount against find on the same mount, counting requests.

    python -m benchmarks.network --files 20000 --delay-ms 1

sshfs mounts a folder of this machine through a relay that delays each request and counts it, with
all of its caches off, so that every call costs what it costs on a NAS. What is timed is the
program's own engine in one process, as `run` has it: it learns over several scans how many requests
are worth having under way and that folders' times can be trusted there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

import scanner
from benchmarks.__main__ import RESULTS, reason_without_find
from scanner.filesystem import DiskFileSystem
from scanner.mounts import mount_of
from scanner.outputs import Outputs
from scanner.passing import Outcome
from scanner.roots import Root
from scanner.scan import Scanner
from scanner.settings import Settings
from scanner.store import Store
from scanner.verification import PROOFS_WANTED
from scanner.walkers import ByMount
from tests.real_mounts import SshfsMount

CATEGORIES = 40
FILES_PER_FOLDER = 10
INTERVAL = 30.0
"""Seconds between scans, the default of `every`: it decides the share of verification."""

AGE_SECONDS = 86_400


def build_tree(top: Path, files: int) -> int:
    """Create `files` small files below `top`, ten a folder in 40 categories; how many folders."""
    mtime = time.time() - AGE_SECONDS
    folders = [top]
    for first in range(0, files, FILES_PER_FOLDER):
        number = first // FILES_PER_FOLDER
        folder = top / f"category_{number % CATEGORIES:02d}" / f"folder_{number:04d}"
        if number < CATEGORIES:
            folders.append(folder.parent)
        folders.append(folder)
        folder.mkdir(parents=True)
        for index in range(first, min(first + FILES_PER_FOLDER, files)):
            path = folder / f"model_{index:05d}.safetensors"
            path.write_text(f"{index}\n" * (index % 40 + 1), encoding="ascii")
            os.utime(path, (mtime, mtime))
    for folder in folders:
        os.utime(folder, (mtime, mtime))
    return len(folders)


@dataclass
class Timing:
    """One step: elapsed seconds, workers at its end, and requests by type."""

    name: str
    seconds: float
    workers: int
    requests: dict[str, int]


class Engine:
    """The program's engine on one root, as the service sets it up, and a state that persists."""

    def __init__(self, folder: Path, top: Path, workers: int) -> None:
        self._files = DiskFileSystem()
        self._settings = Settings(workers=workers)
        self._root = Root("models", str(top))
        self._store = Store(
            Outputs(str(folder / "comfy_inventory.json"), str(folder)),
            None,
            journal_bytes=self._settings.journal_size,
            journal_files=self._settings.journal_files,
            annotations_every=self._settings.annotations_every,
        )
        self._store.open()
        self.mount = mount_of(str(top), self._files.mounts())
        self.walkers = ByMount(
            self._files,
            stall_after=self._settings.stall_after,
            most_workers=workers,
            stopped=lambda: False,
        )
        self.restart()

    def restart(self) -> None:
        """Forget what was listed when, so that the next scan reads everything again."""
        self._scanner = Scanner(
            self._files, self._store, self._settings, [self._root], self.walkers
        )

    @property
    def is_trusted(self) -> bool:
        """Whether folders' times may spare listings."""
        return self._store.trust_of(self.mount).is_earned(self.mount)

    def scan(self) -> Outcome:
        """One pass with all that belongs to it: walk, commit, journal, inventory."""
        outcome = self._scanner.scan(self._scanner.places().all, interval=INTERVAL)
        self._scanner.publish(is_last=False)
        if set(outcome.states.values()) != {"online"}:
            raise SystemExit(f"The root is not online: {outcome.states}")
        return outcome

    def close(self) -> None:
        self.walkers.close()
        self._store.close()


class Bench:
    """Steps on one mount, timed in order."""

    def __init__(self, mount: SshfsMount, engine: Engine) -> None:
        self._mount = mount
        self._engine = engine
        self.timings: list[Timing] = []

    def timed(self, name: str, step: Callable[[], object]) -> Timing:
        """Run `step`, keep and print what it cost."""
        before = self._mount.requests
        started = time.perf_counter()
        step()
        seconds = time.perf_counter() - started
        requests: Counter[str] = self._mount.requests - before
        workers = 1 if name == "find" else self._engine.walkers.workers(self._engine.mount)
        timing = Timing(name, seconds, workers, dict(requests.most_common()))
        self.timings.append(timing)
        told = ", ".join(f"{count:,} {kind}" for kind, count in requests.most_common())
        print(f"{name:20}{seconds:9.2f} s  {workers:3} workers  {told}", flush=True)
        return timing

    def find(self) -> Timing:
        command = ["find", str(self._mount.point), "-printf", r"%s %T@ %p\n"]

        def run() -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        return self.timed("find", run)

    def scan(self, name: str) -> Timing:
        return self.timed(name, self._engine.scan)

    def rest(self, since: float) -> None:
        """Wait until what was seen to change at `since` can be trusted again (rule 4)."""
        time.sleep(max(0.0, since + self._engine.mount.settle + 0.5 - time.monotonic()))

    def earn_trust(self) -> None:
        """Have as many folders change as it takes, and let them settle."""
        folders = sorted(self._mount.source.glob("category_*"))[:PROOFS_WANTED]
        for folder in folders:
            (folder / "new.safetensors").write_bytes(b"new")
        changed = time.monotonic()
        self.scan("three changes")
        self.rest(changed + self._engine.mount.granularity)
        self.scan("settling")
        if not self._engine.is_trusted:
            raise SystemExit("The folders' times have not earned trust.")

    def run(self, repeats: int) -> None:
        """All steps. The ratios compare medians of one run on one mount."""
        started = time.monotonic()
        self.scan("first scan")
        self.rest(started)
        self.scan("second scan")
        self.earn_trust()
        for _ in range(repeats):
            self.find()
            for _ in range(3):
                self.scan("unchanged scan")
            self._engine.restart()
            self.scan("full verification")

    def median(self, name: str) -> float:
        """Median of the seconds of the steps called `name`."""
        return statistics.median(timing.seconds for timing in self.timings if timing.name == name)


def write_report(bench: Bench, folders: int, options: argparse.Namespace) -> str:
    """Write the run beside the other results; its path."""
    now = datetime.now(UTC)
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, f"network-{now:%Y%m%dT%H%M%SZ}.json")
    report = {
        "time": now.isoformat(),
        "version": scanner.__version__,
        "cpus": os.cpu_count(),
        "files": options.files,
        "folders": folders,
        "delay_ms": options.delay_ms,
        "steps": [asdict(timing) for timing in bench.timings],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.network", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--delay-ms", type=float, default=1.0, help="of a round trip")
    parser.add_argument("--workers", type=int, default=16, help="the most, as the setting")
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    if reason := reason_without_find():
        print(f"This needs find: {reason}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-") as work:
        folder = Path(work)
        folders = build_tree(folder / "server", options.files)
        outputs = folder / "outputs"
        outputs.mkdir()
        print(f"{options.files:,} files, {folders:,} folders, {options.delay_ms} ms round trips")
        try:
            with SshfsMount(
                folder / "server", folder / "mount", delay_ms=options.delay_ms
            ) as mount:
                engine = Engine(outputs, mount.point, options.workers)
                try:
                    bench = Bench(mount, engine)
                    bench.run(options.repeats)
                finally:
                    engine.close()
        except pytest.skip.Exception as reason_to_skip:
            print(f"This cannot run here: {reason_to_skip}", file=sys.stderr)
            return 1
    find = bench.median("find")
    for name, most in (("unchanged scan", 1 / 20), ("full verification", 1 / 3)):
        share = bench.median(name) / find
        word = "at most" if share <= most else "MORE THAN"
        print(f"{name}: 1/{1 / share:.1f} of find, {word} 1/{1 / most:.0f}")
    print(f"written to {os.path.relpath(write_report(bench, folders, options))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
