"""Figures as pictures, drawn by matplotlib where that is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import SCENARIOS, WHO, Results, Size

COLOURS = dict(zip(WHO, ("#0072b2", "#333333", "#d55e00", "#cc79a7", "#009e73"), strict=True))
"""Okabe and Ito's, which those who see few colours tell apart as well."""

MARKERS = dict(zip(WHO, "osv^D", strict=True))


def reason_without_matplotlib() -> str | None:
    """Why nothing can be drawn here, or None where it can."""
    if importlib.util.find_spec("matplotlib") is None:
        return "matplotlib is not installed (pip install 'comfy-inventory[bench]')"
    return None


def _pyplot() -> Any:
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    # The same figures give the same file, with text as text.
    matplotlib.rcParams.update({"svg.hashsalt": "comfy-inventory", "svg.fonttype": "none"})
    return importlib.import_module("matplotlib.pyplot")


def _ticker() -> Any:
    return importlib.import_module("matplotlib.ticker")


def _save(pyplot: Any, picture: Any, path: str) -> None:
    picture.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)
    pyplot.close(picture)


def draw(results: Results, path: str) -> None:
    """Seconds against files, both logarithmic: one panel a scenario, and one of memory."""
    pyplot = _pyplot()
    picture, axes = pyplot.subplots(3, 3, figsize=(12, 11), sharex=True, layout="constrained")
    panels = list(axes.flat)
    for axis, scenario in zip(panels, SCENARIOS, strict=False):
        for who in WHO:
            _plot(axis, results.sizes, who, [size.seconds(scenario, who) for size in results.sizes])
        if not axis.lines:
            axis.set_visible(False)  # a run that was kept before this was measured
            continue
        _dress(axis, scenario, "seconds")
        _show_sizes(axis, results.sizes)
    for who in WHO:
        _plot(panels[-1], results.sizes, who, [_peak(size, who) for size in results.sizes])
    _dress(panels[-1], "peak memory", "MB")
    _show_sizes(panels[-1], results.sizes)
    handles, labels = panels[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=len(WHO), frameon=False)
    picture.suptitle(f"comfy-inventory {results.version}: medians on {results.machine['cpu']}")
    _save(pyplot, picture, path)


def _peak(size: Size, who: str) -> float | None:
    if who == WHO[0]:
        return max(size.peaks.values(), default=None)
    lines = [line for line in size.lines if line.who == who and not line.peak_is_bound]
    return max((line.peak_mb for line in lines if line.peak_mb is not None), default=None)


def _plot(axis: Any, sizes: Sequence[Size], who: str, values: Sequence[float | None]) -> None:
    points = [(s.files, v) for s, v in zip(sizes, values, strict=True) if v is not None]
    if points:
        style = {"color": COLOURS[who], "marker": MARKERS[who], "markersize": 5}
        axis.loglog(*zip(*points, strict=True), label=who, **style)


def _show_sizes(axis: Any, sizes: Sequence[Size]) -> None:
    """Only the sizes that were measured stand below a panel; after its lines, whose scale would
    put its own numbers there."""
    axis.set_xticks([size.files for size in sizes], [_short(size.files) for size in sizes])
    axis.minorticks_off()


def _short(number: float) -> str:
    """A number as it stands beside an axis: 2k, 1M, 0.05."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:g}{name}"
    return f"{number:g}"


def _dress(axis: Any, title: str, unit: str) -> None:
    axis.set_title(title)
    axis.set_xlabel("files")
    axis.set_ylabel(unit)
    axis.tick_params(labelbottom=True)
    axis.yaxis.set_major_locator(_ticker().LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(lambda value, position: _short(value))
    axis.yaxis.set_minor_formatter(_ticker().NullFormatter())
    axis.grid(visible=True, which="major", color="#dddddd")
    axis.spines[["top", "right"]].set_visible(False)


def draw_sweep(sweep: dict[str, Any], path: str) -> None:
    """Seconds of a full verification against workers, beside find."""
    pyplot = _pyplot()
    picture, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    workers = [step["workers"] for step in sweep["steps"]]
    taken = [step["seconds"] for step in sweep["steps"]]
    axis.loglog(workers, taken, color=COLOURS[WHO[0]], marker="o", label="full verification")
    axis.axhline(sweep["find_seconds"], color=COLOURS["find"], linestyle="--", label="find")
    axis.set_xticks(workers, [str(number) for number in workers])
    axis.minorticks_off()
    _dress(axis, f"{sweep['files']:,} files, {sweep['delay_ms']:g} ms a round trip", "seconds")
    axis.set_xlabel("workers")
    axis.legend(frameon=False)
    _save(pyplot, picture, path)


def draw_workers(report: dict[str, Any], path: str) -> None:
    """Entries and bytes a second against workers, and how much of all cores that took."""
    pyplot = _pyplot()
    picture, axes = pyplot.subplots(2, 2, figsize=(10, 7), sharex=True, layout="constrained")
    cores = report["machine"]["cores"]
    kinds = dict.fromkeys(step["mounts"] for step in report["steps"])
    for column, (name, unit, per) in enumerate(
        (("walk", "entries a second", 1), ("hash", "MB a second", 1e6))
    ):
        for kind, style in zip(kinds, ("#0072b2", "#d55e00"), strict=False):
            steps = [s for s in report["steps"] if (s["name"], s["mounts"]) == (name, kind)]
            workers = [step["workers"] for step in steps]
            rates = [step["amount"] / step["seconds"] / per for step in steps]
            busy = [100 * step["cpu"] / step["seconds"] / cores for step in steps]
            axes[0][column].loglog(workers, rates, color=style, marker="o", label=kind)
            everything = [100 * step["busy"] / step["seconds"] / cores for step in steps]
            axes[1][column].semilogx(workers, busy, color=style, marker="o", label=kind)
            axes[1][column].semilogx(workers, everything, color=style, linestyle=":")
        numbers = sorted({step["workers"] for step in report["steps"]})
        axes[0][column].set_xticks(numbers, [str(number) for number in numbers])
        delay = f"{report['delay_ms']:g} ms a round trip"
        _dress(axes[0][column], f"{name}, {delay}", unit)
        axes[1][column].set_ylim(0, 105)
        axes[1][column].set_ylabel(f"% of {cores} cores (dotted: all that runs)")
        axes[1][column].grid(visible=True, which="major", color="#dddddd")
        axes[1][column].spines[["top", "right"]].set_visible(False)
        for axis in (axes[0][column], axes[1][column]):
            axis.set_xlabel("workers, one request at a time each")
            axis.minorticks_off()
    axes[0][0].legend(frameon=False)
    _save(pyplot, picture, path)
