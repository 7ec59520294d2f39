"""Holds the panel against a real ComfyUI, a real browser and a real mount.

    make comfyui

prints what it has found, and writes the picture of docs/comfyui-pack.md. See `prepare.py` for the
ComfyUI that it takes. Chromium, sshfs and root's right to mount are needed.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.build_sample import build
from tests.support.machine import CHECKOUT, Machine
from tests.support.real_comfyui.prepare import prepared
from tests.support.real_comfyui.server import ComfyUI
from tests.support.real_mounts import SshfsMount
from tests.support.world import safetensors

PICTURE = CHECKOUT / "docs/images/comfyui-panel.png"

MODELS = (2_000, 20_000)

IN_A_FOLDER = 10

ROUNDS = 5

DELAY_MS = 1.0

HERE, MISSING = "here.safetensors", "wanted.safetensors"

ELSEWHERE = "downloaded.safetensors"

WORKFLOW: dict[str, Any] = {
    "version": 0.4,
    "last_node_id": 3,
    "last_link_id": 0,
    "links": [],
    "groups": [],
    "nodes": [
        {
            "id": 1,
            "type": "CheckpointLoaderSimple",
            "pos": [80, 60],
            "size": [330, 110],
            "widgets_values": [MISSING],
        },
        {
            "id": 2,
            "type": "VAELoader",
            "pos": [80, 260],
            "size": [330, 70],
            "widgets_values": [ELSEWHERE],
        },
        {
            "id": 3,
            "type": "LoraLoader",
            "pos": [80, 420],
            "size": [330, 140],
            "widgets_values": [HERE, 1, 1],
        },
    ],
}


class Place:
    """A base folder of ComfyUI with the panel, and the scanner beside it."""

    def __init__(self, folder: Path, code: Path, python: Path, extra_paths: str = "") -> None:
        self.machine = Machine(folder, COMFY_INVENTORY_STALL_AFTER="5s")
        self.base = self.machine.work / "ComfyUI"
        for name in ("models/checkpoints", "models/loras", "models/vae", "custom_nodes"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        for name in ("input", "output", "user"):
            (self.base / name).mkdir(exist_ok=True)
        # Without it the front end opens a window with templates before everything else.
        user = self.base / "user/default/comfy.settings.json"
        user.parent.mkdir(parents=True)
        user.write_text('{"Comfy.TutorialCompleted": true}')
        self.downloads = self.machine.work / "Downloads"
        self.downloads.mkdir(exist_ok=True)
        self.options: list[str] = ["--downloads", str(self.downloads)]
        yaml = None
        if extra_paths:
            yaml = folder / "extra.yaml"
            yaml.write_text(extra_paths)
            self.options += ["--extra-model-paths-config", str(yaml)]
        self.comfyui = ComfyUI(code, python, self.base, yaml)
        self.machine.run("comfyui", "install", "-o", str(self.machine.output))


@contextmanager
def browser_page(url: str, errors: list[str]) -> Iterator[Any]:
    """The front end in a headless Chromium."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    assert program, "Chromium is not installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: (
                errors.append(message.text)
                if message.type == "error" and "inventory-panel" in str(message.location)
                else None
            ),
        )
        page.goto(url)
        page.wait_for_function("window.app?.extensionManager && window.app.graph", timeout=90_000)
        page.wait_for_selector(BUTTON, timeout=60_000)
        yield page
        browser.close()


BUTTON = 'button.side-bar-button[aria-label^="Inventory"]'


def need_word(page: Any, name: str) -> str:
    """What the tab says of a model of the workflow; empty if it does not have it."""
    return str(
        page.evaluate(
            """name => [...document.querySelectorAll('.ci-workflow .ci-row')]
                .filter(row => row.querySelector('.ci-title').textContent === name)
                .map(row => row.querySelector('.ci-word').textContent)[0] ?? ''""",
            name,
        )
    )


def wait_until(condition: Any, what: str, seconds: float = 90.0) -> float:
    """Seconds until `condition` is true."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + seconds, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - begun


def tab(folder: Path, code: Path, python: Path) -> None:
    """The tab shows a missing model, and finds it after it was moved into place."""
    place = Place(folder, code, python)
    (place.base / "models/loras" / HERE).write_bytes(safetensors())
    (place.downloads / ELSEWHERE).write_bytes(safetensors(0) + b"vae.")
    (place.base / "models/vae/cut.safetensors").write_bytes(safetensors()[:-2])
    wanted = folder / MISSING
    wanted.write_bytes(safetensors(0) + b"ckpt")
    errors: list[str] = []
    scanner = place.machine.running("run", "--every", "2s", *place.options)
    with scanner as running, place.comfyui as comfyui, browser_page(comfyui.url, errors) as page:
        running.scans()
        time.sleep(3)  # the front end opens its first workflow
        page.evaluate("workflow => window.app.loadGraphData(workflow)", WORKFLOW)
        page.evaluate("window.notReloaded = true")
        page.click(BUTTON)
        wait_until(lambda: need_word(page, MISSING) == "missing", "the missing model")
        words = [need_word(page, name) for name in (ELSEWHERE, HERE)]
        assert words == ["elsewhere", "here"], words
        badge = page.inner_text(BUTTON).strip()
        assert badge == "3", badge  # two models, and one that is cut off
        print(f"tab: {MISSING} missing, {ELSEWHERE} elsewhere, {HERE} here; badge {badge}")
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        time.sleep(2)
        page.screenshot(path=str(PICTURE))
        options = (
            "app.graph.nodes.find(n => n.type === 'CheckpointLoaderSimple')"
            ".widgets[0].options.values.slice()"
        )
        assert MISSING not in page.evaluate(options)
        wanted.rename(place.base / "models/checkpoints" / MISSING)
        seconds = wait_until(lambda: need_word(page, MISSING) == "here", "the model in place")
        toast = page.wait_for_selector("text=A model has arrived", timeout=15_000)
        assert toast is not None
        wait_until(lambda: MISSING in page.evaluate(options), "the node's list")
        assert page.evaluate("window.notReloaded") is True
        page.screenshot(path=str(folder / "after.png"))
        assert not errors, errors
        print(
            f"tab: found {seconds:.1f} s after it was moved into place (scans every 2 s), with a "
            "toast, and in the list of its node; the page was not loaded again"
        )


def lists(folder: Path, code: Path, python: Path) -> None:
    """Fast lists are ComfyUI's own, category by category."""
    nas = folder / "nas"
    place = Place(
        folder, code, python, f"nas:\n  base_path: {nas}\n  loras: lora\n  vae: |\n    v1\n    v2\n"
    )
    build(str(place.machine.work))
    for name in ("lora/a/one.pt", "lora/.hidden/two.pt", "v1/ae.sft", "v2/ae.sft", "v2/b.txt"):
        (nas / name).parent.mkdir(parents=True, exist_ok=True)
        (nas / name).write_bytes(name.encode())
    models = place.base / "models"
    (models / "checkpoints/linked").symlink_to(nas)
    (models / "checkpoints/inner").symlink_to(models / "loras")
    (models / "loras/one file.safetensors").symlink_to(nas / "v1/ae.sft")
    (models / "vae/broken.pt").symlink_to(nas / "nothing")
    (models / "vae/.git").mkdir()
    (models / "vae/.git/x.pt").write_bytes(b"x")
    # Links to folders below make the program look again; one scan is one look.
    place.machine.run("scan", *place.options)
    with place.comfyui as comfyui:
        categories = comfyui.get("models")
        comfyui.fast_lists(False)
        own = {name: comfyui.get(f"models/{name}") for name in categories}
        comfyui.fast_lists(True)
        before = comfyui.get("comfy_inventory/state")["fast_lists"]["answered"]
        names, searched = 0, []
        for name in categories:
            assert comfyui.get(f"models/{name}") == own[name], name
            answered = comfyui.get("comfy_inventory/state")["fast_lists"]["answered"]
            if answered == before:
                searched.append(name)
            before = answered
            names += len(own[name])
        assert len(searched) < len(categories) / 4, searched
        told = ", ".join(searched) or "none"
        print(
            f"lists: {len(categories)} categories with {names} names are equal; left to ComfyUI's "
            f"own search: {told}"
        )


def fill(source: Path, count: int) -> None:
    """Small files in `source`, ten a folder in 40 folders of folders."""
    for number in range(count):
        of = number // IN_A_FOLDER
        path = source / f"{of % 40:02d}" / f"{of:04d}" / f"model_{number:05d}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def median(seconds: list[float]) -> float:
    return statistics.median(seconds)


def speed(folder: Path, code: Path, python: Path, count: int) -> None:
    """`/object_info` with and without fast lists over sshfs, and with a NAS that hangs."""
    source, point = folder / "source", folder / "nas"
    source.mkdir(parents=True)
    point.mkdir()
    fill(source, count)
    with SshfsMount(source, point, delay_ms=DELAY_MS) as mount:
        place = Place(folder, code, python, f"nas:\n  loras: {point}\n")
        place.machine.run("scan", *place.options)
        with place.comfyui as comfyui:
            comfyui.fast_lists(False)
            comfyui.seconds("object_info")  # the first one builds ComfyUI's own list
            known = [comfyui.seconds("object_info") for _ in range(ROUNDS)]
            walked = []
            for number in range(ROUNDS):
                (source / "00" / f"new{number}").mkdir()  # ComfyUI's own list is old then
                walked.append(comfyui.seconds("object_info"))
                (source / "00" / f"new{number}").rmdir()
            place.machine.run("scan", *place.options)
            comfyui.fast_lists(True)
            fast = [comfyui.seconds("object_info") for _ in range(ROUNDS)]
            assert comfyui.get("comfy_inventory/state")["fast_lists"]["answered"] >= ROUNDS
            print(
                f"speed, {count} models: own search {median(walked):.2f} s, own list unchanged "
                f"{median(known):.2f} s, fast lists {median(fast):.2f} s: "
                f"{median(walked) / median(fast):.0f} and {median(known) / median(fast):.0f} "
                "times as fast"
            )
            if count == min(MODELS):
                hang(place, comfyui, mount)


def hang(place: Place, comfyui: ComfyUI, mount: SshfsMount) -> None:
    """A NAS that stops answering hangs neither `/object_info` nor the tab."""
    errors: list[str] = []
    scanner = place.machine.running("run", "--every", "2s", *place.options)
    with scanner as running, browser_page(comfyui.url, errors) as page:
        running.scans(2)
        page.click(BUTTON)
        mount.stop_server()
        try:
            at_once = comfyui.seconds("object_info", timeout=30)

            def is_stalled() -> bool:
                roots = comfyui.get("comfy_inventory/drives", timeout=10)["roots"]
                return any(root["state"] == "stalled" for root in roots)

            seen = wait_until(is_stalled, "the NAS is stalled")
            later = [comfyui.seconds("object_info", timeout=30) for _ in range(ROUNDS)]
            page.wait_for_selector(".ci-problems >> text=stalled", timeout=30_000)
        finally:
            mount.continue_server()
        assert not errors, errors
        print(
            f"hang: /object_info took {at_once:.2f} s as the NAS stopped, {median(later):.2f} s "
            f"once it was known to be stalled, {seen:.0f} s later; the tab said so"
        )


def main() -> None:
    cache = Path(os.environ.get("COMFY_CACHE", ".comfyui")).absolute()
    code, python = prepared(cache)
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="comfyui-", ignore_cleanup_errors=True) as name:
        top = Path(name)
        if not wanted or "tab" in wanted:
            tab(top / "tab", code, python)
        if not wanted or "lists" in wanted:
            lists(top / "lists", code, python)
        for count in MODELS:
            if not wanted or f"speed-{count}" in wanted:
                speed(top / f"speed-{count}", code, python, count)


if __name__ == "__main__":
    main()
