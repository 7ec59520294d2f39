"""The program on real mounts whose servers die, hang, go, and come back with something else.

Each fault happens to each kind of mount while the program runs on it and on a local folder. A
short selection runs by default, all of them with COMFY_NETWORK=all. With COMFY_NETWORK_REPORT=path
what was observed is added to that file; `python -m tests.support.network_table` makes a table.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scanner.core.serialize import native
from scanner.output.inventory_reader import read_entries, read_header
from tests.support.machine import Machine, Running, wait_for, write
from tests.support.real_mounts import (
    FuseMount,
    Identity,
    ImageMount,
    Mount,
    RcloneMount,
    SshfsMount,
    ask_list,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux"),
    pytest.mark.timeout(180),
]

RUNS_ALL = os.environ.get("COMFY_NETWORK") == "all"
REPORT = os.environ.get("COMFY_NETWORK_REPORT")

STALL_AFTER = 2.0
EVERY = 1.0
INTERVALS = 8
"""Within so many intervals a change on the local disk is reported, whatever the mount does. One or
two on an idle machine."""

FOLDERS = 24
FILES = 3
"""A folder. Enough of both that a walk can be met on its way."""


# A share, and what can happen to it


class Share:
    """A mount on `point`, and a hand on whatever is behind it."""

    kind: str
    has_server = True
    """Whether files can be changed without the mount, on the other side."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self.point = mount.point
        self.first_source = mount.source
        self.identity: Identity | None = None

    @property
    def files(self) -> Path:
        """Where files are edited while the mount is well."""
        return self.mount.files

    @property
    def server(self) -> FuseMount:
        assert isinstance(self.mount, FuseMount)
        return self.mount

    def kill(self) -> None:
        self.server.kill_server()

    def revive(self) -> None:
        """After `kill`."""
        self.server.start_server()

    def stop(self) -> None:
        self.server.stop_server()

    def go_on(self) -> None:
        """After `stop`."""
        self.server.continue_server()

    def unmount(self) -> None:
        # A worker may have a folder open just now.
        wait_for(self._try_unmount, "an unmount")

    def _try_unmount(self) -> bool:
        try:
            self.mount.unmount()
        except OSError:
            return False
        return True

    def unmount_lazily(self) -> None:
        self.mount.unmount(lazy=True)

    def remount(self) -> None:
        self.mount.remount(self.first_source)

    def mount_other(self, source: Path) -> None:
        self.mount.remount(source)


class SshfsShare(Share):
    """`reconnect` finds a new server by itself; without it, sshfs ends with its server."""

    def __init__(self, mount: SshfsMount, *, reconnects: bool) -> None:
        super().__init__(mount)
        self._reconnects = reconnects

    def revive(self) -> None:
        if self._reconnects:
            super().revive()
        else:
            self.remount()


class DiskShare(Share):
    """An external disk, whose server is the driver."""

    has_server = False

    def __init__(self, mount: ImageMount) -> None:
        super().__init__(mount)
        self._stopped = 0

    def kill(self) -> None:
        os.kill(self._driver(), signal.SIGKILL)

    def revive(self) -> None:
        self.remount()

    def stop(self) -> None:
        self._stopped = self._driver()
        os.kill(self._stopped, signal.SIGSTOP)

    def go_on(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._stopped, signal.SIGCONT)

    def remount(self) -> None:
        # Without UUIDs (no udev in a container) a disk is known by its device's name, and the
        # first free loop device may be another one now.
        assert self.identity is not None
        for _ in range(10):
            super().remount()
            found = self.mount.identity
            if found is not None and found.source == self.identity.source:
                return
            time.sleep(0.5)
        pytest.skip("the disk got another device name")

    def _driver(self) -> int:
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    if os.fsencode(self.point) in words and b"exfat" in words[0]:
                        return int(folder.name)
        raise AssertionError("no driver answers for the disk")


def _sshfs(source: Path, point: Path) -> Share:
    return SshfsShare(SshfsMount(source, point), reconnects=False)


def _sshfs_reconnecting(source: Path, point: Path) -> Share:
    return SshfsShare(SshfsMount(source, point, reconnect=True), reconnects=True)


def _sshfs_caching(source: Path, point: Path) -> Share:
    return SshfsShare(SshfsMount(source, point, caches=True), reconnects=False)


def _smb(source: Path, point: Path) -> Share:
    return Share(RcloneMount("smb", source, point))


def _webdav(source: Path, point: Path) -> Share:
    return Share(RcloneMount("webdav", source, point))


def _exfat(source: Path, point: Path) -> Share:
    return DiskShare(ImageMount("exfat", source, point))


SHARES: dict[str, Callable[[Path, Path], Share]] = {
    "sshfs": _sshfs,
    "sshfs, reconnect": _sshfs_reconnecting,
    "sshfs, caches": _sshfs_caching,
    "rclone smb": _smb,
    "rclone webdav": _webdav,
    "exfat": _exfat,
}


class Fault(NamedTuple):
    """What happens, how it ends, and the states that the root may truly be in meanwhile."""

    happens: Callable[[Nas], None]
    ends: Callable[[Nas], None]
    states: frozenset[str]
    is_during_scan: bool = False
    keeps_server: bool = True
    """Whether files can be added on the server while it lasts, to be found afterwards."""


GONE = frozenset(("offline",))
ERRORS = frozenset(("offline", "partial", "stalled"))
SILENT = frozenset(("stalled",))
OTHER = frozenset(("held",))
NOT_THERE = frozenset(("offline", "held", "partial"))


def _remount_empty(nas: Nas) -> None:
    nas.share.unmount()
    aside = nas.share.first_source.with_name("aside")
    nas.share.first_source.rename(aside)
    nas.share.first_source.mkdir()
    nas.share.remount()


def _remount_full(nas: Nas) -> None:
    nas.share.unmount()
    nas.share.first_source.rmdir()
    nas.share.first_source.with_name("aside").rename(nas.share.first_source)
    nas.share.remount()


def _mount_other(nas: Nas) -> None:
    nas.share.mount_other(nas.other)


def _rename_source(nas: Nas) -> None:
    nas.share.first_source.rename(nas.share.first_source.with_name("aside"))


def _rename_back(nas: Nas) -> None:
    nas.share.first_source.with_name("aside").rename(nas.share.first_source)


FAULTS: dict[str, Fault] = {
    "server killed": Fault(lambda nas: nas.share.kill(), lambda nas: nas.share.revive(), ERRORS),
    "server killed during a scan": Fault(
        lambda nas: nas.share.kill(), lambda nas: nas.share.revive(), ERRORS, is_during_scan=True
    ),
    "server stopped": Fault(lambda nas: nas.share.stop(), lambda nas: nas.share.go_on(), SILENT),
    "server stopped during a scan": Fault(
        lambda nas: nas.share.stop(), lambda nas: nas.share.go_on(), SILENT, is_during_scan=True
    ),
    "unmounted": Fault(lambda nas: nas.share.unmount(), lambda nas: nas.share.remount(), GONE),
    "unmounted lazily during a scan": Fault(
        lambda nas: nas.share.unmount_lazily(),
        lambda nas: nas.share.remount(),
        GONE,
        is_during_scan=True,
    ),
    "remounted, and empty": Fault(_remount_empty, _remount_full, OTHER, keeps_server=False),
    "another folder mounted in its place": Fault(
        _mount_other, lambda nas: nas.share.remount(), OTHER
    ),
    "root folder renamed on the server": Fault(
        _rename_source, _rename_back, NOT_THERE, keeps_server=False
    ),
}

ALL_CASES = [(fault, share) for fault in FAULTS for share in SHARES if share != "sshfs, caches"]

CASES = [
    ("server killed", "rclone webdav"),
    ("server killed during a scan", "sshfs, reconnect"),
    ("server stopped", "exfat"),
    ("server stopped during a scan", "sshfs"),
    ("unmounted", "exfat"),
    ("unmounted lazily during a scan", "rclone smb"),
    ("remounted, and empty", "sshfs"),
    ("another folder mounted in its place", "sshfs"),
    ("root folder renamed on the server", "sshfs, reconnect"),
]
"""Every fault and every mount at least once, in a minute or two."""


def _is_possible(fault: str, share: str) -> bool:
    # A disk has no folder that somebody else could rename; it is empty when another is in place.
    return share != "exfat" or fault not in (
        "remounted, and empty",
        "root folder renamed on the server",
    )


# The program on it


@dataclass
class Observed:
    """One fault on one mount, and all that the program said of it."""

    fault: str
    share: str
    states: list[str] = field(default_factory=list)
    """Of the root, in the status, in the order in which they were seen."""
    reason: str = ""
    header: str = ""
    entries_before: int = 0
    entries_during: int = 0
    changes_during: list[str] = field(default_factory=list)
    changes_after: list[str] = field(default_factory=list)
    exit_code: int | None = None
    local_seconds: float = 0.0
    """After which a change on the local disk was reported meanwhile."""
    recovery_seconds: float = 0.0


class Nas:
    """A share with models on it, a local folder beside it, and the program on both."""

    share: Share
    roots: tuple[object, ...]

    def __init__(self, folder: Path, share: Share) -> None:
        self.share = share
        self.machine = Machine(
            folder / "machine",
            COMFY_INVENTORY_STALL_AFTER=f"{STALL_AFTER:g}s",
            # A one-shot scan would wait for files to be old enough to be read: 5 min on rclone.
            COMFY_INVENTORY_BACKLOG_TIME="0",
        )
        self.local = folder / "local"
        self.other = folder / "other"
        self.left: list[subprocess.Popen[bytes]] = []
        """Processes that hang until the mount is gone."""
        self.roots = ("--models", share.point, "--extra", self.local)

    def fill(self) -> None:
        """Models on the share, others on the local disk, others on another share."""
        fill(self.share.files, "nas")
        fill(self.local, "local", folders=3)
        if not isinstance(self.share, DiskShare):
            fill(self.other, "other", folders=3)
        self.share.identity = self.share.mount.identity

    @contextmanager
    def running(self) -> Iterator[Running]:
        with self.machine.running("run", *self.roots, "--every", f"{EVERY:g}s") as running:
            yield running

    def reap(self) -> None:
        """What hung must have ended with the mount."""
        for process in self.left:
            process.wait(10)

    # What the program says

    def root(self, path: Path | None = None) -> dict[str, Any]:
        """A root in the status."""
        wanted = str(path or self.share.point)
        roots = self.machine.status().get("roots", ())
        found: dict[str, Any] = next((root for root in roots if root["path"] == wanted), {})
        return found

    def state(self) -> str:
        return str(self.root().get("state", ""))

    def lane_scan(self, path: Path | None = None) -> int:
        """Number of the last scan of the lane that a root is in; 0 before the first."""
        wanted = str(path or self.share.point)
        for lane in self.machine.status().get("lanes", ()):
            if any(root.endswith(":" + wanted) for root in lane["roots"]) and lane["last_scan"]:
                return int(lane["last_scan"]["scan"])
        return 0

    def entries(self) -> frozenset[str]:
        """Paths below the mount that the inventory holds."""
        header = read_header(self.machine.output)
        assert header is not None
        top = str(self.share.point) + os.sep
        paths = (native(e, header.get("base")) for e in read_entries(self.machine.output))
        return frozenset(path for path in paths if path.startswith(top))

    def header_state(self, output: Path | None = None) -> str:
        header = read_header(output or self.machine.output)
        assert header is not None
        states = {root["path"]: root["state"] for root in header["roots"]}
        return str(states[str(self.share.point)])

    def told(self, since: int) -> list[str]:
        """Changes below the mount after scan `since`, each as `kind path`, paths below it."""
        top = str(self.share.point) + os.sep
        found = []
        for line in self.machine.changes(since):
            path = self.machine.work.joinpath(line["path"])
            if str(path).startswith(top):
                found.append(f"{line['kind']} {str(path)[len(top) :]}")
        return sorted(found)

    def settles(self, running: Running) -> None:
        """Wait until the program knows all that there is."""
        running.wait_for(lambda: self.state() == "online", "the mount online")
        running.wait_for(lambda: self.lane_scan() and self.lane_scan(self.local), "first scans")
        self.next_scan(running)

    def next_scan(self, running: Running, count: int = 1) -> None:
        """Wait for so many more scans of the share's lane."""
        seen = {self.lane_scan()}

        def is_done() -> bool:
            seen.add(self.lane_scan())
            return len(seen) > count

        running.wait_for(is_done, "another scan of the share")

    def walk_is_under_way(self, running: Running) -> bool:
        """Whether a worker has a folder below the mount open: read from /proc, not from it."""
        top = str(self.share.point) + os.sep
        pid = running.process.pid
        with suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            for thread in Path(f"/proc/{pid}/task").iterdir():
                children += " " + (thread / "children").read_text()
            for child in set(children.split()):
                for handle in Path(f"/proc/{child}/fd").iterdir():
                    with suppress(OSError):
                        if os.readlink(handle).startswith(top):
                            return True
        return False

    def meet_a_walk(self, running: Running) -> None:
        deadline = time.monotonic() + 30
        while not self.walk_is_under_way(running):
            assert time.monotonic() < deadline, "no walk was met on its way"

    def local_change(self, running: Running, name: str) -> float:
        """Make a file on the local disk; the seconds until it was reported."""
        path = self.local / name
        before = time.monotonic()
        write(path, name)
        running.wait_for(
            lambda: any(
                line["kind"] == "created" and line["path"].endswith(name)
                for line in self.machine.changes()
            ),
            f"{name} reported",
        )
        return time.monotonic() - before


def fill(top: Path, content: str, folders: int = FOLDERS) -> None:
    for folder in range(folders):
        for number in range(FILES):
            name = f"model_{number}.safetensors"
            write(top / f"folder_{folder:02d}" / name, f"{content} {folder} {number}")


@pytest.fixture
def make_nas(tmp_path: Path) -> Iterator[Callable[[str], Nas]]:
    made: list[Nas] = []

    def make(kind: str) -> Nas:
        server = tmp_path / "server"
        server.mkdir()
        share = SHARES[kind](server / "share", tmp_path / "mount")
        nas = Nas(tmp_path, share)
        made.append(nas)
        share.mount.__enter__()
        nas.fill()
        return nas

    yield make
    for nas in made:
        with suppress(AssertionError):
            nas.share.go_on()
        nas.share.mount.close()
        nas.reap()


def record(observed: Observed) -> None:
    """Add to the report; a case that ran before is replaced."""
    if REPORT is None:
        return
    path = Path(REPORT)
    known = json.loads(path.read_text()) if path.exists() else []
    kept = [o for o in known if (o["fault"], o["share"]) != (observed.fault, observed.share)]
    path.write_text(json.dumps([*kept, asdict(observed)], indent=1) + "\n")


# Faults


@pytest.mark.parametrize(
    ("fault", "share"),
    [pytest.param(*case, id=", ".join(case)) for case in (ALL_CASES if RUNS_ALL else CASES)],
)
def test_fault_deletes_nothing_and_the_root_recovers_by_itself(
    fault: str, share: str, make_nas: Callable[[str], Nas]
) -> None:
    if not _is_possible(fault, share):
        pytest.skip("a disk has no server")
    nas = make_nas(share)
    what = FAULTS[fault]
    observed = Observed(fault, share)
    # The one-shot scan has outputs of its own, since the running program holds the others.
    one_shot = ("scan", *nas.roots, "--output", "once.json", "--hold-wait", "1s")
    nas.machine.run(*one_shot)
    with nas.running() as running:
        nas.settles(running)
        before = nas.machine.status()["scan"]
        entries = nas.entries()
        assert len(entries) == FOLDERS * (FILES + 1)
        observed.entries_before = len(entries)

        if what.is_during_scan:
            nas.meet_a_walk(running)
        what.happens(nas)
        running.wait_for(lambda: nas.state() in what.states, f"one of {sorted(what.states)}")
        observed.states.append(nas.state())
        observed.local_seconds = nas.local_change(running, "meanwhile.safetensors")
        observed.exit_code = run_once(nas, one_shot)
        running.wait_for(lambda: nas.header_state() == nas.state(), "the state in the inventory")
        observed.states += [s for s in [nas.state()] if s not in observed.states]
        observed.reason = nas.root().get("reason", "").replace(str(nas.share.point), "MOUNT")
        observed.header = nas.header_state()
        observed.entries_during = len(nas.entries())
        observed.changes_during = nas.told(before)
        assert nas.entries() == entries

        if nas.share.has_server and what.keeps_server:
            write(nas.share.first_source / "folder_00" / "came.safetensors", "meanwhile")
        what.ends(nas)
        started = time.monotonic()
        running.wait_for(lambda: nas.state() == "online", "that it recovers by itself")
        observed.recovery_seconds = time.monotonic() - started
        if not (nas.share.has_server and what.keeps_server):
            write(nas.share.files / "folder_00" / "came.safetensors", "afterwards")
        running.wait_for(lambda: nas.told(before), "what came meanwhile")
        nas.next_scan(running, 2)
        observed.changes_after = nas.told(before)
        assert running.stop() == 0
    record(observed)
    assert set(observed.states) <= what.states
    assert observed.header in what.states
    assert observed.changes_during == []
    assert observed.changes_after == ["created folder_00/came.safetensors"]
    assert observed.exit_code == 3
    assert observed.local_seconds <= INTERVALS * EVERY
    # The one-shot scan finds everything again as well.
    nas.machine.run(*one_shot)
    lines = nas.machine.output.with_name("once.changes.jsonl").read_text().splitlines()
    assert "deleted" not in {json.loads(line)["kind"] for line in lines}


def run_once(nas: Nas, arguments: tuple[object, ...], seconds: float = 60) -> int:
    """The exit code of a one-shot scan, which ends in time although the mount may hang."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scanner", *map(str, arguments)],
        cwd=nas.machine.work,
        env=nas.machine.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # Not subprocess.run, which would wait for the end of what cannot be killed.
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        nas.left.append(process)
        raise AssertionError(f"{arguments[0]} has not ended in {seconds:.0f} s") from None


# Changes on the other side


@pytest.mark.parametrize(
    "kind",
    ["rclone smb", "exfat", *(["sshfs", "sshfs, caches", "rclone webdav"] if RUNS_ALL else [])],
)
def test_changes_on_the_server_are_found_in_the_next_scan(
    kind: str, make_nas: Callable[[str], Nas]
) -> None:
    """Also where folders' times never move (rclone, exFAT), and once a cache has expired."""
    nas = make_nas(kind)
    observed = Observed("changed on the server", kind, states=["online"])
    one_shot = ("scan", *nas.roots, "--output", "once.json")
    nas.machine.run(*one_shot)
    with nas.running() as running:
        nas.settles(running)
        before = nas.machine.status()["scan"]
        observed.entries_before = len(nas.entries())
        files = nas.share.files
        write(files / "folder_00" / "new.safetensors", "new")
        write(files / "folder_01" / "model_0.safetensors", "longer than it was before")
        (files / "folder_02" / "model_0.safetensors").unlink()
        write(files / "folder_new" / "deep" / "new.safetensors", "deeper")
        started, done = time.monotonic(), nas.lane_scan()
        expected = [
            "created folder_00/new.safetensors",
            "created folder_new",
            "created folder_new/deep",
            "created folder_new/deep/new.safetensors",
            "deleted folder_02/model_0.safetensors",
            "modified folder_01/model_0.safetensors",
        ]
        running.wait_for(lambda: len(nas.told(before)) >= len(expected), "all of the changes")
        observed.recovery_seconds = time.monotonic() - started
        last = max(line["scan"] for line in nas.machine.changes(before))
        nas.next_scan(running, 2)
        observed.changes_after = nas.told(before)
        observed.header = nas.header_state()
        observed.entries_during = len(nas.entries())
        assert running.stop() == 0
    observed.exit_code = nas.machine.run(*one_shot, "--hold-wait", "0").returncode
    record(observed)
    assert observed.changes_after == expected
    if kind != "sshfs, caches":
        # Scans of the local lane count as well: each lane had one under way and the next.
        assert last <= done + 4


@pytest.mark.parametrize(
    "kind", ["sshfs", *(["rclone smb", "rclone webdav", "exfat"] if RUNS_ALL else [])]
)
def test_end_with_a_mount_that_hangs_takes_two_seconds_and_leaves_no_lock(
    kind: str, make_nas: Callable[[str], Nas]
) -> None:
    nas = make_nas(kind)
    nas.machine.environ["COMFY_INVENTORY_STALL_AFTER"] = "60s"
    observed = Observed("SIGTERM while the server is stopped", kind)
    with nas.running() as running:
        nas.settles(running)
        before = nas.machine.status()["scan"]
        entries = nas.entries()
        observed.entries_before = len(entries)
        nas.meet_a_walk(running)
        nas.share.stop()
        assert ask_list(nas.share.point, timeout=1).result == "hang"
        time.sleep(2 * EVERY)  # its next pass hangs as well, at the latest
        observed.states.append(nas.state())
        started = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        observed.exit_code = running.process.wait(10)
        observed.recovery_seconds = time.monotonic() - started
    with nas.running() as running:
        running.wait_for(
            lambda: nas.machine.status().get("pid") == running.process.pid, "a new start at once"
        )
        observed.local_seconds = nas.local_change(running, "after.safetensors")
        observed.header = nas.header_state()
        observed.entries_during = len(nas.entries())
        observed.changes_during = nas.told(before)
        assert nas.entries() == entries
        nas.share.go_on()
        nas.next_scan(running, 2)
        observed.changes_after = nas.told(before)
        assert running.stop() == 0
    record(observed)
    assert observed.exit_code == 0
    assert observed.recovery_seconds < 2
    assert observed.changes_during == observed.changes_after == []


def test_end_with_an_output_on_a_mount_that_hangs(make_nas: Callable[[str], Nas]) -> None:
    nas = make_nas("sshfs")
    machine = nas.machine
    machine.output = nas.share.point / "out.json"
    models = machine.work / "models"
    models.mkdir(exist_ok=True)
    options = ("--models", models, "--output", machine.output)
    with machine.running("run", *options, "--every", f"{EVERY:g}s") as running:
        running.wait_for(machine.output.exists, "the inventory")
        nas.share.stop()
        (models / "new.safetensors").write_bytes(b"new")
        time.sleep(2 * EVERY)
        started = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) in (0, 5)
        assert time.monotonic() - started < 3, "2 s, and a loaded machine"
        nas.share.go_on()  # its child ends, which holds the streams that are read here
    machine.run("scan", *options)
    assert "new.safetensors" in machine.journal.read_text()
    assert not list(nas.share.point.glob("*.sqlite*"))


# A share inside a local folder


@pytest.mark.parametrize(
    ("kind", "where"),
    [("sshfs", "mount"), ("sshfs", "link")]
    + ([(k, w) for k in ("rclone smb", "exfat") for w in ("mount", "link")] if RUNS_ALL else []),
)
def test_share_below_a_local_folder_keeps_its_entries_and_the_rest_goes_on(
    kind: str, where: str, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    inner = models / ("loras" if where == "mount" else "vae")
    (tmp_path / "server").mkdir()
    share = SHARES[kind](
        tmp_path / "server" / "share", inner if where == "mount" else tmp_path / "mount"
    )
    observed = Observed(f"unmounted below a local folder ({where})", kind)
    with share.mount:
        nas = Nas(tmp_path, share)
        nas.fill()
        write(models / "checkpoints" / "a.safetensors", "a")
        if where == "link":
            inner.symlink_to(share.point)
        nas.roots = ("--models", models)
        one_shot = ("scan", *nas.roots, "--output", "once.json", "--hold-wait", "1s")
        nas.machine.run(*one_shot)

        def entries() -> set[str]:
            paths = (native(e, None) for e in read_entries(nas.machine.output))
            return {path for path in paths if path.startswith(str(inner) + os.sep)}

        def is_known() -> bool:
            return nas.machine.output.exists() and len(entries()) == FOLDERS * (FILES + 1)

        with nas.running() as running:
            running.wait_for(is_known, "what is on the share")
            before = nas.machine.status()["scan"]
            known = entries()
            observed.entries_before = len(known)
            share.unmount()
            running.wait_for(lambda: nas.root(models)["state"] == "partial", "that it went")
            observed.states.append(nas.root(models)["state"])
            observed.reason = nas.root(models)["reason"].replace(str(inner), "MOUNT")
            nas.local = models / "checkpoints"
            observed.local_seconds = nas.local_change(running, "meanwhile.safetensors")
            observed.exit_code = run_once(nas, one_shot)
            assert entries() == known
            observed.entries_during = len(entries())
            header = read_header(nas.machine.output)
            assert header is not None
            observed.header = header["roots"][0]["state"]
            told = [line for line in nas.machine.changes(before) if line["kind"] == "deleted"]
            observed.changes_during = [f"deleted {line['path']}" for line in told]
            share.remount()
            started = time.monotonic()
            running.wait_for(lambda: nas.root(models)["state"] == "online", "that it is back")
            observed.recovery_seconds = time.monotonic() - started
            write(share.files / "folder_00" / "came.safetensors", "afterwards")
            running.wait_for(
                lambda: any("came" in line["path"] for line in nas.machine.changes(before)),
                "what came afterwards",
            )
            lines = nas.machine.changes(before)
            observed.changes_after = sorted(
                f"{line['kind']} {Path(line['path']).name}" for line in lines
            )
            assert running.stop() == 0
    record(observed)
    assert observed.header == "partial"
    assert observed.exit_code == 3
    assert observed.changes_during == []
    assert observed.changes_after == [
        "created came.safetensors",
        "created meanwhile.safetensors",
    ]
    assert observed.local_seconds <= INTERVALS * EVERY


@pytest.mark.parametrize(
    "kind", ["sshfs", *(["rclone smb", "rclone webdav", "exfat"] if RUNS_ALL else [])]
)
def test_slow_copy_to_the_share_and_deletion_is_a_move(kind: str, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    share = SHARES[kind](tmp_path / "server" / "share", tmp_path / "mount")
    with share.mount:
        nas = Nas(tmp_path, share)
        (share.files / "loras").mkdir()
        source, target = nas.local / "big.safetensors", share.point / "loras" / "big.safetensors"
        content = os.urandom(3 << 20)
        write(source, content)
        with nas.running() as running:
            running.wait_for(
                lambda: (
                    nas.lane_scan()
                    and nas.lane_scan(nas.local)
                    and not nas.machine.status()["backlog"]["files"]
                ),
                "its fingerprint",
            )
            with target.open("wb", buffering=0) as copy:
                for start in range(0, len(content), 1 << 20):
                    copy.write(content[start : start + (1 << 20)])
                    os.fsync(copy.fileno())
                    nas.next_scan(running)
            shutil.copystat(source, target)
            nas.next_scan(running, 2)
            source.unlink()
            running.wait_for(
                lambda: nas.machine.changes()[-1]["kind"] in ("moved", "deleted"), "the move"
            )
            lines = nas.machine.changes()
            kinds = [line["kind"] for line in lines]
            assert kinds[0] == "created"
            assert kinds[-1] == "moved"
            assert set(kinds[1:-1]) <= {"modified"}
            assert lines[-1]["path"] == str(target)
            assert lines[-1]["from"] == str(source)
            assert running.stop() == 0


# ComfyUI itself on a share


@pytest.fixture
def comfyui_on_nas(tmp_path: Path) -> Iterator[Nas]:
    """ComfyUI with a file beside it that names a local folder, which has one model."""
    (tmp_path / "server").mkdir()
    share = SHARES["sshfs"](tmp_path / "server" / "share", tmp_path / "mount")
    with share.mount:
        nas = Nas(tmp_path, share)
        comfyui = share.files / "ComfyUI"
        write(comfyui / "main.py", "")
        write(comfyui / "models" / "vae" / "a.safetensors", "a")
        write(nas.local / "b.safetensors", "b")
        write(comfyui / "extra_model_paths.yaml", f"mine:\n  loras: {nas.local}\n")
        nas.roots = ("--comfy-root", share.point / "ComfyUI")
        yield nas
        share.go_on()
    nas.reap()


def test_scan_ends_although_comfyui_lies_on_a_mount_that_hangs(comfyui_on_nas: Nas) -> None:
    nas = comfyui_on_nas
    nas.share.stop()
    one_shot = ("scan", *nas.roots, "--extra", nas.local, "--hold-wait", "0")
    try:
        assert run_once(nas, one_shot, seconds=20) == 3
    finally:
        nas.share.go_on()


def test_folders_named_on_a_share_stay_while_it_is_away(comfyui_on_nas: Nas) -> None:
    nas = comfyui_on_nas
    one_shot = ("scan", *nas.roots, "--hold-wait", "0")
    run_once(nas, one_shot)
    before = nas.machine.inventory()
    assert str(nas.local / "b.safetensors") in before
    nas.share.unmount()
    assert run_once(nas, one_shot) == 3
    assert nas.machine.inventory() == before
    assert "removed" not in {reason for _, reason in nas.machine.baselines()}
