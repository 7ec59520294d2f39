"""The description of the API for programs (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

from scanner import __version__


def document(base: str) -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "comfy-inventory", "version": __version__},
        "servers": [{"url": base or "/"}],
        "paths": {},
    }
