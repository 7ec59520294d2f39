"""The rows of the history that a user asks for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scanner.console.filters import CategoryFilter, RootFilter
from scanner.core.days import day_of, is_day
from scanner.errors import SettingsError
from scanner.settings.values import parse_duration

A_DAY = 86_400


def parse_day(option: str, text: str | None) -> str:
    """The day of UTC that a value of `--since` or `--until` names; empty without one.

    Raises SettingsError."""
    if text is None:
        return ""
    word = text.strip().lower()
    ago = {"today": 0, "yesterday": A_DAY}.get(word)
    if is_day(word):
        return word
    try:
        seconds = parse_duration(text) if ago is None else ago
    except ValueError:
        raise SettingsError(
            f"{option}: expected a duration such as 30d or 1w, today, yesterday or a date such as "
            f"2026-11-01, not {text!r}."
        ) from None
    # Before the first day there is nothing: an age that reaches there means all of it.
    return day_of(max(0, time.time_ns() - int(seconds * 1e9)))


class Wanted:
    """Roots and categories, by the options `--root` and `--category`.

    Raises SettingsError for a root that no row is of.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        roots: Sequence[str],
        categories: Sequence[str],
        cwd: str,
    ) -> None:
        self._roots, self._categories = RootFilter(roots, cwd), CategoryFilter(categories)
        self.is_all = not roots and not categories
        """True if neither is named."""
        if roots:
            self._roots.ids({row["root"]: None for row in rows if "root" in row})

    def has(self, root: str, category: str) -> bool:
        """True for one of them."""
        return self._roots.selects(root) and self._categories.selects(category)
