"""Which folders a reader may look at, and when."""

from __future__ import annotations

import math
import threading

import pytest

from scanner.core.pending import PendingFolders
from scanner.core.roots import Root
from scanner.core.snapshot import Directory, Listing

A, B = Root("models", "/a"), Root("models", "/b")
ZONES = (A, B)
SNAPSHOT = dict.fromkeys(("/a", "/a/x", "/b"), Directory(Listing()))


def paths(pending: PendingFolders, now: float, settles: dict[str, float]) -> list[str]:
    return [folder.path for folder in pending.waiting(SNAPSHOT, ZONES, settles, now)]


@pytest.mark.parametrize(
    ("now", "settles", "expected"),
    [
        # /a is known from before, /a/x changed at 10, /b at 20.
        (20.0, {A.id: 3.0, B.id: 3.0}, ["/a", "/a/x"]),
        (22.9, {A.id: 3.0, B.id: 3.0}, ["/a", "/a/x"]),
        (23.0, {A.id: 3.0, B.id: 3.0}, ["/a", "/a/x", "/b"]),
        (20.0, {A.id: 11.0}, ["/a"]),
        (30.0, {B.id: 3.0}, ["/b"]),
        (30.0, {}, []),
        # Whether they may be read yet or not.
        (math.inf, {A.id: 3.0, B.id: 99.0}, ["/a", "/a/x", "/b"]),
    ],
)
def test_a_folder_waits_until_it_has_stood_unchanged(
    now: float, settles: dict[str, float], expected: list[str]
) -> None:
    pending = PendingFolders(SNAPSHOT)
    pending.changed(["/a/x"], 10.0)
    pending.changed(["/b"], 20.0)
    assert paths(pending, now, settles) == expected
    # Looking takes nothing away.
    assert paths(pending, now, settles) == expected


@pytest.mark.parametrize(
    ("now", "settles", "seconds"),
    [
        (20.0, {A.id: 3.0, B.id: 3.0}, 3.0),
        (20.0, {A.id: 15.0, B.id: 30.0}, 5.0),
        (20.0, {A.id: 3.0}, 0.0),
        (99.0, {A.id: 3.0, B.id: 3.0}, 0.0),
    ],
)
def test_seconds_to_settle_are_those_of_the_first(
    now: float, settles: dict[str, float], seconds: float
) -> None:
    pending = PendingFolders(SNAPSHOT)
    pending.changed(["/a/x"], 10.0)
    pending.changed(["/b"], 20.0)
    assert pending.seconds_to_settle(ZONES, settles, now) == seconds


def test_a_folder_that_is_done_comes_back_when_it_changes() -> None:
    pending, settles = PendingFolders(["/a"]), {A.id: 3.0}
    (folder,) = pending.waiting(SNAPSHOT, ZONES, settles, 10.0)
    pending.done(folder.path, folder.changed)
    assert paths(pending, 10.0, settles) == []
    pending.changed(["/a"], 10.0)
    assert paths(pending, 13.0, settles) == ["/a"]


def test_a_folder_that_changed_since_it_was_looked_at_is_not_done() -> None:
    pending, settles = PendingFolders(["/a"]), {A.id: 3.0}
    (folder,) = pending.waiting(SNAPSHOT, ZONES, settles, 10.0)
    pending.changed(["/a"], 10.0)
    pending.done(folder.path, folder.changed)
    assert paths(pending, 13.0, settles) == ["/a"]


def test_folders_that_are_gone_are_forgotten() -> None:
    pending, settles = PendingFolders(SNAPSHOT), {A.id: 3.0, B.id: 3.0}
    pending.gone(["/a/x", "/never"])
    assert paths(pending, 10.0, settles) == ["/a", "/b"]
    # So is one that is in no zone any more, or no longer listed.
    assert [one.path for one in pending.waiting(SNAPSHOT, (A,), settles, 10.0)] == ["/a"]
    assert list(pending.waiting({}, ZONES, settles, 10.0)) == []
    assert paths(pending, 10.0, settles) == []


def test_scans_add_folders_while_readers_go_through_them() -> None:
    folders = [f"/a/{number}" for number in range(2000)]
    snapshot = dict.fromkeys(folders, Directory(Listing()))
    pending = PendingFolders(folders)
    stop = threading.Event()

    def scans() -> None:
        while not stop.is_set():
            pending.gone(folders)
            pending.changed(folders, 1.0)

    thread = threading.Thread(target=scans)
    thread.start()
    try:
        for _ in range(50):
            for folder in pending.waiting(snapshot, (A,), {A.id: 0.0}, 5.0):
                pending.done(folder.path, folder.changed)
    finally:
        stop.set()
        thread.join()
    pending.changed(folders, 1.0)  # the reader may have had the last word
    assert len(list(pending.waiting(snapshot, (A,), {A.id: 0.0}, 5.0))) == len(folders)
