"""Content hashes of one file, taken piece by piece."""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import os
import random
import threading
from collections.abc import Iterator
from typing import BinaryIO

import pytest
import xxhash
from blake3 import blake3

from scanner.core.digests import ALGORITHMS, BLAKE3, SHA256, XXH3
from scanner.disk import content_hash
from scanner.disk.content_hash import hash_piece
from scanner.disk.hash_feed import BLOCK, BUFFERS
from scanner.workers.requests import Failed, HashPiece
from scanner.workers.worker import perform
from tests.support.fakes import FakeFileSystem

BOTH = (XXH3, SHA256)


def digests(data: bytes, algorithms: tuple[str, ...] = BOTH) -> dict[str, bytes]:
    all_of_them = {
        XXH3: xxhash.xxh3_128(data).digest(),
        SHA256: hashlib.sha256(data).digest(),
        BLAKE3: blake3(data).digest(),
    }
    return {name: all_of_them[name] for name in algorithms}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert [thread for thread in threading.enumerate() if thread not in before] == []


def test_pieces_come_to_the_hashes_of_the_whole_file() -> None:
    files = FakeFileSystem()
    data = os.urandom(2 * BLOCK + 17)
    files.write("/f", data)
    pieces = [hash_piece(files, "/f", 1, BOTH, 1, 0.0) for _ in range(3)]
    assert [piece.done for piece in pieces] == [BLOCK, 2 * BLOCK, len(data)]
    assert [piece.digests for piece in pieces] == [None, None, digests(data)]


def test_both_hashes_take_one_reading() -> None:
    files = FakeFileSystem()
    files.write("/f", bytes(3 * BLOCK))
    files.bytes_read = 0
    piece = hash_piece(files, "/f", 2, BOTH, 1 << 60, 1e9)
    assert piece.digests == digests(bytes(3 * BLOCK))
    assert files.bytes_read == 3 * BLOCK


@pytest.mark.parametrize("change", ["content", "shorter", "longer"])
def test_a_file_that_changes_between_pieces_has_no_hash(change: str) -> None:
    files = FakeFileSystem()
    files.write("/f", bytes(2 * BLOCK))
    assert hash_piece(files, "/f", 3, BOTH, 1, 0.0).digests is None
    files.advance(1)
    size = {"content": 2, "shorter": 1, "longer": 3}[change] * BLOCK
    files.write("/f", b"x" * size)
    piece = hash_piece(files, "/f", 3, BOTH, 1 << 60, 1e9)
    assert piece.has_changed
    assert piece.digests is None


def replaced_while_hashed(*, has_inodes: bool) -> bool:
    """True if the second piece says so: another file of equal size and mtime has its path."""
    files = FakeFileSystem()
    files.write("/f", bytes(2 * BLOCK), mtime=1)
    assert hash_piece(files, "/f", 5, BOTH, 1, 0.0, has_inodes).digests is None
    files.write("/g", b"x" * 2 * BLOCK, mtime=1)
    files.rename("/g", "/f")
    return hash_piece(files, "/f", 5, BOTH, 1 << 60, 1e9, has_inodes).has_changed


def test_a_file_renamed_over_one_that_is_hashed_is_another_file() -> None:
    assert replaced_while_hashed(has_inodes=True)
    assert not replaced_while_hashed(has_inodes=False)  # numbers there say nothing


def test_no_more_files_are_remembered_than_may_be_under_way() -> None:
    files = FakeFileSystem()
    for number in range(3 * content_hash.MOST_JOBS):
        files.write(f"/{number}", bytes(2 * BLOCK))
        hash_piece(files, f"/{number}", 4, BOTH, 1, 0.0)
    assert len(content_hash._JOBS) == content_hash.MOST_JOBS


# Several hashes at once


SUBSETS = [subset for count in (1, 2, 3) for subset in itertools.combinations(ALGORITHMS, count)]


@pytest.mark.parametrize("algorithms", SUBSETS, ids="+".join)
def test_sizes_around_the_ends_of_blocks(algorithms: tuple[str, ...]) -> None:
    chance = random.Random("+".join(algorithms))
    near = [n * BLOCK + d for n in range(1, BUFFERS + 3) for d in (-1, 0, 1)]
    sizes = [0, 1, *chance.sample(near, 4), chance.randrange(6 * BLOCK)]
    files = FakeFileSystem()
    for size in sizes:
        data = chance.randbytes(size)
        files.write("/f", data)
        files.bytes_read = 0
        most = chance.choice([1, BLOCK + 1, 3 * BLOCK, 1 << 60])
        while True:
            piece = hash_piece(files, "/f", 6, algorithms, most, 1e9)
            assert not piece.has_changed
            if piece.digests is not None:
                break
        assert piece.digests == digests(data, algorithms), size
        assert files.bytes_read == size, "a byte was read twice, or not at all"


class Handle(io.BytesIO):
    """A file that does something before its block number `number`."""

    def __init__(self, data: bytes, number: int) -> None:
        super().__init__(data)
        self._left = number

    def happen(self) -> None:
        raise NotImplementedError

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        self._left -= 1
        if self._left < 0:
            self.happen()
        return super().readinto(buffer)


class Failing(Handle):
    def happen(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


class Shrinking(Handle):
    def happen(self) -> None:
        self.seek(0, os.SEEK_END)


class OneFile(FakeFileSystem):
    """Has one file, opened as a handle of the given kind."""

    def __init__(self, kind: type[Handle], blocks: int, number: int) -> None:
        super().__init__()
        self.data = os.urandom(blocks * BLOCK)
        self.write("/f", self.data)
        self.write("/g", self.data)
        self.kind = kind
        self.number = number

    def open(self, path: str) -> BinaryIO:
        return self.kind(self.data, self.number) if path == "/f" else super().open(path)


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_read_error_in_the_middle_ends_this_file_only(number: int) -> None:
    files = OneFile(Failing, 6, number)
    with pytest.raises(OSError, match="Input/output error"):
        hash_piece(files, "/f", 7, ALGORITHMS, 1 << 60, 1e9)
    piece = hash_piece(files, "/g", 7, ALGORITHMS, 1 << 60, 1e9)
    assert piece.digests == digests(files.data, ALGORITHMS)


def test_a_file_that_shrinks_in_the_middle_has_no_hash() -> None:
    files = OneFile(Shrinking, 6, 3)
    piece = hash_piece(files, "/f", 8, ALGORITHMS, 1 << 60, 1e9)
    assert piece.has_changed
    assert piece.digests is None
    assert piece.done == 3 * BLOCK


class Broken:
    """A hash that cannot take its second block."""

    def __init__(self) -> None:
        self._left = 1

    def update(self, data: memoryview, /) -> None:
        self._left -= 1
        if self._left < 0:
            raise MemoryError("no memory for a hash")

    def digest(self) -> bytes:
        raise AssertionError("it was asked for")


@pytest.mark.parametrize("broken", ALGORITHMS)
@pytest.mark.parametrize("blocks", [2, 9])
def test_a_hash_that_fails_ends_this_file_only(
    monkeypatch: pytest.MonkeyPatch, broken: str, blocks: int
) -> None:
    files = FakeFileSystem()
    data = os.urandom(blocks * BLOCK)
    files.write("/f", data)
    new = content_hash._new
    monkeypatch.setattr(
        content_hash, "_new", lambda name: Broken() if name == broken else new(name)
    )
    request = HashPiece("/f", 9, ALGORITHMS, 1 << 60, 1e9, False)
    assert perform(files, request) == Failed("/f", 0, "MemoryError: no memory for a hash")
    monkeypatch.undo()
    piece = hash_piece(files, "/f", 9, ALGORITHMS, 1 << 60, 1e9)
    assert piece.digests == digests(data, ALGORITHMS)


class Slow:
    """A hash that waits to be let on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()

    def update(self, data: memoryview, /) -> None:
        assert self.may_go_on.wait(60)

    def digest(self) -> bytes:
        return b"slow"


def test_reading_does_not_run_ahead_of_a_slow_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is that of a few blocks, however large the file is."""
    files = FakeFileSystem()
    files.write("/f", bytes(20 * BLOCK))
    files.bytes_read = 0
    slow = Slow()
    monkeypatch.setattr(content_hash, "_new", lambda name: slow)
    pieces: list[content_hash.Piece] = []
    reader = threading.Thread(
        target=lambda: pieces.append(hash_piece(files, "/f", 10, (SHA256,), 1 << 60, 1e9))
    )
    reader.start()
    try:
        reader.join(0.5)
        assert reader.is_alive()
        assert files.bytes_read == BUFFERS * BLOCK
    finally:
        slow.may_go_on.set()
        reader.join()
    assert pieces[0].digests == {SHA256: b"slow"}
    assert files.bytes_read == 20 * BLOCK


def test_a_small_file_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: threading.Thread) -> None:
        raise AssertionError("a thread for one block")

    monkeypatch.setattr(threading.Thread, "start", refused)
    files = FakeFileSystem()
    files.write("/f", bytes(BLOCK))
    piece = hash_piece(files, "/f", 11, ALGORITHMS, 1 << 60, 1e9)
    assert piece.digests == digests(bytes(BLOCK), ALGORITHMS)
