"""`comfy-inventory changes`: filters, following, and names of any encoding."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import sys

import pytest

from tests.support.installation import KINDS, LORAS, parsed
from tests.support.machine import Machine, assert_valid, told, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def test_changes_are_filtered_by_time_scan_kind_and_root(scanned: Machine) -> None:
    write(scanned.work / LORAS / "new.safetensors", "new")
    scanned.run("scan")
    (scanned.work / LORAS / "00.safetensors").rename(scanned.work / "ComfyUI/input/00.safetensors")
    (scanned.work / LORAS / "01.safetensors").unlink()
    scanned.run("scan")

    def lines(*arguments: str) -> list[tuple[str, ...]]:
        done = scanned.run("changes", "--json", *arguments)
        return told(parsed(done)["changes"])

    baselines = [("baseline", f"ComfyUI/{kind}") for kind in sorted(KINDS)]
    created = ("created", f"{LORAS}/new.safetensors")
    deleted = ("deleted", f"{LORAS}/01.safetensors")
    moved = ("moved", f"{LORAS}/00.safetensors", "ComfyUI/input/00.safetensors")
    everything = [*baselines, created, deleted, moved]
    assert lines() == everything
    assert lines("--since", "2h") == everything
    assert lines("--since", "0s") == []
    assert lines("--since", "9999-01-01T00:00") == []
    assert lines("--since", "1") == [created, deleted, moved]
    assert lines("--kind", "created", "--kind", "moved") == [created, moved]
    assert lines("--root", "input", "--since", "1") == [moved]
    assert lines("--root", f"models:{scanned.work}/ComfyUI/models", "--kind", "deleted") == [
        deleted
    ]
    assert lines("--since", "today", "--limit", "2") == [deleted, moved]
    assert lines("--until", "today") == lines("--since", "2", "--until", "2") == []
    assert lines("--since", "1", "--until", "2") == [created]
    heading, *text = scanned.run("changes").stdout.splitlines()
    assert heading.endswith("1 created, 1 deleted, 1 moved, 4 baselines")
    assert len(text) == len(everything)
    (heading, *few) = scanned.run("changes", "-n", "2").stdout.splitlines()[2:]
    assert few == text[-2:]
    assert f"{LORAS}/00.safetensors -> ComfyUI/input/00.safetensors" in text[-1] + text[-2]


def test_changes_of_a_root_that_is_scanned_no_longer_are_found(scanned: Machine) -> None:
    (scanned.work / "more").mkdir()
    scanned.run("scan", "--extra", "more")
    scanned.run("scan")
    for root in ("extra", "more", f"extra:{scanned.work}/more"):
        assert "more" in scanned.run("changes", "--root", root).stdout
    scanned.run("changes", "--root", "downloads", expect=2)


def test_line_with_a_damaged_time_is_left_out(scanned: Machine) -> None:
    before = scanned.run("changes").stdout
    line = {"scan": 2, "n": 1, "of": 1, "kind": "created", "path": "a", "type": "file"}
    with scanned.journal.open("a") as journal:
        journal.write(json.dumps({**line, "time": "yesterday"}) + "\n")
    assert scanned.run("changes").stdout == before


def test_followed_changes_come_as_they_are_written(scanned: Machine) -> None:
    with scanned.running("changes", "--follow", "--json") as following:
        following.wait_for(lambda: following.printed().count("\n") == 4, "the baselines")
        write(scanned.work / LORAS / "new.safetensors", "new")
        scanned.run("scan")
        following.wait_for(lambda: following.printed().count("\n") == 5, "the new line")
        line = json.loads(following.printed().splitlines()[-1])
        assert (line["kind"], line["path"]) == ("created", f"{LORAS}/new.safetensors")
        assert following.stop(signal.SIGINT) == 0
        assert following.log() == ""


def test_people_follow_from_the_last_twenty_lines(scanned: Machine) -> None:
    for number in range(30):
        write(scanned.work / LORAS / f"new{number:02}.safetensors", f"new {number}")
    scanned.run("scan")
    with scanned.running("changes", "--follow", "--all") as following:
        following.wait_for(lambda: "new29" in following.printed(), "the last lines")
        note, _, heading, *text = following.printed().splitlines()
        assert note.startswith("14 earlier lines not shown")
        assert heading.endswith("30 created, 4 baselines")
        assert [line.split()[2].rpartition("/")[2][:5] for line in text] == [
            f"new{number}" for number in range(10, 30)
        ]
        write(scanned.work / LORAS / "newer.safetensors", "newer")
        scanned.run("scan")
        following.wait_for(lambda: "newer" in following.printed(), "the new line")
        assert len(following.printed().splitlines()) == 3 + 20 + 1
        assert following.stop(signal.SIGINT) == 0


def test_changes_of_hard_names_are_told_to_everyone(
    hard: Machine, unprivileged: tuple[str, ...]
) -> None:
    hard.run("scan")
    loras = hard.work / LORAS
    top = os.fsencode(loras)
    os.rename(os.path.join(top, b"new\nline.bin"), os.path.join(top, b"newer\nline.bin"))
    is_posix_name = os.path.exists(os.path.join(top, b"\xff\xfe"))
    if is_posix_name:
        os.rename(os.path.join(top, b"\xff\xfe"), os.path.join(top, b"\xfe\xff"))
    coloured = "tab\tand \x1b[31mcolour"
    (loras / coloured).rename(loras / f"{coloured} again")
    (loras / "pipe").unlink()
    (loras / "broken").unlink()
    done = hard.run("scan")
    assert_valid(hard)
    found = told(hard.changes())
    assert ("deleted", f"{LORAS}/pipe") in found
    assert ("deleted", f"{LORAS}/broken") in found
    assert ("moved", f"{LORAS}/new\nline.bin", f"{LORAS}/newer\nline.bin") in found
    assert ("moved", f"{LORAS}/{coloured}", f"{LORAS}/{coloured} again") in found
    assert len(found) == 4 + is_posix_name
    if is_posix_name:
        line = next(line for line in hard.changes() if "path_b64" in line)
        assert base64.b64decode(line["path_b64"]) == os.fsencode(LORAS) + b"/\xfe\xff"
        assert base64.b64decode(line["from_b64"]) == os.fsencode(LORAS) + b"/\xff\xfe"
    # One change is one line, in the log, on the terminal and for programs, and colours nothing.
    text = hard.run("changes", "--since", "1").stdout
    assert len(text.splitlines()) == 1 + len(found)
    assert "\x1b" not in text + done.stderr
    assert all(re.match(r"\d{4}-\d\d-\d\d |\d", line) for line in done.stderr.splitlines())
