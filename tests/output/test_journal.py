"""Each change stands in the journal exactly once, whatever happens to the writer."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scanner.core.changes import BASELINE, CREATED, DELETED, KINDS, MODIFIED, MOVED, Change
from scanner.core.serialize import mtime_of, native
from scanner.errors import OutputError
from scanner.output import journal as room
from scanner.output import journal_files, journal_reader
from scanner.output.journal import Journal, encode
from scanner.output.journal_reader import follow, read
from scanner.schemas import load_schema
from tests.support.names import TOP, names

NOW = 1_790_000_000_123_456_789
SCHEMA = Draft202012Validator(load_schema("change"))


def scan_lines(scan: int, of: int, length: int = 1) -> list[bytes]:
    """The lines of a scan with `of` changes."""
    path = os.path.join(TOP, "x" * length)
    change = Change(CREATED, "file", path, "models:/srv", 3, NOW)
    return [
        encode(change, scan=scan, n=n, of=of, time_ns=NOW + scan, base=TOP)
        for n in range(1, of + 1)
    ]


def test_lines_take_little_more_memory_than_their_text() -> None:
    """Those of a scan are kept until the next commit: of 1 % of ten million files, 100,000."""
    scan_lines(1, 10)
    tracemalloc.start()
    try:
        lines = scan_lines(1, 1000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * sum(map(sys.getsizeof, lines))


def marks(path: Path, **more) -> list[tuple[int, int]]:
    return [(line["scan"], line["n"]) for line in read(path, **more)]


def expected(*scans: tuple[int, int]) -> list[tuple[int, int]]:
    return [(scan, n) for scan, of in scans for n in range(1, of + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inv.changes.jsonl"


def journal(path: Path, limit: int = 10**6, keep: int = 5) -> Journal:
    return Journal(path, limit_bytes=limit, keep=keep)


def test_a_folder_that_cannot_be_listed_is_one_sentence(path: Path, monkeypatch) -> None:
    def over_quota(folder: str) -> list[str]:
        raise OSError(122, "Disk quota exceeded", folder)

    path.write_bytes(b"".join(scan_lines(1, 1)))
    monkeypatch.setattr(os, "listdir", over_quota)
    with pytest.raises(OutputError, match=r"cannot read .*: Disk quota exceeded"):
        journal(path).last_scan()


def files(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir())


# One line


def line_of(change: Change, **more) -> dict:
    numbers = {"scan": 9, "n": 1, "of": 2, "time_ns": NOW, "base": TOP, **more}
    line = encode(change, **numbers)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    fields: dict = orjson.loads(line)
    SCHEMA.validate(fields)
    return fields


def test_fields_in_their_order():
    moved = Change(
        MOVED,
        "file",
        os.path.join(TOP, "b"),
        "models:/srv",
        3,
        NOW,
        os.path.join(TOP, "a"),
        "inode",
    )
    text = "2026-09-21T14:13:20.123456789Z"
    assert list(line_of(moved).items()) == [
        ("scan", 9),
        ("n", 1),
        ("of", 2),
        ("time", text),
        ("kind", "moved"),
        ("type", "file"),
        ("path", "b"),
        ("from", "a"),
        ("root", "models:/srv"),
        ("size", 3),
        ("mtime", text),
        ("evidence", "inode"),
    ]


def test_unknown_fields_are_left_out():
    path = os.path.join(TOP, "d")
    created = line_of(Change(CREATED, "directory", path, "r:/"))
    assert list(created) == ["scan", "n", "of", "time", "kind", "type", "path", "root"]
    baseline = line_of(Change(BASELINE, "directory", path, "r:/", files=0, bytes=0, reason="new"))
    assert {k: baseline[k] for k in ("files", "bytes", "reason")} == {
        "files": 0,
        "bytes": 0,
        "reason": "new",
    }
    assert "size" not in line_of(Change(DELETED, "other", path, "r:/"))
    link = line_of(Change(MODIFIED, "symlink", path, "r:/"))
    assert link["size"] == 0 and "mtime" not in link
    file = line_of(Change(MODIFIED, "file", path, "r:/"))
    assert file["mtime"] == "1970-01-01T00:00:00.000000000Z"


changes = st.builds(
    Change,
    kind=st.sampled_from([CREATED, DELETED, MODIFIED, MOVED]),
    type=st.sampled_from(["file", "directory", "symlink", "other"]),
    path=names.map(lambda name: os.path.join(TOP, name)),
    root=names.map(lambda name: f"models:{os.path.join(TOP, name)}"),
    size=st.integers(0, 2**62),
    mtime=st.integers(-(2**63), 2**63 - 1),
    source=names.map(lambda name: os.path.join(os.sep, name)),
    evidence=st.sampled_from(["", "inode", "fingerprint"]),
    files=st.integers(0, 9),
    bytes=st.integers(0, 9),
    pack=st.none(),
)


@given(changes, st.sampled_from([None, TOP, os.sep]))
def test_every_change_can_be_written_and_read(change, base):
    if change.kind != MOVED:
        change = change._replace(source="")
    fields = line_of(change, base=base)
    assert native(fields, base) == change.path
    if change.kind == MOVED:
        assert native(fields, base, "from") == change.source
    if change.type == "file":
        assert (fields["size"], mtime_of(fields)) == (change.size, change.mtime)


# Appending and rotating


def test_appends(path):
    one = journal(path)
    assert (one.last_scan(), one.position) == (0, 0)
    one.append(scan_lines(1, 3))
    one.append(iter(scan_lines(4, 2)))
    assert marks(path) == expected((1, 3), (4, 2))
    assert (one.last_scan(), one.position) == (4, path.stat().st_size)


def test_a_scan_without_changes_touches_nothing(path):
    journal(path).append([])
    assert files(path) == []


def test_rotates_by_size_and_keeps_some(path):
    one = journal(path, limit=1, keep=3)
    for scan in range(1, 8):
        one.append(scan_lines(scan, 2))
    assert files(path) == [f"inv.changes{part}.jsonl" for part in (".1", ".2", ".3", "")]
    assert marks(path) == expected(*((scan, 2) for scan in range(4, 8)))
    fewer = journal(path, limit=1, keep=1)
    fewer.append(scan_lines(8, 1))
    assert files(path) == ["inv.changes.1.jsonl", "inv.changes.jsonl"]
    assert marks(path) == expected((7, 2), (8, 1))


def test_a_scan_is_never_split(path):
    one = journal(path, limit=1000)
    one.append(scan_lines(1, 50))
    assert path.stat().st_size > 1000
    one.append(scan_lines(2, 50))
    assert {line["scan"] for line in read(path)} == {1, 2}
    assert orjson.loads(path.read_bytes().split(b"\n")[0])["scan"] == 2


def test_the_journal_is_not_delayed_by_a_rotation_that_fails(path, monkeypatch):
    one = journal(path, limit=1)
    one.append(scan_lines(1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", raising(PermissionError("held")))
        one.append(scan_lines(2, 1))
    one.append(scan_lines(3, 1))
    assert marks(path) == expected((1, 1), (2, 1), (3, 1))
    assert files(path) == ["inv.changes.1.jsonl", "inv.changes.jsonl"]


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize("can_truncate", [True, False])
@pytest.mark.parametrize("retry", ["append", "recover"])
@pytest.mark.parametrize("failing", ["_write_all", "sync_file"])
def test_a_failed_append_can_be_tried_again(path, monkeypatch, can_truncate, retry, failing):
    one = journal(path)
    one.append(scan_lines(1, 2))
    lines = scan_lines(2, 3)

    def torn_write(file, data):
        file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        fail = torn_write if failing == "_write_all" else raising(OSError(28, "No space left"))
        patch.setattr(room, failing, fail)
        if not can_truncate:
            patch.setattr(room, "_truncate", raising(OSError(5, "I/O error")))
        with pytest.raises(OutputError, match="No space left"):
            one.append(lines)
    if can_truncate:
        assert marks(path) == expected((1, 2))
    if retry == "append":
        one.append(lines)
    else:
        assert one.recover([(2, lines)]) == 3
    one.append(scan_lines(3, 1))
    assert marks(path) == expected((1, 2), (2, 3), (3, 1))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_an_output_error(path):
    path.parent.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write"):
        journal(path).append(scan_lines(1, 1))


def test_a_folder_in_its_place_is_an_output_error(path):
    path.mkdir()
    for action in (
        lambda: journal(path).append(scan_lines(1, 1)),
        lambda: journal(path).recover([]),
        lambda: journal(path).last_scan(),
        lambda: list(read(path)),
    ):
        with pytest.raises(OutputError, match=r"cannot (write|read)"):
            action()


# Recovering


@pytest.mark.slow
@pytest.mark.parametrize("limit", [10**6, 1])
@pytest.mark.parametrize("is_pending", [True, False])
def test_killed_at_any_byte_of_the_last_scan(tmp_path, limit, is_pending):
    """Cut anywhere within the last write; what was pending is whole afterwards, once."""
    lines = scan_lines(3, 3)
    source = tmp_path / "source" / "inv.changes.jsonl"
    source.parent.mkdir()
    one = journal(source, limit)
    one.append(scan_lines(1, 2))
    one.append(scan_lines(2, 1))
    before = source.stat().st_size if limit > 1 else 0
    one.append(lines)
    content = source.read_bytes()
    for end in range(before, len(content) + 1):
        path = tmp_path / "crashed" / "inv.changes.jsonl"
        shutil.copytree(source.parent, path.parent)
        path.write_bytes(content[:end])
        is_whole = end == len(content)
        lacks_newline = end == len(content) - 1
        pending = [(3, lines)] if is_pending else []
        again = journal(path, limit)
        added = again.recover(pending)
        assert added == (3 if is_pending and not is_whole and not lacks_newline else 0)
        stands = [(3, 3)] if is_pending or is_whole or lacks_newline else []
        assert marks(path) == expected((1, 2), (2, 1), *stands)
        assert path.read_bytes()[-1:] in (b"", b"\n")
        assert again.recover(pending) == 0
        assert again.last_scan() == (3 if stands else 2)
        again.append(scan_lines(4, 1))
        assert marks(path) == expected((1, 2), (2, 1), *stands, (4, 1))
        shutil.rmtree(path.parent)


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(6))
def test_killed_between_the_steps_of_a_rotation(path, monkeypatch, step):
    one = journal(path, limit=1, keep=4)
    for scan in range(1, 5):
        one.append(scan_lines(scan, 2))
    lines, calls = scan_lines(5, 2), iter(range(100))
    replace = os.replace

    def replace_until_crash(*paths):
        if next(calls) == step:
            raise Crash
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_until_crash)
        patch.setattr(room, "_write_all", raising(Crash()))
        with pytest.raises(Crash):
            one.append(lines)
    again = journal(path, limit=1, keep=4)
    assert again.recover([(4, scan_lines(4, 2)), (5, lines)]) == 2
    assert marks(path) == expected(*((scan, 2) for scan in range(1, 6)))
    again.append(scan_lines(6, 1))
    again.append(scan_lines(7, 1))
    found = marks(path)
    assert found[-4:] == expected((5, 2), (6, 1), (7, 1))
    assert found == sorted(set(found))


def test_several_pending_scans_of_which_some_are_there(path):
    one = journal(path, limit=1)
    for scan in (1, 2, 3):
        one.append(scan_lines(scan, 2))
    pending = [(scan, scan_lines(scan, 2)) for scan in (2, 3, 4, 5)]
    assert journal(path, limit=1).recover(pending) == 4
    assert marks(path) == expected(*((scan, 2) for scan in range(1, 6)))
    assert journal(path, limit=1).recover(pending) == 0


def test_a_journal_that_is_missing_or_empty(path):
    assert journal(path).recover([]) == 0
    assert files(path) == []
    path.touch()
    assert journal(path).recover([(1, scan_lines(1, 2))]) == 2
    assert marks(path) == expected((1, 2))


@settings(max_examples=200)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.integers(1, 3),
    st.integers(0, 2),
    st.data(),
)
def test_after_a_power_cut(tmp_path_factory, sizes, pending_scans, generations, data):
    """What was not confirmed may be lost in any order: it reads as zeros, or is not there."""
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "inv.changes.jsonl"
    scans = list(enumerate(sizes, 1))
    one = journal(path)
    if generations:
        one.append(scan_lines(0, 2))
        os.replace(path, folder / "inv.changes.1.jsonl")
    confirmed, pending = scans[:-pending_scans], scans[-pending_scans:]
    for scan, of in confirmed:
        one.append(scan_lines(scan, of))
    start = path.stat().st_size if path.exists() else 0
    written = data.draw(st.integers(0, 1))  # one scan at most is unconfirmed and partly written
    for scan, of in pending[:written]:
        one.append(scan_lines(scan, of))
    content = bytearray(path.read_bytes() if path.exists() else b"")
    for _ in range(data.draw(st.integers(0, 2))):
        if len(content) > start:
            begin = data.draw(st.integers(start, len(content) - 1))
            end = data.draw(st.integers(begin, len(content)))
            content[begin:end] = bytes(end - begin)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(start, len(content)))]
    if content or start:
        path.write_bytes(content)
    todo = [(scan, scan_lines(scan, of)) for scan, of in pending]
    journal(path).recover(todo)
    stands = ([(0, 2)] if generations else []) + scans
    assert marks(path) == expected(*stands)
    assert journal(path).recover(todo) == 0


@pytest.mark.parametrize("lost", range(4))
def test_a_block_lost_before_the_last_line_in_a_power_cut(path, lost):
    lines = scan_lines(2, 4)
    one = journal(path)
    one.append(scan_lines(1, 2))
    one.append([bytes(len(line)) if n == lost else line for n, line in enumerate(lines)])
    assert journal(path).recover([(2, lines)]) == 4
    assert marks(path) == expected((1, 2), (2, 4))


@pytest.mark.parametrize(
    ("damage", "lost", "aside"),
    [
        (lambda content: content[:-1], 0, None),  # the last newline
        (lambda content: content[:-10], 1, -1),
        (lambda content: content[:-10] + b"\xff" + content[-9:], 1, -1),
        (lambda content: content + b"hello\n", 0, b"hello\n"),
        (lambda content: content + b"\0\0", 0, b"\0\0"),
        (lambda content: content + b"\n", 0, None),
        (lambda content: content.replace(b"\n", b"\r\n"), 0, None),
        (lambda content: b"\xef\xbb\xbf" + content, 0, None),
    ],
)
def test_damage_costs_no_other_line_of_an_appended_scan(path, caplog, damage, lost, aside):
    """A scan that is not pending has been appended: what is left of it stays, and what is no line
    is kept aside."""
    one = journal(path)
    one.append(scan_lines(1, 2))
    one.append(scan_lines(2, 500))
    whole = path.read_bytes()
    content = damage(whole)
    path.write_bytes(content)
    assert journal(path).recover([], confirmed=2) == 0
    first = 1 if content.startswith(b"\xef") else 0  # a reader cannot parse the line with a BOM
    assert marks(path) == expected((1, 2), (2, 500))[first : 502 - lost]
    kept = [name for name in files(path) if "damaged" in name]
    assert [b"are kept as" in record.message.encode() for record in caplog.records] == [True] * len(
        kept
    )
    if aside is None:
        assert kept == []
    else:
        (name,) = kept
        expected_aside = aside if isinstance(aside, bytes) else content.splitlines(True)[aside]
        assert (path.parent / name).read_bytes() == expected_aside
    settled = path.read_bytes()
    journal(path).recover([], confirmed=2)
    assert path.read_bytes() == settled
    journal(path).append(scan_lines(3, 1))
    assert marks(path)[-1] == (3, 1)


def test_half_of_a_scan_that_nobody_knows_is_kept_aside(path):
    """The state was lost together with the outbox: a rebuild must not see half of a scan."""
    one = journal(path)
    one.append(scan_lines(1, 2))
    torn = b"".join(scan_lines(2, 3)[:2])
    path.write_bytes(path.read_bytes() + torn)
    assert journal(path).recover([], confirmed=1) == 0
    assert marks(path) == expected((1, 2))
    (name,) = [name for name in files(path) if "damaged" in name]
    assert (path.parent / name).read_bytes() == torn


def test_a_torn_append_leaves_no_file_behind(path):
    lines = scan_lines(2, 3)
    one = journal(path)
    one.append(scan_lines(1, 2))
    path.write_bytes(path.read_bytes() + b"".join(lines)[:-30])
    assert journal(path).recover([(2, lines)], confirmed=1) == 3
    assert files(path) == [path.name]


def test_a_foreign_file_is_not_emptied(path):
    path.write_text('{"my":"data"}\n')
    with pytest.raises(OutputError, match="is not a change list"):
        journal(path).recover([(1, scan_lines(1, 1))])
    assert path.read_text() == '{"my":"data"}\n'


def test_a_scan_longer_than_the_blocks_that_are_read_backwards(path):
    one = journal(path)
    one.append(scan_lines(1, 3, length=100_000))
    lines = scan_lines(2, 2000)
    one.append(lines)
    content = path.read_bytes()
    for end in (len(content) - 2, len(content) - 70_000, len(content) - len(b"".join(lines)) + 1):
        path.write_bytes(content[:end])
        assert journal(path).recover([(2, lines)]) == 2000
        assert path.read_bytes() == content
    path.write_bytes(content[:250_000])
    assert journal(path).recover([]) == 0
    assert path.stat().st_size == 0


WRITER = """
import sys
from scanner.output.journal import Journal
from tests.output.test_journal import scan_lines
journal = Journal(sys.argv[1], limit_bytes=30_000, keep=200)
scan = int(sys.argv[2])
# What is pending is known from the number alone: the outbox would hold the same lines.
journal.recover([(scan, scan_lines(scan, scan % 60 + 1, 50))])
while True:
    scan += 1
    print(scan, flush=True)  # the commit point
    journal.append(scan_lines(scan, scan % 60 + 1, 50))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_kill_minus_nine(path):
    scan = 1
    for turn in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(scan)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(0.01 + 0.013 * turn)
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        numbers = (first + rest).split(b"\n")
        scan = int(numbers[-2])
    journal(path, 30_000, 200).recover([(scan, scan_lines(scan, scan % 60 + 1, 50))])
    assert marks(path) == expected(*((s, s % 60 + 1) for s in range(1, scan + 1)))


# Reading


def test_filters(path):
    one = journal(path, limit=1)
    for scan, kind in enumerate(KINDS, 1):
        change = Change(kind, "file", os.path.join(TOP, kind), f"root:{scan % 2}")
        one.append([encode(change, scan=scan, n=1, of=1, time_ns=NOW + scan, base=TOP)])
    assert marks(path, since_scan=3) == [(4, 1), (5, 1)]
    assert marks(path, since_time=NOW + 3) == [(3, 1), (4, 1), (5, 1)]
    assert marks(path, kinds=["moved", "created"]) == [(1, 1), (4, 1)]
    assert marks(path, roots={"root:0"}) == [(2, 1), (4, 1)]
    assert marks(path, since_scan=2, kinds={"moved"}, roots={"root:1"}) == []


def test_damaged_lines_are_passed_over(path):
    journal(path).append(scan_lines(1, 5))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b"\0" * 30 + b"\n"
    lines[2] = b'{"scan":1,"n":"3","of":5,"kind":"created","path":"x","time":""}\n'
    lines[3] = b"[]\n"
    path.write_bytes(b"".join(lines) + b'{"scan":2,"n":1,"of":1,')
    assert marks(path) == [(1, 1), (1, 5)]
    assert journal(path).last_scan() == 1


@given(st.binary(max_size=200), st.integers(0, 2))
def test_no_content_crashes_a_reader(tmp_path_factory, content, before):
    path = tmp_path_factory.getbasetemp() / "any.changes.jsonl"
    path.write_bytes(b"".join(scan_lines(1, before)) + content)
    assert marks(path) == expected((1, before))
    assert journal(path).last_scan() == min(before, 1)


def test_a_missing_journal_is_empty(path):
    assert marks(path) == []
    assert marks(path.parent / "no" / "folder") == []


def test_other_outputs_beside_it_are_not_read(path):
    journal(path).append(scan_lines(1, 1))
    for name in ("inv.changes.0.jsonl", "inv.changes.01.jsonl", "inv.changes.x.jsonl"):
        shutil.copy(path, path.parent / name)
    shutil.copy(path, path.parent / "inv2.changes.jsonl")
    assert marks(path) == [(1, 1)]


@pytest.mark.parametrize("rotations", [1, 2, 3])
@pytest.mark.parametrize("moment", range(6))
def test_rotations_while_reading_hide_nothing_and_repeat_nothing(
    path, monkeypatch, moment, rotations
):
    one = journal(path, limit=1, keep=9)
    for scan in range(1, 5):
        one.append(scan_lines(scan, 1))
    opened: list[str] = []
    real = journal_files.open_existing

    def open_and_rotate(name, mode="rb"):
        file = real(name, mode)
        opened.append(name)
        if len(opened) == moment:
            for scan in range(5, 5 + rotations):
                one.append(scan_lines(scan, 1))
        return file

    monkeypatch.setattr(journal_reader, "open_existing", open_and_rotate)
    found = marks(path)
    assert len(opened) >= moment
    # Lines that came meanwhile may be there or not, but never out of order.
    assert found == sorted(set(found))
    assert found[:4] == expected(*((scan, 1) for scan in range(1, 5)))


@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_rotations_while_a_follower_opens_the_files_hide_nothing(path, monkeypatch, rotations):
    one = journal(path, limit=1, keep=9)
    for scan in range(1, 4):
        one.append(scan_lines(scan, 1))
    opened: list[str] = []
    real = journal_files.open_existing

    def open_and_rotate(name, mode="rb"):
        file = real(name, mode)
        opened.append(name)
        if len(opened) == 2:  # the newest has been opened, the others have not
            for scan in range(4, 4 + rotations):
                one.append(scan_lines(scan, 1))
        return file

    monkeypatch.setattr(journal_reader, "open_existing", open_and_rotate)
    steps = Steps(*[lambda: None] * 3)
    found = [(line["scan"], line["n"]) for line in follow(path, steps, 0.0, since_scan=0)]
    assert found == expected(*((scan, 1) for scan in range(1, 4 + rotations)))


# Following


class Steps:
    """A stop that runs one action at each wait, and is set after the last."""

    def __init__(self, *actions) -> None:
        self._actions = list(actions)
        self.waits: list[float | None] = []

    def is_set(self) -> bool:
        return not self._actions

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        self._actions.pop(0)()
        return self.is_set()


def nothing() -> None:
    pass


def followed(path: Path, *actions, **more) -> list[tuple[int, int]]:
    """What `follow` yields while `actions` run, one between two looks."""
    steps = Steps(*actions, nothing)
    found = [(line["scan"], line["n"]) for line in follow(path, steps, 0.5, **more)]
    assert set(steps.waits) == {0.5}
    return found


def test_follow_begins_with_what_is_new(path):
    one = journal(path)
    one.append(scan_lines(1, 2))
    assert followed(path, lambda: one.append(scan_lines(2, 2))) == expected((2, 2))
    assert followed(path, nothing, since_scan=0) == expected((1, 2), (2, 2))
    assert followed(path, nothing, since_scan=1) == expected((2, 2))
    assert followed(path, nothing, since_scan=0, kinds=["deleted"]) == []


def test_follow_survives_rotation_and_a_missing_file(path):
    one = journal(path, limit=1, keep=9)

    def append(*scans):
        def action():
            for scan in scans:
                one.append(scan_lines(scan, 2))

        return action

    def rotate_only():
        for number in range(8, 0, -1):
            old = path.with_name(f"inv.changes.{number}.jsonl")
            if old.exists():
                old.rename(path.with_name(f"inv.changes.{number + 1}.jsonl"))
        path.rename(path.with_name("inv.changes.1.jsonl"))

    found = followed(
        path, nothing, append(1), append(2), append(3, 4, 5), nothing, rotate_only, append(6)
    )
    assert found == expected(*((scan, 2) for scan in range(1, 7)))


def test_follow_survives_a_torn_line_and_its_recovery(path):
    one = journal(path)
    one.append(scan_lines(1, 1))
    lines = scan_lines(2, 3)
    whole = b"".join(lines)

    def tear(end):
        def action():
            with open(path, "ab") as file:
                file.write(whole[:end])

        return action

    for end in (1, len(lines[0]) - 1, len(lines[0]), len(lines[0]) + 5, len(whole) - 1):
        content = path.read_bytes()
        found = followed(path, tear(end), nothing, lambda: journal(path).recover([(2, lines)]))
        assert found == expected((2, 3))
        path.write_bytes(content)


def test_follow_survives_a_new_beginning(path):
    one = journal(path)
    one.append(scan_lines(7, 1))
    found = followed(path, path.unlink, lambda: one.append(scan_lines(1, 2)))
    assert found == expected((1, 2))


def test_follow_in_another_thread(path):
    one, stop, found = journal(path, limit=2000, keep=99), threading.Event(), []

    def run():
        for line in follow(path, stop, 0.001, since_scan=0):
            found.append((line["scan"], line["n"]))
            if line["scan"] == 200 and line["n"] == line["of"]:
                return

    thread = threading.Thread(target=run)
    thread.start()
    for scan in range(1, 201):
        one.append(scan_lines(scan, scan % 5 + 1))
    thread.join(20)
    stop.set()
    thread.join()
    assert found == expected(*((scan, scan % 5 + 1) for scan in range(1, 201)))
