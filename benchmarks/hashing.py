"""How fast content hashes are taken, beside the tools that do only that, of the same file.

    python -m benchmarks.hashing [--size 4GB] [--repeats 3] [--folder DIR]

Each has its turn in every repeat, first with the file in memory, then with a cold cache, so that it
comes from the disk that holds DIR. `cat` reads the file and does nothing else: the limit of one
reader. What is ours is asked for in pieces, as `hash` does it, file system and stats included. `one
after the other` is the same reading with each block hashed by the thread that has read it. The
least of all repeats is told, and the seconds of processor time beside it: those say what a busy
machine would have taken if it had been idle.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.tables import aligned
from scanner.core.digests import BLAKE3, SHA256, XXH3
from scanner.disk import content_hash
from scanner.disk.content_hash import hash_piece
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.hash_feed import BLOCK
from scanner.service.hasher import PIECE_SECONDS
from scanner.settings.values import parse_size

FILES = DiskFileSystem()

OURS: dict[str, tuple[str, ...]] = {
    "xxh3": (XXH3,),
    "sha256": (SHA256,),
    "blake3": (BLAKE3,),
    "xxh3 and sha256": (XXH3, SHA256),
    "all three": (XXH3, SHA256, BLAKE3),
}

READ = "cat"
TOOLS = (READ, "xxhsum -H2", "sha256sum", "b3sum --num-threads 1", "b3sum")


class Cost(NamedTuple):
    """Seconds of one run, elapsed and of processors."""

    wall: float
    cpu: float


def ours(path: str, algorithms: tuple[str, ...]) -> None:
    """Hash `path` as `hash` does."""
    while hash_piece(FILES, path, 1, algorithms, 1 << 62, PIECE_SECONDS).digests is None:
        pass


def in_turn(path: str, algorithms: tuple[str, ...]) -> None:
    """Read each block and then hash it, one hash after the other."""
    digests = [content_hash._new(name) for name in algorithms]
    buffer = memoryview(bytearray(BLOCK))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            for digest in digests:
                digest.update(buffer[:count])


def contestants(path: str) -> dict[str, Callable[[], object]]:
    """Everything that is timed, by name."""
    found: dict[str, Callable[[], object]] = {}
    for command in TOOLS:
        name, *options = command.split()
        if shutil.which(name) is None:
            print(f"{name} is left out: it is not installed", file=sys.stderr)
            continue
        arguments = [name, *options, path]
        found[command] = lambda arguments=arguments: subprocess.run(  # type: ignore[misc]
            arguments, check=True, stdout=subprocess.DEVNULL
        )
    for name, algorithms in OURS.items():
        found[name] = lambda algorithms=algorithms: ours(path, algorithms)  # type: ignore[misc]
    found["xxh3 and sha256, one after the other"] = lambda: in_turn(path, (XXH3, SHA256))
    return found


def cool(path: str) -> None:
    """Have the file's pages dropped from memory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def costs(path: str, repeats: int, *, is_cold: bool) -> dict[str, Cost]:
    """The least that each took."""
    found: dict[str, list[Cost]] = {}
    entries = contestants(path)
    entries[READ]()
    for _ in range(repeats):
        for name, run in entries.items():
            if is_cold:
                cool(path)
            worked, started = _worked(), time.perf_counter()
            run()
            cost = Cost(time.perf_counter() - started, _worked() - worked)
            found.setdefault(name, []).append(cost)
    return {
        name: Cost(min(cost.wall for cost in runs), min(cost.cpu for cost in runs))
        for name, runs in found.items()
    }


def _worked() -> float:
    """Seconds of processors, of this process and the programs that it ran."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def table(found: dict[str, Cost], size: int) -> str:
    """A row for each, with its share of what reading alone takes."""
    least = found[READ].wall
    return aligned(
        ("", "seconds", "MB/s", "x cat", "processor seconds"),
        [
            (
                name,
                f"{cost.wall:.2f}",
                f"{size / cost.wall / 1e6:,.0f}",
                f"{cost.wall / least:.2f}",
                f"{cost.cpu:.2f}",
            )
            for name, cost in found.items()
        ],
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hashing", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--size", type=parse_size, default=4 * 10**9)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", help="on the disk that is to be read; default: /tmp")
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile(prefix="comfy-inventory-", dir=options.folder) as file:
        piece = os.urandom(1 << 24)
        for start in range(0, options.size, len(piece)):
            file.write(piece[: options.size - start])
        file.flush()
        os.fsync(file.fileno())
        for title, is_cold in (("In memory", False), ("From the disk", True)):
            found = costs(file.name, options.repeats, is_cold=is_cold)
            print(f"{title}:\n{table(found, options.size)}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
