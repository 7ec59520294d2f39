"""What is not ours is never replaced, and no link of another user is followed."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from scanner.errors import OutputError
from scanner.output import regular_files
from scanner.output.atomic import AtomicFile
from scanner.output.file_names import Outputs
from scanner.output.history_reader import read_history
from scanner.output.inventory_reader import read_header
from scanner.output.journal import Journal
from scanner.output.journal_reader import read
from scanner.output.refusals import (
    is_ours,
    keep_damaged_inventory,
    refuse_log_file,
    refuse_outputs,
)
from scanner.output.regular_files import followed
from scanner.output.status_file import read_status, write_status
from scanner.store.database import connect

WEIGHTS = b"\x10\x00\x00\x00\x00\x00\x00\x00{}" + b"weights" * 100


def outputs_in(folder: Path, name: str = "i.json", log: str = "") -> Outputs:
    return Outputs(str(folder / name), str(folder), str(folder / log) if log else "")


def refuse(outputs: Outputs, *written: str) -> None:
    refuse_outputs(outputs, lambda: written)


def make_special(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")


def test_weights_named_as_output_are_refused(tmp_path: Path) -> None:
    model = tmp_path / "big.safetensors"
    model.write_bytes(WEIGHTS)
    with pytest.raises(OutputError, match="was not written by this program"):
        refuse(outputs_in(tmp_path, model.name))
    assert [path.name for path in tmp_path.iterdir()] == [model.name]
    assert model.read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "name",
    ["i.json", "i.changes.jsonl", "i.changes.7.jsonl", "i.status.json", "i.history.jsonl"],
)
@pytest.mark.parametrize(
    "content",
    [
        b"some notes\n",
        b"{}",
        b'{"schemas": []}',
        b"[1, 2]",
        b"\0\0\0\x18ftyp",
        bytes(5000) + b"notes",
    ],
)
def test_a_file_of_another_program_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OutputError, match="was not written by this program"):
        refuse(outputs_in(tmp_path))


def test_a_lock_with_content_is_refused(tmp_path: Path) -> None:
    """poetry.json would have poetry.lock as its lock."""
    (tmp_path / "i.lock").write_bytes(b"[[package]]\n")
    with pytest.raises(OutputError, match="was not written by this program"):
        refuse(outputs_in(tmp_path))


def test_json_of_another_tool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_bytes(b'{"schema":1,"tool":{"name":"other"}' + b" " * 300)
    with pytest.raises(OutputError, match="was not written by this program"):
        refuse(outputs_in(tmp_path))


@pytest.mark.parametrize("content", [b"", b'{"sch', b"\0" * 5000, b'{"schema":1,"tool":{"name":'])
def test_own_files_are_taken_however_torn(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "i.json").write_bytes(content)
    refuse(outputs_in(tmp_path))


@pytest.mark.parametrize("content", [b"", b'{"da', b'{"day":"2026-01-01","root":', b"\0" * 900])
def test_an_own_history_is_taken_however_torn(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "i.history.jsonl").write_bytes(content)
    refuse(outputs_in(tmp_path))
    (tmp_path / "i.history.jsonl").write_bytes(b'{"scan":1,"n":1}')
    with pytest.raises(OutputError, match="was not written by this program"):
        refuse(outputs_in(tmp_path))


def test_what_the_state_knows_as_ours_is_taken_and_kept_aside(tmp_path: Path) -> None:
    outputs = outputs_in(tmp_path)
    Path(outputs.inventory).write_bytes(b"damage")
    refuse(outputs, outputs.inventory)
    aside = keep_damaged_inventory(outputs)
    assert Path(aside).read_bytes() == b"damage"
    assert not os.path.exists(outputs.inventory)
    assert outputs.is_own(str(tmp_path), os.path.basename(aside))
    assert keep_damaged_inventory(outputs) == ""


@pytest.mark.skipif(os.name == "nt", reason="no such files on Windows")
@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
@pytest.mark.parametrize(
    "name",
    ["i.json", "i.changes.jsonl", "i.changes.2.jsonl", "i.status.json", "i.lock", "i.state.sqlite",
     "i.state.sqlite-wal", "i.history.jsonl"],
)  # fmt: skip
def test_no_regular_file_is_refused_and_nothing_waits(tmp_path: Path, name: str, kind: str) -> None:
    make_special(tmp_path / name, kind)
    with pytest.raises(OutputError, match=r"not a file|is a directory|not a regular file"):
        refuse(outputs_in(tmp_path))
    assert not (tmp_path / name).is_file()


@pytest.mark.skipif(os.name == "nt", reason="no such files on Windows")
@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_readers_and_writers_never_open_a_pipe_or_device(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "i.changes.jsonl"
    make_special(path, kind)
    with pytest.raises(OutputError):
        read_header(path)
    with pytest.raises(OutputError):
        read_status(path)
    with pytest.raises(OutputError):
        list(read(path))
    with pytest.raises(OutputError):
        read_history(path)
    with pytest.raises(OutputError):
        write_status(path, {})
    with pytest.raises(OutputError):
        Journal(path, limit_bytes=1000, keep=1).append([b"{}\n"])
    assert not path.is_file()


@pytest.mark.parametrize(
    "name",
    ["i.lock", "i.status.json", "i.changes.jsonl", "i.changes.3.jsonl", "i.state.sqlite",
     "i.history.jsonl"],
)  # fmt: skip
def test_names_of_other_outputs_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="is the name of a lock"):
        refuse(outputs_in(tmp_path, name))
    with pytest.raises(OutputError, match="is the name of a lock"):
        refuse_log_file(outputs_in(tmp_path, log=name))


def test_one_file_cannot_be_two_outputs(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="one file"):
        refuse_log_file(outputs_in(tmp_path, log="i.json"))
    Path(outputs_in(tmp_path).status).write_bytes(b'{"schema":1}')
    os.link(tmp_path / "i.status.json", tmp_path / "i.json")
    with pytest.raises(OutputError, match="one file"):
        refuse(outputs_in(tmp_path))


@pytest.mark.timeout(10)
def test_the_log_is_appended_to_logs_only(tmp_path: Path) -> None:
    outputs = outputs_in(tmp_path, log="own.log")
    log = tmp_path / "own.log"
    refuse_log_file(outputs)
    for content in (b"", b"2026-11-27 21:31:10 INFO scan 1\n", b"\0\x002026-11-27 21:31:10 INFO a"):
        log.write_bytes(content)
        refuse_log_file(outputs)
    log.write_bytes(WEIGHTS)
    with pytest.raises(OutputError, match="not a log of this program"):
        refuse_log_file(outputs)
    if os.name != "nt":
        log.unlink()
        os.mkfifo(log)
        with pytest.raises(OutputError, match="a pipe"):
            refuse_log_file(outputs)
        refuse_log_file(Outputs(outputs.inventory, str(tmp_path), os.devnull))


def test_the_database_of_another_program_gets_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "i.state.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE meta (key TEXT, value TEXT)")
        database.execute("CREATE TABLE urls (url TEXT)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(OutputError, match="database of another program"):
        connect(str(path), "CREATE TABLE IF NOT EXISTS directory (path)", readonly=False)
    assert path.read_bytes() == before


# Links


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder like /tmp in which user 12345 can put links."""
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only root makes links of other users")
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def link_of_another(link: Path, target: Path) -> None:
    link.symlink_to(target)
    os.lchown(link, 12345, 12345)


@pytest.mark.parametrize("content", [None, b"", b"secret"])
@pytest.mark.parametrize(
    "name",
    ["i.json", "i.changes.jsonl", "i.status.json", "i.state.sqlite", "i.lock", "i.history.jsonl"],
)
def test_links_of_another_user_in_a_shared_folder_are_refused(
    tmp_path: Path, shared: Path, name: str, content: bytes | None
) -> None:
    victim = tmp_path / "victim"
    if content is not None:
        victim.write_bytes(content)
    path = shared / name
    link_of_another(path, victim)
    with pytest.raises(OutputError, match="a link of another user"):
        refuse(outputs_in(shared))
    # The link may come later.
    with pytest.raises(OutputError, match="a link of another user"), AtomicFile(path) as file:
        file.write(b"x")
    with pytest.raises(OutputError, match="a link of another user"):
        Journal(path, limit_bytes=1000, keep=1).append([b"{}\n"])
    with pytest.raises(OutputError, match="a link of another user"):
        connect(str(path), readonly=False)
    assert (victim.read_bytes() if victim.exists() else None) == content
    assert path.is_symlink()


def test_a_folder_behind_a_link_of_another_user_is_refused(tmp_path: Path, shared: Path) -> None:
    (tmp_path / "private").mkdir()
    link_of_another(shared / "folder", tmp_path / "private")
    with pytest.raises(OutputError, match="a link of another user"):
        refuse(outputs_in(shared / "folder"))


def test_a_companion_of_the_database_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"data")
    (tmp_path / "i.state.sqlite-wal").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match="is a link, not a file"):
        refuse(outputs_in(tmp_path))


def test_own_links_are_followed(tmp_path: Path, shared: Path) -> None:
    target = tmp_path / "target.json"
    (shared / "i.json").symlink_to(target)
    assert followed(str(shared / "i.json")) == str(target)
    refuse(outputs_in(shared))
    shared.chmod(0o777)
    link_of_another(shared / "other.json", target)
    assert followed(str(shared / "other.json")) == str(target), "this folder is not sticky"


def test_a_user_follows_own_links_and_those_of_root(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target.json"
    for name, owner in (("own", 12345), ("root", 0), ("other", 777)):
        (shared / name).symlink_to("../target.json")
        os.lchown(shared / name, owner, owner)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert followed(str(shared / "own")) == followed(str(shared / "root")) == str(target)
    with pytest.raises(OutputError, match="a link of another user"):
        followed(str(shared / "other"))


def test_links_in_a_circle_are_an_error_and_no_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        followed(str(tmp_path / "a"))


def test_a_link_that_comes_after_the_look_is_not_followed(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put between the look at the path and the opening."""
    path = str(shared / "i.changes.jsonl")
    link_of_another(Path(path), tmp_path / "victim")
    monkeypatch.setattr(regular_files, "followed", lambda seen: seen)
    with pytest.raises(OSError):
        regular_files.opening_own(path, os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "victim").exists()


def test_root_leaves_a_file_to_its_owner(tmp_path: Path, shared: Path) -> None:
    path = shared / "i.json"
    path.write_bytes(b"old")
    os.chown(path, 12345, 12345)
    path.chmod(0o600)
    with AtomicFile(path) as file:
        file.write(b"new")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 12345, 0o600)


def test_an_inventory_is_recognised(tmp_path: Path) -> None:
    outputs = outputs_in(tmp_path)
    Path(outputs.inventory).write_bytes(
        b'{"schema":1,"tool":{"name":"comfy-inventory"' + b" " * 400
    )
    assert is_ours(outputs, outputs.inventory)
