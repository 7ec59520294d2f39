"""What the steps of one pass hand to each other, and what it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scanner.changes import Change
from scanner.compare import Delta
from scanner.guard import Health, Hold, Moment
from scanner.moves import Moves
from scanner.packs import Pack
from scanner.places import Places
from scanner.roots import Root
from scanner.state import Memory, Request, RootRecord
from scanner.walk import Walked


@dataclass
class Outcome:
    """What one pass did. `started` in nanoseconds, `seconds` of elapsed time; states by root id."""

    scan: int
    started: int
    seconds: float = 0.0
    directories: int = 0
    files: int = 0
    bytes: int = 0
    changes: list[Change] = field(default_factory=list)
    places: frozenset[str] = frozenset()
    """Ids of what was walked, mounts below roots among them."""
    states: dict[str, str] = field(default_factory=dict)
    new_holds: list[Hold] = field(default_factory=list)
    is_complete: bool = True
    """False where the pass was abandoned, and nothing committed."""

    def merge(self, other: Outcome) -> None:
        """Add what a pass over further places did."""
        self.scan, self.states = other.scan, other.states
        self.seconds += other.seconds
        self.directories += other.directories
        self.files += other.files
        self.bytes += other.bytes
        self.changes += other.changes
        self.new_holds += other.new_holds
        self.places |= other.places
        self.is_complete = other.is_complete


@dataclass
class Pass:
    """What the steps of one pass hand to each other."""

    places: Places
    roots: Sequence[Root]
    """The places that this pass walks."""
    moment: Moment
    requests: Sequence[Request]
    health: dict[str, Health]
    old: Memory
    memory: Memory
    walked: dict[str, Walked] = field(default_factory=dict)
    packs: dict[str, Pack] = field(default_factory=dict)
    """Node packs that were read, by path."""
    delta: Delta = field(default_factory=Delta)
    moves: Moves = field(default_factory=Moves)
    baselines: list[Change] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    answers: dict[int, str] = field(default_factory=dict)

    def memory_of(self, root: Root) -> RootRecord:
        """What is known of `root`, to be changed by this pass."""
        if root.id not in self.memory.roots:
            self.memory.roots[root.id] = RootRecord(
                root.id,
                root.kind,
                root.path,
                root.category,
                is_inner=self.places.is_inner(root),
            )
        return self.memory.roots[root.id]
