"""`run` and `scan` publish by themselves, and a place that hangs stops nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from scanner.output.journal_reader import read
from tests.support.installation import imported
from tests.support.machine import Machine, wait_for, write


@pytest.fixture
def share(tmp_path: Path) -> Path:
    made = tmp_path / "share"
    made.mkdir()
    return made


@pytest.fixture
def machine(tmp_path: Path, share: Path) -> Machine:
    made = Machine(
        tmp_path / "one",
        COMFY_INVENTORY_PUBLISH=f"file://{share}",
        COMFY_INVENTORY_PUBLISH_AS="one",
        COMFY_INVENTORY_PUBLISH_EVERY="1s",
    )
    write(made.work / "ComfyUI/main.py", "")
    write(made.work / "ComfyUI/models/loras/a.safetensors", "a")
    for name in ("custom_nodes", "input", "output"):
        (made.work / "ComfyUI" / name).mkdir()
    return made


def asked(machine: Machine, *words: str, expect: int = 0) -> dict[str, Any]:
    done = machine.run("fleet", *words, "--json", expect=expect)
    answer: dict[str, Any] = json.loads(done.stdout)["data"]
    return answer


def test_one_shot_scan_publishes_at_its_end(machine: Machine) -> None:
    machine.run("scan", "--comfy-root", "ComfyUI", "-q")
    rows = asked(machine, "where", "a.safetensors")["rows"]
    assert [(row["host"], row["path"]) for row in rows] == [
        ("one", "ComfyUI/models/loras/a.safetensors")
    ]


def test_run_publishes_what_changes(machine: Machine, share: Path) -> None:
    with machine.running("run", "--comfy-root", "ComfyUI", "--every", "1s") as running:
        running.scans(1)
        wait_for((share / "hosts/one.json").exists, "a publication")
        write(machine.work / "ComfyUI/models/loras/b.safetensors", "b")

        def found() -> bool:
            return bool(asked(machine, "where", "b.safetensors")["count"])

        running.wait_for(found, "the new file in the fleet")
        assert running.stop() == 0


def test_publications_are_publish_every_apart(machine: Machine, share: Path) -> None:
    machine.environ["COMFY_INVENTORY_PUBLISH_EVERY"] = "1h"
    with machine.running("run", "--comfy-root", "ComfyUI", "--every", "1s") as running:
        running.scans(1)
        wait_for((share / "hosts/one.json").exists, "a publication")
        first = (share / "hosts/one.json").read_bytes()
        write(machine.work / "ComfyUI/models/loras/b.safetensors", "b")
        running.scans(4)
        assert (share / "hosts/one.json").read_bytes() == first
        assert running.stop() == 0


def test_place_that_is_away_is_caught_up_with(machine: Machine, share: Path) -> None:
    share.rmdir()
    machine.run("scan", "--comfy-root", "ComfyUI", "-q")
    write(machine.work / "ComfyUI/models/loras/b.safetensors", "b")
    done = machine.run("scan", "--comfy-root", "ComfyUI")
    assert f"publish: the folder {share} is not there: mount it" in done.stderr
    assert not share.exists(), "a share that is not mounted gets no folder on this disk"
    share.mkdir()
    machine.run("scan", "--comfy-root", "ComfyUI", "-q")
    lines = list(read(machine.journal))
    assert asked(machine, "changes")["count"] == len(lines) > 1
    assert asked(machine, "where", "b.safe*")["count"] == 1


@pytest.mark.slow
def test_place_that_hangs_stops_nothing(machine: Machine, share: Path) -> None:
    (share / "hosts").mkdir()
    os.mkfifo(share / "hosts/one.json")  # whoever opens it waits for ever
    with machine.running("run", "--comfy-root", "ComfyUI", "--every", "1s") as running:
        running.scans(3)
        started = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - started < 5


def test_folder_that_cannot_be_written_is_one_sentence(machine: Machine, share: Path) -> None:
    machine.run("scan", "--comfy-root", "ComfyUI", "-q")
    (share / "hosts/one.json").unlink()
    (share / "hosts").rmdir()
    (share / "hosts").write_text("")
    done = machine.run("fleet", "publish", expect=5)
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "url", ["share", "http://host/x", "s3://", "postgresql:///x", "file://host/x", "s3://a\x1bb"]
)
def test_wrong_address_names_the_setting(machine: Machine, url: str) -> None:
    done = machine.run("config", "show", environ={"COMFY_INVENTORY_PUBLISH": url}, expect=2)
    assert "expected an address such as file:///share/inventory" in done.stderr


def test_passwords_are_not_shown(machine: Machine) -> None:
    url = "postgresql://me:secret@127.0.0.1:9/db"
    environ = {"COMFY_INVENTORY_PUBLISH": url}
    shown = machine.run("config", "show", environ=environ).stdout
    machine.run("scan", "--comfy-root", "ComfyUI", "-q")
    failed = machine.run("fleet", "publish", environ=environ, expect=5)
    for text in (shown, failed.stderr, failed.stdout):
        assert "secret" not in text
    assert "127.0.0.1" in shown and "127.0.0.1" in failed.stderr


def test_without_the_setting_nothing_of_it_is_imported(tmp_path: Path) -> None:
    made = Machine(tmp_path / "two")
    write(made.work / "models/a.pt", "")
    modules = imported(made, "scan", "--models", "models")
    assert not modules & {"duckdb", "fsspec", "s3fs", "psycopg", "scanner.fleet"}


def test_host_that_is_left_out_is_named_and_told_by_the_exit_code(
    machine: Machine, share: Path
) -> None:
    machine.run("scan", "--comfy-root", "ComfyUI", "-q")
    for name in ("two", "three"):
        machine.run("fleet", "publish", environ={"COMFY_INVENTORY_PUBLISH_AS": name})
    ahead = share / "hosts/three.json"
    document = json.loads(ahead.read_bytes())
    document["published"] = "2999" + document["published"][4:]
    document["roots"][0]["state"] = "offline"
    ahead.write_text(json.dumps(document))
    hosts = asked(machine, "hosts", "--silent-after", "0s", "--exit-code", expect=1)
    assert hosts["left_out"] == []
    known = {host["host"]: host for host in hosts["hosts"]}
    assert [known[name]["clock_ahead"] for name in ("one", "two", "three")] == [False, False, True]
    assert [known[name]["silent"] for name in ("one", "two", "three")] == [True, True, False]
    assert [len(known[name]["away"]) for name in ("one", "two", "three")] == [0, 0, 1]
    assert "its clock is ahead" in machine.run("fleet", "hosts").stdout
    asked(machine, "where", "a.safetensors", "--exit-code", expect=1)

    (share / "hosts/two.json").write_text("{")
    rows = asked(machine, "where", "a.safetensors", "--exit-code", expect=3)
    assert rows["hosts"] == ["one", "three"] and rows["count"] == 2
    assert len(rows["left_out"]) == 1 and "hosts/two.json is left out" in rows["left_out"][0]
    assert asked(machine, "hosts", expect=3)["left_out"] == rows["left_out"]
    done = machine.run("fleet", "missing", "--of", "two", expect=2)
    assert "hosts/two.json is left out" in done.stderr and "no host 'two'" in done.stderr
