"""What happens to a mount of the guest while the program runs on it, scene after scene."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from tests.support.guest.clients import Client, Fault
from tests.support.guest.program import (
    FILES,
    FOLDERS,
    Cell,
    Observations,
    Observed,
    fill,
    start_seconds,
)
from tests.support.guest.servers import POINT, do
from tests.support.machine import walked, write

EDITED = "changed on the server"
PUT_BACK = "names changed, and the folder's time put back"
ACCEPTED = "all gone for good, and accepted"
LATE = "mounted after the start"
BOUND = "one file bound, and unmounted"
LINKED = "; the root is a link"
"""Added to the name of a fault in what is observed of such a root."""


def mount_cell(client: Client, *chosen: str) -> Observations:
    """Scenes on a mount, one after the other: those `chosen`, or all.

    One root is a folder of the mount, another one is a link to another folder of it.
    """
    start = start_seconds()
    client.start()
    cell = Cell(client.name, POINT, start)
    fill(cell.models)
    fill(POINT / "shared", folders=1)
    cell.follow_link(POINT / "shared")
    cell.begin()
    cell.rests()
    assert len(cell.entries()) == FOLDERS * (FILES + 1)
    for name, scene in scenes(client).items():
        if name in chosen or not chosen:
            yield from scene(cell)
    cell.end()
    client.close()


def scenes(client: Client) -> dict[str, Callable[[Cell], Observations]]:
    """All scenes that a client can play, by name, in their order."""
    found: dict[str, Callable[[Cell], Observations]] = {
        EDITED: partial(_edits, client),
        PUT_BACK: partial(_put_back, client),
    }
    for number, (name, fault) in enumerate(client.faults().items()):
        found[name] = partial(_fault, client, name, fault, f"came_{number}.safetensors")
    found[ACCEPTED] = partial(_accepted, client)
    found[LATE] = partial(_late, client)
    found[BOUND] = partial(_bound, client)
    return found


def _edits(client: Client, cell: Cell) -> Observations:
    server = client.server

    def edit() -> None:
        server.write("models/d0/new.safetensors", "new")
        server.write("models/d1/m0.safetensors", "longer than before" * 300)
        server.unlink("models/d2/m0.safetensors")
        server.rename("models/d3/m1.safetensors", "models/d0/renamed.safetensors")
        server.write("models/d9/deep/new.safetensors", "deep")

    expected = [
        "created d0/new.safetensors",
        "created d9",
        "created d9/deep",
        "created d9/deep/new.safetensors",
        "deleted d2/m0.safetensors",
        "modified d1/m0.safetensors",
        "moved d3/m1.safetensors d0/renamed.safetensors",
    ]
    yield _edited(cell, EDITED, edit, expected)


def _put_back(client: Client, cell: Cell) -> Observations:
    def edit() -> None:
        client.server.replace_quietly("models/d1/m2.safetensors", "models/d1/quiet.safetensors")

    expected = ["created d1/quiet.safetensors", "deleted d1/m2.safetensors"]
    yield _edited(cell, PUT_BACK, edit, expected)


def _edited(cell: Cell, name: str, edit: Callable[[], None], expected: list[str]) -> Observed:
    observed = Observed(name, cell.name, ["online"], ["online"], expected=expected)
    before = cell.machine.status()["scan"]
    observed.entries_before = len(cell.entries())
    started = time.monotonic()
    edit()
    cell.running.wait_for(
        lambda: set(expected) <= set(in_pairs(cell.told(before), expected)), f"{name}: all edits"
    )
    observed.recovery_seconds = time.monotonic() - started
    cell.next_scans()
    # Each deletion is one of those expected.
    observed.entries_before -= sum(line.startswith("deleted ") for line in expected)
    finish(cell, observed, before)
    observed.changes_after = in_pairs(observed.changes_after, expected)
    observed.entries_during = len(cell.entries())
    return observed


def in_pairs(lines: list[str], expected: list[str]) -> list[str]:
    """`lines` without the first halves of moves that are expected.

    SMB's client shows a file that was renamed on the server under both names for some seconds. It
    is told as created then, and as moved later.
    """
    moved = [line.split() for line in expected if line.startswith("moved ") and line in lines]
    halves = {f"created {paths[-1]}" for paths in moved}
    return [line for line in lines if line not in halves]


def finish(cell: Cell, observed: Observed, before: int) -> None:
    """Note what was reported since scan `before`, and whether the inventory is right."""
    observed.header = observed.header or cell.header_state()
    observed.changes_after = cell.told(before)
    observed.is_same = cell.is_same()
    cell.explain(before, observed.expected)


def wait_for_state(cell: Cell, root: Cell, states: frozenset[str]) -> None:
    cell.running.wait_for(lambda: root.state() in states, f"one of {sorted(states)}")


def wait_for_header(cell: Cell, root: Cell) -> None:
    cell.running.wait_for(lambda: root.header_state() == root.state(), "the header's state")


def _fault(client: Client, name: str, fault: Fault, came: str, cell: Cell) -> Observations:
    """It happens under `run`, which is stopped and started while it lasts; then it ends."""
    watched = [cell, *([cell.at(cell.linked)] if fault.is_of_all else [])]
    rows = [Observed(name, root.name, states_allowed=sorted(fault.states)) for root in watched]
    if fault.is_of_all:
        rows[1].fault += LINKED
    before = cell.machine.status()["scan"]
    known = [root.entries() for root in watched]
    fault.happens()
    for root in watched:
        wait_for_state(cell, root, fault.states)
    local_seconds = cell.local_change()
    for root, observed, entries in zip(watched, rows, known, strict=True):
        wait_for_header(cell, root)
        observed.local_seconds = local_seconds
        observed.entries_before = len(entries)
        observed.states = [root.state()]
        observed.reason = str(root.root().get("reason", "")).replace(str(POINT), "MOUNT")
        observed.header = root.header_state()
    cell.stop(*rows)
    if fault.loses_state:
        cell.lose_state()
    exit_code = cell.scan()
    for root, observed, entries in zip(watched, rows, known, strict=True):
        observed.exit_code = exit_code
        observed.entries_during = len(entries & root.entries())
        observed.changes_during = root.told(before)

    cell.begin()
    cell.running.wait_for(cell.is_of_this_run, "a new start")
    if fault.keeps_server:
        client.server.write(f"models/d0/{came}", came)
    started = time.monotonic()
    fault.ends()
    for root in watched:
        wait_for_state(cell, root, frozenset(("online",)))
    recovery_seconds = time.monotonic() - started
    if not fault.keeps_server:
        client.server.write(f"models/d0/{came}", came)
    rows[0].expected = [f"created d0/{came}"]
    cell.running.wait_for(lambda: cell.told(before), "what came meanwhile")
    cell.next_scans()
    for root, observed in zip(watched, rows, strict=True):
        observed.recovery_seconds = recovery_seconds
        finish(root, observed, before)
        yield observed


def _accepted(client: Client, cell: Cell) -> Observations:
    """What is gone stays so: it is held until the command that the status names is run."""
    observed = Observed(ACCEPTED, cell.name, states_allowed=["held"])
    before = cell.machine.status()["scan"]
    known = cell.entries()
    observed.entries_before = len(known)
    client.lose_all()
    cell.running.wait_for(lambda: cell.state() == "held", "that it is held")
    observed.local_seconds = cell.local_change()
    cell.running.wait_for(lambda: cell.header_state() == "held", "the header's state")
    observed.states, observed.header = [cell.state()], cell.header_state()
    observed.reason = str(cell.root().get("reason", "")).replace(str(POINT), "MOUNT")
    cell.stop(observed)
    observed.exit_code = cell.scan()
    observed.entries_during = len(known & cell.entries())
    observed.changes_during = cell.told(before)
    cell.begin()
    cell.running.wait_for(cell.is_of_this_run, "a new start")
    started = time.monotonic()
    cell.accept()
    cell.running.wait_for(lambda: cell.state() == "online", "that it is accepted")
    cell.next_scans()
    observed.recovery_seconds = time.monotonic() - started
    top = len(str(cell.models)) + 1
    now = set(walked(cell.models))
    observed.expected = sorted(
        [f"deleted {path[top:]}" for path in known - now]
        + [f"created {path[top:]}" for path in now - known]
    )
    finish(cell, observed, before)
    yield observed


def _late(client: Client, cell: Cell) -> Observations:
    """The program starts over the empty folder below the mount, and the mount comes later."""
    cell.end()
    client.unmount()
    (POINT / "models").mkdir(exist_ok=True)
    observed = Observed(LATE, cell.name, ["online"], ["online"])
    late = Cell(client.name, POINT, cell.start, "late")
    late.begin()
    late.running.wait_for(late.is_of_this_run, "the first scan")
    late.running.wait_for(lambda: late.state() == "online", "the empty folder")
    observed.local_seconds = late.local_change()
    started = time.monotonic()
    client.mount()
    write(late.models / "d5" / "last.safetensors", "last")
    late.running.wait_for(late.is_same, "the entries of the mount")
    observed.recovery_seconds = time.monotonic() - started
    late.next_scans()
    observed.states, observed.entries_during = [late.state()], len(late.entries())
    late.stop(observed)
    finish(late, observed, 0)
    yield observed


def _bound(client: Client, outer: Cell) -> Observations:
    """A file of the mount is bound over an empty file, as `docker -v` does, and is unbound.

    It is never a folder and never gone: it has the size and mtime of what is there.
    """
    file = POINT / "single.safetensors"
    cell = Cell(client.name, POINT, outer.start, "bound")
    bound = cell.local / "bound.safetensors"
    cell.models, cell.roots = cell.local, ("--extra", cell.local)
    write(file, "single" * 50)
    write(bound, "")
    do("mount", "--bind", file, bound)
    cell.begin()
    cell.running.wait_for(cell.is_of_this_run, "the first scan")
    cell.running.wait_for(cell.is_same, "the file")
    cell.next_scans()
    observed = Observed(BOUND, client.name, states_allowed=["online"])
    known, before = cell.entries(), cell.machine.status()["scan"]
    observed.entries_before = len(known)
    do("umount", bound)
    cell.running.wait_for(cell.is_same, "the empty file")
    observed.local_seconds = cell.local_change()
    observed.states, observed.header = [cell.state()], cell.header_state()
    observed.entries_during = len(known & cell.entries())
    cell.stop(observed)
    observed.exit_code = cell.scan()
    cell.begin()
    cell.running.wait_for(cell.is_of_this_run, "a new start")
    started = time.monotonic()
    do("mount", "--bind", file, bound)
    client.server.write(file.name, "single, and longer" * 50)
    cell.running.wait_for(cell.is_same, "the file again")
    observed.recovery_seconds = time.monotonic() - started
    cell.next_scans()
    observed.expected = ["created meanwhile_1.safetensors", *[f"modified {bound.name}"] * 2]
    finish(cell, observed, before)
    cell.end()
    do("umount", bound)
    yield observed
