"""Which deletions and creations are one move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from scanner.core.paths import nearest_above
from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY_LINK,
    FILE_LINK,
    OTHER,
    Entry,
)
from scanner.diff.compare import Delta
from scanner.diff.find_moves import find_moves
from scanner.diff.moved_directories import PROOFS
from scanner.diff.moves import FINGERPRINT, INODE, Moves, Window
from scanner.disk.mounts import Mount
from tests.support.build import by_path
from tests.support.build import file_entry as file
from tests.support.build import fingerprint_of as mark
from tests.support.build import folder_entry as folder
from tests.support.world import World, at, content


class Disk:
    """Answers for fingerprints, and remembers which were asked for."""

    def __init__(self, contents: Mapping[str, str] | None = None) -> None:
        self.contents = contents or {}
        self.asked: list[str] = []

    def __call__(self, entries: Sequence[Entry]) -> dict[str, bytes]:
        self.asked += [entry.path for entry in entries]
        return {
            entry.path: mark(self.contents[entry.path])
            for entry in entries
            if entry.path in self.contents
        }


def found(
    gone: Iterable[Entry] = (),
    arrived: Iterable[Entry] = (),
    *,
    modified: Iterable[tuple[Entry, Entry]] = (),
    gone_before: Iterable[Entry] = (),
    arrived_before: Iterable[Entry] = (),
    disk: Callable[[Sequence[Entry]], Mapping[str, bytes]] | None = None,
) -> Moves:
    delta = Delta(
        created=by_path(*arrived),
        deleted=by_path(*gone),
        modified={new.path: (old, new) for old, new in modified},
    )
    window = Window(by_path(*gone_before), by_path(*arrived_before))
    return find_moves(delta, window, disk or Disk())


def pairs(moves: Moves) -> list[tuple[str, str, str]]:
    """(from, to, evidence), directories with a trailing slash."""
    return sorted(
        [(m.source.path, m.target.path, m.evidence) for m in moves.files]
        + [(m.source.path + "/", m.target.path + "/", m.evidence) for m in moves.directories]
    )


# Evidence


def test_equal_inode_size_and_mtime_are_proof_without_reading() -> None:
    disk = Disk()
    moves = found([file("/a/x", inode=5)], [file("/b/y", inode=5)], disk=disk)
    assert pairs(moves) == [("/a/x", "/b/y", INODE)]
    assert disk.asked == []


@pytest.mark.parametrize(("now", "expected"), [("c", [("/a/x", "/b/y", INODE)]), ("d", [])])
def test_a_known_fingerprint_is_compared_although_the_inode_is_equal(
    now: str, expected: list[tuple[str, str, str]]
) -> None:
    disk = Disk({"/b/y": now})
    moves = found([file("/a/x", "c", inode=5)], [file("/b/y", inode=5)], disk=disk)
    assert pairs(moves) == expected
    assert disk.asked == ["/b/y"]


def test_a_file_that_cannot_be_read_is_not_proven_by_a_used_inode() -> None:
    assert pairs(found([file("/a/x", "c", inode=5)], [file("/b/y", inode=5)])) == []


def test_of_hard_links_each_takes_the_file_of_its_content() -> None:
    gone = [file("/a/x", "c", inode=5), file("/a/z", inode=5)]
    disk = Disk({"/b/y": "d", "/b/x": "c"})
    moves = found(gone, [file("/b/x", inode=5), file("/b/y", inode=5)], disk=disk)
    assert pairs(moves) == [("/a/x", "/b/x", INODE), ("/a/z", "/b/y", INODE)]


def test_a_folder_of_used_inodes_is_no_move() -> None:
    gone = [folder("/a"), file("/a/x", "c", inode=5)]
    disk = Disk({"/b/x": "d"})
    assert pairs(found(gone, [folder("/b"), file("/b/x", inode=5)], disk=disk)) == []


def test_a_whole_download_with_another_fingerprint_is_no_rename() -> None:
    disk = Disk({"/a/x": "d"})
    gone = file("/a/x.crdownload", "c", inode=5)
    assert pairs(found([gone], [file("/a/x", inode=5)], disk=disk)) == []


@pytest.mark.parametrize(
    "arrived",
    [
        file("/b/y", inode=6),
        file("/b/y", inode=5, size=11),
        file("/b/y", inode=5, mtime=2),
        file("/b/y", inode=5)._replace(device=2),
        Entry("/b/y", FILE_LINK, 10, 1, 5, 1),
    ],
)
def test_an_inode_used_again_is_no_proof(arrived: Entry) -> None:
    assert pairs(found([file("/a/x", inode=5)], [arrived])) == []


def test_equal_size_and_fingerprint_are_proof() -> None:
    disk = Disk({"/b/y": "same"})
    moves = found([file("/a/x", "same")], [file("/b/y", mtime=99)], disk=disk)
    assert pairs(moves) == [("/a/x", "/b/y", FINGERPRINT)]
    assert disk.asked == ["/b/y"]


def test_known_fingerprint_is_not_asked_for_again() -> None:
    disk = Disk()
    assert pairs(found([file("/a/x", "same")], [file("/b/y", "same")], disk=disk))
    assert disk.asked == []


def test_only_files_of_a_size_that_is_gone_are_read() -> None:
    disk = Disk({"/b/y": "same", "/b/z": "same"})
    moves = found([file("/a/x", "same")], [file("/b/y", size=11), file("/b/z")], disk=disk)
    assert pairs(moves) == [("/a/x", "/b/z", FINGERPRINT)]
    assert disk.asked == ["/b/z"]


@pytest.mark.parametrize(
    ("gone", "arrived"),
    [
        (file("/a/x", "one"), file("/b/x", "other")),
        (file("/a/x"), file("/b/x", "same")),  # gone before it was ever fingerprinted
        (file("/a/x", "same"), file("/b/x")),  # it could not be read
        (file("/a/x", "same", size=0), file("/b/x", "same", size=0)),  # empty files never move
        (file("/a/x", "", size=0, inode=5), file("/b/x", "", size=0, inode=5)),
        (Entry("/a/x", OTHER, 0, 0, 5, 1), Entry("/b/x", OTHER, 0, 0, 5, 1)),
        (Entry("/a/x", FILE_LINK, 10, 1, 0, 1, mark("s")), file("/b/x", "s")),
        (Entry("/a/x", DIRECTORY_LINK, 0, 1, 5, 1), Entry("/b/x", DIRECTORY_LINK, 0, 1, 5, 1)),
    ],
)
def test_without_proof_it_is_no_move(gone: Entry, arrived: Entry) -> None:
    assert pairs(found([gone], [arrived])) == []


@pytest.mark.parametrize("letter", [FILE_LINK, BROKEN_LINK])
def test_renamed_link_is_the_same_link_by_its_inode(letter: str) -> None:
    moves = found([Entry("/a/x", letter, 0, 1, 5, 1)], [Entry("/a/y", letter, 0, 1, 5, 1)])
    assert pairs(moves) == [("/a/x", "/a/y", INODE)]


def test_an_inode_is_better_evidence_than_a_name() -> None:
    moves = found(
        [file("/a/x", "same", inode=5)],
        [file("/b/x", "same", inode=6), file("/b/y", "same", inode=5)],
    )
    assert pairs(moves) == [("/a/x", "/b/y", INODE)]


# Pairs among equal content


@pytest.mark.parametrize(
    ("gone", "arrived", "expected"),
    [
        # the same name before all others
        (["/a/x"], ["/b/a", "/b/x", "/b/z"], {"/a/x": "/b/x"}),
        # then the longest common tail
        (["/a/lora/x"], ["/b/aaa/x", "/b/lora/x"], {"/a/lora/x": "/b/lora/x"}),
        (["/a/p/q/x"], ["/b/q/x", "/b/p/q/x"], {"/a/p/q/x": "/b/p/q/x"}),
        # a longer tail of one goes before a shorter of another that is sorted first
        (
            ["/a/1/x", "/a/2/x"],
            ["/b/2/x"],
            {"/a/2/x": "/b/2/x"},
        ),
        # sorted order where nothing else tells
        (["/a/2", "/a/1"], ["/b/4", "/b/3"], {"/a/1": "/b/3", "/a/2": "/b/4"}),
        # one to one: what is left over stays created or deleted
        (["/a/x"], ["/b/x", "/c/x"], {"/a/x": "/b/x"}),
        (["/a/x", "/b/x"], ["/c/x"], {"/a/x": "/c/x"}),
        (["/a/x", "/a/y"], ["/b/y", "/b/z"], {"/a/y": "/b/y", "/a/x": "/b/z"}),
        # a name that only ends alike is another name
        (["/a/x"], ["/b/ax", "/b/c/z"], {"/a/x": "/b/ax"}),
    ],
)
def test_pairs_of_equal_content(
    gone: list[str], arrived: list[str], expected: dict[str, str]
) -> None:
    for way in (FINGERPRINT, INODE):
        values = {"content": "same", "inode": 5 if way == INODE else 0}
        moves = found(
            [file(path, **values) for path in gone],  # type: ignore[arg-type]
            [file(path, **values) for path in arrived],  # type: ignore[arg-type]
        )
        assert pairs(moves) == sorted((a, b, way) for a, b in expected.items())


def test_hundreds_of_equal_files_are_paired_one_to_one_by_name() -> None:
    gone = [file(f"/a/{number}/x{number}", "same") for number in range(300)]
    arrived = [file(f"/b/{number}/x{number}", "same") for number in range(300)]
    assert pairs(found(gone, arrived)) == sorted(
        (f"/a/{number}/x{number}", f"/b/{number}/x{number}", FINGERPRINT) for number in range(300)
    )


def test_hard_link_that_is_gone_is_no_move_while_its_twin_stays() -> None:
    assert pairs(found([file("/a/x", "same", inode=5)])) == []


def test_hard_links_move_one_by_one() -> None:
    moves = found(
        [file("/a/x", inode=5), file("/a/y", inode=5)],
        [file("/b/x", inode=5), file("/b/y", inode=5)],
    )
    assert pairs(moves) == [("/a/x", "/b/x", INODE), ("/a/y", "/b/y", INODE)]


# Over several scans


def test_arrival_of_an_earlier_scan_is_paired_with_what_is_gone_now_and_the_other_way() -> None:
    gone, arrived = file("/a/x", "same"), file("/b/x", "same")
    assert pairs(found([gone], arrived_before=[arrived])) == [("/a/x", "/b/x", FINGERPRINT)]
    assert pairs(found([], [arrived], gone_before=[gone])) == [("/a/x", "/b/x", FINGERPRINT)]


@pytest.mark.parametrize("inode", [0, 5])
def test_pair_that_both_stand_in_the_journal_is_never_made(inode: int) -> None:
    gone = file("/a/x", "same", inode=inode)
    arrived = file("/b/x", "same", inode=inode)
    other = file("/z", "other", size=3)
    assert pairs(found([], [other], gone_before=[gone], arrived_before=[arrived])) == []
    assert pairs(found([other], [], gone_before=[gone], arrived_before=[arrived])) == []


def test_new_arrival_is_taken_where_the_better_name_is_in_the_journal_already() -> None:
    moves = found(
        [],
        [file("/c/y", "same")],
        gone_before=[file("/a/x", "same")],
        arrived_before=[file("/b/x", "same")],
    )
    assert pairs(moves) == [("/a/x", "/c/y", FINGERPRINT)]


def test_file_that_comes_back_to_its_place_has_not_moved() -> None:
    assert pairs(found([], [file("/a/x", "same")], gone_before=[file("/a/x", "same")])) == []


@pytest.mark.parametrize("inode", [0, 5])
def test_a_file_that_is_gone_is_not_known_by_another_one_at_its_path(inode: int) -> None:
    """/a/x was deleted, and there is a new file; /b/y is like the new one."""
    gone = file("/a/x", "old", inode=inode)
    arrived = [file("/a/x"), file("/b/y", inode=inode)]
    assert (
        pairs(found([], arrived, gone_before=[gone], disk=Disk({"/a/x": "new", "/b/y": "new"})))
        == []
    )
    arrived.append(file("/b/z"))
    disk = Disk({"/a/x": "new", "/b/y": "new", "/b/z": "old"})
    moves = found([], arrived, gone_before=[gone], disk=disk)
    assert pairs(moves) == [("/a/x", "/b/z", FINGERPRINT)]


def test_nothing_is_read_where_nothing_can_be_paired() -> None:
    disk = Disk()
    found([], [file("/b/x")], arrived_before=[file("/b/y")], disk=disk)
    found([file("/a/x", "c", size=3)], [file("/b/x")], disk=disk)
    found([file("/a/x")], [file("/b/x")], disk=disk)
    assert disk.asked == []


# Replaced targets


def replaced(old: str, new: str, *, size: int = 10) -> tuple[Entry, Entry]:
    return file("/b/x", old, size=size), file("/b/x", new, mtime=2)


@pytest.mark.parametrize(
    ("target", "is_move"),
    [
        (replaced("before", "same"), True),
        (replaced("before", "same", size=3), True),
        (replaced("", "same", size=3), True),
        # touched: the content was here before
        (replaced("same", "same"), False),
        # perhaps only touched: it was never fingerprinted
        (replaced("", "same"), False),
    ],
)
def test_file_that_took_the_place_of_another_moved_there(
    target: tuple[Entry, Entry], is_move: bool
) -> None:
    moves = found([file("/a/x", "same")], modified=[target])
    assert pairs(moves) == ([("/a/x", "/b/x", FINGERPRINT)] if is_move else [])


def test_file_renamed_over_another_moved_by_its_inode() -> None:
    old, new = file("/b/x", "old", inode=4), file("/b/x", inode=5)
    assert pairs(found([file("/a/x", inode=5)], modified=[(old, new)])) == [("/a/x", "/b/x", INODE)]


# Directories


def pack(top: str, numbers: Iterable[int], **values: int) -> list[Entry]:
    """A folder with a file for each number, of a content of its own."""
    return [folder(top), *(file(f"{top}/f{n}", f"c{n}", **values) for n in numbers)]


def test_moved_folder_is_one_move_of_all_its_files() -> None:
    moves = found(pack("/a/pack", range(5)), pack("/b/other", range(5)))
    assert pairs(moves) == [("/a/pack/", "/b/other/", FINGERPRINT)]


def test_moved_folder_is_proven_by_inodes_without_reading() -> None:
    disk = Disk()
    gone = [folder("/a"), *(file(f"/a/f{n}", inode=n + 1) for n in range(5))]
    arrived = [folder("/b"), *(file(f"/b/f{n}", inode=n + 1) for n in range(5))]
    assert pairs(found(gone, arrived, disk=disk)) == [("/a/", "/b/", INODE)]
    assert disk.asked == []


@pytest.mark.parametrize(
    ("total", "standing", "is_one_move"),
    [(1, 1, True), (2, 1, True), (3, 1, False), (4, 2, True), (5, 2, False), (10, 5, True)],
)
def test_half_of_the_files_at_their_places_prove_a_folder(
    total: int, standing: int, is_one_move: bool
) -> None:
    moves = found(pack("/a/pack", range(total)), pack("/b/pack", range(standing)))
    directories = [(m.source.path, m.target.path) for m in moves.directories]
    assert directories == ([("/a/pack", "/b/pack")] if is_one_move else [])
    assert len(moves.files) == (0 if is_one_move else standing)


def test_equal_sizes_without_equal_content_prove_nothing() -> None:
    gone = pack("/a/pack", range(4))
    arrived = [folder("/b/pack"), *(file(f"/b/pack/f{n}", f"other{n}") for n in range(4))]
    assert pairs(found(gone, arrived)) == []


def test_half_must_be_proven_and_not_only_stand_there() -> None:
    gone = pack("/a/pack", range(10))
    arrived = [
        folder("/b/pack"),
        *(file(f"/b/pack/f{n}", f"c{n}" if n < 4 else f"other{n}") for n in range(10)),
    ]
    assert found(gone, arrived).directories == []
    arrived[5] = file("/b/pack/f4", "c4")
    assert len(found(gone, arrived).directories) == 1


def test_empty_files_do_not_count_and_do_not_prove() -> None:
    empty = [file(f"/a/pack/e{n}", size=0) for n in range(10)]
    there = [file(f"/b/pack/e{n}", size=0) for n in range(10)]
    assert pairs(found([folder("/a/pack"), *empty], [folder("/b/pack"), *there])) == []
    one = pack("/a/pack", range(1)), pack("/b/pack", range(1))
    assert pairs(found([*one[0], *empty], one[1])) == [("/a/pack/", "/b/pack/", FINGERPRINT)]
    assert pairs(found([folder("/a/pack")], [folder("/b/pack")])) == []


def test_64_files_spread_over_a_large_folder_stand_for_all() -> None:
    contents = {f"/b/pack/f{n}": f"c{n}" for n in range(1000)}
    disk = Disk(contents)
    arrived = [folder("/b/pack"), *(file(path) for path in contents)]
    moves = found(pack("/a/pack", range(1000)), arrived, disk=disk)
    assert pairs(moves) == [("/a/pack/", "/b/pack/", FINGERPRINT)]
    assert len(set(disk.asked)) == len(disk.asked) == PROOFS
    names = sorted(contents)
    places = sorted(names.index(path) for path in disk.asked)
    assert (places[0], places[-1]) == (0, 999)
    assert max(b - a for a, b in pairwise(places)) <= 1000 // PROOFS + 1


def test_large_folder_of_which_less_than_half_is_proven_did_not_move() -> None:
    disk = Disk({f"/b/pack/f{n}": f"c{n}" if n < 400 else "other" for n in range(1000)})
    arrived = [folder("/b/pack"), *(file(f"/b/pack/f{n}") for n in range(1000))]
    assert found(pack("/a/pack", range(1000)), arrived, disk=disk).directories == []


def test_nested_folders_move_with_the_outer_one() -> None:
    gone = [*pack("/a/p", range(2)), *pack("/a/p/q", range(2, 4)), *pack("/a/p/q/r", range(4, 6))]
    arrived = [
        *pack("/b/p", range(2)),
        *pack("/b/p/q", range(2, 4)),
        *pack("/b/p/q/r", range(4, 6)),
    ]
    assert pairs(found(gone, arrived)) == [("/a/p/", "/b/p/", FINGERPRINT)]


def test_folder_that_went_elsewhere_than_its_parent_is_a_second_move() -> None:
    gone = [*pack("/a/p", range(4)), *pack("/a/p/q", range(4, 6))]
    arrived = [*pack("/b/p", range(4)), *pack("/c/q", range(4, 6))]
    assert pairs(found(gone, arrived)) == [
        ("/a/p/", "/b/p/", FINGERPRINT),
        ("/a/p/q/", "/c/q/", FINGERPRINT),
    ]


def test_inner_folder_moves_where_the_outer_one_is_only_gone() -> None:
    gone = [*pack("/a/p", range(8)), *pack("/a/p/q", range(8, 10))]
    assert pairs(found(gone, pack("/b/q", range(8, 10)))) == [("/a/p/q/", "/b/q/", FINGERPRINT)]


def test_target_that_fits_best_is_chosen() -> None:
    some = [*pack("/b/aaa", range(3)), *pack("/b/pack", range(5))]
    assert pairs(found(pack("/a/pack", range(5)), some)) == [("/a/pack/", "/b/pack/", FINGERPRINT)]
    same_name = [*pack("/b/aaa", range(5)), *pack("/b/pack", range(5))]
    assert pairs(found(pack("/a/pack", range(5)), same_name)) == [
        ("/a/pack/", "/b/pack/", FINGERPRINT)
    ]
    longer_tail = [*pack("/b/a/pack", range(5)), *pack("/b/l/pack", range(5))]
    assert pairs(found(pack("/a/l/pack", range(5)), longer_tail)) == [
        ("/a/l/pack/", "/b/l/pack/", FINGERPRINT)
    ]


def test_two_folders_never_move_to_one() -> None:
    gone = [*pack("/a/one", range(4)), *pack("/a/two", range(4))]
    moves = found(gone, pack("/b/one", range(4)))
    assert [(m.source.path, m.target.path) for m in moves.directories] == [("/a/one", "/b/one")]
    assert moves.files == []


def test_folder_that_was_there_before_is_no_target() -> None:
    """Files moved into a folder that stood already are moves of files."""
    moves = found(pack("/a/pack", range(3)), pack("/b/pack", range(3))[1:])
    assert moves.directories == []
    assert len(moves.files) == 3


def test_folder_that_is_not_gone_did_not_move() -> None:
    moves = found(pack("/a/pack", range(3))[1:], pack("/b/pack", range(3)))
    assert moves.directories == []
    assert len(moves.files) == 3


def test_file_that_left_a_moved_folder_is_a_move_of_its_own() -> None:
    arrived = [*pack("/b/pack", range(4)), file("/c/f4", "c4")]
    assert pairs(found(pack("/a/pack", range(5)), arrived)) == [
        ("/a/pack/", "/b/pack/", FINGERPRINT),
        ("/a/pack/f4", "/c/f4", FINGERPRINT),
    ]


def test_folder_copied_before_and_gone_now_moved() -> None:
    moves = found(pack("/a/pack", range(4)), arrived_before=pack("/b/pack", range(4)))
    assert pairs(moves) == [("/a/pack/", "/b/pack/", FINGERPRINT)]
    assert set(moves.arrived_before) == {"/b/pack", *(f"/b/pack/f{n}" for n in range(4))}


def test_longest_source_is_the_nearest_folder_above() -> None:
    moved = {"/a": "/x", "/a/b/c": "/y"}
    table = {
        "/a": "/a",
        "/a/b": "/a",
        "/a/b/c": "/a/b/c",
        "/a/b/c/d/e": "/a/b/c",
        "/ab/c": None,
        "/": None,
    }
    assert {path: nearest_above(path, moved) for path in table} == table


# In a whole pass


def test_a_folder_moved_and_not_the_link_that_led_to_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(3):
        world.files.write(at(f"Downloads/a/sd/f{number}"), content(str(number)))
    world.files.write(at("ComfyUI/models/keep"), b"1")
    world.settle()
    world.files.symlink(at("Downloads/a/sd"), at("ComfyUI/models/sd"))
    assert ("created", "ComfyUI/models/sd") in world.scan()
    world.files.rename(at("Downloads/a/sd"), at("Downloads/sd_new"))
    assert world.scan() == [
        ("created", "ComfyUI/models/sd"),  # leads nowhere now
        ("deleted", "ComfyUI/models/sd"),
        *(("deleted", f"ComfyUI/models/sd/f{number}") for number in range(3)),
        ("moved", "Downloads/a/sd", "Downloads/sd_new"),
    ]


def test_stop_while_moves_are_proven_commits_nothing(tmp_path: Path) -> None:
    """Else the move would stand in the change list as a deletion and a creation for good."""
    world = World(tmp_path)
    world.files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
    world.files.write(at("Downloads/x"), content("x"))
    world.files.write(at("Downloads/y"), b"1")
    for _ in range(2):
        world.scan()
    world.files.rename(at("Downloads/x"), at("ComfyUI/models/x"))
    stopped: list[bool] = []
    world.files.faults["open", at("ComfyUI/models/x")] = lambda: stopped.append(True)
    result = world.scanner.scan(world.roots, interval=30.0, stopped=lambda: bool(stopped))
    assert stopped
    assert not result.is_complete
    world.files.faults.clear()
    assert world.scan() == [("moved", "Downloads/x", "ComfyUI/models/x")]
