"""The Typer application. Each command registers itself here."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from scanner import __version__

app = typer.Typer(
    name="comfy-inventory",
    help="Inventory of ComfyUI's folders, by polling: made for NAS, external disks and WSL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

config_app = typer.Typer(help="Settings in effect, and where each comes from.")

log = logging.getLogger("scanner")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"comfy-inventory {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass
