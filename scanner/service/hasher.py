"""Files read whole, a piece at a time."""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from scanner.core.progress import Progressed, Remaining
from scanner.core.roots import Root
from scanner.disk.content_hash import Piece
from scanner.disk.mounts import Mount
from scanner.service.attempts import RETRY_ELSEWHERE, Attempts
from scanner.service.hash_tasks import HashTask
from scanner.service.reading import NAP, MetadataBatch, Source, mount_to_read
from scanner.service.real_files import RealFiles, identity_of, patience_for
from scanner.store.metadata import MetadataUpdate
from scanner.workers.lost import LostWorkerError
from scanner.workers.requests import Failed, HashPiece, PieceHashed

PIECE_SECONDS = 0.25
"""Seconds for which one request reads. A scan or SIGTERM waits no longer for it."""

_JOBS = itertools.count(os.getpid() << 32)
"""Numbers for the files under way. Workers keep them apart by these, whichever process asks."""

Progress = Callable[[Progressed], None]


class Damage(NamedTuple):
    """A file whose content has changed, though its size and mtime have not."""

    path: str
    size: int
    hashed: int
    """When it was read last and was sound, nanoseconds since 1970."""


class _Shared(NamedTuple):
    """What is known of a file with several names."""

    size: int
    mtime: int
    digests: Mapping[str, bytes]
    corrupt: int
    """As in `FileMetadata`."""


class FileHasher:
    """Reads files whole, one after the other, and saves their digests or the damage it finds.

    It continues a file where an earlier call stopped. Only one thread uses it.
    """

    def __init__(
        self,
        source: Source,
        rate: float = 0.0,
        own: Callable[[], Collection[Root]] | None = None,
    ) -> None:
        """`rate`: bytes per second at most; 0 for no limit. `own` gives the zones that the caller
        may wait for, else all."""
        self.attempts = Attempts()
        self.batch = MetadataBatch(source)
        self.damaged: list[Damage] = []
        self.done = Remaining(0, 0)
        self.left = Remaining(0, 0)
        """The files that wait, and their bytes. The caller sets it; files that are done or given up
        are subtracted."""
        self.real = RealFiles(source)
        self._source = source
        self._rate = rate
        self._own = own
        self._patience = patience_for(source, own)
        self._shared: dict[str, _Shared] = {}
        """What is known of files with several names, by the path at which they are read."""
        self._not_before = -math.inf
        """Monotonic time from which on the rate allows the next piece."""
        self._under_way: tuple[HashTask, int] | None = None

    def begin(self) -> None:
        """Start a run: what did not answer in the last one is asked again."""
        self.attempts.begin(self._source.store.snapshot)
        self.real.begin()
        self._shared.clear()
        self._patience = patience_for(self._source, self._own)

    def verify(
        self,
        tasks: Sequence[HashTask],
        stopped: Callable[[], bool],
        progress: Progress | None = None,
    ) -> Remaining:
        """Read `tasks` until all are done or `stopped`, and note the damage in `damaged`.

        Returns the files that are left. Raises OutputError if the result cannot be saved.
        """
        self.begin()
        self.left = Remaining.of(task.size for task in tasks)
        self.hash(deque(tasks), stopped, progress)
        return self.left

    def hash(
        self, queue: deque[HashTask], ends: Callable[[], bool], progress: Progress | None
    ) -> None:
        """Read the files of `queue` until none is left or `ends`; remove each that is done."""
        while queue and not ends():
            task = queue[0]
            shared = self._shared_digests(task)
            if shared is not None:
                queue.popleft()
                self._take_over(task, shared)
                continue
            mount = mount_to_read(self._source, task.read_at, self.attempts.silent)
            if mount is None:
                queue.popleft()
                self._leave(task, is_lost=True)
            else:
                self._hash_first(queue, mount, ends, progress)

    def _hash_first(
        self,
        queue: deque[HashTask],
        mount: Mount,
        ends: Callable[[], bool],
        progress: Progress | None,
    ) -> None:
        """Hash the first file of `queue` until it is done or `ends`; remove it if it is done."""
        task = queue[0]
        if self._under_way is None or self._under_way[0] != task:
            self._under_way = task, next(_JOBS)
        job = self._under_way[1]
        while not self._rests(ends):
            try:
                piece = self._read(task, job, mount)
            except LostWorkerError:
                if ends():
                    return  # the worker was told to stop, which says nothing of the file
                self.attempts.silent.add(mount)
                piece = None
            if piece is None or piece.digests is not None:
                self._under_way = None
                queue.popleft()
            if piece is None:
                self._leave(task, is_lost=mount in self.attempts.silent)
                is_silent = mount in self.attempts.silent
                if is_silent and self._patience(mount) is not None:
                    # No scan of ours says when it answers.
                    now = self._source.files.monotonic()
                    self.attempts.failed(task.path, task.size, task.mtime, now, RETRY_ELSEWHERE)
                return
            if piece.digests is not None:
                self._finish(
                    task, piece.digests, piece.identity if mount.has_stable_inodes else b""
                )
            if progress is not None:
                progress(Progressed(self.done.files, self.done.bytes, self.left))
            if piece.digests is not None:
                return

    def _rests(self, ends: Callable[[], bool]) -> bool:
        """Wait until the rate lets the next piece be read; true if it `ends` before that."""
        files = self._source.files
        while not ends():
            left = self._not_before - files.monotonic()
            if left <= 0:
                return False
            files.sleep(min(left, NAP))
        return True

    def _read(self, task: HashTask, job: int, mount: Mount) -> Piece | None:
        """Read the next piece of the file. None if the file does not answer or has changed since
        it was listed. Raises LostWorkerError."""
        started = self._source.files.monotonic()
        most = max(1, int(self._rate * PIECE_SECONDS)) if self._rate else 1 << 62
        request = HashPiece(
            task.read_at, job, task.algorithms, most, PIECE_SECONDS, mount.has_stable_inodes
        )
        worker = self._source.workers.of(mount, self._patience(mount))
        worker.ask(request)
        answer = worker.answer()
        worker.answer()
        assert isinstance(answer, PieceHashed | Failed)
        piece = answer.piece if isinstance(answer, PieceHashed) else None
        if piece is None or piece.has_changed or (piece.size, piece.mtime) != task[1:3]:
            return None
        self.done = Remaining(self.done.files, self.done.bytes + piece.read)
        self.left = Remaining(self.left.files, max(0, self.left.bytes - piece.read))
        if self._rate:
            self._not_before = max(started, self._not_before) + piece.read / self._rate
        return piece

    def _finish(self, task: HashTask, digests: dict[str, bytes], identity: bytes) -> None:
        """Save the digests of a file that is read, or that it is damaged."""
        self.done = Remaining(self.done.files + 1, self.done.bytes)
        self.left = Remaining(max(0, self.left.files - 1), self.left.bytes)
        expected = task.expected
        if expected is not None:
            now = self._source.files.now()
            is_sound = all(
                expected.digests.get(name, value) == value for name, value in digests.items()
            )
            metadata = self._source.store.metadata
            for path in {task.path, *self.real.others(task.read_at)}:
                known = metadata.of(path)
                if known is not None and known.is_of(task.size, task.mtime) and known.digests:
                    metadata.mark(path, corrupt=0 if is_sound else now, now=now)
            if not is_sound:
                self.damaged.append(Damage(task.path, task.size, expected.read))
                return
        if expected is None or digests.keys() - expected.digests.keys():
            of_entry = identity_of(task.is_link, task.read_at, identity)
            update = MetadataUpdate(task.path, task.size, task.mtime, digests, None, of_entry)
            self.batch.add(update, task.size)
            if task.real:
                self._shared[task.real] = _Shared(task.size, task.mtime, digests, 0)
                row = self.real.listed(task.real)
                if row is not None and (row.size, row.mtime) == (task.size, task.mtime):
                    of_file = identity or None
                    self.batch.add(update._replace(path=task.real, identity=of_file), 0)

    def _shared_digests(self, task: HashTask) -> _Shared | None:
        """The digests that `task` lacks, if another entry that leads to its file has them."""
        if task.expected is not None:
            return None
        if task.real and task.real not in self._shared:
            others = self.real.others(task.real)
            if self.batch.holds_any(others):
                self.batch.save()  # what this run has read is looked up, too
            for path in others:
                known = self._source.store.metadata.of(path)
                if known is not None and known.is_of(task.size, task.mtime) and known.digests:
                    shared = _Shared(known.size, known.mtime, known.digests, known.corrupt)
                    self._shared[task.real] = shared
                    if shared.digests.keys() >= set(task.algorithms):
                        break
        found = self._shared.get(task.read_at)
        if found is None or (found.size, found.mtime) != (task.size, task.mtime):
            return None
        return found if found.digests.keys() >= set(task.algorithms) else None

    def _take_over(self, task: HashTask, shared: _Shared) -> None:
        """Save the digests of another entry that leads to the same file, and that it is damaged."""
        self.left = Remaining(max(0, self.left.files - 1), max(0, self.left.bytes - task.size))
        digests = {name: shared.digests[name] for name in task.algorithms}
        identity = identity_of(task.is_link, task.read_at, None)
        update = MetadataUpdate(task.path, task.size, task.mtime, digests, None, identity)
        self.batch.add(update, 0)
        if shared.corrupt:
            self.batch.save()
            now = self._source.files.now()
            self._source.store.metadata.mark(task.path, corrupt=shared.corrupt, now=now)

    def _leave(self, task: HashTask, *, is_lost: bool) -> None:
        """Leave out a file whose mount is lost, or that cannot be read or has changed since it was
        listed. The next scan that finds it changed queues it again."""
        self.left = Remaining(max(0, self.left.files - 1), max(0, self.left.bytes - task.size))
        if is_lost:
            self.attempts.unanswered(task.path)
        else:
            now = self._source.files.monotonic()
            self.attempts.failed(task.path, task.size, task.mtime, now)
