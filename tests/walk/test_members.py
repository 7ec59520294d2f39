"""Which of the entries that a worker listed belong to their directory."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Mapping
from dataclasses import replace

import pytest

from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    FOREIGN_LINK,
    Directory,
    Row,
    listing_of,
)
from scanner.disk.filesystem import Stat
from scanner.output.file_names import Outputs
from scanner.walk.ignore import IgnoreRules
from scanner.walk.members import (
    ForeignLink,
    MemberRules,
    foreign_links,
    linked_row,
    member_rules,
    members,
    with_links,
    with_old_columns,
)
from scanner.walk.rules import WalkRules
from scanner.workers.requests import Failed

RULES = WalkRules(IgnoreRules(("*.tmp", "cache/")), lambda path: frozenset())


def directory(
    types: Mapping[str, str],
    *,
    targets: Mapping[str, str] | None = None,
    unstatted: tuple[str, ...] = (),
    ignored: tuple[str, ...] = (),
    inode: int = 7,
) -> Directory:
    """A directory with an entry for each name in `types`; sizes count the letters of the name."""
    rows = [Row(name, type_, len(name), 1, inode) for name, type_ in types.items()]
    listing = listing_of(rows, targets=(targets or {}).items(), unstatted=unstatted)
    return Directory(listing, 5, inode, inode, frozenset(ignored))


def rules(
    given: WalkRules = RULES, top: str = "/r", *, has_inodes: bool = True, rematch: bool = False
) -> MemberRules:
    return member_rules(given, top, has_inodes=has_inodes, rematch=rematch)


@pytest.mark.parametrize(
    ("listed", "previous", "rematch", "names", "ignored"),
    [
        # what is new is matched by the ignore rules, folders with a slash
        ({"a": FILE, "b.tmp": FILE}, None, False, {"a"}, {"b.tmp"}),
        ({"cache": DIRECTORY, "x": FILE}, None, False, {"x"}, {"cache/"}),
        ({"cache": FILE}, None, False, {"cache"}, set()),
        # a name that was let in before stays, until the rules change
        ({"b.tmp": FILE, "c.tmp": FILE}, {"b.tmp": FILE}, False, {"b.tmp"}, {"c.tmp"}),
        ({"b.tmp": FILE, "c.tmp": FILE}, {"b.tmp": FILE}, True, set(), {"b.tmp", "c.tmp"}),
        ({"a": FILE}, {"a": FILE, "b": FILE}, False, {"a"}, set()),
        # but one that became a folder, or a file, is another entry
        ({"cache": DIRECTORY, "x": FILE}, {"cache": FILE, "x": FILE}, False, {"x"}, {"cache/"}),
        ({"cache": DIRECTORY}, {"cache": FILE}, False, set(), {"cache/"}),
        ({"b.tmp": DIRECTORY_LINK}, {"b.tmp": FILE}, False, {"b.tmp"}, set()),
    ],
)
def test_new_names_are_matched_once(
    listed: Mapping[str, str],
    previous: Mapping[str, str] | None,
    rematch: bool,
    names: set[str],
    ignored: set[str],
) -> None:
    old = None if previous is None else directory(previous)
    found = members("/r", directory(listed), old, rules(rematch=rematch))
    assert set(found.listing.split_names()) == names
    assert found.ignored == ignored


def test_rules_are_relative_to_their_own_top() -> None:
    given = RULES._replace(rules=IgnoreRules(("/loras/*.bin",)))
    listed = directory({"a.bin": FILE})
    for top, path, is_ignored in (
        ("/r", "/r/loras", True),
        ("/r", "/r/loras/sub", False),
        ("/r/loras", "/r/loras", False),
    ):
        assert bool(members(path, listed, None, rules(given, top)).ignored) is is_ignored
    inner = rules(given._replace(rules_top="/r"), "/r/loras")
    assert members("/r/loras", listed, None, inner).ignored == {"a.bin"}


def test_reserved_names_are_not_kept_as_ignored() -> None:
    given = RULES._replace(reserved=lambda path: frozenset(("inner/",)))
    listed = directory({"a": FILE}, ignored=("inner/", "b.tmp"))
    assert members("/r", listed, None, rules(given)).ignored == {"b.tmp"}


def test_directory_without_anything_special_is_passed_on_as_it_is() -> None:
    listed = directory({"a": FILE, "d": DIRECTORY})
    assert members("/r", listed, None, rules()) is listed


@pytest.mark.parametrize("has_inodes", [False, True])
def test_unstable_inodes_are_left_out(has_inodes: bool) -> None:
    found = members("/r", directory({"a": FILE}), None, rules(has_inodes=has_inodes))
    assert list(found.listing.inodes) == ([7] if has_inodes else [])
    assert (found.device, found.inode) == ((7, 7) if has_inodes else (0, 0))


def test_what_could_not_be_looked_at_keeps_its_last_known_row() -> None:
    old = directory({"a": FILE, "link": FILE_LINK}, targets={"link": "/t"}, inode=3)
    listed = directory({"b": FILE}, unstatted=("a", "link", "new"))
    found = members("/r", listed, old, rules()).listing
    assert [row.name for row in found.rows()] == ["a", "b", "link"]
    assert next(found.rows()).inode == 3
    assert found.targets == (("link", "/t"),)
    assert found.unstatted == ("a", "link", "new")


def test_a_link_that_could_not_be_followed_stays_what_it_was_while_its_text_is_the_same() -> None:
    old = directory({"a": FILE_LINK, "b": FILE_LINK}, targets={"a": "/t", "b": "/t"})
    now = directory(
        {"a": BROKEN_LINK, "b": BROKEN_LINK},
        targets={"a": "/t", "b": "/u"},
        unstatted=("a", "b"),
    )
    found = members("/r", now, old, rules()).listing
    assert found.types == FILE_LINK + BROKEN_LINK
    assert found.targets == (("a", "/t"), ("b", "/u"))


@pytest.mark.parametrize(
    ("top", "point", "expected"),
    [
        ("/r", "/r/a/b", {"/r": {"a"}, "/r/a": {"b"}}),
        ("/r/a", "/r/a/b", {"/r/a": {"b"}}),
        ("/r", "/r", {}),
        ("/r", "/other/b", {}),
        ("/", "/mnt/nas", {"/": {"mnt"}, "/mnt": {"nas"}}),
    ],
)
def test_names_on_the_way_to_a_mount(top: str, point: str, expected: dict[str, set[str]]) -> None:
    given = RULES._replace(inner=frozenset((point,)))
    assert rules(given, top).on_the_way == expected


@pytest.mark.parametrize(
    ("path", "listed", "names"),
    [
        ("/r", {"x": FILE}, ["a", "x"]),
        ("/r/a", {}, ["b"]),
        ("/r/a", {"b": DIRECTORY}, ["b"]),
        ("/r/c", {}, []),
    ],
)
def test_folder_that_went_with_its_mount_is_kept(
    path: str, listed: Mapping[str, str], names: list[str]
) -> None:
    given = RULES._replace(inner=frozenset(("/r/a/b",)))
    old = directory({"a": DIRECTORY, "b": DIRECTORY, "x": FILE})
    assert members(path, directory(listed), old, rules(given)).listing.split_names() == names


@pytest.mark.parametrize(
    ("text", "before", "type_"),
    [
        ("/mnt/nas", "/mnt/nas", FOREIGN_LINK),
        ("/other", "/mnt/nas", DIRECTORY_LINK),  # another link now
        ("/mnt/nas", None, DIRECTORY_LINK),
    ],
)
def test_link_to_an_unmounted_share_stays_one_while_its_text_is_the_same(
    text: str, before: str | None, type_: str
) -> None:
    given = RULES._replace(inner_links=frozenset(("/r/nas",)))
    listed = directory({"nas": DIRECTORY_LINK, "x": FILE}, targets={"nas": text})
    old = None if before is None else directory({"nas": DIRECTORY_LINK}, targets={"nas": before})
    assert members("/r", listed, old, rules(given)).listing.types == type_ + FILE
    assert members("/r/sub", listed, old, rules(given)).listing.types == DIRECTORY_LINK + FILE


# Links to other mounts


def test_foreign_links_come_with_what_was_known_of_the_same_link() -> None:
    types = {"a": FOREIGN_LINK, "b": FOREIGN_LINK, "c": FOREIGN_LINK, "x": FILE}
    listed = directory(types, targets={"a": "/m/a", "b": "../m/b", "c": "/m/new"})
    old = directory(
        {"b": DIRECTORY_LINK, "c": DIRECTORY_LINK}, targets={"b": "../m/b", "c": "/m/c"}
    )

    def real_path(path: str) -> str:
        return posixpath.normpath(path).replace("/m/", "/mnt/")

    links = foreign_links("/r", listed.listing, old, real_path)
    assert [(link.path, link.target, link.is_known_folder) for link in links] == [
        ("/r/a", "/mnt/a", False),
        ("/r/b", "/mnt/b", True),
        ("/r/c", "/mnt/new", False),
    ]
    assert foreign_links("/r", directory({"x": FILE}).listing, None, str) == []


LINK = Row("a", FOREIGN_LINK, 0, 0, 7)
KNOWN_FILE = Row("a", FILE_LINK, 9, 9, 7)


@pytest.mark.parametrize(
    ("answer", "before", "row"),
    [
        (Stat(True, 0, 1, 7, 8), None, LINK._replace(type=DIRECTORY_LINK)),
        (Stat(False, 5, 1, 7, 8), None, Row("a", FILE_LINK, 5, 1, 7)),
        (Failed("/r/a", errno.ENOENT, "gone"), KNOWN_FILE, LINK._replace(type=BROKEN_LINK)),
        # no answer, or one that does not tell: as before
        (Failed("/r/a", errno.EIO, "broken"), KNOWN_FILE, KNOWN_FILE),
        (Failed("/r/a", errno.EIO, "broken"), None, None),
        (None, KNOWN_FILE, KNOWN_FILE),
        (None, None, None),
        # a folder is a zone of its own, which says itself when it is away
        (None, LINK._replace(type=DIRECTORY_LINK), LINK._replace(type=DIRECTORY_LINK)),
    ],
)
def test_row_of_a_link_is_what_its_mount_answers(
    answer: Stat | Failed | None, before: Row | None, row: Row | None
) -> None:
    assert linked_row(ForeignLink("/r/a", "/m/a", LINK, before), answer) == row


def test_link_that_could_not_be_looked_at_is_unread() -> None:
    types = {"a": FOREIGN_LINK, "b": FOREIGN_LINK, "x": FILE}
    listed = directory(types, targets={"a": "/m/a", "b": "/m/b"}, unstatted=("u",))
    found = with_links(listed.listing, {"a": LINK._replace(type=DIRECTORY_LINK), "b": None})
    assert (found.split_names(), found.types) == (
        ["a", "b", "x"],
        DIRECTORY_LINK + BROKEN_LINK + FILE,
    )
    assert found.unstatted == ("b", "u")
    assert dict(found.targets) == {"a": "/m/a", "b": "/m/b"}


# Columns


def test_unchanged_directory_is_the_known_one_itself() -> None:
    old = replace(directory({"a": FILE}), fingerprints=b"f" * 16)
    assert with_old_columns(directory({"a": FILE}), old) is old
    touched = with_old_columns(replace(directory({"a": FILE}), mtime=6), old)
    assert touched == replace(old, mtime=6)
    assert touched.listing is old.listing
    new = directory({"a": FILE, "b": FILE})
    assert with_old_columns(new, old) is new
    assert with_old_columns(new, None) is new


# This program's own files

OWN = RULES._replace(own=Outputs("/home/own.json", "/home"))
INSTANCE = ("b.changes.jsonl", "b.json", "b.lock", "b.state.sqlite", "b.state.sqlite-wal")


def names(found: Directory) -> list[str]:
    return found.listing.split_names()


def test_files_of_another_instance_are_left_out() -> None:
    listed = directory(dict.fromkeys((*INSTANCE, ".b.json.0a1b2c3d.tmp", "a.png", "b.png"), FILE))
    found = members("/r/output", listed, None, rules(OWN))
    assert names(found) == ["a.png", "b.png"]
    assert found.ignored == {*INSTANCE, ".b.json.0a1b2c3d.tmp"}
    # They are skipped from now on, and still tell whose a new file is.
    later = directory(
        dict.fromkeys(("a.png", "b.changes.1.jsonl", "b.png"), FILE), ignored=INSTANCE
    )
    found = members("/r/output", later, found, rules(OWN))
    assert names(found) == ["a.png", "b.png"]
    assert "b.changes.1.jsonl" in found.ignored


@pytest.mark.parametrize(
    "present",
    [
        ("b.json", "b.lock"),
        ("b.json", "b.status.json"),
        ("a.lock", "b.json", "b.status.json", "c.changes.jsonl"),
    ],
)
def test_one_name_alone_identifies_no_instance(present: tuple[str, ...]) -> None:
    listed = directory(dict.fromkeys(present, FILE))
    assert names(members("/r", listed, None, rules(OWN))) == list(present)


def test_folders_are_no_files_of_an_instance() -> None:
    listed = directory({"b.json": DIRECTORY, "b.lock": FILE, "b.state.sqlite": FILE})
    assert names(members("/r", listed, None, rules(OWN))) == ["b.json"]


def test_a_file_of_another_instance_that_is_known_stays_as_it_is() -> None:
    """It is not gone, and its changes are no news."""
    before = directory({"b.lock": FILE, "x": FILE})
    listed = directory(dict.fromkeys(("b.lock", "b.state.sqlite", "x"), FILE))
    rows = [row._replace(size=99) if row.name == "b.lock" else row for row in listed.listing.rows()]
    found = members("/r", replace(listed, listing=listing_of(rows)), before, rules(OWN))
    assert found.listing == before.listing
    gone = members("/r", directory({"x": FILE}, ignored=("b.state.sqlite",)), found, rules(OWN))
    assert names(gone) == ["x"]


def test_a_link_to_an_own_file_has_neither_size_nor_mtime() -> None:
    listed = directory(
        {"mine": FILE_LINK, "other": FILE_LINK, "status": FILE_LINK},
        targets={"mine": "/home/own.json", "other": "/home/x", "status": "../home/own.status.json"},
    )
    found = members("/r", listed, None, rules(OWN))
    facts = {row.name: (row.type, row.size, row.mtime) for row in found.listing.rows()}
    assert facts == {
        "mine": (FILE_LINK, 0, 0),
        "other": (FILE_LINK, 5, 1),
        "status": (FILE_LINK, 0, 0),
    }
    assert found.listing.targets == listed.listing.targets
