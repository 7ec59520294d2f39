"""`comfy-inventory history`: growth by category and by day, as a table and as JSON."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.commands.history.select import parse_day
from scanner.core.days import day_of
from scanner.errors import SettingsError
from scanner.output.history_rows import REST, Cost, Day, Usage, lines_of
from scanner.output.inventory_reader import read_header
from tests.support.installation import LORAS, parsed
from tests.support.machine import Machine, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")

MODELS, INPUT = "models:/m", "input:/i"

DAYS = {
    "2026-01-01": Day([Usage(MODELS, "loras", 1, 1_000_000, 0)], [Cost("local", 2, 0.5, 30.0)]),
    "2026-01-05": Day(
        [Usage(INPUT, "", 1, 4_000_000, 0), Usage(MODELS, "loras", 3, 3_000_000, 2)],
        [Cost("local", 9, 0.7, 30.0)],
    ),
    "2026-01-09": Day(
        [
            Usage(INPUT, "", 1, 500_000, 0),
            Usage(MODELS, REST, 9, 900, 0),
            Usage(MODELS, "loras\x1b[31m\n", 1, 7, 0),
        ],
    ),
}


@pytest.fixture
def years(tmp_path: Path) -> Machine:
    """A history of three days, and nothing else."""
    machine = Machine(tmp_path)
    text = b"".join(lines_of(day, rows) for day, rows in DAYS.items())
    machine.history.write_bytes(text + b'{"day":"2026-01-10","root":"torn')
    return machine


def data(machine: Machine, *arguments: str) -> Any:
    return parsed(machine.run("history", "--json", *arguments))


def grown(machine: Machine, *arguments: str) -> list[tuple[str, int]]:
    found = data(machine, *arguments)["categories"]
    return [(each["category"], each["grown_bytes"]) for each in found]


def test_growth_of_each_category_stands_in_the_order_of_growth(years: Machine) -> None:
    assert grown(years) == [
        ("", 500_000),
        (REST, 900),
        ("loras\x1b[31m\n", 7),
        ("loras", -1_000_000),
    ]
    assert grown(years, "--until", "2026-01-05") == [("", 4_000_000), ("loras", 2_000_000)]
    assert grown(years, "--since", "2026-01-06", "--root", "input") == [("", -3_500_000)]
    assert grown(years, "--category", "loras") == [("loras", -1_000_000)]
    assert grown(years, "-n", "1") == [("", 500_000)]


def test_days_begin_where_they_are_asked_to(years: Machine) -> None:
    found = data(years, "--since", "2026-01-05")
    assert found["start"] == {
        "day": "2026-01-01",
        "files": 1,
        "bytes": 1_000_000,
        "problems": 0,
    }
    assert [(day["day"], day["files"], day["problems"]) for day in found["days"]] == [
        ("2026-01-05", 4, 2),
        ("2026-01-09", 11, 0),
    ]
    assert [cost["scans"] for cost in found["costs"]] == [9]
    assert [cost["scans"] for cost in data(years)["costs"]] == [2, 9]
    assert data(years, "--root", "models")["costs"] == []


def test_tables_show_bars_and_no_control_characters(years: Machine) -> None:
    rows = years.run("history").stdout.splitlines()
    assert rows[0].split() == ["now", "grown", "files", "problems", "category", "root"]
    assert rows[1].split() == ["500.0", "kB", "+500.0", "kB", "1", "0", "+" * 10, "(none)", INPUT]
    assert rows[4].split()[:4] == ["0", "B", "-1.0", "MB"]
    assert "-" * 20 in rows[4]
    assert rows[-1] == "2026-01-01 to 2026-01-09 (UTC): 500.9 kB in 11 files, -499.1 kB"
    assert "\x1b" not in "".join(rows)
    days = years.run("history", "--by", "day").stdout.splitlines()
    assert [day.split()[0] for day in days[1:4]] == list(DAYS)
    assert days[2].split()[1:] == ["7.0", "MB", "+6.0", "MB", "4", "2", "#" * 20]
    assert len(years.run("history", "--by", "day", "-n", "1").stdout.splitlines()) == 3


def test_days_without_rows_are_said(years: Machine) -> None:
    assert "No day of these has rows" in years.run("history", "--since", "2026-02-01").stdout
    assert grown(years, "--since", "2026-02-01") == [
        ("", 0),
        (REST, 0),
        ("loras\x1b[31m\n", 0),
    ]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--since", "soon"), "--since: expected a duration"),
        (("--until", "2026-02-30"), "--until: expected a duration"),
        (("--by", "week"), "--by: expected one of category, day"),
        (("--root", "vae"), "--root: expected the kind"),
        (("--category", " "), "--category: expected a category"),
    ],
)
def test_wrong_use_is_a_sentence(years: Machine, arguments: tuple[str, ...], word: str) -> None:
    assert word in years.run("history", *arguments, expect=2).stderr


def test_before_the_first_scan_there_is_no_history(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    done = machine.run("history", expect=2)
    assert "No scan has written" in done.stderr


def test_a_scan_writes_what_history_shows(scanned: Machine) -> None:
    write(scanned.work / LORAS / "new.safetensors", "x" * 1000)
    scanned.run("scan")
    (day,) = data(scanned)["days"]
    assert day["files"] == 25
    header = read_header(scanned.output)
    assert header is not None
    assert day["bytes"] == header["totals"]["bytes"]
    assert day["day"] == day_of(os.stat(scanned.output).st_mtime_ns)


def test_run_tells_what_its_scans_cost(scanned: Machine) -> None:
    with scanned.running("run", "--every", "1s") as running:
        running.scans(4)
        assert running.stop() == 0, running.log()
    (cost,) = data(scanned)["costs"]
    assert cost["lane"] == "local"
    assert cost["scans"] >= 2
    assert cost["every_seconds"] == 1.0
    assert cost["seconds"] > 0


def test_days_that_people_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_772_366_400 * 10**9)  # 2026-03-01, 12:00 UTC
    named = {text: parse_day("--since", text) for text in ("today", "Yesterday", "36h", "2w")}
    assert named == {
        "today": "2026-03-01",
        "Yesterday": "2026-02-28",
        "36h": "2026-02-28",
        "2w": "2026-02-15",
    }
    assert parse_day("--since", None) == ""
    assert parse_day("--since", "2026-01-31") == "2026-01-31"
    with pytest.raises(SettingsError):
        parse_day("--since", "31.1.2026")
