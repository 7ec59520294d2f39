"""`duplicates --keep` and `--script`: which copy stays, and what a script is written of."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from scanner.commands.duplicates.keep import Keep, kept_first, parse_keep, plan_of, summary
from scanner.commands.duplicates.sets import Copy, DuplicateSet, Report
from scanner.core.digests import WHOLE
from scanner.core.memory import RootRecord
from scanner.core.mount_identity import MountIdentity
from scanner.errors import SettingsError
from tests.support.installation import LORAS
from tests.support.machine import CHECKOUT, SCANNER, Machine, write


def record(path: str, type_: str) -> RootRecord:
    return RootRecord("extra:" + path, "extra", path, mount_identity=MountIdentity(type_, "x"))


RECORDS = [record("/nas", "nfs4"), record("/host", "9p"), record("/disk", "ext4"),
           record("/disk/below", "cifs"), record("/what", "fuse.new")]  # fmt: skip


def copies_at(*paths: str, proven: bool = True) -> DuplicateSet:
    found = tuple(
        Copy(path, "extra:/", "", mtime=100 + (number * 7) % 5) for number, path in enumerate(paths)
    )
    return DuplicateSet(5, proven, "sha256" if proven else "fingerprint", "00", found)


def kept(keep: Keep, *paths: str) -> str:
    report = kept_first(Report((copies_at(*paths),)), keep, RECORDS)
    return report.sets[0].copies[0].path


def test_the_fastest_copy_is_that_on_a_disk_of_this_computer() -> None:
    order = ["/disk/x", "/host/x", "/nas/x", "/disk/below/x", "/what/x"]
    for at in range(4):
        assert kept(Keep("fastest"), *reversed(order[at:])) in order[at : at + 2]
    assert kept(Keep("fastest"), "/disk/below/x", "/host/x") == "/host/x"
    assert kept(Keep("fastest"), "/nas/a", "/nas/b") == "/nas/a"


def test_the_oldest_and_the_newest_copy() -> None:
    paths = "/disk/b", "/disk/a", "/disk/c"  # with the mtimes 100, 102, 104
    assert kept(Keep("oldest"), *paths) == "/disk/b"
    assert kept(Keep("newest"), *paths) == "/disk/c"
    assert kept(Keep(), *paths) == "/disk/b"


def test_no_copy_in_the_path_to_keep_gets_a_step() -> None:
    keep = Keep("in PATH", "/nas")
    sets = (copies_at("/disk/a", "/nas/b", "/nas/c", "/disk/d"), copies_at("/disk/e", "/host/e"))
    plan = plan_of(kept_first(Report(sets), keep, RECORDS).sets, "delete", keep)
    assert [group.keep.path for group in plan.groups] == ["/nas/b"]
    assert [known.path for known in plan.groups[0].candidates] == ["/disk/a", "/disk/d"]
    assert list(plan.remarks) == ["No copy lies in /nas: /disk/e"]
    assert "2 files of 1 set, 10 B" in summary(plan)


def test_a_copy_that_links_lead_to_is_linked_and_never_deleted() -> None:
    found = copies_at("/disk/a", "/disk/b")
    linked = found._replace(copies=(found.copies[0], found.copies[1]._replace(links=("/disk/l",))))
    assert len(plan_of([linked], "link", Keep()).groups) == 1
    plan = plan_of([linked], "delete", Keep())
    assert not plan.groups
    assert list(plan.remarks) == ["Not deleted, links lead to it: /disk/b"]
    assert summary(plan).startswith("There is nothing to do")


@pytest.mark.parametrize("text", ["", "best", "in", "in ", "oldest first", "fastest /nas"])
def test_a_rule_that_there_is_not_is_one_sentence(text: str) -> None:
    with pytest.raises(SettingsError, match="--keep: expected fastest, oldest"):
        parse_keep(text, "/")


def test_a_path_to_keep_may_be_relative() -> None:
    assert parse_keep("in  models/my loras", "/work") == Keep("in PATH", "/work/models/my loras")
    assert parse_keep(" Oldest ", "/") == Keep("oldest")


# The command


@pytest.fixture
def copied(machine: Machine) -> Machine:
    """Three copies of one content, two of another that is only likely the same."""
    for number, name in enumerate(("one.safetensors", "it's\n-two", "three")):
        path = machine.work / LORAS / f"{number}" / name
        write(path, "the same")
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    for name in ("big 1", "big 2"):
        with open(machine.work / LORAS / name, "wb") as file:
            file.truncate(WHOLE * 3)
    machine.run("scan")
    return machine


def script_of(machine: Machine, *options: str) -> tuple[bytes, str]:
    done = subprocess.run(
        [sys.executable, "-m", "scanner", "duplicates", *options],
        cwd=machine.work,
        env=machine.environ,
        capture_output=True,
        check=True,
    )
    return done.stdout, done.stderr.decode()


def page(machine: Machine, *options: str) -> str:
    """What people read, whatever the exit code."""
    done = machine.execute(*SCANNER, "duplicates", *options)
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="scripts for sh")
def test_a_script_is_printed_and_nothing_is_done_before_it_runs(copied: Machine) -> None:
    loras = copied.work / LORAS
    before = {path: path.stat().st_ino for path in loras.rglob("*") if path.is_file()}
    script, told = script_of(copied, "--keep", "newest", "--script", "link")
    assert "2 files of 1 set, 16 B. Nothing was changed" in told
    assert before == {path: path.stat().st_ino for path in loras.rglob("*") if path.is_file()}
    end = script.decode().partition("Only likely to be copies")[2]
    assert "big 1" in end
    assert "comfy-inventory hash" in end
    done = subprocess.run(["sh"], input=script, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"2 done (16 bytes freed), 0 skipped, 0 failed.\n")
    inodes = {path.stat().st_ino for path in loras.rglob("*") if path.stat().st_size == 8}
    assert inodes == {before[loras / "2" / "three"]}
    copied.run("scan")
    assert "No duplicates" not in page(copied)  # the likely ones
    assert "No duplicates" in page(copied, "--proven")


def test_a_script_for_powershell(copied: Machine) -> None:
    script, _ = script_of(copied, "--script", "delete", "--shell", "powershell")
    assert script.isascii()
    assert script.count(b"\nTry-Delete 8 ") == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--script", "move"), "--script: expected one of link, reflink, delete"),
        (("--script", "link", "--shell", "fish"), "--shell: expected one of sh, powershell"),
        (("--script", "reflink", "--shell", "powershell"), "expected one of link, delete"),
        (("--script", "link", "--json"), "--script and --json exclude each other"),
        (("--keep", "best"), "--keep: expected fastest"),
    ],
)
def test_wrong_use_is_one_sentence(
    untouched: Machine, options: tuple[str, ...], sentence: str
) -> None:
    assert sentence in untouched.run("duplicates", *options, expect=2).stderr


def test_five_paths_of_a_set_are_shown(machine: Machine) -> None:
    for number in range(9):
        write(machine.work / LORAS / f"copy {number}", "the same")
    machine.run("scan")
    shown = page(machine)
    assert shown.count("/copy ") == 5
    assert "and 4 more (--all)" in shown
    whole = page(machine, "--all", "--keep", "oldest")
    assert whole.count("/copy ") == 9
    assert whole.count("keep  ") == 1
    assert "more" not in whole


def test_a_sixth_path_is_shown_in_the_room_of_the_line_about_it(machine: Machine) -> None:
    for number in range(6):
        write(machine.work / LORAS / f"copy {number}", "the same")
    machine.run("scan")
    shown = page(machine)
    assert shown.count("/copy ") == 6
    assert "more" not in shown


def test_help_names_what_a_script_can_do(untouched: Machine) -> None:
    text = untouched.run("duplicates", "--help").stdout
    for word in ("--keep", "--script", "--shell", "reflink", "--all"):
        assert word in text


@pytest.mark.skipif(sys.platform == "win32", reason="scripts for sh")
def test_commands_of_the_page_about_duplicates_run(copied: Machine) -> None:
    command = copied.home.parent / "bin" / "comfy-inventory"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scanner "$@"\n')
    command.chmod(0o755)
    text = (CHECKOUT / "docs" / "duplicates.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
             for line in block.splitlines()]  # fmt: skip
    assert len(lines) == 4
    for line in lines:
        done = copied.execute("sh", "-c", line)
        assert done.returncode in (0, 1), done.stderr
        assert "Error" not in done.stderr
    ran = subprocess.run(["sh", copied.work / "copies.sh"], capture_output=True, check=False)
    assert ran.stdout.endswith(b"2 done (16 bytes freed), 0 skipped, 0 failed.\n")
