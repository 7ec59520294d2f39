"""Standard streams that are closed, full, stuck, or lost their reader."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.installation import LORAS
from tests.support.machine import Machine, wait_for, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and a shell")

COMMANDS = (
    "scan", "scan --json", "scan --exit-code", "status", "changes", "find", "packs", "duplicates",
    "roots", "doctor ComfyUI/models", "config show", "hash", "verify", "--help",
)  # fmt: skip
STREAMS = {
    "stderr closed": "2>&-",
    "stdout closed": ">&-",
    "all closed": "<&- >&- 2>&-",
    "stderr full": "2>/dev/full",
    "stderr without reader": "2>&WRITER",
}


def run(machine: Machine, command: str, streams: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program in a shell with `streams`, where WRITER is a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    line = f'exec "$0" -m scanner {command} {streams.replace("WRITER", str(writer))}'
    try:
        return subprocess.run(
            ["bash", "-c", line, sys.executable],
            cwd=machine.work,
            env=machine.environ,
            capture_output=True,
            timeout=60,
            pass_fds=(writer,),
            check=False,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_minds_closed_or_full_streams(scanned: Machine, command: str) -> None:
    for name, streams in STREAMS.items():
        done = run(scanned, command, streams)
        shown = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, (name, done.returncode, shown)
        assert "Traceback" not in shown, (name, shown)


def test_nothing_of_a_closed_stream_ends_in_an_output(scanned: Machine) -> None:
    write(scanned.work / LORAS / "new.safetensors", "new")
    run(scanned, "scan --log-level debug", STREAMS["all closed"])
    assert scanned.changes()[-1]["path"].endswith("new.safetensors")
    for path in scanned.work.glob("comfy_inventory.*"):
        assert b"created ComfyUI" not in path.read_bytes(), path


def test_a_full_log_file_is_one_sentence(scanned: Machine) -> None:
    done = scanned.run("scan", "--log-level", "debug", "--log-file", "/dev/full")
    assert done.stderr.count("log_file: /dev/full cannot be written: No space left") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_log_that_nobody_reads_stops_neither_scans_nor_the_end(scanned: Machine) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "scanner", "run", "--every", "1s", "--log-level", "debug"],
        cwd=scanned.work, env=scanned.environ, stdout=writer, stderr=writer,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: scanned.status()["pid"] == process.pid, "the first scan")
        write(scanned.work / LORAS / "late.safetensors", "late")
        wait_for(lambda: "late.safetensors" in scanned.journal.read_text(), "the late file")
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
        os.close(writer)
        os.close(reader)
