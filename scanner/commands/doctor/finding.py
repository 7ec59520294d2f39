"""The findings about one folder: cost, advice, notes, and their JSON form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from scanner.commands.advice import Advice
from scanner.commands.doctor.sample import Sample, Size, granularity_of
from scanner.core.serialize import path_fields, readable
from scanner.core.wording import share_text
from scanner.disk.mounts import Mount
from scanner.disk.probe import Observed
from scanner.disk.trust import LOST, NEVER, PROOFS_WANTED, Trust, trust_state
from scanner.settings.schema import Settings
from scanner.settings.values import format_duration
from scanner.walk.cost import INTERVALS, Budget, ScanCost, choose, verification_duty
from scanner.walk.granularity import SETTLE
from scanner.walk.verification import Terms

OK = "ok"

MISSING = "missing"

UNREADABLE = "unreadable"

STALLED = "stalled"

UNREACHABLE = "unreachable"


TO_ACT_ON = frozenset(
    (
        "trust_lost",
        "too_often",
        "nothing_fits",
        "unreadable_folders",
        "probe_unlisted",
        "probe_left",
        "probe_failed",
    )
)
"""Codes of notes about something that a person can change; the others tell what a type of mount
is like."""


class Note(NamedTuple):
    """A remark about a folder. `code` is stable, `text` is for people."""

    code: str
    text: str

    @property
    def is_to_act_on(self) -> bool:
        """True if a person should do something about it; else it is only good to know."""
        return self.code in TO_ACT_ON

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {**self._asdict(), "act": self.is_to_act_on}


@dataclass
class Finding:
    """The findings about one folder. A value is None if it could not be determined."""

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
    """`type`, `probe` or `sample`; None if the granularity is not known."""
    sample: Sample | None = None
    size: Size | None = None
    cost: ScanCost | None = None
    """Estimated cost of scans that trust directory mtimes; see `present_cost`."""
    probe: Observed | None = None
    interval: float | None = None
    """Seconds between scans with the present settings; None with cron."""
    terms: Terms | None = None
    advice: Advice | None = None
    trusted_every: float | None = None
    """Seconds between scans that fit once directory mtimes have earned trust; None if that is no
    shorter than the advice."""
    notes: list[Note] = field(default_factory=list)

    @property
    def trust_state(self) -> str:
        """The trust in directory mtimes on this mount, in the words of `disk.trust`."""
        return trust_state(self.mount, self.trust)

    @property
    def is_trusted(self) -> bool:
        """True if directory mtimes spare listings now."""
        return self.trust.is_earned(self.mount)

    @property
    def settle(self) -> float:
        """Seconds after which a change can no longer hide behind an equal mtime (rule 4)."""
        counts_seconds = self.sample is not None and not self.sample.has_digits
        return max(self.mount.settle, SETTLE if counts_seconds else 0.0)

    @property
    def present_cost(self) -> ScanCost | None:
        """Estimated cost of scans with the trust that the mount has now."""
        if self.cost is None or self.is_trusted:
            return self.cost
        return self.cost.listing_everything()

    def as_json(self) -> dict[str, Any]:
        """The JSON form: schema 1, documented by its names."""
        return {
            **path_fields(self.path, None),
            "leads_to": readable(self.target) if self.target != self.path else None,
            "state": self.state,
            "reason": self.reason or None,
            "mount": {
                "point": readable(self.mount.point),
                "type": self.mount.type,
                "format": self.mount.format,
                "is_view": self.mount.is_view,
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
                "settle_seconds": self.settle,
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
            "notes": [note.as_json() for note in self.notes],
        }

    def _scan_json(self) -> dict[str, Any] | None:
        cost, trusted, size = self.present_cost, self.cost, self.size
        if cost is None or trusted is None or size is None:
            return None
        if self.sample is None or self.terms is None:
            return None
        unchanged = cost.scan(self.terms)
        can_be_trusted = self.trust_state not in (NEVER, LOST)
        later = self.trusted_every
        return {
            "directories": size.directories,
            "files": size.files,
            "is_estimate": not self.sample.is_complete,
            "listed": self.sample.listed,
            "full_seconds": _rounded(size.seconds),
            "unchanged_seconds": _rounded(unchanged),
            "trusted_seconds": _rounded(trusted.scan(self.terms)) if can_be_trusted else None,
            "trusted_every": None if later is None else format_duration(later),
            "every_seconds": self.interval,
            "share": None if self.interval is None else _rounded(unchanged / self.interval),
            "verified_within_seconds": _rounded(cost.period(self.terms)),
        }


def _probe_json(probe: Observed) -> dict[str, Any]:
    return {
        "granularity_seconds": granularity_of(probe.mtimes),
        "clock_offset_seconds": round(probe.clock_offset, 2),
        "is_listed": probe.is_listed,
        "creation_moved_folder_time": probe.creation_moved,
        "removal_moved_folder_time": probe.removal_moved,
    }


def _rounded(number: float | None) -> float | None:
    """`number` with three significant digits."""
    return None if number is None else float(f"{number:.3g}")


def notes_of(finding: Finding, settings: Settings) -> list[Note]:
    """Everything that a person should know about an examined folder."""
    notes = [*_trust_notes(finding), *_cost_notes(finding, settings)]
    unread = finding.sample.unread if finding.sample else 0
    if unread:
        notes.append(Note("unreadable_folders", f"{unread} folders below it cannot be read."))
    return notes + _probe_notes(finding.probe, finding.is_trusted)


def _trust_notes(finding: Finding) -> Iterator[Note]:
    every_scan = "every folder is listed in every scan"
    if finding.trust_state == NEVER:
        yield Note(
            "never_trusted",
            f"Directory mtimes on {finding.mount.type} do not show changes: {every_scan}.",
        )
    if finding.trust_state == LOST:
        yield Note(
            "trust_lost",
            "A change of names moved no time of its directory here: directory mtimes are no longer "
            f"trusted on this mount, and {every_scan}. If that had another cause, "
            "`comfy-inventory doctor --trust PATH` gives the trust back.",
        )
    step = finding.granularity
    if step is not None and step >= 1:
        yield Note(
            "coarse_times",
            f"The mtime granularity is {format_duration(step)}: a change right after a scan that "
            "keeps the size may be seen late.",
        )


def _cost_notes(finding: Finding, settings: Settings) -> Iterator[Note]:
    cost, terms, advice = finding.present_cost, finding.terms, finding.advice
    assert cost is not None
    assert terms is not None
    assert advice is not None
    assert advice.every is not None
    budget = Budget.of(settings)
    if finding.interval is not None and finding.interval < advice.every:
        share = cost.scan(terms) / finding.interval
        if share > 2 * budget.auto_duty:
            yield Note(
                "too_often",
                f"An unchanged scan takes {share_text(share)} of the time at the present interval "
                f"of {format_duration(finding.interval)}.",
            )
    if choose(cost, budget).every is None:
        longest = budget.terms(INTERVALS[-1], verification_duty(budget.duty, budget.auto_duty))
        share = cost.scan(longest) / longest.interval
        yield Note(
            "nothing_fits",
            f"Even every {format_duration(longest.interval)}, scans take {share_text(share)} of "
            f"the time: more than {share_text(budget.auto_duty)} (`auto_duty`). They could run "
            'when nobody works: cron = "0 4 * * *".',
        )
    period = cost.period(terms)
    if period > max(settings.verify_within, terms.interval) * 1.05:
        yield Note(
            "verified_late",
            f"Size and time of every file are read again only every {period / 60:.0f} min: more "
            f"often would take over {share_text(terms.duty)} of the time.",
        )


def _probe_notes(probe: Observed | None, is_trusted: bool) -> list[Note]:
    notes = []
    if probe is not None and not probe.is_listed:
        text = "A new file was not in the next listing: changes are seen late on this mount."
        notes.append(Note("probe_unlisted", text))
    if probe is not None and (probe.creation_moved is False or not probe.removal_moved):
        text = "The probe file came and went, and the mtime of its directory did not move."
        if is_trusted:
            text += (
                " In scans it moved so far, or is known to for this type: if a scan sees that it "
                "did not, that counts against the trust in it."
            )
        notes.append(Note("probe_unmoved", text))
    return notes


def combined(findings: Sequence[Finding]) -> Advice | None:
    """Settings for all folders together: those of the slowest. None if there are none."""
    advices = [finding.advice for finding in findings if finding.advice is not None]
    if not advices:
        return None
    slowest = max(advices, key=lambda advice: (advice.every or 0.0, advice.profile != "local"))
    workers = [advice.workers for advice in advices if advice.workers is not None]
    duties = [advice.duty for advice in advices if advice.duty is not None]
    return replace(slowest, workers=max(workers, default=None), duty=min(duties, default=None))


def exit_code(findings: Sequence[Finding]) -> int:
    """3 if a folder could not be examined, 1 if there is something to act on, else 0."""
    if any(finding.state != OK for finding in findings):
        return 3
    return int(any(note.is_to_act_on for finding in findings for note in finding.notes))
