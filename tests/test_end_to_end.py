"""The program as a user runs it: the documented command on a real tree, real edits beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest
from jsonschema import Draft202012Validator

from scanner.core.serialize import mtime_of, native
from scanner.output.inventory_reader import read_entries, read_header
from scanner.output.journal_reader import read
from scanner.output.status_file import read_status
from scanner.schemas import load_schema
from scripts.build_sample import build

CHECKOUT = Path(__file__).resolve().parent.parent
PATIENCE = 40.0
"""Seconds after which something that should happen counts as not happening."""

DOCUMENTED = (
    "python scripts/comfy_inventory_watcher.py"
    " --comfy-root ./ComfyUI --downloads ~/Downloads --extra ~/stable-diffusion-assets"
)
PLACEHOLDERS = ("put_", "_output_images_will_be_put_here")
"""How the empty files begin that ComfyUI ships in its folders: they are left out."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and a POSIX shell are used"),
]

Found = TypeVar("Found")
Projection = dict[str, tuple[str, int, int]]


def wait_for(condition: Callable[[], Found], what: str, seconds: float = PATIENCE) -> Found:
    """The first result of `condition` that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
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
    def status_file(self) -> Path:
        return self.output.with_name(self.output.stem + ".status.json")

    # Running

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
        done = subprocess.run(
            [*through, sys.executable, "-m", "scanner", *map(str, arguments)],
            cwd=self.work,
            env={**self.environ, **(environ or {})},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == expect, done.stderr or done.stdout
        return done

    @contextmanager
    def running(self, *arguments: object) -> Iterator[Running]:
        """`comfy-inventory ARGUMENTS` in the background; it does not outlive the block."""
        with self._started([sys.executable, "-m", "scanner", *map(str, arguments)]) as running:
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
    """Inventory, change list and status are what their schemas and the JSON standard say."""
    documents = {
        "inventory": [machine.output.read_bytes()],
        "change": machine.journal.read_bytes().splitlines(),
        "status": [machine.status_file.read_bytes()],
    }
    for name, texts in documents.items():
        schema = load_schema(name)
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        for text in texts:
            validator.validate(json.loads(text))


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


LORAS = "ComfyUI/models/loras"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("installation"))
    machine.check_out()
    build(str(machine.work))
    downloads = machine.home / "Downloads"
    write(downloads / "x.safetensors", os.urandom(300_000))
    write(downloads / "big.safetensors", os.urandom(3_000_000))
    for number in range(100):
        write(downloads / "pack" / f"part{number % 3}" / f"f{number}.bin", f"content {number}")
    for name in ("append", "touch", "rename", "delete", "replace", "swap-a", "swap-bb"):
        write(machine.work / LORAS / f"{name}.safetensors", name * 1000)
    return machine


@pytest.fixture(scope="module")
def loop(machine: Machine) -> Iterator[Running]:
    with machine.typing(f"{DOCUMENTED} --every 1s") as running:
        running.rests()
        yield running


def test_documented_command_lists_the_whole_installation(machine: Machine, loop: Running) -> None:
    expected: Projection = {}
    for kind in ("models", "custom_nodes", "input", "output"):
        expected |= walked(machine.work / "ComfyUI" / kind)
    expected |= walked(machine.home / "Downloads")
    expected = {
        path: value
        for path, value in expected.items()
        if not os.path.basename(path).startswith(PLACEHOLDERS)
    }
    assert len(expected) > 1900
    assert machine.inventory() == expected
    header = read_header(machine.output)
    assert header is not None
    files = [path for path, value in expected.items() if value[0] == "file"]
    assert header["totals"]["files"] == len(files)
    assert header["base"] == str(machine.work)
    assert loop.printed() == ""


def test_first_scan_names_roots_and_no_entries(machine: Machine, loop: Running) -> None:
    first = [line for line in read(machine.journal) if line["scan"] == 1]
    assert {(line["kind"], line["path"], line["reason"]) for line in first} == {
        ("baseline", path, "added")
        for path in (
            "ComfyUI/models",
            "ComfyUI/custom_nodes",
            "ComfyUI/input",
            "ComfyUI/output",
            str(machine.home / "Downloads"),
        )
    }


def test_each_edit_is_named_once_by_the_next_scan(machine: Machine, loop: Running) -> None:
    loras = machine.work / LORAS
    outside = machine.home / "outside"
    write(outside / "replace.safetensors", "REPLACE" * 1000)
    write(outside / "create.safetensors", "create" * 1000)
    (outside / "folder").mkdir()

    def edit() -> None:
        (outside / "create.safetensors").rename(loras / "create.safetensors")
        (outside / "folder").rename(loras / "folder")
        with (loras / "append.safetensors").open("ab") as file:
            file.write(b"more")
        os.utime(loras / "touch.safetensors", ns=(0, 1_700_000_000_123_456_789))
        (loras / "rename.safetensors").rename(loras / "renamed.safetensors")
        (loras / "swap-a.safetensors").rename(outside / "swap")
        (loras / "swap-bb.safetensors").rename(loras / "swap-a.safetensors")
        (outside / "swap").rename(loras / "swap-bb.safetensors")
        (loras / "delete.safetensors").unlink()
        (outside / "replace.safetensors").replace(loras / "replace.safetensors")

    lines = loop.does(edit)
    assert told(lines) == [
        ("created", f"{LORAS}/create.safetensors"),
        ("created", f"{LORAS}/folder"),
        ("deleted", f"{LORAS}/delete.safetensors"),
        ("modified", f"{LORAS}/append.safetensors"),
        ("modified", f"{LORAS}/replace.safetensors"),
        ("modified", f"{LORAS}/swap-a.safetensors"),
        ("modified", f"{LORAS}/swap-bb.safetensors"),
        ("modified", f"{LORAS}/touch.safetensors"),
        ("moved", f"{LORAS}/rename.safetensors", f"{LORAS}/renamed.safetensors"),
    ]
    by_path = {line["path"]: line for line in lines}
    assert by_path[f"{LORAS}/touch.safetensors"]["mtime"] == "2023-11-14T22:13:20.123456789Z"
    assert by_path[f"{LORAS}/append.safetensors"]["size"] == len("append" * 1000) + 4
    assert {line["root"] for line in lines} == {f"models:{machine.work}/ComfyUI/models"}


def test_moves_from_downloads_are_named_as_moves(machine: Machine, loop: Running) -> None:
    downloads = machine.home / "Downloads"
    loras = machine.work / LORAS

    def edit() -> None:
        (downloads / "x.safetensors").rename(loras / "x.safetensors")
        (downloads / "pack").rename(loras / "pack")

    lines = loop.does(edit)
    assert told(lines) == [
        ("moved", str(downloads / "pack"), f"{LORAS}/pack"),
        ("moved", str(downloads / "x.safetensors"), f"{LORAS}/x.safetensors"),
    ]
    pack = next(line for line in lines if line["type"] == "directory")
    assert (pack["files"], pack["root"]) == (100, f"models:{machine.work}/ComfyUI/models")


@pytest.fixture(scope="module")
def slowly_written(machine: Machine, loop: Running) -> list[dict[str, Any]]:
    """Changes while one file grows, and another is copied, both over several scans; the source
    of the copy is deleted at its end, as `mv` does between two disks."""
    growing, copy = machine.home / "Downloads" / "growing.bin", machine.work / LORAS / "big.bin"
    source = machine.home / "Downloads" / "big.safetensors"
    size = source.stat().st_size
    before = loop.scan()
    with (
        growing.open("wb", buffering=0) as file,
        copy.open("wb", buffering=0) as writer,
        source.open("rb") as reader,
    ):
        # Faster than the scans come, so that no scan finds the files at rest.
        while loop.scan() < before + 3:
            file.write(b"chunk")
            writer.write(reader.read(2_000 if writer.tell() < size - 20_000 else 1))
            time.sleep(0.01)
        kinds = [line["kind"] for line in machine.changes(before)]
        assert kinds == ["created", "created"]
        shutil.copyfileobj(reader, writer)
    shutil.copystat(source, copy)
    source.unlink()
    loop.scans(3)
    return machine.changes(before)


def test_slow_copy_and_deletion_of_the_source_is_created_then_moved(
    machine: Machine, slowly_written: list[dict[str, Any]]
) -> None:
    source, copy = f"{machine.home}/Downloads/big.safetensors", f"{LORAS}/big.bin"
    lines = [line for line in slowly_written if line["path"] in (source, copy)]
    assert [line["kind"] for line in lines] == ["created", "moved"]
    assert told(lines) == [("created", copy), ("moved", source, copy)]


def test_growing_file_is_reported_when_it_rests(
    machine: Machine, slowly_written: list[dict[str, Any]]
) -> None:
    growing = machine.home / "Downloads" / "growing.bin"
    lines = [line for line in slowly_written if line["path"] == str(growing)]
    assert [line["kind"] for line in lines] == ["created", "modified"]
    assert lines[-1]["size"] == growing.stat().st_size


def test_root_that_appears_later_is_a_baseline(machine: Machine, loop: Running) -> None:
    assets = machine.home / "stable-diffusion-assets"
    assert machine.states()[str(assets)] == "missing"
    before = loop.scan()
    prepared = machine.home / "prepared"
    write(prepared / "one.png", "one")
    write(prepared / "more" / "two.png", "two")
    prepared.rename(assets)
    loop.wait_for(lambda: machine.states()[str(assets)] == "online", "the new root")
    loop.scans(2)
    assert machine.changes(before) == []
    assert (str(assets), "added") in machine.baselines()
    assert walked(assets).items() <= machine.inventory().items()


def test_files_are_valid_and_every_line_is_numbered_once(machine: Machine, loop: Running) -> None:
    loop.scans()
    assert_valid(machine)
    numbers = [(line["scan"], line["n"], line["of"]) for line in read(machine.journal)]
    scans = {scan: of for scan, _, of in numbers}
    assert numbers == [(scan, n, of) for scan, of in scans.items() for n in range(1, of + 1)]


# The loop's end, and what it survives


@pytest.fixture
def small(tmp_path: Path) -> Machine:
    """A small installation and a command `run` that scans it every second."""
    machine = Machine(tmp_path)
    machine.output = machine.work / "out" / "comfy_inventory.json"
    machine.output.parent.mkdir()
    for kind in ("custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    for number in range(5):
        write(machine.work / LORAS / f"{number}.safetensors", f"lora {number}")
    return machine


RUN = ("run", "--comfy-root", "ComfyUI", "--every", "1s", "--output", "out/comfy_inventory.json")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_loop_in_two_seconds_with_0(small: Machine, number: signal.Signals) -> None:
    with small.running(*RUN) as running:
        running.scans()
        started = time.monotonic()
        assert running.stop(number) == 0, running.log()
        assert time.monotonic() - started < 2
        assert small.status()["state"] == "stopped"
        assert "Traceback" not in running.log()


def test_signal_in_the_middle_of_a_scan_ends_the_loop_in_two_seconds(small: Machine) -> None:
    for number in range(100):
        folder = small.work / LORAS / f"folder {number}"
        folder.mkdir()
        for name in range(150):
            (folder / f"{name}.safetensors").touch()
    with small.running(*RUN) as running:
        running.scans()
        write(small.work / LORAS / "new.safetensors", "new")
        deadline = time.monotonic() + PATIENCE
        while not list(small.output.parent.glob(f".{small.output.name}.*.tmp")):
            assert time.monotonic() < deadline, "the inventory was not written again"
            time.sleep(0.001)
        started = time.monotonic()
        assert running.stop() == 0, running.log()
        assert time.monotonic() - started < 2
        assert small.status()["state"] == "stopped"
    assert told(small.changes()) == [("created", f"{LORAS}/new.safetensors")]
    assert str(small.work / LORAS / "new.safetensors") in small.inventory()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_right_after_the_start_ends_it_in_order(
    small: Machine, number: signal.Signals
) -> None:
    with small.running(*RUN) as running:
        running.wait_for(running.log, "a word of it")
        assert running.stop(number) == 0, running.log()
        assert small.status()["state"] == "stopped"
        assert "Traceback" not in running.log()


def test_lost_output_folder_is_told_and_made_up_for(small: Machine) -> None:
    """As where the disk of the output is away for a while."""
    folder, away = small.output.parent, small.work / "away"
    with small.running(*RUN) as running:
        running.scans()
        folder.rename(away)
        write(small.work / LORAS / "new.safetensors", "new")
        running.wait_for(lambda: " ERROR " in running.log(), "a word about the folder")
        away.rename(folder)
        running.wait_for(small.changes, "the change list to be written again")
        running.scans(2)
        assert told(small.changes()) == [("created", f"{LORAS}/new.safetensors")]
        assert str(small.work / LORAS / "new.safetensors") in small.inventory()
        assert running.stop() == 0, running.log()
    assert "Traceback" not in running.log()
    assert small.run("scan", *RUN[1:3], *RUN[5:], "--exit-code").returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of a running program")
def test_full_disk_is_told_and_made_up_for(small: Machine) -> None:
    """A limit on the size of files does what a full disk does: what is written breaks off."""
    import resource

    with small.running(*RUN) as running:
        running.scans()
        pid = running.process.pid
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        whole = small.journal.read_bytes()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (len(whole) + 100, unlimited[1]))
        for number in range(10):
            write(small.work / LORAS / f"new{number}.safetensors", f"new {number}")
        running.wait_for(lambda: " ERROR " in running.log(), "a word about the disk")
        assert small.journal.read_bytes().startswith(whole)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        running.wait_for(small.changes, "the change list to be written again")
        running.scans(2)
        assert told(small.changes()) == [
            ("created", f"{LORAS}/new{number}.safetensors") for number in range(10)
        ]
        assert running.stop() == 0, running.log()
    assert small.inventory().items() >= walked(small.work / LORAS).items()
    assert "Traceback" not in running.log()
