"""A stream that neither stops nor fails the program."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from scanner.console.relay import MOST_PENDING, PATIENCE, Relay


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def read_all(descriptor: int, until: bytes) -> bytes:
    data = b""
    while until not in data:
        data += os.read(descriptor, 1 << 16)
    return data


def test_what_is_read_is_out_when_write_returns(pipe: tuple[int, int]) -> None:
    relay = Relay(pipe[1])
    for number in range(100):
        line = f"line {number}\n".encode()
        assert relay.write(line) == len(line)
        assert os.read(pipe[0], 100) == line


def test_a_pipe_that_nobody_reads_stops_nothing_and_is_bounded(pipe: tuple[int, int]) -> None:
    relay = Relay(pipe[1])
    started = time.monotonic()
    line = b"x" * 999 + b"\n"
    for _ in range(2 * MOST_PENDING // len(line)):
        relay.write(line)
    assert not relay.drain(0.01)
    assert time.monotonic() - started < PATIENCE + 1.5
    data = read_all(pipe[0], b"messages were dropped: nobody read them)\n")
    assert data.count(line) < 1.2 * MOST_PENDING / len(line)
    assert relay.drain(5)
    relay.write(b"again\n")
    assert read_all(pipe[0], b"again\n").endswith(b"again\n"), "it recovers"


def test_errors_are_reported_once_in_a_row(pipe: tuple[int, int]) -> None:
    errors: list[OSError] = []
    relay = Relay(pipe[1], errors.append)
    os.close(pipe[0])
    for _ in range(3):
        assert relay.write(b"lost\n") == 5
    assert [type(error) for error in errors] == [BrokenPipeError]
    assert relay.drain(1)
