"""Figures as rows of text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.figures import (
    OURS,
    RCLONE,
    SCENARIOS,
    WATCHDOG,
    WATCHFILES,
    WHO,
    Line,
    Results,
    Size,
    Start,
    median,
)
from benchmarks.targets import CPU, START, STARTS, TARGETS, Target, judged

NOT_MEASURED = "-"

Row = Sequence[str]

COST_TITLES = ("scenario", "program", "median s", "min s", "max s", "CPU s", "peak MB", "told")


def aligned(titles: Row, rows: Sequence[Row]) -> str:
    """Columns for a terminal: words to the left, numbers to the right."""
    columns = list(zip(titles, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    are_words = [any(cell[:1].isalpha() for cell in column[1:]) for column in columns]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if is_word else cell.rjust(width)
            for cell, width, is_word in zip(row, widths, are_words, strict=True)
        ).rstrip()
        for row in (titles, *rows)
    )


def markdown(titles: Row, rows: Sequence[Row]) -> str:
    """A table of a markdown page."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def seconds(value: float | None) -> str:
    """Seconds to three digits that count."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def costs(size: Size) -> list[Row]:
    """One row for each program in each scenario."""
    return [
        _cost(line)
        for scenario in SCENARIOS
        for who in WHO
        if (line := size.find(scenario, who)) is not None
    ]


def _cost(line: Line) -> Row:
    return (
        line.scenario,
        line.who,
        seconds(median(line.wall)),
        seconds(min(line.wall)),
        seconds(max(line.wall)),
        seconds(median(line.cpu)),
        _memory(line),
        NOT_MEASURED if line.reported is None else f"{line.reported:,}",
    )


def _memory(line: Line) -> str:
    if line.peak_mb is None:
        return NOT_MEASURED
    return f"{'< ' if line.peak_is_bound else ''}{line.peak_mb:.0f}"


def facts(size: Size) -> list[str]:
    """What the rows do not say, a sentence each."""
    told = size.publishing
    wanted = (median(told.commit), median(told.publish), median(told.copy))
    parts = [f"{name} {seconds(value)} s" for name, value in zip(_PARTS, wanted, strict=True)]
    peaks = [f"{name} {peak:.0f} MB" for name, peak in size.peaks.items()]
    return [
        f"One change, inventory of {told.bytes / 1e6:.1f} MB: {', '.join(parts)}.",
        f"The first inventory of a process is written whole: {seconds(told.first)} s.",
        f"Most memory of the program: {', '.join(peaks) or 'not measured'}.",
        f"Every file is read again within {size.verify_seconds:.0f} s.",
        f"The folder that moves holds {size.moved_files:,} files.",
        *size.notes,
    ]


_PARTS = ("commit", "publish", "copy and sync of as much")


PEERS = (WATCHDOG, WATCHFILES, RCLONE)

RATIO_TITLES = ("figure", "files", "at most", "ratio", "CPU", "", *PEERS)


def ratios(results: Results) -> tuple[Row, list[Row]]:
    """Titles and rows: each figure at every size, and the start of a process."""
    rows = [_ratio(target, size) for target in TARGETS for size in results.sizes]
    return RATIO_TITLES, [*rows, *map(_started, results.starts)]


def _ratio(target: Target, size: Size) -> Row:
    return (
        target.name,
        f"{size.files:,}",
        _limit(target.most.get(size.files), target.unit),
        figure(target, target.value(size)),
        figure(target, target.value(size, clock=CPU)),
        target.verdict(size),
        *(figure(target, target.value(size, who)) for who in PEERS),
    )


def _started(start: Start) -> Row:
    """The ratio is one of processor time: a start waits for nothing."""
    most = STARTS.get(start.command)
    verdict = "" if most is None else judged(start.ratio, most)
    shown = f"{start.ratio:.3g}"
    name = START.format(start.command)
    none = [NOT_MEASURED] * len(PEERS)
    return (name, NOT_MEASURED, _limit(most, ""), NOT_MEASURED, shown, verdict, *none)


def _limit(most: float | None, unit: str) -> str:
    return NOT_MEASURED if most is None else f"{most:g}{unit}"


def verdicts(results: Results) -> list[str]:
    """The verdict of every row that has one."""
    _, rows = ratios(results)
    return [row[RATIO_TITLES.index("")] for row in rows if row[RATIO_TITLES.index("")]]


def figure(target: Target, value: float | None) -> str:
    """A figure with its unit."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.0f}{target.unit}" if target.unit else f"{value:.3g}"


def growth(results: Results) -> tuple[Row, list[Row]]:
    """Titles and rows: seconds and MB per million entries at each size, and from one size to the
    next, where what every run costs anyway drops out."""
    sizes = results.sizes
    titles = ["per million entries", *(f"{size.files:,}" for size in sizes)]
    titles += [f"{small.files:,} to {big.files:,}" for small, big in pairwise(sizes)]
    rows = [
        _grown(f"{scenario}, s", [size.seconds(scenario, OURS) for size in sizes], sizes)
        for scenario in SCENARIOS
    ]
    peaks = [max(size.peaks.values(), default=None) for size in sizes]
    return titles, [*rows, _grown("peak memory, MB", peaks, sizes)]


def _grown(name: str, values: Sequence[float | None], sizes: Sequence[Size]) -> Row:
    points = list(zip(values, (size.entries / 1e6 for size in sizes), strict=True))
    each = [None if value is None else value / millions for value, millions in points]
    between = [
        None if low is None or high is None else (high - low) / (more - less)
        for (low, less), (high, more) in pairwise(points)
    ]
    return [name, *map(_rate, [*each, *between])]


def _rate(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
