"""An inventory in several files holds what one file holds, and only what changed is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from scanner.core.paths import join
from scanner.core.roots import Root
from scanner.output.inventory_reader import OpenInventory, read_header
from scanner.output.inventory_view import InventoryView, RootView
from scanner.output.inventory_writer import write_inventory
from scanner.output.parts import CATEGORY, ROOT, PartsWriter
from tests.output import test_inventory_copies as copies
from tests.output.test_inventory_copies import MODELS, Edits

NOW = copies.NOW


def lines_of(path: Path) -> list[bytes]:
    """The lines of one file, without commas."""
    return [line.rstrip(b",\n") for line in path.read_bytes().splitlines(True)[1:-1]]


def manifest_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def paths_of(inventory: Path) -> list[Path]:
    return [inventory.parent / part["file"] for part in manifest_of(inventory)["parts"]]


def assert_equal(inventory: Path, whole: Path) -> None:
    """The split inventory is `whole`, in its order, and its manifest tells the truth."""
    expected = lines_of(whole)
    manifest, header = manifest_of(inventory), read_header(whole)
    assert header is not None
    found = read_header(inventory)
    assert found is not None
    assert found.pop("split_by") in (ROOT, CATEGORY)
    assert found == header
    parts = manifest["parts"]
    own = [lines_of(path) for path in paths_of(inventory)]
    assert sorted(line for lines in own for line in lines) == sorted(expected)
    assert [part["entries"] for part in parts] == [len(lines) for lines in own]
    assert [part["bytes"] for part in parts] == [p.stat().st_size for p in paths_of(inventory)]
    with OpenInventory(inventory) as opened:
        opened.check()
        placed = list(opened.placed_entries())
        assert [entry for _, entry in placed] == list(map(orjson.loads, expected))
        for place, entry in placed[:: 1 + len(placed) // 20]:
            assert opened.entry_at(place) == entry
    for part, lines in zip(parts, own, strict=True):
        entries = list(map(orjson.loads, lines))
        assert {entry["root"] for entry in entries} == {part["root"]}


def nested_view(edits: Edits) -> InventoryView:
    """The same with a root inside of another one, and with one that has a category."""
    view = edits.view()
    inner = Root("extra", join(MODELS, "loras"), "loras")
    return InventoryView(
        view.scan,
        view.generated,
        view.base,
        [*view.roots, RootView(inner, "online", NOW, "ext4")],
        (),
        view.snapshot,
        status=view.status,
        annotations=view.annotations,
    )


@pytest.mark.parametrize("split_by", [ROOT, CATEGORY])
@pytest.mark.parametrize("seed", range(24))
def test_parts_together_are_the_inventory_in_one_file(
    tmp_path: Path, seed: int, split_by: str
) -> None:
    edits = Edits(seed, has_links=seed % 4 == 3)
    view = nested_view if seed % 3 == 0 else Edits.view
    inventory, whole = tmp_path / "i.json", tmp_path / "whole.json"
    writer = PartsWriter(inventory, split_by)
    copied = 0
    for number in (0, 1, 1, 2, 1, 5, 20, 1, 1, 3, 1):
        for _ in range(number):
            edits.edit()
        now = view(edits)
        if number == 3:
            writer = PartsWriter(inventory, split_by)
        written = writer.write(now)
        one = write_inventory(whole, now)
        assert written.words == one.words
        assert_equal(inventory, whole)
        copied += writer.copied
        size = inventory.stat().st_size + sum(path.stat().st_size for path in paths_of(inventory))
        assert written.bytes == size
    assert copied
