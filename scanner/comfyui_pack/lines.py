"""The lines of an inventory, which is one file, or a manifest and its parts."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from typing import BinaryIO

from .library import UnreadableError
from .parts.core.inventory_parts import PARTS_END, Parts, parts_in

_END = b"]}\n"


def lines_of(path: str) -> Generator[bytes, None, None]:
    """The lines of the inventory at `path`, the header first and `]}` last, in its order.

    Of one in several files all are opened before the first line is given: they are of one
    generation, also where the next one replaces them meanwhile. Raises OSError, and
    UnreadableError if a file is damaged.
    """
    missing: tuple[int, ...] | None = None
    while True:
        with ExitStack() as stack:
            manifest = stack.enter_context(open(path, "rb"))
            header = manifest.readline()
            if not header.endswith(PARTS_END):
                yield header
                yield from manifest
                return
            parts = _parts(manifest)
            try:
                files = [
                    stack.enter_context(
                        open(os.path.join(os.path.dirname(path), part.folder, part.name), "rb")
                    )
                    for part in parts.parts
                ]
            except FileNotFoundError:
                facts = os.fstat(manifest.fileno())
                mark = facts.st_ino, facts.st_mtime_ns, facts.st_size
                if mark == missing:
                    raise
                missing = mark  # it may have been replaced just now
                continue
            yield header
            yield from _in_order(parts, files)
            yield _END
            return


def _parts(manifest: BinaryIO) -> Parts:
    try:
        return parts_in(json.loads(b'{"parts":[\n' + manifest.read()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError("its list of parts is damaged") from error


def _in_order(parts: Parts, files: Sequence[BinaryIO]) -> Iterator[bytes]:
    places = [len(file.readline()) for file in files]
    for index, end in parts.order:
        while places[index] < end:
            line = files[index].readline()
            if not line:
                raise UnreadableError(f"its part {parts.parts[index].name} has become shorter")
            places[index] += len(line)
            yield line
