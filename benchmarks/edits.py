"""Changes to a tree, each taken back at the end: every file is then what it was, inode included.

The times of folders are put back as well. The program sees them move twice, which it must: what
is not equal has changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice

OTHER_TEXT = b"other content of another size\n" * 50
HOUR = 3600 * 10**9


def files_below(top: str) -> Iterator[str]:
    """Paths of all files below `top`, always in the same order."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(folder, name)


def every_nth(top: str, step: int) -> list[str]:
    """Every `step`-th file below `top`, from the middle of the first `step` on."""
    return list(islice(files_below(top), step // 2, None, step))


@contextmanager
def _kept_times(folders: Iterable[str]) -> Iterator[None]:
    """Give `folders` their times back at the end."""
    times = {folder: _times(folder) for folder in set(folders)}
    try:
        yield
    finally:
        for folder, found in times.items():
            os.utime(folder, ns=found)


def _times(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_atime_ns, found.st_mtime_ns


@contextmanager
def replaced(paths: Sequence[str], aside: str) -> Iterator[None]:
    """Other files under the names of `paths`, of another size: as programs save, so that the
    folders' times move too. The originals wait in `aside`, on the same disk."""
    with _kept_times(map(os.path.dirname, paths)):
        done: list[tuple[str, str]] = []
        try:
            for number, path in enumerate(paths):
                kept = os.path.join(aside, f"{number}")
                os.rename(path, kept)
                done.append((kept, path))
                with open(path, "wb") as file:
                    file.write(OTHER_TEXT)
            yield
        finally:
            for kept, path in done:
                os.replace(kept, path)


@contextmanager
def moved(source: str, target: str) -> Iterator[None]:
    """A file or folder elsewhere on the same disk."""
    with _kept_times((os.path.dirname(source), os.path.dirname(target))):
        os.rename(source, target)
        try:
            yield
        finally:
            os.rename(target, source)


@contextmanager
def created(path: str) -> Iterator[None]:
    """One file more."""
    with _kept_times([os.path.dirname(path)]):
        with open(path, "xb") as file:
            file.write(OTHER_TEXT)
        try:
            yield
        finally:
            os.unlink(path)


@contextmanager
def rewritten(path: str) -> Iterator[None]:
    """Other content in place, of the same size, with another time: no folder's time tells it."""
    times = _times(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        _rewrite(path, bytes(byte ^ 1 for byte in content), (times[0], times[1] + HOUR))
        yield
    finally:
        _rewrite(path, content, times)


def _rewrite(path: str, content: bytes, times: tuple[int, int]) -> None:
    with open(path, "r+b") as file:
        file.write(content)
    os.utime(path, ns=times)


@contextmanager
def folder_with(models: str, wanted: int) -> Iterator[tuple[str, int]]:
    """A folder with about `wanted` files below it, and how many it holds.

    Where the tree has none within a third of that, neighbours are gathered in a new folder for the
    time being.
    """
    counts = _counts(models)
    best = min(counts, key=lambda path: abs(counts[path] - wanted))
    if best != models and abs(counts[best] - wanted) <= wanted / 3:
        yield best, counts[best]
        return
    parent = min((path for path in counts if counts[path] >= wanted), key=counts.__getitem__)
    with _gathered(parent, _some_of(parent, wanted, counts)) as (folder, files):
        yield folder, files


def _some_of(parent: str, wanted: int, counts: dict[str, int]) -> dict[str, int]:
    """Folders in `parent` that hold `wanted` files together, or little more."""
    chosen: dict[str, int] = {}
    for path in sorted(counts):
        if os.path.dirname(path) == parent and sum(chosen.values()) < wanted:
            chosen[path] = counts[path]
    return chosen


@contextmanager
def _gathered(parent: str, chosen: dict[str, int]) -> Iterator[tuple[str, int]]:
    folder = os.path.join(parent, "gathered")
    with _kept_times([parent]):
        os.mkdir(folder)
        done: list[str] = []
        try:
            for path in chosen:
                os.rename(path, os.path.join(folder, os.path.basename(path)))
                done.append(path)
            yield folder, sum(chosen.values())
        finally:
            for path in done:
                os.rename(os.path.join(folder, os.path.basename(path)), path)
            os.rmdir(folder)


def _counts(top: str) -> dict[str, int]:
    """How many files lie below each folder below `top`, and below itself."""
    counts: dict[str, int] = {}
    for folder, folders, names in os.walk(top, topdown=False):
        below = sum(counts[os.path.join(folder, name)] for name in folders)
        counts[folder] = below + len(names)
    return counts


def free_name(folder: str, name: str) -> str:
    """A path in `folder` that nothing has yet."""
    candidates = (os.path.join(folder, f"{name}_{number}") for number in count())
    return next(path for path in candidates if not os.path.lexists(path))
