"""Measure the page of `serve` in Chromium on a generated inventory.

    python -m benchmarks.browser                  200,000 files
    python -m benchmarks.browser --files 50000 --repeats 3

Times end with the frame that shows the result; of each the median of all runs is printed. The page
has the inventory in its own memory, so no filter asks the server.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any
from urllib.error import HTTPError

from benchmarks.serve import get, serving
from tests.support.browser import chromium
from tests.support.library import write_large
from tests.support.machine import wait_for

REPEATS = 5

_MEASURE = """async () => {
  const result = {};
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const all = (selector) => [...document.querySelectorAll(selector)];
  const state = () => [
    document.querySelector("#models [role=status]").textContent,
    ...all("#models [role=columnheader]").map((each) => each.ariaSort),
    all("#models .first-line")[0]?.textContent,
  ].join();
  const took = async (name, act) => {
    const before = state();
    const start = performance.now();
    act();
    while (state() === before) await frame();
    await frame();
    result[name] = performance.now() - start;
  };
  const heading = (title) =>
    all("#models .heading").find((each) => each.textContent.startsWith(title));
  const input = document.querySelector("#models input[type=search]");
  const type = (text) => () => {
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  result["first paint"] = paint.startTime;
  result["all files in the table"] = TABLE;
  await took("search: flux, the first one", type("flux"));
  await took("search: flux lora", type("flux lora"));
  await took("search: v77777", type("v77777"));
  await took("search emptied", type(""));
  for (const title of ["Name", "Category", "Size"]) {
    await took(`sort by ${title}, the first time`, () => heading(title).click());
  }
  await took("sort by Size, turned round", () => heading("Size").click());
  const box = document.querySelector(".grid-body");
  let worst = 0;
  for (let step = 1; step <= 60; step++) {
    const start = performance.now();
    box.scrollTop = (step * box.scrollHeight) / 60;
    await frame();
    worst = Math.max(worst, performance.now() - start);
  }
  result["scroll by a 60th, the slowest of 60"] = worst;
  return result;
}"""
"""TABLE stands for the milliseconds after which the table was there."""


def measured(browser: Any, link: str) -> dict[str, float]:
    """Milliseconds of each step, in a new browser context."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{link}#/models")
    page.wait_for_selector("#models .grid-row", timeout=120_000)
    table = page.evaluate("performance.now()")
    found: dict[str, float] = page.evaluate(_MEASURE.replace("TABLE", str(table)))
    page.close()
    return found


def is_read(link: str) -> bool:
    """True once the server has read the inventory; while it does, it says 503."""
    try:
        return bool(get(link, "api/v1/pages"))
    except HTTPError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        inventory = Path(folder) / "comfy_inventory.json"
        write_large(inventory, chosen.files)
        with serving(inventory, Path(folder)) as (_, link):
            wait_for(lambda: is_read(link), "the inventory is read", 120)
            get(link, "api/v1/entries?machine=comfy_inventory")
            runs = [measured(browser, link) for _ in range(chosen.repeats)]
    print(f"| {chosen.files:,} files | Milliseconds |\n|---|---|")
    for name in runs[0]:
        print(f"| {name} | {median(run[name] for run in runs):,.0f} |")


if __name__ == "__main__":
    main()
