"""Take the pictures of docs/serve.md: `python -m scripts.page_pictures [FOLDER]`. They are of the
page of the sample with some problems in it, in the Chromium of the system."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from scripts.build_sample import build
from scripts.sample_problems import add_problems

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"

COLOURS = 128
"""Of a picture: so many show all of a page, in a third of the bytes."""

_PROGRAM = [sys.executable, "-m", "scanner"]

_FOLDERS = ["--comfy-root", "ComfyUI", "--downloads", "Downloads"]

_ADDRESS = re.compile(r"http://[^\s;]+")

_PATIENCE = 60.0

_WORKFLOW = {
    "1": {
        "class_type": "CheckpointLoaderSimple",
        "inputs": {"ckpt_name": "SDXL/sd_xl_base_1.0.safetensors"},
    },
    "2": {"class_type": "VAELoader", "inputs": {"vae_name": "error.safetensors"}},
    "3": {"class_type": "LoraLoaderModelOnly", "inputs": {"lora_name": "paper.safetensors"}},
    "4": {
        "class_type": "StyleModelLoader",
        "inputs": {"style_model_name": "flux1-redux.safetensors"},
    },
}


def make_sample(top: Path) -> None:
    """The sample, scanned before and after it got its problems."""
    build(str(top))
    scan = [*_PROGRAM, "scan", *_FOLDERS]
    subprocess.run(scan, cwd=top, check=True)
    add_problems(top)
    subprocess.run(scan, cwd=top, check=True)


@contextmanager
def served(top: Path) -> Iterator[str]:
    """A scanner that runs on the sample; the address of its page."""
    log = top / "run.log"
    environ = {**os.environ, "COMFY_INVENTORY_TOKEN": "a token for pictures"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*_PROGRAM, "run", *_FOLDERS, "--every", "2s", "--serve", "--port", "0"],
            cwd=top,
            env=environ,
            stderr=file,
        )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not (found := _ADDRESS.search(log.read_text("utf-8"))):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page did not begin: {log.read_text('utf-8')}")
            time.sleep(0.1)
        yield found[0]
    finally:
        process.terminate()
        process.wait()


def take(page: Any, folder: Path, name: str) -> None:
    path = folder / f"serve-{name}.png"
    page.wait_for_timeout(500)
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        top = Path(temporary)
        make_sample(top)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )

        def opened(address: str, name: str, width: int, height: int, scheme: Any) -> Any:
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(f"{address}#/{name}")
            page.wait_for_selector("html[data-ready]")
            return page

        with served(top) as address:
            time.sleep(10)  # until contents and headers are read
            take(opened(address, "overview", 1180, 860, "light"), folder, "overview")
            models = opened(address, "models", 1180, 700, "dark")
            models.fill("#models input[type=search]", "qwen")
            take(models, folder, "models")
            workflows = opened(address, "workflows", 1180, 760, "light")
            file = {
                "name": "my workflow.json",
                "mimeType": "application/json",
                "buffer": json.dumps(_WORKFLOW).encode(),
            }
            workflows.set_input_files("#workflow-file", file)
            workflows.wait_for_selector(".needs li")
            take(workflows, folder, "workflow")
            (top / "Downloads").rename(top / "away")
            phone = opened(address, "overview", 400, 800, "light")
            phone.wait_for_selector(".card.away")
            take(phone, folder, "offline")
        browser.close()


if __name__ == "__main__":
    main()
