"""Random trees, edits and faults: what cannot be seen is kept, and all is well when faults end."""

# mypy: disable-error-code="arg-type,union-attr,var-annotated,redundant-expr"
from __future__ import annotations

import errno
import posixpath
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.core.mount_identity import MountIdentity
from scanner.core.paths import is_below
from scanner.core.roots import Root
from scanner.core.serialize import native
from scanner.diff.replay import replay
from scanner.diff.unread import is_away
from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem, Node
from tests.support.random_edits import FakeTree, apply, strategy
from tests.support.witness import Witness
from tests.support.world import BASE, DOWNLOADS, MODELS, Projection, World, quick_folder

A, B = MODELS.path + "/a", MODELS.path + "/b"
NAS, DISK = "/mnt/nas", "/mnt/disk"
EXTRA = Root("extra", A)
INNER = Root("extra", B)
LINKED = Root("extra", "/home/u/linked")
"""A link to the share."""
ROOTS = [
    (MODELS, DOWNLOADS),
    (MODELS, DOWNLOADS),
    (MODELS,),
    (MODELS, DOWNLOADS, EXTRA),
    (MODELS, DOWNLOADS, INNER),
    (MODELS, DOWNLOADS, LINKED),
    (MODELS, DOWNLOADS, LINKED),
]
RULES = [(), ("Z",), ("c/",), ("Z", "c")]
TYPES = ["ext4", "cifs", "exfat", "fuse.sshfs"]

NAMES = ["a", "b", "c", "a.b", "é", "Z", "\udcff"]
TOPS = [MODELS.path, DOWNLOADS.path, B, NAS, DISK, MODELS.path]
TARGETS = [NAS, DISK, NAS + "/a", DISK + "/a", DOWNLOADS.path, B]
N = st.integers(0, 40)
DRIVES = st.sampled_from([B, NAS, DISK, DOWNLOADS.path])
ERRORS = st.sampled_from([errno.EIO, errno.EACCES, errno.ESTALE, errno.ENOENT, errno.ENOTDIR])

EDITS = strategy(NAMES, TOPS, TARGETS, depth=2)
EVENTS = st.one_of(
    EDITS,
    EDITS,
    st.tuples(st.just("unmount"), DRIVES, st.booleans()),
    st.tuples(st.just("mount"), DRIVES),
    st.tuples(st.just("mount other"), DRIVES, st.booleans()),
    st.tuples(st.just("cover")),
    st.tuples(st.just("uncover")),
    st.tuples(st.just("fault"), st.sampled_from(["list", "stat"]), N, ERRORS),
    st.tuples(st.just("no faults")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("lost")),
    st.tuples(st.just("rules"), st.integers(0, 3)),
    st.tuples(st.just("follow"), st.booleans()),
    st.tuples(st.just("roots"), st.integers(0, len(ROOTS) - 1)),
    st.tuples(st.just("accept")),
)
ROUNDS = st.tuples(
    st.lists(EVENTS, max_size=5),
    st.sampled_from([30.0, 30.0, 10.0, 700.0, 1000.0]),
    st.one_of(
        st.none(),
        st.tuples(st.integers(1, 5), EDITS),
        st.tuples(st.integers(1, 5), st.tuples(st.just("unmount"), DRIVES, st.booleans())),
    ),
)


class Drive:
    """What can be mounted at one folder, and what lies below it while it is not."""

    def __init__(self, files: FakeFileSystem, mount: Mount) -> None:
        self.files, self.mount = files, mount
        self.own = files._node("directory")
        self.cover: Node | None = None
        self.other: Node | None = None
        self.now: Mount | None = None
        self.known: MountIdentity | None = None
        self.forgotten = False
        self.is_covered = False
        self._hidden: Mount | None = None
        files.makedirs(mount.point)

    def _place(self, node: Node) -> Node:
        parent = self.files._resolve(posixpath.dirname(self.mount.point))
        name = posixpath.basename(self.mount.point)
        before = parent.children.get(name) or self.files._node("directory")
        parent.children[name] = node
        return before

    def hide(self) -> None:
        """Another mount hides this one."""
        self.files.mount_table.remove(self.now)
        self._hidden, self.now = self.now, None

    def show(self) -> None:
        self.now, self._hidden = self._hidden, None
        self.files.mount_table.append(self.now)

    def attach(self, *, other: bool = False, empty: bool = False) -> None:
        if self.is_covered:
            return
        if self.now:
            self.detach()
        node = self.own
        mount = self.mount
        if other:
            node = self.other = self.other or self.files._node("directory")
            mount = mount._replace(source=mount.source + "-other")
        self.cover = self._place(node)
        self.files.mount_table.append(mount)
        self.now = mount
        self.forgotten = False

    def detach(self, *, removes: bool = False) -> None:
        if self.is_covered:
            return
        if self.now:
            self.files.mount_table.remove(self.now)
            self.now = None
            self._place(self.cover)
        if removes and not self.cover.children:
            parent = self.files._resolve(posixpath.dirname(self.mount.point))
            if parent.children.pop(posixpath.basename(self.mount.point), None):
                self.files._change(parent)


class Cover:
    """A mount over the folder that holds the points of others: it hides them."""

    def __init__(self, files: FakeFileSystem, drives: Collection[Drive]) -> None:
        self.files = files
        self.hidden: list[Drive] = []
        self.drives = drives
        self._folder: Node | None = None
        self._mount = Mount("/mnt", "ext4", "/dev/cover")

    def attach(self) -> None:
        if self._folder is None:
            below = [drive for drive in self.drives if is_below(drive.mount.point, "/mnt")]
            self.hidden = [drive for drive in below if drive.now]
            for drive in self.hidden:
                drive.hide()
            for drive in below:
                drive.is_covered = True
            self._folder = self.files.root.children["mnt"]
            self.files.root.children["mnt"] = self.files._node("directory")
            self.files.mount_table.append(self._mount)

    def detach(self) -> None:
        if self._folder is not None:
            self.files.mount_table.remove(self._mount)
            self.files.root.children["mnt"] = self._folder
            self._folder = None
            for drive in self.drives:
                drive.is_covered = False
            for drive in self.hidden:
                drive.show()


class Fuzz:
    def __init__(self, folder: Path, types, present, slow, moves_mtimes, granularity, shuffles):
        self.files = files = FakeFileSystem()
        for root in (MODELS, DOWNLOADS):
            files.makedirs(root.path)
        self.drives = {}
        files.mount_table = [Mount("/", types[0], "/dev/fake1")]
        for index, point in enumerate((B, NAS, DISK, DOWNLOADS.path)):
            if index in present:
                type_ = "ext4" if point == DISK else types[1 + index % 3]
                self.drives[point] = Drive(files, Mount(point, type_, f"src{index}"))
            else:
                files.makedirs(point)
        for drive in self.drives.values():
            drive.attach()
            files.write(drive.mount.point + "/keep", b"keep" + drive.mount.source.encode())
        files.write(MODELS.path + "/keep", b"keep")
        self.cover = Cover(files, self.drives.values())
        if NAS in self.drives:
            files.symlink(NAS, LINKED.path)
        else:
            files.makedirs(LINKED.path)
        files.latency = 1.0 if slow else 0.0
        self.slow = slow
        files.moves_directory_mtimes = moves_mtimes
        files.granularity = granularity
        files.shuffles_inodes = shuffles
        self.tree = FakeTree(files, [MODELS.path, DOWNLOADS.path, NAS, DISK], self.points)
        self.world = World(folder, files)
        self.witness = Witness()
        self.excused: list[str] = []
        self.last = 0
        self.rules: tuple[str, ...] = ()
        self.follow = True

    def points(self):
        return list(self.drives)

    def edit(self, edit):
        if edit[0] == "link" and is_below(edit[1], NAS):
            return True
        if edit[0] == "unmount":
            if edit[1] in self.drives:
                self.drives[edit[1]].detach(removes=edit[2])
            return True
        return apply(self.tree, edit)

    def event(self, event):
        world, files = self.world, self.files
        if self.edit(event):
            return
        kind, *args = event
        if kind == "mount" and args[0] in self.drives:
            self.drives[args[0]].attach()
        elif kind == "cover":
            self.cover.attach()
        elif kind == "uncover":
            self.cover.detach()
        elif kind == "mount other" and args[0] in self.drives:
            self.drives[args[0]].attach(other=True)
        elif kind == "fault":
            what, index, number = args
            if self.changed_rules:
                return
            some = sorted(p for p in world.project())
            dirs = sorted(world.store.snapshot)
            some = dirs if what == "list" else some + [r.path for r in world.roots]
            if some:
                files.faults[what, some[index % len(some)]] = number
        elif kind == "no faults":
            files.faults.clear()
        elif kind == "restart":
            world.restart()
        elif kind == "lost":
            self.was_lost = True
            world.store.close()
            for ending in ("", "-wal", "-shm"):
                Path(world.outputs.state + ending).unlink(missing_ok=True)
            world.open()
        elif kind == "rules":
            self.changed_rules = True
            files.faults.clear()  # what cannot be read when rules change keeps its old ones
            self.rules = RULES[args[0]]
            world.restart(ignore=self.rules)
        elif kind == "follow":
            self.follow = args[0]
            world.restart(follow_links=self.follow)
        elif kind == "roots":
            for drive in self.drives.values():
                if drive.now != drive.mount:
                    return  # open: a new root at a held place does not inherit its identity
            world.store.close()
            world.roots = ROOTS[args[0]]
            world.open()
        elif kind == "accept":
            self.accept(everything=True)

    def accept(self, *, everything=False):
        memory = self.world.store.memory
        state = self.world.store.state
        for id_, record in memory.roots.items():
            if id_ in memory.holds:
                state.ask(0, id_, "", memory.holds[id_].paths)
            elif record.state == "held":
                state.ask(0, id_, "", frozenset())
                for drive in self.drives.values():
                    lives = record.target or record.path
                    if is_below(lives, drive.mount.point) and drive.now:
                        drive.known = drive.now.identity
                        self.believed.add(drive.now.identity)
            elif everything and record.state in ("offline", "missing"):
                state.ask(0, "", record.path, frozenset())
                self.excused.append(record.path)
                for drive in self.drives.values():
                    if is_below(record.target or record.path, drive.mount.point):
                        drive.forgotten = True
        if everything:
            for path in memory.unreachable:
                state.ask(0, "", path, frozenset())
                self.excused.append(path)

    believed: set[MountIdentity]
    was_lost = False
    changed_rules = False

    # the oracle

    def lost_drive(self, path):
        """Whether `path` (by words) lies on a drive that is away or another one."""
        best = None
        for drive in self.drives.values():
            if is_below(path, drive.mount.point) and (
                best is None or len(drive.mount.point) > len(best.mount.point)
            ):
                best = drive
        if best is None or best.forgotten or best.mount.point not in self.walked_drives:
            return False
        if best.now is None:
            return True
        return best.now.identity not in self.walked_drives[best.mount.point] | self.believed

    def note_drives(self):
        """Which identities the memory knows, per drive."""
        self.walked_drives = defaultdict(set)
        for record in self.world.store.memory.roots.values():
            for point, drive in self.drives.items():
                if (
                    record.walked
                    and record.mount_identity
                    and record.mount_identity.source.startswith(drive.mount.source)
                ):
                    self.walked_drives[point].add(record.mount_identity)

    def owner(self, path):
        best = None
        for root in self.world.roots:
            if (
                is_below(path, root.path)
                and path != root.path
                and (best is None or len(root.path) > len(best.path))
            ):
                best = root
        return best

    def ignored(self, name, child):
        for rule in self.rules:
            if rule == name or (
                rule.endswith("/") and rule[:-1] == name and child.kind == "directory"
            ):
                return True
        return False

    def walk(self):
        """(entries, unknown): the projection, and tops of which nothing can be said."""
        files = self.files
        found: Projection = {}
        unknown: set[str] = set()
        self.broken = set()
        self.mixed = set()
        root_paths = {root.path for root in self.world.roots}

        def below(path, ancestors, linked=0):
            if (("list", path) in files.faults and (not self.slow or path in root_paths)) or (
                ("stat", path) in files.faults and path in root_paths
            ):
                unknown.add(path)
                return
            if (
                path in {d.mount.point for d in self.drives.values()}
                and ("stat", path) in files.faults
            ):
                unknown.add(path)
                return
            if self.lost_drive(path):
                unknown.add(path)
                return
            try:
                node = files._resolve(path)
            except OSError:
                unknown.add(path)
                return
            if node.kind != "directory":
                unknown.add(path)
                return
            for d in self.drives.values():
                p = d.mount.point
                if (
                    posixpath.dirname(p) == path
                    and posixpath.basename(p) not in node.children
                    and self.lost_drive(p)
                ):
                    unknown.add(p)
            for name, child in node.children.items():
                child_path = posixpath.join(path, name)
                if child_path in root_paths:
                    continue
                if self.ignored(name, child):
                    continue
                if ("stat", child_path) in files.faults and child.kind != "directory":
                    unknown.add(child_path)
                    continue
                if child.kind == "directory":
                    found[child_path] = ("directory", 0, 0)
                    if linked and child.inode in ancestors:
                        continue
                    below(child_path, (*ancestors, child.inode), linked)
                elif child.kind == "file":
                    found[child_path] = ("file", len(child.content), child.mtime)
                else:
                    if self.lost_drive(child.target):
                        unknown.add(child_path)
                        continue
                    try:
                        target = files._resolve(child_path)
                    except OSError:
                        found[child_path] = ("symlink", 0, child.mtime)
                        self.broken.add(child_path)
                        continue
                    if target.kind == "file":
                        found[child_path] = ("symlink", len(target.content), target.mtime)
                    else:
                        found[child_path] = ("symlink", 0, child.mtime)
                        if linked:
                            self.mixed.add(child_path)
                            unknown.add(child_path)
                            continue
                        if self.follow and target.inode not in ancestors:
                            below(child_path, (*ancestors, target.inode), linked + 1)

        for root in self.world.roots:
            chain = ["/"]
            for part in root.path.strip("/").split("/"):
                chain.append(posixpath.join(chain[-1], part))
            try:
                inodes = tuple(files._resolve(path).inode for path in chain)
            except OSError:
                unknown.add(root.path)
                continue
            below(root.path, inodes)
        return found, unknown

    def scan(self, advance, during=None):
        world, files = self.world, self.files
        files.advance(advance)
        self.changed_rules = False
        self.note_drives()
        before = world.project()
        self.witness.note(world.store.snapshot)
        tree0, unknown0 = self.walk()
        if during is not None:
            count, edit = during
            left = [count]

            def hook(path):
                left[0] -= 1
                if left[0] == 0:
                    self.edit(edit)

            files.on_list = hook
        try:
            world.scan(advance=0)
        finally:
            files.on_list = None
        tree1, unknown1 = self.walk()
        assert world.result.scan > self.last or self.was_lost
        self.was_lost = False
        self.last = world.result.scan
        lines = world.lines
        by_path = defaultdict(list)
        for line in lines:
            if line["kind"] != "baseline":
                by_path[native(line, BASE)].append(line["kind"])
        for path, kinds in by_path.items():
            rest = [kind for kind in kinds if kind != "deleted"]
            assert len(kinds) - len(rest) <= 1 and len(rest) <= 1, (path, kinds)
            assert len(kinds) == 1 or rest in (["created"], ["moved"]), (path, kinds)
        after = world.project()
        contents = self.tree.contents(self.witness.files(after))
        self.witness.check(lines, BASE, before, after, contents)
        self.witness.look(after, contents)

        def kept(path, tree, unknown):
            if path in tree:
                return True
            drives = [p for p in self.drives if is_below(path, p) and path != p]
            return any(
                is_below(path, top) and not any(is_below(d, top) and d != top for d in drives)
                for top in unknown
            )

        changed = {
            native(line, BASE): line["reason"] for line in lines if line["kind"] == "baseline"
        }
        for path in before.keys() - after.keys():
            owner = self.owner(path)
            if owner is None or path in {r.path for r in world.roots}:
                continue
            if any(is_below(path, top) for top in self.excused):
                continue
            if self.is_ignored_path(path):
                continue
            if not self.follow:
                continue
            if kept(path, tree0, unknown0) and kept(path, tree1, unknown1):
                raise AssertionError(f"lost {path!r}: {lines}")
        if changed and before:
            replayed = replay(before, lines, BASE)

            def outside(p):
                return not any(
                    is_below(p, top) and reason != "state lost" for top, reason in changed.items()
                )

            one = {p: v for p, v in replayed.items() if outside(p)}
            two = {p: v for p, v in after.items() if outside(p)}
            if set(changed.values()) <= {"state lost", "mounted"} and not self.rules:
                assert one == two, ("replay", changed)
        if not world.store.state.requests():
            self.excused.clear()
        return lines

    def is_ignored_path(self, path):
        return any(part == rule.rstrip("/") for rule in self.rules for part in path.split("/"))

    def settle(self):
        files, world = self.files, self.world
        files.faults.clear()
        self.cover.detach()
        for drive in self.drives.values():
            if drive.now is None:
                drive.attach()
        if self.slow or not files.moves_directory_mtimes:
            world.restart()
        for _ in range(7):
            self.accept()
            self.scan(700.0)
        tree, unknown = self.walk()
        shown = world.project()
        doubt = self.broken | unknown
        certain = {p for p in tree.keys() | shown.keys() if not any(is_below(p, d) for d in doubt)}
        one = {p: shown.get(p) for p in certain}
        two = {p: tree.get(p) for p in certain}
        assert one == two, {p: (one[p], two[p]) for p in certain if one[p] != two[p]}
        for _ in range(2):
            assert list(self.scan(30.0)) == []
        for id_, record in world.store.memory.roots.items():
            is_absent = record.reason == "No such file or directory"
            # Nothing proves that a link is dead whose target's folder is not there.
            away = [path for path in world.store.memory.unreachable if is_below(path, record.path)]
            is_away_only = bool(away) and all(is_away(path, world.store.snapshot) for path in away)
            states = ("online", "missing", "partial") if is_away_only else ("online", "missing")
            assert is_absent or record.state in states, (id_, record)
        assert not world.store.state.requests()


EXAMPLES = 100


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    types=st.tuples(*[st.sampled_from(TYPES)] * 4),
    present=st.sets(st.integers(0, 3)),
    start=st.lists(EDITS, max_size=8),
    rounds=st.lists(ROUNDS, min_size=1, max_size=6),
    slow=st.booleans(),
    moves_mtimes=st.booleans(),
    granularity=st.sampled_from([1, 1, 2_000_000_000]),
    shuffles=st.booleans(),
)
def test_faults(types, present, start, rounds, slow, moves_mtimes, granularity, shuffles) -> None:
    run(types, present, start, rounds, slow, moves_mtimes, granularity, shuffles)


def run(
    types, present, start, rounds, slow=False, moves_mtimes=True, granularity=1, shuffles=False
):
    with quick_folder() as folder:
        fuzz = Fuzz(
            folder,
            types,
            present,
            slow,
            moves_mtimes,
            granularity,
            shuffles and types[0] == "exfat",
        )
        fuzz.believed = set()
        try:
            for edit in start:
                fuzz.edit(edit)
            fuzz.scan(30.0)
            for events, advance, during in rounds:
                for event in events:
                    fuzz.files.advance(0.01)
                    fuzz.event(event)
                fuzz.scan(advance, during)
            fuzz.settle()
        finally:
            fuzz.world.store.close()


def lose_state(world: World) -> None:
    world.store.close()
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)


def test_lost_state_is_one_baseline_and_not_one_in_every_scan(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.scan()
    lose_state(world)
    world.open()
    world.scan()
    assert {reason for _, reason in world.baselines()} == {"state lost"}
    world.scan()
    assert world.lines == []


def test_rules_that_change_with_a_lost_state_are_applied(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.write(MODELS.path + "/x/Z", b"1")
    world.scan()
    lose_state(world)
    world.open()
    world.restart(ignore=("Z",))
    world.scan()
    assert MODELS.path + "/x/Z" not in world.project()


def test_new_rules_reach_a_mount_that_is_walked_in_a_later_pass(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.mount_table.append(Mount(B, "cifs", "//nas/m"))
    world.files.write(B + "/Z", b"1")
    world.files.write(MODELS.path + "/keep", b"1")
    world.scan()
    world.restart(ignore=("Z",))
    places = world.scanner.zones().all
    world.scanner.scan([place for place in places if place.path != B], interval=30)
    world.scanner.scan([place for place in places if place.path == B], interval=30)
    assert world.scan() == []
    assert B + "/Z" not in world.project()


def test_links_to_a_share_are_left_when_links_are_not_followed_any_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.mount_table.append(Mount(NAS, "cifs", "//nas/m"))
    world.files.write(NAS + "/x", b"1")
    world.files.symlink(NAS, A)
    world.scan()
    world.scan()
    world.restart(follow_links=False)
    for _ in range(3):
        world.scan()
    assert A in world.project()
    assert A + "/x" not in world.project()


def test_accepted_root_that_cannot_be_listed_comes_back_with_a_baseline(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.write(DOWNLOADS.path + "/x", b"1")
    world.scan()
    world.files.faults["list", DOWNLOADS.path] = errno.EACCES
    world.scan()
    world.store.state.ask(0, "", DOWNLOADS.path, frozenset())
    assert world.scan() == [("deleted", "Downloads/x")]
    world.files.faults.clear()
    world.scan()
    assert world.baselines() == [("Downloads", "added")]


def test_hold_of_losses_does_not_hide_that_the_file_system_is_another(tmp_path: Path) -> None:
    world = World(tmp_path)
    mount = Mount(DOWNLOADS.path, "ext4", "one")
    world.files.mount_table.append(mount)
    world.files.write(DOWNLOADS.path + "/x", b"1")
    world.scan()
    world.files.remove(DOWNLOADS.path + "/x")
    world.scan()
    assert DOWNLOADS.id in world.store.memory.holds
    world.files.mount_table[-1] = mount._replace(source="two")
    world.scan(advance=1)
    assert world.state(DOWNLOADS) == "held"
    assert DOWNLOADS.id not in world.store.memory.holds  # `accept` would ask for that one only


def test_mount_that_becomes_a_root_is_no_place_below_another_any_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    mount = Mount(B, "ext4", "one")
    world.files.mount_table.append(mount)
    world.files.write(B + "/x", b"1")
    world.scan()
    world.files.faults["stat", B] = errno.EIO
    world.scan()
    world.store.close()
    world.roots = (MODELS, DOWNLOADS, INNER)
    world.open()
    world.files.faults.clear()
    world.scan()
    assert {record.state for record in world.store.memory.roots.values()} == {"online"}
