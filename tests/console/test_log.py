"""The log file under logrotate: no line is lost, and nothing of others is written to."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scanner.console.log import _clock_text, start_log
from scanner.console.steps import _log_check
from scanner.errors import OutputError
from scanner.output.file_names import Outputs
from scanner.output.refusals import refuse_log_file
from scanner.settings.load import load
from scanner.settings.schema import Settings
from tests.support.machine import wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="open files cannot be renamed there")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """The path of a log that is written."""
    logger = logging.getLogger("scanner")
    before = logger.handlers[:], logger.level, logger.propagate
    path = tmp_path / "it.log"
    outputs = Outputs(str(tmp_path / "i.json"), str(tmp_path), str(path))
    start_log(Settings(log_file=path), lambda: refuse_log_file(outputs))
    yield path
    logger.handlers[:], logger.level, logger.propagate = before


def tell(*texts: str) -> None:
    for text in texts:
        logging.getLogger("scanner.test").info("%s", text)


def words(path: Path) -> list[str]:
    text = path.read_text()
    assert "\0" not in text, "a hole"
    return [line.split()[-1] for line in text.splitlines()]


def holds(path: Path, *texts: str) -> Callable[[], bool]:
    return lambda: path.exists() and words(path) == list(texts)


def test_a_renamed_log_is_followed_by_a_new_one(file: Path) -> None:
    written: list[str] = []
    for turn in range(3):
        tell(f"{turn}a", f"{turn}b")
        wait_for(holds(file, f"{turn}a", f"{turn}b"), "the log is written")
        file.rename(old := file.with_name(f"it.log.{turn}"))
        written += words(old)
    assert written == ["0a", "0b", "1a", "1b", "2a", "2b"]


def test_a_new_file_that_logrotate_made_is_used(file: Path) -> None:
    tell("before")
    wait_for(holds(file, "before"), "the log is written")
    file.rename(old := file.with_name("it.log.1"))
    file.touch(mode=0o640)
    tell("after")
    wait_for(holds(file, "after"), "the new file is written")
    assert words(old) == ["before"]


def test_a_removed_log_is_made_again(file: Path) -> None:
    tell("before")
    wait_for(holds(file, "before"), "the log is written")
    file.unlink()
    tell("after")
    wait_for(holds(file, "after"), "the log is made again")


def test_a_log_that_was_copied_and_cut_begins_anew(file: Path) -> None:
    """logrotate's `copytruncate`: no hole of zeros, no line at its old place."""
    tell("before")
    wait_for(holds(file, "before"), "the log is written")
    os.truncate(file, 0)
    tell("after")
    wait_for(holds(file, "after"), "the log begins anew")


def test_what_is_not_a_log_is_not_written_to(file: Path) -> None:
    tell("before")
    wait_for(holds(file, "before"), "the log is written")
    file.rename(old := file.with_name("it.log.1"))
    file.write_bytes(b"weights")
    tell("after")
    wait_for(holds(old, "before", "after"), "the old file is written on")
    assert file.read_bytes() == b"weights"


def test_the_check_of_a_command_looks_again(tmp_path: Path) -> None:
    file = tmp_path / "it.log"
    check = _log_check(load({"log_file": str(file), "output": str(tmp_path / "i.json")}))
    file.write_bytes(b"weights")
    with pytest.raises(OutputError, match="not a log of this program"):
        check()


def test_times_of_the_log_are_local_unless_utc_is_asked_for(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    record = logging.LogRecord("scanner", logging.INFO, "", 0, "x", None, None)
    record.created, record.msecs = 1_700_000_000.0, 0.0
    shown = {}
    for utc in (False, True):
        start_log(Settings(log_file=tmp_path / "other.log"), utc=utc)
        shown[utc] = logging.getLogger("scanner").handlers[-1].format(record)
    moment = datetime.fromtimestamp(record.created)
    on_terminal = [str(_clock_text(zone, moment)) for zone in (None, UTC)]
    monkeypatch.undo()
    time.tzset()
    assert shown[False].startswith("2023-11-14 17:13:20 ")
    assert shown[True].startswith("2023-11-14 22:13:20 ")
    assert on_terminal == ["17:13:20", "22:13:20"]
