"""Changes as lines, for people and for programs. Each line is printed as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from scanner.console.envelope import envelope
from scanner.console.terminal import KIND_STYLES, printed
from scanner.core.serialize import printable
from scanner.core.wording import count_text, size_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def print_changes(console: Console, changes: Iterable[Mapping[str, Any]]) -> int:
    """Print lines of the change list for people; their number."""
    count = 0
    for change in changes:
        console.print(_change_text(change), soft_wrap=True)
        count += 1
    return count


def write_changes(out: BinaryIO, changes: Iterable[Mapping[str, Any]]) -> int:
    """Write lines of the change list as one JSON document, a change a line; their number."""
    count = 0

    def counted() -> Iterator[Mapping[str, Any]]:
        nonlocal count
        for change in changes:
            count += 1
            yield change

    envelope().write_items(out, {}, "changes", counted(), lambda: {"count": count})
    return count


def stream_changes(changes: Iterable[Mapping[str, Any]]) -> int:
    """Write lines of the change list as they are and as they come, one JSON object a line; their
    number."""
    count = 0
    for change in changes:
        envelope().write_line(change)
        count += 1
    return count


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
