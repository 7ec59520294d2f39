"""The program in a child, for outputs on a mount that may hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scanner.console.apart import NeedsChildError, need_child
from tests.support.machine import CHECKOUT, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

PARENT = """
import sys
import scanner.disk.child
from scanner.console.apart import run_apart
from scanner.errors import OutputError

scanner.disk.child.child_command = lambda code, *argv: [sys.executable, "-c", *argv]
try:
    code = run_apart(sys.argv[1:])
except OutputError as error:
    print(error)
    code = error.exit_code
sys.exit(code)
"""

CHILD = """
import os, signal, sys, time
from scanner.console.apart import end_with_parent, need_child
need_child(True)
end_with_parent()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
signal.signal(signal.SIGINT, lambda *_: sys.exit(8))
print(os.getpid(), flush=True)
"""


@contextmanager
def running(child: str, after: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The parent, which does what `after` says when its child has ended, and the child's number."""
    script = PARENT.replace("sys.exit(code)", f"{after}\nsys.exit(code)")
    parent = subprocess.Popen(
        [sys.executable, "-c", script, CHILD + child],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    number = 0
    try:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        yield parent, number
    finally:
        parent.kill()
        parent.wait()
        assert parent.stdout is not None
        parent.stdout.close()
        if number and is_alive(number):
            os.kill(number, signal.SIGKILL)


def is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("child", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_the_exit_code_is_that_of_the_child(child: str, code: int) -> None:
    with running(child) as (parent, _):
        assert parent.wait(10) == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 7), (signal.SIGINT, 8)])
def test_a_signal_is_passed_on_and_the_child_ends_in_order(number: int, code: int) -> None:
    with running("time.sleep(60)") as (parent, _):
        parent.send_signal(number)
        assert parent.wait(5) == code


def test_after_the_child_signals_mean_what_they_did_before() -> None:
    """No alarm of the wait for its end goes off later."""
    after = (
        "import signal, time; time.sleep(1.6); "
        "print(*(int(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGALRM)))"
    )
    with running("time.sleep(60)", after) as (parent, _):
        parent.send_signal(signal.SIGTERM)
        assert parent.stdout is not None
        assert parent.stdout.read().split() == [str(int(signal.SIG_DFL))] * 2
        assert parent.wait(5) == 7


def test_a_child_that_hangs_is_left_behind_in_time() -> None:
    with running("time.sleep(60)") as (parent, child):
        os.kill(child, signal.SIGSTOP)  # nothing but SIGKILL reaches it
        started = time.monotonic()
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(5) == 5
        assert time.monotonic() - started < 2.5
        assert parent.stdout is not None
        assert "does not answer" in parent.stdout.read()
        # It was told to end as soon as the mount lets it.
        wait_for(lambda: not is_alive(child), "the end of the child", 10)


def test_what_the_child_starts_is_no_child_of_this_kind() -> None:
    """It would hold the pipe for its own, and take itself for the one that writes."""
    with running("sys.exit(5 if '_COMFY_INVENTORY_PARENT' in os.environ else 0)") as (parent, _):
        assert parent.wait(10) == 0


def test_no_child_outlives_a_parent_that_was_killed() -> None:
    with running("time.sleep(60)") as (parent, child):
        parent.kill()
        parent.wait()
        wait_for(lambda: not is_alive(child), "the end of the child", 10)


def test_only_outputs_that_may_hang_need_a_child() -> None:
    need_child(False)
    with pytest.raises(NeedsChildError):
        need_child(True)
