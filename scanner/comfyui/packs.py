"""Node packs in a custom_nodes folder, and the choice of packs that a scan reads again."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from scanner.core.packs import Pack
from scanner.core.paths import is_below, join
from scanner.core.racy import Racy
from scanner.core.snapshot import CONTAINERS, FILE, FILE_LINK, Directory

KIND = "custom_nodes"
"""Kind of the roots that contain packs."""

DISABLED = ".disabled"
"""Name of the folder of disabled packs, and suffix of a pack that is disabled in place."""


def pack_places(snapshot: Mapping[str, Directory], top: str) -> list[tuple[str, bool]]:
    """(path, True for a folder) of every pack below the custom_nodes folder `top`, sorted.

    Packs are folders and `.py` files, as in ComfyUI's `init_external_custom_nodes`. Disabled packs
    are included, because they are installed as well. Folders without a listing do not count.
    """
    return sorted(_places_in(snapshot, top, top))


def _places_in(
    snapshot: Mapping[str, Directory], folder: str, top: str
) -> Iterator[tuple[str, bool]]:
    directory = snapshot.get(folder)
    if directory is None:
        return
    listing = directory.listing
    for name, letter in zip(listing.split_names(), listing.types, strict=True):
        path = join(folder, name)
        if letter in CONTAINERS:
            if name == DISABLED and folder == top:
                yield from _places_in(snapshot, path, top)
            elif not name.startswith(".") and name != "__pycache__" and path in snapshot:
                yield path, True
        elif letter in (FILE, FILE_LINK) and _is_module(name.removesuffix(DISABLED)):
            yield path, False


def _is_module(name: str) -> bool:
    return os.path.splitext(name)[1] == ".py"


def pack_around(path: str, top: str) -> str | None:
    """Path of the pack below the custom_nodes folder `top` that `path` is or lies in, else None."""
    if path == top or not is_below(path, top):
        return None
    parts = path[len(join(top, "")) :].split(os.sep)
    depth = 2 if parts[0] == DISABLED else 1
    return join(top, os.sep.join(parts[:depth])) if len(parts) >= depth else None


def is_enabled(path: str) -> bool:
    """True if ComfyUI tries to load the pack at `path`, according to the path."""
    folder, name = os.path.split(path)
    return not name.endswith(DISABLED) and os.path.basename(folder) != DISABLED


_SPEC = re.compile(r"(.+)@(?:nightly|unknown|(\d[\w.+-]*))")
"""Folder names of ComfyUI-Manager: `pack@nightly`, or `pack@1_0_2` for version 1.0.2."""


def name_and_version(path: str) -> tuple[str, str]:
    """(name, version) from the name of a pack's folder, without the suffix of disabled packs."""
    name = os.path.basename(path).removesuffix(DISABLED)
    spec = _SPEC.fullmatch(name)
    name, version = (spec[1], spec[2] or "") if spec else (name, "")
    return name.removesuffix(".git") or name, version.replace("_", ".")


def pack_of_file(path: str) -> Pack:
    """The record of a pack that is the single file `path`; only its name is known."""
    name = os.path.basename(path).removesuffix(DISABLED).removesuffix(".py")
    return Pack(name, name, "file", is_enabled(path))


class Attention:
    """Chooses the packs of one root that a scan reads. Times in seconds, monotonic clock.

    Most of a pack's record comes from `.git`, which is not listed. An update also changes listed
    files, but it writes HEAD after them, so a changed pack is read again when it is at rest (rule
    4, changed means not equal). A commit alone changes no listed file; it is found because every
    pack is read within `verify_within`.
    """

    def __init__(self) -> None:
        self._read: dict[str, float] = {}
        self._racy = Racy()

    def due(
        self,
        packs: Collection[str],
        changed: Iterable[str],
        *,
        started: float,
        verify_within: float,
    ) -> list[str]:
        """The `packs` to read in the scan that started at `started`.

        `changed` are the packs in which this scan saw a change.
        """
        for path in self._read.keys() - set(packs):
            del self._read[path]
        self._racy.keep_only(packs)
        self._racy.changed(set(packs).intersection(changed), started)
        return [
            path
            for path in packs
            if path in self._racy
            or path not in self._read
            or started - self._read[path] >= verify_within
        ]

    @property
    def at_rest(self) -> dict[str, float]:
        """The packs that were at rest when they were read, and when that was."""
        return {path: read for path, read in self._read.items() if path not in self._racy}

    def take_up(self, read: Mapping[str, float]) -> None:
        """Go on where another process has left off: it read these packs, at rest."""
        self._read = dict(read)

    def has_read(self, path: str, *, started: float, settle: float) -> bool:
        """Record that a pack was read. Returns True if it was at rest. `settle` in seconds."""
        self._read[path] = started
        return self._racy.settle(path, started, settle)


def is_believable(pack: Pack, previous: Pack | None, *, is_at_rest: bool) -> bool:
    """True if `pack` may replace the `previous` record.

    In the middle of an update a file may be missing or cut, which proves nothing.
    """
    if previous is None or is_at_rest:
        return True
    return bool(pack.version or not previous.version) and bool(pack.commit or not previous.commit)


def record_of(path: str, current: Pack | None, previous: Pack | None) -> Pack | None:
    """The record of the pack at `path`; None if nothing is known of it.

    `current` was read now. `previous` is the last record, possibly from another path.
    """
    if previous is not None and (
        current is None or (current.is_partial and not previous.is_partial)
    ):
        return previous._replace(enabled=is_enabled(path))
    return current


def differs(pack: Pack, previous: Pack) -> bool:
    """True if the pack itself changed, and not only the readable part of it."""
    if previous.is_partial and not pack.is_partial:
        return pack.enabled != previous.enabled
    return pack.state != previous.state
