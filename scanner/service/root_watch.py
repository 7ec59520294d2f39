"""The files that name roots, read again while the service runs (rule 9)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from scanner.comfyui.installation import Found
from scanner.comfyui.known_roots import with_known_roots
from scanner.core.roots import Root, SearchedFolder
from scanner.errors import InventoryError, exhausted
from scanner.scan import Scanner

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that a turn waits for a look. A mount that hangs delays one turn by this (rule 3)."""

REST = 50
"""After a look we rest for this many times its duration, so that looks take at most 2 % of the
time. On a local disk a look takes a millisecond, on a network mount it starts a process."""


class RootWatch:
    """Looks for changed roots before each turn, in a thread that no turn depends on.

    `_lock` guards the thread and the time of the next look. Only that thread uses the rest.
    """

    def __init__(
        self, find: Callable[[], Found], first: Found, scanner: Scanner, warnings: Iterable[str]
    ) -> None:
        """`first` was found at the start. `warnings` were logged already, besides its own."""
        self._find = find
        self._comfy_root = first.comfy_root
        self._scanner = scanner
        self._logged = {*first.warnings, *warnings}
        self._doubted: frozenset[_Named] | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._not_before = 0.0

    def look(self) -> None:
        """Look for changed roots, unless a look is under way or was just done."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            if time.monotonic() < self._not_before:
                return
            thread = self._thread = threading.Thread(target=self._look, daemon=True)
            thread.start()
        thread.join(PATIENCE)

    def _look(self) -> None:
        started = time.monotonic()
        try:
            found = self._find()
        except (InventoryError, OSError) as error:
            self._log((str(exhausted(error) or error),))
        else:
            if found.comfy_root == self._comfy_root:  # another one moves the base of all paths
                self._take(found)
        now = time.monotonic()
        self._not_before = now + (now - started) * REST

    def _take(self, found: Found) -> None:
        """Scan the roots of `found` from now on.

        Roots are removed only if two looks in succession agree: a file that is being written may
        be whole YAML by chance.
        """
        current = self._scanner.roots
        roots, warnings = with_known_roots(found, current)
        self._log((*found.warnings, *warnings))
        new, old = _named(roots), _named(current)
        is_sure = set(current) <= set(roots) or new == self._doubted
        self._doubted = new
        if new != old and is_sure:
            self._scanner.set_roots(roots)

    def _log(self, warnings: Sequence[str]) -> None:
        """Log what has not been logged since it last went away."""
        for warning in warnings:
            if warning not in self._logged:
                log.warning("%s", warning)
        self._logged = set(warnings)


_Named = tuple[Root, str | None, frozenset[SearchedFolder]]


def _named(roots: Sequence[Root]) -> frozenset[_Named]:
    """The roots with all that a file says of them."""
    return frozenset((root, root.named_by, frozenset(root.searched)) for root in roots)
