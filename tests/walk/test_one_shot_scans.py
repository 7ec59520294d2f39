"""Rows of one-shot scans, each in a process of its own, cost what the same scans of `run` cost."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.disk.trust import PROOFS_WANTED
from scanner.store.store import LEARNED
from tests.support.world import MODELS, World, at

NAS = Mount("/", "fuse.sshfs", "nas:/models")
NODES = Root("custom_nodes", at("ComfyUI/custom_nodes"))
FOLDERS = 40
EVERY = 90.0
"""Seconds between lines of the crontab."""


def folder(number: int) -> str:
    return f"ComfyUI/models/loras/d{number:02}"


class Cron:
    """Scans of a NAS whose listing takes 10 s, each in a process of its own."""

    def __init__(
        self,
        path: Path,
        roots: tuple[Root, ...] = (MODELS,),
        proofs: int = PROOFS_WANTED,
        **settings: Any,
    ) -> None:
        self.world = World(path, roots=roots, **{"duty": 1.0, **settings})
        self.files = self.world.files
        self.files.mount_table = [NAS]
        for number in range(FOLDERS):
            self.files.write(at(folder(number) + "/x"), b"%d" % number)
        self.files.latency = 0.25
        self.world.store.trust_of(NAS).proofs = proofs
        self.world.scan()

    def scan(self, passed: float = EVERY) -> int:
        """The number of listings."""
        self.world.restart()
        self.files.advance(passed)
        self.world.scanner.take_up_turns()
        self.files.calls.clear()
        self.files.asked.clear()
        self.world.scan(advance=0.0, reads=False)
        return self.files.calls["list"]

    def settled(self) -> Cron:
        self.scan()
        self.scan()
        return self


def counts_of_run(path: Path, scans: int) -> list[tuple[int, int]]:
    """Listings and stats of a process that goes on, on the same tree."""
    world = Cron(path).world
    world.interval = EVERY
    counts = []
    for _ in range(scans + 2):
        world.files.calls.clear()
        world.scan(advance=EVERY, reads=False)
        counts.append((world.files.calls["list"], world.files.calls["stat"]))
    return counts[2:]


def means(counts: list[tuple[int, int]]) -> tuple[float, float]:
    return fmean(lists for lists, _ in counts), fmean(stats for _, stats in counts)


def test_a_hundred_one_shot_scans_cost_what_those_of_run_cost(tmp_path: Path) -> None:
    """Directory stats, and a share of verification: everything once in ten minutes."""
    for name in ("run", "cron"):
        (tmp_path / name).mkdir()
    cron = Cron(tmp_path / "cron").settled()
    counts = []
    for _ in range(100):
        counts.append((cron.scan(), cron.files.calls["stat"]))
        assert cron.world.lines == []
    lists, stats = means(counts)
    lists_of_run, stats_of_run = means(counts_of_run(tmp_path / "run", 100))
    share = (FOLDERS + 2) * EVERY / 600
    assert share <= lists < 1.5 * share
    assert lists == pytest.approx(lists_of_run, rel=0.05)
    assert stats == pytest.approx(stats_of_run, rel=0.05)
    assert max(lists for lists, _ in counts) < 2 * share


CLOCKS = ["left alone", "a new boot", "wall back", "wall back twice", "wall ahead"]


@pytest.mark.parametrize("clocks", CLOCKS)
def test_the_place_is_kept_whatever_the_clocks_do(tmp_path: Path, clocks: str) -> None:
    cron = Cron(tmp_path).settled()
    day = 86_400 * 10**9
    listed: set[str] = set()
    for number in range(8):
        is_all_due = False
        if number == 3 and clocks == "a new boot":
            cron.files.boot_id, cron.files.clock = "second boot", 5.0
        elif number == 3 and clocks == "wall ahead":
            cron.files.wall += day
            is_all_due = True  # a day may have passed
        elif number in (3, 4)[: clocks.startswith("wall back") + clocks.endswith("twice")]:
            cron.files.wall -= day
        assert (cron.scan() == FOLDERS + 2) == is_all_due, number
        listed |= {path for operation, path in cron.files.asked if operation == "list"}
    assert len(listed) == FOLDERS + 2


def test_both_clocks_behind_list_everything(tmp_path: Path) -> None:
    cron = Cron(tmp_path).settled()
    cron.files.boot_id = ""
    cron.scan()
    cron.files.clock, cron.files.wall = 5.0, cron.files.wall - 86_400 * 10**9
    assert cron.scan() == FOLDERS + 2


def test_a_day_of_sleep_is_an_interval_of_a_day(tmp_path: Path) -> None:
    """Everything is due, and listing it is a hundredth of the day."""
    cron = Cron(tmp_path).settled()
    assert cron.scan(86_400.0) == FOLDERS + 2
    cron.scan()
    assert cron.scan() < FOLDERS / 2


def test_edits_in_place_are_found_within_the_period(tmp_path: Path) -> None:
    cron = Cron(tmp_path).settled()
    for number in (0, 17, 39):
        cron.files.write(at(folder(number) + "/x"), b"edited")
    found = []
    for _ in range(6):  # 9 minutes, and the duration of six scans
        cron.scan()
        found += [line["path"] for line in cron.world.lines]
    assert sorted(found) == [folder(number) + "/x" for number in (0, 17, 39)]


def test_counter_examples_count_over_processes(tmp_path: Path) -> None:
    """A change that moved no times is looked at once more before it ends the trust."""
    cron = Cron(tmp_path, verify_within=1.0).settled()
    assert cron.world.store.trust_of(NAS).is_earned(NAS)
    cron.files.moves_directory_mtimes = False
    cron.files.write(at(folder(1) + "/new"), b"new")
    cron.scan()
    assert [line["path"] for line in cron.world.lines] == [folder(1) + "/new"]
    assert cron.world.store.trust_of(NAS).failures == 0
    cron.scan()
    assert cron.world.store.trust_of(NAS).is_lost(NAS)
    assert cron.scan() == FOLDERS + 2


def test_trust_is_earned_over_processes(tmp_path: Path) -> None:
    cron = Cron(tmp_path, proofs=0).settled()
    for number in range(3):
        cron.files.write(at(folder(number) + "/new"), b"new")
        assert cron.scan() == FOLDERS + 2
    cron.scan()
    assert cron.scan() < FOLDERS / 2


def test_what_changed_last_in_a_process_that_left_no_word_is_listed_again(tmp_path: Path) -> None:
    """A process that was killed, or `run`, may have seen the first of two changes in one tick."""
    cron = Cron(tmp_path).settled()
    assert cron.world.store.state.get(LEARNED)
    cron.files.granularity = 10**14
    cron.files.write(at(folder(5) + "/one"), b"1")
    cron.world.restart()
    cron.world.scan(reads=False)  # as `run` does
    assert [line["path"] for line in cron.world.lines] == [folder(5) + "/one"]
    cron.files.write(at(folder(5) + "/two"), b"2")
    assert cron.scan() == FOLDERS + 2
    assert [line["path"] for line in cron.world.lines] == [folder(5) + "/two"]


def test_the_place_is_kept_in_the_transaction_of_the_scan(tmp_path: Path) -> None:
    """A process that is killed while it reads files has left it."""
    cron = Cron(tmp_path).settled()
    before = cron.world.store.state.get(LEARNED)
    cron.files.makedirs(at(folder(5) + "/new"))  # new files are looked at again anyway
    cron.scan()
    assert cron.world.store.state.get(LEARNED) != before
    cron.scan()
    assert ("list", at(folder(5))) in cron.files.asked
    cron.scan()
    assert ("list", at(folder(5))) not in cron.files.asked


def test_packs_are_read_in_their_turn(tmp_path: Path) -> None:
    """As in `run`: what is read of a pack is not told by the times of its folder."""
    cron = Cron(tmp_path, roots=(MODELS, NODES))
    for number in range(FOLDERS):
        cron.files.write(at(f"ComfyUI/custom_nodes/p{number:02}/pyproject.toml"), b"[project]\n")
    cron.settled()
    reads = []
    for _ in range(13):
        cron.scan()
        packs = {path for op, path in cron.files.asked if op == "open" and "custom_nodes" in path}
        reads.append(len(packs))
    assert sum(1 for count in reads if count) in (1, 2), reads
    assert max(reads) >= FOLDERS


def test_a_zone_with_more_paths_to_one_folder_than_count_is_walked_once(tmp_path: Path) -> None:
    """That its order matters is known from the process before."""
    cron = Cron(tmp_path, max_paths=3)
    for number in range(5):
        cron.files.symlink(at(folder(0)), at(f"ComfyUI/models/link{number}"))
    cron.settled()
    of_run = cron.world
    of_run.interval = EVERY
    of_run.files.calls.clear()
    of_run.scan(advance=EVERY, reads=False)
    expected = of_run.files.calls["stat"] + of_run.files.calls["list"]
    cron.settled()
    cron.scan()
    assert cron.files.calls["stat"] + cron.files.calls["list"] <= expected * 1.2


def test_a_zone_that_is_listed_whole_in_every_scan_leaves_nothing(tmp_path: Path) -> None:
    cron = Cron(tmp_path)
    cron.files.latency = 0.001
    cron.settled()
    assert not cron.world.store.state.get(LEARNED)
