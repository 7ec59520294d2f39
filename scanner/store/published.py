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
from scanner.settings.values import NOT_SPLIT, SplitBy
from scanner.store.file_marks import is_same_file, mark_at
from scanner.store.published_parts import PublishedParts

if TYPE_CHECKING:
    from scanner.output.inventory_view import InventoryView
    from scanner.output.inventory_writer import InventoryWriter
    from scanner.output.parts import PartsWriter

LARGE_INVENTORY = 20_000_000
"""Bytes from which on writes of the inventory are spaced out (rule 10)."""

REST_AFTER_LARGE = 20
"""A large inventory is written at most once per this many times its own duration."""


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
        split_by: SplitBy = NOT_SPLIT,
    ) -> None:
        """`annotations_every` in seconds, `split_by` as the setting has it. The file does not say
        `last_seconds`, how long the last write took, `mark`, which says how it was left
        (`mark_of`), and `words`. Raises OutputError if it cannot be read."""
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
        self._split_by = split_by
        self._parts = PublishedParts(outputs.inventory, header)
        self.bytes = _size(outputs.inventory) + self._parts.bytes if header else 0
        """Bytes of it, with all parts."""
        self._bytes_anew = self.bytes
        """Bytes that the last write brought to the disk."""
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
    def _writer(self) -> InventoryWriter | PartsWriter:
        """Made for the first write: a scan that changes nothing writes nothing."""
        if self._split_by != NOT_SPLIT:
            from scanner.output.parts import PartsWriter

            return PartsWriter(self._path, self._split_by, is_local=self._is_local)
        from scanner.output.inventory_writer import InventoryWriter

        return InventoryWriter(self._path, is_local=self._is_local)

    def is_as_written(self) -> bool:
        """True if nobody has changed, replaced or removed the file since it was last written, nor
        one of its parts."""
        marks = ((self._path, self.mark), *self._parts.marks.items())
        return all(self.is_as_left(path, mark) for path, mark in marks)

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
        """True if an older version wrote the file, and readers lack what this one writes; or if
        it is to be split in another way."""
        return not self._is_current or self.words is None or self._parts.split_by != self._split_by

    def tells_origins(self, roots: Iterable[Root]) -> bool:
        """True if it says of each of `roots` which file names it."""
        return _named(roots) <= self._named

    def usage(self) -> list[Usage] | None:
        """What each category of each root holds in it; None before this process wrote it."""
        return self._writer.usage()

    @property
    def is_large(self) -> bool:
        """True if its writes are spaced out."""
        return self._bytes_anew > LARGE_INVENTORY

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
        self.bytes, self._bytes_anew = written.bytes, written.anew
        self._parts.after_write(self._split_by, self._writer.parts)
        self.totals = self._writer.totals
        self.last_seconds = written.seconds
        self.words = written.words
        self._is_current = True
        self.mark = mark_at(self._path)
        self._named = _named(root.root for root in view.roots)
        self._last_write = started


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
