"""One lane by itself: its interval, and which scans count for it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from scanner.core.progress import Display
from scanner.disk.mounts import Mount
from scanner.service.lanes import LOCAL, Lane, lane_context
from tests.support.world import MODELS, World, at


def lane_of(world: World) -> Lane:
    context = lane_context(world.scanner, world.settings, lambda: False)
    return Lane(LOCAL, context, world.scanner.zones().all)


@pytest.mark.parametrize(
    ("settings", "interval"),
    [({"every": "100s"}, 90), ({"every": "auto"}, 27), ({"cron": "* * * * *"}, 18)],
)
def test_interval_is_a_little_less_than_the_schedule_says(
    tmp_path: Path, settings: dict[str, Any], interval: float
) -> None:
    """A scan that starts a few milliseconds early must still count as the next one."""
    lane = lane_of(World(tmp_path, **settings))
    assert lane.interval(lambda: 20.0) == pytest.approx(interval)


def test_mount_that_hangs_does_not_make_scans_rare(tmp_path: Path) -> None:
    world = World(tmp_path, every="auto")
    world.files.write(at("ComfyUI/models/a"), b"x")
    lane = lane_of(world)
    result = lane.scan(27.0, Display())
    result.seconds = 0.5
    assert not any(lane.keep_pace(result) for _ in range(3))
    result.seconds = 60.0
    world.store.memory.roots[MODELS.id].state = "stalled"
    assert not any(lane.keep_pace(result) for _ in range(3))
    assert lane.every == 30
    world.store.memory.roots[MODELS.id].state = "online"
    assert any(lane.keep_pace(result) for _ in range(3))
    assert lane.every == 3600


def test_lane_whose_roots_another_has_taken_has_a_status(tmp_path: Path) -> None:
    """A share is mounted over them, and the turn of another lane puts them into that of the share
    while the status is written."""
    lane = lane_of(World(tmp_path))
    lane.roots = ()
    assert (lane.status().roots, lane.status().verify) == ((), 0.0)


def test_log_counts_the_fingerprints_that_were_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not those of files on a mount that did not answer."""
    world = World(tmp_path)
    for number in range(200):
        world.files.write(at(f"ComfyUI/models/{number}"), b"x")
        world.files.write(at(f"Downloads/{number}"), b"x")
    world.files.mount_table.append(Mount(at("Downloads"), "cifs", "//nas/share"))
    lane = lane_of(world)
    for _ in range(2):
        world.scan(reads=False)
    world.files.advance(60)
    world.workers.hanging.add(at("Downloads"))
    with caplog.at_level(logging.INFO, "scanner"):
        lane.read(lambda: 60.0, Display(), lambda: None)
    (message,) = [r.getMessage() for r in caplog.records if "fingerprints of" in r.getMessage()]
    assert message.startswith("fingerprints of 200 files taken in")
