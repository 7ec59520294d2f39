"""The one-shot scan, for cron."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from scanner.core.progress import Display
from scanner.scan import ScanResult
from scanner.service.lanes import Lane, LaneContext
from scanner.settings.values import format_duration

log = logging.getLogger(__name__)


def scan_once(
    lane: Lane,
    context: LaneContext,
    stop: threading.Event,
    display: Display,
    heartbeat: Callable[[], None],
) -> ScanResult:
    """Scan `lane`, which has all roots; look again at new holds; then read files for a while.

    The result has the changes of all passes. If one of them was abandoned, the result is not
    complete and has nothing of that pass. Raises OutputError.
    """
    settings = context.settings
    result = lane.scan(settings.first_every, display)
    _scan_new_zones(lane, context, result, display)
    wait = settings.hold_wait
    if result.is_complete and result.new_holds and wait > 0 and not stop.is_set():
        log.info("Looking again in %s.", format_duration(wait))
        if not stop.wait(wait):
            again = lane.scan(wait, display)
            if again.is_complete:
                again.changes = [*result.changes, *again.changes]
                result = again
            else:
                result.is_complete = False
    if settings.backlog_time > 0 and result.is_complete:
        deadline = time.monotonic() + settings.backlog_time
        lane.read(lambda: deadline - time.monotonic(), display, heartbeat)
    return result


def _scan_new_zones(
    every: Lane, context: LaneContext, result: ScanResult, display: Display
) -> None:
    """Walk the mounts that the first walk has met behind links."""
    while result.is_complete and not context.stopped():
        new = [zone for zone in context.scanner.zones().all if zone not in every.roots]
        if not new:
            return
        lane = Lane("new", context, new)
        result.merge(lane.scan(context.settings.first_every, display))
        every.roots += tuple(new)
