"""Write docs/man/comfy-inventory.1 from the help of the commands: `python -m scripts.man_page`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from scanner import __version__
from scanner.cli import whole_app
from scanner.console.examples import EXAMPLES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "man" / "comfy-inventory.1"

EXIT_CODES = (
    ("0", "Done."),
    (
        "1",
        "Something is listed or changed (--exit-code), or there is something to act on.",
    ),
    ("2", "Wrong use or settings."),
    ("3", "Done, but a folder is partly readable, offline, stalled, held or missing."),
    ("4", "Another instance uses this output."),
    ("5", "The output cannot be written, or the system has no more memory, files or threads."),
    ("70", "A bug."),
)

FILES = (
    ("comfy_inventory.toml", "Settings, in the current folder."),
    ("~/.config/comfy-inventory/config.toml", "Settings of the user, where the former is not."),
    ("comfy_inventory.json", "The inventory. The change list, status and lock lie beside it."),
)

_COMPLETION = ("install_completion", "show_completion")
"""Their texts depend on the shell that is found."""


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """All commands by name, `config show` for one of a group, in the order of the help."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def _text(text: str) -> str:
    """`text` as roff prints it unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`\n]+)`", r"\\fB\1\\fP", text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def _item(head: str, text: str) -> str:
    return f".TP\n{head}\n{_text(text)}\n"


def _metavar(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    described = getattr(parameter, "type_descriptor", None)
    is_number = described is not None and described.annotation is int
    return str(parameter.metavar or ("NUMBER" if is_number else "TEXT"))


def _options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name in _COMPLETION or getattr(parameter, "hidden", False):
            continue
        names = [*parameter.opts, *parameter.secondary_opts]
        if parameter.param_type_name == "argument":
            head = f"\\fI{_text(parameter.metavar or parameter.name.upper())}\\fP"
        else:
            names.sort(key=len, reverse=True)
            head = ", ".join(f"\\fB{_text(name)}\\fP" for name in names)
            if metavar := _metavar(parameter):
                head += f" \\fI{_text(metavar)}\\fP"
        yield _item(head, parameter.help or "")


def _examples(name: str) -> Iterator[str]:
    if shown := EXAMPLES.get(name):
        lines = "\n".join(_text(line) for line in shown)
        yield f".PP\nExamples:\n.PP\n.nf\n.RS\n{lines}\n.RE\n.fi\n"


def _section(name: str, command: Any) -> Iterator[str]:
    yield f'.SS "{_text(f"comfy-inventory {name}")}"\n'
    paragraphs = [part.strip() for part in (command.help or "").split("\n\n")]
    yield "\n.PP\n".join(_text(part) for part in paragraphs) + "\n"
    yield from _options(command)
    yield from _examples(name)


def man_page() -> str:
    """The page in roff."""
    group: Any = get_command(whole_app())
    parts = [
        f'.TH COMFY-INVENTORY 1 "" "comfy-inventory {__version__}" "User Commands"\n',
        ".SH NAME\ncomfy-inventory \\- keep an inventory of ComfyUI folders by polling\n",
        ".SH SYNOPSIS\n\\fBcomfy\\-inventory\\fP \\fICOMMAND\\fP [\\fIOPTION\\fP]...\n",
        f".SH DESCRIPTION\n{_text(group.help)}\n",
        *_examples(""),
        ".SH COMMANDS\n",
    ]
    for name, command in commands(group):
        parts += _section(name, command)
    parts += [".SH EXIT STATUS\n", *(_item(code, text) for code, text in EXIT_CODES)]
    parts += [".SH FILES\n", *(_item(f"\\fI{_text(name)}\\fP", text) for name, text in FILES)]
    parts.append(
        ".SH ENVIRONMENT\n"
        + _item("\\fBCOMFY_INVENTORY_\\fP\\fINAME\\fP", "A setting, as in the settings file.")
    )
    return "".join(parts)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(man_page(), encoding="utf-8")
