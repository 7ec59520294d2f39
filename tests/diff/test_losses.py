"""Deletions that look like a lost mount are held back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from scanner.core.changes import DELETED, Change
from scanner.core.memory import HELD, LOSS, Hold
from scanner.diff.losses import Limits, Loss, Verdict, covering, hold_back, is_due, suspicious
from scanner.walk.health import Moment
from tests.support.world import DOWNLOADS, World, at, content

# Loss holds

LIMITS = Limits(fraction=0.5, files=20)
START = Moment(wall=1_000 * 10**9, monotonic=100.0, interval=30.0)


def later(seconds: float, wall: float | None = None) -> Moment:
    shift = seconds if wall is None else wall
    return Moment(START.wall + int(shift * 1e9), START.monotonic + seconds, START.interval)


def gone(numbers: Iterable[int], kind: str = "file") -> list[Change]:
    prefix = "f" if kind == "file" else "d"
    return [Change(DELETED, kind, f"/r/{prefix}{n:03}", "r", 10) for n in numbers]


def paths(numbers: Iterable[int]) -> frozenset[str]:
    return frozenset(f"/r/f{n:03}" for n in numbers)


def loss(deletions: list[Change], known: int, *, empty: bool = False, only: bool = False) -> Loss:
    return Loss("r", deletions, known, empty, only)


@pytest.mark.parametrize(
    ("lost", "known", "empty", "is_held"),
    [
        (0, 100, False, False),
        (1, 100, False, False),
        (50, 100, False, False),  # half is not more than half
        (51, 100, False, True),
        (10, 20, False, False),
        (11, 20, False, True),
        (19, 19, False, False),  # few files: people do delete those
        (18, 19, False, False),
        (20, 20, False, True),
        (1, 1, True, True),  # a folder that lists empty is held however few it held
        (19, 19, True, True),
        (3, 100, True, True),
    ],
)
def test_more_than_half_of_twenty_or_all_are_held(
    lost: int, known: int, empty: bool, is_held: bool
) -> None:
    verdict = hold_back(loss(gone(range(lost)), known, empty=empty), None, LIMITS, START)
    assert verdict.held == (paths(range(lost)) if is_held else frozenset())
    assert (verdict.hold is not None) is is_held


def test_directories_alone_are_no_loss() -> None:
    directories = gone(range(30), "directory")
    for empty in (False, True):
        assert hold_back(loss(directories, 0, empty=empty), None, LIMITS, START) == Verdict(
            frozenset(), None
        )


def test_hold_keeps_directories_with_their_files_and_counts_files() -> None:
    verdict = hold_back(
        loss(gone(range(30)) + gone(range(5), "directory"), 30), None, LIMITS, START
    )
    assert len(verdict.held) == 35
    assert verdict.hold is not None
    assert (verdict.hold.files, verdict.hold.bytes, verdict.hold.kind) == (30, 300, LOSS)
    assert (verdict.hold.since, verdict.hold.started) == (START.wall, START.monotonic)


def test_limits_decide() -> None:
    some = loss(gone(range(30)), 40)
    assert hold_back(some, None, Limits(0.9, 20), START).hold is None
    assert hold_back(some, None, Limits(0.5, 41), START).hold is None
    assert hold_back(some, None, Limits(0.7, 40), START).hold is not None


def held(numbers: Iterable[int] = range(30), *, only: bool = False, **values: object) -> Hold:
    verdict = hold_back(loss(gone(numbers), 40, empty=only, only=only), None, LIMITS, START)
    assert verdict.hold is not None
    return replace(verdict.hold, **values)  # type: ignore[arg-type]


HELD_SINCE_START = Hold("r", LOSS, START.wall, START.monotonic, frozenset(), 0, 0)


@pytest.mark.parametrize(
    ("started", "moment", "is_lifted"),
    [
        (START.monotonic, later(29.9), False),
        (START.monotonic, later(30), True),
        (START.monotonic, later(300), True),
        # the wall clock has no say while this process runs
        (START.monotonic, later(1, wall=86_400), False),
        (START.monotonic, later(30, wall=-86_400), True),
    ],
)
def test_hold_is_lifted_one_interval_later(
    started: float | None, moment: Moment, is_lifted: bool
) -> None:
    assert is_due(replace(HELD_SINCE_START, started=started), moment) is is_lifted
    assert not is_due(replace(HELD_SINCE_START, started=started, needs_accept=True), moment)
    verdict = hold_back(loss(gone(range(30)), 40), held(started=started), LIMITS, moment)
    assert verdict.held == (frozenset() if is_lifted else paths(range(30)))
    assert (verdict.hold is None) is is_lifted
    if verdict.hold is not None:
        assert (verdict.hold.since, verdict.hold.started) == (START.wall, started)


@pytest.mark.parametrize(
    ("started", "boot", "monotonic", "is_counted_anew"),
    [
        (100.0, "one", 130.0, False),  # another process, the same boot
        (100.0, "two", 130.0, True),
        (100.0, "two", 10.0, True),
        (None, "", 130.0, True),  # from an older version
        (100.0, "one", 10.0, True),
    ],
)
def test_hold_of_another_boot_is_counted_anew(
    started: float | None, boot: str, monotonic: float, is_counted_anew: bool
) -> None:
    """Whatever the wall clock says, which may have been set meanwhile."""
    moment = Moment(START.wall + 10**18, monotonic, 30.0, "one")
    before = held(started=started, boot=boot)
    verdict = hold_back(loss(gone(range(30)), 40), before, LIMITS, moment)
    assert (verdict.hold is not None) is is_counted_anew
    if verdict.hold is not None:
        assert (verdict.hold.started, verdict.hold.boot) == (monotonic, "one")
        after = replace(moment, monotonic=monotonic + 30)
        assert hold_back(loss(gone(range(30)), 40), verdict.hold, LIMITS, after).hold is None


@pytest.mark.parametrize(
    ("lost", "known", "confirmed", "folders", "expected"),
    [
        (range(30), 40, (), (), range(30)),
        (range(20), 40, (), (), ()),  # half is not more than half
        (range(31), 40, range(20), (), range(20, 31)),  # 11 of the 20 that were left
        (range(25), 40, range(20), (), ()),  # 5 of 20 that were left
        (range(40), 60, range(20), (), ()),  # 20 of 40 that were left
        (range(41), 60, range(20), (), range(20, 41)),
        # a folder of a share lost much, though the share did not
        (range(30), 1000, (), ("/r/f001", "/r/f002"), (1, 2)),
        (range(30), 1000, (), ("/other",), ()),
        ((), 40, (), (), ()),
    ],
)
def test_suspicious_are_all_deletions_of_a_zone_or_those_of_its_folders(
    lost: Iterable[int],
    known: int,
    confirmed: Iterable[int],
    folders: tuple[str, ...],
    expected: Iterable[int],
) -> None:
    found = suspicious(
        replace(loss(gone(lost), known), folders=frozenset(folders)), LIMITS, paths(confirmed)
    )
    assert found == paths(expected)


def test_suspicious_takes_folders_only_with_a_file() -> None:
    folders = gone(range(30), "directory")
    assert not suspicious(loss(folders, 40), LIMITS)
    assert len(suspicious(loss(folders + gone(range(30)), 40), LIMITS)) == 60


@pytest.mark.parametrize(
    ("held_before", "deletions", "stays", "files"),
    [
        (range(30), gone(range(30)), range(30), 30),
        (range(30), gone(range(5)), range(5), 5),  # the others came back
        (range(30), gone(range(25, 40)), range(25, 30), 15),  # what came later is counted only
        (range(30), gone(range(3)) + gone(range(9), "directory"), range(3), 3),
        (range(30), [], (), 0),
    ],
)
def test_hold_covers_what_is_still_gone_and_counts_all_that_it_keeps(
    held_before: Iterable[int], deletions: list[Change], stays: Iterable[int], files: int
) -> None:
    hold = covering(deletions, replace(HELD_SINCE_START, paths=paths(held_before)))
    assert hold == replace(HELD_SINCE_START, paths=paths(stays), files=files, bytes=10 * files)


def test_what_came_back_is_forgotten_and_the_rest_stays_held_until_due() -> None:
    verdict = hold_back(loss(gone(range(5)), 40), held(), LIMITS, later(10))
    assert verdict.held == paths(range(5))
    assert verdict.hold is not None
    assert (verdict.hold.paths, verdict.hold.files) == (paths(range(5)), 5)
    assert hold_back(loss(gone(range(5)), 40), verdict.hold, LIMITS, later(30)).held == frozenset()


def test_all_back_ends_the_hold() -> None:
    assert hold_back(loss([], 40), held(), LIMITS, later(10)) == Verdict(frozenset(), None)


def test_loss_that_spreads_is_held_too_and_judged_by_itself_when_the_hold_is_due() -> None:
    wide = gone(range(80))
    before_due = hold_back(loss(wide, 100), held(), LIMITS, later(10))
    assert before_due.held == paths(range(80))
    assert before_due.hold is not None
    assert before_due.hold.paths == paths(range(30))
    due = hold_back(loss(wide, 100), before_due.hold, LIMITS, later(30))
    assert due.held == paths(range(30, 80))
    assert due.hold is not None
    assert due.hold.since == later(30).wall
    few_more = gone(range(40))
    assert hold_back(loss(few_more, 100), held(), LIMITS, later(30)) == Verdict(frozenset(), None)


def test_new_loss_that_has_nothing_to_do_with_the_hold_is_judged_by_itself() -> None:
    other = gone(range(50, 53))
    assert hold_back(loss(other, 100), held(), LIMITS, later(10)) == Verdict(frozenset(), None)


def test_only_a_person_lifts_what_needs_one() -> None:
    hold = held(only=True)
    assert hold.needs_accept
    emptied = loss(gone(range(30)), 40, empty=True, only=True)
    for moment in (later(30), later(10**6)):
        assert hold_back(emptied, hold, LIMITS, moment).held == paths(range(30))
    by_hand = hold_back(emptied, hold, LIMITS, later(1), accepted=hold.paths)
    assert by_hand == Verdict(frozenset(), None)


def test_remote_root_that_lost_much_but_is_not_empty_needs_nobody() -> None:
    verdict = hold_back(loss(gone(range(30)), 40, only=True), None, LIMITS, START)
    assert verdict.hold is not None
    assert not verdict.hold.needs_accept


def test_accepted_are_the_paths_that_a_person_saw_and_no_others() -> None:
    hold = held()
    verdict = hold_back(loss(gone(range(80)), 100), hold, LIMITS, later(1), accepted=hold.paths)
    assert verdict.held == paths(range(30, 80))
    few_more = hold_back(loss(gone(range(35)), 100), hold, LIMITS, later(1), accepted=hold.paths)
    assert few_more == Verdict(frozenset(), None)


def test_believed_directories_do_not_make_the_root_look_smaller() -> None:
    """45 of 50 files are gone; that 40 folders went before, and were believed, changes nothing."""
    folders = gone(range(40), "directory")
    hold = replace(held(), paths=frozenset(change.path for change in folders))
    verdict = hold_back(loss(gone(range(45)) + folders, 50), hold, LIMITS, later(30))
    assert verdict.held == paths(range(45))


# In a whole pass


def test_what_moved_out_of_a_folder_whose_deletion_is_held_is_in_one_place(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(30):
        world.files.write(at(f"Downloads/pack/f{number:02}"), content(str(number)))
    world.files.write(at("Downloads/other"), b"1")
    world.scan()
    for number in range(5):
        world.files.rename(at(f"Downloads/pack/f{number:02}"), at(f"ComfyUI/models/f{number:02}"))
    world.files.remove(at("Downloads/pack"))
    assert {line[0] for line in world.scan()} == {"moved"}
    assert world.state(DOWNLOADS) == HELD
    assert at("Downloads/pack/f00") not in world.project()
    assert at("Downloads/pack/f05") in world.project()
    assert {line[0] for line in world.scan()} == {"deleted"}
