"""Changes as lines, for people and for programs. Each line is printed as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from scanner.console.terminal import KIND_STYLES, printed
from scanner.core.serialize import printable
from scanner.core.wording import count_text, size_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def print_changes(console: Console, changes: Iterable[Mapping[str, Any]]) -> None:
    """Print lines of the change list for people."""
    for change in changes:
        console.print(_change_text(change), soft_wrap=True)


def write_changes(out: BinaryIO, changes: Iterable[Mapping[str, Any]]) -> None:
    """Write lines of the change list as they are, one JSON object a line."""
    for change in changes:
        out.write(orjson.dumps(change, option=orjson.OPT_APPEND_NEWLINE))
        out.flush()


def _change_text(change: Mapping[str, Any]) -> Text:
    kind = change["kind"]
    text = printed(f"{change['time'][:19].replace('T', ' ')}  ")
    text.append(f"{kind:<9}", KIND_STYLES.get(kind, ""))
    if "from" in change:
        text.append(f"{printable(change['from'])} -> ")
    text.append(printable(change["path"]) + ("/" if change["type"] == "directory" else ""))
    details = []
    if "files" in change:
        details.append(count_text(change["files"], "file"))
    if "bytes" in change or "size" in change:
        details.append(size_text(change.get("bytes", change.get("size", 0))))
    if "reason" in change:
        details.append(printable(change["reason"]))
    if details:
        text.append(f"  ({', '.join(details)})", "dim")
    return text
