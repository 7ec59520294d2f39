"""What each category of each root holds, from the layout of an inventory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scanner.core.roots import Root
from scanner.core.serialize import readable
from scanner.output.history_rows import REST, Usage
from scanner.output.inventory_layout import Layout

MOST_ROWS = 200
"""Categories of a day with a row of their own, the largest of all roots."""

NO_PROBLEM = ("unsettled",)
"""Statuses that pass by themselves: such a file is still written."""


def usage_in(layout: Layout, roots: Sequence[Root]) -> list[Usage]:
    """What each category of each root holds, sorted; the smallest of too many together."""
    problems: Counter[tuple[int, str]] = Counter()
    for folder in layout.folders.values():
        if folder.words:
            wrong = sum(count for word, count in folder.words.items() if word not in NO_PROBLEM)
            problems[folder.root, folder.category] += wrong
    rows = [
        Usage(readable(roots[key[0]].id), key[1], count.files, count.bytes, problems[key])
        for key, count in layout.by_category.items()
        if count.files or problems[key]
    ]
    filled = {row.root for row in rows}
    empty = {readable(root.id) for root in roots} - filled
    return sorted([*_bounded(rows), *(Usage(root, "", 0, 0, 0) for root in empty)])


def _bounded(rows: list[Usage]) -> list[Usage]:
    by_size = sorted(rows, key=lambda row: (-row.bytes, row))
    small: dict[str, Usage] = {}
    for row in by_size[MOST_ROWS:]:
        sums = small.get(row.root, Usage(row.root, REST, 0, 0, 0))
        small[row.root] = Usage(
            row.root,
            REST,
            sums.files + row.files,
            sums.bytes + row.bytes,
            sums.problems + row.problems,
        )
    return [*by_size[:MOST_ROWS], *small.values()]
