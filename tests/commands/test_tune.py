"""What scans cost and which interval fits: reckoned, measured on fakes, and on real folders."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from scanner.commands.tune.costs import Cost, Holding, Measured, Spent, advise
from scanner.commands.tune.measure import Tuner, open_tuner
from scanner.core.mount_identity import MountIdentity
from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.disk.trust import PROOFS_WANTED, Trust
from scanner.errors import RootsIncompleteError, SettingsError
from scanner.settings.load import load
from scanner.settings.schema import Settings
from scanner.walk.cost import INTERVALS, Budget
from scanner.workers.pool import LocalWorkers
from tests.support.fakes import FakeFileSystem
from tests.support.installation import parsed
from tests.support.machine import Machine, wait_for, write
from tests.support.real_mounts import SshfsMount

TOP = "/mnt/nas/models"
FOLDERS = 50
FILES = 3

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")


# Reckoning


EVERYTHING = Spent(10.0, 4.0, folders=1000, listings=1000, entries=20_000, stats=2)
QUIET = Spent(1.0, 0.5, folders=1000, listings=1, stats=1002)
LISTING = Cost(EVERYTHING, None, settle=3.0)
SPARING = Cost(EVERYTHING, QUIET, settle=3.0)
BUDGET = Budget(0.02, verify_within=600.0, duty=0.05)


def test_calls_are_all_that_was_asked() -> None:
    assert EVERYTHING.calls == 21_002
    assert QUIET.calls == 1003


def test_row_where_every_scan_lists_everything() -> None:
    row = LISTING.row(BUDGET.terms(100.0, 0.05))
    assert row.seconds == 10
    assert (row.cpu_share, row.busy_share) == pytest.approx((0.04, 0.1))
    assert row.calls_per_second == pytest.approx(210.02)
    # The interval, the scan that finds it, and the time in which it may hide.
    assert (row.seen_within, row.verified_within) == (113, 113)


def test_row_has_its_turn_of_verification() -> None:
    """A tenth of the folders every minute: between a quiet scan and one that lists everything."""
    row = SPARING.row(BUDGET.terms(60.0, 0.05))
    assert row.seconds == pytest.approx(1 + 0.1 * 9)
    assert row.cpu_share == pytest.approx((0.5 + 0.1 * 3.5) / 60)
    assert row.verified_within == pytest.approx(600 + 1.9 + 3)
    # What is allowed, 0.6 s of listing, is 60 folders.
    row = SPARING.row(BUDGET.terms(60.0, 0.01))
    assert row.seconds == pytest.approx(1 + 0.06 * 9)
    assert row.verified_within == pytest.approx(1000 / 60 * 60 + row.seconds + 3)


def test_scan_that_takes_longer_than_its_interval_is_followed_by_the_next() -> None:
    row = LISTING.row(BUDGET.terms(5.0, 0.05))
    assert row.busy_share == 2
    assert (row.seen_within, row.verified_within) == (23, 23)


def measured(now: Cost, later: Cost | None = None) -> Measured:
    mount = Mount("/mnt/nas", "cifs", "nas:/v")
    holding = Holding("/mnt/nas/m", mount, 20_000, 1000, 5, "by type")
    return Measured("cifs /mnt/nas", True, (holding,), 0.001, 4, EVERYTHING, now, later)


def test_advice_is_what_the_slowest_needs() -> None:
    advice = advise([measured(SPARING), measured(LISTING)], BUDGET)
    assert advice.toml == 'every = "10m"\nduty = 0.01\n'
    assert advise([measured(LISTING)], BUDGET).toml == 'every = "10m"\n'
    slow = replace(LISTING, everything=EVERYTHING._replace(seconds=100.0))
    assert advise([measured(LISTING), measured(slow)], BUDGET).toml == ""


# Measuring, on a fake disk


def disk(type_: str, latency: float = 0.05) -> FakeFileSystem:
    """50 folders of three files on another mount; a listing takes 0.1 s, a stat half of that."""
    files = FakeFileSystem()
    files.mount_table = [Mount("/", "ext4", "/dev/fake1"), Mount("/mnt/nas", type_, "nas:/v")]
    for number in range(FOLDERS):
        for name in "abc"[:FILES]:
            files.write(f"{TOP}/d{number:02}/{name}", b"x" * 100)
    files.advance(3600)
    files.latency = latency
    files.on_list = lambda path: files.advance(latency)
    return files


def tune(
    files: FakeFileSystem,
    folder: Path,
    *paths: str,
    known: dict[MountIdentity, Trust] | None = None,
    **settings: Any,
) -> list[Measured]:
    roots = [Root("extra", path) for path in paths or (TOP,)]
    with Tuner(
        files, LocalWorkers(files), Settings(**settings), known or {}, roots, str(folder)
    ) as tuner:
        return tuner.run()


EVERY_FOLDER = FOLDERS + 1
ENTRIES = FOLDERS + FOLDERS * FILES
HEALTH = 2
"""Stats of the root in each scan: before and after the walk."""


@pytest.mark.parametrize("type_", ["ext4", "xfs"])
def test_folder_times_that_are_trusted_by_type_spare_listings(tmp_path: Path, type_: str) -> None:
    (lane,) = tune(disk(type_), tmp_path)
    assert (lane.id, lane.is_remote, lane.later) == ("local", False, None)
    full, quiet = lane.now.everything, lane.now.quiet
    assert quiet is not None
    assert lane.first[2:] == full[2:]
    assert (full.listings, full.entries, full.stats) == (EVERY_FOLDER, ENTRIES, HEALTH)
    assert full.seconds == pytest.approx(EVERY_FOLDER * 0.1 + HEALTH * 0.05)
    # One folder is verified.
    assert (quiet.listings, quiet.stats) == (1, EVERY_FOLDER - 1 + HEALTH)
    assert quiet.seconds == pytest.approx(0.1 + (EVERY_FOLDER - 1 + HEALTH) * 0.05)
    assert lane.holdings[0][2:] == (FOLDERS * FILES, EVERY_FOLDER, FOLDERS * FILES * 100, "by type")


def test_cheap_listing_is_all_that_is_done(tmp_path: Path) -> None:
    (lane,) = tune(disk("ext4", latency=0.002), tmp_path)
    everything = lane.now.everything
    assert everything.listings == EVERY_FOLDER
    assert lane.now.quiet is not None
    assert 0.05 < everything.seconds < 0.6
    assert lane.now.row(BUDGET.terms(60.0, 0.05)).seconds == pytest.approx(everything.seconds)
    assert lane.now.row(BUDGET.terms(5.0, 0.05)).seconds < everything.seconds


@pytest.mark.parametrize("type_", ["cifs", "nfs4", "something new"])
def test_mount_whose_trust_is_to_be_earned_has_both_costs(tmp_path: Path, type_: str) -> None:
    (lane,) = tune(disk(type_), tmp_path)
    assert (lane.id, lane.is_remote) == (f"{type_} /mnt/nas", True)
    assert lane.now.quiet is None
    assert lane.now.everything.listings == EVERY_FOLDER
    assert lane.later is not None
    assert lane.later.quiet is not None
    assert lane.later.quiet.listings == 1
    assert lane.latency == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("type_", "trust", "spares"),
    [
        ("cifs", Trust(PROOFS_WANTED), True),
        ("cifs", Trust(PROOFS_WANTED, failures=1), False),
        ("exfat", Trust(), False),
        ("fuse.rclone", Trust(PROOFS_WANTED), False),
    ],
)
def test_what_scans_have_learned_of_a_mount_counts(
    tmp_path: Path, type_: str, trust: Trust, spares: bool
) -> None:
    files = disk(type_)
    known = {files.mount_table[1].identity: trust}
    (lane,) = tune(files, tmp_path, known=known)
    assert (lane.now.quiet is not None, lane.later) == (spares, None)
    assert known == {files.mount_table[1].identity: trust}


def test_caches_of_a_mount_have_forgotten_when_it_is_measured(tmp_path: Path) -> None:
    files = disk("nfs4")  # which may answer from its cache for a minute
    listed: list[float] = []
    files.on_list = lambda path: listed.append(files.clock) if path == TOP else None
    stated = []
    check = files._check

    def noted(operation: str, path: str) -> None:
        if operation == "stat" and path == f"{TOP}/d07":
            stated.append(files.clock)
        check(operation, path)

    files._check = noted  # type: ignore[method-assign]
    files.latency = 0.1
    tune(files, tmp_path)
    assert len(stated) == 1
    assert listed[1] - listed[0] >= 60
    assert stated[0] - listed[1] >= 60


def test_folders_on_one_mount_are_one_lane_and_all_disks_are_one(tmp_path: Path) -> None:
    files = disk("cifs")
    files.mount_table.append(Mount("/mnt/usb", "vfat", "/dev/fake2"))
    for place in ("/mnt/nas/other", "/home/u/models", "/mnt/usb/models"):
        files.write(f"{place}/x", b"x")
    paths = (TOP, "/mnt/nas/other", "/home/u/models", "/mnt/usb/models")
    lanes = tune(files, tmp_path, *paths)
    assert {lane.id: [holding.path for holding in lane.holdings] for lane in lanes} == {
        "cifs /mnt/nas": [TOP, "/mnt/nas/other"],
        "local": ["/home/u/models", "/mnt/usb/models"],
    }
    assert lanes[0].now.everything.listings == EVERY_FOLDER + 1
    assert {h.mount.type: h.folder_times for h in lanes[1].holdings} == {
        "ext4": "by type",
        "vfat": "never",
    }


def test_mount_below_a_folder_is_measured_by_itself(tmp_path: Path) -> None:
    files = disk("cifs")
    files.write("/mnt/x", b"x")
    lanes = tune(files, tmp_path, "/mnt")
    assert {lane.id: lane.holdings[0].path for lane in lanes} == {
        "local": "/mnt",
        "cifs /mnt/nas": "/mnt/nas",
    }


def test_empty_tree_is_fine(tmp_path: Path) -> None:
    files = disk("ext4", latency=0.0)
    files.makedirs("/empty")
    (lane,) = tune(files, tmp_path, "/empty")
    assert lane.holdings[0][2:5] == (0, 1, 0)
    assert advise([lane], BUDGET).toml == 'every = "5s"\n'


def test_nothing_is_asked_for_but_listings_and_stats(tmp_path: Path) -> None:
    files = disk("cifs")
    tune(files, tmp_path)
    assert {operation for operation, _ in files.asked} == {"list", "stat"}


@pytest.mark.parametrize(
    ("path", "words"), [("/nowhere", "there is no"), (f"{TOP}/d00/a", "is none")]
)
def test_what_is_no_folder_is_refused(tmp_path: Path, path: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        tune(disk("cifs"), tmp_path, path)
    assert path in str(refused.value)


def test_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    files = disk("ext4")
    files.faults["list", TOP] = 13
    with pytest.raises(RootsIncompleteError, match="cannot be scanned"):
        tune(files, tmp_path)


# The command


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path, TMPDIR=str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    for number in range(24):
        write(machine.work / f"models/loras/{number}.safetensors", str(number))
    return machine


def temporary(machine: Machine) -> list[Path]:
    return list(Path(machine.environ["TMPDIR"]).iterdir())


def tree(top: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in top.rglob("*")}


def test_command_measures_and_leaves_nothing(machine: Machine) -> None:
    before = tree(machine.work)
    done = machine.run("tune", "models", "--json")
    assert done.stderr == ""
    told = parsed(done)
    assert set(told) == {
        "schema", "auto_duty", "duty", "verify_within_seconds", "verification_duty", "workers",
        "lanes", "advice",
    }  # fmt: skip
    (lane,) = told["lanes"]
    (path,) = lane["paths"]
    assert path["path"] == f"{machine.work}/models"
    assert (path["files"], path["folders"], path["bytes"]) == (24, 2, 38)
    assert lane["full_verification"]["calls"] == 2 + 25 + 2
    rows = lane["now"]["intervals"]
    assert [row["every_seconds"] for row in rows] == list(INTERVALS)
    assert [row["busy_share"] for row in rows] == sorted(
        (row["busy_share"] for row in rows), reverse=True
    )
    assert told["advice"]["toml"] == 'every = "5s"\n'
    assert tree(machine.work) == before
    assert temporary(machine) == []


def test_page_is_for_people_and_its_lines_are_settings(machine: Machine) -> None:
    text = machine.run("tune", "models", "--auto-duty", "50%").stdout
    for words in ("24 files in 2 folders", "first scan", "full verification", "50.0 % of the time"):
        assert words in text
    (row,) = [line for line in text.splitlines() if line.startswith("> ")]
    assert row.split()[1] == "5s"
    line = next(line for line in text.splitlines() if line.strip().startswith("every ="))
    (machine.work / "comfy_inventory.toml").write_text(line.strip())
    settings = load({}, environ={"HOME": str(machine.home)}, cwd=machine.work).settings
    assert settings.every == 5
    assert max(map(len, text.splitlines())) <= max(100, len(str(machine.work)) + 60)


def test_nothing_that_fits_is_said_plainly(machine: Machine) -> None:
    text = machine.run("tune", "models", "--auto-duty", "0.0000001%").stdout
    assert "No interval up to 1h keeps scans below" in text
    assert "every =" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tune", "nowhere"), ("PATH", "nowhere")),
        (("tune", "models", "models/loras/1.safetensors"), ("PATH", "1.safetensors")),
        (("tune", "models", "--auto-duty", "much"), ("--auto-duty", "much")),
        (("tune", "models", "--duty", "200%"), ("--auto-duty", "200%")),
        (("tune", ".."), ("PATH", "TMPDIR")),
    ],
)
def test_bad_input_is_one_sentence_and_2(
    machine: Machine, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = machine.run(*arguments, expect=2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in words)
    assert temporary(machine) == []


def test_settings_of_the_user_are_used(machine: Machine) -> None:
    environ = {
        "COMFY_INVENTORY_VERIFY_WITHIN": "7m",
        "COMFY_INVENTORY_DUTY": "3%",
        "COMFY_INVENTORY_AUTO_DUTY": "4%",
    }
    page = parsed(machine.run("tune", "models", "--json", environ=environ))
    assert (page["verify_within_seconds"], page["verification_duty"]) == (420, 0.03)
    assert (page["auto_duty"], page["duty"]) == (0.04, 0.04)
    arguments = ("tune", "models", "--json", "--duty", "6%")  # the older name of --auto-duty
    page = parsed(machine.run(*arguments, environ=environ))
    assert page["auto_duty"] == 0.06


# A real mount


class Hurried(DiskFileSystem):
    """The disk, on which waiting takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    def sleep(self, seconds: float) -> None:
        self.waited += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self.waited


def worker_processes() -> set[int]:
    """Ids of this process's workers."""
    found = set()
    for child in psutil.Process().children():
        try:
            if "scanner.workers.process" in " ".join(child.cmdline()):
                found.add(child.pid)
        except psutil.Error:
            pass  # it has just ended
    return found


@pytest.fixture
def sshfs(tmp_path: Path) -> Iterator[SshfsMount]:
    for number in range(150):
        for name in "abc":
            write(tmp_path / "source" / f"d{number:03}" / name, "x")
    with SshfsMount(tmp_path / "source", tmp_path / "point", delay_ms=8) as mount:
        yield mount


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux")
def test_real_mount_has_both_costs_and_is_only_read(sshfs: SshfsMount) -> None:
    before, asked = tree(sshfs.source), sshfs.requests
    others = worker_processes()  # of other tests
    with open_tuner([str(sshfs.point)], Settings(), {}, files=Hurried()) as tuner:
        (lane,) = tuner.run()
        assert worker_processes() > others  # or the search below could find nothing
    wait_for(lambda: worker_processes() <= others, "the end of its worker")
    requests = sshfs.requests - asked
    assert (lane.id, lane.is_remote) == (f"fuse.sshfs {sshfs.point}", True)
    assert lane.workers > 1
    full = lane.now.everything
    assert (full.folders, full.listings, full.entries) == (151, 151, 150 + 450)
    assert lane.later is not None
    assert lane.later.quiet is not None
    assert (lane.later.quiet.listings, lane.later.quiet.entries) in ((1, 3), (1, 150))
    assert lane.later.quiet.stats == 150 + HEALTH
    assert full.cpu > 0
    # Each call that was counted went over the wire, and none of them changed anything there.
    assert requests["OPENDIR"] == lane.first.listings + full.listings + 1
    assert requests["LSTAT"] + requests["STAT"] >= lane.first.calls + full.calls - 2 * 151
    assert set(requests) <= {"STAT", "LSTAT", "FSTAT", "OPENDIR", "READDIR", "CLOSE", "STATVFS"}
    assert tree(sshfs.source) == before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux")
def test_hung_mount_is_told_and_ctrl_c_ends_at_once(machine: Machine, sshfs: SshfsMount) -> None:
    sshfs.stop_server()
    try:
        environ = {"COMFY_INVENTORY_STALL_AFTER": "1s"}
        done = machine.run("tune", sshfs.point, "--json", expect=3, environ=environ)
        assert "does not answer" in done.stderr
        assert json.loads(done.stdout)["error"]["code"] == 3
        with machine.running("tune", sshfs.point) as running:
            wait_for(lambda: temporary(machine), "its folder")
            time.sleep(0.5)
            assert running.stop(signal.SIGINT) == 130
        assert temporary(machine) == []
    finally:
        sshfs.continue_server()
