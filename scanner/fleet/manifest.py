"""What a host says of what it has published. It is written last, so that it names whole files."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import xxhash

SCHEMA = 1

FOLDER = "hosts"
"""The folder of manifests."""


class DamagedManifestError(Exception):
    """A manifest is not one that this program wrote, or one of a later version."""


@dataclass(frozen=True)
class Part:
    """A file with rows, or in a database the rows of one root."""

    path: str
    """Empty where there is no file: in a database, and where there are no rows."""
    rows: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """The last whole generation of one host."""

    host: str
    machine: str
    """Tells hosts of one name apart."""
    inventory: str
    series: str
    """Names the numbers of scans: it is another one where they began anew."""
    published: str
    generated: str
    scan: int
    version: str
    """Of the program."""
    roots: tuple[Mapping[str, Any], ...]
    """id, kind, path, state, since, files and bytes, as in the inventory's header."""
    parts: Mapping[str, Part]
    """The entries of each root, by its id."""
    changes: tuple[Part, ...] = ()
    lacks: tuple[int, ...] = ()
    """Scans after which lines of the change list were deleted before they could be published."""

    def as_bytes(self) -> bytes:
        """The manifest as a JSON document."""
        return orjson.dumps({"schema": SCHEMA, **asdict(self)}, option=orjson.OPT_INDENT_2)


def manifest_from(document: bytes) -> Manifest:
    """Inverse of `Manifest.as_bytes`. Raises DamagedManifestError."""
    try:
        fields = orjson.loads(document)
        if fields.pop("schema") != SCHEMA:
            raise DamagedManifestError("it is of a later version of comfy-inventory")
        fields["parts"] = {root: Part(**part) for root, part in fields["parts"].items()}
        fields["changes"] = tuple(Part(**part) for part in fields["changes"])
        fields["roots"], fields["lacks"] = tuple(fields["roots"]), tuple(fields["lacks"])
        return Manifest(**fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedManifestError(f"it is damaged ({type(error).__name__})") from error


def manifest_path(host: str) -> str:
    """Where the manifest of `host` lies."""
    return f"{FOLDER}/{key_of(host)}.json"


def key_of(text: str) -> str:
    """`text` as one part of a path, the same for equal texts and no other."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        return text
    safe = urllib.parse.quote(re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:40])
    return f"{safe}.{xxhash.xxh3_64_hexdigest(text.encode('utf-8', 'surrogateescape'))}"


def entries_folder(host: str) -> str:
    """The folder of all files with entries of `host`."""
    return f"entries/host={key_of(host)}"


def changes_folder(host: str) -> str:
    """The folder of all files with changes of `host`."""
    return f"changes/host={key_of(host)}"


def root_rows(manifest: Manifest) -> Sequence[tuple[Any, ...]]:
    """The rows of the table `roots`."""
    names = ("id", "kind", "path", "category", "state", "since", "files", "bytes")
    return [(manifest.host, *(root.get(name) for name in names)) for root in manifest.roots]
