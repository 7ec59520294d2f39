"""Measure the program beside find, watchdog, watchfiles and rclone on generated trees.

    python -m benchmarks                         2,000 to 200,000 files, in minutes
    python -m benchmarks --full                  up to a million; writes RESULTS.md
    python -m benchmarks --details               what every program took as well
    python -m benchmarks --files 5000 --repeats 3

With --trees, trees are taken from there and kept there; what a benchmark changes it takes back.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import scanner
from benchmarks import page
from benchmarks.comparison import PERIOD_SCANS, Comparison
from benchmarks.figures import Results, Size, Start, write
from benchmarks.peers import reasons_without, versions
from benchmarks.processes import BenchmarkError
from benchmarks.trees import tree_at

QUICK = (2_000, 20_000, 200_000)
FULL = (*QUICK, 1_000_000)

REPEATS, REPEATS_OF_LARGE = 5, 3
STARTS = 9
LARGE = 200_000
"""Files from which on a run takes seconds, and fewer of them tell as much."""


def measure(
    sizes: Sequence[int], trees: str | None, *, repeats: int | None, scans: int = PERIOD_SCANS
) -> Results:
    """Run the comparison on trees of these sizes. Raises BenchmarkError."""
    started = time.perf_counter()
    wanted = {files: repeats or _repeats(files) for files in sizes}
    left_out = reasons_without()
    for who, reason in left_out.items():
        print(f"{who} is left out: {reason}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-") as scratch:
        top = trees or scratch
        results = Results(
            datetime.now(UTC).isoformat(timespec="seconds"),
            scanner.__version__,
            {},
            min(wanted.values()),
            left_out,
        )
        for files in sizes:
            results.sizes.append(_size(top, files, left_out, wanted[files], scans))
            if files != sizes[-1]:
                write(_path_of(results), results)  # large trees take long, and may fail
        results.starts = _starts(left_out)
        # Last: what it imports would count as the memory of every process started after it.
        from benchmarks.machine import machine

        results.took = time.perf_counter() - started
        results.machine = {**machine(top), "peers": versions(left_out)}
    return results


def _repeats(files: int) -> int:
    return REPEATS_OF_LARGE if files >= LARGE else REPEATS


def _size(top: str, files: int, left_out: dict[str, str], repeats: int, scans: int) -> Size:
    print(f"{files:,} files", file=sys.stderr)
    comfy_root = tree_at(top, files)
    # Beside the tree, on the same disk, and not in it.
    with tempfile.TemporaryDirectory(prefix="work-", dir=os.path.dirname(comfy_root)) as work:
        comparison = Comparison(
            comfy_root,
            work,
            left_out,
            repeats=repeats,
            scans=scans,
            tell=lambda text: print(f"  {text}", file=sys.stderr, flush=True),
        )
        return comparison.run()


def _starts(left_out: dict[str, str]) -> list[Start]:
    """Commands on the sample installation; none, and why, where they cannot be measured."""
    from benchmarks import startup

    print(f"starts of commands, {STARTS} times", file=sys.stderr)
    try:
        rows = startup.measure(STARTS)
    except BenchmarkError as error:
        left_out["starts of commands"] = str(error)
        return []
    plain = startup.PLAIN
    return [Start(row.command, row.cpu, row.ratio) for row in rows if row.command != plain]


def _path_of(results: Results) -> str:
    os.makedirs(page.KEPT, exist_ok=True)
    name = "".join(character for character in results.time[:19] if character.isalnum())
    return os.path.join(page.KEPT, f"{name}Z.json")


def save(results: Results) -> str:
    """Write the run and its picture below `results/`; the path of the JSON."""
    path = _path_of(results)
    write(path, results)
    page.picture_of(results, f"{os.path.splitext(path)[0]}.svg")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--full", action="store_true", help="all sizes; writes RESULTS.md as well")
    parser.add_argument("--files", type=int, nargs="+", metavar="N", help="other sizes")
    parser.add_argument("--repeats", type=int, help="runs of each program; else as the size allows")
    parser.add_argument("--details", action="store_true", help="print what every program took")
    parser.add_argument("--trees", metavar="DIR", help="use and keep trees at DIR/<files>/ComfyUI")
    options = parser.parse_args()
    few = any(files < 100 for files in options.files or ())
    if few or (options.repeats is not None and options.repeats < 1):
        parser.error("at least 1 repeat and 100 files are needed")
    # Ended in order, so that the tree is left as it was.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    trees = options.trees and os.path.abspath(options.trees)
    sizes = sorted(options.files or (FULL if options.full else QUICK))
    try:
        results = measure(sizes, trees, repeats=options.repeats)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    if options.details:
        print(page.details(results), end="\n\n")
    print(page.report(results))
    print(f"written to {os.path.relpath(save(results))}")
    if options.full:
        write(page.RESULTS, results)
        page.write_page(results)
        print(f"written to {os.path.relpath(page.PAGE)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
