"""A disk that is made up as it is read, and workers of a cluster that read it as threads.

The disk answers from arithmetic and holds nothing, so that all memory is the program's. It counts
its calls, waits for each as long as it is told, and tells how long it took to make the answers up.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from benchmarks.engine import MovedClock
from scanner.core.snapshot import DIRECTORY, FILE, Directory, Listing
from scanner.disk.filesystem import Stat
from scanner.disk.mounts import Mount

TOP = "/made-up"

FOLDERS_OF_A_FOLDER = 250

WHEN = 1_700_000_000 * 10**9

DEVICE = 4711

MOUNT = Mount(TOP, "nfs4", "nas:/volume1")


class Shape(NamedTuple):
    """The size of a made-up tree."""

    files: int
    files_of_a_folder: int = 200

    @property
    def leaves(self) -> int:
        """Folders that hold files."""
        return -(-self.files // self.files_of_a_folder)

    @property
    def folders(self) -> int:
        return 1 + -(-self.leaves // FOLDERS_OF_A_FOLDER) + self.leaves


class MadeUpDisk(MovedClock):
    """Folders of files below TOP, `FOLDERS_OF_A_FOLDER` in each folder of the first level."""

    def __init__(self, shape: Shape, latency: float = 0.0) -> None:
        """`latency`: seconds that each call waits."""
        super().__init__()
        self.shape = shape
        self.latency = latency
        self.calls = 0
        self.added = 0
        """Files more in the first folder."""
        self.edited = 0
        """Files of each hundredth folder change with this number."""
        self._made = array("d")

    @property
    def seconds(self) -> float:
        """Processor seconds spent on making answers up."""
        return sum(self._made)

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
        self._wait()
        started = time.thread_time()
        found = self._listed(path)
        self._made.append(time.thread_time() - started)
        return found

    def _listed(self, path: str) -> Directory:
        level = path.count("/") - TOP.count("/")
        leaves = self.shape.leaves
        if level == 0:
            count = -(-leaves // FOLDERS_OF_A_FOLDER)
            return self._directory([f"day_{n:05}" for n in range(count)], DIRECTORY, path)
        if level == 1:
            first = int(path[-5:]) * FOLDERS_OF_A_FOLDER
            count = min(FOLDERS_OF_A_FOLDER, leaves - first)
            names = [f"run_{first + n:07}" for n in range(count)]
            return self._directory(names, DIRECTORY, path)
        number = int(path[-7:])
        count = self.shape.files_of_a_folder + (self.added if number == 0 else 0)
        names = [f"image_{number:07}_{n:05}.png" for n in range(count)]
        return self._directory(names, FILE, path)

    def _directory(self, names: list[str], letter: str, path: str) -> Directory:
        count = len(names)
        if letter == DIRECTORY:
            zeros = array("q", bytes(8 * count))
            listing = Listing("\0".join(names), letter * count, zeros, zeros)
        else:
            number = int(path[-7:])
            first = WHEN + number * 10**9 + (self.edited if number % 100 == 0 else 0)
            listing = Listing(
                "\0".join(names),
                letter * count,
                array("I", ((number * 7919 + n * 104729) % 5_000_000 for n in range(count))),
                array("q", range(first, first + count)),
            )
        own = self._own(path)
        return Directory(listing, own.mtime, DEVICE, own.inode, ctime=own.ctime)

    def _own(self, path: str) -> Stat:
        """A folder's own stat."""
        inode = int(path[-7:]) + 2 if path.count("/") - TOP.count("/") == 2 else 1
        when = WHEN + (self.added if inode == 2 else 0)
        return Stat(True, 0, when, DEVICE, inode, when)

    def _wait(self) -> None:
        self.calls += 1
        if self.latency:
            time.sleep(self.latency)

    def stat(self, path: str) -> Stat:
        if not path.startswith(TOP):
            return super().stat(path)
        self._wait()
        return self._own(path)

    lstat = stat

    def stats_below(self, top: str, names: Sequence[str]) -> list[Stat | OSError]:
        return [self.stat(f"{top}/{name}") for name in names]

    def has_times(self, path: str, known: Directory) -> bool:
        own = self.stat(path)
        return known.has_same_times(own.mtime, own.ctime, own.device, own.inode)


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
        self.shares = 0

    def sync(self, call: object, **options: object) -> dict[str, Any]:
        return self.scheduler_info()

    def scheduler_info(self, **options: object) -> dict[str, Any]:
        return {"workers": {name: {"host": "here"} for name in self._names}}

    def submit(self, call: Callable[..., Any], *given: Any, **options: Any) -> Any:
        if call is self._examine:
            future: Future[Any] = self._pool.submit(call, *given)
        else:
            self.shares += 1
            future = self._pool.submit(self._serve, *given, options["workers"][0])
        future.release = lambda: None  # type: ignore[attr-defined]
        return future

    def close(self, **options: object) -> None:
        self._pool.shutdown()


class _OneAtATime:
    """The threads of a worker that has one request under way at a time: its own."""

    map = staticmethod(map)


def workers_of(disk: MadeUpDisk, cluster: int, snapshot: Callable[[], Any]) -> Any:
    """The workers of the measured engine: this process, or a cluster of threads. `snapshot` gives
    what was last committed."""
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
    serving._pool = lambda threads: _OneAtATime()  # type: ignore[assignment]
    client = ThreadClient(cluster, serving.serve, serving.examine)
    terms = Terms(__version__, TOP, MOUNT.identity, DEVICE, False, 1, 0.0)
    crew = Crew(client, terms, lambda samples: samples)

    def weight(path: str) -> int:
        known = snapshot().get(path)
        return len(known.listing.types) if known is not None else 1

    class Clustered(LocalWorkers):
        shares = property(lambda self: client.shares)

        def of(self, mount: Mount, patience: float | None = None) -> Any:
            return ClusterSession(
                client, crew, super().of(mount), stopped=lambda: False, stall_after=600.0,
                weight=weight, links=LinkedPaths(snapshot(), TOP),
            )  # fmt: skip

        def close(self) -> None:
            client.close()

    return Clustered(disk)
