"""Everything that reads an inventory reads one in several files as it reads one file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson
import pytest

from scanner.api import Inventory
from scanner.core.times import zone_of
from scanner.fleet.generation import _spool_entries
from scanner.notify.look import look_into
from scanner.output.inventory_reader import OpenInventory, read_entries, read_header
from scanner.views.book import read_book
from tests.support.machine import CHECKOUT, PATIENCE, Machine, assert_valid, write

ARGUMENTS = ("--comfy-root", "ComfyUI", "--downloads", "Downloads", "--extra", ".")

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("find", "--json"),
    ("find", "--dir", "--json"),
    ("find", "--status", "any", "--json"),
    ("export", "--format", "csv"),
    ("export", "--format", "ncdu"),
    ("export", "--format", "lock"),
    ("report", "--format", "md", "-o", "-"),
    ("packs", "--json"),
    ("unused", "--json"),
    ("duplicates", "--json"),
    ("roots", "--json"),
    ("history", "--json"),
    ("metrics",),
    ("workflow", "check", "ComfyUI/user/default/workflows/w.json", "--json"),
    ("status", "--json"),
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An installation with an inventory in one file."""
    machine = Machine(tmp_path_factory.mktemp("split"))
    comfy = machine.work / "ComfyUI"
    for kind in ("custom_nodes/pack", "input", "output", "user/default/workflows"):
        (comfy / kind).mkdir(parents=True)
    for number in range(12):
        folder = ("loras", "vae", "checkpoints")[number % 3]
        name = f"m{number % 9}.safetensors"
        write(comfy / "models" / folder / name, f"model {number % 5}")
        write(comfy / "output" / f"{number}.png", f"picture {number}")
    write(comfy / "models" / "loras" / "deep" / "er" / "x.ckpt", "deep")
    write(comfy / "custom_nodes" / "pack" / "__init__.py", "")
    nodes = {"nodes": [{"type": "LoraLoader", "widgets_values": ["m1.safetensors"]}]}
    write(comfy / "user" / "default" / "workflows" / "w.json", orjson.dumps(nodes))
    write(machine.work / "Downloads" / "d.zip", "zip")
    write(machine.work / "other.txt", "in the root above all others")
    for _ in range(2):
        machine.run("scan", *ARGUMENTS)
    return machine


@pytest.fixture(scope="module")
def answers(machine: Machine) -> tuple[dict[object, object], dict[object, object]]:
    """What all readers say of it, and what they say once it is in parts."""
    whole = asked(machine)
    machine.run("scan", *ARGUMENTS, "--split-by", "category")
    header = read_header(machine.output)
    assert header is not None
    assert header["split_by"] == "category"
    parts = orjson.loads(machine.output.read_bytes())["parts"]
    assert len({part["root"] for part in parts}) >= 5
    assert len({part["category"] for part in parts}) >= 4
    return whole, asked(machine)


def asked(machine: Machine) -> dict[object, object]:
    found: dict[object, object] = {
        command: without_times(command[0], answer(machine, command)) for command in COMMANDS
    }
    path = str(machine.output)
    with Inventory(path) as inventory:
        found["api"] = list(inventory.entries())
    found["entries"] = list(read_entries(path))
    book = read_book(path, zone_of(True))
    found["book"] = (list(map(str, book.files.folders.names)), len(book.files))
    paths = [entry["path"] for entry in read_entries(path)]
    found["look"] = seen = look_into(path, paths)
    assert seen.statuses["ComfyUI/models/vae/m1.safetensors"]
    assert len(seen.understood) > 3
    with OpenInventory(path) as opened, tempfile.TemporaryDirectory() as folder:
        spooled = _spool_entries(opened, "host", folder)
        found["fleet"] = {
            root: Path(each.path).read_bytes() for root, each in sorted(spooled.items())
        }
    return found


def answer(machine: Machine, command: tuple[str, ...]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "scanner", *command],
        cwd=machine.work,
        env=machine.environ,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout, done.stderr
    return f"{done.returncode}\n{done.stdout}"


def without_times(command: str, text: str) -> str:
    """Times, numbers of scans, and bytes and ages of the files themselves differ."""
    text = re.sub(r"20\d\d-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    if command in ("status", "metrics", "roots", "history"):
        text = re.sub(r"\d[\d.e-]*", "0", text)
    text = re.sub(r'"timestamp": ?\d+|[\d.]+ GB of', "", text)
    return re.sub(r'("scan"|seconds"): ?[\d.]+', "", text)


READERS = [*COMMANDS, "api", "entries", "book", "look", "fleet"]


@pytest.mark.parametrize("reader", READERS, ids=str)
def test_readers_say_the_same(
    answers: tuple[dict[object, object], dict[object, object]], reader: object
) -> None:
    whole, split = answers
    assert split[reader] == whole[reader]


def test_parts_are_no_entries_and_no_changes(machine: Machine, answers: object) -> None:
    """Although the folder of the inventory is a root."""
    names = [entry["path"] for entry in read_entries(machine.output)]
    assert "other.txt" in names
    assert not [name for name in names if name.startswith("comfy_inventory")]
    before = machine.journal.read_bytes()
    write(machine.work / "ComfyUI" / "output" / "new.png", "new")
    machine.run("scan", *ARGUMENTS, "--split-by", "category")
    machine.run("scan", *ARGUMENTS, "--split-by", "category")
    lines = machine.journal.read_bytes().removeprefix(before).splitlines()
    assert [orjson.loads(line)["path"] for line in lines] == ["ComfyUI/output/new.png"]
    assert_valid(machine)


def test_folder_of_parts_is_no_entry_in_the_first_scan_either(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    write(machine.work / "other.txt", "here")
    write(machine.work / "comfy_inventory.parts" / "a.json", "left by hand")
    machine.run("scan", "--extra", ".", "--hold-wait", "0")
    assert [entry["path"] for entry in read_entries(machine.output)] == [
        str(machine.work / "other.txt")
    ]


def test_parts_of_another_inventory_are_no_entries_either(
    machine: Machine, answers: object
) -> None:
    other = machine.home / "other"
    other.mkdir()
    for number in range(2):
        write(other / f"{number}", "x")
        machine.run("scan", "--extra", machine.work, "-o", other / "i.json", "--hold-wait", "0")
        names = [entry["path"] for entry in read_entries(other / "i.json")]
        assert any(name.endswith("other.txt") for name in names)
        assert not [name for name in names if "comfy_inventory" in name]


def test_a_file_in_place_of_the_folder_of_parts_exits_with_5(machine: Machine) -> None:
    output = machine.home / "elsewhere" / "i.json"
    output.parent.mkdir()
    (output.parent / "i.parts").write_text("of a person")
    done = machine.run("scan", "--extra", "Downloads", "-o", output, "--split-by", "root", expect=5)
    (line,) = done.stderr.splitlines()[-1:]
    assert "i.parts is not a folder, and the parts of the inventory go there" in line


def test_wrong_words_are_one_sentence(machine: Machine) -> None:
    done = machine.run("scan", *ARGUMENTS, "--split-by", "folder", expect=2)
    assert "expected one of none, root, category, not 'folder'" in done.stderr


def test_hashes_are_shown_in_parts_if_the_inventory_is_in_parts(
    machine: Machine, answers: object
) -> None:
    """Although `hash` knows nothing of the option of the scan."""
    machine.run("hash")
    header = read_header(machine.output)
    assert header is not None
    assert header.get("split_by") == "category"
    assert any("hash" in entry for entry in read_entries(machine.output))


def test_the_recipe_for_parts_gives_all_entries(machine: Machine, answers: object) -> None:
    if shutil.which("jq") is None:
        assert os.environ.get("CI") != "true", "CI lacks Debian's package jq"
        pytest.skip("Debian's package jq is missing")
    page = (CHECKOUT / "docs" / "recipes.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"<!-- recipe: parts entries -->\n```sh\n(.*?)^```$", page, re.M | re.S)
    subprocess.run(["sh", "-ec", recipe], cwd=machine.work, check=True, timeout=PATIENCE)
    lines = (machine.work / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    found = sorted(map(orjson.loads, lines), key=lambda entry: entry["path"])
    assert found == sorted(read_entries(machine.output), key=lambda entry: entry["path"])
    (machine.work / "entries.jsonl").unlink()


def test_no_command_writes_among_the_parts(machine: Machine, answers: object) -> None:
    part = orjson.loads(machine.output.read_bytes())["parts"][0]["file"]
    done = machine.run("export", "--format", "csv", "-o", part, expect=2)
    assert "belongs to an inventory" in done.stderr
    assert list(read_entries(machine.output))
