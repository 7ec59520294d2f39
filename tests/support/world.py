"""A fake disk, scanned by the real program: every scan is checked against the design's rules."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from scanner.core.roots import Root
from scanner.core.serialize import mtime_of, native
from scanner.core.snapshot import project
from scanner.diff.replay import replay
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import read_entries, read_header
from scanner.output.journal_reader import read
from scanner.scan import Scanner, ScanResult
from scanner.service.fingerprints import FingerprintReader
from scanner.settings.schema import Settings
from scanner.store.store import Store
from tests.support.fakes import FakeFileSystem, FakeWorkers

BASE = "/home/u"
MODELS = Root("models", "/home/u/ComfyUI/models")
DOWNLOADS = Root("downloads", "/home/u/Downloads")

_OPENED: list[Store] = []

Projection = dict[str, tuple[str, int, int]]


class World:
    """Scans `files` into `folder`."""

    def __init__(
        self,
        folder: Path,
        files: FakeFileSystem | None = None,
        roots: tuple[Root, ...] = (MODELS, DOWNLOADS),
        base: str = BASE,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.base = base
        self.files = files or FakeFileSystem()
        self.roots = roots
        self.settings = Settings(**settings)
        if files is None:
            for root in roots:
                self.files.makedirs(root.path)
        self.outputs = Outputs(str(folder / "out.json"), str(folder))
        self.interval = 30.0
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.settings, self.outputs, self.base, self.files)
        _OPENED.append(self.store)
        self.workers = self.make_workers()
        self.scanner = Scanner(self.files, self.store, self.settings, self.roots, self.workers)
        self.unfingerprinted = self.scanner.pending_folders()
        self.without_facts = self.scanner.pending_folders()
        self.unhashed = self.scanner.pending_folders()
        self.backlog = FingerprintReader(self.scanner, self.unfingerprinted)

    def make_workers(self) -> FakeWorkers:
        return FakeWorkers(self.files)

    def restart(self, **settings: Any) -> None:
        """End without a word, and start again, with other settings if given."""
        self.store.close()
        if settings:
            self.settings = replace(self.settings, **settings)
        self.open()

    def scan(self, *, advance: float = 30.0, reads: bool = True) -> list[tuple[str, ...]]:
        """One pass and its backlog; the rules that hold for every pass are checked."""
        self.files.advance(advance)
        before = self.project()
        is_first = not self.store.memory.roots
        self.result: ScanResult = self.scanner.scan(
            self.scanner.zones().all, interval=self.interval
        )
        self.scanner.publish(is_last=False)
        lines = [line for line in read(self.outputs.journal) if line["scan"] == self.result.scan]
        assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
        assert all(line["of"] == len(lines) for line in lines)
        self.lines = lines
        if not is_first and not any(line["kind"] == "baseline" for line in lines):
            assert replay(before, lines, self.base) == self.project()
        if read_header(self.outputs.inventory) is not None and self.result.scan == (
            self.store.inventory.scan
        ):
            assert self.inventory() == self.project()
        if reads:
            self.files.advance(5)
            self.backlog.work(lambda: False)
        return sorted(
            (line["kind"], line["from"], line["path"])
            if "from" in line
            else (line["kind"], line["path"])
            for line in lines
            if line["kind"] != "baseline"
        )

    def settle(self) -> World:
        """Two passes: what is there now has not changed between them."""
        self.scan()
        self.scan()
        return self

    def entry(self, name: str) -> dict[str, Any]:
        """The one entry of the inventory, as it is after the next write, whose path ends so."""
        self.files.advance(700)
        self.scanner.publish(is_last=True)
        entries = read_entries(self.outputs.inventory)
        (entry,) = [entry for entry in entries if entry["path"].endswith(name)]
        return entry

    def baselines(self) -> list[tuple[str, str]]:
        return [(line["path"], line["reason"]) for line in self.lines if line["kind"] == "baseline"]

    def project(self) -> Projection:
        """Path, type, size and mtime of everything in the snapshot."""
        return project(self.store.snapshot, [root.path for root in self.roots])

    def inventory(self) -> Projection:
        """The same from the inventory file."""
        found: Projection = {}
        for entry in read_entries(self.outputs.inventory):
            has_times = entry["type"] in ("file", "symlink")
            size = entry.get("size", 0) if has_times and entry.get("leads_to") != "directory" else 0
            mtime = mtime_of(entry) if has_times else 0
            found[native(entry, self.base)] = (entry["type"], size, mtime)
        return found

    def states(self) -> dict[str, str]:
        return {id_: record.state for id_, record in self.store.memory.roots.items()}

    def state(self, root: Root) -> str:
        return self.states()[root.id]


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A temporary folder in memory, if there is such: thousands of scans wait for no disk."""
    memory = "/dev/shm"
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="outputs-", dir=place) as folder:
        yield Path(folder)


def close_worlds() -> None:
    """Close the stores of all worlds; after each test, and between the examples of one."""
    while _OPENED:
        _OPENED.pop().close()


def at(relative: str) -> str:
    """An absolute path on the fake disk from one relative to the base."""
    return os.path.join(BASE, relative)


def content(name: str, size: int = 1000) -> bytes:
    """Bytes that differ by name and not by size."""
    return (name.encode() * size)[:size]


def safetensors(length: int = 4) -> bytes:
    """A model whose header asks for 4 bytes, and so many."""
    header = b'{"w":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'
    return len(header).to_bytes(8, "little") + header + bytes(length)


Fault = Callable[[], None]
