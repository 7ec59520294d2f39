"""The documents, imports and files of the repository keep its promises."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from typer.main import get_command

from scanner.cli import whole_app
from scripts import describe_settings
from tests.support.machine import DOCUMENTED

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
    own = set(get_command(whole_app()).commands)  # type: ignore[attr-defined]
    named = set(
        re.findall(r"^(?:\$ )?comfy-inventory ([a-z]+)", _shown_commands(), flags=re.MULTILINE)
    )
    assert {"run", "scan"} <= named <= own


def test_readme_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert [link for link in links if not (CHECKOUT / link).exists()] == []


def test_readme_is_short_and_says_what_matters_first() -> None:
    assert len(README.split()) <= 600
    for line in ("uv tool install comfy-inventory", "pipx install comfy-inventory", DOCUMENTED):
        assert f"\n{line}\n" in README
    assert "uvx comfy-inventory scan --comfy-root" in README
    for said in ("Never install it into ComfyUI's", "on the NAS itself", "not tested"):
        assert said in README


def test_readme_needs_no_address_of_the_repository() -> None:
    assert re.findall(r"https?://\S+", README) == []


def test_page_of_the_package_has_no_link_that_leads_nowhere() -> None:
    """There, files of the checkout are missing: links to them are their words, pictures go."""
    builder = ProjectMetadata(str(CHECKOUT), PluginManager())
    page = builder.core.readme
    assert "uv tool install comfy-inventory" in page
    assert re.findall(r"\]\((?!https?:)[^)]*\)|!\[|<!--", page) == []
    assert "Settings, which settings fit your mount" in page


def test_pages_that_are_made_from_the_program_are_current() -> None:
    page = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert describe_settings.described(page) == page, "run: make docs-anew"
    assert "| `every` |" in page and "| `auto_duty` | `0.02` |" in page


GUARANTEES = (CHECKOUT / "docs" / "guarantees.md").read_text(encoding="utf-8")


def test_every_rule_stands_among_the_guarantees() -> None:
    assert re.findall(r"^## (\d+)\. ", GUARANTEES, re.MULTILINE) == [str(n) for n in range(1, 13)]
    for text in re.split(r"^## \d+\. ", GUARANTEES, flags=re.MULTILINE)[1:]:
        assert len(re.findall(r"^- `tests/\S+::test_\w+`$", text, re.MULTILINE)) >= 3, text[:60]


@pytest.mark.parametrize("named", re.findall(r"`(tests/\S+)`", GUARANTEES))
def test_tests_of_the_guarantees_exist(named: str) -> None:
    path, _, name = named.partition("::")
    assert f"\ndef {name}(" in (CHECKOUT / path).read_text(encoding="utf-8")


def test_documents_need_no_checkout_around_them() -> None:
    """As pages of a site they would have links that lead out of it."""
    pages = {path: path.read_text(encoding="utf-8") for path in CHECKOUT.glob("docs/*.md")}
    assert len(pages) > 15
    found = [
        f"{path.name}: {link}"
        for path, text in pages.items()
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        if link.startswith("..") or not (path.parent / link).exists()
    ]
    assert found == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_pages_are_built_strictly_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    if importlib.util.find_spec("material") is None:
        assert "CI" not in os.environ, "the extra `docs` is not installed"
        pytest.skip("the extra `docs` is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=CHECKOUT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert {"index.html", "settings.html", "faq.html"} <= {page.name for page in pages}
    loaded = re.compile(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]+")
    assert [found for page in pages for found in loaded.findall(page.read_text("utf-8"))] == []


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
