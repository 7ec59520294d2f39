"""The inventory file as it was last written, and when it may be written again (rule 10)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scanner.core.roots import Root
from scanner.core.serialize import readable, time_ns
from scanner.disk.filesystem import FileSystem
from scanner.output.atomic import cannot
from scanner.output.file_names import Outputs
from scanner.output.history_rows import Usage
from scanner.output.inventory_reader import read_header
from scanner.output.inventory_text import SCHEMA

if TYPE_CHECKING:
    from scanner.output.inventory_view import InventoryView
    from scanner.output.inventory_writer import InventoryWriter

LARGE_INVENTORY = 20_000_000
"""Bytes from which on writes of the inventory are spaced out (rule 10)."""

REST_AFTER_LARGE = 20
"""A large inventory is written at most once per this many times its own duration."""

_ROUNDED = 10_000_000
"""Nanoseconds. An mtime that is a multiple of it may have been rounded."""

_FAT_STEP = 2 * 10**9
"""Nanoseconds: the mtime granularity of FAT."""


class PublishedInventory:
    """The inventory of one output. Begins with the file that an earlier process has written."""

    def __init__(
        self,
        outputs: Outputs,
        files: FileSystem,
        *,
        annotations_every: float,
        last_seconds: float,
        mark: str,
        words: Mapping[str, int] | None,
    ) -> None:
        """`annotations_every` in seconds. The file does not say `last_seconds`, how long the last
        write took, `mark`, which says how it was left (`mark_of`), and `words`. Raises OutputError
        if it cannot be read."""
        self._path = outputs.inventory
        self._files = files
        self._annotations_every = annotations_every
        self._is_local = outputs.state_folder == os.path.dirname(outputs.inventory)
        header = read_header(outputs.inventory) or {}
        self.scan = _number(header.get("scan"))
        """Number of the scan that the file shows; 0 if there is no inventory."""
        self.lacks_mounts = bool(header) and "mounts" not in header
        """True if an older version wrote it, which did not say on which mounts the roots live."""
        self._named = frozenset(
            (root["id"], root["named_by"])
            for root in header.get("roots", ())
            if isinstance(root.get("id"), str) and isinstance(root.get("named_by"), str)
        )
        totals = header.get("totals")
        self.totals: Mapping[str, Any] = totals if isinstance(totals, dict) else {}
        """The totals in its header; empty if there is no inventory."""
        self.written = _time(header.get("generated"))
        """When it was written, nanoseconds since 1970; 0 if there is no inventory."""
        self.bytes = _size(outputs.inventory) if header else 0
        self.last_seconds = last_seconds
        """Seconds that the last write took."""
        self.mark = mark
        self.words = words
        """Number of entries by status and mark; None if unknown."""
        self._is_current = header.get("schema") == SCHEMA
        self._last_write = float("-inf")
        """When the last write began, by the monotonic clock."""
        if self.written:
            age = max(0, files.now() - self.written) / 1e9
            self._last_write = files.monotonic() - age

    @cached_property
    def _writer(self) -> InventoryWriter:
        """Made for the first write: a scan that changes nothing writes nothing."""
        from scanner.output.inventory_writer import InventoryWriter

        return InventoryWriter(self._path, is_local=self._is_local)

    def is_as_written(self) -> bool:
        """True if nobody has changed, replaced or removed the file since it was last written."""
        return self.is_as_left(self._path, self.mark)

    def is_as_left(self, path: str, mark: str) -> bool:
        """True if the file at `path`, beside the inventory, is the one that `mark` was made of."""
        return is_same_file(mark, mark_at(path), is_local=self._is_local)

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of entries by status and mark, as far as it is known."""
        return self.words or {}

    @property
    def shadowed(self) -> int:
        """Models in it that ComfyUI does not load, because of another of the same name."""
        return _number(self.totals.get("shadowed"))

    @property
    def is_outdated(self) -> bool:
        """True if an older version wrote the file, and readers lack what this one writes."""
        return not self._is_current or self.words is None

    def tells_origins(self, roots: Iterable[Root]) -> bool:
        """True if it says of each of `roots` which file names it."""
        return _named(roots) <= self._named

    def usage(self) -> list[Usage] | None:
        """What each category of each root holds in it; None before this process wrote it."""
        return self._writer.usage()

    @property
    def is_large(self) -> bool:
        """True if its writes are spaced out."""
        return self.bytes > LARGE_INVENTORY

    def may_be_written(self, *, is_stale: bool, is_last: bool) -> bool:
        """True if the time for a write has come: at once if the file `is_stale`, else only for new
        annotations; but a large one rests. With `is_last` the program ends and nothing waits."""
        since = self._files.monotonic() - self._last_write
        if is_last:
            return True
        if self.is_large and since < REST_AFTER_LARGE * self.last_seconds:
            return False
        return is_stale or since >= self._annotations_every

    def write(self, view: InventoryView) -> None:
        """Replace the file by one that shows `view`. Raises OutputError."""
        started = self._files.monotonic()
        written = self._writer.write(view)
        self.scan = view.scan
        self.written = view.generated
        self.bytes = written.bytes
        self.totals = self._writer.totals
        self.last_seconds = written.seconds
        self.words = written.words
        self._is_current = True
        self.mark = mark_at(self._path)
        self._named = _named(root.root for root in view.roots)
        self._last_write = started


def mark_of(status: os.stat_result) -> str:
    """Size, mtime and inode of a file, as they stand in the state."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def is_same_file(written: str, now: str, *, is_local: bool) -> bool:
    """True if two marks may be of the same file.

    Some file systems round the mtime of a file some time after it was written, to 10 ms (exFAT) or
    up to 2 s (FAT). They, and those that know whole seconds only, have no stable inodes either. On
    a network mount (not `is_local`) the server may set another mtime after the client's.
    """
    if not written or not now:
        return False
    size, mtime, _ = map(int, now.split())
    try:
        old_size, old_mtime, _ = map(int, written.split())
    except ValueError:
        return False
    if not is_local or mtime % _ROUNDED == 0:
        return size == old_size and abs(mtime - old_mtime) <= _FAT_STEP
    return now == written


def mark_at(path: str) -> str:
    """The mark of the file at `path`; empty if there is none."""
    try:
        return mark_of(os.stat(path))
    except OSError:
        return ""


def _named(roots: Iterable[Root]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (readable(root.id), readable(root.named_by)) for root in roots if root.named_by
    )


def _number(value: object) -> int:
    return value if type(value) is int else 0


def _time(value: object) -> int:
    try:
        return time_ns(value) if isinstance(value, str) else 0
    except ValueError:
        return 0


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError as error:
        raise cannot("read", path, error) from error
