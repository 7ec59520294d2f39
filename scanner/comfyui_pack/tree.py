"""The folders of models in an inventory, with the names in them. Pure."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

from .parts.core.serialize import native, raw_text

_EXCLUDED = ".git"
"""ComfyUI does not search folders of this name, at any depth."""


class Tree:
    """Folders by absolute path as this system writes it."""

    def __init__(self, entries: Iterable[Mapping[str, Any]], base: str | None) -> None:
        """`entries`: those with a category. Raises KeyError or ValueError where one is damaged."""
        self._names: dict[str, list[str]] = {}
        self._mtimes: dict[str, float] = {}
        self.not_entered: list[str] = []
        """Links to folders that were not followed, as those in a circle."""
        for entry in entries:
            if "category" not in entry:
                continue
            path = native(entry, base)
            folder, name = os.path.split(path)
            if not _is_folder(entry):
                self._names.setdefault(folder, []).append(name)
                continue
            self._names.setdefault(path, [])
            if entry["type"] == "directory":
                self._mtimes[path] = _seconds(entry)
            elif "total_size" not in entry:
                self.not_entered.append(path)
        self._folders = sorted(self._names)

    def _below(self, path: str) -> list[str]:
        start = path.rstrip(os.sep) + os.sep
        end = start[:-1] + chr(ord(os.sep) + 1)
        return self._folders[bisect_left(self._folders, start) : bisect_left(self._folders, end)]

    def files(self, top: str) -> tuple[list[str], dict[str, float]]:
        """What ComfyUI's `recursive_search` gives for the folder `top`: the files below it,
        relative to it, and the times of its folders as far as they are known."""
        skip = len(top.rstrip(os.sep)) + 1
        found = list(self._names.get(top, ()))
        times = {top: self._mtimes[top]} if top in self._mtimes else {}
        for folder in self._below(top):
            below = folder[skip:]
            if _EXCLUDED in below.split(os.sep):
                continue
            found.extend(f"{below}{os.sep}{name}" for name in self._names[folder])
            if folder in self._mtimes:
                times[folder] = self._mtimes[folder]
        return found, times


def _is_folder(entry: Mapping[str, Any]) -> bool:
    return entry["type"] == "directory" or entry.get("leads_to") == "directory"


def _seconds(entry: Mapping[str, Any]) -> float:
    """The mtime of an entry as `os.path.getmtime` gives it; 0 where it is not known."""
    if "mtime_ns" in entry:
        ns = int(raw_text(entry, "mtime_ns"))
    elif "mtime" in entry:
        ns = nanoseconds(entry["mtime"])
    else:
        return 0.0
    return ns // 10**9 + 1e-9 * (ns % 10**9)


def nanoseconds(text: str) -> int:
    """The time that a text as 2026-01-31T12:00:00.000000000Z names, since 1970. ValueError."""
    from datetime import datetime

    whole, _, rest = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(f"{whole}+00:00")
    return int(moment.timestamp()) * 10**9 + int((rest + "0" * 9)[:9] or 0)
