"""The entries that are exported, and what their writers report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from scanner.api import Inventory

Item = TypeVar("Item")


class Selection(NamedTuple):
    """The wanted entries of an inventory."""

    inventory: Inventory
    entries: Callable[[], Iterator[dict[str, Any]]]
    """Begins anew with the first one."""

    @property
    def is_whole(self) -> bool:
        """True if all entries are wanted."""
        return self.entries == self.inventory.entries


class Written(NamedTuple):
    """What a writer of a format reports."""

    total: int
    note: str = ""
    """A sentence for the user."""


class Counted(Generic[Item]):
    """Iterates over `items` and counts them."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.total = 0
        """Those that were taken so far."""
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            self.total += 1
            yield item


class Sink(Protocol):
    """A file that bytes are appended to."""

    def write(self, data: bytes, /) -> object: ...
