"""Progress without a terminal: a line in the log for long work, none for short work."""

from __future__ import annotations

import logging
import time

import pytest

from scanner.console import progress
from scanner.core.progress import Progress


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
        for _ in range(25):
            clock += 1
            display.walking(Progress(1, 2, 3))
    assert len(caplog.records) == 2
