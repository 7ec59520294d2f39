"""The only part that touches scanned files: requests in, answers out.

A request names a directory to list or a file to sample; an answer carries the columns, the
fingerprint or the error. Nothing else passes, so that the same messages can go to another process.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from scanner.content import Piece, hash_piece
from scanner.filesystem import FileSystem, Stat
from scanner.fingerprint import Sampled, take_fingerprint
from scanner.packs import Pack, read_pack
from scanner.probe import Observed, observe
from scanner.snapshot import Directory

if TYPE_CHECKING:
    from scanner.headers import FactsRead


class ListDirectory(NamedTuple):
    """List `path` and stat what is in it, but for the names in `skip`."""

    path: str
    skip: frozenset[str] = frozenset()
    mount_points: frozenset[str] = frozenset()
    """Names at which other mounts begin: directories that are not even stat-ed, since the mount
    that would answer may hang."""


class SampleFile(NamedTuple):
    """Take the fingerprint of `path`."""

    path: str


class StatPath(NamedTuple):
    """Stat what `path` leads to."""

    path: str


class Probe(NamedTuple):
    """Make a file `name` in the folder `path`, observe what that does, and remove it."""

    path: str
    name: str


class Timed(NamedTuple):
    """Answer `request`, and say how long that took where it was done."""

    request: ListDirectory | StatPath


class ReadFacts(NamedTuple):
    """Read the header of the model file `path`."""

    path: str


class HashPiece(NamedTuple):
    """Hash on in `path`: see `content.hash_piece`."""

    path: str
    job: int
    algorithms: tuple[str, ...]
    most: int
    seconds: float


class ReadPack(NamedTuple):
    """Read what says what the node pack at `path` is: see `packs.read_pack`."""

    path: str
    is_directory: bool


Request = ListDirectory | SampleFile | StatPath | Probe | Timed | ReadFacts | HashPiece | ReadPack


class Listed(NamedTuple):
    """A complete listing."""

    path: str
    directory: Directory


class Fingerprinted(NamedTuple):
    """A fingerprint; None where the file changed while it was read."""

    path: str
    sampled: Sampled | None


class Stated(NamedTuple):
    """What a path leads to."""

    path: str
    stat: Stat


class Failed(NamedTuple):
    """The request could not be answered. `errno` is 0 where the system gave none."""

    path: str
    errno: int
    error: str


class Probed(NamedTuple):
    """What a file of our own did to its folder."""

    path: str
    observed: Observed


class Took(NamedTuple):
    """An answer and the seconds it took, without the way here."""

    path: str
    answer: Answer
    seconds: float


class Understood(NamedTuple):
    """What a header says; None where the file changed while it was read."""

    path: str
    found: FactsRead | None


class PieceHashed(NamedTuple):
    """How far a file is hashed."""

    path: str
    piece: Piece


class PackRead(NamedTuple):
    """The record of a node pack; None where it is not there any more."""

    path: str
    pack: Pack | None


Answer = (
    Listed | Fingerprinted | Stated | Failed | Probed | Took | Understood | PieceHashed | PackRead
)


class Walker(Protocol):
    """Takes requests and gives one answer for each, in any order."""

    def ask(self, request: Request) -> None:
        """Queue a request."""
        ...

    def answer(self) -> Answer | None:
        """The next answer; None when every request has been answered."""
        ...


class LocalWalker:
    """Answers in this process, one request at a time.

    Threads would slow it down: on a warm local disk a million files take 3.0 s with one thread
    and 5.2 s with several, since the interpreter is the limit and not the disk.
    """

    def __init__(self, files: FileSystem) -> None:
        self._files = files
        self._requests: list[Request] = []

    def ask(self, request: Request) -> None:
        self._requests.append(request)

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
        if isinstance(request, ListDirectory):
            return Listed(request.path, files.list_directory(*request))
        if isinstance(request, ReadFacts):
            from scanner.headers import read_facts  # a scan that finds nothing new needs none

            return Understood(request.path, read_facts(files, request.path))
        if isinstance(request, HashPiece):
            return PieceHashed(request.path, hash_piece(files, *request))
        if isinstance(request, ReadPack):
            return PackRead(request.path, read_pack(files, *request))
        if isinstance(request, Probe):
            return Probed(request.path, observe(files, request.path, request.name))
        return Fingerprinted(request.path, take_fingerprint(files, request.path))
    except OSError as error:
        text = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
        return Failed(request.path, error.errno or 0, text)
    except Exception as error:
        if not isinstance(request, ReadFacts | ReadPack | HashPiece):
            raise
        # What files hold is anybody's work: a header that nobody thought of must not end the
        # walker, and with it all reading of its mount.
        return Failed(request.path, 0, f"{type(error).__name__}: {error}")
