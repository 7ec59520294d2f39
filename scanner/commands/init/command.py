"""`comfy-inventory init`: find ComfyUI and write a settings file."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _OUTPUT, _ROOTS, AsJson, _path, _taking
from scanner.console.steps import _cwd, _tell_plainly
from scanner.console.terminal import _console_for_errors, _print_json, waiting
from scanner.errors import SettingsError

_CONFIG = {
    "config": _path(
        "Files", "The file to write or edit (default: ./comfy_inventory.toml).", "--config", "-c"
    )
}


@app.command()
@_taking(_ROOTS, _OUTPUT, _CONFIG)
def init(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, for scripts.")] = False,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the file that would be written; write nothing.")
    ] = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Find ComfyUI, look at its folders for ten seconds, and write a settings file.

    A file that exists is edited: what it says already stays, and so do its comments.
    """
    asks = not (yes or only_print)
    if asks and (as_json or not (sys.stdin.isatty() and sys.stderr.isatty())):
        raise SettingsError(
            "init asks questions, and there is no terminal: pass -y to take its proposals, or "
            "--print to see the file."
        )
    from scanner.commands.init import page, propose
    from scanner.commands.settings_file import text_of, write_settings
    from scanner.settings.sources import CONFIG_NAME

    cwd, home = _cwd(), os.path.expanduser("~")
    path = os.path.join(cwd, os.path.expanduser(options.pop("config") or CONFIG_NAME))
    before = text_of(path)
    values = propose.named_values(options, cwd)
    if propose.needs_search(before, path, values):
        with waiting("looking for ComfyUI"):
            places = propose.places_here(cwd, home, os.environ)
        place = page.chosen(places, asks=asks)
        values = {**place.values, **values}
    draft = propose.text_with(before, values, path)
    loaded, found = propose.checked(draft, path, cwd, home, os.environ)
    for warning in found.warnings:
        _tell_plainly(warning)
    with waiting("examining the folders, for ten seconds at most"):
        findings = propose.examined(loaded, found, cwd)
    page.print_folders(_console_for_errors(), found, findings)
    after = propose.text_with(before, values, path, propose.advised(findings))
    if as_json:
        is_written = after != before and not only_print
        if is_written:
            write_settings(path, after)
        _print_json(page.as_json(path, after, is_written, findings))
        return
    if only_print:
        typer.echo(after, nl=False)
        return
    if after == before:
        page.tell(f"{path} says all that already.")
    elif not asks or page.is_wanted(path, after, before):
        write_settings(path, after)
        page.tell(f"Wrote {path}.")
    else:
        page.tell("Nothing was written.")
        return
    if asks and page.wants_service():
        from scanner.commands.service.command import service_install

        service_install(config=path)
        return
    page.print_next(path, is_here=path == os.path.join(cwd, CONFIG_NAME))
