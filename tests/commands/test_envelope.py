"""With --json every command prints one envelope, whatever comes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator

from scanner.cli import whole_app
from scanner.console.envelope import command_of
from scanner.output.inventory_reader import read_entries
from scanner.schemas import load_schema
from tests.support.installation import LORAS
from tests.support.machine import Machine, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")

WITHOUT = {"schema", "run", "serve", "service logs", "metrics"}
"""Commands without an envelope: a schema is JSON itself, Prometheus reads its own format, `run`
prints events as lines, `serve` answers requests, and the log is that of the system."""

GOOD: dict[str, tuple[tuple[str, ...], int]] = {
    "init": (("--print",), 0),
    "scan": ((), 0),
    "status": ((), 0),
    "changes": ((), 0),
    "history": ((), 0),
    "find": ((), 0),
    "packs": ((), 0),
    "notify": (("--test",), 0),
    "roots": ((), 0),
    "doctor": (("ComfyUI/models",), 0),
    "tune": (("ComfyUI/models",), 0),
    "duplicates": ((), 0),
    "unused": ((), 0),
    "used-by": (("00.safetensors",), 0),
    "hash": ((), 0),
    "verify": ((), 0),
    "export": (("-o", "exported.jsonl"), 0),
    "workflow check": (("workflow.json",), 0),
    "report": ((), 0),
    "fleet publish": (("--at", "share"), 0),
    "fleet where": (("00.safetensors", "--at", "share"), 0),
    "fleet missing": (("--of", "one", "--at", "share"), 0),
    "fleet duplicates": (("--at", "share"), 0),
    "fleet changes": (("--at", "share"), 0),
    "fleet hosts": (("--at", "share"), 0),
    "fleet sql": (("SELECT 1 AS one", "--at", "share"), 0),
    "fleet forget": (("one", "--at", "share"), 0),
    "config show": ((), 0),
    "comfyui install": ((), 0),
    "comfyui status": ((), 0),
    "comfyui uninstall": ((), 0),
    "service install": (("--print",), 0),
    "service uninstall": ((), 0),
    "service status": ((), 1),
}
"""Arguments with which each command does its work, and its exit code then. `accept` has nothing to
do here."""


def commands(group: Any = None, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each command of the program by its whole name."""
    top: Any = group or typer.main.get_command(whole_app())
    for name, command in top.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


COMMANDS = dict(commands())
ENVELOPED = sorted(COMMANDS.keys() - WITHOUT)


def checked(done: subprocess.CompletedProcess[str], command: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)
    schema = load_schema("envelope")
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    assert document["command"] == command
    return document


def options_of(command: Any) -> set[str]:
    return {text for option in command.params for text in option.opts}


@pytest.mark.parametrize("command", ENVELOPED)
def test_every_command_prints_an_envelope(untouched: Machine, command: str) -> None:
    assert "--json" in options_of(COMMANDS[command])
    if command == "accept":
        done = untouched.run("accept", "--json", expect=2)
        assert checked(done, "accept")["error"]["message"] in done.stderr
        return
    arguments, code = GOOD[command]
    if command == "notify":
        config = untouched.work / "notify.toml"
        config.write_text("on_event = ['true']\n")
        arguments = (*arguments, "--config", str(config))
    if command == "comfyui status":
        untouched.run("comfyui", "install")
    if command.startswith("fleet "):
        name = {"COMFY_INVENTORY_PUBLISH_AS": "one"}
        untouched.run("fleet", "publish", "--at", "share", environ=name)
    document = checked(untouched.run(*command.split(), *arguments, "--json", expect=code), command)
    assert document["ok"]


@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize("wrong", ["--no-such-option", "--config=nowhere.toml"])
def test_wrong_use_is_an_envelope_too(untouched: Machine, command: str, wrong: str) -> None:
    if command in WITHOUT and "--json" not in options_of(COMMANDS[command]):
        return
    if wrong.startswith("--config") and "--config" not in options_of(COMMANDS[command]):
        return
    required = {"tune": ["ComfyUI/models"], "fleet missing": ["--of", "one"]}
    words = {"fleet where": "x", "fleet sql": "SELECT 1", "fleet forget": "x"}
    paths = required.get(command, [words[command]] if command in words else [])
    done = untouched.run(*command.split(), *paths, wrong, "--json", expect=2)
    document = checked(done, command)
    assert (document["ok"], document["data"], document["error"]["code"]) == (False, None, 2)
    assert done.stderr and not done.stderr.startswith("{")


def test_errors_carry_the_exit_code_and_a_hint(machine: Machine) -> None:
    for command in ("status", "changes", "find", "packs"):
        error = checked(machine.run(command, "--json", expect=2), command)["error"]
        assert error["code"] == 2
        assert "comfy_inventory" in error["message"]
    assert (
        "comfy-inventory scan"
        in checked(machine.run("status", "--json", expect=2), "status")["error"]["hint"]
    )


def test_inventory_that_breaks_off_ends_the_document_with_an_error(scanned: Machine) -> None:
    lines = scanned.output.read_bytes().splitlines(keepends=True)
    entries = len(list(read_entries(scanned.output)))
    scanned.output.write_bytes(b"".join([*lines[:-2], b'{"path": \n', *lines[-2:]]))
    done = scanned.run("find", "--type", "file", "--type", "directory", "--json", expect=2)
    document = checked(done, "find")
    assert not document["ok"] and document["error"]["message"] in done.stderr
    assert 1 <= len(document["data"]["entries"]) < entries


def test_json_after_two_dashes_is_a_word(untouched: Machine) -> None:
    assert "{" not in untouched.run("find", "--", "--json").stdout


def test_command_is_known_from_its_words() -> None:
    assert command_of(["config", "show", "--json"]) == "config show"
    assert command_of(["find", "sdxl", "--json"]) == "find"
    assert command_of(["--json"]) == command_of([]) == ""


# What options mean in every command


LISTING = ("find", "changes", "packs", "duplicates")


@pytest.mark.parametrize("command", LISTING)
def test_exit_code_is_1_for_anything_listed_and_only_when_asked(
    machine: Machine, command: str
) -> None:
    write(machine.work / LORAS / "twin.safetensors", "the same")
    write(machine.work / LORAS / "other.safetensors", "the same")
    write(machine.work / "ComfyUI/custom_nodes/Pack/__init__.py", "")
    machine.run("scan")
    machine.run("scan")
    nothing = {"find": "no_such_name", "packs": "--disabled", "duplicates": "ComfyUI/input"}
    empty = nothing.get(command, "--kind=moved")
    for more in ((), ("--json",)):
        machine.run(command, *more)
        machine.run(command, *more, "--exit-code", expect=1)
        machine.run(command, empty, *more)
        machine.run(command, empty, *more, "--exit-code")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_common_options_are_alike(command: str) -> None:
    options = {text: option for option in COMMANDS[command].params for text in option.opts}
    if command in LISTING:
        assert options["-n"] is options["--limit"]
        assert "--exit-code" in options
    assert options.get("-n") in (None, options.get("--limit"), options.get("--lines"))
    assert options["-q"] is options["--quiet"]
    assert options.get("-v") is options.get("--verbose")
    if "--log-level" in options:
        assert "-v" in options


def test_limit_is_that_of_the_newest_changes(scanned: Machine) -> None:
    write(scanned.work / LORAS / "new.safetensors", "new")
    scanned.run("scan")
    (line,) = checked(scanned.run("changes", "-n", "1", "--json"), "changes")["data"]["changes"]
    assert line["path"].endswith("new.safetensors")


def test_quiet_leaves_errors_only(machine: Machine) -> None:
    assert machine.run("scan", "-q").stderr == ""
    assert machine.run("find", "nothing", "-q").stderr == ""
    assert "nowhere.toml" in machine.run("scan", "-q", "--config", "nowhere.toml", expect=2).stderr


def test_verbose_logs_more(machine: Machine) -> None:
    assert "scan 1: " in machine.run("scan", "-v").stderr
    assert "scan 2: " not in machine.run("scan").stderr
