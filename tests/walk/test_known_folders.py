"""Known folders are compared with the disk by their times and the names of their entries, and
nothing is missed for it."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount
from scanner.walk import samples
from scanner.walk.verification import Terms, Verification
from scanner.workers.worker import LocalWorker
from tests.support.fakes import FakeFileSystem
from tests.support.world import MODELS, World, at, close_worlds, content, quick_folder

FOLDERS = 40
TURN = 3
"""Folders that are listed in a scan every 30 s, so that all 42 are listed within ten minutes."""


def small_world(folder: Path) -> World:
    """A tree that every scan may look at: a folder takes a millisecond."""
    world = World(folder, roots=(MODELS,))
    for number in range(FOLDERS):
        world.files.write(lora(number, "x"), content(str(number)))
        world.files.write(lora(number, "y"), content(str(number)))
    world.files.latency = 0.001
    world.settle()
    world.scan(reads=False)
    return world


def lora(number: int, name: str = "") -> str:
    return at(f"ComfyUI/models/loras/d{number:02}/{name}").rstrip("/")


def listed_in(world: World) -> list[str]:
    return [path for operation, path in world.files.asked if operation == "list"]


def test_unchanged_scan_lists_its_turn_and_asks_for_the_rest_by_name(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    for _ in range(5):
        world.files.calls.clear()
        assert world.scan(reads=False) == []
        assert world.files.calls["list"] == TURN
        assert world.files.calls["by name"] == FOLDERS + 2 - TURN
        # Each entry once: 40 folders and loras, two files in each; models itself before and after.
        assert world.files.calls["stat"] == FOLDERS + 1 + 2 * FOLDERS + 2


def test_every_folder_is_listed_within_the_period(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    seen: set[str] = set()
    started = world.files.clock
    while world.files.clock - started < 600:
        world.files.asked.clear()
        world.scan(reads=False)
        seen |= set(listed_in(world))
    assert seen == {*map(lora, range(FOLDERS)), MODELS.path, f"{MODELS.path}/loras"}


def test_every_scan_finds_edits_in_place(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    for number in range(FOLDERS):
        world.files.write(lora(number, "x"), content("edited", 900))
        world.files.touch(lora(number, "y"))
        assert world.scan() == [
            ("modified", f"ComfyUI/models/loras/d{number:02}/{name}") for name in "xy"
        ]


def test_names_that_come_while_times_stand_still_are_found_within_the_period(
    tmp_path: Path,
) -> None:
    world = small_world(tmp_path)
    logging.getLogger("scanner").propagate = True
    world.files.moves_directory_mtimes = False
    world.files.write(lora(7, "untold"), b"1")
    found: list[tuple[str, ...]] = []
    started = world.files.clock
    while world.files.clock - started < 600:
        found += world.scan(reads=False)
    assert found == [("created", "ComfyUI/models/loras/d07/untold")]
    mount = world.files.mount_table[0]
    assert world.store.trust_of(mount).failures == 1


def test_mount_whose_times_are_not_trusted_is_listed_in_every_scan(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    world.files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
    world.store.state.ask(0, MODELS.id, "", frozenset())
    world.settle()
    world.files.calls.clear()
    world.scan(reads=False)
    assert world.files.calls["list"] == FOLDERS + 2
    assert world.files.calls["by name"] == 0


def test_folders_with_links_and_special_files_are_listed_in_every_scan(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    world.files.symlink("x", lora(3, "link"))
    world.files.special(lora(4, "pipe"))
    for _ in range(4):
        world.scan(reads=False)
    for _ in range(FOLDERS):
        world.files.asked.clear()
        world.scan(reads=False)
        assert {lora(3), lora(4)} <= set(listed_in(world))
        assert not {("by name", lora(3)), ("by name", lora(4))} & set(world.files.asked)


def test_point_of_another_mount_is_not_asked_for_by_name(tmp_path: Path) -> None:
    """The mount that would answer may hang."""
    world = small_world(tmp_path)
    point = lora(3, "nas")
    world.files.write(f"{point}/x", b"1")
    world.files.mount_table.append(Mount(point, "nfs4", "nas:/x"))
    for _ in range(4):
        world.scan(reads=False)
    world.files.asked.clear()
    for _ in range(3):
        world.scan(reads=False)
    assert ("entry", lora(4, "x")) in world.files.asked
    assert ("entry", point) not in world.files.asked


def test_cost_of_looking_at_everything_is_measured_where_most_is_asked_for_by_name(
    tmp_path: Path,
) -> None:
    world = small_world(tmp_path)
    world.files.latency = 0.02  # 0.8 s for all, of 30 s
    periods = []
    for _ in range(12):
        world.scan(reads=False)
        periods.append(world.scanner.verification_period(MODELS))
    assert periods[0] == world.interval
    assert periods[-1] > world.interval


def test_folder_that_changed_is_listed_until_it_rests(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    for _ in range(3):  # not its own turn
        world.scan(reads=False)
    world.files.write(lora(0, "new"), b"1")
    for _ in range(2):
        world.files.asked.clear()
        world.scan(reads=False)
        assert lora(0) in listed_in(world)
    world.files.asked.clear()
    world.scan(reads=False)
    assert lora(0) not in listed_in(world)


def test_folder_that_cannot_be_opened_is_unreachable_in_the_same_scan(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    world.files.faults["list", lora(5)] = errno.EACCES
    assert world.scan(reads=False) == []
    assert world.store.memory.unreachable.keys() == {lora(5)}


def test_entry_that_cannot_be_looked_at_is_unreachable_in_the_same_scan(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    for operation in ("stat", "lstat"):
        world.files.faults[operation, lora(5, "x")] = errno.EIO
    assert world.scan(reads=False) == []
    assert world.store.memory.unreachable.keys() == {lora(5, "x")}


def test_folder_at_rest_with_names_that_could_not_be_looked_at_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a walk has taken its samples, and most folders are only stat-ed."""
    monkeypatch.setattr(samples, "SAMPLES", 1)
    world = small_world(tmp_path)
    world.files.latency = 0.25
    world.restart()
    for operation in ("stat", "lstat"):
        world.files.faults[operation, lora(3, "new")] = errno.EIO
    world.files.write(lora(3, "new"), b"1")
    for _ in range(4):
        assert world.scan(reads=False) == []
    world.files.calls.clear()
    world.scan(reads=False)
    assert world.files.calls["list"] < FOLDERS / 2
    assert world.files.calls["by name"] == 0
    world.files.faults.clear()
    assert world.scan(reads=False) == [("created", "ComfyUI/models/loras/d03/new")]


def test_deep_tree_is_walked_to_its_end(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,))
    deep = MODELS.path + "/d" * 1200
    world.files.makedirs(deep)
    for _ in range(4):
        world.scan(reads=False)
    assert world.result.directories == 1201
    world.files.write(f"{deep}/x", b"1")
    assert len(world.scan(reads=False)) == 1


def test_walk_ends_when_it_is_stopped_among_known_folders(tmp_path: Path) -> None:
    world = small_world(tmp_path)
    looks: list[int] = []
    world.files.calls.clear()

    def stopped() -> bool:
        looks.append(1)
        return len(looks) > 10

    world.files.advance(30)
    zones = world.scanner.zones().all
    result = world.scanner.scan(zones, interval=30.0, stopped=stopped)
    assert not result.is_complete
    assert world.files.calls["by name"] < 12


def test_cheap_zone_lists_a_share_and_late_walks_list_more() -> None:
    """Every folder is listed within `verify_within`, also where walks come late."""
    verification = Verification()
    paths = {str(number) for number in range(100)}
    for path in paths:
        verification.saw(path, 0.0, 0.05, has_changed=False)
    verification.measured(0.01, 100, 100)
    terms = Terms(30.0, 600.0, 0.05)
    verification.plan(terms, 0.0, is_trusted=True, hot=frozenset())
    now = 30.0
    for _ in range(12):
        plan = verification.plan(terms, now, is_trusted=True, hot=frozenset({"7"}))
        assert not plan.at_rest
        assert "7" not in plan.by_name
        for path in paths - plan.by_name:
            verification.saw(path, now, 0.05, has_changed=False)
        assert verification.period == terms.interval
        assert all(now - at <= 600 for at in verification._listed.values())
        now += 120.0


# Equal to the slow way


@contextmanager
def by_requests() -> Iterator[None]:
    """Each folder is asked for by a request, as on a mount with a worker of its own."""
    with pytest.MonkeyPatch.context() as patch:

        def none(self: LocalWorker) -> FileSystem | None:
            return None

        patch.setattr(LocalWorker, "in_process", property(none))
        yield


@pytest.fixture
def one_sample() -> Iterator[None]:
    """Folders that are timed are asked for by requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "SAMPLES", 1)
        yield


START = 1_750_000_000_000_000_000

NAMES = st.sampled_from(["a", "b", "a/c", "b/d", "a/c/e"])
FILES = st.sampled_from(["x", "y", "z"])
EDITS = st.lists(
    st.lists(st.tuples(st.sampled_from("wwtumrls"), NAMES, FILES, NAMES, FILES), max_size=3),
    max_size=6,
)


def _edit(files: FakeFileSystem, edit: tuple[str, str, str, str, str]) -> None:
    kind, folder, name, other, other_name = edit
    top = MODELS.path
    path, elsewhere = f"{top}/{folder}/{name}", f"{top}/{other}/{other_name}"
    try:
        if kind == "w":
            files.write(path, content(other_name, 10 + len(other)))
        elif kind == "t":
            files.touch(path)
        elif kind == "u":
            files.remove(path)
        elif kind == "m":
            files.makedirs(f"{top}/{folder}/{other_name}")
        elif kind == "r":
            files.rename(path, elsewhere)
        elif kind == "l":
            files.symlink(f"../{other}", path + ".link")
        else:
            files.special(path + ".pipe")
    except (OSError, KeyError):
        pass


def _run(folder: Path, edits: list[list[tuple[str, str, str, str, str]]], every: float) -> object:
    files = FakeFileSystem()
    files.makedirs(MODELS.path)
    world = World(folder, files, roots=(MODELS,))
    world.interval = every
    for number in range(4):
        files.write(f"{MODELS.path}/{'ab'[number % 2]}/x{number}", content(str(number)))
    files.latency = 0.001 if every == 30.0 else 0.1
    world.settle()
    told = []
    for number, batch in enumerate(edits, 1):
        files.wall = START + number * 10**12  # whatever the calls so far took
        for edit in batch:
            _edit(files, edit)
        told.append((world.scan(advance=every), world.result.files, world.result.bytes,
                     world.result.directories))  # fmt: skip
    told.append((world.scan(advance=every), 0, 0, 0))
    return told, world.project(), {p: d.listing for p, d in world.store.snapshot.items()}


@pytest.mark.usefixtures("one_sample")
@pytest.mark.parametrize("every", [30.0, 5.0])
@settings(deadline=None, max_examples=25)
@given(edits=EDITS)
def test_random_edits_are_told_as_by_requests(
    every: float, edits: list[list[tuple[str, str, str, str, str]]]
) -> None:
    """Every 5 s with 100 ms for a folder: most are only stat-ed."""
    with quick_folder() as one:
        here = _run(one, edits, every)
        close_worlds()
    with quick_folder() as other, by_requests():
        assert _run(other, edits, every) == here
        close_worlds()
