"""Where links lead to, by their texts in listings. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping

from scanner.core.paths import join
from scanner.core.snapshot import Directory

MOST_LINKS = 40
"""Links on the way to one file that are followed, as Linux does."""


class LinkEnds:
    """Follows links by their texts. What no listing knows is taken for no link."""

    def __init__(self, directories: Mapping[str, Directory]) -> None:
        """`directories` by path. One that is replaced later is not looked at anew."""
        self._directories = directories
        self._texts: dict[str, dict[str, str]] = {}

    def end(self, folder: str, text: str) -> str:
        """The path that a link with `text` in `folder` leads to, all further links followed."""
        found, rest = os.path.splitdrive(folder)[0] + os.sep, _parts(os.path.join(folder, text))
        links = 0
        while rest:
            part = rest.pop()
            if part == os.pardir:
                found = os.path.dirname(found)
                continue
            text = self._text(found, part)
            if not text or links >= MOST_LINKS:
                found = join(found, part)
                continue
            links += 1
            if os.path.isabs(text):
                found = os.path.splitdrive(text)[0] + os.sep
            rest += _parts(text)
        return found

    def _text(self, folder: str, name: str) -> str:
        if folder not in self._texts:
            directory = self._directories.get(folder)
            self._texts[folder] = {} if directory is None else dict(directory.listing.targets)
        return self._texts[folder].get(name, "")


def _parts(path: str) -> list[str]:
    """The names in `path`, last one first."""
    below = os.path.splitdrive(path)[1]
    return [part for part in reversed(below.split(os.sep)) if part not in ("", os.curdir)]
