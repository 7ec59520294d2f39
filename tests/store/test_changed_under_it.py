"""The files of the state are cut, removed or replaced while the program runs: nothing is lost."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.errors import OutputError
from scanner.output.journal_reader import read
from scanner.store import state_file
from scanner.store.metadata import MetadataUpdate
from scanner.store.state import State
from scanner.store.store import Store
from tests.support.world import World, at

LORA = "ComfyUI/models/loras/a.safetensors"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.write(at(LORA), b"lora")
    world.files.write(at("ComfyUI/models/vae/v.safetensors"), b"vae")
    return world.settle()


def cut_log_to(share: float) -> Callable[[str], None]:
    def cut(state: str) -> None:
        log = f"{state}-wal"
        os.truncate(log, int(os.path.getsize(log) * share))

    return cut


def remove_all(state: str) -> None:
    for ending in ("", "-wal", "-shm"):
        os.remove(state + ending)


def overwrite(state: str) -> None:
    remove_all(state)
    Path(state).write_bytes(b"no database" * 1000)


def older(state: str) -> None:
    """Put an older copy in its place, as a backup program does."""
    remove_all(state)
    shutil.copy(f"{state}.copy", state)


def zeros(state: str) -> None:
    cut_log_to(0)(state)
    with open(state, "r+b") as file:
        file.write(bytes(os.path.getsize(state)))


@pytest.mark.skipif(os.name == "nt", reason="Windows changes no file that is open")
@pytest.mark.parametrize(
    "change",
    [
        cut_log_to(0),
        cut_log_to(0.5),
        lambda state: os.remove(f"{state}-wal"),
        remove_all,
        overwrite,
        older,
        zeros,
    ],
    ids=["cut", "half", "no log", "removed", "overwritten", "older", "zeros"],
)
@pytest.mark.parametrize("is_noticed_late", [False, True])
def test_scans_go_on_and_the_next_start_knows_everything(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[str], None],
    is_noticed_late: bool,
) -> None:
    state = world.outputs.state
    world.restart()
    shutil.copy(state, f"{state}.copy")
    world.files.write(at("ComfyUI/models/loras/b.safetensors"), b"before")
    assert world.scan() == [("created", "ComfyUI/models/loras/b.safetensors")]
    change(state)
    world.files.write(at("ComfyUI/models/loras/c.safetensors"), b"after")
    if is_noticed_late:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "mend", lambda store: False)
            for _ in range(2):
                with pytest.raises(OutputError):
                    world.scan()
    world.scan()
    known = world.project()
    assert at("ComfyUI/models/loras/c.safetensors") in known
    assert world.scan() == []
    world.restart()
    assert world.scan() == []
    assert world.baselines() == []
    assert world.project() == known
    told = [line["path"] for line in read(world.outputs.journal) if line["kind"] == "created"]
    assert sorted(told[-2:]) == [
        "ComfyUI/models/loras/b.safetensors",
        "ComfyUI/models/loras/c.safetensors",
    ]
    assert len(told) == len(set(told))


def test_hashes_of_an_older_copy_are_kept_and_the_others_read_again(world: World) -> None:
    size, mtime = world.project()[at(LORA)][1:]
    digests = {"sha256": bytes(range(32))}
    world.store.metadata.save([MetadataUpdate(at(LORA), size, mtime, digests)], 1)
    world.restart()
    world.scan()
    for pending in (world.unhashed, world.without_facts):
        for folder, changed in pending._items():
            pending.done(folder, changed)
    cut_log_to(0)(world.outputs.state)
    world.scan()
    assert world.store.metadata.digests_of(at(LORA), size, mtime) == digests
    assert {folder for folder, _ in world.unhashed._items()} == world.store.snapshot.keys()
    assert world.entry("a.safetensors")["sha256"] == digests["sha256"].hex()


def test_a_state_that_stays_broken_is_tried_again_by_every_scan(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cut_log_to(0)(world.outputs.state)
    with monkeypatch.context() as patch:
        patch.setattr("scanner.store.loading._load", _fail)
        for _ in range(2):
            with pytest.raises(OutputError):
                world.scan()
    world.files.write(at("ComfyUI/models/loras/c.safetensors"), b"after")
    assert world.scan() == [("created", "ComfyUI/models/loras/c.safetensors")]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert any("opened anew" in record.getMessage() for record in warnings)


def _fail(path: str) -> None:
    raise OutputError(f"The state {path} cannot be opened for writing: disk I/O error.")


def test_a_log_that_grows_and_starts_anew_is_sound(world: World) -> None:
    state = world.store.state
    for number in range(3000):
        state.put(f"key {number % 50}", "x" * 4000)
    assert state.is_sound()
    assert not world.store.mend()


def test_commit_of_another_lane_while_the_files_are_looked_at_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, commits = state_file._files_of, iter([1])
    state = State(str(tmp_path / "state.sqlite"))

    def look_while_it_commits(path: str) -> object:
        seen = look(path)
        for scan in commits:
            with state.transaction():
                state.put_outbox(scan, [b"line" * 10_000])
        return seen

    monkeypatch.setattr(state_file, "_files_of", look_while_it_commits)
    assert state.is_sound()
    state.close()
