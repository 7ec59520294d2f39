"""The messages between a scan and a worker: requests in, answers out.

Plain tuples, so that they can go to another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scanner.core.packs import Pack
from scanner.core.snapshot import Directory
from scanner.disk.content_hash import Piece
from scanner.disk.filesystem import Space, Stat
from scanner.disk.fingerprint import Sampled
from scanner.disk.probe import Observed

if TYPE_CHECKING:
    from scanner.comfyui.companion_reader import CompanionRead
    from scanner.comfyui.model_facts import FactsRead


class ListDirectory(NamedTuple):
    """List `path` and stat its entries, except for the names in `skip`."""

    path: str
    skip: frozenset[str] = frozenset()
    mount_points: frozenset[str] = frozenset()
    """Names at which other mounts begin. These are not even stat-ed, since the mount that would
    answer may hang."""


class SampleFile(NamedTuple):
    """Take the fingerprint of `path`."""

    path: str


class StatPath(NamedTuple):
    """Stat the target of `path`, links followed."""

    path: str


class StatBelow(NamedTuple):
    """Stat folders below `path`, links followed: `names` as in `FileSystem.stats_below`."""

    path: str
    names: tuple[str, ...]


class LstatPath(NamedTuple):
    """Stat the name at `path` itself, a link not followed."""

    path: str


class AskSpace(NamedTuple):
    """Ask for the space of the mount that holds `path`."""

    path: str


class Probe(NamedTuple):
    """Make a file `name` in the folder `path`, observe the effects, and remove it."""

    path: str
    name: str


class Timed(NamedTuple):
    """Answer `request` and measure the seconds that this took in the worker."""

    request: ListDirectory | StatPath | StatBelow


class ReadFacts(NamedTuple):
    """Read the header of the model file `path`, as that of a file named `name`."""

    path: str
    name: str = ""
    """Decides the format that is expected; empty for that of `path`."""


class ReadCompanion(NamedTuple):
    """Read the file `path` that describes models: see `companion_reader.read_companion`."""

    path: str
    kind: str
    of: str


class HashPiece(NamedTuple):
    """Hash the next piece of `path`: see `content_hash.hash_piece`."""

    path: str
    job: int
    algorithms: tuple[str, ...]
    most: int
    seconds: float
    has_inodes: bool


class ReadPack(NamedTuple):
    """Read id, version and source of the node pack at `path`: see `pack_reader.read_pack`."""

    path: str
    is_directory: bool


class ReadUses(NamedTuple):
    """Find the models that a workflow, or a file with one inside, names."""

    path: str


Request = (
    ListDirectory
    | SampleFile
    | StatPath
    | StatBelow
    | LstatPath
    | AskSpace
    | Probe
    | Timed
    | ReadFacts
    | ReadCompanion
    | HashPiece
    | ReadPack
    | ReadUses
)


class Listed(NamedTuple):
    """A complete listing."""

    path: str
    directory: Directory


class Fingerprinted(NamedTuple):
    """A fingerprint; None if the file changed while it was read."""

    path: str
    sampled: Sampled | None


class Stated(NamedTuple):
    """The answer to StatPath and LstatPath."""

    path: str
    stat: Stat


class StatedBelow(NamedTuple):
    """The answer to StatBelow: for each folder its stat, or why there is none. Paths are whole."""

    path: str
    stated: tuple[Stated | Failed, ...]


class SpaceFound(NamedTuple):
    """The answer to AskSpace."""

    path: str
    space: Space


class Failed(NamedTuple):
    """The request could not be answered. `errno` is 0 if the system gave none."""

    path: str
    errno: int
    error: str


class Probed(NamedTuple):
    """The effects of a probe's file on its folder."""

    path: str
    observed: Observed


class Took(NamedTuple):
    """An answer and the seconds that it took in the worker, without the way through the pipe."""

    path: str
    answer: Answer
    seconds: float


class Understood(NamedTuple):
    """Facts from a header or a companion; None if the file changed while it was read."""

    path: str
    found: FactsRead | CompanionRead | None


class PieceHashed(NamedTuple):
    """The progress of hashing a file."""

    path: str
    piece: Piece


class PackRead(NamedTuple):
    """The record of a node pack; None if it no longer exists."""

    path: str
    pack: Pack | None


class UsesFound(NamedTuple):
    """What a file of this size and mtime names, as `workflows.traces.as_text` has it."""

    size: int
    mtime: int
    text: bytes


class UsesRead(NamedTuple):
    """What a file names; None if it changed while it was read."""

    path: str
    found: UsesFound | None


Answer = (
    Listed
    | Fingerprinted
    | Stated
    | StatedBelow
    | SpaceFound
    | Failed
    | Probed
    | Took
    | Understood
    | PieceHashed
    | PackRead
    | UsesRead
)


def calls_of(request: Request) -> int:
    """The number of requests that count for `request` (the setting `requests_per_second`)."""
    if isinstance(request, Timed):
        request = request.request
    return len(request.names) if isinstance(request, StatBelow) else 1
