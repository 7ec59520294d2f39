"""Bring the records of node packs to what was read of them, and where they stand now. Pure."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from scanner.comfyui.packs import KIND, differs, pack_of_file, pack_places, record_of
from scanner.core.packs import Pack, PackChange
from scanner.core.paths import nearest_above
from scanner.core.roots import Root
from scanner.core.snapshot import Directory, Snapshot
from scanner.diff.compare import Delta
from scanner.diff.moves import Moves


class Followed(NamedTuple):
    """Node packs by path, and what became of those that changed (of those that are gone, by the
    path where they were)."""

    packs: dict[str, Pack]
    news: dict[str, PackChange]


def follow_packs(
    previous: Mapping[str, Pack],
    read: Mapping[str, Pack],
    delta: Delta,
    moves: Moves,
    snapshot: Snapshot,
    roots: Iterable[Root],
) -> Followed:
    """The packs below `roots` after this scan. `read` are those that it read, by path.

    Like a file's fingerprint a record stays until something better is known: of packs that were not
    read now, and of those below an offline root.
    """
    origins = {move.target.path: move.source.path for move in (*moves.directories, *moves.files)}
    packs: dict[str, Pack] = {}
    news: dict[str, PackChange] = {}
    followed: set[str] = set()
    for path, is_directory in _places(delta, snapshot, roots):
        origin = _origin(path, origins)
        followed.add(origin if origin in previous else path)
        before = previous.get(origin) or previous.get(path)
        pack = record_of(path, read.get(path) if is_directory else pack_of_file(path), before)
        if pack is not None:
            packs[path] = pack
            if before is None or differs(pack, before):
                news[path] = PackChange(before, pack)
    for path in previous.keys() - packs.keys() - followed:
        news[path] = PackChange(previous[path], None)
    return Followed(packs, news)


def _places(delta: Delta, snapshot: Snapshot, roots: Iterable[Root]) -> Iterator[tuple[str, bool]]:
    view: Mapping[str, Directory] = ChainMap(delta.directories, snapshot)

    def is_there(path: str) -> bool:
        return path not in delta.gone or path in delta.directories

    for root in roots:
        if root.kind == KIND and is_there(root.path):
            for path, is_directory in pack_places(view, root.path):
                if not is_directory or is_there(path):
                    yield path, is_directory


def _origin(path: str, origins: Mapping[str, str]) -> str:
    """The path of `path` before this scan's moves (source by target); `path` if it did not move."""
    above = nearest_above(path, origins)
    return path if above is None else origins[above] + path[len(above) :]
