"""Feeds the blocks of a file to several hashes at once, each block read once.

The thread that reads also takes xxh3, which costs little more than reading (0.05 s of a processor
for 1 GB in memory, reading 0.04 s). SHA-256 (0.57 s, and 2 s without the processor's help) and
BLAKE3 (0.15 s) have a thread each: the interpreter is free while a block is read or hashed, so with
two processors a file takes as long as its slowest hash, and no longer than the disk needs.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from queue import SimpleQueue
from types import TracebackType
from typing import Protocol, Self

from scanner.core.digests import XXH3

BLOCK = 1 << 20
"""Bytes read at a time. Blocks of 4 MiB were no faster (benchmarks/hashing.py)."""

BUFFERS = 3
"""Blocks in memory where threads hash: one is read, one is hashed, and one waits, so that neither
side waits for the other because of a moment's delay. Two were as fast only on an idle machine."""


class Digest(Protocol):
    """A hash that is being taken."""

    def update(self, data: memoryview, /) -> object: ...

    def digest(self) -> bytes: ...


class HashFeed:
    """Hashes what is put into its buffers. Only one thread uses it, within a `with`.

    When the `with` ends, all that was taken is hashed and no thread is left. It raises what a hash
    has raised.
    """

    def __init__(self, digests: Mapping[str, Digest], *, is_short: bool) -> None:
        """`is_short`: no more than one block will come, which is not worth a thread."""
        apart = {} if is_short else {n: one for n, one in digests.items() if n != XXH3}
        self._here = [one for name, one in digests.items() if name not in apart]
        self._hashers = [_Hasher(name, one) for name, one in apart.items()]
        count = BUFFERS if self._hashers else 1
        self._buffers = [memoryview(bytearray(BLOCK)) for _ in range(count)]
        self._next = 0
        self._taken = 0

    def __enter__(self) -> Self:
        for hasher in self._hashers:
            hasher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hasher in self._hashers:
            hasher.end()
        if error is None:
            self._check()

    def buffer(self) -> memoryview:
        """A block of memory that is free; waits for it. Raises what a hash has raised."""
        if self._taken >= len(self._buffers):
            for hasher in self._hashers:
                hasher.wait()
        self._check()
        return self._buffers[self._next]

    def take(self, count: int) -> None:
        """Hash the first `count` bytes of the last buffer."""
        data = self._buffers[self._next][:count]
        self._next = (self._next + 1) % len(self._buffers)
        self._taken += 1
        for hasher in self._hashers:
            hasher.put(data)
        for digest in self._here:
            digest.update(data)

    def _check(self) -> None:
        for hasher in self._hashers:
            if hasher.failure is not None:
                raise hasher.failure


class _Hasher:
    """One hash in a thread of its own."""

    def __init__(self, name: str, digest: Digest) -> None:
        self.failure: Exception | None = None
        self._digest = digest
        self._blocks: SimpleQueue[memoryview | None] = SimpleQueue()
        self._hashed = threading.Semaphore(0)
        # A daemon: whoever reads may hang with a mount for ever, and this thread with it.
        self._thread = threading.Thread(target=self._run, name=f"hash {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, data: memoryview) -> None:
        self._blocks.put(data)

    def wait(self) -> None:
        """Until one block more is hashed, the oldest first."""
        self._hashed.acquire()

    def end(self) -> None:
        """Hash what is left, and end the thread."""
        if self._thread.ident is not None:
            self._blocks.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (data := self._blocks.get()) is not None:
            try:
                if self.failure is None:
                    self._digest.update(data)
            except Exception as error:
                self.failure = error
            self._hashed.release()
