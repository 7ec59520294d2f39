"""An inventory that copies what stands in the previous one is, byte for byte, one written whole."""

from __future__ import annotations

import gc
import os
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scanner.core.paths import join
from scanner.core.roots import Root, SearchedFolder
from scanner.core.snapshot import (
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    OTHER,
    Directory,
    Row,
    Snapshot,
    listing_of,
)
from scanner.output import inventory_writer
from scanner.output.inventory_layout import Folder, Layout
from scanner.output.inventory_view import InventoryView, RootView
from scanner.output.inventory_writer import InventoryWriter, write_inventory
from tests.support.build import directory_of, file_row, folder_row
from tests.support.names import TOP

NOW = 1_790_000_000_123_456_789

MODELS = join(TOP, "models")
NAS = join(TOP, "nas")
OUTPUT = join(TOP, "output")
ROOTS = [
    Root("models", MODELS, searched=(SearchedFolder(MODELS, 0),)),
    Root("models", NAS, "loras", "e.yaml", (SearchedFolder(NAS, 20, "e.yaml"),)),
    Root("output", OUTPUT),
]

KINDS = (
    *("size", "size", "time", "print", "print", "add", "add", "remove", "rename", "touch"),
    *("new folder", "lose folder", "unread", "read", "status", "fields", "type", "link"),
)
"""Kinds of edits; those that come twice are more frequent."""


@dataclass
class Fields:
    """Annotations whose text may depend on all rows of a folder."""

    folders: dict[str, int] = field(default_factory=dict)

    def of(self, folder: str, directory: Directory) -> dict[str, dict[str, Any]]:
        number, names = self.folders[folder], directory.listing.split_names()
        return {
            name: {
                "number": f"{number} of {len(names)}",
                **({"status": "truncated"} if place % 7 == 0 else {}),
                **({"model": {"kind": "vae"}} if place % 5 == 0 else {}),
            }
            for place, name in enumerate(names)
            if (place + number) % 3 == 0
        }


class Edits:
    """A tree, and random changes to it."""

    def __init__(self, seed: int, *, has_links: bool) -> None:
        self.dice = random.Random(seed)
        self.has_links = has_links
        self.snapshot: Snapshot = {}
        self.status: dict[str, str] = {}
        self.annotations = Fields()
        self._inode = 100
        folders = [folder_row(name) for name in ("diffusers", "loras", "vae")]
        self.put(MODELS, [*folders, *self.rows(5)])
        for top in (NAS, OUTPUT, *(join(MODELS, row.name) for row in folders)):
            self.grow(top, 2)

    def put(self, path: str, rows: list[Row], targets: dict[str, str] | None = None) -> None:
        """Replace a folder; what stays keeps its fingerprint."""
        old = self.snapshot.get(path)
        self._inode += old is None
        known = {} if old is None else dict(old.listing.targets)
        links = known | (targets or {})
        names = {row.name for row in rows if row.type in (FILE_LINK, DIRECTORY_LINK)}
        listing = listing_of(rows, targets=[item for item in links.items() if item[0] in names])
        inode = self._inode if old is None else old.inode
        new = Directory(listing, self.dice.choice([0, 1, NOW, NOW + 1]), 1, inode)
        kept = {}
        if old is not None:
            before = {row: old.fingerprint(place) for place, row in enumerate(old.listing.rows())}
            kept = {row.name: before[row] for row in listing.rows() if before.get(row)}
        self.snapshot[path] = new.with_fingerprints(kept) if kept else new

    def name(self) -> str:
        stem = self.dice.choice(["a", "model", "Ünï", "x y", 'q"q', "b\\s", ".hidden", "n\tt"])
        if self.dice.random() < 0.02:
            stem += os.fsdecode(b"\xff")
        ending = self.dice.choice([".safetensors", ".SafeTensors", ".png", "", ".sft"])
        return f"{stem}{self.dice.randrange(60)}{ending}"

    def row(self, name: str) -> Row:
        letter = OTHER if self.dice.random() < 0.03 else FILE
        time = self.dice.choice([0, -1, 5, NOW, NOW - 10**15, NOW - 10**17])
        return Row(
            name, letter, *((self.dice.randrange(99), time) if letter == FILE else (0, 0)), 0
        )

    def rows(self, most: int) -> list[Row]:
        names = {self.name() for _ in range(self.dice.randrange(most + 1))}
        return [self.row(name) for name in names]

    def grow(self, path: str, depth: int) -> None:
        rows = self.rows(self.dice.choice([3, 30, 80]))
        taken = {row.name for row in rows}
        for number in range(self.dice.randrange(5) if depth else 0):
            name = f"{self.dice.choice('amz')}{number}"
            if name not in taken:
                rows.append(folder_row(name))
                if self.dice.random() < 0.9:
                    self.grow(join(path, name), depth - 1)
        self.put(path, rows)

    def drop(self, path: str) -> None:
        for other in [p for p in self.snapshot if p == path or p.startswith(path + os.sep)]:
            del self.snapshot[other]

    def edit(self) -> None:
        path = self.dice.choice(sorted(self.snapshot))
        rows = list(self.snapshot[path].listing.rows())
        files = [place for place, row in enumerate(rows) if row.type == FILE]
        folders = [place for place, row in enumerate(rows) if row.type == DIRECTORY]
        kind = self.dice.choice(KINDS)
        place = self.dice.choice(files) if files else None
        inner = self.dice.choice(folders) if folders else None
        if kind == "size" and place is not None:
            rows[place] = rows[place]._replace(size=self.dice.randrange(10**12))
        elif kind == "time" and place is not None:
            rows[place] = self.row(rows[place].name)
        elif kind == "print" and place is not None:
            digits = self.dice.choice([b"", bytes(range(16)), self.dice.randbytes(16)])
            directory = self.snapshot[path].with_fingerprints({rows[place].name: digits})
            self.snapshot[path] = directory
            return
        elif kind == "add":
            row = self.row(self.name())
            if all(other.name != row.name for other in rows):
                rows.append(row)
        elif kind == "remove" and place is not None:
            del rows[place]
        elif kind == "rename" and place is not None:
            name = self.name()
            if all(other.name != name for other in rows):
                rows[place] = rows[place]._replace(name=name)
        elif kind == "new folder":
            name = f"new{self.dice.randrange(99)}"
            if all(other.name != name for other in rows):
                rows.append(folder_row(name))
                self.grow(join(path, name), 1)
        elif kind == "lose folder" and inner is not None and path not in (TOP, MODELS):
            self.drop(join(path, rows.pop(inner).name))
        elif kind == "unread" and inner is not None and path != MODELS:
            self.drop(join(path, rows[inner].name))
            return
        elif kind == "read" and inner is not None:
            if join(path, rows[inner].name) not in self.snapshot:
                self.grow(join(path, rows[inner].name), 1)
            return
        elif kind == "type" and inner is not None and path != MODELS:
            self.drop(join(path, rows[inner].name))
            rows[inner] = file_row(rows[inner].name)
        elif kind == "status":
            names = [row.name for row in self.dice.sample(rows, min(2, len(rows)))]
            self.status = {join(path, name): "unsettled" for name in names}
            return
        elif kind == "fields":
            others = self.annotations.folders | {path: self.dice.randrange(9)}
            others.pop(self.dice.choice(sorted(others)))
            self.annotations = Fields(others | {path: self.dice.randrange(9)})
            return
        elif kind == "link" and self.has_links:
            self.link(path, rows)
            return
        self.put(path, rows)

    def link(self, path: str, rows: list[Row]) -> None:
        """Add a link to a file of any folder."""
        folder = self.dice.choice(sorted(self.snapshot))
        files = [row for row in self.snapshot[folder].listing.rows() if row.type == FILE]
        name = f"link{self.dice.randrange(9)}"
        if files and all(other.name != name for other in rows):
            target = self.dice.choice(files)
            text = os.path.relpath(join(folder, target.name), path)
            self.put(path, [*rows, Row(name, FILE_LINK, target.size, 7, 0)], {name: text})

    def view(self) -> InventoryView:
        views = [RootView(root, "online", NOW, "ext4") for root in ROOTS]
        return InventoryView(
            7,
            NOW,
            TOP,
            views,
            (),
            dict(self.snapshot),
            status=dict(self.status),
            annotations=self.annotations,
        )


@pytest.mark.parametrize("seed", range(40))
def test_random_edits_give_what_writing_anew_gives(tmp_path: Path, seed: int) -> None:
    edits = Edits(seed, has_links=seed % 4 == 3)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(edits.view())
    copied = 0
    for number in (1, 1, 2, 1, 5, 20, 1, 1, 3, 1):
        for _ in range(number):
            edits.edit()
        now = edits.view()
        written = writer.write(now)
        whole = write_inventory(tmp_path / "whole.json", now)
        assert (tmp_path / "i.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
        assert (written.words, written.bytes) == (whole.words, whole.bytes)
        copied += writer.copied
    assert copied or edits.has_links


def large(files: int) -> Snapshot:
    rows = [file_row(f"file_{number:04}.safetensors", number) for number in range(files)]
    return {
        OUTPUT: directory_of(folder_row("a"), folder_row("z"), *rows, device=1, inode=1),
        join(OUTPUT, "a"): directory_of(*rows, device=1, inode=2),
        join(OUTPUT, "z"): directory_of(*rows, device=1, inode=3),
    }


def of(snapshot: Snapshot) -> InventoryView:
    return InventoryView(1, NOW, TOP, [RootView(ROOTS[2], "online", 1, "ext4")], (), snapshot)


def test_of_a_large_folder_only_the_rows_that_changed_are_made_anew(tmp_path, monkeypatch) -> None:
    snapshot = large(9000)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(of(snapshot))
    made: list[str] = []
    append = inventory_writer.Body.lines

    def noted(body, lines):
        made.extend(lines)
        append(body, lines)

    monkeypatch.setattr(inventory_writer.Body, "lines", noted)
    path = join(OUTPUT, "a")
    rows = list(snapshot[path].listing.rows())
    rows[4000] = rows[4000]._replace(size=1)
    del rows[8000]
    writer.write(of(snapshot | {path: replace(snapshot[path], listing=listing_of(rows))}))
    assert len(made) == 2  # the file, and the folder with its size
    assert writer.copied > 0.99 * os.path.getsize(tmp_path / "i.json")


def test_lines_that_another_program_changed_are_not_copied(tmp_path) -> None:
    """Even if size, time and inode of the file are the same."""
    snapshot = large(9)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(of(snapshot))
    seen = os.stat(tmp_path / "i.json")
    with open(tmp_path / "i.json", "r+b") as file:
        content = file.read()
        file.seek(content.index(b"\n{", content.index(b"output/z/")))
        file.write(b" ")
    os.utime(tmp_path / "i.json", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    path = join(OUTPUT, "z")
    rows = list(snapshot[path].listing.rows())
    rows[5] = rows[5]._replace(size=1)
    now = of(snapshot | {path: replace(snapshot[path], listing=listing_of(rows))})
    writer.write(now)
    write_inventory(tmp_path / "whole.json", now)
    assert (tmp_path / "i.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert writer.copied == 0


def test_folders_that_are_no_longer_written_are_freed_at_once(tmp_path: Path) -> None:
    """`run` has Python not look for garbage among what its first scan has left."""

    def folders() -> int:
        return sum(type(thing) is Folder for thing in gc.get_objects())

    snapshot = large(9)
    a, z = join(OUTPUT, "a"), join(OUTPUT, "z")
    rows = list(snapshot[a].listing.rows())
    writer = InventoryWriter(tmp_path / "i.json")
    gc.collect()
    gc.disable()
    try:
        before = folders()
        writer.write(of(snapshot))
        assert folders() - before == 3
        for size in range(3):
            rows[5] = rows[5]._replace(size=size)
            changed = replace(snapshot[a], listing=listing_of(rows))
            writer.write(of(snapshot | {a: changed}))
            assert folders() - before == 3
        top = [row for row in snapshot[OUTPUT].listing.rows() if row.name != "z"]
        left = replace(snapshot[OUTPUT], listing=listing_of(top))
        writer.write(of({OUTPUT: left, a: snapshot[a]}))
        assert writer._layout is not None
        assert z not in writer._layout.folders
        assert folders() - before == 2
    finally:
        gc.enable()


def fingerprinted(snapshot: Snapshot, most: int) -> Snapshot:
    """`snapshot` with the fingerprints of the first rows of each folder."""
    found = {}
    for path, directory in snapshot.items():
        names = directory.listing.split_names()[:most]
        found[path] = directory.with_fingerprints(dict.fromkeys(names, b"\x01" * 16))
    return found


def test_first_fingerprints_hold_the_folders_of_one_file_at_a_time(tmp_path, monkeypatch) -> None:
    """A million files have 30,000 folders, which take 350 bytes each in a layout."""
    snapshot = large(40)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(of(snapshot))
    held: list[int] = []
    write = inventory_writer.write_folders

    def noted(*arguments: Any) -> None:
        held.append(sum(isinstance(value, Folder) for value in gc.get_objects()))
        write(*arguments)

    monkeypatch.setattr(inventory_writer, "write_folders", noted)
    gc.collect()
    gc.disable()
    try:
        others = sum(isinstance(value, Folder) for value in gc.get_objects()) - len(snapshot)
        now = of(fingerprinted(snapshot, 40))
        writer.write(now)
    finally:
        gc.enable()
    assert held == [len(snapshot) + others]
    assert writer.copied == 0
    monkeypatch.undo()
    write_inventory(tmp_path / "whole.json", now)
    assert (tmp_path / "i.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_a_few_fingerprints_in_each_folder_leave_the_other_lines_to_be_copied(tmp_path) -> None:
    snapshot = large(400)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(of(snapshot))
    writer.write(of(fingerprinted(snapshot, 4)))
    assert writer.copied > 0.9 * os.path.getsize(tmp_path / "i.json")


def test_paths_of_folders_are_those_of_the_snapshot(tmp_path) -> None:
    snapshot = large(4)
    layout = Layout(of(snapshot))
    assert {id(folder.path) for folder in layout.folders.values()} == set(map(id, snapshot))
