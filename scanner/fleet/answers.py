"""Answers of a fleet, whatever database gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from scanner.errors import SettingsError
from scanner.fleet.manifest import Manifest
from scanner.fleet.questions import Question

Report = Callable[[str], None]
"""Takes sentences about hosts that are left out."""

_BATCH = 1000


class Rows(NamedTuple):
    """The answer of a query."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    total: int
    """Rows that there are, also those beyond a limit."""

    def dicts(self) -> Iterator[dict[str, Any]]:
        """The rows by the names of the columns."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


class Fleet(Protocol):
    """The tables `hosts`, `roots`, `entries` and `changes` of all hosts, as of one moment."""

    manifests: Sequence[Manifest]
    """Of the hosts that answer."""

    def ask(self, question: Question, limit: int | None = None) -> Rows:
        """The rows that answer a question; at most `limit`, and all of them if it is 0 or None.
        Raises SettingsError for SQL that is wrong, and OutputError."""
        ...


class Cursor(Protocol):
    """What DuckDB and psycopg have in common."""

    def fetchmany(self, size: int) -> Sequence[Sequence[Any]]: ...


def rows_of(columns: tuple[str, ...], cursor: Cursor, limit: int | None) -> Rows:
    """All rows are counted, and the first `limit` kept."""
    kept: list[Sequence[Any]] = []
    total = 0
    while rows := cursor.fetchmany(_BATCH):
        total += len(rows)
        kept += rows[: limit - len(kept)] if limit else rows
    return Rows(columns, kept, total)


def check_text(question: Question) -> None:
    """Refuse text that no database takes: bytes of a command line that are no UTF-8."""
    for text in (question.sql, *question.parameters.values()):
        try:
            str(text).encode()
        except UnicodeEncodeError:
            raise SettingsError(f"expected text in UTF-8, not {text!r}.") from None


def first_line(error: Exception) -> str:
    """An error of a database as part of a sentence."""
    return str(error).strip().partition("\n")[0]
