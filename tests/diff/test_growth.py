"""Growing files: which changes wait until the file rests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.core.memory import Unsettled
from scanner.core.snapshot import DIRECTORY, FILE, FILE_LINK, Entry
from scanner.diff.compare import Delta
from scanner.diff.growth import Growth, find_growing
from tests.support.world import World, at, content

NOW, EVERY = 10_000, 600


def judge(
    delta: Delta,
    before: dict[str, Unsettled] | None = None,
    *,
    unfinished: tuple[str, ...] = (),
    was_unfinished: tuple[str, ...] = (),
    moved: tuple[str, ...] = (),
    was_walked: Callable[[str], bool] = lambda path: True,
) -> Growth:
    return find_growing(
        delta,
        before or {},
        unfinished=unfinished,
        was_unfinished=was_unfinished,
        moved=moved,
        was_walked=was_walked,
        now=NOW,
        every=EVERY,
    )


def modified(size: int, mtime: int, letter: str = FILE) -> Delta:
    return Delta(modified={"/x": (Entry("/x", letter, 1, 1), Entry("/x", letter, size, mtime))})


RECENT, LONG_AGO, LATER = NOW - EVERY + 1, NOW - EVERY, NOW + 1


@pytest.mark.parametrize(
    ("seen", "size", "mtime", "is_growing", "then"),
    [
        # the first change is told, and remembered
        (None, 20, 2, False, Unsettled(20, 2, NOW)),
        # changed again, larger, in time alone or smaller: waits, its last line stays
        (Unsettled(10, 1, RECENT), 20, 2, True, Unsettled(20, 2, RECENT)),
        (Unsettled(20, 1, RECENT), 20, 2, True, Unsettled(20, 2, RECENT)),
        (Unsettled(30, 1, RECENT), 20, 2, True, Unsettled(20, 2, RECENT)),
        # rests: told with what it has become, and forgotten
        (Unsettled(20, 2, RECENT), 20, 2, False, None),
        # due again although it still grows
        (Unsettled(10, 1, LONG_AGO), 20, 2, False, Unsettled(20, 2, NOW)),
        # the clock was set back: a line too many is better than none for as long
        (Unsettled(10, 1, LATER), 20, 2, False, Unsettled(20, 2, NOW)),
    ],
)
def test_a_file_that_changed_again_waits(
    seen: Unsettled | None, size: int, mtime: int, is_growing: bool, then: Unsettled | None
) -> None:
    growth = judge(modified(size, mtime), {"/x": seen} if seen else {})
    assert growth.growing == ({"/x"} if is_growing else set())
    assert growth.unsettled.get("/x") == then


@pytest.mark.parametrize(
    ("seen", "size", "mtime", "is_growing", "then"),
    [
        # told when it changes for the first time, and remembered
        (None, 20, 2, False, Unsettled(20, 2, NOW)),
        # whatever of it differs, it waits: larger, at rest, its time alone, smaller
        (Unsettled(10, 1, RECENT), 20, 2, True, Unsettled(20, 2, RECENT)),
        (Unsettled(20, 2, RECENT), 20, 2, True, Unsettled(20, 2, RECENT)),
        (Unsettled(20, 1, RECENT), 20, 2, True, Unsettled(20, 2, RECENT)),
        (Unsettled(30, 1, RECENT), 20, 2, True, Unsettled(20, 2, RECENT)),
        # due, growing or at rest: told, and the next line is due as much later
        (Unsettled(10, 1, LONG_AGO), 20, 2, False, Unsettled(20, 2, NOW)),
        (Unsettled(20, 2, LONG_AGO), 20, 2, False, Unsettled(20, 2, NOW)),
        (Unsettled(10, 1, LATER), 20, 2, False, Unsettled(20, 2, NOW)),
    ],
)
@pytest.mark.parametrize("was_unfinished", [(), ("/x",)])
def test_unfinished_download_waits_whatever_differs(
    seen: Unsettled | None,
    size: int,
    mtime: int,
    is_growing: bool,
    then: Unsettled | None,
    was_unfinished: tuple[str, ...],
) -> None:
    before = {"/x": seen} if seen else {}
    growth = judge(modified(size, mtime), before, unfinished=("/x",), was_unfinished=was_unfinished)
    assert growth.growing == ({"/x"} if is_growing else set())
    assert growth.unsettled == {"/x": then}


@pytest.mark.parametrize(
    ("seen", "then"),
    [
        (Unsettled(10, 1, RECENT), {"/x": Unsettled(20, 2, NOW)}),
        (Unsettled(20, 1, RECENT), {"/x": Unsettled(20, 2, NOW)}),
        (Unsettled(20, 2, RECENT), {}),
    ],
)
def test_download_that_became_whole_is_told_at_once(
    seen: Unsettled, then: dict[str, Unsettled]
) -> None:
    growth = judge(modified(20, 2), {"/x": seen}, was_unfinished=("/x",))
    assert growth.growing == set()
    assert growth.unsettled == then


@pytest.mark.parametrize(("reported", "is_kept"), [(RECENT, True), (LONG_AGO, False)])
def test_download_that_rests_is_remembered_until_its_next_line_is_due(
    reported: int, is_kept: bool
) -> None:
    before = {"/x": Unsettled(10, 1, reported)}
    assert judge(Delta(), before, unfinished=("/x",)).unsettled == (before if is_kept else {})
    assert judge(Delta(), before, was_unfinished=("/x",)).unsettled == {}


def test_download_whose_move_is_told_does_not_wait() -> None:
    before = {"/x": Unsettled(10, 1, RECENT)}
    growth = judge(modified(20, 2), before, unfinished=("/x",), moved=("/x",))
    assert growth.growing == set()
    assert growth.unsettled == {"/x": Unsettled(20, 2, NOW)}


def test_deleted_download_is_forgotten() -> None:
    gone = Delta(deleted={"/x": Entry("/x", FILE, 10, 1)})
    before = {"/x": Unsettled(10, 1, RECENT)}
    assert judge(gone, before, unfinished=("/x",), was_unfinished=("/x",)).unsettled == {}


def test_created_files_and_links_to_files_may_still_grow() -> None:
    entries = (Entry("/f", FILE, 1, 2), Entry("/l", FILE_LINK, 3, 4), Entry("/d", DIRECTORY, 0, 0))
    growth = judge(Delta(created={entry.path: entry for entry in entries}))
    assert growth.unsettled == {"/f": Unsettled(1, 2, NOW), "/l": Unsettled(3, 4, NOW)}
    assert growth.growing == set()


def test_file_whose_move_is_told_does_not_wait() -> None:
    growth = judge(modified(20, 2), {"/x": Unsettled(10, 1, RECENT)}, moved=("/x",))
    assert growth.growing == set()
    assert growth.unsettled == {"/x": Unsettled(20, 2, NOW)}


def test_unchanged_file_is_settled() -> None:
    assert judge(Delta(), {"/x": Unsettled(10, 1, RECENT)}).unsettled == {}


def test_file_that_was_not_walked_stays_as_it_was() -> None:
    before = {"/x": Unsettled(10, 1, RECENT), "/y": Unsettled(10, 1, RECENT)}
    growth = judge(Delta(), before, was_walked=lambda path: path != "/x")
    assert growth.unsettled == {"/x": before["/x"]}
    dropped = Delta(deleted={"/x": Entry("/x", FILE, 10, 1)})
    assert judge(dropped, before, was_walked=lambda path: False).unsettled == {"/y": before["/y"]}


@pytest.mark.parametrize("unfinished", [(), ("/x",)])
def test_a_change_of_type_is_told_at_once(unfinished: tuple[str, ...]) -> None:
    delta = Delta(modified={"/x": (Entry("/x", FILE, 1, 1), Entry("/x", FILE_LINK, 50, 2))})
    growth = judge(delta, {"/x": Unsettled(1, 1, RECENT)}, unfinished=unfinished)
    assert growth.growing == set()


# In a whole pass


def test_a_copy_that_has_its_full_size_at_once_is_told_when_it_rests(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.write(at("ComfyUI/models/keep"), b"1")
    world.scan()
    copy = at("ComfyUI/models/full.safetensors")
    world.files.write(copy, bytes(1000))
    assert world.scan() == [("created", "ComfyUI/models/full.safetensors")]
    for _ in range(5):
        world.files.touch(copy)
        assert world.scan() == []
    assert world.entry("full.safetensors")["status"] == "unsettled"
    assert world.scan() == [("modified", "ComfyUI/models/full.safetensors")]
    assert world.scan() == []


def test_a_file_that_is_always_touched_has_a_line_every_ten_minutes(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.write(at("ComfyUI/models/log"), b"1")
    world.scan()
    lines = 0
    for _ in range(60):
        world.files.touch(at("ComfyUI/models/log"))
        lines += len(world.scan(reads=False))
    assert 3 <= lines <= 4  # 60 scans of 30 s


def test_a_file_that_becomes_a_link_is_told_in_that_scan(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.write(at("ComfyUI/models/keep"), bytes(50))
    world.scan()
    world.files.write(at("ComfyUI/models/x.tmp"), b"1")
    world.scan()
    world.files.remove(at("ComfyUI/models/x.tmp"))
    world.files.symlink(at("ComfyUI/models/keep"), at("ComfyUI/models/x.tmp"))
    assert world.scan() == [("modified", "ComfyUI/models/x.tmp")]
    assert world.project()[at("ComfyUI/models/x.tmp")][:2] == ("symlink", 50)


def test_last_file_of_a_copied_folder_is_told_whole_with_the_folders_move(tmp_path: Path) -> None:
    """A move to another disk: all files are copied, then the old folder goes. Between two scans
    the last file became whole: `World.scan` replays the lines of each."""
    world = World(tmp_path)
    old, new = "Downloads/pack", "ComfyUI/models/loras/pack"
    for number in range(4):
        world.files.write(at(f"{old}/f{number}"), content(f"f{number}"))
    world.scan()
    for number in range(4):
        whole = content(f"f{number}")
        world.files.write(at(f"{new}/f{number}"), whole if number < 3 else whole[:400])
    world.scan()
    world.files.write(at(f"{new}/f3"), content("f3"))
    world.files.remove(at(old))
    assert ("moved", old, new) in world.scan()
    assert world.project()[at(f"{new}/f3")][1] == len(content("f3"))
