"""No TOML file takes more than a moment, and every refusal is a sentence."""

from __future__ import annotations

import time
import tomllib

import pytest

from scanner.core.bounded_toml import MOST_BYTES, MOST_DOTS, loads

MANY = 20_000


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * MANY) + "=1",
        "[" + ".".join("a" * MANY) + "]",
        "[[" + " . ".join("a" * MANY) + "]]",
        ".".join(['"a b"'] * MANY) + "=1",
        ".".join(['"\\""'] * MANY) + "=1",
        ".".join(["'a.b'"] * MANY) + "=1",
        'x = {y = """z"z""", ' + ".".join("a" * MANY) + " = 1}",
        'x = {y = """z""""", ' + ".".join("a" * MANY) + " = 1}",
        "x = {y = '''z''''', " + ".".join("a" * MANY) + " = 1}",
        "a = " + "[" * MANY,
        "a = " + "{a=" * MANY,
        "a = " + "9" * MANY,
        "a = " + '"' * MANY,
        'a = "' + '\\"' * MANY,
        'a = """' + '\\"' * MANY,
        "x" * (MOST_BYTES + 1),
        "\0" * MANY,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError):
        loads(text)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".".join("a" * MOST_DOTS) + " = 1",
        'a = "' + "." * 1000 + '"',
        "a = '''\n" + "." * 1000 + "\n'''",
        "# " + "." * 1000,
        "a = [" + ", ".join(["1.5"] * 1000) + "]",
        '[project]\nname = "x"\ndependencies = ["a>=1.0.0"]\n[tool.comfy]\nDisplayName = "X"\n',
    ],
)
def test_what_people_write_is_read_as_it_is(text: str) -> None:
    assert loads(text) == tomllib.loads(text)
