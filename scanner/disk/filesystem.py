"""The only door to the disk and the clocks: a small interface, and the real one behind it.

Everything above asks for directories, stats and bytes through `FileSystem`, so that tests run the
whole program on a fake with latency, faults and unmounts.
"""

from __future__ import annotations

import errno
import io
import operator
import os
import stat
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, TypeVar

from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    FOREIGN_LINK,
    NO_NAMES,
    OTHER,
    Directory,
    Listing,
    narrow,
    shared,
)
from scanner.disk.known_entries import are_unchanged
from scanner.disk.links import is_proven_broken
from scanner.disk.location import leads_away
from scanner.disk.mounts import Mount, MountTable
from scanner.disk.stats_below import HAS_DESCRIPTORS, stats_below
from scanner.disk.statx import BATCH, WORTH_IT, Stats, raw_names, stat_by_lookup, stats_of

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Stat(NamedTuple):
    """The stat of a path, links followed. `size` in bytes, times in nanoseconds."""

    is_directory: bool
    size: int
    mtime: int
    device: int
    inode: int
    ctime: int = 0

    @property
    def identity(self) -> bytes:
        """Device, inode and ctime: they are the same only if nothing has touched the file."""
        return f"{self.device} {self.inode} {self.ctime}".encode()


class Space(NamedTuple):
    """The space of a mount in bytes. `free` is what this user may still write."""

    total: int
    free: int


class FileSystem(Protocol):
    """The calls on disks and clocks that the program makes. Every call may raise OSError."""

    def list_directory(
        self, path: str, skip: frozenset[str], mount_points: frozenset[str]
    ) -> Directory:
        """All entries of `path` with their stats, and its own times and identity.

        Names in `skip` (directories with a trailing slash) get no stat and no row; those of them
        that are present come back in `ignored`. Names in `mount_points` get a row without a stat:
        only whether each is a directory or a file.
        """
        ...

    def stat(self, path: str) -> Stat:
        """The stat of `path`, links followed."""
        ...

    def lstat(self, path: str) -> Stat:
        """The stat of the name at `path` itself, links not followed."""
        ...

    def stats_below(self, top: str, names: Sequence[str]) -> list[Stat | OSError]:
        """The stats of folders below `top`, links followed, or the errors in their place.

        `names` are relative to `top`. One that holds others comes before these, and all that it
        holds comes next.
        """
        ...

    def has_times(self, path: str, known: Directory) -> bool:
        """True if the directory at `path` has the times and the identity of `known`."""
        ...

    def has_entries(self, path: str, known: Directory) -> bool:
        """True if it has, and if each entry of `known`, asked for by its name, is unchanged. Only
        for those that `known_entries.can_ask_by_name`."""
        ...

    def space(self, path: str) -> Space:
        """The space of the mount that holds `path`."""
        ...

    def open(self, path: str) -> BinaryIO:
        """The file, for reading only."""
        ...

    def read_link(self, path: str) -> str:
        """The text of the link at `path`."""
        ...

    def mounts(self) -> list[Mount]:
        """The mounts that can be seen, without touching any of them."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that only rises."""
        ...

    def boot(self) -> str:
        """The name of the boot since which `monotonic` counts; empty if there is none."""
        ...

    def now(self) -> int:
        """Wall clock, nanoseconds since 1970 UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class DiskFileSystem:
    """The operating system's own file system."""

    def __init__(
        self,
        stopped: Callable[[], bool] = lambda: False,
        *,
        by_lookup: bool = False,
        at_once: bool = False,
    ) -> None:
        """A listing under way fails with InterruptedError once `stopped`. `by_lookup`: it asks
        about a mount where `Mount.lookups_bring_stats`. `at_once`: it lists local disks only, and
        may stat many names in one go."""
        self._stopped = stopped
        self._by_lookup = by_lookup
        self._at_once = at_once
        self._table = MountTable()
        self._calls = 0
        self._under_way: dict[int, list[str]] = {}

    def returned(self) -> int:
        """A number that changes whenever a call on a file or directory has returned.

        Counts entries of listings under way by the names that they have so far, which costs the
        loop over the entries nothing.
        """
        return self._calls + sum(len(names) for names in list(self._under_way.values()))

    def count_call(self) -> None:
        """Note that a call has returned."""
        self._calls += 1

    def list_directory(
        self,
        path: str,
        skip: frozenset[str] = frozenset(),
        mount_points: frozenset[str] = frozenset(),
    ) -> Directory:
        if _LISTS_DESCRIPTORS:
            # One descriptor for stat and listing: both see the same directory even if the path
            # is replaced in between, and the kernel resolves the path once.
            handle = os.open(path, _FOLDER_FLAGS)
            try:
                return self._list(path, handle, os.fstat(handle), skip, mount_points)
            finally:
                os.close(handle)
        return self._list(path, path, os.stat(path), skip, mount_points)

    def _list(
        self,
        path: str,
        target: str | int,
        own: os.stat_result,
        skip: frozenset[str],
        mount_points: frozenset[str],
    ) -> Directory:
        found = _Entries(path, self)
        thread = threading.get_ident()
        self._under_way[thread] = found.names
        try:
            if isinstance(target, int) and self._stats_at_once and not (skip or mount_points):
                found.take_at_once(target, self._stopped)
                return _directory_of(found, own)
            with os.scandir(target) as scanned:
                entries: Iterable[os.DirEntry[str] | _LookedUp] = scanned
                if self._by_lookup and isinstance(target, int):
                    entries = map(partial(_LookedUp, target), scanned)
                if skip or mount_points:
                    entries = found.wanted(entries, skip, mount_points)
                found.take(entries, self._stopped)
        finally:
            self._calls += len(found.names) + 1
            del self._under_way[thread]
        return _directory_of(found, own)

    def stat(self, path: str) -> Stat:
        return self._counted(os.stat(path))

    def lstat(self, path: str) -> Stat:
        return self._counted(os.lstat(path))

    def stats_below(self, top: str, names: Sequence[str]) -> list[Stat | OSError]:
        found: Iterable[os.stat_result | OSError]
        if HAS_DESCRIPTORS:
            found = stats_below(top, names, stat_by_lookup if self._by_lookup else _stat_at)
        else:
            found = (_tried(os.path.join(top, name)) for name in names)
        stats: list[Stat | OSError] = []
        for name, answer in zip(names, found, strict=True):
            one = answer
            if isinstance(answer, OSError) and answer.errno == errno.ESTALE:
                # The server has lost the folder that was held: its path may lead to another one.
                one = _tried(os.path.join(top, name))
            stats.append(one if isinstance(one, OSError) else self._counted(one))
        return stats

    def has_times(self, path: str, known: Directory) -> bool:
        return self._is_known(os.stat(path), known)

    def has_entries(self, path: str, known: Directory) -> bool:
        handle = os.open(path, _FOLDER_FLAGS)
        try:
            if not self._is_known(os.fstat(handle), known):
                return False
            return are_unchanged(handle, known.listing, self._stopped, at_once=self._stats_at_once)
        finally:
            self._calls += len(known.listing)
            os.close(handle)

    @property
    def _stats_at_once(self) -> bool:
        return self._at_once and self._calls >= WORTH_IT

    def _is_known(self, seen: os.stat_result, known: Directory) -> bool:
        self._calls += 1
        if seen.st_mode & _KIND != _FOLDER:
            return False
        mtime, ctime = seen.st_mtime_ns, seen.st_ctime_ns
        if known.has_same_times(mtime, ctime, seen.st_dev, seen.st_ino):
            return True
        # What no column holds was cut off.
        return known.has_same_times(
            _within(mtime), _within(ctime), seen.st_dev, seen.st_ino & _INODE_MASK
        )

    def space(self, path: str) -> Space:
        import shutil  # a process that only lists needs none of its compression

        found = shutil.disk_usage(path)
        self._calls += 1
        return Space(found.total, found.free)

    def _counted(self, found: os.stat_result) -> Stat:
        self._calls += 1
        return Stat(
            stat.S_ISDIR(found.st_mode),
            found.st_size,
            _within(found.st_mtime_ns),
            found.st_dev,
            found.st_ino & _INODE_MASK,
            _within(found.st_ctime_ns),
        )

    def open(self, path: str) -> BinaryIO:
        # Non-blocking, so that a file swapped for a FIFO since its listing cannot hang us.
        handle = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "not a regular file", path)
        return _CountedFile(handle, self)

    def read_link(self, path: str) -> str:
        return os.readlink(path)

    def mounts(self) -> list[Mount]:
        return self._table.mounts()

    def monotonic(self) -> float:
        return time.monotonic()

    def boot(self) -> str:
        with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
        return ""

    def now(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _CountedFile(io.FileIO):
    """An open file whose reads are signs of life of its mount too: a slow link may take longer for
    one file than a mount may be silent."""

    def __init__(self, handle: int, files: DiskFileSystem) -> None:
        super().__init__(handle, "rb")
        self._files = files

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._files.count_call()
        return data

    def readinto(self, buffer: Buffer, /) -> int:
        count = super().readinto(buffer)
        self._files.count_call()
        return count


def _stat_at(name: str, dir_fd: int) -> os.stat_result:
    return os.stat(name, dir_fd=dir_fd) if name else os.fstat(dir_fd)


def _tried(path: str) -> os.stat_result | OSError:
    try:
        return os.stat(path)
    except OSError as error:
        return error


def _directory_of(found: _Entries, own: os.stat_result) -> Directory:
    mtime, ctime = _within(own.st_mtime_ns), _within(own.st_ctime_ns)
    return Directory(
        found.listing(),
        mtime,
        shared(own.st_dev),
        own.st_ino & _INODE_MASK,
        frozenset(found.met) if found.met else NO_NAMES,
        ctime=mtime if ctime == mtime else ctime,  # one object of 32 bytes for both
    )


class _Named:
    """A name in the folder `dir_fd`."""

    def __init__(self, dir_fd: int, name: str) -> None:
        self.name = name
        self._dir_fd = dir_fd

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        return os.stat(self.name, dir_fd=self._dir_fd, follow_symlinks=follow_symlinks)


class _Seen(NamedTuple):
    """What of its stat is needed of anything but a regular file."""

    st_mode: int
    st_ino: int
    st_mtime_ns: int


class _LookedUp:
    """An entry of the folder `dir_fd` whose stat is the one that its lookup brings."""

    def __init__(self, dir_fd: int, entry: os.DirEntry[str]) -> None:
        self.name = entry.name
        self.is_dir = entry.is_dir
        self.is_file = entry.is_file
        self._dir_fd = dir_fd

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        return stat_by_lookup(self.name, self._dir_fd, follow=follow_symlinks)


_LISTS_DESCRIPTORS = os.scandir in os.supports_fd and hasattr(os, "O_DIRECTORY")

_OPEN_FLAGS = (
    getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

_INODE_MASK = 2**64 - 1

PART = 4096
"""Entries between looks at whether to stop: a folder may hold a million."""

_KIND = 0o170000
"""The bits of a mode that `stat.S_IFMT` keeps."""

_REGULAR, _FOLDER = stat.S_IFREG, stat.S_IFDIR

_name_of = operator.attrgetter("name")

_T = TypeVar("_T", str, tuple[str, str])

_RowFields = tuple[str, str, int, int, int]

_LINK_LIKE = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)


class _Entries:
    """What the listing of one directory has found so far: columns of its rows, and what has no row.

    Nearly all entries are regular files, so `types` may be shorter than the other columns: what is
    missing at its end are regular files.
    """

    def __init__(self, path: str, files: DiskFileSystem) -> None:
        self.names: list[str] = []
        self.met: list[str] = []
        """Names to skip, as `Directory.ignored` has them."""
        self._path = path
        self._files = files
        self._mounts: list[Mount] | None = None
        self._types: list[str] = []
        self._sizes: list[int] = []
        self._mtimes: list[int] = []
        self._inodes: list[int] = []
        self._targets: list[tuple[str, str]] = []
        self._unstatted: list[str] = []
        self._hard_links: list[str] = []

    def take(
        self, entries: Iterable[os.DirEntry[str] | _LookedUp | _Named], stopped: Callable[[], bool]
    ) -> None:
        """Stat `entries`."""
        add_name, add_size = self.names.append, self._sizes.append
        add_mtime, add_inode = self._mtimes.append, self._inodes.append
        iterator = iter(entries)
        while part := list(islice(iterator, PART)):
            if stopped():
                raise InterruptedError("stopping")
            part.sort(key=_name_of)
            for entry in part:
                try:
                    seen = entry.stat(follow_symlinks=False)
                except OSError:
                    # Listed but not readable: neither presence nor absence is proven (rule 1).
                    self._unstatted.append(entry.name)
                    continue
                # For 200,000 files stat alone takes 0.53 s, this loop 0.61 s, and one that makes
                # a tuple for each of them 0.63 s.
                if seen.st_mode & _KIND == _REGULAR:
                    add_name(entry.name)
                    add_size(seen.st_size)
                    add_mtime(seen.st_mtime_ns)
                    add_inode(seen.st_ino)
                    if seen.st_nlink > 1:
                        self._hard_links.append(entry.name)
                else:
                    self._take_special(entry.name, seen)

    def take_at_once(self, folder: int, stopped: Callable[[], bool]) -> None:
        """List the open `folder`, and stat many names in one go."""
        names = os.listdir(folder)
        names.sort()
        raw = raw_names("\0".join(names))
        for start in range(0, len(names), BATCH):
            if stopped():
                raise InterruptedError("stopping")
            part = names[start : start + BATCH]
            stats = stats_of(folder, raw[start : start + BATCH])
            if stats is None:
                self.take(map(partial(_Named, folder), part), stopped)
            else:
                self._take_stats(part, stats)

    def _take_stats(self, names: list[str], stats: Stats) -> None:
        done, modes = 0, stats.modes
        others: list[int] = []
        if modes[0] & _KIND != _REGULAR or modes.count(modes[0]) != len(modes):
            others = [row for row, mode in enumerate(modes) if mode & _KIND != _REGULAR]
        for row in (*others, len(names)):
            if row > done:
                files = slice(done, row)
                self.names += names[files]
                self._sizes += stats.sizes[files]
                self._mtimes += stats.mtimes[files]
                self._inodes += stats.inodes[files]
                if max(stats.links[files]) > 1:
                    links = zip(names[files], stats.links[files], strict=True)
                    self._hard_links += [name for name, count in links if count > 1]
            if row < len(names):
                seen = _Seen(modes[row], stats.inodes[row], stats.mtimes[row])
                self._take_special(names[row], seen)
            done = row + 1

    def wanted(
        self,
        entries: Iterable[os.DirEntry[str] | _LookedUp],
        skip: frozenset[str],
        mount_points: frozenset[str],
    ) -> Iterator[os.DirEntry[str] | _LookedUp]:
        """The entries that need a stat; the others are put where they belong."""
        for entry in entries:
            name = entry.name
            if name in mount_points:
                self._add((name, _type_of_point(entry), 0, 0, 0))
                continue
            try:
                key = name + "/" if skip and entry.is_dir(follow_symlinks=False) else name
            except OSError:
                self._unstatted.append(name)
                continue
            if key in skip:
                self.met.append(key)
            else:
                yield entry

    def _take_special(self, name: str, seen: os.stat_result | _Seen) -> None:
        """Anything but a regular file."""
        kind = stat.S_IFMT(seen.st_mode)
        if kind == stat.S_IFLNK or _is_junction(seen):
            path = os.path.join(self._path, name)
            row = _link_row(path, name, seen, self._targets, self._unstatted, self._leads_away)
            if row is not None:
                self._add(row)
        else:
            letter = DIRECTORY if kind == stat.S_IFDIR else OTHER
            self._add((name, letter, 0, 0, seen.st_ino & _INODE_MASK))

    def _leads_away(self, path: str, text: str) -> bool:
        # The table is read at the first link of each listing. A link to a mount that has just come
        # would else be followed as one on this mount, and nothing would guard what lies below it.
        if self._mounts is None:
            self._mounts = self._files.mounts()
        return leads_away(path, text, self._mounts, self._files.read_link)

    def _add(self, row: _RowFields) -> None:
        name, letter, size, mtime, inode = row
        self._types += FILE * (len(self.names) - len(self._types)) + letter
        self.names.append(name)
        self._sizes.append(size)
        self._mtimes.append(mtime)
        self._inodes.append(inode)

    def listing(self) -> Listing:
        """The columns, sorted by name."""
        names = self.names
        targets, unstatted = _sorted(self._targets), _sorted(self._unstatted)
        if not names:
            return Listing(targets=targets, unstatted=unstatted)
        types = "".join(self._types) + FILE * (len(names) - len(self._types))
        sizes, mtimes, inodes = self._sizes, self._mtimes, self._inodes
        if not all(map(operator.lt, names, islice(names, 1, None))):
            # Several parts, or a name that came twice: POSIX lets readdir give one so while names
            # change, and some servers do.
            rows = {name: row for row, name in enumerate(names)}
            order = [rows[name] for name in sorted(rows)]
            names = [names[row] for row in order]
            types = "".join([types[row] for row in order])
            sizes = [sizes[row] for row in order]
            mtimes = [mtimes[row] for row in order]
            inodes = [inodes[row] for row in order]
        return Listing(
            "\0".join(names),
            sys.intern(types),
            narrow(sizes, "q"),
            _times(mtimes),
            _inodes(inodes),
            targets,
            unstatted,
            _sorted(self._hard_links),
        )


def _type_of_point(entry: os.DirEntry[str] | _LookedUp) -> str:
    """The type of a mount point. What a file system says of the name below the mount will do: only
    a file can be mounted on a file."""
    try:
        return FILE if entry.is_file(follow_symlinks=False) else DIRECTORY
    except OSError:
        return DIRECTORY


def _sorted(found: list[_T]) -> tuple[_T, ...]:
    return tuple(sorted(set(found))) if found else ()


def _times(mtimes: list[int]) -> array[int]:
    try:
        return array("q", mtimes)
    except OverflowError:
        return array("q", map(_within, mtimes))


def _inodes(inodes: list[int]) -> array[int]:
    try:
        return narrow(inodes, "Q")
    except OverflowError:  # ReFS has 128 bits
        return array("Q", [inode & _INODE_MASK for inode in inodes])


def _within(mtime: int) -> int:
    """Times before 1677 or after 2262 do not fit 64 bits of nanoseconds: the nearest that does."""
    return mtime if -(2**63) <= mtime < 2**63 else (2**63 - 1 if mtime > 0 else -(2**63))


def _is_junction(found: os.stat_result | _Seen) -> bool:
    """Windows junctions are directories by mode and links by behaviour."""
    return _LINK_LIKE is not None and getattr(found, "st_reparse_tag", 0) == _LINK_LIKE


def _link_row(
    path: str,
    name: str,
    own: os.stat_result | _Seen,
    targets: list[tuple[str, str]],
    unstatted: list[str],
    leads_away: Callable[[str, str], bool],
) -> _RowFields | None:
    """Row of a link, None if it could not be read. Where nothing can be said of its target (rules 1
    and 11), its name stands in `unstatted`, too."""
    inode = own.st_ino & _INODE_MASK
    try:
        text = os.readlink(path)
    except OSError:
        unstatted.append(name)
        return None
    if leads_away(path, text):
        targets.append((name, text))
        return (name, FOREIGN_LINK, 0, own.st_mtime_ns, inode)
    try:
        found = os.stat(path)
    except OSError as error:
        if not is_proven_broken(path, text, error):
            unstatted.append(name)
        row = (name, BROKEN_LINK, 0, own.st_mtime_ns, inode)
    else:
        if stat.S_ISDIR(found.st_mode):
            row = (name, DIRECTORY_LINK, 0, own.st_mtime_ns, inode)
        elif stat.S_ISREG(found.st_mode):
            row = (name, FILE_LINK, found.st_size, found.st_mtime_ns, inode)
        else:
            row = (name, BROKEN_LINK, 0, own.st_mtime_ns, inode)
    targets.append((name, text))
    return row
