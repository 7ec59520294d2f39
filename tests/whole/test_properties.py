"""Random trees and random edits: the change list replays exactly, the inventory is the tree."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem, Node
from tests.support.world import DOWNLOADS, MODELS, Projection, World

NAMES = st.sampled_from(["a", "b", "c", "a.b", "a-b", "é", "😀", "new\nline", "\udcff", "Z"])
FOLDERS = st.lists(NAMES, max_size=3).map("/".join)
TOPS = st.sampled_from([MODELS.path, DOWNLOADS.path])
CONTENTS = st.sampled_from([b"", b"1", b"2", b"same", b"same size", b"size same"])

PATHS = st.builds(posixpath.join, TOPS, FOLDERS, NAMES)

EDITS = st.one_of(
    st.tuples(st.just("write"), PATHS, CONTENTS),
    st.tuples(st.just("touch"), st.integers(0, 50)),
    st.tuples(st.just("remove"), st.integers(0, 50)),
    st.tuples(st.just("rename"), st.integers(0, 50), PATHS),
    st.tuples(st.just("copy"), st.integers(0, 50), PATHS),
    st.tuples(st.just("rename folder"), st.integers(0, 50), PATHS),
    st.tuples(st.just("remove folder"), st.integers(0, 50)),
    st.tuples(st.just("swap"), st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.just("swap folders"), st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.just("link"), PATHS, PATHS),
    st.tuples(st.just("grow"), st.integers(0, 50)),
)


def nodes(files: FakeFileSystem, top: str) -> dict[str, Node]:
    """Everything below `top`, links not followed: an independent walk."""
    found: dict[str, Node] = {}

    def below(path: str, node: Node) -> None:
        for name, child in node.children.items():
            found[posixpath.join(path, name)] = child
            if child.kind == "directory":
                below(posixpath.join(path, name), child)

    below(top, files._resolve(top))
    return found


def everything(files: FakeFileSystem) -> dict[str, Node]:
    return {
        path: node
        for root in (MODELS, DOWNLOADS)
        for path, node in nodes(files, root.path).items()
        if not path.endswith("/keep")
    }


def apply(files: FakeFileSystem, edit: tuple) -> None:
    """Do `edit`, or nothing where the tree has no place for it."""
    kind, *arguments = edit
    all_nodes = everything(files)
    of_kind = {
        "file": sorted(path for path, node in all_nodes.items() if node.kind == "file"),
        "directory": sorted(path for path, node in all_nodes.items() if node.kind == "directory"),
    }

    def pick(index: int, what: str) -> str | None:
        some = of_kind[what]
        return some[index % len(some)] if some else None

    def is_free(path: str) -> bool:
        """Whether a file can be put at `path`: no file above it, no directory there."""
        above = posixpath.dirname(path)
        while above not in (MODELS.path, DOWNLOADS.path):
            if above in all_nodes and all_nodes[above].kind != "directory":
                return False
            above = posixpath.dirname(above)
        return path not in all_nodes or all_nodes[path].kind != "directory"

    if kind == "write":
        if is_free(arguments[0]):
            files.write(arguments[0], arguments[1])
    elif kind == "link":
        if is_free(arguments[0]) and arguments[0] not in all_nodes:
            files.symlink(arguments[1], arguments[0])
    elif kind in ("touch", "remove", "grow"):
        path = pick(arguments[0], "file")
        if path and kind == "touch":
            files.touch(path)
        elif path and kind == "remove":
            files.remove(path)
        elif path:
            files.write(path, all_nodes[path].content + b"+")
    elif kind in ("rename", "copy"):
        path = pick(arguments[0], "file")
        if path and is_free(arguments[1]) and path != arguments[1]:
            if kind == "rename":
                files.rename(path, arguments[1])
            else:
                files.write(arguments[1], all_nodes[path].content, all_nodes[path].mtime)
    elif kind == "remove folder":
        path = pick(arguments[0], "directory")
        if path:
            files.remove(path)
    elif kind == "rename folder":
        path = pick(arguments[0], "directory")
        target = arguments[1]
        if (
            path
            and is_free(target)
            and target not in all_nodes
            and not (target + "/").startswith(path + "/")
        ):
            files.rename(path, target)
    else:
        what = "file" if kind == "swap" else "directory"
        one, two = pick(arguments[0], what), pick(arguments[1], what)
        if one and two and not (one + "/").startswith(two) and not (two + "/").startswith(one):
            files.rename(one, "/swap")
            files.rename(two, one)
            files.rename("/swap", two)


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
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), loss_fraction=1.0)
        files = world.files
        # Where a listing takes a second, directories are only stat-ed while their mtime stays.
        files.latency = 1.0 if is_slow else 0.0
        if not has_inodes:
            files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
        for root in world.roots:
            files.write(posixpath.join(root.path, "keep"), b"keep")
        for edit in start:
            apply(files, edit)
        world.scan()
        for edits in rounds:
            for edit in edits:
                files.advance(0.01)
                apply(files, edit)
            if restarts:
                world.restart()
            world.scan()
        world.scan()  # what still grew rests now
        if is_slow:
            # Edits in place were left to the verification, which a restart does at once.
            world.restart()
            world.scan()
            world.scan()
        # A link that leads into nothing may be an unmounted share: what was known of it stays.
        tree = expected(files)
        shown = world.project()
        doubtful = {path for path, value in tree.items() if value[0] == "symlink" and not value[1]}
        certain = {
            path
            for path in tree.keys() | shown.keys()
            if not any(path == link or path.startswith(link + "/") for link in doubtful)
        }
        assert {path: shown.get(path) for path in certain} == {
            path: tree.get(path) for path in certain
        }
        assert world.scan() == []
        world.store.close()
