"""Facts about a model and the state of its file, from its first and last bytes.

Only headers are read: the header of a safetensors or GGUF file, the table at the end of a zip, and
a few kilobytes of any other file. They distinguish a model from a git-lfs pointer, the error page
of a server, or a file of zeros. Pickles run code when they are loaded, so they are identified and
never loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import orjson

from scanner.comfyui.gguf import FILE_TYPES, MAGIC, GgufHeader
from scanner.comfyui.model_files import suffix_of
from scanner.comfyui.precision import ENDS, precision_of, word_of
from scanner.comfyui.safetensors import LONGEST_HEADER, SafetensorsHeader
from scanner.comfyui.tensor_signs import TensorNames
from scanner.comfyui.tensors import LARGEST
from scanner.disk.filesystem import FileSystem

HEAD = 4096
"""Bytes read of every file: enough to identify most small files with one read."""

TEXT = 500
"""Most characters kept of a text."""

WORDS, WORD = 20, 100
"""Most trigger words kept, and most characters of each."""

TAGS, TOP_TAGS = 20_000, 10
"""Most training tags counted, and most of them kept."""


class Facts(NamedTuple):
    """The facts in the header of a model."""

    model: dict[str, Any]
    """Facts by name as JSON values, without unknown ones; empty if the file is not a model."""
    status: str = ""
    """`truncated`, `damaged`, `pointer` (of git-lfs), `page` (of a server); empty if no problem."""
    problem: str = ""
    """The problem in one sentence if there is a status."""


class FactsRead(NamedTuple):
    """Facts, and the size (bytes) and mtime (nanoseconds) of their file."""

    size: int
    mtime: int
    facts: Facts
    identity: bytes = b""
    """`Stat.identity` of the file."""


def read_facts(files: FileSystem, path: str, name: str = "") -> FactsRead | None:
    """Facts of the file at `path`, or None if it changed while it was read. Raises OSError.

    `name`: the name of a link to it, whose suffix says which format is expected.
    """
    before = files.stat(path)
    with files.open(path) as file:

        def read_at(offset: int, length: int) -> bytes:
            file.seek(offset)
            pieces = []
            while length > 0:
                piece = file.read(length)
                if not piece:
                    break
                pieces.append(piece)
                length -= len(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

        facts = facts_of(name or path, before.size, read_at)
    after = files.stat(path)
    if (after.size, after.mtime) != (before.size, before.mtime):
        return None
    return FactsRead(before.size, before.mtime, facts, before.identity)


def facts_of(name: str, size: int, read_at: Callable[[int, int], bytes]) -> Facts:
    """Facts of a file of `size` bytes; `read_at` returns the bytes at an offset with a length.

    `read_at` may return fewer bytes at the end of the file only. Its OSError is passed on, nothing
    else is raised. Reads at most 64 MiB of a GGUF, 16 MiB of a safetensors, 70 KB of other files.
    """
    if size <= 0:
        return Facts({}, "truncated", "The file is empty.")
    head = read_at(0, min(size, HEAD))
    if not head:
        return Facts({}, "truncated", f"The file has {size} bytes, but none of them can be read.")
    suffix = suffix_of(name)
    return (
        _not_a_model(size, head)
        or _by_content(suffix, size, head, _remembering(head, read_at))
        or _by_name(suffix)
    )


def _remembering(head: bytes, read_at: Callable[[int, int], bytes]) -> Callable[[int, int], bytes]:
    """`read_at` with the first bytes cached: reads on a network mount are slow."""

    def read(offset: int, length: int) -> bytes:
        if offset + length <= len(head):
            return head[offset : offset + length]
        return read_at(offset, length)

    return read


# Other content under the name of a model

_LFS = b"version https://git-lfs.github.com/spec/"

_LFS_HASH = re.compile(rb"^oid sha256:([0-9a-f]{64})\r?$", re.MULTILINE)

_LFS_SIZE = re.compile(rb"^size ([0-9]{1,18})\r?$", re.MULTILINE)

_MARKUP = re.compile(
    rb"<(?:!doctype|\?xml|html|head|body|error|title|script|meta|h1|center)\b", re.IGNORECASE
)

_JSON = re.compile(rb'\s*(?:\{\s*(?:"|\})|\[\s*[{"\]])')

_REFUSAL = re.compile(
    rb"\s*(?:entry |file |repository |model |page |the |error:? |http |\w+error: )*"
    rb"(?:[45]\d\d\b|not found|no such"
    rb"|access(?: to [^\n]{1,200})? (?:is |has been )?(?:denied|restricted)"
    rb"|forbidden|unauthori[sz]ed|invalid (?:username|credentials|token|api)"
    rb"|bad (?:request|gateway)|too many requests|rate limit|internal server error"
    rb"|service unavailable|gateway time|error code|you (?:need|must|do not|don't) )",
    re.IGNORECASE,
)


def _not_a_model(size: int, head: bytes) -> Facts | None:
    if head.startswith(_LFS) and size < 1024:
        return _pointer(size, head)
    text = head.removeprefix(b"\xef\xbb\xbf")
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = text[2:].replace(b"\0", b"")  # UTF-16: sufficient for ASCII
    if b"\0" not in text[:16]:  # the length before a header contains some
        if _MARKUP.match(_without_comments(text)):
            return Facts({}, "page", "The file contains a web page or a server error.")
        if _JSON.match(text) or (size <= HEAD and _is_text(text) and _REFUSAL.match(text)):
            start = clean_text(text.decode("utf-8", "replace"), 80)
            return Facts({}, "page", f'The file contains a text instead of a model: "{start}".')
    if not any(head):
        return Facts({}, "damaged", "The file begins with zeros: unfinished or lost data.")
    return None


def _without_comments(text: bytes) -> bytes:
    """`text` without the spaces and comments before the first tag."""
    while (text := text.lstrip()).startswith(b"<!--"):
        text = text.partition(b"-->")[2]
    return text


def _is_text(text: bytes) -> bool:
    return not any(byte < 32 and byte not in b"\t\n\r" for byte in text)


def _pointer(size: int, head: bytes) -> Facts:
    model: dict[str, Any] = {}
    content, length = _LFS_HASH.search(head), _LFS_SIZE.search(head)
    if content:
        model["lfs_sha256"] = content[1].decode()
    if length:
        model["lfs_size"] = int(length[1])
    what = f"the model of {int(length[1])} bytes" if length else "the model"
    return Facts(
        model,
        "pointer",
        f"The file is a git-lfs pointer of {size} bytes; {what} was not downloaded.",
    )


# Formats

_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The magic number of torch files before version 1.6, as a pickle."""

_GGML = (b"lmgg", b"fmgg", b"tjgg", b"algg")

_OWN_FORMAT = {".safetensors": "safetensors", ".sft": "safetensors", ".gguf": "gguf"}


def _by_content(
    suffix: str, size: int, head: bytes, read_at: Callable[[int, int], bytes]
) -> Facts | None:
    """The facts, with a status if the content contradicts the suffix."""
    own, facts = _OWN_FORMAT.get(suffix), None
    # safetensors first: the length at its beginning may look like the magic number of another
    # format. A length of 640 looks like the first bytes of a pickle.
    if _is_safetensors(size, head, own):
        facts = _facts_of_header(SafetensorsHeader(size, read_at, SAFETENSORS_KEYS), size)
    elif head.startswith(MAGIC) or (own == "gguf" and MAGIC.startswith(head)):
        facts = _facts_of_header(GgufHeader(size, read_at, GGUF_KEYS), size)
    elif head.startswith(b"PK\x03\x04"):
        facts = _facts_of_zip(size, read_at)
    elif head.startswith(_TORCH):
        facts = Facts({"format": "pytorch (pickle)"})
    elif head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        facts = Facts({"format": "pickle"})
    elif head[257:262] == b"ustar":
        facts = Facts({"format": "pytorch (pickle in tar)"})
    elif head.startswith(_GGML):
        facts = Facts({"format": "ggml"})
    elif own == "safetensors":
        facts = _facts_of_header(SafetensorsHeader(size, read_at, SAFETENSORS_KEYS), size)
    if own and facts is None:
        return Facts({}, "damaged", f"The file is named {suffix} but does not begin like {own}.")
    if own and facts and not facts.status and facts.model["format"] != own:
        return Facts(
            facts.model,
            "damaged",
            f"The file is named {suffix} but is {facts.model['format']}; it cannot be loaded.",
        )
    return facts


def _is_safetensors(size: int, head: bytes, own: str | None) -> bool:
    """True if the first bytes are a safetensors header.

    Under another suffix the declared length must fit the size of the file as well.
    """
    length = int.from_bytes(head[:8], "little")
    most = LONGEST_HEADER if own == "safetensors" else min(LONGEST_HEADER, size - 8)
    return 2 <= length <= most and head[8:9] == b"{"


def _by_name(suffix: str) -> Facts:
    return Facts({"format": "onnx"} if suffix == ".onnx" else {})


_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"


def _facts_of_zip(size: int, read_at: Callable[[int, int], bytes]) -> Facts:
    """Facts of a zip, which ends with its table of contents (APPNOTE 4.3.16).

    An interrupted download has none.
    """
    model = {"format": "pytorch (pickle in zip)"}
    from_byte = max(0, size - 22 - 65535 - 20)
    tail = read_at(from_byte, size - from_byte)
    at = tail.rfind(_END)
    while at >= 0 and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") > len(tail):
        at = tail.rfind(_END, 0, at)
    if at < 0 or len(tail) < at + 22:
        return Facts(
            model,
            "truncated",
            f"The file has {size} bytes, but not the table of contents with which a zip ends.",
        )
    length = int.from_bytes(tail[at + 12 : at + 16], "little")
    begin = int.from_bytes(tail[at + 16 : at + 20], "little")
    end = from_byte + at
    if at >= 20 and tail[at - 20 : at - 16] == _LOCATOR64:
        end = int.from_bytes(tail[at - 12 : at - 4], "little")
        record = read_at(end, 56) if end + 56 <= size else b""
        if not record.startswith(_END64):
            return Facts(model, "damaged", "The zip's table of contents is not where it should be.")
        length = int.from_bytes(record[40:48], "little")
        begin = int.from_bytes(record[48:56], "little")
    if begin + length > end:
        return Facts(model, "damaged", "The zip's table of contents is not where it should be.")
    return Facts(model)


class _Header(Protocol):
    @property
    def format(self) -> str: ...
    @property
    def metadata(self) -> dict[str, str | int]: ...
    @property
    def end(self) -> int | None: ...
    def tensors(self) -> Iterator[tuple[bytes, str, tuple[int, ...], int]]: ...


def _facts_of_header(header: _Header, size: int) -> Facts:
    tensors = _Tensors()
    status = problem = unread = ""
    try:
        for name, dtype, shape, elements in header.tensors():
            tensors.add(name, dtype, shape, elements)
    except EOFError as error:
        status, problem = "truncated", str(error)
    except OverflowError as error:
        unread = str(error)
    except ValueError as error:
        status, problem = "damaged", str(error)
    if header.end is not None and header.end > size:
        status = "truncated"
        problem = f"The file has {size} of the {header.end} bytes that its header declares."
    elif header.end is not None and header.end < size and header.format == "safetensors":
        # safetensors does not allow further bytes, GGUF does.
        status = "damaged"
        problem = f"The file has {size} bytes, more than the {header.end} that its header declares."
    if tensors.elements > LARGEST:
        status, problem = "damaged", "The tensors have more elements than any file."
        return Facts({"format": header.format}, status, problem)
    complete = tensors if header.end is not None else None
    return Facts(_model(header, complete, unread), status, problem)


class _Tensors:
    """Totals of the tensors of a model, and their names."""

    def __init__(self) -> None:
        self.count = 0
        self.elements = 0
        self.dtypes: Counter[str] = Counter()
        self.names = TensorNames()
        self._ends: set[bytes] = set()

    def add(self, name: bytes, dtype: str, shape: tuple[int, ...], elements: int) -> None:
        self.count += 1
        self.elements += elements
        self.dtypes[dtype] += elements
        self.names.add(name, shape)
        if name.endswith(ENDS):
            self._ends.update(end for end in ENDS if name.endswith(end))

    def facts(self) -> dict[str, Any]:
        dtypes = dict(sorted(self.dtypes.items(), key=lambda item: (-item[1], item[0])))
        precision = precision_of(self.dtypes, self._ends)
        return {
            "tensors": self.count,
            "parameters": self.elements,
            "dtypes": dtypes,
            "precision": precision,
        }


# Metadata of the model

_SHORT, _LONG, _TAGS = 12 * TEXT, 65536, 1024 * 1024
"""Most bytes kept of a value: an escaped character has up to 12."""

SAFETENSORS_KEYS = {
    **dict.fromkeys(
        (
            "modelspec.architecture", "modelspec.author", "modelspec.license", "modelspec.title",
            "modelspec.base_model", "modelspec.merged_from", "modelspec.resolution",
            "modelspec.trigger_phrase", "modelspec.hash_sha256", "modelspec.air",
            "modelspec.description",
            "ss_base_model_version", "ss_network_module", "ss_output_name", "ss_resolution",
            "ss_sd_model_name", "sshs_model_hash", "base_model", "air", "author", "license",
            "description", "name", "config",
        ),
        _SHORT,
    ),
    "trained_words": _LONG,
    "sd_merge_models": _LONG,
    "ss_tag_frequency": _TAGS,
}  # fmt: skip
"""Metadata keys to read, with the most bytes of each. Sources: Stability-AI/ModelSpec, kohya's
sd-scripts (`ss_`), its webui extension (`sshs_`), AUTOMATIC1111's merger, ComfyUI's
metadata_extract.py. Thumbnails and cover images are left out."""

GGUF_KEYS = dict.fromkeys(
    (
        "general.architecture", "general.author", "general.license", "general.name", "general.type",
        "general.description", "general.file_type", "general.base_model.0.name",
        "general.organization",
    ),
    _SHORT,
)  # fmt: skip
"""Metadata keys to read, with the most bytes of each."""

_TEXTS = {
    "architecture": ("modelspec.architecture", "general.architecture"),
    "made_from": (
        "modelspec.merged_from", "modelspec.base_model", "base_model", "general.base_model.0.name",
    ),
    "title": ("modelspec.title", "ss_output_name", "general.name", "name"),
    "author": ("modelspec.author", "author", "general.author", "general.organization"),
    "description": ("modelspec.description", "description", "general.description"),
    "license": ("modelspec.license", "license", "general.license"),
    "air": ("air", "modelspec.air"),
}  # fmt: skip
"""The keys of each fact, in order of priority."""


def _model(header: _Header, tensors: _Tensors | None, unread: str) -> dict[str, Any]:
    """The facts by name. `tensors` is None if some are unknown; `unread` is the reason if any."""
    # The tables of signs: most runs read no header.
    from scanner.comfyui.model_identity import identity_of

    metadata = header.metadata
    model: dict[str, Any] = {"format": header.format, **(tensors.facts() if tensors else {})}
    for fact, keys in _TEXTS.items():
        texts = (clean_text(str(metadata[key])) for key in keys if key in metadata)
        model[fact] = next((text for text in texts if text and text != "None"), "")
    model["made_from"] = model["made_from"] or _merged(metadata)
    model["trigger_words"] = _trigger_words(metadata)
    model["resolution"] = _resolution(metadata)
    model["autov3"] = _autov3(metadata)
    model.update(identity_of(tensors.names if tensors else None, metadata).as_facts())
    if header.format == "gguf":
        model["quantization"] = _quantization(metadata, model.get("dtypes", {}))
        model["precision"] = word_of(model["quantization"])
    if "byte_order" in metadata:
        model["byte_order"] = metadata["byte_order"]
    if unread:
        model["unread"] = unread
    return {fact: value for fact, value in model.items() if value or value == 0}


_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+"
)
"""Control characters, and characters without width or that change the direction of text. Joiners
stay, because emoji and some scripts need them."""


def clean_text(text: str, most: int = TEXT) -> str:
    """The first characters of `text` in one line, without those that `_CONTROLS` matches."""
    return " ".join(_CONTROLS.sub(" ", text[: most * 8]).split())[:most].strip()


def _quantization(metadata: dict[str, str | int], dtypes: dict[str, int]) -> str:
    """The word for most weights; the `dtypes` stand in the order of their numbers of values."""
    kind = metadata.get("general.file_type")
    # llama.cpp adds 1024 to a type that it guessed.
    name = FILE_TYPES.get(kind & ~1024) if isinstance(kind, int) else None
    return name or next(iter(dtypes), "")


_HASH = re.compile(r"(?:0x)?([0-9a-fA-F]{12,128})")


def _autov3(metadata: dict[str, str | int]) -> str:
    for key in ("sshs_model_hash", "modelspec.hash_sha256"):
        match = _HASH.fullmatch(str(metadata.get(key, "")).strip())
        if match:
            return match[1][:12].lower()
    return ""


_SIDES = re.compile(r"\(?\s*(\d{1,5})\s*(?:[x,]\s*(\d{1,5}))?\s*\)?", re.IGNORECASE)


def _resolution(metadata: dict[str, str | int]) -> str:
    for key in ("modelspec.resolution", "ss_resolution"):
        match = _SIDES.fullmatch(str(metadata.get(key, "")).strip())
        if match:
            return f"{int(match[1])}x{int(match[2] or match[1])}"
    return ""


_MERGED_NAME = re.compile(r'"name"\s*:\s*"((?:[^"\\]|\\.){1,300})"')

_TAG_COUNT = re.compile(r'"((?:[^"\\]|\\.){1,300})"\s*:\s*(\d{1,9})\b')


def _merged(metadata: dict[str, str | int]) -> str:
    """Names of the models of a merge, from JSON of the form {hash: {"name": ...}}."""
    names = _MERGED_NAME.findall(str(metadata.get("sd_merge_models", "")))
    return clean_text(", ".join(map(_unescaped, names[:WORDS])))


def _trigger_words(metadata: dict[str, str | int]) -> list[str]:
    return (
        clean_words(str(metadata.get("modelspec.trigger_phrase", "")).split(","))
        or clean_words(_listed(str(metadata.get("trained_words", ""))))
        or clean_words(_top_tags(str(metadata.get("ss_tag_frequency", ""))))
    )


def clean_words(words: list[str]) -> list[str]:
    """The first of these words, each once and as `clean_text` leaves it."""
    cleaned = dict.fromkeys(clean_text(word, WORD) for word in words[: WORDS * 8])
    return [word for word in cleaned if word][:WORDS]


def _listed(text: str) -> list[str]:
    """The words of a JSON list, or of a text with commas."""
    if text.lstrip().startswith("["):
        try:
            return [word for word in orjson.loads(text) if isinstance(word, str)]
        except ValueError:
            pass  # it was cut, or is not JSON
    return text.split(",")


def _top_tags(text: str) -> list[str]:
    """The most frequent tags, from JSON of the form {dataset: {tag: count}}.

    The JSON is not parsed, because it may be large or cut.
    """
    counts: Counter[str] = Counter()
    for match in _TAG_COUNT.finditer(text):
        if len(counts) < TAGS or match[1] in counts:
            counts[match[1]] += int(match[2])
    return [_unescaped(tag) for tag, _ in counts.most_common(TOP_TAGS)]


def _unescaped(text: str) -> str:
    try:
        return str(orjson.loads(f'"{text}"'))
    except ValueError:
        return text
