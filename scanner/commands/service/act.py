"""Installing, removing and asking for the service. Only these functions change the system."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scanner.commands.service.definition import Definition
from scanner.commands.service.managers import MARK, Command, Manager
from scanner.errors import InventoryError, OutputError
from scanner.output.atomic import AtomicFile

CALL_PATIENCE = 60.0
"""Seconds that a command of the service manager may take."""

TAIL = 1 << 18
"""Bytes at the end of a log file that its last lines are looked for in."""


def install(manager: Manager, definition: Definition) -> None:
    """Write the file and start the service, again if it runs. Raises InventoryError."""
    _need_tool(manager, definition)
    _refuse_foreign(manager)
    for folder in filter(None, (os.path.dirname(manager.path), os.path.dirname(manager.log_file))):
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {folder} for the service cannot be made: {error.strerror}."
            ) from None
    with AtomicFile(manager.path) as file:
        file.write(manager.text(definition).encode(manager.encoding))
    for command in manager.end:
        _call(command)
    deadline = time.monotonic() + manager.patience
    for command in manager.start:
        while (problem := _call(command)) and time.monotonic() < deadline:
            time.sleep(0.5)
        if problem:
            raise InventoryError(
                f"The service was written to {manager.path}, but `{shlex.join(command)}` failed: "
                f"{problem} Once that is mended: {' && '.join(map(shlex.join, manager.start))}"
            )


def uninstall(manager: Manager) -> bool:
    """Stop the service and remove its file; False if there is none. Raises InventoryError."""
    if not os.path.lexists(manager.path):
        return False
    _refuse_foreign(manager)
    _need_tool(manager)
    for command in manager.end:
        _call(command)
    for command in manager.stop:
        if problem := _call(command):
            raise InventoryError(
                f"Nothing was removed, because `{shlex.join(command)}` failed: {problem} If the "
                f"service does not run, remove {manager.path} by hand."
            )
    try:
        os.unlink(manager.path)
    except OSError as error:
        raise OutputError(f"{manager.path} cannot be removed: {error.strerror}.") from None
    for command in manager.forget:
        _call(command)
    return True


def state(manager: Manager) -> tuple[bool, str]:
    """True if the service runs (or, outside systemd, is known), and what its manager says."""
    _need_tool(manager)
    done = _run(manager.query)
    return done.returncode == 0, done.stdout.rstrip() or done.stderr.strip()


def show_log(manager: Manager, lines: int, follow: bool, write: Callable[[str], None]) -> None:
    """Pass the last lines of the service's log to `write`, and then new ones."""
    if manager.logs:
        command = (*manager.logs, f"--lines={lines}", *(("--follow",) if follow else ()))
        if shutil.which(command[0]) is None:
            raise InventoryError(f"The log is read with {command[0]}, which is not installed here.")
        if subprocess.run(command, check=False).returncode:
            raise InventoryError(f"`{shlex.join(command)}` failed.")
        return
    for text in _tail(manager.log_file, lines, follow):
        write(text)


def _tail(path: str, lines: int, follow: bool) -> Iterator[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            last = file.read().decode("utf-8", "replace").splitlines(keepends=True)
            yield "".join(last[-lines:] if lines else [])
            while follow:
                time.sleep(1.0)
                yield file.read().decode("utf-8", "replace")
    except OSError as error:
        raise InventoryError(f"The log {path} cannot be read: {error.strerror}.") from None


def _need_tool(manager: Manager, definition: Definition | None = None) -> None:
    if shutil.which(manager.tool) is not None:
        return
    text = f"{manager.tool} is not installed here, so there are no services that it controls."
    if definition is not None:
        text = (
            f"{manager.tool} is not installed here, so no service was installed. Let the start-up "
            f"of this system run: {shlex.join(definition.command)} -- or scan by cron "
            "(comfy-inventory scan), or use Docker. `service install --print` shows the file."
        )
    raise InventoryError(text)


def _refuse_foreign(manager: Manager) -> None:
    """Raise InventoryError if the file is there and was not written by this program."""
    try:
        text = Path(manager.path).read_bytes().decode(manager.encoding, "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise InventoryError(f"{manager.path} cannot be read: {error.strerror}.") from None
    if MARK not in text:
        raise InventoryError(
            f"{manager.path} was not written by this program, so it was left as it is: move it "
            "away first."
        )


def _call(command: Command) -> str:
    """Why `command` failed; empty if it did not."""
    done = _run(command)
    if done.returncode == 0:
        return ""
    words = " ".join((done.stderr.strip() or done.stdout.strip()).split())
    return f"{words or f'exit code {done.returncode}'}{_advice(words)}."


def _advice(words: str) -> str:
    """What to do if systemd's user instance cannot be reached."""
    if "connect to bus" not in words and "not been booted with systemd" not in words:
        return ""
    return (
        " (a user's services need a session of this user: log in as this user instead of using su"
        " or sudo, or use --system; in WSL set systemd=true in /etc/wsl.conf)"
    )


def _run(command: Command) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CALL_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        words = f"no answer in {CALL_PATIENCE:.0f} s; it may still go on"
        return subprocess.CompletedProcess(command, 124, "", words)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", error.strerror or str(error))
