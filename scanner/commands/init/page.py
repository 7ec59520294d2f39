"""What `init` shows and asks. All of it goes to stderr: stdout is for the file."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from scanner.comfyui.installation import Found
from scanner.comfyui.places import Installation
from scanner.commands.doctor.finding import MISSING, OK, STALLED
from scanner.commands.doctor.page import PLACES
from scanner.commands.init.propose import Examined
from scanner.console.tables import _Cell, _Column, _print_table
from scanner.console.terminal import echo_error
from scanner.core.serialize import printable, readable
from scanner.core.wording import count_text

if TYPE_CHECKING:
    from rich.console import Console

tell = echo_error


def chosen(places: Sequence[Installation], *, asks: bool) -> Installation:
    """The installation to scan: the only one, the answer, or the first if not asked."""
    if len(places) == 1:
        tell(f"ComfyUI: {places[0].path} ({places[0].source})")
        return places[0]
    tell("Found several ComfyUI:")
    for number, place in enumerate(places, 1):
        tell(f"  {number}  {place.path} ({place.source})")
    if not asks:
        tell(f"Taking {places[0].path}; --comfy-root names another.")
        return places[0]
    while True:
        answer = typer.prompt("Which one", default="1", err=True).strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(places):
            return places[int(answer) - 1]
        tell(f"A number from 1 to {len(places)}, please.")


def print_folders(console: Console, found: Found, examined: Sequence[Examined]) -> None:
    """The folders to scan, and what they live on."""
    tell("Folders that would be scanned:")
    columns = [_Column("kind"), _Column("file system"), _Column("holds"), _Column("folder")]
    kinds = {root.path: root.category or root.kind for root in found.roots}
    rows: Iterator[Sequence[_Cell]] = (
        (_Cell(kinds[one.path]), _Cell(_system(one)), _holds(one), _Cell(one.path))
        for one in examined
    )
    _print_table(console, columns, rows)
    for place, text in PLACES.items():
        points = sorted({one.mount.point for one in examined if one.mount.locality == place})
        if points and place != "disk":
            tell(f"{', '.join(points)}: {text}.")
    if any(one.finding is None or one.finding.state != OK for one in examined):
        tell(
            "The settings below do not count in what could not be read: `comfy-inventory doctor "
            "--write` does so once it is there."
        )


def as_json(path: str, text: str, is_written: bool, examined: Sequence[Examined]) -> dict[str, Any]:
    """The JSON form: the settings file, and what was found out of each folder."""
    return {
        "schema": 1,
        "path": readable(path),
        "text": text,
        "written": is_written,
        "folders": [
            {
                "path": readable(one.path),
                "filesystem": one.mount.type,
                "mount": readable(one.mount.point),
                "state": None if one.finding is None else one.finding.state,
            }
            for one in examined
        ],
    }


def _system(one: Examined) -> str:
    return f"{one.mount.format or one.mount.type} at {one.mount.point}"


def _holds(one: Examined) -> _Cell:
    finding = one.finding
    if finding is None:
        return _Cell("not looked at: no time left", "yellow")
    if finding.state == MISSING:
        return _Cell("not there yet", "yellow")
    if finding.state == STALLED:
        return _Cell("does not answer", "red")
    if finding.state != OK or finding.size is None or finding.sample is None:
        return _Cell("cannot be read", "red")
    about = "" if finding.sample.is_complete else "about "
    return _Cell(about + count_text(finding.size.files, "file"))


def is_wanted(path: str, text: str, before: str) -> bool:
    """Show the file, or its changed lines, and ask if it is to be written."""
    if before.strip():
        tell(f"Changes of {path}:")
        lines = difflib.unified_diff(before.splitlines(), text.splitlines(), lineterm="", n=1)
        shown = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    else:
        tell(f"Settings for {path}:")
        shown = text.splitlines()
    for line in shown:
        tell(f"  {line}")
    return typer.confirm("Write it?", default=True, err=True)


def wants_service() -> bool:
    """Ask if the system is to run it from now on."""
    return typer.confirm("Run it as a service, from now on?", default=False, err=True)


def print_next(path: str, *, is_here: bool) -> None:
    """The commands that come next."""
    option = "" if is_here else f" --config {shlex.quote(printable(path))}"
    tell(f"Next: comfy-inventory scan{option}   (once)")
    tell(f"      comfy-inventory run{option}   (until it is stopped)")
    tell(f"      comfy-inventory service install{option}   (from now on)")
