"""A lane: the mounts that are scanned together, and how their last scan went."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from scanner.core.progress import Remaining
from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.scan import ScanResult
from scanner.service.fingerprints import FingerprintReader
from scanner.service.pace import Pace, verification_duty
from scanner.settings.schema import Settings

if TYPE_CHECKING:
    from scanner.service.contents import ContentReader
LOCAL = "local"
"""The lane of all local disks."""


@dataclass
class _Lane:
    """Mounts that are walked together, and how their last pass went."""

    id: str
    roots: list[Root] = field(default_factory=list)
    last: ScanResult | None = None
    backlog: FingerprintReader | None = None
    work: Remaining = field(default_factory=lambda: Remaining(0, 0))
    """What waits for fingerprints."""
    reader: ContentReader | None = None
    unhashed: Remaining = field(default_factory=lambda: Remaining(0, 0))
    is_scanning: bool = False
    error: str = ""
    pace: Pace | None = None
    """How the lane finds its interval; None where the settings say it."""


def lane_name(mount: Mount) -> str:
    """The lane that walks `mount`."""
    return f"{mount.type} {mount.point}" if mount.is_remote else LOCAL


def _paced(settings: Settings) -> Settings:
    """`settings` for scans whose interval follows from what they take."""
    if not settings.is_paced:
        return settings
    duty = verification_duty(settings.duty, settings.auto_duty)
    return replace(settings, duty=duty)
