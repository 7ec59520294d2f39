"""Which copy of a set is kept, and the script that deals with the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from scanner.commands.duplicates.page import PROOFS
from scanner.commands.duplicates.sets import Copy, DuplicateSet, Report
from scanner.commands.scripts.plan import Group, Known, Plan
from scanner.core.memory import RootRecord
from scanner.core.paths import is_below
from scanner.core.serialize import printable
from scanner.core.wording import count_text, size_text
from scanner.disk.mounts import Mount
from scanner.errors import SettingsError

KEEPS = ("fastest", "oldest", "newest", "in PATH")

_SPEEDS = ("disk", "host", "network", "unknown")
"""Localities of mounts, the one that answers fastest first."""


class Keep(NamedTuple):
    """The rule by which the copy to keep is chosen."""

    word: str = ""
    """One of `KEEPS`; empty for the order in which copies are listed."""
    path: str = ""
    """Absolute; for `in PATH`."""


def parse_keep(text: str, cwd: str) -> Keep:
    """The rule that `text` names; a path is relative to `cwd`. Raises SettingsError."""
    word, _, path = text.strip().partition(" ")
    if word.lower() == "in" and path.strip():
        return Keep("in PATH", os.path.abspath(os.path.join(cwd, path.strip())))
    if not path and word.lower() in KEEPS:
        return Keep(word.lower())
    raise SettingsError(
        f'--keep: expected fastest, oldest, newest or "in PATH", not {printable(text)!r}.'
    )


def kept_first(report: Report, keep: Keep, records: Sequence[RootRecord]) -> Report:
    """`report` with the copy that `keep` chooses at the start of each proven set."""
    key = _key(keep, records)
    return replace(
        report,
        sets=tuple(
            found._replace(copies=tuple(sorted(found.copies, key=key))) if found.proven else found
            for found in report.sets
        ),
    )


def _key(keep: Keep, records: Sequence[RootRecord]) -> Callable[[Copy], int]:
    """Sort key of copies; those of equal key stay in the order in which they are listed."""
    if keep.word == "fastest":
        speeds = {record.path: _speed(record) for record in records}
        tops = sorted(speeds, key=len, reverse=True)

        def speed(copy: Copy) -> int:
            return speeds[next(top for top in tops if is_below(copy.path, top))]

        return speed
    if keep.word == "oldest":
        return lambda copy: copy.mtime
    if keep.word == "newest":
        return lambda copy: -copy.mtime
    return lambda copy: not _is_protected(copy, keep) if keep.path else 0


def _speed(record: RootRecord) -> int:
    identity = record.mount_identity
    type_ = identity.type if identity else record.filesystem
    source = identity.source if identity else ""
    return _SPEEDS.index(Mount(record.mount_point, type_, source).locality)


def _is_protected(copy: Copy, keep: Keep) -> bool:
    return any(is_below(path, keep.path) for path in (copy.path, *copy.links))


# The script


def plan_of(sets: Iterable[DuplicateSet], action: str, keep: Keep) -> Plan:
    """The steps for `sets`, in which the kept copy comes first, and remarks on what has none.

    Only proven sets get steps. With `in PATH` no copy there gets one, and no set without any. A
    copy that links lead to is not deleted: they would lead nowhere.
    """
    groups: list[Group] = []
    remarks: list[str] = []
    unproven: list[DuplicateSet] = []
    for found in sets:
        if not found.proven:
            unproven.append(found)
            continue
        first, *others = found.copies
        if keep.path and not _is_protected(first, keep):
            remarks.append(f"No copy lies in {printable(keep.path)}: {printable(first.path)}")
            continue
        candidates = [copy for copy in others if not (keep.path and _is_protected(copy, keep))]
        if action == "delete":
            remarks += [
                f"Not deleted, links lead to it: {printable(copy.path)}"
                for copy in candidates
                if copy.links
            ]
            candidates = [copy for copy in candidates if not copy.links]
        if candidates:
            known = [Known(copy.path, found.size, copy.mtime) for copy in (first, *candidates)]
            about = (
                f"{len(found.copies):,} copies of {size_text(found.size)}, "
                f"{PROOFS[found.evidence]} ({found.digest})"
            )
            groups.append(Group(about, known[0], tuple(known[1:])))
    return Plan(action, groups, [*remarks, *_unproven(unproven)])


def _unproven(sets: Sequence[DuplicateSet]) -> Iterable[str]:
    if not sets:
        return
    yield ""
    yield "Only likely to be copies, so there is no step for them. This command proves it:"
    yield "    comfy-inventory hash"
    for found in sets:
        yield f"{size_text(found.size)} each:"
        for copy in (*found.copies, *found.either):
            yield f"    {printable(copy.path)}"


def summary(plan: Plan) -> str:
    """A sentence about the script, for the person who asked for it."""
    files = sum(len(group.candidates) for group in plan.groups)
    if not files:
        return "There is nothing to do for a script: no proven set has a copy that may go."
    size = sum(group.keep.size * len(group.candidates) for group in plan.groups)
    return (
        f"The script has a step for {count_text(files, 'file')} of "
        f"{count_text(len(plan.groups), 'set')}, {size_text(size)}. Nothing was changed: read it "
        "before you run it."
    )
