"""Thousands of scans in one process, each with changes under names that never come again.

    python -m tests.support.many_scans --scans 10000

What the process still holds must not depend on how many scans it has made. The disk is the fake
one, whose clock moves on by 30 s between scans. A scan here makes, changes, moves and removes files
and folders, links and node packs, and lets files and folders fail.
"""

from __future__ import annotations

import argparse
import errno
import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from scanner.core.roots import Root
from scanner.service.headers import HeaderReader
from tests.support.world import World, at, close_worlds, quick_folder, safetensors

ROOTS = (
    Root("models", at("ComfyUI/models")),
    Root("custom_nodes", at("ComfyUI/custom_nodes")),
    Root("downloads", at("Downloads")),
)

LASTING = 40
"""Scans after which what one of them made is removed: longer than `move_window`."""


class Held(NamedTuple):
    """What a process holds after so many scans."""

    scans: int
    blocks: int
    """Blocks of Python's allocator."""
    objects: int
    """Objects that the garbage collector knows."""
    state_bytes: int
    """Size of the state."""
    resident_mb: float
    """Resident memory, in MB of a million bytes."""


class ManyScans:
    """A program that scans again and again."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, roots=ROOTS, journal_size=100_000, journal_files=1)
        self._headers = HeaderReader(self.world.scanner, self.world.without_facts)
        self._scans = 0
        for number in range(200):
            self.world.files.write(at(f"ComfyUI/models/vae/{number}.pt"), b"%d" % number)

    def scan(self, count: int) -> None:
        """Edit and scan so often."""
        files = self.world.files
        for _ in range(count):
            self._scans += 1
            self._make(self._scans)
            if self._scans > LASTING:
                self._remove(self._scans - LASTING)
            files.advance(30)
            self.world.scanner.scan(self.world.scanner.zones().all, interval=30.0)
            self.world.scanner.publish(is_last=False)
            self.world.backlog.work(lambda: False)
            self._headers.work(lambda: False)
            files.asked.clear()

    def _make(self, number: int) -> None:
        files = self.world.files
        loras, nodes = at(f"ComfyUI/models/loras/{number}"), at("ComfyUI/custom_nodes")
        files.write(f"{loras}/model.safetensors", safetensors() + b"%d" % number)
        files.write(f"{loras}/note.txt", b"%d" % number)
        files.write(at("ComfyUI/models/vae/0.pt"), b"%d" % number)
        files.write(at(f"Downloads/{number}.safetensors.part"), b"x" * (number % 7))
        files.write(f"{nodes}/pack{number}/pyproject.toml", b'[project]\nname = "%d"' % number)
        files.symlink(f"../{number}", f"{loras}/link")
        files.symlink("nowhere", f"{loras}/broken")
        files.write(f"{loras}/bad.safetensors", b"bad %d" % number)
        files.faults["open", f"{loras}/bad.safetensors"] = errno.EIO
        files.faults["list", at(f"ComfyUI/models/loras/{number - 1}")] = errno.EACCES
        files.faults.pop(("list", at(f"ComfyUI/models/loras/{number - 2}")), None)
        if number > 4:
            last = number - 4
            files.rename(at(f"ComfyUI/models/loras/{last}"), at(f"ComfyUI/models/moved/{last}"))
            files.rename(at(f"Downloads/{last}.safetensors.part"), at(f"Downloads/{last}.pt"))

    def _remove(self, number: int) -> None:
        files = self.world.files
        for path in (f"models/moved/{number}", f"custom_nodes/pack{number}"):
            files.remove(at(f"ComfyUI/{path}"))
        files.remove(at(f"Downloads/{number}.pt"))
        files.faults.pop(("open", at(f"ComfyUI/models/loras/{number}/bad.safetensors")), None)

    def held(self) -> Held:
        """What the process holds now."""
        gc.collect()
        return Held(
            self._scans,
            sys.getallocatedblocks(),
            len(gc.get_objects()),
            os.path.getsize(self.world.outputs.state),
            resident_mb(),
        )


def resident_mb() -> float:
    """Resident memory of this process; 0 where the system does not tell."""
    with suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0


def run(scans: int, every: int) -> Iterator[Held]:
    """What is held after each `every` of so many scans."""
    with quick_folder() as folder:
        program = ManyScans(folder)
        try:
            for _ in range(scans // every):
                program.scan(every)
                yield program.held()
        finally:
            close_worlds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scans", type=int, default=10_000)
    given = parser.parse_args()
    started = time.monotonic()
    print("  scans    blocks   objects   state  resident")
    for held in run(given.scans, max(1, given.scans // 20)):
        print(
            f"{held.scans:7,}{held.blocks:10,}{held.objects:10,}{held.state_bytes / 1e6:6.1f} MB"
            f"{held.resident_mb:7.1f} MB",
            flush=True,
        )
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
