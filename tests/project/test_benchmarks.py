"""Benchmarks measure what they say, take back what they change, and say what they leave out.

Nothing here depends on how long anything takes.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import compare, edits, first_scan, page
from benchmarks.__main__ import measure
from benchmarks.figures import (
    EVERY_5S,
    FIND,
    FIRST,
    OURS,
    PERCENT,
    SCENARIOS,
    UNCHANGED,
    WATCHDOG,
    Line,
    Publishing,
    Results,
    Size,
    Start,
    read,
    write,
)
from benchmarks.peers import reasons_without
from benchmarks.processes import BenchmarkError, Cost, cpu_seconds, environment, run
from benchmarks.tables import ratios
from benchmarks.targets import CPU, START, STARTS, TARGETS
from benchmarks.trees import build_tree, tree_at

FILES = 300


def _tree(top: str) -> dict[str, tuple[int, int, int]]:
    """Size, time and inode of every file below `top`, and of every folder its time."""
    found = {}
    for folder, _, names in os.walk(top):
        own = os.stat(folder)
        found[folder] = (0, own.st_mtime_ns, own.st_ino)
        for name in names:
            path = os.path.join(folder, name)
            told = os.stat(path)
            found[path] = (told.st_size, told.st_mtime_ns, told.st_ino)
    return found


# Trees


def test_tree_that_stands_is_used_and_a_half_one_is_not(tmp_path: Path) -> None:
    half = tmp_path / str(FILES) / "ComfyUI.unfinished" / "models"
    half.mkdir(parents=True)
    built = tree_at(str(tmp_path), FILES)
    before = _tree(built)
    assert tree_at(str(tmp_path), FILES) == built
    assert _tree(built) == before
    assert not half.exists()


# Edits


def test_folder_of_the_wanted_size_is_gathered_and_dispersed_again(tmp_path: Path) -> None:
    models = tmp_path / "models"
    for number in range(12):
        folder = models / "loras" / f"folder_{number:02d}"
        folder.mkdir(parents=True)
        (folder / "a").write_bytes(b"a")
    before = _tree(str(models))
    with edits.folder_with(str(models), 5) as (path, files):
        assert files == 5
        assert sum(len(names) for _, _, names in os.walk(path)) == 5
    assert _tree(str(models)) == before


def test_edits_are_taken_back_even_when_measuring_fails(tmp_path: Path) -> None:
    models, aside = tmp_path / "models", tmp_path / "aside"
    build_tree(str(models), FILES)
    aside.mkdir()
    before = _tree(str(models))
    files = edits.every_nth(str(models), 40)
    edit = (
        edits.replaced(files[:3], str(aside)),
        edits.created(edits.free_name(str(models), "created")),
        edits.rewritten(files[3]),
        edits.moved(files[4], edits.free_name(str(models), "moved")),
    )
    with pytest.raises(RuntimeError), ExitStack() as stack:
        for change in edit:
            stack.enter_context(change)
        assert _tree(str(models)) != before
        raise RuntimeError
    assert _tree(str(models)) == before


# One run


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be ended in order there")
def test_run_measures_every_scenario_and_leaves_the_tree_unchanged(tmp_path: Path) -> None:
    trees = str(tmp_path / "trees")
    comfy_root = tree_at(trees, FILES)
    before = _tree(comfy_root)
    measured = measure([FILES], trees, repeats=1, scans=2)
    assert _tree(comfy_root) == before
    assert os.listdir(os.path.dirname(comfy_root)) == ["ComfyUI"]

    (size,) = measured.sizes
    assert size.files == FILES
    assert [s for s in SCENARIOS if size.seconds(s, OURS) is None] == []
    assert set(measured.left_out) == set(reasons_without())
    for who in {FIND, WATCHDOG} - set(measured.left_out):
        assert size.seconds(UNCHANGED, who) is not None

    path = tmp_path / "results.json"
    write(str(path), measured)
    assert read(str(path)).sizes[0].files == FILES
    # Results are published: they must not name the machine.
    text = path.read_text(encoding="utf-8") + page.render(measured, None, has_picture=False)
    for name in (trees, os.path.expanduser("~") + os.sep, sys.prefix, os.uname().nodename):
        assert name not in text


# Processes


def test_command_that_fails_is_told_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no disk')"]
    with pytest.raises(BenchmarkError, match="ended with 1: no disk"):
        run(command, environment(str(tmp_path)), str(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell what a child costs")
def test_step_costs_what_its_helpers_cost_too() -> None:
    spin = "import time\nwhile time.process_time() < 0.1: pass"
    before = cpu_seconds()
    subprocess.run([sys.executable, "-c", spin], check=True)
    assert cpu_seconds() - before >= 0.1


def test_settings_of_the_person_who_measures_do_not_slip_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nor that Python must not keep what it compiles, which no installation says.
    monkeypatch.setenv("COMFY_INVENTORY_EVERY", "1h")
    assert "COMFY_INVENTORY_EVERY" not in environment("home")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in environment("home")
    assert environment("home", every="30s")["COMFY_INVENTORY_EVERY"] == "30s"


# Tables, page, comparison


def _results(seconds: float) -> Results:
    """Two sizes, the larger one a million files; the program takes `seconds` per million."""
    sizes = []
    for files in (1_000, 1_000_000):
        millions = files / 1e6
        lines = [Line(scenario, OURS, [seconds * millions], [0.1]) for scenario in SCENARIOS]
        lines += [Line(scenario, FIND, [4.0 * millions]) for scenario in SCENARIOS]
        size = Size(files, 0, lines=lines, publishing=Publishing([1.0], [2.0], [2.0], 10**6))
        size.note_peak(FIRST, Cost(1.0, 1.0, 200.0))
        sizes.append(size)
    size.line(UNCHANGED, WATCHDOG).add(Cost(2.0))
    told = {"cpu": "a processor", "cores": 2, "memory_gb": 8.0, "system": "Linux", "kernel": "6"}
    told |= {"filesystem": "ext4", "python": "3.11", "peers": {"find": "4.9"}}
    return Results("2026-01-02T03:04:05+00:00", "1.2.3", told, 5, {"rclone": "gone"}, sizes)


def test_targets_are_judged_only_at_the_sizes_that_they_are_set_for() -> None:
    small, big = _results(0.6).sizes
    unchanged = TARGETS[0]
    assert unchanged.value(small) == unchanged.value(big) == 0.15
    assert (unchanged.verdict(small), unchanged.verdict(big)) == ("", "met")
    assert unchanged.verdict(_results(0.7).sizes[1]) == "not met"


def test_every_size_has_the_target_of_its_own() -> None:
    (unchanged,) = (target for target in TARGETS if target.name == "unchanged scan : find")
    sizes = [Size(files, 0) for files in (2_000, 200_000)]
    for size in sizes:
        size.line(UNCHANGED, OURS).add(Cost(0.5, 0.1))
        size.line(UNCHANGED, FIND).add(Cost(1.0, 1.0))
    assert [unchanged.verdict(size) for size in sizes] == ["met", "not met"]
    assert [unchanged.value(size, clock=CPU) for size in sizes] == [0.1, 0.1]


def test_peers_that_always_look_at_everything_stand_beside_each_such_scan() -> None:
    (size,) = (Size(2_000, 0),)
    size.line(UNCHANGED, WATCHDOG).add(Cost(3.0))
    size.line(UNCHANGED, FIND).add(Cost(1.0))
    size.line(EVERY_5S, FIND).add(Cost(1.5))
    by_name = {target.name: target.value(size, WATCHDOG) for target in TARGETS}
    assert {name for name, value in by_name.items() if value == 3.0} == {
        "unchanged scan : find",
        "the same, --every 5s : find",
        "full verification : find",
    }
    assert {value for value in by_name.values() if value != 3.0} == {None}


def test_publishing_is_compared_in_processor_time_too() -> None:
    (publish,) = (target for target in TARGETS if target.name.startswith("commit and publish"))
    told = Publishing([1.0], [2.0], [2.0], 10**6, [0.1], [0.2], [0.1])
    size = Size(2_000, 0, publishing=told)
    assert publish.value(size) == 1.5
    assert publish.value(size, clock=CPU) == pytest.approx(3.0)
    assert publish.value(size, WATCHDOG) is None


def test_memory_with_many_changes_has_a_row_of_its_own() -> None:
    size = Size(2_000, 0)
    size.line(UNCHANGED, OURS).add(Cost(1.0, 1.0, 40.0))
    size.line(PERCENT, OURS).add(Cost(1.0, 1.0, 90.0))
    rows = {target.name: target.value(size) for target in TARGETS if target.unit}
    assert rows == {"peak memory": 40.0, "the same, 1 % changed as well": 90.0}


def test_starts_of_commands_are_judged_by_processor_time() -> None:
    starts = [Start("--version", 0.05, 4.0), Start("status", 0.2, 12.1), Start("roots", 0.2, 20.0)]
    _, rows = ratios(Results("", "", {}, 1, starts=starts))
    assert [(row[0], row[2], row[4], row[5]) for row in rows] == [
        ("start of --version : python -c pass", "4", "4", "met"),
        ("start of status : python -c pass", "12", "12.1", "not met"),
        ("start of roots : python -c pass", "-", "20", ""),
    ]
    assert "1 of 2 targets are met." in page.report(Results("", "", {}, 1, starts=starts))


def test_figure_that_was_not_measured_is_no_failure() -> None:
    empty = Size(1_000_000, 0)
    assert {target.verdict(empty) for target in TARGETS} == {""}
    ratios(Results("", "", {}, 1, sizes=[empty]))


def test_page_tells_machine_ratios_and_what_was_left_out() -> None:
    text = page.render(_results(1.1), None, has_picture=True)
    assert "a processor, 2 cores" in text
    assert "Left out: rclone (gone)." in text
    row = "| unchanged scan : find | 1,000,000 | 0.15 | 0.275 | - | not met | 0.5 | - | - |"
    assert row in text
    assert "| unchanged scan : find | 1,000 | - | 0.275 | - |  | - | - | - |" in text
    assert "make bench-full" in text


def test_comparison_sets_two_runs_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = str(tmp_path / "old.json"), str(tmp_path / "new.json")
    write(old, _results(1.0))
    write(new, _results(2.0))
    monkeypatch.setattr(sys, "argv", ["compare", old, new])
    assert compare.main() == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["1,000,000", "unchanged", "scan", ":", "find", "0.25", "0.5", "2.00"] in lines


def test_parts_of_a_first_scan_come_to_all_of_it(tmp_path: Path) -> None:
    if "find" in reasons_without():
        pytest.skip(reasons_without()["find"])
    comfy_root = tree_at(str(tmp_path), FILES)
    medians = first_scan.measure(comfy_root, str(tmp_path), 1)
    parts = (
        "listing",
        "commit",
        "publish",
        "walking and judging besides",
        "start and end of Python",
    )
    assert sum(medians[part] for part in parts) == pytest.approx(medians["all"])
    assert first_scan.walk_bare(comfy_root) > FILES


# History


def test_claims_of_speed_are_whole_lines() -> None:
    """Each tells commit, figure, size, before, after and command; a figure that looks like a row
    of the table is one."""
    path = Path(__file__).parents[2] / "benchmarks" / "HISTORY.md"
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    claims = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    assert len(claims) >= 9
    assert [claim for claim in claims if len(claim) != 6 or "" in claim] == []
    known = {target.name for target in TARGETS} | {START.format(name) for name in STARTS}
    figures = {claim[1] for claim in claims}
    assert {name for name in figures if " : find" in name} <= known
