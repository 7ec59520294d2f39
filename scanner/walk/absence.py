"""Look at names that listings leave out, before they count as gone (rule 1).

A call that reads a directory may end early without an error: the C library takes ENOENT of a failed
readdir for the end. One lstat of the name tells.
"""

from __future__ import annotations

import errno
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from scanner.core.paths import join
from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.walk.fingerprints import PATIENCE
from scanner.walk.zones import Zones
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import Workers
from scanner.workers.requests import Failed, ListDirectory, Listed, LstatPath, Stated

log = logging.getLogger(__name__)

HIDDEN = "its listing leaves out names that are there"


class Absence(NamedTuple):
    """The answer about one name that a listing leaves out."""

    is_gone: bool
    error: str = ""
    """Why the listing of its folder cannot be believed; empty if it can."""


GONE = Absence(is_gone=True)

CAME_BACK = Absence(is_gone=False)
"""The name was made again since its folder was listed."""


def look_for(
    paths: Iterable[str],
    zones: Zones,
    mounts: Sequence[Mount],
    workers: Workers,
    stopped: Callable[[], bool],
    own: Collection[Root],
) -> dict[str, Absence]:
    """Whether each of `paths` is gone. Mounts of zones that are not `own` get little time."""
    by_mount: defaultdict[Mount, list[str]] = defaultdict(list)
    for path in paths:
        # The folder has the name, whatever mount the name led to.
        by_mount[zones.mount_at(os.path.dirname(path), mounts)].append(path)
    ours = {zones.mount_of(zone, mounts) for zone in own}
    found: dict[str, Absence] = {}
    for mount, names in by_mount.items():
        try:
            found.update(_look_on(mount, names, workers, stopped, is_own=mount in ours))
        except LostWorkerError as lost:
            log.debug("names on %s: %s", mount.point, lost)
            found.update(dict.fromkeys(names, Absence(is_gone=False, error=str(lost))))
    return found


def _look_on(
    mount: Mount,
    paths: Sequence[str],
    workers: Workers,
    stopped: Callable[[], bool],
    *,
    is_own: bool,
) -> dict[str, Absence]:
    patience = None if is_own else PATIENCE
    worker = workers.of(mount, patience)
    for path in paths:
        worker.ask(LstatPath(path))
    found = dict.fromkeys(paths, Absence(is_gone=False, error="it did not answer"))
    while (answer := worker.answer()) is not None and not stopped():
        if isinstance(answer, Stated):
            found[answer.path] = Absence(is_gone=False, error=HIDDEN)
        elif isinstance(answer, Failed):
            is_gone = answer.errno in (errno.ENOENT, errno.ENOTDIR)
            found[answer.path] = GONE if is_gone else Absence(is_gone=False, error=answer.error)
    present = [path for path, absence in found.items() if absence.error == HIDDEN]
    worker = workers.of(mount, patience)  # the session of the other ended with its last answer
    for folder in {os.path.dirname(path) for path in present}:
        worker.ask(ListDirectory(folder))
    while (answer := worker.answer()) is not None and not stopped():
        if isinstance(answer, Listed):
            listed = answer.directory.listing
            names = {*listed.split_names(), *listed.unstatted}
            back = {join(answer.path, name) for name in names}.intersection(present)
            found.update(dict.fromkeys(back, CAME_BACK))
    return found
