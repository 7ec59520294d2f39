"""RESULTS.md and the picture, from the results of the last full run.

    python -m benchmarks.page

`results.json` is what `make bench-full` measured, `sweep.json` what `make netbench
ARGS='--sweep --keep'` did, where it was run.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from benchmarks.figures import Results, read
from benchmarks.picture import draw, draw_sweep, reason_without_matplotlib
from benchmarks.tables import (
    COST_TITLES,
    aligned,
    costs,
    facts,
    growth,
    markdown,
    ratios,
    seconds,
    verdicts,
)

FOLDER = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(FOLDER, "results.json")
PICTURE = os.path.join(FOLDER, "results.svg")
PAGE = os.path.join(FOLDER, "RESULTS.md")
KEPT = os.path.join(FOLDER, "results")
"""Where every run is kept, apart from what is committed."""
SWEEP = os.path.join(FOLDER, "sweep.json")
SWEEP_PICTURE = os.path.join(FOLDER, "sweep.svg")

RATIOS = """\
*ratio* is one of medians of elapsed seconds, *CPU* the same in processor time (user and system),
which other work on the machine hardly changes. The programs at the right are compared with `find`
too; the rows of memory tell theirs. Targets are set by number of files (`benchmarks/targets.py`).
Commands start in the sample installation, and are judged by CPU.
"""

EXPLAINED = """\
Each program has its turn in every repeat; a figure is the median of its runs. *CPU* is user and
system time, *peak* the most resident memory of the process so far (`<`: less than the program that
started it, which is as low as Linux tells), *told* how many changes it reported. MB are a million
bytes. The tree lies in the page cache, files are small, names have 24 characters on average.

- **first scan**: `comfy-inventory scan` into an empty folder, from the start of the process to its
  end, fingerprints left for later; beside it one `find -printf '%s %T@ %p\\n'`, one
  `DirectorySnapshot` of watchdog, setting up watchfiles with `force_polling` and one
  `rclone lsjson -R`.
- **unchanged scan**: as `run` does it every 30 s, with its share of verification, over the 20 scans
  of one period of 10 min; watchdog: another snapshot and its difference to the last; watchfiles:
  one poll. find and rclone compare nothing. **every 5 s**: the same at that interval, which leaves
  a scan less time to read files again.
- **full verification**: every folder is listed and every file's size and time read again.
- **one change**, **1 % changed**, **moved folder**: one scan that finds them, with state, change
  list and inventory on the disk at its end. watchdog only tells them.
- **restart**: three edits while the program is off, then from the start of `comfy-inventory run`
  until its change list has all three. CPU and memory are those up to its end, which comes 3 s later
  in the last run: the scheduler is loaded then.
"""

AGAIN = """\
    make bench          # 2,000 to 200,000 files, in less than 5 minutes on 2 cores
    make bench ARGS=--details       # every program's seconds and memory as well
    make bench-full     # up to 1,000,000 files; writes this page, results.json and results.svg
    make bench-full ARGS='--trees /some/disk/trees'     # keeps the trees for the next time
    make netbench ARGS='--sweep --keep'                 # workers against time on a slow mount
    python -m benchmarks.compare OLD.json NEW.json      # the ratios of two runs side by side
"""


def render(results: Results, sweep: dict[str, Any] | None, *, has_picture: bool) -> str:
    """The page."""
    parts = [
        "# Results",
        _about(results),
        "## Targets",
        RATIOS.strip(),
        markdown(*ratios(results)),
        *(["![Seconds against files](results.svg)"] if has_picture else []),
        "## How cost grows",
        "Of comfy-inventory, per million files and folders: at each size, and from one size to "
        "the next.",
        markdown(*growth(results)),
        "## Figures",
        EXPLAINED.strip(),
        *(part for size in results.sizes for part in _size_parts(size)),
        *(_sweep_parts(sweep) if sweep else []),
        "## Again",
        AGAIN.rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def _about(results: Results) -> str:
    told = results.machine
    lines = [
        f"comfy-inventory {results.version}, {results.time[:10]}, {results.repeats} repeats "
        "or more.",
        f"{told['cpu']}, {told['cores']} cores, {told['memory_gb']:g} GB of memory, "
        f"{told['system']} {told['kernel']}, {told['filesystem']}, Python {told['python']}.",
    ]
    peers = told.get("peers", {})
    if peers:
        lines.append("With " + ", ".join(f"{name} {found}" for name, found in peers.items()) + ".")
    lines += [f"Left out: {who} ({reason})." for who, reason in results.left_out.items()]
    return "\n".join(lines)


def _size_parts(size: Any) -> list[str]:
    return [
        f"### {size.files:,} files, {size.folders:,} folders",
        markdown(COST_TITLES, costs(size)),
        "\n".join(f"- {fact}" for fact in facts(size)),
    ]


def sweep_rows(sweep: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of the sweep over workers."""
    one = sweep["steps"][0]["seconds"]
    rows = [
        [
            str(step["workers"]),
            str(step["used"]),
            seconds(step["seconds"]),
            f"{one / step['seconds']:.1f}",
            f"{step['seconds'] / sweep['find_seconds']:.3f}",
        ]
        for step in sweep["steps"]
    ]
    return ["workers at most", "in use", "seconds", "times as fast as one", "of find"], rows


def _sweep_parts(sweep: dict[str, Any]) -> list[str]:
    return [
        "## Workers on a slow mount",
        f"Full verification of {sweep['files']:,} files in {sweep['folders']:,} folders on sshfs, "
        f"each round trip delayed by {sweep['delay_ms']:g} ms, all caches off; find takes "
        f"{seconds(sweep['find_seconds'])} s. Medians of {sweep['repeats']}.",
        markdown(*sweep_rows(sweep)),
        *(["![Workers against seconds](sweep.svg)"] if os.path.exists(SWEEP_PICTURE) else []),
    ]


def read_sweep(path: str) -> dict[str, Any] | None:
    """The sweep that was kept; None where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            sweep: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return None
    return sweep


def report(results: Results) -> str:
    """The table of ratios for a terminal, and how many targets are met."""
    found = verdicts(results)
    met = f"{found.count('met')} of {len(found)} targets are met. Measured in {results.took:.0f} s."
    return "\n\n".join([aligned(*ratios(results)), met])


def details(results: Results) -> str:
    """What every program took, for a terminal."""
    parts = []
    for size in results.sizes:
        title = f"{size.files:,} files, {size.folders:,} folders"
        parts += [title, aligned(COST_TITLES, costs(size)), "\n".join(facts(size))]
    return "\n\n".join([*parts, aligned(*growth(results))])


def picture_of(results: Results, path: str) -> bool:
    """Draw it; False, and the reason on stderr, where that cannot be done here."""
    if reason := reason_without_matplotlib():
        print(f"No picture: {reason}.", file=sys.stderr)
        return False
    draw(results, path)
    return True


def write_page(results: Results) -> None:
    """Picture and page, beside the code."""
    picture_of(results, PICTURE)
    sweep = read_sweep(SWEEP)
    if sweep and reason_without_matplotlib() is None:
        draw_sweep(sweep, SWEEP_PICTURE)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(render(results, sweep, has_picture=os.path.exists(PICTURE)))


if __name__ == "__main__":
    write_page(read(RESULTS))
    print(f"written to {os.path.relpath(PAGE)}")
