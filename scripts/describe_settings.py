"""Write the tables of docs/settings.md from the settings: `python -m scripts.describe_settings`."""

from __future__ import annotations

import re
from pathlib import Path

from scanner.settings.describe import default_texts
from scanner.settings.root_settings import ROOT_TEXTS
from scanner.settings.schema import TEXTS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"

_TABLE = re.compile(r"(<!-- begin of (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def tables() -> dict[str, str]:
    """The tables of the page, by name."""
    defaults = default_texts()
    rows = [
        (f"`{name}`", _cell(f"`{defaults[name]}`" if defaults[name] else ""), _cell(text))
        for name, (text, _) in TEXTS.items()
        if name != "per_root"
    ]
    per_root = [(f"`{name}`", _cell(about.description)) for name, about in ROOT_TEXTS.items()]
    return {
        "settings": _table([("Setting", "Default", "Meaning"), *rows]),
        "per_root": _table([("Setting", "Meaning"), *per_root]),
    }


def described(page: str) -> str:
    """`page` with its tables as the settings are now."""
    now = tables()
    return _TABLE.sub(lambda match: f"{match[1]}{now[match[2]]}{match[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(described(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
