"""State, journal and inventory of one output agree, also over restarts and between lanes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.disk.mounts import Mount
from scanner.errors import OutputError
from scanner.output.file_names import Outputs
from scanner.output.inventory_view import InventoryView
from scanner.output.inventory_writer import InventoryWriter, Written
from scanner.output.journal import Journal
from scanner.output.journal_reader import read
from scanner.settings.schema import Settings
from scanner.store import published
from scanner.store.mount_trust import read_trust
from scanner.store.store import Commit, Store
from tests.support.fakes import FakeFileSystem
from tests.support.world import World, at, content

LORA = "ComfyUI/models/loras/a.safetensors"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.write(at(LORA), content("a"))
    world.scan()
    return world


def test_size_and_time_of_the_inventory_are_known_after_a_restart(world: World) -> None:
    written = world.store.inventory_written
    world.restart()
    assert world.scan() == []
    assert world.store.inventory_bytes == os.path.getsize(world.outputs.inventory)
    assert world.store.inventory_written == written


@pytest.fixture
def large(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose inventory counts as large, and takes 5 s to write."""
    monkeypatch.setattr(published, "LARGE_INVENTORY", 10)
    write = InventoryWriter.write

    def slowly(self: InventoryWriter, view: InventoryView) -> Written:
        return write(self, view)._replace(seconds=5.0)

    monkeypatch.setattr(InventoryWriter, "write", slowly)
    world.files.write(at("Downloads/first"), b"x")
    world.scan(advance=200)
    assert world.store.inventory_scan == world.store.scan
    return world


def test_a_large_inventory_rests_over_restarts(large: World) -> None:
    """Rule 10: at most one write per 20 times its own duration, here 100 s."""
    for name, advance, is_written in (("b", 30, False), ("c", 30, False), ("d", 60, True)):
        large.restart()
        large.files.write(at(f"Downloads/{name}"), b"x")
        large.scan(advance=advance, reads=False)
        assert (large.store.inventory_scan == large.store.scan) == is_written


def test_annotations_wait_ten_minutes_over_restarts(world: World) -> None:
    world.files.write(at("Downloads/late"), content("late"))
    world.scan(reads=False)
    world.restart()
    world.store.note_annotations()
    assert not world.scanner.publish(is_last=False)
    world.files.advance(601)
    assert world.scanner.publish(is_last=False)


def test_a_clock_that_was_set_back_delays_no_write(large: World) -> None:
    large.files.wall -= 10**9 * 86_400 * 365
    large.restart()
    large.files.write(at("Downloads/b"), b"x")
    large.scan(advance=101, reads=False)
    assert large.store.inventory_scan == large.store.scan


# The outbox


def test_changes_whose_append_failed_are_appended_by_the_next_scan(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal, lines: object) -> None:
        raise OutputError("The disk is full.")

    world.files.write(at("Downloads/b"), b"x")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", full)
        with pytest.raises(OutputError):
            world.scan(reads=False)
    failed = world.store.scan
    assert [scan for scan, _ in world.store.state.outbox()] == [failed]
    assert world.scan() == []
    assert world.store.state.outbox() == []
    assert [line["path"] for line in read(world.outputs.journal) if line["scan"] == failed] == [
        "Downloads/b"
    ]


# Trust in directory mtimes


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_a_lane_meets_a_mount_while_another_one_commits(world: World) -> None:
    store = world.store
    for number in range(2000):
        store.trust_of(Mount(f"/{number}", "nfs", f"nas:/{number}")).proofs = 1
    is_over = threading.Event()

    def meet_mounts() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            store.trust_of(Mount(f"/other/{number}", "nfs", f"other:/{number}"))

    lane = threading.Thread(target=meet_mounts)
    lane.start()
    try:
        for _ in range(20):
            store.commit(Commit(memory=store.memory), world.files.now())
    finally:
        is_over.set()
        lane.join()
    assert len(read_trust(world.outputs.state)) == 2000


def test_trust_in_a_mount_whose_name_is_not_utf8_is_kept(world: World) -> None:
    share = Mount("/mnt/caf\udce9", "fuse.sshfs", "nas:/caf\udce9")
    other = share._replace(source="nas:/caf\udce8")
    world.store.trust_of(share).proofs = 2
    world.store.trust_of(other).is_lost = True
    world.scan()
    world.restart()
    assert world.store.trust_of(share).proofs == 2
    assert not world.store.trust_of(share).is_lost
    assert world.store.trust_of(other).is_lost


def test_folder_for_the_state_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outputs = Outputs(str(tmp_path / "i.json"), str(tmp_path / "file" / "state"))
    with pytest.raises(OutputError, match="XDG_STATE_HOME"):
        Store.open(Settings(), outputs, None, FakeFileSystem())
