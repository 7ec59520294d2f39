"""What the steps of one pass hand to each other, and what it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scanner.core.changes import Change
from scanner.core.memory import AcceptRequest, Memory, RootRecord
from scanner.core.packs import Pack
from scanner.core.roots import Root
from scanner.diff.compare import Delta
from scanner.diff.moves import Moves
from scanner.walk.health import Health, Moment
from scanner.walk.walked import Walked
from scanner.walk.zones import Zones


@dataclass
class ScanContext:
    """What the steps of one pass hand to each other."""

    zones: Zones
    roots: Sequence[Root]
    """The zones that this pass walks."""
    moment: Moment
    requests: Sequence[AcceptRequest]
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
                is_inner=self.zones.is_inner(root),
            )
        return self.memory.roots[root.id]
