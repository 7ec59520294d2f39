"""What doctor says of a folder: of fake disks with delays and faults, and of a real one."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scanner.commands.doctor.examine import BURST, Doctor
from scanner.commands.doctor.finding import Finding, combined, exit_code, notes_of
from scanner.commands.doctor.page import print_advice, print_findings
from scanner.commands.doctor.sample import SAMPLE, Sample, Size, cost_of, estimate, granularity_of
from scanner.core.mount_identity import MountIdentity
from scanner.core.roots import Root
from scanner.disk import mounts, probe
from scanner.disk.filesystem import DiskFileSystem, Stat
from scanner.disk.mounts import Mount
from scanner.disk.probe import NAME_PREFIX, Observed, observe
from scanner.disk.trust import NEVER, PROOFS_WANTED, Trust
from scanner.settings.load import load
from scanner.settings.schema import Settings
from scanner.store.mount_trust import read_trust
from scanner.store.state import State
from scanner.walk.cost import ScanCost
from scanner.walk.verification import Terms
from scanner.workers.latency import STATS
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import LocalWorkers
from scanner.workers.worker import Worker
from tests.support.fakes import FakeFileSystem
from tests.support.installation import parsed
from tests.support.machine import CHECKOUT, Machine, wait_for, write
from tests.support.real_mounts import SshfsMount
from tests.support.world import World, at, content

TOP = "/mnt/nas/models"
FOLDERS = 20
SECOND = 10**9

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")


def disk(type_: str = "ext4", latency: float = 0.0, granularity: int = 1) -> FakeFileSystem:
    """A models folder with 20 folders of 3 files, made at different times."""
    files = FakeFileSystem()
    files.mount_table = [Mount("/", "ext4", "/dev/fake1"), Mount("/mnt/nas", type_, "nas:/v")]
    files.granularity = granularity
    for number in range(FOLDERS):
        for name in "abc":
            files.write(f"{TOP}/d{number:02}/{name}", b"x")
            files.advance(1.000000123)
    files.latency = latency
    return files


def examine(
    files: FakeFileSystem,
    path: str = TOP,
    known: dict[MountIdentity, Trust] | None = None,
    **settings: Any,
) -> Finding:
    doctor = Doctor(files, LocalWorkers(files), Settings(**settings), known or {}, limit=10)
    return doctor.examine(Root("extra", path), probe=False)


def codes(finding: Finding) -> list[str]:
    return [note.code for note in finding.notes]


# Granularity of mtimes


@pytest.mark.parametrize(
    ("mtimes", "seconds"),
    [
        ([2 * SECOND, 4 * SECOND, 100 * SECOND], 2.0),
        ([2 * SECOND, 4 * SECOND, 5 * SECOND], 1.0),
        ([2 * SECOND, 4 * SECOND + 10_000_000], 0.01),
        ([100, 2 * SECOND + 300], 1e-7),
        ([1, 2 * SECOND], 1e-9),
        ([-SECOND], 1.0),
    ],
)
def test_granularity_is_read_off_mtimes(mtimes: list[int], seconds: float) -> None:
    assert granularity_of(mtimes) == pytest.approx(seconds)


@pytest.mark.parametrize(("granularity", "seconds"), [(1, 1e-9), (SECOND, 1.0), (2 * SECOND, 2.0)])
def test_granularity_is_inferred_from_mtimes(granularity: int, seconds: float) -> None:
    finding = examine(disk("cifs", granularity=granularity))
    assert finding.granularity == pytest.approx(seconds)
    assert finding.granularity_from == "sample"
    assert ("coarse_times" in codes(finding)) == (seconds >= 1)


@pytest.mark.parametrize(
    ("granularity", "seconds", "source", "settle"),
    [(1, 1e-9, "type", 0.05), (SECOND, 1, "sample", 2)],
)
def test_granularity_of_a_type_counts_unless_the_times_of_folders_show_another(
    granularity: int, seconds: float, source: str, settle: float
) -> None:
    """ext4 with inodes of 128 bytes counts whole seconds."""
    finding = examine(disk("ext4", granularity=granularity))
    times = finding.as_json()["times"]
    assert times["granularity_seconds"] == pytest.approx(seconds)
    assert (times["known_from"], times["settle_seconds"]) == (source, settle)


def test_few_mtimes_prove_no_granularity() -> None:
    files = FakeFileSystem()
    files.mount_table = [Mount("/", "cifs", "nas")]
    files.granularity = SECOND
    files.write("/m/a", b"x")
    finding = examine(files, "/m")
    assert (finding.granularity, finding.granularity_from) == (None, None)


# Estimates


def sampled(*levels: tuple[int, int, int, float, int]) -> Sample:
    """(listed, children, files, seconds, left) at each depth."""
    sample = Sample()
    for depth, (listed, children, files, seconds, left) in enumerate(levels):
        level = sample.levels[depth]
        level.listed, level.children, level.files = listed, children, files
        level.seconds, level.left = seconds, ["?"] * left
        sample.worked += seconds
    sample.wall = sample.worked
    return sample


def test_complete_sample_is_exact() -> None:
    sample = sampled((1, 3, 2, 0.5, 0), (3, 5, 30, 1.5, 0), (5, 0, 10, 2.0, 0))
    assert sample.is_complete
    assert estimate(sample) == pytest.approx((9, 42, 4.0))


def test_what_was_not_listed_is_like_what_was() -> None:
    sample = sampled((1, 100, 0, 0.1, 0), (10, 50, 20, 1.0, 90), (5, 0, 25, 0.5, 45))
    assert not sample.is_complete
    # 1 + 100 + 500 folders; 100 * 2 + 500 * 5 files; 0.1 + 100 * 0.1 + 500 * 0.1 s
    assert estimate(sample) == pytest.approx((601, 2700, 60.1))


def test_listings_under_way_together_take_less() -> None:
    sample = sampled((1, 0, 0, 8.0, 0))
    sample.wall = 1.0
    assert estimate(sample).seconds == 1.0


def test_depth_that_was_not_reached_is_counted_once() -> None:
    assert estimate(sampled((1, 7, 0, 1.0, 0), (0, 0, 0, 0.0, 7))).directories == 8


def test_cost_is_estimated_from_the_size_and_the_stats() -> None:
    assert cost_of(Size(1000, 10_000, 100.0), stat=0.001) == ScanCost(1000, 100.0, 1.0)
    # Asking for the mtime of everything takes no longer than listing everything.
    assert cost_of(Size(1000, 10_000, 100.0), stat=1.0) == ScanCost(1000, 100.0, 100.0)
    # Cheap trees are listed in every scan.
    cheap = cost_of(Size(1000, 10_000, 0.3), stat=0.0001)
    assert [cheap.scan(Terms(every, 600.0, 0.05)) for every in (30.0, 60.0)] == [0.3, 0.3]
    assert cheap.scan(Terms(5.0, 600.0, 0.05)) < 0.11


# What is said of a folder


def test_local_disk_is_fine() -> None:
    finding = examine(disk("ext4"))
    assert (finding.state, finding.trust_state, codes(finding)) == ("ok", "by type", [])
    assert exit_code([finding]) == 0
    assert finding.size is not None
    assert finding.size[:2] == (FOLDERS + 1, FOLDERS * 3)
    assert finding.advice is not None
    assert finding.advice.toml == 'profile = "local"\nevery = "5s"\n'


@pytest.mark.parametrize(
    ("type_", "profile"),
    [("cifs", "nas"), ("fuse.sshfs", "nas"), ("drvfs", "wsl"), ("9p", "wsl"), ("fuseblk", "local"),
     ("something new", "nas")],
)  # fmt: skip
def test_profile_follows_from_where_the_files_are(type_: str, profile: str) -> None:
    advice = examine(disk(type_)).advice
    assert advice is not None
    assert advice.profile == profile
    assert advice.every == 5


def test_advice_is_a_valid_file_of_settings(tmp_path: Path) -> None:
    advice = examine(disk("cifs", latency=0.5)).advice
    assert advice is not None
    file = tmp_path / "advice.toml"
    file.write_text(advice.as_json()["toml"])
    settings = load({"config": file}, environ={}).settings
    assert (settings.profile, settings.every) == (advice.profile, advice.every)
    assert settings.workers == advice.workers


@pytest.mark.parametrize("type_", ["exfat", "vfat", "fuse.mergerfs", "fuse.rclone"])
def test_types_that_never_move_folder_times_are_told(type_: str) -> None:
    finding = examine(disk(type_))
    assert finding.trust_state == NEVER
    assert "never_trusted" in codes(finding)
    assert exit_code([finding]) == 0  # good to know, and nothing to act on
    assert finding.as_json()["scan"]["trusted_seconds"] is None


@pytest.mark.parametrize(
    ("trust", "state", "is_noted"),
    [
        (Trust(), "to be earned", False),
        (Trust(proofs=1), "to be earned", False),
        (Trust(proofs=PROOFS_WANTED), "earned", False),
        (Trust(proofs=PROOFS_WANTED, failures=1), "lost", True),
    ],
)
def test_trust_is_what_scans_have_learned(trust: Trust, state: str, is_noted: bool) -> None:
    files = disk("cifs")
    files.on_list = lambda path: files.advance(0.1)
    finding = examine(files, known={files.mount_table[1].identity: trust})
    assert finding.trust_state == state
    assert ("trust_lost" in codes(finding)) == is_noted
    scan = finding.as_json()["scan"]
    assert (scan["unchanged_seconds"] < scan["full_seconds"]) == (state == "earned")


def test_interval_that_trust_would_allow_is_said() -> None:
    files = disk("cifs", latency=0.01)
    files.on_list = lambda path: files.advance(0.1)
    scan = examine(files).as_json()["scan"]
    assert (scan["trusted_seconds"] < scan["unchanged_seconds"], scan["trusted_every"]) == (
        True,
        "20s",
    )
    files.mount_table[1] = Mount("/mnt/nas", "exfat", "/dev/fake2")
    assert examine(files).as_json()["scan"]["trusted_every"] is None


def test_slow_mount_is_told_and_gets_a_longer_interval() -> None:
    finding = examine(disk("cifs", latency=0.5), every=10.0)
    assert finding.stat == pytest.approx(0.5)
    assert finding.listing == pytest.approx(0.5)
    assert finding.size is not None
    assert finding.size.seconds == pytest.approx(0.5 * (FOLDERS + 1))
    assert "too_often" in codes(finding)
    assert finding.advice is not None
    assert finding.advice.every == 600  # 10.5 s are 2 % of 525 s


def test_interval_of_a_crontab_line_is_not_guessed() -> None:
    finding = examine(disk("cifs", latency=0.5), cron="*/5 * * * *")
    assert finding.interval is None
    assert finding.as_json()["scan"]["share"] is None


def test_interval_that_is_left_to_the_lane_is_the_one_it_would_find() -> None:
    finding = examine(disk("cifs", latency=0.5), every="auto")
    assert finding.interval == 600  # 10.5 s are 2 % of 525 s
    assert "too_often" not in codes(finding)
    assert finding.terms is not None
    assert finding.terms.duty == 0.01


def test_verification_that_does_not_fit_is_told() -> None:
    finding = examine(disk("ext4", latency=3.0), every=60.0, verify_within=120.0)
    assert "verified_late" in codes(finding)


def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    files = disk("cifs")
    for number in range(SAMPLE + 500):
        files.makedirs(f"{TOP}/wide/{number:05}")
    files.calls.clear()
    finding = examine(files)
    assert files.calls["list"] == SAMPLE
    assert finding.size is not None
    assert finding.size.directories == pytest.approx(SAMPLE + 500 + FOLDERS + 2, rel=0.01)
    assert finding.as_json()["scan"]["is_estimate"]
    files = disk("cifs", latency=2.0)
    started = files.monotonic()
    finding = examine(files)
    assert files.monotonic() - started < 10 + 3 * 10
    assert finding.as_json()["scan"]["is_estimate"]


def test_no_cache_can_answer_its_stats() -> None:
    files = disk("cifs")
    asked: list[str] = []
    real = files.stat

    def stat(path: str) -> Stat:
        asked.append(path)
        return real(path)

    files.stat = stat  # type: ignore[method-assign]
    examine(files)
    assert len(asked) == len(set(asked)) == 1 + STATS + BURST


def test_ignored_folders_links_and_other_mounts_are_not_entered() -> None:
    files = disk("ext4")
    files.write(f"{TOP}/.git/deep/config", b"x")
    files.write(f"{TOP}/inner/file", b"x")
    files.write("/elsewhere/file", b"x")
    files.symlink("/elsewhere", f"{TOP}/link")
    files.mount_table.append(Mount(f"{TOP}/inner", "cifs", "other"))
    files.faults[("list", f"{TOP}/inner")] = errno.EIO
    files.faults[("list", f"{TOP}/.git")] = errno.EIO
    finding = examine(files)
    assert finding.size is not None
    assert finding.size.directories == FOLDERS + 1
    assert sorted(finding.as_json()["elsewhere"]) == [f"{TOP}/inner", f"{TOP}/link"]
    assert codes(finding) == []


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (errno.ENOENT, "missing"),
        (errno.ENOTDIR, "missing"),
        (errno.EACCES, "unreadable"),
        (errno.EIO, "unreadable"),
        (errno.ESTALE, "unreadable"),
        (errno.ENOTCONN, "unreadable"),
    ],
)
@pytest.mark.parametrize("operation", ["stat", "list"])
def test_folder_that_fails_is_3(number: int, state: str, operation: str) -> None:
    files = disk("cifs")
    files.faults[(operation, TOP)] = number
    finding = examine(files)
    assert finding.state == (state if operation == "stat" else "unreadable")
    assert finding.reason == os.strerror(number)
    assert exit_code([finding]) == 3
    page = finding.as_json()
    assert page["scan"] is None
    assert page["advice"] is None


def test_file_is_no_folder() -> None:
    finding = examine(disk(), f"{TOP}/d00/a")
    assert (finding.state, finding.reason) == ("missing", "not a folder")


def test_folders_below_that_cannot_be_read_are_told() -> None:
    files = disk("ext4")
    files.faults[("list", f"{TOP}/d01")] = errno.EACCES
    assert codes(examine(files)) == ["unreadable_folders"]


class Hung:
    """Workers of a mount that hangs after some answers."""

    def __init__(self, files: FakeFileSystem, answers: int) -> None:
        self._real = LocalWorkers(files)
        self._left = answers

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        self._left -= 1
        if self._left < 0:
            raise LostWorkerError("no call has returned for 10 s", is_stalled=True)
        return self._real.of(mount)

    of_long_walk = apart = of

    def requests_at_once(self, mount: Mount) -> int:
        return 1


@pytest.mark.parametrize("answers", [0, 1, 5, STATS + 1, STATS + 2])
def test_hung_mount_is_told_whenever_it_hangs(answers: int) -> None:
    files = disk("cifs")
    doctor = Doctor(files, Hung(files, answers), Settings(), {}, limit=10)
    finding = doctor.examine(Root("extra", TOP), probe=False)
    assert finding.state == "stalled"
    assert exit_code([finding]) == 3
    assert finding.advice is None
    assert json.loads(json.dumps(finding.as_json()))["reason"] == "no call has returned for 10 s"


def test_mount_that_hangs_in_the_probe_may_have_kept_its_file() -> None:
    files = disk("cifs")
    doctor = Doctor(files, Hung(files, STATS + 3), Settings(), {}, limit=10)
    finding = doctor.examine(Root("extra", TOP), probe=True)
    assert finding.state == "stalled"
    assert [note.code for note in finding.notes] == ["probe_left"]
    assert NAME_PREFIX in finding.notes[0].text


def test_automounted_folder_is_told_by_what_is_mounted_then() -> None:
    """A stat mounts nothing, so the folder is listed before the mount table is asked again."""
    files = disk("autofs")
    share = Mount("/mnt/nas", "fuse.sshfs", "nas:/v")

    def on_list(path: str) -> None:
        if share not in files.mount_table:
            files.mount_table.append(share)

    files.on_list = on_list
    finding = examine(files)
    assert (finding.state, finding.mount) == ("ok", share)


def test_settings_for_several_folders_are_those_of_the_slowest() -> None:
    near, far = examine(disk("ext4")), examine(disk("cifs", latency=0.5))
    advice = combined([near, far])
    assert advice is not None
    assert (advice.profile, advice.every) == ("nas", 600)
    assert combined([examine(disk(), "/nowhere")]) is None


# The probe


class Lying(DiskFileSystem):
    """A disk whose times count in steps, and whose folders' times may stay where they are."""

    def __init__(self, step: int = 1, *, folders_move: bool = True, ahead: float = 0.0) -> None:
        super().__init__()
        self._step = step
        self._folders_move = folders_move
        self._ahead = int(ahead * 1e9)

    def stat(self, path: str) -> Stat:
        found = super().stat(path)
        if found.is_directory and not self._folders_move:
            return found._replace(mtime=10**18)
        return found._replace(mtime=(found.mtime + self._ahead) // self._step * self._step)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    os.utime(made, (1e9, 1e9))
    return made


NAME = NAME_PREFIX + "test"


def test_probe_tells_what_it_saw_and_leaves_nothing(folder: Path) -> None:
    seen = observe(DiskFileSystem(), str(folder), NAME)
    assert (seen.is_listed, seen.creation_moved, seen.removal_moved) == (True, True, True)
    assert abs(seen.clock_offset) < 0.5
    assert granularity_of(seen.mtimes) < 0.1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("step", [1, 2])
def test_probe_shows_the_granularity(folder: Path, step: int) -> None:
    seen = observe(Lying(step * SECOND, ahead=7200), str(folder), NAME)
    assert granularity_of(seen.mtimes) == step
    assert seen.clock_offset == pytest.approx(7200, abs=step + 0.5)
    assert seen.removal_moved


def test_probe_shows_folder_times_that_stay(folder: Path) -> None:
    seen = observe(Lying(folders_move=False), str(folder), NAME)
    assert (seen.creation_moved, seen.removal_moved) == (False, False)


def test_probe_waits_for_the_attribute_cache_of_the_client(folder: Path) -> None:
    """SMB answers from its own cache for a second."""

    class Caching(DiskFileSystem):
        def __init__(self) -> None:
            super().__init__()
            self.cached: dict[str, tuple[float, Stat]] = {}

        def stat(self, path: str) -> Stat:
            since, found = self.cached.get(path, (-9.0, None))
            if found is None or self.monotonic() - since > 1.0:
                found = super().stat(path)
                self.cached[path] = (self.monotonic(), found)
            return found

    seen = observe(Caching(), str(folder), NAME)
    assert (seen.creation_moved, seen.removal_moved) == (True, True)


def test_folder_that_changed_just_before_says_less(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "REST", 10.0**9)
    assert observe(Lying(folders_move=False), str(folder), NAME).creation_moved is None


@pytest.mark.parametrize("failing", [2, 3, 5])
def test_probe_removes_its_file_after_errors(folder: Path, failing: int) -> None:
    class Failing(DiskFileSystem):
        calls = 0

        def stat(self, path: str) -> Stat:
            self.calls += 1
            if self.calls == failing:
                raise OSError(errno.EIO, "no luck", path)
            return super().stat(path)

    with pytest.raises(OSError, match="no luck"):
        observe(Failing(), str(folder), NAME)
    assert list(folder.iterdir()) == []


def test_probe_touches_no_file_that_is_there(folder: Path) -> None:
    (folder / NAME).write_text("mine")
    with pytest.raises(FileExistsError):
        observe(DiskFileSystem(), str(folder), NAME)
    assert (folder / NAME).read_text() == "mine"


# What scans have learned


def test_state_is_only_read(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.mount_table = [Mount("/", "fuse.sshfs", "nas:/models")]
    for number in range(5):
        world.files.write(at(f"ComfyUI/models/loras/{number}"), content(str(number)))
        for _ in range(4):
            world.scan()
    path = world.outputs.state
    identity = world.files.mount_table[0].identity
    assert read_trust(path)[identity].proofs == PROOFS_WANTED  # while it is in use
    world.store.close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert read_trust(path)[identity] == Trust(PROOFS_WANTED, 0)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert read_trust(str(tmp_path / "nowhere.sqlite")) == {}
    Path(path).write_bytes(b"no database")
    assert read_trust(path) == {}


# The page


def page_of(*findings: Finding, width: int = 80, encoding: str = "utf-8", **options: Any) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=out, width=width)
    print_findings(console, [finding.as_json() for finding in findings], **options)
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    return out.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 140])
def test_folders_of_one_mount_share_a_block_and_each_fact_is_a_line(width: int) -> None:
    files = disk("cifs")
    both = [examine(files), examine(files, f"{TOP}/d00"), examine(files, "/")]
    lines = page_of(*both, width=width).splitlines()
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert titles == [
        "/mnt/nas  (cifs, a network mount, from nas:/v)",
        "/  (ext4, a disk of this computer, from /dev/fake1)",
    ]
    block = lines[1 : lines.index("")]
    assert all(line.startswith(("  \u2713 ", "  ! ")) for line in block)
    assert sum("It answers: " in line for line in block) == 1
    assert (
        sum("60 files in 21 folders, " in line and line.endswith(f": {TOP}") for line in block) == 1
    )
    assert (
        sum("3 files in 1 folder, " in line and line.endswith(f": {TOP}/d00") for line in block)
        == 1
    )


def test_marks_are_plain_where_the_terminal_cannot_show_them() -> None:
    lines = page_of(examine(disk()), examine(disk(), "/nowhere"), encoding="ascii").splitlines()
    assert "  ok It answers: " in "\n".join(lines)
    assert any(line.startswith("  x  /nowhere: There is no such folder") for line in lines)


def test_reasons_are_for_those_who_ask() -> None:
    finding = examine(disk("fuse.sshfs"))
    assert "inotify" not in page_of(finding)
    assert "inotify" in " ".join(page_of(finding, is_verbose=True).split())


def test_times_in_seconds_are_a_note_and_nothing_to_act_on() -> None:
    files = disk("fuse.sshfs", granularity=SECOND)
    finding = examine(files)
    assert "coarse_times" in codes(finding)
    assert exit_code([finding]) == 0
    line = next(line for line in page_of(finding).splitlines() if "exact to 1 s" in line)
    assert line.startswith("  !  Times of files are exact to 1 s.")


def test_scans_that_take_too_long_are_to_act_on() -> None:
    finding = examine(disk("cifs", latency=0.5), every=10.0)
    assert exit_code([finding]) == 1
    assert [note["act"] for note in finding.as_json()["notes"] if note["code"] == "too_often"] == [
        True
    ]
    assert "  \u2717  models: An unchanged scan takes " in page_of(finding)


def test_the_advice_is_one_and_says_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    advice = combined([examine(disk("ext4")), examine(disk("cifs", latency=0.5))])
    assert advice is not None
    print_advice(Console(width=80), advice.as_json())
    assert "doctor --write" in capsys.readouterr().out
    print_advice(Console(width=80), advice.as_json(), "/c.toml")
    assert capsys.readouterr().out.startswith("Written to /c.toml:\n  profile = ")


# The command


def test_write_puts_the_advice_into_the_settings_file(machine: Machine) -> None:
    file = machine.work / "comfy_inventory.toml"
    file.write_text('# mine\nevery = "7m"  # why\nbacklog_time = "3s"\n')
    done = machine.run("doctor", "ComfyUI/models", "--write")
    assert f"Written to {file}:" in done.stdout
    text = file.read_text()
    assert text.startswith("# mine\n")
    assert 'backlog_time = "3s"' in text
    settings = load({"config": file}, environ={}).settings
    told = parsed(machine.run("doctor", "ComfyUI/models", "--json"))
    assert settings.every == told["advice"]["every_seconds"] != 420
    assert settings.profile == told["advice"]["profile"] == "local"


def test_measure_is_tune(machine: Machine) -> None:
    measured = parsed(machine.run("doctor", "--measure", "ComfyUI/models", "--json"))
    tuned = parsed(machine.run("tune", "ComfyUI/models", "--json"))
    assert measured.keys() == tuned.keys()
    assert measured["lanes"][0]["paths"] == tuned["lanes"][0]["paths"]


def test_another_package_named_scanner_is_told(machine: Machine, tmp_path: Path) -> None:
    info = tmp_path / "other" / "other_scanner-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-scanner\nVersion: 1\n")
    (info / "top_level.txt").write_text("scanner\n")
    environ = {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(info.parent)])}
    done = machine.run("doctor", "ComfyUI/models", expect=1, environ=environ)
    assert "other-scanner also installs a Python package named scanner here" in done.stderr
    assert "other-scanner" not in machine.run("doctor", "ComfyUI/models").stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    for kind in ("models", "custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    for number in range(24):
        write(machine.work / f"ComfyUI/models/loras/{number}.safetensors", str(number))
    return machine


def tree(top: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in top.rglob("*")}


def test_command_examines_and_writes_nothing(machine: Machine) -> None:
    before = tree(machine.work)
    done = machine.run("doctor", "ComfyUI/models", "--json")
    assert done.stderr == ""
    told = parsed(done)
    assert told["schema"] == 1
    (page,) = told["paths"]
    assert page["path"] == f"{machine.work}/ComfyUI/models"
    assert (page["scan"]["directories"], page["scan"]["files"]) == (2, 24)
    assert set(page) == {
        "path", "leads_to", "state", "reason", "mount", "events", "speed", "times",
        "stable_inodes", "folder_times", "probe", "scan", "advice", "elsewhere", "notes",
    }  # fmt: skip
    assert tree(machine.work) == before


def test_command_takes_what_would_be_scanned(machine: Machine) -> None:
    pages = parsed(machine.run("doctor", "--json"))["paths"]
    names = [os.path.basename(page["path"]) for page in pages]
    assert names == ["models", "custom_nodes", "input", "output"]


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        (Mount("/mnt/nas", "fuse", "/srv/files"), "on a view of other folders: fuse (bindfs),"),
        (Mount("/mnt/nas", "fuse.fuse-overlayfs", "fuse-overlayfs"), "on a view of other folders"),
        (Mount("/mnt/nas", "fuse", "made-up"), "on a mount of an unknown type: fuse,"),
        (Mount("/mnt/nas", "fuseblk", "/dev/sdz1"), "on a disk of this computer: fuseblk (exfat)"),
        (Mount("/mnt/nas", "NTFS", "D:"), "on a disk of this computer: NTFS, mounted"),
    ],
    ids=lambda value: value.type if isinstance(value, Mount) else "",
)
def test_page_names_what_is_mounted(
    mount: Mount, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "_format_of", lambda device: "exfat")
    files = disk()
    files.mount_table[1] = mount
    console = Console(file=io.StringIO(), width=300)
    print_findings(console, [examine(files).as_json()], is_verbose=True)
    assert words in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("proofs", "is_trusted"), [(9, True), (0, False)])
def test_a_probe_that_contradicts_the_trust_says_so(proofs: int, is_trusted: bool) -> None:
    """Not two sentences of which only one can be true."""
    files = disk("cifs")
    known = {files.mount_table[1].identity: Trust(proofs)}
    finding = examine(files, known=known)
    finding.probe = Observed((1, 2, 3), 0.0, True, creation_moved=False, removal_moved=False)
    (note,) = [note for note in notes_of(finding, Settings()) if note.code == "probe_unmoved"]
    assert ("counts against the trust" in note.text) is is_trusted


def test_page_is_for_people(machine: Machine) -> None:
    (machine.work / "link").symlink_to("ComfyUI/models")
    text = machine.run("doctor", "link", "--verbose").stdout
    for words in ("It leads to", "File events", "24 files", "Recommended settings", "every = "):
        assert words in text
    assert max(map(len, text.splitlines())) <= max(100, len(str(machine.work)) + 60)


def test_probe_leaves_the_tree_as_it_was(machine: Machine) -> None:
    names = set(tree(machine.work))
    done = machine.run("doctor", "ComfyUI/models", "--probe", "--json")
    (page,) = parsed(done)["paths"]
    assert page["probe"]["is_listed"] is True
    assert page["probe"]["creation_moved_folder_time"] in (True, None)
    assert page["probe"]["removal_moved_folder_time"] is True
    assert set(tree(machine.work)) == names


def test_trust_is_given_back_by_the_next_scan(machine: Machine) -> None:
    machine.run("doctor", "ComfyUI/models", "--trust", expect=2)  # there was no scan
    machine.run("scan")
    machine.run("doctor", "elsewhere", "--trust", expect=2)
    done = machine.run("doctor", "ComfyUI/models/loras", "--trust", "--json")
    place = f"{machine.work}/ComfyUI/models/loras"
    assert parsed(done)["trusted"] == [
        {"place": place, "applied": False, "told": f"{place}: the next scan will apply it."}
    ]
    machine.run("scan")
    with closing(State(str(machine.output.with_suffix(".state.sqlite")))) as state:
        assert state.trust_requests() == []
        assert "trust in directory mtimes" in str(state.answer_of(1))


def test_without_a_path_trust_is_given_back_to_all_roots_by_the_running_scanner(
    machine: Machine,
) -> None:
    with machine.running("run", "--every", "1s") as running:
        running.scans()
        done = machine.run("doctor", "--trust", "--json")
    trusted = parsed(done)["trusted"]
    assert {each["place"] for each in trusted} == set(machine.states())
    assert all(each["applied"] for each in trusted)
    assert all("trust in directory mtimes on" in each["told"] for each in trusted)


def test_missing_folder_is_3_and_wrong_use_2(machine: Machine) -> None:
    done = machine.run("doctor", "nowhere", "ComfyUI/models", "--json", expect=3)
    states = [page["state"] for page in parsed(done)["paths"]]
    assert states == ["missing", "ok"]
    assert "There is no such folder" in machine.run("doctor", "nowhere", expect=3).stdout
    assert "--timeout" in machine.run("doctor", "--timeout", "soon", expect=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_probe_removes_its_file_whatever_ends_doctor(
    machine: Machine, number: signal.Signals
) -> None:
    models = machine.work / "ComfyUI" / "models"
    child = subprocess.Popen(
        [sys.executable, "-m", "scanner", "doctor", "ComfyUI/models", "--probe"],
        cwd=machine.work,
        env=machine.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: list(models.glob(NAME_PREFIX + "*")), "the file")
    child.send_signal(number)
    child.wait(timeout=10)
    wait_for(lambda: not list(models.glob(NAME_PREFIX + "*")), "its end")


@pytest.fixture
def sshfs(tmp_path: Path) -> Iterator[SshfsMount]:
    (tmp_path / "source").mkdir()
    (tmp_path / "point").mkdir()
    for number in range(30):
        write(tmp_path / "source" / f"d{number}" / "x", "x")
    with SshfsMount(tmp_path / "source", tmp_path / "point") as mount:
        yield mount


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux")
def test_hung_mount_is_3_within_the_timeout(machine: Machine, sshfs: SshfsMount) -> None:
    (machine.work / "link").symlink_to(sshfs.point)
    done = machine.run("doctor", "link", "--probe", "--json")
    (page,) = parsed(done)["paths"]
    assert (page["mount"]["type"], page["mount"]["place"]) == ("fuse.sshfs", "network")
    assert page["scan"]["directories"] == 31
    assert page["probe"]["removal_moved_folder_time"] is True
    sshfs.stop_server()
    try:
        for path in ("link", sshfs.point, sshfs.point / "d1"):
            started = time.monotonic()
            done = machine.run("doctor", path, "--timeout", "2s", "--json", expect=3)
            assert time.monotonic() - started < 2 + 4
            (page,) = parsed(done)["paths"]
            assert page["state"] == "stalled"
    finally:
        sshfs.continue_server()
