"""Waiting for the answers to requests that were left in the state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from scanner.core.serialize import readable
from scanner.output.file_names import Outputs
from scanner.output.status_file import is_alive, read_status
from scanner.store.state import State

POLL = 0.2
"""Seconds between two looks for an answer."""


class Answered(NamedTuple):
    """A request and its answer. Its fields stand in the JSON of the command."""

    place: str
    applied: bool
    told: str


def wait_for_answers(
    state: State, outputs: Outputs, asked: Sequence[tuple[str, int]], timeout: float
) -> list[Answered]:
    """The answers to requests, given as place and number.

    Waits up to `timeout` seconds, and only while a scanner runs.
    """
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
        Answered(
            readable(place),
            number in answers,
            answers.get(number, f"{readable(place)}: the next scan will apply it."),
        )
        for place, number in asked
    ]
