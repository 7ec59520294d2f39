"""Time scans of a network mount against find on the same mount, counting requests.

    python -m benchmarks.network --files 20000 --delay-ms 1
    python -m benchmarks.network --sweep

sshfs mounts a folder of this machine through a relay that delays each request and counts it, with
all of its caches off, so that every call costs what it costs on a NAS. What is timed is the
program's own engine in one process, as `run` has it: it learns over several scans how many requests
are worth having under way and that folders' times can be trusted there. `--sweep` gives it 1, 2,
4, 8 and 16 workers in turn and times full verifications.
"""

from __future__ import annotations

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
from typing import Any

import pytest

import scanner
from benchmarks import page
from benchmarks.engine import Engine
from benchmarks.peers import find_command, reason_without_find
from benchmarks.picture import draw_sweep, reason_without_matplotlib
from benchmarks.tables import aligned
from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import mount_of
from scanner.disk.trust import PROOFS_WANTED
from scanner.output.file_names import Outputs
from scanner.settings.schema import Settings
from tests.support.real_mounts import SshfsMount

CATEGORIES = 40
FILES_PER_FOLDER = 10
WORKERS = (1, 2, 4, 8, 16)
"""How many workers the sweep gives to the mount, in turn."""

SWEEP_FILES = 2_000
"""Files of the sweep: one worker waits for every round trip by itself."""

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


class MountEngine(Engine):
    """The program's engine on one bare models folder on a mount."""

    def __init__(self, folder: Path, top: Path, workers: int) -> None:
        files = DiskFileSystem()
        outputs = Outputs(str(folder / "comfy_inventory.json"), str(folder))
        roots = [Root("models", str(top))]
        super().__init__(outputs, None, roots, Settings(workers=workers), files)
        self.mount = mount_of(str(top), files.mounts())

    @property
    def is_trusted(self) -> bool:
        """Whether folders' times may spare listings."""
        return self.store.trust_of(self.mount).is_earned(self.mount)

    @property
    def used(self) -> int:
        """How many workers are worth it now."""
        return self.workers.requests_at_once(self.mount)


class Bench:
    """Steps on one mount, timed in order."""

    def __init__(self, mount: SshfsMount, engine: MountEngine) -> None:
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
        workers = 1 if name == "find" else self._engine.used
        timing = Timing(name, seconds, workers, dict(requests.most_common()))
        self.timings.append(timing)
        told = ", ".join(f"{count:,} {kind}" for kind, count in requests.most_common())
        print(f"{name:20}{seconds:9.2f} s  {workers:3} workers  {told}", flush=True)
        return timing

    def find(self) -> Timing:
        return self.timed("find", lambda: run_find(self._mount.point))

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


def run_find(top: Path) -> None:
    """find's own walk over `top`."""
    subprocess.run(find_command(str(top)), check=True, stdout=subprocess.DEVNULL)


def seconds_of(step: Callable[[], object]) -> float:
    """Elapsed seconds of `step`."""
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def sweep(mount: SshfsMount, outputs: Path, repeats: int) -> dict[str, Any]:
    """Full verifications with more and more workers: medians, and find's beside them."""
    steps = []
    for workers in WORKERS:
        engine = MountEngine(outputs, mount.point, workers)
        try:
            engine.scan()  # what answers cost is learned here
            taken = []
            for _ in range(repeats):
                engine.restart()
                taken.append(seconds_of(engine.scan))
            step = {
                "workers": workers,
                "used": engine.used,
                "seconds": statistics.median(taken),
            }
        finally:
            engine.close()
        steps.append(step)
        print(f"{workers:3} workers at most{step['seconds']:9.2f} s", file=sys.stderr, flush=True)
    find = statistics.median(seconds_of(lambda: run_find(mount.point)) for _ in range(repeats))
    return {"find_seconds": find, "repeats": repeats, "steps": steps}


def tell_sweep(report: dict[str, Any], *, is_kept: bool) -> None:
    """Print, write and draw a sweep; where it is kept, for RESULTS.md as well."""
    print(f"find{report['find_seconds']:9.2f} s")
    print(aligned(*page.sweep_rows(report)))
    path = page.SWEEP if is_kept else kept_path("sweep")
    write_report(path, report)
    if reason := reason_without_matplotlib():
        print(f"No picture: {reason}.", file=sys.stderr)
    else:
        draw_sweep(report, f"{os.path.splitext(path)[0]}.svg")


def kept_path(name: str) -> str:
    """Where this run is written."""
    return os.path.join(page.KEPT, f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")


def write_report(path: str, report: dict[str, Any]) -> None:
    """Write the run as JSON, with what it depends on."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    about = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": scanner.__version__,
        "cpus": os.cpu_count(),
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(about | report, file, indent=1)
        file.write("\n")
    print(f"written to {os.path.relpath(path)}")


def tell_bench(bench: Bench, about: dict[str, Any]) -> None:
    """Print the ratios to find, and write all steps."""
    find = bench.median("find")
    for name, most in (("unchanged scan", 1 / 20), ("full verification", 1 / 3)):
        share = bench.median(name) / find
        word = "at most" if share <= most else "MORE THAN"
        print(f"{name}: 1/{1 / share:.1f} of find, {word} 1/{1 / most:.0f}")
    steps = [asdict(timing) for timing in bench.timings]
    write_report(kept_path("network"), about | {"steps": steps})


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Build the tree and the mount below `folder`, and run what the options ask for."""
    files = options.files or (SWEEP_FILES if options.sweep else 20_000)
    about = {
        "files": files,
        "folders": build_tree(folder / "server", files),
        "delay_ms": options.delay_ms,
    }
    outputs = folder / "outputs"
    outputs.mkdir()
    print(f"{files:,} files, {about['folders']:,} folders, {options.delay_ms} ms round trips")
    with SshfsMount(folder / "server", folder / "mount", delay_ms=options.delay_ms) as mount:
        if options.sweep:
            tell_sweep(about | sweep(mount, outputs, options.repeats), is_kept=options.keep)
            return
        engine = MountEngine(outputs, mount.point, options.workers)
        try:
            bench = Bench(mount, engine)
            bench.run(options.repeats)
        finally:
            engine.close()
        tell_bench(bench, about)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.network", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, help=f"20,000, or {SWEEP_FILES:,} for a sweep")
    parser.add_argument("--delay-ms", type=float, default=1.0, help="of a round trip")
    parser.add_argument("--workers", type=int, default=16, help="the most, as the setting")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--sweep", action="store_true", help="workers against time")
    parser.add_argument("--keep", action="store_true", help="write the sweep for RESULTS.md")
    options = parser.parse_args()
    if reason := reason_without_find():
        print(f"This needs find: {reason}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-") as work:
        try:
            measure(options, Path(work))
        except pytest.skip.Exception as reason_to_skip:
            print(f"This cannot run here: {reason_to_skip}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
