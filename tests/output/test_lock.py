"""Only one process holds the lock of an output, and it ends with that process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from scanner.output.lock import LockHeldError, locked
from tests.support.machine import CHECKOUT, PATIENCE


def test_lock_is_held_against_every_other_program(tmp_path: Path) -> None:
    path = str(tmp_path / "i.lock")
    with locked(path):
        with pytest.raises(LockHeldError), locked(path):
            raise AssertionError("two hold it")
        with pytest.raises(Timeout):
            FileLock(path).acquire(timeout=0)
    with FileLock(path), pytest.raises(LockHeldError), locked(path):
        raise AssertionError("two hold it")
    with locked(path):
        pass
    assert os.path.exists(path), "all wait for the same file"


def test_lock_is_released_by_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "i.lock")
    with pytest.raises(KeyError), locked(path):
        raise KeyError
    with locked(path):
        pass


def test_lock_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "i.lock")
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(path):
            held.set()
            let_go.wait(PATIENCE)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(PATIENCE)
    threading.Timer(0.05, let_go.set).start()
    with locked(path, PATIENCE):
        assert let_go.is_set()
    other.join()


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed")
def test_lock_ends_with_the_process_however_that_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "i.lock")
    code = (
        "import sys, time\n"
        "from scanner.output.lock import locked\n"
        "with locked(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeldError), locked(path):
            raise AssertionError("two hold it")
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
    with locked(path, PATIENCE):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    """Whoever may write to the folder could have us open, or make, a file of another."""
    (tmp_path / "i.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"i\.lock"), locked(str(tmp_path / "i.lock")):
        raise AssertionError("it was taken")
    assert not (tmp_path / "elsewhere").exists()
