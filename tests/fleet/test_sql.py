"""SQL reads the four tables of a fleet: it writes nothing, and reads nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.errors import SettingsError
from scanner.fleet.address import DATABASE, Address
from scanner.fleet.publish import publish
from scanner.fleet.questions import Question
from scanner.fleet.reading import open_fleet
from tests.fleet.studio import Studio, asked, entries_of, published, union

WRITES = (
    "DELETE FROM hosts",
    "SELECT 1; DELETE FROM hosts",
    "COMMIT; DELETE FROM hosts",
    "SET TRANSACTION READ WRITE; DELETE FROM hosts; COMMIT",
    "WITH gone AS (DELETE FROM hosts RETURNING host) SELECT * FROM gone",
    "EXPLAIN ANALYZE DELETE FROM hosts",
    "CREATE TABLE mine AS SELECT * FROM hosts",
    "SELECT * INTO mine FROM hosts",
    "COPY (SELECT 1) TO '{file}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "ATTACH '{file}' AS mine",
    "SET enable_external_access = true",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "INSTALL httpfs",
)

READS = (
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM '{file}'",
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_parquet('{folder}/*.parquet')",
    "SELECT * FROM read_text('http://127.0.0.1:9/x')",
    "SELECT * FROM WRITES",
)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    made = tmp_path / "mine.csv"
    made.write_text("a,b\n1,2\n")
    return made


@pytest.mark.parametrize("sql", WRITES)
def test_sql_writes_nothing(studio: Studio, place: Address, there: Path, sql: str) -> None:
    publish(place, studio.source("alpha"))
    before = sorted(there.parent.iterdir())
    with pytest.raises(SettingsError, match=r"^SQL: "):
        asked(place, Question(sql.format(file=there.parent / "new"), {}))
    assert sorted(there.parent.iterdir()) == before
    assert published(place) == union(studio, ("alpha",))


@pytest.mark.parametrize("sql", READS)
def test_sql_reads_no_other_file(studio: Studio, place: Address, there: Path, sql: str) -> None:
    publish(place, studio.source("alpha"))
    with pytest.raises(SettingsError, match=r"^SQL: "):
        asked(place, Question(sql.format(file=there, folder=there.parent), {}))


def test_value_that_does_not_fit_is_an_error_of_the_query(studio: Studio, place: Address) -> None:
    publish(place, studio.source("alpha"))
    for sql in (
        "SELECT CAST(path AS INTEGER) FROM entries",
        "SELECT CAST(path AS INTEGER) FROM entries ORDER BY path LIMIT 3",
        "SELECT '\udcff'",
    ):
        with pytest.raises(SettingsError):
            asked(place, Question(sql, {}))
    assert published(place) == union(studio, ("alpha",))


def test_limit_keeps_rows_and_counts_all(studio: Studio, place: Address) -> None:
    publish(place, studio.source("alpha"))
    count = len(entries_of(studio.machines["alpha"]))
    many = Question("SELECT e.path FROM entries e CROSS JOIN entries f ORDER BY 1", {})
    with open_fleet(place, print) as fleet:
        for limit, kept in ((3, 3), (0, count**2), (None, count**2), (count**2 + 1, count**2)):
            rows = fleet.ask(many, limit)
            assert (len(rows.rows), rows.total) == (kept, count**2)


def test_large_answers_need_no_room_in_the_working_folder(
    studio: Studio, place: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.kind == DATABASE:
        pytest.skip("the server has its own room")
    publish(place, studio.source("alpha"))
    monkeypatch.chdir(tmp_path)
    with open_fleet(place, print) as fleet:
        found = fleet.ask(Question("SELECT current_setting('temp_directory') AS it", {}))
        assert next(found.dicts())["it"] not in (str(tmp_path), ".tmp", "")
    assert not list(tmp_path.iterdir())
