"""Where node packs stand in a custom_nodes folder, and when a scan has to read them again."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from scanner.core.packs import Pack
from scanner.core.paths import is_below, join
from scanner.core.snapshot import CONTAINERS, FILE, FILE_LINK, Directory

KIND = "custom_nodes"
"""Kind of the roots that hold packs."""

DISABLED = ".disabled"
"""Name of the folder of disabled packs, and ending of the name of a pack that is disabled where it
stands."""


def pack_places(snapshot: Mapping[str, Directory], top: str) -> list[tuple[str, bool]]:
    """(path, whether it is a folder) of every pack below the custom_nodes folder `top`, sorted.

    The choice is that of ComfyUI's `init_external_custom_nodes`: folders, and files that end in
    `.py`; and, since they are installed all the same, both where they are disabled. Only folders
    that have a listing count.
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
    """The place of a pack below the custom_nodes folder `top` that `path` is or lies in."""
    if path == top or not is_below(path, top):
        return None
    parts = path[len(join(top, "")) :].split(os.sep)
    depth = 2 if parts[0] == DISABLED else 1
    return join(top, os.sep.join(parts[:depth])) if len(parts) >= depth else None


def is_enabled(path: str) -> bool:
    """Whether ComfyUI tries to load the pack at `path`, as its place says."""
    folder, name = os.path.split(path)
    return not name.endswith(DISABLED) and os.path.basename(folder) != DISABLED


_SPEC = re.compile(r"(.+)@(?:nightly|unknown|(\d[\w.+-]*))")
"""Folder names of ComfyUI-Manager: `pack@nightly`, or `pack@1_0_2` with the dots of the version."""


def name_and_version(path: str) -> tuple[str, str]:
    """(name, version) that a pack's folder says, without the marks of its state."""
    name = os.path.basename(path).removesuffix(DISABLED)
    spec = _SPEC.fullmatch(name)
    name, version = (spec[1], spec[2] or "") if spec else (name, "")
    return name.removesuffix(".git") or name, version.replace("_", ".")


def pack_of_file(path: str) -> Pack:
    """The pack that is the single file `path`: ComfyUI knows nothing of it but its name."""
    name = os.path.basename(path).removesuffix(DISABLED).removesuffix(".py")
    return Pack(name, name, "file", is_enabled(path))


class Attention:
    """Which packs of one place a scan has to read. Times in seconds, monotonic clock.

    Most of what a pack's record is made of lies in `.git`, which is not listed, so the folders that
    are listed give the sign: an update changes some of its files. But it writes HEAD only after
    them, so that a pack seen to change is read again when it is at rest (design rule 4). What
    gives no sign at all (a commit) is found by reading every pack within `verify_within`.
    """

    def __init__(self) -> None:
        self._read: dict[str, float] = {}
        self._racy: dict[str, float] = {}

    def due(
        self,
        packs: Collection[str],
        changed: Iterable[str],
        *,
        started: float,
        verify_within: float,
    ) -> list[str]:
        """Those of `packs` that the scan which started at `started` has to read. In `changed` it
        has seen something change."""
        for table in (self._read, self._racy):
            for path in table.keys() - set(packs):
                del table[path]
        self._racy.update(dict.fromkeys(set(packs).intersection(changed), started))
        return [
            path
            for path in packs
            if path in self._racy
            or path not in self._read
            or started - self._read[path] >= verify_within
        ]

    def has_read(self, path: str, *, started: float, settle: float) -> bool:
        """Note that a pack was read; whether it was at rest then."""
        self._read[path] = started
        if path in self._racy and started - self._racy[path] >= settle:
            del self._racy[path]
        return path not in self._racy


def is_believable(pack: Pack, known: Pack | None, *, is_at_rest: bool) -> bool:
    """Whether a reading replaces what is known: in the middle of an update a file may be missing
    or cut short, which says nothing of the pack."""
    if known is None or is_at_rest:
        return True
    return bool(pack.version or not known.version) and bool(pack.commit or not known.commit)


def record_of(path: str, found: Pack | None, known: Pack | None) -> Pack | None:
    """The record of the pack at `path`, from what was read of it now, if anything was, and what is
    known of it, maybe from another path; None where nothing is."""
    if known is not None and (found is None or (found.is_partial and not known.is_partial)):
        return known._replace(enabled=is_enabled(path))
    return found


def differs(pack: Pack, known: Pack) -> bool:
    """Whether something became of a pack, and not only of what could be read of it."""
    if known.is_partial and not pack.is_partial:
        return pack.enabled != known.enabled
    return pack.state != known.state
