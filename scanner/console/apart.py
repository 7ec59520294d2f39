"""Running the program in a child, for outputs on a mount that may hang.

A process with a thread in a call on a hung mount cannot end, not even by SIGKILL. Its parent can.
So a command that writes to such a mount runs in a child from its beginning, and the parent, which
touches nothing there, ends within 2 s of SIGTERM (rule 3, a hang stops nothing). The child ends as
soon as the mount answers. The state is on a local disk and holds all that was not written.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from scanner.core.wording import NOT_WRITTEN
from scanner.errors import OutputError

PATIENCE = 1.4
"""Seconds that a child has to end after a signal."""

_PIPE = "_COMFY_INVENTORY_PARENT"
"""Environment variable of a child: the descriptor of a pipe that ends with its parent."""


class NeedsChildError(Exception):
    """The command has to be run by `run_apart`. Raised before anything is touched."""


class _TooLateError(Exception):
    """The child has not ended in time."""


def need_child(may_hang: bool) -> None:
    """Raise NeedsChildError if outputs `may_hang`, unless this process is the child."""
    if may_hang and sys.platform != "win32" and _PIPE not in os.environ:
        raise NeedsChildError


def end_with_parent() -> None:
    """In a child, end at once when the parent has ended. Elsewhere do nothing."""
    text = os.environ.pop(_PIPE, "")  # for this process only
    if text.isdecimal():
        threading.Thread(target=_watch, args=(int(text),), name="parent", daemon=True).start()


def _watch(pipe: int) -> None:
    try:
        while os.read(pipe, 1):
            pass
    except OSError:
        return  # no pipe of a parent of ours
    os._exit(1)


def run_apart(argv: Sequence[str]) -> int:
    """Run the command line `argv` in a child. The exit code.

    Signals are passed on. Raises OutputError if the child does not end in time then.
    """
    import subprocess

    from scanner.disk.child import child_command

    reader, writer = os.pipe()
    child = subprocess.Popen(
        child_command("from scanner.cli import main; sys.exit(main(sys.argv[1:]))", *argv),
        env={**os.environ, _PIPE: str(reader)},
        pass_fds=(reader,),
    )
    os.close(reader)

    def pass_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def give_up(number: int, frame: FrameType | None) -> None:
        raise _TooLateError

    handlers = {signal.SIGINT: pass_on, signal.SIGTERM: pass_on, signal.SIGALRM: give_up}
    old = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        code = child.wait()
    except _TooLateError:
        child.kill()
        child.returncode = -signal.SIGKILL  # nobody waits for it any more
        raise OutputError(NOT_WRITTEN) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in old.items():
            signal.signal(number, handler)
        os.close(writer)
    return code if code >= 0 else 128 - code
