"""The command line: exit codes, sentences, what programs read, and what a start imports."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scanner.core.serialize import native
from scanner.output.inventory_reader import read_entries, read_header
from tests.support.machine import PATIENCE, Machine, assert_valid, told, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")

LORAS = "ComfyUI/models/loras"
KINDS = ("models", "custom_nodes", "input", "output")


def installation(folder: Path) -> Machine:
    machine = Machine(folder)
    for kind in KINDS:
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    for number in range(24):
        write(machine.work / LORAS / f"{number:02}.safetensors", f"lora {number}")
    return machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A small installation in the working folder, not scanned yet."""
    return installation(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A small installation, scanned once, that no test changes."""
    machine = installation(tmp_path_factory.mktemp("untouched"))
    machine.run("scan")
    return machine


@pytest.fixture
def scanned(machine: Machine) -> Machine:
    machine.run("scan")
    return machine


def lose(machine: Machine, count: int = 20) -> None:
    for number in range(count):
        (machine.work / LORAS / f"{number:02}.safetensors").unlink()


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence on stderr; there is nothing else."""
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("comfy-inventory: ")
    return lines[0].removeprefix("comfy-inventory: ")


def parsed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one line of JSON on stdout."""
    assert done.stdout.count("\n") == 1
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["schema"] == 1
    return result


# Exit codes and sentences


def test_scan_exits_with_1_where_something_changed_and_it_was_asked(scanned: Machine) -> None:
    scanned.run("scan", "--exit-code")
    write(scanned.work / LORAS / "new.safetensors", "new")
    scanned.run("scan", "--exit-code", expect=1)
    write(scanned.work / LORAS / "newer.safetensors", "newer")
    scanned.run("scan")


ROOTS = ("--root", "typo", "models:", "ComfyUI/models", "input:")

WRONG_USE = {
    "a file of settings that is not there": (
        ("scan", "--config", "nowhere.toml"),
        ("config", "--config", "nowhere.toml"),
    ),
    "an interval that is too short": (("run", "--every", "10ms"), ("every", "at least 1s")),
    "an interval that is none": (("run", "--every", "soon"), ("--every", "30s", "soon")),
    "a crontab line with four fields": (("run", "--cron", "* * * *"), ("cron", "five fields")),
    "a crontab line with a minute 61": (("run", "--cron", "61 * * * *"), ("cron", "61")),
    "a profile that does not exist": (("scan", "--profile", "nsa"), ("--profile", "nas")),
    "a duration that is none": (("scan", "--hold-wait", "-1s"), ("--hold-wait", "30s")),
    "a kind that does not exist": (("changes", "--kind", "renamed"), ("--kind", "moved")),
    "a root that no change is of": (("changes", "--root", "typo"), ROOTS),
    "a root that is not in the inventory": (("find", "--root", "typo"), ROOTS),
    "a root that was not scanned": (("duplicates", "--root", "typo"), ROOTS),
    "a time that is none": (("changes", "--since", "yesterday"), ("--since", "2h")),
    "nothing to accept": (("accept",), ("held",)),
    "a place that needs no acceptance": (("accept", "nowhere"), ("nowhere", "held")),
    "a timeout that is none": (("accept", "--timeout", "soon"), ("--timeout", "30s")),
    "an inventory that was never written": (
        ("status", "--output", "other.json"),
        ("other.status.json",),
    ),
    "a file of folders that is not there": (
        ("scan", "--extra-model-paths-config", "nowhere.yaml"),
        ("extra_model_paths_config", "nowhere.yaml"),
    ),
    "a log that cannot be written": (
        ("scan", "--log-file", "nowhere/log.txt"),
        ("log_file", "nowhere/log.txt"),
    ),
}


@pytest.mark.parametrize("what", WRONG_USE)
def test_wrong_use_is_one_sentence_and_2(untouched: Machine, what: str) -> None:
    arguments, words = WRONG_USE[what]
    before = {path: path.read_bytes() for path in untouched.work.glob("*") if path.is_file()}
    told = sentence(untouched.run(*arguments, expect=2))
    assert all(word in told for word in words), told
    if arguments[0] != "accept":  # which opens the state
        after = {path: path.read_bytes() for path in untouched.work.glob("*") if path.is_file()}
        assert after == before


UNKNOWN = [("rescan",), ("scan", "--evry", "5s"), ("scan", "--every"), ("scan", "--verify")]


@pytest.mark.parametrize("arguments", UNKNOWN)
def test_unknown_commands_and_options_are_2(machine: Machine, arguments: tuple[str, ...]) -> None:
    done = machine.run(*arguments, expect=2)
    assert done.stdout == ""
    assert any(argument in done.stderr for argument in arguments)


def test_wrong_setting_names_its_variable_or_line(machine: Machine) -> None:
    done = machine.run("scan", expect=2, environ={"COMFY_INVENTORY_EVERY": "never"})
    assert "COMFY_INVENTORY_EVERY" in sentence(done)
    done = machine.run("scan", expect=2, environ={"COMFY_INVENTORY_EVRY": "30s"})
    assert "did you mean every" in sentence(done)
    config = machine.work / "comfy_inventory.toml"
    config.write_text('# mine\nextra = []\nevery = "never"\n')
    assert f"{config}, line 3" in sentence(machine.run("scan", expect=2))
    config.write_text('every = "30s\n')
    assert f"{config}, line 1" in sentence(machine.run("scan", expect=2))


def test_no_root_at_all_is_one_sentence_and_2(machine: Machine) -> None:
    (machine.work / "ComfyUI").rename(machine.work / "elsewhere")
    for command in ("run", "scan"):
        told = sentence(machine.run(command, expect=2))
        assert "--comfy-root" in told
        assert str(machine.work / "ComfyUI") in told
    assert not machine.output.exists()


def test_root_that_is_not_there_is_3(scanned: Machine) -> None:
    (scanned.work / "ComfyUI" / "input").rmdir()
    done = scanned.run("scan", "--extra", "assets", "--json", expect=3)
    assert parsed(done)["incomplete_roots"] == {
        f"input:{scanned.work}/ComfyUI/input": "offline",
        f"extra:{scanned.work}/assets": "missing",
    }
    scanned.run("status", expect=3)
    assert_valid(scanned)
    write(scanned.work / "ComfyUI" / "input" / "new.png", "new")
    scanned.run("scan", "--exit-code", expect=1)
    assert told(scanned.changes()) == [("created", "ComfyUI/input/new.png")]


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


def test_killed_instance_leaves_no_lock_behind(machine: Machine) -> None:
    with machine.running("run", "--every", "1s") as running:
        running.scans(1)
        running.stop(signal.SIGKILL)
        assert machine.status()["state"] == "running"
        status = machine.run("status")
        assert "not running" in status.stdout
        machine.run("scan", "--exit-code")
        assert machine.status()["state"] == "stopped"


def test_output_that_cannot_be_written_is_5(machine: Machine) -> None:
    (machine.work / "file").touch()
    (machine.work / "folder").mkdir()
    for output in ("nowhere/out.json", "file/out.json", "folder"):
        done = machine.run("scan", "--output", output, expect=5)
        assert str((machine.work / output).parent) in sentence(done)
    sentence(machine.run("run", "--output", "nowhere/out.json", expect=5))


LIMIT = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("size", [5_000, 120_000])
def test_full_disk_is_5_and_nothing_is_lost(scanned: Machine, size: int) -> None:
    """A limit on the size of files does what a full disk does: what is written breaks off."""
    inventory, journal = scanned.output.read_bytes(), scanned.journal.read_bytes()
    for number in range(800):
        write(scanned.work / LORAS / f"new{number:03}.safetensors", f"new {number}")
    limited = (sys.executable, "-c", LIMIT, str(size))
    done = scanned.run("scan", expect=5, through=limited)
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if line.startswith("comfy-inventory: ")]
    assert json.loads(scanned.output.read_bytes())
    assert scanned.output.read_bytes() == inventory
    assert scanned.journal.read_bytes().startswith(journal)
    scanned.run("scan")
    assert told(scanned.changes()) == [
        ("created", f"{LORAS}/new{number:03}.safetensors") for number in range(800)
    ]
    assert_valid(scanned)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", [("scan", "--json"), ("changes", "--json"), ("changes",)])
def test_full_disk_behind_stdout_is_5(untouched: Machine, command: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scanner", *command],
            cwd=untouched.work,
            env=untouched.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert "Traceback" not in done.stderr
    assert done.returncode == 5
    assert "comfy-inventory: " in done.stderr


@pytest.mark.parametrize("buffering", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "command", ["changes", "changes --json", "roots", "find", "find --json", "--help"]
)
def test_reader_that_goes_away_is_no_error(
    untouched: Machine, command: str, buffering: str
) -> None:
    """As in `comfy-inventory changes | head -1`, also in a container with PYTHONUNBUFFERED."""
    done = subprocess.run(
        ["sh", "-c", f'{{ python -m scanner {command}; echo "exit $?" >&2; }} | true'],
        cwd=untouched.work,
        env={**untouched.environ, "PYTHONUNBUFFERED": buffering},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == "exit 0\n"


# Without the rights to read or write

DROP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    if libc.prctl(24, capability, 0, 0, 0):
        sys.exit("PR_CAPBSET_DROP: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a command that root's rights to read and write everything are taken from."""


@pytest.fixture
def unprivileged(tmp_path: Path) -> tuple[str, ...]:
    """A command that starts another one, which modes of files and folders hold for."""
    through = () if os.geteuid() else (sys.executable, "-c", DROP)
    closed = tmp_path / "closed"
    closed.mkdir(0o000)
    tried = subprocess.run(
        [*through, sys.executable, "-c", f"import os; os.listdir({str(closed)!r})"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    closed.chmod(0o700)
    if "PermissionError" not in tried.stderr:
        pytest.skip(f"root reads everything here: {tried.stderr.strip() or 'no capabilities'}")
    return through


@pytest.fixture
def closing() -> Iterator[list[Path]]:
    """Folders that are opened again at the end."""
    folders: list[Path] = []
    yield folders
    for folder in folders:
        if folder.exists():
            folder.chmod(0o755)


def test_output_folder_without_the_right_to_write_is_5(
    machine: Machine, unprivileged: tuple[str, ...], closing: list[Path]
) -> None:
    folder = machine.work / "closed"
    folder.mkdir(0o555)
    closing.append(folder)
    done = machine.run("scan", "--output", "closed/out.json", expect=5, through=unprivileged)
    assert str(folder) in sentence(done)
    assert list(folder.iterdir()) == []


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
    scanned.run("scan", expect=3, through=unprivileged)
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


# What programs read


def test_scan_tells_programs_what_it_did(scanned: Machine) -> None:
    write(scanned.work / LORAS / "new.safetensors", "new")
    done = scanned.run("scan", "--json")
    summary = parsed(done)
    assert set(summary) == {
        "schema", "scan", "complete", "committed", "seconds", "files", "directories", "bytes",
        "changes", "kinds", "incomplete_roots", "backlog", "unhashed", "inventory",
    }  # fmt: skip
    assert (summary["scan"], summary["complete"], summary["files"]) == (2, True, 25)
    assert (summary["changes"], summary["kinds"]) == (1, {"created": 1})
    assert summary["inventory"] == str(scanned.output)
    assert "created" in done.stderr


def test_status_tells_programs_how_it_stands(untouched: Machine) -> None:
    status = parsed(untouched.run("status", "--json"))
    on_disk = json.loads(untouched.status_file.read_bytes())
    assert status == on_disk | {"alive": False}
    assert status["state"] == "stopped"
    assert {root["state"] for root in status["roots"]} == {"online"}
    assert status["inventory"]["path"] == str(untouched.output)
    assert status["journal"]["path"] == str(untouched.journal)


def test_roots_are_told_before_and_after_the_first_scan(machine: Machine) -> None:
    before = parsed(machine.run("roots", "--downloads", "Downloads", "--json"))
    assert before["base"] == str(machine.work)
    paths = [str(machine.work / "ComfyUI" / kind) for kind in KINDS]
    paths.append(str(machine.work / "Downloads"))
    found = {(root["path"], root["state"]) for root in before["roots"]}
    assert found == {(path, None) for path in paths}
    machine.run("scan", "--downloads", "Downloads", expect=3)
    after = parsed(machine.run("roots", "--downloads", "Downloads", "--json"))
    states = {root["path"]: root["state"] for root in after["roots"]}
    assert states == dict.fromkeys(paths, "online") | {paths[-1]: "missing"}
    text = machine.run("roots", "--downloads", "Downloads").stdout
    assert all(path in text for path in paths)


def test_settings_name_where_they_come_from(untouched: Machine) -> None:
    config = untouched.work / "my.toml"
    config.write_text('profile = "nas"\nmove_window = "20m"\nlog_level = "debug"\n')
    arguments = ("config", "show", "--config", "my.toml", "--every", "7s")
    environ = {"COMFY_INVENTORY_LOG_LEVEL": "warning", "COMFY_INVENTORY_EVERY": "9s"}
    settings = parsed(untouched.run(*arguments, "--json", environ=environ))["settings"]
    names = ("every", "log_level", "move_window", "unsettled_every", "journal_files")
    assert {name: (settings[name]["value"], settings[name]["origin"]) for name in names} == {
        "every": ('"7s"', "option"),
        "log_level": ('"warning"', "environment COMFY_INVENTORY_LOG_LEVEL"),
        "move_window": ('"20m"', f"file {config}"),
        "unsettled_every": ('"30m"', "profile nas"),
        "journal_files": ("5", "default"),
    }
    text = untouched.run(*arguments, environ=environ).stdout
    assert re.search(r'^every +"7s" +option *$', text, re.MULTILINE)
    assert re.search(r'^unsettled_every +"30m" +profile nas *$', text, re.MULTILINE)


def test_changes_are_filtered_by_time_scan_kind_and_root(scanned: Machine) -> None:
    write(scanned.work / LORAS / "new.safetensors", "new")
    scanned.run("scan")
    (scanned.work / LORAS / "00.safetensors").rename(scanned.work / "ComfyUI/input/00.safetensors")
    (scanned.work / LORAS / "01.safetensors").unlink()
    scanned.run("scan")

    def lines(*arguments: str) -> list[tuple[str, ...]]:
        done = scanned.run("changes", "--json", *arguments)
        return told([json.loads(line) for line in done.stdout.splitlines()])

    baselines = [("baseline", f"ComfyUI/{kind}") for kind in sorted(KINDS)]
    created = ("created", f"{LORAS}/new.safetensors")
    deleted = ("deleted", f"{LORAS}/01.safetensors")
    moved = ("moved", f"{LORAS}/00.safetensors", "ComfyUI/input/00.safetensors")
    everything = [*baselines, created, deleted, moved]
    assert lines() == everything
    assert lines("--since", "2h") == everything
    assert lines("--since", "0s") == []
    assert lines("--since", "9999-01-01T00:00") == []
    assert lines("--since", "1") == [created, deleted, moved]
    assert lines("--kind", "created", "--kind", "moved") == [created, moved]
    assert lines("--root", "input", "--since", "1") == [moved]
    assert lines("--root", f"models:{scanned.work}/ComfyUI/models", "--kind", "deleted") == [
        deleted
    ]
    text = scanned.run("changes").stdout.splitlines()
    assert len(text) == len(everything)
    assert f"{LORAS}/00.safetensors -> ComfyUI/input/00.safetensors" in text[-1] + text[-2]


def test_changes_of_a_root_that_is_scanned_no_longer_are_found(scanned: Machine) -> None:
    (scanned.work / "more").mkdir()
    scanned.run("scan", "--extra", "more")
    scanned.run("scan")
    for root in ("extra", "more", f"extra:{scanned.work}/more"):
        assert "more" in scanned.run("changes", "--root", root).stdout
    scanned.run("changes", "--root", "downloads", expect=2)


def test_duplicates_know_categories_as_find_does(machine: Machine) -> None:
    encoders = machine.work / "ComfyUI" / "models" / "clip"
    for name in ("a.safetensors", "b.safetensors"):
        write(encoders / name, "the same")
    machine.run("scan")
    for category in ("clip", "CLIP", "text_encoders", "text*"):
        assert "clip/a.safetensors" in machine.run("find", "--category", category).stdout
        done = machine.run("duplicates", "--category", category, expect=1)
        assert "clip/a.safetensors" in done.stdout


def test_limit_0_sets_none(machine: Machine) -> None:
    for number in range(60):
        for name in "ab":
            write(machine.work / LORAS / f"{name}{number}.safetensors", f"same {number:0200}")
    machine.run("scan")
    found = parsed(machine.run("duplicates", "--limit", "0", "--json", expect=1))
    assert (len(found["sets"]), found["sets_left_out"]) == (60, 0)
    assert "not shown" not in machine.run("duplicates", "--limit", "0", expect=1).stdout
    assert "not shown" in machine.run("duplicates", expect=1).stdout
    files = json.loads(machine.run("find", "--limit", "0", "--json").stdout)
    assert files["count"] == 24 + 120


def test_followed_changes_come_as_they_are_written(scanned: Machine) -> None:
    with scanned.running("changes", "--follow", "--json") as following:
        following.wait_for(lambda: following.printed().count("\n") == 4, "the baselines")
        write(scanned.work / LORAS / "new.safetensors", "new")
        scanned.run("scan")
        following.wait_for(lambda: following.printed().count("\n") == 5, "the new line")
        line = json.loads(following.printed().splitlines()[-1])
        assert (line["kind"], line["path"]) == ("created", f"{LORAS}/new.safetensors")
        assert following.stop(signal.SIGINT) == 0
        assert following.log() == ""


# Holds


def test_loss_is_held_and_committed_when_it_lasts(scanned: Machine) -> None:
    lose(scanned)
    done = scanned.run("scan", "--hold-wait", "1s", "--json")
    assert parsed(done)["kinds"] == {"deleted": 20}
    lines = scanned.changes()
    assert told(lines) == [("deleted", f"{LORAS}/{number:02}.safetensors") for number in range(20)]
    assert {line["scan"] for line in lines} == {3}


def test_loss_that_comes_back_was_never_a_change(scanned: Machine) -> None:
    known = scanned.inventory()
    folder = scanned.work / LORAS
    folder.rename(scanned.work / "away")
    folder.mkdir()
    scanned.run("scan", "--hold-wait", "0", expect=3)
    assert scanned.inventory() == known
    held = scanned.status()["holds"]
    assert [(hold["files"], hold["needs_accept"]) for hold in held] == [(24, False)]
    assert_valid(scanned)
    folder.rmdir()
    (scanned.work / "away").rename(folder)
    scanned.run("scan", "--exit-code", "--hold-wait", "0")
    assert scanned.changes() == []
    assert scanned.inventory() == known


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


def test_loss_in_the_loop_is_held_for_one_interval(machine: Machine) -> None:
    with machine.running("run", "--every", "1s") as running:
        running.scans()
        lose(machine)
        running.wait_for(lambda: "held" in machine.states().values(), "the hold")
        assert machine.changes() == []
        running.wait_for(machine.changes, "the deletions")
        running.scans(2)
        assert len(machine.changes()) == 20
        assert set(machine.states().values()) == {"online"}
        assert running.stop() == 0


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


# Where ComfyUI is found


def test_workspace_of_comfy_cli_is_used_and_told(machine: Machine) -> None:
    workspace = machine.home / "comfy" / "ComfyUI"
    workspace.parent.mkdir()
    (machine.work / "ComfyUI").rename(workspace)
    base = machine.home
    folder = ("Library", "Application Support") if sys.platform == "darwin" else (".config",)
    write(
        base.joinpath(*folder, "comfy-cli", "config.ini"),
        f"[DEFAULT]\ndefault_workspace = {workspace}\n",
    )
    for command in ("scan", "roots"):
        done = machine.run(command)
        said = [line for line in done.stderr.splitlines() if "comfy-cli" in line]
        assert len(said) == 1
        assert str(workspace) in said[0]
    header = read_header(machine.output)
    assert header is not None
    assert header["base"] == str(workspace.parent)
    assert f"{LORAS}/00.safetensors" in machine.output.read_text()
    # Where another root is given, a missing ./ComfyUI is not mentioned.
    (machine.home / ".config").rename(machine.home / ".other")
    (machine.work / "mine").mkdir()
    done = machine.run("scan", "--extra", "mine", "--output", "mine.json")
    assert "ComfyUI" not in done.stderr


def test_bare_models_folder_needs_no_comfyui(machine: Machine) -> None:
    done = machine.run("scan", "--models", LORAS.rpartition("/")[0], "--output", "nas.json")
    assert "warning" not in done.stderr.lower()


# Names and things that are hard to list


HARD_NAMES = (
    b"caf\xe9.safetensors",
    b"\xff\xfe",
    b"new\nline.bin",
    b"carriage\rreturn",
    b"tab\tand \x1b[31mcolour",
    "🎨 painting.png".encode(),
    "e\u0301 and é".encode(),
    b'"quoted" \\ and back\\slashed',
    b" spaces ",
    b"-rf",
    b"%s{}$HOME",
    "\u2028 separators \u2029".encode(),
)


@pytest.fixture
def hard(machine: Machine) -> Machine:
    """An installation with everything in it that is hard to list."""
    top = os.fsencode(machine.work / LORAS)
    for number, name in enumerate(HARD_NAMES):
        try:
            with open(os.path.join(top, name), "w") as file:
                file.write(f"hard {number}")
            os.mkdir(os.path.join(top, name + b".d"))
            with open(os.path.join(top, name + b".d", b"inner"), "w") as file:
                file.write(f"inner {number}")
        except OSError:  # macOS refuses names that are not UTF-8
            continue
    loras = machine.work / LORAS
    (loras / "loop").symlink_to(".")
    (loras / "loop above").symlink_to("../..")
    (loras / "broken").symlink_to("nowhere")
    (loras / "circle").symlink_to("circle")
    shared = machine.home / "shared"
    write(shared / "deep" / "one.safetensors", "shared")
    (loras / "link 1").symlink_to(shared)
    (loras / "link 2").symlink_to(shared)
    (loras / "link to a file").symlink_to(shared / "deep" / "one.safetensors")
    (loras / os.fsdecode(b"link to caf\xe9")).symlink_to(os.fsdecode(b"caf\xe9.safetensors"))
    os.mkfifo(loras / "pipe")
    os.utime(loras / "00.safetensors", ns=(0, -1_500_000_000))
    os.utime(loras / "01.safetensors", ns=(0, 2**33 * 10**9 + 1))
    return machine


def test_everything_that_is_hard_to_list_is_listed(
    hard: Machine, unprivileged: tuple[str, ...], closing: list[Path]
) -> None:
    loras = hard.work / LORAS
    write(loras / "closed" / "inside", "inside")
    (loras / "closed").chmod(0o000)
    closing.append(loras / "closed")
    output = loras / "comfy_inventory.json"
    arguments = ("scan", "--output", output)
    hard.output = output
    hard.run(*arguments, expect=3, through=unprivileged)
    assert_valid(hard)
    entries = {os.fsencode(native(e, str(hard.work))): e for e in read_entries(output)}
    top = os.fsencode(loras)
    # Everything but our own files, what is closed, and what is below links.
    expected = {os.path.join(top, os.fsencode(name)) for name in os.listdir(loras)}
    expected -= {path for path in expected if b"comfy_inventory" in path}
    direct = {path for path in entries if os.path.dirname(path) == top}
    assert direct == expected
    assert not [path for path in entries if b"comfy_inventory." in path]
    names = [name for name in HARD_NAMES if os.path.join(top, name) in expected]
    for name in names:
        entry = entries[os.path.join(top, name)]
        assert entry["type"] == "file"
        assert entries[os.path.join(top, name + b".d", b"inner")]["type"] == "file"
        try:
            name.decode()
        except UnicodeDecodeError:
            assert base64.b64decode(entry["path_b64"]) == os.fsencode(LORAS) + b"/" + name
            assert "\ufffd" in entry["path"]
        else:
            assert entry["path"] == f"{LORAS}/{name.decode()}"
            assert "path_b64" not in entry

    def seen(name: str) -> dict[str, Any]:
        return entries[os.path.join(top, os.fsencode(name))]

    assert seen("pipe")["type"] == "other"
    for link in ("loop", "loop above", "link 1", "link 2"):
        assert (seen(link)["type"], seen(link)["leads_to"]) == ("symlink", "directory")
    for link, target in (("broken", "nowhere"), ("circle", "circle")):
        assert (seen(link)["type"], seen(link)["target"]) == ("symlink", target)
        assert "leads_to" not in seen(link)
    assert seen("link to a file")["size"] == len("shared")
    assert seen("link 1/deep/one.safetensors").get("alias_of") is None
    assert seen("link 2/deep/one.safetensors")["alias_of"] == f"{LORAS}/link 1/deep/one.safetensors"
    assert not [path for path in entries if path.startswith(os.path.join(top, b"loop"))][2:]
    assert seen("00.safetensors")["mtime"] == "1969-12-31T23:59:58.500000000Z"
    assert seen("01.safetensors")["mtime"] == "2242-03-16T12:56:32.000000001Z"


def test_changes_of_hard_names_are_told_to_everyone(
    hard: Machine, unprivileged: tuple[str, ...]
) -> None:
    hard.run("scan")
    loras = hard.work / LORAS
    top = os.fsencode(loras)
    os.rename(os.path.join(top, b"new\nline.bin"), os.path.join(top, b"newer\nline.bin"))
    is_posix_name = os.path.exists(os.path.join(top, b"\xff\xfe"))
    if is_posix_name:
        os.rename(os.path.join(top, b"\xff\xfe"), os.path.join(top, b"\xfe\xff"))
    coloured = "tab\tand \x1b[31mcolour"
    (loras / coloured).rename(loras / f"{coloured} again")
    (loras / "pipe").unlink()
    (loras / "broken").unlink()
    done = hard.run("scan")
    assert_valid(hard)
    found = told(hard.changes())
    assert ("deleted", f"{LORAS}/pipe") in found
    assert ("deleted", f"{LORAS}/broken") in found
    assert ("moved", f"{LORAS}/new\nline.bin", f"{LORAS}/newer\nline.bin") in found
    assert ("moved", f"{LORAS}/{coloured}", f"{LORAS}/{coloured} again") in found
    assert len(found) == 4 + is_posix_name
    if is_posix_name:
        line = next(line for line in hard.changes() if "path_b64" in line)
        assert base64.b64decode(line["path_b64"]) == os.fsencode(LORAS) + b"/\xfe\xff"
        assert base64.b64decode(line["from_b64"]) == os.fsencode(LORAS) + b"/\xff\xfe"
    # One change is one line, in the log, on the terminal and for programs, and colours nothing.
    text = hard.run("changes", "--since", "1").stdout
    assert len(text.splitlines()) == len(found)
    assert "\x1b" not in text + done.stderr
    assert all(re.match(r"\d{4}-\d\d-\d\d |\d", line) for line in done.stderr.splitlines())


# What a start imports


def test_installed_command_imports_no_module_of_the_working_folder(machine: Machine) -> None:
    """Whoever runs it beside a scanner.py, types.py or json.py of his own gets our program."""
    command = shutil.which("comfy-inventory", path=os.path.dirname(sys.executable))
    if command is None:
        pytest.skip("comfy-inventory is not installed beside this Python")
    for name in ("scanner", "types", "json", "typer"):
        write(machine.work / f"{name}.py", "raise SystemExit('the wrong module')")
    del machine.environ["PYTHONPATH"]
    done = subprocess.run(
        [command, "scan"],
        cwd=machine.work,
        env=machine.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, "wrong module" in done.stderr) == (0, False), done.stderr
    assert machine.inventory()


def imported(
    machine: Machine, *arguments: str, environ: Mapping[str, str] | None = None
) -> set[str]:
    """Names of the modules that a run imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "scanner", *arguments],
        cwd=machine.work,
        env={**machine.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = re.findall(r"^import time: .*\| +(\S+)$", done.stderr, re.MULTILINE)
    assert "scanner.cli" in lines
    return set(lines)


EVENT_WATCHERS = {"watchdog", "watchfiles", "inotify", "inotify_simple", "pyinotify"}


def test_help_imports_next_to_nothing(machine: Machine) -> None:
    heavy = {"apscheduler", "yaml", "psutil", "platformdirs", "asyncio", "pydantic", "sqlite3"}
    heavy |= {"orjson", "pathspec", "xxhash", "filelock"}
    assert not imported(machine, "--help") & (heavy | EVENT_WATCHERS)


READING = [
    ("status",),
    ("changes", "--root", "models"),
    ("find", "--category", "loras", "--limit", "3"),
    ("packs", "--enabled"),
    ("roots", "--models", "ComfyUI/models"),
    ("duplicates", "--root", "models"),
    ("config", "show"),
]


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("has_settings", [False, True], ids=["default", "file"])
def test_reading_command_imports_nothing_of_the_engine(
    untouched: Machine, arguments: tuple[str, ...], has_settings: bool
) -> None:
    """A file of settings costs no more: they are checked without pydantic too."""
    environ = {}
    if has_settings:
        (untouched.work / "some.toml").write_text('every = "1m"\nignore = ["*.x"]\n')
        environ["COMFY_INVENTORY_CONFIG"] = "some.toml"
    modules = imported(untouched, *arguments, environ=environ)
    heavy = {"pydantic", "apscheduler", "yaml", "scanner.service", "scanner.scan", "pathspec"}
    assert not modules & (heavy | EVENT_WATCHERS)


def test_scan_imports_no_scheduler(scanned: Machine) -> None:
    heavy = {"apscheduler", "tzlocal", "psutil", "yaml", "jsonschema", "pydantic"}
    assert not imported(scanned, "scan") & (heavy | EVENT_WATCHERS)
    write(scanned.work / "ComfyUI" / "extra_model_paths.yaml", "mine:\n  loras: /nowhere/loras\n")
    assert "yaml" in imported(scanned, "roots")


def test_loop_imports_no_event_watcher(machine: Machine) -> None:
    machine.environ["PYTHONPROFILEIMPORTTIME"] = "1"
    with machine.running("run", "--every", "1s") as running:
        running.scans()
        lines = set(re.findall(r"^import time: .*\| +(\S+)$", running.log(), re.MULTILINE))
    assert "apscheduler" in lines
    assert not lines & EVENT_WATCHERS
