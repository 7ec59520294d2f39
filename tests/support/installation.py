"""A small installation for tests of commands, and readers of what they print."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.machine import Machine

LORAS = "ComfyUI/models/loras"
KINDS = ("models", "custom_nodes", "input", "output")


def lose(machine: Machine, count: int = 20) -> None:
    for number in range(count):
        (machine.work / LORAS / f"{number:02}.safetensors").unlink()


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence on stderr; there is nothing else."""
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("comfy-inventory: ")
    return lines[0].removeprefix("comfy-inventory: ")


def parsed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The data in the envelope on stdout."""
    result: dict[str, Any] = json.loads(done.stdout)
    assert set(result) == {"command", "version", "data", "ok", "error"}
    assert result["ok"] is (result["error"] is None)
    data: dict[str, Any] = result["data"]
    return data


HARD_NAMES = (
    b"caf\xe9.safetensors",
    b"\xff\xfe",
    b"new\nline.bin",
    b"carriage\rreturn",
    b"tab\tand \x1b[31mcolour",
    "🎨 painting.png".encode(),
    "e\u0301 and é".encode(),
    b'"quoted" \\ and back\\slashed',
    b" spaces ",
    b"-rf",
    b"%s{}$HOME",
    "\u2028 separators \u2029".encode(),
)


def imported(
    machine: Machine, *arguments: str, environ: Mapping[str, str] | None = None
) -> set[str]:
    """Names of the modules that a run imports."""
    command = (sys.executable, "-X", "importtime", "-m", "scanner", *arguments)
    done = machine.execute(*command, environ=environ)
    assert done.returncode == 0, done.stderr[-2000:]
    modules = modules_in(done.stderr)
    assert "scanner.cli" in modules
    return modules


def modules_in(log: str) -> set[str]:
    """Names of the modules that Python tells in a log with `PYTHONPROFILEIMPORTTIME`."""
    return set(re.findall(r"^import time: .*\| +(\S+)$", log, re.MULTILINE))


EVENT_WATCHERS = {"watchdog", "watchfiles", "inotify", "inotify_simple", "pyinotify"}
