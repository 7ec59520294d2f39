"""Seconds and memory at ten million entries, on a disk that is made up as it is read.

    python -m benchmarks.scale                   1 and 10 million files, alone and with a cluster
    python -m benchmarks.scale --files 2000000 --latency-ms 1 --cluster 16
    python -m benchmarks.scale --keep            all that docs/scale.md is made from

The disk answers from arithmetic and holds nothing (`benchmarks.made_up`). What it takes to make
answers up is measured and told apart. The cluster is the program's own session and crew, with
threads of this process in place of Dask's workers: what a coordinator holds is the same, and the
processor time of the workers is in it. Each run is a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.engine import LONG, Engine, Stopwatch
from benchmarks.made_up import TOP, MadeUpDisk, Shape, workers_of
from benchmarks.tables import aligned
from scanner.core.roots import Root
from scanner.disk.trust import PROOFS_WANTED
from scanner.output.file_names import Outputs
from scanner.settings.schema import Settings

FIRST, VERIFIED, UNCHANGED = "first scan", "full verification", "unchanged"
ONE, PERCENT, RESTART, PUBLISH = "one change", "1 % changed", "restart", "fleet publish"

RARELY = 86_400.0
"""`verify_within` here: unchanged scans list no folder whose time has not moved."""


INTERVAL = 1.0
"""Seconds between scans, as far as they know: so short that they verify little by little."""


@dataclass
class Step:
    """The cost of a step. Seconds are elapsed ones unless they are `cpu`; memory is in bytes, above
    what the process held before it began."""

    seconds: float
    cpu: float
    """Without that of the disk."""
    disk: float
    """Processor seconds of the made-up disk."""
    calls: int
    commit: float
    """Processor seconds, as are those of `publish`."""
    publish: float
    resident: int
    peak: int
    shares: int = 0


@dataclass
class Run:
    """One process: what it was given, and what it found."""

    files: int
    files_of_a_folder: int
    folders: int
    cluster: int
    latency: float
    steps: dict[str, Step] = field(default_factory=dict)
    inventory: int = 0
    state: int = 0
    parquet: int = 0


class Meter:
    """Measures steps of this process."""

    def __init__(self, disk: MadeUpDisk) -> None:
        self._disk = disk
        self.watch = Stopwatch()
        self._begin = resident()

    def step(self, call: Any, shares: Any = lambda: 0) -> Step:
        """Do `call`."""
        self.watch.clear()
        forget_peak()
        calls, made, sent = self._disk.calls, self._disk.seconds, shares()
        started, cpu = time.perf_counter(), time.process_time()
        call()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        made = self._disk.seconds - made
        peak = peak_resident()
        gc.collect()
        return Step(
            seconds, cpu - made, made, self._disk.calls - calls,
            self.watch.cpu["commit"], self.watch.cpu["publish"],
            resident() - self._begin, peak - self._begin, shares() - sent,
        )  # fmt: skip


def resident() -> int:
    """Resident bytes of this process."""
    return _status("VmRSS:")


def peak_resident() -> int:
    """The most resident bytes since `forget_peak`."""
    return _status("VmHWM:")


def forget_peak() -> None:
    """Begin anew with the peak (Linux, proc(5))."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def _status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def opened(run: Run, folder: str, disk: MadeUpDisk) -> Engine:
    """The engine on the made-up disk, with the workers of `run`."""
    outputs = Outputs(os.path.join(folder, "scale.json"), folder)
    settings = Settings(facts=False, verify_within=RARELY)
    engine = Engine(outputs, None, [Root("output", TOP)], settings, disk)
    engine.workers.close()
    engine.workers = workers_of(disk, run.cluster, lambda: engine.store.snapshot)
    engine.restart()
    return engine


def scan_all(run: Run, folder: str) -> Run:
    """Scan again and again in this process. With a latency only what the model is checked by."""
    disk = MadeUpDisk(Shape(run.files, run.files_of_a_folder), run.latency)
    meter = Meter(disk)
    engine = opened(run, folder, disk)
    watch, store = meter.watch, engine.store
    store.commit = watch.around("commit", store.commit)  # type: ignore[method-assign]
    store.publish = watch.around("publish", store.publish)  # type: ignore[method-assign]

    def step(name: str) -> None:
        disk.advance(LONG)
        shares = lambda: getattr(engine.workers, "shares", 0)  # noqa: E731
        run.steps[name] = meter.step(lambda: engine.scan(INTERVAL), shares)

    step(FIRST)
    if not run.latency:
        engine.restart()
        step(VERIFIED)
    store.trust_of(disk_mount(disk)).proofs = PROOFS_WANTED
    step("trust")  # what was seen last may be racy
    del run.steps["trust"]
    step(UNCHANGED)
    if not run.latency:
        disk.added = 1
        step(ONE)
        disk.edited = 1
        engine.restart()
        step(PERCENT)
    run.inventory = os.path.getsize(engine.outputs.inventory)
    run.state = os.path.getsize(engine.outputs.state)
    engine.close()
    return run


def disk_mount(disk: MadeUpDisk) -> Any:
    """The mount of the made-up disk."""
    return next(mount for mount in disk.mounts() if mount.point == TOP)


def start_again(run: Run, folder: str) -> Run:
    """Load the state that an earlier process left."""
    disk = MadeUpDisk(Shape(run.files, run.files_of_a_folder))
    meter = Meter(disk)
    engines = []
    run.steps[RESTART] = meter.step(lambda: engines.append(opened(run, folder, disk)))
    engines[0].close()
    return run


def publish_to_fleet(run: Run, folder: str) -> Run:
    """Publish the inventory that an earlier process left, as Parquet."""
    from scanner.fleet.address import FOLDER, Address
    from scanner.fleet.publish import publish, source_of

    place = os.path.join(folder, "fleet")
    source = source_of(
        os.path.join(folder, "scale.json"), os.path.join(folder, "scale.changes.jsonl"), "host-0"
    )
    meter = Meter(MadeUpDisk(Shape(0)))
    run.steps[PUBLISH] = meter.step(lambda: publish(Address(FOLDER, place), source))
    run.parquet = sum(
        os.path.getsize(os.path.join(top, name))
        for top, _, names in os.walk(os.path.join(place, "entries"))
        for name in names
    )
    return run


PHASES = {"scan": scan_all, "restart": start_again, "fleet": publish_to_fleet}


def in_a_process(phase: str, run: Run, folder: str) -> Run:
    """One of PHASES in a process of its own."""
    code = "import sys; from benchmarks.scale import phase; phase(*sys.argv[1:])"
    document = json.dumps(asdict(run))
    command = [sys.executable, "-c", code, phase, document, folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return run_from(json.loads(done.stdout))


def phase(name: str, document: str, folder: str) -> None:
    """What the process of `in_a_process` does."""
    print(json.dumps(asdict(PHASES[name](run_from(json.loads(document)), folder))))


def run_from(document: dict[str, Any]) -> Run:
    """Inverse of `asdict`."""
    steps = {name: Step(**step) for name, step in document["steps"].items()}
    return Run(**{**document, "steps": steps})


def measured(
    shape: Shape,
    cluster: int,
    latency: float,
    phases: Iterable[str] = ("scan",),
    keep_fleet: str | None = None,
) -> Run:
    """A run of these phases, each in a process of its own, on one folder. What was published to a
    fleet goes to the folder `keep_fleet`."""
    run = Run(shape.files, shape.files_of_a_folder, shape.folders, cluster, latency)
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-scale-") as folder:
        for name in phases:
            run = in_a_process(name, run, folder)
        if keep_fleet is not None:
            shutil.copytree(os.path.join(folder, "fleet"), keep_fleet, dirs_exist_ok=True)
    return run


TITLES = [
    "million files", "files a folder", "workers", "latency", "step", "s", "CPU s", "disk's CPU s",
    "commit, CPU s", "publish, CPU s", "held, MB", "peak, MB",
]  # fmt: skip


def rows(run: Run) -> list[list[str]]:
    """Lines of the table. All but the first columns are for each million files."""
    millions = run.files / 1e6
    workers = f"{run.cluster} workers" if run.cluster else "alone"
    head = [f"{millions:g}", str(run.files_of_a_folder), workers, f"{run.latency * 1e3:g} ms"]
    found = []
    for name, step in run.steps.items():
        seconds = (step.seconds, step.cpu, step.disk, step.commit, step.publish)
        cells = [f"{value / millions:.2f}" for value in seconds]
        memory = [f"{value / millions / 1e6:.0f}" for value in (step.resident, step.peak)]
        found.append([*head, name, *cells, *memory])
    return found


def tell(run: Run) -> None:
    """Print a run as it ends."""
    for cells in rows(run):
        print("  ".join(cells), file=sys.stderr, flush=True)
    sizes = {"inventory": run.inventory, "state": run.state, "Parquet": run.parquet}
    told = ", ".join(f"{name} {size / run.files:.1f}" for name, size in sizes.items() if size)
    print(f"  bytes a file: {told}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--files-of-a-folder", type=int, default=200)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of each call on the disk")
    parser.add_argument("--cluster", type=int, nargs="+", default=[0, 4], help="workers; 0: alone")
    parser.add_argument(
        "--keep",
        nargs="*",
        metavar="PART",
        help="write benchmarks/scale.json: runs, hash, round_trips, fleet, or all",
    )
    options = parser.parse_args()
    if options.keep is not None:
        from benchmarks.scale_results import measure

        measure(options.keep, tell)
        return 0
    runs = []
    for files in options.files:
        for cluster in options.cluster:
            shape = Shape(files, options.files_of_a_folder)
            phases = ("scan",) if cluster else tuple(PHASES)
            runs.append(measured(shape, cluster, options.latency_ms / 1e3, phases))
            tell(runs[-1])
    print("All but the first four columns is for each million files.\n")
    print(aligned(TITLES, [cells for run in runs for cells in rows(run)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
