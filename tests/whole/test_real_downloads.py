"""Downloads watched from the first byte to the last: the whole change list, scan by scan.

Each program that downloads models has its own way to mark unfinished files; `comfyui/downloads.py`
names them with sources. `World.scan` replays the lines of each scan and checks the inventory.
"""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.comfyui.downloads import unfinished
from scanner.core.roots import Root
from scanner.core.snapshot import Listing
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.fingerprint import take_fingerprint
from scanner.disk.mounts import Mount
from scanner.output.inventory_reader import read_entries
from scanner.store.projection import view_of
from tests.support.fakes import FakeFileSystem
from tests.support.real_mounts import require
from tests.support.world import World, content

EXT4 = Mount("/", "ext4", "/dev/fake1")
EXFAT = Mount("/", "exfat", "/dev/fake1")

QUIET = 17
"""Scans, 35 s apart, that a file is not reported in after it was: the tenth minute ends after
them."""


class Disk(DiskFileSystem):
    """The real disk, with a clock that is put forward instead of waiting."""

    def __init__(self, mount: Mount) -> None:
        super().__init__()
        self.mount_table = [mount]
        self._ahead = 0.0

    def mounts(self) -> list[Mount]:
        return self.mount_table

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead

    def now(self) -> int:
        return super().now() + int(self._ahead * 1e9)

    def sleep(self, seconds: float) -> None:
        self._ahead += seconds

    def advance(self, seconds: float) -> None:
        self._ahead += seconds

    def write(self, path: str, data: bytes) -> None:
        """Bring a file to this content in place, as downloads do."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            file.truncate(0)
            file.write(data)
        self.touch(path)

    def touch(self, path: str) -> None:
        # Two writes of a test are nearer to each other than the kernel's clock is exact.
        os.utime(path, ns=(self.now(), self.now()))

    def remove(self, path: str) -> None:
        os.remove(path)

    def rename(self, old: str, new: str) -> None:
        os.replace(old, new)


class Fake(FakeFileSystem):
    def __init__(self, mount: Mount) -> None:
        super().__init__()
        self.mount_table = [mount]
        self.shuffles_inodes = not mount.has_stable_inodes


class Folder:
    """A folder that is downloaded into, and what the scans of it report."""

    def __init__(self, tmp_path: Path, files: Any) -> None:
        self.top = str(tmp_path / "models")
        self.files = files
        if isinstance(files, Disk):
            os.mkdir(self.top)
        else:
            files.makedirs(self.top)
        (tmp_path / "out").mkdir()
        root = Root("models", self.top)
        self.world = World(tmp_path / "out", files, (root,))
        self.has_inodes = files.mount_table[0].has_stable_inodes
        self.write("keep", 10)  # a root that lists empty is held

    def path(self, name: str) -> str:
        return os.path.join(self.top, name)

    def write(self, name: str, size: int) -> None:
        """The first `size` bytes of what is downloaded stand in the file `name` now."""
        self.files.write(self.path(name), content("downloaded", size))

    def allocate(self, name: str, size: int, whole: int) -> None:
        """So do they, and the file has its whole size already."""
        self.files.write(self.path(name), content("downloaded", size).ljust(whole, b"\0"))

    def touch(self, name: str) -> None:
        self.files.touch(self.path(name))

    def rename(self, old: str, new: str) -> None:
        self.files.rename(self.path(old), self.path(new))

    def remove(self, name: str) -> None:
        self.files.remove(self.path(name))

    def scan(self) -> list[str]:
        """The lines of one scan: what, which file, its size, and what proves a move."""
        self.world.scan()
        return self.told()

    def told(self) -> list[str]:
        return [self._text(line) for line in self.world.lines if line["kind"] != "baseline"]

    def names(self) -> set[str]:
        """What lies in the folder now."""
        return set(self.files.list_directory(self.top).listing.split_names())

    def _text(self, line: dict[str, Any]) -> str:
        words = [line["kind"], *(self._name(line[key]) for key in ("from", "path") if key in line)]
        if line["type"] == "file":
            words += [str(line["size"]), *([line["evidence"]] if "evidence" in line else [])]
        return " ".join(words)

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self.top).replace(os.sep, "/")

    def words(self) -> dict[str, str]:
        """The inventory's words for files."""
        world = self.world
        status = view_of(world.store, world.roots, world.files.now()).status
        return {self._name(path): word for path, word in status.items()}

    def fingerprint(self, name: str) -> bytes:
        """What the snapshot knows of a file's content; empty where it knows nothing."""
        path, last = os.path.split(self.path(name))
        directory = self.world.store.snapshot[path]
        return directory.fingerprint(directory.listing.split_names().index(last))

    def rests(self, scans: int = 3) -> None:
        """Nothing more is reported, and what is shown is what is there."""
        assert [self.scan() for _ in range(scans)] == [[]] * scans
        for path, (kind, size, mtime) in self.world.project().items():
            if kind == "file":
                found = self.files.stat(path)
                assert (size, mtime) == (found.size, found.mtime), path


MOUNTS = {"inodes": EXT4, "no inodes": EXFAT}


@pytest.fixture(params=[f"{where}, {mount}" for where in ("fake", "disk") for mount in MOUNTS])
def unscanned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    where, mount = request.param.split(", ")
    if where == "disk" and os.name == "nt":
        pytest.skip("the mount table of this test is POSIX")
    made = Folder(tmp_path, {"fake": Fake, "disk": Disk}[where](MOUNTS[mount]))
    yield made
    made.world.store.close()


@pytest.fixture
def folder(unscanned: Folder) -> Folder:
    unscanned.scan()
    return unscanned


# Chromium: NAME.crdownload grows, and is renamed to NAME


def test_chromium(folder: Folder) -> None:
    folder.write("x.crdownload", 100)
    assert folder.scan() == ["created x.crdownload 100"]
    for size in (200, 300, 300, 300, 400):  # a scan or two without a byte tell nothing
        folder.write("x.crdownload", size)
        assert folder.scan() == []
        assert folder.words() == {"x.crdownload": "partial"}
    folder.write("x.crdownload", 500)
    folder.rename("x.crdownload", "x")
    found = folder.scan()
    if folder.has_inodes:
        assert found == ["moved x.crdownload x 500 inode"]
    else:
        # It grew since it was last seen, and nothing else tells that it is the same file.
        assert found == ["deleted x.crdownload 100", "created x 500"]
    assert folder.words() == {}
    folder.rests()


def test_chromium_that_reserves_the_final_name(folder: Folder) -> None:
    folder.write("x", 0)
    folder.write("x.crdownload", 100)
    assert folder.scan() == ["created x 0", "created x.crdownload 100"]
    for size in (200, 300):
        folder.write("x.crdownload", size)
        assert folder.scan() == []
        assert folder.words() == {"x": "partial", "x.crdownload": "partial"}
    folder.write("x.crdownload", 400)
    folder.rename("x.crdownload", "x")
    found = folder.scan()
    if folder.has_inodes:
        assert found == ["moved x.crdownload x 400 inode"]
    else:
        assert found == ["deleted x.crdownload 100", "modified x 400"]
    assert folder.words() == {}
    folder.rests()


def test_inode_of_a_download_that_was_given_up_proves_nothing(folder: Folder) -> None:
    """File systems give freed inodes to the next file."""
    folder.write("x.crdownload", 100)
    folder.scan()
    folder.rename("x.crdownload", "another")
    folder.write("another", 500)
    assert folder.scan() == ["deleted x.crdownload 100", "created another 500"]
    folder.rests()


def test_a_smaller_file_is_not_the_download(folder: Folder) -> None:
    folder.write("x.crdownload", 100)
    folder.scan()
    folder.rename("x.crdownload", "x")
    folder.write("x", 50)
    assert folder.scan() == ["deleted x.crdownload 100", "created x 50"]
    folder.rests()


def test_name_reserved_in_the_scan_before_is_told_whole_in_this_one(folder: Folder) -> None:
    """An empty file that is larger in the next scan would else be one that grows."""
    folder.write("x", 0)
    folder.write("x.crdownload", 100)
    assert folder.scan() == ["created x 0", "created x.crdownload 100"]
    folder.rename("x.crdownload", "x")
    if folder.has_inodes:
        assert folder.scan() == ["moved x.crdownload x 100 inode"]
    else:
        assert folder.scan() == ["deleted x.crdownload 100", "modified x 100"]
    folder.rests()


def test_unconfirmed_download_gets_its_name_and_then_becomes_whole(folder: Folder) -> None:
    folder.write(".com.google.Chrome.aB3dEf", 100)
    assert folder.scan() == ["created .com.google.Chrome.aB3dEf 100"]
    assert folder.words() == {".com.google.Chrome.aB3dEf": "partial"}
    folder.rename(".com.google.Chrome.aB3dEf", "Unconfirmed 123456.crdownload")
    found = folder.scan()
    if folder.has_inodes:
        assert found == ["moved .com.google.Chrome.aB3dEf Unconfirmed 123456.crdownload 100 inode"]
    else:
        assert found == [
            "deleted .com.google.Chrome.aB3dEf 100",
            "created Unconfirmed 123456.crdownload 100",
        ]
    folder.write("Unconfirmed 123456.crdownload", 200)
    assert folder.scan() == []
    folder.rename("Unconfirmed 123456.crdownload", "x")
    assert folder.scan() == ["deleted Unconfirmed 123456.crdownload 100", "created x 200"]
    folder.rests()


def test_slow_download_is_told_every_ten_minutes(folder: Folder) -> None:
    found = []
    for size in range(100, 100 + 2 * (QUIET + 1) + 2):
        folder.write("x.crdownload", size)
        found.append(folder.scan())
    quiet: list[list[str]] = [[]] * QUIET
    assert found == [
        ["created x.crdownload 100"],
        *quiet,
        ["modified x.crdownload 118"],
        *quiet,
        ["modified x.crdownload 136"],
        [],
    ]


def test_download_that_grows_and_stalls_by_turns_is_told_every_ten_minutes(folder: Folder) -> None:
    """Each stall would else be a rest, and each rest a line."""
    found = []
    for scan in range(2 * (QUIET + 1) + 1):
        folder.write("x.part", 100 + scan // 3)
        found += folder.scan()
    assert found == ["created x.part 100", "modified x.part 106", "modified x.part 112"]


def test_paused_download_goes_on_as_it_was(folder: Folder) -> None:
    folder.write("x.crdownload", 100)
    assert folder.scan() == ["created x.crdownload 100"]
    folder.write("x.crdownload", 200)
    assert [folder.scan() for _ in range(QUIET)] == [[]] * QUIET
    assert folder.scan() == ["modified x.crdownload 200"]
    folder.rests(2 * QUIET)  # paused for much longer than ten minutes
    assert folder.words() == {"x.crdownload": "partial"}
    folder.write("x.crdownload", 300)
    assert folder.scan() == ["modified x.crdownload 300"]
    folder.write("x.crdownload", 400)
    assert folder.scan() == []


def test_abandoned_download_ends_with_its_true_size(folder: Folder) -> None:
    folder.write("x.crdownload", 100)
    assert folder.scan() == ["created x.crdownload 100"]
    for size in (200, 300, 400):
        folder.write("x.crdownload", size)
        assert folder.scan() == []
    assert [folder.scan() for _ in range(QUIET - 3)] == [[]] * (QUIET - 3)
    assert folder.scan() == ["modified x.crdownload 400"]
    folder.rests(2 * QUIET)
    assert folder.words() == {"x.crdownload": "partial"}


def test_download_that_rested_until_it_was_told_is_moved(folder: Folder) -> None:
    """Where inodes are not stable the proof is the fingerprint, which is taken when the file is
    not unsettled any more."""
    folder.write("x.crdownload", 100)
    folder.scan()
    folder.write("x.crdownload", 200)
    assert [line for _ in range(2 * QUIET + 4) for line in folder.scan()] == [
        "modified x.crdownload 200"
    ]
    folder.rename("x.crdownload", "x")
    proof = "inode" if folder.has_inodes else "fingerprint"
    assert folder.scan() == [f"moved x.crdownload x 200 {proof}"]
    folder.rests()


def test_deleted_download_is_one_line(folder: Folder) -> None:
    folder.write("x.crdownload", 100)
    folder.scan()
    folder.write("x.crdownload", 200)
    assert folder.scan() == []
    folder.remove("x.crdownload")
    assert folder.scan() == ["deleted x.crdownload 100"]
    assert folder.words() == {}
    assert folder.world.store.memory.unsettled == {}
    folder.rests()


def test_restarts_in_the_middle_change_nothing(folder: Folder) -> None:
    found = []
    for size in range(100, 100 + QUIET + 3):
        folder.write("x.crdownload", size)
        found += folder.scan()
        folder.world.restart()
        assert folder.words() == {"x.crdownload": "partial"}
    folder.rename("x.crdownload", "x")
    found += folder.scan()
    assert found[:2] == ["created x.crdownload 100", "modified x.crdownload 118"]
    apart = ["deleted x.crdownload 118", "created x 119"]
    assert found[2:] == (["moved x.crdownload x 119 inode"] if folder.has_inodes else apart)
    folder.world.restart()
    folder.rests()


def test_clock_that_is_set_back_silences_nothing(tmp_path: Path) -> None:
    files = Fake(EXT4)
    folder = Folder(tmp_path, files)
    folder.scan()
    folder.write("x.crdownload", 100)
    folder.scan()
    files.wall -= 3600 * 10**9
    folder.write("x.crdownload", 200)
    assert folder.scan() == ["modified x.crdownload 200"]
    folder.world.store.close()


def test_download_found_at_the_start_is_named_without_a_line(unscanned: Folder) -> None:
    folder = unscanned
    folder.write("x.crdownload", 100)
    assert folder.scan() == []
    assert folder.words() == {"x.crdownload": "partial"}
    folder.write("x.crdownload", 200)
    assert folder.scan() == ["modified x.crdownload 200"]
    folder.write("x.crdownload", 300)
    assert folder.scan() == []


def test_download_in_a_folder_that_is_ignored_now_is_forgotten(folder: Folder) -> None:
    folder.write("pack/x.part", 100)
    assert folder.scan() == ["created pack", "created pack/x.part 100"]
    assert folder.words() == {"pack/x.part": "partial"}
    folder.world.restart(ignore=("pack/",))
    assert folder.scan() == []
    assert (folder.words(), folder.world.store.memory.unsettled) == ({}, {})


# aria2: NAME itself, with NAME.aria2 beside it until all is there


def test_aria2_that_allocates_first(folder: Folder) -> None:
    """Its size is the final one from the start: only its time moves."""
    folder.allocate("x", 0, 1000)
    folder.write("x.aria2", 50)
    assert folder.scan() == ["created x 1000", "created x.aria2 50"]
    for size in (300, 600, 900):
        folder.allocate("x", size, 1000)
        folder.write("x.aria2", 50)
        assert folder.scan() == []
        assert folder.words() == {"x": "partial", "x.aria2": "partial"}
    assert folder.scan() == []
    folder.allocate("x", 1000, 1000)
    folder.remove("x.aria2")
    assert folder.scan() == ["deleted x.aria2 50", "modified x 1000"]
    assert folder.words() == {}
    folder.rests()


def test_aria2_that_does_not_allocate(folder: Folder) -> None:
    folder.write("x", 100)
    folder.write("x.aria2", 50)
    assert folder.scan() == ["created x 100", "created x.aria2 50"]
    for size in (300, 300, 600):
        folder.write("x", size)
        folder.write("x.aria2", 50 + size // 100)
        assert folder.scan() == []
        assert folder.words() == {"x": "partial", "x.aria2": "partial"}
    folder.write("x", 1000)
    folder.remove("x.aria2")
    assert folder.scan() == ["deleted x.aria2 50", "modified x 1000"]
    folder.rests()


def test_aria2_download_told_whole_needs_no_line_when_its_sign_goes(folder: Folder) -> None:
    folder.allocate("x", 0, 1000)
    folder.write("x.aria2", 50)
    folder.scan()
    folder.allocate("x", 1000, 1000)
    assert [line for _ in range(QUIET + 2) for line in folder.scan()] == ["modified x 1000"]
    folder.remove("x.aria2")
    assert folder.scan() == ["deleted x.aria2 50"]
    folder.rests()


def test_whole_file_that_aria2_fetches_again(folder: Folder) -> None:
    folder.write("x", 1000)
    folder.scan()
    folder.rests()
    folder.allocate("x", 10, 2000)
    folder.write("x.aria2", 50)
    assert folder.scan() == ["created x.aria2 50", "modified x 2000"]
    folder.allocate("x", 500, 2000)
    assert folder.scan() == []
    assert folder.words() == {"x": "partial", "x.aria2": "partial"}
    folder.allocate("x", 2000, 2000)
    folder.remove("x.aria2")
    assert folder.scan() == ["deleted x.aria2 50", "modified x 2000"]
    folder.rests()


# Firefox: NAME is reserved, NAME.part or BASE.RANDOM.SUFFIX.part grows, and is renamed over it


@pytest.mark.parametrize("part", ["x.safetensors.part", "x.Zr8kq2Xs.safetensors.part"])
def test_firefox(folder: Folder, part: str) -> None:
    folder.write("x.safetensors", 0)
    folder.write(part, 100)
    assert folder.scan() == sorted(["created x.safetensors 0", f"created {part} 100"])
    for size in (200, 200, 300):
        folder.write(part, size)
        assert folder.scan() == []
        assert folder.words() == {"x.safetensors": "partial", part: "partial"}
    folder.write(part, 400)
    folder.rename(part, "x.safetensors")
    apart = [f"deleted {part} 100", "modified x.safetensors 400"]
    together = [f"moved {part} x.safetensors 400 inode"]
    assert folder.scan() == (together if folder.has_inodes else apart)
    assert folder.words() == {}
    folder.rests()


def test_old_version_stays_whole_while_the_new_one_is_fetched(folder: Folder) -> None:
    folder.write("x", 1000)
    folder.scan()
    folder.write("x.part", 100)
    assert folder.scan() == ["created x.part 100"]
    assert folder.words() == {"x.part": "partial"}
    folder.write("x.part", 2000)
    folder.rename("x.part", "x")
    apart = ["deleted x.part 100", "modified x 2000"]
    assert folder.scan() == (["moved x.part x 2000 inode"] if folder.has_inodes else apart)
    folder.rests()


# huggingface_hub: an .incomplete below .cache, moved up when it is whole


def test_huggingface(folder: Folder) -> None:
    cache = ".cache/huggingface/download"
    part = f"{cache}/jk3.e0f1.incomplete"
    folder.write(f"{cache}/x.safetensors.lock", 0)
    folder.write(part, 100)
    assert folder.scan() == [
        "created .cache",
        "created .cache/huggingface",
        "created .cache/huggingface/download",
        f"created {part} 100",
        f"created {cache}/x.safetensors.lock 0",
    ]
    for size in (200, 200, 300):
        folder.write(part, size)
        assert folder.scan() == []
        assert folder.words() == {part: "partial"}
    folder.write(part, 400)
    folder.rename(part, "x.safetensors")
    folder.write(f"{cache}/x.safetensors.metadata", 60)
    assert folder.scan() == [
        f"deleted {part} 100",
        f"created {cache}/x.safetensors.metadata 60",
        "created x.safetensors 400",
    ]
    assert folder.words() == {}
    folder.rests()


# wget, curl: the final name, and no sign


def test_wget(folder: Folder) -> None:
    folder.write("x", 100)
    assert folder.scan() == ["created x 100"]
    for size in (200, 300):
        folder.write("x", size)
        assert folder.scan() == []
        assert folder.words() == {"x": "unsettled"}
    assert folder.scan() == ["modified x 300"]  # a stall cannot be told from the end
    assert folder.words() == {}
    folder.write("x", 400)
    assert folder.scan() == ["modified x 400"]
    folder.write("x", 500)
    assert folder.scan() == []
    assert folder.scan() == ["modified x 500"]
    folder.rests()


# The inventory itself


def test_inventory_names_downloads_as_long_as_they_are_some(folder: Folder) -> None:
    def shown() -> dict[str, str]:
        folder.scan()
        folder.world.scanner.publish(is_last=True)
        entries = read_entries(folder.world.outputs.inventory)
        return {entry["path"].rpartition("/")[2]: entry.get("status", "") for entry in entries}

    folder.write("x", 100)
    folder.write("x.aria2", 50)
    folder.write("y", 100)
    assert shown() == {"keep": "", "x": "partial", "x.aria2": "partial", "y": ""}
    folder.write("x", 200)
    folder.write("y", 200)
    assert shown() == {"keep": "", "x": "partial", "x.aria2": "partial", "y": "unsettled"}
    folder.remove("x.aria2")
    assert shown() == {"keep": "", "x": "", "y": ""}
    folder.write("x.crdownload", 0)
    assert shown() == {"keep": "", "x": "", "x.crdownload": "partial", "y": ""}


def test_folders_that_are_as_they_were_are_not_looked_through_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("a/x.part", 100)
    folder.scan()
    assert folder.words() == {"a/x.part": "partial"}
    looked: list[str] = []

    def counted(listing: Listing, place: str) -> dict[str, str]:
        looked.append(os.path.basename(place))
        return unfinished(listing, place)

    monkeypatch.setattr("scanner.comfyui.downloads.unfinished", counted)
    assert folder.words() == {"a/x.part": "partial"}
    assert looked == []


# All of them at once, in any order


NAMES = ("x", "x.part", "x.aria2", "y.crdownload", "y")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("write", "touch", "remove", "rename", "scan", "scans", "restart")),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.integers(0, 400),
    ),
    max_size=25,
)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, mount=st.sampled_from((EXT4, EXFAT)))
def test_any_download_replays_is_told_seldom_and_ends_true(
    steps: list[tuple[str, str, str, int]], mount: Mount
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place), Fake(mount))
        folder.scan()
        last: dict[str, int] = {}
        was_partial: set[str] = set()

        def scan() -> None:
            nonlocal was_partial
            lines = folder.scan()
            words = folder.words()
            partial = {name for name, word in words.items() if word == "partial"}
            now = folder.world.result.started
            for line in lines:
                kind, name = line.split()[:2]
                if kind == "modified" and name in last and name in partial & was_partial:
                    assert now - last[name] >= 600 * 10**9
                # `from` of a move is of no matter: that file is gone.
                last[line.split()[2] if kind == "moved" else name] = now
            was_partial = partial

        for kind, name, other, number in steps:
            folder.files.advance(0.1)
            exists = os.path.basename(name) in folder.names()
            if kind == "write":
                folder.write(name, number)
            elif kind == "touch" and exists:
                folder.touch(name)
            elif kind == "remove" and exists:
                folder.remove(name)
            elif kind == "rename" and exists and name != other:
                folder.rename(name, other)
            elif kind == "scan":
                scan()
            elif kind == "scans":
                for _ in range(number % 20):
                    scan()
            elif kind == "restart":
                folder.world.restart()
        for _ in range(QUIET + 3):
            scan()
        folder.rests()
        folder.world.store.close()


# aria2 itself


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the mount table of this test is POSIX")
@pytest.mark.parametrize("allocation", ["none", "prealloc"])
def test_real_aria2(tmp_path: Path, allocation: str) -> None:
    (program,) = require("aria2c")
    served = tmp_path / "served"
    served.mkdir()
    (served / "x.safetensors").write_bytes(os.urandom(2_000_000))
    folder = Folder(tmp_path, Disk(EXT4))
    folder.scan()
    found: list[str] = []
    words: set[tuple[str, str]] = set()

    def scan() -> None:
        folder.world.scan(advance=0, reads=False)
        found.extend(folder.told())
        words.update(folder.words().items())

    handler = functools.partial(QuietHandler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        aria2 = subprocess.Popen(
            [
                program,
                "--quiet",
                "--no-conf",
                "--max-download-limit=500K",
                "--auto-save-interval=1",
                f"--file-allocation={allocation}",
                f"--dir={folder.top}",
                f"http://127.0.0.1:{server.server_port}/x.safetensors",
            ]
        )
        try:
            deadline = time.monotonic() + 60
            while aria2.poll() is None:
                assert time.monotonic() < deadline
                scan()
                time.sleep(0.05)
        finally:
            aria2.kill()
            aria2.wait()
            server.shutdown()
    assert aria2.returncode == 0
    for _ in range(3):
        scan()
    folder.world.store.close()
    whole, sign = "x.safetensors", "x.safetensors.aria2"
    lines: list[str] = []
    for line in found:
        # Its file of what it has is written under a second name first, which a scan may meet.
        if line.startswith(f"moved {sign}__temp {sign} ") and f"created {sign}" not in lines:
            lines.append(f"created {sign}")
        elif "__temp" not in line:
            lines.append(line.rsplit(" ", 1)[0])
    assert sorted(lines[:2]) == [f"created {whole}", f"created {sign}"], found
    assert lines[2:] == [f"deleted {sign}", f"modified {whole}"], found
    assert found[-1] == f"modified {whole} 2000000"
    assert {(whole, "partial"), (sign, "partial")} <= words
    assert (folder.words(), Path(folder.path(whole)).stat().st_size) == ({}, 2_000_000)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def test_fingerprint_of_a_part_is_not_that_of_the_whole(folder: Folder) -> None:
    folder.write("x.crdownload", 500)
    for _ in range(40):  # it stalls until it counts as at rest, and is fingerprinted
        folder.scan()
    folder.write("x.crdownload", 1200)
    folder.rename("x.crdownload", "x")
    folder.scan()
    folder.rests()
    for _ in range(4):
        folder.scan()
    known = folder.fingerprint("x")
    sampled = take_fingerprint(folder.files, folder.path("x"))
    assert sampled is not None
    assert known in (b"", sampled.fingerprint)
    assert known == sampled.fingerprint or folder.has_inodes
