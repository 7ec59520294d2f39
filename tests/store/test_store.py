"""State, journal and inventory of one output agree, also over restarts and between lanes."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scanner.core.digests import SHA256
from scanner.core.mount_identity import MountIdentity
from scanner.core.snapshot import Snapshot
from scanner.disk.mounts import Mount
from scanner.disk.trust import Trust
from scanner.errors import OutputError
from scanner.output.file_names import Outputs
from scanner.output.inventory_view import InventoryView
from scanner.output.inventory_writer import InventoryWriter, Written
from scanner.output.journal import Journal
from scanner.output.journal_reader import read
from scanner.settings.schema import Settings
from scanner.store import published
from scanner.store.database import damaged
from scanner.store.file_marks import is_same_file
from scanner.store.metadata import MetadataUpdate
from scanner.store.mount_trust import read_trust, trusts_from
from scanner.store.state import State
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
    written = world.store.inventory.written
    world.restart()
    assert world.scan() == []
    assert world.store.inventory.bytes == os.path.getsize(world.outputs.inventory)
    assert world.store.inventory.written == written


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
    assert world.store.inventory.scan == world.store.scan
    return world


def test_a_large_inventory_rests_over_restarts(large: World) -> None:
    """Rule 10: at most one write per 20 times its own duration, here 100 s."""
    for name, advance, is_written in (("b", 30, False), ("c", 30, False), ("d", 60, True)):
        large.restart()
        large.files.write(at(f"Downloads/{name}"), b"x")
        large.scan(advance=advance, reads=False)
        assert (large.store.inventory.scan == large.store.scan) == is_written


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
    assert large.store.inventory.scan == large.store.scan


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"a.safetensors", b"b.safetensors"),
        lambda content: b"",
        lambda content: b"{}",
        lambda content: None,
    ],
)
def test_a_damaged_inventory_is_written_anew_by_the_next_scan(
    world: World, harm: Callable[[bytes], bytes | None], restarts: bool
) -> None:
    world.scan()
    path = Path(world.outputs.inventory)
    content = harm(path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    if restarts:
        world.restart()
    assert world.scan() == []
    assert world.inventory() == world.project()
    written = path.stat()
    world.restart()
    world.scan()
    assert path.stat() == written


@pytest.mark.parametrize(
    ("written", "now", "is_same"),
    [
        ("5 1000000001 7", "5 1000000001 7", True),
        ("5 1000000001 7", "6 1000000001 7", False),
        ("5 1000000001 7", "5 1000000003 7", False),
        ("5 1000000001 7", "5 1000000001 8", False),
        ("5 3000000001 7", "5 2000000000 8", True),  # FAT, after it forgot the file
        ("5 3000000001 7", "5 3010000000 8", True),  # exFAT
        ("5 3000000001 7", "5 6000000000 7", False),
        ("5 3000000001 7", "", False),
        ("", "5 3000000001 7", False),
        ("x", "5 3000000001 7", False),
    ],
)
def test_marks_of_the_inventory(written: str, now: str, is_same: bool) -> None:
    assert is_same_file(written, now, is_local=True) == is_same


def test_on_a_network_mount_the_mtime_of_the_inventory_is_the_servers() -> None:
    written = "5 3000000001 7"
    assert is_same_file(written, "5 3100000001 9", is_local=False)
    assert not is_same_file(written, "6 3000000001 7", is_local=False)
    assert not is_same_file(written, "5 9000000001 7", is_local=False)


def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outputs = Outputs(str(tmp_path / "out.json"), str(tmp_path / "file" / "state"))
    with pytest.raises(OutputError, match=r"for the state cannot be made.*XDG_STATE_HOME"):
        Store.open(Settings(), outputs, None, FakeFileSystem())


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


def test_trust_that_an_older_version_lost_was_lost_by_one_counter_example() -> None:
    text = '{"ext4 /dev/vda /":[0,true],"nfs nas:/x /":[2,false]}'
    assert trusts_from(text) == {
        MountIdentity("ext4", "/dev/vda", "/"): Trust(0, 1),
        MountIdentity("nfs", "nas:/x", "/"): Trust(2, 0),
    }


def test_trust_in_a_mount_whose_name_is_not_utf8_is_kept(world: World) -> None:
    share = Mount("/mnt/caf\udce9", "fuse.sshfs", "nas:/caf\udce9")
    other = share._replace(source="nas:/caf\udce8")
    world.store.trust_of(share).proofs = 2
    world.store.trust_of(other).failures = 1
    world.scan()
    world.restart()
    assert world.store.trust_of(share).proofs == 2
    assert not world.store.trust_of(share).failures
    assert world.store.trust_of(other).is_lost(other)


# Damage


def hashed(world: World) -> bytes:
    """Save a hash of the one file that every world has, and return it."""
    size, mtime = world.project()[at(LORA)][1:]
    digest = bytes(range(32))
    world.store.metadata.save([MetadataUpdate(at(LORA), size, mtime, {SHA256: digest})], 1)
    return digest


def damage(world: World, statement: str) -> None:
    world.store.close()
    with closing(sqlite3.connect(world.outputs.state)) as database, database:
        database.execute(statement)


def set_aside(world: World) -> list[str]:
    return [name for name in os.listdir(world.folder) if "damaged" in name]


def test_one_read_error_costs_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashed(world)
    load, calls = State.load_snapshot, []

    def fail_once(self: State) -> Snapshot:
        calls.append(self)
        if len(calls) == 1:
            raise damaged(self.path, "disk I/O error")
        return load(self)

    monkeypatch.setattr(State, "load_snapshot", fail_once)
    world.restart()
    assert len(calls) == 2
    assert set_aside(world) == []
    assert world.scan() == []
    assert world.baselines() == []
    size, mtime = world.project()[at(LORA)][1:]
    assert world.store.metadata.digests_of(at(LORA), size, mtime) == {SHA256: digest}


def test_a_damaged_state_gives_its_hashes_to_the_new_one(world: World) -> None:
    digest = hashed(world)
    damage(world, "UPDATE directory SET types = x'ff'")
    world.open()
    assert len(set_aside(world)) == 1
    assert world.scan() == []
    size, mtime = world.project()[at(LORA)][1:]
    assert world.store.metadata.digests_of(at(LORA), size, mtime) == {SHA256: digest}
    world.restart()
    assert world.store.metadata.digests_of(at(LORA), size, mtime) == {SHA256: digest}
    assert world.entry("a.safetensors")["sha256"] == digest.hex()


def test_hashes_of_a_wrong_form_are_not_taken_over(world: World) -> None:
    hashed(world)
    damage(world, "UPDATE known SET sha256 = x'00'")
    damage(world, "UPDATE directory SET types = x'ff'")
    world.open()
    size, mtime = world.project()[at(LORA)][1:]
    assert world.store.metadata.digests_of(at(LORA), size, mtime) == {}


def test_hashes_on_both_sides_of_a_damaged_page_are_taken_over(world: World) -> None:
    size, mtime = world.project()[at(LORA)][1:]
    updates = [
        MetadataUpdate(at(f"{LORA}{number:05}"), size, mtime, {SHA256: bytes(32)})
        for number in range(3000)
    ]
    world.store.metadata.save(updates, 1)
    damage(world, "VACUUM")
    with open(world.outputs.state, "r+b") as file:
        content = file.read()
        middle = content.rindex(b"a.safetensors01500") // 4096 * 4096
        file.seek(middle)
        file.write(b"\xff" * 4096)
    world.open()
    assert len(set_aside(world)) == 1
    known = world.store.metadata.of_folder(os.path.dirname(at(LORA)))
    assert 2900 < len(known) < 3000


def test_a_newer_state_stays_where_it_is(world: World) -> None:
    damage(world, "UPDATE meta SET value = '3' WHERE key = 'version'")
    with pytest.raises(OutputError, match="newer version"):
        world.open()
    assert set_aside(world) == []


def test_folder_for_the_state_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outputs = Outputs(str(tmp_path / "i.json"), str(tmp_path / "file" / "state"))
    with pytest.raises(OutputError, match="XDG_STATE_HOME"):
        Store.open(Settings(), outputs, None, FakeFileSystem())


# Metadata of files that are no more


def rows_of(world: World) -> list[str]:
    with closing(sqlite3.connect(world.outputs.state)) as database:
        return sorted(os.fsdecode(name) for (name,) in database.execute("SELECT name FROM known"))


@pytest.mark.parametrize("with_folder", [False, True])
def test_metadata_of_a_file_goes_when_no_move_can_need_it(world: World, with_folder: bool) -> None:
    world.scan()
    hashed(world)
    world.files.write(at("ComfyUI/models/vae/v.safetensors"), content("v"))
    world.files.remove(at(LORA))
    if with_folder:
        world.files.remove(os.path.dirname(at(LORA)))
    assert ("deleted", LORA) in world.scan()
    assert rows_of(world) == ["a.safetensors"]
    world.restart()
    world.scan()
    assert rows_of(world) == ["a.safetensors"]
    world.scan(advance=16 * 60)
    assert rows_of(world) == []


def test_metadata_of_a_file_that_comes_back_stays(world: World) -> None:
    world.scan()
    digest = hashed(world)
    size, mtime = world.project()[at(LORA)][1:]
    world.files.rename(at(LORA), at("elsewhere"))
    assert ("deleted", LORA) in world.scan()
    world.restart()
    world.files.rename(at("elsewhere"), at(LORA))
    world.scan()
    world.scan(advance=16 * 60)
    world.restart()
    assert world.store.metadata.doubtful == {at(LORA)}
    assert world.store.metadata.digests_of(at(LORA), size, mtime) == {}
    world.store.metadata.settle({at(LORA): True})
    assert world.store.metadata.digests_of(at(LORA), size, mtime) == {SHA256: digest}


@pytest.mark.parametrize("through", ["", "link"])
def test_start_deletes_temporary_files_of_a_writer_that_was_killed(
    tmp_path: Path, through: str
) -> None:
    """As they stay on a share that hung when the program was ended."""
    folder = tmp_path / "share"
    folder.mkdir()
    if through:
        (tmp_path / through).symlink_to(folder)
    world = World(tmp_path / through if through else folder)
    world.scan()
    own = [".out.json.0123abcd.tmp", ".out.status.json.89abcdef.tmp"]
    others = [".other.json.0123abcd.tmp", ".out.json.tmp", ".out.status.json.mine.tmp"]
    for name in (*own, *others):
        (folder / name).write_bytes(b"half")
    world.restart()
    assert sorted(path.name for path in folder.glob(".*.tmp")) == sorted(others)
