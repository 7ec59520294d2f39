"""A report as a short text in Markdown, for a ticket. Names of files are code, so that nothing in
them is markup."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scanner.core.wording import count_text, size_text

MARK = b"# ComfyUI inventory, by comfy-inventory "
"""The first bytes of every report."""

MOST = 10
"""Lines of each list."""


def markdown_report(pages: Mapping[str, Any]) -> bytes:
    """The whole text."""
    head = f"{pages['tool']}\n\nAs of {pages['generated']} ({pages['zone']})."
    parts = [head, *_paragraphs(pages)]
    return MARK + "\n\n".join(parts).encode() + b"\n"


def code(text: str) -> str:
    """`text`, which is printable, as code in one line, also within a table. A bar would end the
    cell, and is a bar as code alone if it is escaped."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def _paragraphs(pages: Mapping[str, Any]) -> Iterator[str]:
    totals, clauses = pages["totals"], pages["attention"]
    yield (
        f"{count_text(totals['files'], 'file')}, {size_text(totals['bytes'])}; of these "
        f"{count_text(totals['models'], 'model')}, {size_text(totals['model_bytes'])}."
    )
    yield "Needs attention:\n\n" + _list(clauses) if clauses else "Nothing needs attention."
    yield "## Folders"
    yield _folders(pages["drives"])
    yield "## Where the space goes"
    yield _space(pages["space"])
    yield "## Problems"
    yield _problems(pages["problems"])
    yield "## Copies"
    yield _copies(pages["duplicates"])
    yield "## Changes"
    yield _changes(pages["changes"])
    yield "## Node packs"
    yield _packs(pages["packs"])


def _list(lines: Sequence[str]) -> str:
    more = [f"{len(lines) - MOST:,} more"] if len(lines) > MOST else []
    return "\n".join(f"- {line}" for line in [*lines[:MOST], *more])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _folders(drives: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for drive in drives:
        free = ""
        if "free" in drive:
            free = f"{size_text(drive['free'])} of {size_text(drive['bytes'])}"
        for root in drive["roots"]:
            state = root["state"] + (f": {code(root['reason'])}" if root["reason"] else "")
            size, place = size_text(root["bytes"]), f"{code(drive['point'])} {drive['type']}"
            rows.append((code(root["path"]), root["kind"], state, size, place, free))
    return _table(("folder", "kind", "state", "size", "drive", "free"), rows)


def _space(space: Mapping[str, Any]) -> str:
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for _, category, _, bytes_, files in space["cells"]:
        sums[category][0] += bytes_
        sums[category][1] += files
    largest = sorted(sums.items(), key=lambda item: -item[1][0])
    rows = [
        (code(space["categories"][category]), size_text(bytes_), f"{files:,}")
        for category, (bytes_, files) in largest[:MOST]
    ]
    if rest := largest[MOST:]:
        bytes_, files = (sum(sums[at] for _, sums in rest) for at in (0, 1))
        rows.append((f"{len(rest):,} more", size_text(bytes_), f"{files:,}"))
    return _table(("category", "size", "files"), rows) if rows else "No files."


def _problems(groups: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for group in groups:
        lines = []
        for row in group["rows"]:
            notes = [note for note in (row["word"], row["text"] and code(row["text"])) if note]
            lines.append(code(row["path"]) + (f": {', '.join(notes)}" if notes else ""))
        lines += [""] * (group["files"] - len(lines))  # beyond those that a report has
        parts.append(f"{group['title']}: {group['files']:,}\n\n{_list(lines)}")
    return "\n\n".join(parts) or "None."


def _copies(page: Mapping[str, Any]) -> str:
    total, proven = page["total"], page["proven"]
    if not total["sets"]:
        return "None known."
    text = (
        f"{count_text(total['files'], 'file')} too many, {size_text(total['bytes'])}; "
        f"{size_text(proven['bytes'])} of this is proven."
    )
    rows = [
        (size_text(row["wasted"]), f"{row['count']:,}", code(row["paths"][0]))
        for row in page["rows"][:MOST]
    ]
    return f"{text}\n\n{_table(('wasted', 'copies', 'one of them'), rows)}"


def _changes(page: Mapping[str, Any]) -> str:
    rows = [
        (day["date"], ", ".join(f"{count:,} {kind}" for kind, count in day["counts"].items()))
        for day in page["days"][:MOST]
    ]
    return _table(("day", "changes"), rows) if rows else f"None within {page['within']} days."


def _packs(packs: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"{code(pack['name'])} {code(pack['version']) if pack['version'] else ''}".rstrip()
        + ("" if pack["enabled"] else " (disabled)")
        for pack in packs
    ]
    return "\n".join(f"- {line}" for line in lines) or "None."
