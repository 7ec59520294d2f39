"""What a person reads after an installation."""

from __future__ import annotations

import shlex
import sys

import typer

from scanner.commands.service.definition import Definition
from scanner.commands.service.here import lingers
from scanner.commands.service.managers import Manager
from scanner.core.serialize import printable


def print_installed(manager: Manager, definition: Definition, is_system: bool) -> None:
    """Say what was installed, when it runs, and how to look at it."""
    again = " --system" if is_system else ""
    for line in (
        f"Installed {manager.path}. It runs now and does:",
        f"  {shlex.join(definition.command)}",
        when_it_runs(definition.user, is_system),
        f"Look at it: comfy-inventory service status{again}, comfy-inventory service logs{again}",
    ):
        typer.echo(printable(line))


def when_it_runs(user: str, is_system: bool) -> str:
    """One sentence on what starts and ends the service."""
    if is_system:
        return f"It starts with the machine, as the user {user}."
    if not sys.platform.startswith("linux"):
        return "It starts when you log in, and ends when you log out."
    if lingers(user):
        return "It starts with the machine: lingering is on for your user."
    return (
        "It starts when you log in and ENDS WHEN YOU LOG OUT. To have it run from the start of the "
        f"machine, turn lingering on: loginctl enable-linger {shlex.quote(user)}"
    )
