"""The tables of docs/scale.md, from the committed results.

python -m benchmarks.scale_page              fill in the page
python -m benchmarks.scale_page --print      print the tables
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import scale_results, workers
from benchmarks.model import (
    Constants,
    Cost,
    Tree,
    compared,
    constants_of,
    files_for,
    hash_seconds,
    least_rest,
    scan_cpu,
    useful_at_once,
    verification_period,
    walk,
)
from benchmarks.scale import FIRST, ONE, PERCENT, UNCHANGED, VERIFIED, Run, rows, run_from
from benchmarks.tables import Row, markdown
from scanner.settings.schema import Settings

PAGE = os.path.join(os.path.dirname(workers.PICTURE), os.pardir, "scale.md")

SIZES = (1_000_000, 10_000_000, 100_000_000)

AT_ONCE = (1, 4, 16, 64, 256)

LATENCIES = (0.0002, 0.001, 0.005)

NETWORK = 1.25e9
"""Bytes a second of a network of 10 Gb/s."""

HOSTS = (10, 100, 1000)

MEMORY = 16e9


def count(value: float) -> str:
    """A number as people say it: 12,300, 1.2 million."""
    if value >= 1e6:
        return f"{value / 1e6:,.3g} million" if value < 1e9 else f"{value / 1e9:,.3g} billion"
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Bytes with a unit."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:.3g} B"


def duration(seconds: float) -> str:
    """Seconds with the unit that people use."""
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def percent(part: float) -> str:
    return f"{100 * part:+.0f} %"


def constants(known: Constants) -> list[Row]:
    """What was measured for a folder and for a file."""
    scale = "`benchmarks.scale`"

    def costs(what: str, cost: Cost, show: Any) -> Row:
        return (what, show(cost.folder), show(cost.file), scale)

    found: list[Row] = [
        costs("memory between scans", known.held, size),
        costs("most memory in a first scan", known.peak, size),
        costs("the same with a cluster", known.cluster_peak, size),
        costs("state", known.state, size),
        costs("inventory", known.inventory, size),
        costs("Parquet of a fleet", known.parquet, size),
    ]
    for name in (FIRST, VERIFIED, UNCHANGED, PERCENT):
        found.append(costs(f"{name}: walk and compare", known.walk[name], duration))
    found += [
        costs("first scan: commit", known.commit[FIRST], duration),
        costs("first scan: encode and write the inventory", known.publish[FIRST], duration),
        costs("one change: write the inventory anew", known.publish[ONE], duration),
        costs("restart: load the state", known.restart, duration),
        costs("publish to a fleet", known.fleet_publish, duration),
    ]
    return found


def single_constants(known: Constants) -> list[Row]:
    """What has no parts for folders and files."""
    found: list[Row] = [
        ("a share of a cluster, both ends", duration(known.share), "`benchmarks.scale`"),
        ("hashing by one worker over the slow mount", f"{size(known.worker_bytes)}/s",
         "`benchmarks.workers`"),
    ]  # fmt: skip
    for name, cost in known.hash.items():
        found.append((f"hashing from memory, {name}", f"{size(1 / cost)}/s", "`benchmarks.scale`"))
    for mount, trips in known.verified_trips.items():
        found.append(
            (f"round trips of a full verification, {mount}", f"{trips:.2f} an entry",
             "`benchmarks.round_trips`")
        )  # fmt: skip
    for mount, trips in known.unchanged_trips.items():
        found.append(
            (f"round trips of an unchanged scan, {mount}", f"{trips:.2f} a folder",
             "`benchmarks.round_trips`")
        )  # fmt: skip
    for name, question in known.questions.items():
        price = f"{duration(question.base)}, {duration(question.host)} a host, "
        found.append(
            (f"`fleet {name}`", price + f"{duration(question.entry * 1e6)} a million entries; "
                f"{size(question.memory)} of memory an entry",
             "`benchmarks.scale`")
        )  # fmt: skip
    return found


def against_runs(document: Mapping[str, Any], known: Constants) -> list[Row]:
    return [
        (one.what, f"{one.model:,.3g}", f"{one.run:,.3g}", percent(one.off))
        for one in compared(document, known)
    ]


def measured(document: Mapping[str, Any]) -> list[Row]:
    """The runs themselves, for each million files."""
    found: list[Row] = []
    for run in map(run_from, document["runs"]):
        for cells in rows(run):
            found.append(cells)
    return found


def coordinator(document: Mapping[str, Any]) -> list[Row]:
    """Memory with a cluster beside memory without."""
    runs = [run_from(run) for run in document["runs"] if not run["latency"]]
    found: list[Row] = []
    for own in (run for run in runs if not run.cluster):
        for theirs in runs:
            if theirs.cluster and (theirs.files, theirs.folders) == (own.files, own.folders):
                found.append(_beside(own, theirs))
    return found


def _beside(own: Run, theirs: Run) -> Row:
    pairs = [
        (own.steps[UNCHANGED].resident, theirs.steps[UNCHANGED].resident),
        (_peak(own), _peak(theirs)),
    ]
    cells = [f"{own.files / 1e6:g}", str(own.files_of_a_folder)]
    for mine, other in pairs:
        cells += [size(mine), size(other), percent(other / mine - 1)]
    return cells


def _peak(run: Run) -> int:
    return max(run.steps[name].peak for name in (FIRST, VERIFIED))


def one_machine(known: Constants) -> list[Row]:
    """Trees of several sizes on one machine."""
    found: list[Row] = []
    for files in SIZES:
        tree = Tree(files)
        found.append(
            (
                count(files),
                size(known.held.of(tree)),
                size(known.peak.of(tree)),
                size(known.state.of(tree)),
                size(known.inventory.of(tree)),
                *(duration(scan_cpu(known, tree, name)) for name in (FIRST, VERIFIED, UNCHANGED)),
                duration(known.publish[ONE].of(tree)),
                duration(known.restart.of(tree)),
            )
        )
    return found


def walks(known: Constants) -> list[Row]:
    """Full verifications of network mounts."""
    found: list[Row] = []
    for kind, each in _requests(known).items():
        for files in SIZES[1:]:
            tree = Tree(files)
            for latency in LATENCIES:
                trips = each(tree)
                cells = [kind, count(files), f"{latency * 1e3:g} ms"]
                for at_once in AT_ONCE:
                    taken = walk(known, tree, trips, latency, at_once)
                    mark = " *" if taken.limit == "coordinator" else ""
                    cells.append(duration(taken.seconds) + mark)
                cells.append(count(useful_at_once(known, tree, trips, latency)))
                found.append(cells)
    return found


def _requests(known: Constants) -> dict[str, Any]:
    """Round trips of a full verification, by kind of mount."""
    off = known.verified_trips["sshfs, caches off"]
    return {
        "one a folder": lambda tree: tree.folders,
        "sshfs, caches off": lambda tree: off * (tree.files + tree.folders),
    }


def hashing(known: Constants) -> list[Row]:
    """Terabytes by workers."""
    found: list[Row] = []
    for terabytes in (1, 10, 100):
        cells = [f"{terabytes} TB"]
        for number in (1, 4, 16, 40):
            taken = hash_seconds(known, terabytes * 1e12, number, NETWORK)
            cells.append(duration(taken.seconds) + (" *" if taken.limit == "network" else ""))
        found.append(cells)
    return found


def fleets(known: Constants) -> list[Row]:
    """Hosts with a million entries each."""
    found: list[Row] = []
    tree = Tree(1_000_000)
    for hosts in HOSTS:
        cells = [count(hosts), size(known.parquet.of(tree) * hosts)]
        cells.append(duration(known.fleet_publish.of(tree)))
        cells += [duration(q.of(hosts, tree.files)) for q in known.questions.values()]
        found.append(cells)
    return found


def limits(known: Constants) -> list[Row]:
    """Where each part ends, and what moves it."""
    settings = Settings()
    tree = Tree(10_000_000)
    trips = _requests(known)["one a folder"](tree)
    verifying = known.walk[VERIFIED].plus(known.commit[VERIFIED])
    return [
        (
            "walk of a network mount",
            "round trips, until the coordinator's core is busy: "
            f"{count(useful_at_once(known, tree, trips, 0.001))} requests under way at 1 ms and "
            "one a folder",
            "`workers`, more workers of a cluster; `requests_per_second` caps it",
        ),
        (
            "verification",
            f"{count(files_for(verifying, settings.verify_within * settings.duty))} files are "
            f"re-read within {duration(settings.verify_within)} at {settings.duty:.0%} of a core; "
            f"100 million take {duration(verification_period(known, Tree(100_000_000), settings))}",
            "`verify_within`, `duty`",
        ),
        (
            "writing the inventory",
            "grows with the tree: at 10 million files one change writes "
            f"{size(known.inventory.of(tree))}, at most every {duration(least_rest(known, tree))}",
            "`split_by`: only parts with a change are written",
        ),
        (
            "memory",
            f"{size(MEMORY)} hold {count(files_for(known.peak, MEMORY))} files",
            "`ignore`; an output for each root",
        ),
        (
            "start",
            f"{duration(known.restart.of(tree))} for 10 million files, one core",
            "`run` in place of many `scan`",
        ),
        (
            "publishing to a fleet",
            f"one host with 10 million entries takes {duration(known.fleet_publish.of(tree))} of "
            "a core for each publication in which a root changed",
            "`publish_every`",
        ),
        (
            "questions to a fleet",
            "the entries of all hosts are read for each: a core reads "
            f"{count(1 / known.questions['where'].entry)} a second",
            "more cores for DuckDB; PostgreSQL",
        ),
        (
            "hashing",
            f"one worker does {size(known.worker_bytes)}/s over a mount with 1 ms; "
            f"{count(NETWORK / known.worker_bytes)} of them fill 10 Gb/s",
            "workers of a cluster; `hash --rate` caps it",
        ),
    ]


def tables(document: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, str]:
    """All tables by their names in the page."""
    known = constants_of(document, report)
    asked = [f"`fleet {name}`, CPU" for name in known.questions]
    steps = ["first scan", "full verification", "unchanged, trusted", "write for one change"]
    return {
        "machine": ", ".join(
            f"{document['machine'][name]}" for name in ("cpu", "system", "filesystem")
        )
        + f", {document['machine']['cores']} cores, Python {document['machine']['python']}",
        "constants": markdown(["What", "a folder", "a file", "Command"], constants(known)),
        "single": markdown(["What", "Measured", "Command"], single_constants(known)),
        "compared": markdown(["What", "Model", "Run", "Off"], against_runs(document, known)),
        "coordinator": markdown(
            ["million files", "files a folder", "held alone", "with a cluster", "", "peak alone",
             "with a cluster", ""],
            coordinator(document),
        ),
        "runs": markdown(
            ["million files", "files a folder", "workers", "latency", "step", "s", "CPU s",
             "disk's CPU s", "commit, CPU s", "publish, CPU s", "held, MB", "peak, MB"],
            measured(document),
        ),
        "one machine": markdown(
            ["Files", "memory", "peak", "state", "inventory", *steps, "restart"],
            one_machine(known),
        ),
        "walks": markdown(
            ["Round trips", "Files", "each", *map(str, AT_ONCE), "useful"], walks(known)
        ),
        "hashing": markdown(["", "1 worker", "4", "16", "40"], hashing(known)),
        "fleets": markdown(
            ["Hosts", "Parquet", "publish, each host, CPU", *asked], fleets(known)
        ),
        "limits": markdown(["Part", "Where it ends", "What moves it"], limits(known)),
        "workers": markdown(
            ["Step", "Mounts", "Workers", "s", "a second", "Requests a second", "of all cores",
             "all that runs"],
            [workers.row(workers.Step(**step), report["machine"]["cores"])
             for step in report["steps"]],
        ),
    }  # fmt: skip


def filled(text: str, made: Mapping[str, str]) -> str:
    """`text` with each table between `<!-- its name -->` and `<!-- end -->`."""

    def table(found: re.Match[str]) -> str:
        return f"<!-- {found[1]} -->\n{made[found[1]]}\n<!-- end -->"

    return re.sub(r"<!-- ([a-z ]+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def now() -> dict[str, str]:
    """The tables from the committed results."""
    with open(workers.RESULTS, encoding="utf-8") as file:
        return tables(scale_results.read(), json.load(file))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_page", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--print", action="store_true", help="print the tables, write nothing")
    options = parser.parse_args(arguments)
    made = now()
    if options.print:
        for name, table in made.items():
            print(f"{name}\n\n{table}\n")
        return 0
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(filled(text, made))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
