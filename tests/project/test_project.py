"""The documents, imports and files of the repository keep its promises."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import scanner.cli  # noqa: F401, it declares the commands
from scanner.console.app import app

CHECKOUT = Path(__file__).resolve().parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
EVENT_WATCHERS = re.compile(r"watchdog|watchfiles|\w*inotify\w*|fsevents|pyinotify", re.IGNORECASE)


def _shown_commands() -> str:
    """The code of the README: its fenced blocks and what stands between backticks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", prose)])


def test_readme_names_only_commands_that_exist() -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", _shown_commands(), flags=re.MULTILINE))
    assert {"run", "test-all"} <= named <= targets
    own = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"^comfy-inventory ([a-z]+)", _shown_commands(), flags=re.MULTILINE))
    assert {"run", "scan"} <= named <= own


def test_readme_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert [link for link in links if not (CHECKOUT / link).exists()] == []


def _imported_names(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_program_never_imports_an_event_watcher() -> None:
    files = [*CHECKOUT.glob("scanner/**/*.py"), *CHECKOUT.glob("scripts/**/*.py")]
    assert files
    found = {
        f"{file.relative_to(CHECKOUT)}: {name}"
        for file in files
        for name in _imported_names(file)
        if EVENT_WATCHERS.fullmatch(name.partition(".")[0])
    }
    assert found == set()


def _committable_files() -> list[Path]:
    """Files that git has or would take."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=CHECKOUT,
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    paths = {CHECKOUT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name}
    return sorted(path for path in paths if path.is_file())


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    personal = {str(CHECKOUT), os.path.expanduser("~"), sys.prefix} - {sys.base_prefix, "/"}
    pattern = re.compile(
        r"(?<![\w.~/-])(?:" + "|".join(re.escape(folder) for folder in sorted(personal)) + r")[/\\]"
    )
    found = [
        f"{file.relative_to(CHECKOUT)}: {match[0]}"
        for file in _committable_files()
        for match in pattern.finditer(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []
