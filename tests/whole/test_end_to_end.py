"""The program as a user runs it: the documented command on a real tree, real edits beside it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.output.inventory_reader import read_header
from scanner.output.journal_reader import read
from scripts.build_sample import build
from tests.support.machine import (
    DOCUMENTED,
    PATIENCE,
    PLACEHOLDERS,
    Machine,
    Projection,
    Running,
    assert_valid,
    told,
    walked,
    write,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("end to end"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and a POSIX shell are used"),
]

LORAS = "ComfyUI/models/loras"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("installation"))
    machine.check_out()
    build(str(machine.work))
    downloads = machine.home / "Downloads"
    write(downloads / "x.safetensors", os.urandom(300_000))
    write(downloads / "big.safetensors", os.urandom(3_000_000))
    for number in range(100):
        write(downloads / "pack" / f"part{number % 3}" / f"f{number}.bin", f"content {number}")
    for name in ("append", "touch", "rename", "delete", "replace", "swap-a", "swap-bb"):
        write(machine.work / LORAS / f"{name}.safetensors", name * 1000)
    (machine.home / "mnt").mkdir()
    (machine.home / "stable-diffusion-assets").symlink_to(machine.home / "mnt" / "assets")
    return machine


@pytest.fixture(scope="module")
def loop(machine: Machine) -> Iterator[Running]:
    with machine.typing(f"{DOCUMENTED} --every 1s") as running:
        running.rests()
        yield running


def test_documented_command_lists_the_whole_installation(machine: Machine, loop: Running) -> None:
    expected: Projection = {}
    for kind in ("models", "custom_nodes", "input", "output"):
        expected |= walked(machine.work / "ComfyUI" / kind)
    expected |= walked(machine.home / "Downloads")
    expected = {
        path: value
        for path, value in expected.items()
        if not os.path.basename(path).startswith(PLACEHOLDERS)
    }
    assert len(expected) > 1900
    assert machine.inventory() == expected
    header = read_header(machine.output)
    assert header is not None
    files = [path for path, value in expected.items() if value[0] == "file"]
    assert header["totals"]["files"] == len(files)
    assert header["base"] == str(machine.work)
    assert loop.printed() == ""


def test_first_scan_names_roots_and_no_entries(machine: Machine, loop: Running) -> None:
    first = [line for line in read(machine.journal) if line["scan"] == 1]
    assert {(line["kind"], line["path"], line["reason"]) for line in first} == {
        ("baseline", path, "added")
        for path in (
            "ComfyUI/models",
            "ComfyUI/custom_nodes",
            "ComfyUI/input",
            "ComfyUI/output",
            str(machine.home / "Downloads"),
        )
    }


def test_each_edit_is_named_once_by_the_next_scan(machine: Machine, loop: Running) -> None:
    loras = machine.work / LORAS
    outside = machine.home / "outside"
    write(outside / "replace.safetensors", "REPLACE" * 1000)
    write(outside / "create.safetensors", "create" * 1000)
    (outside / "folder").mkdir()

    def edit() -> None:
        (outside / "create.safetensors").rename(loras / "create.safetensors")
        (outside / "folder").rename(loras / "folder")
        with (loras / "append.safetensors").open("ab") as file:
            file.write(b"more")
        os.utime(loras / "touch.safetensors", ns=(0, 1_700_000_000_123_456_789))
        (loras / "rename.safetensors").rename(loras / "renamed.safetensors")
        (loras / "swap-a.safetensors").rename(outside / "swap")
        (loras / "swap-bb.safetensors").rename(loras / "swap-a.safetensors")
        (outside / "swap").rename(loras / "swap-bb.safetensors")
        (loras / "delete.safetensors").unlink()
        (outside / "replace.safetensors").replace(loras / "replace.safetensors")

    lines = loop.does(edit)
    assert told(lines) == [
        ("created", f"{LORAS}/create.safetensors"),
        ("created", f"{LORAS}/folder"),
        ("deleted", f"{LORAS}/delete.safetensors"),
        ("modified", f"{LORAS}/append.safetensors"),
        ("modified", f"{LORAS}/replace.safetensors"),
        ("modified", f"{LORAS}/swap-a.safetensors"),
        ("modified", f"{LORAS}/swap-bb.safetensors"),
        ("modified", f"{LORAS}/touch.safetensors"),
        ("moved", f"{LORAS}/rename.safetensors", f"{LORAS}/renamed.safetensors"),
    ]
    by_path = {line["path"]: line for line in lines}
    assert by_path[f"{LORAS}/touch.safetensors"]["mtime"] == "2023-11-14T22:13:20.123456789Z"
    assert by_path[f"{LORAS}/append.safetensors"]["size"] == len("append" * 1000) + 4
    assert {line["root"] for line in lines} == {f"models:{machine.work}/ComfyUI/models"}


def test_moves_from_downloads_are_named_as_moves(machine: Machine, loop: Running) -> None:
    downloads = machine.home / "Downloads"
    loras = machine.work / LORAS

    def edit() -> None:
        (downloads / "x.safetensors").rename(loras / "x.safetensors")
        (downloads / "pack").rename(loras / "pack")

    lines = loop.does(edit)
    assert told(lines) == [
        ("moved", str(downloads / "pack"), f"{LORAS}/pack"),
        ("moved", str(downloads / "x.safetensors"), f"{LORAS}/x.safetensors"),
    ]
    pack = next(line for line in lines if line["type"] == "directory")
    assert (pack["files"], pack["root"]) == (100, f"models:{machine.work}/ComfyUI/models")


@pytest.fixture(scope="module")
def slowly_written(machine: Machine, loop: Running) -> list[dict[str, Any]]:
    """Changes while one file grows, and another is copied, both over several scans; the source
    of the copy is deleted at its end, as `mv` does between two disks."""
    growing, copy = machine.home / "Downloads" / "growing.bin", machine.work / LORAS / "big.bin"
    source = machine.home / "Downloads" / "big.safetensors"
    size = source.stat().st_size
    before = loop.scan()
    with (
        growing.open("wb", buffering=0) as file,
        copy.open("wb", buffering=0) as writer,
        source.open("rb") as reader,
    ):
        # Faster than the scans come, so that no scan finds the files at rest.
        while loop.scan() < before + 3:
            file.write(b"chunk")
            writer.write(reader.read(2_000 if writer.tell() < size - 20_000 else 1))
            time.sleep(0.01)
        kinds = [line["kind"] for line in machine.changes(before)]
        assert kinds == ["created", "created"]
        shutil.copyfileobj(reader, writer)
    shutil.copystat(source, copy)
    source.unlink()
    loop.scans(3)
    return machine.changes(before)


def test_slow_copy_and_deletion_of_the_source_is_created_then_moved(
    machine: Machine, slowly_written: list[dict[str, Any]]
) -> None:
    source, copy = f"{machine.home}/Downloads/big.safetensors", f"{LORAS}/big.bin"
    lines = [line for line in slowly_written if line["path"] in (source, copy)]
    assert [line["kind"] for line in lines] == ["created", "moved"]
    assert told(lines) == [("created", copy), ("moved", source, copy)]


def test_growing_file_is_reported_when_it_rests(
    machine: Machine, slowly_written: list[dict[str, Any]]
) -> None:
    growing = machine.home / "Downloads" / "growing.bin"
    lines = [line for line in slowly_written if line["path"] == str(growing)]
    assert [line["kind"] for line in lines] == ["created", "modified"]
    assert lines[-1]["size"] == growing.stat().st_size


def test_root_that_appears_later_is_a_baseline(machine: Machine, loop: Running) -> None:
    assets = machine.home / "stable-diffusion-assets"
    assert machine.states()[str(assets)] == "missing"
    before = loop.scan()
    prepared = machine.home / "prepared"
    write(prepared / "one.png", "one")
    write(prepared / "more" / "two.png", "two")
    prepared.rename(machine.home / "mnt" / "assets")
    loop.wait_for(lambda: machine.states()[str(assets)] == "online", "the new root")
    loop.scans(2)
    assert machine.changes(before) == []
    assert (str(assets), "added") in machine.baselines()
    assert walked(assets).items() <= machine.inventory().items()


def test_files_are_valid_and_every_line_is_numbered_once(machine: Machine, loop: Running) -> None:
    loop.scans()
    assert_valid(machine)
    numbers = [(line["scan"], line["n"], line["of"]) for line in read(machine.journal)]
    scans = {scan: of for scan, _, of in numbers}
    assert numbers == [(scan, n, of) for scan, of in scans.items() for n in range(1, of + 1)]


# The loop's end, and what it survives


@pytest.fixture
def small(tmp_path: Path) -> Machine:
    """A small installation and a command `run` that scans it every second."""
    machine = Machine(tmp_path)
    machine.output = machine.work / "out" / "comfy_inventory.json"
    machine.output.parent.mkdir()
    for kind in ("custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    for number in range(5):
        write(machine.work / LORAS / f"{number}.safetensors", f"lora {number}")
    return machine


RUN = ("run", "--comfy-root", "ComfyUI", "--every", "1s", "--output", "out/comfy_inventory.json")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_loop_in_two_seconds_with_0(small: Machine, number: signal.Signals) -> None:
    with small.running(*RUN) as running:
        running.scans()
        started = time.monotonic()
        assert running.stop(number) == 0, running.log()
        assert time.monotonic() - started < 2
        assert small.status()["state"] == "stopped"
        assert "Traceback" not in running.log()


def test_signal_in_the_middle_of_a_scan_ends_the_loop_in_two_seconds(small: Machine) -> None:
    for number in range(100):
        folder = small.work / LORAS / f"folder {number}"
        folder.mkdir()
        for name in range(150):
            (folder / f"{name}.safetensors").touch()
    # Facts would have the inventory written again before the new file is found.
    small.environ["COMFY_INVENTORY_FACTS"] = "false"
    with small.running(*RUN) as running:
        running.scans()
        write(small.work / LORAS / "new.safetensors", "new")
        deadline = time.monotonic() + PATIENCE
        while not list(small.output.parent.glob(f".{small.output.name}.*.tmp")):
            assert time.monotonic() < deadline, "the inventory was not written again"
            time.sleep(0.001)
        started = time.monotonic()
        assert running.stop() == 0, running.log()
        assert time.monotonic() - started < 2
        assert small.status()["state"] == "stopped"
    assert told(small.changes()) == [("created", f"{LORAS}/new.safetensors")]
    assert str(small.work / LORAS / "new.safetensors") in small.inventory()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_right_after_the_start_ends_it_in_order(
    small: Machine, number: signal.Signals
) -> None:
    with small.running(*RUN) as running:
        running.wait_for(running.log, "a word of it")
        assert running.stop(number) == 0, running.log()
        assert small.status()["state"] == "stopped"
        assert "Traceback" not in running.log()


def test_lost_output_folder_is_told_and_made_up_for(small: Machine) -> None:
    """As where the disk of the output is away for a while."""
    folder, away = small.output.parent, small.work / "away"
    with small.running(*RUN) as running:
        running.scans()
        folder.rename(away)
        write(small.work / LORAS / "new.safetensors", "new")
        running.wait_for(lambda: " ERROR " in running.log(), "a word about the folder")
        away.rename(folder)
        running.wait_for(small.changes, "the change list to be written again")
        running.scans(2)
        assert told(small.changes()) == [("created", f"{LORAS}/new.safetensors")]
        assert str(small.work / LORAS / "new.safetensors") in small.inventory()
        assert running.stop() == 0, running.log()
    assert "Traceback" not in running.log()
    assert small.run("scan", *RUN[1:3], *RUN[5:], "--exit-code").returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of a running program")
def test_full_disk_is_told_and_made_up_for(small: Machine) -> None:
    """A limit on the size of files does what a full disk does: what is written breaks off."""
    import resource

    with small.running(*RUN) as running:
        running.scans()
        pid = running.process.pid
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        whole = small.journal.read_bytes()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (len(whole) + 100, unlimited[1]))
        for number in range(10):
            write(small.work / LORAS / f"new{number}.safetensors", f"new {number}")
        running.wait_for(lambda: " ERROR " in running.log(), "a word about the disk")
        assert small.journal.read_bytes().startswith(whole)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        running.wait_for(small.changes, "the change list to be written again")
        running.scans(2)
        assert told(small.changes()) == [
            ("created", f"{LORAS}/new{number}.safetensors") for number in range(10)
        ]
        assert running.stop() == 0, running.log()
    assert small.inventory().items() >= walked(small.work / LORAS).items()
    assert "Traceback" not in running.log()
