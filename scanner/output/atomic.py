"""Files that are replaced as a whole (rule 10, readers see a whole file)."""

from __future__ import annotations

import _thread
import errno
import itertools
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import IO, BinaryIO, Self

from scanner.errors import OutputError
from scanner.output.regular_files import followed
from scanner.output.write_back import STRIDE, begin_write_back

_BUFFER = 1 << 18

LEAST_BY_KERNEL = 1 << 16
"""Smallest copy that is left to the kernel: below, two more system calls cost more."""

_PIECE = 1 << 20

_LARGE = 1 << 16
"""Smallest file whose blocks are freed by a separate thread, in bytes. To replace a file of 2 MB
took 1.2 ms on ext4, and 0.4 ms where a thread freed the old one; of 0.6 MB 0.27 and 0.1."""

_SHARING_ERRORS = frozenset((5, 32, 33))
"""Access denied, sharing violation and lock violation on Windows: os.replace raises them while
a reader, a virus scanner or the indexer has the file open."""

_RETRY_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.5, 0.5)
"""Seconds between attempts, 1.75 in total: longer than a reader keeps a file of some hundred MB
open, shorter than the two seconds in which the program must end."""

_NO_SYNC = frozenset(
    getattr(errno, name)
    for name in ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOTTY", "EBADF")
    if hasattr(errno, name)
)
"""Errors of file systems without fsync (9p, some FUSE and SMB ones)."""

_NO_COPY = frozenset(
    getattr(errno, name)
    for name in ("EXDEV", "EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EPERM", "EBADF")
    if hasattr(errno, name)
)
"""Errors of kernels and file systems that cannot copy by themselves."""


class AtomicFile:
    """A binary file that replaces `path` at the end of the block, or leaves it unchanged.

    1. A hidden temporary file is created in the same folder, because only there a rename is atomic.
    2. `write` appends to it through a buffer. The disk begins to write a large one meanwhile.
    3. At the end of the block it is flushed, fsynced, closed, and renamed to `path`. Then the
       folder is fsynced, so that the new name survives a power cut.
    4. After any failure the temporary file is deleted and `path` is unchanged.

    The mode of the replaced file is kept. A link is followed, so that it stays a link (but see
    `followed`).
    Every OSError is raised as OutputError, with the reason in one sentence.
    """

    def __init__(self, path: str | os.PathLike[str], *, frees_later: bool = False) -> None:
        """`frees_later`: a separate thread frees the blocks of a large replaced file.

        Not for remote mounts, which keep an open file or refuse to replace it.
        """
        self.path = os.fspath(path)
        self._frees_later = frees_later
        self._target = self.path
        self._temporary = ""
        self._file: IO[bytes] | None = None
        self._size = 0
        self._begun = 0
        """Bytes that the disk was asked to write."""

    def __enter__(self) -> Self:
        self._target = replaceable(self.path)
        folder, name = os.path.split(self._target)
        self._temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            # Not tempfile: its mode 0600 would hide a new inventory from other programs.
            self._file = open(os.open(self._temporary, flags, 0o666), "wb", buffering=_BUFFER)
        except OSError as error:
            raise cannot("write", self.path, error) from error
        try:
            self._keep_mode()
        except OSError as error:
            self._discard()
            raise cannot("write", self.path, error) from error
        return self

    @property
    def temporary(self) -> str:
        """Path of the new content, for a library that writes to a path. It must write this very
        file, and close it before the block ends."""
        return self._temporary

    def write(self, data: bytes) -> None:
        """Append `data` to the new content."""
        assert self._file is not None, "write outside the block"
        try:
            self._file.write(data)
            self._grow(len(data))
        except OSError as error:
            raise cannot("write", self.path, error) from error

    def copy(self, source: BinaryIO, start: int, length: int) -> None:
        """Append `length` bytes of `source` from `start`; the kernel copies them if it can.

        Raises OutputError also if `source` is shorter.
        """
        assert self._file is not None, "copy outside the block"
        try:
            copied = 0
            if length >= LEAST_BY_KERNEL:
                self._file.flush()
                copied = self._copy_range(source.fileno(), start, length)
            while copied < length:
                source.seek(start + copied)
                piece = source.read(min(_PIECE, length - copied))
                if not piece:
                    raise OSError(errno.EIO, "the file to copy from has become shorter")
                self._file.write(piece)
                self._grow(len(piece))
                copied += len(piece)
        except OSError as error:
            raise cannot("write", self.path, error) from error

    def _copy_range(self, source: int, start: int, length: int) -> int:
        """Copy in the kernel. Returns the number of copied bytes.

        That is less than `length`, or 0, if the system or a file system does not support it.
        """
        assert self._file is not None
        copied = 0
        while copied < length:
            wanted = min(STRIDE, length - copied)
            count = _copy_range(source, self._file.fileno(), start + copied, wanted)
            copied += count
            self._grow(count)
            if count < wanted:
                break
        return copied

    def _grow(self, size: int) -> None:
        """Note that `size` bytes were appended. Of a large file the disk writes the first ones
        while the next ones are made."""
        assert self._file is not None
        self._size += size
        if self._size - self._begun >= STRIDE:
            self._file.flush()
            self._begin(self._file.fileno(), self._begun, self._size - self._begun)
            self._begun = self._size

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
        replaced = _keep_open(self._target) if self._frees_later else None
        try:
            patiently(lambda: os.replace(self._temporary, self._target))
            self._force_folder(os.path.dirname(self._target))
        finally:
            _close_later(replaced)

    def _begin(self, descriptor: int, start: int, length: int) -> None:
        begin_write_back(descriptor, start, length)

    def _force(self, descriptor: int) -> None:
        sync_file(descriptor)

    def _force_folder(self, folder: str) -> None:
        sync_folder(folder)

    def _keep_mode(self) -> None:
        """Give the temporary file the mode, and as root the owner, of the file that it replaces."""
        if sys.platform == "win32":
            return  # The only mode bit is read-only, and such a file cannot be replaced.
        assert self._file is not None
        try:
            old = os.stat(self._target)
        except FileNotFoundError:
            return
        descriptor = self._file.fileno()
        if os.geteuid() == 0:
            # Else a scan by root would take the file from the user who scans at other times.
            with suppress(OSError):  # file systems without owners
                os.fchown(descriptor, old.st_uid, old.st_gid)
        try:
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
        except PermissionError:
            pass  # file systems without modes (FAT, some SMB mounts)

    def _discard(self) -> None:
        # Closing or deleting may fail for the same reason as the write, such as a full disk. The
        # first failure is the one to report, and remove_leftovers deletes the file at the next
        # start.
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass
        try:
            os.unlink(self._temporary)
        except OSError:
            pass  # also after a rename, if only a later step failed


def _keep_open(path: str) -> int | None:
    """A descriptor of the file at `path` if it is large and can be replaced while it is open.

    Freeing some hundred MB takes a third of the time of writing them. Replacing an open file frees
    nothing; its blocks are freed when the descriptor is closed.
    """
    if sys.platform == "win32":
        return None
    try:
        if os.path.getsize(path) < _LARGE:
            return None
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None  # missing or not readable: its blocks are freed at once


def _close_later(descriptor: int | None) -> None:
    if descriptor is not None:
        # Not `threading`: its threads are waited for until they have begun.
        _thread.start_new_thread(os.close, (descriptor,))


def remove(path: str, *, frees_later: bool = False) -> None:
    """Delete a file; with `frees_later` as `AtomicFile` has it. Raises OSError."""
    kept = _keep_open(path) if frees_later else None
    try:
        os.unlink(path)
    finally:
        _close_later(kept)


def _copy_range(source: int, target: int, start: int, length: int) -> int:
    """Copy in the kernel to the present position of `target`. Returns the number of copied bytes.

    That is less than `length`, or 0, if the system or a file system does not support it.
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
    """The same without fsync, for content that may be lost in a power cut."""

    def _begin(self, descriptor: int, start: int, length: int) -> None:
        pass

    def _force(self, descriptor: int) -> None:
        pass

    def _force_folder(self, folder: str) -> None:
        pass


def remove_leftovers(path: str | os.PathLike[str]) -> int:
    """Delete the temporary files of crashed writers of `path`. Returns the number of deleted files.

    Call it only if no other instance writes `path`.
    """
    folder, name = os.path.split(replaceable(os.fspath(path)))
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.tmp")
    removed = 0
    try:
        leftovers = [other for other in os.listdir(folder or os.curdir) if pattern.fullmatch(other)]
    except OSError:
        return 0  # The folder cannot be listed: the write that follows reports the reason.
    for other in leftovers:
        try:
            os.unlink(os.path.join(folder, other))
            removed += 1
        except OSError:
            pass  # a remaining hidden file costs only space
    return removed


def sync_file(descriptor: int) -> None:
    """Force the content of an open file to the disk. Raises OSError.

    macOS keeps data in the drive's cache after fsync, so F_FULLFSYNC is used there if the file
    system has it (network file systems do not).
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
        # Without fsync nothing more can be done. EIO and ENOSPC are real errors.
        if error.errno not in _NO_SYNC:
            raise


def sync_folder(folder: str) -> None:
    """Force the names in `folder` to the disk. On Windows folders have no fsync."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder or os.curdir, os.O_RDONLY)
    except PermissionError:
        return  # A folder may be writable and not readable: no fsync is possible then.
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def patiently(action: Callable[[], None]) -> None:
    """Run `action`; on Windows retry for up to 1.75 s while another program has the file open."""
    for delay in _RETRY_DELAYS:
        try:
            action()
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in _SHARING_ERRORS:
                raise
        time.sleep(delay)
    action()


def free_name_beside(path: str) -> str:
    """A free name for the damaged file at `path`, or for a damaged part of it."""
    aside = f"{path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([aside], (f"{aside}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not os.path.lexists(name))


def cannot(verb: str, path: str, error: OSError) -> OutputError:
    """The error for an output that the operating system refused."""
    reason = error.strerror or str(error) or type(error).__name__
    # A path may hold bytes that no terminal or log can encode.
    text = f"cannot {verb} {path}: {reason}"
    return OutputError(text.encode("utf-8", "replace").decode("utf-8"))


def replaceable(path: str) -> str:
    """`path` with its links followed, where a regular file is or nothing. Raises OutputError."""
    try:
        target = followed(path)
        if not stat.S_ISREG(os.lstat(target).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise cannot("write", path, error) from error
    return target
