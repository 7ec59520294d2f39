"""What differs between a snapshot and a walk: by values alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

from scanner.core import snapshot as snapshots
from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    OTHER,
    Directory,
    Row,
    Snapshot,
    carried_fingerprints,
    listing_of,
)
from scanner.diff.compare import Delta, adopt, compare, keep_entries
from scanner.walk.rules import Scope
from scanner.walk.walked import Walked
from scanner.workers.requests import Failed

TOP = "/r"

Tree = dict[str, Any]
"""Name -> size of a file, (type, size, mtime, inode), or a folder's own tree."""


def row_of(name: str, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(name, DIRECTORY, 0, 0, 0)
    if isinstance(value, int):
        return Row(name, FILE, value, 1, 0)
    return Row(name, *value)


def snapshot_of(tree: Tree, top: str = TOP) -> Snapshot:
    found = {top: Directory(listing_of(row_of(*item) for item in tree.items()), mtime=1)}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= snapshot_of(value, f"{top}/{name}")
    return found


def walked_to(tree: Tree, old: Snapshot) -> Walked:
    """What a walk gives that finds `tree`: only what differs."""
    new = snapshot_of(tree)
    return Walked(TOP, {path: found for path, found in new.items() if found != old.get(path)})


def delta_of(old: Tree, new: Tree, scope: Scope | None = None) -> Delta:
    before = snapshot_of(old)
    delta = Delta()
    compare(before, walked_to(new, before), delta, scope)
    return delta


def names(delta: Delta) -> dict[str, list[str]]:
    """Paths by what happened to them, below the top."""
    return {
        kind: sorted(path.removeprefix(TOP + "/") for path in getattr(delta, kind))
        for kind in ("created", "deleted", "modified")
        if getattr(delta, kind)
    }


# Entries


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({}, {"a": 1}, {"created": ["a"]}),
        ({"a": 1}, {}, {"deleted": ["a"]}),
        ({"a": 1}, {"a": 2}, {"modified": ["a"]}),
        # not equal, never newer
        ({"a": (FILE, 1, 100, 0)}, {"a": (FILE, 1, 99, 0)}, {"modified": ["a"]}),
        ({"a": (FILE, 1, 100, 0)}, {"a": (FILE, 1, 101, 0)}, {"modified": ["a"]}),
        # an inode is evidence, no property that readers see
        ({"a": (FILE, 1, 1, 5)}, {"a": (FILE, 1, 1, 6)}, {}),
        # other types under a name
        ({"a": 1}, {"a": (FILE_LINK, 1, 1, 0)}, {"modified": ["a"]}),
        ({"a": 1}, {"a": (OTHER, 0, 0, 0)}, {"modified": ["a"]}),
        ({"a": (FILE_LINK, 1, 1, 0)}, {"a": (BROKEN_LINK, 0, 1, 0)}, {"modified": ["a"]}),
        ({"a": {}}, {"a": (DIRECTORY_LINK, 0, 1, 0)}, {"modified": ["a"]}),
        ({"a": 1}, {"a": {}}, {"created": ["a"], "deleted": ["a"]}),
        ({"a": {}}, {"a": 1}, {"created": ["a"], "deleted": ["a"]}),
        (
            {"a": (FILE_LINK, 1, 1, 0)},
            {"a": (DIRECTORY_LINK, 0, 1, 0)},
            {"created": ["a"], "deleted": ["a"]},
        ),
        # what lies below comes and goes with its folder, each by name
        ({}, {"d": {"e": {"f": 1}}}, {"created": ["d", "d/e", "d/e/f"]}),
        ({"d": {"e": {"f": 1}}}, {}, {"deleted": ["d", "d/e", "d/e/f"]}),
        (
            {"d": {"f": 1}},
            {"d": 1},
            {"created": ["d"], "deleted": ["d", "d/f"]},
        ),
        # names that are prefixes of each other, or sort around the separator
        ({"a": {"x": 1}, "a.b": {"x": 1}, "a-b": 1}, {"a.b": {"x": 1}, "a-b": 1}, {
            "deleted": ["a", "a/x"]
        }),
    ],
)  # fmt: skip
def test_every_difference_has_its_kind(
    old: Tree, new: Tree, expected: dict[str, list[str]]
) -> None:
    assert names(delta_of(old, new)) == expected


def test_modification_tells_what_was_and_what_is() -> None:
    before, after = delta_of({"a": 1}, {"a": (FILE, 2, 3, 4)}).modified["/r/a"]
    assert (before.size, before.mtime) == (1, 1)
    assert (after.size, after.mtime, after.inode) == (2, 3, 4)


def test_new_listings_take_the_place_of_the_old_and_gone_ones_are_named() -> None:
    delta = delta_of({"d": {"f": 1}, "x": 1}, {"n": {"g": 1}, "x": 1})
    assert delta.gone == {"/r/d"}
    assert set(delta.directories) == {"/r", "/r/n"}


def test_directory_that_differs_only_by_its_own_mtime_is_taken_over_without_a_change() -> None:
    old = snapshot_of({"a": 1})
    delta = Delta()
    touched = Directory(old[TOP].listing, mtime=2)
    compare(old, Walked(TOP, {TOP: touched}), delta)
    assert names(delta) == {}
    assert delta.directories == {TOP: touched}


# Absence needs proof


def test_directory_that_was_not_reached_says_nothing() -> None:
    old = snapshot_of({"d": {"f": 1, "e": {"g": 1}}, "x": 1})
    walked = walked_to({"d": {"f": 1, "e": {"g": 1}}}, old)
    walked.failed["/r/d"] = Failed("/r/d", 5, "broken")
    delta = Delta()
    compare(old, walked, delta)
    assert names(delta) == {"deleted": ["x"]}
    assert delta.gone == set()


def test_new_directory_that_failed_is_known_by_name_only() -> None:
    old = snapshot_of({})
    walked = walked_to({"d": {"f": 1}}, old)
    del walked.observed["/r/d"]
    delta = Delta()
    compare(old, walked, delta)
    assert names(delta) == {"created": ["d"]}
    assert "/r/d" not in delta.directories


def test_directory_known_by_name_is_filled_when_it_can_be_listed() -> None:
    old = snapshot_of({"d": {"f": 1}})
    del old["/r/d"]
    delta = Delta()
    compare(old, Walked(TOP, {"/r/d": snapshot_of({"f": 1}, "/r/d")["/r/d"]}), delta)
    assert names(delta) == {"created": ["d/f"]}


def test_listing_below_a_directory_that_has_gone_since_is_dropped() -> None:
    """Listed by the walk, and then its parent, listed once more, has it no longer."""
    old = snapshot_of({"d": {"e": {"f": 1}}})
    walked = Walked(
        TOP,
        {
            TOP: snapshot_of({})[TOP],
            "/r/d/e": snapshot_of({"f": 1, "g": 1}, "/r/d/e")["/r/d/e"],
            "/r/n/e": snapshot_of({"f": 1}, "/r/n/e")["/r/n/e"],
        },
    )
    delta = Delta()
    compare(old, walked, delta)
    assert names(delta) == {"deleted": ["d", "d/e", "d/e/f"]}
    assert set(delta.directories) == {TOP}


def test_link_that_is_not_entered_any_more_loses_what_was_below_it() -> None:
    old = snapshot_of({"l": {"f": 1}})
    delta = Delta()
    compare(old, Walked(TOP, closed={"/r/l"}), delta)
    assert names(delta) == {"deleted": ["l/f"]}
    assert delta.gone == {"/r/l"}


def test_first_walk_is_taken_over_without_a_change() -> None:
    delta = Delta()
    adopt(walked_to({"d": {"f": 1}}, {}), delta)
    assert names(delta) == {}
    assert set(delta.directories) == {TOP, "/r/d"}


# Scope


def test_what_only_the_rules_brought_or_took_is_no_change_but_is_taken_over() -> None:
    scope = Scope(agrees=lambda path, is_directory: not path.endswith(".bak"))
    delta = delta_of(
        {"a.bak": 1, "d": {"b.bak": 1}}, {"c.bak": 1, "d": {}, "n": {"e.bak": 1}}, scope
    )
    assert names(delta) == {"created": ["n"]}
    assert delta.directories["/r"].listing.split_names() == ["c.bak", "d", "n"]
    assert set(delta.directories) == {"/r", "/r/d", "/r/n"}


def test_what_another_root_owns_is_neither_created_nor_deleted_nor_gone() -> None:
    scope = Scope(owns=lambda path: not path.startswith("/r/inner"))
    delta = delta_of({"inner": {"f": 1}, "d": {"f": 1}}, {}, scope)
    assert names(delta) == {"deleted": ["d", "d/f"]}
    assert delta.gone == {"/r/d"}
    assert names(delta_of({}, {"inner": {"f": 1}, "x": 1}, scope)) == {"created": ["x"]}


def test_scope_is_told_which_entries_are_directories() -> None:
    asked: dict[str, bool] = {}

    def agrees(path: str, is_directory: bool) -> bool:
        asked[path] = is_directory
        return True

    delta_of(
        {"d": {"f": 1}},
        {"l": (DIRECTORY_LINK, 0, 1, 0), "n": {}},
        Scope(agrees=agrees),
    )
    assert asked == {"/r/d": True, "/r/d/f": False, "/r/l": False, "/r/n": True}


# Fingerprints


def with_fingerprints(directory: Directory) -> Directory:
    return directory.with_fingerprints(
        {name: name.encode().ljust(16, b".") for name in directory.listing.split_names()}
    )


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        ((FILE, 1, 1, 5), True),
        ((FILE, 2, 1, 5), False),
        ((FILE, 1, 2, 5), False),
        ((FILE, 1, 1, 6), False),  # another file in its place
        ((FILE, 1, 1, 0), True),  # inodes are not known any more
        ((FILE_LINK, 1, 1, 5), False),
    ],
)
def test_fingerprint_is_carried_over_only_with_the_same_file(
    new: tuple[str, int, int, int], kept: bool
) -> None:
    old = with_fingerprints(snapshot_of({"a": (FILE, 1, 1, 5)})[TOP])
    now = snapshot_of({"0": 1, "a": new, "b": 1})[TOP]
    carried = carried_fingerprints(old, now)
    assert carried == (bytes(16) + b"a".ljust(16, b".") + bytes(16) if kept else b"")


def test_fingerprints_stay_with_their_names_when_others_come_and_go() -> None:
    old = with_fingerprints(snapshot_of({"a": 1, "b": 1, "c": 1})[TOP])
    now = snapshot_of({"0": 1, "b": 1, "c": 2, "d": 1})[TOP]
    merged = Directory(now.listing, fingerprints=carried_fingerprints(old, now))
    assert [merged.fingerprint(index) for index in range(4)] == [
        b"",
        b"b".ljust(16, b"."),
        b"",
        b"",
    ]


# Keeping back


def test_kept_deletions_leave_the_snapshot_as_it_was_there() -> None:
    old = snapshot_of({"d": {"f": 1}, "x": 1, "y": 1})
    old[TOP] = with_fingerprints(old[TOP])
    delta = Delta()
    compare(old, walked_to({"new": 1}, old), delta)
    keep_entries(delta, old, {"/r/d", "/r/d/f", "/r/x"})
    assert names(delta) == {"created": ["new"], "deleted": ["y"]}
    assert delta.gone == set()
    now = delta.directories[TOP]
    assert [row.name for row in now.listing.rows()] == ["d", "new", "x"]
    assert now.fingerprint(2) == b"x".ljust(16, b".")
    assert now.fingerprint(1) == b""


def test_kept_modification_shows_the_last_known_size_and_mtime() -> None:
    old = snapshot_of({"a": 1, "b": 1})
    delta = Delta()
    compare(old, walked_to({"a": 2, "b": 2}, old), delta)
    keep_entries(delta, old, {"/r/a"})
    assert names(delta) == {"modified": ["b"]}
    assert [(row.name, row.size) for row in delta.directories[TOP].listing.rows()] == [
        ("a", 1),
        ("b", 2),
    ]


def test_kept_link_keeps_its_target() -> None:
    row = Row("l", FILE_LINK, 1, 1, 0)
    old = {TOP: Directory(listing_of([row], targets=[("l", "/mnt/x")]))}
    new = Directory(listing_of([Row("m", FILE_LINK, 1, 1, 0)], targets=[("m", "/mnt/y")]))
    delta = Delta()
    compare(old, Walked(TOP, {TOP: new}), delta)
    keep_entries(delta, old, {"/r/l"})
    assert delta.directories[TOP].listing.targets == (("l", "/mnt/x"), ("m", "/mnt/y"))


def test_kept_directory_loses_what_moved_out_of_it() -> None:
    """Of a folder whose deletion is held, a file went elsewhere, which its own line tells."""
    old = snapshot_of({"d": {"moved": 1, "f": 1}})
    delta = Delta()
    compare(old, walked_to({}, old), delta)
    keep_entries(delta, old, {"/r/d", "/r/d/f"})
    listing = delta.directories.get("/r/d", old["/r/d"]).listing
    assert listing.split_names() == ["f"]


def test_only_what_differs_becomes_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:04d}" for number in range(1000)]
    old: Tree = {"t": dict.fromkeys(names, 1)}
    new: Tree = {"t": dict.fromkeys(names[1:], 1) | {"0500": 2, "9999": 1}}
    made: list[str] = []

    class Counted(snapshots.Entry):
        def __new__(cls, path: str, *values: Any) -> Counted:
            made.append(path)
            return super().__new__(cls, path, *values)

    monkeypatch.setattr(snapshots, "Entry", Counted)
    delta = delta_of(old, new)
    assert [*delta.deleted, *delta.modified, *delta.created] == [
        f"/r/t/{name}" for name in ("0000", "0500", "9999")
    ]
    assert len(made) == 4  # one for each, and two for the one that is modified


@pytest.mark.parametrize("seed", range(50))
def test_fingerprints_stay_with_the_rows_that_are_equal(seed: int) -> None:
    chance = random.Random(seed)
    has_inodes = chance.random() < 0.7

    def rows(names: list[str], like: dict[str, Row]) -> list[Row]:
        return [
            like[name]
            if name in like and chance.random() < 0.7
            else Row(
                name,
                chance.choice((FILE, FILE, FILE, OTHER, BROKEN_LINK)),
                chance.randrange(3),
                chance.randrange(3),
                chance.randrange(1, 9) * has_inodes,
            )
            for name in names
        ]

    names = sorted({f"n{chance.randrange(30)}" for _ in range(12)})
    before = {row.name: row for row in rows(names, {})}
    if chance.random() < 0.3:
        names = [*names[1:], "z"]
    after = {row.name: row for row in rows(names, before)}
    blobs = {name: bytes([number + 1]) * 16 for number, name in enumerate(before)}
    old = Directory(listing_of(before.values())).with_fingerprints(blobs)
    new = Directory(listing_of(after.values()))
    merged = Directory(new.listing, fingerprints=carried_fingerprints(old, new))
    for row, name in enumerate(new.listing.split_names()):
        kept = blobs[name] if before.get(name) == after[name] else b""
        assert (merged.fingerprint(row) if merged.fingerprints else b"") == kept
