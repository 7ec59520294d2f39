"""Stats of many folders below one, each relative to the folder that holds it.

The stat of a path is a question to the server for each part of it wherever the client's caches are
off or have run out. Relative to a descriptor of its parent it is one. A descriptor keeps its mount
from being unmounted, also one that is only a path (O_PATH; it was measured on sshfs), so none is
held longer than it takes to answer one request.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

HAS_DESCRIPTORS = hasattr(os, "O_PATH") and os.stat in os.supports_dir_fd
"""True where a folder can be held without being opened on the server: on Linux."""

MOST_OPEN = 8
"""Descriptors of one request: all threads of a process share its limit, often 1,024. Folders that
lie deeper than this below the first one are looked up from the last one held."""

StatAt = Callable[[str, int], os.stat_result]
"""Stats a name in a folder, or the folder itself if the name is empty."""


def stats_below(
    top: str, names: Sequence[str], stat_at: StatAt
) -> Iterator[os.stat_result | OSError]:
    """The stats of the folders `names`, links followed, or the errors in their place.

    `names` are relative to `top`. A folder of them that holds others of them comes before these,
    and all that it holds comes next.
    """
    with _Stack() as held:
        for name, following in zip(names, (*names[1:], ""), strict=True):
            try:
                if not held.descriptors:
                    held.push("", os.open(top, _FLAGS))
                held.leave_to(name)
                within, descriptor = held.descriptors[-1]
                rest = name[len(within) + 1 :] if within else name
                if following.startswith(name + os.sep) and len(held.descriptors) < MOST_OPEN:
                    held.push(name, os.open(rest, _FLAGS, dir_fd=descriptor))
                    yield stat_at("", held.descriptors[-1][1])
                else:
                    yield stat_at(rest, descriptor)
            except OSError as error:
                yield error


class _Stack:
    """The descriptors of the folders from the first one down, each with its relative path."""

    def __init__(self) -> None:
        self.descriptors: list[tuple[str, int]] = []

    def __enter__(self) -> _Stack:
        return self

    def __exit__(self, *error: object) -> None:
        while self.descriptors:
            self._pop()

    def push(self, name: str, descriptor: int) -> None:
        self.descriptors.append((name, descriptor))

    def leave_to(self, name: str) -> None:
        """Close what does not lead to `name`."""
        while (within := self.descriptors[-1][0]) and not name.startswith(within + os.sep):
            self._pop()

    def _pop(self) -> None:
        os.close(self.descriptors.pop()[1])


_FLAGS = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
