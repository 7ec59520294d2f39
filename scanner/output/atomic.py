"""Files that readers only ever see whole (design rule 10)."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, BinaryIO

from scanner.errors import OutputError

_BUFFER = 1 << 18

_BY_KERNEL = 1 << 16
"""Bytes from which on a copy is left to the kernel: below, two more system calls cost more."""

_PIECE = 1 << 20

_LARGE = 1 << 24
"""Bytes of a file whose freeing is worth a thread."""

_SHARING_ERRORS = frozenset((5, 32, 33))
"""Windows' access denied, sharing violation and lock violation: what os.replace meets while a
reader, a virus scanner or the indexer holds the file."""

_RETRY_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.5, 0.5)
"""Seconds between tries, 1.75 in all: longer than a reader holds a file of some hundred MB open,
shorter than the two seconds in which the program must end."""

_NO_SYNC = frozenset(
    getattr(errno, name)
    for name in ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOTTY", "EBADF")
    if hasattr(errno, name)
)
"""How file systems (9p, some FUSE and SMB ones) say that they have no fsync at all."""

_NO_COPY = frozenset(
    getattr(errno, name)
    for name in ("EXDEV", "EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EPERM", "EBADF")
    if hasattr(errno, name)
)
"""How kernels and file systems say that they cannot copy by themselves."""


class AtomicFile:
    """A binary file that replaces `path` when the block ends, or leaves it as it was.

    1. A hidden temporary file is made in the same folder, since a rename is atomic only there.
    2. `write` appends to it through a buffer.
    3. At the end of the block it is flushed, forced to the disk, closed, and put in the place of
       `path`; then the folder is forced to the disk, so that the new name survives a power cut.
    4. If anything failed, the temporary file is deleted and `path` is untouched.

    The mode of the file that is replaced is kept; a link is followed, so that it stays a link.
    Raises OutputError, with the reason in one sentence, for every OSError of its own.
    """

    def __init__(self, path: str | os.PathLike[str], *, frees_later: bool = False) -> None:
        """`frees_later`: a large file that is replaced is freed by a thread of its own. Not for
        remote mounts, which do not let go of a file that is open, or do not let it be replaced."""
        self.path = os.fspath(path)
        self._frees_later = frees_later
        self._target = _behind_link(self.path)
        self._temporary = ""
        self._file: IO[bytes] | None = None

    def __enter__(self) -> AtomicFile:
        folder, name = os.path.split(self._target)
        self._temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            # Not tempfile, whose 0600 would hide a new inventory from the programs that read it.
            self._file = open(os.open(self._temporary, flags, 0o666), "wb", buffering=_BUFFER)
        except OSError as error:
            raise cannot("write", self.path, error) from error
        try:
            self._keep_mode()
        except OSError as error:
            self._discard()
            raise cannot("write", self.path, error) from error
        return self

    def write(self, data: bytes) -> None:
        """Append `data` to what will be the new content."""
        assert self._file is not None, "write outside the block"
        try:
            self._file.write(data)
        except OSError as error:
            raise cannot("write", self.path, error) from error

    def copy(self, source: BinaryIO, start: int, length: int) -> None:
        """Append `length` bytes of `source` from `start`; by the kernel alone where it can.

        OutputError also where `source` ends before that.
        """
        assert self._file is not None, "copy outside the block"
        try:
            copied = 0
            if length >= _BY_KERNEL:
                self._file.flush()
                copied = _copy_range(source.fileno(), self._file.fileno(), start, length)
            while copied < length:
                source.seek(start + copied)
                piece = source.read(min(_PIECE, length - copied))
                if not piece:
                    raise OSError(errno.EIO, "the file to copy from has become shorter")
                self._file.write(piece)
                copied += len(piece)
        except OSError as error:
            raise cannot("write", self.path, error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            self._commit()
        except OSError as failure:
            self._discard()
            raise cannot("write", self.path, failure) from failure
        except BaseException:
            self._discard()
            raise

    def _commit(self) -> None:
        assert self._file is not None
        self._file.flush()
        self._force(self._file.fileno())
        self._file.close()
        replaced = _hold(self._target) if self._frees_later else None
        try:
            patiently(lambda: os.replace(self._temporary, self._target))
            self._force_folder(os.path.dirname(self._target))
        finally:
            if replaced is not None:
                threading.Thread(target=os.close, args=(replaced,), daemon=True).start()

    def _force(self, descriptor: int) -> None:
        sync_file(descriptor)

    def _force_folder(self, folder: str) -> None:
        sync_folder(folder)

    def _keep_mode(self) -> None:
        """Give the temporary file the mode of the file that it will replace."""
        if sys.platform == "win32":
            return  # The only bit there is read-only, and such a file cannot be replaced anyway.
        assert self._file is not None
        try:
            mode = stat.S_IMODE(os.stat(self._target).st_mode)
        except FileNotFoundError:
            return
        try:
            os.fchmod(self._file.fileno(), mode)
        except PermissionError:
            pass  # file systems without modes (FAT, some SMB mounts): there is none to keep

    def _discard(self) -> None:
        # What is thrown away may fail to be flushed or deleted (the same full or lost disk that
        # made the write fail): that first failure is the one to report, and remove_leftovers
        # deletes the file at the next start.
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass
        try:
            os.unlink(self._temporary)
        except OSError:
            pass  # also where the replace was done and only what came after it failed


def _hold(path: str) -> int | None:
    """A descriptor of the file at `path`, where it is large and may be replaced while it is open.

    Freeing some hundred MB takes a third of the time of writing them. While somebody holds the
    file, replacing it frees nothing; that happens when the descriptor is closed.
    """
    if sys.platform == "win32":
        return None
    try:
        if os.path.getsize(path) < _LARGE:
            return None
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None  # none there yet, or not readable: it is freed at once


def _copy_range(source: int, target: int, start: int, length: int) -> int:
    """Copy in the kernel, to where `target` stands, which moves on; how many bytes that did.

    Fewer, down to none, where the systems or the file systems do not have it.
    """
    copied = 0
    if sys.platform == "linux":
        try:
            while copied < length:
                count = os.copy_file_range(source, target, length - copied, start + copied)
                if not count:
                    break
                copied += count
        except OSError as error:
            if error.errno not in _NO_COPY:
                raise
    return copied


class VolatileFile(AtomicFile):
    """The same for what may be lost in a power cut: whole for readers, not forced to the disk."""

    def _force(self, descriptor: int) -> None:
        pass

    def _force_folder(self, folder: str) -> None:
        pass


def remove_leftovers(path: str | os.PathLike[str]) -> int:
    """Delete the temporary files of writers of `path` that crashed; how many were deleted.

    To be called only where no other instance writes `path`.
    """
    folder, name = os.path.split(_behind_link(os.fspath(path)))
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.tmp")
    removed = 0
    try:
        found = [other for other in os.listdir(folder or os.curdir) if pattern.fullmatch(other)]
    except OSError:
        return 0  # A folder that cannot be listed: the write that follows says why.
    for other in found:
        try:
            os.unlink(os.path.join(folder, other))
            removed += 1
        except OSError:
            pass  # a hidden file that cannot be deleted costs space and nothing else
    return removed


def sync_file(descriptor: int) -> None:
    """Force what was written to an open file to the disk. OSError where that fails.

    macOS keeps data in the drive's cache after fsync; F_FULLFSYNC there, where the file system
    has it (network file systems do not).
    """
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Where there is no fsync, nothing is safer than what was done; EIO and ENOSPC are real.
        if error.errno not in _NO_SYNC:
            raise


def sync_folder(folder: str) -> None:
    """Force the names in `folder` to the disk; nothing on Windows, where folders have no fsync."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder or os.curdir, os.O_RDONLY)
    except PermissionError:
        return  # A folder may be writable and not readable; its names then last as they may.
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def patiently(action: Callable[[], None]) -> None:
    """Do `action`, again for up to 1.75 s while another program on Windows holds the file."""
    for delay in _RETRY_DELAYS:
        try:
            action()
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in _SHARING_ERRORS:
                raise
        time.sleep(delay)
    action()


def cannot(verb: str, path: str, error: OSError) -> OutputError:
    """The sentence for an output that the operating system refused."""
    reason = error.strerror or str(error) or type(error).__name__
    # A path may hold bytes that no terminal or log can encode.
    text = f"cannot {verb} {path}: {reason}"
    return OutputError(text.encode("utf-8", "replace").decode("utf-8"))


def _behind_link(path: str) -> str:
    return os.path.realpath(path) if os.path.islink(path) else path
