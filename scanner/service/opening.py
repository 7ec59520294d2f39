"""Opening one output under its lock, and ending on SIGINT and SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from scanner.comfyui.installation import Found
from scanner.disk.filesystem import DiskFileSystem
from scanner.errors import BusyError, OutputError
from scanner.output.file_names import outputs_of
from scanner.service.service import Service
from scanner.settings.schema import Settings

log = logging.getLogger(__name__)


@contextmanager
def open_service(settings: Settings, found: Found, cwd: str) -> Iterator[Service]:
    """A service that holds the lock of its output. Raises BusyError and OutputError."""
    from filelock import FileLock, Timeout

    files = DiskFileSystem()
    outputs = outputs_of(settings, files, cwd)
    if not os.path.isdir(outputs.folder):
        raise OutputError(f"The folder {outputs.folder} for the inventory does not exist.")
    if outputs.state_folder != outputs.folder:
        log.warning(
            "The inventory lies on a network mount: the state is kept in %s.", outputs.state_folder
        )
    # The lock is the operating system's and ends with the process, however that ends.
    lock = FileLock(outputs.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            f"Another comfy-inventory is writing {outputs.inventory} (it holds {outputs.lock}); "
            "stop it or choose another --output."
        ) from None
    except OSError as error:
        raise OutputError(
            f"The lock {outputs.lock} cannot be taken: {error.strerror or error}."
        ) from None
    try:
        service = Service(settings, found, outputs, files)
        try:
            yield service
        finally:
            service.close()
    finally:
        lock.release()


class Stoppable(Protocol):
    """Something that can be asked to end."""

    def stop(self) -> None: ...


@contextmanager
def stopping_on_signals(service: Stoppable) -> Iterator[list[int]]:
    """SIGINT and SIGTERM end the work in order; yields the list of signals that came."""
    received: list[int] = []

    def on_signal(number: int, frame: object) -> None:
        received.append(number)
        # In a thread of its own: the signal may have come while this one holds the event's lock.
        threading.Thread(target=service.stop, daemon=True).start()

    old = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
