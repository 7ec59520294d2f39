"""The list of the files that hold an inventory which is split (`split_by`).

`S.json` is then the manifest: the header of an inventory, and in place of entries the list of its
parts and their order. Pure, without I/O.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

PARTS_END = b'"parts":[\n'
"""End of line 1 of a manifest."""

PARTS = ".parts"
"""Ending of the folder that holds parts."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,120}-([0-9a-f]{32})\.json")

_NO_SLUG = re.compile(r"[^A-Za-z0-9_]+")

_LONGEST_SLUG = 40

_ALGORITHM = "xxh3_128"


class Part(NamedTuple):
    """One file of a split inventory, as the manifest names it."""

    folder: str
    """Name of the folder that holds it, beside the manifest."""
    name: str
    """Name of the file. It ends in the digits of `checksum`: other content has another name."""
    root: str
    category: str | None
    """None if the inventory is split by roots alone."""
    entries: int
    bytes: int
    checksum: str
    """`xxh3_128:` and 32 hexadecimal digits, of the whole file."""

    def fields(self) -> dict[str, Any]:
        """Its entry in the manifest."""
        category = {} if self.category is None else {"category": self.category}
        return {
            "file": f"{self.folder}/{self.name}",
            "root": self.root,
            **category,
            "entries": self.entries,
            "bytes": self.bytes,
            "checksum": self.checksum,
        }


class Parts(NamedTuple):
    """What a manifest says of its parts."""

    parts: Sequence[Part]
    order: Sequence[tuple[int, int]]
    """The runs of lines in the order of the whole inventory. Each is the index of a part, and the
    byte of that part's file at which the run ends. It begins where the last run of the same part
    ended."""

    @property
    def bytes(self) -> int:
        """Bytes of all parts."""
        return sum(part.bytes for part in self.parts)


def names_in(parts: Parts) -> set[str]:
    """The names of the files of parts."""
    return {part.name for part in parts.parts}


def parts_folder(inventory: str) -> str:
    """The folder of the parts of the inventory at a path."""
    return os.path.splitext(inventory)[0] + PARTS


def part_name(words: Sequence[str], digits: str) -> str:
    """The name of the part whose content has the checksum `digits`. `words` are for people."""
    slugs = (_NO_SLUG.sub("-", word).strip("-")[:_LONGEST_SLUG] for word in dict.fromkeys(words))
    return f"{'-'.join(slug for slug in slugs if slug) or 'part'}-{digits}.json"


def checksum_text(digits: str) -> str:
    """A checksum as manifests have it."""
    return f"{_ALGORITHM}:{digits}"


def is_part_name(name: str) -> bool:
    """True if a file of this name may be a part."""
    return bool(_NAME.fullmatch(name))


def parts_in(document: Mapping[str, Any]) -> Parts:
    """The parts of a manifest. Raises ValueError, TypeError or KeyError if it is damaged.

    No name leads out of the manifest's folder: a file from elsewhere must not make a program read
    others.
    """
    parts = [_part(fields) for fields in document["parts"]]
    order = [(index, end) for index, end in document["order"]]
    ends = [0] * len(parts)
    for index, end in order:
        if type(index) is not int or type(end) is not int or not 0 <= index < len(parts):
            raise ValueError("a run of lines belongs to no part")
        if not ends[index] < end < parts[index].bytes:
            raise ValueError("a run of lines lies outside of its part")
        ends[index] = end
    return Parts(parts, order)


def _part(fields: Mapping[str, Any]) -> Part:
    folder, _, name = fields["file"].partition("/")
    known = _NAME.fullmatch(name)
    if not known or folder in ("", os.curdir, os.pardir) or {"\\", "\0", ":"} & set(folder):
        raise ValueError("a part has no name of a part")
    part = Part(
        folder,
        name,
        fields["root"],
        fields.get("category"),
        fields["entries"],
        fields["bytes"],
        fields["checksum"],
    )
    if type(part.bytes) is not int or type(part.entries) is not int:
        raise ValueError("a part has no size")
    if part.checksum != checksum_text(known[1]):
        raise ValueError("a part has the name of another one")
    return part
