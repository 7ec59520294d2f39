"""A test event for every place."""

from __future__ import annotations

import threading
from typing import NamedTuple

import orjson

from scanner import __version__
from scanner.core.serialize import readable
from scanner.notify.events import message
from scanner.notify.notifications import ping_url, places_of
from scanner.notify.send import NotSentError, post
from scanner.settings.schema import Settings

_EVENT = {
    "event": "test",
    "ended": False,
    "count": 0,
    "paths": [],
    "text": "This is a test of comfy-inventory.",
}


class Tried(NamedTuple):
    """What a place answered."""

    place: str
    ok: bool
    answer: str


def try_places(settings: Settings, inventory: str) -> list[Tried]:
    """Send a test event to each place, one after the other. A healthcheck gets `/log`, which
    changes nothing of its state."""
    body = orjson.dumps(message([_EVENT], readable(inventory), __version__))
    places = places_of(settings, threading.Event())
    if url := settings.healthcheck:
        places["healthcheck"] = lambda _: post(ping_url(url, "log"), b"a test", "text/plain")
    results = []
    for place, send in places.items():
        try:
            results.append(Tried(place, True, send(body)))
        except NotSentError as error:
            results.append(Tried(place, False, str(error)))
    return results
