"""Seconds and memory at ten million entries, on a disk that is made up as it is read.

    python -m benchmarks.scale                     1 and 10 million files, alone and with a cluster
    python -m benchmarks.scale --files 2000000

The disk answers from arithmetic and holds nothing, so that all memory is the program's. It counts
its calls: at a latency of L seconds and K requests at a time, waiting takes calls * L / K. The
cluster is the program's own session and crew, with threads of this process in place of Dask's
workers: what a coordinator holds is the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from scanner.core.roots import Root
from scanner.core.snapshot import DIRECTORY, FILE, Directory, Listing
from scanner.disk.filesystem import DiskFileSystem, Stat
from scanner.disk.mounts import Mount

TOP = "/made-up"

FILES_OF_A_FOLDER = 200

FOLDERS_OF_A_FOLDER = 250

WHEN = 1_700_000_000 * 10**9

DEVICE = 4711

MOUNT = Mount(TOP, "nfs4", "nas:/volume1")


class MadeUpDisk(DiskFileSystem):
    """Folders of files below TOP, `FOLDERS_OF_A_FOLDER` in each folder of the first level."""

    def __init__(self, files: int) -> None:
        super().__init__()
        self.folders = -(-files // FILES_OF_A_FOLDER)
        self.calls = 0
        self.added = 0
        """Files more in the first folder."""

    def mounts(self) -> list[Mount]:
        return [*super().mounts(), MOUNT]

    def read_link(self, path: str) -> str:
        if path.startswith(TOP):
            raise OSError(22, "not a link")
        return super().read_link(path)

    def list_directory(
        self,
        path: str,
        skip: frozenset[str] = frozenset(),
        mount_points: frozenset[str] = frozenset(),
    ) -> Directory:
        if not path.startswith(TOP):
            return super().list_directory(path, skip, mount_points)
        self.calls += 1
        level = path.count("/") - TOP.count("/")
        if level == 0:
            count = -(-self.folders // FOLDERS_OF_A_FOLDER)
            return self._directory([f"day_{n:05}" for n in range(count)], DIRECTORY)
        if level == 1:
            first = int(path[-5:]) * FOLDERS_OF_A_FOLDER
            count = min(FOLDERS_OF_A_FOLDER, self.folders - first)
            return self._directory([f"run_{first + n:07}" for n in range(count)], DIRECTORY)
        number = int(path[-7:])
        more = self.added if number == 0 else 0
        names = [f"image_{number:07}_{n:05}.png" for n in range(FILES_OF_A_FOLDER + more)]
        return self._directory(names, FILE, number, more)

    @staticmethod
    def _directory(names: list[str], letter: str, number: int = 0, more: int = 0) -> Directory:
        is_file = letter == FILE
        sizes = array("q", ((number * 7919 + n * 104729) % 5_000_000 for n in range(len(names))))
        listing = Listing(
            "\0".join(names),
            letter * len(names),
            sizes if is_file else array("q", bytes(8 * len(names))),
            array("q", (WHEN + number * 10**9 + n for n in range(len(names)))),
        )
        return Directory(listing, WHEN + more, DEVICE, number + 2, ctime=WHEN + more)

    def stat(self, path: str) -> Stat:
        if not path.startswith(TOP):
            return super().stat(path)
        self.calls += 1
        return Stat(True, 0, WHEN, DEVICE, 2, WHEN)

    lstat = stat

    def stats_below(self, top: str, names: Sequence[str]) -> list[Stat | OSError]:
        return [self.stat(f"{top}/{name}") for name in names]


class ThreadClient:
    """Stands in for Dask's client: threads of this process are the workers."""

    status = "running"
    scheduler = type("Scheduler", (), {"identity": None})

    def __init__(
        self, workers: int, serve: Callable[..., Any], examine: Callable[..., Any]
    ) -> None:
        self._names = [f"thread-{n}" for n in range(workers)]
        self._pool = ThreadPoolExecutor(workers)
        self._serve, self._examine = serve, examine

    def sync(self, call: object, **options: object) -> dict[str, Any]:
        return self.scheduler_info()

    def scheduler_info(self, **options: object) -> dict[str, Any]:
        return {"workers": {name: {"host": "here"} for name in self._names}}

    def submit(self, call: Callable[..., Any], *given: Any, **options: Any) -> Any:
        if call is self._examine:
            future: Future[Any] = self._pool.submit(call, *given)
        else:
            future = self._pool.submit(self._serve, *given, options["workers"][0])
        future.release = lambda: None  # type: ignore[attr-defined]
        return future

    def close(self, **options: object) -> None:
        self._pool.shutdown()


def workers_of(disk: MadeUpDisk, cluster: int, snapshot: Callable[[], Any]) -> Any:
    """The workers of the measured engine: this process, or a cluster of threads."""
    from scanner.workers.pool import LocalWorkers

    own = LocalWorkers(disk)
    if not cluster:
        own.close = lambda: None  # type: ignore[attr-defined]
        return own
    import scanner.cluster.serving as serving
    from scanner import __version__
    from scanner.cluster.crew import Crew
    from scanner.cluster.links import LinkedPaths
    from scanner.cluster.session import ClusterSession
    from scanner.cluster.terms import Terms

    serving._files = lambda by_lookup: disk  # type: ignore[assignment]
    serving._mount = lambda paths, terms: MOUNT
    client = ThreadClient(cluster, serving.serve, serving.examine)
    terms = Terms(__version__, TOP, MOUNT.identity, DEVICE, False, 1, 0.0)
    crew = Crew(client, terms, lambda samples: samples)

    class Clustered(LocalWorkers):
        def of(self, mount: Mount, patience: float | None = None) -> Any:
            return ClusterSession(
                client, crew, super().of(mount), stopped=lambda: False, stall_after=600.0,
                weight=lambda path: FILES_OF_A_FOLDER, links=LinkedPaths({}, TOP),
            )  # fmt: skip

        def close(self) -> None:
            client.close()

    return Clustered(disk)


def measure(files: int, cluster: int, folder: str) -> dict[str, Any]:
    """Scan three times in this process; seconds, calls and memory of each."""
    from benchmarks.engine import Engine
    from scanner.output.file_names import Outputs
    from scanner.settings.schema import Settings

    disk = MadeUpDisk(files)
    outputs = Outputs(os.path.join(folder, "scale.json"), folder)
    root = Root("output", TOP)
    settings = Settings(facts=False)
    begin = _resident()
    engine = Engine(outputs, None, [root], settings, disk)
    engine.workers.close()
    engine.workers = workers_of(disk, cluster, lambda: engine.store.snapshot)
    engine.restart()
    steps = {}
    for name in ("first scan", "unchanged", "one change"):
        if name == "one change":
            disk.added = 1
        calls, started, cpu = disk.calls, time.perf_counter(), time.process_time()
        engine.scan()
        steps[name] = {
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "calls": disk.calls - calls,
            "resident": _resident() - begin,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    entries = engine.store.snapshot
    found = {
        "files": files,
        "folders": len(entries),
        "cluster": cluster,
        "steps": steps,
        "inventory": os.path.getsize(outputs.inventory),
        "state": os.path.getsize(outputs.state),
    }
    engine.close()
    return found


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measured_apart(files: int, cluster: int) -> dict[str, Any]:
    """`measure` in a process of its own, whose peak is then its own."""
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-scale-") as folder:
        code = (
            "import json, sys; from benchmarks.scale import measure; "
            "print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(files), str(cluster), folder],
            check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def row(found: dict[str, Any]) -> str:
    """A line of the table: per million files."""
    millions = found["files"] / 1e6
    steps = found["steps"]
    cells = [f"{millions:g}", "4 workers" if found["cluster"] else "alone"]
    for name in steps:
        cells.append(f"{steps[name]['seconds'] / millions:.2f}")
    cells.append(f"{steps['unchanged']['resident'] / millions / 1e6:.0f}")
    cells.append(f"{steps['one change']['peak'] / millions / 1e6:.0f}")
    cells.append(f"{found['inventory'] / millions / 1e6:.0f}")
    cells.append(f"{found['state'] / millions / 1e6:.0f}")
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| million files | workers | first scan, s | unchanged, s | one change, s | held, MB |"
    " peak, MB | inventory, MB | state, MB |\n" + "| --- " * 9 + "|"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, nargs="+", default=[1_000_000, 10_000_000])
    options = parser.parse_args()
    print("All but the first column is for each million files.\n")
    print(HEAD)
    run = partial(measured_apart)
    for files in options.files:
        for cluster in (0, 4):
            print(row(run(files, cluster)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
