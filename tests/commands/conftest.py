"""Fixtures of tests of commands: small installations."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import HARD_NAMES, KINDS, LORAS
from tests.support.machine import PATIENCE, Machine, write


def installation(folder: Path) -> Machine:
    machine = Machine(folder)
    for kind in KINDS:
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    for number in range(24):
        write(machine.work / LORAS / f"{number:02}.safetensors", f"lora {number}")
    return machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A small installation in the working folder, not scanned yet."""
    return installation(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A small installation, scanned once, that no test changes."""
    machine = installation(tmp_path_factory.mktemp("untouched"))
    write(machine.work / "workflow.json", '{"1": {"class_type": "VAEDecode", "inputs": {}}}')
    machine.run("scan")
    return machine


@pytest.fixture
def scanned(machine: Machine) -> Machine:
    machine.run("scan")
    return machine


DROP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    if libc.prctl(24, capability, 0, 0, 0):
        sys.exit("PR_CAPBSET_DROP: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a command that root's rights to read and write everything are taken from."""


@pytest.fixture
def unprivileged(tmp_path: Path) -> tuple[str, ...]:
    """A command that starts another one, which modes of files and folders hold for."""
    through = () if os.geteuid() else (sys.executable, "-c", DROP)
    closed = tmp_path / "closed"
    closed.mkdir(0o000)
    tried = subprocess.run(
        [*through, sys.executable, "-c", f"import os; os.listdir({str(closed)!r})"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    closed.chmod(0o700)
    if "PermissionError" not in tried.stderr:
        pytest.skip(f"root reads everything here: {tried.stderr.strip() or 'no capabilities'}")
    return through


@pytest.fixture
def closing() -> Iterator[list[Path]]:
    """Folders that are opened again at the end."""
    folders: list[Path] = []
    yield folders
    for folder in folders:
        if folder.exists():
            folder.chmod(0o755)


@pytest.fixture
def hard(machine: Machine) -> Machine:
    """An installation with everything in it that is hard to list."""
    top = os.fsencode(machine.work / LORAS)
    for number, name in enumerate(HARD_NAMES):
        try:
            with open(os.path.join(top, name), "w") as file:
                file.write(f"hard {number}")
            os.mkdir(os.path.join(top, name + b".d"))
            with open(os.path.join(top, name + b".d", b"inner"), "w") as file:
                file.write(f"inner {number}")
        except OSError:  # macOS refuses names that are not UTF-8
            continue
    loras = machine.work / LORAS
    (loras / "loop").symlink_to(".")
    (loras / "loop above").symlink_to("../..")
    (loras / "broken").symlink_to("nowhere")
    (loras / "circle").symlink_to("circle")
    shared = machine.home / "shared"
    write(shared / "deep" / "one.safetensors", "shared")
    (loras / "link 1").symlink_to(shared)
    (loras / "link 2").symlink_to(shared)
    (loras / "link to a file").symlink_to(shared / "deep" / "one.safetensors")
    (loras / os.fsdecode(b"link to caf\xe9")).symlink_to(os.fsdecode(b"caf\xe9.safetensors"))
    os.mkfifo(loras / "pipe")
    os.utime(loras / "00.safetensors", ns=(0, -1_500_000_000))
    os.utime(loras / "01.safetensors", ns=(0, 2**33 * 10**9 + 1))
    return machine
