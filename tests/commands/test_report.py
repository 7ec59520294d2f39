"""`report`: one page about everything. tests/whole/test_report_page.py opens it in a browser."""

from __future__ import annotations

import gzip
import json
import os
import re
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from scanner.api import Inventory
from scanner.commands.report.markdown import code
from scanner.output.inventory_reader import is_file, read_entries
from scanner.views import contents
from scanner.views.copies import Copies, Same
from scanner.views.pages import pages_of
from scanner.views.problems import Problems
from tests.support.installation import imported, parsed, sentence
from tests.support.library import HOSTILE, build_library, write_large
from tests.support.machine import Machine, write


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("library"))
    build_library(machine)
    machine.run("report")
    return machine


def document_of(machine: Machine) -> str:
    return (machine.work / "inventory.html").read_text("utf-8")


def unpacked(document: str, part: str) -> dict[str, Any]:
    match = re.search(
        rf'<script type="text/plain" id="{part}">([A-Za-z0-9+/=]*)</script>', document
    )
    assert match, part
    result: dict[str, Any] = json.loads(gzip.decompress(b64decode(match[1])))
    return result


def pages(machine: Machine) -> dict[str, Any]:
    return unpacked(document_of(machine), "pages")


# The file


def test_no_name_of_a_file_is_part_of_the_document(library: Machine) -> None:
    document = document_of(library)
    for entry in read_entries(library.output):
        name = entry["path"].rpartition("/")[2]
        if len(name) > 6:
            assert name not in document
    for name in HOSTILE:
        assert name not in document
    assert document.count("<script") == 3
    assert document.count("</script>") == 3


def test_the_document_names_no_address_and_may_load_nothing(library: Machine) -> None:
    document = document_of(library)
    assert set(re.findall(r"[a-z]+://[^\"'`\s]*", document)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/1998/Math/MathML",
    }
    assert "default-src &#x27;none&#x27;" in document
    assert "connect-src" not in document


def test_sums_are_those_of_the_inventory(library: Machine, hard: Machine) -> None:
    hard.run("scan")
    hard.run("report")
    for machine in (library, hard):
        with Inventory(machine.output) as inventory:
            totals, entries = inventory.header["totals"], list(inventory.entries())
        space, table = pages(machine)["space"], unpacked(document_of(machine), "table")
        assert space["folders"]["bytes"][0] == totals["bytes"]
        assert space["folders"]["files"][0] == totals["files"]
        assert sum(cell[3] for cell in space["cells"]) == totals["bytes"]
        assert sum(cell[4] for cell in space["cells"]) == totals["files"]
        assert len(table["columns"]["name"]) == sum(map(is_file, entries))
        categories = dict.fromkeys(space["categories"], 0)
        for _, category, _, bytes_, _ in space["cells"]:
            categories[space["categories"][category]] += bytes_
        for name, sums in totals["categories"].items():
            if name:
                assert categories[name] == sums["bytes"]


def test_folders_lead_to_the_paths_of_files(library: Machine) -> None:
    folders = pages(library)["space"]["folders"]
    columns = unpacked(document_of(library), "table")["columns"]

    def path(folder: int) -> str:
        if not folder:
            return ""
        return f"{path(folders['parent'][folder])}/{folders['name'][folder]}"

    found = {
        f"{path(folder)}/{name}"[1:]
        for folder, name in zip(columns["folder"], columns["name"], strict=True)
    }
    plain = {
        entry["path"]
        for entry in read_entries(library.output)
        if is_file(entry) and entry["path"].isprintable()
    }
    assert plain <= found


def test_problems_are_in_their_groups(library: Machine) -> None:
    groups = {group["name"]: group for group in pages(library)["problems"]}
    words = {row["word"] for row in groups["broken"]["rows"]}
    assert words == {"truncated", "page", "damaged"}
    assert [row["path"] for row in groups["unfinished"]["rows"]] == [
        "ComfyUI/models/loras/new_style.safetensors.part"
    ]
    assert groups["misplaced"]["rows"][0]["text"] == "lora in checkpoints"
    assert [row["text"] for row in groups["away"]["rows"]] == ["leads to ../gone"]
    statuses = [entry.get("status") for entry in read_entries(library.output)]
    assert groups["broken"]["files"] == sum(
        status in ("truncated", "page", "damaged") for status in statuses
    )


def test_changes_packs_and_drives(library: Machine) -> None:
    page = pages(library)
    (day,) = page["changes"]["days"]
    assert day["counts"]["moved"] == 3
    assert any("odd names" in text for _, text in day["entries"])
    assert [(pack["name"], pack["enabled"]) for pack in page["packs"]] == [
        ("comfyui-impact-pack", True),
        ("ComfyUI-Old", False),
        ("rgthree-comfy", True),
    ]
    assert {root["kind"] for drive in page["drives"] for root in drive["roots"]} >= {
        "models", "custom_nodes", "input", "output",
    }  # fmt: skip
    assert all(drive["free"] < drive["bytes"] for drive in page["drives"] if drive["type"])


def test_copies_are_those_that_duplicates_finds(library: Machine) -> None:
    found = parsed(library.run("duplicates", "--json"))
    page = pages(library)["duplicates"]
    assert [sorted(row["paths"]) for row in page["rows"]] == [
        sorted(copy["path"] for copy in each["copies"]) for each in found["sets"]
    ]
    assert page["total"]["bytes"] == 70_000


def test_a_report_without_status_and_changes(library: Machine, tmp_path: Path) -> None:
    """An inventory that was sent from another machine comes alone."""
    machine = Machine(tmp_path)
    write(machine.output, library.output.read_bytes())
    machine.run("report")
    page = pages(machine)
    assert page["changes"]["days"] == []
    assert page["drives"][0]["roots"]
    assert "free" not in page["drives"][0]


def test_a_folder_that_is_away_needs_attention(machine: Machine) -> None:
    machine.run("scan")
    (machine.work / "ComfyUI").rename(machine.work / "away")
    machine.run("scan", "--comfy-root", "ComfyUI", expect=3)
    machine.run("report")
    page = pages(machine)
    assert "ComfyUI/models is offline" in page["attention"]
    states = {root["state"] for drive in page["drives"] for root in drive["roots"]}
    assert "offline" in states
    assert "online" not in states


def test_large_inventories_have_models_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "comfy_inventory.json"
    write_large(path, 60)
    monkeypatch.setattr(contents, "MOST_ROWS", 50)
    with Inventory(path) as inventory:
        made = pages_of(inventory, {}, str(tmp_path / "none.jsonl"), None)
        sizes = sorted(entry["size"] for entry in inventory.entries())
    assert made.pages["left_out"] == 10
    assert sorted(made.table["columns"]["size"]) == sizes[10:]
    assert made.pages["space"]["folders"]["bytes"][0] == sum(sizes)


# Copies and problems


def copies_of(*files: dict[str, Any]) -> list[Same]:
    found = Copies()
    for number, fields in enumerate(files):
        found.add({"path": str(number), "size": 1_000_000, **fields})
    return found.sets()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([{"fingerprint": "a"}, {"fingerprint": "b"}], []),
        ([{}, {}], []),
        ([{"fingerprint": "a"}, {"fingerprint": "a"}], [(False, ("0", "1"))]),
        ([{"fingerprint": "a", "size": 9}] * 2, [(True, ("0", "1"))]),
        ([{"fingerprint": "a", "size": 0}] * 2, []),
        ([{"fingerprint": "a", "status": "unsettled"}] * 2, []),
        ([{"fingerprint": "a", "sha256": "x"}] * 2, [(True, ("0", "1"))]),
        ([{"fingerprint": "a", "sha256": "x"}, {"fingerprint": "a", "sha256": "y"}], []),
        (
            [{"fingerprint": "a", "sha256": "x"}, {"fingerprint": "a", "hash": "y"}],
            [(False, ("0", "1"))],
        ),
        ([{"sha256": "x"}, {"sha256": "x"}], [(True, ("0", "1"))]),
        (
            [{"fingerprint": "a", "hash": "x"}] * 2 + [{"fingerprint": "a"}],
            [(True, ("0", "1")), (False, ("0", "2"))],
        ),
    ],
)  # fmt: skip
def test_what_counts_as_a_copy(
    files: list[dict[str, Any]], expected: list[tuple[bool, Iterable[str]]]
) -> None:
    assert [(same.proven, same.paths) for same in copies_of(*files)] == expected


def test_of_many_problems_the_largest_files_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.views.problems.MOST", 2)
    problems = Problems({}, None)
    for size in (3, 1, 2, 5):
        problems.add({"path": f"{size}", "type": "file", "size": size, "status": "truncated"})
    (group,) = problems.page()
    assert [row["size"] for row in group["rows"]] == [5, 3]
    assert (group["files"], group["bytes"]) == (4, 11)


def test_hidden_models_name_the_one_that_is_loaded() -> None:
    problems = Problems({}, None)
    problems.add({"path": "a", "type": "file", "size": 1, "shadowed_by": "b"})
    (group,) = problems.page()
    assert (group["name"], group["rows"][0]["text"]) == ("shadowed", "ComfyUI loads b")


# Markdown


def test_markdown_for_a_ticket(library: Machine) -> None:
    text = library.run("report", "--format", "md", "-o", "-").stdout
    assert text.startswith("# ComfyUI inventory, by comfy-inventory ")
    assert "Broken: 6" in text
    assert "| `diffusion_models` |" in text
    assert len(text.splitlines()) < 120


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.safetensors", "`a.safetensors`"),
        ("a`b", "``a`b``"),
        ("``a", "``` ``a ```"),
        ("a|b", r"`a\|b`"),
        ("<img src=x>", "`<img src=x>`"),
    ],
)
def test_names_in_markdown_are_code(name: str, expected: str) -> None:
    assert code(name) == expected


def test_the_format_follows_from_the_name_of_the_file(untouched: Machine, tmp_path: Path) -> None:
    target = tmp_path / "ticket.md"
    untouched.run("report", "-o", target)
    assert target.read_text("utf-8").startswith("# ComfyUI inventory")


# Where it is written


def test_a_foreign_file_is_refused_and_kept(untouched: Machine, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("<p>mine")
    done = untouched.run("report", "-o", target, expect=2)
    assert "is no report of this program" in sentence(done)
    assert target.read_text() == "<p>mine"


def test_a_report_is_replaced(untouched: Machine, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    for _ in range(2):
        untouched.run("report", "-o", target)
    untouched.run("report", "-o", target, "--format", "md")
    assert target.read_text("utf-8").startswith("# ComfyUI")
    assert os.listdir(tmp_path) == ["page.html"]


@pytest.mark.parametrize("name", ["comfy_inventory.json", "comfy_inventory.changes.jsonl"])
def test_files_of_an_inventory_are_refused(untouched: Machine, name: str) -> None:
    before = (untouched.work / name).read_bytes()
    done = untouched.run("report", "-o", name, expect=2)
    assert "belongs to an inventory" in sentence(done)
    assert (untouched.work / name).read_bytes() == before


def test_folders_and_pipes_are_refused(untouched: Machine, tmp_path: Path) -> None:
    assert "expected a file" in sentence(untouched.run("report", "-o", tmp_path, expect=2))
    os.mkfifo(tmp_path / "pipe")
    assert "a pipe" in sentence(untouched.run("report", "-o", tmp_path / "pipe", expect=5))


def test_without_an_inventory_there_is_one_sentence(machine: Machine) -> None:
    assert "no inventory" in sentence(machine.run("report", expect=2))
    assert not (machine.work / "inventory.html").exists()


def test_a_damaged_inventory_leaves_the_report_as_it_was(scanned: Machine) -> None:
    scanned.run("report")
    before = document_of(scanned)
    text = scanned.output.read_bytes()
    scanned.output.write_bytes(text[: len(text) // 2])
    sentence(scanned.run("report", expect=2))
    assert document_of(scanned) == before


def test_the_answer_for_programs(untouched: Machine, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    data = parsed(untouched.run("report", "-o", target, "--json"))
    assert data == {
        "schema": 1,
        "format": "html",
        "path": str(target),
        "files": 24,
        "bytes": target.stat().st_size,
    }
    done = untouched.run("report", "-o", "-", "--json", expect=2)
    assert "expected a file" in json.loads(done.stdout)["error"]["message"]


def test_times_are_local_or_utc(untouched: Machine) -> None:
    environ = {"TZ": "Asia/Tokyo"}
    texts = [
        untouched.run("report", "-o", "-", "--format", "md", *utc, environ=environ).stdout
        for utc in ((), ("--utc",))
    ]
    assert "(local time)" in texts[0]
    assert "(UTC)" in texts[1]
    assert texts[0].split("As of ")[1][:16] != texts[1].split("As of ")[1][:16]


def test_a_report_imports_nothing_heavy(untouched: Machine) -> None:
    modules = imported(untouched, "report", "-o", "-")
    assert not modules & {"pydantic", "yaml", "apscheduler", "duckdb", "sqlite3"}
