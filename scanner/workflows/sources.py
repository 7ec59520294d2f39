"""Where a missing model comes from, as the workflow says. Nothing here downloads. Pure."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from scanner.workflows.matching import category_of_need
from scanner.workflows.uses import Hint, Need

_PART = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]+")


_PLAIN = re.compile(r"[\w./:=-]+", re.ASCII)

_FOR_WINDOWS = re.compile(r"[\"$`\u2018-\u201f]")
"""What cmd or PowerShell read within double quotes; PowerShell takes typographic ones too."""


class Source(NamedTuple):
    """What the author wrote down about a model."""

    url: str | None = None
    directory: str | None = None
    sha256: str | None = None


def source_of(need: Need) -> Source:
    """The hint of a need that says most. One for the category that the node reads comes first."""
    category = category_of_need(need)

    def rank(hint: Hint) -> tuple[bool, bool]:
        return hint.directory == category, hint.url is not None

    best = max(need.hints, key=rank, default=None)
    if best is None:
        return Source()
    digits = best.sha256 or next((hint.sha256 for hint in need.hints if hint.sha256), None)
    return Source(best.url, best.directory, digits)


def download_words(need: Need) -> list[str] | None:
    """The command of comfy-cli that fetches a model to where its node looks. None if its address
    or its folder is not known, or they are no plain ones: a workflow is a stranger's text."""
    source = source_of(need)
    url = source.url or ""
    if not re.fullmatch(r"https?://[^\s\x00-\x1f\x7f]+", url):
        return None
    *folders, name = need.name.replace("\\", "/").split("/")
    parts = [*(category_of_need(need) or source.directory or "").split("/"), *folders]
    if not all(_PART.fullmatch(part) and part.strip(".") for part in (*parts, name)):
        return None
    words = ["comfy", "model", "download", "--url", url]
    words += ["--relative-path", "/".join(("models", *parts))]
    if url.partition("?")[0].rpartition("/")[2] != name:
        words += ["--filename", name]
    return words


def command_line(words: list[str], *, is_windows: bool) -> str | None:
    """`words` quoted for a shell. None if a Windows shell would take a part of them for code."""
    if not is_windows:
        return shlex.join(words)
    if any(_FOR_WINDOWS.search(word) for word in words):
        return None
    return " ".join(word if _PLAIN.fullmatch(word) else f'"{word}"' for word in words)
