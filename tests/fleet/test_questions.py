"""What questions count, on rows that are made up."""

from __future__ import annotations

from typing import Any

from scanner.fleet.database_place import HOSTS, ROOTS
from scanner.fleet.questions import Question, duplicates, missing, where
from scanner.fleet.rows import ENTRIES

TABLES = {"hosts": HOSTS, "roots": ROOTS, "entries": ENTRIES}


def answer(question: Question, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    import duckdb

    with duckdb.connect() as database:
        for table, columns in TABLES.items():
            described = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            database.execute(f"CREATE TABLE {table} ({described})")
        for host in sorted({entry["host"] for entry in entries}):
            database.execute("INSERT INTO hosts (host) VALUES (?)", [host])
        for entry in entries:
            marks = ", ".join("?" * len(entry))
            names = ", ".join(entry)
            database.execute(
                f"INSERT INTO entries ({names}) VALUES ({marks})", list(entry.values())
            )
        found = database.execute(question.sql, question.parameters)
        told = [item[0] for item in found.description or ()]
        return [dict(zip(told, row, strict=True)) for row in found.fetchall()]


def model(host: str, path: str, content: str = "x", **more: Any) -> dict[str, Any]:
    return {
        "host": host, "type": "file", "path": path, "name": path.rpartition("/")[2],
        "category": "loras", "size": 10, "fingerprint": content, "storage": f"host:{host}",
        "storage_path": path, "root": "r", **more,
    }  # fmt: skip


def test_copies_of_other_hashes_are_apart() -> None:
    rows = answer(
        duplicates(1),
        model("one", "a", sha256="11"), model("two", "a", sha256="11"),
        model("three", "a", sha256="22"), model("four", "a"),
    )  # fmt: skip
    assert [(row["hosts"], row["proven"], row["wasted"]) for row in rows] == [
        ("one", True, 10), ("two", True, 10)
    ]  # fmt: skip


def test_copies_without_a_hash_are_likely() -> None:
    rows = answer(duplicates(1), model("one", "a", sha256="11"), model("two", "a"))
    assert [row["proven"] for row in rows] == [False, False]
    assert answer(duplicates(11), model("one", "a"), model("two", "a")) == []


def test_file_of_a_shared_mount_and_an_alias_count_once() -> None:
    shared = [
        model(host, "a", storage="nas:/x", storage_path="a") for host in ("one", "two", "three")
    ]
    alias = model("one", "b", alias_of="a")
    assert answer(duplicates(1), *shared, alias) == []
    rows = answer(duplicates(1), *shared, alias, model("four", "c"))
    assert [(row["hosts"], row["copies"], row["wasted"]) for row in rows] == [
        ("four", 2, 10), ("one, three, two", 2, 10)
    ]  # fmt: skip


def test_missing_compares_the_model_that_comfyui_takes() -> None:
    rows = answer(
        missing("one", None, None),
        model("one", "extra/m", "old", size=99, shadowed_by="main/m"),
        model("one", "main/m", "new"),
        model("two", "other", "new"),
        model("three", "m", "new", type="directory"),
    )
    assert [(r["host"], r["name"], r["size"], r["held_as"]) for r in rows] == [
        ("three", "m", 10, None), ("two", "m", 10, "other")
    ]  # fmt: skip


def test_hash_counts_from_ten_digits_on() -> None:
    entry = model("one", "a", sha256="0123456789abcdef")
    assert len(answer(where("0123456789"), entry)) == 1
    assert len(answer(where("0123456789AB"), entry)) == 1
    assert answer(where("012345678"), entry) == answer(where("123456789a"), entry) == []
