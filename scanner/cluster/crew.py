"""The workers of a cluster that see one mount as this machine does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from scanner.cluster.serving import boot_id, examine
from scanner.cluster.terms import Examined, Sample, Terms
from scanner.workers.lost import LostWorkerError

log = logging.getLogger(__name__)

LEASE = 60.0
"""Seconds for which the answer of a worker counts. Each share looks at the mount again."""

PATIENCE = 30.0
"""Seconds for workers to look at their mount."""


class Crew:
    """Knows which workers take part in the work on one mount, and why others do not."""

    def __init__(
        self,
        client: Any,
        terms: Terms,
        look: Callable[[Sequence[Sample]], Sequence[Sample]],
    ) -> None:
        """`look` looks at samples from here, now."""
        self.terms = terms
        self._client = client
        self._look = look
        self._lock = threading.Lock()
        self._accepted: dict[str, Examined] = {}
        self._until: dict[str, float] = {}
        self._refusals: dict[str, str] = {}

    def workers(self, samples: Sequence[Sample]) -> dict[str, Examined]:
        """The workers that take part, by address. New ones, and those whose lease is over, are
        examined with `samples`. Raises LostWorkerError if the scheduler is gone."""
        known = addresses(self._client)
        now = time.monotonic()
        with self._lock:
            for gone in self._accepted.keys() - known:
                del self._accepted[gone]
            due = sorted(a for a in known if self._until.get(a, 0.0) <= now)
            if due:
                self._examine(due, samples)
            return dict(self._accepted)

    def drop(self, worker: str, reason: str) -> None:
        """Leave out a worker until its lease is over."""
        with self._lock:
            self._accepted.pop(worker, None)
            self._tell(worker, reason)

    def _examine(self, due: Sequence[str], samples: Sequence[Sample]) -> None:
        asked = {
            self._client.submit(
                examine, self.terms, list(samples), boot_id(), worker,
                workers=[worker], allow_other_workers=False, pure=False,
            ): worker
            for worker in due
        }  # fmt: skip
        ends = time.monotonic() + PATIENCE
        for future, worker in asked.items():
            self._until[worker] = time.monotonic() + LEASE
            self._accepted.pop(worker, None)
            try:
                answer: Examined = future.result(timeout=max(0.1, ends - time.monotonic()))
            except Exception as error:
                # A worker without this program, one that hangs, one that has just gone.
                self._tell(worker, reason_of(error))
                continue
            finally:
                future.release()
            refusal = answer.refusal or self._difference(answer.differing)
            if refusal:
                self._tell(worker, refusal)
            else:
                self._accepted[worker] = answer
                self._refusals.pop(worker, None)

    def _difference(self, differing: Sequence[Sample]) -> str:
        """Why a worker sees another storage; empty where this machine now sees the same."""
        if not differing:
            return ""
        here = {sample.path: sample for sample in self._look(differing)}
        for seen in differing:
            if here.get(seen.path) != seen:
                what = "does not see" if seen.size < 0 else "sees another"
                return f"it {what} {seen.path}, so that its storage is not this one"
        return ""

    def _tell(self, worker: str, reason: str) -> None:
        if self._refusals.get(worker) != reason:
            self._refusals[worker] = reason
            log.warning("Worker %s takes no part in %s: %s.", worker, self.terms.point, reason)


def reason_of(error: Exception) -> str:
    """Why a worker or the scheduler did not do what was asked, in a line."""
    if isinstance(error, ModuleNotFoundError):
        return f"it has no comfy-inventory of this version ({error})"
    if isinstance(error, UnboundLocalError):  # of Dask's `sync`, if what it waits for is cancelled
        return "its answer was cancelled"
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__


def addresses(client: Any) -> set[str]:
    """The workers that the scheduler knows now. Raises LostWorkerError if it is gone."""
    return set(_asked(client, client.scheduler.identity)["workers"])


def _asked(client: Any, call: Callable[..., Any], **arguments: Any) -> Any:
    if client.status != "running":
        raise LostWorkerError("the scheduler of the cluster is gone", is_stalled=False)
    try:
        return client.sync(call, **arguments, callback_timeout=PATIENCE)
    except Exception as error:
        raise LostWorkerError(
            f"the scheduler of the cluster does not answer ({reason_of(error)})", is_stalled=False
        ) from error


def holders(client: Any, keys: Collection[str]) -> list[str]:
    """The workers that have one of these shares. Raises LostWorkerError if the scheduler is
    gone."""
    by_worker = _asked(client, client.scheduler.processing, workers=None)
    return [worker for worker, held in by_worker.items() if set(keys).intersection(held)]
