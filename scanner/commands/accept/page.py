"""Answers to requests of `accept`, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scanner.commands.answers import Answered
from scanner.console.terminal import echo_error


def as_json(answers: Iterable[Answered]) -> dict[str, Any]:
    """The answers for programs."""
    return {"schema": 1, "accepted": [answer._asdict() for answer in answers]}


def print_answers(answers: Iterable[Answered]) -> None:
    """Print a line for each answer on stderr."""
    for answer in answers:
        echo_error(answer.told)
