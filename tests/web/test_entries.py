"""`/api/v1/entries` has every file of the inventories, and those that are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from scanner.core.serialize import mtime_of, printable
from scanner.core.wording import folded
from scanner.output.inventory_reader import is_file, read_entries
from tests.support.installation import LORAS
from tests.support.library import HOSTILE
from tests.support.machine import Machine
from tests.support.serving import API, Served

INDEXED = {"drive": "drives", "category": "categories", "base": "bases", "kind": "kinds"}


def rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows with names in place of indexes, and with their paths."""
    columns, folders = table["columns"], table["folders"]

    def path(folder: int) -> str:
        names = []
        while folder:
            names.append(folders["name"][folder])
            folder = folders["parent"][folder]
        return "/".join(reversed(names))

    found = []
    for number in range(len(columns["name"])):
        row = {name: column[number] for name, column in columns.items()}
        for column, names in {**INDEXED, "word": "words", "machine": "machines"}.items():
            row[column] = table[names][row[column]]
        row["path"] = f"{path(row['folder'])}/{row['name']}"
        found.append(row)
    return found


def expected(machine: Machine) -> list[dict[str, Any]]:
    return [entry for entry in read_entries(machine.output) if is_file(entry)]


def test_the_whole_table_is_the_inventory(site: Served, library: Machine) -> None:
    table = site.json("entries")
    entries = expected(library)
    assert table["total"] == len(entries) > 50
    assert table["cursor"] is None
    assert table["bytes"] == sum(e["size"] for e in entries if "alias_of" not in e)
    for row, entry in zip(rows(table), entries, strict=True):
        assert row["path"] == printable(entry["path"])
        assert row["size"] == entry["size"]
        assert row["time"] == mtime_of(entry) // 10**9
        assert row["model"] == ("category" in entry)
        assert row["hash"] == entry.get("sha256", "")[:10]
        assert row["alias"] == ("alias_of" in entry)
        assert row["word"] == entry.get("status", "misplaced" if "misplaced" in entry else "")
        assert row["kind"] == entry.get("model", {}).get("kind", "")
        if "category" in entry:
            assert row["category"] == entry["category"]
        depth = row["loader"]
        name = "/".join(entry["path"].split("/")[-1 - depth :]) if depth >= 0 else None
        assert name == entry.get("name")


def test_names_are_printable(site: Served) -> None:
    names = {row["name"] for row in rows(site.json("entries"))}
    assert names >= {printable(name) for name in HOSTILE}
    assert all(name.isprintable() for name in names)


@pytest.mark.parametrize(
    "words", ["sdxl", "LORA flux", "models/loras", "ras/s", "no such word", "\u00c9", "safetensors"]
)
def test_words_are_found_in_names_and_folders(site: Served, library: Machine, words: str) -> None:
    found = {row["path"] for row in rows(site.json("entries", q=words))}
    wanted = set()
    for entry in expected(library):
        path = printable(entry["path"])
        folder, _, name = path.rpartition("/")
        parts = (folded(folder), folded(name))
        if all(
            any(word in part for part in parts) or ("/" in word and _spans(word, *parts))
            for word in folded(words).split()
        ):
            wanted.add(path)
    assert found == wanted


def _spans(word: str, folder: str, name: str) -> bool:
    above, _, start = word.rpartition("/")
    return folder.endswith(above) and name.startswith(start)


def test_filters_choose_what_they_say(site: Served) -> None:
    every = rows(site.json("entries"))
    middle = sorted(row["size"] for row in every)[len(every) // 2]
    moment = sorted(row["time"] for row in every)[len(every) // 2]
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"category": ["loras", "vae"]}, lambda r: r["category"] in ("loras", "vae")),
        ({"base": every[0]["base"]}, lambda r: r["base"] == every[0]["base"]),
        ({"kind": "lora"}, lambda r: r["kind"] == "lora"),
        ({"status": "truncated"}, lambda r: r["word"] == "truncated"),
        ({"min_size": middle}, lambda r: r["size"] >= middle),
        ({"max_size": middle}, lambda r: r["size"] <= middle),
        ({"min_size": middle, "max_size": middle}, lambda r: r["size"] == middle),
        ({"since": moment}, lambda r: r["time"] >= moment),
        ({"models": 1}, lambda r: r["model"]),
        ({"models": 0}, lambda r: not r["model"]),
        ({"folder": LORAS}, lambda r: r["path"].startswith(f"{LORAS}/")),
        ({"folder": "ComfyUI/models/lora"}, lambda r: False),
        (
            {"category": "loras", "q": "sdxl"},
            lambda r: r["category"] == "loras" and "sdxl" in r["path"].lower(),
        ),
    ]  # fmt: skip
    for parameters, fits in cases:
        table = site.json("entries", **parameters)
        assert [row["row"] for row in rows(table)] == [row["row"] for row in every if fits(row)], (
            parameters
        )
        assert table["total"] == len(table["columns"]["name"])


def test_roots_choose_by_id_and_by_path(site: Served, library: Machine) -> None:
    ids = {entry["root"] for entry in expected(library)}
    for root in ids:
        count = sum(entry["root"] == root for entry in expected(library))
        assert site.json("entries", root=root)["total"] == count
    assert site.json("entries", root="ComfyUI/models")["total"] > 10


@pytest.mark.parametrize("sort", ["name", "path", "size", "time", "category", "base", "status"])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("which", ["site", "fleet"])
def test_sorting(request: pytest.FixtureRequest, which: str, sort: str, down: bool) -> None:
    server = request.getfixturevalue(which)
    found = rows(server.json("entries", sort=f"-{sort}" if down else sort))
    keys = {
        "name": lambda r: folded(r["name"]),
        "path": lambda r: (folded(r["path"].rpartition("/")[0]), folded(r["name"])),
        "status": lambda r: r["word"],
    }
    key = keys.get(sort, lambda r: r[sort] if isinstance(r[sort], int) else folded(r[sort]))
    values = [key(row) for row in found]
    assert values == sorted(values, reverse=down)
    assert len(found) == server.json("entries")["total"]


def test_pages_follow_each_other(fleet: Served) -> None:
    whole = rows(fleet.json("entries", sort="-size"))
    pages: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    for _ in range(100):
        table = fleet.json("entries", sort="-size", limit=70, **more)
        assert table["total"] == len(whole)
        pages += rows(table)
        if table["cursor"] is None:
            break
        more = {"cursor": table["cursor"]}
    strip = [(row["machine"], row["path"], row["size"]) for row in pages]
    assert strip == [(row["machine"], row["path"], row["size"]) for row in whole]
    assert len(table["folders"]["name"]) < 200  # only those of this page


def test_machines_are_merged_and_chosen(fleet: Served, library: Machine) -> None:
    table = fleet.json("entries")
    assert table["machines"] == ["comfy_inventory", "nas"]
    found = rows(table)
    assert {row["machine"] for row in found} == {"comfy_inventory", "nas"}
    own = [row for row in found if row["machine"] == "comfy_inventory"]
    assert [row["path"] for row in own] == [printable(e["path"]) for e in expected(library)]
    assert all(row["path"].startswith("/mnt/nas/") for row in found if row["machine"] == "nas")
    chosen = fleet.json("entries", machine="nas")
    assert chosen["machines"] == ["nas"] and chosen["total"] == 500
    assert fleet.get(f"{API}/entries?machine=other").status_code == 404


def test_one_file_with_all_that_is_known(fleet: Served, library: Machine) -> None:
    entries = expected(library)
    table = fleet.json("entries", machine="comfy_inventory")
    for number in (0, len(entries) // 2, len(entries) - 1):
        answer = fleet.json("entry", machine="comfy_inventory", row=number, scan=table["scans"][0])
        assert answer["entry"] == entries[number]
    wrong = {"machine": "comfy_inventory", "row": 0, "scan": table["scans"][0] + 1}
    assert fleet.get(f"{API}/entry", params=wrong).status_code == 409
    assert fleet.get(f"{API}/entry?row={len(entries)}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=300001", "limit=x", "sort=colour", "min_size=big", "models=2",
        "cursor=x", "colour=red", "q=" + "+".join(map(str, range(17))),
        "since=\u0663", "min_size=" + "9" * 30,
    ],
)  # fmt: skip
def test_wrong_parameters_are_one_sentence(site: Served, query: str) -> None:
    answer = site.get(f"{API}/entries?{query}")
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"} and answer.json()["error"].endswith(".")


def test_a_cursor_of_another_inventory_is_refused(site: Served) -> None:
    assert site.get(f"{API}/entries?limit=1&cursor=1-0123456789ab").status_code == 410
