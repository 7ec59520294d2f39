"""When nothing waited for the reader of facts, as one process leaves it to the next."""

from __future__ import annotations

from scanner.comfyui.model_files import VERSION
from scanner.store.state import State

FACTS = "facts_read"
"""The value of the state that says so."""

BELIEVED = 86_400 * 10**9
"""Nanoseconds after which all folders are looked at again, since rows may be damaged."""


def facts_read_at(state: State, scan: int, now: int) -> int:
    """When an earlier process has left nothing for the reader of facts, if nothing has changed up
    to `scan`; else 0. Both in nanoseconds."""
    text = state.get(FACTS) or ""
    at = text.partition(" ")[0]
    if not at.isdecimal() or text != _text(int(at), scan):
        return 0
    return int(at) if 0 <= now - int(at) < BELIEVED else 0


def put_facts_read(state: State, at: int, scan: int) -> None:
    """Say that nothing waited `at` this moment, nanoseconds, and up to `scan`; 0 takes it back."""
    state.put(FACTS, _text(at, scan))


def _text(at: int, scan: int) -> str:
    """It holds for one scan, so that scans of a program that does not know it end it."""
    return f"{at} {scan} {VERSION}" if at else ""
