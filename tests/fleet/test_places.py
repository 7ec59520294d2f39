"""Three hosts publish to one place: its answers are what their inventories say together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scanner.errors import InventoryError, OutputError, SettingsError
from scanner.fleet.address import DATABASE, Address
from scanner.fleet.files_place import FilesPlace
from scanner.fleet.publish import place_at, publish
from scanner.fleet.questions import Question, changes, duplicates, missing, where
from scanner.output.inventory_reader import is_file
from scanner.output.journal_reader import read
from tests.fleet.studio import HOSTS, Studio, asked, entries_of, published, union
from tests.support.fleet_places import Served
from tests.support.machine import CHECKOUT, write


def test_entries_are_the_union_of_the_inventories(studio: Studio, place: Address) -> None:
    for host in HOSTS:
        done = publish(place, studio.source(host))
        assert done.is_new and done.rows == len(entries_of(studio.machines[host]))
    assert published(place) == union(studio)


def test_nothing_is_sent_twice(studio: Studio, place: Address) -> None:
    publish(place, studio.source("alpha"))
    again = publish(place, studio.source("alpha"))
    assert (again.is_new, again.rows, again.changes) == (False, 0, 0)
    write(studio.machines["alpha"].work / "ComfyUI/output/picture.png", "new")
    studio.scan("alpha")
    later = publish(place, studio.source("alpha"))
    # The root of outputs alone is sent again.
    outputs = [e for e in entries_of(studio.machines["alpha"]) if e["root"].startswith("output:")]
    assert (later.is_new, later.rows) == (True, len(outputs))
    assert published(place) == union(studio, ("alpha",))


def test_where_names_each_file_of_the_union(studio: Studio, place: Address) -> None:
    for host in HOSTS:
        publish(place, studio.source(host))
    rows = asked(place, where("LORAS/A.safe*"))
    expected = {
        (host, entry["path"], entry["size"])
        for host in HOSTS
        for entry in entries_of(studio.machines[host])
        if entry["path"].lower().endswith("loras/a.safetensors")
    }
    assert {(row["host"], row["path"], row["size"]) for row in rows} == expected != set()
    odd = asked(place, where("ä ö\n\u202e%_'\"\\.safetensors".replace("\\", "?")))
    assert {row["host"] for row in odd} == set(HOSTS)
    assert asked(place, where("100%")) == []
    assert asked(place, where("a_safetensors")) == [], "an underscore is no pattern"


def test_missing_is_what_other_hosts_lack(studio: Studio, place: Address) -> None:
    for host in HOSTS:
        publish(place, studio.source(host))

    def models(host: str) -> dict[tuple[str, str], dict[str, Any]]:
        entries = entries_of(studio.machines[host])
        named = [entry for entry in entries if "name" in entry and "category" in entry]
        return {(entry["category"], entry["name"]): entry for entry in named if is_file(entry)}

    known = {host: models(host) for host in HOSTS}
    expected = []
    for host in ("beta", "gamma"):
        same = {
            (e["size"], e.get("fingerprint")): e["path"]
            for e in reversed(entries_of(studio.machines[host]))
            if is_file(e) and "alias_of" not in e and "fingerprint" in e and e["size"]
        }
        for key in sorted(set(known["alpha"]) - set(known[host])):
            entry = known["alpha"][key]
            held = same.get((entry["size"], entry.get("fingerprint")))
            expected.append((host, *key, held))
    rows = asked(place, missing("alpha", None, None))
    told = [(row["host"], row["category"], row["name"], row["held_as"]) for row in rows]
    assert sorted(told) == sorted(expected)
    assert ("beta", "loras", "b.safetensors", "ComfyUI/models/loras/other.safetensors") in told
    only = asked(place, missing("alpha", "gamma", "va*"))
    assert [(row["host"], row["name"]) for row in only] == [("gamma", "v.pt")]


def test_duplicates_are_files_that_two_storages_hold(studio: Studio, place: Address) -> None:
    for host in HOSTS:
        publish(place, studio.source(host))
    holders: dict[tuple[int, str], list[str]] = {}
    for host in HOSTS:
        for entry in entries_of(studio.machines[host]):
            if is_file(entry) and "fingerprint" in entry and "alias_of" not in entry:
                holders.setdefault((entry["size"], entry["fingerprint"]), []).append(host)
    expected = {key: held for key, held in holders.items() if len(set(held)) > 1 and key[0]}
    rows = asked(place, duplicates(1))
    told: dict[tuple[int, str], list[str]] = {}
    for row in rows:
        told.setdefault((row["size"], row["fingerprint"]), []).append(row["hosts"])
        assert row["wasted"] == row["size"] * (row["copies"] - 1)
        assert not row["proven"], "nothing was hashed"
    assert {key: sorted(held) for key, held in told.items()} == {
        key: sorted(held) for key, held in expected.items()
    }
    assert len(told) == 2
    largest = max(size for size, _ in told)
    assert {row["size"] for row in asked(place, duplicates(largest))} == {largest}


def test_every_change_stands_once(studio: Studio, place: Address) -> None:
    for host in HOSTS:
        publish(place, studio.source(host))
    machine = studio.machines["beta"]
    for number in range(3):
        write(machine.work / f"ComfyUI/input/picture-{number}.png", str(number))
        studio.scan("beta")
        if number != 1:  # a host that was away for a scan catches up
            publish(place, studio.source("beta"))
    lines = [
        (host, line["scan"], line["n"], line["kind"], line["path"])
        for host in HOSTS
        for line in read(studio.machines[host].journal)
    ]
    rows = asked(place, changes("", None))
    told = [(row["host"], row["scan"], row["n"], row["kind"], row["path"]) for row in rows]
    assert sorted(told) == sorted(lines)
    only = asked(place, changes("", "beta"))
    assert {row["host"] for row in only} == {"beta"}


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_publication_that_fails_leaves_the_last_one(
    studio: Studio, place: Address, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kept`: the number of files that are put, or the rows that are copied, before it fails."""
    publish(place, studio.source("gamma"))
    before = published(place)
    machine = studio.machines["gamma"]
    write(machine.work / f"ComfyUI/models/vae/new-{kept}-{place.kind}.pt", "new")
    write(machine.work / f"ComfyUI/input/new-{kept}-{place.kind}.png", "new")
    studio.scan("gamma")
    with monkeypatch.context() as patch:
        _fail_after(patch, place, kept)
        with pytest.raises(OutputError):
            publish(place, studio.source("gamma"))
    assert published(place) == before
    done = publish(place, studio.source("gamma"))
    assert done.is_new
    assert published(place) == union(studio, ("gamma",))
    lines = [(line["scan"], line["n"]) for line in read(machine.journal)]
    told = [(row["scan"], row["n"]) for row in asked(place, changes("", None))]
    assert sorted(told) == sorted(lines)


def _fail_after(patch: pytest.MonkeyPatch, place: Address, kept: int) -> None:
    left = [kept]

    def failing(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if not left[0]:
                raise OutputError("The disk is full.")
            left[0] -= 1
            return function(*arguments)

        return call

    from scanner.fleet import database_place, shelf

    if place.kind == DATABASE:
        for step in ("_remove_rows", "_copy", "_put_host"):
            patch.setattr(database_place, step, failing(getattr(database_place, step)))
    else:
        for kind in (shelf.FolderShelf, shelf.ObjectShelf):
            patch.setattr(kind, "put", failing(kind.put))


def test_host_killed_while_it_publishes_leaves_a_whole_generation(
    studio: Studio, place: Address, served: Served
) -> None:
    publish(place, studio.source("alpha"))
    before = published(place)
    machine = studio.machines["alpha"]
    for number in range(40):
        write(machine.work / f"ComfyUI/input/killed-{place.kind}-{number}.png", str(number))
    studio.scan("alpha")
    after = union(studio, ("alpha",))
    code = (
        "import sys, json; from scanner.fleet.address import address_of; "
        "from scanner.fleet.publish import publish; from scanner.fleet.generation import Source; "
        "asked = json.loads(sys.argv[1]); print('ready', flush=True); "
        "publish(address_of(asked[0]), Source(*asked[1])); print('done', flush=True)"
    )
    asked_for = json.dumps([served.url, list(studio.source("alpha"))])
    seen = set()
    for delay in (0.0, 0.1, 0.2, 0.3, 0.45, 0.7, 1.2, None):
        child = subprocess.Popen(
            [sys.executable, "-c", code, asked_for],
            cwd=CHECKOUT, stdout=subprocess.PIPE, env={**os.environ, **served.environ},
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        if delay is not None:
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        child.stdout.read()
        child.stdout.close()
        child.wait()
        now = published(place)
        assert now in (before, after)
        seen.add(now == after)
    assert seen == {False, True}


def test_two_hosts_of_one_name_are_refused(studio: Studio, place: Address) -> None:
    publish(place, studio.source("alpha"))
    other = studio.source("beta")._replace(host="alpha")
    with pytest.raises(SettingsError, match="publish_as: 'alpha' is the name of another"):
        publish(place, other)
    assert published(place) == union(studio, ("alpha",))
    assert place_at(place).forget("alpha")
    assert not place_at(place).forget("alpha")
    publish(place, other)
    assert len(published(place)) == len(entries_of(studio.machines["beta"]))


def test_sql_reads_and_never_writes(studio: Studio, place: Address) -> None:
    publish(place, studio.source("alpha"))
    sql = "SELECT host, kind, state FROM roots WHERE kind = 'models'"
    assert asked(place, Question(sql, {})) == [
        {"host": "alpha", "kind": "models", "state": "online"}
    ]
    for wrong in ("DELETE FROM hosts", "SELECT nothing FROM nowhere", "SELEC"):
        with pytest.raises(SettingsError, match=r"^SQL: "):
            asked(place, Question(wrong, {}))
    assert published(place) == union(studio, ("alpha",))


def test_place_without_hosts_says_so(place: Address) -> None:
    with pytest.raises(InventoryError, match="No host has published"):
        asked(place, where("x"))


def test_lines_that_were_rotated_away_are_told(
    studio: Studio, place: Address, tmp_path: Path
) -> None:
    source = studio.source("alpha")
    publish(place, source)
    kept = Path(source.journal).read_bytes()
    write(studio.machines["alpha"].work / f"ComfyUI/input/lost-{place.kind}.png", "x")
    studio.scan("alpha")
    lines = Path(source.journal).read_bytes().removeprefix(kept)
    short = tmp_path / "short.changes.jsonl"
    short.write_bytes(lines)
    done = publish(place, source._replace(journal=str(short)))
    assert len(done.lacks) == 1 and done.changes == len(lines.splitlines())


def test_many_files_of_changes_become_one(
    studio: Studio, place: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.kind == DATABASE:
        pytest.skip("a database keeps them in one table")
    monkeypatch.setattr("scanner.fleet.files_place.MOST_CHANGES", 2)
    machine = studio.machines["gamma"]
    for number in range(4):
        write(machine.work / f"ComfyUI/input/many-{place.kind}-{number}.png", "x")
        studio.scan("gamma")
        publish(place, studio.source("gamma"))
    place_ = place_at(place)
    assert isinstance(place_, FilesPlace)
    manifest = place_.manifest_of("gamma")
    assert manifest is not None and len(manifest.changes) <= 2
    lines = [(line["scan"], line["n"]) for line in read(machine.journal)]
    told = [(row["scan"], row["n"]) for row in asked(place, changes("", None))]
    assert sorted(told) == sorted(lines)


def test_files_of_older_generations_go(studio: Studio, place: Address, served: Served) -> None:
    if served.folder is None:
        pytest.skip("a database has no files")
    machine = studio.machines["beta"]
    for number in range(4):
        write(machine.work / f"ComfyUI/output/many-{place.kind}-{number}.png", "x")
        studio.scan("beta")
        publish(place, studio.source("beta"))
    files = list((served.folder / "entries").rglob("root=output*/*.parquet"))
    assert len(files) == 2, "that of the last generation, and that of the one before"
