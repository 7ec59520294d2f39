"""Unfinished downloads, recognised by their names and the names next to them. Pure.

Each program that downloads has its own mark for unfinished files. `SUFFIXES` names the programs.
Sources: aria2's manual ("Control File"), `huggingface_hub/file_download.py`, comfy-cli's
`transfer.py`, Lora Manager's `downloader.py`, rsync(1) (`--partial`), lftp(1) (`pget`), and the
settings of the browsers and torrent programs themselves.
wget, curl and ComfyUI-Manager write to the final name without a mark. Only the growth of such a
file shows that it is unfinished (see `diff/growth.py`).
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import compress
from operator import is_not

from scanner.core.paths import join
from scanner.core.snapshot import FILE, FILE_LINK, Directory, Listing

SUFFIXES = {
    ".crdownload": "Chrome, Edge",
    ".part": "Firefox, Lora Manager, comfy-cli",
    ".download": "Safari, Model Manager",
    ".opdownload": "Opera",
    ".smdownload": "StabilityMatrix",
    ".aria2": "aria2",
    ".aria2__temp": "aria2",
    ".lftp-pget-status": "lftp",
    ".baiduyun.p.downloading": "Baidu Netdisk",
    ".baiduyun.downloading": "Baidu Netdisk",
    ".downloading": "Pando, Baidu Netdisk",
    ".xltd": "Xunlei",
    ".xltd.cfg": "Xunlei",
    ".td": "Xunlei",
    ".td.cfg": "Xunlei",
    ".fdmdownload": "Free Download Manager",
    ".dtapart": "DownThemAll",
    ".dctmp": "DC++",
    ".mega": "MEGA",
    ".!ut": "uTorrent",
    ".bc!": "BitComet",
    ".az!": "Vuze",
    ".ob!": "Orbit",
    ".!sync": "Resilio Sync",
    ".incomplete": "huggingface_hub",
    ".!qb": "qBittorrent",
    ".filepart": "WinSCP",
    ".partial": "a partial file",
    ".tmp": "a temporary file",
}
"""Suffixes of unfinished files in lower case, and the programs that use them.

Case does not matter. A suffix is the whole last part of a name, so `x.part1.rar` has none. `~x` is
not a sign, because office programs mark the owner of an open document with it. Of two suffixes that
end alike the longer one stands first.
"""

CONTROL_FILES = (".aria2", ".aria2__temp", ".lftp-pget-status")
"""aria2 and lftp write to the final name at once. They write their progress to a control file next
to it. aria2 uses the second name until its control file is complete."""

HUGGINGFACE = "/.cache/huggingface/download/"

BLOBS = "/blobs/"
"""Folders in which huggingface_hub keeps its `.incomplete` files: below the target folder, or in
the cache. Elsewhere the suffix may mean anything."""

BUNDLE = ".download"
"""Suffix of the folder in which Safari downloads; the file grows in it under its final name."""

_HIDDEN = r"\.[^\0]+\.[0-9a-z]{6}(?=\0)"


@cache
def _suspect() -> re.Pattern[str]:
    """Matches the NUL after a name with a suffix of an unfinished file, or a NUL and a hidden name
    in the form of mkstemp after it, or both. A million names without a match take 0.05 s, and
    0.25 s if the suffixes are searched alone: nearly every name is rejected by its last three
    letters. It takes 1 ms to compile, and an unchanged scan needs it not."""
    last = "".join(
        f"[{''.join(sorted({suffix[at] for suffix in SUFFIXES}))}]" for at in (-3, -2, -1)
    )
    ends = "|".join(rf"(?<={re.escape(suffix)}\0)" for suffix in SUFFIXES)
    return re.compile(
        rf"\0(?:(?P<ends>(?<={last}\0)(?:{ends}))(?:{_HIDDEN})?|{_HIDDEN})", re.IGNORECASE
    )


_MKSTEMP = re.compile(r"\.[^\0]+\.(?=.*[a-z])(?=.*[A-Z])(?![A-Z][a-z]{5}$)[0-9A-Za-z]{6}")
"""A dot, a name, a dot and six random letters or digits: the temporary names of rsync and Chromium.
Many ordinary suffixes have six letters (`.backup`, `.sha256`, `.SQLITE`, `.Backup`); of six random
ones 92 % have no such form."""


def unfinished(listing: Listing, folder: str) -> dict[str, str]:
    """Names of the unfinished downloads in `listing`, each with its sign in words.

    `folder` is the path of the listed folder. Only files and links to files count, because folders
    may have any name.
    """
    suspects = _suspects(listing.names)
    bundle = os.path.basename(folder)
    in_bundle = bundle[: -len(BUNDLE)] if bundle.lower().endswith(BUNDLE) else ""
    if not suspects and not in_bundle:
        return {}
    size_of = _sizes_of_files(listing)
    signs: dict[str, str] = {}
    if size_of(in_bundle) is not None:
        signs[in_bundle] = f"in the folder {bundle} (Safari)"
    for name in suspects:
        suffix = _suffix(name)
        if size_of(name) is None or (suffix == ".incomplete" and not _is_huggingface(folder)):
            continue
        if not suffix:
            if _MKSTEMP.fullmatch(name):
                signs[name] = "hidden, with a random ending (rsync, Chrome)"
            continue
        signs[name] = f"ends with {name[-len(suffix) :]} ({SUFFIXES[suffix]})"
        for final in _finals(name[: -len(suffix)], suffix):
            # A browser reserves the final name with an empty file. A file with content is complete:
            # an older version, which is replaced at the end.
            size = size_of(final)
            if size == 0 or (size is not None and suffix in CONTROL_FILES):
                signs.setdefault(final, f"{name} is next to it")
    return signs


class Signs:
    """The set of paths that are unfinished downloads.

    Each folder is searched once, when it is needed. `directory_of` returns the directory at a path,
    None if it is gone.
    """

    def __init__(self, directory_of: Callable[[str], Directory | None]) -> None:
        self._directory_of = directory_of
        self._folders: dict[str, dict[str, str]] = {}

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, str):
            return False
        folder, name = os.path.split(path)
        if folder not in self._folders:
            directory = self._directory_of(folder)
            self._folders[folder] = unfinished(directory.listing, folder) if directory else {}
        return name in self._folders[folder]


class Downloads:
    """The unfinished downloads of a snapshot, cached between calls.

    Directories of a snapshot are replaced and never modified, so the same object is not searched
    again. For 50,000 unchanged directories this takes 8 ms.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Directory] = {}
        self._found: dict[str, dict[str, str]] = {}

    def look(self, snapshot: Mapping[str, Directory]) -> dict[str, str]:
        """The paths of the unfinished downloads, each with its sign in words."""
        seen = self._seen
        renewed = list(compress(snapshot, map(is_not, snapshot.values(), map(seen.get, snapshot))))
        for folder in renewed:
            directory = snapshot[folder]
            names = unfinished(directory.listing, folder)
            if names:
                self._found[folder] = names
            else:
                self._found.pop(folder, None)
            seen[folder] = directory
        if len(seen) != len(snapshot):
            for folder in seen.keys() - snapshot.keys():
                del seen[folder]
                self._found.pop(folder, None)
        return {
            join(folder, name): sign
            for folder, names in self._found.items()
            for name, sign in names.items()
        }


def _suspects(names: str) -> list[str]:
    """The names among the NUL-joined `names` that may have a sign."""
    text = f"\0{names}\0"
    suspects = []
    for match in _suspect().finditer(text):
        nul = match.start()
        if match["ends"] is not None:
            suspects.append(text[text.rfind("\0", 0, nul) + 1 : nul])
        if match.end() > nul + 1:
            suspects.append(text[nul + 1 : match.end()])
    return suspects


def _sizes_of_files(listing: Listing) -> Callable[[str], int | None]:
    """A function from name to size; None for names that are not a file or a link to one."""
    names = listing.split_names()

    def size_of(name: str) -> int | None:
        index = bisect_left(names, name)
        if index == len(names) or names[index] != name:
            return None
        return listing.sizes[index] if listing.types[index] in (FILE, FILE_LINK) else None

    return size_of


def final_names(name: str) -> tuple[str, ...]:
    """Possible names of the finished file; none without the suffix of an unfinished download."""
    suffix = _suffix(name)
    return tuple(_finals(name[: -len(suffix)], suffix)) if suffix else ()


def _suffix(name: str) -> str:
    """The suffix of an unfinished file in lower case; empty if none, or if it is the whole name."""
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return suffix
    return ""


def _finals(stem: str, suffix: str) -> Iterator[str]:
    """Possible names of the finished file.

    comfy-cli adds random characters after the final name, Firefox before its last suffix.
    """
    yield stem
    parts = stem.rsplit(".", 2)
    if suffix == ".part" and len(parts) > 1:
        yield stem.removesuffix("." + parts[-1])
    if suffix == ".part" and len(parts) > 2:
        yield f"{parts[0]}.{parts[2]}"


def _is_huggingface(folder: str) -> bool:
    path = folder.replace(os.sep, "/").lower() + "/"
    return HUGGINGFACE in path or path.endswith(BLOBS)
