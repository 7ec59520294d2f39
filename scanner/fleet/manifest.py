"""What a host says of what it has published. It is written last, so that it names whole files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import xxhash

from scanner.core.serialize import time_ns
from scanner.errors import SettingsError

SCHEMA = 1

_RESERVED = re.compile("con|prn|aux|nul|com[0-9]|lpt[0-9]", re.IGNORECASE)
"""Names that are devices on Windows, with any ending."""

FOLDER = "hosts"
"""The folder of manifests."""


MOST_LACKS = 100
"""Gaps of a change list that a manifest names."""


class DamagedManifestError(Exception):
    """A manifest is not one that this program wrote."""


class LaterManifestError(DamagedManifestError):
    """A manifest of a later version of this program."""


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


def own_manifest(document: bytes) -> Manifest | None:
    """The manifest that this host replaces; None if it is damaged. Raises SettingsError if a later
    version published it, since that one may have written what this one would lose."""
    try:
        return manifest_from(document)
    except LaterManifestError:
        raise SettingsError(
            "publish: a later version of comfy-inventory has published under this name. Install "
            "it here as well."
        ) from None
    except DamagedManifestError:
        return None


def noted(lacks: tuple[int, ...], scan: int) -> tuple[int, ...]:
    """`lacks` with one more scan; the newest of them count."""
    return tuple(sorted({*lacks, scan}))[-MOST_LACKS:]


_ROOT_TEXTS = ("id", "kind", "path", "category", "state", "since")

_TEXTS = ("host", "machine", "inventory", "series", "published", "generated", "version")

_ROOT_NUMBERS = ("files", "bytes")


def manifest_from(document: bytes) -> Manifest:
    """Inverse of `Manifest.as_bytes`. Raises DamagedManifestError and LaterManifestError.

    Others write to the place as well, so that each field is looked at. Fields that are not known
    are those of a later version, and ignored.
    """
    try:
        fields = orjson.loads(document)
        if _number(fields["schema"]) != SCHEMA:
            raise LaterManifestError("it is of a later version of comfy-inventory")
        known = {name: _text(fields[name]) for name in _TEXTS}
        time_ns(known["published"])
        return Manifest(
            **known,
            scan=_number(fields["scan"]),
            roots=tuple(_root(root) for root in fields["roots"]),
            parts={_text(root): _part(part) for root, part in fields["parts"].items()},
            changes=tuple(_part(part) for part in fields["changes"]),
            lacks=tuple(_number(scan) for scan in fields["lacks"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedManifestError(f"it is damaged ({type(error).__name__})") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise TypeError("expected a number")
    return value


def _root(root: Mapping[str, Any]) -> Mapping[str, Any]:
    texts = {name: _text(value) for name, value in root.items() if name in _ROOT_TEXTS}
    numbers = {name: _number(value) for name, value in root.items() if name in _ROOT_NUMBERS}
    return {"id": texts["id"], "path": texts["path"], **texts, **numbers}


def _part(part: Mapping[str, Any]) -> Part:
    path = _text(part["path"])
    # A name of the place's own, and none that leads out of it.
    if path and not re.fullmatch(r"(entries|changes)(/[A-Za-z0-9=%-][A-Za-z0-9=%._-]*)+", path):
        raise ValueError("expected a file of the place")
    return Part(path, _number(part["rows"]), _text(part["digest"]))


def manifest_path(host: str) -> str:
    """Where the manifest of `host` lies."""
    return f"{FOLDER}/{key_of(host)}.json"


def key_of(text: str) -> str:
    """`text` as one part of a path, the same for equal texts and no other, also where the place
    does not tell capitals apart or is a folder of Windows."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", text) and not _RESERVED.fullmatch(text):
        return text
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:40]
    safe += "-" if _RESERVED.fullmatch(safe) else ""
    return f"{safe}.{xxhash.xxh3_64_hexdigest(text.encode('utf-8', 'surrogatepass'))}"


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
