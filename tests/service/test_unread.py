"""Files that can be listed and whose content cannot be read are told."""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from scanner.commands.status.page import print_status
from scanner.core.progress import Display
from scanner.service.lanes import Lane, lane_context
from scanner.service.status_report import ServiceStatus, scan_summary, status_report
from scanner.service.unread import MOST_SHOWN
from tests.support.world import MODELS, World, content

FILES = 16


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Sixteen files without permission to read them, and one that can be read."""
    world = World(tmp_path)
    for number in range(FILES):
        world.files.write(f"{MODELS.path}/d0/m{number:02}", content(f"{number}"))
        world.files.faults["open", f"{MODELS.path}/d0/m{number:02}"] = errno.EACCES
    world.files.write(f"{MODELS.path}/d0/fine", content("fine"))
    return world


def lane_of(world: World) -> Lane:
    context = lane_context(world.scanner, world.settings, lambda: False)
    return Lane("all", context, world.scanner.zones().all)


def turn(world: World, lane: Lane, seconds: float = 30) -> None:
    world.files.advance(seconds)
    lane.scan(30, Display())
    world.files.advance(5)
    lane.read(lambda: 60, Display(), lambda: None)


def told(world: World, lane: Lane) -> tuple[int, list[str]]:
    status = ServiceStatus("running", 0, 0, [lane.status()], 0)
    unread = status_report(status, world.store, world.roots)["unread"]
    return unread["files"], [place["path"] for place in unread["first"]]


def test_files_that_cannot_be_read_are_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    lane = lane_of(world)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            turn(world, lane)
    names = [f"ComfyUI/models/d0/m{number:02}" for number in range(MOST_SHOWN)]
    assert told(world, lane) == (FILES, names)
    (line,) = [
        r.getMessage() for r in caplog.records if "can be listed and not read" in r.getMessage()
    ]
    assert line.startswith("16 files can be listed and not read")
    assert line.endswith(f"{MODELS.path}/d0/m07, and 8 more")
    summary = scan_summary(lane.scan(30, Display()), lane.status(), world.store)
    assert summary["unread"]["files"] == FILES


def test_what_can_be_read_again_or_is_gone_is_not_told(world: World) -> None:
    lane = lane_of(world)
    turn(world, lane)
    world.files.remove(f"{MODELS.path}/d0/m00")
    world.files.faults.pop(("open", f"{MODELS.path}/d0/m01"))
    turn(world, lane, 700)
    assert told(world, lane)[0] == FILES - 2
    world.files.faults.clear()
    turn(world, lane, 1400)
    assert told(world, lane) == (0, [])


def test_the_page_names_some_of_them() -> None:
    texts: list[str] = []
    console = SimpleNamespace(print=lambda text="", **_: texts.append(str(text)), is_terminal=False)
    status = {
        "alive": True,
        "state": "running",
        "tool": {"version": "1"},
        "scan": 1,
        "updated": "2026-01-01T00:00:00.000000000Z",
        "lanes": [],
        "roots": [],
        "holds": [],
        "unreachable": [],
        "backlog": {"files": 0, "bytes": 0},
        "unread": {"files": 3, "first": [{"path": "a"}, {"path": "b"}]},
        "inventory": {"path": "i"},
    }
    print_status(console, status)  # type: ignore[arg-type]
    assert any("listed, and cannot be read: 3 files: a, b, ..." in text for text in texts)
