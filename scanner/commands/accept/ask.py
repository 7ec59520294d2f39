"""Requests to confirm held deletions and changed mounts, or to drop what will not come back.

A request is left in the state. The next scan applies it to what was held when the request was made;
nothing is deleted here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from scanner.core.memory import HELD, MISSING, OFFLINE, Memory
from scanner.core.paths import is_below
from scanner.core.serialize import readable
from scanner.errors import InventoryError, SettingsError
from scanner.output.file_names import Outputs
from scanner.output.status_file import is_alive, read_status
from scanner.store.state import State

POLL = 0.2
"""Seconds between two looks for an answer."""


class Accepted(NamedTuple):
    """A request and its answer. Its fields stand in the JSON of `accept`."""

    place: str
    applied: bool
    told: str


class _Wish(NamedTuple):
    place: str
    root: str = ""
    path: str = ""
    paths: frozenset[str] = frozenset()


def accept_places(
    outputs: Outputs, places: Sequence[str], cwd: str, timeout: float
) -> list[Accepted]:
    """Leave requests for `places`, by default all that is held, and wait for their answers.

    Waits up to `timeout` seconds, and only while a scanner runs. Raises InventoryError if there is
    nothing to accept, or the state is damaged; SettingsError for a place that needs no acceptance.
    """
    if not os.path.exists(outputs.state):
        raise InventoryError(f"No scan has written {outputs.inventory} yet.")
    with closing(State(outputs.state)) as state:
        memory = state.load_memory()
        wishes = _all_held(memory)
        if places:
            wishes = [_wish(place, cwd, memory) for place in places]
        if not wishes:
            raise InventoryError("Nothing is held.")
        asked = [state.ask(time.time_ns(), wish.root, wish.path, wish.paths) for wish in wishes]
        return _wait(state, outputs, list(zip(wishes, asked, strict=True)), timeout)


def _all_held(memory: Memory) -> list[_Wish]:
    held = [_Wish(root, root=root, paths=hold.paths) for root, hold in memory.holds.items()]
    for root_id, record in memory.roots.items():
        if record.state == HELD and root_id not in memory.holds:
            held.append(_Wish(root_id, root=root_id))
    return held


def _wish(place: str, cwd: str, memory: Memory) -> _Wish:
    path = os.path.abspath(os.path.join(cwd, place))
    for root_id, record in memory.roots.items():
        if place != root_id and path != record.path:
            continue
        if root_id in memory.holds:
            return _Wish(root_id, root=root_id, paths=memory.holds[root_id].paths)
        if record.state == HELD:
            return _Wish(root_id, root=root_id)
        if record.state in (OFFLINE, MISSING):
            return _Wish(root_id, path=record.path)
    if path in memory.unreachable:
        return _Wish(path, path=path)
    nearest = [p for p in memory.unreachable if is_below(p, path) or is_below(path, p)]
    hint = f" (unreachable there: {readable(nearest[0])})" if nearest else ""
    raise SettingsError(f"{place} is neither held nor offline nor unreachable{hint}.")


def _wait(
    state: State, outputs: Outputs, asked: list[tuple[_Wish, int]], timeout: float
) -> list[Accepted]:
    deadline = time.monotonic() + timeout
    answers: dict[int, str] = {}
    while len(answers) < len(asked) and time.monotonic() < deadline:
        for _, number in asked:
            answer = state.answer_of(number)
            if answer is not None:
                answers[number] = answer
        if len(answers) == len(asked) or not is_alive(read_status(outputs.status), outputs.lock):
            break
        time.sleep(POLL)
    return [
        Accepted(
            readable(wish.place),
            number in answers,
            answers.get(number, f"{readable(wish.place)}: the next scan will apply it."),
        )
        for wish, number in asked
    ]
