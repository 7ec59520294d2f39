"""Messages to the service manager: ready, alive, stopping (sd_notify(3) of systemd).

systemd names a socket in NOTIFY_SOCKET. Without that variable nothing is sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableMapping

SEND_PATIENCE = 0.2
"""Seconds that a message may wait for room in the manager's queue."""


class Notifier:
    """Sends messages to the service manager, and drops them if there is none.

    `alive` is called in each round of the main loop. If the loop hangs, the calls stop, and the
    manager starts the program again.
    """

    def __init__(
        self,
        address: str = "",
        watchdog: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`watchdog`: seconds after which the manager takes silence for a hang; 0 for never."""
        self.ping_every = watchdog / 3 if address and watchdog > 0 else float("inf")
        """The longest time between two calls of `alive`, in seconds."""
        self._address = address
        self._clock = clock
        self._pinged = clock()
        self._is_ready = False

    def ready(self) -> None:
        """Report that the start is done."""
        self._is_ready = self._send("READY=1")

    def alive(self) -> None:
        """Report that the main loop goes round."""
        if not self._is_ready:
            self.ready()
        now = self._clock()
        if now - self._pinged >= self.ping_every and self._send("WATCHDOG=1"):
            self._pinged = now

    def stopping(self) -> None:
        """Report that the end has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> bool:
        """True if the manager has it, or there is none."""
        if not self._address:
            return True
        import socket  # few are started by a manager

        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_PATIENCE)
                sender.sendto(message.encode(), self._address)
        except OSError:
            return False  # its queue is full or it restarts; the next round sends again
        return True


def notifier_of(environ: MutableMapping[str, str]) -> Notifier:
    """The notifier that `environ` asks for. Its variables are removed: no child may have them."""
    address = environ.pop("NOTIFY_SOCKET", "")
    period = environ.pop("WATCHDOG_USEC", "")
    process = environ.pop("WATCHDOG_PID", "")
    if not address.startswith(("/", "@")):
        return Notifier()
    import socket

    if not hasattr(socket, "AF_UNIX"):
        return Notifier()
    if address.startswith("@"):  # a name in the kernel's own name space
        address = "\0" + address[1:]
    # In a child (see `console/apart.py`) the parent is the process that the manager started.
    is_ours = process in ("", str(os.getpid()), str(os.getppid()))
    return Notifier(address, int(period) / 1e6 if is_ours and period.isdecimal() else 0.0)
