"""Model facts read from headers that a test makes up, and the packages that define the formats."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

from scanner.comfyui import gguf as gguf_header
from scanner.comfyui.model_facts import Facts
from tests.support.fuzz_headers import Counted, checked, gguf_file, safetensors_file, tensor

MIB = 1024 * 1024


def package(name: str) -> Any:
    """The package that defines a format. Without it the test is skipped, and fails in CI."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"not installed: {name}; CI must run this test ({error})", pytrace=False)
        pytest.skip(f"not installed: {name}")


def facts(data: bytes, name: str = "x.safetensors") -> Facts:
    return checked(name, data)


def model(header: dict[str, Any], data: int = 0) -> dict[str, Any]:
    found = facts(safetensors_file(header, data))
    assert found.problem == ""
    return found.model


def said(**metadata: str) -> dict[str, Any]:
    """The model of a file with these metadata (dots as two underscores) and no tensor."""
    return model({"__metadata__": {key.replace("__", "."): metadata[key] for key in metadata}})


def named(*names: str) -> dict[str, Any]:
    """The model of a file with tensors of these names."""
    return model({name: tensor("U8", [0], 0, 0) for name in names})


def pairs(*rows: tuple[str, int, Any]) -> dict[str, Any]:
    found = facts(gguf_file(rows), "x.gguf")
    assert found.problem == ""
    return found.model


def gguf_end(data: bytes) -> int:
    """Offset of the end of the last tensor in bytes; padding may follow."""
    header = gguf_header.GgufHeader(len(data), Counted(data), {})
    assert list(header.tensors())
    assert header.end is not None
    return header.end
