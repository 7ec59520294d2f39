"""What belongs to which root, and which differences only the rules made."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from scanner.core.memory import RootRecord
from scanner.core.roots import Root
from scanner.walk.ignore import IgnoreRules
from scanner.walk.rules import ListingRules, OwnFiles, Scope, WalkRules, rules_of, scope_of
from scanner.walk.walked import Walked
from scanner.walk.zones import Zones
from tests.support.fakes import FakeFileSystem
from tests.support.world import MODELS as WORLD_MODELS
from tests.support.world import World, at

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")

MODELS = Root("models", "/u/models")
LORAS = Root("extra", "/u/models/loras")
STYLES = Root("extra", "/u/models/loras/styles", "styles")
DOWNLOADS = Root("downloads", "/u/dl")


def members(*roots: Root, follow_links: bool = True, **patterns: tuple[str, ...]) -> ListingRules:
    """`patterns` by kind of root."""
    return ListingRules(
        roots, {root.id: IgnoreRules(patterns.get(root.kind, ())) for root in roots}, follow_links
    )


def walk_of(root: Root, some: ListingRules, own: OwnFiles) -> WalkRules:
    return some.of_walk(root, Zones(some.roots), own)


def scope(
    root: Root, new: ListingRules, old: ListingRules | None, walked: Walked | None = None
) -> Scope:
    return scope_of(root, Zones(new.roots), walked or Walked(root.path), new, old)


class OwnNames:
    """Takes one name for a file of ours, wherever it is."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self.own_prefixes = frozenset((name,)) if name else frozenset()
        self.asked: list[tuple[str, str]] = []

    def is_own(self, folder: str, name: str) -> bool:
        self.asked.append((folder, name))
        return name == self._name

    def instance_files(self, names: str) -> frozenset[str]:
        return frozenset()


def test_inner_roots_are_all_below_however_deep() -> None:
    some = members(MODELS, STYLES, LORAS, DOWNLOADS)
    assert some.inner_roots(MODELS) == (LORAS.path, STYLES.path)
    assert some.inner_roots(LORAS) == (STYLES.path,)
    assert some.inner_roots(DOWNLOADS) == ()


@pytest.mark.parametrize(
    ("path", "is_directory", "has"),
    [
        ("/u/models/x", False, True),
        ("/u/models/x.bak", False, False),
        ("/u/models/old/x", False, False),  # below what is left out
        ("/u/models/old", True, False),
        ("/u/models/old", False, True),  # the rule is for folders
        ("/u/models/loras/x.bak", False, True),  # each root has its own rules
        ("/u/models", True, False),  # folders that are roots are no entries
        ("/u/models/loras", True, False),
        ("/elsewhere/x", False, False),
    ],
)
def test_listed_is_what_the_owners_rules_do_not_leave_out(
    path: str, is_directory: bool, has: bool
) -> None:
    assert members(MODELS, LORAS, models=("*.bak", "old/")).has(path, is_directory) is has


# A walk


def test_walk_leaves_inner_roots_to_themselves() -> None:
    walk = walk_of(MODELS, members(MODELS, LORAS, STYLES), OwnNames())
    assert walk.reserved("/u/models") == {"loras", "loras/"}
    assert walk.reserved("/u/models/loras") == {"styles", "styles/"}
    assert walk.reserved("/u/models/other") == frozenset()
    assert walk.follow_links


def test_walk_leaves_out_what_the_rules_say_and_this_programs_own_files() -> None:
    own = OwnNames("out.json")
    some = members(MODELS, follow_links=False, models=("*.bak",))
    walk = walk_of(MODELS, some, own)
    assert walk.rules.ignores("a.bak", False)
    assert walk.rules.ignores("sub/out.json", False)
    assert not walk.rules.ignores("sub/out.json", True)  # only files are ours
    assert not walk.rules.ignores("sub/x", False)
    assert own.asked == [("/u/models/sub", "out.json"), ("/u/models/sub", "x")]
    assert not walk.follow_links
    assert walk.rules.suspects(["a.bak", "out.json", "x", "bak"]) == ["a.bak", "out.json"]


# Over several scans


def record(root: Root, some: ListingRules) -> RootRecord:
    made = RootRecord(root.id, root.kind, root.path, root.category, walked=True)
    some.sign(root, made)
    return made


BEFORE = members(MODELS, LORAS, models=("*.bak",))


@pytest.mark.parametrize(
    ("now", "differs"),
    [
        (members(MODELS, LORAS, models=("*.bak",)), False),
        (members(MODELS, LORAS, DOWNLOADS, models=("*.bak",), downloads=("x",)), False),
        (members(MODELS, LORAS, models=("*.bak",), extra=("x",)), False),
        (members(MODELS, LORAS, models=("*.tmp",)), True),
        (members(MODELS, LORAS), True),
        (members(MODELS, models=("*.bak",)), True),
        (members(MODELS, LORAS, STYLES, models=("*.bak",)), True),
        (members(MODELS, LORAS, models=("*.bak",), follow_links=False), True),
    ],
)
def test_change_of_rules_links_or_inner_roots_is_noticed(now: ListingRules, differs: bool) -> None:
    assert now.differs_from(MODELS, record(MODELS, BEFORE)) is differs


def test_rules_that_are_not_known_are_taken_for_unchanged() -> None:
    lost = replace(record(MODELS, BEFORE), patterns=None)
    assert not members(MODELS).differs_from(MODELS, lost)


def test_members_of_an_earlier_scan_are_those_that_were_walked() -> None:
    records = [record(MODELS, BEFORE), record(LORAS, BEFORE)]
    records.append(RootRecord(DOWNLOADS.id, DOWNLOADS.kind, DOWNLOADS.path))
    old = rules_of(records)
    assert old.roots == (MODELS, LORAS)
    assert old.rules[MODELS.id].patterns == ("*.bak",)
    assert old.has("/u/models/x", False)
    assert not old.has("/u/models/x.bak", False)
    assert not old.has("/u/dl/x", False)


# Scope


def test_without_new_rules_every_difference_is_a_change() -> None:
    found = scope(DOWNLOADS, replace(BEFORE, roots=(*BEFORE.roots, DOWNLOADS)), None)
    assert found.agrees("/u/dl/anything.bak", False)
    assert found.owns("/u/dl/x")


def test_without_new_rules_what_an_inner_root_owns_is_left_to_it() -> None:
    everyone = (MODELS, LORAS, STYLES, DOWNLOADS)
    owners = {
        "/u/models/x": MODELS,
        "/u/models/loras": LORAS,
        "/u/models/loras/x": LORAS,
        "/u/models/loras2/x": MODELS,
        "/u/models/loras/styles/x/y": STYLES,
        "/u/dl/x": DOWNLOADS,
    }
    found = {root: scope(root, members(*everyone), None) for root in everyone}
    for path, owner in owners.items():
        # A root that has none inside is never asked about the paths of others.
        asked = [root for root in everyone if path.startswith(root.path + "/") or root == owner]
        assert [root for root in asked if found[root].owns(path)] == [owner]


@pytest.mark.parametrize(
    ("path", "agrees"),
    [
        ("/u/models/x", True),
        ("/u/models/x.bak", False),  # only the old rules leave it out
        ("/u/models/x.tmp", False),  # only the new ones
        ("/u/models/sub/x.tmp", False),
        ("/u/models/loras/x", True),  # a root then, and not now: listed both times
        ("/u/models/loras", False),  # its own entry is new
    ],
)
def test_with_new_rules_only_what_both_would_list_is_a_change(path: str, agrees: bool) -> None:
    now = members(MODELS, models=("*.tmp",))
    assert scope(MODELS, now, BEFORE).agrees(path, False) is agrees


def test_what_lies_below_links_is_no_change_where_following_them_is_new() -> None:
    walked = Walked(MODELS.path, links={"/u/models/nas"})
    now = members(MODELS, follow_links=False)
    changed = scope(MODELS, now, members(MODELS), walked)
    assert not changed.agrees("/u/models/nas/x", False)
    assert changed.agrees("/u/models/nas", False)  # the link itself is an entry either way
    assert changed.agrees("/u/models/nas2/x", False)
    same = scope(MODELS, members(MODELS), members(MODELS), walked)
    assert same.agrees("/u/models/nas/x", False)


# In a whole pass


def test_root_that_is_a_link_in_another_root_is_left_to_itself(tmp_path: Path) -> None:
    """As models/nas -> /mnt/nas with models/nas named as a root of its own."""
    nas = Root("extra", at("ComfyUI/models/nas"))
    files = FakeFileSystem()
    files.write("/mnt/nas/x", b"1")
    files.write(at("ComfyUI/models/y"), b"1")
    files.symlink("/mnt/nas", nas.path)
    world = World(tmp_path, files, (WORLD_MODELS, nas))
    world.scan()
    assert set(world.inventory()) == {at("ComfyUI/models/y"), at("ComfyUI/models/nas/x")}
    files.calls.clear()
    world.scanner.scan((WORLD_MODELS,), interval=30.0)
    assert files.calls["list"] == 1
