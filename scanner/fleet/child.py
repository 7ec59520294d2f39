"""The process that publishes. The place may hang, so that no other process waits for it (rule 3, a
hang stops nothing)."""

from __future__ import annotations

import sys

import orjson

from scanner.errors import InventoryError
from scanner.fleet.address import address_of
from scanner.fleet.generation import Source
from scanner.fleet.publish import publish

CODE = "from scanner.fleet.child import main; main()"


def main() -> None:
    """Publish what a document on stdin names, and print the result as another one.

    The address comes this way because it may hold a password, and others can read the arguments
    of a process.
    """
    asked = orjson.loads(sys.stdin.buffer.read())
    try:
        done = publish(address_of(asked["url"]), Source(*asked["source"]))
        answer: dict[str, object] = done._asdict()
    except InventoryError as error:
        answer = {"error": str(error)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.buffer.write(orjson.dumps(answer))
