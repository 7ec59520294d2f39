"""Roots that change while the service runs, on a fake disk, in turns that the test calls."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scanner.comfyui.installation import Found, UnreadFile
from scanner.core.progress import Display
from scanner.core.roots import Root, SearchedFolder
from scanner.errors import SettingsError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import read_entries, read_header
from scanner.output.journal_reader import read
from scanner.output.status_file import read_status
from scanner.service import root_watch
from scanner.service.lanes import LOCAL
from scanner.service.opening import assembled
from scanner.service.service import Service, Turn
from scanner.settings.schema import Settings
from tests.support.fakes import FakeFileSystem

FILE = "/comfy/extra_model_paths.yaml"
MODELS = Root("models", "/models")
NAS = Root("models", "/nas", "loras", FILE)


def found(*roots: Root, problem: str = "") -> Found:
    unread = (UnreadFile(FILE, problem),) if problem else ()
    return Found("/comfy", "/", roots, unread=unread)


class ByHand:
    """A schedule whose turns the test calls."""

    def __init__(self) -> None:
        self.turns: dict[str, Turn] = {}

    def add(self, lane_id: str, turn: Turn) -> None:
        self.turns[lane_id] = turn

    def set_every(self, lane_id: str, seconds: float) -> None:
        pass

    def next_due(self, lane_id: str) -> None:
        return None

    def run(self, stop: threading.Event, patience: float) -> bool:
        return True


class Running:
    """A service whose next look at the files that name roots gives `now`."""

    def __init__(self, service: Service, files: FakeFileSystem, outputs: Outputs) -> None:
        self.files = files
        self.outputs = outputs
        self.schedule = ByHand()
        service.run(self.schedule, Display())

    def turn(self) -> None:
        self.files.advance(60)
        self.schedule.turns[LOCAL](lambda: 20.0)

    def roots(self) -> list[str]:
        header = read_header(self.outputs.inventory)
        assert header is not None
        return [root["path"] for root in header["roots"]]

    def lines(self) -> list[tuple[str, str, str]]:
        return [(x["kind"], x["path"], x.get("reason", "")) for x in read(self.outputs.journal)]


class Finder:
    """Finds what the test says."""

    def __init__(self, first: Found) -> None:
        self.now: Found | Callable[[], Found] = first

    def __call__(self) -> Found:
        return self.now() if callable(self.now) else self.now


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    monkeypatch.setattr(root_watch, "REST", 0)
    return Finder(found(MODELS))


@pytest.fixture
def running(tmp_path: Path, finder: Finder) -> Iterator[Running]:
    files = FakeFileSystem()
    files.write("/models/a", b"x")
    files.write("/nas/b", b"x")
    outputs = Outputs(str(tmp_path / "i.json"), str(tmp_path))
    with assembled(Settings(), finder(), outputs, files, finder) as service:
        yield Running(service, files, outputs)


def test_root_that_a_file_names_later_is_scanned(running: Running, finder: Finder) -> None:
    running.turn()
    finder.now = found(MODELS, NAS)
    running.turn()
    assert running.roots() == ["models", "nas"]
    assert running.lines()[1:] == [("baseline", "nas", "added")]


@pytest.mark.parametrize("problem", ["it is empty", "it is missing"])
def test_root_stays_while_its_file_is_not_whole(
    running: Running, finder: Finder, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    finder.now = found(MODELS, NAS)
    running.turn()
    finder.now = found(MODELS, problem=problem)
    with caplog.at_level(logging.WARNING, "scanner"):
        for _ in range(3):
            running.turn()
    assert running.roots() == ["models", "nas"]
    assert [kind for kind, *_ in running.lines()] == ["baseline", "baseline"]
    assert len([r for r in caplog.records if problem in r.getMessage()]) == 1


def test_root_is_removed_when_two_looks_agree(running: Running, finder: Finder) -> None:
    """The file may be whole by chance while somebody writes it."""
    finder.now = found(MODELS, NAS)
    running.turn()
    finder.now = found(MODELS)
    running.turn()
    assert running.roots() == ["models", "nas"]
    finder.now = found(MODELS, NAS)
    running.turn()
    finder.now = found(MODELS)
    running.turn()
    running.turn()
    assert running.roots() == ["models"]
    assert running.lines()[2:] == [("baseline", "nas", "removed")]


def test_file_that_cannot_be_read_changes_nothing(running: Running, finder: Finder) -> None:
    def fails() -> Found:
        raise SettingsError("extra_model_paths_config: gone")

    finder.now = found(MODELS, NAS)
    running.turn()
    finder.now = fails
    running.turn()
    running.turn()
    assert running.roots() == ["models", "nas"]


def shadowed_in(running: Running) -> list[str]:
    entries = read_entries(running.outputs.inventory)
    shadowed = [entry["path"] for entry in entries if "shadowed_by" in entry]
    status = read_status(running.outputs.status)
    assert status is not None
    assert status["shadowed"] == len(shadowed)
    return shadowed


def test_another_order_of_the_folders_is_shown_with_the_next_scan(
    running: Running, finder: Finder
) -> None:
    """A file that says `is_default` now moves no file. While it is away its order stays."""
    running.files.write("/models/loras/b", b"y")
    own = replace(MODELS, searched=(SearchedFolder("/models", 0),))
    last, first = (
        replace(NAS, searched=(SearchedFolder("/nas", order, FILE),)) for order in (20, -20)
    )
    for now, expected in (
        (found(own, last), []),
        (found(own, last), ["nas/b.pt"]),
        (found(own, first), ["models/loras/b.pt"]),
        (found(own, problem="it is missing"), ["models/loras/b.pt"]),
        (found(own, last), ["nas/b.pt"]),
    ):
        finder.now = now
        running.turn()
        assert shadowed_in(running) == expected
        for path in ("/models/loras/b.pt", "/nas/b.pt"):
            running.files.write(path, b"x")
    assert {kind for kind, *_ in running.lines()} == {"baseline", "created"}


def test_look_without_open_files_is_a_warning_and_changes_nothing(
    running: Running, finder: Finder, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> Found:
        raise OSError(errno.EMFILE, "Too many open files")

    finder.now = found(MODELS, NAS)
    running.turn()
    finder.now = fails
    with caplog.at_level(logging.WARNING, "scanner.service.root_watch"):
        running.turn()
        running.turn()
    assert running.roots() == ["models", "nas"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "Too many open files" in told[0]


def test_look_that_hangs_delays_no_later_turn(
    running: Running, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_watch, "PATIENCE", 0.05)
    answers = threading.Event()

    def hangs() -> Found:
        answers.wait(10)
        return found(MODELS, NAS)

    finder.now = hangs
    running.turn()
    running.files.write("/models/new", b"x")
    running.turn()
    assert running.lines()[1:] == [("created", "models/new", "")]
    answers.set()
