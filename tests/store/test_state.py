"""The private database: what goes in comes out, all of it or none, and damage is noticed."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.core.memory import LOSS, Gone, Hold, Memory, RootRecord, UnreachableFolder, Unsettled
from scanner.core.mount_identity import MountIdentity
from scanner.core.packs import Pack
from scanner.core.roots import SearchedFolder
from scanner.core.snapshot import (
    DIRECTORY,
    FILE,
    FINGERPRINT_BYTES,
    TYPE_NAMES,
    Directory,
    Entry,
    Listing,
    Row,
    Snapshot,
    listing_of,
)
from scanner.errors import DamagedStateError, OutputError
from scanner.store import database
from scanner.store.checksums import checksum_of
from scanner.store.database import VALUE_ERRORS
from scanner.store.loading import load_or_set_aside
from scanner.store.rows import directory_from, root_from, root_row
from scanner.store.state import TRUST, State
from scanner.store.state_file import SMALL_CACHE
from scanner.store.tables import CHECKED, COLUMNS

INT64 = st.integers(-(2**63), 2**63 - 1)
UINT64 = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([2**63 - 1, 2**63, 2**64 - 1]))
NAMES = st.one_of(
    st.binary(min_size=1, max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"0"))),
    st.sampled_from(["a", "\udcff", "new\nline", "é", "e\u0301", "😀", " ", "a\udc80b", "'\"%s"]),
)
TEXTS = st.one_of(NAMES, st.just("../up/é\udcfe"))


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    names = draw(st.lists(NAMES, unique=True, max_size=6))
    has_inodes = draw(st.booleans())
    rows = [
        Row(
            name,
            draw(st.sampled_from(sorted(TYPE_NAMES))),
            draw(st.integers(0, 2**63 - 1)),
            draw(INT64),
            draw(UINT64) if has_inodes else 0,
        )
        for name in names
    ]
    targets = draw(st.lists(st.tuples(NAMES, TEXTS), max_size=3))
    return listing_of(rows, targets=targets, unstatted=draw(st.lists(NAMES, max_size=3)))


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    listing = draw(listings())
    directory = Directory(
        listing,
        draw(INT64),
        draw(UINT64),
        draw(UINT64),
        frozenset(draw(st.lists(NAMES.map(lambda name: name + "/") | NAMES, max_size=3))),
        ctime=draw(st.none() | INT64),
    )
    known = st.binary(min_size=FINGERPRINT_BYTES, max_size=FINGERPRINT_BYTES)
    return directory.with_fingerprints(
        {name: draw(known) for name in listing.split_names() if draw(st.booleans())}
    )


PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "out.state.sqlite")


@pytest.fixture
def state(path: str) -> Iterator[State]:
    state = State(path)
    yield state
    state.close()


def sql(path: str, statement: str, *values: object) -> None:
    """Damage or prepare a database behind the program's back."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


def unchecked(insert: str) -> str:
    """A statement that inserts a row without a checksum, as rows of older versions are."""
    table = insert.split()[2]
    return insert[:-1] + ", NULL)" if table in CHECKED and insert.startswith("INSERT") else insert


def wide(*numbers: int) -> str:
    """The digits of a column as older versions wrote it."""
    return array("q", numbers).tobytes().hex()


FEW = Directory(
    listing_of(
        [Row("a", FILE, 1, 2, 3), Row("d", DIRECTORY, 0, 0, 4)],
        targets=[("l", "t")],
        unstatted=["u"],
    ),
    5,
    6,
    7,
    frozenset(("i/",)),
).with_fingerprints({"a": b"0123456789abcdef"})


# The snapshot


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(PATHS, directories(), max_size=4))
def test_every_directory_comes_back_as_it_was(snapshot: Snapshot) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state.sqlite")
        state = State(path)
        with state.transaction():
            state.save_directories(snapshot)
        state.close()
        again = State(path)
        assert again.load_snapshot() == snapshot
        again.close()


def test_a_start_decodes_each_folder_once_and_keeps_few_pages(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads the rows again, and 2 MB of them would be kept."""

    def cache_size(state: State) -> object:
        return state._db.execute("PRAGMA cache_size").fetchone()[0]

    with state.transaction():
        state.save_directories({f"/{number}": FEW for number in range(50)})
    usual = cache_size(state)
    decoded: list[object] = []

    def counted(row: Sequence[Any]) -> Directory:
        decoded.append(row[0])
        return directory_from(row)

    monkeypatch.setattr("scanner.store.state.directory_from", counted)
    loaded = load_or_set_aside(state.path)
    try:
        assert len(decoded) == len(loaded.snapshot) == 50
        assert cache_size(loaded.state) == usual
    finally:
        loaded.close()
    sizes = set()

    def watched(row: Sequence[Any]) -> Directory:
        sizes.add(cache_size(state))
        return directory_from(row)

    monkeypatch.setattr("scanner.store.state.directory_from", watched)
    state.load_snapshot()
    assert sizes == {SMALL_CACHE}


def test_directories_are_replaced_and_removed_by_path(state: State) -> None:
    paths = ("/a", "/a/b", "/a/\udcff", "/a/\n")
    with state.transaction():
        state.save_directories(dict.fromkeys(paths, FEW))
    with state.transaction():
        state.remove_directories(["/a/\udcff", "/a/\n", "/never"])
        state.save_directories({"/a/b": Directory(Listing())})
    assert state.load_snapshot() == {"/a": FEW, "/a/b": Directory(Listing())}


def test_state_of_an_older_version_is_read_and_written(path: str) -> None:
    old = State(path)
    with old.transaction():
        old.save_directories({"/a": FEW})
    old.close()
    sql(path, "ALTER TABLE directory DROP COLUMN ctime")
    sql(path, "ALTER TABLE directory DROP COLUMN checksum")
    sql(path, "ALTER TABLE request DROP COLUMN kind")
    sql(path, f"UPDATE directory SET sizes = x'{wide(1, 0)}', inodes = x'{wide(3, 4)}'")
    sql(path, "UPDATE meta SET value = '1' WHERE key = 'version'")
    for readonly in (True, False):
        state = State(path, readonly=readonly)
        assert state.load_snapshot() == {"/a": FEW}
        state.close()
    again = State(path)
    with again.transaction():
        again.save_directories({"/a": replace(FEW, ctime=7)})
    assert again.load_snapshot() == {"/a": replace(FEW, ctime=7)}
    again.ask(1, "root", "/a")
    again.ask(2, "", "/b", kind=TRUST)
    assert [request.path for request in again.requests()] == ["/a"]
    assert again.get("version") == "2", "an older program must not take narrow columns for damage"
    assert again.trust_requests() == [(2, "/b")]
    again.close()


# All or nothing


def test_nothing_of_a_failed_transaction_is_kept(state: State) -> None:
    with state.transaction():
        state.save_directories({"/a": FEW})
        state.put("scan", 1)

    class UnexpectedError(Exception):
        pass

    with pytest.raises(UnexpectedError), state.transaction():
        state.save_directories({"/b": FEW})
        state.remove_directories(["/a"])
        state.save_memory(Memory(), Memory(arrived={"/x": 1}))
        state.put("scan", 2)
        state.put_outbox(2, [b"{}"])
        raise UnexpectedError
    assert state.load_snapshot() == {"/a": FEW}
    assert state.load_memory() == Memory()
    assert state.number("scan") == 1
    assert state.outbox() == []
    with state.transaction():  # and the next one is not held up
        state.put("scan", 3)
    assert state.number("scan") == 3


def test_interrupt_rolls_back_too(state: State) -> None:
    with pytest.raises(KeyboardInterrupt), state.transaction():
        state.put("scan", 2)
        raise KeyboardInterrupt
    assert state.number("scan") == 0


def test_state_that_cannot_be_written_is_one_clear_sentence(state: State) -> None:
    with state.transaction():
        state.put_outbox(1, [b"{}"])
    refused = pytest.raises(OutputError, match=r"The state .* cannot be written: .*\.$")
    with refused, state.transaction():
        state.put("scan", 5)
        state.put_outbox(1, [b"{}"])
    assert state.number("scan") == 0


def test_state_below_a_missing_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be opened for writing"):
        State(str(tmp_path / "missing" / "state.sqlite"))


def test_what_was_not_committed_is_not_there_after_a_crash(path: str) -> None:
    crashed = State(path)
    with crashed.transaction():
        crashed.put("scan", 1)
    crashed._db.execute("BEGIN IMMEDIATE")
    crashed.put("scan", 2)
    crashed._db.close()
    again = State(path)
    assert again.number("scan") == 1
    again.close()


def test_other_threads_may_use_it(state: State) -> None:
    def commit() -> None:
        with state.transaction():
            state.put("scan", 1)

    thread = threading.Thread(target=commit)
    thread.start()
    thread.join()
    assert state.number("scan") == 1


# Damage


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE directory SET names = CAST('a' AS BLOB)",  # one name, two rows
        "UPDATE directory SET types = CAST('f' AS BLOB)",
        "UPDATE directory SET types = x'ffff'",
        "UPDATE directory SET sizes = x''",
        "UPDATE directory SET sizes = x'010203'",
        "UPDATE directory SET mtimes = x'0102030405060708'",
        "UPDATE directory SET inodes = x'01020304'",
        "UPDATE directory SET fingerprints = x'00'",
        "UPDATE directory SET extra = CAST('no three parts' AS BLOB)",
        "UPDATE directory SET extra = x'610000620000'",  # a name of a link without a target
        "UPDATE directory SET mtime = 'soon'",
        "UPDATE directory SET ctime = 'soon'",
        "UPDATE directory SET inode = 'none'",
        "UPDATE directory SET names = 1",
        "UPDATE directory SET types = CAST('zz' AS BLOB)",
        "UPDATE directory SET mtime = 9e999",
        "UPDATE directory SET path = '/a'",
    ],
)
def test_damaged_row_of_the_snapshot_is_noticed(path: str, statement: str) -> None:
    state = State(path)
    with state.transaction():
        state.save_directories({"/a": FEW})
    sql(path, unchecked(statement))
    sql(path, "UPDATE directory SET checksum = NULL")
    with pytest.raises(DamagedStateError, match="state"):
        state.load_snapshot()
    state.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO root VALUES (x'61', 'no json')",
        "INSERT INTO root VALUES (x'61', '{\"unknown\": 1}')",
        "INSERT INTO root VALUES (x'61', '{}')",
        "INSERT INTO gone VALUES (x'61', 1, 'f', 1, 1, 'x', 1, x'')",
        "INSERT INTO unreachable VALUES (1, 'x', 1)",
        """INSERT INTO root VALUES
            (x'61', '{"id": "a", "kind": "models", "path": "/a", "since": "x"}')""",
        """INSERT INTO root VALUES
            (x'61', '{"id": "a", "kind": "models", "path": "/a", "patterns": [1]}')""",
        'INSERT INTO root VALUES (x\'61\', \'{"id": "a", "kind": "x", "path": "/a"}\')',
        "INSERT INTO root VALUES (x'61', x'ff')",
        "INSERT INTO root VALUES (x'61', '" + "[" * 100_000 + "')",
        "INSERT INTO pack VALUES (x'61', '{\"id\": 1}')",
        "INSERT INTO pack VALUES (x'61', 'null')",
        "INSERT INTO gone VALUES (x'61', 1, 'z', 1, 1, 1, 1, x'')",
        "INSERT INTO gone VALUES (x'61', 1, 'f', 1, 9e999, 1, 1, x'')",
        "INSERT INTO gone VALUES (x'61', 1, 'f', 1, 1, 1, 1, x'00')",
        "INSERT INTO arrived VALUES (x'61', '{}')",
        "INSERT INTO arrived VALUES ('text', 1)",
        "INSERT INTO unsettled VALUES (x'61', 1, 1.5, 1)",
        "INSERT INTO unreachable VALUES (x'61', x'ff', 1)",
        "INSERT INTO hold VALUES (x'61', 'loss', 1, 1, 1, 'x', x'61', NULL, NULL)",
        "DROP TABLE hold",
        "DROP TABLE unsettled",
    ],
)
def test_damaged_memory_is_noticed(path: str, statement: str) -> None:
    state = State(path)
    sql(path, unchecked(statement))
    with pytest.raises(DamagedStateError):
        state.load_memory()
    state.close()


@pytest.mark.parametrize("value", ["abc", "-1", "1e5", "9" * 30, "9" * 5000, "", "[]"])
def test_a_number_of_another_form_is_noticed(path: str, value: str) -> None:
    State(path).close()
    sql(path, "INSERT INTO meta VALUES ('scan', ?)", value)
    state = State(path)
    with closing(state):
        if value == "":
            assert state.number("scan") == 0
        else:
            with pytest.raises(DamagedStateError):
                state.number("scan")


@pytest.mark.parametrize(
    ("statement", "load"),
    [
        ("UPDATE directory SET types = 1", State.load_snapshot),
        ("INSERT INTO root VALUES (x'61', '[]')", State.load_memory),
        ("INSERT INTO request VALUES (1, 1, 1, x'61', x'61', NULL, NULL)", State.requests),
        ("INSERT INTO outbox VALUES (1, 1, 'text')", State.outbox),
        ("INSERT INTO outbox VALUES ('x', 1, x'61')", State.outbox),
    ],
)
def test_values_of_another_kind_are_noticed(
    path: str, statement: str, load: Callable[[State], object]
) -> None:
    state = State(path)
    with state.transaction():
        state.save_directories({"/a": FEW})
    sql(path, unchecked(statement))
    sql(path, "UPDATE directory SET checksum = NULL")
    try:
        with pytest.raises(DamagedStateError):
            load(state)
    finally:
        state.close()


@pytest.mark.parametrize(
    "content", [b"no database at all" * 500, b"SQLite format 3\0" + b"\1" * 5000]
)
def test_file_that_is_no_database_is_noticed(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    with pytest.raises(DamagedStateError):
        State(path)


def test_truncated_database_is_noticed(path: str) -> None:
    state = State(path)
    with state.transaction():
        state.save_directories({f"/{number}": FEW for number in range(1000)})
    state.close()
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedStateError):
        state = State(path)
        try:
            state.load_snapshot()
            state.load_memory()
        finally:
            state.close()


def test_a_newer_state_is_refused_and_not_replaced(path: str) -> None:
    State(path).close()
    sql(path, "UPDATE meta SET value = '999' WHERE key = 'version'")
    with pytest.raises(OutputError, match="newer version"):
        State(path)


@pytest.mark.parametrize("version", ["0", "-1", "x", "9" * 5000, ""])
def test_a_version_that_never_was_is_damage(path: str, version: str) -> None:
    State(path).close()
    sql(path, "UPDATE meta SET value = ? WHERE key = 'version'", version)
    with pytest.raises(DamagedStateError):
        State(path)


def test_a_state_that_is_locked_is_not_damaged(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.01)
    state = State(path)
    with closing(sqlite3.connect(path)) as other:
        # The rarest of locks: another process rebuilds the file.
        state._db.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match="cannot be read: database is locked"):
            state.load_memory()
    state.close()


def test_empty_file_becomes_a_new_state(path: str) -> None:
    Path(path).touch()
    state = State(path)
    assert (state.load_snapshot(), state.load_memory()) == ({}, Memory())
    state.close()


# Memory

EVERYTHING = Memory(
    roots={
        "models:/m\udcff": RootRecord(
            "models:/m\udcff",
            "models",
            "/m\udcff",
            category="loras",
            state="held",
            reason="30 files are gone",
            since=7,
            walked=True,
            mount_point="/mnt/\n",
            mount_identity=MountIdentity("cifs", "//nas/é", "/"),
            filesystem="cifs",
            patterns=("*.bak", "caf\udce9"),
            follow_links=False,
            inner_roots=("/m/inner",),
            searched=(SearchedFolder("/m\udcff", -(2**52), "/e.yaml"),),
        ),
        "extra:/e": RootRecord("extra:/e", "extra", "/e"),
        "input:/i": RootRecord("input:/i", "input", "/i", patterns=()),
    },
    gone={
        "/x\udcff": Gone(1, Entry("/x\udcff", FILE, 2**62, -5, 2**64 - 1, 2**63, b"f" * 16)),
        "/y": Gone(2, Entry("/y", FILE, 0, 0)),
    },
    arrived={"/a\n": 3, "/b\udc80": 2**62},
    unsettled={"/u": Unsettled(1, -2, 3)},
    holds={
        "models:/m": Hold("models:/m", LOSS, 5, None, frozenset(("/p", "/q\udcff")), 2, 20, True),
        "extra:/e": Hold("extra:/e", LOSS, 6, None, frozenset(), 0, 0),
    },
    unreachable={"/n\udcff": UnreachableFolder("Input/output error", 9)},
)


def test_memory_comes_back_as_it_was(path: str) -> None:
    state = State(path)
    with state.transaction():
        state.save_memory(Memory(), EVERYTHING)
    state.close()
    again = State(path)
    memory = again.load_memory()
    assert memory == EVERYTHING
    assert all(record.root.searched == record.searched for record in memory.roots.values())
    again.close()


def test_roots_of_an_older_state_have_no_order() -> None:
    record = EVERYTHING.roots["extra:/e"]
    values = json.loads(str(root_row(record.id, record)[1]))
    del values["searched"]
    assert root_from(json.dumps(values)) == record


@pytest.mark.parametrize("searched", [[["/a", "1", ""]], [["/a", 1]], ["/a"], [7], 7, "x"])
def test_a_damaged_order_is_damage(searched: object) -> None:
    record = EVERYTHING.roots["extra:/e"]
    values = json.loads(str(root_row(record.id, record)[1])) | {"searched": searched}
    with pytest.raises(VALUE_ERRORS):
        root_from(json.dumps(values))


def test_memory_is_saved_by_what_differs(state: State) -> None:
    with state.transaction():
        state.save_memory(Memory(), EVERYTHING)
    changed = Memory(
        roots={"extra:/e": replace(EVERYTHING.roots["extra:/e"], state="online")},
        gone={"/y": EVERYTHING.gone["/y"], "/z": Gone(3, Entry("/z", FILE, 1, 1))},
        arrived={"/a\n": 4},
        unsettled={},
        holds={"extra:/e": replace(EVERYTHING.holds["extra:/e"], files=5)},
        unreachable={"/other": UnreachableFolder("gone", 1)},
    )
    with state.transaction():
        state.save_memory(EVERYTHING, changed)
    assert state.load_memory() == changed
    before = state._db.total_changes
    with state.transaction():
        state.save_memory(changed, changed)
    assert state._db.total_changes == before


def test_hold_keeps_its_start_and_the_boot_that_it_belongs_to(state: State) -> None:
    hold = Hold("r", LOSS, 5, 123.4, frozenset(("/p",)), 1, 1, boot="a boot")
    with state.transaction():
        state.save_memory(Memory(), Memory(holds={"r": hold}))
    assert state.load_memory().holds == {"r": hold}


def test_hold_of_an_older_version_is_kept(tmp_path: Path) -> None:
    """Its table had no columns for the monotonic clock."""
    path = str(tmp_path / "state.sqlite")
    hold = Hold("r", LOSS, 5, 123.4, frozenset(("/p",)), 1, 1)
    with closing(State(path)) as state, state.transaction():
        state.save_memory(Memory(), Memory(holds={"r": hold}))
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE hold DROP COLUMN started")
        database.execute("ALTER TABLE hold DROP COLUMN boot")
        database.execute("ALTER TABLE hold DROP COLUMN checksum")
        database.commit()
    old = replace(hold, started=None)
    with closing(State(path, readonly=True)) as state:
        assert state.load_memory().holds == {"r": old}
    with closing(State(path)) as state:
        assert state.load_memory().holds == {"r": old}
        with state.transaction():
            state.save_memory(Memory(), Memory(holds={"r": hold}))
        assert state.load_memory().holds == {"r": hold}


def test_single_values(state: State) -> None:
    assert (state.get("x"), state.number("x")) == (None, 0)
    state.put("x", 5)
    assert (state.get("x"), state.number("x")) == ("5", 5)


# Outbox


def test_outbox_gives_scans_and_lines_in_order_until_they_stand_in_the_journal(
    state: State,
) -> None:
    with state.transaction():
        state.put_outbox(10, [b"c", b"d"])
        state.put_outbox(9, [f"{number}".encode() for number in range(12)])
    assert state.outbox() == [
        (9, [f"{number}".encode() for number in range(12)]),
        (10, [b"c", b"d"]),
    ]
    state.clear_outbox(9)
    assert state.outbox() == [(10, [b"c", b"d"])]
    state.clear_outbox(10)
    assert state.outbox() == []


# Requests


def test_request_of_another_process_is_seen_and_answered_once(path: str, state: State) -> None:
    asking = State(path)
    paths = frozenset(("/m/a\n", "/m/\udcff"))
    first = asking.ask(1, "models:/m\udcff", "", paths)
    second = asking.ask(2, "", "/m/place\udcfe", frozenset())
    assert [tuple(request) for request in state.requests()] == [
        (first, "models:/m\udcff", "", paths),
        (second, "", "/m/place\udcfe", frozenset()),
    ]
    assert asking.answer_of(first) is None
    with state.transaction():
        state.answer_request(first, "done")
    assert asking.answer_of(first) == "done"
    assert asking.answer_of(second) is None
    assert [request.id for request in state.requests()] == [second]
    assert asking.answer_of(999) is None
    asking.close()


def test_texts_that_are_not_utf8_are_kept_readable(state: State) -> None:
    number = state.ask(1, "", "/m/\udce9", frozenset())
    memory = Memory(unreachable={"/m/\udce9": UnreachableFolder("no /m/\udce9", 1)})
    with state.transaction():
        state.answer_request(number, "/m/\udce9 dropped")
        state.save_memory(Memory(), memory)
    assert state.answer_of(number) == "/m/\ufffd dropped"
    assert state.load_memory().unreachable["/m/\udce9"].error == "no /m/\ufffd"


def test_answer_goes_in_with_the_scan_or_not_at_all(state: State) -> None:
    number = state.ask(1, "r", "", frozenset())
    with pytest.raises(RuntimeError), state.transaction():
        state.answer_request(number, "done")
        raise RuntimeError
    assert state.answer_of(number) is None
    assert len(state.requests()) == 1


# Checksums

MEMORY = Memory(
    roots={"models:/m": RootRecord("models:/m", "models", "/m", state="held")},
    gone={"/x": Gone(1, Entry("/x", FILE, 5, 6, 7, 8, b"f" * 16))},
    arrived={"/a": 3},
    unsettled={"/u": Unsettled(1, 2, 3)},
    holds={"models:/m": Hold("models:/m", LOSS, 5, 1.5, frozenset(("/p",)), 2, 20, True, "boot")},
    unreachable={"/n": UnreachableFolder("Input/output error", 9)},
    packs={"/p": Pack("p", "p", "file", True)},
)


# A row of the history is left out: see `test_history`.
@pytest.mark.parametrize("table", sorted({*CHECKED} - {"history"}))
def test_a_row_that_the_disk_changed_is_damage(path: str, table: str) -> None:
    state = State(path)
    with state.transaction():
        state.save_directories({"/a": replace(FEW, ctime=8)})
        state.save_memory(Memory(), MEMORY)
    state.load_snapshot()
    assert state.load_memory() == MEMORY
    for column in COLUMNS[table]:
        # A bit of one value, which stays one of its kind.
        flipped = {
            "blob": f"substr({column}, 1, length({column}) - 1) || x'31'",
            "text": f"{column} || 'a'",
            "integer": f"{column} + 1",
            "real": f"{column} + 1",
        }
        with closing(sqlite3.connect(path)) as database:
            before = database.execute(f"SELECT rowid, typeof({column}), {column} FROM {table}")
            number, kind, value = before.fetchone()
            changed = f"UPDATE {table} SET {column} = {flipped[kind]} WHERE rowid = {number}"
            if kind == "blob":
                changed = changed.replace(flipped[kind], f"CAST({flipped[kind]} AS BLOB)")
            database.execute(changed)
            database.commit()
            now = f"SELECT {column} FROM {table} WHERE rowid = {number}"
            assert database.execute(now).fetchone() != (value,), column
        with pytest.raises(DamagedStateError):
            state.load_snapshot()
            state.load_memory()
        sql(path, f"UPDATE {table} SET {column} = ? WHERE rowid = {number}", value)
    state.load_snapshot()
    assert state.load_memory() == MEMORY
    state.close()


def test_rows_of_an_older_version_get_checksums_once(path: str) -> None:
    with closing(State(path)) as old, old.transaction():
        old.save_directories({"/a": FEW})
        old.save_memory(Memory(), MEMORY)
    for table in (*CHECKED, "known"):
        sql(path, f"ALTER TABLE {table} DROP COLUMN checksum")
    sql(path, "DELETE FROM meta WHERE key = 'checksums'")
    with closing(State(path, readonly=True)) as state:
        assert (state.load_snapshot(), state.load_memory()) == ({"/a": FEW}, MEMORY)
    with closing(State(path)) as state:
        assert (state.load_snapshot(), state.load_memory()) == ({"/a": FEW}, MEMORY)
        with state.transaction():
            state.save_directories({"/b": FEW})
        sql(path, "UPDATE directory SET mtime = 6 WHERE path = CAST('/a' AS BLOB)")
        with pytest.raises(DamagedStateError, match="checksum"):
            state.load_snapshot()


@pytest.mark.parametrize(
    ("row", "checksum"),
    [
        ((b"/a", 5, None, 1.5, "\u00e9\U0001fae9"), 6670250476701121596),
        ((), 5524521635962363734),
    ],
)
def test_checksums_are_the_same_in_every_version(row: tuple[object, ...], checksum: int) -> None:
    assert checksum_of(row) == checksum


def test_columns_that_a_later_version_adds_leave_checksums_right() -> None:
    assert checksum_of((b"/a", 5, None, None)) == checksum_of((b"/a", 5))
    assert checksum_of((b"/a", None, 5)) != checksum_of((b"/a", 5))


def test_columns_are_arrays_again(state: State) -> None:
    """Unchanged directories compare at C speed only if both sides are."""
    with state.transaction():
        state.save_directories({"/a": FEW})
    listing = state.load_snapshot()["/a"].listing
    assert isinstance(listing.sizes, array)
    assert listing == FEW.listing


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks at descriptors in /proc")
def test_damaged_file_is_let_go_of_so_that_it_can_be_moved_aside(path: str) -> None:
    """Windows moves no file that is open."""
    State(path).close()
    sql(path, "UPDATE meta SET value = 'x' WHERE key = 'version'")
    with pytest.raises(DamagedStateError):
        State(path)
    sql(path, "UPDATE meta SET value = '1' WHERE key = 'version'")
    state = State(path)
    with state.transaction():
        state.save_directories({"/a": FEW, "/b": FEW})
    sql(path, "UPDATE directory SET types = 1 WHERE path = x'2f61'")
    with pytest.raises(DamagedStateError) as held:  # as long as the error is handled
        state.load_snapshot()
    state.close()
    assert isinstance(held.value, DamagedStateError)
    opened = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert os.path.realpath(path) not in opened
