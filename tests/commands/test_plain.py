"""Command lines that are read without Typer mean what they mean with it."""

from __future__ import annotations

from typing import Any

import pytest

from scanner import cli
from scanner.commands import plain
from scanner.console.terminal import is_quiet, set_quiet

LINES = (
    "",
    "--comfy-root /a --output /b/i.json",
    "--workspace /a -o /b -c /c.toml",
    "--models /a --models=/b --downloads /c --workflows /d --extra /e",
    "--extra-model-paths-config /a --base-directory /b --output-directory /c",
    "--input-directory /a --user-directory /b --profile nas --config /d",
    "--log-file /a --log-level info --hold-wait 2s --cluster local:2",
    "--exit-code --utc --json",
    "-q",
    "--quiet --log-level debug",
    "--verbose",
    "-v --json",
    "--output= --models=",
    "--output=a=b",
)

LEFT_TO_TYPER = (
    "--help",
    "-h",
    "more",
    "--",
    "--output",
    "--output -x",
    "--output /a --output /b",
    "--comfy-root /a --workspace /b",
    "-o/a",
    "-o=/a",
    "-qv",
    "--json=1",
    "--unknown",
    "--unknown /a",
    "--outpu /a",
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], bool]]:
    """The options that a scan gets, and whether it is quiet."""
    found: list[tuple[dict[str, Any], bool]] = []

    def scan_once(**options: Any) -> int:
        found.append((options, is_quiet()))
        return 3

    monkeypatch.setattr("scanner.commands.scan.once.scan_once", scan_once)
    monkeypatch.setattr("scanner.console.terminal._is_quiet", False)
    return found


@pytest.mark.parametrize("line", LINES)
def test_plain_options_are_what_typer_takes_them_for(line: str, calls: list[Any]) -> None:
    argv = ["scan", *line.split()]
    run = plain.plain_command(argv)
    assert run is not None
    assert run() == 3
    set_quiet(False)
    application = cli._app_for(argv)
    assert application(argv, prog_name="comfy-inventory", standalone_mode=False) == 3
    ours, theirs = calls
    assert ours == theirs


@pytest.mark.parametrize("line", LEFT_TO_TYPER)
def test_everything_else_is_left_to_typer(line: str) -> None:
    assert plain.plain_command(["scan", *line.split()]) is None


def test_other_commands_and_completion_are_left_to_typer() -> None:
    assert plain.plain_command([]) is None
    assert plain.plain_command(["status"]) is None
    assert plain.plain_command(["--quiet", "scan"]) is None
    assert plain.plain_command(["scan"], {"_COMFY_INVENTORY_COMPLETE": "complete_bash"}) is None


def test_the_start_knows_which_commands_need_no_typer() -> None:
    assert set(cli.PLAIN) == set(plain.COMMANDS)


def test_every_option_of_the_command_is_read_without_typer() -> None:
    """But for the help, which Typer makes."""
    from typer.main import get_command

    declared = get_command(cli._app_for(["scan"])).commands["scan"]  # type: ignore[attr-defined]
    options = plain.COMMANDS["scan"][0]
    known = {**options.texts, **options.lists, **options.flags}
    assert {name: each.name for each in declared.params for name in each.opts} == known
