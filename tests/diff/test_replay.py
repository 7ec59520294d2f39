"""Replaying the change list gives exactly what the scanner saw (design rule 7)."""

import os
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.core.changes import BASELINE, CREATED, DELETED, MODIFIED, MOVED, Change
from scanner.diff.replay import Projection, replay
from scanner.output.journal import encode
from tests.support.names import TOP

ROOT = "models:/srv"


def at(path: str) -> str:
    return os.path.join(TOP, *path.split("/"))


def projection(*paths: str) -> Projection:
    """Directories end with a slash; a file's size is the length of its name."""
    return {
        at(path.rstrip("/")): ("directory", 0, 0) if path.endswith("/") else ("file", len(path), 1)
        for path in paths
    }


def lines(*changes: Change, scan: int = 1, base: str | None = TOP) -> list[dict[str, Any]]:
    return [
        orjson.loads(encode(change, scan=scan, n=n, of=len(changes), time_ns=1, base=base))
        for n, change in enumerate(changes, 1)
    ]


def created(path: str, size: int = 7) -> Change:
    return Change(CREATED, "file", at(path), ROOT, size, 5)


def deleted(path: str, type_: str = "file") -> Change:
    return Change(DELETED, type_, at(path), ROOT)


def moved(source: str, path: str, type_: str = "file", size: int = 7) -> Change:
    files = -1 if type_ == "file" else 1
    return Change(MOVED, type_, at(path), ROOT, size, 5, at(source), files=files, bytes=files)


def after(before: Projection, *changes: Change) -> Projection:
    return replay(before, lines(*changes), TOP)


def test_created_modified_and_deleted():
    before = projection("a", "b", "d/", "d/x")
    modified = Change(MODIFIED, "file", at("b"), ROOT, 99, 98)
    gone = [deleted("d", "directory"), deleted("d/x")]
    assert after(before, created("c"), modified, *gone) == {
        at("a"): ("file", 1, 1),
        at("b"): ("file", 99, 98),
        at("c"): ("file", 7, 5),
    }


def test_a_deleted_directory_takes_only_its_own_entry():
    assert after(projection("d/", "d/x"), deleted("d", "directory")) == projection("d/x")


def test_what_is_gone_already_is_fine():
    before = projection("a")
    assert after(before, deleted("x"), moved("y", "z")) == {**before, at("z"): ("file", 7, 5)}


def test_files_that_swap_names():
    swapped = after(projection("a", "bb"), moved("a", "bb", size=1), moved("bb", "a", size=2))
    assert swapped == {at("bb"): ("file", 1, 5), at("a"): ("file", 2, 5)}


def test_directories_that_swap_names():
    before = projection("a/", "a/x", "b/", "b/yy")
    changes = moved("a", "b", "directory"), moved("b", "a", "directory")
    assert set(after(before, *changes)) == {at("a"), at("a/yy"), at("b"), at("b/x")}


def test_a_directory_move_takes_everything_below_it_along():
    before = projection("d/", "d/x", "d/s/", "d/s/y", "dd", "d.x")
    assert after(before, moved("d", "e/f", "directory")) == {
        at("e/f"): ("directory", 0, 0),
        at("e/f/x"): ("file", 3, 1),
        at("e/f/s"): ("directory", 0, 0),
        at("e/f/s/y"): ("file", 5, 1),
        at("dd"): ("file", 2, 1),
        at("d.x"): ("file", 3, 1),
    }


def test_a_directory_that_was_copied_first_and_deleted_later():
    """What was reported as created takes what moves onto it; a difference has its own line."""
    before = projection("d/", "d/x", "d/y", "e/", "e/z") | {at("e/x"): ("file", 99, 99)}
    assert after(before, moved("d", "e", "directory")) == {
        at("e"): ("directory", 0, 0),
        at("e/x"): ("file", 3, 1),
        at("e/y"): ("file", 3, 1),
        at("e/z"): ("file", 3, 1),
    }


def test_the_longest_from_wins_and_moves_once():
    before = projection("a/", "a/b/", "a/b/x", "a/y")
    changes = moved("a", "c", "directory"), moved("a/b", "a", "directory")
    assert set(after(before, *changes)) == {at("c"), at("c/y"), at("a"), at("a/x")}


def test_deletions_come_before_and_creations_after_the_moves():
    before = projection("d/", "d/x", "d/y")
    changes = created("e/x", 50), moved("d", "e", "directory"), deleted("d/x"), deleted("d/y")
    assert after(before, *changes) == {
        at("e"): ("directory", 0, 0),
        at("e/x"): ("file", 50, 5),
    }


def test_a_file_that_leaves_a_directory_that_moves():
    before = projection("d/", "d/x", "d/y")
    changes = moved("d", "e", "directory"), moved("d/x", "x")
    assert set(after(before, *changes)) == {at("e"), at("e/y"), at("x")}


def test_a_link_to_a_directory_moves_with_what_is_below_it():
    before = {at("l"): ("symlink", 0, 5), at("l/x"): ("file", 1, 1), at("k"): ("symlink", 3, 4)}
    changes = moved("l", "m", "symlink"), Change(MOVED, "symlink", at("j"), ROOT, 3, 4, at("k"))
    assert after(before, *changes) == {
        at("m"): ("symlink", 0, 5),
        at("m/x"): ("file", 1, 1),
        at("j"): ("symlink", 3, 4),
    }


def test_baselines_and_unknown_kinds_change_nothing():
    before = projection("a")
    baseline = Change(BASELINE, "directory", TOP, ROOT, files=1, bytes=1, reason="first scan")
    unknown = {"scan": 1, "n": 1, "of": 1, "kind": "later", "path": "a", "type": "file"}
    assert replay(before, [*lines(baseline), unknown], TOP) == before


def test_scans_are_replayed_one_after_the_other():
    first = lines(moved("d", "e", "directory"), scan=1)
    second = lines(moved("e", "f", "directory"), scan=2)
    before = projection("d/", "d/x")
    assert set(replay(before, first + second, TOP)) == {at("f"), at("f/x")}
    assert set(replay(before, iter(first), TOP)) == {at("e"), at("e/x")}


def test_nothing_given_is_changed():
    before = projection("a")
    after(before, deleted("a"), created("b"))
    assert before == projection("a")


# Against the rule, word by word

parts = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)
some_paths = parts.map("/".join)
values = st.tuples(st.sampled_from(["file", "directory"]), st.integers(0, 3), st.integers(0, 3))
projections = st.dictionaries(some_paths.map(at), values, max_size=12)


@st.composite
def scans(draw) -> list[Change]:
    """Changes of one scan as the scanner writes them: each path is in one place of each kind."""
    changes = [deleted(path) for path in draw(st.lists(some_paths, unique=True, max_size=3))]
    sources = draw(st.lists(some_paths, unique=True, max_size=6))
    targets = draw(st.lists(some_paths, unique=True, max_size=9))
    for source, target in zip(sources, targets, strict=False):
        changes.append(moved(source, target, draw(st.sampled_from(["file", "directory"]))))
    for target in targets[len(sources) :]:
        changes.append(created(target, draw(st.integers(0, 9))))
    return changes


def by_the_rule(before: Projection, changes: list[Change]) -> Projection:
    tree = [c for c in changes if c.kind == MOVED and c.type == "directory"]
    single = [c for c in changes if c.kind == MOVED and c.type != "directory"]
    removed = {c.path for c in changes if c.kind == DELETED} | {c.source for c in single}
    remaining = {path: value for path, value in before.items() if path not in removed}
    stays, goes = {}, {}
    for path, value in remaining.items():
        matching = [c for c in tree if (path + os.sep).startswith(c.source + os.sep)]
        if matching:
            longest = max(matching, key=lambda c: len(c.source))
            goes[longest.path + path[len(longest.source) :]] = value
        else:
            stays[path] = value
    added = {c.path: (c.type, c.size, c.mtime) for c in changes if c.kind == CREATED or c in single}
    return {**stays, **goes, **added}


@given(projections, scans(), st.randoms(use_true_random=False), st.sampled_from([None, TOP]))
def test_replay_is_the_rule_in_any_order_of_lines(before, changes, random, base):
    wanted = by_the_rule(before, changes)
    written = lines(*changes, base=base)
    assert replay(before, written, base) == wanted
    tree_targets = [c.path for c in changes if c.kind == MOVED and c.type == "directory"]
    is_ambiguous = len(tree_targets) > 1  # two trees that would put one path on another
    random.shuffle(written)
    if not is_ambiguous:
        assert replay(before, written, base) == wanted


@pytest.mark.parametrize("key", ["kind", "path", "type", "scan"])
def test_a_damaged_line_is_an_error_and_not_a_guess(key):
    (line,) = lines(created("a"))
    del line[key]
    with pytest.raises((KeyError, ValueError)):
        replay({}, [line], TOP)
