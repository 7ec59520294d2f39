"""The option `--cluster` of commands that scan or read files."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from scanner.errors import SettingsError

if TYPE_CHECKING:
    from scanner.service.opening import WorkersOf
    from scanner.workers.helped import Helper


def checked_cluster(address: str) -> str:
    """`address`, if it is one. Raises SettingsError."""
    if not re.fullmatch(r"local:[1-9][0-9]{0,2}|(?:tcp|tls|ws|wss)://\S+:[0-9]{1,5}", address):
        raise SettingsError(
            f"--cluster: expected tcp://host:port, tls://host:port or local:N, not {address!r}."
        )
    return address


def workers_for(address: str | None, helpers: list[Helper] | None = None) -> WorkersOf:
    """What makes the workers of a service: a cluster's, or without an address this machine's, to
    which `helpers` are lent."""
    from scanner.service.opening import own_workers

    if address is None:
        return partial(own_workers, helpers=helpers)
    checked = checked_cluster(address)

    from scanner.cluster.workers import ClusterWorkers

    return partial(ClusterWorkers, checked)
