"""Random edits of a tree of files, for a fake disk and for a real one.

An edit is a tuple: its name, and arguments as `FORMS` says. Numbers choose among what is there, so
that every edit finds something to do in almost every tree.
"""

from __future__ import annotations

import posixpath
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from hypothesis import strategies as st

from scanner.core.paths import is_below
from tests.support.fakes import FakeFileSystem, Node
from tests.support.witness import Seen

Edit = tuple[Any, ...]

FORMS: dict[str, tuple[str, ...]] = {
    "write": ("path", "content"),
    "touch": ("number",),
    "remove": ("number",),
    "rename": ("number", "path"),
    "copy": ("number", "path"),
    "rename folder": ("number", "path"),
    "remove folder": ("number",),
    "swap": ("number", "number"),
    "swap folders": ("number", "number"),
    "exchange": ("number", "number"),
    "link": ("path", "target"),
    "unlink": ("number",),
    "grow": ("number",),
    "fill": ("path",),
    "wipe": ("number",),
    "restore": ("number", "content"),
    "unpack": ("number", "name", "content"),
    "reuse": ("number", "path"),
    "replace folder": ("number",),
    "replace root": ("number",),
}
"""The arguments of each edit, by its name."""

CONTENTS = [b"", b"1", b"2", b"same", b"same size", b"size same"]

OLD_TIME = 1_500_000_000_000_000_000
"""An mtime that was packed into an archive, in nanoseconds."""

KEPT = "keep"
"""A file of this name is never edited: a folder that is empty may be an unmounted share."""


class Tree(Protocol):
    """What edits need of a disk."""

    tops: Sequence[str]
    """Folders that are edited; those of them that are roots may be replaced."""

    def kinds(self) -> Mapping[str, str]:
        """Everything below the tops, links not followed: file, directory, link or special."""
        ...

    def is_fixed(self, path: str) -> bool:
        """True if a mount lies at or below `path`, so that it cannot be moved or removed."""
        ...

    def is_there(self, top: str) -> bool:
        """True if `top` is a folder that can be reached."""
        ...

    def read(self, path: str) -> bytes: ...
    def mtime(self, path: str) -> int: ...
    def names(self, folder: str) -> list[str]: ...
    def write(self, path: str, content: bytes, mtime: int | None = None) -> None: ...
    def utime(self, path: str, mtime: int | None = None) -> None: ...
    def remove(self, path: str) -> None: ...
    def rename(self, old: str, new: str) -> None: ...
    def makedirs(self, path: str) -> None: ...
    def symlink(self, target: str, path: str) -> None: ...

    def exchange(self, one: str, two: str) -> None:
        """Swap two names at once, as renameat2 does with RENAME_EXCHANGE."""
        ...

    def reuse(self, path: str, new: str, content: bytes) -> None:
        """Remove the file at `path` and write `content` to `new`, with the freed inode and the
        mtime that the old file had."""
        ...


def strategy(
    names: Sequence[str], tops: Sequence[str], targets: Sequence[str], depth: int, most: int = 40
) -> st.SearchStrategy[Edit]:
    """Edits for hypothesis, with paths of at most `depth` folders below `tops`."""
    name = st.sampled_from(names)
    folders = st.lists(name, max_size=depth).map("/".join)
    path = st.builds(posixpath.join, st.sampled_from(tops), folders, name)
    arguments: dict[str, st.SearchStrategy[Any]] = {
        "path": path,
        "target": st.one_of(path, st.sampled_from(targets)) if targets else path,
        "name": name,
        "content": st.sampled_from(CONTENTS),
        "number": st.integers(0, most),
    }
    return st.one_of(
        *(
            st.tuples(st.just(edit), *(arguments[argument] for argument in form))
            for edit, form in FORMS.items()
        )
    )


def choose(
    chance: random.Random, names: Sequence[str], tops: Sequence[str], targets: Sequence[str]
) -> Edit:
    """One edit, by chance; a new file is the commonest."""
    kinds = [*FORMS, "write", "write", "copy", "rename"]

    def path() -> str:
        folders = chance.choices(names, k=chance.choice([0, 0, 1, 1, 2]))
        return posixpath.join(chance.choice(tops), *folders, chance.choice(names))

    arguments: dict[str, Callable[[], object]] = {
        "path": path,
        "target": lambda: path() if chance.random() < 0.5 else chance.choice(targets),
        "name": lambda: chance.choice(names),
        "content": lambda: chance.choice(CONTENTS),
        "number": lambda: chance.randrange(1000),
    }
    kind = chance.choice(kinds)
    return (kind, *(arguments[argument]() for argument in FORMS[kind]))


def apply(tree: Tree, edit: Edit) -> bool:
    """Do `edit`, or nothing where the tree has no place for it. False if it is no edit."""
    kind, *arguments = edit
    if kind not in FORMS:
        return False
    getattr(_Editor(tree), kind.replace(" ", "_"))(*arguments)
    return True


class _Editor:
    """One edit of `tree`, as it is now."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._kinds = {
            path: kind for path, kind in tree.kinds().items() if posixpath.basename(path) != KEPT
        }

    def _pick(self, index: int, *kinds: str) -> str | None:
        some = sorted(
            path
            for path, kind in self._kinds.items()
            if kind in kinds and not (kind == "directory" and self._tree.is_fixed(path))
        )
        return some[index % len(some)] if some else None

    def _is_free(self, path: str) -> bool:
        """True if a file can be put at `path`: nothing but folders above it, no folder there."""
        top = max((t for t in self._tree.tops if is_below(path, t)), key=len)
        if self._tree.is_fixed(path) or not self._tree.is_there(top):
            return False
        above = posixpath.dirname(path)
        while above != top:
            if self._kinds.get(above, "directory") != "directory":
                return False
            above = posixpath.dirname(above)
        return self._kinds.get(path) != "directory"

    def _is_new(self, path: str) -> bool:
        return path not in self._kinds and self._is_free(path)

    def _clear(self, path: str) -> None:
        if self._kinds.get(path) == "link":
            self._tree.remove(path)

    def write(self, path: str, content: bytes) -> None:
        if self._is_free(path):
            self._clear(path)
            self._tree.write(path, content)

    def touch(self, number: int) -> None:
        if path := self._pick(number, "file"):
            self._tree.utime(path)

    def remove(self, number: int) -> None:
        if path := self._pick(number, "file"):
            self._tree.remove(path)

    def grow(self, number: int) -> None:
        if path := self._pick(number, "file"):
            self._tree.write(path, self._tree.read(path) + b"+")

    def rename(self, number: int, new: str) -> None:
        path = self._pick(number, "file")
        if path and path != new and self._is_free(new):
            self._clear(new)
            self._tree.rename(path, new)

    def copy(self, number: int, new: str) -> None:
        """As `cp -a` does: with its time."""
        path = self._pick(number, "file")
        if path and path != new and self._is_free(new):
            self._clear(new)
            self._tree.write(new, self._tree.read(path), self._tree.mtime(path))

    def remove_folder(self, number: int) -> None:
        if path := self._pick(number, "directory"):
            self._tree.remove(path)

    def rename_folder(self, number: int, new: str) -> None:
        path = self._pick(number, "directory")
        if path and self._is_new(new) and not is_below(new, path):
            self._tree.rename(path, new)

    def swap(self, one: int, two: int) -> None:
        self._swap(self._pick(one, "file"), self._pick(two, "file"))

    def swap_folders(self, one: int, two: int) -> None:
        self._swap(self._pick(one, "directory"), self._pick(two, "directory"))

    def _swap(self, one: str | None, two: str | None) -> None:
        if one and two and not is_below(one, two) and not is_below(two, one):
            between = one + "~"
            self._tree.rename(one, between)
            self._tree.rename(two, one)
            self._tree.rename(between, two)

    def exchange(self, first: int, second: int) -> None:
        one, two = (self._pick(n, "file", "directory", "link") for n in (first, second))
        if one and two and not is_below(one, two) and not is_below(two, one):
            self._tree.exchange(one, two)

    def link(self, path: str, target: str) -> None:
        if self._is_new(path):
            self._tree.symlink(target, path)

    def unlink(self, number: int) -> None:
        if path := self._pick(number, "link"):
            self._tree.remove(path)

    def fill(self, path: str) -> None:
        if self._is_new(path):
            for number in range(30):
                self._tree.write(f"{path}/f{number}", b"%d" % number)

    def wipe(self, number: int) -> None:
        if folder := self._pick(number, "directory"):
            for name in self._tree.names(folder):
                path = posixpath.join(folder, name)
                if not self._tree.is_fixed(path):
                    self._tree.remove(path)

    def restore(self, number: int, content: bytes) -> None:
        """As `cp -a` over a file: other content, and the time put back."""
        if path := self._pick(number, "file"):
            self._tree.write(path, content, self._tree.mtime(path))

    def unpack(self, number: int, name: str, content: bytes) -> None:
        """As tar does: an old file comes, and the time of its folder is put back."""
        folder = self._pick(number, "directory")
        if folder and self._is_free(path := posixpath.join(folder, name)):
            self._clear(path)
            before = self._tree.mtime(folder)
            self._tree.write(path, content, OLD_TIME)
            self._tree.utime(folder, before)

    def reuse(self, number: int, new: str) -> None:
        path = self._pick(number, "file")
        if path and self._is_new(new) and not is_below(new, path):
            self._tree.reuse(path, new, self._tree.read(path)[::-1])

    def replace_folder(self, number: int) -> None:
        """Another folder in its place, with its time and half of its files."""
        if folder := self._pick(number, "directory"):
            self._replace(folder)

    def replace_root(self, number: int) -> None:
        tops = [t for t in self._tree.tops if self._tree.is_there(t)]
        top = tops[number % len(tops)]
        if not self._tree.is_fixed(top):
            self._replace(top)

    def _replace(self, folder: str) -> None:
        before = self._tree.mtime(folder)
        kept = [KEPT, *self._tree.names(folder)[::2]]
        old = folder + "~"
        self._tree.rename(folder, old)
        self._tree.makedirs(folder)
        for name in dict.fromkeys(kept):
            if name in self._tree.names(old):
                self._tree.rename(posixpath.join(old, name), posixpath.join(folder, name))
        self._tree.remove(old)
        self._tree.utime(folder, before)


class FakeTree:
    """The folders `tops` of a fake disk. `points` gives the folders that are mount points."""

    def __init__(
        self,
        files: FakeFileSystem,
        tops: Sequence[str],
        points: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self.files = files
        self.tops = tops
        self._points = points

    def nodes(self) -> dict[str, Node]:
        """Everything below the tops, links not followed: an independent walk."""
        found: dict[str, Node] = {}

        def below(path: str, node: Node) -> None:
            for name, child in node.children.items():
                found[posixpath.join(path, name)] = child
                if child.kind == "directory":
                    below(posixpath.join(path, name), child)

        for top in self.tops:
            if self.is_there(top):
                below(top, self.files._resolve(top))
        return found

    def kinds(self) -> dict[str, str]:
        return {path: node.kind for path, node in self.nodes().items()}

    def is_fixed(self, path: str) -> bool:
        return any(is_below(point, path) for point in self._points())

    def is_there(self, top: str) -> bool:
        try:
            return self.files._resolve(top).kind == "directory"
        except OSError:
            return False

    def read(self, path: str) -> bytes:
        return self.files._resolve(path).content

    def mtime(self, path: str) -> int:
        return self.files._resolve(path).mtime

    def names(self, folder: str) -> list[str]:
        return sorted(self.files._resolve(folder).children)

    def write(self, path: str, content: bytes, mtime: int | None = None) -> None:
        self.files.write(path, content, mtime)

    def utime(self, path: str, mtime: int | None = None) -> None:
        self.files.utime(path, self.files._tick() if mtime is None else mtime)

    def remove(self, path: str) -> None:
        self.files.remove(path)

    def rename(self, old: str, new: str) -> None:
        self.files.rename(old, new)

    def makedirs(self, path: str) -> None:
        self.files.makedirs(path)

    def symlink(self, target: str, path: str) -> None:
        self.files.symlink(target, path)

    def exchange(self, one: str, two: str) -> None:
        self.files.exchange(one, two)

    def reuse(self, path: str, new: str, content: bytes) -> None:
        old = self.files.remove(path)
        node = self.files.write(new, content, old.mtime)
        node.inode = old.inode

    def contents(self, paths: Iterable[str]) -> dict[str, Seen]:
        """What the files at `paths` hold, for a witness."""
        found = {}
        for path in paths:
            with suppress(OSError):
                node = self.files._resolve(path)
                found[path] = Seen(node.content, node.inode)
        return found
