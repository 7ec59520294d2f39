"""Commands, disks and servers of the guest. Runs inside the guest."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.support.machine import wait_for, write

DISK = Path("/guest/srv")
"""The server's disk: an image with ext4."""
POINT = Path("/guest/net/mnt")
"""Where the client mounts it."""


def do(*command: object) -> str:
    """Run a command that must succeed; what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def attempt(*command: object) -> bool:
    """Run a command that may fail; True if it succeeded."""
    return (
        subprocess.run([str(w) for w in command], capture_output=True, check=False).returncode == 0
    )


def mount_image(image: Path, point: Path, kind: str = "ext4", options: str = "") -> None:
    """Mount a file, with a new file system in it if it is not there yet."""
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(48 << 20)
        # A small ext4 would have small inodes, without parts of seconds.
        do(f"mkfs.{kind}", *(["-q", "-I", "256"] if kind == "ext4" else []), image)
    point.mkdir(parents=True, exist_ok=True)
    device = do("losetup", "--find", "--nooverlap", "--show", image).strip()
    # As with udev, a disk has its name before it is mounted.
    _name_disk(device)
    do("mount", "-t", kind, "-o", options or "defaults", device, point)
    do("losetup", "--detach", device)  # once it is unmounted


def _name_disk(device: str) -> None:
    """Name it by its UUID, as udev does on other machines."""
    folder = Path("/dev/disk/by-uuid")
    folder.mkdir(parents=True, exist_ok=True)
    for link in folder.iterdir():
        if os.readlink(link) == device:
            link.unlink()
    # Without -p it may answer from a cache, with the disk that had this name before.
    uuid = do("blkid", "-p", "-o", "value", "-s", "UUID", device).strip()
    (folder / uuid).symlink_to(device)


class Server:
    """The files as the server has them."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def write(self, name: str, content: str) -> None:
        write(self.top / name, content)

    def unlink(self, name: str) -> None:
        (self.top / name).unlink()

    def rename(self, name: str, new: str) -> None:
        (self.top / name).rename(self.top / new)

    def clear(self, name: str) -> None:
        for path in (self.top / name).iterdir():
            shutil.rmtree(path)

    def replace_quietly(self, old: str, new: str) -> None:
        """Write `new` in place of `old`, then put back the time of their folder, as tar does."""
        folder = (self.top / old).parent
        status = folder.stat()
        self.unlink(old)
        self.write(new, new)
        os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))


class OutsideServer(Server):
    """Files on the machine outside, which does to them what `/share/wanted` asks for."""

    def __init__(self) -> None:
        super().__init__(Path())
        self._count = 0

    def write(self, name: str, content: str) -> None:
        self._ask(f"mkdir -p '{Path(name).parent}'; printf %s '{content}' > '{name}'")

    def unlink(self, name: str) -> None:
        self._ask(f"rm '{name}'")

    def rename(self, name: str, new: str) -> None:
        self._ask(f"mv '{name}' '{new}'")

    def clear(self, name: str) -> None:
        self._ask(f"rm -rf '{name}'/*")

    def replace_quietly(self, old: str, new: str) -> None:
        folder = Path(old).parent
        self._ask(
            f"touch -r '{folder}' /tmp/of.$$; rm '{old}'; printf %s '{new}' > '{new}';"
            f" touch -r /tmp/of.$$ '{folder}'; rm /tmp/of.$$"
        )

    def _ask(self, line: str) -> None:
        self._count += 1
        asked = Path(f"/share/wanted/{self._count:06d}")
        asked.write_text(line + "\n")
        asked.rename(asked.with_suffix(".sh"))
        wait_for(asked.with_suffix(".done").exists, line)


def mounted(kind: str) -> list[str]:
    """Mount points of that type."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if f" - {kind} " in line]


def set_clock(seconds: float) -> None:
    time.clock_settime(time.CLOCK_REALTIME, seconds)


def remove(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
