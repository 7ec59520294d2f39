"""Two runs of the benchmarks side by side.

python -m benchmarks.compare benchmarks/results.json benchmarks/results/NEW.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.figures import OURS, SCENARIOS, Results, Size, read
from benchmarks.tables import NOT_MEASURED, Row, aligned, figure, seconds
from benchmarks.targets import CPU, TARGETS

TITLES = ("files", "figure", "old", "new", "new : old")


def rows(old: Results, new: Results) -> list[Row]:
    """Ratios, then seconds, of each size that both runs have. Ratios to a peer of the same run
    can be compared between machines; seconds only on one."""
    before = {size.files: size for size in old.sizes}
    return [
        row for size in new.sizes if size.files in before for row in _rows(before[size.files], size)
    ]


def _rows(old: Size, new: Size) -> list[Row]:
    found = []
    for target in TARGETS:
        values = target.value(old), target.value(new)
        found.append(_row(new, target.name, *values, [figure(target, value) for value in values]))
        values = target.value(old, clock=CPU), target.value(new, clock=CPU)
        if None not in values:
            shown = [figure(target, value) for value in values]
            found.append(_row(new, f"{target.name}, CPU", *values, shown))
    for scenario in SCENARIOS:
        values = old.seconds(scenario, OURS), new.seconds(scenario, OURS)
        found.append(_row(new, f"{scenario}, s", *values, [seconds(value) for value in values]))
    return found


def _row(size: Size, name: str, old: float | None, new: float | None, shown: Sequence[str]) -> Row:
    factor = f"{new / old:.2f}" if old and new is not None else NOT_MEASURED
    return (f"{size.files:,}", name, *shown, factor)


def _told(results: Results) -> str:
    machine = results.machine
    return f"{results.time[:10]}, version {results.version}, {machine['cpu']}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("old", help="JSON of an earlier run")
    parser.add_argument("new", help="JSON of a later one")
    options = parser.parse_args()
    runs = []
    for path in (options.old, options.new):
        try:
            runs.append(read(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{path} is no result of the benchmarks: {error}", file=sys.stderr)
            return 1
    old, new = runs
    print(f"old: {_told(old)}\nnew: {_told(new)}")
    found = rows(old, new)
    print(aligned(TITLES, found) if found else "The two have no size in common.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
