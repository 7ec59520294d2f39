"""One use of a cluster: requests go out in shares, answers come back in any order."""

from __future__ import annotations

import logging
import math
import pickle
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from scanner.cluster.crew import Crew, addresses, holders, reason_of
from scanner.cluster.links import LinkedPaths
from scanner.cluster.serving import serve
from scanner.cluster.terms import Examined, Sample, Share, Terms
from scanner.workers.lost import LostWorkerError
from scanner.workers.remote import POLL
from scanner.workers.requests import (
    Answer,
    Failed,
    HashPiece,
    ListDirectory,
    Listed,
    Request,
    SampleFile,
    StatBelow,
    Stated,
    StatedBelow,
    StatPath,
    Timed,
    Took,
)
from scanner.workers.worker import Worker

log = logging.getLogger(__name__)

SHARED = (ListDirectory, StatPath, StatBelow, SampleFile, HashPiece)
"""Requests that workers of a cluster answer. What is left reads headers, a few at a time."""

FIRST = 16
"""Answers that this machine's own worker gives before workers of the cluster are asked: they are
what these have to see alike. Small walks need no cluster."""

MOST_REQUESTS = 64

MOST_WEIGHT = 4000
"""Requests of a share, and known entries of their folders: some tenths of a second over a network,
some 300 kB of answers."""

AT_ONCE = 2
"""Shares of each worker that are under way: one is answered while the other waits there."""

LOOK_EVERY = 1.0
"""Seconds between looks at which workers are left."""

FETCH = 1.0
"""Seconds to wait for an answer to come over the network, before looking whether to go on."""

SAMPLES_OF_A_FOLDER = 4

MOST_SAMPLES = 48


class _Sent(NamedTuple):
    """A share that is under way."""

    future: Any
    requests: Sequence[Request]
    at: float
    worker: str | None
    """The only one that may answer; None if all may that take part."""


class ClusterSession:
    """A worker in the engine's words. `local` is this machine's own worker of the mount.

    What workers of the cluster could not answer is asked here, so that an answer that something
    failed is always this machine's own.
    """

    in_process = None
    helped_seconds = 0.0
    """Other machines' seconds are not this one's."""

    def __init__(
        self,
        client: Any,
        crew: Crew,
        local: Worker,
        *,
        stopped: Callable[[], bool],
        stall_after: float,
        weight: Callable[[str], int],
        links: LinkedPaths,
    ) -> None:
        """`weight` gives the known number of entries of a folder."""
        self._client = client
        self._crew = crew
        self._local = local
        self._stopped = stopped
        self._stall_after = stall_after
        self._weight = weight
        self._links = links
        self._waiting: deque[Request] = deque()
        self._here: deque[Request] = deque()
        """Requests for this machine's own worker."""
        self._asked_here = 0
        self._ready: deque[Answer] = deque()
        self._sent: dict[int, _Sent] = {}
        self._numbers = 0
        self._queue: SimpleQueue[int] = SimpleQueue()
        self._team: dict[str, Examined] | None = None
        """Who takes part; None before they were asked, empty where nobody does."""
        self._samples: list[Sample] = []
        self._answered_here = 0
        self._looked = self._progressed = time.monotonic()

    def ask(self, request: Request) -> None:
        inner = request.request if isinstance(request, Timed) else request
        if isinstance(inner, SHARED) and self._team != {}:
            self._waiting.append(request)
        else:
            self._here.append(request)

    def abandon(self) -> None:
        self._waiting.clear()
        self._here.clear()
        self._ready.clear()
        self._forget_sent()
        self._local.abandon()
        self._asked_here = 0

    def answer(self) -> Answer | None:
        while True:
            if self._ready:
                return self._noted(self._ready.popleft())
            if self._stopped():
                self._forget_sent()
                raise LostWorkerError("stopping", is_stalled=False)
            self._feed()
            if self._here or self._asked_here:
                return self._noted(self._answer_here())
            if not self._sent:
                return self._local.answer()
            self._take()

    def _noted(self, answer: Answer) -> Answer:
        listed = answer.answer if isinstance(answer, Took) else answer
        if isinstance(listed, Listed):
            self._links.note(listed.path, listed.directory.listing)
        return answer

    # This machine

    def _answer_here(self) -> Answer:
        while self._here:
            self._local.ask(self._here.popleft())
            self._asked_here += 1
        answer = self._local.answer()
        assert answer is not None
        self._asked_here -= 1
        self._answered_here += 1
        self._progressed = time.monotonic()
        if self._team is None and len(self._samples) < MOST_SAMPLES:
            self._samples += samples_in(answer)
        return answer

    # The cluster

    def _feed(self) -> None:
        """Send what waits: to this machine first, then to all that take part."""
        if not self._waiting:
            return
        if self._team is None:
            if self._answered_here < FIRST and not isinstance(self._waiting[-1], HashPiece):
                self._here.append(self._waiting.pop())
                return
            self._team = self._crew.workers(self._samples)
            if not self._team:
                self._go_on_here()
                return
        self._look_around()
        while self._waiting and self._team and len(self._sent) < AT_ONCE * len(self._team):
            self._send_share(self._team)

    def _go_on_here(self) -> None:
        self._team = {}
        self._here.extend(self._waiting)
        self._waiting.clear()

    def _send_share(self, team: dict[str, Examined]) -> None:
        requests: list[Request] = []
        weight, room = 0, AT_ONCE * len(team) - len(self._sent)
        most = min(MOST_REQUESTS, math.ceil(len(self._waiting) / max(1, room)))
        workers = sorted(team)
        while self._waiting and len(requests) < most and weight < MOST_WEIGHT:
            request = self._waiting.pop()
            inner = request.request if isinstance(request, Timed) else request
            if isinstance(inner, HashPiece):
                if requests:
                    self._waiting.append(request)
                    break
                # What was hashed of the file so far is in one worker's memory.
                number = zlib.crc32(f"{inner.job} {inner.path}".encode("utf-8", "replace"))
                workers = [workers[number % len(workers)]]
                requests.append(request)
                break
            if inner.path in self._links and not self._are_alike(team):
                # Only the numbers of one kernel tell which folders links lead to.
                self._here.append(request)
                continue
            requests.append(request)
            weight += len(inner.names) if isinstance(inner, StatBelow) else 1
            weight += self._weight(inner.path) if isinstance(inner, ListDirectory) else 0
        if requests:
            self._send(requests, workers)

    @staticmethod
    def _are_alike(team: dict[str, Examined]) -> bool:
        return all(examined.is_same_kernel for examined in team.values())

    def _send(self, requests: Sequence[Request], workers: Sequence[str]) -> None:
        self._numbers += 1
        number = self._numbers
        body = pickle.dumps(list(requests), pickle.HIGHEST_PROTOCOL)
        try:
            future = self._client.submit(
                _serve_here, shared_terms(self._crew.terms, self._team or {}), body,
                workers=list(workers), allow_other_workers=False, pure=False,
            )  # fmt: skip
            future.add_done_callback(lambda done: self._queue.put(number))
        except Exception as error:
            raise LostWorkerError(
                f"the cluster takes no work ({error})", is_stalled=False
            ) from error
        pinned = workers[0] if isinstance(requests[0], HashPiece) else None
        self._sent[number] = _Sent(future, requests, time.monotonic(), pinned)

    def _take(self) -> None:
        """Wait for the next share, a while at most."""
        try:
            number = self._queue.get(timeout=POLL)
        except Empty:
            self._look_around()
            return
        sent = self._sent.pop(number, None)
        if sent is None:
            return  # it was given to this machine meanwhile
        self._progressed = time.monotonic()
        try:
            share = self._fetched(sent)
            pairs = _with_requests(sent.requests, share)
        except Exception as error:
            addresses(self._client)  # raises if the scheduler is gone
            log.warning("A share is done again here: %s.", reason_of(error))
            self._here.extend(sent.requests)
            return
        finally:
            sent.future.release()
        if share.refusal:
            self._drop(share.worker, share.refusal)
        self._waiting.extend(share.rest)
        for request, answer in pairs:
            for one in _failures_apart(answer):
                if isinstance(one, Failed):
                    self._here.append(_again(request, one))
                else:
                    self._ready.append(one)
        if not self._team:
            self._go_on_here()

    def _drop(self, worker: str, reason: str) -> None:
        self._crew.drop(worker, reason)
        if self._team:
            self._team.pop(worker, None)

    def _fetched(self, sent: _Sent) -> Any:
        """The answer to a share that is done. It has yet to come here, which takes its time on a
        busy network or machine."""
        while True:
            try:
                return pickle.loads(sent.future.result(timeout=FETCH))  # of our own worker
            except (TimeoutError, UnboundLocalError):
                # The latter comes from Dask's `sync`, where a call joins one that has timed out.
                is_late = time.monotonic() - sent.at >= self._stall_after
                if is_late or self._stopped() or sent.future.status in ("error", "cancelled"):
                    raise
                addresses(self._client)  # raises if the scheduler is gone

    def _look_around(self) -> None:
        """Notice workers that are gone, and shares that do not come back."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY or not self._team:
            return
        self._looked = now
        present = addresses(self._client)
        for gone in self._team.keys() - present:
            log.warning("Worker %s is gone: its share is done again.", gone)
            del self._team[gone]
        overdue = [n for n, sent in self._sent.items() if now - sent.at >= self._stall_after]
        if overdue:
            keys = {self._sent[number].future.key for number in overdue}
            for worker in holders(self._client, keys):
                self._drop(worker, f"a share has not come back for {self._stall_after:.0f} s")
        lost = [
            number
            for number, sent in self._sent.items()
            if sent.worker is not None and sent.worker not in present
        ]
        for number in {*overdue, *lost, *(self._sent if not self._team else ())}:
            sent = self._sent.pop(number)
            sent.future.cancel()
            self._here.extend(sent.requests)
        if not self._team:
            self._go_on_here()

    def _forget_sent(self) -> None:
        for sent in self._sent.values():
            sent.future.cancel()
        self._sent.clear()


def shared_terms(terms: Terms, team: Mapping[str, Examined]) -> Terms:
    """The terms of a share. The workers of one host keep its limit together."""
    hosts = Counter(examined.host for examined in team.values())
    return terms._replace(per_second=terms.per_second / max(hosts.values(), default=1))


def _serve_here(terms: Any, body: bytes) -> bytes:
    """`serve` in a worker of Dask, which knows its own address."""
    from distributed import get_worker

    return serve(terms, body, get_worker().address)


def _with_requests(requests: Sequence[Request], share: Any) -> list[tuple[Request, Answer]]:
    """The answers with their requests, which come in the same order but for the rest. Raises
    ValueError where a worker answers something else."""
    if not isinstance(share, Share):
        raise ValueError(f"a worker answers with {type(share).__name__}")
    left = list(share.rest)
    answered = []
    for request in requests:
        if left and left[0] == request:
            left.pop(0)
        else:
            answered.append(request)
    pairs = list(zip(answered, share.answers, strict=not share.refusal))
    if left or any(_inner(request).path != answer.path for request, answer in pairs):
        raise ValueError(f"the worker {share.worker} answers what was not asked")
    return pairs


def _inner(request: Request) -> Any:
    return request.request if isinstance(request, Timed) else request


def _failures_apart(answer: Answer) -> list[Answer]:
    """`answer`, or of several stats those that failed apart from the others."""
    if isinstance(answer, Took):
        inner = answer.answer
        if isinstance(inner, StatedBelow) and any(isinstance(o, Failed) for o in inner.stated):
            return _failures_apart(inner)
        return [inner] if isinstance(inner, Failed) else [answer]
    if isinstance(answer, StatedBelow):
        failed = [one for one in answer.stated if isinstance(one, Failed)]
        fine = tuple(one for one in answer.stated if not isinstance(one, Failed))
        return [*([answer._replace(stated=fine)] if fine else []), *failed]
    return [answer]


def _again(request: Request, failed: Failed) -> Request:
    """The request that failed, for this machine."""
    inner = request.request if isinstance(request, Timed) else request
    return StatPath(failed.path) if isinstance(inner, StatBelow) else inner


def samples_in(answer: Answer) -> list[Sample]:
    """What an answer shows of its mount."""
    if isinstance(answer, Took):
        return samples_in(answer.answer)
    if isinstance(answer, StatedBelow):
        return [sample for one in answer.stated for sample in samples_in(one)]
    if isinstance(answer, Stated) and answer.stat.is_directory:
        return [Sample(answer.path, True, 0, answer.stat.mtime)]
    if isinstance(answer, Listed):
        from scanner.core.paths import join
        from scanner.core.snapshot import FILE

        files = [row for row in answer.directory.listing.rows() if row.type == FILE]
        own = Sample(answer.path, True, 0, answer.directory.mtime)
        return [own] + [
            Sample(join(answer.path, row.name), False, row.size, row.mtime)
            for row in files[:SAMPLES_OF_A_FOLDER]
        ]
    return []
