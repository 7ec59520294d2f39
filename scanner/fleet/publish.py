"""Publishing one host's inventory, wherever the fleet is."""

from __future__ import annotations

import hashlib
import os
import platform
import time
import uuid
from collections.abc import Callable
from typing import NamedTuple, Protocol

from scanner.errors import InventoryError
from scanner.fleet.address import DATABASE, Address
from scanner.fleet.generation import Generation, Source, generation_of
from scanner.fleet.manifest import Manifest


class Place(Protocol):
    """Where a fleet publishes to."""

    def make(self) -> None: ...

    def manifest_of(self, host: str) -> Manifest | None: ...

    def publish(
        self, generation: Generation, previous: Manifest | None, scratch: str
    ) -> Manifest: ...

    def forget(self, host: str) -> bool: ...

    def manifests(self, report: Callable[[str], None]) -> list[Manifest]: ...


def place_at(address: Address) -> Place:
    """The place at `address`. Raises InventoryError where a package is missing."""
    if address.kind == DATABASE:
        from scanner.fleet.database_place import DatabasePlace

        return DatabasePlace(address)
    from scanner.fleet.files_place import FilesPlace
    from scanner.fleet.shelf import shelf_at

    return FilesPlace(shelf_at(address))


class Published(NamedTuple):
    """What was done."""

    host: str
    scan: int
    rows: int
    """Entries that were sent: those of roots that changed."""
    changes: int
    lacks: tuple[int, ...]
    is_new: bool
    """False if the place had this state of the inventory already."""


def publish(address: Address, source: Source, *, makes_place: bool = False) -> Published:
    """Bring the place at `address` up to date with the inventory. Raises InventoryError.

    `makes_place`: make the folder if it is not there. Only a person asks for that.
    """
    from scanner.fleet.files_place import scratch_folder

    place = place_at(address)
    if makes_place:
        place.make()
    previous = place.manifest_of(source.host)
    with scratch_folder() as scratch:
        generation = generation_of(source, previous, scratch, time.time_ns())
        if generation is None:
            assert previous is not None
            return Published(source.host, previous.scan, 0, 0, previous.lacks, False)
        made = place.publish(generation, previous, scratch)
    known = previous.parts if previous is not None else {}
    sent = [part.rows for root, part in made.parts.items() if known.get(root) != part]
    lines = generation.changes.rows if generation.changes is not None else 0
    return Published(made.host, made.scan, sum(sent), lines, made.lacks, True)


def host_name(wanted: str | None) -> str:
    """The name to publish under: `wanted`, else the name of this machine."""
    name = wanted or platform.node().partition(".")[0]
    if not name:
        raise InventoryError("publish_as: this machine has no name; set one.")
    return name


def machine_id() -> str:
    """A text that no two machines share, as far as their systems tell."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            with open(path, encoding="ascii") as file:
                if known := file.read().strip():
                    return _hidden(known)
        except (OSError, UnicodeDecodeError):
            continue
    return _hidden(f"{uuid.getnode():012x}")


def _hidden(known: str) -> str:
    """systemd asks that programs do not hand the identifier on as it is (machine-id(5))."""
    return hashlib.sha256(f"comfy-inventory {known}".encode()).hexdigest()[:32]


def source_of(inventory: str, journal: str, wanted: str | None) -> Source:
    """The inventory at these absolute paths, as this machine publishes it."""
    return Source(os.path.abspath(inventory), journal, host_name(wanted), machine_id())
