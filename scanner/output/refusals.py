"""Which files may be written. What is not ours is refused before anything is opened or replaced."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable
from itertools import combinations

from scanner.core.serialize import printable
from scanner.errors import OutputError
from scanner.output.file_names import Outputs
from scanner.output.journal_files import generations
from scanner.output.regular_files import followed, opening_regular

_HEAD = 256
"""Bytes from the start of a file that show who wrote it."""

_MOST_ZEROS = 1 << 30
"""No file of ours of zeros is larger, in bytes."""

_TOOL = b'"comfy-inventory"'

_DOCUMENT = (b'{"schema":', b'{\n  "schema":')

_CHANGE = (b'{"scan":',)

_DAY = (b'{"day":',)

_LOG_LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+ ")

_RESERVED = re.compile(
    r".*\.(?:lock|state\.sqlite(?:-wal|-shm|-journal)?|status\.json|history\.jsonl"
    r"|changes(?:\.\d+)?\.jsonl)",
    re.DOTALL,
)
"""Names that stand for something else next to the inventory of some `--output`."""


def refuse_outputs(outputs: Outputs, written: Callable[[], Collection[str]]) -> None:
    """Raise OutputError if a file that would be written is not ours, or cannot be one of ours.

    A file must be missing, empty, begin like ours, or be in `written`: the files that the state
    knows as written by this program, damaged or not. `written` is called only if it is needed.
    Nothing is changed.
    """
    refuse_name(outputs.inventory)
    paths = [*_replaced(outputs), outputs.state]
    _refuse_twins([*paths, *([outputs.log_file] if outputs.log_file else [])])
    for path in paths:
        refuse_kind(path)
    for path in _companions(outputs):
        refuse_kind(path, follows=False)
    foreign = [path for path in _replaced(outputs) if not is_ours(outputs, path)]
    if not foreign:
        return
    known = written()
    for path in foreign:
        if path not in known:
            raise OutputError(
                f"{printable(path)} was not written by this program: "
                "move it away, or choose another --output."
            )


def refuse_name(path: str) -> None:
    """Raise OutputError if `path` has the name of a lock, state, status, history or change list."""
    if _RESERVED.fullmatch(os.path.basename(path)):
        raise OutputError(
            f"{printable(path)} is the name of a lock, state, status, history or change list: "
            "choose another name."
        )


def refuse_log_file(outputs: Outputs) -> None:
    """Raise OutputError if lines of a log must not be appended to `outputs.log_file`."""
    path = outputs.log_file
    refuse_name(path)
    _refuse_twins([outputs.inventory, path])
    try:
        if stat.S_ISCHR(os.stat(followed(path)).st_mode):
            return  # /dev/null and terminals: nothing there can be destroyed
    except FileNotFoundError:
        return
    except OSError:
        pass  # refuse_kind finds the reason
    refuse_kind(path)
    head = _head(path).lstrip(b"\0")
    if head and not _LOG_LINE.match(head):
        raise OutputError(f"{printable(path)} is not a log of this program: choose another file.")


def refuse_kind(path: str, *, follows: bool = True) -> None:
    """Raise OutputError if there is something at `path` that is no regular file, or a link of
    another user leads to it (see `followed`). Without `follows` every link is refused."""
    try:
        status = os.lstat(followed(path) if follows else path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot write {printable(path)}: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(
            f"{printable(path)} is {_kind_text(status.st_mode)}, not a file: choose another path."
        )


def keep_damaged_inventory(outputs: Outputs) -> str:
    """Rename an inventory that does not begin like ours. Returns its new path, "" if it is whole.

    For an inventory that the state knows as ours, under the lock of the output. Raises OutputError.
    """
    path = outputs.inventory
    if is_ours(outputs, path):
        return ""
    aside = f"{path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        os.replace(path, aside)
    except OSError as error:
        raise OutputError(f"cannot write {printable(path)}: {error.strerror or error}") from error
    return aside


def is_ours(outputs: Outputs, path: str) -> bool:
    """True if the file at `path` is missing, empty, or begins like the one that we write there.

    Raises OutputError if it cannot be read.
    """
    head = _head(path)
    if path == outputs.lock:
        return not head
    if not head.strip(b"\0"):
        return _holds_zeros(path)  # after a power cut, blocks that were not written read so
    if path in (outputs.inventory, outputs.status):
        return _begins(head, _DOCUMENT) and (_TOOL in head or len(head) < _HEAD)
    return _begins(head, _DAY if path == outputs.history else _CHANGE)


def _replaced(outputs: Outputs) -> list[str]:
    """The files whose content shows whether they are ours."""
    rotated = (path for _, path in generations(outputs.journal) if path != outputs.journal)
    own = (outputs.inventory, outputs.journal, outputs.status, outputs.history, outputs.lock)
    return [*own, *rotated]


def _companions(outputs: Outputs) -> list[str]:
    """The files that SQLite puts next to the database."""
    return [outputs.state + ending for ending in ("-wal", "-shm", "-journal")]


def _begins(head: bytes, starts: Iterable[bytes]) -> bool:
    """True if `head` begins like one of `starts`, as far as it goes."""
    return any(head.startswith(start[: len(head)]) for start in starts)


def _head(path: str) -> bytes:
    try:
        with open(path, "rb", opener=opening_regular) as file:
            return file.read(_HEAD)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise OutputError(f"cannot read {printable(path)}: {error.strerror or error}") from error


def _holds_zeros(path: str) -> bool:
    """True if the file at `path` is missing, or nothing but zeros is in it."""
    try:
        with open(path, "rb", opener=opening_regular) as file:
            if os.fstat(file.fileno()).st_size > _MOST_ZEROS:
                return False
            return all(not part.strip(b"\0") for part in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return True
    except OSError as error:
        raise OutputError(f"cannot read {printable(path)}: {error.strerror or error}") from error


def _refuse_twins(paths: Iterable[str]) -> None:
    """Raise OutputError if two of `paths` are one file."""
    for one, other in combinations(paths, 2):
        is_same = os.path.normcase(one) == os.path.normcase(other)
        try:
            is_same = is_same or os.path.samefile(one, other)
        except OSError:
            pass  # one of them is missing
        if is_same:
            raise OutputError(
                f"{printable(one)} and {printable(other)} are one file, "
                "which cannot hold two things: choose another name."
            )


def _kind_text(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a link",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something special")
