"""What `doctor` found as facts: one short line each, with a mark. No I/O."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from scanner.core.wording import count_text, seconds_text, share_text
from scanner.settings.values import format_duration

OK, NOTE, ACT = "ok", "!", "x"

PLACES = {
    "disk": "a disk of this computer",
    "network": "a network mount",
    "host": "on the host of this virtual system",
    "unknown": "a mount of an unknown type",
}

FAILURES = {
    "missing": "There is no such folder",
    "unreadable": "It cannot be read",
    "stalled": "It does not answer",
    "unreachable": "It cannot be reached",
}

TRUST = {
    "by type": (OK, "Folder times are reliable on this type, which saves listing."),
    "earned": (OK, "Folder times have proven reliable, which saves listing."),
    "to be earned": (NOTE, "Folder times are not trusted yet: every scan lists every folder."),
    "never": (NOTE, "Folder times do not show changes: every scan lists every folder."),
}

WORTH_SAYING = 0.01
"""Share of the time that scans take, from which on it is shown."""

_SAID = frozenset(("never_trusted", "coarse_times"))
"""Codes of notes that the facts of a mount say already."""


class Fact(NamedTuple):
    """One line: `mark` is OK, NOTE (good to know) or ACT (something to act on)."""

    mark: str
    text: str


class Block(NamedTuple):
    """A mount, with the facts about it and the folders on it."""

    title: str
    facts: tuple[Fact, ...]
    findings: tuple[Mapping[str, Any], ...]


def blocks_of(findings: Iterable[Mapping[str, Any]]) -> list[Block]:
    """A block for each mount. `findings` are in their JSON form."""
    mounts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for finding in findings:
        mount = finding["mount"]
        mounts.setdefault((mount["point"], mount["type"]), []).append(finding)
    return [
        Block(_title(own[0]), tuple(dict.fromkeys(_facts(own))), tuple(own))
        for own in mounts.values()
    ]


def _title(finding: Mapping[str, Any]) -> str:
    mount = finding["mount"]
    kind = f"{mount['type']}, {PLACES[mount['place']]}"
    if mount["source"] not in ("", mount["type"]):
        kind += f", from {mount['source']}"
    return f"{mount['point'] or finding['path']}  ({kind})"


def _facts(findings: Iterable[Mapping[str, Any]]) -> Iterator[Fact]:
    examined = [finding for finding in findings if finding["scan"] is not None]
    if examined:
        yield from _mount_facts(examined)
    for finding in findings:
        yield from _folder_facts(finding)


def _mount_facts(findings: list[Mapping[str, Any]]) -> Iterator[Fact]:
    slowest = max((finding["speed"] for finding in findings), key=lambda s: s["listing_seconds"])
    stat, listing = (seconds_text(slowest[key]) for key in ("stat_seconds", "listing_seconds"))
    yield Fact(OK, f"It answers: {stat} for one file, {listing} for a folder.")
    steps = [finding["times"]["granularity_seconds"] for finding in findings]
    if step := max((step for step in steps if step is not None), default=0):
        text = f"Times of files are exact to {seconds_text(step)}."
        late = " A change right after a scan may be seen late." if step >= 1 else ""
        yield Fact(NOTE if late else OK, text + late)
    trust = findings[0]["folder_times"]["trust"]
    if trust in TRUST:  # of a lost one there is a note
        yield Fact(*TRUST[trust])
    if any(finding["probe"] is not None for finding in findings):
        yield Fact(OK, "A file was made and removed to try it.")


def _folder_facts(finding: Mapping[str, Any]) -> Iterator[Fact]:
    name, scan = finding["path"], finding["scan"]
    if finding["state"] != "ok":
        reason = finding["reason"]
        yield Fact(ACT, f"{name}: {FAILURES[finding['state']]}: {reason}.")
    if scan is not None:
        folders = count_text(scan["directories"], "folder")
        about = "about " if scan["is_estimate"] else ""
        text = f"{about}{count_text(scan['files'], 'file')} in {folders}, "
        text += f"{seconds_text(scan['unchanged_seconds'])} a scan"
        if scan["share"] is not None and scan["share"] >= WORTH_SAYING:
            every = format_duration(scan["every_seconds"])
            text += f" ({share_text(scan['share'])} of the time, every {every})"
        yield Fact(OK, f"{text}: {name}")
    for note in finding["notes"]:
        if note["code"] not in _SAID:
            mark = ACT if note["act"] else NOTE
            yield Fact(mark, f"{os.path.basename(name) or name}: {note['text']}")
