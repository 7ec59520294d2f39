"""The command line as a whole: wrong use, closed pipes, and the imports of help."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.installation import EVENT_WATCHERS, imported, sentence
from tests.support.machine import PATIENCE, Machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


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


@pytest.mark.parametrize("arguments", [("rescan",), ("scan", "--evry", "5s"), ("scan", "--every")])
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


@pytest.mark.parametrize("command", ["changes", "changes --json", "roots"])
def test_reader_that_goes_away_is_no_error(untouched: Machine, command: str) -> None:
    """As in `comfy-inventory changes | head -1`."""
    done = subprocess.run(
        ["sh", "-c", f'{{ python -m scanner {command}; echo "exit $?" >&2; }} | true'],
        cwd=untouched.work,
        env=untouched.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == "exit 0\n"


def test_help_imports_next_to_nothing(machine: Machine) -> None:
    heavy = {"apscheduler", "yaml", "psutil", "platformdirs", "asyncio", "pydantic", "sqlite3"}
    heavy |= {"orjson", "pathspec", "xxhash", "filelock"}
    assert not imported(machine, "--help") & (heavy | EVENT_WATCHERS)
