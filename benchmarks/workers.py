"""Walk and hash a slow mount with more and more workers of a Dask cluster.

    python -m benchmarks.workers [--workers 1 2 4 8 16] [--delay-ms 1] [--keep]

Scheduler and workers are processes of this machine. The storage is a folder of this machine behind
sshfs and a relay that delays each request (see `benchmarks.network`), with all caches off. Workers
on machines of their own have mounts of their own: here each has its own sshfs and relay, and finds
them by its path map. `shared` is the other case: all workers use the mount of the one that asks.

What is timed is a full verification (every folder is listed and every file is stat-ed), and
`hash` of large files with xxh3. Each worker has one request under way at a time, so that the number
of workers is that of requests. The processor time of all processes that take part is measured too:
where it comes near to that of all cores, the machine is the limit and not the mount. What else runs
there is shown beside it. Of all repeats the one that took the least time counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.engine import Engine
from benchmarks.machine import machine
from benchmarks.network import build_tree
from benchmarks.page import FOLDER
from benchmarks.picture import draw_workers, reason_without_matplotlib
from benchmarks.tables import aligned
from scanner.cluster.workers import ClusterWorkers
from scanner.commands.hashing.read_files import Hashing
from scanner.core.digests import XXH3
from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem
from scanner.output.file_names import Outputs
from scanner.settings.schema import Settings
from tests.support.cluster import Cluster
from tests.support.real_mounts import SshfsMount

RESULTS = os.path.join(FOLDER, "workers.json")

PICTURE = os.path.join(os.path.dirname(FOLDER), "docs", "pictures", "workers.svg")

OWN, SHARED = "own mounts", "one shared mount"

LARGE_FILES = 64

LARGE_BYTES = 4 << 20


@dataclass
class Step:
    """One step with some workers: entries or bytes, elapsed seconds, and processor seconds of all
    processes that take part: workers, the one that asks, scheduler, sshfs, relays, servers."""

    mounts: str
    workers: int
    name: str
    amount: int
    seconds: float
    cpu: float
    busy: float
    """Processor seconds of the whole machine."""
    coordinator_cpu: float
    requests: int
    """To the server, from all mounts."""

    @property
    def rate(self) -> float:
        """Entries or bytes a second."""
        return self.amount / self.seconds


class Rig:
    """A storage, its mount here, and workers with mounts of their own or this one."""

    def __init__(self, work: Path, delay_ms: float, stack: ExitStack) -> None:
        self._work, self._delay, self._stack = work, delay_ms, stack
        self.mount = self._mounted("here")
        self.mounts = [self.mount]
        self.cluster = stack.enter_context(Cluster())

    def _mounted(self, name: str) -> SshfsMount:
        mount = SshfsMount(self._work / "server", self._work / name, delay_ms=self._delay)
        return self._stack.enter_context(mount)

    def add(self, workers: int, mounts: str) -> None:
        """Start workers."""
        if mounts == SHARED:
            self.cluster.add(workers)
            return
        for number in range(workers):
            own = self._mounted(f"worker-{number}")
            self.mounts.append(own)
            self.cluster.add(1, paths={str(self.mount.point): str(own.point)})

    @property
    def requests(self) -> int:
        return sum(sum(mount.requests.values()) for mount in self.mounts)


def processor_seconds() -> float:
    """Processor time of this process and of all that it has started."""
    own = psutil.Process()
    gone = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = gone.ru_utime + gone.ru_stime
    for process in [own, *own.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        found += times.user + times.system
    return found


def busy_seconds() -> float:
    """Processor time of everything on this machine."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def measured(rig: Rig, mounts: str, workers: int, outputs: Path) -> list[Step]:
    """The steps with `workers`."""
    settings = Settings(workers=1, facts=False)
    files = DiskFileSystem()
    placed = Outputs(str(outputs / "inventory.json"), str(outputs))
    top = str(rig.mount.point)
    engine = Engine(placed, None, [Root("models", top)], settings, files)
    engine.workers.close()
    clustered = ClusterWorkers(
        rig.cluster.address, settings, files, lambda: False, lambda: engine.store.snapshot
    )
    engine.workers = clustered  # type: ignore[assignment]
    steps: list[Step] = []

    def timed(name: str, step: Callable[[], int]) -> None:
        cpu, busy, own = processor_seconds(), busy_seconds(), time.process_time()
        asked = rig.requests
        started = time.perf_counter()
        amount = step()
        seconds = time.perf_counter() - started
        own = time.process_time() - own
        cpu, busy = processor_seconds() - cpu, busy_seconds() - busy
        requests = rig.requests - asked
        steps.append(Step(mounts, workers, name, amount, seconds, cpu, busy, own, requests))

    def walk() -> int:
        result = engine.scan()
        return result.files + result.directories

    def hash_all() -> int:
        hashing = Hashing(settings, placed, 0, [f"{top}/large"], lambda *given: clustered)
        try:
            return hashing.hash([XXH3], lambda done: None).read.bytes
        finally:
            hashing.store.metadata.close()

    try:
        engine.restart()
        engine.scan()
        engine.restart()
        timed("walk", walk)
        timed("hash", hash_all)
    finally:
        engine.close()
    return steps


def build(server: Path, files: int) -> None:
    """Small files to walk, and large ones to hash."""
    build_tree(server, files)
    large = server / "large"
    large.mkdir()
    for number in range(LARGE_FILES):
        path = large / f"large_{number:03}.safetensors"
        path.touch()
        os.truncate(path, LARGE_BYTES)


def run(options: argparse.Namespace) -> Iterator[Step]:
    """All steps: for each number of workers and each kind of mounts the fastest of its repeats."""
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-workers-") as folder:
        work = Path(folder)
        build(work / "server", options.files)
        for count in options.workers:
            for mounts in (OWN, SHARED):
                runs = [one_run(work, options, mounts, count) for _ in range(options.repeats)]
                for repeats in zip(*runs, strict=True):
                    yield min(repeats, key=lambda step: step.seconds)


def one_run(work: Path, options: argparse.Namespace, mounts: str, workers: int) -> list[Step]:
    """The steps with `workers`, started anew."""
    with ExitStack() as stack:
        rig = Rig(work, options.delay_ms, stack)
        rig.add(workers, mounts)
        outputs = stack.enter_context(tempfile.TemporaryDirectory(dir=work))
        return measured(rig, mounts, workers, Path(outputs))


def row(step: Step, cores: int) -> list[str]:
    """A row of the table."""
    amount = f"{step.rate:,.0f}" if step.name == "walk" else f"{step.rate / 1e6:,.0f} MB"
    return [
        step.name,
        step.mounts,
        str(step.workers),
        f"{step.seconds:.2f}",
        amount,
        f"{step.requests / step.seconds:,.0f}",
        f"{100 * step.cpu / step.seconds / cores:.0f} %",
        f"{100 * step.busy / step.seconds / cores:.0f} %",
    ]


TITLES = [
    "step",
    "mounts",
    "workers",
    "s",
    "a second",
    "requests a second",
    "of all cores",
    "all that runs",
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--files", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--delay-ms", type=float, default=1.0, help="of a round trip")
    parser.add_argument("--keep", action="store_true", help="write the results and the picture")
    options = parser.parse_args()
    cores = os.cpu_count() or 1

    steps: list[Step] = []
    try:
        for step in run(options):
            print(" ".join(row(step, cores)), file=sys.stderr, flush=True)
            steps.append(step)
            if options.keep:
                keep(options, steps)
    except pytest.skip.Exception as reason:
        print(f"This cannot run here: {reason}", file=sys.stderr)
        return 1
    print(aligned(TITLES, [row(step, cores) for step in steps]))
    return 0


def keep(options: argparse.Namespace, steps: list[Step]) -> None:
    """Write the results so far, and the picture of them. Other numbers of workers that were
    measured in the same way stay."""
    about = {"files": options.files, "delay_ms": options.delay_ms}
    measured_now = {(step.mounts, step.workers) for step in steps}
    others = [
        step
        for step in (Step(**one) for one in _known(about))
        if (step.mounts, step.workers) not in measured_now
    ]
    ordered = sorted([*others, *steps], key=lambda step: step.workers)
    report = {
        "machine": machine(tempfile.gettempdir()),
        **about,
        "steps": [asdict(step) for step in ordered],
    }
    with open(RESULTS, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    if reason := reason_without_matplotlib():
        print(f"No picture: {reason}.", file=sys.stderr)
    else:
        draw_workers(report, PICTURE)


def _known(about: dict[str, Any]) -> list[dict[str, Any]]:
    if not os.path.exists(RESULTS):
        return []
    with open(RESULTS, encoding="utf-8") as file:
        known = json.load(file)
    is_same = all(known[name] == value for name, value in about.items())
    return list(known["steps"]) if is_same else []


if __name__ == "__main__":
    sys.exit(main())
