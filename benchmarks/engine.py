"""The program's own engine in a process that lives on, as `run` has it.

    python -m benchmarks.engine COMFY_ROOT INVENTORY

It does what stdin asks for (see `processes.serve`). Its clocks are moved on between scans, so that
the share of verification falls due as it does every 30 s, without the waiting.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from benchmarks.processes import cpu_seconds, serve
from scanner.comfyui.installation import find_roots
from scanner.core.roots import COMPLETE, Root
from scanner.disk.filesystem import DiskFileSystem, FileSystem
from scanner.output.file_names import Outputs
from scanner.scan import Scanner, ScanResult
from scanner.service.fingerprints import FingerprintReader
from scanner.settings.schema import Settings
from scanner.store.store import Store
from scanner.workers.pool import WorkersByMount

INTERVAL = 30.0
"""Seconds between scans, the default of `every`: the interval decides the share of verification."""

LONG = 700.0
"""Seconds after which everything that is put off is due: rests between large inventories, and
annotations (rule 10)."""

MOST_ROUNDS = 50
"""Scans after which a tree that nobody touches has to be at rest."""

P = ParamSpec("P")
T = TypeVar("T")


class MovedClock(DiskFileSystem):
    """The disk, with clocks that can be moved on."""

    def __init__(self) -> None:
        super().__init__(at_once=True)
        self._ahead = 0.0

    def advance(self, seconds: float) -> None:
        """Have both clocks show so much more."""
        self._ahead += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead

    def now(self) -> int:
        return super().now() + int(self._ahead * 1e9)


class Engine:
    """Store, scanner and workers of one output, as the service sets them up."""

    def __init__(
        self,
        outputs: Outputs,
        base: str | None,
        roots: Sequence[Root],
        settings: Settings,
        files: FileSystem,
    ) -> None:
        self.outputs = outputs
        self._files = files
        self._settings = settings
        self._roots = roots
        self.store = Store.open(settings, outputs, base, files)
        self.workers = WorkersByMount.from_settings(settings, files)
        self.restart()

    def restart(self) -> None:
        """Forget what was listed when, so that the next scan reads everything again."""
        self.scanner = Scanner(self._files, self.store, self._settings, self._roots, self.workers)
        self._pending = self.scanner.pending_folders()

    def scan(self, interval: float = INTERVAL) -> ScanResult:
        """One pass with all that belongs to it: walk, commit, journal, inventory."""
        result = self.scanner.scan(self.scanner.zones().all, interval=interval)
        self.scanner.publish(is_last=False)
        if not set(result.states.values()) <= COMPLETE:
            raise SystemExit(f"Not every root is online: {result.states}")
        return result

    def fingerprint(self) -> int:
        """Take the fingerprints that are missing; how many files still lack theirs."""
        return FingerprintReader(self.scanner, self._pending).work(lambda: False).files

    def close(self) -> None:
        self.workers.close()
        self.store.close()


class Stopwatch:
    """Elapsed seconds, those of the processor, and last result of calls, by name."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.cpu: Counter[str] = Counter()
        self.results: dict[str, object] = {}

    def around(self, name: str, call: Callable[P, T]) -> Callable[P, T]:
        """`call`, timed."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> T:
            started, cpu = time.perf_counter(), time.process_time()
            result = call(*args, **kwargs)
            self.seconds[name] += time.perf_counter() - started  # type: ignore[assignment]
            self.cpu[name] += time.process_time() - cpu  # type: ignore[assignment]
            self.results[name] = result
            return result

        return timed

    def clear(self) -> None:
        """Begin anew."""
        self.seconds.clear()
        self.cpu.clear()
        self.results.clear()


class Steps:
    """What the process can be asked to do."""

    def __init__(self, engine: Engine, clock: MovedClock) -> None:
        self._engine = engine
        self._clock = clock
        self._watch = Stopwatch()
        store = engine.store
        store.commit = self._watch.around("commit", store.commit)  # type: ignore[method-assign]
        store.publish = self._watch.around("publish", store.publish)  # type: ignore[method-assign]
        clock.list_directory = self._watch.around(  # type: ignore[method-assign]
            "listing", clock.list_directory
        )

    def scan(self, interval: float = INTERVAL) -> dict[str, Any]:
        """One scan, `interval` seconds later by the moved clock."""
        self._clock.advance(interval)
        return self._timed(interval)

    def verify(self) -> dict[str, Any]:
        """A scan that lists every folder again."""
        self._engine.restart()
        return self.scan()

    def settle(self) -> dict[str, Any]:
        """Scan until nothing is new any more, and every fingerprint is taken."""
        at_rest = 0
        self._clock.advance(LONG)
        for _ in range(MOST_ROUNDS):
            self._clock.advance(INTERVAL)
            changes = self._engine.scan().changes
            left = self._engine.fingerprint()
            at_rest = 0 if changes or left else at_rest + 1
            if at_rest == 3:
                if not gc.get_freeze_count():
                    gc.freeze()  # as `run` does after its first turn
                return {}
        raise SystemExit("The tree does not come to rest; something else changes it.")

    def copy(self) -> dict[str, Any]:
        """Copy the inventory beside itself and have it on the disk: what publishing costs at the
        least."""
        copy = self._engine.outputs.inventory + ".copied"
        started, cpu = time.perf_counter(), time.process_time()
        shutil.copyfile(self._engine.outputs.inventory, copy)
        _sync(copy, os.O_RDWR)
        if sys.platform != "win32":
            _sync(self._engine.outputs.folder, os.O_RDONLY)
        cost = {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        os.unlink(copy)
        return {**cost, "bytes": os.path.getsize(self._engine.outputs.inventory)}

    def _timed(self, interval: float) -> dict[str, Any]:
        self._watch.clear()
        wall, cpu = time.perf_counter(), cpu_seconds()
        result = self._engine.scan(interval)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        scanner = self._engine.scanner
        return {
            "wall": wall,
            "cpu": cpu,
            "listing": self._watch.seconds["listing"],
            "commit": self._watch.seconds["commit"],
            "publish": self._watch.seconds["publish"],
            "commit_cpu": self._watch.cpu["commit"],
            "publish_cpu": self._watch.cpu["publish"],
            "is_published": self._watch.results.get("publish") is True,
            "kinds": Counter(change.kind for change in result.changes),
            "files": result.files,
            "period": max(map(scanner.verification_period, scanner.zones().all)),
        }


def _sync(path: str, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def main() -> None:
    comfy_root, inventory = sys.argv[1:]
    settings = Settings(comfy_root=Path(comfy_root), every=INTERVAL)
    found = find_roots(settings, cwd=os.getcwd(), home=os.getcwd(), environ={})
    clock = MovedClock()
    outputs = Outputs(inventory, os.path.dirname(inventory))
    engine = Engine(outputs, found.base, found.roots, settings, clock)
    try:
        steps = Steps(engine, clock)
        serve(
            {
                "scan": steps.scan,
                "verify": steps.verify,
                "settle": steps.settle,
                "copy": steps.copy,
            }
        )
    finally:
        engine.close()


if __name__ == "__main__":
    main()
