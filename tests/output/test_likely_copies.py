"""Likely copies are counted from write to write as they would be counted anew."""

from __future__ import annotations

import os
import random

import pytest

from scanner.core.roots import Root
from scanner.core.snapshot import FINGERPRINT_BYTES, Directory
from scanner.output import likely_copies
from scanner.output.inventory_layout import Layout
from scanner.output.inventory_view import InventoryView, RootView
from scanner.output.likely_copies import Copies, LikelyCopies
from tests.support.build import directory_of, file_row, folder_row
from tests.support.names import TOP

NOW = 1_790_000_000_000_000_000
MODELS = Root("models", TOP)


def at(name: str) -> str:
    return os.path.join(TOP, name)


def digits(number: int) -> bytes:
    """A fingerprint; those of 2n and 2n + 1 have their first half in common."""
    return bytes([number // 2 + 1]) * 8 + bytes([number]) * 8


class Tree:
    """Folders of models that change from write to write."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.folders: dict[str, Directory] = {}
        self.files: dict[str, dict[str, tuple[int, bytes]]] = {}

    def change(self) -> None:
        """Another content, a new file, one that goes, a folder that comes or goes."""
        draw = self._random
        name = f"f{draw.randrange(5)}"
        files = dict(self.files.get(name, {}))
        for _ in range(draw.randrange(1, 4)):
            file = f"m{draw.randrange(6)}"
            if file in files and draw.random() < 0.3:
                del files[file]
            else:
                files[file] = (draw.randrange(3), digits(draw.randrange(8)))
        if draw.random() < 0.1:
            files = {}
        if files:
            self.files[name] = files
            rows = [file_row(file, size, mtime=NOW) for file, (size, _) in files.items()]
            found = {file: proof for file, (_, proof) in files.items() if draw.random() < 0.8}
            self.files[name] = {
                file: (size, proof if file in found else b"")
                for file, (size, proof) in files.items()
            }
            self.folders[name] = directory_of(*rows).with_fingerprints(found)
        else:
            self.files.pop(name, None)
            self.folders.pop(name, None)

    def layout(self) -> Layout:
        snapshot = {at(name): directory for name, directory in self.folders.items()}
        snapshot[TOP] = directory_of(*map(folder_row, sorted(self.folders)))
        root = RootView(MODELS, "online", NOW, "ext4")
        return Layout(InventoryView(1, NOW, TOP, [root], (), snapshot))

    def copies(self) -> Copies:
        sizes: dict[bytes, list[int]] = {}
        for files in self.files.values():
            for size, proof in files.values():
                if size and proof:
                    sizes.setdefault(proof, []).append(size)
        several = [found for found in sizes.values() if len(found) > 1]
        return Copies(sum(map(len, several)), sum(sum(found) - max(found) for found in several))


@pytest.mark.parametrize("seed", range(20))
def test_copies_are_counted_from_write_to_write_as_anew(seed: int) -> None:
    tree, kept = Tree(seed), LikelyCopies()
    for _ in range(30):
        tree.change()
        layout = tree.layout()
        assert kept.count(layout) == tree.copies() == LikelyCopies().count(layout)


def test_only_folders_that_differ_or_hold_copies_are_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree, kept = Tree(0), LikelyCopies()
    for number in range(5):
        files = {f"m{row}": (5, bytes([number, row + 1]) * 8) for row in range(6)}
        tree.files[f"f{number}"] = files
        rows = [file_row(name, 5, mtime=NOW) for name in files]
        proofs = {name: proof for name, (_, proof) in files.items()}
        tree.folders[f"f{number}"] = directory_of(*rows).with_fingerprints(proofs)
    kept.count(tree.layout())
    looked: list[int] = []
    halves = likely_copies._halves

    def noted(found: bytes) -> list[int]:
        looked.append(len(found))
        return halves(found)

    monkeypatch.setattr(likely_copies, "_halves", noted)
    tree.folders["f1"] = tree.folders["f1"].with_fingerprints({"m2": digits(3)})
    assert kept.count(tree.layout()) == Copies(0, 0)
    assert looked == [6 * FINGERPRINT_BYTES] * 2, "what the folder had, and what it has"


def test_above_the_most_models_nothing_is_counted_and_nothing_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree, kept = Tree(3), LikelyCopies()
    for _ in range(10):
        tree.change()
    layout = tree.layout()
    copies = kept.count(layout)
    assert copies is not None
    with monkeypatch.context() as patch:
        patch.setattr(likely_copies, "MOST", 2)
        assert kept.count(layout) is None
        assert not kept._repeats._known
    assert kept.count(layout) == copies
