"""The Python API: `from scanner import open_inventory`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scanner import InventoryError, open_inventory
from scanner.output.inventory_reader import read_entries
from tests.commands.conftest import installation
from tests.support.installation import LORAS
from tests.support.machine import CHECKOUT, Machine, write


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = installation(tmp_path)
    machine.run("scan")
    return machine


def test_entries_are_those_of_the_file(machine: Machine) -> None:
    with open_inventory(machine.output) as inventory:
        entries = list(inventory.entries())
        assert entries == list(inventory.entries()) == list(read_entries(machine.output))
        assert len(entries) == inventory.header["totals"]["entries"]
        assert "entries" not in inventory.header


def test_two_iterators_in_turn(machine: Machine) -> None:
    with open_inventory(machine.output) as inventory:
        pairs = list(zip(inventory.entries(), inventory.entries(), strict=True))
    assert len(pairs) > 20
    assert all(one == other for one, other in pairs)


def test_header_and_entries_belong_together_while_scans_go_on(machine: Machine) -> None:
    with open_inventory(machine.output) as inventory:
        assert inventory.header["scan"] == 1
        write(machine.work / LORAS / "new.safetensors", "new")
        machine.run("scan")
        assert len(list(inventory.entries())) == inventory.header["totals"]["entries"]
        assert list(inventory.changes(1)) == []
    with open_inventory(machine.output) as inventory:
        (change,) = inventory.changes(1)
        assert (change["kind"], change["path"]) == ("created", f"{LORAS}/new.safetensors")
        assert [line["kind"] for line in inventory.changes(0)][:1] == ["baseline"]
        assert Path(inventory.path_of(change)).read_text() == "new"


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
def test_path_of_has_the_bytes_of_a_name(machine: Machine) -> None:
    name = os.fsdecode(b"caf\xe9.safetensors")
    write(machine.work / LORAS / name, "x")
    machine.run("scan")
    with open_inventory(str(machine.output)) as inventory:
        found = [inventory.path_of(entry) for entry in inventory.entries()]
    assert str(machine.work / LORAS / name) in found


def test_every_error_is_one_sentence(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="there is no inventory at"):
        open_inventory(tmp_path / "nowhere.json")
    with pytest.raises(InventoryError, match="cannot read"):
        open_inventory(tmp_path)
    with pytest.raises(InventoryError, match="is not an inventory"):
        open_inventory(machine.journal)
    alone = tmp_path / "alone.json"
    shutil.copy(machine.output, alone)
    with open_inventory(alone) as inventory:
        with pytest.raises(InventoryError, match="no change list at"):
            inventory.changes(0)
        with pytest.raises(InventoryError, match="is damaged"):
            inventory.path_of({})
    lines = alone.read_bytes().splitlines(keepends=True)
    alone.write_bytes(b"".join(lines[:-1]))
    with (
        open_inventory(alone) as inventory,
        pytest.raises(InventoryError, match="is damaged at line"),
    ):
        list(inventory.entries())


def test_import_of_the_package_is_cheap() -> None:
    code = (
        "import sys; before = set(sys.modules); import scanner; "
        "print(sorted(name for name in set(sys.modules) - before)); "
        "from scanner import open_inventory; print(sorted(scanner.__all__))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert {"orjson", "scanner.api"}.isdisjoint(re.findall(r"[\w.]+", first))
    assert "open_inventory" in second


def test_unknown_names_are_attribute_errors() -> None:
    import scanner

    with pytest.raises(AttributeError, match="nothing"):
        scanner.nothing  # noqa: B018


def blocks(page: str, language: str) -> list[str]:
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.mark.parametrize("number", range(len(blocks("python.md", "python"))))
def test_examples_of_the_docs_run(machine: Machine, number: int) -> None:
    for _ in range(2):
        done = machine.execute(sys.executable, "-c", blocks("python.md", "python")[number])
        assert (done.returncode, done.stderr) == (0, "")
        if number == 0:
            assert "00.safetensors" in done.stdout
    if number == 1:
        assert (machine.work / "last_scan.txt").read_text() == "1"


def test_commands_of_the_export_page_run(machine: Machine) -> None:
    command = machine.home.parent / "bin" / "comfy-inventory"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scanner "$@"\n')
    command.chmod(0o755)
    for block in blocks("export.md", "sh"):
        done = machine.execute("sh", "-e", "-c", block)
        assert done.returncode == 0, done.stderr
    written = {path.name for path in machine.work.iterdir()}
    assert {"loras.csv", "inventory.db", "inventory.ncdu", "models.sha256"} <= written
    lock = json.loads((machine.work / "models.lock.json").read_text())
    assert len(lock["models"]) == 24
