"""Kill -9 at any moment: the inventory is whole, every change stands once in the change list."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest

from scanner.core.inventory_parts import names_in
from scanner.diff.replay import replay
from scanner.errors import InventoryError
from scanner.output.history_reader import read_history
from scanner.output.history_rows import parse_row
from scanner.output.inventory_reader import OpenInventory, read_header
from scanner.output.inventory_text import parts_of
from scanner.output.journal_reader import read
from tests.support.machine import (
    Machine,
    Projection,
    assert_valid,
    told,
    walked,
    write,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
]

ROUNDS = int(os.environ.get("COMFY_TORTURE", "12"))
SEED = int(os.environ.get("COMFY_TORTURE_SEED", "20260701"))

ARGUMENTS = ("--comfy-root", "ComfyUI", "--downloads", "Downloads")


def installation(folder: Path, files: int, split_by: str = "none") -> Machine:
    """A small installation that has been scanned once; the change list rotates all the time."""
    machine = Machine(
        folder,
        COMFY_INVENTORY_JOURNAL_SIZE="3kB",
        COMFY_INVENTORY_JOURNAL_FILES="1000",
        COMFY_INVENTORY_SPLIT_BY=split_by,
    )
    for kind in ("custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    (machine.work / "Downloads" / "moved").mkdir(parents=True)
    for number in range(files):
        name = f"{'abcde'[number % 5]}/f{number}.safetensors"
        write(machine.work / "ComfyUI" / "models" / "loras" / name, f"lora {number} " * 50)
    machine.run("scan", *ARGUMENTS)
    return machine


def tree(machine: Machine) -> Projection:
    """What stands below the roots, by os.walk alone."""
    found = walked(machine.work / "Downloads")
    for kind in ("models", "custom_nodes", "input", "output"):
        found |= walked(machine.work / "ComfyUI" / kind)
    return found


def assert_exact(machine: Machine, first: Projection) -> None:
    """The files after the last scan: whole, each change once, replaying to what is there."""
    lines = list(read(machine.journal))
    numbers = [(line["scan"], line["n"], line["of"]) for line in lines]
    scans = {scan: of for scan, _, of in numbers}
    assert list(scans) == sorted(scans)
    assert numbers == [(scan, n, of) for scan, of in scans.items() for n in range(1, of + 1)]
    assert len(machine.baselines()) == 5, "there was another baseline"
    there = tree(machine)
    assert replay(first, lines, str(machine.work)) == there
    assert machine.inventory() == there
    assert_history(machine)
    assert list(machine.work.glob("*.tmp")) == list(machine.work.glob(".*.tmp")) == []
    assert_valid(machine)


def assert_parts(machine: Machine) -> None:
    """After a start there are only the parts of the manifest, and of the one before it."""
    before = parts_of(machine.output)
    machine.run("scan", *ARGUMENTS)
    parts = parts_of(machine.output)
    folder = machine.work / "comfy_inventory.parts"
    assert (parts is not None) == machine.is_split == folder.exists()
    if before is not None and parts is not None:
        there = {path.name for path in folder.iterdir()}
        assert names_in(parts) <= there <= names_in(parts) | names_in(before)


def assert_history(machine: Machine) -> None:
    """The newest day is what the inventory says."""
    rows = [row for row in read_history(machine.history) if "root" in row]
    assert len(read_history(machine.history)) == len(machine.history.read_bytes().splitlines())
    header = read_header(machine.output)
    assert header is not None
    newest = [row for row in rows if row["day"] == rows[-1]["day"]]
    found = {name: sum(row[name] for row in newest) for name in ("files", "bytes")}
    assert found == {name: header["totals"][name] for name in found}


# At random moments


class Edits:
    """Random edits, each of files that no other edit touches, with the lines that they ask for."""

    def __init__(self, machine: Machine, dice: random.Random) -> None:
        self._dice = dice
        self._work = machine.work
        self._outside = machine.home / "outside"
        self._outside.mkdir()
        models = machine.work / "ComfyUI" / "models"
        self._untouched = sorted(path for path in models.rglob("*") if path.is_file())
        self._count = 0
        self.expected: Counter[tuple[str, ...]] = Counter()

    def make(self, count: int) -> None:
        for _ in range(count):
            edit = self._dice.choice((self._create, self._delete, self._modify, self._move))
            edit()

    def _expect(self, kind: str, *paths: Path) -> None:
        self.expected[kind, *(str(path.relative_to(self._work)) for path in paths)] += 1

    def _new(self) -> Path:
        self._count += 1
        return self._work / "Downloads" / f"new{self._count}.safetensors"

    def _take(self) -> Path:
        return self._untouched.pop(self._dice.randrange(len(self._untouched)))

    def _create(self) -> None:
        path = self._new()
        # Written elsewhere first: a scan in between would see half of it.
        prepared = self._outside / path.name
        prepared.write_bytes(os.urandom(self._dice.randrange(1, 5000)))
        prepared.rename(path)
        self._expect("created", path)

    def _delete(self) -> None:
        path = self._take()
        path.unlink()
        self._expect("deleted", path)

    def _modify(self) -> None:
        path = self._take()
        with path.open("ab") as file:
            file.write(b"more")
        self._expect("modified", path)

    def _move(self) -> None:
        path = self._take()
        target = path.with_name(f"{path.stem}.moved.safetensors")
        path.rename(target)
        self._expect("moved", path, target)


class Reader(threading.Thread):
    """Another program that reads inventory, status and history over and over."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.torn: list[str] = []
        self.times = 0
        self._machine = machine
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(0.002):
            try:
                header_entries, entries = self._inventory()
                if header_entries != entries:
                    self.torn.append(f"{header_entries} != {entries}")
                orjson.loads(self._machine.status_file.read_bytes())
                history = self._machine.history.read_bytes().splitlines(keepends=True)
                if not all(parse_row(line) and line.endswith(b"\n") for line in history):
                    self.torn.append("a line of the history")
                self.times += 1
            except (OSError, ValueError, KeyError, InventoryError) as error:
                self.torn.append(repr(error))

    def _inventory(self) -> tuple[int, int]:
        """The number of entries by its header, and of those that are in it."""
        if not self._machine.is_split:
            inventory = orjson.loads(self._machine.output.read_bytes())
            return inventory["totals"]["entries"], len(inventory["entries"])
        with OpenInventory(self._machine.output) as opened:
            opened.check()
            return opened.header["totals"]["entries"], len(list(opened.entries()))

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop_asked.set()
        self.join()


def kill_over_and_over(machine: Machine, edits: Edits, dice: random.Random) -> None:
    """Start the loop and kill it, `ROUNDS` times, with edits made before and while it runs."""
    for _ in range(ROUNDS):
        edits.make(dice.randrange(3))
        with machine.running("run", *ARGUMENTS, "--every", "1s") as running:
            scanning = dice.random() < 0.75
            if scanning:  # else it may be killed before its first scan
                running.wait_for(running.scan, "the first scan")
            end = time.monotonic() + dice.random() * (1.3 if scanning else 0.8)
            while time.monotonic() < end:
                if dice.random() < 0.1:
                    edits.make(1)
                time.sleep(0.03)
            running.process.kill()
            running.process.wait()
            assert "ERROR" not in running.log(), running.log()
            assert "damaged" not in running.log(), running.log()


@pytest.mark.timeout(120 + 10 * ROUNDS)
@pytest.mark.parametrize("split_by", ["none", "category"])
def test_kill_at_random_moments_loses_and_repeats_nothing(tmp_path: Path, split_by: str) -> None:
    dice = random.Random(SEED)
    machine = installation(tmp_path, 60 + 40 * ROUNDS, split_by)
    edits = Edits(machine, dice)
    first = machine.inventory()
    assert first == tree(machine)
    with Reader(machine) as reader:
        kill_over_and_over(machine, edits, dice)
        with machine.running("run", *ARGUMENTS, "--every", "1s") as running:
            running.scans(2)
            assert running.stop() == 0, running.log()
    assert reader.torn == []
    assert reader.times > ROUNDS
    assert_exact(machine, first)
    assert_parts(machine)
    found = Counter(told(machine.changes()))
    # A file that moves while its folders are listed is seen at both places or at none: then the
    # first line is `created` or `deleted`, and the one that completes the pair is `moved`.
    moves = [names[1:] for names in edits.expected if names[0] == "moved"]
    first_halves: Counter[tuple[str, ...]] = Counter(
        line for source, target in moves for line in (("deleted", source), ("created", target))
    )
    assert found - first_halves == edits.expected
    assert not (found & first_halves) - Counter(dict.fromkeys(first_halves, 1))
    assert len(list(machine.work.glob("*.changes.*.jsonl"))) > 1, "the change list never rotated"


# At chosen points


DIE = """
import os, sys

import scanner.cli, scanner.output.atomic, scanner.output.inventory_writer
import scanner.output.journal, scanner.output.parts, scanner.store.state, scanner.store.store
from scanner.output.journal import Journal
from scanner.store.history import History
from scanner.store.state import State
from scanner.store.store import Store


def die(*_, **__):
    os._exit(137)


def at_the_end_of_opening(arm):
    opening = Store.open
    def open(*arguments):
        store = opening(*arguments)
        arm()
        return store
    Store.open = open


def half(file, data):
    data = bytes(data)
    file.write(data[: data.index(b"\\n") + 100])
    die()


def half_of_the_days(state, days=State.history):
    if sys._getframe(1).f_code.co_name != "_write":
        return days(state)
    class Days(dict):
        def values(self):
            for lines in super().values():
                yield lines[: len(lines) // 2]
                die()
    return Days(days(state))


def die_noting(state, values, note=State.note):
    if "history_file" in values:
        die()
    note(state, values)


def rotate_one(source, target):
    os.replace(source, target)
    die()


def no_manifest(file, *_, **__):
    if file.path.endswith("comfy_inventory.json"):
        die()
    return entering(file)


entering = scanner.output.atomic.AtomicFile.__enter__


def write_some(body, *_):
    body.lines(["{" * 1_000_000])
    die()


assert all(map(callable, (Store.deliver, State.save_memory, State.clear_outbox, Journal.append,
    History.after_write, History._write, State.save_history, State.history, State.note,
    scanner.output.journal._write_all, scanner.output.journal._replace,
    scanner.output.journal.sync_file, scanner.output.inventory_writer.write_folders,
    scanner.output.inventory_writer.InventoryWriter.write,
    scanner.output.atomic.patiently)))
points = {
    "in the transaction": lambda: setattr(State, "save_memory", die),
    "between commit and change list": lambda: setattr(Store, "deliver", die),
    "in the middle of the append": lambda: setattr(scanner.output.journal, "_write_all", half),
    "before the change list is forced to the disk":
        lambda: setattr(scanner.output.journal, "sync_file", die),
    "after the append": lambda: setattr(State, "clear_outbox", die),
    "in the rotation": lambda: setattr(scanner.output.journal, "_replace", rotate_one),
    "between change list and inventory":
        lambda: setattr(scanner.output.inventory_writer.InventoryWriter, "write", die),
    "in the middle of the inventory":
        lambda: setattr(scanner.output.inventory_writer, "write_folders", write_some),
    "before the inventory is put in its place":
        lambda: setattr(scanner.output.atomic, "patiently", die),
    "in the middle of the parts":
        lambda: setattr(scanner.output.parts, "write_folders", write_some),
    "before a part gets its name": lambda: setattr(scanner.output.atomic, "patiently", die),
    "between parts and manifest":
        lambda: setattr(scanner.output.atomic.AtomicFile, "__enter__", no_manifest),
    "between manifest and the removal of parts":
        lambda: setattr(scanner.output.parts, "remove_parts", die),
    "between inventory and history": lambda: setattr(History, "after_write", die),
    "in the transaction of the history": lambda: setattr(State, "save_history", die),
    "between that and its file": lambda: setattr(History, "_write", die),
    "in the middle of that file": lambda: setattr(State, "history", half_of_the_days),
    "after that file": lambda: setattr(State, "note", die_noting),
}
at_the_end_of_opening(points[sys.argv.pop(1)])
sys.exit(scanner.cli.main(sys.argv[1:]))
"""
"""Runs the command line until the point that its first argument names, and dies there."""

POINTS = (
    "in the transaction",
    "between commit and change list",
    "in the middle of the append",
    "before the change list is forced to the disk",
    "after the append",
    "in the rotation",
    "between change list and inventory",
    "in the middle of the inventory",
    "before the inventory is put in its place",
)


OF_PARTS = (
    "in the middle of the parts",
    "before a part gets its name",
    "between parts and manifest",
    "between manifest and the removal of parts",
)


OF_THE_HISTORY = (
    "between inventory and history",
    "in the transaction of the history",
    "between that and its file",
    "in the middle of that file",
    "after that file",
)


def die_at(machine: Machine, point: str) -> None:
    done = machine.execute(sys.executable, "-c", DIE, point, "scan", *ARGUMENTS)
    assert done.returncode == 137, done.stderr


EXPECTED = [
    ("created", "Downloads/new.safetensors"),
    ("deleted", "ComfyUI/models/loras/a/f0.safetensors"),
    ("modified", "ComfyUI/models/loras/b/f1.safetensors"),
    ("moved", "ComfyUI/models/loras/c", "Downloads/moved/c"),
    (
        "moved",
        "ComfyUI/models/loras/d/f3.safetensors",
        "ComfyUI/models/loras/d/renamed.safetensors",
    ),
]


def edit(machine: Machine) -> None:
    loras = machine.work / "ComfyUI" / "models" / "loras"
    write(machine.work / "Downloads" / "new.safetensors", "new")
    (loras / "a" / "f0.safetensors").unlink()
    write(loras / "b" / "f1.safetensors", "other")
    (loras / "c").rename(machine.work / "Downloads" / "moved" / "c")
    (loras / "d" / "f3.safetensors").rename(loras / "d" / "renamed.safetensors")


@pytest.mark.parametrize("point", POINTS)
def test_next_start_repairs_a_crash(tmp_path: Path, point: str) -> None:
    machine = installation(tmp_path, files=30)
    start = machine.inventory()
    if point == "in the rotation":  # which comes when the list is large enough
        for number in range(20):
            write(machine.work / "Downloads" / f"older{number}", f"{number}")
        machine.run("scan", *ARGUMENTS)
        older = [("created", f"Downloads/older{number}") for number in range(20)]
    else:
        older = []
    before = machine.output.read_bytes()
    edit(machine)
    die_at(machine, point)
    assert machine.output.read_bytes() == before
    if point == "in the middle of the append":
        assert not machine.journal.read_bytes().endswith(b"\n")
    done = machine.run("scan", *ARGUMENTS)
    assert "damaged" not in done.stderr
    assert told(machine.changes()) == sorted([*older, *EXPECTED])
    assert_exact(machine, start)


@pytest.mark.parametrize("point", OF_PARTS)
def test_next_start_repairs_a_crash_of_an_inventory_in_parts(tmp_path: Path, point: str) -> None:
    machine = installation(tmp_path, 30, "category")
    start = machine.inventory()
    edit(machine)
    die_at(machine, point)
    is_replaced = point.startswith("between manifest")
    assert (machine.inventory() == start) != is_replaced
    parts = set((machine.work / "comfy_inventory.parts").iterdir())
    machine.run("scan", *ARGUMENTS)
    assert told(machine.changes()) == EXPECTED
    assert_exact(machine, start)
    assert parts != set((machine.work / "comfy_inventory.parts").iterdir())
    assert_parts(machine)


@pytest.mark.parametrize("point", OF_THE_HISTORY)
def test_next_start_makes_up_for_a_history_that_a_crash_left_behind(
    tmp_path: Path, point: str
) -> None:
    machine = installation(tmp_path, files=30)
    start, before = machine.inventory(), machine.history.read_bytes()
    edit(machine)
    die_at(machine, point)
    assert (machine.history.read_bytes() == before) == (point != "after that file")
    machine.run("scan", *ARGUMENTS)
    assert told(machine.changes()) == EXPECTED
    assert_exact(machine, start)
    assert machine.history.read_bytes() != before
