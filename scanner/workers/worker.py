"""Answering requests about scanned files in this process."""

from __future__ import annotations

from typing import Protocol

from scanner.core.paths import join
from scanner.disk.content_hash import hash_piece
from scanner.disk.filesystem import FileSystem
from scanner.disk.fingerprint import take_fingerprint
from scanner.disk.probe import observe
from scanner.workers.helper import error_text
from scanner.workers.requests import (
    Answer,
    AskSpace,
    Failed,
    Fingerprinted,
    HashPiece,
    ListDirectory,
    Listed,
    LstatPath,
    PackRead,
    PieceHashed,
    Probe,
    Probed,
    ReadCompanion,
    ReadFacts,
    ReadPack,
    ReadUses,
    Request,
    SpaceFound,
    StatBelow,
    Stated,
    StatedBelow,
    StatPath,
    Timed,
    Took,
    Understood,
    UsesRead,
)


class Worker(Protocol):
    """Takes requests and gives one answer for each, in any order."""

    def ask(self, request: Request) -> None:
        """Queue a request."""
        ...

    def answer(self) -> Answer | None:
        """The next answer; None when every request has been answered."""
        ...

    def abandon(self) -> None:
        """Drop every request that has no answer yet. Nothing more is asked then."""
        ...

    @property
    def helped_seconds(self) -> float:
        """Seconds that helpers have worked beside this process (see `scanner.workers.helped`)."""
        ...


class LocalWorker:
    """Answers in this process, one request at a time.

    Threads would slow it down: on a warm local disk a million files take 3.0 s with one thread
    and 5.2 s with several, since the interpreter is the limit and not the disk.
    """

    helped_seconds = 0.0

    def __init__(self, files: FileSystem) -> None:
        self._files = files
        self._requests: list[Request] = []

    def ask(self, request: Request) -> None:
        self._requests.append(request)

    def abandon(self) -> None:
        self._requests.clear()

    def answer(self) -> Answer | None:
        # Last in, first out: a walk then holds few requests at a time, however wide the tree.
        return perform(self._files, self._requests.pop()) if self._requests else None


def perform(files: FileSystem, request: Request) -> Answer:
    """Answer one request."""
    if isinstance(request, Timed):
        started = files.monotonic()
        answer = perform(files, request.request)
        return Took(answer.path, answer, files.monotonic() - started)
    try:
        if isinstance(request, StatPath):
            return Stated(request.path, files.stat(request.path))
        if isinstance(request, StatBelow):
            return _stated_below(files, request)
        if isinstance(request, LstatPath):
            return Stated(request.path, files.lstat(request.path))
        if isinstance(request, AskSpace):
            return SpaceFound(request.path, files.space(request.path))
        if isinstance(request, ListDirectory):
            return Listed(request.path, files.list_directory(*request))
        if isinstance(request, ReadFacts):
            from scanner.comfyui.model_facts import (
                read_facts,  # a scan that finds nothing new needs none
            )

            return Understood(request.path, read_facts(files, *request))
        if isinstance(request, ReadCompanion):
            from scanner.comfyui.companion_reader import read_companion

            return Understood(request.path, read_companion(files, *request))
        if isinstance(request, HashPiece):
            return PieceHashed(request.path, hash_piece(files, *request))
        if isinstance(request, ReadPack):
            from scanner.comfyui.pack_reader import read_pack

            return PackRead(request.path, read_pack(files, *request))
        if isinstance(request, ReadUses):
            from scanner.workers.uses import read_uses

            return UsesRead(request.path, read_uses(files, request.path))
        if isinstance(request, Probe):
            return Probed(request.path, observe(files, request.path, request.name))
        return Fingerprinted(request.path, take_fingerprint(files, request.path))
    except OSError as error:
        return _failed(request.path, error)
    except Exception as error:
        if not isinstance(request, ReadFacts | ReadCompanion | ReadPack | HashPiece | ReadUses):
            raise
        # The content of files is anybody's work: a header that nobody thought of must not end the
        # worker, and with it all reading on its mount.
        return Failed(request.path, 0, f"{type(error).__name__}: {error}")


def _stated_below(files: FileSystem, request: StatBelow) -> StatedBelow:
    paths = (join(request.path, name) for name in request.names)
    stats = files.stats_below(request.path, request.names)
    return StatedBelow(
        request.path,
        tuple(
            _failed(path, stat) if isinstance(stat, OSError) else Stated(path, stat)
            for path, stat in zip(paths, stats, strict=True)
        ),
    )


def _failed(path: str, error: OSError) -> Failed:
    return Failed(path, error.errno or 0, error_text(error))
