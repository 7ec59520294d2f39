"""Answers to requests of `accept`, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from scanner.commands.answers import Answered


def as_json(answers: Iterable[Answered]) -> dict[str, Any]:
    """The answers for programs."""
    return {"schema": 1, "accepted": [answer._asdict() for answer in answers]}


def print_answers(answers: Iterable[Answered]) -> None:
    """Print a line for each answer on stderr."""
    for answer in answers:
        typer.echo(answer.told, err=True)
