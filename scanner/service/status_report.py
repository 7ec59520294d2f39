"""The JSON of the status file and of a one-shot scan's summary."""

from __future__ import annotations

from typing import Any

from scanner.core.serialize import time_text
from scanner.scan import ScanResult


def _last_scan(result: ScanResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {
        "scan": result.scan,
        "started": time_text(result.started),
        "seconds": round(result.seconds, 3),
        "directories": result.directories,
        "files": result.files,
        "changes": len(result.changes),
    }
