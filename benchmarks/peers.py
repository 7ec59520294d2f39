"""Other programs that look through a tree by asking, to be compared with.

    python -m benchmarks.peers watchdog TREE
    python -m benchmarks.peers watchfiles TREE CANARY

The two libraries run in a process of their own and do what stdin asks for (`processes.serve`).
What is not installed is left out, with the reason.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from typing import Any

from benchmarks.processes import serve

POLL_DELAY = 0.3
"""Seconds that watchfiles rests between two polls, its default."""

LONGEST_POLL = 120.0
"""Seconds after which a change that watchfiles has not told is given up."""


def find_command(tree: str) -> list[str]:
    """find, with size and time of everything: the least that any scan has to ask for."""
    return ["find", tree, "-printf", r"%s %T@ %p\n"]


def rclone_command(tree: str) -> list[str]:
    """rclone's listing as JSON, with sizes and times."""
    return ["rclone", "--config", os.devnull, "lsjson", "-R", tree]


def reason_without_find() -> str | None:
    """Why find cannot be compared with here, or None where it can."""
    if shutil.which("find") is None:
        return "there is no find"
    probe = subprocess.run(
        ["find", os.devnull, "-printf", ""], capture_output=True, check=False, text=True
    )
    return "this find has no -printf" if probe.returncode else None


def reasons_without() -> dict[str, str]:
    """Which of the others cannot be compared with here, and why."""
    reasons = {}
    if reason := reason_without_find():
        reasons["find"] = reason
    if shutil.which("rclone") is None:
        reasons["rclone"] = "rclone is not installed"
    for library in ("watchdog", "watchfiles"):
        if importlib.util.find_spec(library) is None:
            reasons[library] = f"{library} is not installed (pip install 'comfy-inventory[bench]')"
    return reasons


def versions(left_out: dict[str, str]) -> dict[str, str]:
    """Versions of those that are here, by name."""
    found = {}
    for program, option in (("find", "--version"), ("rclone", "version")):
        if program not in left_out:
            said = subprocess.run([program, option], capture_output=True, check=False, text=True)
            found[program] = said.stdout.splitlines()[0].split()[-1]
    for library in ("watchdog", "watchfiles"):
        if library not in left_out:
            found[library] = importlib.metadata.version(library)
    return found


class Watchdog:
    """watchdog's polling: a snapshot of the tree, and its difference to the one before."""

    def __init__(self, tree: str) -> None:
        # By name, so that the checks of types do not need the library.
        self._library = importlib.import_module("watchdog.utils.dirsnapshot")
        self._tree = tree
        self._snapshot: Any = None

    def first(self) -> dict[str, Any]:
        """The first snapshot."""
        self._snapshot = self._library.DirectorySnapshot(self._tree)
        return {}

    def again(self) -> dict[str, Any]:
        """Another one, and how many changes stand between the two."""
        snapshot = self._library.DirectorySnapshot(self._tree)
        diff = self._library.DirectorySnapshotDiff(self._snapshot, snapshot)
        self._snapshot = snapshot
        kinds = ("created", "deleted", "modified", "moved")
        told = [getattr(diff, f"{what}_{kind}") for what in ("files", "dirs") for kind in kinds]
        return {"reported": sum(map(len, told))}


class Watchfiles:
    """watchfiles' polling watcher.

    It polls in a thread of its own and tells changes only. So it watches one more folder with one
    file, the canary, whose time is moved as soon as the last move was told: every poll tells it
    once, and from one report to the next it takes one poll and one rest.
    """

    def __init__(self, tree: str, canary: str) -> None:
        self._notify: Any = importlib.import_module("watchfiles._rust_notify").RustNotify
        self._tree = tree
        self._canary = canary
        self._seconds = int(time.time())

    def first(self) -> dict[str, Any]:
        """Set it up: it has then listed the whole tree once."""
        with open(self._canary, "wb"):
            pass
        folders = [self._tree, os.path.dirname(self._canary)]
        delay = round(POLL_DELAY * 1000)
        self._watcher = self._notify(folders, False, True, delay, True, False)
        return {}

    def polls(self, count: int) -> dict[str, Any]:
        """Mean cost of one poll over `count` of them."""
        self._turn()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            self._turn()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {"wall": max(0.0, wall / count - POLL_DELAY), "cpu": cpu / count}

    def _turn(self) -> None:
        self._seconds += 1  # it compares whole seconds, and tells later ones only
        os.utime(self._canary, (self._seconds, self._seconds))
        # Debounce 20 ms, a look every 10 ms.
        if self._watcher.watch(20, 10, round(LONGEST_POLL * 1000), None) == "timeout":
            raise SystemExit("watchfiles does not tell a change.")


def main() -> None:
    kind, *arguments = sys.argv[1:]
    if kind == "watchdog":
        watchdog = Watchdog(*arguments)
        serve({"first": watchdog.first, "again": watchdog.again})
    else:
        watchfiles = Watchfiles(*arguments)
        serve({"first": watchfiles.first, "polls": watchfiles.polls})
        os._exit(0)  # its thread may be in the middle of a poll of many seconds


if __name__ == "__main__":
    main()
