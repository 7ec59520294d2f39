"""What a process costs: seconds, processor seconds and memory, told by the operating system.

Steps of a process that lives on are measured by itself: it reads one JSON message a line from
stdin and answers with one on stdout (`serve`, and `Worker` on the other side).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

OTHERS = ("COMFY_INVENTORY_", "RCLONE", "PYTHONDONTWRITEBYTECODE")
"""Beginnings of variables that what is measured must not see."""

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class BenchmarkError(Exception):
    """What is to be measured did not do what it should; the text says so in one sentence."""


@dataclass(frozen=True)
class Cost:
    """What one run took. None where this system does not tell (Windows)."""

    wall: float
    """Elapsed seconds."""
    cpu: float | None = None
    """Seconds of processor time, user and system."""
    peak_mb: float | None = None
    """Most resident memory, in MB of a million bytes."""
    is_bound: bool = False
    """Whether `peak_mb` is only an upper bound: Linux counts a child from the memory of the
    process that started it, so less than that cannot be seen."""


def environment(home: str, **settings: str) -> dict[str, str]:
    """Variables for what is measured: neither the settings nor the ComfyUI of the person who
    measures may slip in. `settings` are those of the program, by name.

    Modules are compiled once, as where a program is installed, also where the variable that
    forbids it is set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OTHERS)}
    own = {f"COMFY_INVENTORY_{name.upper()}": value for name, value in settings.items()}
    return kept | own | {"PYTHONPATH": CHECKOUT, "HOME": home, "XDG_CONFIG_HOME": home}


def peak_mb() -> float | None:
    """Most resident memory of this process so far, in MB; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    return _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def cpu_seconds() -> float:
    """Processor seconds of this process, and of its children that have ended: helpers of a walk
    end with it."""
    if sys.platform == "win32":
        return time.process_time()
    import resource

    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _megabytes(ru_maxrss: int) -> float:
    return ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def wait(process: subprocess.Popen[Any], started: float) -> Cost:
    """Wait for the end of `process`, which began at `started` by `time.perf_counter`."""
    if sys.platform == "win32":
        process.wait()
        return Cost(time.perf_counter() - started)
    floor = peak_mb() or 0.0
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = _megabytes(used.ru_maxrss)
    return Cost(wall, used.ru_utime + used.ru_stime, peak, peak <= floor * 1.02)


def run(command: Sequence[str], environ: Mapping[str, str], cwd: str) -> tuple[Cost, bytes]:
    """Run `command` to its end: what it cost, and its output. Raises BenchmarkError."""
    with tempfile.TemporaryFile() as out:
        return _run(command, environ, cwd, out), _text(out)


def run_to_null(command: Sequence[str], environ: Mapping[str, str], cwd: str) -> Cost:
    """Run `command` to its end, its output thrown away. Raises BenchmarkError."""
    with open(os.devnull, "wb") as out:
        return _run(command, environ, cwd, out)


def _run(command: Sequence[str], environ: Mapping[str, str], cwd: str, out: IO[bytes]) -> Cost:
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=dict(environ), cwd=cwd)
        cost = wait(process, started)
        if process.returncode:
            raise BenchmarkError(_ended(command, process.returncode, errors))
    return cost


def _ended(command: Sequence[str], code: int | None, errors: IO[bytes]) -> str:
    said = os.fsdecode(_text(errors)).strip().splitlines()
    return f"{' '.join(command[:4])} ... ended with {code}: {said[-1] if said else 'no word'}"


def _text(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


class Worker:
    """A process that lives on and does one step after the other (the far side is `serve`)."""

    def __init__(self, module: str, arguments: Sequence[str], home: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(home),
            cwd=home,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, step: str, **arguments: object) -> dict[str, Any]:
        """Have one step done; its answer. Raises BenchmarkError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": step, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            raise BenchmarkError(_ended(self._command, self._process.returncode, self._errors))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> Cost:
        """Let it end; what it cost over all. A second call does nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        cost = Cost(0.0)
        if self._process.returncode is None:
            cost = wait(self._process, self._started)
        self._process.stdout.close()
        self._errors.close()
        return cost


def serve(steps: Mapping[str, Callable[..., dict[str, Any]]]) -> None:
    """Do the steps that stdin asks for until it ends; each answer holds what the step cost."""
    for line in sys.stdin:
        message = json.loads(line)
        step = steps[message.pop("do")]
        wall, cpu = time.perf_counter(), cpu_seconds()
        answer = step(**message)
        cost = {"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}
        # What a step says of its own time holds: it may have prepared something before.
        print(json.dumps({**cost, "peak_mb": peak_mb(), **answer}), flush=True)


def cost_of(answer: Mapping[str, Any]) -> Cost:
    """The cost that a worker's answer tells."""
    return Cost(answer["wall"], answer["cpu"], answer["peak_mb"])
