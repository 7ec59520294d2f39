"""Reading and writing single values: durations, sizes, fractions, paths, patterns.

Each parser raises ValueError with a text that says what was expected. It also takes values that are
parsed already.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

from scanner.core.digests import ALGORITHMS, BLAKE3

AUTO: Final = "auto"
"""The value of `every` with which each lane finds its interval itself."""

OFF: Final = "off"
"""The value of `hash` with which nothing is read whole."""

SHORTEST_EVERY = 1.0
"""The shortest interval between scans, in seconds."""

MOST_PATTERNS = 1000
"""Most ignore patterns of one setting. To check 10,000 takes 5 s."""

LONGEST_PATTERN = 1000
"""Most characters of an ignore pattern."""

LogLevel = Literal["debug", "info", "warning", "error"]

LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)

MtimeDigits = Literal["auto", "all", "seconds"]

ALL_DIGITS: MtimeDigits = "all"

SECONDS: MtimeDigits = "seconds"

SplitBy = Literal["none", "root", "category"]

NOT_SPLIT: SplitBy = "none"

SPLITS: tuple[SplitBy, ...] = get_args(SplitBy)

DIGITS: tuple[MtimeDigits, ...] = get_args(MtimeDigits)

_SECONDS = {"w": 604_800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0, "ms": 0.001}

_LONGEST = 3650 * 86400.0

_BYTES = {
    "tb": 10**12,
    "gb": 10**9,
    "mb": 10**6,
    "kb": 10**3,
    "tib": 2**40,
    "gib": 2**30,
    "mib": 2**20,
    "kib": 2**10,
    "b": 1,
    "": 1,
}

_SIZE_NAMES = ("TB", "TiB", "GB", "GiB", "MB", "MiB", "kB", "KiB")

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)")

_FLAGS = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


def parse_duration(value: object) -> float:
    """Seconds in a text such as "30s", "2m", "1.5h", "500ms" or "1d"; a bare number is seconds.

    Raises ValueError, whose text says what was expected, for anything else, for negative numbers
    and for more than ten years.
    """
    number, unit = _quantity(value)
    seconds = number * _SECONDS.get(unit, math.nan)
    if not 0 <= seconds <= _LONGEST:  # false for NaN as well
        raise ValueError(
            "expected a duration such as 30s, 2m, 1.5h or 1d, or a number of seconds, "
            f"not {value!r}"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back as `seconds`: 900.0 is "15m"."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    if 0 < seconds < 1 and (seconds * 1000).is_integer():
        return f"{int(seconds * 1000)}ms"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def parse_every(value: object) -> float | Literal["auto"]:
    """An interval between scans: seconds as `parse_duration` reads them, or "auto".

    Raises ValueError, also for less than `SHORTEST_EVERY`.
    """
    if isinstance(value, str) and value.strip().lower() == AUTO:
        return AUTO
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or auto") from None
    if seconds < SHORTEST_EVERY:
        least = format_duration(SHORTEST_EVERY)
        raise ValueError(f"expected at least {least}, not {format_duration(seconds)}")
    return seconds


def format_every(every: float | Literal["auto"]) -> str:
    """A value of `every` as it is written: "30s" or "auto"."""
    return AUTO if every == AUTO else format_duration(every)


def parse_fraction(value: object) -> float:
    """A fraction above 0 and up to 1, also as a percentage: 0.02 and "2%" are the same.

    Raises ValueError, whose text says what was expected, for anything else.
    """
    is_percentage = isinstance(value, str) and value.strip().endswith("%")
    number, unit = _quantity(value.strip()[:-1] if is_percentage else value)  # type: ignore[attr-defined]
    fraction = number / 100 if is_percentage else number
    if unit or not 0 < fraction <= 1:
        raise ValueError(
            f"expected a fraction above 0 and up to 1, such as 0.5 or 50%, not {value!r}"
        )
    return fraction


def parse_size(value: object) -> int:
    """Bytes in a text such as "10MB" (10 million), "64KiB" (65536) or "1GB", or a bare number.

    Raises ValueError, whose text says what was expected, for anything else.
    """
    size = _bytes(value)
    if size is None:
        raise ValueError(
            f"expected a size such as 10MB, 64KiB or 1GB, or a number of bytes, not {value!r}"
        )
    return size


def format_size(size: int) -> str:
    """The shortest text that `parse_size` reads back as `size`: 10000000 is "10MB"."""
    for unit in _SIZE_NAMES:
        if size and size % _BYTES[unit.lower()] == 0:
            return f"{size // _BYTES[unit.lower()]}{unit}"
    return str(size)


def parse_amount(value: object) -> int | float:
    """A part of a disk: bytes as `parse_size` reads them, or a fraction, as "5%" or 0.05.

    Raises ValueError, whose text says what was expected, for anything else.
    """
    text = value.strip() if isinstance(value, str) else ""
    number, unit = _quantity(value)
    is_fraction = text.endswith("%") or (isinstance(value, float) and 0 < value <= 1)
    is_fraction = is_fraction or (not unit and 0 < number < 1)
    try:
        return parse_fraction(value) if is_fraction else parse_size(value)
    except ValueError:
        raise ValueError(
            f"expected a size such as 50GB, or a percentage such as 5%, not {value!r}"
        ) from None


def format_amount(amount: int | float) -> str:
    """The text that `parse_amount` reads back as `amount`."""
    return f"{amount * 100:.9g}%" if isinstance(amount, float) else format_size(amount)


def parse_rate(value: object) -> int:
    """Bytes per second: a size as `parse_size` reads it, with or without "/s" after it.

    Raises ValueError, whose text says what was expected, for anything else.
    """
    rate = _bytes(value.strip().removesuffix("/s") if isinstance(value, str) else value)
    if rate is None:
        raise ValueError(
            "expected a rate such as 50MB/s or 64KiB/s, or a number of bytes per second, "
            f"not {value!r}"
        )
    return rate


def _bytes(value: object) -> int | None:
    number, unit = _quantity(value)
    size = number * _BYTES.get(unit, math.nan)
    return round(size) if 0 <= size < 2**63 else None


def _quantity(value: object) -> tuple[float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), ""
    match = _QUANTITY.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    return (float(match[1]), match[2]) if match else (math.nan, "")


def parse_algorithms(value: object) -> tuple[str, ...]:
    """Names of content hashes: a list, one name, names with commas between them, or "off".

    Raises ValueError, whose text says what was expected, for anything else.
    """
    items = value.split(",") if isinstance(value, str) else _items(value, "hashes")
    names = [item.strip().lower() if isinstance(item, str) else item for item in items]
    if names in ([OFF], [""]):
        return ()
    for name in names:
        if name not in ALGORITHMS:
            raise ValueError(
                f"expected a list of {', '.join(ALGORITHMS[:-1])} and {ALGORITHMS[-1]}, or {OFF},"
                f" not {value!r}"
            )
    if BLAKE3 in names and not has_blake3():
        raise ValueError(
            f"{BLAKE3} needs a package that is not installed: pip install 'comfy-inventory[blake3]'"
        )
    return tuple(name for name in ALGORITHMS if name in names)


def has_blake3() -> bool:
    """True if the package for BLAKE3 is installed."""
    from importlib.util import find_spec  # nearly nobody asks

    return find_spec(BLAKE3) is not None


def format_algorithms(names: Sequence[str]) -> str | list[str]:
    """A value of `hash` as it is written."""
    return list(names) or OFF


def parse_flag(value: object) -> bool:
    """True or false, also as "yes", "no", "on", "off", "1" or "0". Raises ValueError."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    raise ValueError(f"expected true or false, not {value!r}")


def parse_count(value: object) -> int:
    """A whole number of 0 or more. Raises ValueError."""
    number, unit = _quantity(value)
    if unit or not number.is_integer():
        raise ValueError(f"expected a whole number, not {value!r}")
    return int(number)


def parse_number(value: object) -> float:
    """A number of 0 or more. Raises ValueError."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) else -1.0
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < math.inf:
        raise ValueError(f"expected a number of 0 or more, not {value!r}")
    return number


def parse_level(value: object) -> LogLevel:
    """The name of a log level. Raises ValueError."""
    for level in LEVELS:
        if isinstance(value, str) and value.strip().lower() == level:
            return level
    raise ValueError(f"expected one of {', '.join(LEVELS)}, not {value!r}")


def parse_digits(value: object) -> MtimeDigits:
    """Which digits of mtimes count. Raises ValueError."""
    for digits in DIGITS:
        if isinstance(value, str) and value.strip().lower() == digits:
            return digits
    raise ValueError(f"expected one of {', '.join(DIGITS)}, not {value!r}")


def parse_split(value: object) -> SplitBy:
    """By what an inventory is split into several files. Raises ValueError."""
    for split_by in SPLITS:
        if isinstance(value, str) and value.strip().lower() == split_by:
            return split_by
    raise ValueError(f"expected one of {', '.join(SPLITS)}, not {value!r}")


_CRON_NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def parse_cron(value: object) -> str:
    """Five crontab fields with one space between them, or an empty text. Raises ValueError.

    A name such as @hourly stands for its five fields; a comment at the end is left out.
    """
    text = re.sub(r"(^|\s)#.*", "", value).strip() if isinstance(value, str) else "?"
    fields = _CRON_NAMES.get(text.lower(), text).split()
    if len(fields) not in (0, 5):
        raise ValueError(
            "expected five fields (minute, hour, day of month, month, day of week) such as "
            f"'*/5 * * * *', not {value!r}"
        )
    return " ".join(fields)


def parse_profile(value: object) -> str:
    """The name of a profile. Raises ValueError."""
    if isinstance(value, str) and re.fullmatch(r"[\w.-]+", value):
        return value
    raise ValueError(f"expected the name of a profile, not {value!r}")


def parse_url(value: object) -> str:
    """An http or https address. Raises ValueError, whose text does not repeat the address: it may
    hold a password."""
    import urllib.parse

    try:
        parts = urllib.parse.urlsplit(value.strip()) if isinstance(value, str) else None
        is_web = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts and parts.port  # raises for a port that is no number
    except ValueError:
        is_web = False
    if not is_web or not isinstance(value, str) or not value.strip().isprintable():
        raise ValueError("expected an address that starts with http:// or https://")
    return value.strip().replace(" ", "%20")


def parse_place(value: object) -> str:
    """The address of a folder, a bucket or a database. Raises ValueError, whose text does not
    repeat the address: it may hold a password."""
    import urllib.parse

    text = value.strip() if isinstance(value, str) else ""
    try:
        parts = urllib.parse.urlsplit(text)
        is_folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
        is_other = parts.scheme in ("s3", "postgresql", "postgres") and bool(parts.netloc)
        # Libraries end the password at the first @: what follows would be shown as the host.
        is_other = is_other and parts.netloc.count("@") <= 1
        _ = parts.port if is_other and parts.scheme != "s3" else None  # raises for no number
    except ValueError:
        is_folder = is_other = False
    if not (is_folder or is_other) or not text.isprintable():
        raise ValueError(
            "expected an address such as file:///share/inventory, s3://bucket/inventory or "
            "postgresql://user@host/database"
        )
    return text


def parse_host(value: object) -> str:
    """A name of a host. Raises ValueError."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"expected a name, not {value!r}")
    if len(value.strip()) > 100:
        raise ValueError("expected a name of at most 100 characters")
    return value.strip()


def hide_place(url: str) -> str:
    """`url` of `parse_place` as it may be shown: without a password."""
    import urllib.parse

    parts = urllib.parse.urlsplit(url)
    place = parts.netloc.rpartition("@")[2] + parts.path
    return f"{parts.scheme}://{place}"


def hide_url(url: str) -> str:
    """`url` without the parts that may be secret: only scheme, host and port stay."""
    import urllib.parse

    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..."


def parse_command(value: object) -> tuple[str, ...]:
    """A program and its arguments: a list, or a text that is split as a shell does it.

    Backslashes stay as they are on Windows. Nothing else of a shell is known here. Raises
    ValueError.
    """
    words: Sequence[object] = value if isinstance(value, list | tuple) else ()
    if isinstance(value, str):
        import shlex

        lexer = shlex.shlex(value, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters = True, ""
        if os.name == "nt":
            lexer.escape = ""
        try:
            words = list(lexer)
        except ValueError as error:
            raise ValueError(f"expected a command, but it has {str(error).lower()}") from None
    elif not isinstance(value, list | tuple):
        raise ValueError(f"expected a command, as a text or a list of texts, not {value!r}")
    texts = tuple(word for word in words if isinstance(word, str) and "\0" not in word)
    if len(texts) != len(words) or (texts and not texts[0]):
        raise ValueError("expected a command: a program and its arguments, all texts")
    return texts


def parse_prom(value: object) -> Path:
    """The path of a file whose name ends in .prom. Raises ValueError."""
    path = parse_path(value)
    if path.suffix != ".prom":
        raise ValueError(f"expected a path that ends in .prom, not {value!r}")
    return path


def parse_path(value: object) -> Path:
    """A path that is not empty. Raises ValueError."""
    if isinstance(value, str | os.PathLike) and str(value).strip() and "\0" not in str(value):
        return Path(value)
    raise ValueError(f"expected a path, not {value!r}")


def parse_paths(value: object) -> tuple[Path, ...]:
    """A list of paths, or one path. Raises ValueError."""
    return tuple(parse_path(item) for item in _items(value, "paths"))


def format_paths(paths: Iterable[Path]) -> list[str]:
    """A list of paths as it is written."""
    return [str(path) for path in paths]


def parse_patterns(value: object) -> tuple[str, ...]:
    """A list of patterns, or one pattern; empty ones are left out. Raises ValueError."""
    patterns: list[str] = []
    items = _items(value, "patterns")
    if len(items) > MOST_PATTERNS:
        raise ValueError(f"expected at most {MOST_PATTERNS:,} patterns, not {len(items):,}")
    for pattern in items:
        if not isinstance(pattern, str):
            raise ValueError(f"expected patterns such as '*.tmp', not {pattern!r}")
        if len(pattern) > LONGEST_PATTERN:
            raise ValueError(
                f"expected patterns of at most {LONGEST_PATTERN:,} characters, not one of "
                f"{len(pattern):,}"
            )
        if pattern.strip():
            patterns.append(pattern)
    return tuple(patterns)


def _items(value: object, what: str) -> Sequence[object]:
    if isinstance(value, str | os.PathLike):
        return (value,)
    if isinstance(value, list | tuple):
        return value
    raise ValueError(f"expected a list of {what}, not {value!r}")


def suggestion(word: str, choices: Iterable[str]) -> str:
    """The end of a sentence that names the choice most like `word`; empty without one."""
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f"; did you mean {close[0]}?" if close else ""
