"""Which files of different hosts are one and the same file, because they share a network mount."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scanner.core.paths import is_below, nearest_above
from scanner.core.serialize import raw_text
from scanner.disk.mount_types import NETWORK_TYPES


class Storage(NamedTuple):
    """A file system, by a name that is the same on all hosts that mount it."""

    name: str
    """Host and share of a network mount; `host:NAME` for disks of one host."""
    point: str
    """The folder on this host that the paths of the storage begin at; empty for a host's own."""


class Storages:
    """The storage of each path of one host, from the mounts in its inventory's header.

    A path counts as on a network mount only where the header says enough to name it there: a
    file that two hosts share is else listed as two, which says too much of copies and not too
    little.
    """

    def __init__(self, header: Mapping[str, Any], host: str) -> None:
        self._own = Storage(f"host:{host}", "")
        self._zones: dict[str, tuple[Storage, str]] = {}
        for mount in header.get("mounts", ()):
            path = raw_text(mount, "path")
            self._zones[path] = self._zone(mount, path)

    def _zone(self, mount: Mapping[str, Any], path: str) -> tuple[Storage, str]:
        """The storage of a zone, and the path of the zone's folder within it, empty for its top."""
        source, point = str(mount.get("source", "")), str(mount.get("point", ""))
        real = path
        if "target" in mount:
            real = os.path.normpath(os.path.join(os.path.dirname(path), raw_text(mount, "target")))
        if mount.get("type") not in NETWORK_TYPES or not source or not point:
            return self._own, ""
        if real != point and not is_below(real, point):
            return self._own, ""
        within = str(mount.get("within", "")).strip("/")
        name = source.replace("\\", "/").lower() if source.startswith(("//", "\\\\")) else source
        inner = os.path.relpath(real, point).replace(os.sep, "/")
        inner = "" if inner == "." else inner
        return Storage(f"{name.rstrip('/')}/{within}".rstrip("/"), point), inner

    def of(self, path: str) -> tuple[str, str]:
        """The name of the storage, and the path within it, of an absolute path."""
        zone = nearest_above(path, self._zones)
        storage, inner = self._zones[zone] if zone else (self._own, "")
        if not storage.point:
            return storage.name, path.replace(os.sep, "/")
        below = path[len(zone or "") :].replace(os.sep, "/").strip("/")
        return storage.name, "/".join(part for part in (inner, below) if part) or "."


def names_of(storages: Sequence[str]) -> list[str]:
    """Names of storages as people know them."""
    return [name.removeprefix("host:") for name in storages]
