"""What the state holds and the inventory does not show yet (rule 10)."""

from __future__ import annotations

from dataclasses import dataclass

from scanner.store.metadata import MetadataTable
from scanner.store.published import PublishedInventory


@dataclass
class Unshown:
    """The differences between the state and the inventory, from scan to scan."""

    scan: int
    """Number of the last scan that readers must see."""
    metadata: int
    """Number of the last change of metadata that the inventory shows."""
    has_annotations: bool = False
    """True if the inventory could say more, though nothing changed."""
    has_news: bool = False
    """True if facts wait that readers should see at once."""

    def look(self, metadata: MetadataTable) -> None:
        """Compare with the metadata of now."""
        if metadata.newest != self.metadata:
            self.has_annotations = True
        else:
            self.has_news = False

    def is_stale(self, inventory: PublishedInventory, metadata: MetadataTable) -> bool:
        """True if readers should see the next write at once."""
        return (
            self.has_news
            or inventory.scan < self.scan
            or inventory.is_outdated
            or metadata.newest_problem > self.metadata
        )

    def take(self) -> tuple[bool, bool]:
        """Begin anew, for a write that shows everything of now. What was there, for `give_back`."""
        had = self.has_annotations, self.has_news
        self.has_annotations = self.has_news = False
        return had

    def give_back(self, had: tuple[bool, bool]) -> None:
        """That write failed."""
        self.has_annotations |= had[0]
        self.has_news |= had[1]
