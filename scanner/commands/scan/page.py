"""The last line of a one-shot scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanner.core.serialize import printable
from scanner.core.wording import accept_hint, count_text, size_text


def accept_texts(summary: Mapping[str, Any]) -> list[str]:
    """A line for each folder that is held or offline: the command by which a person accepts it."""
    return [
        printable(f"{item['id']} is {item['state']}. {accept_hint(item['state'], item['command'])}")
        for item in summary["accept"]
    ]


def summary_text(summary: Mapping[str, Any]) -> str:
    """The line that sums up a one-shot scan, from the JSON of `status_report.scan_summary`."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary["kinds"].items())
    kinds = kinds or "no changes"
    if not summary["complete"]:
        if not summary["committed"]:
            return "interrupted; nothing was changed"
        return (
            f"interrupted; scan {summary['scan']} was committed before that: {kinds}; "
            f"{summary['inventory']}"
        )
    return (
        f"{count_text(summary['files'], 'file')} in "
        f"{count_text(summary['directories'], 'folder')}, {size_text(summary['bytes'])}; "
        f"{kinds}; {summary['seconds']:.2f} s; {summary['inventory']}"
    )
