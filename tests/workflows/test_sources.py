"""Where a missing model comes from: the hint that is used, and the command that is shown."""

from __future__ import annotations

import pytest

from scanner.workflows.sources import command_line, download_words, source_of
from scanner.workflows.uses import Hint, Need

URL = "https://huggingface.co/a/b/resolve/main/x.safetensors"


def need(name: str, *hints: Hint, category: str | None = "loras") -> Need:
    return Need(name, category, True, (), hints=hints)


def command(name: str, url: str | None, directory: str = "loras", **fields: str) -> str | None:
    words = download_words(need(name, Hint(name, url, directory, None), **fields))
    return command_line(words, is_windows=False) if words else None


def test_the_command_puts_the_file_where_the_node_looks() -> None:
    begin = f"comfy model download --url {URL} --relative-path"
    assert command("x.safetensors", URL) == f"{begin} models/loras"
    assert command("sub\\x.safetensors", URL) == f"{begin} models/loras/sub"
    assert command("y.safetensors", URL) == f"{begin} models/loras --filename y.safetensors"
    assert command("x.safetensors", URL, "vae") == f"{begin} models/loras"
    assert command("x.safetensors", URL, "vae", category="") == f"{begin} models/vae"


@pytest.mark.parametrize(
    ("name", "url", "directory"),
    [
        ("x.safetensors", None, "loras"),
        ("x.safetensors", "", "loras"),
        ("x.safetensors", "file:///etc/passwd", "loras"),
        ("x.safetensors", "https://a/b c", "loras"),
        ("x.safetensors", "https://a/\x1b[2J", "loras"),
        ("../../x.safetensors", URL, "loras"),
        ("/etc/x.safetensors", URL, "loras"),
        ("C:\\x.safetensors", URL, "loras"),
    ],
)
def test_no_command_for_what_is_no_plain_address_or_place(
    name: str, url: str | None, directory: str
) -> None:
    assert command(name, url, directory) is None


@pytest.mark.parametrize("directory", ["..", "../x", "/etc", "a//b", ""])
def test_no_command_out_of_the_models_folder(directory: str) -> None:
    assert command("x.safetensors", URL, directory, category="") is None


def test_a_strangers_text_is_quoted() -> None:
    evil = "https://a/$(touch${IFS}x);`id`&x.safetensors"
    line = command("x.safetensors", evil)
    assert line is not None and f"'{evil}'" in line
    words = download_words(need("x.safetensors", Hint("", evil, "loras", None)))
    assert words and command_line(words, is_windows=True) is None
    line = command_line(["comfy", "--url", "https://a/?b=1&calc"], is_windows=True)
    assert line == 'comfy --url "https://a/?b=1&calc"'


def test_the_hint_of_the_category_that_is_read_counts() -> None:
    vae = Hint("ae.safetensors", "https://a/vae", "vae", None)
    other = Hint("ae.safetensors", "https://a/other", "loras", "a" * 64)
    assert source_of(need("ae.safetensors", other, vae, category="vae")).url == "https://a/vae"
    assert source_of(need("ae.safetensors", vae, other)).url == "https://a/other"
    assert source_of(need("ae.safetensors", vae, other, category="vae")).sha256 == "a" * 64
    assert source_of(need("ae.safetensors")) == (None, None, None)
