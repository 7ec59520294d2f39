"""Every command that README.md and docs/ show does what they say."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from scanner.cli import whole_app
from scanner.settings.schema import TYPES
from scripts.man_page import commands
from tests.support.documents import (
    RUN,
    SHOWN,
    Block,
    Home,
    blocks,
    build_wheel,
    loosely,
    pages,
    run_block,
)
from tests.support.machine import CHECKOUT, Machine

BLOCKS = [block for page in pages() for block in blocks(page)]
NOT_RUN = [block for block in BLOCKS if block.not_run]
RUN_PAGES = sorted({block.page for block in BLOCKS if block.runs_here})
MARK = re.compile(
    r"not run: .{10,}|recipe: .+|until stopped|ends with \d+|never scanned before|answered by Enter"
    r"|begin of \w+|end of \w+"
)
GROUPS = ("comfyui", "config", "fleet", "service", "workflow")
COMMANDS: dict[str, Any] = dict(commands(get_command(whole_app())))
CANNOT_REACH_INDEX = ("No matching distribution found", "error sending request", "Connection")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_every_block_says_what_it_is() -> None:
    assert [b.name for b in BLOCKS if b.language not in RUN | SHOWN] == []
    assert [b.name for b in BLOCKS if b.mark and not MARK.fullmatch(b.mark)] == []
    for page in pages():
        fences = re.findall("^ *```", (CHECKOUT / page).read_text("utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), f"{page} has a block that is not found"


def test_commands_stand_in_blocks_that_run() -> None:
    """In a block of another language a command would never be run."""
    begins = re.compile(r"^(?:\$ |comfy-inventory |make |pipx |uvx? |docker )", re.MULTILINE)
    assert [b.name for b in BLOCKS if b.language in SHOWN - {"powershell"} and not b.not_run
            and begins.search(b.text)] == []  # fmt: skip
    assert [b.name for b in BLOCKS if b.language == "powershell" and not b.not_run] == []


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: block.name)
def test_not_run(block: Block) -> None:
    """Lists what is not run, and why. Its own commands exist all the same."""
    check_words(block.name, block.text)
    pytest.skip(f"not run: {block.not_run}")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform == "win32", reason="the commands are for a shell")
@pytest.mark.parametrize("page", RUN_PAGES)
def test_page_does_what_it_says(page: str, tmp_path: Path, wheel: Path) -> None:
    home = Home(tmp_path, wheel, is_scanned=page != "README.md")
    for block in blocks(page):
        if not block.runs_here or not has_tools(block):
            continue
        try:
            for command, expected, printed in run_block(home, block):
                if expected:
                    shown = f"{block.name}: $ {command}\n{printed}"
                    assert loosely(printed) == loosely(expected), shown
        except AssertionError as error:
            unreached = any(sign in str(error) for sign in CANNOT_REACH_INDEX)
            if block.installs and unreached and "CI" not in os.environ:
                continue
            raise


def has_tools(block: Block) -> bool:
    """Whether what installs is there. In CI it must be."""
    wanted = {"uv": r"\buvx?\b", "pipx": r"\bpipx\b"}
    lacking = [
        tool
        for tool, sign in wanted.items()
        if block.installs and re.search(sign, block.text) and not shutil.which(tool, path=PATH)
    ]
    if lacking and os.environ.get("CI") == "true":
        pytest.fail(f"{', '.join(lacking)} of the extra `docs` is not installed")
    return not lacking


PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=lambda b: b.name)
def test_json_is_json(block: Block) -> None:
    for line in block.text.splitlines():
        json.loads(line.replace(", ... ", ","))


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=lambda b: b.name)
def test_settings_exist(block: Block) -> None:
    assert set(tomllib.loads(block.text)) <= {*TYPES, "per_root"}


@functools.cache
def options_of(name: str) -> frozenset[str]:
    parameters = COMMANDS[name].params
    own = {each for one in parameters for each in (*one.opts, *one.secondary_opts)}
    return frozenset(own | {"--help", "-h"})


def check_words(where: str, text: str) -> None:
    """Every `comfy-inventory` command in `text` exists, and so does every option that it has."""
    for found in re.finditer(r"(?<![\w/.-])comfy-inventory ([a-z][^`\n|;&>)]*)", text):
        try:
            words = shlex.split(found[1])
        except ValueError:
            words = found[1].split()
        name = " ".join(words[: 1 + (words[0] in GROUPS)])
        if name not in COMMANDS:
            assert words[0] in (*GROUPS, "comfy-inventory"), f"{where}: {found[0]}"
            continue
        given = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
        assert given <= options_of(name), f"{where}: {found[0]}"


@pytest.mark.parametrize("page", pages())
def test_named_commands_and_options_exist(page: str) -> None:
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`(comfy-inventory [^`\n]+)`", prose):
        check_words(page, code)
    for block in blocks(page):
        if block.language in ("sh", "console", "text"):
            lines = [line for line in block.text.splitlines() if "comfy-inventory " in line]
            for line in lines:
                if block.language != "console" or line.startswith("$ "):
                    check_words(block.name, line)


def test_a_wrong_option_is_found() -> None:
    with pytest.raises(AssertionError):
        check_words("here", "comfy-inventory find --no-such-option")
    with pytest.raises(AssertionError):
        check_words("here", "comfy-inventory nonsense")


def test_a_wrong_output_is_found(tmp_path: Path) -> None:
    assert loosely("3 files,  1.2 GB; 0.3 s") == loosely("14 files, 8 MB; 20 ms")
    assert loosely("3 files, no changes") != loosely("3 files, 2 changes")
    home = Machine(tmp_path)
    assert home.run("--version").stdout.startswith("comfy-inventory ")
