"""The lines of one scan: one for everything that differs, and no other."""

from __future__ import annotations

from typing import Any

from scanner.core.changes import Change
from scanner.core.snapshot import Entry, Snapshot
from scanner.diff.changelist import carry_fingerprints, compose
from scanner.diff.compare import Delta
from scanner.diff.moves import FINGERPRINT, Move, Moves
from tests.support.build import by_path, directory_of_entries, fingerprint_of
from tests.support.build import file_entry as file
from tests.support.build import folder_entry as folder


def lines(delta: Delta, snapshot: Snapshot | None = None, **moves: Any) -> list[Change]:
    return compose(delta, Moves(**moves), snapshot or {}, lambda path: path.split("/")[1])


def told(changes: list[Change]) -> list[tuple[str, ...]]:
    return [(c.kind, c.source, c.path) if c.source else (c.kind, c.path) for c in changes]


def test_lines_come_in_the_order_in_which_they_are_replayed_then_by_path() -> None:
    delta = Delta(
        created=by_path(file("/r/c2"), file("/r/c1"), file("/r/t")),
        deleted=by_path(file("/r/d2"), file("/r/d1"), file("/r/s")),
        modified={"/r/m": (file("/r/m"), file("/r/m", size=11))},
    )
    moved = Move(file("/r/s"), file("/r/t"), FINGERPRINT)
    assert told(lines(delta, files=[moved])) == [
        ("deleted", "/r/d1"),
        ("deleted", "/r/d2"),
        ("moved", "/r/s", "/r/t"),
        ("created", "/r/c1"),
        ("created", "/r/c2"),
        ("modified", "/r/m"),
    ]


def test_each_line_says_what_readers_need() -> None:
    delta = Delta(
        created=by_path(file("/new/c", size=3, mtime=4)),
        deleted=by_path(file("/old/s", size=5, mtime=6), file("/old/d", size=1, mtime=2)),
        modified={"/r/m": (file("/r/m"), file("/r/m", size=7, mtime=8))},
    )
    delta.created |= by_path(file("/new/t", size=5, mtime=9))
    moved = Move(file("/old/s", size=5, mtime=6), file("/new/t", size=5, mtime=9), FINGERPRINT)
    assert lines(delta, files=[moved]) == [
        Change("deleted", "file", "/old/d", "old", 1, 2),
        Change("moved", "file", "/new/t", "new", 5, 9, "/old/s", FINGERPRINT),
        Change("created", "file", "/new/c", "new", 3, 4),
        Change("modified", "file", "/r/m", "r", 7, 8),
    ]


def moved_pack(*there: Entry) -> tuple[Delta, list[Move]]:
    """A folder of two files that moved, and what stands in its new place."""
    delta = Delta(
        created=by_path(folder("/r/new"), *there),
        deleted=by_path(folder("/r/old"), file("/r/old/a"), file("/r/old/b")),
        directories={"/r/new": directory_of_entries(*there)},
        gone={"/r/old"},
    )
    return delta, [Move(folder("/r/old"), folder("/r/new"), FINGERPRINT)]


def test_moved_folder_stands_for_what_lies_below_it() -> None:
    delta, moves = moved_pack(file("/r/new/a"), file("/r/new/b"))
    (line,) = lines(delta, directories=moves)
    assert (line.kind, line.source, line.path) == ("moved", "/r/old", "/r/new")
    assert (line.files, line.bytes) == (2, 20)


def test_what_differs_inside_a_moved_folder_has_its_own_line() -> None:
    delta, moves = moved_pack(file("/r/new/a", size=11), file("/r/new/c"))
    assert told(lines(delta, directories=moves)) == [
        ("deleted", "/r/old/b"),
        ("moved", "/r/old", "/r/new"),
        ("created", "/r/new/c"),
        ("modified", "/r/new/a"),
    ]


def test_touched_file_of_a_moved_folder_has_its_own_line() -> None:
    delta, moves = moved_pack(file("/r/new/a", size=10, mtime=2), file("/r/new/b"))
    assert told(lines(delta, directories=moves)) == [
        ("moved", "/r/old", "/r/new"),
        ("modified", "/r/new/a"),
    ]


def test_folder_in_the_place_of_a_file_of_a_moved_folder_is_created() -> None:
    delta, moves = moved_pack(folder("/r/new/a"), file("/r/new/b"))
    assert told(lines(delta, directories=moves)) == [
        ("deleted", "/r/old/a"),
        ("moved", "/r/old", "/r/new"),
        ("created", "/r/new/a"),
    ]


def test_files_reported_by_earlier_scans_are_not_created_again_by_the_folders_move() -> None:
    delta, moves = moved_pack()
    before = by_path(folder("/r/new"), file("/r/new/a"), file("/r/new/b", size=10, mtime=2))
    delta.created = {}
    assert told(lines(delta, directories=moves, arrived_before=before)) == [
        ("moved", "/r/old", "/r/new"),
        ("modified", "/r/new/b"),
    ]


# Fingerprints


def test_moved_file_takes_its_fingerprint_along() -> None:
    source, target = file("/r/s", "content"), file("/r/n/t")
    delta = Delta(directories={"/r/n": directory_of_entries(target, file("/r/n/u"))})
    carry_fingerprints(delta, Moves(files=[Move(source, target, "inode")]), {})
    now = delta.directories["/r/n"]
    assert [now.fingerprint(0), now.fingerprint(1)] == [fingerprint_of("content"), b""]


def test_files_of_a_moved_folder_take_theirs_along_unless_they_changed() -> None:
    old = [file(f"/r/old/{name}", "content") for name in "ab"]
    delta, moves = moved_pack(file("/r/new/a"), file("/r/new/b", size=10, mtime=2))
    snapshot = {"/r/old": directory_of_entries(*old)}
    carry_fingerprints(delta, Moves(directories=moves), snapshot)
    now = delta.directories["/r/new"]
    assert [now.fingerprint(0), now.fingerprint(1)] == [fingerprint_of("content"), b""]
