"""A scheduler and workers on this machine, each a process that ends with this one.

Dask's own LocalCluster needs seconds to end, with a process beside each worker that starts it anew.
Here a worker that is lost stays lost, and its share is done by others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress

from scanner.disk.child import start_child

_SCHEDULER = "from scanner.cluster.local import serve_scheduler; serve_scheduler()"

_WORKER = "import sys; from scanner.cluster.local import serve_worker; serve_worker(sys.argv[1])"

_HOST = "127.0.0.1"

_DASHBOARD = "127.0.0.1:0"
"""Where Dask serves its health page, also without a dashboard. By itself it takes a fixed port on
all addresses, and another cluster may have that port."""


class LocalCluster:
    """Processes on this machine. Raises OSError if they cannot be started."""

    def __init__(self, workers: int) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        try:
            scheduler = self._start(_SCHEDULER)
            assert scheduler.stdout is not None
            self.address = scheduler.stdout.readline().decode().strip()
            if not self.address:
                raise OSError("its scheduler does not start")
            for _ in range(workers):
                self._start(_WORKER, self.address)
        except BaseException:
            self.close()
            raise

    def _start(self, code: str, *arguments: str) -> subprocess.Popen[bytes]:
        child = start_child(code, *arguments, stdin=subprocess.PIPE)
        self._children.append(child)
        return child

    def close(self) -> None:
        """End all processes. One that hangs on a mount is left behind."""
        for child in self._children:
            with suppress(OSError):
                child.kill()
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=0.2)


def _end_with_parent() -> None:
    """Let this process end once the pipe from its parent is closed."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def serve_scheduler() -> None:
    """Run a scheduler on a port of its own, and print its address."""
    import asyncio

    from distributed import Scheduler

    async def serve() -> None:
        async with Scheduler(
            host=_HOST, port=0, dashboard=False, dashboard_address=_DASHBOARD
        ) as scheduler:
            print(scheduler.address, flush=True)
            await scheduler.finished()

    _end_with_parent()
    asyncio.run(serve())


def serve_worker(scheduler: str) -> None:
    """Run a worker. Its threads are those of each share, so that it works on one share at a time
    while the next one waits."""
    import asyncio

    from distributed import Worker

    async def serve() -> None:
        async with Worker(
            scheduler, nthreads=1, dashboard=False, dashboard_address=_DASHBOARD
        ) as worker:
            await worker.finished()

    _end_with_parent()
    asyncio.run(serve())
