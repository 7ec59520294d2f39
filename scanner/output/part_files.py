"""The files of the parts of an inventory: what stands there, what is written, what is removed."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO, NamedTuple

from xxhash import xxh3_128

from scanner.core.inventory_parts import Part, is_part_name, names_in, parts_folder
from scanner.core.serialize import printable
from scanner.errors import InventoryError, OutputError
from scanner.output.atomic import AtomicFile, cannot, remove
from scanner.output.inventory_pieces import SEPARATOR, OldText, OtherTextError
from scanner.output.inventory_text import END, SMALL_PART, parts_of
from scanner.output.inventory_writer import identity_of
from scanner.output.regular_files import followed, opening_regular

_TEMPORARY = "part"

_LEFTOVER = re.compile(rf"\.{_TEMPORARY}\.[0-9a-f]{{8}}\.tmp")

_PIECE = 1 << 20


class KnownPart(NamedTuple):
    """A part on the disk."""

    path: str
    part: Part
    identity: tuple[int, ...] | None
    """Its stat fields, if this process wrote it or has compared it."""


class OldPart(OldText):
    """The lines of a part on the disk, which is opened when they are needed first."""

    def __init__(self, known: KnownPart, header: bytes, stack: ExitStack) -> None:
        super().__init__(lambda: _opened(known, header, stack), len(header))
        self.length = known.part.bytes - len(header) - len(b"\n" + END) + len(SEPARATOR)
        """Bytes of its lines, with the separator that the last one does not have."""

    def stands(self, position: int, text: bytes) -> bool:
        """True if `text`, lines with their separators but for the last one's, stands at a place."""
        if position:
            text, position = SEPARATOR + text, position - len(SEPARATOR)
        if position + len(text) > self.length - len(SEPARATOR):
            return False
        try:
            return self.read(position, len(text)) == text
        except (OSError, OtherTextError):
            return False


def _opened(known: KnownPart, header: bytes, stack: ExitStack) -> BinaryIO:
    """The file of a part, if it is whole. Raises OtherTextError."""
    try:
        file = open(known.path, "rb", buffering=0, opener=opening_regular)  # noqa: SIM115
        stack.callback(file.close)
        status = os.fstat(file.fileno())
        is_known = known.identity in (None, identity_of(status))
        whole = len(header) + len(END) < status.st_size == known.part.bytes
        if not is_known or not whole or file.read(len(header)) != header:
            raise OtherTextError
        file.seek(status.st_size - len(END) - 1)
        if file.read() != b"\n" + END:
            raise OtherTextError
        if status.st_size > SMALL_PART:
            return file
        file.seek(0)
        content = file.read()
        file.close()
    except OSError:
        raise OtherTextError from None
    return io.BytesIO(content)


class NewPart:
    """The new content of a part, in memory while it is small: many parts need few open files."""

    def __init__(self, inventory: str, header: bytes, stack: ExitStack) -> None:
        self._inventory = inventory
        self._stack = stack
        self._small = bytearray(header)
        self._digest = xxh3_128(header)
        self._file: _PartFile | None = None
        self.bytes = len(header)

    def write(self, data: bytes) -> None:
        """Append `data`."""
        self._digest.update(data)
        self.bytes += len(data)
        if self._file is None and self.bytes <= SMALL_PART:
            self._small += data
        else:
            self._opened().write(data)

    def copy(self, source: BinaryIO, start: int, length: int) -> None:
        """Append `length` bytes of `source` from `start`. They pass through this process, since the
        checksum counts them."""
        end = start + length
        while start < end:
            with reported("read", self._inventory):
                source.seek(start)
                piece = source.read(min(_PIECE, end - start))
            if not piece:
                raise OtherTextError
            self.write(piece)
            start += len(piece)

    @property
    def digits(self) -> str:
        """The checksum of all of it."""
        return self._digest.hexdigest()

    def become(self, name: str) -> None:
        """Put it on the disk under this name; a large one, when the stack is left."""
        if self._file is not None:
            self._file.become(name)
            return
        make_folder(self._inventory)
        with _PartFile(self._inventory) as file:
            file.write(bytes(self._small))
            file.become(name)

    def _opened(self) -> _PartFile:
        if self._file is None:
            make_folder(self._inventory)
            self._file = self._stack.enter_context(_PartFile(self._inventory))
            self._file.write(bytes(self._small))
            self._small.clear()
        return self._file


class _PartFile(AtomicFile):
    """The file of a new part, which gets its name at the end. Its folder is fsynced after all."""

    def __init__(self, inventory: str) -> None:
        super().__init__(os.path.join(parts_folder(inventory), _TEMPORARY))
        self._inventory = inventory

    def become(self, name: str) -> None:
        """Set the name."""
        self.path = self._target = os.path.join(os.path.dirname(self._target), name)

    def _force_folder(self, folder: str) -> None:
        pass

    def _keep_mode(self) -> None:
        """As the manifest has it: who may read one may read the other."""
        target, self._target = self._target, followed(self._inventory)
        try:
            super()._keep_mode()
        finally:
            self._target = target


def make_folder(inventory: str) -> None:
    """Make the folder of the parts. Raises OutputError if that cannot be, or if another user owns
    it where all users may make folders: who owns it could replace each part."""
    folder = parts_folder(inventory)
    with reported("write", folder):
        with suppress(FileExistsError):
            os.mkdir(folder)
            return
        status = os.stat(folder)
        if not stat.S_ISDIR(status.st_mode):
            raise OutputError(
                f"{printable(folder)} is not a folder, and the parts of the inventory go there: "
                "move it away, or choose another --output."
            )
        if os.name != "nt" and status.st_uid not in (os.geteuid(), 0):
            above = os.stat(os.path.dirname(folder))
            if above.st_mode & stat.S_ISVTX:
                raise OutputError(
                    f"{printable(folder)} is a folder of another user in a folder that all users "
                    "share: no part is written to it. Choose another --output."
                )


def remove_parts(inventory: str, kept: Collection[str], *, frees_later: bool = False) -> None:
    """Remove the parts of the inventory at a path, but for the names that are `kept`, and then the
    folder, if it is empty. Files of other names stay. What cannot be removed costs only space."""
    folder = parts_folder(inventory)
    _remove(folder, lambda name: is_part_name(name) and name not in kept, frees_later=frees_later)
    if not kept:
        with suppress(OSError):
            os.rmdir(folder)


def remove_leftover_parts(inventory: str) -> None:
    """Remove the parts that the manifest at a path does not name, and what crashed writers left.

    Call it only if no other instance writes it.
    """
    folder = parts_folder(inventory)
    if not os.path.isdir(folder):
        return
    _remove(folder, lambda name: bool(_LEFTOVER.fullmatch(name)))
    try:
        parts = parts_of(inventory)
    except (OSError, InventoryError):
        return  # which of them are needed is not known
    remove_parts(inventory, set() if parts is None else names_in(parts))


def _remove(folder: str, is_old: Callable[[str], bool], *, frees_later: bool = False) -> None:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in filter(is_old, names):
        with suppress(OSError):
            remove(os.path.join(folder, name), frees_later=frees_later)


@contextmanager
def reported(verb: str, path: str) -> Iterator[None]:
    """Raise OSErrors of the block as OutputError."""
    try:
        yield
    except OSError as error:
        raise cannot(verb, path, error) from error
