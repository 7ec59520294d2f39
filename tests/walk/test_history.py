"""Lanes scan, forget and ask at once, and none of them trips over another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from scanner.core.roots import Root
from scanner.walk.history import History
from scanner.walk.verification import Terms
from scanner.walk.walked import Walked
from tests.support.world import World, at

DIRECTORIES = [f"/home/u/ComfyUI/models/d{number}" for number in range(9)]


class Meanwhile:
    """Another thread, which has its turn in the middle of what this one does."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=action, daemon=True)

    def have_a_turn(self) -> None:
        """Let it run until it is done, or waits for this thread."""
        if self._thread.ident is None:
            self._thread.start()
            self._thread.join(timeout=0.2)

    def end(self) -> None:
        assert self._thread.ident is not None, "it had no turn"
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()


class PathWithAPause(str):
    """A path in whose look-up another thread has its turn."""

    meanwhile: Meanwhile

    def __hash__(self) -> int:
        self.meanwhile.have_a_turn()
        return super().__hash__()


class TimeWithAPause(float):
    """A time in whose comparison another thread has its turn."""

    meanwhile: Meanwhile

    def __ge__(self, other: object) -> bool:
        self.meanwhile.have_a_turn()
        assert isinstance(other, float)
        return float(self) >= other


def test_status_asks_about_a_new_zone_while_a_commit_forgets_directories(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.scan()
    path = PathWithAPause(at("ComfyUI/models/gone"))
    path.meanwhile = Meanwhile(lambda: world.scanner.verification_period(Root("extra", "/new")))
    world.scanner._collector.forget([path])
    path.meanwhile.end()


def test_lane_plans_its_walk_while_the_commit_of_another_forgets_directories() -> None:
    history = History()
    listed = TimeWithAPause(100.0)
    listed.meanwhile = Meanwhile(lambda: history.forget(DIRECTORIES[5:]))
    walked = Walked("/", listed=DIRECTORIES, directories=len(DIRECTORIES))
    history.learn("a", walked, {}, started=listed, seconds=90.0, settle=0.0)
    terms = Terms(interval=30.0, verify_within=600.0, duty=1.0)
    spared = history.plan("a", terms, 130.0, is_trusted=True, hot=frozenset()).at_rest
    assert spared == set(DIRECTORIES[1:])
    listed.meanwhile.end()
    assert history.plan("a", terms, 160.0, is_trusted=True, hot=frozenset()).at_rest == set(
        DIRECTORIES[1:5]
    )
