"""Duplicates as JSON for programs, and the page for people that is made from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from scanner.commands.duplicates.sets import Copy, DuplicateSet, Report, Total
from scanner.console.tables import _Cell, _Column, _print_table
from scanner.console.terminal import printed
from scanner.core.memory import RootRecord
from scanner.core.roots import COMPLETE
from scanner.core.serialize import mtime_fields, path_fields, readable
from scanner.core.wording import count_text, size_text

if TYPE_CHECKING:
    from rich.console import Console
SHOWN = 50
"""Sets on the page for people without --limit."""

PATHS = 5
"""Paths of a set on the page without --all."""

PROOFS = {
    "sha256": "proven by SHA-256",
    "blake3": "proven by BLAKE3",
    "xxh3": "proven by xxh3",
    "read whole": "proven, read whole",
    "fingerprint": "likely, by samples",
}

_STYLES = {True: "green", False: "yellow"}


def as_json(
    report: Report, records: Iterable[RootRecord], base: str | None, limit: int | None = None
) -> dict[str, Any]:
    """`report` for programs. It holds the first `limit` sets, and totals of all.

    `records` are the roots of the state. The roots of the sets are listed with their state: the
    files of a root that is not online are reported as they were last seen.
    """
    states = {record.id: record.state for record in records}
    shown = report.sets if limit is None else report.sets[:limit]
    touched = sorted({root for found in report.sets for root in found.roots})
    return {
        "schema": 1,
        "totals": {
            **_total(report.total),
            "proven": _total(report.proven),
            "likely": _total(report.likely),
            "over_roots": _total(report.over_roots),
        },
        "unhashed": report.unhashed,
        "not_looked_at": report.unlooked,
        "categories": [
            {"category": category or None, **_total(total)}
            for category, total in _largest_first(report.by_category)
        ],
        "roots": [
            {
                "id": readable(root),
                "state": states.get(root),
                **_total(report.by_root.get(root, Total())),
            }
            for root in touched
        ],
        "pairs": [
            {"roots": [*map(readable, pair)], "sets": total.sets, "bytes": total.bytes}
            for pair, total in _largest_first(report.by_pair)
        ],
        "sets": [_set(found, base) for found in shown],
        "sets_left_out": len(report.sets) - len(shown),
    }


def _total(total: Total) -> dict[str, int]:
    return {"sets": total.sets, "files": total.files, "wasted": total.bytes}


def _largest_first(totals: Mapping[Any, Total]) -> list[tuple[Any, Total]]:
    return sorted(totals.items(), key=lambda item: (-item[1].bytes, item[0]))


def _set(duplicate: DuplicateSet, base: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "wasted": duplicate.wasted,
        "size": duplicate.size,
        "proven": duplicate.proven,
        "evidence": duplicate.evidence,
        "digest": duplicate.digest,
        "copies": [_copy(copy, base) for copy in duplicate.copies],
    }
    if duplicate.either:
        fields["either"] = [_copy(copy, base) for copy in duplicate.either]
    return fields


def _copy(copy: Copy, base: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {**path_fields(copy.path, base), "root": readable(copy.root)}
    if copy.category:
        fields["category"] = copy.category
    fields.update(mtime_fields(copy.mtime))
    fields["hashed"] = copy.hashed
    if copy.links:
        fields["links"] = [path_fields(link, base) for link in copy.links]
    return fields


# The page


def print_duplicates(
    console: Console,
    document: Mapping[str, Any],
    most_paths: int | None = PATHS,
    marks_kept: bool = False,
) -> None:
    """Print sets, totals and sentences about them from the JSON for programs.

    Of each set at most `most_paths` paths are printed, if it is given. The first copy of a proven
    set is marked if `marks_kept`.
    """
    if document["sets"]:
        console.print(printed(f"{'wasted':>9}  {'size':>9}  {'copies':>6}", "bold"))
    for duplicate in document["sets"]:
        head = printed(f"{size_text(duplicate['wasted']):>9}  {size_text(duplicate['size']):>9}  ")
        head.append(f"{len(duplicate['copies']):>6}  ")
        head.append(PROOFS[duplicate["evidence"]], _STYLES[duplicate["proven"]])
        console.print(head)
        keeps = marks_kept and duplicate["proven"]
        lines = list(_path_lines(duplicate, keeps))
        _print_paths(console, lines, most_paths)
    if document["sets"]:
        console.print()
        _print_totals(console, document)
    for sentence in _sentences(document):
        console.print(printed(sentence), soft_wrap=not console.is_terminal)


class _Line(NamedTuple):
    text: str
    style: str = ""
    is_path: bool = True


def _path_lines(duplicate: Mapping[str, Any], keeps: bool) -> Iterator[_Line]:
    """The paths of a set as lines: a path that is folded cannot be copied."""
    for number, copy in enumerate(duplicate["copies"]):
        mark = ("keep  " if number == 0 else "      ") if keeps else ""
        yield from _copy_lines(copy, mark)
    if "either" in duplicate:
        text = "        each likely a copy of one of these, which are proven to differ:"
        yield _Line(text, "yellow", is_path=False)
        for copy in duplicate["either"]:
            yield from _copy_lines(copy, "")


def _copy_lines(copy: Mapping[str, Any], mark: str) -> Iterator[_Line]:
    yield _Line(f"    {mark}{copy['path']}")
    for link in copy.get("links", ()):
        yield _Line(f"      {mark and '      '}= {link['path']} (the same file)", "dim")


def _print_paths(console: Console, lines: Sequence[_Line], most: int | None) -> None:
    paths = sum(line.is_path for line in lines)
    # A line that says "and 1 more" would take the room of the path itself.
    left = paths if most is None or paths <= most + 1 else most
    for line in lines:
        if not left:
            break
        left -= line.is_path
        console.print(printed(line.text, line.style), soft_wrap=True)
    if most is not None and paths > most + 1:
        console.print(printed(f"    and {paths - most:,} more (--all)", "dim"))


def _print_totals(console: Console, document: Mapping[str, Any]) -> None:
    tables = {
        "category": [(item["category"] or "(none)", item) for item in document["categories"]],
        "folder": [(_folder_of(item["id"]), item) for item in document["roots"] if item["files"]],
    }
    for title, items in tables.items():
        rows = [(item["wasted"], item["files"], name) for name, item in items]
        _print_sums(console, ("wasted", "copies", title), rows)
    pairs = [
        (pair["bytes"], pair["sets"], " and ".join(map(_folder_of, pair["roots"])))
        for pair in document["pairs"]
    ]
    if pairs:
        _print_sums(console, ("in both", "sets", "folders"), pairs)


def _folder_of(root: str) -> str:
    """The path in the id of a root."""
    return root.partition(":")[2]


def _print_sums(
    console: Console, headings: Sequence[str], rows: Iterable[tuple[int, int, str]]
) -> None:
    """Print rows of bytes, a count, and what both are of."""
    first, second, last = headings
    columns = (_Column(first, True, False), _Column(second, True, False), _Column(last))
    cells = [
        (_Cell(size_text(size)), _Cell(f"{count:,}"), _Cell(name)) for size, count, name in rows
    ]
    _print_table(console, columns, cells)
    console.print()


def _sentences(document: Mapping[str, Any]) -> Iterator[str]:
    totals = document["totals"]
    if document["sets_left_out"]:
        yield f"{count_text(document['sets_left_out'], 'more set')} not shown: see --limit."
    yield _total_sentence(totals)
    if totals["over_roots"]["sets"]:
        over = totals["over_roots"]
        yield (
            f"{count_text(over['sets'], 'set')} of these, {size_text(over['wasted'])}, "
            f"{_verb(over['sets'], 'spans', 'span')} several roots."
        )
    away = [root for root in document["roots"] if root["state"] not in (None, *COMPLETE)]
    for root in away:
        yield f"{root['id']} is {root['state']}: its files are reported as last seen."
    if document["unhashed"]:
        count = document["unhashed"]
        yield (
            f"{count_text(count, 'file')} {_verb(count, 'is', 'are')} only likely to be the same "
            "as others: `comfy-inventory hash` reads them and proves it."
        )
    if document["not_looked_at"]:
        count = document["not_looked_at"]
        yield (
            f"{count_text(count, 'more file')} {_verb(count, 'has', 'have')} the size of another "
            f"and {_verb(count, 'was', 'were')} not looked at yet: "
            "`comfy-inventory hash` reads them, and `run` does in time, for models and downloads."
        )


def _total_sentence(totals: Mapping[str, Any]) -> str:
    if not totals["sets"]:
        return "No duplicates."
    sentence = f"{count_text(totals['sets'], 'set')}, {size_text(totals['wasted'])} wasted"
    proven, likely = totals["proven"], totals["likely"]
    if not likely["sets"]:
        return f"{sentence}, all proven."
    if not proven["sets"]:
        return f"{sentence}, all likely."
    return (
        f"{sentence}: {size_text(proven['wasted'])} proven, {size_text(likely['wasted'])} likely."
    )


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
