"""Starting a Python process that may hang on a mount (rule 3, a hang stops nothing)."""

from __future__ import annotations

import os
import subprocess
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder that holds the package `scanner`."""

_FOLDER = os.path.abspath(os.sep)
"""Where a child works: no mount that may go is its working directory."""


def start_child(
    code: str, *arguments: str, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Run `code` with `arguments` as `sys.argv[1:]` in a new process, started by exec.

    The child holds no lock, no file and no working directory of ours, since a process that hangs
    in the kernel keeps what it holds. It imports the same modules as this process, and nothing
    from a folder that it happens to work in. Its output comes through a pipe, its errors are lost.
    Ctrl-C does not reach it. Raises OSError.
    """
    return subprocess.Popen(
        child_command(code, *arguments),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_FOLDER,
        start_new_session=True,
    )


def child_command(code: str, *arguments: str) -> list[str]:
    """The command that runs `code` in a process with the same modules as this one."""
    # Not with -m: there the classes of messages would be those of __main__.
    return [
        sys.executable, "-P", "-c", f"import sys; sys.path[:] = {_paths()}; {code}", *arguments
    ]  # fmt: skip


def _paths() -> str:
    """This process's module path as a literal. As PYTHONPATH it would stand before the standard
    library, which modules of the same name in site-packages would then replace."""
    paths = [os.path.abspath(path) for path in sys.path if path]
    if _PACKAGE not in paths:
        paths.insert(0, _PACKAGE)
    return ascii(paths)
