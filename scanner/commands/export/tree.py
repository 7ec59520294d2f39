"""The inventory as a tree, in the JSON form of ncdu (dev.yorhel.nl/ncdu/jsonfmt) and gdu."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import xxhash

from scanner import __version__
from scanner.commands.export.selection import Selection, Sink, Written
from scanner.core.serialize import mtime_of, raw_text, readable, time_ns
from scanner.output.inventory_reader import is_file

_DRIVE = re.compile("[A-Za-z]:/")

_ALIAS = "alias_of"

_EXACT = (1 << 53) - 1
"""Largest number that is exact in JSON for gdu."""


_Key = tuple[tuple[str, str], ...]
"""Each name of an absolute path as shown and as it is. This is the order of the inventory."""


class _Place(NamedTuple):
    """An entry and where it is."""

    key: _Key
    entry: Mapping[str, Any]


def write_tree(selection: Selection, out: Sink) -> Written:
    """Write the tree of the wanted entries below the folder that all roots have in common.

    Sizes are those of the inventory, as apparent size and as disk usage, which is not known. A file
    with several names (hard links, and links as ComfyUI follows them) counts once in each folder,
    as in `total_size`: all of its names have the same `ino`.
    """
    header = selection.inventory.header
    base = raw_text(header, "base") if "base" in header else None
    roots = [_Place(_key(root, base), {**root, "type": "directory"}) for root in header["roots"]]
    names = Counter(raw_text(entry, _ALIAS) for entry in selection.entries() if _is_alias(entry))
    # Paths below the base come after all others in the inventory, and may belong between them.
    places = [_places(selection, base, is_absolute=True), _places(selection, base)]
    if selection.is_whole:
        places.append(iter(sorted(roots, key=_order)))
    tree = _Tree(out, _common([root.key for root in roots]), names)
    tree.begin(time_ns(header["generated"]) // 10**9)
    for place in heapq.merge(*places, key=_order):
        tree.add(place)
    tree.end()
    return Written(tree.total)


def _places(selection: Selection, base: str | None, is_absolute: bool = False) -> Iterator[_Place]:
    """The entries with an absolute path, or those with a relative one."""
    for entry in selection.entries():
        if _is_absolute(entry["path"], base) == is_absolute:
            yield _Place(_key(entry, base), entry)


def _is_absolute(path: str, base: str | None) -> bool:
    """True for an absolute path of the system that wrote the inventory."""
    if path.startswith("/") or base is None:
        return True
    return not base.startswith("/") and _DRIVE.match(path) is not None


def _key(fields: Mapping[str, Any], base: str | None) -> _Key:
    path = raw_text(fields, "path")
    if base is not None and not _is_absolute(path, base):
        path = base if path == "." else f"{base.rstrip('/')}/{path}"
    return tuple((readable(name), name) for name in path.rstrip("/").split("/"))


def _order(place: _Place) -> _Key:
    return place.key


def _common(keys: Sequence[_Key]) -> list[str]:
    """The names that all paths begin with."""
    columns = zip(*keys, strict=False)
    return [column[0][1] for column in takewhile(lambda column: len(set(column)) == 1, columns)]


def _is_alias(entry: Mapping[str, Any]) -> bool:
    return _ALIAS in entry and is_file(entry)


class _Tree:
    """Writes directories within each other, from entries in the order of a tree."""

    def __init__(self, out: Sink, top: Sequence[str], names: Mapping[str, int]) -> None:
        """`top`: the names of the outermost directory. `names`: how many further names a file has,
        by its path."""
        self.total = 0
        self._out = out
        self._top = top
        self._names = names
        self._open = list(top)
        """Names of the directory that is open."""

    def begin(self, seconds: int) -> None:
        """Open the outermost directory. `seconds` since 1970: when the inventory was written."""
        program = {"progname": "comfy-inventory", "progver": __version__, "timestamp": seconds}
        self._out.write(b"[1,2,%b" % _json(program))
        self._directory({"name": "/".join(self._top) or "/"})

    def end(self) -> None:
        """Close all directories."""
        self._out.write(b"]" * (len(self._open) - len(self._top) + 1) + b"]\n")

    def add(self, place: _Place) -> None:
        """Write an entry, in directories that are opened for it if they are not open."""
        names = [name for _, name in place.key]
        entry = place.entry
        is_folder = _is_folder(entry)
        self.total += "state" not in entry  # a root has no entry
        self._enter(names[:-1])
        if len(names) <= len(self._top):
            return
        if not is_folder:
            self._out.write(b",\n" + _json(self._leaf(names[-1], entry)))
        elif names != self._open:
            self._open.append(names[-1])
            self._directory({"name": names[-1], **_about_folder(entry)})

    def _enter(self, names: Sequence[str]) -> None:
        same = 0
        for name, other in zip(names, self._open, strict=False):
            if name != other:
                break
            same += 1
        depth = max(same, len(self._top))
        self._out.write(b"]" * (len(self._open) - depth))
        del self._open[depth:]
        for name in names[depth:]:
            self._open.append(name)
            self._directory({"name": name})

    def _directory(self, info: Mapping[str, Any]) -> None:
        self._out.write(b",\n[" + _json(info))

    def _leaf(self, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        if not is_file(entry):
            return {"name": name, "notreg": True}
        info = {"name": name, "asize": entry["size"], "dsize": entry["size"], **_mtime(entry)}
        owner = raw_text(entry, _ALIAS if _ALIAS in entry else "path")
        if owner in self._names:
            number = xxhash.xxh3_64_intdigest(os.fsencode(owner)) & _EXACT
            info |= {"ino": number, "hlnkc": True, "nlink": self._names[owner] + 1}
        return info


def _is_folder(entry: Mapping[str, Any]) -> bool:
    """True for directories, and for links to one that was listed."""
    return entry["type"] == "directory" or (
        entry.get("leads_to") == "directory" and "total_size" in entry
    )


def _about_folder(entry: Mapping[str, Any]) -> dict[str, Any]:
    is_read = entry["state"] == "online" if "state" in entry else "total_size" in entry
    return _mtime(entry) | ({} if is_read else {"read_error": True})


def _mtime(entry: Mapping[str, Any]) -> dict[str, int]:
    """Whole seconds since 1970; nothing for earlier times, which the form does not have."""
    seconds = mtime_of(entry) // 10**9
    return {"mtime": seconds} if seconds > 0 else {}


def _json(value: object) -> bytes:
    """Names as the bytes that they are, also if they are not UTF-8."""
    return os.fsencode(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
