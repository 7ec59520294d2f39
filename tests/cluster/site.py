"""A storage on sshfs, and what a scan with a cluster says of it beside one without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scanner.output.inventory_reader import read_entries
from scanner.output.journal_reader import read
from tests.support.machine import Machine, write
from tests.support.real_mounts import SshfsMount

FILES = 2_000

NOISE = ("scan", "time", "generated")


class Site:
    """A storage that is mounted here, and two outputs of the same folder: one for a scan without a
    cluster, one for a scan with it."""

    def __init__(self, folder: Path, mount: SshfsMount) -> None:
        self.server, self.mount = mount.source, mount
        self.alone, self.together = Machine(folder / "alone"), Machine(folder / "together")

    def scan(self, machine: Machine, *more: str, expect: int = 0) -> str:
        done = machine.run("scan", "--models", self.mount.point, *more, expect=expect)
        return done.stderr

    def differences(self) -> list[tuple[Any, Any]]:
        """What both outputs say differently."""
        entries = [list(read_entries(m.output)) for m in (self.alone, self.together)]
        lines = [
            [{k: v for k, v in line.items() if k not in NOISE} for line in read(m.journal)]
            for m in (self.alone, self.together)
        ]
        pairs: list[tuple[Any, Any]] = [
            *zip(entries[0], entries[1], strict=False), *zip(lines[0], lines[1], strict=False)
        ]  # fmt: skip
        sizes = [(len(entries[0]), len(entries[1])), (len(lines[0]), len(lines[1]))]
        return [pair for pair in [*sizes, *pairs] if pair[0] != pair[1]]


def edit(server: Path) -> None:
    """Create, modify, delete and move."""
    files = sorted(path for path in server.rglob("*") if path.is_file())
    files[0].write_text("another content")
    files[1].unlink()
    files[2].rename(files[2].with_name("renamed.safetensors"))
    write(server / "new folder/a.safetensors", "a")
    (server / "new folder/b").symlink_to("a.safetensors")
    write(server / "new folder/sub/d.safetensors", "d")
    (server / "new folder/c").symlink_to("sub")
    (server / "new folder/sub/up").symlink_to(".")
