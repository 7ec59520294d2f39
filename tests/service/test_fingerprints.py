"""Fingerprints taken between scans: in which order, when, and never twice."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from scanner.core.pending import PendingFolders
from scanner.core.progress import Progressed, Remaining
from scanner.core.roots import Root
from scanner.core.snapshot import Directory
from scanner.disk.mounts import Mount
from scanner.errors import OutputError
from scanner.service import fingerprints as backlog
from scanner.service.attempts import RETRY_AFTER
from scanner.service.fingerprints import BATCH_FILES
from tests.support.fakes import FakeFileSystem
from tests.support.world import DOWNLOADS, MODELS, World, at, content

INPUT = Root("input", at("ComfyUI/input"))
OUTPUT = Root("output", at("ComfyUI/output"))
NODES = Root("custom_nodes", at("ComfyUI/custom_nodes"))
EXTRA = Root("extra", "/mnt/extra")
EVERY_KIND = (NODES, INPUT, OUTPUT, MODELS, DOWNLOADS, EXTRA)
EXT4 = Mount("/", "ext4", "/dev/fake1")
EXFAT = Mount("/", "exfat", "/dev/fake1")
SHARE = Mount("/", "cifs", "//nas/share")

Make = Callable[..., World]


class Recording(FakeFileSystem):
    """Remembers which files were opened, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.opened_at: list[float] = []

    def open(self, path: str) -> BinaryIO:
        self.opened.append(path)
        self.opened_at.append(self.clock)
        return super().open(path)


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        world.store.close()


@pytest.fixture
def make(tmp_path: Path, worlds: list[World]) -> Make:
    """Makes a world with a file of each given size; nothing is read yet."""

    def made(
        sizes: dict[str, int], roots: tuple[Root, ...] = (MODELS, DOWNLOADS), mount: Mount = EXT4
    ) -> World:
        files = Recording()
        files.mount_table = [mount]
        for root in roots:
            files.makedirs(root.path)
        for path, size in sizes.items():
            files.write(path, content(path, size))
        world = World(tmp_path, files, roots)
        worlds.append(world)
        world.scan(reads=False)
        # Files that have just arrived may still grow: they wait for the next scan.
        world.scan(reads=False)
        return world

    return made


def opened(world: World) -> list[str]:
    assert isinstance(world.files, Recording)
    return world.files.opened


def work(world: World) -> Remaining:
    return world.backlog.work(lambda: False)


def fingerprints(world: World) -> set[str]:
    """Paths of the files whose fingerprint is known."""
    return {
        f"{folder}/{row.name}"
        for folder, directory in world.store.snapshot.items()
        for index, row in enumerate(directory.listing.rows())
        if directory.fingerprint(index)
    }


# Order


def one_of_each_kind() -> dict[str, int]:
    return {f"{root.path}/f": 100 + 10 * index for index, root in enumerate(EVERY_KIND)}


def test_models_downloads_and_extra_are_all_that_is_read_where_inodes_are_stable(
    make: Make,
) -> None:
    world = make(one_of_each_kind(), EVERY_KIND)
    world.files.advance(1)
    assert work(world) == Remaining(0, 0)
    assert sorted(opened(world)) == sorted(f"{r.path}/f" for r in (MODELS, DOWNLOADS, EXTRA))


def test_all_kinds_are_read_where_zones_lie_on_several_mounts(make: Make) -> None:
    """A picture that is moved to another disk has another inode there."""
    world = make(one_of_each_kind(), EVERY_KIND)
    world.files.mount_table.append(Mount(EXTRA.path, "ext4", "/dev/fake2"))
    world.files.advance(1)
    assert work(world) == Remaining(0, 0)
    assert sorted(opened(world)) == sorted(f"{root.path}/f" for root in EVERY_KIND)


def test_elsewhere_the_other_kinds_come_last(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "BATCH_FILES", 1)
    sizes = {f"{root.path}/f": size for size, root in enumerate(reversed(EVERY_KIND), 100)}
    world = make(sizes, EVERY_KIND, EXFAT)
    world.files.advance(1)
    assert work(world) == Remaining(0, 0)
    assert opened(world) == [
        f"{root.path}/f" for root in (MODELS, DOWNLOADS, EXTRA, NODES, INPUT, OUTPUT)
    ]


def test_largest_files_come_first_whatever_root_they_are_in(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "BATCH_FILES", 1)
    monkeypatch.setattr(backlog, "WHOLE", 1)
    sizes = {at(f"Downloads/{size}"): size for size in (5, 500, 50)}
    sizes |= {at(f"ComfyUI/models/a/{size}"): size for size in (600, 6, 60)}
    world = make(sizes)
    world.files.advance(1)
    work(world)
    assert opened(world) == sorted(sizes, key=sizes.__getitem__, reverse=True)


def test_largest_files_come_first_within_a_batch_as_well(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "WHOLE", 1)
    sizes = {at(f"Downloads/{size}"): size for size in (5, 500, 50)}
    world = make(sizes)
    world.files.advance(1)
    work(world)
    assert opened(world) == sorted(sizes, key=sizes.__getitem__, reverse=True)


def test_more_files_than_are_chosen_at_a_time_are_all_read(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "CHUNK", 7)
    monkeypatch.setattr(backlog, "BATCH_FILES", 3)
    sizes = {at(f"Downloads/f{number}"): 10 + number for number in range(40)}
    world = make(sizes)
    world.files.advance(1)
    assert work(world) == Remaining(0, 0)
    assert sorted(opened(world)) == sorted(sizes)
    assert fingerprints(world) == set(sizes)


def test_empty_files_and_links_are_never_read(make: Make) -> None:
    world = make({at("Downloads/empty"): 0, at("Downloads/f"): 5})
    world.files.symlink(at("Downloads/f"), at("Downloads/link"))
    world.files.special(at("Downloads/pipe"))
    world.scan(reads=False)
    world.files.advance(1)
    assert world.backlog.size() == Remaining(1, 5)
    work(world)
    assert opened(world) == [at("Downloads/f")]


# When


@pytest.mark.parametrize(("mount", "settle"), [(EXT4, 0.05), (EXFAT, 0.05), (SHARE, 4.0)])
def test_nothing_is_read_before_the_settle_time(make: Make, mount: Mount, settle: float) -> None:
    """At least 50 ms on a local disk, 3 s elsewhere (rule 4), from its last known change on."""
    world = make({at("Downloads/f"): 5}, mount=mount)
    world.files.advance(100)
    world.files.write(at("Downloads/f"), b"other")
    for _ in range(2):
        world.scan(advance=0.0, reads=False)
    committed = world.files.clock
    while work(world).files:
        pass
    assert opened(world) == [at("Downloads/f")]
    assert isinstance(world.files, Recording)
    assert world.files.opened_at[0] >= committed + settle


def test_stop_ends_the_wait_for_the_settle_time(make: Make) -> None:
    world = make({at("Downloads/f"): 5}, mount=SHARE)
    world.files.write(at("Downloads/f"), b"other")
    for _ in range(2):
        world.scan(advance=0.0, reads=False)
    committed = world.files.clock
    world.backlog.work(lambda: world.files.clock > committed + 1)
    assert opened(world) == []
    assert world.files.clock < committed + 2


def test_root_that_is_away_is_not_read(make: Make) -> None:
    world = make({at("Downloads/f"): 5, at("ComfyUI/models/f"): 5})
    world.files.remove(at("Downloads"))
    world.scan(reads=False)
    assert world.state(DOWNLOADS) == "offline"
    assert work(world) == Remaining(0, 0)
    assert opened(world) == [at("ComfyUI/models/f")]


def test_growing_file_waits_until_it_rests(make: Make) -> None:
    world = make({at("Downloads/f"): 5})
    world.files.advance(1)
    work(world)
    growing = at("Downloads/growing")
    for size in (10, 20, 30):
        world.files.write(growing, b"g" * size)
        world.scan()
        assert growing not in opened(world)
    world.scan()
    assert opened(world).count(growing) == 1
    assert growing in fingerprints(world)


# Never twice


def test_after_a_restart_nothing_is_read_again(make: Make) -> None:
    sizes = {at(f"Downloads/f{number}"): 10 + number for number in range(20)}
    world = make(sizes)
    world.files.advance(1)
    work(world)
    assert len(opened(world)) == 20
    world.restart()
    world.scan()
    assert len(opened(world)) == 20
    assert fingerprints(world) == set(sizes)


def test_backlog_that_was_cut_off_goes_on_where_it_ended(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "BATCH_FILES", 4)
    sizes = {at(f"Downloads/f{number}"): 10 + number for number in range(20)}
    world = make(sizes)
    world.files.advance(1)
    world.backlog.work(lambda: len(opened(world)) >= 8)
    done = fingerprints(world)
    # The batch in which it was told to stop is done again, no more.
    assert 4 <= len(done) <= len(opened(world)) <= 8
    world.restart()
    world.scan()
    again = opened(world)
    assert {path for path in again if again.count(path) > 1}.isdisjoint(done)
    assert len(again) <= 20 + 4
    assert fingerprints(world) == set(sizes)


def test_unchanged_file_is_read_once_and_a_changed_one_again(make: Make) -> None:
    world = make({at("Downloads/f"): 5, at("Downloads/g"): 6})
    for _ in range(3):
        world.scan()
    assert sorted(opened(world)) == [at("Downloads/f"), at("Downloads/g")]
    world.files.write(at("Downloads/f"), b"other")
    for _ in range(3):
        world.scan()
    assert sorted(opened(world)) == [at("Downloads/f")] * 2 + [at("Downloads/g")]


def test_file_that_cannot_be_read_is_not_tried_again_until_it_changes(make: Make) -> None:
    world = make({at("Downloads/bad"): 5, at("Downloads/good"): 6})
    world.files.faults["open", at("Downloads/bad")] = 5
    for _ in range(3):
        world.scan()
    assert opened(world).count(at("Downloads/bad")) == 1
    assert fingerprints(world) == {at("Downloads/good")}
    world.files.faults.clear()
    world.files.write(at("Downloads/bad"), b"better")
    for _ in range(3):
        world.scan()
    assert at("Downloads/bad") in fingerprints(world)


# Only what is true


def test_file_that_changed_since_its_listing_gets_no_fingerprint(make: Make) -> None:
    world = make({at("Downloads/f"): 5})
    world.files.advance(1)
    world.files.write(at("Downloads/f"), b"other")
    work(world)
    assert fingerprints(world) == set()


def test_file_that_changes_while_it_is_read_gets_no_fingerprint(make: Make) -> None:
    world = make({at("Downloads/f"): 5, at("Downloads/g"): 5})
    world.files.advance(1)

    def change() -> None:
        world.files.faults.clear()
        world.files.write(at("Downloads/f"), b"other")

    world.files.faults["open", at("Downloads/f")] = change
    assert work(world) == Remaining(0, 0)
    assert fingerprints(world) == {at("Downloads/g")}
    for _ in range(3):
        world.scan()
    assert fingerprints(world) == {at("Downloads/f"), at("Downloads/g")}


def test_file_that_another_commit_changed_meanwhile_gets_no_fingerprint(make: Make) -> None:
    """The snapshot says something newer than what was read."""
    world = make({at("Downloads/f"): 5, at("Downloads/sub/g"): 5})
    world.files.advance(1)

    def commit() -> None:
        world.files.faults.clear()
        world.files.remove(at("Downloads/sub"))
        world.scanner.scan((DOWNLOADS,), interval=30.0)

    # The last one read: by then the other is read, and in no directory any more.
    world.files.faults["open", at("Downloads/f")] = commit
    world.files.faults["open", at("Downloads/sub/g")] = lambda: None
    work(world)
    assert at("Downloads/sub") not in world.store.snapshot
    assert fingerprints(world) <= {at("Downloads/f")}
    world.restart()
    assert at("Downloads/sub") not in world.store.snapshot


def test_file_that_comes_while_its_folder_is_looked_at_gets_a_fingerprint(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder had nothing left to read, as another lane's commit replaces its listing."""
    world = make({at("Downloads/f"): 5})
    world.scan()
    world.files.write(at("Downloads/empty"), b"")
    world.scan(reads=False)
    world.files.advance(60)
    world.files.write(at("Downloads/new"), b"new")

    looking = threading.Event()
    items = PendingFolders._items

    def begin(pending: PendingFolders) -> list[tuple[str, float]]:
        looking.set()
        return items(pending)

    class LateSnapshot(dict[str, Directory]):
        """Gives a listing to who goes through the folders, after which a scan replaces it."""

        def get(self, path: str, default: Any = None) -> Any:
            directory = super().get(path, default)
            is_looked_at = looking.is_set() and path == at("Downloads")
            if is_looked_at and world.store.snapshot is self:
                world.store.snapshot = dict(self)
                world.scan(reads=False)
                world.scan(reads=False)
            return directory

    monkeypatch.setattr(PendingFolders, "_items", begin)
    world.store.snapshot = LateSnapshot(world.store.snapshot)
    work(world)
    assert type(world.store.snapshot) is dict
    for _ in range(3):
        world.scan()
    assert at("Downloads/new") in fingerprints(world)


def test_fingerprints_are_no_changes_and_no_scan(make: Make) -> None:
    world = make({at("Downloads/f"): 5})
    before, scan = world.project(), world.store.scan
    world.files.advance(1)
    work(world)
    assert (world.project(), world.store.scan) == (before, scan)
    assert world.scan() == []


# Stopping


def test_stop_ends_the_work_within_one_file_and_keeps_what_was_saved(make: Make) -> None:
    sizes = {at(f"Downloads/f{number:03}"): 10 for number in range(3 * BATCH_FILES)}
    world = make(sizes)
    world.files.advance(1)
    left = world.backlog.work(lambda: len(opened(world)) >= BATCH_FILES + 5)
    assert len(opened(world)) == BATCH_FILES + 5
    assert len(fingerprints(world)) == BATCH_FILES
    # The batch in which it stopped is not saved, and so is left.
    assert left.files == len(sizes) - BATCH_FILES


def test_stop_before_the_start_reads_nothing(make: Make) -> None:
    world = make({at("Downloads/f"): 5})
    world.files.advance(1)
    assert world.backlog.work(lambda: True) == Remaining(1, 5)
    assert opened(world) == []


def test_files_that_are_read_whole_come_by_folder_after_the_large_ones(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "WHOLE", 100)
    sizes = {at(f"Downloads/{name}"): size for name, size in {"a/1": 5, "b": 300}.items()}
    sizes |= {at(f"Downloads/{name}"): size for name, size in {"a/2": 50, "c": 100}.items()}
    world = make(sizes)
    world.files.advance(1)
    work(world)
    assert opened(world) == [at(f"Downloads/{name}") for name in ("b", "c", "a/1", "a/2")]


def test_many_files_are_not_searched_anew_for_every_few(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "CHUNK", 2)
    monkeypatch.setattr(backlog, "SEARCHES", 4)
    world = make({at(f"Downloads/{number}"): 10 for number in range(400)})
    world.files.advance(1)
    searches = []
    choose = backlog.FingerprintReader._choose

    def counted(self, most):
        searches.append(most)
        return choose(self, most)

    monkeypatch.setattr(backlog.FingerprintReader, "_choose", counted)
    work(world)
    assert len(opened(world)) == 400
    # Three quarters stay at each: 19 times until 8 are left, then two at a time.
    assert len(searches) <= 25, searches


def test_a_transaction_holds_so_many_files_or_so_many_bytes(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "WHOLE", 100)
    monkeypatch.setattr(backlog, "BATCH_BYTES", 200)
    monkeypatch.setattr(backlog, "BATCH_FILES", 3)
    world = make({at(f"Downloads/{n}"): 900 for n in "ab"} | {at(f"Downloads/{n}"): 1 for n in "c"})
    world.files.advance(1)
    told: list[Progressed] = []
    world.backlog.work(lambda: False, told.append)
    assert [done.files for done in told] == [2, 3]


def test_progress_counts_up_to_the_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "BATCH_FILES", 2)
    world = make({at(f"Downloads/{size}"): size for size in (10, 20, 30)})
    world.files.advance(1)
    told: list[Progressed] = []
    world.backlog.work(lambda: False, told.append)
    assert told == [Progressed(2, 30, Remaining(1, 30)), Progressed(3, 60, Remaining(0, 0))]


def test_progress_counts_no_file_that_could_not_be_read(make: Make) -> None:
    world = make({at("Downloads/bad"): 5, at("Downloads/good"): 6})
    world.files.faults["open", at("Downloads/bad")] = 5
    world.files.advance(1)
    progress: list[Progressed] = []
    world.backlog.work(lambda: False, progress.append)
    assert progress == [Progressed(1, 6, Remaining(0, 0))]


# Workers that are lost


def test_files_of_a_mount_that_hung_for_a_while_are_read_when_it_answers_again(make: Make) -> None:
    world = make({at("Downloads/f"): 5})
    world.workers.hanging.add(EXT4.point)
    assert work(world) == Remaining(0, 0)
    assert opened(world) == []
    world.workers.hanging.clear()
    world.scan()
    assert fingerprints(world) == {at("Downloads/f")}


def test_mount_that_does_not_answer_is_not_asked_again_and_again(make: Make) -> None:
    """Nor does it hold up what can be read elsewhere."""
    world = make({at("Downloads/f"): 500, at("ComfyUI/models/f"): 5})
    nas = Mount(at("Downloads"), "cifs", "//nas/share")
    world.files.mount_table.append(nas)
    world.files.advance(60)
    world.workers.hanging.add(nas.point)
    work(world)
    assert fingerprints(world) == {at("ComfyUI/models/f")}
    assert len(world.workers.lost) <= 2


@pytest.mark.parametrize(
    "kind",
    [
        "cifs",
        "nfs4",
    ],
)
def test_backlog_ends_however_short_the_interval(make: Make, kind: str) -> None:
    """A mount with a long settle time holds up neither itself for good nor the other roots."""
    world = make({at("Downloads/f"): 5, at("ComfyUI/models/f"): 5})
    world.files.mount_table.append(Mount(at("Downloads"), kind, "nas:/share"))
    for _ in range(10):
        world.scan(advance=0.0, reads=False)
        due = world.files.clock + 30
        world.backlog.work(lambda due=due: world.files.clock > due)  # type: ignore[misc]
        world.files.clock = due
    assert at("ComfyUI/models/f") in fingerprints(world)


@pytest.mark.parametrize("mount", [EXT4, SHARE])
def test_passing_error_is_tried_again(make: Make, mount: Mount) -> None:
    """As where a server restarts for a moment."""
    world = make({f"{MODELS.path}/{name}": 10 for name in "abc"}, mount=mount)
    for name in "abc":
        world.files.faults["open", f"{MODELS.path}/{name}"] = errno.EIO
    world.scan()
    world.files.faults.clear()
    world.scan()
    assert not fingerprints(world)
    world.scan(advance=RETRY_AFTER)
    assert fingerprints(world) == {f"{MODELS.path}/{name}" for name in "abc"}


def test_file_that_stays_unreadable_is_opened_ever_less_often(make: Make) -> None:
    world = make({f"{MODELS.path}/a": 10})
    world.files.faults["open", f"{MODELS.path}/a"] = errno.EACCES
    for _ in range(100):
        world.scan(advance=RETRY_AFTER)
    assert 5 <= len(opened(world)) <= 9


def test_fingerprints_are_taken_of_what_was_committed_while_the_journal_failed(
    make: Make,
) -> None:
    world = make({f"{MODELS.path}/old": 10})
    world.scan()
    world.files.write(f"{MODELS.path}/new", b"new")
    aside = world.outputs.journal + ".aside"
    os.rename(world.outputs.journal, aside)
    os.mkdir(world.outputs.journal)
    with pytest.raises(OutputError):
        world.scan()
    os.rmdir(world.outputs.journal)
    os.rename(aside, world.outputs.journal)
    world.scan()
    world.scan()
    assert f"{MODELS.path}/new" in fingerprints(world)
