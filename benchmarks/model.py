"""What a tree, a fleet and a week of hashing cost, from what was measured at a million files.

Pure functions of `Constants`, all of which come from the files that `python -m benchmarks.scale
--keep` and `python -m benchmarks.workers --keep` have written. Each cost of a tree has a part for a
folder and one for a file, told apart by two shapes of tree with a million files. `benchmarks.
scale_page` prints the tables of docs/scale.md from it, and compares it with runs at ten million.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import round_trips
from benchmarks.scale import FIRST, ONE, PERCENT, PUBLISH, RESTART, UNCHANGED, VERIFIED, Run, Step
from benchmarks.scale import run_from as read_run
from benchmarks.scale_results import LARGE, SMALL
from scanner.settings.schema import Settings

Document = Mapping[str, Any]

REWRITES = 20
"""Rule 10: a large inventory is written at most once in so many times what the writing takes."""


class Tree(NamedTuple):
    """A tree of folders that hold equally many files."""

    files: int
    files_of_a_folder: int = 200

    @property
    def folders(self) -> int:
        return max(1, round(self.files / self.files_of_a_folder))


class Cost(NamedTuple):
    """What one folder costs, and what one file in it does."""

    folder: float
    file: float

    def of(self, tree: Tree) -> float:
        """The cost of all of `tree`."""
        return self.folder * tree.folders + self.file * tree.files

    def plus(self, other: Cost) -> Cost:
        return Cost(self.folder + other.folder, self.file + other.file)


class Question(NamedTuple):
    """Processor seconds of a question to a fleet, and the memory that it takes."""

    base: float
    host: float
    entry: float
    memory: float
    """Bytes for each entry."""

    def of(self, hosts: int, entries: int) -> float:
        """With so many entries of each host."""
        return self.base + self.host * hosts + self.entry * hosts * entries


class Constants(NamedTuple):
    """What was measured. Seconds are processor seconds, without those of the made-up disk."""

    walk: Mapping[str, Cost]
    """By step: what walking, comparing and deciding cost, without commit and publish."""
    commit: Mapping[str, Cost]
    publish: Mapping[str, Cost]
    """Writing the inventory, by step."""
    disk: Mapping[str, Cost]
    """What the made-up disk itself cost, for comparisons with runs on it."""
    held: Cost
    """Bytes of memory between scans."""
    peak: Cost
    """Bytes of memory during a first scan."""
    cluster_walk: Mapping[str, Cost]
    """`walk` with a cluster of threads: the work of its workers included."""
    cluster_held: Cost
    cluster_peak: Cost
    inventory: Cost
    """Bytes on the disk, as are the next two."""
    state: Cost
    parquet: Cost
    restart: Cost
    fleet_publish: Cost
    share: float
    """What a share of a cluster costs, here and in its worker, beyond the same work without."""
    hash: Mapping[str, float]
    """For each byte, by algorithms."""
    verified_trips: Mapping[str, float]
    """Round trips for each entry of a full verification, by kind of mount."""
    unchanged_trips: Mapping[str, float]
    """Round trips for each folder of an unchanged scan, by kind of mount."""
    questions: Mapping[str, Question]
    worker_bytes: float
    """Bytes a second that one worker has hashed over the slow mount."""


def constants_of(scale: Document, workers: Document) -> Constants:
    """The constants in both files of results."""
    runs = [read_run(run) for run in scale["runs"] if not run["latency"]]
    alone = [run for run in runs if run.files == SMALL and not run.cluster]
    cluster = [run for run in runs if run.files == SMALL and run.cluster]

    def cost(take: Callable[[Run], float], which: Sequence[Run] = alone) -> Cost:
        return _split(which, take)

    def steps(
        take: Callable[[Step], float], which: Sequence[Run] = alone, names: Sequence[str] = SCANS
    ) -> dict[str, Cost]:
        return {
            name: cost(lambda run, name=name: take(run.steps[name]), which)  # type: ignore[misc]
            for name in names
        }

    trips = {(one["name"], one["mount"]): one["each"] for one in scale["round_trips"]}
    mounts = list(dict.fromkeys(mount for _, mount in trips))
    return Constants(
        walk=steps(_walking),
        commit=steps(lambda step: step.commit),
        publish=steps(lambda step: step.publish),
        disk=steps(lambda step: step.disk),
        held=cost(lambda run: run.steps[UNCHANGED].resident),
        peak=cost(lambda run: run.steps[FIRST].peak),
        cluster_walk=steps(_walking, cluster),
        cluster_held=cost(lambda run: run.steps[UNCHANGED].resident, cluster),
        cluster_peak=cost(lambda run: run.steps[FIRST].peak, cluster),
        inventory=cost(lambda run: run.inventory),
        state=cost(lambda run: run.state),
        parquet=cost(lambda run: run.parquet),
        restart=cost(lambda run: run.steps[RESTART].cpu),
        fleet_publish=cost(lambda run: run.steps[PUBLISH].cpu),
        share=_share(alone, cluster),
        hash=dict(scale["hash"]),
        verified_trips={m: trips[round_trips.VERIFICATION, m] for m in mounts},
        unchanged_trips={m: trips[round_trips.UNCHANGED, m] for m in mounts},
        questions=_questions(scale["fleet"]),
        worker_bytes=max(
            step["amount"] / step["seconds"]
            for step in workers["steps"]
            if (step["name"], step["workers"]) == ("hash", 1)
        ),
    )


SCANS = (FIRST, VERIFIED, UNCHANGED, ONE, PERCENT)


def _walking(step: Step) -> float:
    return step.cpu - step.commit - step.publish


def _split(runs: Sequence[Run], take: Callable[[Run], float]) -> Cost:
    """The cost of a folder and of a file, from two shapes of tree."""
    wide, narrow = runs
    more = (narrow.folders - wide.folders) or 1
    folder = max(0.0, (take(narrow) - take(wide)) / more)
    return Cost(folder, max(0.0, (take(wide) - folder * wide.folders) / wide.files))


def _share(alone: Sequence[Run], cluster: Sequence[Run]) -> float:
    more = [
        (_walking(theirs.steps[FIRST]) - _walking(own.steps[FIRST])) / theirs.steps[FIRST].shares
        for own, theirs in zip(alone, cluster, strict=True)
    ]
    return max(0.0, sum(more) / len(more))


def _questions(costs: Sequence[Document]) -> dict[str, Question]:
    """From three fleets: the first two have as many entries in all, the last two as many hosts."""
    found = {}
    for name in dict.fromkeys(cost["question"] for cost in costs):
        few, many, large = [cost for cost in costs if cost["question"] == name][:3]
        host = max(0.0, (many["cpu"] - few["cpu"]) / (many["hosts"] - few["hosts"]))
        rows = large["hosts"] * large["entries"] - many["hosts"] * many["entries"]
        entry = max(0.0, (large["cpu"] - many["cpu"]) / rows)
        base = few["cpu"] - host * few["hosts"] - entry * few["hosts"] * few["entries"]
        memory = max(0.0, (large["peak"] - many["peak"]) / rows)
        found[name] = Question(max(0.0, base), host, entry, memory)
    return found


# What things take


def scan_cpu(known: Constants, tree: Tree, step: str) -> float:
    """Processor seconds of one scan on this machine."""
    whole = known.walk[step].plus(known.commit[step]).plus(known.publish[step])
    return whole.of(tree)


def waiting(trips: float, latency: float, at_once: int) -> float:
    """Seconds that the round trips of a walk take, so many of them under way at a time."""
    return trips * latency / at_once


class Walk(NamedTuple):
    """What a walk of a network mount takes, and what limits it."""

    seconds: float
    limit: str


def walk(known: Constants, tree: Tree, trips: float, latency: float, at_once: int) -> Walk:
    """A full verification with `at_once` requests under way: waiting and computing overlap, but
    with one request at a time they do not."""
    waits = waiting(trips, latency, at_once)
    if at_once == 1:
        computing = known.walk[VERIFIED].plus(known.commit[VERIFIED]).of(tree)
        return Walk(waits + computing, ROUND_TRIPS if waits > computing else COORDINATOR)
    computing = coordinating(known, tree)
    return Walk(max(waits, computing), ROUND_TRIPS if waits > computing else COORDINATOR)


def coordinating(known: Constants, tree: Tree) -> float:
    """Processor seconds of a full verification with a cluster. Some of them are its workers', which
    are threads of the same process where this was measured: real ones go a little further."""
    return known.cluster_walk[VERIFIED].plus(known.commit[VERIFIED]).of(tree)


ROUND_TRIPS, COORDINATOR, NETWORK, PROCESSOR = "round trips", "coordinator", "network", "workers"


def useful_at_once(known: Constants, tree: Tree, trips: float, latency: float) -> float:
    """The number of requests under way from which on more do not help."""
    return trips * latency / coordinating(known, tree)


def simulated(known: Constants, tree: Tree, step: str, latency: float, workers: int) -> float:
    """Seconds of a run of `benchmarks.scale`: all of its threads share one processor."""
    costs = known.cluster_walk if workers else known.walk
    computing = costs[step].plus(known.commit[step]).plus(known.disk[step]).of(tree)
    # A round trip for each folder.
    waits = waiting(tree.folders, latency, max(1, workers))
    last = known.publish[step].of(tree)
    return last + (max(computing, waits) if workers else computing + waits)


def hash_seconds(known: Constants, size: float, workers: int, network: float) -> Walk:
    """Hashing `size` bytes by `workers` with a core each, over a network of so many bytes a
    second in all, each worker no faster than the one that was measured."""
    rate = min(known.worker_bytes, 1 / known.hash["xxh3 and sha256"])
    of_workers = size / (rate * workers)
    return Walk(
        max(of_workers, size / network), NETWORK if size / network > of_workers else PROCESSOR
    )


def least_rest(known: Constants, tree: Tree) -> float:
    """Seconds between two writes of the inventory (rule 10)."""
    return REWRITES * known.publish[ONE].of(tree)


def verification_period(known: Constants, tree: Tree, settings: Settings) -> float:
    """Seconds within which all files of a local disk are read again, by the processor alone."""
    return max(settings.verify_within, scan_cpu(known, tree, VERIFIED) / settings.duty)


def files_for(cost: Cost, limit: float, files_of_a_folder: int = 200) -> float:
    """The number of files at which `cost` reaches `limit`."""
    return limit / (cost.file + cost.folder / files_of_a_folder)


# Against runs at ten million


class Compared(NamedTuple):
    """A figure of the model and what a run has found."""

    what: str
    model: float
    run: float

    @property
    def off(self) -> float:
        """By what part of the run's figure the model is off."""
        return self.model / self.run - 1


def compared(scale: Document, known: Constants) -> list[Compared]:
    """The model beside the runs with ten million files."""
    found = []
    for run in (read_run(run) for run in scale["runs"]):
        if run.files != LARGE:
            continue
        tree = Tree(run.files, run.files_of_a_folder)
        who = f"{run.cluster} workers" if run.cluster else "alone"
        if run.latency:
            found += _compared_waits(known, run, tree, who)
            continue
        costs = known.cluster_walk if run.cluster else known.walk
        for name in SCANS:
            whole = costs[name].plus(known.commit[name]).plus(known.publish[name])
            found.append(
                Compared(f"{name}, {who}: processor seconds", whole.of(tree), run.steps[name].cpu)
            )
        held = known.cluster_held if run.cluster else known.held
        peak = known.cluster_peak if run.cluster else known.peak
        found += [
            Compared(f"held, {who}: MB", held.of(tree) / 1e6, run.steps[UNCHANGED].resident / 1e6),
            Compared(f"peak, {who}: MB", peak.of(tree) / 1e6, run.steps[FIRST].peak / 1e6),
        ]
        if not run.cluster:
            found += _compared_files(known, run, tree)
    return found + _compared_fleet(scale, known)


def _compared_waits(known: Constants, run: Run, tree: Tree, who: str) -> list[Compared]:
    delay = f"{run.latency * 1e3:g} ms"
    return [
        Compared(
            f"{name}, {who}, {delay} a call: elapsed seconds",
            simulated(known, tree, name, run.latency, run.cluster),
            step.seconds,
        )
        for name, step in run.steps.items()
    ]


def _compared_files(known: Constants, run: Run, tree: Tree) -> list[Compared]:
    return [
        Compared("restart: processor seconds", known.restart.of(tree), run.steps[RESTART].cpu),
        Compared("inventory: MB", known.inventory.of(tree) / 1e6, run.inventory / 1e6),
        Compared("state: MB", known.state.of(tree) / 1e6, run.state / 1e6),
    ]


def _compared_fleet(scale: Document, known: Constants) -> list[Compared]:
    last = scale["fleet"][-1]
    which = [cost for cost in scale["fleet"] if cost["hosts"] == last["hosts"]]
    return [
        Compared(
            f"`fleet {cost['question']}`, {cost['hosts']} hosts: processor seconds",
            known.questions[cost["question"]].of(cost["hosts"], cost["entries"]),
            cost["cpu"],
        )
        for cost in which
    ]
