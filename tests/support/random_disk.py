"""Random rounds on a real disk: edits, mounts that come and go, and one scan in each round.

    python -m tests.support.random_disk ext4 --seeds 0-19 --rounds 100

After each scan the change list, replayed, is the inventory, and both are the tree, as `walk` finds
it without the program's help. The tree, below one folder:

    ComfyUI/models -> mnt/share/models  a root that is a link to a share
    mnt/share/more                      a root on the share
    Downloads                           a local root, with another share mounted at Downloads/nas
    Local                               a local root, which is replaced

Shares are edited on their servers, also while they are not mounted here.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scanner.core.memory import ONLINE, PARTIAL
from scanner.core.paths import is_below, nearest_above
from scanner.core.roots import Root
from scanner.core.serialize import native
from scanner.diff.replay import moves_a_tree, replay
from scanner.disk import mounts
from scanner.workers.helped import HelpedWorker, Helper
from scanner.workers.pool import WorkersByMount
from scanner.workers.worker import Worker
from tests.support.random_edits import KEPT, Edit, apply, choose
from tests.support.real_mounts import BindMount, Mount, SshfsMount, TmpfsMount
from tests.support.real_worlds import AheadDisk
from tests.support.witness import Seen, Witness
from tests.support.world import Projection, World, quick_folder

KINDS: dict[str, type[Mount]] = {"ext4": BindMount, "tmpfs": TmpfsMount, "sshfs": SshfsMount}
"""The mounts that are tried; `ext4` is the disk of the temporary folder, bound."""

NAMES = ["a", "b", "c", "a.b", "é", "Z", "\udcff"]

MOST_LINKS = 5
"""Links to folders multiply the tree."""

EVENTS = [
    *("unmount", "mount", "mount", "mount other", "cover", "uncover"),
    *("turn root", "turn root back", "restart", "lose state"),
]

LATE = 3
"""Scans within which a root is online again, once its mount is."""


class HelpedWorkers(WorkersByMount):
    """Worker processes, and helpers for every walk of a local disk that lists everything: these
    trees are too small to get any."""

    def of_long_walk(self, mount: mounts.Mount, known: int = 0) -> Worker:
        if mount.is_remote:
            return self.apart(mount)
        return HelpedWorker(self._files, 2, 60.0, lambda: False, long=1, start=started_helper)


def started_helper() -> Helper:
    """A helper that takes requests."""
    helper = Helper()
    while not helper.is_up:
        helper.receive()
    return helper


class DiskWorld(World):
    """The program on the real disk, with worker processes for shares."""

    def make_workers(self) -> Any:
        return HelpedWorkers(self.files, stall_after=60, most_workers=4)

    def close(self) -> None:
        self.store.close()
        self.workers.close()  # type: ignore[attr-defined]

    def restart(self, **settings: Any) -> None:
        self.close()
        self.open()


class DiskTree:
    """The folders `tops` of the real disk; `points` are mount points."""

    def __init__(self, tops: Sequence[str], points: Sequence[str], clock: AheadDisk) -> None:
        self.tops = tops
        self._points = points
        self._clock = clock

    def kinds(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for top in self.tops:
            for folder, folders, files in os.walk(top):
                for name in (*folders, *files):
                    path = os.path.join(folder, name)
                    is_folder = name in folders
                    link = os.path.islink(path)
                    found[path] = "link" if link else "directory" if is_folder else "file"
                folders[:] = [n for n in folders if os.path.join(folder, n) not in self._points]
        return found

    def is_fixed(self, path: str) -> bool:
        return any(is_below(point, path) for point in self._points)

    def is_there(self, top: str) -> bool:
        return os.path.isdir(top)

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def mtime(self, path: str) -> int:
        return os.stat(path).st_mtime_ns

    def names(self, folder: str) -> list[str]:
        return sorted(os.listdir(folder))

    def write(self, path: str, content: bytes, mtime: int | None = None) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(content)
        self.utime(path, mtime)

    def utime(self, path: str, mtime: int | None = None) -> None:
        mtime = self._clock.now() if mtime is None else mtime
        os.utime(path, ns=(mtime, mtime))

    def remove(self, path: str) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def rename(self, old: str, new: str) -> None:
        """As mv does: a copy with its times where the two lie on different mounts."""
        os.makedirs(os.path.dirname(new), exist_ok=True)
        shutil.move(old, new)

    def makedirs(self, path: str) -> None:
        os.makedirs(path)

    def symlink(self, target: str, path: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)

    def exchange(self, one: str, two: str) -> None:
        if _LIBC.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(two), _EXCHANGE):
            assert ctypes.get_errno() == errno.EXDEV, os.strerror(ctypes.get_errno())

    def reuse(self, path: str, new: str, content: bytes) -> None:
        os.makedirs(os.path.dirname(new), exist_ok=True)
        before = self.mtime(path)
        os.unlink(path)
        self.write(new, content, before)


_LIBC = ctypes.CDLL(None, use_errno=True)
_HERE, _EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of renameat2(2)."""


@dataclass
class Tally:
    """What a run has done."""

    rounds: int = 0
    edits: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    moves: int = 0

    def add(self, other: Tally) -> None:
        self.rounds += other.rounds
        self.moves += other.moves
        self.edits += other.edits
        self.events += other.events
        self.lines += other.lines


class Rounds:
    """One tree with its mounts and its inventory, and the rounds on it."""

    def __init__(self, kind: str, seed: int, folder: Path, outputs: Path, stack: ExitStack) -> None:
        self.chance = random.Random(f"{kind} {seed}")
        self.tally = Tally()
        self.top = top = str(folder)
        back = folder / "back"
        self.models = os.path.join(top, "ComfyUI/models")
        self.more = os.path.join(top, "mnt/share/more")
        self.downloads = os.path.join(top, "Downloads")
        self.local = os.path.join(top, "Local")
        self.inner = os.path.join(self.downloads, "nas")
        self._home = os.path.join(top, "mnt/share/models")
        self._elsewhere = os.path.join(top, "elsewhere")
        for path in ("ComfyUI", "Downloads", "Local", "elsewhere"):
            (folder / path).mkdir()
            (folder / path / KEPT).write_bytes(path.encode())
        mount = KINDS[kind]
        self.mounts = {
            point: stack.enter_context(mount(back / name, Path(point)))
            for name, point in (("share", os.path.join(top, "mnt/share")), ("inner", self.inner))
        }
        tops = [str(back / "share/models"), str(back / "share/more"), str(back / "inner")]
        for path in tops:
            os.makedirs(path, exist_ok=True)
            Path(path, KEPT).write_bytes(path.encode())
        os.symlink("../mnt/share/models", self.models)
        self._other = back / "other"
        self._other.mkdir()
        (self._other / "foreign").write_bytes(b"of another share")
        self._covering = back / "covering"
        for name in ("share/models", "share/more"):
            (self._covering / name).mkdir(parents=True)
            (self._covering / name / "foreign").write_bytes(b"of what hides a share")
        self.other: dict[str, BindMount] = {}
        """Mounts of another file system over a share, by their point."""
        self._stack = stack
        self._cover: BindMount | None = None
        self._is_turned = False
        self.clock = AheadDisk()
        self.tree = DiskTree([*tops, self.downloads, self.local], [self.inner, tops[2]], self.clock)
        self.targets = [self.more, self.inner, self.local, os.path.join(top, "mnt"), self._home]
        roots = (
            Root("models", self.models),
            Root("extra", self.more),
            Root("downloads", self.downloads),
            Root("extra", self.local),
        )
        self.world = DiskWorld(
            outputs,
            self.clock,  # type: ignore[arg-type]
            roots,
            top,
            loss_fraction=1.0,
        )
        self.witness = Witness()
        self.late: Counter[str] = Counter()
        self.unread: dict[str, float] = {}
        """Files that were written in place and are not read again yet, and since when."""
        self.history: list[tuple[int, Edit | str]] = []

    # Edits and events

    def edit(self) -> Edit:
        edit = choose(self.chance, NAMES, self.tree.tops, self.targets)
        links = sum(kind == "link" for kind in self.tree.kinds().values())
        if edit[0] == "link" and links >= MOST_LINKS:
            edit = ("unlink", self.chance.randrange(1000))
        apply(self.tree, edit)
        self.tally.edits[edit[0]] += 1
        return edit

    def event(self) -> str:
        event = self.chance.choice(EVENTS)
        point = self.chance.choice(sorted(self.mounts))
        mount = self.mounts[point]
        if event == "unmount" and self._is_visible(point):
            mount.unmount(lazy=True)
        elif event == "mount" and not self._is_covered(point):
            self.mount(point)
        elif event == "mount other" and not self._is_covered(point) and point not in self.other:
            self.other[point] = self._stack.enter_context(BindMount(self._other, Path(point)))
        elif event == "cover" and self._cover is None:
            folder = Path(self.top, "mnt")
            self._cover = self._stack.enter_context(BindMount(self._covering, folder))
        elif event == "uncover":
            self.uncover()
        elif event == "turn root":
            self.turn(self._elsewhere)
        elif event == "turn root back":
            self.turn(self._home)
        elif event == "restart":
            self.world.restart()
        elif event == "lose state" and self.chance.random() < 0.3:
            self.lose_state()
        else:
            return "nothing"
        self.tally.events[event] += 1
        return f"{event} {os.path.basename(point)}"

    def mount(self, point: str) -> None:
        """The share of `point` is what is seen there."""
        if point in self.other:
            self.other.pop(point).close()
        if self.mounts[point].identity is None:
            self.mounts[point].remount()

    def uncover(self) -> None:
        if self._cover is not None:
            self._cover.close()
            self._cover = None

    def turn(self, target: str) -> None:
        """The link of the models leads elsewhere."""
        self._is_turned = target != self._home
        os.unlink(self.models)
        os.symlink(target, self.models)

    def lose_state(self) -> None:
        self.world.close()
        for ending in ("", "-wal", "-shm"):
            Path(self.world.outputs.state + ending).unlink(missing_ok=True)
        self.world.open()

    def _is_covered(self, point: str) -> bool:
        return self._cover is not None and is_below(point, str(self._cover.point))

    def _is_visible(self, point: str) -> bool:
        return (
            not self._is_covered(point)
            and point not in self.other
            and self.mounts[point].identity is not None
        )

    # The oracle

    def away(self) -> list[str]:
        """Folders of which nothing can be said now: their share is not what is mounted there."""
        found = [point for point in self.mounts if not self._is_visible(point)]
        if self._cover is not None:
            found.append(str(self._cover.point))
        if self._is_turned or any(is_below(self._home, point) for point in found):
            found.append(self.models)
        return found

    def _read(self, paths: Iterable[str]) -> dict[str, Seen]:
        """The files of `paths` that are there, whatever is mounted."""
        found = {}
        for path in paths:
            with suppress(OSError):
                real = os.path.realpath(path)
                found[path] = Seen(Path(path).read_bytes(), os.lstat(path).st_ino, real)
        return found

    def walk(self) -> tuple[Projection, set[str]]:
        """Everything that the roots hold, and paths below which nothing is sure: a link that leads
        to what is away, or nowhere."""
        found: Projection = {}
        doubtful = set(self.away())
        roots = {root.path for root in self.world.roots}
        away = [os.path.realpath(path) for path in self.away() if path != self.models]

        def below(path: str, ancestors: tuple[str, ...]) -> None:
            for entry in os.scandir(path):
                if entry.path in roots:
                    continue
                own = entry.stat(follow_symlinks=False)
                if entry.is_symlink():
                    found[entry.path] = ("symlink", 0, own.st_mtime_ns)
                    try:
                        real = os.path.realpath(entry.path)
                    except OSError:  # sshfs refuses links that lead out of it
                        doubtful.add(entry.path)
                        continue
                    if any(is_below(real, point) for point in away) or not os.path.exists(real):
                        doubtful.add(entry.path)
                    elif os.path.isfile(real):
                        target = os.stat(real)
                        found[entry.path] = ("symlink", target.st_size, target.st_mtime_ns)
                    elif real not in ancestors:
                        below(entry.path, (*ancestors, real))
                elif entry.is_dir():
                    found[entry.path] = ("directory", 0, 0)
                    if entry.path not in doubtful:
                        below(entry.path, (*ancestors, os.path.realpath(entry.path)))
                else:
                    found[entry.path] = ("file", own.st_size, own.st_mtime_ns)

        for root in self.world.roots:
            if not any(is_below(root.path, path) for path in doubtful):
                real = os.path.realpath(root.path)
                above = [real]
                while above[-1] != "/":
                    above.append(os.path.dirname(above[-1]))
                below(root.path, tuple(above))
        return found, doubtful

    def scan(self) -> None:
        """One scan, and everything that must be true of it."""
        world = self.world
        before = world.project()
        self.witness.note(world.store.snapshot)
        world.scan()
        after, lines = world.project(), world.lines
        there, doubtful = self.walk()
        files = self._read(path for path, value in after.items() if value[0] == "file")
        self.tally.rounds += 1
        self.tally.lines.update(line["kind"] for line in lines)
        self._check_deletions(lines, doubtful)
        self.tally.moves += self.witness.check(lines, self.top, before, after, files)
        self.witness.look(after, files)
        tops = {
            native(line, self.top): line["reason"] for line in lines if line["kind"] == "baseline"
        }
        if tops and set(tops.values()) == {"mounted"}:
            replayed = replay(before, lines, self.top)
            self._same(replayed, after, set(tops), "replay")
        unsure = doubtful | self._waiting(after, there, doubtful)
        self._same(after, there, unsure | self._unread(after, there, unsure), "tree")

    def _check_deletions(self, lines: Sequence[dict[str, Any]], doubtful: set[str]) -> None:
        """Nothing is deleted that is there, or that lies on what is away."""
        kinds: defaultdict[str, set[str]] = defaultdict(set)
        for line in lines:
            if line["kind"] != "baseline":
                kinds[native(line, self.top)].add(line["kind"])
        moved = {native(line, self.top) for line in lines if "from" in line and moves_a_tree(line)}
        for path, told in kinds.items():
            if "deleted" not in told:
                continue
            is_replaced = told != {"deleted"} or nearest_above(path, moved) is not None
            assert is_replaced or not os.path.lexists(path), ("deleted, and there", path)
            # What has a line itself is another link than before, or has become one.
            gone = [t for t in doubtful if is_below(path, t) and path != t and t not in kinds]
            assert not gone, ("deleted, and its mount is away", path, gone)

    def _waiting(self, after: Projection, there: Projection, doubtful: set[str]) -> set[str]:
        """Paths that a scan may rightly show later: what is still written, what is held, shares
        that a link has led to since the last scan, and roots that have just come back."""
        store = self.world.store
        found = {
            path
            for path, seen in store.memory.unsettled.items()
            if path in after and after[path][1:] != (seen.size, seen.mtime)
        }
        for hold in store.memory.holds.values():
            found |= hold.paths
        found |= self._of_other_mounts()
        for path, value in there.items():
            if value[0] == "symlink" and nearest_above(path, found) is None:
                try:
                    real, folder = map(os.path.realpath, (path, os.path.dirname(path)))
                except OSError:
                    continue
                is_away = self._point_of(real) != self._point_of(folder)
                below = [p for p in there if is_away and is_below(p, path) and p not in after]
                # A name that sshfs refuses to look at has no row under the link either.
                if any(nearest_above(p, doubtful) is None for p in below):
                    self._be_late(path, found)
        for record in store.memory.roots.values():
            is_sure = not any(is_below(record.path, top) for top in doubtful | found)
            if record.state not in (ONLINE, PARTIAL) and is_sure and record.path in there:
                self._be_late(record.path, found)
        self.late = Counter({path: n for path, n in self.late.items() if path in found})
        return found

    def _unread(self, after: Projection, there: Projection, unsure: set[str]) -> set[str]:
        """Files of which only size or mtime differ, on zones whose verification is spread over
        scans: they are read again within `verify_within`, or the period that the zone needs."""
        zones, now = self.world.scanner.zones(), self.clock.monotonic()
        since: dict[str, float] = {}
        for path, shown in after.items():
            real = there.get(path)
            is_written = real not in (None, shown) and real[0] == shown[0] == "file"
            zone = zones.owner(path) if is_written else None
            if zone is None or nearest_above(path, unsure) is not None:
                continue
            period = self.world.scanner.verification_period(zone)
            if period <= self.world.interval:
                continue  # every scan lists all of it
            since[path] = self.unread.get(path, now)
            most = max(self.world.settings.verify_within, period)
            assert now - since[path] <= most, ("not read again in time", path, shown, real)
        self.unread = since
        return set(since)

    def _of_other_mounts(self) -> set[str]:
        """Zones that were first seen on a mount that stood before a share."""
        return {
            record.path
            for record in self.world.store.memory.roots.values()
            if record.mount_identity
            and record.mount_identity.within.endswith(("/back/other", "/back/covering"))
        }

    def _be_late(self, path: str, found: set[str]) -> None:
        found.add(path)
        self.late[path] += 1
        records = [r for r in self.world.store.memory.roots.values() if r.path == path]
        assert self.late[path] <= LATE, (
            "not walked in time",
            path,
            [(r.id, r.state, r.reason) for r in records],
        )

    def _point_of(self, real: str) -> str:
        return max((p for p in self.mounts if is_below(real, p)), key=len, default="")

    def _same(self, one: Projection, two: Projection, unsure: set[str], what: str) -> None:
        different = {
            path: (one.get(path), two.get(path))
            for path in one.keys() | two.keys()
            if one.get(path) != two.get(path) and not any(is_below(path, top) for top in unsure)
        }
        assert not different, (what, different)

    def run(self, rounds: int) -> None:
        for _ in range(12):
            self.edit()
        self.scan()
        while self.tally.rounds < rounds:
            log: list[Edit | str] = []
            try:
                for _ in range(self.chance.randrange(6)):
                    log.append(self.edit())
                if self.chance.random() < 0.4:
                    log.append(self.event())
                    self.history.append((self.tally.rounds, log[-1]))
                self.scan()
            except AssertionError as error:
                error.add_note(f"round {self.tally.rounds}: {log}")
                error.add_note(f"lines: {self.world.lines}")
                error.add_note(f"events before: {self.history}")
                raise
        self.settle()

    def settle(self) -> None:
        """All faults end: everything is shown, and nothing is told any more."""
        self.uncover()
        for point in self.mounts:
            self.mount(point)
        self.turn(self._home)
        for _ in range(6):
            self.scan()
        while self.unread:
            self.scan()
        there, doubtful = self.walk()
        unsure = doubtful | self._of_other_mounts()
        self._same(self.world.project(), there, unsure, "in the end")
        assert self.world.scan() == []


def run(kind: str, seed: int, rounds: int) -> Tally:
    """`rounds` on one tree. AssertionError with what was done in the last one."""
    with (
        tempfile.TemporaryDirectory(prefix="random-") as folder,
        quick_folder() as outputs,
        ExitStack() as stack,
    ):
        tried = Rounds(kind, seed, Path(folder).resolve(), outputs, stack)
        stack.callback(tried.world.close)
        try:
            tried.run(rounds)
        except AssertionError as error:
            error.add_note(f"{kind}, seed {seed}")
            raise
        return tried.tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seeds", default="0-19", help="first and last seed")
    parser.add_argument("--rounds", type=int, default=100, help="rounds on the tree of each seed")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no seed after these")
    given = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("only root can mount")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no mount is left behind
    first, _, last = given.seeds.partition("-")
    tally, faults, began, seeds = Tally(), 0, time.monotonic(), 0
    until = began + given.seconds
    for seed in range(int(first), int(last or first) + 1):
        if time.monotonic() > until:
            break
        seeds += 1
        try:
            tally.add(run(given.kind, seed, given.rounds))
        except AssertionError as error:
            faults += 1
            print("FAULT", error, *getattr(error, "__notes__", ()), sep="\n    ", flush=True)
    seconds = time.monotonic() - began
    print(
        f"| {given.kind} | {first}-{int(first) + seeds - 1} | {tally.rounds:,} | "
        f"{tally.edits.total():,} | {tally.events.total():,} | {tally.lines.total():,} | "
        f"{tally.moves:,} | {faults} | {seconds:.0f} s |"
    )
    for name in ("edits", "events", "lines"):
        print(f"  {name}: {dict(sorted(getattr(tally, name).items()))}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
