"""Reads YAML written by hand, and repairs common errors with a warning.

ComfyUI reads its files strictly, so each warning says what stops ComfyUI.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yaml import Node

MOST_LINES = 5
"""Most further lines that a warning names."""

_QUOTED = re.compile(r'"([^"]*)"')


class Warnings:
    """Warnings about one file, each with a line number that counts from 1."""

    def __init__(self) -> None:
        self._texts: dict[str, set[tuple[int, str]]] = {}
        """By kind: lines and texts."""

    def add(self, line: int, text: str, kind: str = "") -> None:
        """Add a warning; the same one is kept once. Of one kind only the first is shown whole.

        Warnings without a kind are of the same kind if their texts are equal.
        """
        self._texts.setdefault(kind or text, set()).add((line, text))

    def about(self, path: str) -> list[str]:
        """The warnings about the file at `path` as sentences, one for each kind, sorted by line."""
        kinds = sorted(sorted(texts) for texts in self._texts.values())
        return [
            f"{path}, line {line}: {text}{_likewise([line for line, _ in others])}"
            for (line, text), *others in kinds
        ]


def _likewise(lines: Sequence[int]) -> str:
    """The lines of further warnings of a kind, in words; empty if there are none."""
    lines = sorted(set(lines))
    if not lines:
        return ""
    named = ", ".join(str(line) for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        named += f" and {len(lines) - MOST_LINES:,} more"
    return f" (likewise {'line' if len(lines) == 1 else 'lines'} {named})"


class _NotYamlError(Exception):
    """The YAML parser refused the text because of `problem` at `line`."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


class YamlText:
    """Turns the bytes of one file into YAML trees, and adds a warning for each repair."""

    def __init__(self, warnings: Warnings) -> None:
        self._warnings = warnings

    def trees(self, raw: bytes) -> list[Node | None]:
        """The documents in `raw`; [None] for an empty file, none if it cannot be repaired."""
        return self._documents(self._decoded(raw))

    def _decoded(self, raw: bytes) -> str:
        """The text with Unix line ends."""
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            self._warnings.add(1, "UTF-16, where ComfyUI expects UTF-8")
            text = raw.decode("utf-16", errors="replace")
        else:
            try:
                text = raw.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                line = raw.count(b"\n", 0, error.start) + 1
                self._warnings.add(line, "not UTF-8, which ComfyUI expects; read as Windows-1252")
                text = raw.decode("cp1252", errors="replace")
        return re.sub(r"\r\n?", "\n", text)

    def _documents(self, text: str) -> list[Node | None]:
        """The trees in `text`, repaired if it is not YAML; none if it cannot be repaired."""
        # A Windows path in double quotes may be valid YAML with another meaning: "D:\new" contains
        # a line end. So these are repaired first, everything else only if necessary.
        text = self._with_backslashes_doubled(text, re.compile(r"[A-Za-z]:\\(?!\\)"))
        try:
            return self._composed(text)
        except _NotYamlError:
            text = self._with_backslashes_doubled(text, re.compile(r".*\\"))
            text = self._without_tabs(text)
        try:
            return self._composed(text)
        except _NotYamlError as error:
            self._warnings.add(
                error.line,
                f"expected YAML, but: {error.problem}; no folder is read from this file",
            )
            return []

    def _composed(self, text: str) -> list[Node | None]:
        """The trees in `text`; [None] for an empty one. Raises _NotYamlError."""
        import yaml

        try:
            documents: list[Node | None] = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        except RecursionError:
            raise _NotYamlError(1, "it is nested too deeply") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise _NotYamlError(line, error.reason) from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise _NotYamlError(line, error.problem or "a mistake in syntax") from None
        if len(documents) > 1:
            self._warnings.add(1, "several YAML documents, which stop ComfyUI; all are read")
        return documents or [None]

    def _with_backslashes_doubled(self, text: str, wrong: re.Pattern[str]) -> str:
        """`text` with single backslashes doubled in quoted texts that match `wrong`."""

        def double(quoted: re.Match[str]) -> str:
            if not wrong.match(quoted[1]):
                return quoted[0]
            return re.sub(r"\\\\?", r"\\\\", quoted[0])

        return self._repaired(
            text,
            lambda line: _QUOTED.sub(double, line),
            "backslashes in double quotes, which stop ComfyUI or change the path; "
            "single quotes are right",
        )

    def _without_tabs(self, text: str) -> str:
        def expand(line: str) -> str:
            indent = len(line) - len(line.lstrip())
            return line[:indent].replace("\t", "    ") + line[indent:].replace("\t", " ")

        return self._repaired(text, expand, "a tab, which stops ComfyUI; spaces are right")

    def _repaired(self, text: str, repair: Callable[[str], str], what: str) -> str:
        lines = text.split("\n")
        for index, line in enumerate(lines):
            lines[index] = line if line.lstrip().startswith("#") else repair(line)
            if lines[index] != line:
                self._warnings.add(index + 1, what)
        return "\n".join(lines)
