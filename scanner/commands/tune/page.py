"""The page of `tune`: its measurements as sentences and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.commands.doctor.page import DIRECTORY_MTIMES
from scanner.console.tables import _Cell, _Column, _print_table
from scanner.console.terminal import print_indented, printed
from scanner.core.wording import count_text, seconds_text, share_text, size_text
from scanner.disk.trust import PROOFS_WANTED

if TYPE_CHECKING:
    from rich.console import Console

HOUR = 3600.0

COLUMNS = (
    "CPU: share of one core. busy: share of the time in which the disk or mount is in use. "
    "seen within: longest time until a new, deleted or renamed file is reported. re-read within: "
    "the same for a file that was rewritten in place."
)

MTIME_SENTENCES = {
    **DIRECTORY_MTIMES,
    "to be earned": f"Directory mtimes are not trusted yet: {PROOFS_WANTED} changes seen by `run` "
    "must confirm them first. Until then every folder is listed in every scan.",
}


def print_tuning(console: Console, page: Mapping[str, Any]) -> None:
    """Print everything, from the JSON form of the measurements."""
    for lane in page["lanes"]:
        _print_lane(console, lane, page)
    _print_advice(console, page)


def _print_lane(console: Console, lane: Mapping[str, Any], page: Mapping[str, Any]) -> None:
    for path in lane["paths"]:
        console.print(printed(path["path"], "bold"))
        print_indented(console, _holding_sentence(path))
    if len(lane["paths"]) > 1:
        print_indented(console, "They are scanned together. All figures below are for all of them.")
    for sentence in _sentences(lane, page["workers"]):
        print_indented(console, sentence)
    _print_scans(console, lane)
    now, later = lane["now"], lane["once_folder_times_are_trusted"]
    if later is None:
        _print_intervals(console, "What each interval costs:", now, page)
    else:
        _print_intervals(console, "Listing every folder in every scan, as now:", now, page)
        _print_intervals(console, "Once directory mtimes are trusted:", later, page)
    print_indented(console, COLUMNS, "dim")
    console.print()


def _holding_sentence(path: Mapping[str, Any]) -> str:
    mount = path["mount"]
    where = "remote or served by a userspace driver" if mount["remote"] else "local"
    size = size_text(path["bytes"])
    return (
        f"{mount['type']} ({where}), mounted at {mount['point']}: "
        f"{count_text(path['files'], 'file')} in {count_text(path['folders'], 'folder')}, {size}."
    )


def _sentences(lane: Mapping[str, Any], most_workers: int) -> Iterator[str]:
    call = f"One request takes {seconds_text(lane['call_seconds'])}."
    if lane["remote"]:
        call += f" {count_text(lane['workers'], 'concurrent request')} gave the best speed"
        limit = ", the limit set by `workers`: more may be faster still"
        call += f"{limit}." if lane["workers"] == most_workers else "."
    yield call
    for state in dict.fromkeys(path["folder_times"] for path in lane["paths"]):
        if state == "by type" and not lane["now"]["uses_folder_times"]:
            yield "Listing everything is so cheap here that every scan does it."
        else:
            yield MTIME_SENTENCES[state]


_SCAN_COLUMNS = (
    _Column("", is_wrapped=False),
    *(_Column(text, is_number=True) for text in ("takes", "CPU", "calls", "folders listed")),
)

_INTERVAL_COLUMNS = [
    _Column(text, is_number=True, is_wrapped=False)
    for text in ("  every", "CPU", "busy", "calls/s", "seen within", "re-read within")
]


def _print_scans(console: Console, lane: Mapping[str, Any]) -> None:
    later = lane["once_folder_times_are_trusted"]
    scans = {
        "first scan": lane["first_scan"],
        "scan that finds nothing new": lane["unchanged_scan"],
        "the same with trusted mtimes": later and later["unchanged_scan"],
        "full verification": lane["full_verification"],
    }
    rows = [
        (
            f"  {name}",
            seconds_text(scan["seconds"]),
            seconds_text(scan["cpu_seconds"]),
            f"{scan['calls']:,}",
            f"{scan['folders_listed']:,}",
        )
        for name, scan in scans.items()
        if scan is not None
    ]
    _print_table(console, _SCAN_COLUMNS, (list(map(_Cell, row)) for row in rows))
    print_indented(
        console,
        "A call lists a folder, reads size and mtime of an entry in it, or reads the mtime of a "
        "folder. File samples for fingerprints, read once after the first scan, are not counted.",
        "dim",
    )


def _print_intervals(
    console: Console, title: str, cost: Mapping[str, Any], page: Mapping[str, Any]
) -> None:
    console.print(printed(f"  {title}"))

    def cells(row: Mapping[str, Any]) -> Sequence[_Cell]:
        is_chosen = row["every"] == cost["recommended"]
        texts = (
            f"{'> ' if is_chosen else '  '}{row['every']:>5}",
            _share(row["cpu_share"]),
            _share(row["busy_share"]),
            _rate(row["calls_per_second"]),
            _span(row["seen_within_seconds"]),
            _span(row["verified_within_seconds"]),
        )
        return [_Cell(text, "green" if is_chosen else "") for text in texts]

    _print_table(console, _INTERVAL_COLUMNS, map(cells, cost["intervals"]))
    if cost["verification_duty"] != page["verification_duty"]:
        duty = share_text(cost["verification_duty"])
        print_indented(console, f"With at most {duty} of the time for re-verification.", "dim")


def _print_advice(console: Console, page: Mapping[str, Any]) -> None:
    advice, share = page["advice"], share_text(page["auto_duty"])
    if advice["every"] is None:
        print_indented(console, _nothing_fits(page), "yellow")
        return
    together = " of each of them" if len(page["lanes"]) > 1 else ""
    print_indented(
        console,
        f"The shortest interval at which scans take at most {share} of the time{together}, for "
        "comfy_inventory.toml:",
    )
    for line in advice["toml"].splitlines():
        console.print(printed(f"    {line}", "green"))
    for sentence in _further_advice(page):
        print_indented(console, sentence)


def _further_advice(page: Mapping[str, Any]) -> Iterator[str]:
    lanes: Sequence[Mapping[str, Any]] = page["lanes"]
    if page["advice"]["duty"] is not None:
        yield (
            "The second line leaves less of the time to re-verification. It then takes longer, as "
            "the last column shows."
        )
    later = [lane["once_folder_times_are_trusted"] for lane in lanes]
    shorter = {cost["recommended"] for cost in later if cost and cost["recommended"]}
    if len(lanes) == 1 and shorter - {page["advice"]["every"]}:
        yield f'Once directory mtimes are trusted: every = "{shorter.pop()}".'
    yield (
        f'Or every = "auto" and auto_duty = {page["auto_duty"]:g}: then each mount is scanned as '
        "often as that allows, even if scans take more or less time later."
    )


def _nothing_fits(page: Mapping[str, Any]) -> str:
    slowest = max(page["lanes"], key=lambda lane: lane["now"]["intervals"][-1]["busy_share"])
    last = slowest["now"]["intervals"][-1]
    return (
        f"No interval up to {last['every']} keeps scans below {share_text(page['auto_duty'])} of "
        f"the time: even then one takes {seconds_text(last['scan_seconds'])}, which is "
        f"{share_text(last['busy_share'])}. Allow more (--auto-duty), or scan when nobody works: "
        'cron = "0 4 * * *".'
    )


def _share(share: float) -> str:
    if share > 1:
        return "> 100 %"
    return f"{share * 100:.1f} %" if share >= 0.001 else "< 0.1 %"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _span(seconds: float) -> str:
    """`5.1 s`, `48 s`, `12 min`, `2.5 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 9.5 * 60:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 60:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"
