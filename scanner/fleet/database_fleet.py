"""Asking a fleet in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scanner.errors import SettingsError
from scanner.fleet.address import Address
from scanner.fleet.answers import Fleet, Report, Rows, check_text, first_line, rows_of
from scanner.fleet.database_place import connect, in_psycopg, manifests_in, reported
from scanner.fleet.manifest import Manifest
from scanner.fleet.questions import Question

if TYPE_CHECKING:
    import psycopg


class _PostgresFleet:
    def __init__(self, connection: psycopg.Connection[Any], manifests: Sequence[Manifest]) -> None:
        self.manifests = manifests
        self._connection = connection

    def ask(self, question: Question, limit: int | None = None) -> Rows:
        import psycopg

        check_text(question)
        sql = in_psycopg(question.sql) if question.parameters else question.sql
        try:
            # With a name, the server takes one SELECT and nothing else, and sends it in parts.
            with self._connection.cursor(name="answer") as cursor:
                cursor.execute(sql, question.parameters or None)
                columns = tuple(item.name for item in cursor.description or ())
                return rows_of(columns, cursor, limit)
        except psycopg.OperationalError:
            raise
        except psycopg.DatabaseError as error:
            raise SettingsError(f"SQL: {first_line(error)}") from None


@contextmanager
def open_database(address: Address, report: Report) -> Iterator[Fleet]:
    """What all hosts have published to the database at `address`, as of one moment."""
    import psycopg

    with connect(address) as connection, reported(address):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.cursor() as cursor:
            manifests = manifests_in(cursor, report)
        yield _PostgresFleet(connection, manifests)
