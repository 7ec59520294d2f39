"""Racy until settled: things seen too soon after their last change to be trusted (rule 4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet


class Racy:
    """Paths that changed, each with the start of the scan that saw it. Seconds, monotonic clock.

    A path is racy until the first scan that starts at least the settle time of its mount later, and
    sees no further change.
    """

    def __init__(self) -> None:
        self._changed: dict[str, float] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._changed

    @property
    def paths(self) -> AbstractSet[str]:
        """All that are racy: a view, which follows every change."""
        return self._changed.keys()

    def changed(self, paths: Iterable[str], started: float) -> None:
        """Note that the scan which started at `started` saw `paths` change."""
        self._changed.update(dict.fromkeys(paths, started))

    def settle(self, path: str, started: float, settle: float) -> bool:
        """Note that the scan which started at `started` looked at `path`, and saw no change.

        True if the path is at rest.
        """
        since = self._changed.get(path)
        if since is None:
            return True
        if started - since < settle:
            return False
        del self._changed[path]
        return True

    def forget(self, path: str) -> None:
        """Note that `path` is gone."""
        self._changed.pop(path, None)

    def keep_only(self, paths: Collection[str]) -> None:
        """Forget all but `paths`."""
        for path in self._changed.keys() - set(paths):
            del self._changed[path]
