"""What all routes share: the inventories, the answers, the streams, the services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from scanner.views.book import Book
from scanner.web.access import Tokens
from scanner.web.answers import Answers, refused
from scanner.web.files import Reader, View
from scanner.web.sources import Services, Source
from scanner.web.streams import Hub


@dataclass(frozen=True)
class Hall:
    """One server."""

    readers: Sequence[Reader]
    services: Services
    tokens: Tokens
    hub: Hub
    answers: Answers
    base: str = ""
    """The path before all others, without a slash at its end."""

    @property
    def sources(self) -> list[Source]:
        return [reader.source for reader in self.readers]


def hall_of(request: Request) -> Hall:
    """The server that a request came to."""
    hall: Hall = request.app.state.hall
    return hall


def readers_of(request: Request) -> list[Reader]:
    """The inventories that a request is about: all, or those that it names."""
    wanted = request.query_params.getlist("machine")
    readers = list(hall_of(request).readers)
    if not wanted:
        return readers
    found = [reader for reader in readers if reader.source.name in wanted]
    if len(found) < len(set(wanted)):
        raise refused(404, "There is no machine of that name here.")
    return found


def reader_of(request: Request, name: str | None = None) -> Reader:
    """The one inventory that a request is about: the first, or the one that is named."""
    if name is None:
        return readers_of(request)[0]
    for reader in hall_of(request).readers:
        if reader.source.name == name:
            return reader
    raise refused(404, "There is no machine of that name here.")


async def view_of(reader: Reader) -> View:
    """What is known of an inventory. It may have an error."""
    view = await reader.view()
    if view is None:
        return View(None, {}, "", "being read", f"{reader.source.name} is being read: ask again.")
    return view


async def book_of(reader: Reader) -> tuple[Book, View]:
    """The whole inventory."""
    view = await view_of(reader)
    if view.book is None:
        raise refused(503, view.error)
    return view.book, view


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A number of the query. Numbers out of range are an error, like other texts."""
    text = request.query_params.get(name)
    if text is None:
        return default
    value = whole_number(text)
    if value is None or not least <= value <= most:
        raise refused(400, f"{name}: expected a number from {least} to {most}.")
    return value


def whole_number(text: str) -> int | None:
    """The number that a text is, if it has up to 18 digits."""
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        return None
    return int(text)


Json = dict[str, Any]
