"""A finding in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.console.terminal import print_indented
from scanner.core.wording import count_text, seconds_text, share_text
from scanner.settings.values import format_duration

if TYPE_CHECKING:
    from rich.console import Console
PLACES = {
    "disk": "on a disk of this computer",
    "network": "on another computer",
    "host": "on the computer around this system",
    "unknown": "on a mount of a type that is not known here",
}

EVENTS = {
    "all": "File events (inotify and its kin) would tell of changes here as well.",
    "own": "File events (inotify and its kin) tell only of changes made through this mount, so a "
    "program that waits for them would miss all others without a word. Polling does not.",
    "unknown": "Whether file events (inotify and its kin) tell of all changes is not known.",
}

FAILURES = {
    "missing": "There is no such folder",
    "unreadable": "It cannot be read",
    "stalled": "It does not answer",
    "unreachable": "It cannot be reached",
}

FOLDER_TIMES = {
    "by type": "Folder times can be relied on: a folder whose time stays is not listed again but "
    "in its turn.",
    "earned": "Folder times have proven themselves in scans: a folder whose time stays is not "
    "listed again but in its turn.",
    "to be earned": "Whether folder times can be relied on has to be seen: {proofs} of "
    "{proofs_wanted} changes have shown it so far. Until then every folder is listed in every "
    "scan.",
    "never": "Folder times cannot be relied on: every folder is listed in every scan.",
    "lost": "Folder times have failed here: every folder is listed in every scan.",
}


def print_finding(console: Console, found: Mapping[str, Any]) -> None:
    """What `doctor` found out about one folder, as a page."""
    from rich.text import Text

    console.print(Text(found["path"], "bold"))
    if found["state"] != "ok":
        print_indented(console, f"{FAILURES[found['state']]}: {found['reason']}.", "red")
    for sentence in _sentences(found):
        print_indented(console, sentence)
    for note in found["notes"]:
        print_indented(console, f"! {note['text']}", "yellow")
    if found["advice"] is not None:
        print_advice(console, "Settings that fit:", found["advice"])


def print_advice(console: Console, title: str, advice: Mapping[str, Any]) -> None:
    """Settings as they would stand in a file."""
    from rich.text import Text

    console.print(Text(f"  {title}"))
    for line in advice["toml"].splitlines():
        console.print(Text(f"    {line}", "green"))


def _sentences(found: Mapping[str, Any]) -> Iterator[str]:
    mount = found["mount"]
    verb = "would lie" if found["state"] == "missing" else "lies"
    yield _place_sentence(verb, found["leads_to"], mount)
    if mount["place"] == "disk" and mount["remote"]:
        yield (
            "A process stands between it and the system, and may hang as a network does: it is "
            "scanned by a process of its own."
        )
    if found["state"] == "ok":
        yield EVENTS[found["events"]]
    if found["speed"]["listing_seconds"] is not None:
        yield _speed_sentence(found["speed"])
        yield _times_sentence(found["times"])
        yield FOLDER_TIMES[found["folder_times"]["trust"]].format(**found["folder_times"])
        yield (
            "Files keep their numbers when they are renamed, which proves moves without reading."
            if found["stable_inodes"]
            else "The numbers of files mean nothing here: moves are proven by reading samples."
        )
    if found["probe"] is not None:
        yield _probe_sentence(found["probe"])
    if found["scan"] is not None:
        yield from _scan_sentences(found["scan"])
    if found["elsewhere"]:
        yield _elsewhere_sentence(found["elsewhere"])


def _place_sentence(verb: str, target: str | None, mount: Mapping[str, Any]) -> str:
    kind = mount["type"] + (", a drive of Windows" if mount["windows_drive"] else "")
    where = f"It {verb} {PLACES[mount['place']]}: {kind}"
    if mount["point"]:
        where += f", mounted at {mount['point']}"
    if mount["source"] not in ("", mount["type"]):
        where += f" from {mount['source']}"
    return where + (f". It leads to {target}." if target else ".")


def _speed_sentence(speed: Mapping[str, Any]) -> str:
    told = (
        f"It answers a question in {seconds_text(speed['stat_seconds'])} and lists a folder in "
        f"{seconds_text(speed['listing_seconds'])}; the first answer took "
        f"{seconds_text(speed['first_contact_seconds'])}."
    )
    workers = speed["workers"]
    if workers == 1:
        return f"{told} Asking one thing at a time is best."
    return f"{told} {workers} requests at a time are worth it."


def _times_sentence(times: Mapping[str, Any]) -> str:
    settle = format_duration(times["settle_seconds"])
    again = f"What changed is looked at once more after {settle}."
    step = times["granularity_seconds"]
    if step is None:
        return f"In which steps its times count is not known: too few were seen. {again}"
    origin = {
        "type": "as this type does",
        "probe": "as the probe showed",
        "sample": "by the look of those found",
    }[times["known_from"]]
    return f"Its times count in steps of {seconds_text(step)}, {origin}. {again}"


def _probe_sentence(probe: Mapping[str, Any]) -> str:
    moved = {True: "moved", False: "did not move", None: "had moved just before"}
    offset = probe["clock_offset_seconds"]
    step = probe["granularity_seconds"]
    clock = "its clock agrees with ours"
    if abs(offset) > max(1.0, step):
        ahead = "ahead of" if offset > 0 else "behind"
        clock = f"its clock is {seconds_text(abs(offset))} {ahead} ours, which does no harm"
    return (
        f"The probe: the folder's time {moved[probe['creation_moved_folder_time']]} when a file "
        f"was made and {moved[probe['removal_moved_folder_time']]} when it was removed; the file "
        f"was {'' if probe['is_listed'] else 'not '}listed at once; {clock}. Changes that others "
        "make may still show later than ours."
    )


def _scan_sentences(scan: Mapping[str, Any]) -> Iterator[str]:
    size = f"{count_text(scan['directories'], 'folder')} and {count_text(scan['files'], 'file')}"
    if scan["is_estimate"]:
        size = f"about {size}, going by {count_text(scan['listed'], 'folder')} of them"
    told = f"It holds {size}. Listing everything takes {seconds_text(scan['full_seconds'])}"
    unchanged, trusted = scan["unchanged_seconds"], scan["trusted_seconds"]
    if unchanged != scan["full_seconds"]:
        told += f", a scan that finds nothing new {seconds_text(unchanged)}"
    if scan["share"] is not None:
        told += (
            f", {share_text(scan['share'])} of the time at the present interval of "
            f"{format_duration(scan['every_seconds'])}"
        )
    yield told + "."
    if trusted is not None and trusted < unchanged:
        every = scan["trusted_every"]
        fits = "" if every is None else f', and every = "{every}" fits'
        yield f"Once directory mtimes are trusted, such a scan takes {seconds_text(trusted)}{fits}."


def _elsewhere_sentence(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5:,} more" if len(paths) > 5 else "")
    return f"Not entered, since they are links or mounts of their own: {shown}."
