"""The news that wait to be sent, and how far each place has them, in one small file.

An event is in the file before it is sent, and a place's number moves only after a success. After a
kill in between, the place gets the same events again: at least once, never none. `n` tells which.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from scanner.errors import OutputError
from scanner.output.atomic import AtomicFile

GATHERING = 10.0
"""Seconds that the first news after a quiet time wait for others."""

MOST_WAITING = 1000
"""Most events that wait. Beyond it the oldest go, and the next message says how many."""


class Ledger:
    """The file at `path`. Its methods may be called from several threads."""

    def __init__(self, path: str, places: Sequence[str]) -> None:
        self._path = path
        self._lock = threading.Lock()
        known = _read(path)
        self.is_new = not known
        self.scan: int = _number(known.get("scan"))
        """Number of the last scan whose changes were looked at."""
        self.conditions: dict[str, list[str]] = _table(known.get("conditions"))
        self.watched: dict[str, int] = _table(known.get("watched"))
        self.counts: dict[str, int] = _counts(known)
        """Lines of the change list since the file began, by kind."""
        self._last = _number(known.get("last"))
        events = known.get("events")
        self._events: list[dict[str, Any]] = events if isinstance(events, list) else []
        old = _table(known.get("places"))
        first = self._events[0]["n"] - 1 if self._events else self._last
        self._sent = {name: _number(_table(old.get(name)).get("n", first)) for name in places}
        self._at = {name: float(_table(old.get(name)).get("at", 0)) for name in places}

    def count(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Count new lines of the change list. `note` of their scan writes the counts down."""
        with self._lock:
            for line in lines:
                self.counts[line["kind"]] = self.counts.get(line["kind"], 0) + 1

    def note(
        self,
        scan: int,
        conditions: Mapping[str, list[str]],
        watched: Mapping[str, int],
        events: Iterable[Mapping[str, Any]],
        time: str,
        now: float,
    ) -> None:
        """Note what a look at `scan` has found. Raises OutputError."""
        with self._lock:
            new = [
                {"n": self._last + i, "time": time, "at": now, **event}
                for i, event in enumerate(events, 1)
            ]
            before = (self.scan, self.conditions, self.watched)
            self.scan, self.conditions, self.watched = scan, dict(conditions), dict(watched)
            if not new and before == (self.scan, self.conditions, self.watched):
                return
            self._last += len(new)
            self._events = [*self._events, *new][-MOST_WAITING:] if self._sent else []
            self._save()

    def due(self, place: str, now: float, every: float, *, gather: float) -> float | None:
        """Seconds until the waiting events of `place` are due; None if there are none."""
        with self._lock:
            waiting = [event for event in self._events if event["n"] > self._sent[place]]
            if not waiting:
                return None
            first, last = min(waiting[0]["at"], now), min(self._at[place], now)
            return float(max(0.0, first + gather - now, last + every - now))

    def waiting(self, place: str) -> list[dict[str, Any]]:
        """The events that `place` lacks, oldest first."""
        with self._lock:
            return [
                {key: value for key, value in event.items() if key != "at"}
                for event in self._events
                if event["n"] > self._sent[place]
            ]

    def sent(self, place: str, n: int, now: float) -> None:
        """Note that `place` has all events up to number `n`. Raises OutputError."""
        with self._lock:
            self._sent[place], self._at[place] = n, now
            least = min(self._sent.values())
            self._events = [event for event in self._events if event["n"] > least]
            self._save()

    def _save(self) -> None:
        document = {
            "schema": 1,
            "scan": self.scan,
            "conditions": self.conditions,
            "watched": self.watched,
            "counts": self.counts,
            "last": self._last,
            "events": self._events,
            "places": {name: {"n": n, "at": self._at[name]} for name, n in self._sent.items()},
        }
        with AtomicFile(self._path) as file:
            file.write(orjson.dumps(document))


def _read(path: str) -> dict[str, Any]:
    """The file's content; nothing where it is missing or damaged: the look begins anew then."""
    try:
        with open(path, "rb") as file:
            document = orjson.loads(file.read())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError:
        return {}
    return document if isinstance(document, dict) and document.get("schema") == 1 else {}


def read_counts(path: str) -> dict[str, int]:
    """Changes by kind, as the file at `path` has them. Raises OutputError."""
    return _counts(_read(path))


def _counts(known: Mapping[str, Any]) -> dict[str, int]:
    return {kind: _number(count) for kind, count in _table(known.get("counts")).items()}


def _number(value: object) -> int:
    return value if type(value) is int else 0


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
