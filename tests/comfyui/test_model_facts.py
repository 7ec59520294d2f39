"""Files have the right facts and status, and no header does any harm."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.comfyui import safetensors as safetensors_header
from scanner.comfyui.model_facts import TEXT, FactsRead, facts_of, read_facts
from scanner.comfyui.model_files import wants_facts
from scanner.disk.filesystem import DiskFileSystem
from tests.support.fakes import FakeFileSystem
from tests.support.fuzz_headers import CORPUS, LFS, checked, fuzz, zip_file
from tests.support.headers import facts, gguf_end, said

# Names


@pytest.mark.parametrize(
    "name",
    [
        "a.safetensors", "a.SafeTensors", "a.sft", "b/c.gguf", "a.ggml", "a.ckpt", "a.pt", "a.pt2",
        "a.pth", "a.pkl", "a.onnx", "diffusion_pytorch_model.bin", "v1.5.GGUF", "\u732b.sft",
    ],
)  # fmt: skip
def test_model_files_are_wanted(name: str) -> None:
    assert wants_facts(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.safetensors.aria2", "a.safetensors.part", "a.safetensors.index.json", "a.png", "a", "",
        "safetensors", "pt", "a.json", "put_checkpoints_here", "a.yaml", "a.py", "a.txt", "a.zip",
    ],
)  # fmt: skip
def test_other_files_are_not(name: str) -> None:
    assert not wants_facts(name)


@pytest.mark.parametrize(
    "name", ["lora.safetensors", "flux.gguf", "one.gguf", "big.gguf", "new.pt", "large.pth"]
)
def test_a_file_cut_anywhere_is_truncated(name: str) -> None:
    whole = CORPUS[name]
    end = gguf_end(whole) if name.endswith(".gguf") else len(whole)
    shortest = 0 if name.endswith((".safetensors", ".gguf")) else 4  # bytes that show the format
    for length in range(shortest, len(whole)):
        found = facts(whole[:length], name)
        assert found.status == ("truncated" if length < end else ""), (length, found)


# What metadata say


@pytest.mark.parametrize(
    ("metadata", "facts_found"),
    [
        ({"modelspec__architecture": "sd/lora"},
         {"architecture": "sd/lora", "kind": "lora", "evidence": "metadata"}),
        ({"ss_base_model_version": "sdxl_base_v1-0"}, {}),
        ({"ss_base_model_version": "sdxl_base_v1-0", "ss_network_module": "networks.lora"},
         {"kind": "lora", "base_model": "SDXL", "family": "SDXL", "evidence": "metadata"}),
        ({"modelspec__merged_from": "", "base_model": "x"}, {"made_from": "x"}),
        ({"ss_sd_model_name": "/home/me/sdxl.safetensors"}, {}),
        ({"sd_merge_models": '{"a":{"name":"\\"a"},"b":{"name":"b"'}, {"made_from": '"a, b'}),
        ({"ss_output_name": "b", "modelspec__title": " \n"}, {"title": "b"}),
        ({"modelspec__author": "me", "license": "MIT"}, {"author": "me", "license": "MIT"}),
        ({"modelspec__description": "\ufeffa\r\n\tb\x07\u202ec"}, {"description": "a b c"}),
        ({"modelspec__description": "x" * 9000}, {"description": "x" * TEXT}),
        ({"modelspec__description": "\U0001f600" * 9000}, {"description": "\U0001f600" * TEXT}),
        ({"modelspec__trigger_phrase": "a, b c,a,"}, {"trigger_words": ["a", "b c"]}),
        ({"trained_words": '["x", 1, "y, z"]'}, {"trigger_words": ["x", "y, z"]}),
        ({"trained_words": "x,y"}, {"trigger_words": ["x", "y"]}),
        ({"trained_words": "[x"}, {"trigger_words": ["[x"]}),
        ({"trained_words": json.dumps(list("abcdefghijklmnopqrstuvwxyz"))},
         {"trigger_words": list("abcdefghijklmnopqrst")}),
        ({"ss_tag_frequency": '{"d":{"a":1,"b\\u732b":3,"c":3},"e":{"a":1,"c":1}}'},
         {"trigger_words": ["c", "b\u732b", "a"]}),
        ({"ss_tag_frequency": "[" * 9000}, {}),
        ({"sshs_model_hash": "ABCDEF0123456789"}, {"autov3": "abcdef012345"}),
        ({"sshs_model_hash": "no", "modelspec__hash_sha256": "0x" + "aB" * 32},
         {"autov3": "abababababab"}),
        ({"sshs_model_hash": "abc"}, {}),
        ({"modelspec__resolution": "1024x768"}, {"resolution": "1024x768"}),
        ({"ss_resolution": "(512, 640)"}, {"resolution": "512x640"}),
        ({"ss_resolution": "512"}, {"resolution": "512x512"}),
        ({"ss_resolution": "large"}, {}),
        ({"air": "urn:air:sdxl:lora:civitai:1@2"}, {"air": "urn:air:sdxl:lora:civitai:1@2"}),
        ({"ss_network_module": "networks.lora"}, {"kind": "lora", "evidence": "metadata"}),
        ({"modelspec__architecture": "stable-diffusion-v1/textual-inversion"},
         {"architecture": "stable-diffusion-v1/textual-inversion", "kind": "embedding",
          "base_model": "SD 1.5", "family": "SD 1.5", "evidence": "metadata"}),
        ({"modelspec__thumbnail": "data:image/png;base64,AAAA", "ssmd_cover_images": "[]"}, {}),
    ],
)  # fmt: skip
def test_metadata_become_facts(metadata: dict[str, str], facts_found: dict[str, Any]) -> None:
    nothing = {"format": "safetensors", "tensors": 0, "parameters": 0}
    assert said(**metadata) == nothing | facts_found


@pytest.mark.parametrize("limit", range(10))
def test_a_text_is_cut_between_its_characters(limit: int) -> None:
    text = '"a\\u732b\u732b\\ud83d\\ude00"'.encode()
    short = safetensors_header._string_start(text, 0, limit)
    assert "a\u732b\u732b\U0001f600".startswith(short)


# Other formats, and what is none


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.ckpt", CORPUS["old.ckpt"], ("pytorch (pickle)", "")),
        ("a.pkl", b"\x80\x04\x95\x00", ("pickle", "")),
        ("a.pt", zip_file(), ("pytorch (pickle in zip)", "")),
        ("a.pt", zip_file(b"PK\5\6 comment"), ("pytorch (pickle in zip)", "")),
        ("a.pth", zip_file(is_64=True), ("pytorch (pickle in zip)", "")),
        ("a.pt2", zip_file()[:-1], ("pytorch (pickle in zip)", "truncated")),
        ("a.bin", zip_file()[:-30] + bytes(200_000), ("pytorch (pickle in zip)", "truncated")),
        ("a.bin", zip_file()[:50] + zip_file()[80:], ("pytorch (pickle in zip)", "damaged")),
        ("a.bin", b"PK\3\4", ("pytorch (pickle in zip)", "truncated")),
        ("a.onnx", b"\x08\x07\x12\x07pytorch", ("onnx", "")),
        ("a.ggml", b"tjgg\3\0\0\0", ("ggml", "")),
        ("a.bin", b"anything else", (None, "")),
        ("a.ckpt", CORPUS["plain.safetensors"], ("safetensors", "")),
        ("a.bin", CORPUS["flux.gguf"], ("gguf", "")),
        ("a.safetensors", CORPUS["old.ckpt"], ("pytorch (pickle)", "damaged")),
        ("a.sft", zip_file(), ("pytorch (pickle in zip)", "damaged")),
        ("a.safetensors", CORPUS["flux.gguf"], ("gguf", "damaged")),
        ("a.gguf", CORPUS["plain.safetensors"], ("safetensors", "damaged")),
        ("a.gguf", b"GGUG" + bytes(40), (None, "damaged")),
        ("a.pt", b"", (None, "truncated")),
        ("a.pt", LFS, (None, "pointer")),
        ("a.safetensors", LFS.replace(b"\n", b"\r\n"), (None, "pointer")),
        ("a.gguf", b"version https://git-lfs.github.com/spec/v1\n", (None, "pointer")),
        ("a.pt", b"<!DOCTYPE html>\n<html>", (None, "page")),
        ("a.pt", b"\xef\xbb\xbf \r\n<HTML lang=en>" + b"x" * 9000, (None, "page")),
        ("a.gguf", b"\xff\xfe" + "<html>".encode("utf-16-le"), (None, "page")),
        ("a.pt", b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code>', (None, "page")),
        ("a.pt", b"<?xml version='1.0'?><ListBucketResult>", (None, "page")),
        ("a.pt", b"<!-- a --><!-- b -->\n<!--c--><html>", (None, "page")),
        ("a.pt", b"<!---->" * 600 + b"<p>", (None, "")),
        ("a.pt", b'{"error":"Repository not found"}', (None, "page")),
        ("a.sft", b'\n{ "message": "Unauthorized" }', (None, "page")),
        ("a.pt", b"{}", (None, "page")),
        ("a.pt", b"Entry not found", (None, "page")),
        ("a.safetensors", b"Access to model x is restricted. Please log in.", (None, "page")),
        ("a.pt", b"Access denied", (None, "page")),
        ("a.pt", b"Invalid username or password.", (None, "page")),
        ("a.pt", b"404: Not Found", (None, "page")),
        ("a.pt", b"Internal Server Error", (None, "page")),
        ("a.bin", b"123 words of a text", (None, "")),
        ("a.bin", b"forbidden\0", (None, "")),
        ("a.onnx", bytes(9), (None, "damaged")),
    ],
)
def test_what_a_file_is(name: str, data: bytes, expected: tuple[str | None, str]) -> None:
    found = facts(data, name)
    assert (found.model.get("format"), found.status) == expected


def test_a_pointer_says_what_it_points_to() -> None:
    found = facts(LFS)
    assert found.model == {"lfs_sha256": "0123456789abcdef" * 4, "lfs_size": 6938040682}
    assert "6938040682 bytes was not downloaded" in found.problem


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """This one would make a file."""
    evil = b"cposix\nsystem\n(S'touch " + str(tmp_path / "made").encode() + b"'\ntR."
    for data in (evil, b"\x80\x02" + evil):
        for name in ("a.pkl", "a.ckpt", "a.bin", "a.safetensors"):
            facts(data, name)
    assert list(tmp_path.iterdir()) == []


# Reading


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_files_are_read_through_the_file_system(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CORPUS[name])
    files = DiskFileSystem()
    read = read_facts(files, str(tmp_path / name))
    stat = files.stat(str(tmp_path / name))
    expected = facts(CORPUS[name], name)
    assert read == FactsRead(len(CORPUS[name]), stat.mtime, expected, stat.identity)


def test_short_reads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    files = FakeFileSystem()
    files.write("/lora.safetensors", CORPUS["lora.safetensors"])
    whole = read_facts(files, "/lora.safetensors")
    opened = files.open

    def slow(path: str) -> Any:
        file = opened(path)
        read = file.read
        file.read = lambda size=-1: read(min(size, 7))  # type: ignore[method-assign]
        return file

    monkeypatch.setattr(files, "open", slow)
    assert read_facts(files, "/lora.safetensors") == whole
    assert whole is not None
    assert whole.facts.model["kind"] == "lora"


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.write("/x.gguf", CORPUS["flux.gguf"] + b"more"),
        lambda files: files.write("/x.gguf", b"GGUF"),
        lambda files: files.write("/x.gguf", b""),
        lambda files: (files.advance(1), files.touch("/x.gguf")),
    ],
    ids=["grown", "shrunk", "emptied", "touched"],
)
def test_a_file_that_changes_while_it_is_read_has_no_facts(
    change: Callable[[FakeFileSystem], object],
) -> None:
    files = FakeFileSystem()
    files.write("/x.gguf", CORPUS["flux.gguf"])

    def meanwhile() -> None:
        change(files)
        files.faults.clear()

    files.faults["open", "/x.gguf"] = meanwhile
    assert read_facts(files, "/x.gguf") is None
    assert read_facts(files, "/x.gguf") is not None


@pytest.mark.parametrize("operation", ["stat", "open"])
def test_errors_of_the_file_system_pass(operation: str) -> None:
    files = FakeFileSystem()
    files.write("/x.pt", b"x")
    files.faults[operation, "/x.pt"] = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        read_facts(files, "/x.pt")


@pytest.mark.parametrize("name", ["lora.safetensors", "flux.gguf", "new.pt", "old.ckpt"])
def test_errors_while_reading_pass(name: str) -> None:
    data = CORPUS[name]
    reads = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal reads
        reads -= 1
        if reads == 0:
            raise OSError(errno.ESTALE, "stale")
        return data[offset : offset + length]

    facts_of(name, len(data), read_at)
    for failing in range(1, 1 - reads):
        reads = failing
        with pytest.raises(OSError, match="stale"):
            facts_of(name, len(data), read_at)


def test_a_file_that_ends_within_its_header_before_its_size_is_truncated() -> None:
    for name, data in (("lora.safetensors", 28), ("flux.gguf", 352), ("new.pt", 40)):
        for length in range(4, len(CORPUS[name]) - data, 3):
            found = checked(name, CORPUS[name][:length], len(CORPUS[name]) + 5000)
            assert found.status == "truncated", (name, length)


def test_a_file_that_is_emptied_after_its_stat_is_truncated() -> None:
    assert checked("x.safetensors", b"", 100).status == "truncated"


def test_a_small_header_costs_one_read() -> None:
    data = CORPUS["lora.safetensors"]
    calls = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal calls
        calls += 1
        return data[offset : offset + length]

    facts_of("x.safetensors", len(data), read_at)
    assert calls == 1


def test_no_mutant_does_harm() -> None:
    met = fuzz(5_000, seed=7)
    assert set(met) == {"", "truncated", "damaged", "pointer", "page"}
    assert min(met.values()) > 50


@settings(deadline=None)  # machines of tests are busy
@given(st.binary(max_size=300), st.sampled_from(["a.safetensors", "a.gguf", "a.pt", "a.bin"]))
def test_no_bytes_do_harm(data: bytes, name: str) -> None:
    for begin in (b"", b"GGUF\3\0\0\0", b"PK\3\4", len(data).to_bytes(8, "little") + b"{"):
        orjson.dumps(checked(name, begin + data).model)
