"""The state of one output and its projections, and the order in which they are written.

The state is written first, in one transaction; then the journal; then the inventory; then the
status (rule 8, exactly once over crashes). The last three are projections of the state: what a
crash left out of them is made up for at the next start.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from scanner.comfyui.downloads import Downloads
from scanner.core.changes import MOVED, Change
from scanner.core.memory import Memory
from scanner.core.serialize import printable
from scanner.core.snapshot import Directory, Snapshot
from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount
from scanner.disk.trust import Trust
from scanner.errors import DamagedStateError, OutputError
from scanner.output.atomic import remove_leftovers
from scanner.output.file_names import Outputs
from scanner.output.inventory_view import InventoryView
from scanner.output.journal import Journal, encode
from scanner.store.annotations import Annotations
from scanner.store.database import VALUE_ERRORS, damaged
from scanner.store.metadata import MetadataTable
from scanner.store.mount_trust import MountTrust, trusts_from
from scanner.store.pipelines import pipelines_in
from scanner.store.published import PublishedInventory
from scanner.store.recovery import rebuild, set_aside, take_from_remote
from scanner.store.state import State

if TYPE_CHECKING:
    from scanner.settings.schema import Settings

_RETRY_AFTER = 0.2
"""Seconds after which a state that seems damaged is read again."""


@dataclass
class Commit:
    """The changes of one scan. Everything goes into one transaction."""

    directories: Mapping[str, Directory] = field(default_factory=dict)
    gone: Sequence[str] = ()
    changes: Sequence[Change] = ()
    memory: Memory = field(default_factory=Memory)
    answers: Sequence[tuple[int, str]] = ()
    """Answers to requests of people, by request number."""
    other_files: Collection[str] = ()
    """Files whose metadata, if there is any, was read of other files."""
    is_visible: bool = False
    """True if readers of the inventory must see it: project, a root's state or `unreachable`
    changed."""


class _Loaded(NamedTuple):
    """An open state and everything that is read from it once."""

    state: State
    metadata: MetadataTable
    snapshot: Snapshot
    memory: Memory
    scan: int
    visible_scan: int
    shown_metadata: int
    trust: MountTrust
    inventory_seconds: float
    inventory_mark: str
    """The inventory as it was last written: see `published.mark_of`."""


class Store:
    """State, snapshot and memory of one output, and its projections.

    The scanner's commit lock guards all of it, with two exceptions that lanes use without it:
    `state` has a lock for its connection, and `trust_of` one for its table. `memory` is replaced
    and never changed; directories in `snapshot` are replaced one by one.
    """

    def __init__(
        self,
        loaded: _Loaded,
        journal: Journal,
        inventory: PublishedInventory,
        outputs: Outputs,
        base: str | None,
    ) -> None:
        self.outputs = outputs
        self.base = base
        self.state = loaded.state
        self.metadata = loaded.metadata
        self.snapshot = loaded.snapshot
        self.memory = loaded.memory
        self.scan = loaded.scan
        self.downloads = Downloads()
        self._journal = journal
        self._inventory = inventory
        self._visible_scan = loaded.visible_scan
        self._annotations: Annotations | None = None
        self._has_annotations = inventory.lacks_mounts
        self._shown_metadata = loaded.shown_metadata
        """Number of the last change of metadata that the inventory shows."""
        self._trust = loaded.trust
        self._saved_trust = loaded.trust.as_text()
        self._undelivered: Sequence[bytes] = ()
        """The lines of the last commit."""

    # Start and end

    @classmethod
    def open(
        cls, settings: Settings, outputs: Outputs, base: str | None, files: FileSystem
    ) -> Store:
        """Load what is kept. A lost or damaged state is rebuilt from the inventory (rule 9).

        Paths are shown relative to `base`; `files` gives the clocks. The lock of the output
        must be held. Raises OutputError.
        """
        _make_state_folder(outputs)
        for path in (outputs.inventory, outputs.status):
            remove_leftovers(path)
        take_from_remote(outputs)
        loaded, damaged_state = _load_or_set_aside(outputs.state)
        try:
            inventory = PublishedInventory(
                outputs,
                files,
                annotations_every=settings.annotations_every,
                last_seconds=loaded.inventory_seconds,
                mark=loaded.inventory_mark,
            )
            if inventory.bytes:
                loaded.state.note_inventory(outputs.inventory)
            journal = Journal(
                outputs.journal, limit_bytes=settings.journal_size, keep=settings.journal_files
            )
            # First, so that a rebuild sees no half of a scan.
            journal.recover(loaded.state.outbox(), max(loaded.scan, inventory.scan))
            loaded.state.clear_outbox(loaded.scan)
            if not loaded.scan and not loaded.memory.roots and inventory.bytes:
                loaded = _rebuilt(loaded, outputs, journal)
            if damaged_state:
                loaded.state.salvage_known(damaged_state)
                loaded.metadata.refresh()
            loaded = loaded._replace(scan=max(loaded.scan, journal.last_scan()))
            return cls(loaded, journal, inventory, outputs, base)
        except BaseException:
            loaded.metadata.close()
            loaded.state.close()
            raise

    def close(self) -> None:
        """Close the database; safe to call twice."""
        self.metadata.close()
        self.state.close()

    # Commit

    def commit(self, commit: Commit, now: int) -> int:
        """Write one scan to the state; `deliver` comes after it. `now` in nanoseconds. The scan's
        number.

        Raises OutputError, and then nothing has changed.
        """
        scan = self.scan + 1
        lines = [
            encode(change, scan=scan, n=n, of=len(commit.changes), time_ns=now, base=self.base)
            for n, change in enumerate(commit.changes, 1)
        ]
        gone = [path for path in commit.gone if path not in commit.directories]
        trust = self._trust.as_text()
        moves = [change for change in commit.changes if change.kind == MOVED]
        with self.state.transaction():
            self.state.remove_directories(gone)
            self.state.save_directories(commit.directories)
            self.state.save_memory(self.memory, commit.memory)
            self.state.put_outbox(scan, lines)
            self.state.put("scan", scan)
            if commit.is_visible:
                self.state.put("visible_scan", scan)
            if trust != self._saved_trust:
                self.state.put("trust", trust)
            for number, text in commit.answers:
                self.state.answer_request(number, text)
            self.state.move_known(
                {
                    change.source: (change.path, change.size, change.mtime)
                    for change in moves
                    if change.type != "directory"
                },
                {change.source: change.path for change in moves if change.type == "directory"},
            )
            self.state.forget_known(commit.other_files)
        for path in gone:
            self.snapshot.pop(path, None)
        self.snapshot.update(commit.directories)
        self.memory = commit.memory
        self._saved_trust = trust
        self.scan = scan
        if commit.is_visible:
            self._visible_scan = scan
        self._undelivered = lines
        return scan

    def deliver(self) -> None:
        """Append the outbox to the journal: the lines of the last commit, and those of earlier ones
        that could not be appended.

        Raises OutputError. The lines stay in the outbox then, for the next call.
        """
        oldest = self.state.oldest_in_outbox()
        if oldest is None:
            return
        if oldest < self.scan:
            self._journal.recover(self.state.outbox(), self.scan)
        else:
            self._journal.append(self._undelivered)
        self.state.clear_outbox(self.scan)

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
        """The annotations of the inventory's entries as they are now."""
        packs = self.memory.packs
        pipelines = pipelines_in(self.metadata, self.snapshot)
        known = self._annotations
        if known is None or not known.are_of(self.metadata, packs, pipelines):
            self._annotations = known = Annotations(self.metadata, packs, pipelines)
        return known

    def trust_of(self, mount: Mount) -> Trust:
        """The trust in directory mtimes on `mount`; saved by the next commit."""
        return self._trust.of(mount)

    # Projections

    @property
    def journal_scan(self) -> int:
        """Number of the last scan in the journal. Raises OutputError."""
        return self._journal.last_scan()

    @property
    def journal_bytes(self) -> int:
        """Size of the journal's newest file. Raises OutputError."""
        return self._journal.position

    @property
    def inventory_scan(self) -> int:
        """Number of the scan that the inventory shows."""
        return self._inventory.scan

    @property
    def inventory_written(self) -> int:
        """When the inventory was written, nanoseconds since 1970; 0 if there is none."""
        return self._inventory.written

    @property
    def inventory_bytes(self) -> int:
        """Size of the inventory."""
        return self._inventory.bytes

    def publish(self, view: Callable[[], InventoryView], *, is_last: bool) -> bool:
        """Replace the inventory if readers lack something and the time has come (rule 10). True if
        it was written.

        `is_last`: the program ends, so nothing is put off. Raises OutputError.
        """
        self.metadata.refresh()
        # Another lane may add metadata while this one writes: the next write shows it.
        newest = self.metadata.newest
        if newest != self._shown_metadata:
            self._has_annotations = True
        inventory = self._inventory
        is_stale = inventory.scan < self._visible_scan or not inventory.is_as_written()
        if not is_stale and not self._has_annotations:
            return False
        if not inventory.may_be_written(is_stale=is_stale, is_last=is_last):
            return False
        # Before the write: a file that is damaged in it is still known as ours.
        self.state.note_inventory(self.outputs.inventory)
        inventory.write(view())
        self.state.note("inventory_file", inventory.mark)
        self._has_annotations = False
        if inventory.is_large:
            self.state.put("inventory_seconds", inventory.last_seconds)
        if newest != self._shown_metadata:
            self._shown_metadata = newest
            self.state.put("shown_knowledge", newest)
        return True


def _make_state_folder(outputs: Outputs) -> None:
    try:
        os.makedirs(outputs.state_folder, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {printable(outputs.state_folder)} for the state cannot be made: "
            f"{error.strerror or error}. HOME, or XDG_STATE_HOME if it is set, says where it lies."
        ) from None


def _load_or_set_aside(path: str) -> tuple[_Loaded, str]:
    """Open the database at `path`, or a new one if it is damaged, and the name under which the
    damaged one is kept; empty if it is not. Raises OutputError."""
    try:
        return _load(path), ""
    except DamagedStateError:
        # One read that fails says little: the disk may answer the next one.
        time.sleep(_RETRY_AFTER)
    try:
        return _load(path), ""
    except DamagedStateError as error:
        aside = set_aside(path, error)
    return _load(path), aside


def _load(path: str) -> _Loaded:
    """Open the database at `path`. Raises OutputError, and DamagedStateError with nothing open."""
    state = State(path)
    try:
        snapshot = state.load_snapshot()
        try:
            trusts = trusts_from(state.get("trust"))
            inventory_seconds = float(state.get("inventory_seconds") or 0.0)
            if not 0 <= inventory_seconds < math.inf:
                raise ValueError("a time that no write takes")
        except VALUE_ERRORS as error:
            raise damaged(path, error) from None
        # Damage is met here, where the state is rebuilt.
        state.outbox()
        state.requests()
        metadata = MetadataTable(path)
        try:
            metadata.forget_folders(metadata.versions.keys() - snapshot.keys())
            return _Loaded(
                state,
                metadata,
                snapshot,
                state.load_memory(),
                state.number("scan"),
                state.number("visible_scan"),
                state.number("shown_knowledge"),
                MountTrust(trusts),
                inventory_seconds,
                state.get("inventory_file") or "",
            )
        except BaseException:
            metadata.close()
            raise
    except BaseException:
        state.close()
        raise


def _rebuilt(loaded: _Loaded, outputs: Outputs, journal: Journal) -> _Loaded:
    """`loaded`, which is empty, with what the inventory and the journal hold of it."""
    rebuilt = rebuild(outputs)
    if rebuilt is None:
        return loaded
    scan = max(rebuilt.scan, journal.last_scan())
    with loaded.state.transaction():
        loaded.state.save_directories(rebuilt.snapshot)
        loaded.state.save_memory(Memory(), rebuilt.memory)
        loaded.state.put("scan", scan)
    return loaded._replace(snapshot=rebuilt.snapshot, memory=rebuilt.memory, scan=scan)
