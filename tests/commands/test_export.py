"""Other programs read what `export` writes."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scanner import schemas
from scanner.api import Inventory
from scanner.commands.export.formats import NAMES
from scanner.core.serialize import time_ns
from scanner.output.columns import COLUMNS
from scanner.output.inventory_reader import read_entries
from scanner.schemas import load_schema
from tests.support.fuzz_headers import safetensors_file, tensor
from tests.support.headers import package
from tests.support.installation import LORAS, imported, sentence
from tests.support.machine import PATIENCE, SCANNER, Machine, write
from tests.support.real_mounts import require

STREAMED = ("jsonl", "csv", "ncdu", "sha256sum", "lock")


def exported(machine: Machine, *arguments: object) -> bytes:
    """The bytes of an exported file."""
    target = machine.work / "exported"
    machine.run("export", *arguments, "-o", target)
    return target.read_bytes()


def entries_of(machine: Machine) -> list[dict[str, Any]]:
    return list(read_entries(machine.output))


def totals_of(machine: Machine) -> dict[str, int]:
    with Inventory(machine.output) as inventory:
        totals: dict[str, int] = inventory.header["totals"]
        return totals


def ask(*command: str | Path, cwd: Path | None = None) -> bytes:
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# JSON Lines, CSV, SQLite, Parquet


def test_jsonl_has_the_entries_as_they_are(hard: Machine) -> None:
    hard.run("scan")
    lines = exported(hard, "--format", "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == entries_of(hard)
    assert hard.run("export").stdout.encode().splitlines() == lines


def test_duckdb_reads_jsonl(hard: Machine) -> None:
    hard.run("scan")
    (hard.work / "x.jsonl").write_bytes(exported(hard, "--format", "jsonl"))
    query = f"SELECT count(*), sum(size) FILTER (alias_of IS NULL) FROM '{hard.work}/x.jsonl'"
    (found,) = package("duckdb").sql(query).fetchall()
    totals = totals_of(hard)
    assert found == (totals["entries"], totals["bytes"])


def test_a_text_that_a_spreadsheet_takes_for_a_formula_is_made_harmless(machine: Machine) -> None:
    titles = ["=1+1", "+1", "-1", "@x", "\tx", "＝1", "'x", 'plain, with "quotes"\nand lines']  # noqa: RUF001
    for number, title in enumerate(titles):
        header = {"__metadata__": {"modelspec.title": title}, "w": tensor("F16", [2], 0, 4)}
        write(machine.work / LORAS / f"title {number}.safetensors", safetensors_file(header, 4))
    machine.run("scan")
    machine.run("scan")  # it has the facts
    text = exported(machine, "--format", "csv", "title*").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(titles)
    known = {entry["path"]: entry for entry in entries_of(machine)}
    for row in rows:
        title = known[row["path"]]["model"]["title"]
        assert row["title"][:1] not in ("=", "+", "-", "@", "\t", "＝")  # noqa: RUF001
        assert row["title"] in (title, f"'{title}")
        assert row["title"].removeprefix("'") == title
        assert int(row["size"]) == known[row["path"]]["size"]
    assert {"'=1+1", "''x"} <= {row["title"] for row in rows}


def flat(entry: Mapping[str, Any]) -> list[Any]:
    """What a row must have, the long way round."""
    found = []
    for column in COLUMNS:
        value = (entry.get(column.place, {}) if column.place else entry).get(column.field)
        found.append("; ".join(value) if isinstance(value, list) else value)
    return found


def test_csv_has_a_row_for_each_entry(hard: Machine) -> None:
    hard.run("scan")
    text = exported(hard, "--format", "csv").decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == [column.name for column in COLUMNS]
    expected = [
        [
            "" if value is None else str(int(value) if value is True else value)
            for value in flat(entry)
        ]
        for entry in entries_of(hard)
    ]
    plain = [[value.removeprefix("'") for value in row] for row in rows]
    assert plain == [[value.removeprefix("'") for value in row] for row in expected]


def test_sqlite_utils_reads_the_database(hard: Machine) -> None:
    sqlite_utils = package("sqlite_utils")
    hard.run("scan")
    hard.run("export", "--format", "sqlite", "-o", "x.db")
    with sqlite3.connect(hard.work / "x.db") as connection:
        database = sqlite_utils.Database(connection)
        assert database.table_names() == ["inventory", "roots", "unreachable", "entries"]
        rows = list(database["entries"].rows)
        (header,) = database["inventory"].rows
        roots = list(database["roots"].rows)
    connection.close()
    names = [column.name for column in COLUMNS]
    assert [[row[name] for name in names] for row in rows] == list(map(flat, entries_of(hard)))
    assert [json.loads(row["model"]) for row in rows if row["model"]] == [
        entry["model"] for entry in entries_of(hard) if "model" in entry
    ]
    with Inventory(hard.output) as inventory:
        assert header["scan"] == inventory.header["scan"]
        assert header["base"] == inventory.header["base"]
        assert [root["files"] for root in roots] == [r["files"] for r in inventory.header["roots"]]


@pytest.mark.parametrize("folder", ["plain", "it's *[1]?"])
def test_duckdb_reads_parquet(hard: Machine, folder: str) -> None:
    duckdb = package("duckdb")
    hard.run("scan")
    target = hard.work / folder / "x.parquet"
    target.parent.mkdir()
    hard.run("export", "--format", "parquet", "-o", target)
    assert os.listdir(target.parent) == ["x.parquet"]
    shutil.move(target, hard.work / "x.parquet")
    table = duckdb.read_parquet(str(hard.work / "x.parquet"))
    types = dict(zip(table.columns, map(str, table.types), strict=True))
    assert (types["size"], types["mtime"], types["pack_enabled"]) == (
        "BIGINT",
        "TIMESTAMP_NS",
        "BOOLEAN",
    )
    # Python's times have no nanoseconds.
    rows = table.project("* REPLACE (epoch_ns(mtime) AS mtime)").fetchall()
    expected = [
        [
            time_ns(value) if name.name == "mtime" and value else value
            for name, value in zip(COLUMNS, flat(entry), strict=True)
        ]
        for entry in entries_of(hard)
    ]
    assert list(map(list, rows)) == expected


def test_parquet_without_duckdb_is_a_sentence(untouched: Machine) -> None:
    write(untouched.home / "without" / "duckdb.py", "raise ImportError('not here')")
    path = f"{untouched.home / 'without'}{os.pathsep}{untouched.environ['PYTHONPATH']}"
    target = untouched.work / "x.parquet"
    done = untouched.run(
        *("export", "--format", "parquet", "-o", target), expect=2, environ={"PYTHONPATH": path}
    )
    assert "install comfy-inventory[parquet]" in sentence(done)
    assert not list(untouched.work.glob("*parquet*"))


# sha256sum


def test_sha256sum_accepts_the_sums(hard: Machine) -> None:
    (sha256sum,) = require("sha256sum")
    for number, name in enumerate((b"new\nline", b"back\\slash", b"caf\xe9", b" -b", b"cr\rcr")):
        path = os.path.join(os.fsencode(hard.work / LORAS), name + b".safetensors")
        with open(path, "wb") as file:
            file.write(b"model %d" % number)
    hard.run("scan")
    hard.run("hash")
    sums = exported(hard, "--format", "sha256sum")
    known = [entry for entry in entries_of(hard) if "sha256" in entry]
    assert len(known) >= 29
    (hard.work / "sums").write_bytes(sums)
    # From anywhere: paths are absolute.
    answer = ask(sha256sum, "-c", "--strict", hard.work / "sums", cwd=Path("/"))
    assert answer.count(b": OK") == len(known) == sums.count(b"\n")
    # And as sha256sum itself writes them.
    with Inventory(hard.output) as inventory:
        paths = [inventory.path_of(entry) for entry in known]
    assert ask(sha256sum, "--", *map(Path, paths)) == sums


def test_sums_tell_what_they_lack(untouched: Machine) -> None:
    done = untouched.run("export", "--format", "sha256sum")
    assert done.stdout == ""
    assert done.stderr.startswith("24 of 24 files left out: their SHA-256 is not known.")


# ncdu


class Tree:
    """A document of ncdu: sizes of all folders, each file once, and all paths."""

    def __init__(self, document: bytes) -> None:
        major, minor, self.program, top = json.loads(document.decode("utf-8", "surrogateescape"))
        assert (major, minor) == (1, 2)
        self.sizes: dict[str, int] = {}
        self.leaves: dict[str, dict[str, Any]] = {}
        self.name: str = top[0]["name"]
        self._add(top, self.name)

    def _add(self, folder: list[Any], path: str) -> dict[Any, int]:
        sizes: dict[Any, int] = {}
        assert path not in self.sizes, "a folder comes twice"
        self.sizes[path] = 0
        for item in folder[1:]:
            info = item[0] if isinstance(item, list) else item
            below = f"{path.rstrip('/')}/{info['name']}"
            if isinstance(item, list):
                sizes |= self._add(item, below)
            else:
                self.leaves[below] = info
                sizes[info.get("ino", below)] = info.get("asize", 0)
        self.sizes[path] = sum(sizes.values())
        return sizes


def linked(machine: Machine) -> Machine:
    loras = machine.work / LORAS
    os.link(loras / "05.safetensors", loras / "again.safetensors")
    os.link(loras / "05.safetensors", machine.work / "ComfyUI" / "output" / "once more")
    (loras / "dead").symlink_to("nowhere")
    # Roots whose paths are absolute, since they are not below the base, before it and after it.
    folders = [machine.home / "aaa", machine.work.with_name("zzz")]
    for folder in folders:
        write(folder / "deep" / "file", folder.name * 5)
    machine.run("scan", *(text for folder in folders for text in ("--extra", folder)))
    return machine


def test_ncdu_has_the_sizes_of_the_inventory(hard: Machine) -> None:
    linked(hard)
    tree = Tree(exported(hard, "--format", "ncdu"))
    with Inventory(hard.output) as inventory:
        totals = inventory.header["totals"]
        assert totals["aliases"] >= 4
        folders = files = 0
        for entry in inventory.entries():
            path = inventory.path_of(entry)
            if "total_size" in entry:
                assert tree.sizes[path] == entry["total_size"], path
                folders += 1
            else:
                assert path in tree.leaves or path in tree.sizes, path
                files += "size" in entry
        for root in inventory.header["roots"]:
            assert inventory.path_of(root) in tree.sizes
    assert folders > 15 and files > 40
    assert len([leaf for leaf in tree.leaves.values() if "asize" in leaf]) == files
    assert tree.sizes[tree.name] == totals["bytes"]
    dead = str(hard.work / LORAS / "dead")
    assert tree.leaves[dead] == {"name": "dead", "notreg": True}
    again = tree.leaves[str(hard.work / LORAS / "again.safetensors")]
    assert again["hlnkc"] is True and again["nlink"] == 3


def test_ncdu_reads_it_and_writes_the_same(hard: Machine) -> None:
    (ncdu,) = require("ncdu")
    linked(hard)
    ours = exported(hard, "--format", "ncdu")
    read = Tree(ask(ncdu, "-0", "-e", "-f", hard.work / "exported", "-o", "-"))
    assert read.program["progname"] == "ncdu"
    tree = Tree(ours)
    assert read.sizes == tree.sizes
    ours_of = {field for leaf in tree.leaves.values() for field in leaf}
    assert tree.leaves == {
        path: {field: leaf[field] for field in leaf if field in ours_of and leaf[field]}
        for path, leaf in read.leaves.items()
    }


def test_gdu_reads_it_and_counts_the_same(machine: Machine) -> None:
    (gdu,) = require("gdu")
    linked(machine)
    exported(machine, "--format", "ncdu", "ComfyUI/**")
    tree = Tree((machine.work / "exported").read_bytes())
    # It gives each folder 4096 bytes of its own.
    command = (gdu, "-n", "-p", "-c", "-a", "--no-prefix", "-f", machine.work / "exported")
    lines = [line.split(None, 1) for line in ask(*command).decode().splitlines()]
    counted = {name: int(size) for size, name in lines}
    top = tree.name.rstrip("/")
    below = [path for path in tree.sizes if path.startswith(f"{top}/")]
    firsts = {path.removeprefix(top).split("/")[1] for path in below}
    assert counted == {
        f"/{first}": tree.sizes[f"{top}/{first}"]
        + 4096 * sum(f"{path}/".startswith(f"{top}/{first}/") for path in below)
        for first in firsts
    }


def test_a_place_that_cannot_be_read_is_marked(machine: Machine) -> None:
    machine.run("scan", "--extra", machine.home / "gone", expect=3)
    with Inventory(machine.output) as inventory:
        states = {root["path"]: root["state"] for root in inventory.header["roots"]}
    assert states[str(machine.home / "gone")] == "missing"
    assert b'{"name":"gone","read_error":true}' in exported(machine, "--format", "ncdu")


# What to fetch again


@pytest.fixture
def locked(machine: Machine) -> dict[str, Any]:
    models = machine.work / "ComfyUI" / "models"
    header = {"w": tensor("F16", [2], 0, 4)}
    write(models / "loras" / "sub" / "ink.safetensors", safetensors_file(header, 4))
    civitai = {"modelId": 12, "id": 34, "files": [{"hashes": {"SHA256": "AB" * 32}}]}
    write(models / "loras" / "sub" / "ink.civitai.info", json.dumps(civitai))
    write(models / "loras" / "sub" / "ink.png", "picture")
    write(models / "unet" / "old.gguf", "not whole")
    write(machine.home / "nas" / "vae.pt", "vae")
    (machine.work / "extra.yaml").write_text(f"nas:\n  vae: {machine.home}/nas\n")
    write(machine.work / "ComfyUI" / "custom_nodes" / "some-pack" / "__init__.py", "")
    arguments = ("scan", "--extra-model-paths-config", "extra.yaml")
    machine.run(*arguments)
    machine.run("hash", f"{LORAS}/00.safetensors")
    machine.run(*arguments)
    document: dict[str, Any] = json.loads(exported(machine, "--format", "lock"))
    return document


def test_lock_is_what_its_schema_says(locked: dict[str, Any]) -> None:
    schema = load_schema("lock")
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(locked)
    described = schema["$defs"]["model"]["properties"].keys()
    assert {field for model in locked["models"] for field in model} <= described


def test_lock_has_models_with_names_hashes_and_pages(locked: dict[str, Any]) -> None:
    models = {(model["category"], model["name"]): model for model in locked["models"]}
    assert len(models) == 24 + 3
    ink = models["loras", "sub/ink.safetensors"]
    assert ink["claimed_sha256"] == "ab" * 32
    assert ink["autov2"] == "abababababab"[:10]
    assert ink["url"].startswith("https://civitai.com/models/12")
    assert models["diffusion_models", "old.gguf"]["status"]
    assert models["vae", "vae.pt"]["size"] == 3
    assert (
        models["loras", "00.safetensors"]["autov2"]
        == models["loras", "00.safetensors"]["sha256"][:10]
    )
    assert [pack["id"] for pack in locked["packs"]] == ["some-pack"]


# All formats


def test_criteria_are_those_of_find(untouched: Machine) -> None:
    for arguments in (("--category", "loras"), ("0*",), ("--root", "models", "--type", "file")):
        found = untouched.run("find", *arguments, "--json")
        lines = untouched.run("export", *arguments).stdout.splitlines()
        assert [json.loads(line) for line in lines] == json.loads(found.stdout)["data"]["entries"]
    assert not untouched.run("export", "--category", "vae").stdout


def test_nothing_found_is_still_a_document(untouched: Machine) -> None:
    rows = exported(untouched, "--format", "csv", "nothing*").splitlines()
    assert len(rows) == 1
    assert json.loads(exported(untouched, "--format", "lock", "nothing*"))["models"] == []
    assert Tree(exported(untouched, "--format", "ncdu", "nothing*")).leaves == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_inventory_leaves_the_old_file(scanned: Machine, name: str) -> None:
    if name == "parquet":
        package("duckdb")
    target = scanned.work / "target"
    target.write_text("old")
    lines = scanned.output.read_bytes().splitlines(keepends=True)
    scanned.output.write_bytes(b"".join([*lines[:5], b'{"path": \n', *lines[5:]]))
    done = scanned.run("export", "--format", name, "-o", target, expect=2)
    assert "is damaged at line 6" in sentence(done)
    assert target.read_text() == "old"
    assert not [entry for entry in os.listdir(scanned.work) if entry.startswith(".")]


def test_a_field_of_another_type_is_damage(scanned: Machine) -> None:
    text = scanned.output.read_text()
    scanned.output.write_text(text.replace('"category":"loras"', '"category":{"x":1}', 1))
    for name in ("csv", "sqlite"):
        done = scanned.run("export", "--format", name, "-o", "target", expect=2)
        assert "is damaged" in sentence(done)
    assert not (scanned.work / "target").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--format", "xlsx"), "--format: expected one of jsonl, csv, "),
        (("--format", "sqlite"), "--format sqlite: expected a file to write"),
        (("--format", "parquet", "-o", "-"), "--format parquet: expected a file to write"),
        (("-o", ""), "-o: expected a file to write"),
        (("-o", "ComfyUI"), "-o: expected a file to write"),
        (("-o", "comfy_inventory.json"), "belongs to an inventory"),
        (("-o", "comfy_inventory.state.sqlite"), "belongs to an inventory"),
        (("-o", "copy.json"), "belongs to an inventory"),
        (("-o", "no/folder/x"), "cannot write"),
        (("--inventory", "nowhere.json"), "there is no inventory at"),
        (("--status", "fine"), "--status: expected one of"),
    ],
)
def test_wrong_use_is_a_sentence(
    scanned: Machine, arguments: tuple[str, ...], expected: str
) -> None:
    shutil.copy(scanned.output, scanned.work / "copy.json")
    before = {path: path.read_bytes() for path in scanned.work.glob("*.*")}
    done = scanned.run("export", *arguments, expect=5 if expected == "cannot write" else 2)
    assert expected in sentence(done)
    assert {path: path.read_bytes() for path in scanned.work.glob("*.*")} == before


def test_the_file_is_replaced_as_a_whole_and_keeps_its_mode(untouched: Machine) -> None:
    target = untouched.work / "kept.csv"
    target.write_text("old")
    target.chmod(0o640)
    with target.open() as reader:
        untouched.run("export", "--format", "csv", "-o", target)
        assert reader.read() == "old"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_text().startswith("path,type,size")


@pytest.mark.parametrize("name", STREAMED)
def test_a_reader_that_goes_away_is_no_error(untouched: Machine, name: str) -> None:
    command = f"{sys.executable} -m scanner export --format {name} | true; exit ${{PIPESTATUS[0]}}"
    done = untouched.execute("bash", "-c", command)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_a_sentence(untouched: Machine) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "wb") as full:
        done = untouched.execute(*SCANNER, "export", stdout=full.fileno())
    assert done.returncode == 5
    assert done.stderr.startswith("comfy-inventory: Standard output cannot be written")


def test_export_imports_what_it_needs(untouched: Machine) -> None:
    modules = imported(untouched, "export", "--format", "csv")
    assert not modules & {"duckdb", "pydantic", "apscheduler", "yaml", "scanner.service"}
    assert not imported(untouched, "--help") & {"sqlite3", "orjson", "duckdb"}


# Schemas


@pytest.mark.parametrize("name", ["inventory", "change", "status", "lock"])
def test_schema_prints_the_schema(untouched: Machine, name: str) -> None:
    assert json.loads(untouched.run("schema", name).stdout) == load_schema(name)


def test_schema_of_an_unknown_name_is_a_sentence(untouched: Machine) -> None:
    done = untouched.run("schema", "entries", expect=2)
    names = ", ".join((*schemas.NAMES, *schemas.EXPORTED, *schemas.PRINTED))
    assert sentence(done) == f"NAME: expected one of {names}, not 'entries'."
