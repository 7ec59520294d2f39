"""Choose the files to read whole, and the digests that they have to match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from scanner.core.digests import BLAKE3, XXH3
from scanner.core.paths import is_below, join
from scanner.service.reading import Source, mount_to_read
from scanner.service.real_files import RealFiles, has_no_content
from scanner.settings.values import has_blake3
from scanner.store.metadata import FileMetadata


class HashTask(NamedTuple):
    """A file to read whole, as it was listed. `size` in bytes, `mtime` in nanoseconds."""

    path: str
    size: int
    mtime: int
    algorithms: tuple[str, ...]
    """Digests to take."""
    expected: FileMetadata | None = None
    """The metadata whose digests the content has to match."""
    real: str = ""
    """The path at which it is read, if not at its own."""
    is_link: bool = False
    is_claimed: bool = False
    """True if it was gone and has come back: what was read of it is a claim until it is read."""

    @property
    def read_at(self) -> str:
        """The path at which it is read."""
        return self.real or self.path


def missing_hashes(
    path: str, size: int, mtime: int, algorithms: Sequence[str], cached: FileMetadata | None
) -> HashTask | None:
    """Make a task for those of `algorithms` that are not `cached`; None if none is missing.

    A cached digest is taken again with them: content that has rotted since must not get a new
    digest that says it is sound. A file that is known to be corrupt has no hash worth keeping.
    """
    if cached is None or not cached.is_of(size, mtime):
        return HashTask(path, size, mtime, tuple(algorithms)) if algorithms else None
    missing = tuple(one for one in algorithms if one not in cached.digests)
    if not missing or cached.corrupt:
        return None
    if not cached.digests:
        return HashTask(path, size, mtime, missing)
    check = _cheapest(cached)
    return HashTask(path, size, mtime, (check, *missing), cached._replace(facts=None))


def tasks_to_verify(source: Source, within: Sequence[str], before: int) -> list[HashTask]:
    """Files that are unchanged since they were hashed and were last read before `before`
    (nanoseconds since 1970); those that were not read for longest come first. Of several entries
    that lead to one file there is one."""
    tasks = list(_unchanged(source, within, before))
    paths = RealFiles(source).paths(task.path for task in tasks)
    once: dict[str, HashTask] = {}
    for task in tasks:
        real = paths[task.path]
        if task.path == real:
            once[real] = task
        else:
            once.setdefault(real, task._replace(real=real))
    return sorted(
        once.values(), key=lambda task: (task.expected.read if task.expected else 0, task)
    )


def _unchanged(source: Source, within: Sequence[str], before: int) -> Iterator[HashTask]:
    metadata = source.store.metadata
    for folder in metadata.versions:
        directory = source.store.snapshot.get(folder)
        if (
            directory is None
            or not may_hold(folder, within)
            or mount_to_read(source, folder, ()) is None
        ):
            continue
        known = metadata.of_folder(folder)
        for row in directory.listing.rows():
            cached, path = known.get(row.name), join(folder, row.name)
            if has_no_content(row) or cached is None or not cached.digests:
                continue
            is_due = cached.is_of(row.size, row.mtime) and cached.read < before
            if is_due and is_within(path, within):
                # One of them proves as much as all.
                algorithms = (_cheapest(cached),)
                yield HashTask(path, row.size, row.mtime, algorithms, cached._replace(facts=None))


def _cheapest(cached: FileMetadata) -> str:
    """The digest that costs least to check: xxh3 if it is there, then BLAKE3 if it can be taken."""
    if XXH3 in cached.digests:
        return XXH3
    others = [name for name in cached.digests if name != BLAKE3 or has_blake3()]
    return min(others, default=BLAKE3)


def may_hold(folder: str, within: Sequence[str]) -> bool:
    """True if `folder` may hold files at or below one of the paths `within`; none means all."""
    return not within or any(is_below(folder, top) or is_below(top, folder) for top in within)


def is_within(path: str, within: Sequence[str]) -> bool:
    """True if `path` is at or below one of the paths `within`; none means all."""
    return not within or any(is_below(path, top) for top in within)
