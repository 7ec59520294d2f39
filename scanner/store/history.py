"""What each day left: kept in the state, and shown in the file of the history.

A day has its rows with the last write of the inventory on it. They are put off, so that a write of
the inventory costs nothing more: at most one write of the history in `annotations_every`, and one
at the end. What a crash leaves out is made up for by the next scan, which writes the inventory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from scanner.core.days import day_of, kept_days
from scanner.core.serialize import printable
from scanner.disk.filesystem import FileSystem
from scanner.output.atomic import AtomicFile
from scanner.output.history_rows import Cost, Day, days_in, lines_of
from scanner.output.journal_files import open_existing
from scanner.store.published import PublishedInventory, mark_at
from scanner.store.state import State

log = logging.getLogger(__name__)

MOST_BYTES = 8_000_000
"""Size of the file above which more of the older days are thinned out."""

SHOWN = "history_scan"
"""The value of the state that holds the scan whose inventory the history has counted."""

FILE = "history_file"
"""The value that holds how the file was left (`published.mark_of`); empty while it lacks rows."""


class History:
    """The days of one output. Only one thread at a time may write; lanes note their costs at any
    time, and `_noting` guards these."""

    def __init__(
        self, state: State, inventory: PublishedInventory, path: str, files: FileSystem, rest: float
    ) -> None:
        """`path` is that of the file, `rest` the seconds between writes. Raises OutputError if a
        file that the state has to be rebuilt from cannot be read."""
        self._path = path
        self._inventory = inventory
        self._files = files
        self._rest = rest
        self._day = ""
        """The day of the last write of the inventory, if its rows wait."""
        self._noting = threading.Lock()
        self._costs: list[tuple[str, Cost]] = []
        """What scans cost that is not saved yet, with their days."""
        self.open(state)
        # The first day is written at once; later a start is no reason to write.
        self._last_write = files.monotonic() if self.newest else float("-inf")
        """When rows were saved last, by the monotonic clock."""

    def open(self, state: State) -> None:
        """Go on with `state`: one that was lost gets its days from the file."""
        self._state = state
        self.newest = state.newest_day()
        """The last day with rows; empty if there is none."""
        if not self.newest:
            self._rebuild()
        self.is_behind = bool(self._inventory.bytes and state.number(SHOWN) != self._inventory.scan)
        """True if a crash left out what the inventory shows: it must be written again."""
        mark = state.get(FILE) or ""
        self._is_shown = not self.newest or self._inventory.is_as_left(self._path, mark)

    def _rebuild(self) -> None:
        file = open_existing(self._path)
        if file is None:
            return
        with file:
            days = days_in(file)
        if not days:
            return
        log.info("The history is taken from %s.", printable(self._path))
        with self._state.unforced(), self._state.transaction():
            self._state.save_history({day: lines_of(day, rows) for day, rows in days.items()})
        self.newest = max(days)

    def note_cost(self, cost: Cost) -> None:
        """Count one scan."""
        day = day_of(self._files.now())
        if not day:
            return
        with self._noting:
            for number, (noted, other) in enumerate(self._costs):
                if (noted, other.lane) == (day, cost.lane):
                    self._costs[number] = (day, other.plus(cost))
                    return
            self._costs.append((day, cost))

    def before_write(self, generated: int) -> None:
        """The inventory is about to be written: a day that has ended keeps what it left."""
        if self._day and day_of(generated) != self._day:
            self._save()

    def after_write(self, generated: int) -> None:
        """The inventory was written: its rows wait."""
        self._day = day_of(generated)
        self.is_behind = False
        if not self._day:
            self._state.note({SHOWN: self._inventory.scan})

    def keep(self, *, is_last: bool) -> None:
        """Write what waits, if the time has come. Raises OutputError."""
        if self._is_due(is_last=is_last):
            self._save()
        if not self._is_shown:
            self._write()

    def _is_due(self, *, is_last: bool) -> bool:
        if is_last:
            return bool(self._day or self._costs)
        if self._day:
            return self._files.monotonic() - self._last_write >= self._rest
        # A day without any change ends: what its scans cost waits no longer.
        return bool(self._costs) and self._costs[0][0] != day_of(self._files.now())

    def _save(self) -> None:
        with self._noting:
            costs, self._costs = self._costs, []
        try:
            self._save_days(costs)
        except BaseException:
            with self._noting:
                self._costs = [*costs, *self._costs]
            raise
        self._day = ""
        self._last_write = self._files.monotonic()

    def _save_days(self, costs: Sequence[tuple[str, Cost]]) -> None:
        state, known = self._state, self._state.history()
        usage = self._inventory.usage() if self._day else None
        changed = {}
        for day in {self._day, *(day for day, _ in costs)} - {""}:
            before = days_in(known.get(day, b"").splitlines()).get(day, Day())
            here = usage if usage is not None and day == self._day else before.usage
            own = [cost for noted, cost in costs if noted == day]
            lines = lines_of(day, Day(here, _together([*before.costs, *own])))
            if lines and lines != known.get(day):
                changed[day] = lines
        known.update(changed)
        kept = kept_days({day: len(lines) for day, lines in known.items()}, MOST_BYTES)
        with state.unforced(), state.transaction():
            if changed:
                state.save_history(changed, known.keys() - kept)
                state.put(FILE, "")
            state.put(SHOWN, self._inventory.scan)
        if changed:
            self._is_shown = False
            self.newest = max(self.newest, *changed)

    def _write(self) -> None:
        with AtomicFile(self._path) as file:
            for lines in self._state.history().values():
                file.write(lines)
        self._state.note({FILE: mark_at(self._path)})
        self._is_shown = True


def _together(costs: Sequence[Cost]) -> list[Cost]:
    """One cost for each lane, sorted."""
    found: dict[str, Cost] = {}
    for cost in costs:
        found[cost.lane] = found[cost.lane].plus(cost) if cost.lane in found else cost
    return [found[lane] for lane in sorted(found)]
