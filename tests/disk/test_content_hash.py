"""Content hashes of one file, taken piece by piece."""

from __future__ import annotations

import hashlib
import os

import pytest
import xxhash

from scanner.core.digests import SHA256, XXH3
from scanner.disk import content_hash
from scanner.disk.content_hash import BLOCK, hash_piece
from tests.support.fakes import FakeFileSystem

BOTH = (XXH3, SHA256)


def digests(data: bytes) -> dict[str, bytes]:
    return {XXH3: xxhash.xxh3_128(data).digest(), SHA256: hashlib.sha256(data).digest()}


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
