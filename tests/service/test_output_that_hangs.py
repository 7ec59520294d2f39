"""The output's mount hangs while the loop runs: the lanes go on, and nothing is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.comfyui.installation import Found
from scanner.core.progress import Display
from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.errors import OutputError
from scanner.output import status_file
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import read_entries
from scanner.output.inventory_writer import InventoryWriter
from scanner.output.journal import Journal
from scanner.output.journal_reader import read
from scanner.service import opening
from scanner.service import service as service_module
from scanner.service.lanes import LOCAL
from scanner.service.opening import assembled
from scanner.service.service import Service
from scanner.settings.schema import Settings
from scanner.workers.pool import WorkersByMount
from tests.service.test_root_watch import ByHand
from tests.support.fakes import FakeFileSystem, FakeWorkers
from tests.support.machine import wait_for

NAS = Mount("/nas", "nfs4", "nas:/models")
NAS_LANE = "nfs4 /nas"


class Disk:
    """The mount of the output: while it hangs, no write on it ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers = threading.Event()
        self.answers.set()
        for class_, name in (
            (Journal, "append"),
            (Journal, "recover"),
            (InventoryWriter, "write"),
        ):
            monkeypatch.setattr(class_, name, self._waiting(getattr(class_, name)))
        write_status = self._waiting(status_file.write_status)
        monkeypatch.setattr(service_module, "write_status", write_status)

    def _waiting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def waiting(*arguments: Any, **options: Any) -> Any:
            self.answers.wait(30)
            return call(*arguments, **options)

        return waiting


class Running:
    def __init__(self, service: Service, files: FakeFileSystem, outputs: Outputs) -> None:
        self.service = service
        self.files = files
        self.outputs = outputs
        self.schedule = ByHand()
        service.run(self.schedule, Display())

    def turns(self) -> None:
        self.files.advance(60)
        for lane in (LOCAL, NAS_LANE):
            self.schedule.turns[lane](lambda: 20.0)

    def created(self) -> list[str]:
        return [line["path"] for line in read(self.outputs.journal) if line["kind"] == "created"]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    for name in ("PATIENCE", "EXIT_PATIENCE"):
        monkeypatch.setattr(service_module, name, 0.2)
    disk = Disk(monkeypatch)
    yield disk
    disk.answers.set()


class Workers(FakeWorkers):
    """Answers on the fake disk for every mount."""

    def close(self) -> None: ...


@pytest.fixture
def running(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(
        WorkersByMount, "from_settings", lambda settings, files, stop: Workers(files)
    )
    files = FakeFileSystem()
    files.mount_table.append(NAS)
    files.write("/models/a", b"x")
    files.write("/nas/b", b"x")
    outputs = Outputs(str(tmp_path / "i.json"), str(tmp_path), may_hang=True)
    found = Found(None, None, (Root("models", "/models"), Root("models", NAS.point)))
    with assembled(Settings(), found, outputs, files) as service:
        running = Running(service, files, outputs)
        running.turns()
        running.turns()
        yield running
        disk.answers.set()
        wait_for(lambda: not service.is_late, "the end of the writes")


def test_lanes_go_on_and_everything_is_written_later(running: Running, disk: Disk) -> None:
    disk.answers.clear()
    for number in range(3):
        running.files.write(f"/models/new {number}", b"x")
        running.files.write(f"/nas/new {number}", b"x")
        running.turns()
    snapshot = running.service._scanner.store.snapshot
    assert "new 2" in snapshot["/models"].listing.split_names()
    assert "new 2" in snapshot["/nas"].listing.split_names()
    assert running.created() == []
    disk.answers.set()
    wait_for(lambda: not running.service.is_late, "the end of the writes")
    running.turns()
    expected = sorted(f"/{top}/new {n}" for top in ("models", "nas") for n in range(3))
    assert sorted(running.created()) == expected
    paths = {entry["path"] for entry in read_entries(running.outputs.inventory)}
    assert paths.issuperset(expected)


def test_end_says_that_nothing_was_written(running: Running, disk: Disk) -> None:
    disk.answers.clear()
    running.files.write("/models/new", b"x")
    running.turns()
    with pytest.raises(OutputError, match="does not answer"):
        running.service.finish()
    disk.answers.set()
    wait_for(lambda: not running.service.is_late, "the end of the writes")
    running.service.finish()
    assert running.created() == ["/models/new"]


class DiskWithShare(DiskFileSystem):
    """A disk on which the folder of a test is a network mount."""

    point = ""

    def mounts(self) -> list[Mount]:
        return [Mount("/", "ext4", "/dev/sda1"), Mount(self.point, "nfs4", "nas:/home")]


@pytest.mark.parametrize("is_home_remote", [False, True])
def test_state_in_a_home_on_a_network_mount_is_warned_of(
    tmp_path: Path,
    is_home_remote: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    share, local = tmp_path / "share", tmp_path / "local"
    share.mkdir()
    monkeypatch.setattr(DiskWithShare, "point", str(share))
    monkeypatch.setattr(opening, "DiskFileSystem", DiskWithShare)
    monkeypatch.setenv("XDG_STATE_HOME", str((share if is_home_remote else local) / "state"))
    found = Found(None, None, (Root("models", str(tmp_path)),))
    settings = Settings(output=share / "i.json")
    with (
        caplog.at_level(logging.WARNING, "scanner"),
        opening.open_service(settings, found, str(tmp_path)),
    ):
        pass
    warnings = [record.getMessage() for record in caplog.records]
    assert any("the inventory is kept in" in warning for warning in warnings)
    assert any("set XDG_STATE_HOME" in warning for warning in warnings) == is_home_remote
