"""The history: a day keeps what its last write left, over crashes, clocks and lost states."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scanner.core.days import day_of
from scanner.errors import OutputError
from scanner.output.history_reader import read_history, usage_days
from scanner.output.history_rows import Cost
from scanner.store import history
from scanner.store.history import History
from scanner.store.state import State
from tests.support.world import DOWNLOADS, MODELS, World, at

LORAS = "ComfyUI/models/loras"

A_DAY = 86_400.0

REST = 600.0
"""`annotations_every`, by default."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.wall = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1e9)
    add(world, "a", 10)
    return world.settle()


def add(world: World, name: str, size: int) -> None:
    world.files.write(at(f"{LORAS}/{name}.safetensors"), name.encode() * size)


def rows(world: World) -> list[dict[str, Any]]:
    return read_history(world.outputs.history)


def loras(world: World) -> dict[str, int]:
    """Bytes of the category by day, as the file shows it."""
    return {row["day"]: row["bytes"] for row in rows(world) if row.get("category") == "loras"}


def end(world: World) -> None:
    world.scanner.publish(is_last=True)


def test_the_first_inventory_brings_the_first_day(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert not os.path.exists(world.outputs.history)
    world.scan()
    day = day_of(world.files.now())
    assert {row["day"] for row in rows(world)} == {day}
    assert {row["root"] for row in rows(world)} == {MODELS.id, DOWNLOADS.id}
    assert world.store.history.newest == day


def test_the_last_write_of_a_day_stands(world: World) -> None:
    add(world, "b", 100)
    world.scan()
    assert loras(world) == {"2026-03-01": 10}, "the file follows ten minutes later"
    world.scan(advance=REST)
    assert loras(world) == {"2026-03-01": 110}


def test_an_unchanged_scan_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.scan(advance=REST)
    calls: list[str] = []
    for name in ("_save", "_write", "after_write"):
        monkeypatch.setattr(History, name, lambda *_, name=name: calls.append(name))
    for _ in range(5):
        world.scan(advance=2 * REST)
    assert calls == []


def test_a_file_that_shows_the_same_is_not_replaced(world: World) -> None:
    end(world)
    before = os.stat(world.outputs.history).st_ino
    world.files.write(at(f"{LORAS}/a.safetensors"), b"0123456789", mtime=99)  # of the same size
    world.scan(advance=REST)
    end(world)
    assert os.stat(world.outputs.history).st_ino == before


def test_each_day_has_rows_of_its_own_and_a_quiet_one_none(world: World) -> None:
    add(world, "b", 100)
    world.scan(advance=A_DAY)
    world.scan(advance=A_DAY)
    add(world, "c", 1000)
    world.scan(advance=A_DAY)
    end(world)
    assert loras(world) == {"2026-03-01": 10, "2026-03-02": 110, "2026-03-04": 1110}


def test_a_day_that_ends_before_its_rows_were_due_keeps_them(world: World) -> None:
    world.files.advance(12 * 3600 - 300)
    add(world, "b", 100)
    world.scan(advance=0)  # due for the first time
    add(world, "c", 1000)
    world.scan(advance=60)  # waits: 23:56
    add(world, "d", 10_000)
    world.scan(advance=300)  # 00:01
    end(world)
    assert loras(world) == {"2026-03-01": 1110, "2026-03-02": 11_110}


def test_a_day_that_ends_without_another_write_keeps_its_rows(world: World) -> None:
    world.files.advance(12 * 3600 - 300)
    add(world, "b", 100)
    world.scan(advance=0)
    add(world, "c", 1000)
    world.scan(advance=60)
    world.scan(advance=REST)  # on the next day, on which nothing changes
    assert loras(world)["2026-03-01"] == 1110


def test_a_root_that_is_scanned_no_longer_has_no_rows_any_more(world: World) -> None:
    end(world)
    world.scanner.set_roots([MODELS])
    world.scan(advance=A_DAY)
    end(world)
    days = usage_days(rows(world))
    assert [{root for root, _ in found} for found in days.values()] == [
        {MODELS.id, DOWNLOADS.id},
        {MODELS.id},
    ]


# Clocks


def test_a_clock_that_was_set_back_costs_no_day(world: World) -> None:
    add(world, "b", 100)
    world.scan(advance=2 * A_DAY)
    end(world)
    world.files.wall -= int(A_DAY * 1e9)
    add(world, "c", 1000)
    world.scan()
    end(world)
    assert loras(world) == {"2026-03-01": 10, "2026-03-02": 1110, "2026-03-03": 110}
    world.files.wall += int(A_DAY * 1e9)
    add(world, "d", 10_000)
    world.scan()
    end(world)
    assert loras(world) == {"2026-03-01": 10, "2026-03-02": 1110, "2026-03-03": 11_110}


def test_a_clock_that_was_never_set_writes_no_day(world: World) -> None:
    end(world)
    world.files.wall = 10**9
    add(world, "b", 100)
    world.scan()
    world.store.history.note_cost(Cost("local", 1, 1.0, 30.0))
    end(world)
    assert loras(world) == {"2026-03-01": 10}
    world.restart()
    written = world.store.inventory.written
    world.scan()
    assert world.store.inventory.written == written, "there is nothing to make up for"


# Crashes


def die(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("point", ["_save", "_write", "after_write"])
def test_what_a_crash_left_out_is_made_up_for_by_the_next_scan(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    end(world)
    add(world, "b", 100)
    with monkeypatch.context() as patch:
        patch.setattr(History, point, die)
        with pytest.raises(KeyboardInterrupt):
            world.scan(advance=A_DAY)
            end(world)
    assert loras(world) == {"2026-03-01": 10}
    world.restart()
    world.scan()
    end(world)
    assert loras(world) == {"2026-03-01": 10, "2026-03-02": 110}


def test_a_file_that_waits_is_written_by_the_next_process(world: World) -> None:
    """It waits up to ten minutes; the state has the rows, so the inventory stays as it is."""
    add(world, "b", 100)
    world.scan()
    assert loras(world) == {"2026-03-01": 10}
    written = world.store.inventory.written
    world.restart()
    world.scan()
    assert loras(world) == {"2026-03-01": 110}
    assert world.store.inventory.written == written


def test_an_inventory_that_a_crash_left_uncounted_is_written_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(world, "b", 100)
    with monkeypatch.context() as patch:
        patch.setattr(History, "after_write", die)
        with pytest.raises(KeyboardInterrupt):
            world.scan()
    world.restart()
    world.scan()
    end(world)
    assert loras(world) == {"2026-03-01": 110}
    written = world.store.inventory.written
    world.scan()
    world.restart()
    world.scan()
    assert world.store.inventory.written == written, "once is enough"


@pytest.mark.parametrize("what", ["state", "file"])
def test_a_write_that_failed_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def full(*_: object) -> None:
        raise OutputError("no space")

    add(world, "b", 100)
    world.store.history.note_cost(Cost("local", 1, 1.0, 30.0))
    with monkeypatch.context() as patch:
        patch.setattr(*{"state": (State, "save_history"), "file": (History, "_write")}[what], full)
        for _ in range(2):
            with pytest.raises(OutputError):
                world.scan()
                end(world)
    world.scan(advance=1)
    end(world)
    assert loras(world) == {"2026-03-01": 110}
    assert [row["scans"] for row in rows(world) if "lane" in row] == [1]


def test_what_the_state_refused_is_saved_by_the_next_scan(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("no space")

    end(world)
    world.store.history.note_cost(Cost("local", 1, 1.0, 30.0))
    with monkeypatch.context() as patch:
        patch.setattr(State, "save_history", full)
        with pytest.raises(OutputError):
            end(world)
        add(world, "b", 100)
        with pytest.raises(OutputError):
            world.scan(reads=False)
    world.store._unshown.has_annotations = False  # which would have it written as well
    world.scan(reads=False)
    assert b'"files":2,"bytes":110' in world.store.state.day("2026-03-01")
    end(world)
    assert [row["scans"] for row in rows(world) if "lane" in row] == [1]


@pytest.mark.parametrize("harm", [os.unlink, lambda path: Path(path).write_bytes(b'{"day":"20')])
def test_a_file_that_was_lost_or_cut_is_written_again(
    world: World, harm: Callable[[str], None]
) -> None:
    end(world)
    whole = rows(world)
    harm(world.outputs.history)
    world.restart()
    world.scan()
    assert rows(world) == whole


# Lost, damaged and older states


def lose_state(world: World) -> None:
    world.store.close()
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    world.open()


def test_a_lost_state_gets_its_days_from_the_file(world: World) -> None:
    add(world, "b", 100)
    world.store.history.note_cost(Cost("local", 2, 1.5, 30.0))
    world.scan(advance=A_DAY)
    end(world)
    whole = rows(world)
    with open(world.outputs.history, "ab") as file:
        file.write(b'{"day":"2026-03-02","root":"torn')
    lose_state(world)
    assert world.store.history.newest == "2026-03-02"
    world.scan()
    end(world)
    assert rows(world) == whole
    add(world, "c", 1000)
    world.scan(advance=A_DAY)
    end(world)
    assert loras(world) == {"2026-03-01": 10, "2026-03-02": 110, "2026-03-03": 1110}


def test_a_file_that_cannot_be_read_is_not_written_over(world: World) -> None:
    end(world)
    world.store.close()
    Path(world.outputs.state).unlink()
    os.unlink(world.outputs.history)
    os.mkdir(world.outputs.history)
    with pytest.raises(OutputError):
        world.open()


def test_a_state_that_is_lost_while_the_program_runs_gets_its_days_back(world: World) -> None:
    end(world)
    add(world, "b", 100)
    world.scan(advance=A_DAY)
    end(world)
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    add(world, "c", 1000)
    world.scan(advance=A_DAY)
    end(world)
    assert loras(world) == {"2026-03-01": 10, "2026-03-02": 110, "2026-03-03": 1110}


def on_database(world: World, *statements: str) -> None:
    world.store.close()
    with closing(sqlite3.connect(world.outputs.state)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_a_state_of_an_older_version_begins_its_history_with_the_next_scan(world: World) -> None:
    end(world)
    os.unlink(world.outputs.history)
    on_database(
        world,
        "DROP TABLE history",
        "DELETE FROM meta WHERE key IN ('history_scan', 'history_file')",
    )
    world.open()
    world.scan()
    assert loras(world) == {"2026-03-01": 10}


def test_a_state_of_an_older_version_can_be_read_only(world: World) -> None:
    on_database(world, "DROP TABLE history")
    with closing(State(world.outputs.state, readonly=True)) as state:
        assert state.history() == {}
        assert state.newest_day() == ""


@pytest.mark.parametrize("column", ["lines = x'00'", "day = '2026-03-09'", "checksum = 5"])
def test_a_row_that_the_disk_changed_is_left_out(world: World, column: str) -> None:
    add(world, "b", 100)
    world.scan(advance=A_DAY)
    end(world)
    on_database(world, f"UPDATE history SET {column} WHERE day = '2026-03-01'")
    world.open()
    add(world, "c", 1000)
    world.scan(advance=A_DAY)
    end(world)
    assert loras(world) == {"2026-03-02": 110, "2026-03-03": 1110}


def test_years_are_thinned_out_in_state_and_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "kept_days", lambda sizes, most: frozenset(sorted(sizes)[-2:]))
    for number in range(4):
        add(world, f"more{number}", 10)
        world.scan(advance=A_DAY)
        end(world)
    assert list(loras(world)) == ["2026-03-04", "2026-03-05"]
    assert list(world.store.state.history()) == ["2026-03-04", "2026-03-05"]


# Costs


def costs(world: World) -> list[tuple[Any, ...]]:
    keys = ("day", "lane", "scans", "seconds", "every_seconds")
    return [tuple(row[key] for key in keys) for row in rows(world) if "lane" in row]


def test_costs_of_scans_are_means_of_the_day_over_restarts(world: World) -> None:
    keep = world.store.history
    for seconds in (1.0, 3.0):
        keep.note_cost(Cost("local", 1, seconds, 30.0))
        keep.note_cost(Cost("nfs4 /mnt", 1, 9.0, None))
    end(world)
    world.restart()
    world.store.history.note_cost(Cost("local", 2, 5.0, 60.0))
    end(world)
    assert costs(world) == [
        ("2026-03-01", "local", 4, 3.5, 45.0),
        ("2026-03-01", "nfs4 /mnt", 2, 9.0, None),
    ]


def test_costs_alone_are_written_once_a_day(world: World) -> None:
    world.scan(advance=REST)
    end(world)
    for _ in range(20):
        world.store.history.note_cost(Cost("local", 1, 1.0, 30.0))
        world.scan(advance=REST)
    assert costs(world) == []
    world.scan(advance=A_DAY)
    assert [cost[:3] for cost in costs(world)] == [("2026-03-01", "local", 20)]
    assert loras(world) == {"2026-03-01": 10}


def test_the_status_says_which_day_is_the_newest(world: World) -> None:
    end(world)
    assert json.loads(json.dumps(world.store.history.newest)) == "2026-03-01"
