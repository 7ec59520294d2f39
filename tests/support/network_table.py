"""Makes the tables of `docs/network.md` from what the tests on real mounts observed.

All faults on all mounts are observed, and written down, by

    COMFY_NETWORK=all COMFY_NETWORK_REPORT=report.json python -m pytest tests/whole/test_network.py
    python -m tests.support.network_table report.json

and those on the kernel's own clients by

    COMFY_GUEST=all COMFY_GUEST_REPORT=guest.json python -m pytest tests/whole/test_guest.py
    python -m tests.support.network_table guest.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.guest.cells import CELLS, SHORT
from tests.support.guest.cells import clients as guest_clients
from tests.support.guest.scenes import LINKED, scenes

Observed = Mapping[str, Any]
Columns = Mapping[str, Callable[[Observed], str]]


def _inventory(one: Observed) -> str:
    held, before = one["entries_during"], one["entries_before"]
    count = f"{held} of {before}" if held <= before else f"{held}"
    return f"{count} entries, `{one['header']}`"


def _status(one: Observed) -> str:
    reason = f": {one['reason']}" if one["reason"] else ""
    return f"`{one['states'][-1]}`{reason}"


def _lines(changes: Sequence[str]) -> str:
    return "<br>".join(changes) if changes else "nothing"


def _told_as_expected(one: Observed) -> str:
    """The lines in a few words where they are those that the test expects."""
    if one["failed"]:
        return "**not yet as it should be**"
    if one["changes_after"] != one["expected"]:
        return f"**{len(one['changes_after'])} lines, {len(one['expected'])} expected**"
    count = len(one["expected"])
    return f"the {count} expected" if count else "nothing, as expected"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds else "-"


FAULTS: Columns = {
    "Fault": lambda one: str(one["fault"]),
    "Mount": lambda one: str(one["share"]),
    "Inventory": _inventory,
    "Change list": lambda one: _lines(one["changes_during"]),
    "Status": _status,
    "`scan` exits with": lambda one: str(one["exit_code"]),
    "Local change told after": lambda one: _seconds(one["local_seconds"]),
    "Online again after": lambda one: _seconds(one["recovery_seconds"]),
    "Change list then": lambda one: _lines(one["changes_after"]),
}
CHANGES: Columns = {
    "Mount": lambda one: str(one["share"]),
    "Inventory": lambda one: f"`{one['header']}`",
    "`scan` exits with": lambda one: str(one["exit_code"]),
    "Told after": lambda one: _seconds(one["recovery_seconds"]),
    "Change list": lambda one: _lines(one["changes_after"]),
}
ENDS: Columns = {
    "Mount": lambda one: str(one["share"]),
    "Gone after": lambda one: _seconds(one["recovery_seconds"]),
    "`run` exits with": lambda one: str(one["exit_code"]),
    "Local change told after a new start": lambda one: _seconds(one["local_seconds"]),
    "Inventory of the new start": _inventory,
    "Change list": lambda one: _lines([*one["changes_during"], *one["changes_after"]]),
}
GUEST: Columns = {
    "Mount": lambda one: str(one["share"]),
    "What happens": lambda one: str(one["fault"]),
    "Inventory": _inventory,
    "Change list": lambda one: _lines(one["changes_during"]),
    "Why": lambda one: str(one["reason"]) or "-",
    "`scan` exits with": lambda one: "-" if one["exit_code"] is None else str(one["exit_code"]),
    "Local change after": lambda one: _seconds(one["local_seconds"]),
    "SIGTERM takes": lambda one: _seconds(one["stop_seconds"]),
    "Told or online again after": lambda one: _seconds(one["recovery_seconds"]),
    "Change list in the end": _told_as_expected,
}
APART = {"changed on the server": CHANGES, "SIGTERM while the server is stopped": ENDS}
"""Faults that are no faults of the mount: tables of their own."""


def _in_short(one: Observed) -> str:
    """What was observed of one scene on one mount, in one cell of a table."""
    if one["failed"]:
        return "**failed**"
    parts = [f"`{one['header']}`"]
    if one["stop_code"] is not None and one["entries_before"]:
        parts.append(f"{one['entries_during']} of {one['entries_before']} kept")
    if one["changes_during"] or one["changes_after"] != one["expected"] or not one["is_same"]:
        parts.append("**wrong change list**")
    if one["recovery_seconds"]:
        parts.append(f"right after {one['recovery_seconds']:.1f} s")
    if one["stop_seconds"]:
        parts.append(f"SIGTERM {one['stop_seconds']:.1f} s")
    return ", ".join(parts)


def guest_tables(observed: Sequence[Observed]) -> str:
    """A table of what happens to a mount, with a column for each client, and one of the rest.

    A scene that a client can play and that was not observed stands there as `not run`.
    """
    clients = {client.name: scenes(client) for client in guest_clients()}
    known = {one["fault"]: None for one in observed}
    names = {name: None for found in clients.values() for name in found}
    names = {n: None for name in names for n in (name, name + LINKED) if n in names or n in known}
    rows = [["What happens", *clients], ["---"] * (1 + len(clients))]
    seen = {(one["fault"], one["share"]): one for one in observed}
    for name in names:
        row = [name]
        for client, found in clients.items():
            can_play = name.removesuffix(LINKED) in found
            if (name, client) in seen:
                row.append(_in_short(seen[name, client]))
            else:
                row.append("not run" if can_play else "-")
        rows.append(row)
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    rest = [one for one in observed if one["fault"] and one["cell"] not in {*clients, *SHORT}]
    ran = {one["cell"] for one in rest}
    left_out = [name for name in CELLS if name not in {*clients, *SHORT, *ran}]
    lines = [table(rest, GUEST), *(f"| {name} | not run |" + " |" * 8 for name in left_out)]
    return text + "\n\n" + "\n".join(lines)


def tables(observed: Sequence[Observed]) -> str:
    """Markdown: all faults on all mounts, then the tables apart, each below its name.

    What was observed in the guest has tables of its own.
    """
    if all("stop_seconds" in one for one in observed):
        return guest_tables(observed)
    texts = [table([one for one in observed if one["fault"] not in APART], FAULTS)]
    for fault, columns in APART.items():
        own = [one for one in observed if one["fault"] == fault]
        texts += [f"{fault[0].upper()}{fault[1:]}:", table(own, columns)]
    return "\n\n".join(texts)


def table(observed: Sequence[Observed], columns: Columns) -> str:
    """A Markdown table, one row for each."""
    rows = [list(columns), ["---" for _ in columns]]
    rows += [[cell(one) for cell in columns.values()] for one in observed]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "report", type=Path, help="as named by COMFY_NETWORK_REPORT or COMFY_GUEST_REPORT"
    )
    print(tables(json.loads(parser.parse_args().report.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
