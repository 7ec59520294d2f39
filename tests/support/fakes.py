"""A file system in memory, with the faults that no real one gives on demand."""

from __future__ import annotations

import errno
import io
import os
import posixpath
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from typing_extensions import Buffer

from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    FOREIGN_LINK,
    OTHER,
    Directory,
    Listing,
)
from scanner.disk.filesystem import FileSystem, Space, Stat
from scanner.disk.links import is_proven_broken
from scanner.disk.location import leads_away
from scanner.disk.mounts import Mount
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import LocalWorkers
from scanner.workers.worker import Worker

MAX_LINKS = 40


@dataclass
class Node:
    """A file, directory, link or special file."""

    kind: str
    inode: int
    content: bytes = b""
    mtime: int = 0
    target: str = ""
    children: dict[str, Node] = field(default_factory=dict)
    ctime: int = 0
    device: int = 1


def error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


class FakeFileSystem:
    """POSIX paths. `faults` maps (operation, path) to an errno or a function that is called."""

    def __init__(self) -> None:
        self.clock = 1_000.0
        self.boot_id = "first boot"
        self.wall = 1_750_000_000_000_000_000
        self.granularity = 1
        self.faults: dict[tuple[str, str], int | Callable[[], None]] = {}
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, str]] = []
        self.bytes_read = 0
        self.shuffles_inodes = False
        self.moves_directory_mtimes = True
        self.latency = 0.0
        self._inode = 10
        self.root = self._node("directory")
        self.mount_table = [Mount("/", "ext4", "/dev/fake1")]
        self.on_list: Callable[[str], None] | None = None

    # Making and breaking things

    def _node(self, kind: str, **values: object) -> Node:
        self._inode += 1
        now = self._tick()
        return Node(kind, self._inode, mtime=now, ctime=now, **values)  # type: ignore[arg-type]

    def _tick(self) -> int:
        return self.wall // self.granularity * self.granularity

    def _change(self, directory: Node) -> None:
        """A name in `directory` came or went."""
        if self.moves_directory_mtimes:
            directory.mtime = directory.ctime = self._tick()

    def advance(self, seconds: float) -> None:
        self.clock += seconds
        self.wall += int(seconds * 1e9)

    def makedirs(self, path: str) -> Node:
        return self._find(path, makes=True)

    def write(self, path: str, content: bytes, mtime: int | None = None) -> Node:
        parent = self.makedirs(posixpath.dirname(path))
        name = posixpath.basename(path)
        node = parent.children.get(name)
        if node is None or node.kind != "file":
            node = self._node("file")
            parent.children[name] = node
            self._change(parent)
        node.content = content
        node.mtime = self._tick() if mtime is None else mtime
        return node

    def symlink(self, target: str, path: str) -> None:
        parent = self.makedirs(posixpath.dirname(path))
        parent.children[posixpath.basename(path)] = self._node("link", target=target)
        self._change(parent)

    def special(self, path: str) -> None:
        parent = self.makedirs(posixpath.dirname(path))
        parent.children[posixpath.basename(path)] = self._node("special")
        self._change(parent)

    def remove(self, path: str) -> Node:
        parent = self._resolve(posixpath.dirname(path))
        self._change(parent)
        return parent.children.pop(posixpath.basename(path))

    def rename(self, old: str, new: str) -> None:
        node = self.remove(old)
        parent = self.makedirs(posixpath.dirname(new))
        parent.children[posixpath.basename(new)] = node
        self._change(parent)

    def exchange(self, one: str, two: str) -> None:
        """Swap two names at once, as renameat2 does."""
        places = [
            (self._resolve(posixpath.dirname(path)), posixpath.basename(path))
            for path in (one, two)
        ]
        (first, name), (second, other) = places
        first.children[name], second.children[other] = (
            second.children[other],
            first.children[name],
        )
        for parent, _ in places:
            self._change(parent)

    def touch(self, path: str) -> None:
        self.utime(path, self._tick())

    def utime(self, path: str, mtime: int) -> None:
        """Set the mtime, as tar, unzip and cp -a do; the ctime follows the clock."""
        node = self._resolve(path)
        node.mtime, node.ctime = mtime, self._tick()

    # Looking things up

    def _resolve(self, path: str) -> Node:
        return self._find(path)

    def _find(self, path: str, *, makes: bool = False) -> Node:
        """The node at `path`, links followed; folders that are missing are made if it `makes`."""
        way, rest, links = [self.root], path.split("/")[::-1], 0
        while rest:
            name, node = rest.pop(), way[-1]
            if name in ("", "."):
                continue
            if node.kind != "directory":
                raise error(errno.ENOTDIR, path)
            if name == "..":
                way = way[:-1] or way
                continue
            if name not in node.children and makes:
                node.children[name] = self._node("directory")
                self._change(node)
            if name not in node.children:
                raise error(errno.ENOENT, path)
            found = node.children[name]
            if found.kind != "link":
                way.append(found)
                continue
            links += 1
            if links > MAX_LINKS:
                raise error(errno.ELOOP, path)
            way = way[:1] if found.target.startswith("/") else way
            rest += found.target.split("/")[::-1]
        return way[-1]

    def _inode_of(self, node: Node) -> int:
        if self.shuffles_inodes:
            self._inode += 1
            return self._inode
        return node.inode

    def _check(self, operation: str, path: str) -> None:
        self.calls[operation] += 1
        self.asked.append((operation, path))
        self.advance(self.latency)
        fault = self.faults.get((operation, path))
        if isinstance(fault, int):
            raise error(fault, path)
        if fault is not None:
            fault()

    # The interface

    def list_directory(
        self,
        path: str,
        skip: frozenset[str] = frozenset(),
        mount_points: frozenset[str] = frozenset(),
    ) -> Directory:
        self._check("list", path)
        own = self._resolve(path)
        if own.kind != "directory":
            raise error(errno.ENOTDIR, path)
        rows: list[tuple[str, str, int, int, int]] = []
        met: list[str] = []
        targets: list[tuple[str, str]] = []
        unstatted: list[str] = []
        times = own.mtime, own.ctime
        if self.on_list is not None:
            self.on_list(path)
        for name, node in sorted(own.children.items()):
            key = name + "/" if node.kind == "directory" else name
            if key in skip:
                met.append(key)
                continue
            if name in mount_points:
                rows.append((name, FILE if node.kind == "file" else DIRECTORY, 0, 0, 0))
                continue
            child = posixpath.join(path, name)
            self.calls["stat"] += 1
            if isinstance(self.faults.get(("stat", child)), int):
                unstatted.append(name)
                continue
            inode = self._inode_of(node)
            if node.kind == "file":
                rows.append((name, FILE, len(node.content), node.mtime, inode))
            elif node.kind == "directory":
                rows.append((name, DIRECTORY, 0, 0, inode))
            elif node.kind == "special":
                rows.append((name, OTHER, 0, 0, inode))
            elif leads_away(child, node.target, self.mounts(), self.read_link):
                rows.append((name, FOREIGN_LINK, 0, node.mtime, inode))
                targets.append((name, node.target))
            else:
                try:
                    found = self._resolve(child)
                except OSError as problem:
                    if not is_proven_broken(
                        child, node.target, problem, self._names, self.read_link
                    ):
                        unstatted.append(name)
                    rows.append((name, BROKEN_LINK, 0, node.mtime, inode))
                else:
                    if found.kind == "directory":
                        rows.append((name, DIRECTORY_LINK, 0, node.mtime, inode))
                    else:
                        rows.append((name, FILE_LINK, len(found.content), found.mtime, inode))
                targets.append((name, node.target))
        listing = Listing(targets=tuple(targets), unstatted=tuple(unstatted))
        if rows:
            names, types, sizes, mtimes, inodes = zip(*rows, strict=True)
            listing = Listing(
                "\0".join(names),
                "".join(types),
                array("q", sizes),
                array("q", mtimes),
                array("Q", inodes),
                listing.targets,
                listing.unstatted,
            )
        return Directory(listing, times[0], own.device, own.inode, frozenset(met), ctime=times[1])

    def _names(self, path: str) -> list[str]:
        return sorted(self._resolve(path).children)

    def read_link(self, path: str) -> str:
        node = self._resolve(posixpath.dirname(path)).children.get(posixpath.basename(path))
        if node is None or node.kind != "link":
            raise error(errno.ENOENT if node is None else errno.EINVAL, path)
        return node.target

    def stat(self, path: str) -> Stat:
        self._check("stat", path)
        node = self._resolve(path)
        return Stat(
            node.kind == "directory",
            len(node.content),
            node.mtime,
            node.device,
            node.inode,
            node.ctime,
        )

    def stats_below(self, top: str, names: Sequence[str]) -> list[Stat | OSError]:
        found: list[Stat | OSError] = []
        for name in names:
            try:
                found.append(self.stat(posixpath.join(top, name)))
            except OSError as problem:
                found.append(problem)
        return found

    def space(self, path: str) -> Space:
        self._check("space", path)
        self._resolve(path)
        return Space(2_000_000_000_000, 500_000_000_000)

    def lstat(self, path: str) -> Stat:
        self._check("lstat", path)
        parent = self._resolve(posixpath.dirname(path))
        if parent.kind != "directory":
            raise error(errno.ENOTDIR, path)
        node = parent.children.get(posixpath.basename(path))
        if node is None:
            raise error(errno.ENOENT, path)
        return Stat(node.kind == "directory", len(node.content), node.mtime, 1, node.inode)

    def open(self, path: str) -> BinaryIO:
        self._check("open", path)
        node = self._resolve(path)
        return _CountingFile(self, node.content)

    def mounts(self) -> list[Mount]:
        return list(self.mount_table)

    def monotonic(self) -> float:
        return self.clock

    def boot(self) -> str:
        return self.boot_id

    def now(self) -> int:
        return self.wall

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class _CountingFile(io.BytesIO):
    def __init__(self, files: FakeFileSystem, content: bytes) -> None:
        super().__init__(content)
        self._files = files

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._files.bytes_read += len(data)
        return data

    def readinto(self, buffer: Buffer, /) -> int:
        count = super().readinto(buffer)
        self._files.bytes_read += count
        return count


class FakeWorkers(LocalWorkers):
    """Answer on the fake file system, but for mounts that hang."""

    def __init__(self, files: FileSystem) -> None:
        super().__init__(files)
        self.hanging: set[str] = set()
        """Mount points."""
        self.reasons: list[str] = []
        """What the next attempts in vain end with, in order; then "no answer"."""
        self.lost: list[Mount] = []
        """Mounts that were asked in vain, in order."""

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        if mount.point in self.hanging:
            self.lost.append(mount)
            reason = self.reasons.pop(0) if self.reasons else "no answer"
            raise LostWorkerError(reason, is_stalled=True)
        return super().of(mount, patience)
