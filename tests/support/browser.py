"""Pages in the Chromium of the system, watched: what they complain of, and what they ask for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.real_mounts import require, unmet

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

HEIGHT = 900


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window. Where there is none, the test is left out."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unmet("playwright is not installed: make browser")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None) or require("chromium")[0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """Contexts of a browser whose pages are watched."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.faults: list[str] = []
        """What pages and their scripts complained of."""
        self.requests: list[str] = []

    def page(self, *, width: int = 1280, scheme: str = "light", **options: Any) -> Any:
        """A new page, in a context of its own."""
        size = {"width": width, "height": HEIGHT}
        context = self._browser.new_context(viewport=size, color_scheme=scheme, **options)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        return page

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):  # the rest is advice for those who write pages
            self.faults.append(f"{message.type}: {message.text}")

    def close(self) -> None:
        """Close all pages that are open."""
        while self._contexts:
            self._contexts.pop().close()


def serious_faults(page: Any) -> list[tuple[str, str, list[Any]]]:
    """What axe-core finds that keeps people from using the page as it stands."""
    if not AXE.exists():
        unmet("axe-core is not installed: make web")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        (each["id"], each["help"], [node["target"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
