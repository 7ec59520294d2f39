"""A commit waits for the disk as often as rules 8 and 10 ask for it, and no oftener."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner import scan
from scanner.output import atomic, journal
from scanner.store.projection import unfinished_files
from scanner.store.store import Store
from tests.support.fakes import FakeFileSystem
from tests.support.world import World, at, content

LORA = "ComfyUI/models/loras/a.safetensors"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.write(at(LORA), content("a"))
    for _ in range(3):
        world.scan(advance=700)
    # The history is written with it, and then not again for ten minutes.
    world.files.write(at("ComfyUI/models/loras/last.safetensors"), content("last"))
    for _ in range(3):
        world.scan()
    return world


class Forced:
    """What a store forces to the disk, in order: transactions that wait for the disk, and files."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self._is_full = True
        world.store.state._db.set_trace_callback(self._statement)
        sync = atomic.sync_file

        def noted(descriptor: int) -> None:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
            kinds = {".jsonl": "change list", ".tmp": "inventory"}
            self.done.append("folder" if is_folder else kinds[os.path.splitext(name)[1]])
            sync(descriptor)

        patch.setattr(atomic, "sync_file", noted)
        patch.setattr(journal, "sync_file", noted)

    def _statement(self, text: str) -> None:
        words = text.split()
        if words[0] == "PRAGMA" and words[1].startswith("synchronous="):
            self._is_full = words[1].endswith("FULL")
        elif words[0] == "BEGIN":
            self._in_transaction = True
        elif words[0] == "COMMIT" or (
            words[0] in ("INSERT", "UPDATE", "DELETE") and not self._in_transaction
        ):
            self._in_transaction = False
            if self._is_full:
                self.done.append("state")

    _in_transaction = False


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="names of open files")


def create(files: FakeFileSystem) -> None:
    files.write(at("ComfyUI/models/loras/b.safetensors"), content("b"))


def modify(files: FakeFileSystem) -> None:
    files.write(at(LORA), content("longer"))


def remove(files: FakeFileSystem) -> None:
    files.remove(at(LORA))


@needs_proc
@pytest.mark.parametrize("edit", [create, modify, remove])
def test_a_change_waits_four_times(
    world: World, monkeypatch: pytest.MonkeyPatch, edit: Callable[[FakeFileSystem], None]
) -> None:
    edit(world.files)
    forced = Forced(world, monkeypatch)
    assert world.scan(reads=False)
    assert forced.done == ["state", "change list", "inventory", "folder"]


def test_what_an_inventory_brings_to_the_state_is_written_at_once(world: World) -> None:
    """After the commit, and the lines that are no longer in the outbox."""
    begun: list[str] = []
    create(world.files)
    world.store.state._db.set_trace_callback(
        lambda text: begun.append(text) if text.startswith(("BEGIN", "INSERT")) else None
    )
    assert world.scan(reads=False)
    assert sum(text.startswith("BEGIN") for text in begun) == 3
    last = begun[len(begun) - begun[::-1].index("BEGIN IMMEDIATE") :]
    assert ["INTO history" in last[0], *("INTO meta" in text for text in last[1:])] == [True, True]


def test_unfinished_files_are_looked_for_once_a_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Store] = []

    def noted(store: Store) -> dict[str, str]:
        calls.append(store)
        return unfinished_files(store)

    monkeypatch.setattr(scan, "unfinished_files", noted)
    world.files.write(at(f"{LORA}.part"), content("half"))
    assert world.scan(reads=False)
    assert len(calls) == 1
    assert world.scanner.unfinished == 1
    world.files.remove(at(f"{LORA}.part"))
    assert world.scan(reads=False)
    assert len(calls) == 2
    assert world.scanner.unfinished == 0


@needs_proc
def test_a_scan_without_changes_writes_no_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced = Forced(world, monkeypatch)
    assert world.scan(reads=False) == []
    assert set(forced.done) <= {"state"}
    assert len(forced.done) <= 1


def test_lines_that_a_power_cut_brings_back_into_the_outbox_are_written_once(world: World) -> None:
    """The outbox is cleared without waiting for the disk: a power cut may undo that."""
    create(world.files)
    assert world.scan(reads=False)
    scan = world.store.scan
    lines = Path(world.outputs.journal).read_bytes()
    last = [line + b"\n" for line in lines.splitlines() if line.startswith(b'{"scan":%d,' % scan)]
    with world.store.state.transaction():
        world.store.state.put_outbox(scan, last)
    world.restart()
    assert Path(world.outputs.journal).read_bytes() == lines
    with sqlite3.connect(world.outputs.state) as state:
        assert state.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    state.close()
