"""Changes as people read them: by day, crowds as one line, packs in the words of the log."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from scanner.commands.changes import page
from scanner.commands.changes.select import parse_point
from scanner.core.change_lines import change_lines
from scanner.core.changes import Change
from scanner.core.packs import Pack, PackChange
from scanner.core.serialize import time_text
from scanner.core.times import time_shown
from scanner.errors import SettingsError
from scanner.views.change_entries import change_of, days_of, last_of


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("this system has no tzset")
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line(when: str, kind: str, path: str, **fields: Any) -> dict[str, Any]:
    time_ = f"2026-11-{when}.000000000Z"
    given = {"type": "file", "size": 1000} | fields
    return {"scan": 1, "n": 1, "of": 1, "time": time_, "kind": kind, "path": path, **given}


def shown(lines: list[dict[str, Any]], limit: int = 0, *, folds: bool = True) -> list[str]:
    out = io.StringIO()
    days = days_of(lines, UTC, folds=folds)
    page.print_days(Console(file=out, width=200), days, limit, UTC)
    return out.getvalue().splitlines()


def test_images_of_a_day_are_one_line_with_its_times() -> None:
    images = [line(f"03T{8 + n // 10:02}:00:00", "created", f"output/{n}.png") for n in range(24)]
    assert shown([*images, line("03T12:00:00", "deleted", "loras/a")]) == [
        "Tuesday 2026-11-03 UTC  24 created, 1 deleted",
        "  08:00-10:00  created  24 files, 24.0 kB in output/",
        "  12:00:00     deleted  loras/a (1.0 kB)",
    ]
    assert len(shown(images, folds=False)) == 1 + 24


def test_limit_keeps_the_last_lines_and_the_sums_of_their_days() -> None:
    lines = [line(f"{day:02}T08:00:00", "created", f"d/{day}{n}") for day in (1, 2) for n in "ab"]
    assert shown(lines, 3) == [
        "1 earlier line not shown (-n 0 shows all)",
        "",
        "Sunday 2026-11-01 UTC  2 created",
        "  08:00:00     created  d/1b (1.0 kB)",
        "",
        "Monday 2026-11-02 UTC  2 created",
        "  08:00:00     created  d/2a (1.0 kB)",
        "  08:00:00     created  d/2b (1.0 kB)",
    ]
    days, before = last_of(days_of(lines, UTC), 2)
    assert ([day.date.day for day in days], before) == ([2], 2)


def test_packs_are_told_as_the_log_tells_them() -> None:
    old = Pack("foo", "Foo", "registry", True, "1.2")
    new = old._replace(version="1.3", commit="c" * 40)
    renamed = old._replace(id="foo-bar", enabled=False)
    for change in ((old, new), (None, new), (old, None), (old, renamed)):
        pack = PackChange(*change)
        fields = {"type": "directory", "pack": pack.as_json()}
        told = change_of(line("03T08:00:00", "modified", "custom_nodes/Foo", **fields))
        assert change_lines([told], None) == change_lines(
            [Change("modified", "directory", "custom_nodes/Foo", "r", pack=pack)], None
        )
    update = {"type": "directory", "pack": PackChange(old, new).as_json()}
    assert shown([line("03T08:00:00", "modified", "custom_nodes/Foo", **update)]) == [
        "Tuesday 2026-11-03 UTC  1 pack change",
        "  08:00:00     pack     Foo updated: 1.2 -> 1.3",
    ]


@pytest.mark.usefixtures("in_new_york")
def test_times_and_days_are_local_unless_utc_is_asked_for() -> None:
    text = "2026-11-04T03:00:00.000000000Z"
    assert time_shown(text, None) == "2026-11-03 22:00"
    assert time_shown(text, UTC) == "2026-11-04 03:00"
    (day,) = days_of([line("04T03:00:00", "created", "a")], None)
    assert day.date.day == 3
    since = parse_point("--since", "2026-07-01").time
    assert since is not None
    assert time_text(since) == "2026-07-01T04:00:00.000000000Z"
    assert parse_point("--since", "2026-07-01", UTC).time == since - 4 * 3600 * 10**9


def test_words_name_days(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 4, 12, 30, tzinfo=UTC)
    monkeypatch.setattr(time, "time_ns", lambda: int(now.timestamp()) * 10**9)

    def since(text: str) -> str | None:
        return time_text(parse_point("--since", text, UTC).time or 0)

    assert since("today") == "2026-11-04T00:00:00.000000000Z"
    assert since("Yesterday") == "2026-11-03T00:00:00.000000000Z"
    assert since("1w") == "2026-10-28T12:30:00.000000000Z"
    assert parse_point("--since", "7").scan == 7
    for text in ("tomorrow", "", "2026-13-01"):
        with pytest.raises(SettingsError, match="--since: expected"):
            parse_point("--since", text)
