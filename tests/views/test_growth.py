"""The history as columns of days."""

from __future__ import annotations

from typing import Any

from scanner.output.history_rows import REST
from scanner.views.growth import MOST_CATEGORIES, NO_CATEGORY, OTHERS, growth_page


def row(day: str, category: str, size: int, root: str = "models:/m") -> dict[str, Any]:
    return {
        "day": day, "root": root, "category": category, "files": 1, "bytes": size, "problems": 0,
    }  # fmt: skip


def cost(day: str, lane: str, seconds: float, every: float | None = 30.0) -> dict[str, Any]:
    return {"day": day, "lane": lane, "scans": 9, "seconds": seconds, "every_seconds": every}


def test_days_are_summed_over_roots_and_categories() -> None:
    page = growth_page(
        [
            row("2026-03-02", "loras", 30),
            row("2026-03-01", "loras", 10),
            row("2026-03-01", "loras", 5, "extra:/e"),
            row("2026-03-01", "", 100),
            row("2026-03-02", "vae", 7),
        ]
    )
    assert page["days"] == ["2026-03-01", "2026-03-02"]
    assert page["bytes"] == [115, 37]
    assert page["files"] == [3, 2]
    assert page["categories"] == [
        {"category": "loras", "bytes": [15, 30]},
        {"category": "vae", "bytes": [0, 7]},
        {"category": NO_CATEGORY, "bytes": [100, 0]},
    ]


def test_small_categories_stand_together() -> None:
    rows = [row("2026-03-01", f"c{number:02}", 1000 - number) for number in range(20)]
    page = growth_page([*rows, row("2026-03-01", REST, 5)])
    names = [each["category"] for each in page["categories"]]
    assert names == [*(f"c{number:02}" for number in range(MOST_CATEGORIES)), OTHERS]
    sizes = [each["bytes"][0] for each in page["categories"]]
    assert sizes[-1] == sum(1000 - number for number in range(MOST_CATEGORIES, 20)) + 5
    assert sum(sizes) == page["bytes"][0]


def test_lanes_have_their_costs_by_day() -> None:
    page = growth_page(
        [
            cost("2026-03-02", "local", 0.2),
            cost("2026-03-01", "local", 0.1, None),
            cost("2026-03-02", "nfs4 /mnt\x1b[31m", 2.0),
        ]
    )
    assert page["lanes"] == [
        {
            "lane": "local",
            "days": ["2026-03-01", "2026-03-02"],
            "seconds": [0.1, 0.2],
            "every_seconds": [None, 30.0],
        },
        {
            "lane": r"nfs4 /mnt\x1b[31m",
            "days": ["2026-03-02"],
            "seconds": [2.0],
            "every_seconds": [30.0],
        },
    ]


def test_nothing_is_known_before_the_first_day() -> None:
    page = growth_page([])
    assert page["days"] == page["categories"] == page["lanes"] == []
