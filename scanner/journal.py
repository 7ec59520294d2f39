"""The journal: the append-only list of changes, one JSON object a line.

Every line carries its scan's number, its own number `n` in the scan and how many `of` there are,
so that both a crashed writer and a reader can tell a whole scan from a torn one. All lines of a
scan stand together in one file; `S.changes.jsonl` is the newest, `S.changes.1.jsonl` what was
rotated out of it last, and so on. `schemas/change.schema.json` says what each field means.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import IO, Any, BinaryIO, NamedTuple, Protocol, cast

import orjson

from scanner.atomic import cannot, patiently, sync_file, sync_folder
from scanner.changes import Change
from scanner.errors import OutputError
from scanner.portable import mtime_fields, path_fields, readable, time_text

_CHUNK = 1 << 20
"""Bytes gathered before a write."""

_BLOCK = 1 << 16
"""Bytes read at once when going backwards: some 250 lines."""

_HEAD = 64
"""Bytes at a file's start that tell it from its successors: scan, n, of, and part of the time."""

_START = b'{"scan":'


def encode(change: Change, *, scan: int, n: int, of: int, time_ns: int, base: str | None) -> bytes:
    """The line of `change`, number `n` (from 1) `of` those of `scan`, committed at `time_ns`.

    Files and links always have their size, and files their mtime; links have one where it is not
    0, and nothing else has either. Fields that are not known are left out.
    """
    fields: dict[str, Any] = {"scan": scan, "n": n, "of": of, "time": time_text(time_ns)}
    fields["kind"] = change.kind
    if change.type:
        fields["type"] = change.type
    fields.update(path_fields(change.path, base))
    if change.source:
        fields.update(path_fields(change.source, base, "from"))
    fields["root"] = readable(change.root)
    if change.type in ("file", "symlink") and change.kind != "baseline":
        fields["size"] = change.size
        if change.type == "file" or change.mtime:
            fields.update(mtime_fields(change.mtime))
    if change.evidence:
        fields["evidence"] = change.evidence
    if change.files >= 0:
        fields["files"] = change.files
    if change.bytes >= 0:
        fields["bytes"] = change.bytes
    if change.reason:
        fields["reason"] = readable(change.reason)
    if change.pack is not None:
        fields["pack"] = change.pack.as_json()
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


class Journal:
    """The one writer of the journal at `path`.

    Before an append that finds the file at `limit_bytes` or more, it is rotated; `keep` (at least
    1) rotated files stay. No file is held open between appends. All methods raise OutputError.
    """

    def __init__(self, path: str | os.PathLike[str], *, limit_bytes: int, keep: int) -> None:
        self.path = os.fspath(path)
        self._limit = limit_bytes
        self._keep = max(1, keep)
        self._torn_at: int | None = None
        """Where the lines of a failed append begin that could not be taken back at once."""

    def append(self, lines: Iterable[bytes]) -> None:
        """Append all lines of one scan, in order, and force them to the disk.

        Where that fails nothing of them stays, so that the same scan can be appended again.
        """
        try:
            self._append(lines)
        except OSError as error:
            raise cannot("write", self.path, error) from error

    def recover(self, pending: Sequence[tuple[int, Sequence[bytes]]]) -> int:
        """Make the journal whole after a crash at any point; how many lines were appended.

        To be called before the first append, and in place of the next one after an append failed,
        with the number and lines of each scan whose append was not confirmed. What the end of the
        file holds of an incomplete scan is cut off; then those lines of `pending` that are in no
        file are appended. Calling it again changes nothing.
        """
        try:
            self._take_back_torn()
            self._cut_tail({number: len(lines) for number, lines in pending})
            present = self._present({number: len(lines) for number, lines in pending})
            appended = 0
            for number, lines in sorted(pending, key=lambda scan: scan[0]):
                missing = [line for n, line in enumerate(lines, 1) if n not in present[number]]
                self._append(missing)
                appended += len(missing)
            return appended
        except OSError as error:
            raise cannot("write", self.path, error) from error

    def last_scan(self) -> int:
        """Number of the last scan that the journal holds lines of; 0 where it is empty."""
        try:
            for _, line in self._backwards():
                return int(line["scan"])
            return 0
        except OSError as error:
            raise cannot("read", self.path, error) from error

    @property
    def position(self) -> int:
        """Size in bytes of the newest file; 0 where there is none."""
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise cannot("read", self.path, error) from error

    # Appending

    def _append(self, lines: Iterable[bytes]) -> None:
        chunks = _gather(lines)
        first = next(chunks, None)
        if first is None:
            return  # a scan that found nothing neither makes nor rotates a file
        self._take_back_torn()
        self._rotate_where_due()
        with open(self.path, "ab", buffering=0) as file:
            start = file.seek(0, os.SEEK_END)
            try:
                _write_all(file, first)
                for chunk in chunks:
                    _write_all(file, chunk)
                sync_file(file.fileno())
                if start == 0:
                    sync_folder(os.path.dirname(self.path))
            except BaseException:
                # The scan stays pending and is appended again: no part of it may stand here.
                self._torn_at = start
                try:
                    _truncate(file, start)
                    self._torn_at = None
                except OSError:
                    pass  # what the write met is reported; the next append tries again
                raise

    def _take_back_torn(self) -> None:
        if self._torn_at is None:
            return
        try:
            with open(self.path, "r+b") as file:
                if file.seek(0, os.SEEK_END) > self._torn_at:
                    _truncate(file, self._torn_at)
        except FileNotFoundError:
            pass  # someone deleted the file, and the torn lines with it
        self._torn_at = None

    def _rotate_where_due(self) -> None:
        if self.position < self._limit or self.position == 0:
            return
        names = [_generation(self.path, number) for number in range(self._keep + 1)]
        # A crash in between leaves a gap: moving files up to the first gap closes it.
        free = next((i for i in range(1, self._keep + 1) if not os.path.exists(names[i])), None)
        try:
            for number in range(free or self._keep, 0, -1):
                _replace(names[number - 1], names[number])
            for number, path in _generations(self.path):
                if number > self._keep:
                    os.unlink(path)
        except OSError:
            # A reader on Windows holds a file: the newest grows beyond its limit until the next
            # append, since the journal is never delayed. A gap is closed then as after a crash.
            pass
        sync_folder(os.path.dirname(self.path))

    # Recovering

    def _cut_tail(self, pending: Mapping[int, int]) -> None:
        """Cut the newest file after the last line of a complete scan.

        A scan is complete if it ends with its last line. Of a pending one every line is looked
        at: in a power cut the disk may have kept the last block and lost one before it.
        """
        file = _open(self.path, "r+b")
        if file is None:
            return
        with file:
            size = file.seek(0, os.SEEK_END)
            keep = _end_of_complete(file, size, pending)
            if keep == size:
                return
            if keep == 0:
                self._check_ours(file)
            _truncate(file, keep)
            sync_file(file.fileno())

    def _check_ours(self, file: BinaryIO) -> None:
        """Rather stop than empty a file that someone else wrote."""
        file.seek(0)
        head = file.read(len(_START))
        # After a power cut, blocks that were never written read as zeros.
        if any(byte not in (0, ours) for byte, ours in zip(head, _START, strict=False)):
            raise OutputError(
                f"{readable(self.path)} is not a list of changes: move it away, "
                "or choose another --output"
            )

    def _present(self, pending: Mapping[int, int]) -> dict[int, set[int]]:
        """Which lines of the pending scans stand in the journal, by `n`."""
        present: dict[int, set[int]] = {number: set() for number in pending}
        if pending:
            oldest = min(pending)
            for _, line in self._backwards():
                if line["scan"] < oldest:
                    break
                if line["of"] == pending.get(line["scan"]):
                    present[line["scan"]].add(line["n"])
        return present

    def _backwards(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The whole lines of all files, newest first, each with its offset in its file."""
        for _, path in sorted(_generations(self.path)):
            file = _open(path)
            if file is None:
                continue
            with file:
                for offset, line in _lines_backwards(file, file.seek(0, os.SEEK_END)):
                    fields = _parse(line)
                    if fields is not None:
                        yield offset, fields


def _end_of_complete(file: BinaryIO, size: int, pending: Mapping[int, int]) -> int:
    """Offset after the last line of the last complete scan in `file`; 0 where there is none."""
    end = size
    tail: int | None = None
    expected = complete_end = 0
    found: set[int] = set()
    for offset, line in _lines_backwards(file, size):
        fields = _parse(line)
        if fields is None:
            if tail is None:
                end = offset
            continue
        scan, n, of = fields["scan"], fields["n"], fields["of"]
        if tail is None:
            if n == of and scan not in pending:
                return end
            tail, expected = scan, of
            complete_end = end if n == of == pending.get(scan) else 0
        elif scan != tail:
            return offset + len(line)
        found.add(n)
        if n == 1:
            return complete_end if complete_end and len(found) == expected else offset
    return 0


def _lines_backwards(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) from the last line before `end` to the first, in small memory.

    Lines have their newline, but for a torn last one.
    """
    data = b""
    start = stop = end
    while start > 0:
        step = min(_BLOCK, start)
        start -= step
        file.seek(start)
        data = file.read(step) + data[:stop]
        stop = len(data)
        while (cut := data.rfind(b"\n", 0, max(stop - 1, 0))) >= 0:
            yield start + cut + 1, data[cut + 1 : stop]
            stop = cut + 1
    if stop:
        yield 0, data[:stop]


def _gather(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines joined to chunks of about a megabyte."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _write_all(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _truncate(file: IO[bytes], size: int) -> None:
    file.truncate(size)


def _replace(source: str, target: str) -> None:
    patiently(lambda: os.replace(source, target))


def _generation(path: str, number: int) -> str:
    stem, extension = os.path.splitext(path)
    return f"{stem}.{number}{extension}" if number else path


def _generations(path: str) -> list[tuple[int, str]]:
    """(number, path) of the journal's files that exist, newest first; the newest has number 0."""
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    pattern = re.compile(rf"{re.escape(stem)}(?:\.([1-9]\d*))?{re.escape(extension)}")
    try:
        names = os.listdir(folder or os.curdir)
    except FileNotFoundError:
        return []
    matches = (pattern.fullmatch(name) for name in names)
    return sorted(
        (int(match[1] or 0), os.path.join(folder, match[0])) for match in matches if match
    )


def _parse(line: bytes) -> dict[str, Any] | None:
    """The fields of a whole line; None for one that is torn, damaged or not of a journal."""
    if not line.endswith(b"\n"):
        return None
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    numbers = (fields.get("scan"), fields.get("n"), fields.get("of"))
    texts = (fields.get("kind"), fields.get("path"), fields.get("time"))
    known = all(type(value) is int for value in numbers) and all(type(t) is str for t in texts)
    return fields if known else None


# Reading


class Stop(Protocol):
    """What ends `follow`: a threading.Event, or anything like it."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


def read(
    path: str | os.PathLike[str],
    since_scan: int | None = None,
    since_time: int | None = None,
    kinds: Collection[str] | None = None,
    roots: Collection[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """The lines of the journal at `path` and its rotated files, oldest first.

    Only those of scans after number `since_scan`, committed at `since_time` (nanoseconds since
    1970) or later, of these `kinds`, of the roots with these ids. Damaged lines are left out, and
    a missing journal is an empty one. Raises OutputError where a file cannot be read.
    """
    wanted = _filter(since_time, kinds, roots)
    try:
        with ExitStack() as stack:
            for file in _open_all(path, stack):
                for line in file:
                    fields = _parse(line)
                    if fields is None or (since_scan is not None and fields["scan"] <= since_scan):
                        continue
                    if wanted(fields):
                        yield fields
    except OSError as error:
        raise cannot("read", os.fspath(path), error) from error


def follow(
    path: str | os.PathLike[str],
    stop: Stop,
    poll: float,
    since_scan: int | None = None,
    kinds: Collection[str] | None = None,
    roots: Collection[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """New lines as they are written, until `stop` is set; looks every `poll` seconds.

    Without `since_scan` it begins after the last line that is there now. Each line comes once,
    whatever happens to the files: rotation, a crash of the writer in the middle of a line and its
    recovery, or the journal missing for a while. Raises as `read` does.
    """
    wanted = _filter(None, kinds, roots)
    tail = _Tail(os.fspath(path))
    if since_scan is None:
        for _ in tail.fresh():
            pass
    else:
        tail.last = _Mark(since_scan + 1, 0)
    while not stop.is_set():
        for fields in tail.fresh():
            if wanted(fields):
                yield fields
            if stop.is_set():
                return
        stop.wait(poll)


class _Mark(NamedTuple):
    scan: int
    n: int


class _Tail:
    """How far a follower has read. No file is held open: on Windows that would stop rotation."""

    def __init__(self, path: str) -> None:
        self.last = _Mark(0, 0)
        self._path = path
        self._head = b""
        self._offset = 0

    def fresh(self) -> Iterator[dict[str, Any]]:
        """The whole lines after `last`, which moves along."""
        try:
            with ExitStack() as stack:
                files = self._files(stack)
                for index, file in enumerate(files, 1):
                    for line in file:
                        if not line.endswith(b"\n"):
                            break  # being written: read again, from its start, the next time
                        if index == len(files):
                            self._offset += len(line)
                        fields = _parse(line)
                        if fields is not None and _Mark(fields["scan"], fields["n"]) > self.last:
                            self.last = _Mark(fields["scan"], fields["n"])
                            yield fields
        except OSError as error:
            raise cannot("read", self._path, error) from error

    def _files(self, stack: ExitStack) -> list[BinaryIO]:
        """What there is to read: the newest file from where we were, if it is still the same."""
        newest = _open(self._path)
        if newest is None:
            # Between a rotation and the append after it: there is nothing new yet. If no file is
            # left at all, someone began anew, and numbers may begin at 1 again.
            if not _generations(self._path):
                self.last, self._head, self._offset = _Mark(0, 0), b"", 0
            return []
        stack.enter_context(newest)
        head = newest.read(_HEAD)
        same = head.startswith(self._head) and newest.seek(0, os.SEEK_END) >= self._offset
        if same and (self._head or not _generations(self._path)[1:]):
            self._head = head if len(head) == _HEAD else b""
            newest.seek(self._offset)
            return [newest]
        # Rotated, or cut by a writer that recovers: what was read already is known by number.
        # The newest is opened before the others are listed: a rotation in between then shows a
        # file twice, never not at all.
        files = _open_all(self._path, stack)
        if not any(_same(file, newest) for file in files):
            files.insert(0, newest)  # rotated away as the oldest meanwhile
        for file in files:
            file.seek(0)
        # Several rotations may lie between the two looks: the last in order is the newest now.
        head = files[-1].read(_HEAD)
        files[-1].seek(0)
        # A shorter head could be that of any file: better read all again the next time.
        self._head, self._offset = head if len(head) == _HEAD else b"", 0
        return files


def _open_all(path: str | os.PathLike[str], stack: ExitStack) -> list[BinaryIO]:
    """The journal's files, oldest first; all are opened, newest first, before one is read.

    So a rotation meanwhile can show a file under two names, which is seen, but can hide none.
    """
    files: list[BinaryIO] = []
    number = 0
    highest = max((number for number, _ in _generations(os.fspath(path))), default=0)
    while number <= highest + 1:
        # None: a gap that a crash in a rotation left, or the end.
        file = _open(_generation(os.fspath(path), number))
        if file is not None:
            stack.enter_context(file)
            if not any(_same(file, other) for other in files):
                files.append(file)
        number += 1
    return files[::-1]


def _open(path: str, mode: str = "rb") -> BinaryIO | None:
    """The open file, or None where there is none; the caller closes it."""
    try:
        return cast(BinaryIO, open(path, mode))
    except FileNotFoundError:
        return None


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.sameopenfile(one.fileno(), other.fileno())


def _filter(
    since_time: int | None, kinds: Collection[str] | None, roots: Collection[str] | None
) -> Callable[[Mapping[str, Any]], bool]:
    since = None if since_time is None else time_text(since_time)

    def wanted(fields: Mapping[str, Any]) -> bool:
        return (
            (since is None or fields["time"] >= since)
            and (kinds is None or fields["kind"] in kinds)
            and (roots is None or fields.get("root") in roots)
        )

    return wanted
