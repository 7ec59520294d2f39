"""When a file that could not be read is tried again."""

from __future__ import annotations

import pytest

from scanner.core.snapshot import FILE, Directory, Row, listing_of
from scanner.disk.mounts import Mount
from scanner.service.attempts import Attempts

LISTED = {"/": Directory(listing_of([Row("f", FILE, 5, 7, 1)]))}


@pytest.mark.parametrize(
    ("size", "mtime", "now", "is_given_up"),
    [
        (5, 7, 100.0, True),
        (5, 7, 699.9, True),
        (5, 7, 700.0, False),
        (6, 7, 100.0, False),
        (5, 8, 100.0, False),
    ],
)
def test_a_file_that_failed_is_given_up_for_a_while_unless_it_changes(
    size: int, mtime: int, now: float, is_given_up: bool
) -> None:
    attempts = Attempts()
    attempts.failed("/f", 5, 7, 100.0)
    assert attempts.is_given_up("/f", size, mtime, now) == is_given_up
    assert not attempts.is_given_up("/g", size, mtime, now)
    attempts.begin(LISTED)
    assert attempts.is_given_up("/f", size, mtime, now) == is_given_up


def test_a_file_that_fails_again_and_again_is_tried_ever_less_often() -> None:
    attempts, now, waits = Attempts(), 0.0, []
    for _ in range(10):
        attempts.failed("/f", 5, 7, now)
        wait = 600
        while attempts.is_given_up("/f", 5, 7, now + wait):
            wait += 600
        waits.append(wait)
        now += wait
    assert waits[:4] == [600, 1200, 2400, 4800]
    assert waits[-1] == 86400
    attempts.failed("/f", 6, 7, now)
    assert not attempts.is_given_up("/f", 6, 7, now + 600)


def test_a_mount_that_did_not_answer_is_asked_again_by_the_next_run() -> None:
    attempts = Attempts()
    attempts.silent.add(Mount("/", "cifs", "//nas/share"))
    attempts.unanswered("/f")
    attempts.failed("/g", 5, 7, 100.0)
    assert attempts.is_unanswered("/f")
    assert attempts.unreadable == ["/f", "/g"]
    attempts.begin(LISTED)
    assert not attempts.is_unanswered("/f")
    assert (attempts.unreadable, attempts.silent) == ([], set())


def test_files_that_are_listed_no_more_are_forgotten() -> None:
    """Their names may never come again, and a program runs for years."""
    attempts = Attempts()
    for path in ("/f", "/gone", "/folder that is gone/f"):
        attempts.failed(path, 5, 7, 100.0)
    attempts.begin(LISTED)
    assert [path for path, _, _ in attempts.given_up()] == ["/f"]
