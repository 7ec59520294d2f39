"""Nobody waits for a write that does not end."""

from __future__ import annotations

import logging
import threading

import pytest

from scanner.errors import OutputError
from scanner.store.errands import Errand
from tests.support.machine import wait_for


class Write:
    """A write that ends when the test says so."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_end = threading.Event()
        self.began = threading.Event()
        self._error = error

    def __call__(self) -> bool:
        self.began.set()
        self.may_end.wait(20)
        if self._error is not None:
            raise self._error
        return True


def failing() -> bool:
    raise OutputError("full")


def errand(patience: float | None = 0.05, stall_after: float = 0.0) -> Errand:
    made = Errand("list", stall_after)
    made.patience = patience
    return made


@pytest.mark.parametrize("patience", [None, 5.0])
def test_write_that_ends_has_its_result_and_its_error(patience: float | None) -> None:
    some = errand(patience)
    assert some.run(lambda: True)
    assert not some.run(lambda: False)
    with pytest.raises(OutputError, match="full"):
        some.run(failing)
    assert some.run(lambda: True)
    assert not some.is_late


def test_write_that_hangs_is_left_until_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    some, write, later = errand(), Write(), Write()
    later.may_end.set()
    with caplog.at_level(logging.INFO, "scanner"):
        assert not some.run(write)
        assert some.is_late
        for _ in range(3):
            assert not some.run(later)
        assert not later.began.is_set()
        write.may_end.set()
        wait_for(lambda: not some.is_late, "the end of the write")
        some.patience = 5.0
        assert some.run(later)
    messages = [record.getMessage() for record in caplog.records]
    assert [message[:22] for message in messages] == [
        "The list cannot be wri",
        "The list could be writ",
    ]


def test_long_write_is_not_called_a_hang(caplog: pytest.LogCaptureFixture) -> None:
    some, write = errand(stall_after=60.0), Write()
    assert not some.run(write)
    assert not some.run(write)
    write.may_end.set()
    wait_for(lambda: not some.is_late, "the end of the write")
    assert not caplog.records


def test_error_of_a_write_that_nobody_waits_for_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    some, write = errand(stall_after=60.0), Write(OutputError("full"))
    assert not some.run(write)
    write.may_end.set()
    wait_for(lambda: caplog.records, "the message")
    assert [record.getMessage() for record in caplog.records] == ["full"]


def test_second_caller_waits_for_its_turn() -> None:
    some, write = errand(20.0), Write()
    results: list[bool] = []
    first = threading.Thread(target=lambda: results.append(some.run(write)))
    first.start()
    write.began.wait(20)
    second = threading.Thread(target=lambda: results.append(some.run(lambda: True)))
    second.start()
    write.may_end.set()
    first.join(20)
    second.join(20)
    assert results == [True, True]


def test_write_without_a_thread_keeps_nobody_from_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    some = errand(5.0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            some.run(lambda: True)
    some.patience = 0.05
    assert some.run(lambda: True)
