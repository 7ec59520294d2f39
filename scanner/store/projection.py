"""Views of a store for readers: states of roots, unreachable folders, the inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from scanner.core.memory import ONLINE, PARTIAL, RootRecord
from scanner.core.roots import Root, owner_of
from scanner.core.serialize import shown
from scanner.diff.growth import growing
from scanner.diff.unread import is_away
from scanner.store.store import Store

if TYPE_CHECKING:
    from scanner.output.inventory_view import InventoryView, MountView, Unreachable

AWAY = "away"


class RootState(NamedTuple):
    """State of a root, its reason, when it began (nanoseconds), and the type of file system."""

    state: str
    reason: str
    since: int
    filesystem: str


def root_states(store: Store, roots: Sequence[Root]) -> list[tuple[Root, RootState]]:
    """The roots that a scan has examined, each with its state. A root is online only if all mounts
    below it are."""
    memory = store.memory
    troubled: dict[str, RootRecord] = {}
    for record in _offline_mounts(store):
        owner = owner_of(record.path, roots)
        if owner is not None:
            troubled.setdefault(owner.id, record)
    states = []
    for root in roots:
        own = memory.roots.get(root.id)
        if own is None:
            continue
        state = RootState(own.state, own.reason, own.since, own.filesystem)
        if root.id in troubled and own.state == ONLINE:
            inner = troubled[root.id]
            reason = f"{shown(inner.path, store.base)} is {inner.state}: {inner.reason}"
            state = RootState(PARTIAL, reason, inner.since, own.filesystem)
        states.append((root, state))
    return states


def unreachable(store: Store) -> list[Unreachable]:
    """Folders that answer with errors, sorted. Their entries are the last known ones."""
    mounts = _offline_mounts(store)
    if not store.memory.unreachable and not mounts:
        return []
    from scanner.output.inventory_view import Unreachable

    folders = [
        Unreachable(path, folder.error, folder.since)
        for path, folder in store.memory.unreachable.items()
    ]
    folders += [
        Unreachable(record.path, f"{record.state}: {record.reason}", record.since)
        for record in mounts
    ]
    return sorted(folders, key=lambda folder: folder.path)


def _offline_mounts(store: Store) -> list[RootRecord]:
    return [
        record
        for record in store.memory.roots.values()
        if record.is_inner and record.state not in (ONLINE, PARTIAL)
    ]


def view_of(
    store: Store, roots: Sequence[Root], now: int, unfinished: Mapping[str, str] | None = None
) -> InventoryView:
    """The values that an inventory written now displays. Later commits do not change them.
    `unfinished` are the `unfinished_files`, where they are known."""
    from scanner.output.inventory_view import InventoryView, RootView

    return InventoryView(
        scan=store.scan,
        generated=now,
        base=store.base,
        roots=[
            RootView(root, state.state, state.since, state.filesystem, state.reason)
            for root, state in root_states(store, roots)
        ],
        unreachable=unreachable(store),
        mounts=_mounts(store, roots),
        snapshot=dict(store.snapshot),
        annotations=store.annotations(),
        status={
            **(unfinished_files(store) if unfinished is None else unfinished),
            **{path: AWAY for path in store.memory.unreachable if is_away(path, store.snapshot)},
        },
    )


def _mounts(store: Store, roots: Sequence[Root]) -> list[MountView]:
    from scanner.output.inventory_view import MountView

    return [
        MountView(
            record.path,
            record.target if record.target != record.path else "",
            record.mount_point,
            record.mount_identity,
        )
        for record in sorted(store.memory.roots.values(), key=lambda record: record.path)
        if record.walked and record.mount_identity and owner_of(record.path, roots)
    ]


def unfinished_files(store: Store) -> dict[str, str]:
    """The status of files that are not whole yet, by path."""
    unsettled = dict.fromkeys(growing(store.memory.unsettled, store.snapshot), "unsettled")
    return unsettled | dict.fromkeys(store.downloads.look(store.snapshot), "partial")
