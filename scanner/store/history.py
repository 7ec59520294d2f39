"""What each day left: kept in the state, and shown in the file of the history.

A day has its rows with the last write of the inventory on it. The state gets them with each write,
without waiting for the disk. The file follows `annotations_every` later, and at the end, so that a
write of the inventory waits for nothing more. What a crash leaves out is made up for by the next
scan.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from scanner.core.days import day_of, kept_days
from scanner.core.serialize import printable
from scanner.disk.filesystem import FileSystem
from scanner.output.atomic import AtomicFile
from scanner.output.history_rows import Cost, Day, Usage, days_in, lines_of
from scanner.output.journal_files import open_existing
from scanner.store.file_marks import mark_at
from scanner.store.published import PublishedInventory
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
        """`path` is that of the file, `rest` the seconds that it follows the state. Raises
        OutputError if a file that the state has to be rebuilt from cannot be read."""
        self._path = path
        self._inventory = inventory
        self._files = files
        self._rest = rest
        self._noting = threading.Lock()
        self._costs: list[tuple[str, Cost]] = []
        """What scans cost that is not saved yet, with their days."""
        self._waits_since = float("-inf")
        """Since when the file lacks rows, by the monotonic clock. The first day, and what a crash
        left behind, waits no longer."""
        self.open(state)

    def open(self, state: State) -> None:
        """Go on with `state`: one that was lost gets its days from the file."""
        self._state = state
        self._read: dict[str, tuple[Day, bytes]] = {}
        """Rows and lines of the day that was saved last: it has other rows after most writes."""
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

    def after_write(self, generated: int, values: Mapping[str, object]) -> None:
        """The inventory was written: its day has other rows, and the state gets `values` with them.
        Raises OutputError."""
        self.is_behind = True
        usage, day = self._inventory.usage(), day_of(generated)
        values = {**values, SHOWN: self._inventory.scan}
        if not day or usage is None or not self._save(day, usage, [], values):
            self._state.note(values)
        self.is_behind = False

    def keep(self, *, is_last: bool) -> None:
        """Write what waits, if the time has come. Raises OutputError."""
        has_waited = self._files.monotonic() - self._waits_since >= self._rest
        is_due = not self._is_shown and (is_last or has_waited)
        if self._costs:
            has_ended = self._costs[0][0] != day_of(self._files.now())
            if is_due or is_last or has_ended:
                self._save_costs()
                is_due = not self._is_shown
        if is_due:
            self._write()

    def _save_costs(self) -> None:
        with self._noting:
            costs, self._costs = self._costs, []
        try:
            while costs:
                day = costs[0][0]
                self._save(day, None, [cost for noted, cost in costs if noted == day])
                costs = [(noted, cost) for noted, cost in costs if noted != day]
        except BaseException:
            with self._noting:
                self._costs = [*costs, *self._costs]
            raise

    def _save(
        self,
        day: str,
        usage: Sequence[Usage] | None,
        costs: Sequence[Cost],
        values: Mapping[str, object] = MappingProxyType({}),
    ) -> bool:
        """Give `day` these rows of roots, if any, and add costs to its own; the state gets `values`
        as well. False if nothing differs, and then nothing is written."""
        state = self._state
        if day not in self._read:
            known = state.day(day)
            self._read = {day: (days_in(known.splitlines()).get(day, Day()), known)}
        before, known = self._read[day]
        rows = Day(before.usage if usage is None else usage, _together([*before.costs, *costs]))
        lines = lines_of(day, rows)
        if not lines or lines == known:
            return False
        gone = self._thinned({day: len(lines)}) if day != self.newest else ()
        with state.unforced(), state.transaction():
            state.save_history({day: lines}, gone)
            state.put_all({**values, FILE: ""})
        self._read = {day: (rows, lines)}
        if self._is_shown and self.newest:
            self._waits_since = self._files.monotonic()
        self._is_shown = False
        self.newest = max(self.newest, day)
        return True

    def _thinned(self, new: dict[str, int]) -> Collection[str]:
        """The days that go, now that there is a new one of this size."""
        sizes = {day: len(lines) for day, lines in self._state.history().items()} | new
        return sizes.keys() - kept_days(sizes, MOST_BYTES)

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
