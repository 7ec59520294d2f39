"""`comfy-inventory comfyui`: the panel inside ComfyUI."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import comfyui_app
from scanner.console.options import _FILES, _OUTPUT, _ROOTS, AsJson, _taking
from scanner.console.steps import _find_roots, _known_outputs, _load, _tell_plainly
from scanner.console.terminal import _print_json, echo_error


@comfyui_app.command("install")
@_taking(_ROOTS, _OUTPUT, _FILES)
def comfyui_install(
    fast_lists: Annotated[
        bool | None,
        typer.Option(
            "--fast-lists/--no-fast-lists",
            help="Let ComfyUI answer its lists of models from the inventory. The panel has a "
            "switch for it too.",
        ),
    ] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Put the panel into ComfyUI's custom_nodes. Install it again after an update."""
    from scanner.commands.comfyui import page
    from scanner.commands.comfyui.place import custom_nodes_of, install

    loaded = _load(options)
    folder = custom_nodes_of(_find_roots(loaded, _tell_plainly))
    outputs = _known_outputs(loaded)
    is_named = loaded.origins["output"] != "default"
    installed = install(folder, outputs, is_named=is_named, fast_lists=fast_lists)
    if as_json:
        _print_json(page.as_json(installed))
    else:
        page.print_installed(installed)


@comfyui_app.command("uninstall")
@_taking(_ROOTS, _FILES)
def comfyui_uninstall(as_json: AsJson = False, **options: Any) -> None:
    """Remove the panel from ComfyUI. The inventory stays."""
    from scanner.commands.comfyui.place import custom_nodes_of, uninstall

    removed = uninstall(custom_nodes_of(_find_roots(_load(options), _tell_plainly)))
    if as_json:
        _print_json(
            {
                "schema": 1,
                "removed": removed.is_removed,
                "path": removed.path,
                "left": list(removed.left),
            }
        )
        return
    if not removed.is_removed:
        echo_error(f"The panel is not installed: there is no {removed.path}.")
        return
    typer.echo(f"Removed {removed.path}. Start ComfyUI again.")
    if removed.left:
        echo_error(f"Files that it did not write are left there: {', '.join(removed.left)}.")


@comfyui_app.command("status")
@_taking(_ROOTS, _FILES)
def comfyui_status(as_json: AsJson = False, **options: Any) -> None:
    """Show whether the panel is installed, and what it reads; exit code 1 if it is not."""
    from scanner.commands.comfyui import page
    from scanner.commands.comfyui.place import custom_nodes_of, state

    installed = state(custom_nodes_of(_find_roots(_load(options), _tell_plainly)))
    if as_json:
        _print_json(page.as_json(installed))
    else:
        page.print_state(installed)
    if not installed.is_installed:
        raise typer.Exit(1)
