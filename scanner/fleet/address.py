"""The place that hosts publish to, as the setting `publish` names it."""

from __future__ import annotations

import re
import urllib.parse
import urllib.request
from typing import NamedTuple

from scanner.settings.values import hide_place

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
        """The address for messages, without secrets."""
        return self.where if self.kind == FOLDER else hide_place(self.where)

    def without_secrets(self, text: str) -> str:
        """`text` of a library, which may repeat parts of the address."""
        if self.kind == FOLDER:
            return text
        for secret in sorted(_secrets(self.where), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _secrets(url: str) -> set[str]:
    """What of an address may be secret, as it stands there and as it is meant."""
    parts = urllib.parse.urlsplit(url)
    found = {parts.netloc.rpartition("@")[0].partition(":")[2]}
    for field in re.split("[&;]", parts.query):
        name, _, value = field.partition("=")
        found |= {value} if "password" in name.lower() else set()
    found |= {urllib.parse.unquote(secret) for secret in found}
    return found - {""}


def address_of(url: str) -> Address:
    """The place that a checked value of the setting `publish` names."""
    parts = urllib.parse.urlsplit(url)
    kind = _KINDS[parts.scheme]
    if kind == FOLDER:
        return Address(kind, urllib.request.url2pathname(parts.path))
    return Address(kind, url if kind == DATABASE else url.rstrip("/"))
