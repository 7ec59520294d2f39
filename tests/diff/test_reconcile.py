"""The steps between walk and commit, each as a function of values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from scanner.core.changes import DELETED, Change
from scanner.core.memory import (
    HELD,
    LOSS,
    MISSING,
    OFFLINE,
    ONLINE,
    PARTIAL,
    AcceptRequest,
    Gone,
    Hold,
    Memory,
    RootRecord,
    UnreachableFolder,
)
from scanner.core.roots import Root
from scanner.core.snapshot import (
    DIRECTORY,
    FILE,
    Directory,
    Entry,
    Row,
    Snapshot,
    listing_of,
)
from scanner.diff.carry_over import carry_holds, carry_recent, carry_records, carry_unreachable
from scanner.diff.compare import Delta
from scanner.diff.compare_zones import trust_walks
from scanner.diff.drop import drop_accepted, drop_removed_roots
from scanner.diff.hold_losses import hold_losses
from scanner.diff.losses import Limits
from scanner.diff.moves import FINGERPRINT, Move, Moves
from scanner.diff.reconcile import AbsenceWantedError, Seen, reconcile
from scanner.diff.window import open_window, without_expired
from scanner.walk.absence import GONE
from scanner.walk.health import Health, Moment
from scanner.walk.ignore import IgnoreRules
from scanner.walk.rules import ListingRules
from scanner.walk.walked import Walked
from scanner.walk.zone_scan import Collected, ZoneScan
from scanner.walk.zones import Zones
from scanner.workers.requests import Failed
from tests.support.world import World, at, content

R = Root("models", "/r")
S = Root("extra", "/s")
INNER = Root("models", "/r/nas")
MOMENT = Moment(wall=1_000, monotonic=10.0, interval=30.0)
RULES = ListingRules((R, S), {R.id: IgnoreRules(), S.id: IgnoreRules()}, follow_links=True)
LIMITS = {zone: Limits(0.5, 20) for zone in (R, S, INNER)}
FAILED = Failed("/r/bad", 5, "Input/output error")


def scan(zone: Root, walked: Walked | None = None, state: str = ONLINE) -> ZoneScan:
    return ZoneScan(zone, R if zone == INNER else zone, Health(state, "why"), walked)


def collected(
    *scans: ZoneScan,
    requests: Iterable[AcceptRequest] = (),
    targets: Mapping[str, str] | None = None,
) -> Collected:
    zones = Zones((R, S), (INNER,), targets or {})
    return Collected(zones, MOMENT, tuple(requests), {each.zone: each for each in scans})


def directory(names: Mapping[str, str]) -> Directory:
    return Directory(listing_of(Row(name, type_, 1, 1, 0) for name, type_ in names.items()))


SNAPSHOT: Snapshot = {
    "/r": directory({"a": FILE, "sub": DIRECTORY}),
    "/r/sub": directory({"b": FILE}),
    "/s": directory({"c": FILE}),
}


def record(zone: Root, *, walked: bool = True, is_inner: bool = False) -> RootRecord:
    return RootRecord(zone.id, zone.kind, zone.path, walked=walked, is_inner=is_inner)


def memory(*records: RootRecord) -> Memory:
    return Memory(roots={each.id: each for each in records})


def hold(zone: Root) -> Hold:
    return Hold(zone.id, LOSS, 0, 0.0, frozenset(("/r/a",)), 1, 1)


def entry(path: str, type_: str = FILE) -> Entry:
    return Entry(path, type_, 1, 1)


# The whole


def test_deciding_changes_nothing_that_it_is_given(tmp_path: Path) -> None:
    """So it can be done again with the fingerprints that it wanted."""
    world = World(tmp_path)
    for number in range(30):
        world.files.write(at(f"Downloads/f{number:02}"), content(str(number)))
    world.files.write(at("ComfyUI/models/new/x"), content("x"))
    world.scan(reads=False)
    for number in range(25):
        world.files.remove(at(f"Downloads/f{number:02}"))
    world.files.rename(at("ComfyUI/models/new/x"), at("ComfyUI/models/y"))
    world.files.write(at("ComfyUI/models/z"), b"1")
    world.files.advance(30)
    scanner, store = world.scanner, world.store
    found = scanner._collector.collect(
        world.roots,
        scanner.zones(),
        (),
        Moment(world.files.now(), world.files.monotonic(), 30.0),
        stopped=lambda: False,
        progress=None,
    )
    assert found is not None
    before = deepcopy((store.memory, store.snapshot, found))
    with pytest.raises(AbsenceWantedError) as wanted:
        reconcile(store, found, scanner._rules, world.settings, Seen({}, {}))
    absences = dict.fromkeys(wanted.value.paths, GONE)
    first = reconcile(store, found, scanner._rules, world.settings, Seen({}, absences))
    assert (store.memory, store.snapshot, found) == before
    assert reconcile(store, found, scanner._rules, world.settings, Seen({}, absences)) == first
    assert {change.kind for change in first.changes} == {"moved", "created"}
    assert [each.files for each in first.new_holds] == [25]


# Drop


def test_removed_root_takes_with_it_what_no_other_root_holds() -> None:
    old = replace(
        memory(record(R), record(S)),
        holds={S.id: hold(S)},
        arrived={"/r/a": 1, "/s/c": 1},
        unreachable={"/s/bad": UnreachableFolder("x", 0)},
    )
    removed = drop_removed_roots(old, SNAPSHOT, [R])
    assert removed.memory == replace(memory(record(R)), arrived={"/r/a": 1})
    assert removed.gone == {"/s"}
    assert [(line.root, line.reason, line.files) for line in removed.baselines] == [
        (S.id, "removed", 1)
    ]


def test_mount_goes_without_a_line_when_the_root_around_it_is_removed() -> None:
    inner = record(INNER, is_inner=True)
    assert drop_removed_roots(memory(record(R), inner), SNAPSHOT, [R]).baselines == ()
    removed = drop_removed_roots(memory(record(R), inner), SNAPSHOT, [S])
    assert removed.memory.roots == {}
    assert [line.path for line in removed.baselines] == ["/r"]


def test_root_inside_another_leaves_its_directories_to_it() -> None:
    sub = Root("extra", "/r/sub")
    removed = drop_removed_roots(memory(record(R), record(sub)), SNAPSHOT, [R])
    assert removed.gone == frozenset()


@pytest.mark.parametrize(
    ("path", "state", "failed", "deleted", "missing"),
    [
        ("/r", OFFLINE, (), 3, [R]),
        ("/r", MISSING, (), 3, [R]),
        ("/r", ONLINE, ("/r",), 3, [R]),
        ("/r/sub", ONLINE, ("/r/sub",), 1, []),
        ("/r/sub", ONLINE, (), None, []),
        ("/r/sub", OFFLINE, (), None, []),
        ("/r", ONLINE, (), None, []),
    ],
)
def test_accepted_path_is_dropped_if_it_cannot_be_looked_at(
    path: str, state: str, failed: tuple[str, ...], deleted: int | None, missing: list[Root]
) -> None:
    walked = Walked("/r", failed=dict.fromkeys(failed, FAILED)) if state == ONLINE else None
    request = AcceptRequest(7, "", path, frozenset())
    dropped = drop_accepted(
        SNAPSHOT, collected(scan(R, walked, state), requests=[request]), Memory()
    )
    assert list(dropped.missing) == missing
    if deleted is None:
        assert dropped.answers == {7: f"{path} is neither offline nor unreachable"}
        assert not dropped.deleted
    else:
        assert dropped.answers == {7: f"{deleted} entries below {path} deleted"}
        assert len(dropped.deleted) == deleted
        assert path in dropped.gone


def test_request_for_a_zone_of_another_lane_waits_for_it() -> None:
    request = AcceptRequest(7, "", "/s", frozenset())
    found = collected(scan(R), requests=[request])
    assert drop_accepted(SNAPSHOT, found, Memory()).answers == {}


# Trust


@pytest.mark.parametrize(
    ("records", "missing", "state"),
    [((record(R),), (), OFFLINE), ((), (), MISSING), ((record(R),), (R,), MISSING)],
)
def test_zone_whose_own_folder_fails_is_not_compared(
    records: tuple[RootRecord, ...], missing: tuple[Root, ...], state: str
) -> None:
    walked = Walked("/r", failed={"/r": FAILED})
    found = trust_walks(collected(scan(R, walked)), memory(*records), missing).scans[R]
    assert found.walked is None
    assert (found.health.state, found.health.reason) == (state, FAILED.error)


def test_link_to_a_mount_that_leads_back_is_closed() -> None:
    walked = Walked("/r", foreign={"/r/loop": "/r", "/r/nas": "/mnt/nas"}, closed={"/r/x"})
    found = trust_walks(collected(scan(R, walked)), memory(record(R))).scans[R].walked
    assert found is not None
    assert (found.foreign, found.closed) == ({"/r/nas": "/mnt/nas"}, {"/r/x", "/r/loop"})
    assert walked.closed == {"/r/x"}


# Hold


def deletions(*paths: str) -> list[Change]:
    return [Change(DELETED, "file", path, "") for path in paths]


def test_deletion_in_a_zone_that_was_not_walked_is_not_proven() -> None:
    changes = deletions("/r/a", "/r/nas/x", "/s/c", "/elsewhere")
    walks = collected(scan(R, Walked("/r")), scan(INNER, None, OFFLINE))
    held = hold_losses(changes, walks, Delta(), Moves(), SNAPSHOT, Memory(), LIMITS, ())
    assert held.paths == {"/r/nas/x", "/s/c", "/elsewhere"}


@pytest.mark.parametrize("reason", ["replaced", "moved", "asked", "link"])
def test_some_deletions_cannot_be_a_lost_mount(reason: str) -> None:
    delta = Delta(deleted={"/s": entry("/s", DIRECTORY)})
    moves, dropped, targets = Moves(), [], {}
    if reason == "replaced":
        delta.created["/s"] = entry("/s")
    elif reason == "moved":
        moves.directories.append(Move(entry("/s"), entry("/r/t"), FINGERPRINT))
    elif reason == "asked":
        dropped.append("/s")
    else:
        targets["/s"] = "/mnt/s"
    walks = collected(scan(R, Walked("/r")), targets=targets)
    held = hold_losses(deletions("/s/c"), walks, delta, moves, SNAPSHOT, Memory(), LIMITS, dropped)
    assert held.paths == frozenset()


def test_accepted_deletions_are_counted_for_the_zone_that_was_asked_for() -> None:
    delta = Delta(deleted={"/r/a": entry("/r/a")})
    request = AcceptRequest(1, R.id, "", frozenset(("/r/a", "/r/back")))
    walks = collected(scan(R, Walked("/r")), requests=[request])
    changes = deletions("/r/a")
    old = Memory(holds={R.id: hold(R)})
    held = hold_losses(changes, walks, delta, Moves(), SNAPSHOT, old, LIMITS, ())
    assert (held.paths, held.holds) == (frozenset(), {})
    assert held.answers == {1: f"{R.id}: accepted, 1 deletions committed"}


# Window


@pytest.mark.parametrize(("time", "stays"), [(6, False), (7, True), (13, True), (14, False)])
def test_window_is_open_to_both_sides_of_the_start_of_a_scan(time: int, stays: bool) -> None:
    """A lane that began later may have committed first."""
    then = time * 10**9
    old = Memory(gone={"/r/x": Gone(then, entry("/r/x"))}, arrived={"/r/a": then})
    kept = without_expired(old, 10 * 10**9, 3)
    assert (bool(kept.gone), bool(kept.arrived)) == (stays, stays)


def test_window_forgets_what_is_too_old_and_shows_arrivals_as_they_are() -> None:
    old = Memory(
        gone={"/r/x": Gone(5, entry("/r/x")), "/r/y": Gone(9, entry("/r/y"))},
        arrived={"/r/a": 9, "/r/sub/b": 9, "/s/c": 5, "/r/away": 9},
    )
    kept = without_expired(old, 10, 1e-9)
    assert set(kept.gone) == {"/r/y"}
    assert set(kept.arrived) == {"/r/a", "/r/sub/b", "/r/away"}
    delta = Delta(deleted={"/s/c": entry("/s/c")}, gone={"/r/sub"})
    walks = collected(scan(R, Walked("/r")), scan(S, Walked("/s")))
    window = open_window(kept, delta, SNAPSHOT, walks)
    assert window.gone == {"/r/y": entry("/r/y")}
    assert window.arrived == {"/r/a": entry("/r/a")}
    assert open_window(kept, Delta(), SNAPSHOT, walks).arrived == {}


@pytest.mark.parametrize(
    ("walk", "state", "is_shown"),
    [
        (scan(R, Walked("/r")), ONLINE, True),
        (scan(R, Walked("/r", failed={"/r": FAILED})), ONLINE, False),
        (scan(R), OFFLINE, False),
        (None, ONLINE, True),  # it has a lane of its own
        (None, OFFLINE, False),
    ],
)
def test_an_arrival_that_cannot_be_listed_is_none(
    walk: ZoneScan | None, state: str, is_shown: bool
) -> None:
    known = replace(memory(replace(record(R), state=state)), arrived={"/r/a": 9})
    walks = collected(scan(S, Walked("/s")), *([walk] if walk is not None else []))
    delta = Delta(deleted={"/s/c": entry("/s/c")})
    assert bool(open_window(known, delta, SNAPSHOT, walks).arrived) == is_shown


# Carry over


@pytest.mark.parametrize(
    ("state", "walked", "is_held", "expected"),
    [
        (ONLINE, Walked("/r"), False, (ONLINE, "why")),
        (ONLINE, Walked("/r"), True, (HELD, "1 files are gone; waiting to be sure")),
        (
            ONLINE,
            Walked("/r", failed={"/r/bad": FAILED}),
            False,
            (PARTIAL, "1 of its paths cannot be read"),
        ),
        (ONLINE, None, False, (OFFLINE, "it went away while it was walked")),
        (OFFLINE, None, True, (OFFLINE, "why")),
        (HELD, None, True, (HELD, "why")),
    ],
)
def test_state_of_a_zone(
    state: str, walked: Walked | None, is_held: bool, expected: tuple[str, str]
) -> None:
    holds = {R.id: hold(R)} if is_held else {}
    old = {R.id: record(R, walked=False)}
    new = carry_records(old, collected(scan(R, walked, state)), (), holds, (), RULES)[R.id]
    assert (new.state, new.reason) == expected
    assert new.walked is (walked is not None)
    assert new.since == MOMENT.wall
    assert old == {R.id: record(R, walked=False)}


def test_link_to_a_mount_becomes_a_zone_and_ends_with_the_link() -> None:
    walked = Walked("/r", foreign={"/r/nas": "/mnt/nas"}, listed=["/r"])
    records = carry_records({}, collected(scan(R, walked)), (), {}, (), RULES)
    assert (records[INNER.id].target, records[INNER.id].is_inner) == ("/mnt/nas", True)
    targets = {"/r/nas": "/mnt/nas"}
    gone = Walked("/r", listed=["/r"])
    both = collected(scan(R, gone), scan(INNER, Walked("/r/nas")), targets=targets)
    assert INNER.id not in carry_records(records, both, (), {}, (), RULES)
    unread = collected(scan(R, Walked("/r")), targets=targets)
    assert INNER.id in carry_records(records, unread, (), {}, (), RULES)


@pytest.mark.parametrize(
    ("zone_scan", "new", "kept"),
    [
        (scan(R, None, OFFLINE), (), True),
        (scan(S, Walked("/s")), (), True),  # another lane
        (scan(R, Walked("/r")), (), False),
        (scan(R, Walked("/r")), (R,), True),
        (scan(R, None, HELD), (), False),  # another file system: judged anew when it is back
    ],
)
def test_hold_lives_on_while_its_zone_is_not_walked(
    zone_scan: ZoneScan, new: tuple[Root, ...], kept: bool
) -> None:
    old, now = {R.id: hold(R)}, {zone.id: hold(zone) for zone in new}
    walks = collected(zone_scan)
    assert (R.id in carry_holds(old, now, walks, {R.id})) is kept
    assert carry_holds(old, now, walks, set()) == {}


def test_recent_deletions_and_arrivals_wait_for_a_partner() -> None:
    old = Memory(gone={"/r/back": Gone(5, entry("/r/back"))}, arrived={"/r/copy": 5, "/r/lost": 5})
    delta = Delta(
        deleted={"/r/lost": entry("/r/lost"), "/r/d": entry("/r/d", DIRECTORY)},
        created={"/r/back": entry("/r/back"), "/r/named": entry("/r/named")},
        modified={"/r/a": (entry("/r/a"), entry("/r/a")._replace(size=2))},
    )
    moves = Moves(files=[Move(entry("/r/copy"), entry("/r/named"), FINGERPRINT)])
    gone, arrived = carry_recent(old, old.arrived, delta, moves, 9)
    assert gone == {"/r/lost": Gone(9, entry("/r/lost"))}
    assert arrived == {"/r/copy": 5, "/r/back": 9, "/r/named": 5, "/r/a": 9}


def test_unreachable_folders_are_those_of_the_last_walk_of_each_zone() -> None:
    old = {
        path: UnreachableFolder("old", 5) for path in ("/r/bad", "/r/fine", "/r/nas/bad", "/s/bad")
    }
    failed = {"/r/bad": FAILED, "/r/new": FAILED}
    walks = collected(scan(R, Walked("/r", failed=failed)), scan(INNER, None, OFFLINE))
    assert carry_unreachable(old, walks) == {
        "/r/bad": UnreachableFolder(FAILED.error, 5),
        "/r/new": UnreachableFolder(FAILED.error, MOMENT.wall),
        "/r/nas/bad": UnreachableFolder("old", 5),
        "/s/bad": UnreachableFolder("old", 5),
    }
