"""`comfy-inventory run`: the loop, its lock, and what it imports."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

from scanner.output.journal_reader import read
from tests.support.installation import EVENT_WATCHERS, LORAS, lose, parsed, sentence
from tests.support.machine import Machine, assert_valid, wait_for, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


@pytest.mark.slow
def test_second_instance_is_4_and_readers_are_let_in(machine: Machine) -> None:
    with machine.running("run", "--every", "1s") as running:
        running.scans(1)
        for command in ("scan", "run"):
            told = sentence(machine.run(command, expect=4))
            assert str(machine.output) in told
        machine.run("scan", "--output", "other.json")
        assert parsed(machine.run("status", "--json"))["alive"] is True
        machine.run("changes")
        assert running.stop() == 0


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_events_are_lines_in_order(machine: Machine) -> None:
    with machine.running("run", "--every", "1s", "--json") as running:
        running.scans(1)
        write(machine.work / LORAS / "new.safetensors", "new")
        running.wait_for(lambda: "new.safetensors" in running.printed(), "the event")
        running.scans(1)
        assert running.stop() == 0
    seen = events(running.printed())
    assert seen[0]["event"] == "started" and seen[-1]["event"] == "stopped"
    roots = [line for line in seen if line["event"] == "root"]
    # ComfyUI makes the folder of workflows when it starts.
    assert {line["state"] for line in roots} == {"online", "absent"}
    (change,) = [line for line in seen if line.get("path", "").endswith("new.safetensors")]
    assert (change["event"], change["kind"]) == ("change", "created")
    scans = [line["scan"] for line in seen if line["event"] == "scan"]
    assert scans == sorted(set(scans)) and change["scan"] in scans
    after = seen[seen.index(change) :]
    assert any(line["event"] == "scan" and line["scan"] == change["scan"] for line in after)
    assert [line for line in seen if line["event"] == "change"] == [
        {"event": "change", **line} for line in read(machine.journal)
    ]


@pytest.mark.slow
def test_events_that_nobody_reads_stop_neither_scans_nor_the_end(machine: Machine) -> None:
    machine.run("scan")
    for closed in (False, True):
        reader, writer = os.pipe()
        if closed:
            os.close(reader)
        else:
            os.set_blocking(writer, False)
            with pytest.raises(BlockingIOError):
                while True:
                    os.write(writer, b"x" * 4096)
            os.set_blocking(writer, True)
        told = machine.work / "stderr.txt"
        with told.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "scanner", "run", "--every", "1s", "--json"],
                cwd=machine.work, env=machine.environ, stdout=writer, stderr=stderr,
            )  # fmt: skip
        os.close(writer)
        name = f"late-{closed}.safetensors"
        try:
            wait_for(lambda: machine.status().get("pid") == process.pid, "the first scan")  # noqa: B023
            write(machine.work / LORAS / name, "late")
            wait_for(lambda: name in machine.journal.read_text(), "the file")  # noqa: B023
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
            assert "Traceback" not in told.read_text()
        finally:
            process.kill()
            process.wait()
            if not closed:
                os.close(reader)


@pytest.mark.slow
def test_loop_may_find_its_interval_itself(machine: Machine) -> None:
    """Before anything is measured it is half a minute, and the greeting says what decides."""
    with machine.running("run", "--every", "auto") as running:
        running.scans(1)
        status = parsed(machine.run("status", "--json"))
        assert_valid(machine)
        assert [lane["every_seconds"] for lane in status["lanes"]] == [30]
        assert "then every 30s" in machine.run("status").stdout
        assert running.stop() == 0
    assert "as often as 2.0 % of the time allows" in running.log()


@pytest.mark.slow
def test_loop_sums_up_its_first_scan_once(machine: Machine) -> None:
    with machine.running("run", "--every", "1s") as running:
        running.wait_for(lambda: "First scan: " in running.log(), "the summary")
        running.scans(2)
        assert running.stop() == 0
        assert running.log().count("First scan: ") == 1


@pytest.mark.slow
def test_killed_instance_leaves_no_lock_behind(machine: Machine) -> None:
    with machine.running("run", "--every", "1s") as running:
        running.scans(1)
        running.stop(signal.SIGKILL)
        assert machine.status()["state"] == "running"
        status = machine.run("status")
        assert "not running" in status.stdout
        machine.run("scan", "--exit-code")
        assert machine.status()["state"] == "stopped"


@pytest.mark.slow
def test_loss_in_the_loop_is_held_for_one_interval(machine: Machine) -> None:
    with machine.running("run", "--every", "1s") as running:
        running.scans()
        lose(machine)
        running.wait_for(lambda: "held" in machine.states().values(), "the hold")
        assert machine.changes() == []
        running.wait_for(machine.changes, "the deletions")
        running.scans(2)
        assert len(machine.changes()) == 20
        assert set(machine.states().values()) == {"online", "absent"}  # no workflows yet
        assert running.stop() == 0


@pytest.mark.slow
def test_loop_imports_no_event_watcher(machine: Machine) -> None:
    machine.environ["PYTHONPROFILEIMPORTTIME"] = "1"
    with machine.running("run", "--every", "1s") as running:
        running.scans(2)
        lines = set(re.findall(r"^import time: .*\| +(\S+)$", running.log(), re.MULTILINE))
    assert "apscheduler" in lines
    assert not lines & EVENT_WATCHERS
