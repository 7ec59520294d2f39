"""The history of each zone in this process: when directories and node packs were looked at."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet

from scanner.comfyui.packs import Attention
from scanner.core.snapshot import Snapshot
from scanner.core.turns import Learned
from scanner.walk.verification import Terms, Verification
from scanner.walk.walked import Walked


class History:
    """The `Verification` and the `Attention` of every zone, by zone id. Seconds, monotonic clock.

    Lanes walk their zones in threads of their own, the commit of one lane forgets directories of
    any zone, and the status asks for periods meanwhile. One lock guards both tables and everything
    in them. Nobody waits for a disk, or for another lock, while he holds it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verifications: defaultdict[str, Verification] = defaultdict(Verification)
        self._attentions: defaultdict[str, Attention] = defaultdict(Attention)
        self._walked: set[str] = set()
        """Ids of zones that were walked to the end."""
        self._crowded: set[str] = set()
        """Ids of zones whose last walk had to choose among the paths to a folder."""
        self._doubts: dict[str, float] = {}
        """Directories whose names changed while their times stood still, and when that was seen: a
        name that comes during a listing moves the times after they were taken."""

    def plan(
        self,
        zone_id: str,
        terms: Terms,
        started: float,
        *,
        is_trusted: bool,
        hot: AbstractSet[str],
    ) -> AbstractSet[str]:
        """Directories that the walk need not list while their times stay: `Verification.plan`."""
        with self._lock:
            verification = self._verifications[zone_id]
            return verification.plan(terms, started, is_trusted=is_trusted, hot=hot)

    def is_new(self, zone_id: str) -> bool:
        """True if this process has not walked the zone yet."""
        with self._lock:
            return zone_id not in self._walked

    def is_crowded(self, zone_id: str) -> bool:
        """True if the zone is to be walked in order: see `scanner.walk.linked`."""
        with self._lock:
            return zone_id in self._crowded

    def learn(
        self,
        zone_id: str,
        walked: Walked,
        snapshot: Snapshot,
        *,
        started: float,
        seconds: float,
        settle: float,
    ) -> list[tuple[str, bool]]:
        """Note a walk against `snapshot` that started at `started` and took `seconds`.

        Returns what it says of directory times on its mount: directories whose names changed, and
        whether their times moved with that. Those that were not at rest before say nothing. Times
        that stood still are looked at once more after `settle` seconds before they count.
        """
        with self._lock:
            self._walked.add(zone_id)
            (self._crowded.add if walked.is_crowded else self._crowded.discard)(zone_id)
            verification = self._verifications[zone_id]
            seen: list[tuple[str, bool]] = []
            for path in walked.listed:
                old, new = snapshot.get(path), walked.observed.get(path)
                was_at_rest = verification.saw(path, started, settle, has_changed=new is not None)
                has_moved = old is not None and new is not None and not new.has_times_of(old)
                if path in self._doubts:
                    if has_moved:
                        del self._doubts[path]
                    elif started - self._doubts[path] >= settle:
                        del self._doubts[path]
                        seen.append((path, False))
                elif was_at_rest and old and new and old.all_names() != new.all_names():
                    if has_moved:
                        seen.append((path, True))
                    else:
                        self._doubts[path] = started
            for path in walked.failed:
                verification.lost(path)
                self._doubts.pop(path, None)
            verification.measured(
                seconds,
                len(walked.listed),
                walked.directories,
                walked.listing_seconds,
                walked.stat_seconds,
            )
            return seen

    def learned(self) -> Learned:
        """All of it, for the next process."""
        with self._lock:
            found = {zone: each.turns for zone, each in self._verifications.items()}
            turns = {zone: turns for zone, turns in found.items() if turns is not None}
            read = {zone: each.at_rest for zone, each in self._attentions.items()}
            packs = {zone: times for zone, times in read.items() if times}
            return Learned(turns, packs, dict(self._doubts), frozenset(self._crowded))

    def take_up(self, learned: Learned) -> None:
        """Go on where another process has left off."""
        with self._lock:
            for zone, turns in learned.turns.items():
                self._verifications[zone].take_up(turns)
            for zone, read in learned.packs.items():
                self._attentions[zone].take_up(read)
            self._doubts.update(learned.doubts)
            self._crowded |= learned.crowded

    def forget(self, paths: Iterable[str]) -> None:
        """Note that directories are gone."""
        with self._lock:
            for path in paths:
                self._doubts.pop(path, None)
                for verification in self._verifications.values():
                    verification.lost(path)

    def period(self, zone_id: str) -> float:
        """Seconds within which every file of the zone is read again, as things stand."""
        with self._lock:
            return self._verifications[zone_id].period

    def packs_due(
        self,
        zone_id: str,
        packs: Collection[str],
        changed: Iterable[str],
        *,
        started: float,
        verify_within: float,
    ) -> list[str]:
        """The packs of the zone that a scan has to read: see `Attention.due`."""
        with self._lock:
            attention = self._attentions[zone_id]
            return attention.due(packs, changed, started=started, verify_within=verify_within)

    def has_read_pack(self, zone_id: str, path: str, *, started: float, settle: float) -> bool:
        """Note that a pack was read. True if it was at rest then."""
        with self._lock:
            return self._attentions[zone_id].has_read(path, started=started, settle=settle)
