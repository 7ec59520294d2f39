"""The page that `serve` shows, in a real Chromium, of a scanner that runs on a changing tree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.support.browser import Watched, chromium, serious_faults
from tests.support.library import HOSTILE, build_library, write_large
from tests.support.machine import PATIENCE, Machine, Running, wait_for, write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

PAGES = (
    "overview", "space", "models", "changes", "duplicates", "problems", "workflows", "unused",
    "packs", "drives",
)  # fmt: skip

ADDRESS = re.compile(r"The page is at (http://[^\s;]+)(?:; its token is in (.+))?")

MOST_ROWS = 60
"""Rows of a table of any length that may be in the document."""


def link_of(running: Running) -> str:
    """The address that a server has told, with its token."""

    def found() -> tuple[str, ...]:
        match = ADDRESS.search(running.printed() + running.log())
        return match.groups("") if match else ()

    address, token_file = running.wait_for(found, "the address of the page")
    token = Path(token_file).read_text("utf-8").strip() if token_file else ""
    return f"{address}#token={token}" if token else address


@contextmanager
def scanned(machine: Machine, *options: str) -> Iterator[str]:
    """`run --serve` on a machine; the address of its page."""
    with machine.running("run", "--every", "1s", "--serve", "--port", "0", *options) as running:
        running.scans()
        yield link_of(running)


@contextmanager
def served(machine: Machine, *arguments: object, port: int = 0) -> Iterator[str]:
    """`serve` on a machine; the address of its page. Pages complain once it is gone: close them."""
    with machine.running("serve", "--port", port, *arguments) as running:
        yield link_of(running)


def answers(link: str) -> bool:
    """True once the server has read what it shows."""
    try:
        with urlopen(f"{link.partition('#')[0]}api/v1/pages", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False


def with_folders(machine: Machine) -> Machine:
    """All the folders of an installation, so that none is missing."""
    for name in ("models", "custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / name).mkdir(parents=True)
    return machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("library"))
    build_library(machine)
    machine.run("hash", "ComfyUI/models/embeddings")
    return machine


@pytest.fixture(scope="module")
def link(library: Machine) -> Iterator[str]:
    with scanned(library) as address:
        yield address


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    """Opens pages. At the end of the test there may be no faults, and no request to elsewhere."""
    found = Watched(browser)
    yield found
    found.close()
    assert found.faults == []
    hosts = {urlsplit(url).hostname for url in found.requests}
    assert hosts <= {"127.0.0.1", None}, hosts
    assert not any("token" in url for url in found.requests)


def show(page: Any, link: str, name: str = "overview") -> Any:
    """Load the page with its token, then go to one of its parts."""
    page.goto(link)
    page.wait_for_selector("html[data-ready]")
    turn(page, name)
    return page


def turn(page: Any, name: str) -> None:
    page.locator(f".side nav a[href='#/{name}']").click()
    page.wait_for_selector(f".side nav a[href='#/{name}'][aria-current]")


def models_of(page: Any, search: str, *, models_only: bool = True) -> list[str]:
    """What the table of models shows first once a search is typed."""
    page.wait_for_selector("#models .grid")
    page.locator("#models label.tick input").first.set_checked(models_only)
    page.fill("#models input[type=search]", search)
    names: list[str] = page.locator("#models .grid-row .first-line").all_text_contents()
    return names


def focused_row(page: Any) -> str:
    row: str = page.evaluate("document.activeElement.dataset.row || ''")
    return row


# What happens on the disk


def test_a_new_file_appears_without_a_reload(library: Machine, link: str, watched: Watched) -> None:
    changes, models = watched.page(), watched.page()
    for page, name in ((changes, "changes"), (models, "models")):
        show(page, link, name)
        page.evaluate("window.isTheSame = true")
    assert models_of(models, "brand new") == []
    new = library.work / "ComfyUI" / "models" / "loras" / "brand new.safetensors"
    write(new, bytes(50_000))
    changes.locator("#changes tbody tr", has_text="brand new.safetensors").first.wait_for()
    models.locator("#models .grid-row", has_text="brand new.safetensors").wait_for()
    new.unlink()
    gone = "deleted ComfyUI/models/loras/brand new.safetensors"
    changes.locator("#changes tbody tr", has_text=gone).first.wait_for()
    models.locator("#models p", has_text="No file is like this").wait_for()
    for page in (changes, models):
        assert page.evaluate("window.isTheSame")


def test_a_root_that_is_gone_is_unmistakable(library: Machine, link: str, watched: Watched) -> None:
    page = show(watched.page(), link)
    folder = library.work / "ComfyUI" / "input"
    folder.rename(folder.with_name("away"))
    try:
        card = page.locator(".card.away")
        card.wait_for()
        text = card.inner_text()
        assert "Away since" in text
        assert "stay in the inventory" in text
        assert "Connect the drive" in text
        assert "offline" in page.locator(".answer").first.inner_text()
    finally:
        folder.with_name("away").rename(folder)
    card.wait_for(state="detached")


def test_a_hold_is_read_and_accepted(tmp_path: Path, watched: Watched) -> None:
    machine = with_folders(Machine(tmp_path))
    loras = machine.work / "ComfyUI" / "models" / "loras"
    for number in range(30):
        write(loras / f"l{number}.safetensors", bytes(100 + number))
    machine.run("scan")
    for number in range(25):
        (loras / f"l{number}.safetensors").unlink()
    for _ in range(2):  # within one interval no scan lifts the hold by itself
        machine.run("scan", "--hold-wait", "0", expect=3)
    with served(machine) as link:
        address, _, token = link.partition("#token=")
        page = show(watched.page(), address)
        held = page.locator(".answer", has_text="Deletions are held back")
        held.wait_for()
        assert "25 files" in held.inner_text()
        held.locator("button", has_text="Accept the loss").click()
        held.locator("input[type=password]").fill("not the token")
        held.locator("button", has_text="Yes").click()
        held.locator("text=Not accepted").wait_for()
        assert watched.faults and all("401" in fault for fault in watched.faults)
        watched.faults.clear()  # Chromium tells of every such answer
        held.locator("button", has_text="Accept the loss").click()
        held.locator("input[type=password]").fill(token)
        held.locator("button", has_text="Yes").click()
        held.locator("text=the next scan will apply it").wait_for()
        assert machine.changes() == []
        machine.run("scan", "--hold-wait", "0")
        held.wait_for(state="detached")
        page.locator("#news li", has_text="deleted").first.wait_for()
        watched.close()
    assert sum(line["kind"] == "deleted" for line in machine.changes()) == 25


def test_a_server_that_goes_away_is_told_and_comes_back(library: Machine, watched: Watched) -> None:
    page = watched.page()
    with served(library, library.output) as link:
        show(page, link)
        port = urlsplit(link).port or 0
    page.locator("text=The server has not answered since").wait_for()
    assert page.locator(".card").count() > 0  # its last answer stays
    with served(library, library.output, port=port):
        page.locator("text=The server has not answered since").wait_for(state="detached")
        watched.close()
    assert all("ERR_" in fault for fault in watched.faults), watched.faults
    watched.faults.clear()


# What is on the pages


def test_every_page_is_shown(link: str, watched: Watched) -> None:
    page = show(watched.page(), link)
    for name, text in {
        "overview": "files are broken",
        "space": "diffusion_models",
        "models": "dm_flux2_dev.safetensors",
        "changes": "created ComfyUI/models",
        "duplicates": "copy 1.safetensors",
        "problems": "downloaded.safetensors",
        "workflows": "Drop a workflow here",
        "unused": "No workflow and no output has been read yet.",
        "packs": "comfyui-impact-pack",
        "drives": "Size and time of every file",
    }.items():
        turn(page, name)
        page.locator("main", has_text=text).wait_for()
        assert page.title().lower().startswith(name)


def test_models_are_searched_sorted_and_chosen_from(link: str, watched: Watched) -> None:
    page = show(watched.page(width=1600), link, "models")
    assert len(models_of(page, "FLUX lora_")) == 3
    models_of(page, "")
    page.locator("#models [role=columnheader] button", has_text="Name").click()
    names = page.locator("#models .first-line").all_text_contents()
    assert names == sorted(names)
    page.locator("#models [role=columnheader] button", has_text="Name").click()
    assert page.locator("#models [aria-sort=descending]").inner_text().startswith("Name")
    page.select_option("#models label:has-text('Category') select", label="vae")
    found = page.locator("#models .grid-row [role=cell]:nth-child(4)").all_text_contents()
    assert found and set(found) == {"vae"}


def test_growth_and_costs_are_drawn_from_the_history(tmp_path: Path, watched: Watched) -> None:
    machine = with_folders(Machine(tmp_path))
    write(machine.work / "ComfyUI" / "models" / "loras" / "a.safetensors", bytes(5000))
    machine.run("scan")
    history = machine.output.with_name("comfy_inventory.history.jsonl")
    (root,) = {row["root"] for row in map(json.loads, history.read_text("utf-8").splitlines())
               if row.get("category") == "loras"}  # fmt: skip
    older = [
        {"day": "2026-01-01", "root": root, "category": "loras", "files": 1, "bytes": 2000,
         "problems": 0},
        *({"day": f"2026-01-0{day}", "lane": "local", "scans": 10, "seconds": 0.5 * day,
           "every_seconds": 30.0} for day in (1, 2, 3)),
    ]  # fmt: skip
    lines = "".join(f"{json.dumps(row)}\n" for row in older)
    history.write_text(lines + history.read_text("utf-8"), "utf-8")
    with served(machine) as link:
        page = show(watched.page(), link)
        growth = page.locator("#growth")
        growth.locator("canvas").wait_for()
        assert "+3.0 kB since 2026-01-01, now 5.0 kB in 1 file." in growth.inner_text()
        label = growth.locator("[role=img]").get_attribute("aria-label")
        assert label.startswith("Bytes by day, from 2.0 kB on 2026-01-01 to 5.0 kB")
        growth.locator("summary").click()
        assert "loras" in growth.locator("details tbody tr").first.inner_text()
        turn(page, "drives")
        cost = page.locator("#cost [role=img]")
        cost.wait_for()
        assert "the mean of each of 3 days, of local" in cost.get_attribute("aria-label")
        watched.close()


def test_columns_are_chosen_and_remembered(link: str, watched: Watched) -> None:
    page = show(watched.page(width=1600), link, "models")
    titles = page.locator("#models [role=columnheader]")
    titles.filter(has_text="Modified").wait_for()
    page.locator("#models .chooser summary").click()
    page.locator("#models .chooser label", has_text="Modified").click()
    page.locator("#models .chooser label", has_text="File name").click()
    page.reload()
    page.wait_for_selector("#models .grid")
    shown = " ".join(titles.all_text_contents())
    assert "Modified" not in shown
    assert "File name" in shown


def test_a_hash_is_copied(link: str, watched: Watched) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    page = show(watched.page(width=1600, permissions=allowed), link, "models")
    assert models_of(page, "copy 1") == ["copy 1.safetensors"]
    page.locator("#models .grid-row .copy").click()
    short = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch("[0-9a-f]{10}", short)
    page.locator("#models .grid-row button.link").click()
    whole = page.locator("dialog div", has_text="SHA-256").locator(".copy")
    whole.click()
    assert re.fullmatch(f"{short}[0-9a-f]{{54}}", page.evaluate("navigator.clipboard.readText()"))
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")


def test_the_treemap_leads_down_and_into_the_table(link: str, watched: Watched) -> None:
    page = show(watched.page(), link, "space")
    page.wait_for_selector("#space .list > button")
    page.locator("#space .choice button", has_text="Categories").click()
    page.locator("#space svg g.opens", has_text="checkpoints").first.click(
        position={"x": 5, "y": 5}
    )
    assert page.locator("#space [aria-current=location]").inner_text() == "checkpoints"
    files = re.search(r"in ([\d,]+ files)", page.locator("#space .trail .sum").inner_text())
    page.locator("#space .list > button").click()
    page.wait_for_selector("#models .grid")
    assert files
    assert page.locator("#models .note[role=status]").inner_text().startswith(files[1])


def test_a_workflow_that_is_dropped_tells_what_it_lacks(link: str, watched: Watched) -> None:
    def node(kind: str, field: str, name: str) -> dict[str, object]:
        return {"class_type": kind, "inputs": {field: name}}

    workflow = {
        "1": node("VAELoader", "vae_name", "downloaded.safetensors"),
        "2": node("LoraLoaderModelOnly", "lora_name", "nowhere.safetensors"),
        "3": node("UNETLoader", "unet_name", "dm_flux2_dev.safetensors"),
    }
    page = show(watched.page(), link, "workflows")
    data = page.evaluate_handle(
        """(text) => {
            const data = new DataTransfer();
            data.items.add(new File([text], "<b>my</b>.json", { type: "application/json" }));
            return data;
        }""",
        json.dumps(workflow),
    )
    page.dispatch_event("#workflows .drop", "drop", {"dataTransfer": data})
    needs = page.locator(".needs li")
    needs.nth(2).wait_for()
    assert needs.locator(".state").all_inner_texts() == ["missing", "broken", "here"]
    assert page.locator("main h2").last.inner_text() == "<b>my</b>.json"
    with page.expect_file_chooser() as chooser:
        page.locator("#workflows button").click()
    file = {"name": "no.json", "mimeType": "application/json", "buffer": b"[1, 2"}
    chooser.value.set_files(file)
    page.locator("h2", has_text="no.json").wait_for()
    assert page.locator(".needs li").count() == 3


def test_the_script_for_duplicates_is_downloaded(
    link: str, watched: Watched, tmp_path: Path
) -> None:
    page = show(watched.page(accept_downloads=True), link, "duplicates")
    with page.expect_download() as download:
        page.locator("#script a.button").click()
    download.value.save_as(tmp_path / "copies.sh")
    script = (tmp_path / "copies.sh").read_text("utf-8")
    assert script.startswith("#!/bin/sh")
    assert "copy 1.safetensors" in script


def test_names_are_text_and_nothing_else(link: str, watched: Watched) -> None:
    page = show(watched.page(), link, "models")
    shown = models_of(page, "odd names")
    assert len(shown) == len(HOSTILE)
    assert any(name.endswith("<img src=x onerror=alert(1)>.safetensors") for name in shown)
    assert any(name.endswith(r"bell\x07 esc\x1b[31m line\nend.safetensors") for name in shown)
    assert any(name.endswith(r"\u202egnp.safetensors") for name in shown)
    page.locator("#models .grid-row button.link", has_text="<img").click()
    assert "<img src=x" in page.locator("dialog h2").inner_text()
    assert page.locator("main img, main iframe, main script").count() == 0


# Who uses it, and how


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_axe_finds_nothing_serious_on_any_page(
    link: str, watched: Watched, scheme: str, width: int
) -> None:
    page = show(watched.page(width=width, scheme=scheme), link)
    found = {}
    for name in PAGES:
        turn(page, name)
        page.wait_for_load_state("networkidle")
        if faults := serious_faults(page):
            found[name] = faults
    assert found == {}


@pytest.mark.parametrize("width", [320, 400])
def test_narrow_screens_need_no_scrolling_to_the_side(
    link: str, watched: Watched, width: int
) -> None:
    page = show(watched.page(width=width), link)
    wide = {}
    for name in PAGES:
        turn(page, name)
        page.wait_for_load_state("networkidle")
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        needed = page.evaluate("document.documentElement.scrollWidth")
        if needed > width:
            wide[name] = needed
    assert wide == {}


def test_keys_alone_are_enough(link: str, watched: Watched) -> None:
    page = show(watched.page(), link)
    page.locator(".side nav a", has_text="Models").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#models .grid-row")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"
    page.locator("#models .grid-row button.link").first.focus()
    for row in range(1, 31):
        page.keyboard.press("ArrowDown")
        wait_for(lambda: focused_row(page) == str(row), f"row {row}")  # noqa: B023
    name = page.evaluate("document.activeElement.querySelector('.first-line').textContent")
    page.keyboard.press("Enter")
    assert name.endswith(page.locator("dialog h2").inner_text())
    page.keyboard.press("Escape")


# Where it is


def test_the_token_leaves_the_address_and_stays_in_the_tab(link: str, watched: Watched) -> None:
    token = link.partition("#token=")[2]
    page = show(watched.page(), link)
    assert token and token not in page.url
    assert page.evaluate("Object.values(sessionStorage)") == [token]
    assert token not in page.evaluate("JSON.stringify(localStorage)")
    assert token not in page.evaluate("document.cookie")


def test_it_works_below_the_path_of_a_proxy(library: Machine, watched: Watched) -> None:
    with served(library, library.output, "--base-path", "/some/where") as link:
        assert urlsplit(link).path == "/some/where/"
        page = show(watched.page(), link, "models")
        assert models_of(page, "FLUX lora_")
        watched.close()
    assert all(urlsplit(url).path.startswith("/some/where/") for url in watched.requests)


def test_several_machines_are_shown_together_and_alone(
    library: Machine, tmp_path: Path, watched: Watched
) -> None:
    other = tmp_path / "nas.json"
    write_large(other, 50)
    with served(library, library.output, other) as link:
        page = show(watched.page(width=1600), link)
        assert "nas: /mnt/nas" in page.locator("#mounts").inner_text().replace(
            "nas /mnt", "nas: /mnt"
        )
        turn(page, "models")
        page.wait_for_selector("#models .grid")
        page.select_option("#models label:has-text('Machine') select", label="nas")
        assert page.locator("#models .note[role=status]").inner_text().startswith("50 files")
        page.select_option(".machine select", label="nas")
        page.locator("#models .note[role=status]", has_text="50 files").wait_for()
        assert page.locator("#models label:has-text('Machine')").count() == 0
        turn(page, "space")
        assert "/mnt/nas" in page.locator("#space .trail").inner_text()
        page.select_option(".machine select", label="all machines")
        rows = page.locator("#space .list li .what")
        rows.filter(has_text="comfy_inventory").wait_for()
        assert {"nas", "comfy_inventory"} == {row.strip() for row in rows.all_inner_texts()}
        watched.close()


def test_before_the_first_scan_it_says_so(tmp_path: Path, watched: Watched) -> None:
    machine = with_folders(Machine(tmp_path))
    with served(machine) as link:
        page = watched.page()
        page.goto(link)
        page.locator("text=Once the first scan has ended").wait_for()
        write(machine.work / "ComfyUI" / "models" / "loras" / "a.safetensors", bytes(10))
        machine.run("scan")
        page.locator("#mounts .card").first.wait_for()
        watched.close()


def test_a_table_of_many_files_keeps_few_rows_in_the_document(
    tmp_path: Path, watched: Watched
) -> None:
    machine = Machine(tmp_path)
    write_large(machine.output, 200_000)
    with served(machine) as link:
        wait_for(lambda: answers(link), "the inventory is read")
        page = show(watched.page(), link, "models")
        page.wait_for_selector("#models .grid")
        assert page.locator("#models .note[role=status]").inner_text().startswith("200,000 files")
        assert page.locator("#models .grid-row").count() <= MOST_ROWS
        page.locator("#models .grid-body").evaluate(
            "(box) => { box.scrollTop = box.scrollHeight; }"
        )
        page.wait_for_selector("#models .grid-row[aria-rowindex='200001']")
        assert page.locator("#models .grid-row").count() <= MOST_ROWS
        assert all(" v77777." in name for name in models_of(page, "v77777."))
        watched.close()
