"""The panel reads an inventory in several files as it reads one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanner.output.inventory_writer import write_inventory
from scanner.output.parts import CATEGORY, PartsWriter
from tests.output.test_parts import paths_of, three_roots


def test_lines_are_those_of_one_file(part: Any, tmp_path: Path) -> None:
    inventory, whole = tmp_path / "i.json", tmp_path / "whole.json"
    PartsWriter(inventory, CATEGORY).write(three_roots({"input": 3}))
    write_inventory(whole, three_roots({"input": 3}))
    lines, expected = (
        [line.rstrip(b",\n") for line in part("lines").lines_of(str(path))]
        for path in (inventory, whole)
    )
    assert lines[1:] == expected[1:]
    read = part("library").read_library
    found, one = (read(part("lines").lines_of(str(path))) for path in (inventory, whole))
    assert found.models == one.models
    assert len(found.models) == 1600
    assert found.roots == one.roots


def test_a_reader_ends_with_the_generation_that_it_began(part: Any, tmp_path: Path) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, CATEGORY)
    writer.write(three_roots({"output": 1}))
    expected = list(part("lines").lines_of(str(inventory)))
    lines = part("lines").lines_of(str(inventory))
    found = [next(lines)]
    for size in (2, 3, 4):
        writer.write(three_roots({"output": size}))
    assert [*found, *lines] == expected


def test_a_reader_whose_parts_are_gone_reads_the_next_manifest(
    part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, CATEGORY)
    writer.write(three_roots({}))
    module = part("lines")
    listed, sizes = module._parts, [7, 6, 5]

    def delayed(manifest: Any) -> Any:
        parts = listed(manifest)
        while sizes:
            writer.write(three_roots({"output": sizes.pop()}))
        return parts

    monkeypatch.setattr(module, "_parts", delayed)
    lines = list(module.lines_of(str(inventory)))
    assert any(b'"size":7' in line for line in lines)
    paths_of(inventory)[0].unlink()
    with pytest.raises(FileNotFoundError):
        list(module.lines_of(str(inventory)))


def test_damaged_parts_are_said_so(part: Any, tmp_path: Path) -> None:
    inventory = tmp_path / "i.json"
    PartsWriter(inventory, CATEGORY).write(three_roots({}))
    path = paths_of(inventory)[0]
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(part("library").UnreadableError, match="has become shorter"):
        list(part("lines").lines_of(str(inventory)))
    line = inventory.read_bytes().partition(b"\n")[0]
    inventory.write_bytes(line + b"\n5]}\n")
    with pytest.raises(part("library").UnreadableError, match="list of parts is damaged"):
        list(part("lines").lines_of(str(inventory)))
