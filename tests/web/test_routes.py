"""What the routes answer, from real files."""

from __future__ import annotations

import gzip
import json
import os
import time
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from scanner.core.serialize import printable
from scanner.core.times import Zone
from scanner.output.inventory_reader import OpenInventory, header_of, is_file, read_entries
from scanner.output.journal_reader import read
from scanner.output.status_file import read_status
from scanner.schemas import load_schema
from scanner.views import book
from scanner.views.book import Book
from scanner.views.pages import pages_of
from scanner.web import apart, files
from tests.support.installation import KINDS
from tests.support.machine import Machine, write
from tests.support.serving import API, Served, bearer, outputs_at, served


def install(machine: Machine) -> Path:
    """Make an empty installation. Its folder of models."""
    for kind in KINDS:
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    return machine.work / "ComfyUI" / "models"


def test_pages_are_those_of_the_report(site: Served, library: Machine) -> None:
    answer = site.json("pages")
    (machine,) = answer["machines"]
    assert machine["name"] == "comfy_inventory"
    outputs = outputs_at(library.output)
    status = read_status(outputs.status) or {}
    with OpenInventory(outputs.inventory) as inventory:
        expected = pages_of(inventory, status, outputs.journal, UTC).pages
    pages = machine["pages"]
    for name, part in json.loads(json.dumps(expected)).items():
        assert pages[name] == part, name
    assert pages["written"] == header_of(library.output)["generated"]


def test_the_status_says_what_the_command_says(site: Served, library: Machine) -> None:
    facts = site.json("pages")["machines"][0]["pages"]["status"]
    said = json.loads(library.run("status", "--json").stdout)["data"]
    assert facts["problems"] == [printable(text) for text in said["problems"]]
    assert facts["alive"] is said["alive"] is False
    assert facts["broken"] == said["broken"] > 0
    assert [lane["last_scan"] for lane in facts["lanes"]] == [
        lane["last_scan"] for lane in said["lanes"]
    ]
    assert facts["today"]["kinds"] == said["today"]["kinds"]
    assert {root["path"] for root in facts["roots"]} == {root["path"] for root in said["roots"]}


@pytest.mark.parametrize("part", ["duplicates", "problems", "packs"])
def test_parts_are_those_of_the_pages(fleet: Served, part: str) -> None:
    pages = fleet.json("pages")["machines"]
    parts = fleet.json(part)["machines"]
    assert [each["name"] for each in parts] == ["comfy_inventory", "nas"]
    for page, each in zip(pages, parts, strict=True):
        assert each[part] == page["pages"][part]
    assert [each["name"] for each in fleet.json(part, machine="nas")["machines"]] == ["nas"]


def test_the_history_grows_with_the_inventory(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    models = install(machine)
    write(models / "loras" / "a.safetensors", bytes(1000))
    machine.run("scan")
    with served(machine.output) as site:
        (own,) = site.json("history")["machines"]
        assert own["name"] == "comfy_inventory"
        assert own["history"]["bytes"] == [1000]
        assert own["history"]["categories"] == [{"category": "loras", "bytes": [1000]}]
        write(models / "vae" / "b.safetensors", bytes(500))
        machine.run("scan")
        assert site.json("history")["machines"][0]["history"]["bytes"][-1] == 1500


def test_roots_have_their_states(site: Served, library: Machine) -> None:
    (machine,) = site.json("roots")["machines"]
    assert [root["id"] for root in machine["roots"]] == [
        root["id"] for root in header_of(library.output)["roots"]
    ]
    assert all(root["state"] and root["since"] for root in machine["roots"])


def test_the_tree_adds_up(site: Served, library: Machine) -> None:
    top = site.json("tree", depth=8)
    entries = [e for e in read_entries(library.output) if is_file(e) and "alias_of" not in e]
    assert top["bytes"] == sum(entry["size"] for entry in entries)
    assert top["files"] == len(entries)

    def check(folder: dict[str, Any], depth: int) -> int:
        children = folder.get("children", [])
        if depth:
            assert folder["bytes"] == folder["bytes_here"] + sum(c["bytes"] for c in children)
            assert folder["files"] == folder["files_here"] + sum(c["files"] for c in children)
            assert [c["bytes"] for c in children] == sorted(
                (c["bytes"] for c in children), reverse=True
            )
        return 1 + sum(check(child, depth - 1) for child in children)

    assert check(top, 8) > 10
    loras = site.json("tree", path="ComfyUI/models/loras", depth=0)
    below = [e for e in entries if e["path"].startswith("ComfyUI/models/loras/")]
    assert loras["bytes"] == sum(entry["size"] for entry in below) > 0
    assert "children" not in loras
    for wrong in ("ComfyUI/nowhere", "..", "/etc", "ComfyUI/models/lora"):
        assert site.get(f"{API}/tree", params={"path": wrong}).status_code == 404
    assert site.get(f"{API}/tree?depth=9").status_code == 400


def test_the_summary_is_flat(fleet: Served) -> None:
    summary = fleet.json("summary")
    assert all(isinstance(value, str | int | bool | None) for value in summary.values())
    pages = [machine["pages"] for machine in fleet.json("pages")["machines"]]
    assert summary["machines"] == 2
    assert summary["files"] == sum(page["totals"]["files"] for page in pages)
    assert summary["broken"] == pages[0]["status"]["broken"] > 0
    assert summary["fine"] is False


def test_changes_are_the_lines_of_the_change_list(site: Served, library: Machine) -> None:
    lines = list(read(outputs_at(library.output).journal))
    answer = site.json("changes", since=0)
    assert [{k: v for k, v in line.items() if k != "text"} for line in answer["changes"]] == lines
    assert answer["scan"] == 3 and not answer["more"] and not answer["gap"]
    assert site.json("changes")["changes"] == []
    assert site.json("changes")["since"] == 3


def test_a_scan_is_never_cut_in_two(site: Served, library: Machine) -> None:
    expected = [(line["scan"], line["n"]) for line in read(outputs_at(library.output).journal)]
    found: list[tuple[int, int]] = []
    since, more = 0, True
    while more:
        answer = site.json("changes", since=since, limit=1)
        scans = {line["scan"] for line in answer["changes"]}
        assert len(scans) == 1
        found += [(line["scan"], line["n"]) for line in answer["changes"]]
        since, more = answer["scan"], answer["more"]
    assert found == expected and len({scan for scan, _ in found}) > 1


def test_a_gap_is_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    install(machine)
    write(machine.work / "ComfyUI" / "models" / "vae" / "a.safetensors", "a")
    machine.run("scan")
    write(machine.work / "ComfyUI" / "models" / "vae" / "b.safetensors", "b")
    machine.run("scan")
    lines = machine.journal.read_bytes().splitlines(keepends=True)
    machine.journal.write_bytes(lines[-1])  # as if the older file had been deleted
    with served(machine.output) as site:
        assert site.json("changes", since=0)["gap"]
        assert not site.json("changes", since=1)["gap"]


# Only what is new


def test_an_answer_has_a_tag_until_something_is_new(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    install(machine)
    machine.run("scan")
    routes = ("pages", "entries", "summary", "roots", "tree", "problems", "duplicates", "packs")
    with served(machine.output) as site:
        tags = {}
        for route in routes:
            tags[route] = site.get(f"{API}/{route}").headers["etag"]
            again = site.get(f"{API}/{route}", headers={"if-none-match": tags[route]})
            assert again.status_code == 304 and not again.content
            assert again.headers["etag"] == tags[route]
        write(machine.work / "ComfyUI" / "models" / "vae" / "new.safetensors", "new")
        machine.run("scan")
        time.sleep(files.PACE)
        for route in routes:
            answer = site.get(f"{API}/{route}", headers={"if-none-match": tags[route]})
            assert answer.status_code == 200
            assert answer.headers["etag"] != tags[route]
        assert site.json("entries", q="new")["total"] == 1


def test_an_unchanged_inventory_is_read_once(
    library: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    original = book.read_book

    def read_book(path: str, zone: Zone) -> Book:
        reads.append(path)
        return original(path, zone)

    monkeypatch.setattr(files, "PACE", 0.0)
    monkeypatch.setattr(files, "read_book", read_book)
    with served(library.output) as site:
        for route in ("pages", "entries", "summary", "tree", "roots", "entries?q=a"):
            assert site.get(f"{API}/{route}").status_code == 200
        os.utime(outputs_at(library.output).status)
        assert site.get(f"{API}/pages").status_code == 200
    assert len(reads) == 1


def test_a_large_inventory_is_read_apart_and_is_the_same(
    site: Served, library: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.json("pages")  # this one was read in this process
    reads: list[str] = []

    def read_apart(path: str, zone: Zone) -> Book:
        reads.append(path)
        return apart.read_apart(path, zone)

    monkeypatch.setattr(files, "SMALL", 0)
    monkeypatch.setattr(files, "read_apart", read_apart)
    with served(library.output) as other:
        for route in ("entries", "problems", "duplicates", "tree?depth=8", "entries?q=sdxl"):
            assert other.get(f"{API}/{route}").json() == site.get(f"{API}/{route}").json()
        scan = site.json("entries")["scans"][0]
        assert other.json("entry", row=3, scan=scan) == site.json("entry", row=3, scan=scan)
    assert reads == [str(library.output)]


def test_what_is_wrong_with_a_large_inventory_is_told(
    tmp_path: Path, library: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SMALL", 0)
    broken = tmp_path / "broken.json"
    broken.write_bytes(library.output.read_bytes()[:-100])
    with served(broken) as site:
        (machine,) = site.json("pages")["machines"]
        assert "damaged at line" in machine["error"]


def test_answers_are_compressed_for_those_who_can_read_it(site: Served) -> None:
    plain = site.get(f"{API}/entries", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with site.client.stream("GET", f"{API}/entries", headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        raw = b"".join(packed.iter_raw())
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 3
    assert "Accept-Encoding" in plain.headers["vary"]


# What is missing or damaged


def test_an_inventory_that_comes_later(tmp_path: Path) -> None:
    with served(tmp_path / "comfy_inventory.json") as site:
        (machine,) = site.json("pages")["machines"]
        assert "there is no inventory" in machine["error"]
        assert site.json("summary")["fine"] is False
        for route in ("entries", "tree"):
            assert site.get(f"{API}/{route}").status_code == 503
        assert site.get("/metrics").status_code == 503


def test_a_damaged_inventory_stops_no_other(tmp_path: Path, library: Machine) -> None:
    broken = tmp_path / "broken.json"
    broken.write_bytes(library.output.read_bytes()[:-100])
    with served(library.output, broken) as site:
        whole, damaged = site.json("pages")["machines"]
        assert whole["pages"]["totals"]["files"] > 0
        assert "damaged" in damaged["error"] and "pages" not in damaged
        assert site.get(f"{API}/entries?machine=comfy_inventory").status_code == 200


def test_a_damaged_status_hides_no_page(tmp_path: Path, library: Machine) -> None:
    copy = tmp_path / "copy.json"
    copy.write_bytes(library.output.read_bytes())
    for text in ("{", "[]", "{}", '{"roots": 3, "lanes": []}'):
        Path(outputs_at(copy).status).write_text(text)
        with served(copy) as site:
            (machine,) = site.json("pages")["machines"]
            assert machine["pages"]["status"] is None, text
            assert site.get(f"{API}/roots").status_code == 200


def test_a_scanner_on_another_machine_is_judged_by_its_silence(
    tmp_path: Path, library: Machine
) -> None:
    copy = outputs_at(tmp_path / "copy.json")
    Path(copy.inventory).write_bytes(library.output.read_bytes())
    status = read_status(outputs_at(library.output).status) or {}
    status |= {"state": "idle"}
    Path(copy.status).write_text(json.dumps(status))
    with served(Path(copy.inventory)) as site:
        facts = site.json("pages")["machines"][0]["pages"]["status"]
        assert facts["alive"] is None
        assert not any("no news" in text for text in facts["problems"])
    Path(copy.status).write_text(
        json.dumps({**status, "updated": "2026-01-01T00:00:00.000000000Z"})
    )
    with served(Path(copy.inventory)) as site:
        facts = site.json("pages")["machines"][0]["pages"]["status"]
        assert facts["fine"] is False
        assert any("no news" in text for text in facts["problems"])


# Metrics


def test_metrics_are_those_of_the_command(site: Served, library: Machine) -> None:
    answer = site.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == library.run("metrics").stdout


def test_metrics_of_several_machines_have_their_names(tmp_path: Path, library: Machine) -> None:
    other = outputs_at(tmp_path / "nas.json")
    Path(other.inventory).write_bytes(library.output.read_bytes())
    Path(other.status).write_bytes(library.status_file.read_bytes())
    with served(library.output, Path(other.inventory)) as site:
        text = site.get("/metrics").text
    families = list(text_string_to_metric_families(text))
    assert len(families) > 10
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert {sample.labels["machine"] for sample in family.samples} == {
            "comfy_inventory",
            "nas",
        }
    assert "safetensors" not in text


# Workflows


def graph(name: str) -> dict[str, Any]:
    return {"1": {"class_type": "LoraLoader", "inputs": {"lora_name": name}}}


def test_a_workflow_is_checked_as_by_the_command(
    site: Served, library: Machine, tmp_path: Path
) -> None:
    present = next(
        entry["name"]
        for entry in read_entries(library.output)
        if entry.get("category") == "loras" and "name" in entry and "status" not in entry
    )
    for name, state in ((present, "present"), ("nowhere.safetensors", "missing")):
        body = json.dumps(graph(name)).encode()
        answer = site.client.post(f"{API}/workflow?filename=w.json", content=body)
        assert answer.status_code == 200
        document = answer.json()
        Draft202012Validator(load_schema("workflow")).validate(document)
        assert document["workflows"][0]["needs"][0]["state"] == state
        path = tmp_path / "w.json"
        path.write_bytes(body)
        code = 0 if state == "present" else 1
        said = json.loads(library.run("workflow", "check", path, "--json", expect=code).stdout)[
            "data"
        ]
        said["workflows"][0]["path"] = "w.json"
        assert document["workflows"][0]["needs"] == said["workflows"][0]["needs"]


def test_what_is_no_workflow_is_told(site: Served) -> None:
    for body in (b"{", b"no workflow", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"[1]"):
        document = site.client.post(f"{API}/workflow", content=body).json()
        assert document["workflows"][0]["error"]
    assert site.client.post(f"{API}/workflow", content=b"").status_code == 400


# The script


def test_the_script_is_that_of_the_command(site: Served, library: Machine) -> None:
    for step, keep in (("link", None), ("delete", "newest"), ("link", "in /nowhere")):
        parameters = {"step": step, **({"keep": keep} if keep else {}), "shell": "sh"}
        answer = site.get(f"{API}/duplicates/script", params=parameters)
        assert answer.headers["content-disposition"] == 'attachment; filename="copies.sh"'
        more = ("--keep", keep) if keep else ()
        printed = library.run("duplicates", "--script", step, *more, "--shell", "sh").stdout
        assert _without_times(answer.text) == _without_times(printed)
    for wrong in ("step=burn", "keep=best", "shell=fish", "colour=red"):
        assert site.get(f"{API}/duplicates/script?{wrong}").status_code == 400


def _without_times(script: str) -> list[str]:
    return [line for line in script.splitlines() if "made at" not in line.lower()]


def test_there_is_no_script_for_another_machine(fleet: Served) -> None:
    answer = fleet.get(f"{API}/duplicates/script?machine=nas")
    assert answer.status_code == 409 and "another machine" in answer.json()["error"]


# Accepting


@pytest.fixture
def emptied(tmp_path: Path) -> Machine:
    """A folder of models that lost most of its files: its deletions are held back."""
    machine = Machine(tmp_path)
    loras = install(machine) / "loras"
    for number in range(30):
        write(loras / f"{number:02}.safetensors", f"lora {number}")
    machine.run("scan")
    for number in range(28):
        (loras / f"{number:02}.safetensors").unlink()
    machine.run("scan", "--hold-wait", "0", expect=3)
    return machine


def test_a_hold_is_shown_and_accepted(emptied: Machine) -> None:
    with served(emptied.output) as site:
        answer = site.json("pages")
        assert answer["accepts"] is True
        facts = answer["machines"][0]["pages"]["status"]
        (hold,) = facts["holds"]
        assert hold["files"] == 28
        wish = {"machine": "comfy_inventory", "place": hold["id"]}
        accepted = site.client.post(f"{API}/accept", json=wish, headers=bearer())
        assert accepted.status_code == 200
        (told,) = accepted.json()["accepted"]
        assert told["applied"] is False and "next scan" in told["told"]
        emptied.run("scan")
        assert len(emptied.changes()) == 28
        time.sleep(files.PACE)
        assert site.json("pages")["machines"][0]["pages"]["status"]["holds"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"[]", 400), (b"{}", 400), (b'{"place": 3}', 400), (b'{"place": ""}', 400),
        (b'{"place": "models", "machine": 3}', 400), (b'{"place": "x", "machine": "other"}', 404),
        (b'{"place": "/etc"}', 409), (b'{"place": "\\u0000"}', 409),
    ],
)  # fmt: skip
def test_what_cannot_be_accepted(emptied: Machine, body: bytes, status: int) -> None:
    with served(emptied.output) as site:
        headers = {**bearer(), "content-type": "application/json"}
        answer = site.client.post(f"{API}/accept", content=body, headers=headers)
        assert answer.status_code == status
        assert answer.json()["error"].isprintable()


def test_nothing_is_accepted_for_another_machine(fleet: Served) -> None:
    wish = {"machine": "nas", "place": "models:/mnt/nas/models"}
    answer = fleet.client.post(f"{API}/accept", json=wish, headers=bearer())
    assert answer.status_code == 403


# Behind a proxy


def test_below_a_base_path(library: Machine) -> None:
    with served(library.output, base="/inventory") as site:
        for prefix in ("", "/inventory"):  # proxies cut it off, or do not
            assert site.get(f"{prefix}/").status_code == 200
            assert site.get(f"{prefix}{API}/summary").status_code == 200
            assert site.get(f"{prefix}/assets/app.js").status_code == 200
        answer = site.get("/inventory")
        assert (answer.status_code, answer.headers["location"]) == (308, "/inventory/")
        assert site.get("/inventoryx/").status_code == 404
        cookie = site.client.post(f"{API}/session", headers=bearer()).headers["set-cookie"]
        assert "Path=/inventory" in cookie
        assert site.json("openapi.json")["servers"] == [{"url": "/inventory"}]


def test_the_page_asks_for_relative_addresses(site: Served) -> None:
    page = site.get("/").text
    assert 'src="assets/app.js"' in page and 'href="assets/app.css"' in page


def test_errors_of_ours_are_no_traceback(library: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.web.routes.pages.summary", lambda machines: 1 / 0)
    with served(library.output) as site:
        answer = site.get(f"{API}/summary")
        assert answer.status_code == 500
        assert "Traceback" not in answer.text and "bug" in answer.json()["error"]
        assert answer.headers["content-security-policy"]
        assert site.get(f"{API}/roots").status_code == 200


def test_a_mount_that_hangs_holds_up_no_other(
    tmp_path: Path, library: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that reads it waits for ever; requests wait for it once."""
    other = tmp_path / "nas.json"
    original = files.Reader.refresh

    def refresh(reader: files.Reader) -> files.View:
        if reader.source.name == "nas":
            time.sleep(60)
        return original(reader)

    monkeypatch.setattr(files, "PATIENCE", 0.5)
    monkeypatch.setattr(files.Reader, "refresh", refresh)
    with served(library.output, other) as site:
        answer = site.get(f"{API}/entries?machine=nas")
        assert answer.status_code == 503 and "being read" in answer.json()["error"]
        begun = time.monotonic()
        for _ in range(20):
            assert site.get(f"{API}/entries?machine=nas").status_code == 503
            assert site.get(f"{API}/entries?machine=comfy_inventory").status_code == 200
        assert time.monotonic() - begun < 20 * 0.5
        machines = site.json("pages")["machines"]
        assert "pages" in machines[0] and "being read" in machines[1]["error"]
