"""The pages of `report` and `serve` are built from web/; what is committed is what that gives."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.real_mounts import require, unmet

CHECKOUT = Path(__file__).resolve().parents[2]
WEB = CHECKOUT / "web"
PACKAGE = CHECKOUT / "scanner"
REPORT = Path("commands", "report", "bundle")
SERVED = Path("web", "bundle")
BUILT = (
    *(REPORT / name for name in ("report.js", "report.css", "NOTICE")),
    *(SERVED / name for name in ("app.js", "app.css", "index.html", "icon.svg", "NOTICE")),
)


def test_the_bundle_is_built_from_its_source(tmp_path: Path) -> None:
    (node,) = require("node")
    if not (WEB / "node_modules" / "esbuild").exists():
        unmet("esbuild is not installed: make web")
    subprocess.run([node, WEB / "build.js", tmp_path], check=True, timeout=100)
    for name in BUILT:
        assert (tmp_path / name).read_bytes() == (PACKAGE / name).read_bytes(), "run: make web"
    found = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == set(BUILT)


def test_versions_are_exact() -> None:
    package = json.loads((WEB / "package.json").read_bytes())
    locked = json.loads((WEB / "package-lock.json").read_bytes())["packages"]
    for name, version in (package["dependencies"] | package["devDependencies"]).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in fields for name, fields in locked.items() if name)


@pytest.mark.parametrize("name", ["package.json", "package-lock.json", ".npmrc"])
def test_no_address_of_a_registry_is_named(name: str) -> None:
    text = (WEB / name).read_text("utf-8")
    assert "://" not in text
    assert '"resolved"' not in text


def test_licences_of_all_that_is_in_the_bundle_are_there() -> None:
    package = json.loads((WEB / "package.json").read_bytes())
    notice = (PACKAGE / SERVED / "NOTICE").read_text("utf-8")
    for name, version in package["dependencies"].items():
        assert f"\n{name} {version} (" in notice
    assert notice.count("Permission ") >= 4
    in_report = (PACKAGE / REPORT / "NOTICE").read_text("utf-8")
    assert set(_packages(in_report)) < set(_packages(notice))


def _packages(notice: str) -> list[str]:
    return re.findall(r"(?m)^\S+ \d+\.\d+\.\d+ \(", notice)


def test_the_bundle_cannot_end_its_element() -> None:
    bundle = PACKAGE / REPORT
    assert "</script" not in (bundle / "report.js").read_text("utf-8").lower()
    assert "</style" not in (bundle / "report.css").read_text("utf-8").lower()
    assert (bundle / "report.js").read_text("utf-8").isascii()


def test_the_served_page_names_no_other_host_and_has_nothing_inline() -> None:
    bundle = PACKAGE / SERVED
    html = (bundle / "index.html").read_text("utf-8")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert addresses == ["assets/icon.svg", "assets/app.css", "assets/app.js"]  # all relative
    assert not re.search(r"<style|style=|<script(?![^>]* src=)| on\w+=", html)
    assert "@import" not in (bundle / "app.css").read_text("utf-8")
    assert "url(" not in (bundle / "app.css").read_text("utf-8")


def test_sources_write_no_markup() -> None:
    """Names of files come onto the page as text nodes."""
    text = "".join(path.read_text("utf-8") for path in sorted((WEB / "src").rglob("*.js")))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)
