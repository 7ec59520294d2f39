"""At most so many paths to one folder are entered, the same ones in every scan (rule 11)."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from scanner.core.memory import PARTIAL
from scanner.core.snapshot import DIRECTORY_LINK, Directory, Listing, Row, Snapshot, listing_of
from scanner.disk.mounts import Mount
from scanner.walk.linked import Identities, LinkedFolders
from scanner.workers.worker import LocalWorker, perform
from tests.support.world import DOWNLOADS, MODELS, World, at

TOP = at("ComfyUI/models")
LEVELS = 20


def maze(world: World, levels: int = LEVELS) -> None:
    """Folders L0, L1, ... with two links each to the next one, and a file in the last one."""
    for level in range(levels):
        world.files.makedirs(f"{TOP}/L{level:02}")
        for name in "ab":
            world.files.symlink(f"../L{level + 1:02}", f"{TOP}/L{level:02}/{name}")
    world.files.write(f"{TOP}/L{levels:02}/x", b"1")


def paths_to_folders(snapshot: Snapshot) -> Counter[int]:
    return Counter(directory.inode for directory in snapshot.values())


def linked(world: World) -> list[str]:
    """Entries below links, sorted."""
    snapshot = world.store.snapshot
    links = [
        f"{path}/{row.name}/"
        for path, directory in snapshot.items()
        for row in directory.listing.rows()
        if row.type == DIRECTORY_LINK
    ]
    return sorted(path for path in world.project() if path.startswith(tuple(links)))


def test_maze_ends_and_each_folder_is_entered_64_times(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,))
    maze(world)
    world.scan()
    assert max(paths_to_folders(world.store.snapshot).values()) == 64
    told = world.store.memory.unreachable
    assert len(told) == LEVELS - 5  # the folders of the first six levels have at most 63 paths
    assert all("by 64 paths already" in folder.error for folder in told.values())
    assert world.state(MODELS) == PARTIAL
    project = world.project()
    assert all(project[path][0] == "symlink" for path in told)
    files = [path for path in project if path.endswith("/x")]
    assert len(files) == 64


def test_choice_does_not_turn_on_the_order_of_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, roots=(MODELS,))
    maze(world, 9)
    world.scan()
    first = world.project()
    chance = random.Random(1)

    def answer(worker: LocalWorker) -> object:
        requests = worker._requests
        if not requests:
            return None
        return perform(worker._files, requests.pop(chance.randrange(len(requests))))

    monkeypatch.setattr(LocalWorker, "answer", answer)
    for _ in range(3):
        assert world.scan() == []
    world.restart()
    assert world.scan() == []
    assert world.project() == first


def shelves(world: World, count: int) -> None:
    """One folder in `downloads` with a file and a subfolder, and so many links to it in models."""
    world.files.write(DOWNLOADS.path + "/all/x", b"1")
    world.files.write(DOWNLOADS.path + "/all/sub/y", b"22")
    for number in range(count):
        world.files.symlink(DOWNLOADS.path + "/all", f"{TOP}/k{number:02}")


def test_first_paths_are_entered_and_the_choice_moves_with_the_links(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,), max_paths=3)
    shelves(world, 5)
    world.scan()

    def entered() -> set[str]:
        return {path[len(TOP) + 1 :].split("/")[0] for path in world.project() if "/sub/" in path}

    assert entered() == {"k00", "k01", "k02"}
    assert world.store.memory.unreachable.keys() == {f"{TOP}/k03"}
    assert "2 more paths lead" in world.store.memory.unreachable[f"{TOP}/k03"].error
    world.files.remove(f"{TOP}/k00")
    assert world.scan() != []  # World.scan proves that replay is exact
    assert entered() == {"k01", "k02", "k03"}
    world.files.symlink(DOWNLOADS.path + "/all", f"{TOP}/a")
    assert world.scan() != []
    assert entered() == {"a", "k01", "k02"}
    assert world.scan() == []
    for name in ("a", "k01"):
        world.files.remove(f"{TOP}/{name}")
    world.scan()
    assert entered() == {"k02", "k03", "k04"}
    assert world.store.memory.unreachable == {}
    assert world.state(MODELS) == "online"


def test_path_without_links_comes_first(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,), max_paths=2)
    for name in ("a", "b"):
        world.files.symlink("z", f"{TOP}/{name}")
    world.files.write(f"{TOP}/z/x", b"1")
    world.scan()
    assert linked(world) == [f"{TOP}/a/x"]
    assert f"{TOP}/z/x" in world.project()


def test_folder_below_a_linked_one_is_not_entered_too_often_either(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,), max_paths=2)
    shelves(world, 1)
    for name in ("a", "b"):
        world.files.symlink(DOWNLOADS.path + "/all/sub", f"{TOP}/{name}")
    world.scan()
    assert [path for path in world.project() if path.endswith("/y")] == [f"{TOP}/a/y", f"{TOP}/b/y"]
    assert world.store.memory.unreachable.keys() == {f"{TOP}/k00/sub"}
    assert world.project()[f"{TOP}/k00/sub"][0] == "directory"


def test_another_limit_is_a_baseline_and_no_change(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,), max_paths=3)
    shelves(world, 5)
    world.settle()
    world.restart(max_paths=4)
    assert world.scan() == []
    assert world.baselines() == [("ComfyUI/models", "rules changed")]
    assert len([path for path in world.project() if path.endswith("/y")]) == 4
    world.restart(max_paths=2)
    assert world.scan() == []
    assert len([path for path in world.project() if path.endswith("/y")]) == 2


def test_few_paths_cost_nothing(tmp_path: Path) -> None:
    """No folder is asked for twice, and the walk takes answers as they come."""
    world = World(tmp_path, roots=(MODELS,))
    shelves(world, 60)
    world.settle()
    world.files.calls.clear()
    world.scan()
    assert world.files.calls["list"] == 1 + 60 * 2
    crowded = World(tmp_path / "more", roots=(MODELS,))
    shelves(crowded, 70)
    crowded.settle()
    crowded.files.calls.clear()
    crowded.scan()
    assert crowded.files.calls["list"] == 1 + 70 + 64  # in order from the start


def test_where_inodes_say_nothing_the_words_of_the_links_do(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,), max_paths=4)
    maze(world, 8)
    list_directory = world.files.list_directory

    def without_inode(*args: object) -> object:
        from dataclasses import replace

        return replace(list_directory(*args), inode=0)  # type: ignore[arg-type]

    world.files.list_directory = without_inode  # type: ignore[method-assign, assignment]
    world.scan()
    assert len([path for path in world.project() if path.endswith("/x")]) == 4


def test_two_mounts_that_link_to_each_other_give_no_zones_without_end(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,), max_paths=4)
    world.files.mount_table.append(Mount("/mnt/b", "ext4", "/dev/fake2"))
    homes = [TOP, "/mnt/b"]
    for level in range(8):
        folder = f"{homes[level % 2]}/L{level}"
        world.files.makedirs(folder)
        for name in "ab":
            world.files.symlink(f"{homes[(level + 1) % 2]}/L{level + 1}", f"{folder}/{name}")
    world.files.write(f"{homes[0]}/L8/x", b"1")
    for _ in range(10):
        world.scan()
    assert max(Counter(world.scanner.zones().targets.values()).values()) == 4
    assert world.scan() == []
    world.files.remove(f"{TOP}/L0/a")
    for _ in range(10):
        world.scan()
    assert world.scan() == []
    assert max(Counter(world.scanner.zones().targets.values()).values()) <= 4


def test_real_paths_of_thousands_of_folders_below_each_other_are_found() -> None:
    """Without inodes, by the words of the links."""
    links = [Row("a", DIRECTORY_LINK, 0, 0, 0), Row("c", DIRECTORY_LINK, 0, 0, 0)]
    root = Directory(listing_of(links, targets=[("a", "../b"), ("c", "d")]), 0)
    paths = ["/m/a" + "/x" * depth for depth in range(3000)]
    identities = Identities({"/m": root}, {*paths, "/m/b"}, lambda path, where: None)
    assert identities.of(paths[-1], Directory(Listing(), 0)) == "/b" + "/x" * 2999
    assert identities.of("/m/b", Directory(Listing(), 0)) == "/m/b"


def test_surplus_paths_are_counted_by_folder_and_the_first_one_is_named() -> None:
    linked = LinkedFolders(2, in_order=True)
    paths = [f"/m/{number}" for number in range(5)]
    linked.paths.update(paths)
    for _ in range(2):
        assert [linked.is_surplus(path, 7) for path in paths] == [False] * 2 + [True] * 3
    assert not linked.is_surplus("/m/2", 8)
    (path,) = linked.told()
    assert path == "/m/2"
    assert linked.told()[path].startswith("3 more paths")
