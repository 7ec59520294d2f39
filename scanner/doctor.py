"""What a folder lives on, how fast it answers, what a scan of it costs, and which settings fit.

Everything is asked of the walker that scans would ask, with a short limit, so that a mount that
hangs is found out and hangs nobody (design rule 3). Nothing is written, but for `probe`.
"""

from __future__ import annotations

import errno
import os
import random
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from scanner.filesystem import DiskFileSystem, FileSystem
from scanner.ignore import IgnoreRules, rules_for
from scanner.mounts import Mount, leads_to, mount_of
from scanner.outputs import Outputs
from scanner.pace import STEPS, fitting, verification_duty
from scanner.portable import path_fields, readable
from scanner.probe import NAME_PREFIX, Observed
from scanner.report import share_text
from scanner.roots import Root
from scanner.settings import Settings, format_duration
from scanner.snapshot import (
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FOREIGN_LINK,
    Directory,
    is_below,
    join,
)
from scanner.store import read_trust
from scanner.verification import CHEAP, PROOFS_WANTED, Terms, Trust, share_of
from scanner.walker import (
    Answer,
    Failed,
    ListDirectory,
    Listed,
    Probe,
    Probed,
    Stated,
    StatPath,
    Timed,
    Took,
    Walker,
)
from scanner.walkers import ByMount, LostWalkerError, Walkers

# States of a folder

OK = "ok"
MISSING = "missing"
UNREADABLE = "unreadable"
STALLED = "stalled"
UNREACHABLE = "unreachable"

# What directory mtimes are worth (design rule 5)

BY_TYPE = "by type"
EARNED = "earned"
TO_BE_EARNED = "to be earned"
NEVER = "never"
LOST = "lost"

STATS = 15
"""Stats one after the other whose median is told."""

BURST = 300
"""Most stats under way together that an unchanged scan is estimated from, within BURST_SECONDS."""

BURST_SECONDS = 2.0

SAMPLE = 2000
"""Most directories that are listed, within SAMPLE_SECONDS."""

SAMPLE_SECONDS = 10.0

ALONE = 9
"""Listings one after the other whose median is told."""

TIMES_WANTED = 20
"""Different mtimes that an inference of their steps needs: of so many that count in seconds, all
are even by chance once in a million."""

TIMES_KEPT = 5000

INTERVALS = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Seconds between scans that a person would choose."""

SHORTEST = {True: 30.0, False: 10.0}
"""Seconds between scans below which nothing is gained, for remote mounts and local disks."""


class Note(NamedTuple):
    """Something to know about a folder. `code` is stable, `text` is for people."""

    code: str
    text: str


@dataclass
class _Level:
    """What was seen of the directories at one depth."""

    listed: int = 0
    children: int = 0
    files: int = 0
    seconds: float = 0.0
    left: list[str] = field(default_factory=list)
    """Met and not listed."""


@dataclass
class Sample:
    """A bounded walk: evenly over the depths of the tree, at random within each."""

    levels: dict[int, _Level] = field(default_factory=lambda: defaultdict(_Level))
    mtimes: set[int] = field(default_factory=set)
    alone: list[float] = field(default_factory=list)
    """Seconds of each of the first listings, which were made one after the other."""
    worked: float = 0.0
    """Seconds of all listings together, where they were made."""
    folders: list[str] = field(default_factory=list)
    """Those that hold the directories that were listed; one for each of them."""
    wall: float = 0.0
    unread: int = 0
    failure: str = ""
    """What the last of the unread answered."""
    elsewhere: list[str] = field(default_factory=list)
    """Folders below that are links, or on which other mounts begin: not entered."""

    @property
    def listed(self) -> int:
        """Directories that were listed."""
        return sum(level.listed for level in self.levels.values())

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return not any(level.left for level in self.levels.values())


class Size(NamedTuple):
    """How large a tree is, and the seconds that listing all of it takes."""

    directories: int
    files: int
    seconds: float


def estimate(sample: Sample) -> Size:
    """The whole tree from a sample: exact where the sample is complete.

    At each depth the directories that were not listed are taken for the mean of those that were.
    """
    directories = files = seconds = 0.0
    count = 1.0
    for _, level in sorted(sample.levels.items()):
        directories += count
        if not level.listed:
            break
        files += count * level.files / level.listed
        seconds += count * level.seconds / level.listed
        count *= level.children / level.listed
    # Several listings were under way at a time, as they are in a scan.
    together = sample.wall / sample.worked if sample.worked else 1.0
    return Size(round(directories), round(files), seconds * together)


def steps_of(mtimes: Sequence[int]) -> float:
    """Steps in seconds that `mtimes` (nanoseconds) count in, as far as they show."""
    second = 10**9
    if any(mtime % second for mtime in mtimes):
        step = second
        while any(mtime % step for mtime in mtimes):
            step //= 10
        return step / second
    return 1.0 if any(mtime // second % 2 for mtime in mtimes) else 2.0


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
class Advice:
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


def trust_state(mount: Mount, trust: Trust) -> str:
    """What directory mtimes on `mount` are worth, in one of the words above."""
    if mount.never_moves_directory_mtimes:
        return NEVER
    if trust.is_lost:
        return LOST
    if mount.moves_directory_mtimes:
        return BY_TYPE
    return EARNED if trust.is_earned(mount) else TO_BE_EARNED


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
    advice: Advice | None = None
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
                "place": self.mount.place,
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


class Doctor:
    """Examines folders. `known` is what scans have learned of mounts, by `Mount.identity`;
    `limit` the seconds without any answer after which a mount counts as hung."""

    def __init__(
        self,
        files: FileSystem,
        walkers: Walkers,
        settings: Settings,
        known: Mapping[str, Trust],
        *,
        limit: float,
    ) -> None:
        self._files = files
        self._walkers = walkers
        self._settings = settings
        self._known = known
        self._limit = limit

    def examine(self, root: Root, *, probe: bool) -> Finding:
        """Everything about `root.path`, which is absolute. `probe`: with a file of our own."""
        finding = self._begin(root.path)
        try:
            if self._meet(finding):
                self._measure(finding, rules_for(self._settings, root))
                if probe:
                    self._probe(finding)
        except LostWalkerError as lost:
            finding.state = STALLED if lost.is_stalled else UNREACHABLE
            finding.reason = str(lost)
        self._conclude(finding)
        return finding

    # Steps

    def _begin(self, path: str) -> Finding:
        mounts = self._files.mounts()
        target = leads_to(path, mounts)
        mount = mount_of(target, mounts)
        trust = self._known.get(readable(mount.identity), Trust())
        return Finding(path, target, mount, trust)

    def _meet(self, finding: Finding) -> bool:
        """Whether the folder is there and can be listed."""
        contact = _answer(self._walkers.of(finding.mount), Timed(StatPath(finding.target)))
        assert isinstance(contact, Took)
        finding.first_contact = contact.seconds
        # An automounter puts the real mount in place when it is first touched.
        again = self._begin(finding.path)
        finding.target, finding.mount, finding.trust = again.target, again.mount, again.trust
        if isinstance(contact.answer, Failed):
            is_absent = contact.answer.errno in (errno.ENOENT, errno.ENOTDIR)
            finding.state = MISSING if is_absent else UNREADABLE
            finding.reason = contact.answer.error
        elif isinstance(contact.answer, Stated) and not contact.answer.stat.is_directory:
            finding.state, finding.reason = MISSING, "not a folder"
        return finding.state == OK

    def _measure(self, finding: Finding, rules: IgnoreRules) -> None:
        mount, path = finding.mount, finding.target
        finding.stat = latency(self._files, self._walkers, path, mount, self._limit)
        sample = _Sampling(self._files, self._walkers, path, mount, rules).run()
        if not sample.listed:
            finding.state, finding.reason = UNREADABLE, sample.failure
            return
        finding.sample = sample
        finding.listing = median(sample.alone)
        finding.workers = self._walkers.workers(mount)
        finding.cost = ScanCost(estimate(sample), self._burst(sample.folders, mount))
        if mount.known_granularity is not None:
            finding.granularity, finding.granularity_from = mount.known_granularity, "type"
        elif len(sample.mtimes) >= TIMES_WANTED:
            finding.granularity = steps_of(list(sample.mtimes))
            finding.granularity_from = "sample"

    def _burst(self, folders: Sequence[str], mount: Mount) -> float:
        """Seconds per stat with as many under way as in a scan.

        In many folders: the kernel may let only one look up new names in a folder at a time.
        """
        chosen = random.Random(0).choices(folders, k=BURST)
        started = self._files.monotonic()
        pool = _Pool(self._walkers, mount)
        done = 0
        for name in _new_names(chosen):
            done += len(pool.put(Timed(StatPath(name))))
            if self._files.monotonic() - started > BURST_SECONDS:
                break
        done += len(pool.drain())
        return (self._files.monotonic() - started) / max(1, done)

    def _probe(self, finding: Finding) -> None:
        name = f"{NAME_PREFIX}{secrets.token_hex(4)}"
        try:
            # In a process of its own everywhere: it outlives us, whatever ends us, by the file.
            answer = _answer(self._walkers.apart(finding.mount), Probe(finding.target, name))
        except LostWalkerError:
            text = f"The mount went away during the probe; remove {name} there if you find it."
            finding.notes.append(Note("probe_left", text))
            raise
        if isinstance(answer, Probed):
            finding.probe = answer.observed
            if finding.granularity_from != "type":
                finding.granularity = steps_of(answer.observed.mtimes)
                finding.granularity_from = "probe"
        elif isinstance(answer, Failed):
            text = f"The probe was not possible: {answer.error}."
            finding.notes.append(Note("probe_failed", text))

    # Conclusions

    def _conclude(self, finding: Finding) -> None:
        settings, cost = self._settings, finding.cost
        if finding.state != OK or cost is None:
            return
        duty = settings.duty
        if settings.is_paced:
            duty = verification_duty(duty, settings.auto_duty)
            finding.interval = _own_interval(finding, settings)
        elif not settings.cron:
            finding.interval = settings.first_every
        trusted = finding.will_be_trusted
        finding.advice = Advice(
            _profile(finding.mount),
            cost.interval(settings.duty, SHORTEST[finding.mount.is_remote], is_trusted=trusted),
            finding.workers if finding.mount.is_remote else None,
        )
        interval = finding.interval or finding.advice.every
        finding.terms = Terms(interval, settings.verify_within, duty)
        finding.notes += _notes(finding, settings)


def _own_interval(finding: Finding, settings: Settings) -> float:
    """Seconds between scans that the folder's lane finds by itself, if it is alone in it."""
    cost, duty = finding.cost, verification_duty(settings.duty, settings.auto_duty)
    assert cost is not None

    def seconds(every: float) -> float:
        terms = Terms(every, settings.verify_within, duty)
        return cost.unchanged(terms, is_trusted=finding.is_trusted)

    return fitting(seconds, settings.auto_duty) or STEPS[-1]


def _profile(mount: Mount) -> str:
    if mount.place == "disk":
        return "local"
    return "wsl" if mount.place == "host" else "nas"


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


def combined(findings: Sequence[Finding]) -> Advice | None:
    """One set of settings for all folders: those of the slowest."""
    found = [finding.advice for finding in findings if finding.advice is not None]
    if not found:
        return None
    slowest = max(found, key=lambda advice: (advice.every, advice.profile != "local"))
    workers = [advice.workers for advice in found if advice.workers is not None]
    return Advice(slowest.profile, slowest.every, max(workers, default=None))


def exit_code(findings: Sequence[Finding]) -> int:
    """3 where a folder could not be examined, 1 where there is something to know."""
    if any(finding.state != OK for finding in findings):
        return 3
    return 1 if any(finding.notes for finding in findings) else 0


def latency(
    files: FileSystem, walkers: Walkers, path: str, mount: Mount, limit: float = 10.0
) -> float:
    """Seconds of one call on `mount`, which holds the folder `path`.

    Median of stats one after the other, of names that do not exist: each of them is new, so that
    no cache of the client answers. Fewer of them where `limit` seconds have passed.
    """
    started = files.monotonic()
    seconds = []
    for name in _new_names([path] * STATS):
        answer = _answer(walkers.of(mount), Timed(StatPath(name)))
        assert isinstance(answer, Took)
        seconds.append(answer.seconds)
        if files.monotonic() - started > limit:
            break
    return median(seconds)


def _answer(walker: Walker, request: Timed | Probe) -> Answer:
    """The answer to one request."""
    walker.ask(request)
    answer = walker.answer()
    walker.answer()
    assert answer is not None
    return answer


def _new_names(folders: Sequence[str]) -> list[str]:
    """A name that does not exist in each of `folders`, none twice."""
    token = secrets.token_hex(4)
    return [join(folder, f"{NAME_PREFIX}{token}-{n}") for n, folder in enumerate(folders)]


class _Pool:
    """Keeps as many requests under way as a scan of the mount would, and few more waiting."""

    def __init__(self, walkers: Walkers, mount: Mount) -> None:
        self._walkers = walkers
        self._mount = mount
        self._walker: Walker = walkers.of(mount)
        self._under_way = 0

    @property
    def is_busy(self) -> bool:
        """Whether an answer is to come."""
        return self._under_way > 0

    def put(self, request: Timed) -> list[Took]:
        """Ask; what had to be answered to make room for it."""
        taken = []
        while self._under_way > self._walkers.workers(self._mount):
            taken.append(self.take())
        self._walker.ask(request)
        self._under_way += 1
        return taken

    def take(self) -> Took:
        """Wait for an answer to what was asked."""
        answer = self._walker.answer()
        assert isinstance(answer, Took)
        self._under_way -= 1
        return answer

    def drain(self) -> list[Took]:
        """All answers to come."""
        taken = [self.take() for _ in range(self._under_way)]
        self._walker.answer()
        return taken


class _Sampling:
    """The walk that a `Sample` is made by."""

    def __init__(
        self,
        files: FileSystem,
        walkers: Walkers,
        top: str,
        mount: Mount,
        rules: IgnoreRules,
    ) -> None:
        self._files = files
        self._pool = _Pool(walkers, mount)
        self._top = top
        self._rules = rules
        self._points = [other.point for other in files.mounts() if is_below(other.point, top)]
        self._sample = Sample()
        self._depths = {top: 0}
        self._asked: dict[int, int] = defaultdict(int)
        self._random = random.Random(0)

    def run(self) -> Sample:
        """List until the tree or the limits end. Raises LostWalkerError."""
        started = self._files.monotonic()
        self._sample.levels[0].left.append(self._top)
        count = 0
        while True:
            is_over = count >= SAMPLE or self._files.monotonic() - started > SAMPLE_SECONDS
            is_waiting = self._pool.is_busy and len(self._sample.alone) < ALONE
            path = None if is_over or is_waiting else self._next()
            if path is not None:
                count += 1
                for took in self._pool.put(self._listing_of(path)):
                    self._take(took)
            elif self._pool.is_busy:
                self._take(self._pool.take())
            else:
                break
        self._pool.drain()
        self._sample.wall = self._files.monotonic() - started
        return self._sample

    def _next(self) -> str | None:
        """A directory of the depth of which the fewest were asked for."""
        depths = [depth for depth, level in self._sample.levels.items() if level.left]
        if not depths:
            return None
        depth = min(depths, key=lambda depth: (self._asked[depth], depth))
        left = self._sample.levels[depth].left
        chosen = self._random.randrange(len(left))
        left[chosen], left[-1] = left[-1], left[chosen]
        self._asked[depth] += 1
        return left.pop()

    def _listing_of(self, path: str) -> Timed:
        names = (os.path.basename(p) for p in self._points if os.path.dirname(p) == path)
        return Timed(ListDirectory(path, mount_points=frozenset(names)))

    def _take(self, took: Took) -> None:
        sample = self._sample
        depth = self._depths.pop(took.path)
        if not isinstance(took.answer, Listed):
            sample.unread += 1
            if isinstance(took.answer, Failed):
                sample.failure = took.answer.error
            return
        level = sample.levels[depth]
        level.listed += 1
        level.seconds += took.seconds
        sample.worked += took.seconds
        sample.folders.append(took.path if depth == 0 else os.path.dirname(took.path))
        if len(sample.alone) < ALONE:
            sample.alone.append(took.seconds)
        self._take_listing(took.path, depth, took.answer.directory)

    def _take_listing(self, path: str, depth: int, directory: Directory) -> None:
        sample, level = self._sample, self._sample.levels[depth]
        sample.mtimes.add(directory.mtime)
        relative = "" if path == self._top else os.path.relpath(path, self._top) + os.sep
        prefix = relative.replace(os.sep, "/")
        for row in directory.listing.rows():
            if self._rules.ignores(prefix + row.name, row.type == DIRECTORY):
                continue
            child = join(path, row.name)
            if row.type == FILE:
                level.files += 1
                if len(sample.mtimes) < TIMES_KEPT:
                    sample.mtimes.add(row.mtime)
            elif row.type == DIRECTORY and child not in self._points:
                level.children += 1
                self._depths[child] = depth + 1
                sample.levels[depth + 1].left.append(child)
            elif row.type in _ELSEWHERE:
                sample.elsewhere.append(child)


_ELSEWHERE = frozenset((DIRECTORY, DIRECTORY_LINK, FOREIGN_LINK))
"""Rows that are told as lying elsewhere; directories where they are mount points."""


@contextmanager
def opened(settings: Settings, outputs: Outputs, *, limit: float) -> Iterator[Doctor]:
    """A doctor on this computer, with what the scans of `outputs` have learned.

    On Ctrl-C its walkers are left to end by themselves, which removes a probe's file.
    """
    files = DiskFileSystem()
    walkers = ByMount(
        files, stall_after=limit, most_workers=settings.workers, stopped=lambda: False
    )
    yield Doctor(files, walkers, settings, read_trust(outputs.state), limit=limit)
    walkers.close()
