"""Random trees and random edits: the change list replays exactly, the inventory is the tree."""

from __future__ import annotations

import posixpath

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem
from tests.support.random_edits import KEPT, FakeTree, apply, strategy
from tests.support.witness import Witness
from tests.support.world import DOWNLOADS, MODELS, Projection, World, quick_folder

NAMES = ["a", "b", "c", "a.b", "a-b", "é", "😀", "new\nline", "\udcff", "Z"]
TOPS = [MODELS.path, DOWNLOADS.path]
EDITS = strategy(NAMES, TOPS, [], depth=3, most=50)


def expected(files: FakeFileSystem) -> Projection:
    """What the inventory has to show, from the fake disk's own nodes."""
    found: Projection = {}

    def below(path: str, ancestors: tuple[int, ...]) -> None:
        node = files._resolve(path)
        for name, child in node.children.items():
            child_path = posixpath.join(path, name)
            if child.kind == "directory":
                found[child_path] = ("directory", 0, 0)
                below(child_path, (*ancestors, child.inode))
            elif child.kind == "file":
                found[child_path] = ("file", len(child.content), child.mtime)
            else:
                try:
                    target = files._resolve(child_path)
                except OSError:
                    found[child_path] = ("symlink", 0, child.mtime)
                    continue
                if target.kind == "file":
                    found[child_path] = ("symlink", len(target.content), target.mtime)
                else:
                    found[child_path] = ("symlink", 0, child.mtime)
                    if target.inode not in ancestors:
                        below(child_path, (*ancestors, target.inode))

    for root in (MODELS, DOWNLOADS):
        chain = ["/"]
        for part in root.path.strip("/").split("/"):
            chain.append(posixpath.join(chain[-1], part))
        below(root.path, tuple(files._resolve(path).inode for path in chain))
    return found


def scan(world: World, tree: FakeTree, witness: Witness) -> None:
    """One scan, whose moves are true."""
    before = world.project()
    witness.note(world.store.snapshot)
    world.scan()
    after = world.project()
    files = tree.contents(witness.files(after))
    witness.check(world.lines, world.base, before, after, files)
    witness.look(after, files)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    start=st.lists(EDITS, max_size=12),
    rounds=st.lists(st.lists(EDITS, max_size=6), min_size=1, max_size=5),
    has_inodes=st.booleans(),
    restarts=st.booleans(),
    is_slow=st.booleans(),
)
def test_change_list_replays_exactly_and_inventory_is_the_tree(
    start: list[tuple],
    rounds: list[list[tuple]],
    has_inodes: bool,
    restarts: bool,
    is_slow: bool,
) -> None:
    """Rule 7 on full projections; `World.scan` replays the lines of each pass."""
    with quick_folder() as folder:
        world = World(folder, loss_fraction=1.0)
        files = world.files
        # Where a listing takes a second, directories are only stat-ed while their mtime stays.
        files.latency = 1.0 if is_slow else 0.0
        if not has_inodes:
            files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
        tree = FakeTree(files, TOPS)
        witness = Witness()
        for top in TOPS:
            files.write(posixpath.join(top, KEPT), b"keep")
        for edit in start:
            apply(tree, edit)
        scan(world, tree, witness)
        for edits in rounds:
            for edit in edits:
                files.advance(0.01)
                apply(tree, edit)
            if restarts:
                world.restart()
            scan(world, tree, witness)
        scan(world, tree, witness)  # what still grew rests now
        if is_slow:
            # Edits in place were left to the verification, which a restart does at once.
            world.restart()
            scan(world, tree, witness)
            scan(world, tree, witness)
        # A link that leads into nothing may be an unmounted share: what was known of it stays.
        there = expected(files)
        shown = world.project()
        doubtful = {path for path, value in there.items() if value[0] == "symlink" and not value[1]}
        certain = {
            path
            for path in there.keys() | shown.keys()
            if not any(path == link or path.startswith(link + "/") for link in doubtful)
        }
        assert {path: shown.get(path) for path in certain} == {
            path: there.get(path) for path in certain
        }
        assert world.scan() == []
        world.store.close()
