"""The program beside others on one tree, scenario by scenario, in pairs.

In every repeat each program has its turn, so that a busy moment of the machine falls on all. The
tree lies in the page cache: what is compared is the work of the programs. A slow disk or a NAS adds
the same waits to all; `benchmarks.network` measures those.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

from benchmarks import edits
from benchmarks.figures import (
    EVERY_5S,
    FIND,
    FINGERPRINTS,
    FIRST,
    FULL,
    MOVED,
    ONE,
    OURS,
    PERCENT,
    RCLONE,
    RESTART,
    UNCHANGED,
    WATCHDOG,
    WATCHFILES,
    WHOLE,
    Size,
)
from benchmarks.peers import find_command, rclone_command
from benchmarks.processes import (
    BenchmarkError,
    Cost,
    Worker,
    cost_of,
    environment,
    run,
    run_to_null,
    wait,
)

SHORT_INTERVAL = 5.0
"""Seconds between scans where people want to know soon."""

LEAST_CHANGES = 5
"""Single changes that are measured at least: forcing files to the disk takes now this, now that."""

PERIOD_SCANS = 20
"""Scans within `verify_within` (10 min) at one every 30 s: each has its share of verification."""

MOVED_FILES = 10_000
"""Files in the folder that is moved, or a tenth of the tree where that is less."""

MOST_LOOKS = 1_000_000_000
"""Files that moved times entries of the tree: watchdog's difference puts all paths into a set anew
for each path that moved (4 s for 2,000 files of 20,000, 5 min for 10,000 of 150,000)."""

POLL = 0.002
"""Seconds between looks into the change list."""

REST = 3.0
"""Seconds that the last `run` of a scenario goes on: until its scheduler is loaded, which takes
memory and comes after the first scan."""

PATIENCE = 120.0
"""Seconds after which changes that `run` has not told are given up."""


class Comparison:
    """All scenarios on the tree at `comfy_root`; everything written goes below `work`."""

    def __init__(
        self,
        comfy_root: str,
        work: str,
        left_out: dict[str, str],
        *,
        repeats: int,
        scans: int = PERIOD_SCANS,
        tell: Callable[[str], None] = print,
    ) -> None:
        self._root = comfy_root
        self._models = os.path.join(comfy_root, "models")
        self._work = work
        self._left_out = left_out
        self._repeats = repeats
        self._scans = scans
        self._tell = tell
        self._outputs = os.path.join(work, "outputs")
        self._inventory = os.path.join(self._outputs, "comfy_inventory.json")
        self._aside = os.path.join(work, "aside")
        os.makedirs(self._outputs)
        os.makedirs(self._aside)
        files, folders = _count(comfy_root)
        self.size = Size(files, folders)

    def run(self) -> Size:
        """Measure everything. Raises BenchmarkError; the tree is as it was in any case."""
        wanted = min(MOVED_FILES, max(1, self.size.files // 10))
        with edits.folder_with(self._models, wanted) as (folder, files):
            self.size.moved_files = files
            self._first_scans()
            self._prepare()
            with ExitStack() as stack:
                engine = Worker("benchmarks.engine", [self._root, self._inventory], self._work)
                stack.enter_context(engine)
                watchdog = self._watchdog(stack)
                engine.ask("settle")
                engine.ask("scan")
                self._unchanged(engine, watchdog)
                self._unchanged_soon(engine)
                self._verifications(engine)
                self._one_change(engine, watchdog)
                self._many_changes(engine, watchdog)
                self._moved_folder(engine, watchdog, folder)
                self.size.note_peak("scans while it runs", engine.close())
            self._watchfiles_polls()
            self._restarts()
        return self.size

    def _has(self, who: str) -> bool:
        return who not in self._left_out

    # First scans

    def _first_scans(self) -> None:
        self._tell(f"{FIRST}, {self._repeats} times")
        for _ in range(self._repeats):
            self._first_scan()
            self._find(FIRST)
            if self._has(WATCHDOG):
                self._library(WATCHDOG, [self._root])
            if self._has(WATCHFILES):
                self._library(WATCHFILES, [self._root, self._canary()])
            if self._has(RCLONE):
                cost = run_to_null(rclone_command(self._root), self._environ(), self._work)
                self.size.line(FIRST, RCLONE).add(cost)

    def _first_scan(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._work) as fresh:
            command = self._command("scan", os.path.join(fresh, "comfy_inventory.json"))
            cost, _ = run(command, self._environ(backlog_time="0s"), self._work)
        self.size.line(FIRST, OURS).add(cost)
        self.size.note_peak(FIRST, cost)

    def _library(self, who: str, arguments: list[str]) -> None:
        with Worker("benchmarks.peers", [who, *arguments], self._work) as worker:
            self.size.line(FIRST, who).add(cost_of(worker.ask("first")))

    def _find(self, scenario: str) -> None:
        if self._has(FIND):
            cost = run_to_null(find_command(self._root), self._environ(), self._work)
            self.size.line(scenario, FIND).add(cost)

    def _canary(self) -> str:
        folder = os.path.join(self._work, "canary")
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, "canary")

    # Scans while the engine lives

    def _prepare(self) -> None:
        """Have every file fingerprinted, which is no part of any figure but the memory."""
        self._tell("taking all fingerprints")
        command = [*self._command("scan", self._inventory), "--json"]
        cost, said = run(command, self._environ(backlog_time="86400s"), self._work)
        summary = json.loads(said)["data"]
        if summary["backlog"]["files"] or summary["files"] != self.size.files:
            raise BenchmarkError(f"Not every file was found and fingerprinted: {summary}")
        self.size.note_peak(FINGERPRINTS, cost)

    def _watchdog(self, stack: ExitStack) -> Worker | None:
        if not self._has(WATCHDOG):
            return None
        worker = Worker("benchmarks.peers", [WATCHDOG, self._root], self._work)
        stack.enter_context(worker).ask("first")
        return worker

    def _unchanged(self, engine: Worker, watchdog: Worker | None) -> None:
        self._tell(f"{UNCHANGED}, {self._scans} times")
        for number in range(self._scans):
            answer = engine.ask("scan")
            self._expect(answer, UNCHANGED, {})
            self.size.line(UNCHANGED, OURS).add(cost_of(answer), 0)
            self._find(UNCHANGED)
            if number < self._repeats:
                self._again(watchdog, UNCHANGED)
        self.size.verify_seconds = answer["period"]

    def _unchanged_soon(self, engine: Worker) -> None:
        """The same at a short interval, which leaves less time to read files again."""
        scans = max(1, self._scans // 2)
        self._tell(f"{EVERY_5S}, {scans} times")
        engine.ask("scan", interval=SHORT_INTERVAL)
        for _ in range(scans):
            answer = engine.ask("scan", interval=SHORT_INTERVAL)
            self._expect(answer, EVERY_5S, {})
            self.size.line(EVERY_5S, OURS).add(cost_of(answer), 0)
            self._find(EVERY_5S)

    def _again(self, watchdog: Worker | None, scenario: str) -> None:
        if watchdog is not None:
            answer = watchdog.ask("again")
            self.size.line(scenario, WATCHDOG).add(cost_of(answer), answer["reported"])

    def _verifications(self, engine: Worker) -> None:
        self._tell(f"{FULL}, {self._repeats} times")
        for _ in range(self._repeats):
            answer = engine.ask("verify")
            self._expect(answer, FULL, {})
            self.size.line(FULL, OURS).add(cost_of(answer), 0)
            self._find(FULL)
        engine.ask("settle")

    def _one_change(self, engine: Worker, watchdog: Worker | None) -> None:
        repeats = max(self._repeats, LEAST_CHANGES)
        self._tell(f"{ONE}, {repeats} times")
        middle = edits.every_nth(self._models, self.size.files)
        told = self.size.publishing
        with edits.replaced(middle, self._aside):
            # A process has nothing to copy from for its first inventory, and writes it whole.
            told.first = self._changed(engine, WHOLE, {"modified": 1})["publish"]
        engine.ask("settle")
        for number in range(repeats):
            with edits.replaced(middle, self._aside):
                answer = self._changed(engine, ONE, {"modified": 1})
                copied = engine.ask("copy")
                if number == 0:
                    self._again(watchdog, ONE)
            if not answer["is_published"]:
                raise BenchmarkError("The inventory was not written after a change.")
            told.commit.append(answer["commit"])
            told.publish.append(answer["publish"])
            told.copy.append(copied["wall"])
            told.commit_cpu.append(answer["commit_cpu"])
            told.publish_cpu.append(answer["publish_cpu"])
            told.copy_cpu.append(copied["cpu"])
            told.bytes = copied["bytes"]
            engine.ask("settle")

    def _many_changes(self, engine: Worker, watchdog: Worker | None) -> None:
        paths = edits.every_nth(self._models, 100)
        kinds = {"modified": len(paths)}
        edit = partial(edits.replaced, paths, self._aside)
        self._repeat(engine, watchdog, PERCENT, kinds, edit)

    def _moved_folder(self, engine: Worker, watchdog: Worker | None, folder: str) -> None:
        target = edits.free_name(self._models, "moved")
        if watchdog is not None and self.size.moved_files * self.size.entries > MOST_LOOKS:
            watchdog = None
            self.size.notes.append(
                "watchdog is left out of the moved folder: its time grows with the product of what "
                "moved and what is there."
            )
        self._repeat(engine, watchdog, MOVED, {"moved": 1}, partial(edits.moved, folder, target))

    def _repeat(
        self,
        engine: Worker,
        watchdog: Worker | None,
        scenario: str,
        kinds: dict[str, int],
        edit: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Make the edit, scan, take it back: again and again."""
        self._tell(f"{scenario}, {self._repeats} times")
        for number in range(self._repeats):
            # watchdog's last snapshot must be one of the tree before the change.
            if watchdog is not None and number == 0:
                watchdog.ask("again")
            with edit():
                self._changed(engine, scenario, kinds)
                self._find(scenario)
                if number == 0:
                    self._again(watchdog, scenario)
            engine.ask("settle")

    def _changed(self, engine: Worker, scenario: str, kinds: dict[str, int]) -> dict[str, Any]:
        answer = engine.ask("scan")
        self._expect(answer, scenario, kinds)
        self.size.line(scenario, OURS).add(cost_of(answer), sum(kinds.values()))
        return answer

    def _expect(self, answer: dict[str, Any], scenario: str, kinds: dict[str, int]) -> None:
        """A fast scan that missed something is no result."""
        if answer["kinds"] != kinds:
            raise BenchmarkError(f"{scenario}: expected {kinds}, but was told {answer['kinds']}.")

    def _watchfiles_polls(self) -> None:
        """By itself, for it never rests."""
        if not self._has(WATCHFILES):
            return
        self._tell("polls of watchfiles")
        arguments = [WATCHFILES, self._root, self._canary()]
        with Worker("benchmarks.peers", arguments, self._work) as worker:
            worker.ask("first")
            for _ in range(self._repeats):
                self.size.line(UNCHANGED, WATCHFILES).add(cost_of(worker.ask("polls", count=2)))

    # Restarts

    def _restarts(self) -> None:
        self._tell(f"{RESTART}, {self._repeats} times")
        for number in range(1, self._repeats + 1):
            rest = REST if number == self._repeats else 0.0
            with self._offline_edits():
                cost = self._restart({"created", "modified", "moved"}, rest)
            self.size.line(RESTART, OURS).add(cost, 3)
            self.size.note_peak(RESTART, cost)
            self._find(RESTART)
            self._prepare_again()

    def _prepare_again(self) -> None:
        """Have the program see that the edits were taken back, and that the files rest: one that
        changed in the last scan and changes again waits for the next one."""
        command = self._command("scan", self._inventory)
        for _ in range(2):
            run(command, self._environ(backlog_time="600s"), self._work)

    @contextmanager
    def _offline_edits(self) -> Iterator[None]:
        """One file created, one rewritten in place, one moved, all in different folders."""
        files = edits.every_nth(self._models, max(1, self.size.files // 4))[:4]
        new = edits.free_name(os.path.dirname(files[0]), "created")
        elsewhere = edits.free_name(os.path.dirname(files[3]), "moved")
        with (
            edits.created(new),
            edits.rewritten(files[1]),
            edits.moved(files[2], elsewhere),
        ):
            yield

    def _restart(self, kinds: set[str], rest: float) -> Cost:
        """Start `run`; until the change list tells of `kinds`. Memory and processor time are those
        of the process, which goes on for `rest` seconds."""
        log = _Tail(os.path.join(self._outputs, "comfy_inventory.changes.jsonl"))
        command = [*self._command("run", self._inventory), "--every", "30s"]
        with tempfile.TemporaryFile() as errors:
            started = time.perf_counter()
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=self._environ(),
                cwd=self._work,
            )
            try:
                found: set[str] = set()
                while not kinds <= found:
                    time.sleep(POLL)
                    found |= {line["kind"] for line in log.lines()}
                    if process.poll() is not None or time.perf_counter() - started > PATIENCE:
                        raise BenchmarkError(f"After a restart only {found or 'nothing'} was told.")
                wall = time.perf_counter() - started
                time.sleep(rest)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    ended = wait(process, started)
        return Cost(wall, ended.cpu, ended.peak_mb, ended.is_bound)

    # Commands

    def _command(self, verb: str, inventory: str) -> list[str]:
        where = ["--comfy-root", self._root, "--output", inventory]
        return [sys.executable, "-m", "scanner", verb, *where]

    def _environ(self, **settings: str) -> dict[str, str]:
        # The files are made of noise: as models all would be damaged, and the others look at no
        # content.
        return environment(self._work, facts="false", **settings)


class _Tail:
    """Lines that are appended to a change list from now on, over one rotation."""

    def __init__(self, path: str) -> None:
        self._path = path
        found = os.stat(path)
        self._inode, self._offset = found.st_ino, found.st_size

    def lines(self) -> Iterator[dict[str, Any]]:
        """Whole lines that are new."""
        try:
            with open(self._path, "rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:
                    self._inode, self._offset = inode, 0
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return  # between two files
        whole, newline, _ = text.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        yield from map(json.loads, whole.splitlines())


def _count(top: str) -> tuple[int, int]:
    """Files and folders below `top`."""
    files = folders = 0
    for _, below, names in os.walk(top):
        files, folders = files + len(names), folders + len(below)
    return files, folders
