"""What a person reads about the panel, and its JSON."""

from __future__ import annotations

from typing import Any

import typer

from scanner.commands.comfyui.place import Installed, is_current
from scanner.console.terminal import echo_error
from scanner.core.serialize import printable, readable


def as_json(installed: Installed) -> dict[str, Any]:
    """The fields that programs read."""
    return {
        "schema": 1,
        "installed": installed.is_installed,
        "current": is_current(installed),
        "version": installed.version or None,
        "path": readable(installed.path),
        "inventory": readable(installed.inventory) or None,
        "fast_lists": installed.fast_lists,
    }


def print_installed(installed: Installed) -> None:
    """Say what was installed, and what to do next."""
    _say(f"Installed {installed.path}. Start ComfyUI again: its sidebar has an Inventory tab then.")
    _say(_reads(installed))
    if not installed.fast_lists:
        _say("Fast lists are off. Switch them on in the tab, or install with --fast-lists.")


def print_state(installed: Installed) -> None:
    """Say how the panel stands."""
    if not installed.is_installed:
        _say(
            f"The panel is not installed: there is no {installed.path}. "
            "Install it with: comfy-inventory comfyui install"
        )
        return
    _say(f"Version {installed.version} is installed in {installed.path}.")
    if not is_current(installed):
        echo_error("It is of another version than this program: install it again.")
    _say(_reads(installed))
    _say(f"Fast lists are {'on' if installed.fast_lists else 'off'}.")


def _reads(installed: Installed) -> str:
    if not installed.inventory:
        return "It reads the inventory that is written last by your user (-o names another)."
    if installed.is_there:
        return f"It reads {installed.inventory}."
    return f"It will read {installed.inventory}, which does not exist yet: comfy-inventory scan."


def _say(text: str) -> None:
    typer.echo(printable(text))
