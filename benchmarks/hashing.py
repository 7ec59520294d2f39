"""How fast content hashes are taken, beside the tools that do only that, of the same warm file.

    python -m benchmarks.hashing [--size 2GB] [--repeats 5]

Each has its turn in every repeat. `read` reads the file and does nothing else: the limit of one
reader. What is ours is asked for in pieces, as `hash` does it, file system and stats included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from scanner.core.digests import SHA256, XXH3
from scanner.disk.content_hash import hash_piece
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.hash_feed import BLOCK
from scanner.service.hasher import PIECE_SECONDS
from scanner.settings.values import parse_size

FILES = DiskFileSystem()

COMPARED = {
    "xxh3": "xxhsum -H2",
    "sha256": "sha256sum",
}
"""What each of ours is compared with."""


def ours(path: str, algorithms: tuple[str, ...]) -> None:
    """Hash `path` as `hash` does."""
    while hash_piece(FILES, path, 1, algorithms, 1 << 62, PIECE_SECONDS).digests is None:
        pass


def read(path: str) -> None:
    """Read `path` and do nothing with it."""
    buffer = bytearray(BLOCK)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def contestants(path: str) -> dict[str, Callable[[], object]]:
    """Everything that is timed, by name."""
    found: dict[str, Callable[[], object]] = {
        "xxh3": lambda: ours(path, (XXH3,)),
        "sha256": lambda: ours(path, (SHA256,)),
        "xxh3 and sha256": lambda: ours(path, (XXH3, SHA256)),
        "read": lambda: read(path),
    }
    for command in COMPARED.values():
        name, *options = command.split()
        if shutil.which(name) is None:
            print(f"{name} is left out: it is not installed", file=sys.stderr)
            continue
        arguments = [name, *options, path]
        found[command] = lambda arguments=arguments: subprocess.run(  # type: ignore[misc]
            arguments, check=True, stdout=subprocess.DEVNULL
        )
    return found


def measure(path: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each, run by run."""
    seconds: dict[str, list[float]] = {}
    read(path)
    for _ in range(repeats):
        for name, run in contestants(path).items():
            started = time.perf_counter()
            run()
            seconds.setdefault(name, []).append(time.perf_counter() - started)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hashing", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--size", type=parse_size, default=10**9)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile(prefix="comfy-inventory-") as file:
        piece = os.urandom(1 << 24)
        for start in range(0, options.size, len(piece)):
            file.write(piece[: options.size - start])
        file.flush()
        medians = {
            name: statistics.median(runs)
            for name, runs in measure(file.name, options.repeats).items()
        }
    for name, seconds in medians.items():
        rival = COMPARED.get(name, "read" if name.startswith("xxh3 ") else "")
        ratio = f"{seconds / medians[rival]:6.2f} x {rival}" if rival in medians else ""
        print(f"{name:16} {seconds:8.3f} s {options.size / seconds / 1e6:8,.0f} MB/s {ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
