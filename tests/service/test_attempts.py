"""When a file that could not be read is tried again."""

from __future__ import annotations

import math

import pytest

from scanner.disk.mounts import Mount
from scanner.service.attempts import Attempts


@pytest.mark.parametrize(
    ("retry_after", "size", "mtime", "now", "is_given_up"),
    [
        (600.0, 5, 7, 100.0, True),
        (600.0, 5, 7, 699.9, True),
        (600.0, 5, 7, 700.0, False),
        (600.0, 6, 7, 100.0, False),
        (600.0, 5, 8, 100.0, False),
        (math.inf, 5, 7, 1e9, True),
        (math.inf, 5, 8, 100.0, False),
    ],
)
def test_a_file_that_failed_is_given_up_for_a_while_unless_it_changes(
    retry_after: float, size: int, mtime: int, now: float, is_given_up: bool
) -> None:
    attempts = Attempts(retry_after)
    attempts.failed("/f", 5, 7, 100.0)
    assert attempts.is_given_up("/f", size, mtime, now) == is_given_up
    assert not attempts.is_given_up("/g", size, mtime, now)
    attempts.begin()
    assert attempts.is_given_up("/f", size, mtime, now) == is_given_up


def test_a_mount_that_did_not_answer_is_asked_again_by_the_next_run() -> None:
    attempts = Attempts()
    attempts.silent.add(Mount("/", "cifs", "//nas/share"))
    attempts.unanswered("/f")
    attempts.failed("/g", 5, 7, 100.0)
    assert attempts.is_unanswered("/f")
    assert attempts.unreadable == ["/f", "/g"]
    attempts.begin()
    assert not attempts.is_unanswered("/f")
    assert (attempts.unreadable, attempts.silent) == ([], set())
