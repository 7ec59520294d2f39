"""Time first and unchanged scans of a generated tree against find, paired in one run.

    python -m benchmarks --files 20000 --repeats 5

Every repeat runs each command once, so that a busy moment of the machine falls on all of them.
Files are tiny and lie in the page cache: what is compared is the cost of the programs, and the
first scan samples one small block a file. A slow disk or a NAS adds the same waits to all.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime

import scanner

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(CHECKOUT, "benchmarks", "results")
FILES_PER_FOLDER = 33
MEAN_NAME_LENGTH = 24
# Files older than any `settle`, so that the unchanged scans have nothing racy to look at again.
AGE_SECONDS = 86_400
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"


def build_tree(folder: str, files: int) -> None:
    """Create `files` small files of different content below `folder`; the same for every run."""
    rng = random.Random(files)
    mtime = time.time() - AGE_SECONDS
    for first in range(0, files, FILES_PER_FOLDER):
        number = first // FILES_PER_FOLDER
        parent = os.path.join(folder, f"category_{number % 12:02d}", f"folder_{number:05d}")
        os.makedirs(parent)
        for index in range(first, min(first + FILES_PER_FOLDER, files)):
            length = rng.randint(MEAN_NAME_LENGTH - 8, MEAN_NAME_LENGTH + 8)
            stem = f"{index:06d}_" + "".join(rng.choices(LETTERS, k=length - 19))
            path = os.path.join(parent, f"{stem}.safetensors")
            with open(path, "w", encoding="ascii") as file:
                file.write(f"{index}\n" * rng.randint(1, 40))
            os.utime(path, (mtime, mtime))


def scan_command(tree: str, output: str) -> list[str]:
    """The command line of one scan of `tree` as a bare models folder."""
    return [sys.executable, "-m", "scanner", "scan", "--models", tree, "--output", output]


def timed(command: list[str], work: str) -> float:
    """Seconds that `command` takes in the folder `work`; CalledProcessError where it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COMFY_INVENTORY_")}
    # Neither settings nor a ComfyUI of the person who measures may slip in.
    environment |= {"PYTHONPATH": CHECKOUT, "HOME": work, "XDG_CONFIG_HOME": work}
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=work)
    return time.perf_counter() - started


def reason_without_find() -> str | None:
    """Why find cannot be compared with here, or None where it can."""
    if shutil.which("find") is None:
        return "there is no find"
    probe = subprocess.run(
        ["find", os.devnull, "-printf", ""], capture_output=True, check=False, text=True
    )
    return "this find has no -printf" if probe.returncode else None


def measure(tree: str, work: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of every run, per command, in the order of the table."""
    kept = os.path.join(work, "unchanged", "comfy_inventory.json")
    os.makedirs(os.path.dirname(kept))
    for _ in range(2):  # the first fills the state, the second settles it
        timed(scan_command(tree, kept), work)

    def first_scan() -> float:
        with tempfile.TemporaryDirectory(dir=work) as fresh:
            return timed(scan_command(tree, os.path.join(fresh, "comfy_inventory.json")), work)

    runs: dict[str, Callable[[], float]] = {}
    reason = reason_without_find()
    if reason is None:
        runs["find"] = lambda: timed(["find", tree, "-printf", r"%s %T@ %p\n"], work)
    else:
        print(f"find is left out: {reason}", file=sys.stderr)
    runs["python start"] = lambda: timed([sys.executable, "-c", "pass"], work)
    runs["unchanged scan"] = lambda: timed(scan_command(tree, kept), work)
    runs["first scan"] = first_scan
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(run())
    return seconds


def table(seconds: dict[str, list[float]]) -> str:
    """Medians, extremes and the ratio to find, one command a line."""
    find = statistics.median(seconds["find"]) if "find" in seconds else None
    lines = [f"{'':16}{'median':>10}{'min':>10}{'max':>10}{'x find':>9}"]
    for name, runs in seconds.items():
        median = statistics.median(runs)
        ratio = f"{median / find:9.1f}" if find else f"{'-':>9}"
        lines.append(f"{name:16}{median:9.3f}s{min(runs):9.3f}s{max(runs):9.3f}s{ratio}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dir", help="where the tree is built (default: the temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-", dir=options.dir) as work:
        tree = os.path.join(work, "models")
        build_tree(tree, options.files)
        try:
            seconds = measure(tree, work, options.repeats)
        except subprocess.CalledProcessError as error:
            said = os.fsdecode(error.stderr).strip()
            print(f"{error.cmd} ended with {error.returncode}: {said}", file=sys.stderr)
            return 1
    print(f"{options.files} files, {options.repeats} repeats")
    print(table(seconds))
    now = datetime.now(UTC)
    os.makedirs(RESULTS, exist_ok=True)
    result = os.path.join(RESULTS, f"{now:%Y%m%dT%H%M%SZ}.json")
    with open(result, "w", encoding="utf-8") as file:
        report = {
            "time": now.isoformat(),
            "version": scanner.__version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "files": options.files,
            "seconds": seconds,
        }
        json.dump(report, file, indent=1)
    print(f"written to {os.path.relpath(result)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
