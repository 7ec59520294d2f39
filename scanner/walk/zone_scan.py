"""The values that one scan hands from looking to deciding. They are made once and never change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scanner.core.memory import AcceptRequest
from scanner.core.packs import Pack
from scanner.core.paths import is_below
from scanner.core.roots import Root
from scanner.walk.health import Health, Moment
from scanner.walk.walked import Walked
from scanner.walk.zones import Zones


@dataclass(frozen=True, slots=True)
class ZoneScan:
    """One zone in one scan."""

    zone: Root
    root: Root
    """The root of the settings that the zone is or lies in."""
    health: Health
    """Its state after the walk."""
    walked: Walked | None = None
    """None if the zone was not walked, or if the walk cannot be trusted."""
    has_new_rules: bool = False
    """True if the walk matched all names anew, because membership rules changed (rule 9)."""
    packs: Mapping[str, Pack] = field(default_factory=dict)
    """Node packs that were read, by path."""

    def without(self, points: Iterable[str]) -> ZoneScan:
        """The scan without what was met at or below `points`; those at or above the zone do not
        count."""
        below = [p for p in points if p != self.zone.path and is_below(p, self.zone.path)]
        if self.walked is None or not below:
            return self
        packs = {
            path: pack
            for path, pack in self.packs.items()
            if not any(is_below(path, point) for point in below)
        }
        return replace(self, walked=self.walked.without(below), packs=packs)

    @property
    def is_inner(self) -> bool:
        """True if the zone is a mount below its root."""
        return self.zone != self.root


@dataclass(frozen=True, slots=True)
class Collected:
    """All that one scan collected, before anything is decided."""

    zones: Zones
    """All zones, also those that this scan does not walk."""
    moment: Moment
    requests: Sequence[AcceptRequest]
    scans: Mapping[Root, ZoneScan]
    """By zone, in the order in which they were walked."""

    def without_new_mounts(self, zones: Zones) -> Collected:
        """What was collected, but for what lies on mounts that came while it was: they are among
        `zones`, which are those of after the walks. The next scan takes each for a zone."""
        points = {zone.path for zone in zones.inner} - {zone.path for zone in self.zones.all}
        points -= self.zones.stale
        if not points:
            return self
        scans = {zone: scan.without(points) for zone, scan in self.scans.items()}
        return replace(self, scans=scans)

    def with_scan(self, scan: ZoneScan) -> Collected:
        """The same, with `scan` in place of that of its zone."""
        return replace(self, scans={**self.scans, scan.zone: scan})

    def scan_of(self, path: str) -> ZoneScan | None:
        """The scan of the zone that owns `path`; None if this scan did not look at that zone."""
        zone = self.zones.owner(path)
        return None if zone is None else self.scans.get(zone)

    def was_walked(self, path: str) -> bool:
        """True if the zone that owns `path` was walked in this scan."""
        scan = self.scan_of(path)
        return scan is not None and scan.walked is not None

    @property
    def packs(self) -> dict[str, Pack]:
        """Node packs that were read in the zones that were walked, by path."""
        return {path: pack for scan, _ in self.walks for path, pack in scan.packs.items()}

    @property
    def walks(self) -> list[tuple[ZoneScan, Walked]]:
        """The zones that were walked."""
        return [(scan, scan.walked) for scan in self.scans.values() if scan.walked is not None]
