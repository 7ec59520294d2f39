"""What scans of given folders cost, measured with the program's own engine, and how often to scan.

The first half measures: real scans into a folder for temporary files, through the walkers that
`run` would ask, so nothing is written below what is measured and a mount that hangs hangs nobody.
The second half reckons with what was measured and does no I/O.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple, Self

import psutil

from scanner.doctor import TO_BE_EARNED, latency, trust_state
from scanner.errors import RootsIncompleteError, SettingsError
from scanner.filesystem import DiskFileSystem, FileSystem
from scanner.guard import HELD, ONLINE, PARTIAL
from scanner.mounts import Mount, leads_to, mount_of
from scanner.outputs import Outputs
from scanner.pace import fitting, verification_duty
from scanner.portable import path_fields, readable
from scanner.roots import Root
from scanner.scan import Scanner
from scanner.service import Display, lane_name
from scanner.settings import Settings, format_duration
from scanner.snapshot import FILE, is_below
from scanner.store import Store
from scanner.verification import PROOFS_WANTED, Terms, Trust, share_of
from scanner.walk import Progress
from scanner.walker import (
    Answer,
    Failed,
    Fingerprinted,
    Listed,
    Request,
    Stated,
    StatPath,
    Walker,
)
from scanner.walkers import ByMount, LostWalkerError, Walkers

INTERVALS = (5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
"""Seconds between scans whose cost is told."""

REPEATS = 3
"""Scans of a local disk whose median counts: they take milliseconds, and vary by as much."""

ONE_TURN = 1e-3
"""Seconds between scans with which the engine is told to verify one folder and no more: what more
folders cost is reckoned, by interval."""

MARGIN = 0.1
"""Seconds beyond those after which a change has settled."""


# What was spent


class Spent(NamedTuple):
    """What a scan, or a mean of scans, cost. `cpu` in seconds of one core, of all processes."""

    seconds: float = 0.0
    cpu: float = 0.0
    folders: float = 0
    """Folders that the scan covered."""
    listings: float = 0
    """Folders that were listed."""
    entries: float = 0
    """Entries whose size and time were read, in folders that were listed."""
    stats: float = 0
    """Folders that were asked for their time alone, roots for their health."""
    samples: float = 0
    """Files that were read from, for fingerprints."""

    @property
    def calls(self) -> float:
        """All that was asked of the file system."""
        return self.listings + self.entries + self.stats + self.samples

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(*(a + b for a, b in zip(self, other, strict=True)))

    def towards(self, other: Spent, part: float) -> Spent:
        """What lies between this (0) and `other` (1)."""
        return Spent(*(a + (b - a) * part for a, b in zip(self, other, strict=True)))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "seconds": _rounded(self.seconds),
            "cpu_seconds": _rounded(self.cpu),
            "calls": round(self.calls),
            "folders_listed": round(self.listings),
            "entries_stated": round(self.entries),
            "folders_stated": round(self.stats),
            "files_sampled": round(self.samples),
        }


def typical(scans: Sequence[Spent]) -> Spent:
    """The medians of several."""
    return Spent(*(median(column) for column in zip(*scans, strict=True)))


# Reckoning


class Row(NamedTuple):
    """What scanning every so many seconds costs, and brings."""

    every: float
    seconds: float
    """Of one scan, with its turn of verification."""
    cpu_share: float
    """Of one core."""
    busy_share: float
    """Of the time, in which the disk or the mount is asked something."""
    calls_per_second: float
    seen_within: float
    """Seconds until a new, removed or renamed file is seen, at worst."""
    verified_within: float
    """Seconds until a file that was rewritten in place is seen, at worst."""

    @property
    def share(self) -> float:
        """The larger of both shares."""
        return max(self.cpu_share, self.busy_share)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "every": format_duration(self.every),
            "every_seconds": self.every,
            "scan_seconds": _rounded(self.seconds),
            "cpu_share": _rounded(self.cpu_share),
            "busy_share": _rounded(self.busy_share),
            "calls_per_second": _rounded(self.calls_per_second),
            "seen_within_seconds": _rounded(self.seen_within),
            "verified_within_seconds": _rounded(self.verified_within),
        }


@dataclass(frozen=True)
class Cost:
    """What scans of one lane cost."""

    everything: Spent
    """A scan that lists every folder."""
    quiet: Spent | None
    """A scan that asks folders for their times and finds nothing new; None where every scan lists
    everything."""
    settle: float
    """Seconds for which a change may hide behind an equal time, or in a cache."""

    @property
    def unchanged(self) -> Spent:
        """A scan that finds nothing new, but for its turn of verification."""
        return self.everything if self.quiet is None else self.quiet

    def scan(self, terms: Terms) -> Spent:
        """A scan that finds nothing new and verifies its turn."""
        if self.quiet is None:
            return self.everything
        return self.quiet.towards(self.everything, self._turn(terms) / self.everything.folders)

    def period(self, terms: Terms) -> float:
        """Seconds in which every file is read again."""
        if self.quiet is None:
            return terms.interval
        return self.everything.folders / self._turn(terms) * terms.interval

    def row(self, terms: Terms) -> Row:
        """What the interval in `terms` costs."""
        scan, every = self.scan(terms), terms.interval
        # A scan that takes longer than the interval is followed by the next one.
        apart = max(every, scan.seconds)
        return Row(
            every,
            scan.seconds,
            scan.cpu / every,
            scan.seconds / every,
            scan.calls / every,
            apart + scan.seconds + self.settle,
            max(self.period(terms), apart) + scan.seconds + self.settle,
        )

    def _turn(self, terms: Terms) -> int:
        folders = max(1, round(self.everything.folders))
        return share_of(folders, terms, self.everything.seconds / folders)


class Choice(NamedTuple):
    """How often to scan: `every` in seconds, None where nothing fits; `duty` of verification."""

    every: float | None
    duty: float


@dataclass(frozen=True)
class Budget:
    """The share of the time that scans may take, and the settings of verification."""

    share: float
    verify_within: float
    duty: float

    def terms(self, every: float, duty: float) -> Terms:
        """Those of scans that are `every` seconds apart."""
        return Terms(every, self.verify_within, duty)

    def choose(self, cost: Cost) -> Choice:
        """The shortest interval that fits; with less verification where that is what it takes."""
        given = self._shortest(cost, self.duty)
        less = verification_duty(self.duty, self.share)
        spared = self._shortest(cost, less)
        if given is None or (spared is not None and spared < given):
            return Choice(spared, self.duty if spared is None else less)
        return Choice(given, self.duty)

    def _shortest(self, cost: Cost, duty: float) -> float | None:
        def seconds(every: float) -> float:
            return cost.row(self.terms(every, duty)).share * every

        return fitting(seconds, self.share, INTERVALS)

    def table(self, cost: Cost, choice: Choice) -> list[Row]:
        """All intervals, with the verification of `choice`."""
        return [cost.row(self.terms(every, choice.duty)) for every in INTERVALS]


class Holding(NamedTuple):
    """What one of the folders holds, and what it lives on."""

    path: str
    mount: Mount
    files: int
    folders: int
    bytes: int
    folder_times: str
    """What they are worth, in the words of `doctor`."""


@dataclass(frozen=True)
class Measured:
    """Folders that are scanned together, and what that costs."""

    id: str
    is_remote: bool
    holdings: tuple[Holding, ...]
    latency: float
    """Seconds of one call."""
    workers: int
    """Requests under way at a time."""
    first: Spent
    now: Cost
    later: Cost | None
    """Once folder times are trusted; None where they are, never will be, or spare nothing."""

    def as_json(self, budget: Budget) -> dict[str, Any]:
        """For programs."""
        return {
            "id": readable(self.id),
            "remote": self.is_remote,
            "paths": [_holding_json(holding) for holding in self.holdings],
            "call_seconds": _rounded(self.latency),
            "workers": self.workers,
            "settle_seconds": self.now.settle,
            "first_scan": self.first.as_json(),
            "unchanged_scan": self.now.unchanged.as_json(),
            "full_verification": self.now.everything.as_json(),
            "now": _cost_json(self.now, budget),
            "once_folder_times_are_trusted": self.later and _cost_json(self.later, budget),
        }


def _holding_json(holding: Holding) -> dict[str, Any]:
    mount = holding.mount
    return {
        **path_fields(holding.path, None),
        "mount": {
            "type": mount.type,
            "point": readable(mount.point),
            "source": readable(mount.shown_source),
            "remote": mount.is_remote,
        },
        "files": holding.files,
        "folders": holding.folders,
        "bytes": holding.bytes,
        "folder_times": holding.folder_times,
    }


def _cost_json(cost: Cost, budget: Budget) -> dict[str, Any]:
    choice = budget.choose(cost)
    return {
        "uses_folder_times": cost.quiet is not None,
        "unchanged_scan": cost.unchanged.as_json(),
        "verification_duty": choice.duty,
        "intervals": [row.as_json() for row in budget.table(cost, choice)],
        "recommended": None if choice.every is None else format_duration(choice.every),
    }


class Advice(NamedTuple):
    """Settings for all lanes together: `every` None where no interval fits."""

    every: float | None
    duty: float | None
    """Of verification; None where it can stay what it is."""
    scan_seconds: float
    """What a scan takes where it takes longest."""

    @property
    def toml(self) -> list[str]:
        """The lines of a settings file."""
        if self.every is None:
            return []
        lines = [f'every = "{format_duration(self.every)}"']
        return lines if self.duty is None else [*lines, f"duty = {self.duty:g}"]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "every": None if self.every is None else format_duration(self.every),
            "every_seconds": self.every,
            "duty": self.duty,
            "toml": "".join(line + "\n" for line in self.toml),
        }


def advise(lanes: Iterable[Measured], budget: Budget) -> Advice:
    """The interval of the lane that needs the longest one."""
    costs = [lane.now for lane in lanes]
    choices = [budget.choose(cost) for cost in costs]
    every = [choice.every for choice in choices if choice.every is not None]
    duty = min(choice.duty for choice in choices)
    return Advice(
        max(every) if len(every) == len(choices) else None,
        duty if duty < budget.duty else None,
        max(cost.unchanged.seconds for cost in costs),
    )


def _rounded(number: float) -> float:
    """Three digits that count."""
    return float(f"{number:.3g}")


# Measuring


class _Counted:
    """Walkers whose answers are counted."""

    def __init__(self, walkers: Walkers) -> None:
        self._walkers = walkers
        self.spent = Spent()

    def of(self, mount: Mount, patience: float | None = None) -> Walker:
        return _CountedWalker(self._walkers.of(mount, patience), self)

    def apart(self, mount: Mount) -> Walker:
        return _CountedWalker(self._walkers.apart(mount), self)

    def workers(self, mount: Mount) -> int:
        return self._walkers.workers(mount)

    def note(self, answer: Answer) -> None:
        """Count what the walker did to give this answer."""
        self.spent = self.spent.plus(_asked(answer))


class _CountedWalker:
    def __init__(self, walker: Walker, counted: _Counted) -> None:
        self._walker = walker
        self._counted = counted

    def ask(self, request: Request) -> None:
        self._walker.ask(request)

    def answer(self) -> Answer | None:
        answer = self._walker.answer()
        if answer is not None:
            self._counted.note(answer)
        return answer


def _asked(answer: Answer) -> Spent:
    """What the file system was asked for this answer."""
    if isinstance(answer, Listed):
        listing = answer.directory.listing
        return Spent(listings=1, entries=len(listing.types) + len(listing.unread))
    if isinstance(answer, Stated | Failed):
        return Spent(stats=1)
    return Spent(samples=1) if isinstance(answer, Fingerprinted) else Spent()


@dataclass
class _Lane:
    """Places that are scanned together, while they are measured."""

    id: str
    places: list[Root] = field(default_factory=list)
    first: Spent = field(default_factory=Spent)


class Tuner:
    """Measures `roots` (absolute paths), with a database and an inventory in `folder`.

    `known` is what scans have learned of mounts, by `Mount.identity`; `tell` takes what is done
    now, in a few words; `display` shows how far the first scans have come.
    """

    def __init__(
        self,
        files: FileSystem,
        walkers: Walkers,
        settings: Settings,
        known: Mapping[str, Trust],
        roots: Sequence[Root],
        folder: str,
        *,
        tell: Callable[[str], None] = lambda text: None,
        display: Display | None = None,
    ) -> None:
        self._files = files
        self._walkers = _Counted(walkers)
        self._known = known
        self._roots = tuple(roots)
        self._tell = tell
        self._display = display or Display()
        self._store = Store(
            Outputs(os.path.join(folder, "comfy_inventory.json"), folder),
            None,
            journal_bytes=settings.journal_size,
            journal_files=settings.journal_files,
            annotations_every=settings.annotations_every,
        )
        self._store.open()
        self._scanner = Scanner(files, self._store, settings, self._roots, self._walkers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.close()

    def run(self) -> list[Measured]:
        """All of it. Raises SettingsError where a path is no folder, RootsIncompleteError where
        one does not answer."""
        for root in self._roots:
            self._meet(root)
        return [self._measure(lane) for lane in self._first_scans()]

    def _meet(self, root: Root) -> None:
        mounts = self._files.mounts()
        told = readable(root.path)
        try:
            walker = self._walkers.of(mount_of(leads_to(root.path, mounts), mounts))
            walker.ask(StatPath(root.path))
            answer = walker.answer()
            walker.answer()
        except LostWalkerError as lost:
            raise RootsIncompleteError(f"{told} does not answer: {lost}.") from None
        if isinstance(answer, Failed) and answer.errno in (errno.ENOENT, errno.ENOTDIR):
            raise SettingsError(f"PATH: expected a folder, and there is no {told}.")
        if isinstance(answer, Failed):
            raise RootsIncompleteError(f"{told} cannot be read: {answer.error}.")
        if isinstance(answer, Stated) and not answer.stat.is_directory:
            raise SettingsError(f"PATH: expected a folder, and {told} is none.")

    def _first_scans(self) -> list[_Lane]:
        """Scan everything once; links and mounts below may add lanes on the way."""
        lanes: dict[str, _Lane] = {}
        walked: set[Root] = set()
        while True:
            mounts, places = self._files.mounts(), self._scanner.places()
            new: dict[str, list[Root]] = {}
            for place in places.all:
                if place not in walked:
                    new.setdefault(lane_name(places.mount_of(place, mounts)), []).append(place)
            if not new:
                return list(lanes.values())
            for name, own in new.items():
                walked.update(own)
                self._tell(f"first scan of {', '.join(readable(place.path) for place in own)}")
                try:
                    spent = self._scan(own, self._display.walking)
                finally:
                    self._display.idle()
                if present := [place for place in own if self._is_there(place)]:
                    lane = lanes.setdefault(name, _Lane(name))
                    lane.places += present
                    lane.first = lane.first.plus(spent)

    def _is_there(self, place: Root) -> bool:
        """Whether `place` can be measured. What links lead to may be away, given paths may not."""
        record = self._store.memory.roots.get(place.id)
        if record is not None and record.state in (ONLINE, PARTIAL, HELD):
            return True
        if place in self._roots:
            reason = "" if record is None else record.reason
            raise RootsIncompleteError(
                f"{readable(place.path)} cannot be scanned: {reason or 'it went away'}."
            )
        return False

    def _measure(self, lane: _Lane) -> Measured:
        mounts, places = self._files.mounts(), self._scanner.places()
        own = {place: places.mount_of(place, mounts) for place in lane.places}
        states = {mount: self._trust_state(mount) for mount in own.values()}
        mount = own[lane.places[0]]
        listing, sparing = self._costs(lane, states)
        is_earning = TO_BE_EARNED in states.values()
        return Measured(
            lane.id,
            mount.is_remote,
            tuple(self._holding(place, own[place], states) for place in lane.places),
            latency(self._files, self._walkers, lane.places[0].path, mount),
            self._walkers.workers(mount),
            lane.first,
            listing if sparing is None or is_earning else sparing,
            sparing if is_earning else None,
        )

    def _costs(self, lane: _Lane, states: Mapping[Mount, str]) -> tuple[Cost, Cost | None]:
        """Of listing everything in every scan, and of relying on folder times; None where these
        cannot be relied on, or the engine finds listing everything cheap enough."""
        settle = max(mount.settle for mount in states)
        is_remote = any(mount.is_remote for mount in states)
        self._settle(settle)  # what is new is listed twice, and here that is wanted
        self._tell(f"listing everything again, {readable(lane.id)}")
        everything = [self._scan(lane.places)]
        quiet: list[Spent] = []
        may_spare = [self._rely(mount, state) for mount, state in states.items()]
        if is_remote and any(may_spare):
            self._settle(settle)  # or the client would answer from its cache
            self._tell(f"asking folders for their times, {readable(lane.id)}")
        for _ in range(int(any(may_spare)) if is_remote else REPEATS):
            spent = self._scan(lane.places)
            (quiet if spent.listings < spent.folders else everything).append(spent)
        listing = Cost(typical(everything), None, settle)
        return listing, replace(listing, quiet=typical(quiet)) if quiet else None

    def _trust_state(self, mount: Mount) -> str:
        return trust_state(mount, self._known_trust(mount))

    def _known_trust(self, mount: Mount) -> Trust:
        return self._known.get(readable(mount.identity), Trust())

    def _rely(self, mount: Mount, state: str) -> bool:
        """Have the engine rely on folder times on `mount` where it does already, or may come to;
        whether that is so."""
        known, trust = self._known_trust(mount), self._store.trust_of(mount)
        trust.proofs, trust.is_lost = known.proofs, known.is_lost
        if state == TO_BE_EARNED:
            trust.proofs = PROOFS_WANTED
        return trust.is_earned(mount)

    def _settle(self, seconds: float) -> None:
        """Wait until what was seen new counts as known, and caches have forgotten."""
        if seconds > 1:
            self._tell(f"waiting {format_duration(seconds)}, for the caches of the mount to forget")
        self._files.sleep(seconds + MARGIN)

    def _scan(
        self, places: Sequence[Root], progress: Callable[[Progress], None] | None = None
    ) -> Spent:
        """One pass with all that belongs to it: walk, commit, change list, inventory."""
        before, cpu = self._walkers.spent, _cpu_of_walkers() + time.process_time()
        started = self._files.monotonic()
        outcome = self._scanner.scan(places, interval=ONE_TURN, progress=progress)
        self._scanner.publish(is_last=False)
        seconds = self._files.monotonic() - started
        cpu = time.process_time() + _cpu_of_walkers() - cpu
        counted = self._walkers.spent.plus(Spent(*(-number for number in before)))
        return counted._replace(seconds=seconds, cpu=max(0.0, cpu), folders=outcome.directories)

    def _holding(self, place: Root, mount: Mount, states: Mapping[Mount, str]) -> Holding:
        below = [
            directory.listing
            for path, directory in self._store.snapshot.items()
            if is_below(path, place.path)
        ]
        return Holding(
            place.path,
            mount,
            sum(listing.types.count(FILE) for listing in below),
            len(below),
            sum(sum(listing.sizes) for listing in below),
            states[mount],
        )


def _cpu_of_walkers() -> float:
    """CPU seconds that the walkers' processes have used so far."""
    total = 0.0
    for child in psutil.Process().children():
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue  # it has ended
        total += times.user + times.system
    return total


@contextmanager
def opened(
    paths: Sequence[str],
    settings: Settings,
    known: Mapping[str, Trust],
    *,
    tell: Callable[[str], None] = lambda text: None,
    display: Display | None = None,
    files: FileSystem | None = None,
) -> Iterator[Tuner]:
    """A tuner for `paths`, whose own files are gone afterwards. Raises SettingsError."""
    files = files or DiskFileSystem()
    mounts = files.mounts()
    # A link to a share is the share's: its own walker must ask.
    places = dict.fromkeys(leads_to(os.path.abspath(path), mounts) for path in paths)
    roots = [Root("extra", place) for place in places]
    walkers = ByMount(
        files,
        stall_after=settings.stall_after,
        most_workers=settings.workers,
        stopped=lambda: False,
        most_per_second=settings.requests_per_second,
    )
    with tempfile.TemporaryDirectory(
        prefix="comfy-inventory-", dir=_place_outside(roots, files), ignore_cleanup_errors=True
    ) as folder:
        try:
            with Tuner(
                files, walkers, settings, known, roots, folder, tell=tell, display=display
            ) as tuner:
                yield tuner
        finally:
            walkers.close()


def _place_outside(roots: Sequence[Root], files: FileSystem) -> str:
    """The folder for temporary files, which must not be below what is measured."""
    place = tempfile.gettempdir()
    mounts = files.mounts()
    for root in roots:
        if is_below(os.path.realpath(place), leads_to(root.path, mounts)):
            raise SettingsError(
                f"PATH: the folder for temporary files, {place}, is below {readable(root.path)}, "
                "where nothing may be written; name another one in the variable TMPDIR."
            )
    return place
