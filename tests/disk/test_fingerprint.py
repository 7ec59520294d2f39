"""Fingerprints: what the samples cover, what they cost, and that they stay what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.core.digests import ALGORITHM, WHOLE
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.fingerprint import SAMPLE, SAMPLES, sample_plan, take_fingerprint
from tests.support.fakes import FakeFileSystem

SIZES = st.one_of(
    st.integers(0, 3 * WHOLE),
    st.integers(0, 2**45),
    st.sampled_from([WHOLE - 1, WHOLE, WHOLE + 1, 2**40 + 1]),
)
LARGE = st.integers(WHOLE + 1, 2**45)


def fingerprint(content: bytes) -> bytes:
    files = FakeFileSystem()
    files.write("/x", content)
    sampled = take_fingerprint(files, "/x")
    assert sampled is not None
    return sampled.fingerprint


def pattern(size: int) -> bytes:
    """Bytes that no two runs share."""
    return hashlib.shake_128(b"comfy-inventory").digest(size)


# The plan


@given(SIZES)
def test_samples_lie_within_the_file_in_order_and_apart(size: int) -> None:
    end = 0
    for offset, length in sample_plan(size):
        assert offset >= end
        assert length > 0
        end = offset + length
    assert end == size  # the last one ends where the file does


@given(SIZES.filter(bool))
def test_first_sample_is_the_start(size: int) -> None:
    assert sample_plan(size)[0][0] == 0


@given(SIZES)
def test_a_fingerprint_costs_at_most_256_kib_and_32_reads(size: int) -> None:
    plan = sample_plan(size)
    assert sum(length for _, length in plan) <= 256 * 1024
    assert len(plan) <= 32


@given(st.integers(1, WHOLE))
def test_small_files_are_read_whole(size: int) -> None:
    assert sample_plan(size) == [(0, size)]


def test_empty_file_is_not_read() -> None:
    assert sample_plan(0) == []


@given(LARGE, st.data())
def test_every_run_longer_than_a_31st_of_the_file_is_met(size: int, data: st.DataObject) -> None:
    length = size // (SAMPLES - 1) + 1
    start = data.draw(st.integers(0, size - length))
    assert any(
        offset < start + length and start < offset + SAMPLE for offset, _ in sample_plan(size)
    )


@given(LARGE)
def test_gaps_between_samples_are_equal(size: int) -> None:
    offsets = [offset for offset, _ in sample_plan(size)]
    gaps = {after - before for before, after in pairwise(offsets)}
    assert max(gaps) - min(gaps) <= 1


# A change of plan must not pass for a change of files: stored fingerprints would all differ.


def test_plan_and_hash_are_those_that_stored_fingerprints_were_taken_with() -> None:
    """Where this fails on purpose, `ALGORITHM` needs a new name as well."""
    assert ALGORITHM == "xxh3_128s"
    assert (WHOLE, SAMPLES, SAMPLE) == (262_144, 32, 8192)
    assert sample_plan(7_000_000_000)[:3] == [(0, 8192), (225_806_187, 8192), (451_612_374, 8192)]
    assert sample_plan(7_000_000_000)[-1] == (6_999_991_808, 8192)
    plans = json.dumps([sample_plan(size) for size in (262_145, 10**6, 7 * 10**9, 2**40 + 1)])
    assert hashlib.sha256(plans.encode()).hexdigest()[:16] == "5cfc5d3921061ff4"


@pytest.mark.parametrize(
    ("size", "known"),
    [
        (0, "2c0a8a99dc147d5445c3b49d035665b2"),
        (1, "30f22b2f71689942d3b14818322096ea"),
        (262_144, "d4552b7355284ea3e87c9fae8afeb5a5"),
        (262_145, "500c7f8a21d25444353d2e4bad52f7a1"),
        (1_000_000, "ef64e490f5f5a05b727ba78c2ebbeaef"),
    ],
)
def test_known_content_has_its_known_fingerprint(size: int, known: str) -> None:
    assert fingerprint(pattern(size)).hex() == known


# What it tells apart


@pytest.mark.parametrize("size", [0, 1, 1000, WHOLE, WHOLE + 1, 5 * WHOLE])
def test_equal_content_is_equal_wherever_it_lies_and_whenever_it_was_written(
    tmp_path: Path, size: int
) -> None:
    content = pattern(size)
    (tmp_path / "one").write_bytes(content)
    (tmp_path / "two").write_bytes(content)
    one = take_fingerprint(DiskFileSystem(), str(tmp_path / "one"))
    two = take_fingerprint(DiskFileSystem(), str(tmp_path / "two"))
    assert one is not None
    assert two is not None
    assert one.fingerprint == two.fingerprint == fingerprint(content)
    assert (one.size, one.mtime) == (size, (tmp_path / "one").stat().st_mtime_ns)


def test_size_alone_makes_a_difference() -> None:
    assert fingerprint(b"") != fingerprint(b"\0")
    assert fingerprint(bytes(WHOLE * 2)) != fingerprint(bytes(WHOLE * 2 + 1))


@pytest.mark.parametrize("offset", [0, 1, 499, 999])
def test_one_byte_of_a_small_file_makes_a_difference(offset: int) -> None:
    content = bytearray(pattern(1000))
    content[offset] ^= 1
    assert fingerprint(bytes(content)) != fingerprint(pattern(1000))


def safetensors(tensors: dict[str, bytes]) -> bytes:
    """A file as safetensors writes it: length of the header, header, tensors one by one."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, data in tensors.items():
        span = [start, start + len(data)]
        header[name] = {"dtype": "F16", "shape": [len(data) // 2], "data_offsets": span}
        start += len(data)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())


@pytest.mark.parametrize("part", [0, 7, 15, 24])
def test_models_of_one_architecture_differ_by_one_part_of_their_weights(part: int) -> None:
    """Same size, same header, and 24 of 25 tensors alike: a checkpoint with another VAE in it."""
    tensors = {f"layer.{index}.weight": pattern(100_000) for index in range(25)}
    tuned = {**tensors, f"layer.{part}.weight": pattern(200_000)[100_000:]}
    one, other = safetensors(tensors), safetensors(tuned)
    assert len(one) == len(other)
    assert one[:1000] == other[:1000]
    assert fingerprint(one) != fingerprint(other)


# Files that change meanwhile


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.write("/x", b"grown" * 100_001),
        lambda files: files.write("/x", b"short"),
        lambda files: files.write("/x", b""),
        lambda files: (files.advance(1), files.touch("/x")),
    ],
    ids=["grown", "shrunk", "emptied", "touched"],
)
def test_file_that_changes_while_it_is_read_has_no_fingerprint(
    change: Callable[[FakeFileSystem], object],
) -> None:
    files = FakeFileSystem()
    files.write("/x", b"value" * 100_000)

    def meanwhile() -> None:
        change(files)
        files.faults.clear()

    files.faults["open", "/x"] = meanwhile
    assert take_fingerprint(files, "/x") is None
    assert take_fingerprint(files, "/x") is not None


def test_file_that_goes_while_it_is_read_raises() -> None:
    files = FakeFileSystem()
    files.write("/x", b"1")
    files.faults["open", "/x"] = lambda: (files.remove("/x"), None)[1]
    with pytest.raises(FileNotFoundError):
        take_fingerprint(files, "/x")


# Reading


def test_short_reads_give_the_same_fingerprint() -> None:
    class Slow(FakeFileSystem):
        """Gives at most 1000 bytes at a time, as a file without a buffer may."""

        def open(self, path: str) -> BinaryIO:
            file = super().open(path)
            read = file.read
            file.read = lambda size=-1: read(min(size, 1000))  # type: ignore[method-assign]
            return file

    files = Slow()
    files.write("/x", pattern(WHOLE + 1))
    sampled = take_fingerprint(files, "/x")
    assert sampled is not None
    assert sampled.fingerprint == fingerprint(pattern(WHOLE + 1))


def test_of_a_large_file_only_the_samples_are_read() -> None:
    files = FakeFileSystem()
    files.write("/x", bytes(10 * WHOLE))
    take_fingerprint(files, "/x")
    assert files.bytes_read == SAMPLES * SAMPLE
    assert files.calls["open"] == 1
