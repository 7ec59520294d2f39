"""The JSON of the status file and of a one-shot scan's summary."""

from __future__ import annotations

from typing import Any

from scanner.core.serialize import time_text
from scanner.scan import Outcome


def _last_scan(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {
        "scan": outcome.scan,
        "started": time_text(outcome.started),
        "seconds": round(outcome.seconds, 3),
        "directories": outcome.directories,
        "files": outcome.files,
        "changes": len(outcome.changes),
    }
