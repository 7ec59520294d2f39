"""What is kept between scans, and the order in which it is written.

State first, in one transaction; then the journal; then the inventory; then the status (design
rule 8). The last three are projections of the first: whatever is missing in them after a crash is
made up for at the next start.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from scanner.comfyui.downloads import Downloads
from scanner.core.changes import BASELINE, MOVED, Change
from scanner.core.memory import Memory, RootRecord
from scanner.core.roots import Root
from scanner.core.serialize import native, readable
from scanner.core.snapshot import Directory, Snapshot
from scanner.diff.replay import replayed_snapshot
from scanner.disk.mounts import Mount
from scanner.disk.trust import PROOFS_WANTED, Trust
from scanner.errors import DamagedStateError, InventoryError, OutputError
from scanner.output.atomic import remove_leftovers
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import base_of, read_header, snapshot_from
from scanner.output.inventory_view import InventoryView
from scanner.output.inventory_writer import InventoryWriter
from scanner.output.journal import Journal, encode
from scanner.output.journal_reader import read
from scanner.store.annotations import Annotations
from scanner.store.metadata import MetadataTable
from scanner.store.state import State

log = logging.getLogger(__name__)

LARGE_INVENTORY = 20_000_000
"""Bytes from which on writes of the inventory are spaced out (rule 10)."""

REST_AFTER_LARGE = 20
"""A large inventory is written at most once per this many times its own duration."""


@dataclass
class Commit:
    """What one scan changes: everything goes into one transaction."""

    directories: Mapping[str, Directory] = field(default_factory=dict)
    gone: Sequence[str] = ()
    changes: Sequence[Change] = ()
    memory: Memory = field(default_factory=Memory)
    answers: Sequence[tuple[int, str]] = ()
    """Answers to requests of `accept`, by request number."""
    is_visible: bool = False
    """Whether readers of the inventory must see it: project, a root's state or `unreachable`."""


class Store:
    """State, snapshot and memory of one output, and its projections."""

    def __init__(
        self,
        outputs: Outputs,
        base: str | None,
        *,
        journal_bytes: int,
        journal_files: int,
        annotations_every: float,
    ) -> None:
        self.outputs = outputs
        self.base = base
        self.snapshot: Snapshot = {}
        self.memory = Memory()
        self.scan = 0
        self.inventory_scan = 0
        self.inventory_written = 0
        self.inventory_bytes = 0
        self._journal = Journal(outputs.journal, limit_bytes=journal_bytes, keep=journal_files)
        is_local = outputs.state_folder == os.path.dirname(outputs.inventory)
        self._inventory = InventoryWriter(outputs.inventory, is_local=is_local)
        self._annotations_every = annotations_every
        self._visible_scan = 0
        self.downloads = Downloads()
        self._annotations: Annotations | None = None
        self._shown_knowledge = 0
        """Number of the last thing learned of files that the inventory shows."""
        self._has_annotations = False
        self._last_write = float("-inf")
        self._last_seconds = 0.0
        self._undelivered = False
        self._outbox: list[tuple[int, list[bytes]]] = []
        self._trust: dict[str, Trust] = {}
        self._saved_trust = ""

    # Start and end

    def open(self) -> None:
        """Load what is kept; rebuild it from the inventory where the state is lost or damaged.

        The lock must be held. Raises OutputError.
        """
        os.makedirs(self.outputs.state_folder, exist_ok=True)
        for path in (self.outputs.inventory, self.outputs.status):
            remove_leftovers(path)
        try:
            self.state = State(self.outputs.state)
            self._load()
        except DamagedStateError as error:
            self._set_aside(error)
            self.state = State(self.outputs.state)
            self._load()
        header = read_header(self.outputs.inventory)
        # First, so that a rebuild sees no half of a scan.
        self._journal.recover(self._outbox)
        self.state.clear_outbox(self.scan)
        if not self.scan and not self.memory.roots and header is not None:
            self._rebuild()
        self.inventory_scan = int(header["scan"]) if header else 0
        self.scan = max(self.scan, self._journal.last_scan())

    def _open_knowledge(self) -> None:
        """Raises DamagedStateError, so that it is one of those that are rebuilt."""
        self.metadata = MetadataTable(self.outputs.state)
        self.metadata.forget_folders(self.metadata.versions.keys() - self.snapshot.keys())
        self._shown_knowledge = self.state.number("shown_knowledge")

    def _load(self) -> None:
        self.snapshot = self.state.load_snapshot()
        self.memory = self.state.load_memory()
        try:
            self._outbox = self.state.outbox()
            self.scan = self.state.number("scan")
            self._visible_scan = self.state.number("visible_scan")
            self._trust = self._load_trust()
        except (sqlite3.Error, ValueError, TypeError, AttributeError) as error:
            raise DamagedStateError(f"{self.outputs.state}: {error}") from None
        self._saved_trust = self._trust_text()
        self._open_knowledge()

    def close(self) -> None:
        """Let go of the database."""
        for opened in (getattr(self, "metadata", None), getattr(self, "state", None)):
            if opened is not None:
                opened.close()

    def _set_aside(self, error: DamagedStateError) -> None:
        self.close()
        aside = f"{self.outputs.state}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
        log.warning("The state is damaged (%s): it is kept as %s and rebuilt.", error, aside)
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.replace(self.outputs.state + ending, aside + ending)

    def _rebuild(self) -> None:
        """Take the inventory for the snapshot: costs time and evidence, never a false change."""
        try:
            header, snapshot = snapshot_from(self.outputs.inventory)
        except InventoryError as error:
            log.warning("The inventory cannot be read either (%s): starting anew.", error)
            return
        records = {}
        for fields in header["roots"]:
            root = Root(fields["kind"], native(fields, base_of(header)), fields.get("category", ""))
            if root.path in snapshot:
                records[root.id] = RootRecord(
                    root.id, root.kind, root.path, root.category, fields["state"], walked=True
                )
        try:
            snapshot = self._caught_up(header, snapshot, records)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("The change list is damaged (%s): starting anew.", error)
            return
        if not records:
            return
        log.warning("The state was lost: rebuilding it from %s.", self.outputs.inventory)
        self.scan = max(int(header["scan"]), self._journal.last_scan())
        memory = Memory(roots=records)
        with self.state.transaction():
            self.state.save_directories(snapshot)
            self.state.save_memory(Memory(), memory)
            self.state.put("scan", self.scan)
        self.snapshot, self.memory = snapshot, memory

    def _caught_up(
        self, header: Mapping[str, Any], snapshot: Snapshot, records: dict[str, RootRecord]
    ) -> Snapshot:
        """`snapshot` brought up to the journal, where that is ahead of the inventory.

        Roots with a baseline since then are taken out of `records` and start anew.
        """
        lines = list(read(self.outputs.journal, since_scan=int(header["scan"])))
        for line in lines:
            if line["kind"] == BASELINE:
                records.pop(line["root"], None)
        if not lines:
            return snapshot
        tops = [record.path for record in records.values()]
        return replayed_snapshot(snapshot, tops, lines, base_of(header))

    # Commit

    def commit(self, commit: Commit, now: int) -> int:
        """Write one scan: state, then journal. `now` in nanoseconds. The scan's number.

        Raises OutputError. If the state could not be written, nothing has changed; if the journal
        could not, its lines stay in the outbox and are appended by the next commit.
        """
        scan = self.scan + 1
        lines = [
            encode(change, scan=scan, n=n, of=len(commit.changes), time_ns=now, base=self.base)
            for n, change in enumerate(commit.changes, 1)
        ]
        gone = [path for path in commit.gone if path not in commit.directories]
        with self.state.transaction():
            self.state.remove_directories(gone)
            self.state.save_directories(commit.directories)
            self.state.save_memory(self.memory, commit.memory)
            self.state.put_outbox(scan, lines)
            self.state.put("scan", scan)
            if commit.is_visible:
                self.state.put("visible_scan", scan)
            trust = self._trust_text()
            if trust != self._saved_trust:
                self.state.put("trust", trust)
            for number, text in commit.answers:
                self.state.answer_request(number, text)
            moves = [change for change in commit.changes if change.kind == MOVED]
            self.state.move_known(
                {
                    change.source: (change.path, change.size, change.mtime)
                    for change in moves
                    if change.type != "directory"
                },
                {change.source: change.path for change in moves if change.type == "directory"},
            )
        for path in gone:
            self.snapshot.pop(path, None)
        self.snapshot.update(commit.directories)
        self.memory = commit.memory
        self._saved_trust = trust
        self.scan = scan
        if commit.is_visible:
            self._visible_scan = scan
        self._deliver(scan, lines)
        return scan

    def _deliver(self, scan: int, lines: Sequence[bytes]) -> None:
        if not lines and not self._undelivered:
            return
        try:
            if self._undelivered:
                self._journal.recover(self.state.outbox())
            else:
                self._journal.append(lines)
        except OutputError:
            self._undelivered = True
            raise
        self._undelivered = False
        self.state.clear_outbox(scan)

    def note_annotations(self) -> None:
        """Remember that the inventory could say more, though nothing changed (rule 10)."""
        self._has_annotations = True

    def save_fingerprints(self, directories: Mapping[str, Directory]) -> None:
        """Replace directories by themselves with more fingerprints: an annotation, no scan."""
        with self.state.transaction():
            self.state.save_directories(directories)
        self.snapshot.update(directories)
        self._has_annotations = True

    def annotations(self) -> Annotations:
        """What the inventory says beside its entries."""
        packs = self.memory.packs
        if self._annotations is None or not self._annotations.are_of(self.metadata, packs):
            self._annotations = Annotations(self.metadata, packs)
        return self._annotations

    # Trust in directory mtimes

    def trust_of(self, mount: Mount) -> Trust:
        """What is known of directory mtimes on `mount`; saved by the next commit."""
        return self._trust.setdefault(mount.identity, Trust())

    def _load_trust(self) -> dict[str, Trust]:
        return _trust_from(self.state.get("trust"))

    def _trust_text(self) -> str:
        return orjson.dumps(
            {
                readable(identity): (min(trust.proofs, PROOFS_WANTED), trust.is_lost)
                for identity, trust in self._trust.items()
                if trust.proofs or trust.is_lost
            }
        ).decode()

    # Projections

    @property
    def journal_scan(self) -> int:
        """Number of the last scan in the journal."""
        return self._journal.last_scan()

    @property
    def journal_bytes(self) -> int:
        """Size of the journal's current file."""
        try:
            return os.stat(self.outputs.journal).st_size
        except OSError:
            return 0

    def publish(
        self, view: Callable[[], InventoryView], *, is_last: bool, monotonic: float
    ) -> bool:
        """Replace the inventory if readers lack something and the time has come (rule 10).

        `is_last`: the program ends, so nothing is put off. Returns whether it was written.
        """
        self.metadata.refresh()
        # Another lane may learn more while this one writes: that is shown by the next write.
        newest = self.metadata.newest
        if newest != self._shown_knowledge:
            self._has_annotations = True
        is_stale = self.inventory_scan < self._visible_scan or not os.path.exists(
            self.outputs.inventory
        )
        since = monotonic - self._last_write
        is_due = is_last or since >= self._annotations_every
        if not is_stale and not (self._has_annotations and is_due):
            return False
        is_large = self.inventory_bytes > LARGE_INVENTORY
        if is_large and not is_last and since < REST_AFTER_LARGE * self._last_seconds:
            return False
        shown = view()
        written = self._inventory.write(shown)
        self.inventory_scan = shown.scan
        self.inventory_written = shown.generated
        self.inventory_bytes = written.bytes
        self._last_seconds = written.seconds
        self._last_write = monotonic
        self._has_annotations = False
        if newest != self._shown_knowledge:
            self._shown_knowledge = newest
            self.state.put("shown_knowledge", newest)
        return True


def read_trust(state: str) -> dict[str, Trust]:
    """What the database at `state` knows of directory mtimes, by mount identity as readers see
    it; nothing where there is no such database. Only reads."""
    if not os.path.isfile(state):
        return {}
    # A database that nobody has open is whole without its log, and is then read as a plain file:
    # opening it the usual way would leave new files beside it.
    mode = "mode=ro" if os.path.exists(state + "-wal") else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{Path(state).as_uri()}?{mode}", uri=True)) as database:
            row = database.execute("SELECT value FROM meta WHERE key = 'trust'").fetchone()
        return _trust_from(None if row is None else row[0])
    except (sqlite3.Error, ValueError, TypeError):
        return {}


def _trust_from(text: str | None) -> dict[str, Trust]:
    known = orjson.loads(text or b"{}")
    return {identity: Trust(proofs, lost) for identity, (proofs, lost) in known.items()}
