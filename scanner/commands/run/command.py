"""`comfy-inventory run`: scan on a schedule until stopped."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scanner.console.apart import end_with_parent, need_child
from scanner.console.app import app
from scanner.console.options import _SCANNING, _SPLIT, _TIMES, AsJson, Cluster, Utc, _taking
from scanner.console.serving import SERVING, ServeOptions, serve_options
from scanner.console.steps import _cwd, _find_roots, _finder, _load, _outputs, _start_log
from scanner.console.terminal import echo_error

if TYPE_CHECKING:
    from scanner.commands.serve.host import Running
    from scanner.service.service import Service
    from scanner.settings.load import Loaded
    from scanner.workers.helped import Helper

log = logging.getLogger("scanner")

USUAL = 700
"""New objects from which on Python looks for cyclic garbage of itself. A start puts that off."""


@app.command()
@_taking(_SCANNING, _SPLIT, _TIMES, SERVING)
def run(
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Show the inventory as a page in the browser meanwhile."),
    ] = False,
    cluster: Cluster = None,
    utc: Utc = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Scan on a schedule until stopped.

    With --json, events are printed as they come, one JSON object a line.
    """
    wanted = serve_options(options)
    loaded = _load(options)
    outputs = _outputs(loaded)
    need_child(outputs.may_hang)
    end_with_parent()
    from scanner.commands.named_folders import refuse_mistakes

    refuse_mistakes(loaded, outputs, _cwd())
    _start_log(loaded, utc=utc)
    from scanner.workers.helped import LARGE_STATE, helpers_from_the_start

    with helpers_from_the_start(loaded.settings.workers, outputs.state, LARGE_STATE) as helpers:
        has_ended = _run(loaded, cluster, wanted if serve else None, as_json, helpers)
    if not has_ended:
        # A scan is stuck in the kernel on a mount that hangs. It holds no lock and nothing that
        # is not written, but its thread may never end: rule 3 (a hang stops nothing).
        logging.shutdown()
        os._exit(0)


def _run(
    loaded: Loaded,
    cluster: str | None,
    wanted: ServeOptions | None,
    as_json: bool,
    helpers: list[Helper],
) -> bool:
    """Scan until stopped. False if a scan is stuck and must be left behind."""
    found = _find_roots(loaded)
    from scanner.commands.cluster import workers_for
    from scanner.commands.observing import observing
    from scanner.commands.run.events import EventStream
    from scanner.commands.run.page import greeting
    from scanner.console.progress import display
    from scanner.output.last_output import remember_output
    from scanner.service.notify import notifier_of
    from scanner.service.opening import open_service, stopping_on_signals
    from scanner.service.schedule import Schedule
    from scanner.service.triggers import trigger_of

    schedule = Schedule(
        trigger_of(loaded.settings.first_every, loaded.settings.cron),
        notifier_of(os.environ),
        lambda: _after_first_turn(helpers),
    )
    find = _finder(loaded.settings, found.comfy_root)
    observe = observing(loaded.settings)
    events: EventStream | None = None
    workers = workers_for(cluster, helpers)
    with (
        open_service(loaded.settings, found, _cwd(), find, observe, workers) as service,
        _serving(service, wanted) as server,
        stopping_on_signals(_Both(service, server)),
    ):
        remember_output(service.outputs.inventory)
        log.info("%s", greeting(loaded.settings, len(found.roots), service.outputs.inventory))
        if as_json:
            events = EventStream(service.outputs)
            events.start()
        has_ended = service.run(schedule, display())
        log.info("stopping")
    if events is not None:
        events.finish()
    return has_ended


def _after_first_turn(helpers: list[Helper]) -> None:
    """Do what would delay the first scan: look for garbage as often as Python does, and log if
    something else is installed under the name of our package. `helpers` are of no use any more."""
    import gc

    from scanner.console.other_owners import other_owners, warning_of
    from scanner.workers.helped import end_helpers

    gc.set_threshold(USUAL)
    # What is known by now stays: to look through it took a twentieth of a scan with 1 % changed.
    gc.freeze()
    end_helpers(helpers)
    if owners := other_owners():
        log.warning("%s", warning_of(owners))


class _Both:
    """The service and its server, which end together."""

    def __init__(self, service: Service, running: Running | None) -> None:
        self._service = service
        self._running = running

    def stop(self) -> None:
        if self._running is not None:
            self._running.server.end()
        self._service.stop()


@contextmanager
def _serving(service: Service, wanted: ServeOptions | None) -> Iterator[Running | None]:
    """The server of this inventory, if one is wanted. Nothing of it is imported without."""
    if wanted is None:
        yield None
        return
    from scanner.commands.serve.host import start_server

    running = start_server([service.outputs], wanted, os.environ)
    _tell(running)
    try:
        yield running
    finally:
        running.server.stop()


def _tell(running: Running) -> None:
    """Say where the page is. The token is for this terminal, and not for a log."""
    if sys.stderr.isatty():
        echo_error(f"The page is at {running.link}")
    elif running.secret.path:
        log.info("The page is at %s; its token is in %s", running.address, running.secret.path)
    else:
        log.info("The page is at %s", running.address)
