"""What runs in a worker of the cluster: it examines its mount, and answers shares of requests."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

from scanner import __version__
from scanner.cluster.path_map import VARIABLE, PathMap, WrongMapError, answer_for, map_from
from scanner.cluster.terms import Examined, Sample, Share, Terms
from scanner.core.mount_identity import MountIdentity
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount, mount_of, read_mounts
from scanner.workers.requests import (
    Answer,
    Listed,
    Request,
    Stated,
    StatedBelow,
    Took,
    calls_of,
)
from scanner.workers.worker import perform

SHARE_SECONDS = 2.0
"""Seconds after which a worker begins no further request of its share and gives back the rest."""

_BOOT = "/proc/sys/kernel/random/boot_id"


class _Accepted(NamedTuple):
    """A mount as it was when its terms were accepted."""

    identity: MountIdentity
    device: int


_ACCEPTED: dict[tuple[str, MountIdentity], _Accepted] = {}


class _Pace:
    """Lets requests through at a rate, whatever the number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, per_second: float, calls: int) -> None:
        if not per_second:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + calls / per_second
        time.sleep(turn - now)


_PACE = _Pace()


def boot_id() -> str:
    """Tells kernels apart; empty where it is not known."""
    try:
        with open(_BOOT, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def examine(terms: Terms, samples: Sequence[Sample], boot: str, address: str) -> Examined:
    """Say whether this worker sees the storage that `terms` mean.

    Its mount must have the identity of the coordinator's, but where a path map leads elsewhere:
    there the storage may be a disk of this worker. In both cases the samples must look the same.
    """
    host = socket.gethostname()
    refused = partial(Examined, address, host)
    if terms.version != __version__:
        return refused(f"it has version {__version__}, and here is {terms.version}")
    try:
        paths = _path_map()
    except WrongMapError as error:
        return refused(str(error))
    if paths.divides(terms.point):
        return refused(f"{VARIABLE} leads a part of {terms.point} elsewhere")
    mount = _mount(paths, terms)
    if mount is None:
        return refused(f"nothing is mounted for {terms.point}")
    if not paths.is_mapped(terms.point) and not mount.identity.is_same(terms.identity):
        return refused(
            f"another file system is at {terms.point}: {mount.type} {mount.shown_source}"
        )
    files = _files(terms.by_lookup)
    differing = [seen for sample in samples if (seen := _seen(files, paths, sample)) != sample]
    try:
        device = files.stat(paths.there(terms.point)).device
    except OSError as error:
        return refused(f"{terms.point} does not answer: {error.strerror}")
    _ACCEPTED[terms.point, terms.identity] = _Accepted(mount.identity, device)
    is_same = bool(boot) and boot == boot_id() and device == terms.device
    return Examined(address, host, "", tuple(differing), is_same)


def serve(terms: Terms, body: bytes, address: str) -> bytes:
    """Answer the pickled requests in `body`; the pickled Share.

    The mount is looked at before and after: what was read while another one was there is dropped,
    and the requests are given back.
    """
    requests: list[Request] = pickle.loads(body)  # of our own coordinator
    share = _serve(terms, requests, address)
    return pickle.dumps(share, pickle.HIGHEST_PROTOCOL)


def _serve(terms: Terms, requests: list[Request], address: str) -> Share:
    def refuse(reason: str) -> Share:
        return Share(address, (), requests, reason)

    accepted = _ACCEPTED.get((terms.point, terms.identity))
    if accepted is None:
        return refuse("it was started anew")
    paths = _path_map()
    if (reason := _gone(paths, terms, accepted)) is not None:
        return refuse(reason)
    ends = time.monotonic() + SHARE_SECONDS
    work = partial(_one, _files(terms.by_lookup), paths, terms, accepted.device, ends)
    done = list(_pool(terms.threads).map(work, requests))
    if (reason := _gone(paths, terms, accepted)) is not None:
        return refuse(reason)
    answers = [answer for answer in done if answer is not None]
    rest = [request for request, answer in zip(requests, done, strict=True) if answer is None]
    return Share(address, answers, rest)


def _one(
    files: DiskFileSystem, paths: PathMap, terms: Terms, device: int, ends: float, request: Request
) -> Answer | None:
    """The answer to a request; None where there is no time left for it."""
    if time.monotonic() > ends:
        return None
    _PACE.wait(terms.per_second, calls_of(request))
    answer = answer_for(request, perform(files, paths.request(request)))
    return _with_device(answer, device, terms.device)


def _with_device(answer: Answer, mine: int, theirs: int) -> Answer:
    """`answer` with the coordinator's number for the mount in place of this worker's.

    Another kernel has other inode numbers as well, so that a folder gets none: who needs one
    looks at the folder.
    """
    if mine == theirs:
        return answer
    if isinstance(answer, Took):
        return answer._replace(answer=_with_device(answer.answer, mine, theirs))
    if isinstance(answer, Listed) and answer.directory.device == mine:
        return answer._replace(directory=replace(answer.directory, device=theirs, inode=0))
    if isinstance(answer, Stated) and answer.stat.device == mine:
        return answer._replace(stat=answer.stat._replace(device=theirs))
    if isinstance(answer, StatedBelow):
        stated = tuple(_with_device(one, mine, theirs) for one in answer.stated)
        return answer._replace(stated=stated)  # type: ignore[arg-type]
    return answer


def _gone(paths: PathMap, terms: Terms, accepted: _Accepted) -> str | None:
    """Why the mount is not the accepted one any more; None if it is."""
    mount = _mount(paths, terms)
    if mount is None or not mount.identity.is_same(accepted.identity):
        found = "nothing" if mount is None else f"{mount.type} {mount.shown_source}"
        return f"its mount for {terms.point} is gone; there is {found}"
    return None


def _mount(paths: PathMap, terms: Terms) -> Mount | None:
    """What is mounted where the storage should be: at that very point, unless a map leads into
    another mount."""
    there = paths.there(terms.point)
    found = mount_of(os.path.realpath(there), read_mounts())
    if not paths.is_mapped(terms.point) and found.point != there:
        return None
    return found if os.path.isdir(there) else None


def _seen(files: DiskFileSystem, paths: PathMap, sample: Sample) -> Sample:
    """`sample` as this worker sees it; with a size of -1 where it sees nothing."""
    try:
        stat = files.stat(paths.there(sample.path))
    except OSError:
        return sample._replace(size=-1, mtime=0)
    size = 0 if stat.is_directory else stat.size
    return Sample(sample.path, stat.is_directory, size, stat.mtime)


@cache
def _files(by_lookup: bool) -> DiskFileSystem:
    return DiskFileSystem(by_lookup=by_lookup)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="share")


def _path_map() -> PathMap:
    return map_from(os.environ.get(VARIABLE, ""))
