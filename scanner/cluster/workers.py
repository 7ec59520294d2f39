"""A cluster in place of this machine's own workers, on mounts that its workers see as well."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner import __version__
from scanner.cluster.crew import Crew, addresses
from scanner.cluster.links import LinkedPaths
from scanner.cluster.session import ClusterSession
from scanner.cluster.terms import Sample, Terms
from scanner.core.snapshot import Directory
from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount
from scanner.errors import InventoryError
from scanner.settings.schema import Settings
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import WorkersByMount
from scanner.workers.requests import Stated, StatPath
from scanner.workers.worker import Worker

if TYPE_CHECKING:
    from scanner.cluster.local import LocalCluster

log = logging.getLogger(__name__)

CONNECT = 10.0
"""Seconds to wait for a scheduler."""

START = 60.0
"""Seconds to wait for workers of our own."""

CLOSE = 0.5
"""Seconds to wait for the end of a connection."""

LOCAL = "local:"


class ClusterWorkers:
    """Gives workers by mount: those of a cluster for network mounts, this machine's for others."""

    def __init__(
        self,
        address: str,
        settings: Settings,
        files: FileSystem,
        stopped: Callable[[], bool],
        snapshot: Callable[[], Mapping[str, Directory]],
    ) -> None:
        """`address` is that of a scheduler, or `local:N` for N processes here. `snapshot` gives
        what was last committed. Raises InventoryError if nothing answers."""
        self._address = address
        self._settings = settings
        self._files = files
        self._stopped = stopped
        self._snapshot = snapshot
        self._own = WorkersByMount.from_settings(settings, files, stopped)
        self._lock = threading.Lock()
        self._crews: dict[tuple[str, object], Crew] = {}
        self._cluster: LocalCluster | None = None
        self._processes = int(address.removeprefix(LOCAL)) if address.startswith(LOCAL) else 0
        self._client: Any = None
        try:
            self._connect()
        except LostWorkerError as error:
            self.close()
            raise InventoryError(f"--cluster: {error}.") from error
        except BaseException:  # Ctrl-C, too
            self.close()
            raise

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        local = self._own.of(mount, patience)
        if not mount.is_remote or patience is not None:
            return local
        crew = self._crew(mount)
        if crew is None:
            return local
        return ClusterSession(
            self._connected(),
            crew,
            local,
            stopped=self._stopped,
            stall_after=self._settings.stall_after,
            weight=self._weight,
            links=LinkedPaths(self._snapshot(), mount.point),
        )

    def of_long_walk(self, mount: Mount, known: int = 0) -> Worker:
        return self.of(mount) if mount.is_remote else self._own.of_long_walk(mount, known)

    def apart(self, mount: Mount) -> Worker:
        return self._own.apart(mount)

    def requests_at_once(self, mount: Mount) -> int:
        return self._own.requests_at_once(mount)

    def readers(self, mount: Mount) -> int:
        """The number of files that are worth reading whole at a time on `mount`: one for each
        worker."""
        return max(1, len(addresses(self._connected()))) if mount.is_remote else 1

    def _weight(self, path: str) -> int:
        known = self._snapshot().get(path)
        return len(known.listing.types) if known is not None else 1

    def _crew(self, mount: Mount) -> Crew | None:
        """The crew of a mount; None if the mount does not answer here."""
        client = self._connected()
        key = (mount.point, mount.identity)
        with self._lock:
            if key in self._crews:
                return self._crews[key]
        stat = _stat(self._own.of(mount), mount.point)
        if stat is None:
            return None
        terms = Terms(
            __version__,
            mount.point,
            mount.identity,
            stat.stat.device,
            mount.lookups_bring_stats,
            self._settings.workers,
            self._settings.requests_per_second,
        )

        def look(samples: Sequence[Sample]) -> Sequence[Sample]:
            return _look(self._own.of(mount), samples)

        with self._lock:
            return self._crews.setdefault(key, Crew(client, terms, look))

    def _connected(self) -> Any:
        """The client; a new one if the scheduler went away. Raises LostWorkerError."""
        with self._lock:
            if self._client is not None and self._client.status == "running":
                return self._client
        self._connect()
        return self._client

    def _connect(self) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise InventoryError(
                "--cluster needs the package distributed: install comfy-inventory[cluster]."
            ) from None
        with self._lock:
            self._drop_client()
            try:
                address = self._started()
                patience = START if self._processes else CONNECT
                self._client = Client(address, timeout=patience)  # type: ignore[no-untyped-call]
                if self._cluster is not None:
                    self._client.wait_for_workers(self._processes, timeout=START)
            except Exception as error:  # Dask raises TypeError where certificates are missing
                why = str(error).partition("\n")[0] or type(error).__name__
                raise LostWorkerError(
                    f"no scheduler answers at {self._address} ({why})", is_stalled=False
                ) from error
            self._crews.clear()

    def _started(self) -> str:
        """The address of the scheduler; one of our own is started anew."""
        if not self._processes:
            return self._address
        from scanner.cluster.local import LocalCluster

        if self._cluster is not None:
            self._cluster.close()
        self._cluster = LocalCluster(self._processes)
        return self._cluster.address

    def _drop_client(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            try:
                client.close(timeout=CLOSE)
            except Exception as error:  # it is lost anyway
                log.debug("closing the client: %s", error)

    def close(self) -> None:
        """Let go of the cluster and of all processes."""
        with self._lock:
            self._drop_client()
            if self._cluster is not None:
                self._cluster.close()
        self._own.close()


def _stat(worker: Worker, path: str) -> Stated | None:
    worker.ask(StatPath(path))
    answer = worker.answer()
    worker.answer()
    return answer if isinstance(answer, Stated) else None


def _look(worker: Worker, samples: Sequence[Sample]) -> list[Sample]:
    for sample in samples:
        worker.ask(StatPath(sample.path))
    seen = []
    while (answer := worker.answer()) is not None:
        if isinstance(answer, Stated):
            stat = answer.stat
            size = 0 if stat.is_directory else stat.size
            seen.append(Sample(answer.path, stat.is_directory, size, stat.mtime))
    return seen
