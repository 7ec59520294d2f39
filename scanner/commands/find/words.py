"""What the arguments of `find` ask for: words in names, paths, and patterns of paths."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from scanner.commands.find.globs import Glob, parse_glob
from scanner.core.serialize import readable
from scanner.core.wording import folded

_WILDCARD = re.compile(r"[*?[]")

_SEPARATORS = r"[\W_]"

_TOKEN = re.compile(r"[^\W_]|(?:[\W_])+")


class Arguments(NamedTuple):
    """The arguments of `find`, parsed. A name must hold all words, and fit one of the patterns."""

    words: tuple[re.Pattern[str], ...]
    globs: tuple[Glob, ...]
    folders: frozenset[str]
    """Folded names of folders that the patterns have in full: what lies there is asked for."""


def parse_arguments(texts: Iterable[str], cwd: str, base: str | None) -> Arguments:
    """Tell words, paths and patterns apart.

    A text with `*`, `?` or `[` is a pattern. One with a slash is a path: of an entry, or of a
    folder above it. `.` and what begins with `..` start at `cwd`. All else are words. Raises
    SettingsError for an empty text.
    """
    words: list[re.Pattern[str]] = []
    globs: list[Glob] = []
    folders: set[str] = set()
    for text in texts:
        if _WILDCARD.search(text):
            globs.append(parse_glob(text, base))
            folders.update(_literals(text, is_whole=False))
        elif _is_path(text):
            path = text
            if text == "." or text.split(os.sep)[0] == "..":
                path = os.path.normpath(os.path.join(cwd, text))
            globs += [parse_glob(path, base), parse_glob(f"{path}/", base)]
            folders.update(_literals(path, is_whole=True))
        else:
            parse_glob(text, base)  # refuses an empty one
            words += [_word(token) for token in folded(readable(text)).split()]
    return Arguments(tuple(words), tuple(globs), frozenset(folders))


def _is_path(text: str) -> bool:
    return "/" in text or os.sep in text or text in (".", "..")


def _literals(text: str, *, is_whole: bool) -> list[str]:
    """The names of folders in a path or pattern. The last name of a path may be of a folder."""
    names = folded(readable(text)).replace(os.sep, "/").split("/")
    names = names if is_whole else names[:-1]
    return [name for name in names if name not in ("", ".") and not _WILDCARD.search(name)]


def _word(token: str) -> re.Pattern[str]:
    """A pattern that a folded name holds: separators between characters do not matter.

    Two digits that have one between them here must have one in the name: 1.0 is not in 10.
    """
    pieces: list[str] = []
    before, is_apart = "", False
    for piece in _TOKEN.findall(token):
        if not piece.isalnum():
            is_apart = True
            continue
        if before:
            is_needed = is_apart and before.isdecimal() and piece.isdecimal()
            pieces.append(f"{_SEPARATORS}{'+' if is_needed else '*'}")
        pieces.append(re.escape(piece))
        before, is_apart = piece, False
    return re.compile("".join(pieces) or re.escape(token))
