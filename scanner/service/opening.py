"""Opening one output under its lock, closing it, and ending on SIGINT and SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from scanner.comfyui.installation import Found
from scanner.comfyui.known_roots import sure_roots
from scanner.core.memory import roots_of
from scanner.core.snapshot import Snapshot
from scanner.disk.filesystem import DiskFileSystem, FileSystem
from scanner.disk.location import locate
from scanner.disk.mounts import Mount
from scanner.errors import BusyError, InventoryError, OutputError
from scanner.output.file_names import Outputs, outputs_of
from scanner.output.journal_files import generations
from scanner.output.lock import LockHeldError, locked
from scanner.output.refusals import keep_damaged_inventory, refuse_outputs
from scanner.scan import Scanner
from scanner.service.root_watch import RootWatch
from scanner.service.service import Service
from scanner.settings.schema import Settings
from scanner.store.state import State
from scanner.store.store import Store
from scanner.workers.pool import Workers, WorkersByMount

if TYPE_CHECKING:
    from scanner.workers.helped import Helper

log = logging.getLogger(__name__)

LOCK_PATIENCE = 0.1
"""Seconds to wait for the lock: `status` takes it for a moment to see whether it is held."""

SECOND_LOOK = 2.0
"""Seconds after which a file that drops roots is read once more: it may be half written."""


class OwnedWorkers(Workers, Protocol):
    """Workers that are closed at the end."""

    def readers(self, mount: Mount) -> int:
        """The number of files that are worth reading whole at a time on `mount`."""
        ...

    def close(self) -> None: ...


WorkersOf = Callable[
    [Settings, FileSystem, Callable[[], bool], Callable[[], Snapshot]], OwnedWorkers
]
"""Makes workers. The functions say if the program was stopped, and what was last committed."""


def own_workers(
    settings: Settings,
    files: FileSystem,
    stopped: Callable[[], bool],
    snapshot: Callable[[], Snapshot],
    helpers: list[Helper] | None = None,
) -> OwnedWorkers:
    """The workers of this machine. The first long walk takes `helpers`, which have started."""
    workers = WorkersByMount.from_settings(settings, files, stopped)
    if helpers:
        workers.lend(helpers)
    return workers


@contextmanager
def open_service(
    settings: Settings,
    found: Found,
    cwd: str,
    find: Callable[[], Found] | None = None,
    observe: Callable[[Outputs], Observer] = lambda outputs: Unobserved(),
    workers_of: WorkersOf = own_workers,
) -> Iterator[Service]:
    """Open a service that holds the lock of its output. Raises BusyError and OutputError.

    `find` finds the roots again: while the service runs, and at once where roots would be dropped;
    without it they stay as `found`. `observe` makes what gets the status after each scan,
    `workers_of` the workers that are asked about mounts.
    """
    stop = threading.Event()
    files = DiskFileSystem(stop.is_set, at_once=True)
    outputs = outputs_of(settings, files, cwd)
    if not os.path.isdir(outputs.folder):
        raise OutputError(f"The folder {outputs.folder} for the inventory does not exist.")
    refuse_outputs(outputs, partial(_written_before, outputs))
    if outputs.apart:
        log.warning(
            "The state of the inventory is kept in %s: %s.", outputs.state_folder, outputs.apart
        )
        if locate(outputs.state_folder, files.mounts(), files.read_link).mount.is_remote:
            log.warning(
                "That lies on a network mount, too, and stops with it: set XDG_STATE_HOME to a "
                "folder on a local disk."
            )
    with _output_lock(outputs):
        if aside := keep_damaged_inventory(outputs):
            log.warning("The inventory is damaged: it is kept as %s and written anew.", aside)
        with (
            _observing(observe(outputs), stop) as observer,
            assembled(
                settings, found, outputs, files, find, stop, observer.report, workers_of
            ) as service,
        ):
            yield service


@contextmanager
def _output_lock(outputs: Outputs) -> Iterator[None]:
    """Hold the lock of `outputs`. Raises BusyError and OutputError."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(outputs.lock, LOCK_PATIENCE))
        except LockHeldError:
            raise BusyError(
                f"Another comfy-inventory is writing {outputs.inventory} (it holds {outputs.lock});"
                " stop it or choose another --output."
            ) from None
        except OSError as error:
            raise OutputError(
                f"The lock {outputs.lock} cannot be taken: {error.strerror or error}."
            ) from None
        yield


class Observer(Protocol):
    """Gets the status after each scan. It must not raise and never wait."""

    def report(self, status: Mapping[str, Any]) -> None: ...

    def close(self, code: int | None) -> None:
        """End. `code` is an exit code; None after a signal, where there is no time."""
        ...


class Unobserved:
    """Nobody looks."""

    def report(self, status: Mapping[str, Any]) -> None:
        pass

    def close(self, code: int | None) -> None:
        pass


@contextmanager
def _observing(observer: Observer, stop: threading.Event) -> Iterator[Observer]:
    """Close `observer` after the last status was written, while the lock is still held."""
    code: int | None = 70
    try:
        yield observer
        code = 0
    except InventoryError as error:
        code = error.exit_code
        raise
    finally:
        observer.close(None if stop.is_set() else code)


def _written_before(outputs: Outputs) -> set[str]:
    """The files that the state knows as written by this program, whatever they hold now."""
    try:
        with closing(State(outputs.state, readonly=True)) as state:
            is_inventory = state.has_written(outputs.inventory)
    except InventoryError:
        return set()
    written = {outputs.journal, outputs.status, outputs.history}
    written.update(path for _, path in generations(outputs.journal))
    return written | ({outputs.inventory} if is_inventory else set())


@contextmanager
def assembled(
    settings: Settings,
    found: Found,
    outputs: Outputs,
    files: FileSystem,
    find: Callable[[], Found] | None = None,
    stop: threading.Event | None = None,
    report: Callable[[Mapping[str, Any]], None] = lambda status: None,
    workers_of: WorkersOf = own_workers,
) -> Iterator[Service]:
    """Make a service with the store, workers and scanner it needs; close them at the end.

    The lock of the output must be held. Raises OutputError."""
    stop = stop or threading.Event()
    store = Store.open(settings, outputs, found.base, files)
    with (
        closing(store),
        closing(workers_of(settings, files, stop.is_set, lambda: store.snapshot)) as workers,
    ):

        def look_again() -> Found | None:
            if find is None:
                return found
            return None if stop.wait(SECOND_LOOK) else find()

        roots, warnings = sure_roots(found, roots_of(store.memory.roots.values()), look_again)
        for warning in warnings:
            log.warning("%s", warning)
        scanner = Scanner(files, store, _paced(settings), roots, workers)
        watch = None if find is None else RootWatch(find, found, scanner, warnings)
        service = Service(settings, scanner, stop, watch, report)
        try:
            yield service
        finally:
            service.finish()


def _paced(settings: Settings) -> Settings:
    """`settings`, with less time for verification if lanes find their intervals themselves: an
    interval follows from the time that scans take."""
    if not settings.is_paced:
        return settings
    from scanner.walk.cost import verification_duty

    duty = verification_duty(settings.duty, settings.auto_duty)
    return replace(settings, duty=duty)


class Stoppable(Protocol):
    """An object that can be asked to end."""

    def stop(self) -> None: ...


@contextmanager
def stopping_on_signals(service: Stoppable) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM end the work in order. Yields the list of signals that came."""
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
