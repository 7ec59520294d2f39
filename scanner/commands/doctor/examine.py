"""Examine one folder through its worker, with a short limit (rule 3, a hang stops nothing)."""

from __future__ import annotations

import errno
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

from scanner.commands.advice import Advice, reduced_duty
from scanner.commands.doctor.finding import (
    MISSING,
    OK,
    STALLED,
    UNREACHABLE,
    UNREADABLE,
    Finding,
    Note,
    notes_of,
)
from scanner.commands.doctor.sample import (
    SAMPLE_SECONDS,
    TIMES_WANTED,
    Sampling,
    cost_of,
    estimate,
    granularity_of,
)
from scanner.core.mount_identity import AUTOMOUNTER, MountIdentity
from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem, FileSystem
from scanner.disk.location import locate
from scanner.disk.mounts import Mount
from scanner.disk.probe import NAME_PREFIX
from scanner.disk.trust import TO_BE_EARNED, Trust
from scanner.output.file_names import Outputs
from scanner.settings.schema import Settings
from scanner.store.mount_trust import read_trust
from scanner.walk.cost import INTERVALS, Budget, choose, verification_duty
from scanner.walk.ignore import IgnoreRules, rules_for
from scanner.workers.latency import _answer, _new_names, _Pool, latency
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import Workers, WorkersByMount
from scanner.workers.requests import (
    Failed,
    ListDirectory,
    Probe,
    Probed,
    Stated,
    StatPath,
    Timed,
    Took,
)

BURST = 300
"""Most concurrent stats from which an unchanged scan is estimated, within BURST_SECONDS."""

BURST_SECONDS = 2.0


class Doctor:
    """Examines folders.

    `known` is the trust in mounts that scans have recorded, by `Mount.identity`. A mount counts as
    hung after `limit` seconds without an answer.
    """

    def __init__(
        self,
        files: FileSystem,
        workers: Workers,
        settings: Settings,
        known: Mapping[MountIdentity, Trust],
        *,
        limit: float,
    ) -> None:
        self._files = files
        self._workers = workers
        self._settings = settings
        self._known = known
        self._limit = limit

    def examine(self, root: Root, *, probe: bool, seconds: float = SAMPLE_SECONDS) -> Finding:
        """Examine the absolute `root.path`, listing it for `seconds` at most. With `probe`, also
        create and remove a file there."""
        finding = self._begin(root.path)
        try:
            if self._meet(finding):
                self._measure(finding, rules_for(self._settings, root), seconds)
                if probe:
                    self._probe(finding)
        except LostWorkerError as lost:
            finding.state = STALLED if lost.is_stalled else UNREACHABLE
            finding.reason = str(lost)
        self._conclude(finding)
        return finding

    # Steps

    def _begin(self, path: str) -> Finding:
        target, mount, _ = locate(path, self._files.mounts(), self._files.read_link)
        trust = self._known.get(mount.identity, Trust())
        return Finding(path, target, mount, trust)

    def _meet(self, finding: Finding) -> bool:
        """Record the first answer. Returns True if the folder exists and can be listed."""
        opens = finding.mount.type == AUTOMOUNTER  # which a stat alone does not set to work
        request = ListDirectory(finding.target) if opens else StatPath(finding.target)
        contact = _answer(self._workers.of(finding.mount), Timed(request))
        assert isinstance(contact, Took)
        finding.first_contact = contact.seconds
        # An automounter has put the real mount in place now.
        again = self._begin(finding.path)
        finding.target, finding.mount, finding.trust = again.target, again.mount, again.trust
        if isinstance(contact.answer, Failed):
            is_absent = contact.answer.errno in (errno.ENOENT, errno.ENOTDIR)
            finding.state = MISSING if is_absent else UNREADABLE
            finding.reason = contact.answer.error
        elif isinstance(contact.answer, Stated) and not contact.answer.stat.is_directory:
            finding.state, finding.reason = MISSING, "not a folder"
        return finding.state == OK

    def _measure(self, finding: Finding, rules: IgnoreRules, seconds: float) -> None:
        mount, path = finding.mount, finding.target
        finding.stat = latency(self._files, self._workers, path, mount, self._limit)
        sample = Sampling(self._files, self._workers, path, mount, rules, seconds).run()
        if not sample.listed:
            finding.state, finding.reason = UNREADABLE, sample.failure
            return
        finding.sample = sample
        finding.listing = median(sample.alone)
        finding.workers = self._workers.requests_at_once(mount)
        finding.size = estimate(sample)
        finding.cost = cost_of(finding.size, self._burst(sample.folders, mount))
        step = mount.known_granularity
        if step is not None and step < 1 and not sample.has_digits:
            finding.granularity, finding.granularity_from = 1.0, "sample"
        elif step is not None:
            finding.granularity, finding.granularity_from = step, "type"
        elif len(sample.mtimes) >= TIMES_WANTED:
            finding.granularity = granularity_of(list(sample.mtimes))
            finding.granularity_from = "sample"

    def _burst(self, folders: Sequence[str], mount: Mount) -> float:
        """Seconds per stat with as many concurrent requests as in a scan.

        The stats are spread over many folders, because the kernel may let only one request at a
        time look up new names in a folder.
        """
        chosen = random.Random(0).choices(folders, k=BURST)
        started = self._files.monotonic()
        pool = _Pool(self._workers, mount)
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
            # A separate process on every mount: it outlives this one and removes the file.
            answer = _answer(self._workers.apart(finding.mount), Probe(finding.target, name))
        except LostWorkerError:
            text = f"The mount went away during the probe. Remove {name} there if you find it."
            finding.notes.append(Note("probe_left", text))
            raise
        if isinstance(answer, Probed):
            finding.probe = answer.observed
            if finding.granularity_from != "type":
                finding.granularity = granularity_of(answer.observed.mtimes)
                finding.granularity_from = "probe"
        elif isinstance(answer, Failed):
            text = f"The probe was not possible: {answer.error}."
            finding.notes.append(Note("probe_failed", text))

    # Conclusions

    def _conclude(self, finding: Finding) -> None:
        settings, cost, trusted = self._settings, finding.present_cost, finding.cost
        if finding.state != OK or cost is None or trusted is None:
            return
        budget = Budget.of(settings)
        choice = choose(cost, budget)
        every = choice.every or INTERVALS[-1]
        finding.advice = Advice(
            every,
            reduced_duty([choice], budget.duty),
            _profile(finding.mount),
            finding.workers if finding.mount.is_remote else None,
        )
        if finding.trust_state == TO_BE_EARNED:
            later = choose(trusted, budget).every
            finding.trusted_every = later if later is not None and later < every else None
        duty = settings.duty
        if settings.is_paced:
            duty = verification_duty(duty, settings.auto_duty)
            finding.interval = every
        elif not settings.cron:
            finding.interval = settings.first_every
        finding.terms = budget.terms(finding.interval or every, duty)
        finding.notes += notes_of(finding, settings)


def is_not_made_yet(root: Root, finding: Finding) -> bool:
    """True if a folder is missing that ComfyUI makes in time, so that nothing is wrong."""
    return root.is_optional and finding.state == MISSING


def _profile(mount: Mount) -> str:
    if mount.locality == "disk":
        return "local"
    return "wsl" if mount.locality == "host" else "nas"


@contextmanager
def open_doctor(settings: Settings, outputs: Outputs, *, limit: float) -> Iterator[Doctor]:
    """A doctor for this computer, with the trust that the scans of `outputs` have recorded.

    On Ctrl-C its workers end by themselves, which removes the file of a probe.
    """
    files = DiskFileSystem()
    workers = WorkersByMount(files, stall_after=limit, most_workers=settings.workers)
    yield Doctor(files, workers, settings, read_trust(outputs.state), limit=limit)
    workers.close()
