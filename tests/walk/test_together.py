"""Folders of a NAS that are stat-ed together: every change is found, and each is asked for once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from scanner.disk.filesystem import Stat
from scanner.disk.mounts import Mount
from scanner.disk.trust import PROOFS_WANTED
from scanner.walk.together import LEAST, MOST, Together, size_of_requests
from scanner.workers.requests import StatBelow, Stated, StatedBelow
from tests.support.fakes import FakeFileSystem
from tests.support.world import MODELS, World

NAS = Mount("/", "nfs4", "nas:/models")


class Counting(FakeFileSystem):
    """Notes what is stat-ed, together and alone."""

    def __init__(self) -> None:
        super().__init__()
        self.mount_table = [NAS]
        self.latency = 0.05  # so that not everything is listed in every scan
        self.requests: list[tuple[str, tuple[str, ...]]] = []

    def stats_below(self, top: str, names: Sequence[str]) -> list[Stat | OSError]:
        self.requests.append((top, tuple(names)))
        return super().stats_below(top, names)

    def stats(self) -> list[str]:
        return [path for operation, path in self.asked if operation == "stat"]

    def begin(self) -> None:
        self.requests.clear()
        self.asked.clear()


def tree(files: FakeFileSystem, folders: int, top: str = MODELS.path) -> list[str]:
    """Three levels, as in a folder of models."""
    paths = []
    for number in range(folders):
        path = f"{top}/kind{number % 5}/base{number % 3}/set{number}"
        files.write(f"{path}/model.safetensors", f"{number}".encode())
        paths.append(path)
    return sorted(paths)


@pytest.fixture
def world(tmp_path: Path) -> World:
    files = Counting()
    files.makedirs(MODELS.path)
    tree(files, 60)
    world = World(tmp_path, files, roots=(MODELS,), verify_within=10**6)
    world.scan()
    world.store.trust_of(NAS).proofs = PROOFS_WANTED
    for _ in range(3):
        world.scan(advance=200)
    files.begin()
    return world


def test_unchanged_folders_are_asked_for_once_each_and_together(world: World) -> None:
    files = world.files
    assert isinstance(files, Counting)
    assert world.scan() == []
    asked = [f"{top}/{name}" for top, names in files.requests for name in names]
    assert len(asked) == len(set(asked))
    listed = [path for operation, path in files.asked if operation == "list"]
    folders = set(world.store.snapshot) - {MODELS.path, *listed}
    assert set(asked) == folders
    # Only the root is stat-ed alone: before, within and after the walk.
    assert sorted(files.stats()) == sorted(
        [*asked, *[MODELS.path] * (3 - len(set(listed) & {MODELS.path}))]
    )
    assert len(files.requests) <= len(folders) / 4


def test_every_change_is_found_at_every_depth(world: World) -> None:
    files = world.files
    top = MODELS.path
    files.write(f"{top}/kind0/base0/set0/new.safetensors", b"new")
    assert world.scan() == [("created", "ComfyUI/models/kind0/base0/set0/new.safetensors")]
    files.remove(f"{top}/kind0/base0/set0/model.safetensors")
    files.write(f"{top}/kind1/new.safetensors", b"new 2")
    assert world.scan() == [
        ("created", "ComfyUI/models/kind1/new.safetensors"),
        ("deleted", "ComfyUI/models/kind0/base0/set0/model.safetensors"),
    ]


def test_folder_that_goes_with_all_that_it_held_is_deleted(world: World) -> None:
    files = world.files
    top = f"{MODELS.path}/kind2"
    before = [path for path in world.project() if path.startswith(top)]
    files.remove(top)
    found = world.scan()
    assert sorted(path for _, path in found) == sorted(p.removeprefix("/home/u/") for p in before)
    assert {kind for kind, _ in found} == {"deleted"}
    assert world.states() == {MODELS.id: "online"}


def test_what_came_too_early_is_asked_for_again_once_the_parent_has_changed(world: World) -> None:
    """The folder above has changed: its listing says what is below it, and not what was known."""
    files = world.files
    old, new = f"{MODELS.path}/kind3/base0", f"{MODELS.path}/kind3/moved"
    held = [path for path in world.project() if path.startswith(old)]
    files.rename(old, new)
    found = world.scan()
    assert found == [("moved", "ComfyUI/models/kind3/base0", "ComfyUI/models/kind3/moved")]
    assert len([path for path in world.project() if path.startswith(new)]) == len(held)
    assert world.scan(advance=200) == []


def test_folder_that_cannot_be_looked_at_keeps_what_it_held(world: World) -> None:
    files = world.files
    path = f"{MODELS.path}/kind4/base1"
    before = world.project()
    files.faults["stat", path] = files.faults["list", path] = 5
    assert world.scan() == []
    assert world.project() == before
    assert world.store.memory.unreachable.keys() == {path}
    del files.faults["stat", path], files.faults["list", path]
    assert world.scan() == []
    assert not world.store.memory.unreachable


def test_mount_that_came_over_a_known_folder_is_not_touched_by_its_neighbours_worker(
    world: World,
) -> None:
    files = world.files
    assert isinstance(files, Counting)
    point = f"{MODELS.path}/kind0/base0"
    files.mount_table.append(Mount(point, "nfs4", "other:/x"))
    files.begin()
    for _ in range(3):
        files.advance(200)
        world.scanner.scan(world.scanner.zones().all, interval=30.0)
    asked = [f"{top}/{name}" for top, names in files.requests for name in names]
    assert asked
    assert not [path for path in asked if path.startswith(point)]


def test_limit_for_each_second_is_meant_for_every_folder(world: World) -> None:
    files = world.files
    assert isinstance(files, Counting)
    world.restart(requests_per_second=100.0)
    world.scan(advance=200)
    files.begin()
    world.scan()
    assert not files.requests
    assert f"{MODELS.path}/kind0" in files.stats()


def test_local_disk_is_asked_one_by_one(tmp_path: Path) -> None:
    files = Counting()
    files.mount_table = [Mount("/", "ext4", "/dev/fake")]
    files.makedirs(MODELS.path)
    tree(files, 60)
    world = World(tmp_path, files, roots=(MODELS,), verify_within=10**6)
    for _ in range(4):
        world.scan(advance=200)
    files.begin()
    assert world.scan() == []
    assert f"{MODELS.path}/kind0/base0" in files.stats()
    assert not files.requests


@pytest.mark.parametrize(
    ("folders", "workers", "size"),
    [(0, 16, LEAST), (400, 16, LEAST), (2_000, 16, 31), (20_000, 16, MOST), (400, 1, 100)],
)
def test_request_is_as_large_as_all_threads_can_share(
    folders: int, workers: int, size: int
) -> None:
    assert size_of_requests(folders, workers) == size


def test_trees_follow_their_tops_and_what_is_too_much_is_left_to_its_parent(
    tmp_path: Path,
) -> None:
    files = FakeFileSystem()
    paths = ["/m/a/b/c", "/m/a/d", "/m/e/f", "/m/g"]
    for path in paths:
        files.makedirs(path)
    snapshot = {
        path: files.list_directory(path)
        for path in ("/m", "/m/a", "/m/a/b", "/m/a/b/c", "/m/a/d", "/m/e", "/m/e/f", "/m/g")
    }
    together = Together(snapshot, frozenset({"/m/e/f"}), lambda path: True, 4)
    asked = list(together.requests("/m", ["/m/a", "/m/e", "/m/g"]))
    assert asked == [StatBelow("/m", ("a", "a/d", "a/b", "a/b/c")), StatBelow("/m", ("e", "g"))]
    stat = Stat(True, 0, 1, 1, 1)
    answer = StatedBelow("/m", tuple(Stated(f"/m/{name}", stat) for name in asked[0].names))
    taken = []
    for stated in together.answers(answer):
        taken.append(stated.path)
        if stated.path == "/m/a":
            assert together.take("/m/a/b")  # and `d` is not wanted any more
    assert taken == ["/m/a", "/m/a/b"]
    assert not together.take("/m/a/d"), "an answer outlived its request"
