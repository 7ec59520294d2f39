"""Take the picture of docs/report.md: `python -m scripts.report_picture`. It is the report of the
sample with some problems in it, in the Chromium of the system."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from scripts.build_sample import build
from scripts.sample_problems import add_problems

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "report.png"

WIDTH, HEIGHT = 1180, 1180


def make_report(top: Path) -> Path:
    """The report of the sample, scanned before and after it got its problems."""
    build(str(top))
    program = [sys.executable, "-m", "scanner"]
    scan = ["scan", "--comfy-root", "ComfyUI", "--downloads", "Downloads"]
    subprocess.run([*program, *scan], cwd=top, check=True)
    add_problems(top)
    for _ in range(2):
        subprocess.run([*program, *scan], cwd=top, check=True)
    subprocess.run([*program, "report", "-o", "inventory.html"], cwd=top, check=True)
    return top / "inventory.html"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_path = make_report(Path(folder))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(page_path.as_uri())
        page.wait_for_selector("html[data-ready]")
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
