"""Grouped help with examples, completion in four shells, and the man page."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from scanner.cli import _app_for, whole_app
from scanner.commands.table import COMMANDS as TABLE
from scanner.console.examples import EXAMPLES, PANELS
from scripts.man_page import PAGE, commands, man_page
from tests.support.machine import Machine

GROUP: Any = get_command(whole_app())
COMMANDS = dict(commands(GROUP))
SHELLS = ("bash", "zsh", "fish", "powershell")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    program = tmp_path / "bin" / "comfy-inventory"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scanner "$@"\n')
    program.chmod(0o755)
    return machine


def test_every_command_stands_in_a_group_of_the_help() -> None:
    assert set(GROUP.commands) <= set(PANELS)
    assert {name: each.rich_help_panel for name, each in GROUP.commands.items()} == {
        name: PANELS[name] for name in GROUP.commands
    }


@pytest.mark.parametrize("columns", ["80", "140"])
def test_help_shows_groups_and_examples(machine: Machine, columns: str) -> None:
    text = machine.run("--help", environ={"COLUMNS": columns}).stdout
    for group in PANELS.values():
        assert group in text
    for example in EXAMPLES[""]:
        assert example in text


EXAMPLE_LINES = [(name, line) for name, lines in EXAMPLES.items() for line in lines]


@pytest.mark.parametrize(("name", "line"), EXAMPLE_LINES)
def test_examples_are_understood(name: str, line: str) -> None:
    program, *words = shlex.split(line.partition(" > ")[0])
    assert program == "comfy-inventory"
    depth = 1 + (words[0] in ("comfyui", "config", "fleet", "service", "workflow"))
    command = COMMANDS[" ".join(words[:depth])]
    if name:
        assert command is COMMANDS[name]
    command.make_context(line, words[depth:]).close()


@pytest.mark.skipif(sys.platform == "win32", reason="a script of sh")
@pytest.mark.parametrize("shell", SHELLS)
def test_completion_script_of_each_shell(machine: Machine, shell: str) -> None:
    variable = {"_COMFY_INVENTORY_COMPLETE": f"source_{shell}"}
    text = machine.run(environ=variable).stdout
    assert "_COMFY_INVENTORY_COMPLETE" in text
    program = shutil.which(shell)
    if program and shell != "powershell":
        subprocess.run([program, "-n"], input=text, text=True, check=True, timeout=20)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_commands_and_options(machine: Machine) -> None:
    script = (
        'eval "$(_COMFY_INVENTORY_COMPLETE=source_bash comfy-inventory)"\n'
        "complete -p comfy-inventory | grep -o '_comfy_inventory_completion'\n"
        'for line in "st" "find --base" "service un"; do\n'
        "  COMP_WORDS=(comfy-inventory $line); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))\n"
        '  COMPREPLY=(); _comfy_inventory_completion comfy-inventory; echo "${COMPREPLY[@]}"\n'
        "done\n"
    )
    done = subprocess.run(
        ["bash", "-c", script],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split("\n")[1:4] == ["status", "--base-model", "uninstall"], done.stderr


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes_commands(machine: Machine) -> None:
    script = (
        "_COMFY_INVENTORY_COMPLETE=source_fish comfy-inventory | source\n"
        "complete --do-complete 'comfy-inventory dupl'\n"
    )
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env={**machine.environ, "XDG_RUNTIME_DIR": str(machine.home)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("duplicates\t"), done.stderr


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_gets_commands(machine: Machine) -> None:
    environ = {
        **machine.environ,
        "_COMFY_INVENTORY_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "comfy-inventory pac",
    }
    done = subprocess.run(
        ["zsh", "-f", "-c", "_arguments() { print -l -- $@ }; eval $(comfy-inventory)"],
        env=environ, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "packs" in done.stdout, done.stderr


def test_man_page_is_that_of_this_command_line() -> None:
    assert PAGE.read_text(encoding="utf-8") == man_page(), "run: python -m scripts.man_page"
    for name in COMMANDS:
        escaped = name.replace("-", "\\-")
        assert f'.SS "comfy\\-inventory {escaped}"' in man_page()


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_man_page_is_rendered_without_warnings() -> None:
    done = subprocess.run(
        ["man", "-l", "--warnings", str(PAGE)],
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert "EXIT STATUS" in done.stdout and "comfy-inventory find sdxl base" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_alone_is_the_command_among_all(name: str) -> None:
    """At start only the command that is called is made."""
    narrowed: Any = get_command(_app_for([*name.split(), "--help"]))
    assert list(narrowed.commands) == [name.split(maxsplit=1)[0]]
    alone, among_all = dict(commands(narrowed))[name], COMMANDS[name]
    assert [(one.name, one.opts) for one in alone.params] == [
        (one.name, one.opts) for one in among_all.params
    ]
    assert (alone.help, alone.epilog) == (among_all.help, among_all.epilog)


@pytest.mark.parametrize("argv", [[], ["--help"], ["nonsense"], ["--version", "scan"]])
def test_help_and_unknown_commands_know_all(argv: list[str]) -> None:
    outline: Any = get_command(_app_for(argv))
    assert list(outline.commands) == list(GROUP.commands)


def test_table_of_commands_is_that_of_the_commands_themselves() -> None:
    first_paragraphs = {name: each.help.split("\n\n")[0] for name, each in GROUP.commands.items()}
    assert {name: row.summary for name, row in TABLE.items()} == first_paragraphs
    assert list(TABLE) == list(GROUP.commands)


@pytest.mark.parametrize("columns", ["60", "80", "140"])
def test_help_without_the_commands_looks_as_with_them(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = []
    for app in (_app_for(["--help"]), whole_app()):
        app(["--help"], prog_name="comfy-inventory", standalone_mode=False)
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert "scan" in shown[0]


def test_words_after_two_dashes_are_a_command(machine: Machine) -> None:
    done = machine.run("--", "schema", "status")
    assert "comfy-inventory" in done.stdout
