"""A witness of a tree: it knows what every file really held, and tells if a line is true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scanner.core.paths import is_below
from scanner.core.serialize import native
from scanner.core.snapshot import Directory, entries_of
from scanner.diff.replay import moves_a_tree
from tests.support.world import Projection


@dataclass(frozen=True)
class Seen:
    """A file as it really is."""

    content: bytes
    inode: int = 0
    real: str = ""
    """Its path without links; empty if that is the one by which it was found."""


class Witness:
    """Looks at the tree with every scan.

    A file whose content changes while its size and mtime stay has several contents that count, by
    whatever path it is reached: it is read once for all of them.
    """

    def __init__(self) -> None:
        self._contents: dict[str, dict[tuple[int, int], set[bytes]]] = {}
        self._shown: dict[str, tuple[int, int]] = {}
        self._inodes: dict[str, int] = {}
        self._fingerprinted: dict[str, bool] = {}

    def files(self, shown: Projection) -> list[str]:
        """The files whose contents it has to know."""
        return [path for path, value in shown.items() if value[0] == "file"]

    def note(self, snapshot: Mapping[str, Directory]) -> None:
        """Before a scan: which files the program has read."""
        for path, directory in snapshot.items():
            for entry in entries_of(path, directory):
                self._fingerprinted[entry.path] = bool(entry.fingerprint)

    def look(self, shown: Projection, files: Mapping[str, Seen]) -> None:
        """After a scan: what it shows, and what is there."""
        for path, (type_, size, mtime) in shown.items():
            if type_ != "file":
                continue
            self._shown[path] = (size, mtime)
            if path in files:
                seen = files[path]
                names, times = {path, seen.real or path}, (size, mtime)
                held = {seen.content}.union(
                    *(self._contents.get(name, {}).get(times, ()) for name in names)
                )
                for name in names:
                    self._contents.setdefault(name, {}).setdefault(times, set()).update(held)
                self._inodes[path] = seen.inode

    def check(
        self,
        lines: Iterable[Mapping[str, Any]],
        base: str,
        before: Projection,
        after: Projection,
        files: Mapping[str, Seen],
    ) -> int:
        """Each move among `lines` is the same content. Call it before `look`. The count of moves.

        A file that was never read is known by its inode, size and time only (rule 6).
        """
        count = 0
        for line in lines:
            if line["kind"] != "moved":
                continue
            count += 1
            old, new = native(line, base, "from"), native(line, base)
            if moves_a_tree(line):
                below = [
                    path[len(old) :]
                    for path, (type_, size, _) in before.items()
                    if type_ == "file" and size and is_below(path, old)
                ]
                proven = [
                    tail for tail in below if self._is_same(old + tail, new + tail, after, files)
                ]
                assert proven and 2 * len(proven) >= len(below), ("not the same folder", line)
                for tail in proven:
                    self._carry(old + tail, new + tail)
            elif line["type"] == "file":
                assert self._is_same(old, new, after, files), ("not the same content", line)
                self._carry(old, new)
        return count

    def _carry(self, old: str, new: str) -> None:
        """What the file at `old` held counts for it at `new`, too."""
        for times, contents in self._contents.get(old, {}).items():
            self._contents.setdefault(new, {}).setdefault(times, set()).update(contents)

    def _is_same(self, old: str, new: str, after: Projection, files: Mapping[str, Seen]) -> bool:
        now = files.get(new)
        if now is None or old not in self._shown:
            return False
        shown = self._shown[old]
        # Content that was put back with its time is no change that anybody could see (rule 4).
        held = self._contents.get(new, {}).get(after.get(new, ("", 0, 0))[1:], set())
        if (held | {now.content}) & self._contents.get(old, {}).get(shown, set()):
            return True
        was_read = self._fingerprinted.get(old, False)
        return not was_read and now.inode == self._inodes.get(old) and after[new][1:] == shown
