"""Where the time of a first scan goes, beside the least that any scan in Python has to do.

    python -m benchmarks.first_scan --trees DIR [--files 1000000] [--repeats 3]

`bare` is a loop of os.scandir and stat over the tree that keeps nothing. Each program has its turn
in every repeat; the figures are medians of seconds, and ratios to find.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time

from benchmarks.peers import find_command
from benchmarks.processes import Worker, environment, run_to_null, serve
from benchmarks.trees import tree_at


def walk_bare(tree: str) -> int:
    """Stat everything below `tree`; how many entries that are."""
    entries = 0
    folders = [tree]
    while folders:
        with os.scandir(folders.pop()) as scanned:
            for entry in scanned:
                found = entry.stat(follow_symlinks=False)
                entries += 1
                if found.st_mode & 0o170000 == 0o040000:
                    folders.append(entry.path)
    return entries


def measure(comfy_root: str, work: str, repeats: int) -> dict[str, float]:
    """Medians of seconds by part. Raises BenchmarkError."""
    seconds: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        seconds.setdefault(name, []).append(value)

    for _ in range(repeats):
        note("find", run_to_null(find_command(comfy_root), environment(work), work).wall)
        with Worker("benchmarks.first_scan", ["--bare", comfy_root], work) as worker:
            note("bare", worker.ask("walk")["wall"])
        with tempfile.TemporaryDirectory(dir=work) as fresh:
            inventory = os.path.join(fresh, "comfy_inventory.json")
            started = time.perf_counter()
            with Worker("benchmarks.engine", [comfy_root, inventory], work) as worker:
                told = worker.ask("scan")
            whole = time.perf_counter() - started
        parts = {name: told[name] for name in ("listing", "commit", "publish")}
        for name, value in parts.items():
            note(name, value)
        note("walking and judging besides", told["wall"] - sum(parts.values()))
        note("start and end of Python", whole - told["wall"])
        note("all", whole)
    return {name: statistics.median(runs) for name, runs in seconds.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_scan", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--trees", metavar="DIR", help="use and keep trees at DIR/<files>/ComfyUI")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bare", metavar="TREE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        serve({"walk": lambda: {"entries": walk_bare(options.bare)}})
        return 0
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-") as scratch:
        comfy_root = tree_at(os.path.abspath(options.trees or scratch), options.files)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(comfy_root)) as work:
            medians = measure(comfy_root, work, options.repeats)
    for name, value in medians.items():
        print(f"{name:28} {value:8.2f} s {value / medians['find']:6.2f} x find")
    return 0


if __name__ == "__main__":
    sys.exit(main())
