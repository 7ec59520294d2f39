"""Counts, sizes, shares and durations in words, for logs and terminals; the command to run."""

from __future__ import annotations

import os

NOT_WRITTEN = (
    "The mount that the output lies on does not answer: ended without writing there. "
    "The next start makes up for it."
)


def size_text(size: int) -> str:
    """Bytes for people, in powers of 1000: `6.9 GB`."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        number_text = f"{number:.0f}" if unit == "B" else f"{number:.1f}"
        if float(number_text) < 1000 or unit == "TB":
            return f"{number_text} {unit}"
        number /= 1000
    raise AssertionError("unreachable")


def count_text(count: int, noun: str) -> str:
    """A number with its noun: `1 file`, `1,204 files`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def share_text(share: float) -> str:
    """A share of the time: `3.1 %`."""
    return f"{share * 100:.1f} %" if share >= 0.001 else "less than 0.1 %"


def seconds_text(seconds: float) -> str:
    """`12 min`, `3.4 s`, `0.25 ms`, `100 ns`."""
    if seconds >= 120:
        return f"{seconds / 60:,.0f} min"
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def accept_command(place: str, inventory: str) -> str:
    """The command by which a person accepts that `place` is as it is now."""
    return command_text("accept", place, "--output", inventory)


def command_text(*words: str) -> str:
    """A command of this program, quoted for a shell."""
    words = ("comfy-inventory", *words)
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(words)
    import shlex

    return shlex.join(words)


def accept_hint(state: str, command: str) -> str:
    """What a person may do about a folder that is held or offline; empty in any other state."""
    from scanner.core.memory import HELD, OFFLINE  # with all that is remembered of roots

    if state == HELD:
        return f"To accept what is there now: {command}"
    return f"If it will not come back: {command}" if state == OFFLINE else ""


def folded(text: str) -> str:
    """A form in which texts that people take for the same are equal: capitals do not matter, nor
    do accents as macOS writes them in names."""
    if text.isascii():
        return text.lower()
    import unicodedata  # few names need it

    return unicodedata.normalize("NFC", text).casefold()
