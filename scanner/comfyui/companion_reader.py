"""Reads the files that describe models: sidecars, indexes of shards, `model_index.json`.

They are anybody's work. At most `MOST_READ` bytes are read, what is kept of them is small, and a
file of another form tells nothing.

Sources: Civitai's API (`/api/v1/model-versions`), which `.civitai.info` holds as it was answered;
Lora Manager's `py/utils/models.py`; StabilityMatrix's `ConnectedModelInfo.cs`; rgthree-comfy's
`py/server/utils_info.py`; AUTOMATIC1111's `ui_extra_networks_user_metadata.py`; sha256sum(1);
transformers' `utils/hub.py` and diffusers' `pipeline_utils.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import orjson

from scanner.comfyui.companions import INDEX, PIPELINE, SIDECAR
from scanner.comfyui.model_facts import clean_text, clean_words
from scanner.disk.filesystem import FileSystem

MOST_READ = 4 << 20
"""Most bytes of a file that is read. Sidecars with the generation data of many pictures have some
2 MB, indexes of the largest models up to 2 MB."""

MOST_BRACKETS = 50_000
"""Most objects and lists of a file that is parsed; sidecars have some thousands. A parser needs up
to 240 bytes for each."""

MOST_SHARDS = 1000
"""Most shards of an index that are kept; the largest models have some 200."""

MOST_COMPONENTS = 32
"""Most components of a diffusers folder that are kept; real ones have up to 12."""

NAME = 255
"""Most characters of a name that is kept."""


class Told(NamedTuple):
    """What a file tells of the models next to it, as it is saved."""

    companion: str
    """SIDECAR, INDEX or PIPELINE."""
    tells: dict[str, Any]
    """JSON values by name, without unknown ones; empty if it tells nothing."""
    problem: str = ""
    """One sentence if it could not be read."""


class CompanionRead(NamedTuple):
    """What a file tells, and its size (bytes) and mtime (nanoseconds)."""

    size: int
    mtime: int
    facts: Told


def read_companion(files: FileSystem, path: str, kind: str, of: str) -> CompanionRead | None:
    """What the file at `path` tells, or None if it changed while it was read. Raises OSError.

    `of` is the name of the model that a sidecar describes.
    """
    before = files.stat(path)
    content = b""
    if before.size <= MOST_READ:
        with files.open(path) as file:
            while len(content) <= MOST_READ and (piece := file.read(MOST_READ + 1 - len(content))):
                content += piece
    told = told_by(kind, of, content) if before.size <= MOST_READ else _too_large(kind, before.size)
    after = files.stat(path)
    if (after.size, after.mtime) != (before.size, before.mtime):
        return None
    return CompanionRead(before.size, before.mtime, told)


def _too_large(kind: str, size: int) -> Told:
    return Told(kind, {}, f"The file has {size} bytes, more than the {MOST_READ} that are read.")


def told_by(kind: str, of: str, content: bytes) -> Told:
    """What a file of this content tells. Raises nothing."""
    if len(content) > MOST_READ:
        return _too_large(kind, len(content))
    if kind == SIDECAR and (digest := _digest_file(content)):
        return Told(kind, {"of": of, "sha256": digest})
    if content.count(b"{") + content.count(b"[") > MOST_BRACKETS:
        return Told(kind, {}, f"The file has more than the {MOST_BRACKETS} objects that are read.")
    try:
        document = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        return Told(kind, {}, "The file is not valid JSON.")
    if not isinstance(document, dict):
        return Told(kind, {})
    if kind == INDEX:
        return Told(kind, _index(document))
    if kind == PIPELINE:
        return Told(kind, _pipeline(document))
    claims = {name: value for name, value in _claims(document, of).items() if value}
    return Told(kind, {"of": of, **claims} if claims else {})


# Sidecars

_DIGEST_FILE = re.compile(rb"\s*(?:sha256:)?([0-9a-fA-F]{64})(?:\s[^\n]*)?\n?\s*")

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})", re.IGNORECASE)


def _digest_file(content: bytes) -> str:
    """The hash in a file with one line as sha256sum writes it; empty if it is none."""
    match = _DIGEST_FILE.fullmatch(content) if len(content) < 4096 else None
    return match[1].decode().lower() if match else ""


def _claims(document: Mapping[str, Any], of: str) -> dict[str, Any]:
    """The claims of a sidecar in JSON, whoever wrote it: each program has its own names."""
    version = _version_of(document)
    model = _mapping(version.get("model"))
    ids = (
        (document.get("ModelId"), document.get("VersionId"))
        if "ModelId" in document
        else (version.get("modelId"), version.get("id"))
    )
    return {
        "base_model": _first(
            document, "base_model", "BaseModel", "baseModel", "sd version"
        ) or _text(version.get("baseModel")),
        "trigger_words": _trigger_words(document, version),
        "title": _first(document, "UserTitle", "ModelName", "model_name")
        or _text(model.get("name")),
        "version": _first(document, "VersionName") or _text(version.get("name")),
        "url": _url(*ids),
        "sha256": _digest(document, version, of),
    }  # fmt: skip


def _version_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer of Civitai's API for a version: the whole file, or a part of it."""
    for value in (document.get("civitai"), _mapping(document.get("raw")).get("civitai")):
        if isinstance(value, dict):
            return value
    is_answer = any(key in document for key in ("modelId", "trainedWords", "files"))
    return document if is_answer and "file" not in document else {}


def _trigger_words(document: Mapping[str, Any], version: Mapping[str, Any]) -> list[str]:
    activation = document.get("activation text")
    if isinstance(activation, str) and activation.strip():
        return clean_words(activation[: NAME * 8].split(","))
    for value in (document.get("TrainedWords"), version.get("trainedWords")):
        if words := clean_words(list(_word_texts(value))):
            return words
    return clean_words(list(_word_texts(document.get("trainedWords"))))


def _word_texts(value: object) -> Iterator[str]:
    """The words of a list of texts, or of rgthree's objects. Words of these that were only counted
    in the training data are left out."""
    for item in islice(value if isinstance(value, list) else (), 256):
        if isinstance(item, str):
            yield item.strip().strip(",")
        elif isinstance(item, dict) and (item.get("civitai") or item.get("user")):
            yield _text(item.get("word"))


def _digest(document: Mapping[str, Any], version: Mapping[str, Any], of: str) -> str:
    """The SHA-256 that is claimed of the file `of`; empty if none is.

    A version may have several files, so that of the same name counts, or the only one.
    """
    for value in (document.get("sha256"), _mapping(document.get("Hashes")).get("SHA256")):
        if digest := _sha256(value):
            return digest
    files = version.get("files")
    digests = {
        str(file.get("name")): digest
        for file in map(_mapping, islice(files if isinstance(files, list) else (), 256))
        if (digest := _sha256(_mapping(file.get("hashes")).get("SHA256")))
    }
    return digests.get(of) or (next(iter(digests.values())) if len(digests) == 1 else "")


def _url(model: object, version: object) -> str:
    if type(model) is not int or not 0 < model < 2**53:
        return ""
    page = f"https://civitai.com/models/{model}"
    if type(version) is not int or not 0 < version < 2**53:
        return page
    return f"{page}?modelVersionId={version}"


# Sets of files


def _index(document: Mapping[str, Any]) -> dict[str, Any]:
    """The names of the shards. Those of other folders are none."""
    shards: dict[str, None] = {}
    for name in _mapping(document.get("weight_map")).values():
        if isinstance(name, str) and name not in shards and _is_plain(name):
            if len(shards) == MOST_SHARDS:
                return {}
            shards[name] = None
    return {"shards": sorted(shards)} if shards else {}


def _pipeline(document: Mapping[str, Any]) -> dict[str, Any]:
    """The class of the pipeline, and that of each component that is not left out."""
    components = {
        name: _text(value[1])
        for name, value in document.items()
        if not name.startswith("_")
        and _is_plain(name)
        and isinstance(value, list)
        and len(value) == 2
        and isinstance(value[1], str)
    }
    class_name = _text(document.get("_class_name"))
    if not class_name and not components:
        return {}
    kept = dict(islice(components.items(), MOST_COMPONENTS))
    return {"class": class_name, "components": kept}


def _is_plain(name: str) -> bool:
    """True if `name` is the name of an entry of the folder itself."""
    return 0 < len(name) <= NAME and name not in (".", "..") and not _OUTSIDE.search(name)


_OUTSIDE = re.compile(r"[/\\\x00\ud800-\udfff]")

# Values


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return clean_text(value) if isinstance(value, str) else ""


def _first(document: Mapping[str, Any], *keys: str) -> str:
    texts: Iterable[str] = (_text(document.get(key)) for key in keys)
    return next((text for text in texts if text and text.lower() not in _NOTHING), "")


_NOTHING = ("unknown", "other", "none", "null")


def _sha256(value: object) -> str:
    match = _SHA256.fullmatch(value.strip()) if isinstance(value, str) else None
    return match[1].lower() if match else ""
