"""The last line of a one-shot scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanner.core.wording import count_text, size_text


def summary_text(summary: Mapping[str, Any]) -> str:
    """The line that sums up a one-shot scan, from its JSON."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary["kinds"].items())
    text = (
        f"{count_text(summary['files'], 'file')} in "
        f"{count_text(summary['directories'], 'folder')}, {size_text(summary['bytes'])}; "
        f"{kinds or 'no changes'}; {summary['seconds']:.2f} s; {summary['inventory']}"
    )
    return text if summary["complete"] else "interrupted; nothing was changed"
