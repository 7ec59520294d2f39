"""DuckDB prints nothing: what our processes say to each other goes over their stdout."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import scanner
from scanner.disk.child import child_command

pytest.importorskip("duckdb")


CODE = """
import duckdb
connect = duckdb.connect

def soon(**options):
    database = connect(**options)
    database.execute("SET progress_bar_time = 1")  # milliseconds; it is on then, as it is without
    return database

duckdb.connect = soon
from scanner.output.parquet import connected
connected().execute("SELECT sum(a.range * b.range) FROM range(20000) a, range(20000) b")
"""


def test_no_progress_is_drawn_into_the_answer_of_a_process() -> None:
    done = subprocess.run(
        child_command(CODE), stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=100
    )
    assert done.stdout == b""


def test_every_database_is_one_that_prints_nothing() -> None:
    folder = Path(scanner.__file__).parent
    found = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search(r"duckdb\.connect|duckdb\.sql", path.read_text(encoding="utf-8"))
    ]
    assert found == ["output/parquet.py"]
