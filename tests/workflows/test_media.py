"""Workflows in files of every kind, written by the writers that ComfyUI uses."""

from __future__ import annotations

import functools
import io
import json
import struct
from typing import Any

import pytest

from scanner.workflows.document import LARGEST, read_text
from scanner.workflows.media.read import read_workflow
from scanner.workflows.media.source import MOST_READ, MOST_READS, MOST_STEPS
from scanner.workflows.uses import Use, Workflow, WorkflowError
from tests.support.fuzz_workflows import API, UI, Counted, fuzz
from tests.support.media import (
    WRITERS,
    chunk,
    flac,
    glb,
    jpeg,
    latent,
    mp3,
    mp4,
    opus,
    png,
    webm,
    webp,
)

LONG = {
    **UI,
    "nodes": [
        *UI["nodes"],  # type: ignore[misc]
        {"id": 9, "type": "Note", "widgets_values": ["Zeichen: \u00e4\u732b\U0001f408 " * 9000]},
        {"id": 10, "type": "VAELoader", "widgets_values": ["f\u00fcr \u732b.safetensors"]},
    ],
}
"""As large as those of real authors: over many pages of Ogg, over segments of Matroska."""

NAMES = {"a.safetensors", "d.safetensors", "bad", "b.pt"}


def read(data: bytes) -> Workflow:
    return read_workflow(io.BytesIO(data), len(data))


@functools.cache
def written(kind: str, *keys: str) -> bytes:
    """A file of the kind with these texts. JPEG holds 64 kB in a segment."""
    ui = UI if kind.startswith("jpeg") else LONG
    texts = {"prompt": json.dumps(API), "workflow": json.dumps(ui)}
    return WRITERS[kind]({key: text for key, text in texts.items() if key in keys})


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_needs_what_its_json_needs(kind: str) -> None:
    expected = UI if kind.startswith("jpeg") else LONG
    workflow = read(written(kind, "prompt", "workflow"))
    assert workflow == read_text(json.dumps(expected).encode())
    assert {need.name for need in workflow.needs()} >= NAMES
    if expected is LONG:
        assert "f\u00fcr \u732b.safetensors" in {need.name for need in workflow.needs()}


@pytest.mark.parametrize("kind", WRITERS)
def test_what_ran_is_read_where_the_graph_of_the_page_is_not_there(kind: str) -> None:
    workflow = read(written(kind, "prompt"))
    assert workflow.form == "api"
    assert workflow == read_text(json.dumps(API).encode())


DAMAGED = ('{"nodes": [', "{}", '{"nodes": [], "links": []}')
IN_ONE_TEXT = [kind for kind in WRITERS if "comment" in kind or "svg" in kind]


@pytest.mark.parametrize(
    ("kind", "damaged"),
    [
        (kind, damaged)
        for kind in WRITERS
        if kind != "plain"
        for damaged in (DAMAGED[1:] if kind in IN_ONE_TEXT else DAMAGED)
    ],
)
def test_what_ran_is_read_where_the_graph_is_damaged_or_names_nothing(
    kind: str, damaged: str
) -> None:
    workflow = read(WRITERS[kind]({"prompt": json.dumps(API), "workflow": damaged}))
    assert [use.name for use in workflow.uses] == ["e.gguf"]


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "plain"])
def test_a_file_without_texts_is_one_sentence(kind: str) -> None:
    with pytest.raises(WorkflowError, match=r"^it holds no workflow of ComfyUI$"):
        read(WRITERS[kind]({}))


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg", "mp4", "webm", "flac", "opus", "mp3"])
def test_a_damaged_text_is_named(kind: str) -> None:
    with pytest.raises(WorkflowError, match=r"^its workflow cannot be read: it is no JSON"):
        read(WRITERS[kind]({"workflow": '{"nodes": [{]}'}))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_ends_anywhere_ends_in_a_sentence_or_in_its_workflow(kind: str) -> None:
    data = WRITERS[kind]({"prompt": json.dumps(API), "workflow": json.dumps(UI)})
    outcomes = set()
    for end in range(0, len(data), max(1, len(data) // 200)):
        for size in (end, len(data)):
            try:
                outcomes.add(bool(read_workflow(io.BytesIO(data[:end]), size).uses))
            except WorkflowError:
                outcomes.add(False)
    assert False in outcomes


def test_the_kind_is_told_by_the_content() -> None:
    for data in (b"", b"MZ\x90", b"Entry not found", b"\x1f\x8b\x08", bytes(100)):
        with pytest.raises(WorkflowError, match=r"^it is no JSON, and no picture"):
            read(data)
    with pytest.raises(WorkflowError, match=r"^it holds no workflow of ComfyUI$"):
        read(b"<!DOCTYPE html><html><title>404</title></html>")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_plain_json_may_begin_with_a_mark_of_its_encoding(encoding: str) -> None:
    assert read(json.dumps(UI).encode(encoding)) == read_text(json.dumps(UI).encode())


@pytest.mark.parametrize(
    "beginning", [b"ID3", b"ID3\4", b"fLaC", b"OggS", b"glTF", b"\xff\xd8\xff"]
)
def test_files_that_end_in_their_first_bytes(beginning: bytes) -> None:
    with pytest.raises(WorkflowError, match=r"^it holds no workflow of ComfyUI$"):
        read(beginning)


def test_white_space_may_stand_before_json() -> None:
    assert read(b"\r\n  " + json.dumps(UI).encode()).uses


# How little is read


class Endless(io.RawIOBase):
    """A file of any length that consists of one piece repeated, behind a beginning."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self.head, self.piece = head, piece
        self.reads = self.bytes_read = self.at = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        self.reads += 1
        self.bytes_read += size
        begin = self.at - len(self.head)
        skip = max(0, begin) % len(self.piece)
        count = (size + skip) // len(self.piece) + 1
        content = (self.piece * count)[skip:]
        if begin < 0:
            content = self.head[self.at :] + content
        self.at += size
        return content[:size]


def _box(kind: bytes, content: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if length is None else length, kind) + content


LARGE = 1 << 40

ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "PNG of empty chunks": (png({})[:33], chunk(b"IDAT", b"")),
    "PNG of empty texts": (png({})[:33], chunk(b"tEXt", b"prompt\0{}")),
    "PNG of large chunks": (png({})[:33], chunk(b"IDAT", bytes(8192))),
    "PNG of one text": (png({})[:33] + b"\x0f\xff\xff\xfftEXt", b"x"),
    "WebP of empty frames": (b"RIFF\xff\xff\xff\xffWEBP", b"ANMF" + bytes(4)),
    "JPEG of fillings": (b"\xff\xd8\xff", b"\xff"),
    "JPEG of restarts": (b"\xff\xd8\xff\xe0\0\2", b"\xff\xd0"),
    "JPEG of empty comments": (b"\xff\xd8", b"\xff\xfe\0\2"),
    "JPEG of no lengths": (b"\xff\xd8", b"\xff\xfe\0\0"),
    "MP4 of empty boxes": (_box(b"ftyp"), _box(b"free")),
    "MP4 of empty moov": (_box(b"ftyp"), _box(b"moov")),
    "MP4 of items": (
        _box(b"ftyp") + _box(b"moov", length=0) + _box(b"udta", length=0)
        + _box(b"meta", bytes(4), length=0) + _box(b"ilst", length=0),
        _box(b"\xa9cmt", _box(b"data", bytes(8))),
    ),
    "MP4 of keys": (
        _box(b"ftyp") + _box(b"moov", length=0) + _box(b"meta", bytes(4), length=0)
        + _box(b"keys", b"\0\0\0\0\xff\xff\xff\xff", length=0),
        _box(b"mdta"),
    ),
    "Matroska of empty elements": (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff", b"\xec\x80"),
    "Matroska of nested tags": (
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff\x12\x54\xc3\x67\xff\x73\x73\xff",
        b"\x67\xc8\xff",
    ),
    "FLAC of empty blocks": (b"fLaC", b"\4\0\0\0"),
    "Ogg of one packet": (
        b"OggS\0\2" + bytes(8) + b"abcd" + bytes(8) + b"\1\1x",
        b"OggS\0\0" + bytes(8) + b"abcd" + bytes(8) + b"\xff" + b"\xff" * 255 + bytes(255 * 255),
    ),
    "Ogg of empty pages": (b"", b"OggS\0\2" + bytes(8) + b"abcd" + bytes(8) + b"\0"),
    "ID3 of empty frames": (b"ID3\4\0\0\x1f\x7f\x7f\x7f", b"TXXX\0\0\0\0\0\0"),
    "SVG of openings": (b"<svg>", b"<metadata "),
    "SVG of raw openings": (b"<svg>", b"<metadata><![CDATA[]]> "),
    "safetensors of spaces": (b"\0\0\0\x7f\0\0\0\0{", b" "),
    "safetensors of commas": (b"\0\0\0\x7f\0\0\0\0{", b',"__metadata__"' + b" " * 1000),
    "GLB of spaces": (b"glTF" + bytes(8) + b"\0\0\0\4JSON{", b" "),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_hostile_lengths_end_within_bounds(name: str) -> None:
    file = Endless(*ENDLESS[name])
    with pytest.raises(WorkflowError):
        read_workflow(file, LARGE)  # type: ignore[arg-type]
    assert file.reads <= MOST_READS
    assert file.bytes_read <= MOST_READ


def test_pixels_and_sound_are_not_read() -> None:
    """Of a picture, and of a video, with 100 MB of data some kilobytes are read."""
    texts = {"workflow": json.dumps(UI)}
    head = png({})[:33]
    many = b"".join(chunk(b"IDAT", bytes(1 << 20)) for _ in range(100))
    text = chunk(b"comf", b"workflow\0" + json.dumps(UI).encode())
    film = mp4(texts)
    end = int.from_bytes(film[:4], "big")
    for data in (
        head + many + text + chunk(b"IEND", b""),
        film[:end] + _box(b"mdat", bytes(100 << 20)) + film[end:],
    ):
        file = Counted(data)
        assert read_workflow(file, len(data)).uses
        assert file.bytes_read < 1 << 20
        assert file.reads < 250


def test_reading_ends_with_the_graph_of_the_page() -> None:
    text = chunk(b"tEXt", b"workflow\0" + json.dumps(UI).encode())
    data = png({})[:33] + text + b"".join(chunk(b"IDAT", bytes(8192)) for _ in range(1000))
    file = Counted(data)
    assert read_workflow(file, len(data)).uses
    assert file.reads == 1


@pytest.mark.parametrize("writer", ["png_compressed", "png_international_compressed"])
def test_a_text_that_inflates_too_far_is_no_text(writer: str) -> None:
    bomb = WRITERS[writer]({"workflow": "[" + " " * (LARGEST + 10) + "]"})
    assert len(bomb) < 1 << 20
    with pytest.raises(WorkflowError, match=r"^its texts are larger than 64 MB$"):
        read(bomb)


def test_what_was_found_before_a_limit_counts() -> None:
    first = chunk(b"tEXt", b"prompt\0" + json.dumps(API).encode())
    file = Endless(png({})[:33] + first, chunk(b"IDAT", bytes(8192)))
    assert read_workflow(file, LARGE).form == "api"  # type: ignore[arg-type]


def test_limits_are_what_the_tests_believe() -> None:
    assert (MOST_READ, MOST_READS, MOST_STEPS) == (96 << 20, 20_000, 200_000)


def test_json_that_is_too_large_is_not_read() -> None:
    file = Endless(b"{", b" ")
    with pytest.raises(WorkflowError, match=r"^it is larger than 64 MB$"):
        read_workflow(file, LARGE)  # type: ignore[arg-type]
    assert file.bytes_read <= 4096


# What single formats allow


def test_latin_1_in_a_png() -> None:
    text = json.dumps(
        {**API, "1": node("UNETLoader", unet_name="f\u00fcr.gguf")}, ensure_ascii=False
    )
    data = png({})[:33] + chunk(b"tEXt", b"prompt\0" + text.encode("latin-1"))
    assert [use.name for use in read(data).uses] == ["f\u00fcr.gguf"]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def test_keys_are_known_in_any_case() -> None:
    assert read(png({"Workflow": json.dumps(UI)})).uses


def test_chunks_of_webp_begin_at_even_places() -> None:
    data = webp({"workflow": json.dumps(UI)})
    odd = b"XXXX" + struct.pack("<I", 3) + b"abc\0"
    assert read(data[:12] + odd + data[12:]).uses


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_user_comments_in_either_order_of_bytes(order: str, encoding: str) -> None:
    text = b"UNICODE\0" + json.dumps(API).encode(encoding)
    exif = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
        order + "IHHHIIIHHHIII",
        *(8, 1, 0x8769, 4, 1, 26, 0),
        *(1, 0x9286, 7, len(text), 44, 0),
    )
    data = chunk(b"eXIf", exif + text)
    assert [use.name for use in read(png({})[:33] + data).uses] == ["e.gguf"]


def _frame(name: bytes, content: bytes, flags: bytes = b"\0\0", version: int = 4) -> bytes:
    if version == 2:
        return name + len(content).to_bytes(3, "big") + content
    size = _synchsafe(len(content)) if version == 4 else len(content).to_bytes(4, "big")
    return name + size + flags + content


def _synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _tag(frames: bytes, version: int = 4, flags: int = 0) -> bytes:
    return b"ID3" + bytes([version, 0, flags]) + _synchsafe(len(frames)) + frames + bytes(20)


@pytest.mark.parametrize(
    ("number", "encoding"), [(0, "latin-1"), (1, "utf-16"), (2, "utf-16-be"), (3, "utf-8")]
)
@pytest.mark.parametrize("version", [2, 3, 4])
def test_id3_in_each_encoding(number: int, encoding: str, version: int) -> None:
    text = json.dumps(
        {"1": node("UNETLoader", unet_name="f\u00fcr \u0100.gguf")}, ensure_ascii=number == 0
    )
    content = bytes([number]) + f"prompt\0{text}".encode(encoding)
    name = b"TXX" if version == 2 else b"TXXX"
    data = _tag(_frame(name, content, version=version), version)
    assert [use.name for use in read(data).uses] == ["f\u00fcr \u0100.gguf"]


def test_id3_without_synchronisation() -> None:
    """Writers put a zero behind each 0xFF, so that players find no sound there."""
    text = json.dumps({"1": node("UNETLoader", unet_name="\u00ff.gguf")}, ensure_ascii=False)
    content = b"\0prompt\0" + text.encode("latin-1")
    spread = content.replace(b"\xff", b"\xff\0")
    for data in (
        _tag(_frame(b"TXXX", spread, b"\0\2")),
        _tag(_frame(b"TXXX", content, version=3).replace(b"\xff", b"\xff\0"), 3, 0x80),
    ):
        assert [use.name for use in read(data).uses] == ["\u00ff.gguf"]


def test_id3_compressed_extended_and_encrypted() -> None:
    import zlib

    content = b"\3prompt\0" + json.dumps(API).encode()
    packed = zlib.compress(content)
    small = len(content).to_bytes(4, "big")
    extended_3, extended_4 = b"\0\0\0\6" + bytes(6), _synchsafe(6) + b"\1\0"
    for data in (
        _tag(_frame(b"TXXX", small + packed, b"\0\x80", 3), 3),
        _tag(_frame(b"TXXX", _synchsafe(len(content)) + packed, b"\0\x09")),
        _tag(extended_3 + _frame(b"TXXX", content, version=3), 3, 0x40),
        _tag(extended_4 + _frame(b"TXXX", content), 4, 0x40),
    ):
        assert [use.name for use in read(data).uses] == ["e.gguf"]
    with pytest.raises(WorkflowError):
        read(_tag(_frame(b"TXXX", content, b"\0\x04")))


def test_a_comment_of_id3_and_flac_behind_it() -> None:
    comment = b"\3eng\0" + json.dumps({"prompt": API}).encode()
    assert read(_tag(_frame(b"COMM", comment))).form == "api"
    tag = _tag(_frame(b"TIT2", b"\3A title"))[:-20]
    assert read(tag + flac({"workflow": json.dumps(UI)})).form == "ui"


def test_itunes_own_form_of_tags() -> None:
    item = (
        _box(b"mean", bytes(4) + b"com.apple.iTunes")
        + _box(b"name", bytes(4) + b"prompt")
        + _box(b"data", bytes(8) + json.dumps(API).encode())
    )
    meta = _box(b"meta", bytes(4) + _box(b"ilst", _box(b"----", item)))
    assert read(_box(b"ftyp", b"M4A ") + _box(b"moov", _box(b"udta", meta))).form == "api"


def test_metadata_of_quicktime_are_no_full_box() -> None:
    """Its box `meta` has no version before the boxes in it."""
    handler = _box(b"hdlr", bytes(8) + b"mdta" + bytes(13))
    keys = _box(b"keys", struct.pack(">II", 0, 1) + _box(b"mdta", b"prompt"))
    data = _box(b"data", bytes(8) + json.dumps(API).encode())
    meta = _box(b"meta", handler + keys + _box(b"ilst", _box(b"\0\0\0\1", data)))
    assert read(_box(b"ftyp", b"qt  ") + _box(b"moov", meta)).form == "api"


def test_boxes_with_long_lengths() -> None:
    film = mp4({"workflow": json.dumps(UI)})
    at = film.index(b"mdat") - 4
    length = int.from_bytes(film[at : at + 4], "big")
    long = struct.pack(">I4sQ", 1, b"mdat", length + 8) + film[at + 8 : at + length]
    assert read(film[:at] + long + film[at + length :]).uses


@pytest.mark.parametrize("text", ["a ]]> b", "</metadata>", "<![CDATA["])
def test_texts_within_svg_that_look_like_its_ends(text: str) -> None:
    ui = {**UI, "extra": {"note": text}}
    assert read(WRITERS["svg"]({"workflow": json.dumps(ui)})).form == "ui"


def test_svg_expands_no_entities() -> None:
    bomb = (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">'
        b'<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><svg><metadata>{"prompt": "&b;"}</metadata></svg>'
    )
    with pytest.raises(WorkflowError, match=r"^it holds no workflow of ComfyUI$"):
        read(bomb)


def test_metadata_of_safetensors_that_do_not_stand_first() -> None:
    header = {
        "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
        "__metadata__": {"note": '"__metadata__": {"prompt": 1}', "prompt": json.dumps(API)},
    }
    text = json.dumps(header).encode()
    assert read(len(text).to_bytes(8, "little") + text + bytes(4)).form == "api"


# The text of other programs

PARAMETERS = """a cat, Model: not this one
Negative prompt: dog
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: 6ce0161689, \
Model: v1-5-pruned, VAE hash: 735e4c3a44, VAE: mse.safetensors, \
Lora hashes: "ink one: 1f2e3d4c5b6a, style: 0a1b2c3d4e5f", Version: v1.10.1"""


@pytest.mark.parametrize("kind", ["png", "jpeg_text", "webp_text"])
def test_models_in_the_parameters_of_other_programs(kind: str) -> None:
    if kind == "png":
        data = png({"parameters": PARAMETERS})
    else:
        from PIL import Image

        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + PARAMETERS.encode("utf-16-be")
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, kind.removesuffix("_text"), exif=exif)
        data = buffer.getvalue()
    workflow = read(data)
    assert workflow.form == "parameters"
    assert [(use.name, use.category) for use in workflow.uses] == [
        ("v1-5-pruned", "checkpoints"),
        ("mse.safetensors", "vae"),
        ("ink one", "loras"),
        ("style", "loras"),
    ]
    assert all(use.bare and use.active for use in workflow.uses)


def test_a_workflow_says_more_than_parameters() -> None:
    data = png({"parameters": PARAMETERS, "prompt": json.dumps(API)})
    assert [use.name for use in read(data).uses] == ["e.gguf"]
    assert read(data).uses[0] == Use("e.gguf", "diffusion_models", "1 UNETLoader", True)


def test_prose_that_is_no_parameters() -> None:
    with pytest.raises(WorkflowError):
        read(png({"parameters": "Model: none of these, just words"}))


# Damage at random


def test_damaged_files_end_in_a_sentence_or_a_workflow() -> None:
    met = fuzz(2000, 1)
    assert met["ui"] > 300
    assert met["api"] > 100
    assert met["error"] > 300


def test_small_files_of_each_kind_are_read_at_one_go() -> None:
    """A picture on a NAS costs few round trips."""
    texts = {"workflow": json.dumps(UI), "prompt": json.dumps(API)}
    for writer in (png, webp, jpeg, mp4, webm, flac, opus, mp3, glb, latent):
        data = writer(texts)
        file = Counted(data)
        read_workflow(file, len(data))
        assert file.reads <= 6, writer.__name__
