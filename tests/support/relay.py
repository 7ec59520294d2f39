"""Stands between sshfs and an sftp-server on this machine, as slow and as far away as it is told.

sshfs starts it in place of ssh, appending arguments that are meant for ssh, which a second `--`
keeps away from the server:

    sshfs -o ssh_command='python relay.py --delay-ms 1 --count-file F -- sftp-server --' nas:/a /b

Each request reaches the server `--delay-ms` after it arrived here, however many are on their way:
latency, not bandwidth. Replies are not touched: the server writes them to sshfs itself, so the
delay of a request is that of a round trip, and a reply costs nothing here.

The count file holds 256 unsigned 64-bit numbers in the machine's order, mapped into memory, so
that counting costs no call and reading disturbs nobody: number n is how many requests of SFTP type
n were passed on since the file was made. Type 0 does not exist; its place holds the relay's process
id, which is also that of its process group, so that a test can stop and kill it with its server.

While the file named by `--down-file` exists, the relay ends at once, as ssh does when the server is
down: for sshfs with `-o reconnect`, which starts it again and again.
"""

from __future__ import annotations

import argparse
import array
import mmap
import os
import select
import subprocess
import sys
import time
from collections import Counter, deque
from pathlib import Path

NAMES = {
    1: "INIT",
    3: "OPEN",
    4: "CLOSE",
    5: "READ",
    6: "WRITE",
    7: "LSTAT",
    8: "FSTAT",
    9: "SETSTAT",
    10: "FSETSTAT",
    11: "OPENDIR",
    12: "READDIR",
    13: "REMOVE",
    14: "MKDIR",
    15: "RMDIR",
    16: "REALPATH",
    17: "STAT",
    18: "RENAME",
    19: "READLINK",
    20: "SYMLINK",
    200: "EXTENDED",
}
"""draft-ietf-secsh-filexfer-02, section 3: the types that a client sends, as version 3 has them."""

_NUMBERS = 256
_FILE_BYTES = _NUMBERS * 8
_CHUNK = 1 << 18


def read_counts(count_file: Path) -> Counter[str]:
    """How many requests of each type the relay has passed on; empty before it has started."""
    numbers = _numbers(count_file)
    return Counter({NAMES.get(n, str(n)): numbers[n] for n in range(1, _NUMBERS) if numbers[n]})


def read_group(count_file: Path) -> int:
    """The process group of the relay and its server; 0 before it has started."""
    return _numbers(count_file)[0]


def _numbers(count_file: Path) -> array.array[int]:
    try:
        held = count_file.read_bytes()
    except FileNotFoundError:
        held = b""
    return array.array("Q", held.ljust(_FILE_BYTES, b"\0"))


class PacketCounter:
    """Counts packets by type in a stream that is cut anywhere: length (4 bytes), type (1), rest."""

    def __init__(self, counts: memoryview) -> None:
        self._counts = counts
        self._head = b""  # of a packet whose type has not come yet
        self._skip = 0  # bytes of the last packet that are still to come

    def feed(self, chunk: bytes) -> None:
        chunk = self._head + chunk
        position, end = self._skip, len(chunk)
        while position + 5 <= end:
            self._counts[chunk[position + 4]] += 1
            position += 4 + int.from_bytes(chunk[position : position + 4], "big")
        self._head = chunk[position:]
        self._skip = max(0, position - end)


def relay(source: int, target: int, delay: float, counter: PacketCounter, server: int) -> None:
    """Pass bytes on, each `delay` seconds after it arrived, until the source or the server ends.

    `server` is the server's pidfd, which is readable once it has ended.
    """
    waiting: deque[tuple[float, bytes]] = deque()
    has_ended = False
    while waiting or not has_ended:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([server] if has_ended else [source, server], [], [], left)
        if server in ready:
            return
        if source in ready:
            chunk = os.read(source, _CHUNK)
            if chunk:
                waiting.append((time.monotonic() + delay, chunk))
            else:
                has_ended = True
        while waiting and waiting[0][0] <= time.monotonic():
            chunk = waiting.popleft()[1]
            counter.feed(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Relay SFTP with a delay, counting requests.")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="of a round trip")
    parser.add_argument("--count-file", type=Path, required=True)
    parser.add_argument("--down-file", type=Path, help="end at once while this exists")
    ours, theirs = _split(arguments)
    options = parser.parse_args(ours)
    if not theirs:
        parser.error("the server's command is missing; it follows a --")
    if options.down_file and options.down_file.exists():
        return 1

    os.setpgid(0, 0)
    with open(options.count_file, "a+b") as file:
        file.truncate(_FILE_BYTES)
        counts = memoryview(mmap.mmap(file.fileno(), _FILE_BYTES)).cast("Q")
    counts[0] = os.getpid()
    with subprocess.Popen(theirs, stdin=subprocess.PIPE) as server:
        assert server.stdin is not None
        # Only the server may hold the way back, so that sshfs sees when it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        try:
            relay(
                0,
                server.stdin.fileno(),
                options.delay_ms / 1000,
                PacketCounter(counts),
                os.pidfd_open(server.pid),
            )
        except (BrokenPipeError, ConnectionResetError):
            pass  # one of the two has gone; so does the relay
    if server.returncode:
        print(f"The server ended with {server.returncode}", file=sys.stderr)
    return server.returncode


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before the first `--`, and what stands between it and the second."""
    if "--" not in arguments:
        return arguments, []
    first = arguments.index("--")
    rest = arguments[first + 1 :]
    return arguments[:first], rest[: rest.index("--")] if "--" in rest else rest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
