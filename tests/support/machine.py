"""A folder of its own for a test, and the program run in it as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from jsonschema import Draft202012Validator

from scanner.core.serialize import mtime_of, native
from scanner.output.inventory_reader import read_entries, read_header
from scanner.output.journal_reader import read
from scanner.output.status_file import read_status
from scanner.schemas import load_schema

CHECKOUT = Path(__file__).resolve().parents[2]
SCANNER = (sys.executable, "-m", "scanner")
"""The command that users call `comfy-inventory`."""

PATIENCE = float(os.environ.get("COMFY_TEST_PATIENCE", "40"))
"""Seconds after which something that should happen counts as not happening. An emulated machine
needs more."""
POLL = float(os.environ.get("COMFY_TEST_POLL", "0.02"))
"""Seconds between two looks at what is waited for."""

DOCUMENTED = (
    "python scripts/comfy_inventory_watcher.py"
    " --comfy-root ./ComfyUI --downloads ~/Downloads --extra ~/stable-diffusion-assets"
)
PLACEHOLDERS = ("put_", "_output_images_will_be_put_here")
"""How the empty files begin that ComfyUI ships in its folders: they are left out."""

Found = TypeVar("Found")
Projection = dict[str, tuple[str, int, int]]


def wait_for(condition: Callable[[], Found], what: str, seconds: float = PATIENCE) -> Found:
    """The first result of `condition` that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(POLL)
    return found


def walked(top: Path) -> Projection:
    """What `top` holds, by os.walk alone: absolute path -> (type, size, mtime of files)."""
    found: Projection = {}
    for folder, folders, files in os.walk(top):
        for name in folders:
            found[os.path.join(folder, name)] = ("directory", 0, 0)
        for name in files:
            path = os.path.join(folder, name)
            status = os.stat(path)
            found[path] = ("file", status.st_size, status.st_mtime_ns)
    return found


class Machine:
    """A user's home, the folder that the program is run in, and the files that it writes."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.home = folder / "home"
        self.work = folder / "work"
        self.output = self.work / "comfy_inventory.json"
        programs = folder / "bin"
        for made in (self.home, self.work, programs):
            made.mkdir(parents=True)
        # Whatever this interpreter is called, the documented command calls it python.
        python = programs / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COMFY_", "XDG_", "PYTHON")) and name not in ("HOME", "COLUMNS")
        }
        self.environ = inherited | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_STATE_HOME": str(self.home / ".local" / "state"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_DATA_HOME": str(self.home / ".local" / "share"),
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONFAULTHANDLER": "1",
            "PYTHONWARNINGS": "error",
            **environ,
        }

    def check_out(self) -> None:
        """Make the working folder a checkout of the program, without copying it."""
        for name in ("scanner", "scripts", "config"):
            (self.work / name).symlink_to(CHECKOUT / name)
        del self.environ["PYTHONPATH"]

    @property
    def journal(self) -> Path:
        return self.output.with_name(self.output.stem + ".changes.jsonl")

    @property
    def history(self) -> Path:
        return self.output.with_name(self.output.stem + ".history.jsonl")

    @property
    def status_file(self) -> Path:
        return self.output.with_name(self.output.stem + ".status.json")

    # Running

    @property
    def is_split(self) -> bool:
        """True if its settings split the inventory."""
        return self.environ.get("COMFY_INVENTORY_SPLIT_BY", "none") != "none"

    def run(
        self,
        *arguments: object,
        expect: int = 0,
        through: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `comfy-inventory ARGUMENTS` to its end; `expect` is its exit code.

        `through` is a command that starts another one, as `nice` does.
        """
        done = self.execute(*through, *SCANNER, *arguments, environ=environ)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == expect, done.stderr or done.stdout
        return done

    def execute(
        self,
        *command: object,
        environ: Mapping[str, str] | None = None,
        stdout: int = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run any command here to its end, whatever its exit code."""
        return subprocess.run(
            [str(word) for word in command],
            cwd=self.work,
            env={**self.environ, **(environ or {})},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            pass_fds=pass_fds,
            check=False,
        )

    @contextmanager
    def running(self, *arguments: object) -> Iterator[Running]:
        """`comfy-inventory ARGUMENTS` in the background; it does not outlive the block."""
        with self._started([*SCANNER, *map(str, arguments)]) as running:
            yield running

    @contextmanager
    def typing(self, command: str) -> Iterator[Running]:
        """A line typed into a shell, in the background."""
        with self._started(["sh", "-c", f"exec {command}"]) as running:
            yield running

    @contextmanager
    def _started(self, command: Sequence[str]) -> Iterator[Running]:
        number = len(list(self.home.glob("*.log")))
        log = self.home / f"run-{number}.log"
        log.touch()
        printed = self.home / f"run-{number}.out"
        # A test run in the background of a shell ignores SIGINT, and so would its children.
        old = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with printed.open("wb") as out:
                process = subprocess.Popen(
                    command,
                    cwd=self.work,
                    env=self.environ,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.PIPE,
                )
        finally:
            signal.signal(signal.SIGINT, old)
        running = Running(self, process, log, printed)
        try:
            yield running
        finally:
            running.end()

    # Reading

    def changes(self, since: int = 0) -> list[dict[str, Any]]:
        """Lines of the change list after scan `since`, baselines left out."""
        return [line for line in read(self.journal, since) if line["kind"] != "baseline"]

    def baselines(self) -> list[tuple[str, str]]:
        lines = read(self.journal, kinds=("baseline",))
        return [(line["path"], line["reason"]) for line in lines]

    def status(self) -> dict[str, Any]:
        return read_status(self.status_file) or {}

    def states(self) -> dict[str, str]:
        """State by path of root, as the status says."""
        return {root["path"]: root["state"] for root in self.status().get("roots", ())}

    def inventory(self) -> Projection:
        """The inventory in the terms of `walked`."""
        header = read_header(self.output)
        assert header is not None, "there is no inventory"
        found: Projection = {}
        for entry in read_entries(self.output):
            has_content = entry["type"] == "file" or entry.get("leads_to") == "file"
            size, mtime = (entry["size"], mtime_of(entry)) if has_content else (0, 0)
            found[native(entry, header.get("base"))] = (entry["type"], size, mtime)
        return found


def _copy(source: IO[bytes], target: Path) -> None:
    with source, target.open("wb", buffering=0) as file:
        while chunk := os.read(source.fileno(), 1 << 16):
            file.write(chunk)


class Running:
    """The program in the background."""

    def __init__(
        self, machine: Machine, process: subprocess.Popen[bytes], log: Path, printed: Path
    ) -> None:
        self.machine = machine
        self.process = process
        self._log = log
        self._printed = printed
        # Through a pipe, which no limit on the size of its files can stop it from writing to.
        self._copying = threading.Thread(target=_copy, args=(process.stderr, log))
        self._copying.start()

    def end(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._copying.join()

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def printed(self) -> str:
        return self._printed.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, condition: Callable[[], Found], what: str) -> Found:
        def found() -> Found:
            assert self.process.poll() is None, f"it ended: {self.log()}"
            return condition()

        try:
            return wait_for(found, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def scan(self) -> int:
        """Number of the last scan that this process tells of; 0 before the first."""
        status = self.machine.status()
        if status.get("pid") != self.process.pid or not status["lanes"][0]["last_scan"]:
            return 0
        return int(status["scan"])

    def scans(self, count: int = 1) -> int:
        """Wait until so many more scans are done; the number of the last."""
        target = max(self.scan(), 0) + count
        if count == 1 and target == 1:
            return self.wait_for(self.scan, "the first scan")
        return self.wait_for(lambda: (n := self.scan()) >= target and n, f"scan {target}")

    def rests(self) -> int:
        """Wait until all that is there is known by content too; the number of the last scan."""
        self.scans(2)
        self.wait_for(lambda: not self.machine.status()["backlog"]["files"], "fingerprints")
        return self.scans()

    def does(self, edit: Callable[[], object]) -> list[dict[str, Any]]:
        """Changes that `edit` leads to: each is in the first scan that starts after it at latest,
        and none comes again."""
        before = self.scan()
        edit()
        # Status and journal are of one lane: at most one scan was under way while we looked.
        done = self.scan()
        self.wait_for(lambda: self.scan() >= done + 3, "three scans after an edit")
        lines = self.machine.changes(before)
        late = [line for line in lines if line["scan"] > done + 2]
        assert not late, f"later than one interval: {late}"
        return lines

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 10) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            # The fault handler then tells where each thread stands.
            self.process.send_signal(signal.SIGABRT)
            self._copying.join(PATIENCE)
            raise AssertionError(f"still running after {seconds} s: {self.log()}") from None


def assert_valid(machine: Machine) -> None:
    """Inventory, change list, status and history are what schemas and the JSON standard say."""
    inventory = json.loads(machine.output.read_bytes())
    whole = []
    if "split_by" in inventory:
        whole = [_in_one(inventory, list(read_entries(machine.output)))]
    documents = {
        "inventory": [machine.output.read_bytes(), *whole],
        "change": machine.journal.read_bytes().splitlines(),
        "status": [machine.status_file.read_bytes()],
        "history": machine.history.read_bytes().splitlines(),
    }
    for name, texts in documents.items():
        schema = load_schema(name)
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        for text in texts:
            validator.validate(json.loads(text))


def _in_one(manifest: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> bytes:
    """A split inventory as one document."""
    apart = ("split_by", "parts", "order")
    header = {key: value for key, value in manifest.items() if key not in apart}
    return json.dumps({**header, "entries": entries}).encode()


def told(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """(kind, path) or (kind, from, path) of each line, sorted."""
    return sorted(
        (line["kind"], line["from"], line["path"])
        if "from" in line
        else (line["kind"], line["path"])
        for line in lines
    )


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# The documented command, beside a real installation
