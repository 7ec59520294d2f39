"""A command imports what it needs: modules are counted, since times depend on the machine.

`python -m benchmarks.startup` measures. A module of ours that is new in an unchanged scan costs
0.3 ms in each run of cron: import it where it is used, or raise the number.
"""

from __future__ import annotations

import re
import sys
import time

import pytest

from tests.support.installation import EVENT_WATCHERS, imported, modules_in
from tests.support.machine import Machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="imports of POSIX")

VERSION_MODULES = {
    "scanner",
    "scanner.cli",
    "scanner.console",
    "scanner.console.relay",
    "scanner.console.streams",
    "scanner.errors",
}

HEAVY = EVENT_WATCHERS | {
    "apscheduler", "asyncio", "email", "filelock", "hashlib", "http", "jsonschema",
    "multiprocessing", "pathspec", "psutil", "pydantic", "pygments", "rich.markdown",
    "rich.traceback", "statistics", "tomlkit", "tomllib", "tzlocal", "yaml", "zoneinfo",
}  # fmt: skip
"""Modules that none of these commands uses."""

READING = HEAVY | {"logging", "sqlite3", "scanner.scan", "scanner.service", "scanner.walk"}

WALKING = HEAVY | {
    "decimal", "pickle", "rich", "scanner.comfyui.model_facts", "scanner.comfyui.safetensors",
    "scanner.service.crontab", "scanner.service.hashes", "scanner.service.jobs",
    "scanner.workers.remote", "scanner.notify",
}  # fmt: skip
"""A walk of a local disk starts no process and reads no header."""

SCANNING = WALKING | {
    "scanner.output.inventory_writer", "scanner.output.inventory_view", "scanner.service.schedule",
    "scanner.store.annotations", "scanner.console.options", "typer",
}  # fmt: skip
"""An unchanged scan writes no inventory, and one with plain options needs no Typer."""

MOST = {
    ("--help",): (20, READING | {"json", "orjson"}),
    ("find", "--help"): (40, READING),
    ("status",): (57, READING | {"scanner.console.log"}),
    ("find", "lora"): (67, READING),
    ("changes",): (62, READING),
    ("roots",): (75, HEAVY | {"scanner.scan", "scanner.service"}),
    ("scan",): (195, SCANNING),
}
"""Most modules of ours that a command imports, and modules that it must not import."""


@pytest.fixture(scope="module")
def unchanged(untouched: Machine) -> Machine:
    """An installation that was scanned until all was read and at rest."""
    for _ in range(3):
        time.sleep(0.1)
        untouched.run("scan")
    return untouched


def test_version_imports_nothing_but_the_streams(machine: Machine) -> None:
    modules = imported(machine, "--version")
    assert {name for name in modules if name.split(".")[0] == "scanner"} == VERSION_MODULES
    assert not modules & {"typing", "typer", "rich", "re", "enum", "dataclasses", "json"}


@pytest.mark.parametrize("arguments", MOST, ids=lambda arguments: arguments[0])
def test_a_command_imports_what_it_needs(unchanged: Machine, arguments: tuple[str, ...]) -> None:
    most, forbidden = MOST[arguments]
    modules = imported(unchanged, *arguments)
    assert not modules & forbidden
    own = {name for name in modules if name.split(".")[0] == "scanner"}
    assert len(own) <= most, sorted(own)
    # Python does not tell of the module of the command itself, which is imported by name.
    commands = {name for name in own if re.fullmatch(r"scanner\.commands\.\w+\.command", name)}
    assert commands <= {f"scanner.commands.{arguments[0]}.command"}


def test_run_imports_what_a_scan_needs_until_its_first_scan_is_done(unchanged: Machine) -> None:
    """The scheduler and the names of all installed packages come after it."""
    unchanged.environ["PYTHONPROFILEIMPORTTIME"] = "1"
    (unchanged.work / "ComfyUI" / "models" / "loras" / "new.safetensors").write_bytes(b"new")
    try:
        with unchanged.running("run", "--every", "1h") as running:
            running.wait_for(lambda: "scanner.service.jobs" in running.log(), "the scheduler")
            until, told, after = running.log().partition("INFO created")
    finally:
        del unchanged.environ["PYTHONPROFILEIMPORTTIME"]
    assert told
    modules = modules_in(until)
    assert not modules & (WALKING | {"importlib.metadata"})
    own = {name for name in modules if name.split(".")[0] == "scanner"}
    assert len(own) <= 202, sorted(own)
    assert {"apscheduler", "importlib.metadata"} <= modules_in(after)
