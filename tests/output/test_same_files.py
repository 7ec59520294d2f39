"""Each file counts once in totals, whatever leads to it: against the operating system's own stat of
every listed path, on random trees of folders, links and hard links on a real disk."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from scanner.core.roots import Root
from scanner.core.snapshot import Directory, Listing, Row, Snapshot, listing_of
from scanner.output.inventory_reader import read_entries, read_header
from scanner.output.inventory_view import InventoryView, RootView
from scanner.output.inventory_writer import InventoryWriter, write_inventory
from scanner.output.same_files import find_same_files
from tests.support.real_worlds import listed


def view(top: Path, kinds: tuple[str, ...] = ("models", "output")) -> InventoryView:
    roots = [Root(kind, str(top / kind)) for kind in kinds]
    snapshot: Snapshot = {}
    for root in roots:
        snapshot.update(listed(Path(root.path)))
    views = [RootView(root, "online", 1, "ext4") for root in roots]
    return InventoryView(1, 1, str(top), views, (), snapshot)


def check(top: Path, inventory: Path) -> list[dict]:
    """Compare all sums with those that stat gives."""
    entries = list(read_entries(inventory))
    header = read_header(inventory)
    assert header is not None
    files: dict[str, tuple[tuple[int, int], int]] = {}
    for entry in entries:
        if "size" in entry:
            status = os.stat(top / entry["path"])
            assert entry["size"] == status.st_size
            files[entry["path"]] = (status.st_dev, status.st_ino), status.st_size
    assert header["totals"]["apparent_bytes"] == sum(size for _, size in files.values())
    assert header["totals"]["bytes"] == sum(dict(files.values()).values())
    assert header["totals"]["bytes"] == sum(root["bytes"] for root in header["roots"])
    for entry in entries:
        if "total_size" in entry:
            below = [found for path, found in files.items() if path.startswith(entry["path"] + "/")]
            assert entry["apparent_bytes"] == sum(size for _, size in below)
            assert entry["total_size"] == sum(dict(below).values()), entry["path"]
        if "alias_of" in entry and os.path.exists(top / entry["path"]):
            assert os.path.samefile(top / entry["path"], top / entry["alias_of"])
    owners = [entry for entry in entries if "alias_of" not in entry]
    paths = {entry["path"] for entry in (*owners, *header["roots"])}
    assert all(e["alias_of"] in paths for e in entries if "alias_of" in e)
    counted = [files[entry["path"]][0] for entry in owners if entry["path"] in files]
    assert len(counted) == len(set(counted)) == header["totals"]["files"]
    return entries


def grow(top: Path, dice: random.Random, edits: int) -> None:
    """Make random files, folders, links and hard links below `top`, and remove some."""
    for _ in range(edits):
        folders = [path for path in top.rglob("*") if path.is_dir() and not path.is_symlink()]
        files = [path for path in top.rglob("*") if path.is_file() and not path.is_symlink()]
        new = dice.choice(folders) / f"{dice.choice('abcdefgh')}{dice.randrange(20)}"
        kind = dice.choice(
            ["file", "file", "folder", "link", "link", "hard", "hard", "out", "away"]
        )
        if kind == "away" and files:
            dice.choice(files).unlink()
        elif new.is_symlink() or new.exists():
            continue
        elif kind == "file":
            new.write_bytes(b"x" * dice.randrange(1, 1000))
        elif kind == "folder":
            new.mkdir()
        elif kind == "link":
            target = dice.choice([*folders, *files, *files])
            is_relative = dice.random() < 0.5
            new.symlink_to(os.path.relpath(target, new.parent) if is_relative else target)
        elif kind == "out":
            new.symlink_to(top.parent / "outside" / dice.choice("12"))
        elif kind == "hard" and files:
            os.link(dice.choice(files), new)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for kind in ("models", "output"):
        (tmp_path / "top" / kind).mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, size in (("1", 100), ("2", 10)):
        (outside / name).write_bytes(b"y" * size)
    return tmp_path / "top"


@pytest.mark.parametrize("seed", range(15))
def test_sums_are_those_of_stat(top: Path, seed: int) -> None:
    dice = random.Random(seed)
    inventory, whole = top.parent / "i.json", top.parent / "whole.json"
    writer = InventoryWriter(inventory)
    for edits in (25, 1, 2, 8):
        grow(top, dice, edits)
        now = view(top)
        writer.write(now)
        check(top, inventory)
        write_inventory(whole, now)
        assert inventory.read_bytes() == whole.read_bytes()


def aliases(entries: list[dict]) -> dict[str, str]:
    return {entry["path"]: entry["alias_of"] for entry in entries if "alias_of" in entry}


def test_the_owner_is_the_file_itself(top: Path) -> None:
    """However the link is named, and wherever it stands."""
    (top / "output" / "z").write_bytes(b"12345")
    (top / "output" / "a_link").symlink_to("z")
    (top / "output" / "link_to_link").symlink_to("a_link")
    write_inventory(top.parent / "i.json", view(top))
    assert aliases(check(top, top.parent / "i.json")) == {
        "output/a_link": "output/z",
        "output/link_to_link": "output/z",
    }


def test_models_come_first_among_links_to_a_file_elsewhere(top: Path) -> None:
    for link in (top / "models" / "z", top / "output" / "a"):
        link.symlink_to("../../outside/1")
    write_inventory(top.parent / "i.json", view(top))
    assert aliases(check(top, top.parent / "i.json")) == {"output/a": "models/z"}


def test_further_hard_links_are_aliases(top: Path) -> None:
    (top / "models" / "sub").mkdir()
    (top / "models" / "sub" / "b").write_bytes(b"123")
    os.link(top / "models" / "sub" / "b", top / "models" / "z")
    os.link(top / "models" / "sub" / "b", top / "output" / "a")
    write_inventory(top.parent / "i.json", view(top))
    entries = check(top, top.parent / "i.json")
    assert aliases(entries) == {"models/z": "models/sub/b", "output/a": "models/sub/b"}


def test_a_link_among_the_parts_of_a_path_is_followed(top: Path) -> None:
    (top / "models" / "real").mkdir()
    (top / "models" / "real" / "x").write_bytes(b"123")
    (top / "models" / "door").symlink_to("real")
    (top / "output" / "link").symlink_to("../models/door/../real/./x")
    write_inventory(top.parent / "i.json", view(top))
    assert aliases(check(top, top.parent / "i.json"))["output/link"] == "models/real/x"


def test_trees_without_links_are_not_searched() -> None:
    """A file with one name costs nothing here: its folder's rows are not even put in order."""

    class Counted(Listing):
        def split_names(self) -> list[str]:
            raise AssertionError("the names were split")

    class Plain:
        path, alias_of, parent = "/m", "", None
        directory = Directory(Counted("a\0b", "ff"))

    assert find_same_files([Plain(), Plain()]).groups == []


def test_inode_numbers_that_are_not_known_prove_nothing() -> None:
    class Folder:
        path, alias_of, parent = os.sep + "m", "", None
        directory = Directory(listing_of([Row("a", "f", 5, 1, 0), Row("b", "f", 5, 1, 0)]))

    assert find_same_files([Folder()]).groups == []
