"""The state of one output and its projections, and the order in which they are written.

The state is written first, in one transaction; then the journal; then the inventory; then the
status (rule 8, exactly once over crashes). The last three are projections of the state: what a
crash left out of them is made up for at the next start.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scanner.comfyui.downloads import Downloads
from scanner.core.changes import MOVED, Change
from scanner.core.inventory_parts import parts_folder
from scanner.core.memory import Memory, roots_of
from scanner.core.paths import nearest_above
from scanner.core.serialize import printable
from scanner.core.snapshot import Directory, Snapshot
from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount
from scanner.disk.trust import Trust
from scanner.errors import OutputError
from scanner.output.atomic import remove_leftovers
from scanner.output.file_names import Outputs
from scanner.output.journal import Journal, encode
from scanner.store.claims import returned
from scanner.store.facts_read import facts_read_at, put_facts_read
from scanner.store.history import History
from scanner.store.loading import Loaded, load_again, load_or_set_aside, rebuilt, words_text
from scanner.store.published import PublishedInventory
from scanner.store.recovery import take_from_remote
from scanner.store.unshown import Unshown

if TYPE_CHECKING:
    from scanner.output.inventory_view import InventoryView
    from scanner.settings.schema import Settings
    from scanner.store.annotations import Annotations
    from scanner.store.pipelines import Pipeline

_UNLOCKED = nullcontext()


LEARNED = "turns"
"""The value of the state that holds what walks have learned."""


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
    shifted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The mtimes before and after of files whose mount's clock moved by an hour, by path."""
    is_visible: bool = False
    """True if readers of the inventory must see it: project, a root's state or `unreachable`
    changed."""
    learned: str = ""
    """What walks have learned, for the next one-shot scan: see `core.turns`."""

    @property
    def brings_files(self) -> bool:
        """True if readers of files may have something to do."""
        return bool(
            self.directories or self.gone or self.changes or self.other_files or self.shifted
        )


class Store:
    """State, snapshot and memory of one output, and its projections.

    The scanner's commit lock guards all of it, with two exceptions that lanes use without it:
    `state` has a lock for its connection, and `trust_of` one for its table. `memory` is replaced
    and never changed; directories in `snapshot` are replaced one by one.
    """

    def __init__(
        self,
        loaded: Loaded,
        journal: Journal,
        inventory: PublishedInventory,
        history: History,
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
        self.journal = journal
        self.inventory = inventory
        self.history = history
        self._annotations: Annotations | None = None
        # A process that was killed may have left facts that nobody has seen.
        has_news = loaded.metadata.newest != loaded.shown_metadata
        self._unshown = Unshown(
            loaded.visible_scan, loaded.shown_metadata, inventory.lacks_mounts, has_news
        )
        self._trust = loaded.trust
        self._saved_trust = loaded.trust.as_text()
        self._facts_read = 0
        """When nothing waited for the reader of facts, nanoseconds; 0 if something may wait. The
        commit of a change ends it."""
        self._has_learned = True
        """True if the state may hold what walks have learned."""
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
        for path in (outputs.inventory, outputs.status, outputs.history):
            remove_leftovers(path)
        if os.path.isdir(parts_folder(outputs.inventory)):
            from scanner.output.part_files import remove_leftover_parts

            remove_leftover_parts(outputs.inventory)
        take_from_remote(outputs)
        return cls(*_load(settings, outputs, files), outputs, base)

    def mend(self) -> bool:
        """Open the state anew if its files were removed, replaced or cut, or are damaged, and write
        what is known here to it. True if it was.

        Metadata that stood in no other place is lost. Raises OutputError; the next call tries it
        again.
        """
        if self.state.is_sound() and not self.metadata.has_failed:
            return False
        # All connections: SQLite looks at a log anew only when nobody has it open.
        self.metadata.close()
        self.state.close()
        trust = self._trust.as_text()
        values = {"scan": self.scan, "visible_scan": self._unshown.scan, "trust": trust}
        loaded = load_again(
            self.outputs.state, self.snapshot, self.memory, values, (self.scan, self._undelivered)
        )
        self.state, self.metadata, self._saved_trust = loaded.state, loaded.metadata, trust
        self._facts_read, self._has_learned = 0, True
        if self.inventory.bytes:
            self.state.note_inventory(self.outputs.inventory)
            self.state.note(self._file_values())
        self.history.open(loaded.state)
        self._unshown.has_annotations = True
        return True

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
            if commit.learned or self._has_learned:
                self.state.put(LEARNED, commit.learned)
            if self._facts_read:
                facts_read = 0 if commit.brings_files else self._facts_read
                put_facts_read(self.state, facts_read, scan)
            for number, text in commit.answers:
                self.state.answer_request(number, text)
            doubtful = self._carry_metadata(commit)
        self.metadata.doubtful.update(doubtful)
        for path in gone:
            self.snapshot.pop(path, None)
        self.snapshot.update(commit.directories)
        expired = self.memory.gone.keys() - commit.memory.gone.keys()
        self.memory = commit.memory
        self._drop_folders(expired, _moved_folders(commit, gone))
        self._saved_trust = trust
        self._has_learned = bool(commit.learned)
        self._facts_read = 0 if commit.brings_files else self._facts_read
        self.scan = scan
        if commit.is_visible:
            self._unshown.scan = scan
        self._undelivered = lines
        return scan

    def _drop_folders(self, expired: Collection[str], moved: Collection[str]) -> None:
        """Forget that folders have metadata which moved, or are gone with the last of their files:
        a program that runs for years would keep the names of all. `expired` files are gone."""
        folders = {*map(os.path.dirname, expired), *moved} & self.metadata.versions.keys()
        folders -= self.snapshot.keys()
        if folders:
            self.metadata.drop_folders(folders.difference(map(os.path.dirname, self.memory.gone)))

    def _carry_metadata(self, commit: Commit) -> Iterable[str]:
        """Have the metadata of files follow them, inside the transaction of `commit`. Returns the
        files that were gone and have come back."""
        moves = [change for change in commit.changes if change.kind == MOVED]
        files = {
            change.source: (change.path, change.size, change.mtime)
            for change in moves
            if change.type != "directory"
        }
        known = self.metadata.versions
        back = returned(commit.directories, self.snapshot, known, self.memory.gone)
        doubtful = self.state.doubt_known(back)
        directories = {change.source: change.path for change in moves if change.type == "directory"}
        self.state.move_known(files, directories)
        self.state.shift_known(commit.shifted)
        self.state.forget_known(commit.other_files)
        self.state.forget_known(_expired(commit, self.memory, self.snapshot))
        return doubtful

    def deliver(self, lock: AbstractContextManager[object] = _UNLOCKED) -> None:
        """Append the outbox to the journal: the lines of the last commit, and those of earlier ones
        that could not be appended.

        `lock` is that of commits: it is held to read the outbox, and not to write. Only one thread
        may deliver at a time. Raises OutputError. The lines stay in the outbox then, for the next
        call.
        """
        with lock:
            oldest, scan, lines = self.state.oldest_in_outbox(), self.scan, self._undelivered
            if oldest is None:
                return
            outbox = self.state.outbox() if oldest < scan else None
        if outbox is None:
            self.journal.append(lines)
        else:
            self.journal.recover(outbox, scan)
        self.state.clear_outbox(scan)

    def note_annotations(self) -> None:
        """Remember that the inventory could say more, though nothing changed (rule 10)."""
        self._unshown.has_annotations = True

    def are_facts_read(self, now: int) -> bool:
        """True if nothing waits for the reader of facts since an earlier process."""
        self._facts_read = facts_read_at(self.state, self.scan, now)
        return bool(self._facts_read)

    def note_facts_read(self, now: int) -> None:
        """Remember that nothing waits for it. Raises OutputError."""
        if not self._facts_read:
            put_facts_read(self.state, now, self.scan)
            self._facts_read = now

    def note_news(self) -> None:
        """Remember that facts are complete: the next `publish` shows them (rule 10)."""
        self._unshown.has_news = True

    def save_fingerprints(self, directories: Mapping[str, Directory]) -> None:
        """Replace directories by themselves with more fingerprints: an annotation, no scan."""
        with self.state.transaction():
            self.state.save_directories(directories)
        self.snapshot.update(directories)
        self._unshown.has_annotations = True

    def annotations(self) -> Annotations:
        """The annotations of the inventory's entries as they are now."""
        from scanner.store.annotations import Annotations  # a scan that changes nothing shows none

        packs, pipelines = self.memory.packs, self._pipelines()
        known = self._annotations
        if known is None or not known.are_of(self.metadata, packs, pipelines):
            self._annotations = known = Annotations(self.metadata, packs, pipelines)
        return known

    def _pipelines(self) -> dict[str, Pipeline]:
        if not self.metadata.pipelines:
            return {}
        from scanner.store.pipelines import pipelines_in

        return pipelines_in(self.metadata, self.snapshot)

    def trust_of(self, mount: Mount) -> Trust:
        """The trust in directory mtimes on `mount`; saved by the next commit."""
        return self._trust.of(mount)

    # Projections

    def publish(
        self,
        view: Callable[[], InventoryView],
        *,
        is_last: bool,
        lock: AbstractContextManager[object] = _UNLOCKED,
    ) -> bool:
        """Replace the inventory if readers lack something and the time has come (rule 10). True if
        it was written.

        `is_last`: the program ends, so nothing is put off. `lock` is that of commits: it is held to
        make the view, which no later commit may change, and not to write. Only one thread may
        publish at a time. Raises OutputError.
        """
        self.metadata.refresh()
        inventory = self.inventory
        is_as_written = inventory.is_as_written()
        with lock:
            # Another lane may add metadata while this one writes: the next write shows it.
            newest = self.metadata.newest
            self._unshown.look(self.metadata)
            if not inventory.tells_origins(roots_of(self.memory.roots.values())):
                self.note_annotations()
            is_stale = self._unshown.is_stale(inventory, self.metadata) or not is_as_written
            is_stale |= self.history.is_behind
            if not is_stale and not self._unshown.has_annotations:
                return False
            if not inventory.may_be_written(is_stale=is_stale, is_last=is_last):
                return False
            had = self._unshown.take()
            now = view()
        try:
            # Before the write: a file that is damaged in it is still known as ours.
            self.state.note_inventory(self.outputs.inventory)
            inventory.write(now)
            values = self._file_values() | {"shown_knowledge": newest}
            if inventory.is_large:
                values["inventory_seconds"] = inventory.last_seconds
            self.history.after_write(now.generated, values)
        except BaseException:
            self._unshown.give_back(had)
            raise
        self._unshown.metadata = newest
        return True

    def _file_values(self) -> dict[str, object]:
        """What the inventory's file does not say of itself, for the state. If a power cut takes it
        back, the inventory is written once more."""
        words = words_text(self.inventory.counts)
        return {"inventory_file": self.inventory.mark, "inventory_words": words}


def _load(
    settings: Settings, outputs: Outputs, files: FileSystem
) -> tuple[Loaded, Journal, PublishedInventory, History]:
    """What is kept, brought to one scan: what a crash left out is made up for."""
    loaded = load_or_set_aside(outputs.state)
    try:
        inventory = PublishedInventory(
            outputs,
            files,
            annotations_every=settings.annotations_every,
            last_seconds=loaded.inventory_seconds,
            mark=loaded.inventory_mark,
            words=loaded.inventory_words,
            split_by=settings.split_by,
        )
        if inventory.bytes:
            loaded.state.note_inventory(outputs.inventory)
        journal = Journal(
            outputs.journal, limit_bytes=settings.journal_size, keep=settings.journal_files
        )
        # First, so that a rebuild sees no half of a scan.
        outbox = loaded.state.outbox()
        journal.recover(outbox, max(loaded.scan, inventory.scan))
        if outbox:
            loaded.state.clear_outbox(loaded.scan)
        if not loaded.scan and not loaded.memory.roots and inventory.bytes:
            loaded = rebuilt(loaded, outputs, journal)
        loaded = loaded._replace(scan=max(loaded.scan, journal.last_scan()))
        rest = settings.annotations_every
        history = History(loaded.state, inventory, outputs.history, files, rest)
        return loaded, journal, inventory, history
    except BaseException:
        loaded.close()
        raise


def _make_state_folder(outputs: Outputs) -> None:
    try:
        os.makedirs(outputs.state_folder, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {printable(outputs.state_folder)} for the state cannot be made: "
            f"{error.strerror or error}. HOME, or XDG_STATE_HOME if it is set, says where it lies."
        ) from None


def _moved_folders(commit: Commit, gone: Iterable[str]) -> list[str]:
    """Those of the folders that are `gone` which a move of a folder has taken elsewhere."""
    sources = {
        change.source
        for change in commit.changes
        if change.kind == MOVED and change.type == "directory"
    }
    return [path for path in gone if nearest_above(path, sources) is not None] if sources else []


def _expired(commit: Commit, memory: Memory, snapshot: Snapshot) -> Iterator[str]:
    """Files of `memory` that are gone for good: no move can need their metadata any more."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for path in memory.gone.keys() - commit.memory.gone.keys():
        folders[os.path.dirname(path)].append(path)
    for folder, paths in folders.items():
        before = None if folder in commit.gone else snapshot.get(folder)
        now = commit.directories.get(folder, before)
        listed = set() if now is None else now.all_names()
        yield from (path for path in paths if os.path.basename(path) not in listed)
