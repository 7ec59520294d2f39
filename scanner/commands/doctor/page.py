"""The page of `doctor`: a finding in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.commands.doctor.facts import ACT, NOTE, OK, Fact, blocks_of
from scanner.console.terminal import folded, print_indented, printed
from scanner.core.serialize import printable
from scanner.core.wording import count_text, seconds_text, share_text
from scanner.settings.values import format_duration

if TYPE_CHECKING:
    from rich.console import Console

PLACES = {
    "disk": "on a disk of this computer",
    "network": "on a network mount",
    "host": "on the host of this virtual system",
    "unknown": "on a mount of an unknown type",
}

MARKS = {OK: ("\u2713", "green"), NOTE: ("!", "yellow"), ACT: ("\u2717", "red")}
"""Mark and style; a terminal that cannot show the mark gets ok, ! and x."""

EVENTS = {
    "all": "File events (inotify and the like) would report changes here as well.",
    "own": "File events (inotify and the like) report only changes made through this mount. A "
    "program that waits for them would silently miss all others. Polling does not.",
    "unknown": "It is not known if file events (inotify and the like) report all changes here.",
}

DIRECTORY_MTIMES = {
    "by type": "Directory mtimes are reliable on this type of file system: a folder with an "
    "unchanged mtime is listed for re-verification only.",
    "earned": "Directory mtimes have proven reliable in scans: a folder with an unchanged mtime is "
    "listed for re-verification only.",
    "to be earned": "Directory mtimes are not trusted yet: {proofs} of {proofs_wanted} observed "
    "changes have confirmed them. Until then every folder is listed in every scan.",
    "never": "Directory mtimes are not reliable: every folder is listed in every scan.",
    "lost": "Directory mtimes have failed here: every folder is listed in every scan.",
}


def print_findings(
    console: Console, findings: Sequence[Mapping[str, Any]], *, is_verbose: bool = False
) -> None:
    """Print a block for each mount, from findings in their JSON form; `is_verbose` gives the
    reasons, too."""
    for block in blocks_of(findings):
        console.print(printed(block.title, "bold"), soft_wrap=True)
        for fact in block.facts:
            _print_fact(console, fact)
        for finding in block.findings if is_verbose else ():
            console.print(printed(f"  {finding['path']}", "bold"), soft_wrap=True)
            for sentence in _sentences(finding):
                print_indented(console, sentence)
            for note in finding["notes"]:
                print_indented(console, note["text"], "yellow")
        console.print()


def _print_fact(console: Console, fact: Fact) -> None:
    mark, style = MARKS[fact.mark]
    try:
        mark.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        mark = fact.mark
    # A path at the end stays whole.
    is_sentence = fact.text.endswith(".")
    text = folded(printable(fact.text), console.width - 5) if is_sentence else printable(fact.text)
    line = printed(f"  {mark:<2} ", style)
    line = printed("").append_text(line).append(text.replace("\n", "\n     "))
    console.print(line, soft_wrap=True)


def print_advice(console: Console, advice: Mapping[str, Any], written: str = "") -> None:
    """Print recommended settings as lines of a settings file; `written` is the file that has them
    now."""
    title = (
        f"Written to {written}:"
        if written
        else "Recommended settings (doctor --write puts them into the settings file):"
    )
    console.print(printed(title), soft_wrap=True)
    for line in advice["toml"].splitlines():
        console.print(printed(f"  {line}", "green"))


def _sentences(finding: Mapping[str, Any]) -> Iterator[str]:
    mount = finding["mount"]
    verb = "would lie" if finding["state"] == "missing" else "lies"
    yield _place_sentence(verb, finding["leads_to"], mount)
    if mount["place"] == "disk" and mount["remote"]:
        yield (
            "A userspace driver serves it and may hang as a network does, so a separate process "
            "scans it."
        )
    if finding["state"] == "ok":
        yield EVENTS[finding["events"]]
    if finding["speed"]["listing_seconds"] is not None:
        yield _speed_sentence(finding["speed"])
        yield _times_sentence(finding["times"])
        yield DIRECTORY_MTIMES[finding["folder_times"]["trust"]].format(**finding["folder_times"])
        yield (
            "Inode numbers are stable, which proves moves without reading files."
            if finding["stable_inodes"]
            else "Inode numbers are not stable here, so moves are proven by reading samples."
        )
    if finding["probe"] is not None:
        yield _probe_sentence(finding["probe"])
    if finding["scan"] is not None:
        yield from _scan_sentences(finding["scan"])
    if finding["elsewhere"]:
        yield _elsewhere_sentence(finding["elsewhere"])


def _place_sentence(verb: str, target: str | None, mount: Mapping[str, Any]) -> str:
    kind = mount["type"] + (", a drive of Windows" if mount["windows_drive"] else "")
    if mount["format"] != mount["type"].lower():
        kind += f" ({mount['format']})"
    if mount["is_view"] and mount["type"] == "fuse":
        kind += " (bindfs)"
    place = "on a view of other folders" if mount["is_view"] else PLACES[mount["place"]]
    where = f"It {verb} {place}: {kind}"
    if mount["point"]:
        where += f", mounted at {mount['point']}"
    if mount["source"] not in ("", mount["type"]):
        where += f" from {mount['source']}"
    return where + (f". It leads to {target}." if target else ".")


def _speed_sentence(speed: Mapping[str, Any]) -> str:
    sentence = (
        f"One stat takes {seconds_text(speed['stat_seconds'])} and listing a folder "
        f"{seconds_text(speed['listing_seconds'])}; the first answer took "
        f"{seconds_text(speed['first_contact_seconds'])}."
    )
    workers = speed["workers"]
    if workers == 1:
        return f"{sentence} One request at a time is fastest."
    return f"{sentence} {workers} concurrent requests are fastest."


def _times_sentence(times: Mapping[str, Any]) -> str:
    settle = format_duration(times["settle_seconds"])
    again = f"Changed files are checked again after {settle}."
    step = times["granularity_seconds"]
    if step is None:
        return f"The mtime granularity is not known yet: too few files were seen. {again}"
    origin = {
        "type": "known for this type",
        "probe": "measured by the probe",
        "sample": "inferred from the mtimes found",
    }[times["known_from"]]
    return f"The mtime granularity is {seconds_text(step)}, {origin}. {again}"


def _probe_sentence(probe: Mapping[str, Any]) -> str:
    moved = {True: "changed", False: "did not change", None: "had changed just before"}
    offset = probe["clock_offset_seconds"]
    step = probe["granularity_seconds"]
    clock = "its clock agrees with ours"
    if abs(offset) > max(1.0, step):
        ahead = "ahead of" if offset > 0 else "behind"
        clock = f"its clock is {seconds_text(abs(offset))} {ahead} ours, which does no harm"
    return (
        f"The probe: the directory mtime {moved[probe['creation_moved_folder_time']]} when a file "
        f"was created and {moved[probe['removal_moved_folder_time']]} when it was removed. The "
        f"file was {'' if probe['is_listed'] else 'not '}listed at once, and {clock}. Changes made "
        "by other computers may still be seen later."
    )


def _scan_sentences(scan: Mapping[str, Any]) -> Iterator[str]:
    size = f"{count_text(scan['directories'], 'folder')} and {count_text(scan['files'], 'file')}"
    if scan["is_estimate"]:
        size = f"about {size} (estimated from {count_text(scan['listed'], 'folder')})"
    sentence = f"It holds {size}. Listing everything takes {seconds_text(scan['full_seconds'])}"
    unchanged, trusted = scan["unchanged_seconds"], scan["trusted_seconds"]
    if unchanged != scan["full_seconds"]:
        sentence += f", a scan that finds nothing new {seconds_text(unchanged)}"
    if scan["share"] is not None:
        sentence += (
            f", {share_text(scan['share'])} of the time at the present interval of "
            f"{format_duration(scan['every_seconds'])}"
        )
    yield sentence + "."
    if trusted is not None and trusted < unchanged:
        every = scan["trusted_every"]
        fits = "" if every is None else f', and every = "{every}" fits'
        yield f"Once directory mtimes are trusted, such a scan takes {seconds_text(trusted)}{fits}."


def _elsewhere_sentence(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5:,} more" if len(paths) > 5 else "")
    return f"Not entered, because they are links or other mounts: {shown}."
