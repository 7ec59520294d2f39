"""The units by which systemd opens the socket of the page and starts its server."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from scanner.commands.service.definition import program_of
from scanner.commands.service.managers import systemd_command
from scanner.console.serving import ServeOptions
from scanner.console.steps import _one_of
from scanner.output.file_names import Outputs
from scanner.settings.sources import shipped_folder

UNITS = ("socket", "service")


def unit_text(name: str, outputs: Sequence[Outputs], wanted: ServeOptions, argv0: str) -> str:
    """The unit called `name`, one of `UNITS`. Raises SettingsError and InventoryError."""
    kind = _one_of("--unit", name, UNITS)
    arguments = ["serve", *(each.inventory for each in outputs)]
    for host in wanted.allow_hosts:
        arguments += ["--allow-host", host]
    if wanted.token_file:
        arguments += ["--token-file", wanted.token_file]
    if wanted.base_path:
        arguments += ["--base-path", wanted.base_path]
    address = f"[{wanted.listen}]" if ":" in wanted.listen else wanted.listen
    template = (shipped_folder() / "service" / f"serve.{kind}").read_text(encoding="utf-8")
    return Template(template).substitute(
        command=systemd_command((*program_of(argv0), *arguments)),
        address=f"{address}:{wanted.port}",
    )
