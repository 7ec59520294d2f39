"""What was found out about one folder: costs, advice, notes, and their JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scanner.commands.doctor.sample import Sample, Size, steps_of
from scanner.core.serialize import path_fields, readable
from scanner.core.wording import share_text
from scanner.disk.mounts import Mount
from scanner.disk.probe import Observed
from scanner.disk.trust import LOST, NEVER, PROOFS_WANTED, TO_BE_EARNED, Trust, trust_state
from scanner.settings.schema import Settings
from scanner.settings.values import format_duration
from scanner.walk.verification import CHEAP, Terms, share_of

OK = "ok"

MISSING = "missing"

UNREADABLE = "unreadable"

STALLED = "stalled"

UNREACHABLE = "unreachable"

INTERVALS = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Seconds between scans that a person would choose."""

SHORTEST = {True: 30.0, False: 10.0}
"""Seconds between scans below which nothing is gained, for remote mounts and local disks."""


class Note(NamedTuple):
    """Something to know about a folder. `code` is stable, `text` is for people."""

    code: str
    text: str


@dataclass(frozen=True)
class ScanCost:
    """What a scan of one folder costs, in seconds."""

    size: Size
    stat: float
    """Of one directory's stat, as many under way at a time as a scan has."""

    @property
    def stats(self) -> float:
        """A stat of every directory and nothing else."""
        return min(self.size.directories * self.stat, self.size.seconds)

    def unchanged(self, terms: Terms, *, is_trusted: bool) -> float:
        """A scan that finds nothing new."""
        if not self._spares(is_trusted):
            return self.size.seconds
        share = share_of(self.size.directories, terms, self._per_listing)
        return min(self.size.seconds, self.stats + share * self._per_listing)

    def period(self, terms: Terms, *, is_trusted: bool) -> float:
        """Seconds in which every file is read again."""
        if not self._spares(is_trusted):
            return terms.interval
        share = share_of(self.size.directories, terms, self._per_listing)
        return self.size.directories / share * terms.interval

    def interval(self, duty: float, shortest: float, *, is_trusted: bool) -> float:
        """The shortest interval at which looking for changes stays within `duty`."""
        least = self.stats if self._spares(is_trusted) else self.size.seconds
        fitting = (every for every in INTERVALS if every >= shortest and least <= duty * every)
        return float(next(fitting, INTERVALS[-1]))

    @property
    def _per_listing(self) -> float:
        return self.size.seconds / self.size.directories

    def _spares(self, is_trusted: bool) -> bool:
        """Whether directory mtimes spare listings; not where listing everything is cheap."""
        return is_trusted and self.size.seconds > CHEAP


@dataclass(frozen=True)
class DoctorAdvice:
    """Settings that fit. `every` in seconds; `workers` None where the setting has no effect."""

    profile: str
    every: float
    workers: int | None

    @property
    def toml(self) -> list[str]:
        """The lines of a settings file."""
        lines = [f'profile = "{self.profile}"', f'every = "{format_duration(self.every)}"']
        if self.workers is not None:
            lines.append(f"workers = {self.workers}")
        return lines

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "profile": self.profile,
            "every": format_duration(self.every),
            "workers": self.workers,
            "toml": "\n".join(self.toml) + "\n",
        }


@dataclass
class Finding:
    """What was found out about one folder; what is None could not be."""

    path: str
    target: str
    mount: Mount
    trust: Trust
    state: str = OK
    reason: str = ""
    first_contact: float | None = None
    stat: float | None = None
    listing: float | None = None
    workers: int | None = None
    granularity: float | None = None
    granularity_from: str | None = None
    """`type`, `probe` or `sample`; None where it is not known."""
    sample: Sample | None = None
    cost: ScanCost | None = None
    probe: Observed | None = None
    interval: float | None = None
    """Seconds between scans by the present settings; None with cron."""
    terms: Terms | None = None
    advice: DoctorAdvice | None = None
    notes: list[Note] = field(default_factory=list)

    @property
    def trust_state(self) -> str:
        """What directory mtimes are worth here."""
        return trust_state(self.mount, self.trust)

    @property
    def is_trusted(self) -> bool:
        """Whether directory mtimes spare listings now."""
        return self.trust.is_earned(self.mount)

    @property
    def will_be_trusted(self) -> bool:
        """Whether they will, as far as can be told."""
        return self.is_trusted or (
            self.trust_state == TO_BE_EARNED
            and self.probe is not None
            and self.probe.creation_moved is not False
            and self.probe.removal_moved
        )

    def as_json(self) -> dict[str, Any]:
        """For programs: schema 1, documented by its names."""
        return {
            **path_fields(self.path, None),
            "leads_to": readable(self.target) if self.target != self.path else None,
            "state": self.state,
            "reason": self.reason or None,
            "mount": {
                "point": readable(self.mount.point),
                "type": self.mount.type,
                "source": readable(self.mount.shown_source),
                "within": readable(self.mount.within),
                "place": self.mount.locality,
                "remote": self.mount.is_remote,
                "windows_drive": self.mount.is_windows_drive,
            },
            "events": self.mount.events,
            "speed": {
                "first_contact_seconds": _rounded(self.first_contact),
                "stat_seconds": _rounded(self.stat),
                "listing_seconds": _rounded(self.listing),
                "workers": self.workers,
            },
            "times": {
                "granularity_seconds": self.granularity,
                "known_from": self.granularity_from,
                "settle_seconds": self.mount.settle,
            },
            "stable_inodes": self.mount.has_stable_inodes,
            "folder_times": {
                "trust": self.trust_state,
                "proofs": self.trust.proofs,
                "proofs_wanted": PROOFS_WANTED,
            },
            "probe": None if self.probe is None else _probe_json(self.probe),
            "scan": self._scan_json(),
            "advice": None if self.advice is None else self.advice.as_json(),
            "elsewhere": [] if self.sample is None else list(map(readable, self.sample.elsewhere)),
            "notes": [note._asdict() for note in self.notes],
        }

    def _scan_json(self) -> dict[str, Any] | None:
        if self.cost is None or self.sample is None or self.terms is None:
            return None
        unchanged = self.cost.unchanged(self.terms, is_trusted=self.is_trusted)
        trusted = self.cost.unchanged(self.terms, is_trusted=True)
        can_be = self.trust_state not in (NEVER, LOST)
        return {
            "directories": self.cost.size.directories,
            "files": self.cost.size.files,
            "is_estimate": not self.sample.is_complete,
            "listed": self.sample.listed,
            "full_seconds": _rounded(self.cost.size.seconds),
            "unchanged_seconds": _rounded(unchanged),
            "trusted_seconds": _rounded(trusted) if can_be else None,
            "every_seconds": self.interval,
            "share": None if self.interval is None else _rounded(unchanged / self.interval),
            "verified_within_seconds": _rounded(
                self.cost.period(self.terms, is_trusted=self.is_trusted)
            ),
        }


def _probe_json(probe: Observed) -> dict[str, Any]:
    return {
        "granularity_seconds": steps_of(probe.mtimes),
        "clock_offset_seconds": round(probe.clock_offset, 2),
        "is_listed": probe.is_listed,
        "creation_moved_folder_time": probe.creation_moved,
        "removal_moved_folder_time": probe.removal_moved,
    }


def _rounded(number: float | None) -> float | None:
    """Three digits that count."""
    return None if number is None else float(f"{number:.3g}")


def _notes(finding: Finding, settings: Settings) -> list[Note]:
    """Everything that a person should know, from what was found."""
    assert finding.cost is not None
    assert finding.terms is not None
    notes = []

    def note(applies: bool, code: str, text: str) -> None:
        if applies:
            notes.append(Note(code, text))

    every_scan = "every folder is listed in every scan"
    note(
        finding.trust_state == NEVER,
        "never_trusted",
        f"Folder times on {finding.mount.type} do not tell of changes: {every_scan}.",
    )
    note(
        finding.trust_state == LOST,
        "trust_lost",
        "A change was seen here that did not move the time of its folder: "
        f"folder times are not trusted on this mount any more, {every_scan}.",
    )
    step = finding.granularity
    note(
        step is not None and step >= 1,
        "coarse_times",
        f"Times count in steps of {format_duration(step or 0)}: a change right after a scan that "
        "leaves the size as it is may show late.",
    )
    if finding.interval is not None:
        seconds = finding.cost.unchanged(finding.terms, is_trusted=finding.is_trusted)
        note(
            seconds > 2 * settings.duty * finding.interval,
            "too_often",
            f"An unchanged scan takes {share_text(seconds / finding.interval)} of the time at "
            f"the present interval of {format_duration(finding.interval)}.",
        )
    period = finding.cost.period(finding.terms, is_trusted=finding.is_trusted)
    note(
        period > max(settings.verify_within, finding.terms.interval) * 1.05,
        "verified_late",
        f"Size and time of every file are read again only every {period / 60:.0f} min: "
        f"more often would take over {share_text(finding.terms.duty)} of the time.",
    )
    unread = finding.sample.unread if finding.sample else 0
    note(unread > 0, "unreadable_folders", f"{unread} folders below it cannot be read.")
    return notes + _probe_notes(finding.probe)


def _probe_notes(probe: Observed | None) -> list[Note]:
    notes = []
    if probe is not None and not probe.is_listed:
        text = "A new file was not in the listing at once: changes show late on this mount."
        notes.append(Note("probe_unlisted", text))
    if probe is not None and (probe.creation_moved is False or not probe.removal_moved):
        text = "The probe file came and went, and the folder's time did not move."
        notes.append(Note("probe_unmoved", text))
    return notes


def combined(findings: Sequence[Finding]) -> DoctorAdvice | None:
    """One set of settings for all folders: those of the slowest."""
    found = [finding.advice for finding in findings if finding.advice is not None]
    if not found:
        return None
    slowest = max(found, key=lambda advice: (advice.every, advice.profile != "local"))
    workers = [advice.workers for advice in found if advice.workers is not None]
    return DoctorAdvice(slowest.profile, slowest.every, max(workers, default=None))


def exit_code(findings: Sequence[Finding]) -> int:
    """3 where a folder could not be examined, 1 where there is something to know."""
    if any(finding.state != OK for finding in findings):
        return 3
    return 1 if any(finding.notes for finding in findings) else 0
