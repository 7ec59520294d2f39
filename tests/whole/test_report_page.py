"""The page that `report` writes, in a real Chromium. It may load nothing, so nothing here is on a
network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.output.inventory_reader import read_entries
from tests.support import browser
from tests.support.browser import AXE
from tests.support.library import HOSTILE, build_library, write_large
from tests.support.machine import Machine
from tests.support.real_mounts import unmet

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

FIRST_PAINT = 2000
"""Milliseconds within which the page must begin to show, on a machine that is busy with tests."""

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("library"))
    build_library(machine)
    machine.run("report", "-o", "inventory.html")
    return machine


@pytest.fixture
def faults() -> list[str]:
    """What the opened pages complained of, and what they requested."""
    return []


@pytest.fixture
def opened(chromium: Any, faults: list[str]) -> Iterator[Open]:
    """Opens a page. At the end of the test there may be no faults."""
    contexts = []
    all_requests: list[tuple[str, list[str]]] = []

    def open_page(path: Path, *, width: int = 1280, scheme: str = "light") -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        all_requests.append((path.as_uri(), requests))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
    assert all(requests == [own] for own, requests in all_requests)


def page_of(machine: Machine) -> Path:
    return machine.work / "inventory.html"


def shown_files(page: Any, search: str) -> list[str]:
    """The names in the list of files that a search leaves."""
    page.fill("#files input[type=search]", search)
    texts: list[str] = page.locator("#files tbody td:first-child").all_text_contents()
    return texts


def test_every_part_is_shown(library: Machine, opened: Open) -> None:
    page = opened(page_of(library))
    assert "files are broken" in page.locator(".answer").inner_text()
    for part, text in {
        "space": "diffusion_models",
        "problems": "downloaded.safetensors",
        "duplicates": "copy 1.safetensors",
        "changes": "odd names",
        "files": "dm_flux2_dev.safetensors",
        "packs": "comfyui-impact-pack",
        "drives": "online",
    }.items():
        assert text in page.locator(f"#{part}").inner_text(), part
    assert page.locator("#space svg g").count() > 100


def test_names_are_text_and_nothing_else(library: Machine, opened: Open) -> None:
    page = opened(page_of(library))
    page.uncheck("#files input[type=checkbox]")
    shown = shown_files(page, "odd names")
    assert len(shown) == len(HOSTILE)
    assert any(name.startswith("<img src=x onerror=alert(1)>") for name in shown)
    assert any(name.startswith(r"a\u2028b\u2029c.safetensors") for name in shown)
    assert any(name.startswith(r"bell\x07 esc\x1b[31m line\nend.safetensors") for name in shown)
    assert any(name.startswith(r"\u202egnp.safetensors") for name in shown)
    assert any(name.startswith("&lt;&amp;.safetensors") for name in shown)
    assert "caf\ufffd" in shown_files(page, "caf")[0]
    assert page.locator("img, iframe, script[src]").count() == 0
    assert page.evaluate("document.querySelectorAll('script').length") == 3


def test_markup_of_a_script_is_refused_by_the_policy(
    library: Machine, opened: Open, faults: list[str]
) -> None:
    """What keeps names from being markup is the browser, not our care alone."""
    page = opened(page_of(library))
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>'; return false; } catch { return true; } }"
    )
    assert refused
    assert ["TrustedHTML" in fault for fault in faults] == [True]
    faults.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_axe_finds_nothing_serious(library: Machine, opened: Open, scheme: str, width: int) -> None:
    if not AXE.exists():
        unmet("axe-core is not installed: make web")
    page = opened(page_of(library), width=width, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run().then((result) => result.violations)")
    serious = [
        (each["id"], each["help"], [node["target"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("width", [320, 400])
def test_narrow_screens_need_no_scrolling_to_the_side(
    library: Machine, opened: Open, width: int
) -> None:
    page = opened(page_of(library), width=width)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light_are_different(library: Machine, opened: Open) -> None:
    colours = {
        opened(page_of(library), scheme=scheme).evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    }
    assert len(colours) == 2


def test_the_space_is_walked_with_the_keyboard_alone(library: Machine, opened: Open) -> None:
    page = opened(page_of(library))
    page.locator("#space .choice button", has_text="Base models").focus()
    page.keyboard.press("Enter")
    first = page.locator("#space .list li button").first
    name = first.inner_text()
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#space [aria-current=location]").inner_text() == name
    page.locator("#space .list > button").focus()
    page.keyboard.press("Enter")
    rows = page.locator("#files tbody tr")
    cells = rows.locator("td:nth-child(6)").all_text_contents()
    assert cells and set(cells) == {name}


def test_a_click_on_the_treemap_goes_deeper(library: Machine, opened: Open) -> None:
    page = opened(page_of(library))
    page.locator("#space .choice button", has_text="Categories").click()
    page.locator("#space svg g.opens", has_text="checkpoints").first.click(
        position={"x": 5, "y": 5}
    )
    assert page.locator("#space [aria-current=location]").inner_text() == "checkpoints"
    page.locator("#space .trail button").first.click()
    assert page.locator("#space [aria-current=location]").inner_text() == "everything"


def test_files_are_searched_and_sorted(library: Machine, opened: Open) -> None:
    page = opened(page_of(library))
    everything = {entry["path"] for entry in read_entries(library.output)}
    assert "ComfyUI/models/loras/flux" in everything
    assert len(shown_files(page, "FLUX lora_")) == 3
    page.locator("#files th button", has_text="Name").click()
    names = page.locator("#files tbody td:first-child").all_text_contents()
    assert names == sorted(names)
    shown_files(page, "")
    page.locator("#files .pager button", has_text="Last").click()
    assert page.locator("#files tbody tr").count() > 0


def test_a_report_of_many_files(tmp_path: Path, opened: Open) -> None:
    machine = Machine(tmp_path)
    write_large(machine.output, 100_000)
    machine.run("report", "-o", "inventory.html")
    path = machine.work / "inventory.html"
    assert path.stat().st_size < 4_000_000
    page = opened(path)
    (paint,) = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint').map((each) => each.startTime)"
    )
    assert paint < FIRST_PAINT
    assert "1 to 20 of 100,000" in page.locator("#files .pager").inner_text()
    assert page.locator("#space svg g").count() <= 2_100
