"""Directory mtimes spare listings where they have earned it, and nothing is missed for it."""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scanner.disk.mounts import Mount
from scanner.disk.trust import Trust
from scanner.store.state import TRUST
from scanner.walk.verification import Terms, Verification
from tests.support.fakes import FakeFileSystem
from tests.support.world import DOWNLOADS, MODELS, World, at, content

SSHFS = Mount("/", "fuse.sshfs", "nas:/models")
EXT4 = Mount("/", "ext4", "/dev/fake1")
EXFAT = Mount("/", "exfat", "/dev/fake1")

FOLDERS = 40


def big_world(folder: Path, mount: Mount = EXT4, **settings: Any) -> World:
    """A tree whose listing takes 10 s: too much for every scan."""
    world = World(folder, **settings)
    world.files.mount_table = [mount]
    for number in range(FOLDERS):
        world.files.write(at(f"ComfyUI/models/loras/d{number:02}/x"), content(str(number)))
    world.files.write(at("Downloads/keep"), b"1")
    world.files.latency = 0.25
    # New directories are racy until they are seen unchanged: two scans list everything.
    world.scan()
    world.scan()
    return world


def folder(number: int) -> str:
    return f"ComfyUI/models/loras/d{number:02}"


def test_unchanged_scan_makes_one_stat_per_directory_and_its_share_of_listings(
    tmp_path: Path,
) -> None:
    """Interval 30 s, everything within 10 min: a twentieth of the directories per scan."""
    world = big_world(tmp_path, duty=1.0)
    for _ in range(3):
        world.files.calls.clear()
        assert world.scan(reads=False) == []
        # models, loras, 40 folders; Downloads alone is cheap enough to be listed every time.
        share = 3
        assert world.files.calls["list"] == share + 1
        stats_of_entries = world.files.calls["stat"] - 2 * len(world.roots)
        directories = FOLDERS + 2 - share
        assert directories <= stats_of_entries <= directories + share * FOLDERS


def test_unchanged_scan_asks_once_for_each_directory_and_no_more(tmp_path: Path) -> None:
    world = big_world(tmp_path, duty=1.0)
    roots = {root.path for root in world.roots}
    for _ in range(20):
        world.files.asked.clear()
        assert world.scan(reads=False) == []
        asked = Counter(path for _, path in world.files.asked if path not in roots)
        assert asked == dict.fromkeys([at(folder(n)) for n in range(FOLDERS)], 1) | {
            at("ComfyUI/models/loras"): 1
        }
        operations = Counter(operation for operation, _ in world.files.asked)
        # Each root is stat-ed before and after its walk as well.
        assert operations["list"] + operations["stat"] == FOLDERS + 1 + 3 * len(roots)


def test_every_scan_finds_what_came_went_and_moved(tmp_path: Path) -> None:
    world = big_world(tmp_path)
    world.files.write(at(folder(1) + "/new"), b"new")
    world.files.remove(at(folder(2) + "/x"))
    world.files.rename(at(folder(3) + "/x"), at(folder(3) + "/y"))
    world.files.rename(at(folder(4)), at("Downloads/d04"))
    assert world.scan() == [
        ("created", folder(1) + "/new"),
        ("deleted", folder(2) + "/x"),
        ("moved", folder(3) + "/x", folder(3) + "/y"),
        ("moved", folder(4), "Downloads/d04"),
    ]


def test_new_file_is_found_though_the_mtime_of_its_folder_was_put_back(tmp_path: Path) -> None:
    """tar, unzip, cp -a and rsync -t put it back; nobody can put back a ctime."""
    world = big_world(tmp_path)
    before = world.files.stat(at(folder(7))).mtime
    world.files.write(at(folder(7) + "/new"), b"new")
    world.files.utime(at(folder(7)), before)
    assert world.scan() == [("created", folder(7) + "/new")]


def test_folder_replaced_by_one_with_the_same_times_is_found(tmp_path: Path) -> None:
    world = big_world(tmp_path)
    old = world.files.remove(at(folder(9)))
    world.files.write("/elsewhere/y", content("y"))
    world.files.rename("/elsewhere", at(folder(9)))
    new = world.files.makedirs(at(folder(9)))
    new.mtime, new.ctime = old.mtime, old.ctime
    assert world.scan() == [("created", folder(9) + "/y"), ("deleted", folder(9) + "/x")]


def test_folders_of_a_state_without_ctimes_are_listed_once(tmp_path: Path) -> None:
    world = big_world(tmp_path, duty=1.0)
    for path, directory in world.store.snapshot.items():
        world.store.snapshot[path] = replace(directory, ctime=None)
    listings = []
    for _ in range(3):
        world.files.calls.clear()
        assert world.scan(reads=False) == []
        listings.append(world.files.calls["list"])
    assert listings[0] == listings[1] == FOLDERS + 3  # its ctime is new: racy
    assert listings[2] < FOLDERS / 2


def one_shot(world: World) -> int:
    """A scan in a process of its own; the number of listings."""
    world.restart()
    world.scanner.take_up_turns()
    world.files.calls.clear()
    world.files.asked.clear()
    world.scan(advance=90.0, reads=False)
    return world.files.calls["list"]


def test_one_shot_scans_keep_their_place(tmp_path: Path) -> None:
    """Everything within ten minutes, a part in each run."""
    world = big_world(tmp_path, duty=1.0)
    everything = FOLDERS + 3  # Downloads alone is listed every time
    assert one_shot(world) == everything
    listings = [one_shot(world) for _ in range(12)]
    assert max(listings) < everything
    assert sum(listings) / len(listings) < everything / 3
    for number in (0, 17, 39):
        world.files.write(at(folder(number) + "/x"), b"edited")
    found = []
    edited = world.files.clock
    while world.files.clock + 90 < edited + 600:
        one_shot(world)
        found += [line["path"] for line in world.lines]
    assert sorted(found) == [folder(number) + "/x" for number in (0, 17, 39)]


def test_one_shot_scan_lists_again_what_the_last_one_saw_change(tmp_path: Path) -> None:
    world = big_world(tmp_path, duty=1.0)
    one_shot(world)
    world.files.write(at(folder(1) + "/new"), b"new")
    one_shot(world)
    one_shot(world)
    assert ("list", at(folder(1))) in world.files.asked
    assert ("list", at(folder(2))) not in world.files.asked


def test_one_shot_scans_forget_folders_that_went_meanwhile(tmp_path: Path) -> None:
    world = big_world(tmp_path, duty=1.0)
    one_shot(world)
    for number in range(10):
        world.files.remove(at(folder(number)))
    one_shot(world)
    world.restart()
    world.scanner.take_up_turns()
    turns = world.scanner._collector.history.learned().turns[MODELS.id]
    assert len(turns.listed) == FOLDERS + 2 - 10 - 1  # loras itself is racy


def test_one_shot_scan_finds_every_new_name_between_two_turns(tmp_path: Path) -> None:
    world = big_world(tmp_path, duty=1.0)
    one_shot(world)
    for number in range(5):
        world.files.write(at(folder(number) + "/new"), b"new")
    assert one_shot(world) < FOLDERS
    assert len(world.lines) == 5


def test_edit_in_place_is_found_within_the_period(tmp_path: Path) -> None:
    world = big_world(tmp_path, duty=1.0)
    for number in (0, 17, 39):
        world.files.write(at(folder(number) + "/x"), b"edited")
    found = []
    elapsed = world.files.clock
    while world.files.clock - elapsed < 600 + 30:
        found += world.scan()
    assert sorted(found) == [("modified", folder(n) + "/x") for n in (0, 17, 39)]


def test_slow_first_walk_makes_verification_late_for_a_while_only(tmp_path: Path) -> None:
    """A cold cache: 250 ms for a folder in the first walks, 35 ms later."""
    world = big_world(tmp_path, duty=0.01)
    world.scan(reads=False)
    assert world.scanner.verification_period(MODELS) > 1200
    world.files.latency = 0.035
    for _ in range(15):
        world.scan(reads=False)
    assert world.scanner.verification_period(MODELS) <= 600


def test_samples_tell_the_cost_of_listings_however_many_calls_are_under_way() -> None:
    verification = Verification()
    for path in map(str, range(1000)):
        verification.saw(path, 0.0, 0.05, has_changed=False)
    # 100 listings and 900 stats took 10 s and 9 s, in 10 threads.
    verification.measured(1.9, 100, 1000, [0.1, 0.1], [0.01])
    turns = verification.turns
    assert turns is not None
    assert turns.seconds_per_listing == pytest.approx(0.01)


def test_duty_bounds_the_listings_and_the_period_says_so(tmp_path: Path) -> None:
    world = big_world(tmp_path, duty=0.02)
    world.files.calls.clear()
    world.scan(reads=False)
    # 2 % of 30 s are 0.6 s: two listings of 0.25 s, or what was measured with stats between.
    assert world.files.calls["list"] <= 3
    assert world.scanner.verification_period(MODELS) > 600


def test_tree_that_is_listed_in_a_second_is_listed_in_every_scan(tmp_path: Path) -> None:
    world = big_world(tmp_path)
    world.files.latency = 0.001
    world.restart()
    world.scan()
    world.scan()
    world.files.write(at(folder(7) + "/x"), b"edited")
    assert world.scan() == [("modified", folder(7) + "/x")]
    assert world.scanner.verification_period(MODELS) == world.interval


@pytest.mark.parametrize(("interval", "is_spread"), [(5.0, True), (60.0, False)])
def test_a_tree_is_listed_in_every_scan_where_that_takes_a_hundredth_of_the_interval(
    tmp_path: Path, interval: float, is_spread: bool
) -> None:
    world = big_world(tmp_path)
    world.interval = interval
    world.files.latency = 0.01  # 0.4 s for all
    world.restart()
    for _ in range(3):
        world.scan(advance=interval, reads=False)
    world.files.calls.clear()
    world.scan(advance=interval, reads=False)
    assert (world.files.calls["list"] < FOLDERS / 2) == is_spread


def test_restart_lists_everything_once(tmp_path: Path) -> None:
    world = big_world(tmp_path)
    world.restart()
    world.files.write(at(folder(9) + "/x"), b"edited")
    assert world.scan() == [("modified", folder(9) + "/x")]


def test_new_file_on_exfat_is_found_in_the_next_scan(tmp_path: Path) -> None:
    world = big_world(tmp_path, EXFAT)
    world.files.moves_directory_mtimes = False
    for number in range(5):
        world.files.write(at(folder(number) + "/new"), b"new")
        assert world.scan() == [("created", folder(number) + "/new")]


def test_unknown_mount_earns_trust_by_three_changes(tmp_path: Path) -> None:
    world = big_world(tmp_path, SSHFS)
    for number in range(3):
        world.scan()
        world.files.calls.clear()
        world.files.write(at(folder(number) + "/new"), b"new")
        assert world.scan(reads=False) == [("created", folder(number) + "/new")]
        assert world.files.calls["list"] >= FOLDERS
    world.scan()
    world.scan()
    world.files.calls.clear()
    world.scan(reads=False)
    assert world.files.calls["list"] < FOLDERS / 2


def test_one_counter_example_ends_the_trust_for_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = big_world(tmp_path, SSHFS)
    world.scan()
    world.files.moves_directory_mtimes = False
    with caplog.at_level(logging.WARNING, "scanner"):
        logging.getLogger("scanner").propagate = True
        world.files.write(at(folder(1) + "/new"), b"new")
        world.scan()
        assert "no longer trusted" not in caplog.text
        world.scan()  # its times have still not moved
    assert "no longer trusted" in caplog.text
    world.files.moves_directory_mtimes = True
    world.restart()
    for number in range(2, 8):
        world.files.write(at(folder(number) + "/new"), b"new")
        world.scan()
    world.files.calls.clear()
    world.scan(reads=False)
    assert world.files.calls["list"] >= FOLDERS


def test_third_counter_example_ends_the_trust_in_a_type_known_to_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = big_world(tmp_path, verify_within=1.0, duty=1.0)
    logging.getLogger("scanner").propagate = True
    world.files.moves_directory_mtimes = False
    for count, number in enumerate((1, 2, 3), 1):
        assert world.store.trust_of(EXT4).is_earned(EXT4)
        world.files.write(at(folder(number) + "/untold"), b"new")
        for _ in range(3):
            world.scan()
        assert world.store.trust_of(EXT4).failures == count
    assert world.store.trust_of(EXT4).is_lost(EXT4)
    assert caplog.text.count("no longer trusted") == 1
    world.restart()
    assert world.store.trust_of(EXT4).is_lost(EXT4)


def test_a_folder_with_names_that_could_not_be_looked_at_is_listed_again(tmp_path: Path) -> None:
    """No time of it says that they can be looked at now."""
    world = big_world(tmp_path)
    new = at(f"{folder(3)}/new")
    world.files.write(new, b"1")
    for operation in ("stat", "lstat"):
        world.files.faults[operation, new] = errno.EIO
    for _ in range(4):
        assert world.scan() == []
    world.files.faults.clear()
    assert world.scan() == [("created", f"{folder(3)}/new")]


@pytest.mark.parametrize("mount", [EXT4, SSHFS])
def test_person_gives_the_trust_back(tmp_path: Path, mount: Mount) -> None:
    world = big_world(tmp_path, mount)
    world.store.trust_of(mount).failures = 3
    world.store.trust_of(mount).proofs = 3
    world.scan()
    number = world.store.state.ask(0, "", at(folder(3)), kind=TRUST)
    elsewhere = world.store.state.ask(0, "", "/elsewhere", kind=TRUST)
    world.scan()
    trust = world.store.trust_of(mount)
    assert trust == Trust()
    assert trust.is_earned(mount) == (mount == EXT4)
    state = "by type" if mount == EXT4 else "to be earned"
    assert world.store.state.answer_of(number) == (
        f"{at(folder(3))}: trust in directory mtimes on / is {state}."
    )
    assert world.store.state.answer_of(elsewhere) == "/elsewhere is not scanned."
    world.restart()
    assert not world.store.trust_of(mount).is_lost(mount)


def add_during_listing(files: FakeFileSystem, path: str) -> None:
    """Have a file arrive in its folder after the folder's times were taken."""

    def arrive(listed: str) -> None:
        if listed == os.path.dirname(path):
            files.on_list = None
            files.write(path, b"new")

    files.on_list = arrive


def put_a_link(files: FakeFileSystem, path: str) -> None:
    files.symlink("/not/there", path)


def let_the_link_come_alive(files: FakeFileSystem, _: str) -> None:
    files.write("/not/there", b"target")


def fail_to_stat(files: FakeFileSystem, path: str) -> None:
    files.write(path, b"new")
    files.faults["stat", path] = errno.EIO


def stat_again(files: FakeFileSystem, path: str) -> None:
    del files.faults["stat", path]


@pytest.mark.parametrize(
    ("prepare", "change"),
    [
        (lambda files, path: None, add_during_listing),
        (put_a_link, let_the_link_come_alive),
        (fail_to_stat, stat_again),
    ],
)
def test_these_are_no_counter_examples(
    tmp_path: Path,
    prepare: Callable[[FakeFileSystem, str], None],
    change: Callable[[FakeFileSystem, str], None],
) -> None:
    world = big_world(tmp_path, SSHFS)
    for number in range(3):
        world.files.write(at(folder(number) + "/new"), b"new")
        world.scan()
    path = folder(5) + "/late"
    prepare(world.files, at(path))
    for _ in range(3):
        world.scan()
    # The folder has to be listed for that: by now it might only be stat-ed.
    world.restart(verify_within=1.0, duty=1.0)
    world.scan()
    world.scan()
    assert world.store.trust_of(SSHFS).is_earned(SSHFS)
    change(world.files, at(path))
    assert path in [change[1] for change in world.scan() + world.scan()]
    for _ in range(4):
        world.scan()
    assert world.store.trust_of(SSHFS).is_earned(SSHFS)


def test_change_in_the_tick_of_the_last_listing_is_found(tmp_path: Path) -> None:
    """A second change within the same step of the clock leaves the mtime where it was."""
    world = big_world(tmp_path)
    world.files.latency = 0.0
    world.files.granularity = 10**12
    world.files.advance(5000)
    world.files.write(at(folder(5) + "/one"), b"1")
    assert world.scan(advance=1, reads=False) == [("created", folder(5) + "/one")]
    world.files.write(at(folder(5) + "/two"), b"2")
    assert world.scan(advance=1, reads=False) == [("created", folder(5) + "/two")]


def test_held_deletions_are_looked_at_again_without_a_new_mtime(tmp_path: Path) -> None:
    world = big_world(tmp_path)
    for number in range(30):
        world.files.remove(at(folder(number) + "/x"))
    assert world.scan() == []
    assert world.state(MODELS) == "held"
    assert len(world.scan()) == 30


def test_growing_file_is_followed_without_a_new_mtime(tmp_path: Path) -> None:
    world = big_world(tmp_path)
    path = folder(3) + "/growing"
    found = []
    for size in (1, 2, 3):
        world.files.write(at(path), b"g" * size)
        found += world.scan()
    found += world.scan()
    assert found == [("created", path), ("modified", path)]


def test_offline_root_is_trusted_again_as_before(tmp_path: Path) -> None:
    world = big_world(tmp_path)
    node = world.files.remove(at("Downloads"))
    world.scan()
    world.files.makedirs(at("")).children["Downloads"] = node
    world.files.write(at("Downloads/x"), b"1")
    assert world.scan() == [("created", "Downloads/x")]
    assert world.state(DOWNLOADS) == "online"


@pytest.mark.parametrize(
    ("mount", "trust", "expected"),
    [
        (EXT4, Trust(), True),
        (EXT4, Trust(0, 2), True),
        (EXT4, Trust(0, 3), False),
        (EXFAT, Trust(99), False),
        (SSHFS, Trust(2), False),
        (SSHFS, Trust(3), True),
        (SSHFS, Trust(99, 1), False),
    ],
)
def test_trust_is_earned_by_type_or_by_proof(mount: Mount, trust: Trust, expected: bool) -> None:
    assert trust.is_earned(mount) is expected


def test_longest_unlisted_come_first() -> None:
    verification = Verification()
    paths = [f"/d{number}" for number in range(100)]
    for path in paths:
        verification.saw(path, 0.0, 0.05, has_changed=False)
    verification.measured(100.0, 100, 100)
    terms = Terms(interval=30, verify_within=600, duty=1.0)
    for turn in range(4):
        spared = verification.plan(terms, 30.0 * turn, is_trusted=True, hot=frozenset())
        listed = [path for path in paths if path not in spared]
        assert listed == paths[turn * 5 : turn * 5 + 5]
        for path in listed:
            verification.saw(path, 30.0 * turn, 0.05, has_changed=False)
    assert verification.period == 600


@pytest.mark.parametrize("gaps", [[30.0], [30.02], [33.0], [27.0, 45.0], [250.0], [700.0]])
def test_every_folder_has_its_turn_within_the_period_however_walks_are_spaced(
    gaps: list[float],
) -> None:
    """The interval that a walk is told may be less than the time until the next one."""
    verification = Verification()
    paths = {f"/d{number}" for number in range(1009)}
    verification.measured(2.0, len(paths), len(paths))
    terms = Terms(interval=27.0, verify_within=600.0, duty=1.0)
    now, listed_at = 0.0, dict.fromkeys(paths, 0.0)
    for turn in range(200):
        listed = paths - verification.plan(terms, now, is_trusted=True, hot=frozenset())
        for path in listed:
            assert now - listed_at[path] <= max(600.0 + max(gaps) - min(gaps), *gaps)
            listed_at[path] = now
            verification.saw(path, now, 0.05, has_changed=False)
        now += gaps[turn % len(gaps)]


def test_what_is_overdue_is_listed_within_the_duty() -> None:
    verification = Verification()
    paths = {f"/d{number}" for number in range(1000)}
    for path in paths:
        verification.saw(path, 0.0, 0.05, has_changed=False)
    verification.measured(100.0, len(paths), len(paths))
    terms = Terms(interval=30.0, verify_within=600.0, duty=0.25)
    spared = verification.plan(terms, 3600.0, is_trusted=True, hot=frozenset())
    assert len(paths - spared) == 75  # a quarter of 30 s, at 0.1 s each
