"""What it costs to write and read an inventory in one file, and in parts.

    python -m benchmarks.split --files 1000000

There is no tree on a disk: the entries are made up. One root holds 1 % of them, one 9 %, one 90 %.
Times are user and system CPU, the least of several runs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from scanner.core.paths import join
from scanner.core.roots import Root
from scanner.core.snapshot import DIRECTORY, FILE, Directory, Row, Snapshot, listing_of
from scanner.output.inventory_reader import OpenInventory
from scanner.output.inventory_view import InventoryView, RootView
from scanner.output.inventory_writer import InventoryWriter, Written
from scanner.output.parts import CATEGORY, ROOT, PartsWriter

TOP = "/data"

SHARES = {"models": 1, "input": 9, "output": 90}
"""Percent of all files by kind of root."""

IN_FOLDER = 100

RUNS = 5

NOW = 1_790_000_000_123_456_789

Writer = InventoryWriter | PartsWriter


def snapshot_of(files: int) -> Snapshot:
    """Three roots with folders of 100 files each."""
    snapshot: Snapshot = {}
    for share, (kind, percent) in enumerate(SHARES.items()):
        top = join(TOP, kind)
        folders = [f"folder_{number:06}" for number in range(files * percent // 100 // IN_FOLDER)]
        rows = [Row(name, DIRECTORY, 0, 0, 0) for name in folders]
        snapshot[top] = Directory(listing_of(rows), NOW, 1, share + 1)
        for number, name in enumerate(folders):
            inode = 10 + share * files + number
            snapshot[join(top, name)] = Directory(listing_of(_files(number)), NOW, 1, inode)
    return snapshot


def _files(number: int) -> list[Row]:
    names = (f"picture_{number:06}_{place:05}_.png" for place in range(IN_FOLDER))
    return [Row(name, FILE, 1_000_000 + number, NOW, 0) for name in names]


def with_change(snapshot: Snapshot, kind: str, size: int) -> Snapshot:
    """One file of a root has another size."""
    path = join(join(TOP, kind), "folder_000003")
    rows = [*snapshot[path].listing.rows()]
    rows[7] = rows[7]._replace(size=size)
    return snapshot | {path: replace(snapshot[path], listing=listing_of(rows))}


def view_of(snapshot: Snapshot) -> InventoryView:
    """The inventory of a snapshot."""
    roots = [RootView(Root(kind, join(TOP, kind)), "online", NOW, "ext4") for kind in SHARES]
    return InventoryView(1, NOW, TOP, roots, (), snapshot)


def writer_of(split_by: str, path: str) -> Writer:
    """A writer for the setting `split_by`."""
    return PartsWriter(path, split_by) if split_by != "none" else InventoryWriter(path)


def measure(split_by: str, snapshot: Snapshot) -> Mapping[str, tuple[float, int]]:
    """Seconds of CPU, and bytes that were written, by what was done."""
    found: dict[str, tuple[float, int]] = {}

    def note(name: str, act: Callable[[], Written | None]) -> None:
        before = time.process_time()
        written = act()
        spent = time.process_time() - before
        least = min(spent, found[name][0]) if name in found else spent
        found[name] = least, written.anew if written is not None else 0

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "i.json")
        for run in range(RUNS):
            writer = writer_of(split_by, path)
            note("after a restart" if run else "first", partial(writer.write, view_of(snapshot)))
            for kind in SHARES:
                now = view_of(with_change(snapshot, kind, 5 + run))
                note(f"change in {kind}", partial(writer.write, now))
                writer.write(view_of(snapshot))

            def read() -> None:
                with OpenInventory(path) as inventory:
                    for _ in inventory.entries():
                        pass

            note("read", read)
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200_000)
    snapshot = snapshot_of(parser.parse_args().files)
    for split_by in ("none", ROOT, CATEGORY):
        for name, (seconds, size) in measure(split_by, snapshot).items():
            print(f"{split_by:10} {name:20} {seconds * 1000:9.1f} ms {size:12,} bytes written")


if __name__ == "__main__":
    main()
