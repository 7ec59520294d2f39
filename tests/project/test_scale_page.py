"""docs/scale.md says what the model makes of the committed results, and the model what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scale_page
from benchmarks.model import (
    ROUND_TRIPS,
    Cost,
    Question,
    Tree,
    constants_of,
    files_for,
    useful_at_once,
    walk,
)
from benchmarks.scale import PERCENT, VERIFIED

PAGE = Path(scale_page.PAGE)

FEW, MANY = (5_000, 1_000_000), (50_000, 1_000_000)
"""Folders and files of the two shapes."""


def test_tables_of_the_page_are_what_the_model_makes_of_the_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = scale_page.now()
    assert scale_page.filled(text, made) == text, "run python -m benchmarks.scale_page"
    for name in made:
        assert f"<!-- {name} -->" in text


def test_filling_in_replaces_what_stood_there() -> None:
    text = "a\n<!-- one -->\n| old |\n<!-- end -->\nb <!-- a remark -->\n"
    made = scale_page.filled(text, {"one": "| new |"})
    assert made == "a\n<!-- one -->\n| new |\n<!-- end -->\nb <!-- a remark -->\n"


def step(folders: int, files: int, folder: float, file: float) -> dict[str, float]:
    """A step whose every figure costs so much a folder and a file; half a microsecond a folder of
    its processor time went into the commit."""
    cost = folder * folders + file * files
    commit = 0.5e-6 * folders
    return {
        "seconds": cost, "cpu": cost, "disk": 0.0, "calls": folders, "commit": commit,
        "publish": 0.0, "resident": int(cost), "peak": int(cost), "shares": 1000,
    }  # fmt: skip


def run(shape: tuple[int, int], *, cluster: int = 0, folder: float = 2e-6) -> dict[str, object]:
    folders, files = shape
    names = ("first scan", "full verification", "unchanged", "one change", "1 % changed")
    more = () if cluster else ("restart", "fleet publish")
    return {
        "files": files, "files_of_a_folder": files // folders, "folders": folders,
        "cluster": cluster, "latency": 0.0, "inventory": 100 * files, "state": 40 * files,
        "parquet": 5 * files,
        "steps": {name: step(folders, files, folder, 1e-6) for name in (*names, *more)},
    }  # fmt: skip


def costs(hosts: int, entries: int) -> dict[str, object]:
    cpu = 0.1 + 0.01 * hosts + 1e-7 * hosts * entries
    return {
        "hosts": hosts,
        "entries": entries,
        "question": "where",
        "cpu": cpu,
        "peak": 9 * hosts * entries,
    }


RESULTS = {
    "runs": [
        run(FEW), run(MANY), run(FEW, cluster=4, folder=4e-6), run(MANY, cluster=4, folder=4e-6),
    ],
    "hash": {"xxh3 and sha256": 1e-9},
    "round_trips": [
        {"mount": "sshfs", "name": "full verification", "each": 2.0},
        {"mount": "sshfs", "name": "unchanged scan", "each": 1.0},
    ],
    "fleet": [costs(5, 20_000), costs(50, 2_000), costs(50, 20_000), costs(100, 15_000)],
}  # fmt: skip

WORKERS = {"steps": [{"name": "hash", "workers": 1, "amount": 50e6, "seconds": 2.0}]}


def test_costs_of_folders_and_files_are_told_apart() -> None:
    known = constants_of(RESULTS, WORKERS)
    assert known.walk[PERCENT] == pytest.approx(Cost(1.5e-6, 1e-6))
    assert known.commit[PERCENT] == pytest.approx(Cost(0.5e-6, 0.0))
    assert known.inventory == pytest.approx(Cost(0.0, 100.0))
    assert known.questions["where"] == pytest.approx(Question(0.1, 0.01, 1e-7, 9.0))
    # 10 ms more for 5,000 folders and 100 ms for 50,000, in a thousand shares each.
    assert known.share == pytest.approx((10e-6 + 100e-6) / 2)
    assert known.worker_bytes == 25e6


def test_walk_waits_for_round_trips_until_the_coordinator_is_busy() -> None:
    known, tree = constants_of(RESULTS, WORKERS), Tree(1_000_000)
    own, computing = (
        cost[VERIFIED].plus(known.commit[VERIFIED]).of(tree)
        for cost in (known.walk, known.cluster_walk)
    )
    alone = walk(known, tree, 5_000, 0.001, 1)
    assert alone.limit == ROUND_TRIPS and alone.seconds == pytest.approx(5 + own)
    useful = useful_at_once(known, tree, 5_000, 0.001)
    before = walk(known, tree, 5_000, 0.001, int(useful))
    after = walk(known, tree, 5_000, 0.001, int(useful) + 1)
    assert before.limit == ROUND_TRIPS != after.limit
    assert after.seconds == pytest.approx(computing)
    assert walk(known, tree, 5_000, 0.001, 10_000) == after


def test_number_of_files_for_a_limit_is_that_of_its_cost() -> None:
    cost = Cost(3.0, 0.25)
    assert cost.of(Tree(round(files_for(cost, 1000.0)))) == pytest.approx(1000.0, rel=0.01)
