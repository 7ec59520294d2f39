"""Makes a report and writes it."""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple

from scanner.api import Inventory
from scanner.commands.report import document, markdown
from scanner.commands.targets import file_to_write
from scanner.console.steps import _one_of
from scanner.core.serialize import printable
from scanner.core.times import Zone
from scanner.errors import InventoryError
from scanner.output.atomic import AtomicFile, cannot
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import damage_reported
from scanner.output.refusals import refuse_kind
from scanner.output.regular_files import opening_regular
from scanner.output.status_file import read_status
from scanner.views.pages import Pages, pages_of

FORMATS = ("html", "md")


class Request(NamedTuple):
    """The report that a user asked for."""

    format: str | None
    """One of `FORMATS`; None for the one that the name of the file ends with, or HTML."""
    target: str
    """The file to write, relative to `cwd`; `-` for standard output."""
    outputs: Outputs
    cwd: str
    zone: Zone


class Result(NamedTuple):
    """What was written."""

    format: str
    path: str
    """Empty for standard output."""
    files: int
    """Files that the report is about."""
    bytes: int
    """Size of the report."""


def write_report(request: Request, stdout: BinaryIO) -> Result:
    """Write the report. Raises InventoryError, SettingsError or OutputError; a file is then
    unchanged."""
    is_markdown = request.target.lower().endswith(".md")
    default = "md" if is_markdown else "html"
    name = _one_of("--format", request.format or default, FORMATS)
    path = ""
    if request.target != "-":
        path = file_to_write(request.target, request.cwd, request.outputs)
        _refuse_foreign(path)
    with Inventory(request.outputs.inventory) as inventory, damage_reported(inventory.path):
        status: dict[str, Any] = read_status(request.outputs.status) or {}
        pages = pages_of(inventory, status, request.outputs.journal, request.zone)
    content = _content(name, pages)
    if path:
        with AtomicFile(path) as file:
            file.write(content)
    else:
        stdout.write(content)
        stdout.flush()
    return Result(name, printable(path), pages.pages["totals"]["files"], len(content))


def _content(name: str, pages: Pages) -> bytes:
    return document.html_report(pages) if name == "html" else markdown.markdown_report(pages.pages)


def _refuse_foreign(path: str) -> None:
    """Raise an error if there is a file at `path` that is no report."""
    refuse_kind(path)
    longest = max(len(document.MARK), len(markdown.MARK))
    try:
        with open(path, "rb", opener=opening_regular) as file:
            head = file.read(longest)
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot("read", path, error) from error
    if head and not head.startswith((document.MARK, markdown.MARK)):
        raise InventoryError(
            f"-o: {printable(path)} is no report of this program: move it away, or choose another "
            "name."
        )
