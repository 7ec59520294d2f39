"""The place that hosts publish to, as the setting `publish` names it."""

from __future__ import annotations

import urllib.parse
import urllib.request
from typing import NamedTuple

from scanner.core.mount_identity import without_password

FOLDER, OBJECTS, DATABASE = "folder", "objects", "database"

_KINDS = {"file": FOLDER, "s3": OBJECTS, "postgresql": DATABASE, "postgres": DATABASE}


class Address(NamedTuple):
    """Where the fleet's files or tables are."""

    kind: str
    """FOLDER, OBJECTS or DATABASE."""
    where: str
    """Path of the folder; bucket and prefix with `s3://`; address of the database."""

    @property
    def shown(self) -> str:
        """The address for messages, without a password."""
        return without_password(self.where)


def address_of(url: str) -> Address:
    """The place that a checked value of the setting `publish` names."""
    parts = urllib.parse.urlsplit(url)
    kind = _KINDS[parts.scheme]
    if kind == FOLDER:
        return Address(kind, urllib.request.url2pathname(parts.path))
    return Address(kind, url if kind == DATABASE else url.rstrip("/"))
