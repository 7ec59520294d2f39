"""A scheduler of Dask and workers, each a process that a test can kill, stop or give a path map."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from scanner.cluster.path_map import VARIABLE
from scanner.disk.child import child_command

_SCHEDULER = "from scanner.cluster.local import serve_scheduler; serve_scheduler()"

_WORKER = "import sys; from scanner.cluster.local import serve_worker; serve_worker(sys.argv[1])"

OLDER = "import scanner; scanner.__version__ = '0.0.1'; "


class Cluster:
    """Processes that end with the block."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.scheduler = self._start(_SCHEDULER)
        assert self.scheduler.stdout is not None
        self.address = self.scheduler.stdout.readline().decode().strip()
        assert self.address.startswith("tcp://")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.send_signal(signal.SIGCONT)
            child.kill()
        for child in self._children:
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _start(
        self, code: str, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            child_command(code, *arguments),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **(environ or {})}, cwd="/",
        )  # fmt: skip
        self._children.append(child)
        return child

    def add(
        self, count: int = 1, *, paths: Mapping[str, str] | None = None, before: str = ""
    ) -> None:
        """Start workers and wait until the scheduler knows them. `before` runs in each first."""
        from distributed import Client

        environ = {VARIABLE: json.dumps(dict(paths))} if paths else {}
        for _ in range(count):
            worker = self._start(before + _WORKER, self.address, environ=environ)
            self.workers.append(worker)
        with Client(self.address) as client:
            client.wait_for_workers(len(self.workers), timeout=60)
