"""`doctor`, `tune` and `--every auto` recommend the same interval for one folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.commands.doctor.examine import Doctor
from scanner.commands.doctor.finding import Finding
from scanner.commands.tune.costs import Cost, Measured, Spent, advise
from scanner.commands.tune.measure import Tuner
from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.disk.trust import PROOFS_WANTED, Trust
from scanner.service.pace import WANTED, Pace
from scanner.settings.load import load
from scanner.settings.schema import Settings
from scanner.walk.cost import INTERVALS, Budget, ScanCost, choose, verification_duty
from scanner.walk.verification import Terms
from scanner.workers.pool import LocalWorkers
from tests.support.fakes import FakeFileSystem

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")


def doctors_finding(cost: ScanCost, settings: Settings) -> Finding:
    files = FakeFileSystem()
    doctor = Doctor(files, LocalWorkers(files), settings, {}, limit=10)
    finding = Finding("/m", "/m", Mount("/", "ext4", "/dev/fake1"), Trust())
    finding.cost = cost
    doctor._conclude(finding)
    return finding


def doctors_interval(cost: ScanCost, settings: Settings) -> float | None:
    advice = doctors_finding(cost, settings).advice
    assert advice is not None
    return advice.every


def tunes_interval(cost: ScanCost, settings: Settings) -> float | None:
    quiet = None if cost.quiet is None else Spent(cost.quiet, folders=cost.directories)
    measured = Cost(Spent(cost.everything, folders=cost.directories), quiet, settle=0.0)
    lane = Measured("local", False, (), 0.0, 1, Spent(), measured, None)
    return advise([lane], Budget.of(settings)).every


def auto_interval(cost: ScanCost, settings: Settings) -> float:
    """The interval at which a lane stays that begins with the shortest one."""
    pace = Pace(settings.auto_duty, INTERVALS[0])
    duty = verification_duty(settings.duty, settings.auto_duty)
    pace.measured(cost.everything)
    for _ in range(len(INTERVALS) * WANTED):
        pace.measured(cost.scan(Terms(pace.every, settings.verify_within, duty)))
    return pace.every


@pytest.mark.parametrize("every", ["30s", "auto"])
@pytest.mark.parametrize("auto_duty", [0.01, 0.02, 0.05, 0.3])
@pytest.mark.parametrize(
    "cost",
    [
        ScanCost(5, 0.01, None),
        ScanCost(100, 0.5, None),
        ScanCost(2041, 2.23, None),
        ScanCost(2041, 2.23, 0.7),
        ScanCost(1000, 10.0, 1.0),
        ScanCost(1000, 10.0, None),
        ScanCost(100_000, 30.0, 9.0),
    ],
)
def test_doctor_tune_and_auto_agree(cost: ScanCost, auto_duty: float, every: str) -> None:
    settings = load({"auto_duty": auto_duty, "every": every}, environ={}).settings
    interval = choose(cost, Budget.of(settings)).every
    assert interval is not None
    assert doctors_interval(cost, settings) == interval
    assert tunes_interval(cost, settings) == interval
    assert auto_interval(cost, settings) == interval


@pytest.mark.parametrize("proofs", [0, PROOFS_WANTED])
@pytest.mark.parametrize("latency", [0.001, 0.03, 0.1, 0.4])
def test_doctor_and_tune_agree_on_a_folder(tmp_path: Path, latency: float, proofs: int) -> None:
    files = FakeFileSystem()
    mount = Mount("/mnt/nas", "cifs", "nas:/v")
    files.mount_table = [Mount("/", "ext4", "/dev/fake1"), mount]
    for number in range(40):
        files.write(f"/mnt/nas/models/d{number:02}/a", b"x")
    files.advance(3600)
    files.latency = latency
    known, root = {mount.identity: Trust(proofs)}, Root("extra", "/mnt/nas/models")
    workers, settings = LocalWorkers(files), Settings()
    finding = Doctor(files, workers, settings, known, limit=10).examine(root, probe=False)
    with Tuner(files, workers, settings, known, [root], str(tmp_path)) as tuner:
        lanes = tuner.run()
    assert finding.advice is not None
    assert finding.advice.every == advise(lanes, Budget.of(settings)).every


def test_folder_that_no_interval_fits_has_a_note() -> None:
    cost, settings = ScanCost(1000, 100.0, None), Settings()
    assert tunes_interval(cost, settings) is None
    assert doctors_interval(cost, settings) == auto_interval(cost, settings) == INTERVALS[-1]
    assert [note.code for note in doctors_finding(cost, settings).notes][-1] == "nothing_fits"
