"""The options `--root` and `--category`, which select the same in every command that has them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence

from scanner.core.roots import FOLDER_CATEGORIES
from scanner.core.serialize import printable, readable
from scanner.core.wording import folded
from scanner.errors import SettingsError


class RootFilter:
    """Selects roots by kind, path or id. A relative path starts at `cwd`, or at `base`, as the
    inventory shows it. Without any text all roots are selected."""

    def __init__(self, texts: Sequence[str], cwd: str, base: str | None = None) -> None:
        folders = [cwd] if base is None else [cwd, base]
        self._paths = {
            text: {readable(os.path.normpath(os.path.join(folder, text))) for folder in folders}
            for text in texts
        }
        self._selected: dict[str, bool] = {}

    def selects(self, root_id: str) -> bool:
        """True if the root with this id, as files and messages show it, is selected."""
        if root_id not in self._selected:
            self._selected[root_id] = not self._paths or any(
                self._names(text, root_id) for text in self._paths
            )
        return self._selected[root_id]

    def ids(self, root_ids: Iterable[str]) -> frozenset[str]:
        """The selected ones of `root_ids`.

        Raises SettingsError for a text that names none of them: an empty answer would be taken for
        good news.
        """
        root_ids = list(root_ids)
        for text in self._paths:
            if not any(self._names(text, root_id) for root_id in root_ids):
                there = ", ".join(map(printable, root_ids)) or "none yet"
                raise SettingsError(
                    f"--root: expected the kind, path or id of a root ({there}), not {text!r}."
                )
        return frozenset(filter(self.selects, root_ids))

    def _names(self, text: str, root_id: str) -> bool:
        kind, _, path = root_id.partition(":")
        return readable(text).rstrip("/") in (root_id, kind) or path in self._paths[text]


class CategoryFilter:
    """Selects categories by name or pattern. Capitals do not matter, and an old name stands for
    today's, as in ComfyUI. Without any text all files are selected, with a category or not.

    Raises SettingsError for an empty text.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._patterns = [pattern for text in texts for pattern in _category_patterns(text)]
        self._selected: dict[str, bool] = {}

    def selects(self, category: str) -> bool:
        """True if files of this category, empty for none, are selected."""
        if category not in self._selected:
            name = folded(category)
            self._selected[category] = not self._patterns or (
                bool(name) and any(pattern.match(name) for pattern in self._patterns)
            )
        return self._selected[category]


def _category_patterns(text: str) -> list[re.Pattern[str]]:
    """Patterns of today's name and of `text`: a file can name a category as ComfyUI names a folder
    (t2i_adapter)."""
    if not text.strip():
        raise SettingsError(
            f"--category: expected a category such as loras or *_models, not {text!r}."
        )
    name = folded(readable(text))
    return [pattern_of(form) for form in (FOLDER_CATEGORIES.get(name, name), name)]


def pattern_of(text: str) -> re.Pattern[str]:
    """A pattern with `*`, `?` and `[...]` that matches folded texts as a whole."""
    return re.compile(fnmatch.translate(folded(text)))
