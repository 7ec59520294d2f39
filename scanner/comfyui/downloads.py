"""Which files are unfinished downloads, told by their names and those beside them. Pure.

Programs that download mark what they have not got whole yet, each in its own way. Their signs are
collected in `research/comfyui.md`, section 7. wget, curl and ComfyUI-Manager write to the final
name and leave no sign: that such a file grows is all that tells (see `growth`).
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
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
    ".incomplete": "huggingface_hub",
    ".!qb": "qBittorrent",
    ".filepart": "WinSCP",
    ".partial": "a partial file",
    ".tmp": "a temporary file",
}
"""How names of unfinished files end, in lower case, and whose they are.

Compared without regard to case. A suffix is the whole last part of a name, so `x.part1.rar` has
none. `~x` is not among the signs: office programs mark the owner of an open document so.
"""

ARIA2 = (".aria2", ".aria2__temp")
"""aria2 writes to the final name at once, and what it has got so far to a file beside it, anew each
time and under the second name until that is whole."""

HUGGINGFACE = "/.cache/huggingface/download/"

BLOBS = "/blobs/"
"""Where huggingface_hub keeps its `.incomplete` files: below the folder that was asked for, or in
the cache. Elsewhere the word may mean anything."""

BUNDLE = ".download"
"""Safari's download is a folder of this suffix; the file grows in it under its final name."""

_LAST_LETTERS = "".join(sorted({suffix[-1] for suffix in SUFFIXES}))

_ENDS = "|".join(rf"(?<={re.escape(suffix)}\0)" for suffix in SUFFIXES)

_HIDDEN = r"\.[^\0]+\.[0-9a-z]{6}(?=\0)"

_SUSPECT = re.compile(
    rf"\0(?:(?P<ends>(?<=[{_LAST_LETTERS}]\0)(?:{_ENDS}))(?:{_HIDDEN})?|{_HIDDEN})", re.IGNORECASE
)
"""The NUL after a name that ends as one of an unfinished file does, or a NUL and the hidden name of
mkstemp's form after it, or both. A million names without one take 0.05 s so, and 0.25 s where the
suffixes are looked for by themselves: nearly every name is done with at its last letter."""

_MKSTEMP = re.compile(r"\.[^\0]+\.(?=.*[a-z])(?=.*[A-Z])(?![A-Z][a-z]{5}$)[0-9A-Za-z]{6}")
"""A dot, a name, a dot and six random letters or digits, as rsync and Chromium name what they write
to. Six letters are many an ordinary ending (`.backup`, `.sha256`, `.SQLITE`, `.Backup`); of six
random ones 92 % are of no such form."""


def unfinished(listing: Listing, folder: str) -> dict[str, str]:
    """Names of the files in `listing` that are unfinished downloads, each with its sign in words.

    `folder` is the path of the folder that lists them. Only files and links to files are meant:
    folders may be called what they like.
    """
    suspects = _suspects(listing.names)
    bundle = os.path.basename(folder)
    in_bundle = bundle[: -len(BUNDLE)] if bundle.lower().endswith(BUNDLE) else ""
    if not suspects and not in_bundle:
        return {}
    size_of = _sizes_of_files(listing)
    found: dict[str, str] = {}
    if size_of(in_bundle) is not None:
        found[in_bundle] = f"in the folder {bundle} (Safari)"
    for name in suspects:
        suffix = _suffix(name)
        if size_of(name) is None or (suffix == ".incomplete" and not _is_huggingface(folder)):
            continue
        if not suffix:
            if _MKSTEMP.fullmatch(name):
                found[name] = "hidden, with a random ending (rsync, Chrome)"
            continue
        found[name] = f"ends with {name[-len(suffix) :]} ({SUFFIXES[suffix]})"
        for final in _finals(name[: -len(suffix)], suffix):
            # A browser reserves the final name by an empty file. One with content is whole: an
            # older version, which is replaced at the end.
            size = size_of(final)
            if size == 0 or (size is not None and suffix in ARIA2):
                found.setdefault(final, f"{name} is beside it")
    return found


class Signs:
    """Which paths are unfinished downloads. Each folder is looked through once, when it is asked
    for: `directory_of` gives what is known of it, None where it is gone."""

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
    """The unfinished downloads of a snapshot, kept from one look at it to the next.

    Directories of a snapshot are never changed, only replaced: one that is the same object as
    before is not looked through again. For 50,000 that are all the same this takes 8 ms.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Directory] = {}
        self._found: dict[str, dict[str, str]] = {}

    def look(self, snapshot: Mapping[str, Directory]) -> dict[str, str]:
        """Their paths, each with its sign in words."""
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
    """Those of the NUL-joined `names` that may have a sign."""
    text = f"\0{names}\0"
    found = []
    for match in _SUSPECT.finditer(text):
        nul = match.start()
        if match["ends"] is not None:
            found.append(text[text.rfind("\0", 0, nul) + 1 : nul])
        if match.end() > nul + 1:
            found.append(text[nul + 1 : match.end()])
    return found


def _sizes_of_files(listing: Listing) -> Callable[[str], int | None]:
    """Sizes by name; None for what is not listed, or is no file and no link to one."""
    names = listing.split_names()

    def size_of(name: str) -> int | None:
        index = bisect_left(names, name)
        if index == len(names) or names[index] != name:
            return None
        return listing.sizes[index] if listing.types[index] in (FILE, FILE_LINK) else None

    return size_of


def final_names(name: str) -> tuple[str, ...]:
    """What a file of this name is called once it is whole; nothing where it has no suffix of an
    unfinished download."""
    suffix = _suffix(name)
    return tuple(_finals(name[: -len(suffix)], suffix)) if suffix else ()


def _suffix(name: str) -> str:
    """The suffix of an unfinished file, in lower case; empty where it is none, or all of the
    name."""
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return suffix
    return ""


def _finals(stem: str, suffix: str) -> Iterator[str]:
    """What a file may be called once it is whole. comfy-cli puts something random behind the final
    name, Firefox before its last suffix."""
    yield stem
    parts = stem.rsplit(".", 2)
    if suffix == ".part" and len(parts) > 1:
        yield stem.removesuffix("." + parts[-1])
    if suffix == ".part" and len(parts) > 2:
        yield f"{parts[0]}.{parts[2]}"


def _is_huggingface(folder: str) -> bool:
    path = folder.replace(os.sep, "/").lower() + "/"
    return HUGGINGFACE in path or path.endswith(BLOBS)
