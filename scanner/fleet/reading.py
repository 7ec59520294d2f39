"""Asking what a fleet has published, with SQL: DuckDB over Parquet files, or PostgreSQL itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from scanner.errors import InventoryError
from scanner.fleet.address import DATABASE, Address
from scanner.fleet.answers import Fleet, Report


@contextmanager
def open_fleet(address: Address, report: Report) -> Iterator[Fleet]:
    """What all hosts have published at `address`. `report` gets sentences about hosts that are left
    out. Raises InventoryError if nothing was published, or a package is missing."""
    with _opened(address, report) as fleet:
        if not fleet.manifests:
            raise InventoryError(
                f"No host has published to {address.shown} yet: set publish on each of them, or "
                "use comfy-inventory fleet publish."
            )
        yield fleet


def _opened(address: Address, report: Report) -> AbstractContextManager[Fleet]:
    if address.kind == DATABASE:
        from scanner.fleet.database_fleet import open_database

        return open_database(address, report)
    from scanner.fleet.files_fleet import open_files

    return open_files(address, report)
