"""`comfy-inventory status`: the answer for people, programs and monitoring."""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from scanner.commands.status.page import print_status
from scanner.core.serialize import time_text
from scanner.schemas import load_schema
from scanner.views.today import changes_today
from scanner.views.verdict import nagios_line, verdict
from tests.support.installation import parsed
from tests.support.machine import Machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
NOW_TEXT = time_text(int(NOW.timestamp() * 10**9))


def root(path: str, state: str = "online", **more: Any) -> dict[str, Any]:
    fields = {"id": f"models:{path}", "kind": "models", "path": path, "state": state}
    return fields | {"since": NOW_TEXT, "filesystem": "ext4"} | more


def status_of(*roots: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The status of a scanner that runs and has scanned `roots`."""
    last = {"scan": 3, "started": NOW_TEXT, "seconds": 0.2, "directories": 4, "files": 9}
    lane = {"id": "local", "state": "waiting", "roots": [], "last_scan": last | {"changes": 0}}
    return {
        "schema": 1,
        "tool": {"name": "comfy-inventory", "version": "1"},
        "pid": 1,
        "alive": True,
        "state": "idle",
        "started": NOW_TEXT,
        "updated": NOW_TEXT,
        "scan": 3,
        "lanes": [lane | {"next_due": None, "error": None}],
        "backlog": {"files": 0, "bytes": 0},
        "totals": {"files": 9, "bytes": 9_000_000, "categories": {}},
        "roots": list(roots),
        "holds": [],
        "unreachable": [],
        "journal": {"path": "/o/j", "scan": 0, "bytes": 0},
        "inventory": {"path": "/o/i", "scan": 3, "written": None, "bytes": 0},
    } | more


def page_of(
    status: dict[str, Any], capsys: pytest.CaptureFixture[str], width: int = 80
) -> list[str]:
    print_status(Console(width=width), status)
    return capsys.readouterr().out.splitlines()


ONE = root("/m")

AWAY = root("/nas", "offline", reason="host is down")

LANE = status_of()["lanes"][0]


@pytest.mark.parametrize(
    ("status", "begins"),
    [
        (status_of(ONE), "Everything is fine: 9 files, 9.0 MB in 1 folder, last looked at "),
        (status_of(ONE, AWAY), "Something needs you: /nas is offline."),
        (status_of(root("/m", "held")), "Something needs you: /m is held."),
        (status_of(ONE, broken=1), "Something needs you: 1 file is broken."),
        (status_of(ONE, broken=4), "Something needs you: 4 files are broken."),
        (
            status_of(lanes=[LANE | {"last_scan": None}]),
            "Nothing is wrong so far: the first scan has not ended yet.",
        ),
        (status_of(ONE, alive=False), "Something needs you: the scanner ended without saying so"),
        (
            status_of(ONE, alive=False, state="stopped"),
            "Something needs you: no scanner runs since ",
        ),
        (
            status_of(ONE, alive=False, state="stopped", lanes=[LANE | {"id": "all"}]),
            "Everything is fine: ",
        ),
        (
            status_of(ONE, lanes=[LANE | {"error": "The disk is full."}]),
            "Something needs you: The disk is full.",
        ),
        (
            status_of(ONE, unreachable=[{"path": "/m/x", "error": "EIO", "since": NOW_TEXT}]),
            "Something needs you: 1 place cannot be read.",
        ),
    ],
)
@pytest.mark.parametrize("width", [80, 140])
def test_the_first_line_answers_if_everything_is_fine(
    status: dict[str, Any], begins: str, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    page = page_of(status, capsys, width)
    assert " ".join(page).startswith(begins)
    answer = verdict(status)
    assert answer.is_fine == (not begins.startswith("Something"))
    word = "OK" if answer.is_fine else "WARNING"
    assert nagios_line(status).startswith(f"{word}: {begins}")
    assert not any(word in " ".join(page) for word in ("lane", "root", "fingerprint"))


def test_an_offline_folder_keeps_its_line_with_since_when_and_what_helps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    accept = {"id": AWAY["id"], "state": "offline", "command": "comfy-inventory accept /nas"}
    mount = {"point": "/nas", "filesystem": "cifs", "roots": [AWAY["id"]], "asked": NOW_TEXT}
    space = mount | {"bytes": 4_000_000_000, "free": 1_000_000_000}
    page = page_of(status_of(ONE, AWAY, accept=[accept], mounts=[space]), capsys)
    assert "offline   models  /nas" in page
    assert "1.0 GB free of 4.0 GB (25 %) on /nas (cifs)" in page
    line = next(line for line in page if line.startswith("/nas is offline since "))
    assert line.endswith(": host is down. If it will not come back: comfy-inventory accept /nas")
    page = page_of(status_of(ONE, root("/new", "missing")), capsys)
    line = next(line for line in page if line.startswith("/new is missing since "))
    assert line.endswith("To look closer: comfy-inventory doctor /new")


def test_a_line_of_monitoring_has_one_bar_and_no_line_end() -> None:
    line = nagios_line(status_of(root("/a|b\nc", "offline"), broken=2, unfinished=1))
    assert "/a/b c is offline" in line
    assert line.endswith(" | files=9 broken=2 unfinished=1 away=1")
    assert line.count("|") == 1
    assert "\n" not in line


def test_categories_are_shown_the_largest_first(capsys: pytest.CaptureFixture[str]) -> None:
    categories = {f"c{n:02}": {"files": n, "bytes": n * 1000} for n in range(1, 16)}
    totals = {"files": 9, "bytes": 9, "categories": {**categories, "": {"files": 1, "bytes": 0}}}
    page = page_of(status_of(ONE, totals=totals), capsys)
    start = next(n for n, line in enumerate(page) if line.split() == ["files", "size", "category"])
    rows = [line.split() for line in page[start + 1 : start + 10]]
    assert rows[0] == ["15", "15.0", "kB", "c15"]
    assert rows[-1] == ["29", "28.0", "kB", "8", "more"]


def test_a_status_of_an_older_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    status = status_of(ONE)
    del status["totals"]
    assert page_of(status, capsys)[0].startswith("Everything is fine: 9 files in 1 folder")


def test_status_tells_programs_how_it_stands(untouched: Machine) -> None:
    status = parsed(untouched.run("status", "--json"))
    on_disk = json.loads(untouched.status_file.read_bytes())
    Draft202012Validator(load_schema("status")).validate(on_disk)
    own = ("alive", "fine", "answer", "problems", "today")
    assert {key: status[key] for key in status if key not in own} == on_disk
    assert status["alive"] is False
    assert status["today"] == {"kinds": {}, "is_whole": True}
    assert status["state"] == "stopped"
    states = {root["kind"]: root["state"] for root in status["roots"]}
    assert states == {**dict.fromkeys(states, "online"), "workflows": "absent"}
    assert status["inventory"]["path"] == str(untouched.output)
    assert status["journal"]["path"] == str(untouched.journal)
    [mount] = status["mounts"]
    usage = shutil.disk_usage(untouched.work)
    assert mount["bytes"] == usage.total
    assert sorted(mount["roots"]) == sorted(root["id"] for root in status["roots"])
    assert status["totals"]["categories"]["loras"]["files"] == 24


def test_status_counts_what_is_wrong_with_files(
    untouched: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    status = parsed(untouched.run("status", "--json"))
    broken = parsed(untouched.run("find", "--status", "broken", "--json"))
    assert status["broken"] == broken["count"] > 0
    lines = page_of({**status, "broken": 3, "misplaced": 1, "unfinished": 2}, capsys, 200)
    assert "broken: 3 files (comfy-inventory find --status broken)" in lines
    assert "misplaced: 1 file (comfy-inventory find --status misplaced)" in lines
    found = "comfy-inventory find --status partial --status unsettled"
    assert f"not whole yet: 2 files ({found})" in lines
    older = {key: status[key] for key in status if key not in ("broken", "misplaced")}
    assert "broken" not in "\n".join(page_of(older, capsys))


def test_check_exits_with_1_if_there_is_something_to_act_on(scanned: Machine) -> None:
    check = scanned.run("status", "--check", expect=1)
    assert check.stdout.startswith("WARNING: Something needs you: 24 files are broken. | ")
    assert check.stdout.count("\n") == 1
    shutil.rmtree(scanned.work / "ComfyUI/models/loras")
    (scanned.work / "ComfyUI/models/loras").mkdir()
    scanned.run("scan", "--hold-wait", "1s")
    check = scanned.run("status", "--check")
    assert check.stdout.startswith("OK: Everything is fine: ")
    quiet = scanned.run("status", "--check", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert scanned.run("status", "--quiet", expect=1).stdout == ""  # no scanner runs
    today = parsed(scanned.run("status", "--json"))["today"]
    assert today == {"kinds": {"deleted": 24}, "is_whole": True}


def test_changes_of_today_begin_at_midnight(tmp_path: Path) -> None:
    midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    journal = tmp_path / "j.jsonl"
    lines = [
        {"scan": n, "n": 1, "of": 1, "kind": kind, "path": "p", "time": time_text(int(at * 1e9))}
        for n, (kind, at) in enumerate(
            [
                ("created", midnight - 1),
                ("baseline", midnight + 1),
                ("created", midnight + 1),
                ("deleted", midnight + 2),
                ("created", midnight + 3),
            ]
        )
    ]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"scan":')
    assert changes_today(str(journal)) == ({"created": 2, "deleted": 1}, True)
    assert changes_today(str(journal), time.time() + 2 * 86_400) == ({}, True)
    assert changes_today(str(tmp_path / "none")) == ({}, True)
