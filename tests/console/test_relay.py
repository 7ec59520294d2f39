"""A stream that neither stops nor fails the program."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

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


def test_a_new_row_of_errors_is_reported_again(pipe: tuple[int, int]) -> None:
    """The place to write to is asked for before each write: a log file may be rotated."""
    errors: list[OSError] = []
    reader, lost = os.pipe()
    os.close(reader)
    places = [lost]
    relay = Relay(pipe[1], errors.append, lambda descriptor: places[-1])
    for place, wanted in ((lost, 1), (pipe[1], 1), (lost, 2), (lost, 2)):
        places.append(place)
        relay.write(b"line\n")
        assert len(errors) == wanted
    assert os.read(pipe[0], 100) == b"line\n"
    os.close(lost)


def test_a_stream_that_does_not_wait_gets_all_of_it(pipe: tuple[int, int]) -> None:
    errors: list[OSError] = []
    os.set_blocking(pipe[1], False)
    relay = Relay(pipe[1], errors.append)
    data = b"".join(b"%07d\n" % number for number in range(MOST_PENDING // 16))
    relay.write(data + b"end")
    assert read_all(pipe[0], b"end") == data + b"end"
    assert errors == []


def fill(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe[1], b"x" * 4096)
    os.set_blocking(pipe[1], True)


def test_it_waits_again_once_all_is_out(pipe: tuple[int, int]) -> None:
    relay = Relay(pipe[1])
    fill(pipe)
    relay.write(b"late\n")
    read_all(pipe[0], b"late\n")
    assert relay.drain(5)
    fill(pipe)
    reader = threading.Timer(PATIENCE / 4, read_all, (pipe[0], b"again\n"))
    reader.start()
    relay.write(b"again\n")
    assert relay.drain(0)
    reader.join()
