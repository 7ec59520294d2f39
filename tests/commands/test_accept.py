"""`comfy-inventory accept` drops entries that a scan keeps."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from scanner.output.inventory_reader import read_header
from tests.support.installation import LORAS, lose, parsed
from tests.support.machine import Machine, assert_valid, told

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def test_unreadable_folder_is_kept_until_it_is_accepted(
    scanned: Machine, unprivileged: tuple[str, ...], closing: list[Path]
) -> None:
    folder = scanned.work / LORAS
    folder.chmod(0o000)
    closing.append(folder)
    known = scanned.inventory()
    done = scanned.run("scan", "--json", expect=3, through=unprivileged)
    assert parsed(done)["incomplete_roots"] == {f"models:{scanned.work}/ComfyUI/models": "partial"}
    assert scanned.inventory() == known
    assert scanned.changes() == []
    header = read_header(scanned.output)
    assert header is not None
    assert [place["path"] for place in header["unreachable"]] == [LORAS]
    assert_valid(scanned)
    assert "Permission denied" in scanned.run("status", expect=3).stdout

    done = scanned.run("accept", LORAS)
    assert "next scan" in done.stderr
    done = scanned.run("scan", expect=3, through=unprivileged)
    assert f"accept: 24 entries below {scanned.work / LORAS} deleted" in done.stderr
    assert told(scanned.changes()) == [
        ("deleted", f"{LORAS}/{number:02}.safetensors") for number in range(24)
    ]
    # What is there and cannot be read is not back again in each scan.
    scanned.run("scan", expect=3, through=unprivileged)
    assert len(scanned.changes()) == 24
    folder.chmod(0o755)
    scanned.run("scan", through=unprivileged)
    assert [kind for kind, *_ in told(scanned.changes())] == ["created"] * 24 + ["deleted"] * 24
    assert_valid(scanned)


def test_name_that_cannot_be_looked_at_is_kept_until_it_is_accepted(
    scanned: Machine, unprivileged: tuple[str, ...], closing: list[Path]
) -> None:
    """A folder that may be read and not entered gives names and nothing else."""
    folder = scanned.work / "ComfyUI" / "models" / "vae"
    folder.mkdir(parents=True, exist_ok=True)
    name = "ComfyUI/models/vae/one.safetensors"
    (scanned.work / name).write_bytes(b"1" * 1000)
    scanned.run("scan", through=unprivileged)
    folder.chmod(0o444)
    closing.append(folder)
    before = len(scanned.changes())
    scanned.run("scan", expect=3, through=unprivileged)
    assert str(scanned.work / name) in scanned.inventory()
    scanned.run("accept", name)
    done = scanned.run("scan", expect=3, through=unprivileged)
    assert f"accept: {scanned.work / name}: 1 entry deleted; it stays" in done.stderr
    scanned.run("scan", expect=3, through=unprivileged)
    assert told(scanned.changes())[before:] == [("deleted", name)]
    header = read_header(scanned.output)
    assert header is not None
    assert [place["path"] for place in header["unreachable"]] == [name]
    folder.chmod(0o755)
    scanned.run("scan", through=unprivileged)
    assert told(scanned.changes())[before:] == [("created", name), ("deleted", name)]


def test_accepted_loss_is_committed_by_the_next_scan(scanned: Machine) -> None:
    lose(scanned)
    scanned.run("scan", "--hold-wait", "0", expect=3)
    assert scanned.changes() == []
    accepted = parsed(scanned.run("accept", "--json"))["accepted"]
    place = f"models:{scanned.work}/ComfyUI/models"
    assert [(answer["place"], answer["applied"]) for answer in accepted] == [(place, False)]
    scanned.run("scan", "--hold-wait", "0")
    assert len(scanned.changes()) == 20
    scanned.run("accept", expect=2)


@pytest.mark.parametrize("state", ["held", "offline"])
def test_command_that_is_named_everywhere_is_the_one_to_run(scanned: Machine, state: str) -> None:
    models = scanned.work / "ComfyUI" / "models"
    options = ("--models", models, "--output", scanned.output)
    scanned.run("scan", *options)
    if state == "held":
        lose(scanned)
    else:
        models.rename(scanned.work / "away")
    first = scanned.run("scan", *options, "--hold-wait", "0", expect=3)
    command = f"comfy-inventory accept {models} --output {scanned.output}"
    log = next(line for line in first.stderr.splitlines() if f" is {state} (" in line)
    assert log.endswith(command)
    shown = [scanned.run("status", expect=3).stdout, scanned.run("roots", *options).stdout]
    for text in (first.stderr, *shown):
        starts = (f"models:{models} is {state}. ", f"{models} is {state} since ")
        (line,) = [line for line in text.splitlines() if line.startswith(starts)]
        assert line.endswith(command)
    named = [{"id": f"models:{models}", "state": state, "command": command}]
    assert scanned.status()["accept"] == named
    assert parsed(scanned.run("roots", *options, "--json"))["accept"] == named
    assert_valid(scanned)
    scanned.run(*shlex.split(command)[1:])
    code = 0 if state == "held" else 3  # it is missing then
    done = scanned.run("scan", *options, "--hold-wait", "0", "--json", expect=code)
    assert parsed(done)["accept"] == []
    assert parsed(done)["kinds"]["deleted"] >= 20


@pytest.mark.slow
def test_running_scanner_applies_what_is_accepted(machine: Machine) -> None:
    """The entries of a root that went away are kept until a person says that it is gone."""
    models = machine.work / "ComfyUI" / "models"
    with machine.running("run", "--every", "1s") as running:
        running.scans()
        known = machine.inventory()
        models.rename(machine.work / "away")
        running.wait_for(lambda: machine.states()[str(models)] == "offline", "offline")
        running.scans()
        assert machine.inventory() == known
        accepted = parsed(machine.run("accept", "ComfyUI/models", "--json"))["accepted"]
        assert [answer["applied"] for answer in accepted] == [True]
        running.wait_for(lambda: not machine.inventory(), "the inventory without it")
        assert machine.states()[str(models)] == "missing"
        assert told(machine.changes()) == [
            ("deleted", LORAS),
            *(("deleted", f"{LORAS}/{number:02}.safetensors") for number in range(24)),
        ]
        running.scans()
        assert len(machine.changes()) == 25
        assert running.stop() == 0
