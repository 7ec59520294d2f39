"""What workflows and pictures name, read between scans: which first, and never twice."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.service.uses import FILES, UsesReader
from scanner.store.tables import TABLES
from scanner.store.uses import Known, UsesTable, read_known
from tests.support.world import MODELS, World, at

OUTPUT = Root("output", at("ComfyUI/output"))
USER = Root("workflows", at("ComfyUI/user"))
FLOW = f"{USER.path}/default/workflows/a.json"


def flow(*names: str, **more: Any) -> bytes:
    nodes = [
        {"id": number, "type": "LoraLoader", "mode": 0, "widgets_values": [name, 1]}
        for number, name in enumerate(names)
    ]
    return json.dumps({"nodes": nodes, "links": [], **more}).encode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, roots=(MODELS, OUTPUT, USER))


def reader(world: World, own: tuple[Root, ...] | None = None) -> UsesReader:
    table = UsesTable(world.outputs.state)
    pending = world.scanner.pending_folders()
    return UsesReader(world.scanner, pending, table, None if own is None else lambda: own)


def never() -> bool:
    return False


def known(world: World) -> Known:
    return read_known(world.outputs.state)


def names_of(world: World, path: str) -> set[str]:
    now = known(world)
    uses, names, _ = json.loads(now.texts[now.files[path][1]])
    return {*(name for name, *_ in uses), *names}


def opened(world: World) -> list[str]:
    return [path for operation, path in world.files.asked if operation == "open"]


def test_each_file_is_read_once_workflows_first(world: World) -> None:
    pictures = [f"{OUTPUT.path}/{number:03}.json" for number in range(FILES + 3)]
    for path in pictures:
        world.files.write(path, flow("p.pt"))
    world.files.write(FLOW, flow("w.pt"))
    world.files.write(f"{OUTPUT.path}/notes.txt", b"p.pt")
    world.files.write(at("ComfyUI/models/loras/w.pt"), b"1")
    world.settle()
    world.files.asked.clear()
    reader(world).work(never)
    assert FLOW in opened(world)[:FILES]
    assert sorted(opened(world)) == sorted([*pictures, FLOW])
    world.restart()
    world.files.asked.clear()
    reader(world).work(never)
    assert opened(world) == []
    assert names_of(world, FLOW) == {"w.pt"}
    assert known(world).since > 0


def test_reading_goes_on_where_it_ended(world: World) -> None:
    for number in range(3 * FILES):
        world.files.write(f"{OUTPUT.path}/{number:03}.json", flow(f"{number}.pt"))
    world.settle()
    asked: list[int] = []

    def ends() -> bool:
        asked.append(1)
        return len(asked) > 1

    reader(world).work(ends)
    assert len(known(world).files) == FILES
    assert known(world).since == 0
    world.restart()
    world.files.asked.clear()
    reader(world).work(never)
    assert len(opened(world)) == 2 * FILES
    assert len(known(world).files) == 3 * FILES
    assert known(world).since > 0


def test_pictures_of_one_workflow_share_one_text(world: World) -> None:
    for number in range(20):
        world.files.write(f"{OUTPUT.path}/{number}.json", flow("a.pt", "b.pt", seed=number))
    reader(world.settle()).work(never)
    now = known(world)
    assert (len(now.files), len(now.texts)) == (20, 1)


def test_what_a_file_named_is_remembered_when_it_changes_or_goes(world: World) -> None:
    picture = f"{OUTPUT.path}/sub/p.json"
    world.files.write(FLOW, flow("old.pt", "same.pt"))
    world.files.write(picture, flow("gone.pt"))
    one = reader(world.settle())
    one.work(never)
    world.files.write(FLOW, flow("new.pt", "same.pt"))
    world.files.remove(f"{OUTPUT.path}/sub")
    world.settle()
    one.work(never)
    now = known(world)
    assert {name: past.path for name, past in now.past.items()} == {
        "old.pt": FLOW,
        "gone.pt": picture,
    }
    assert set(now.files) == {FLOW}
    assert len(now.texts) == 1
    assert names_of(world, FLOW) == {"new.pt", "same.pt"}


def test_a_file_that_cannot_be_read_keeps_the_count_from_beginning(world: World) -> None:
    world.files.write(FLOW, flow("w.pt"))
    world.files.write(f"{OUTPUT.path}/p.json", flow("p.pt"))
    world.settle()
    world.files.faults["open", f"{OUTPUT.path}/p.json"] = 5
    one = reader(world)
    one.work(never)
    assert names_of(world, FLOW) == {"w.pt"}
    assert known(world).since == 0
    world.files.faults.clear()
    world.files.advance(10_000)
    one.work(never)
    assert known(world).since > 0


def test_each_lane_reads_its_own_and_the_last_one_begins_the_count(world: World) -> None:
    world.files.mount_table.append(Mount(OUTPUT.path, "cifs", "//nas/out"))
    world.files.write(FLOW, flow("w.pt"))
    world.files.write(f"{OUTPUT.path}/p.json", flow("p.pt"))
    world.settle()
    reader(world, (MODELS, USER)).work(never)
    assert set(known(world).files) == {FLOW}
    assert known(world).since == 0
    reader(world, (OUTPUT,)).work(never)
    assert known(world).since > 0


def test_state_of_an_older_version_gets_the_tables(world: World) -> None:
    world.files.write(FLOW, flow("w.pt"))
    world.settle()
    database = sqlite3.connect(world.outputs.state)
    for table in ("use_file", "use_text", "use_past"):
        database.execute(f"DROP TABLE IF EXISTS {table}")
    database.commit()
    database.close()
    assert known(world) == Known({}, {}, {}, 0)
    reader(world).work(never)
    assert names_of(world, FLOW) == {"w.pt"}
    assert "use_file" not in TABLES


def test_a_damaged_text_is_no_text(world: World) -> None:
    world.files.write(FLOW, flow("w.pt"))
    reader(world.settle()).work(never)
    database = sqlite3.connect(world.outputs.state)
    database.execute("UPDATE use_text SET text = CAST('[[], [], false]' AS BLOB)")
    database.commit()
    database.close()
    assert known(world).files == {}
