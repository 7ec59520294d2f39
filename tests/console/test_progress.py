"""Progress: on a terminal a line that is redrawn, elsewhere a line in the log for long work."""

from __future__ import annotations

import io
import logging
import re
import time

import pytest
from rich.console import Console

from scanner.console import progress
from scanner.core.progress import Progress, Progressed, Remaining


def test_short_scans_write_no_progress_however_long_they_are_apart(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    display = progress._Plain()
    with caplog.at_level(logging.INFO, "scanner"):
        for _ in range(5):
            clock += 30
            display.walking(Progress(1, 2, 3))
            clock += 1
            display.walking(Progress(2, 3, 4))
            display.idle()
        assert not caplog.records
        for _ in range(150):
            clock += 1
            display.walking(Progress(1, 2, 3))
    assert len(caplog.records) == 2


def test_only_the_first_wait_has_a_line_that_says_how_long_it_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    display = progress._Plain()
    with caplog.at_level(logging.INFO, "scanner"):
        display.settling(0.1)
        display.idle()
        for seconds in (19.4, 19.2, 0.2, 19.9):
            display.settling(seconds)
            display.idle()
    assert caplog.messages == ["waiting for 20 s: new files must stand still before they are read."]


def test_terminal_counts_down_and_then_shows_a_bar_with_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=80)
    monkeypatch.setattr(progress, "_terminal", lambda: terminal)
    monkeypatch.setattr(progress, "SHOW_AFTER", 0.0)
    display = progress._Live()
    display.settling(17.2)
    display.settling(16.4)
    display.reading(Progressed(10, 10, Remaining(90, 90)))
    time.sleep(0.05)
    display.reading(Progressed(40, 40, Remaining(60, 60)))
    assert display._bar is not None
    display._bar.refresh()
    display.headers(640)
    display.idle()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    waited, _, read = text.partition("fingerprints:")
    read, _, headers = read.partition("headers:")
    assert "640 files read" in headers
    assert "waiting: 18 s left, new files must stand still before they are read" in waited
    assert "fingerprints" not in waited
    assert "60 left, 60 B" in read
    assert re.search(r"files/s +\d:\d\d:\d\d", read)
    assert "waiting" not in read
