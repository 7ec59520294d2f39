"""The heartbeat can always be read, and says whether its writer lives."""

import os
import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock
from jsonschema import Draft202012Validator, ValidationError

from scanner.core.serialize import time_text
from scanner.errors import OutputError
from scanner.output.status_file import is_alive, read_status, write_status
from scanner.schemas import load_schema

SCHEMA = Draft202012Validator(load_schema("status"))


def a_status(**more) -> dict:
    now = time_text(time.time_ns())
    root = "models:/srv/ComfyUI/models"
    last = {"scan": 3, "started": now, "seconds": 0.2, "directories": 5, "files": 9, "changes": 1}
    lane = {"id": "local", "state": "waiting", "roots": [root], "next_due": now, "error": None}
    return {
        "schema": 1,
        "tool": {"name": "comfy-inventory", "version": "0.1.0"},
        "pid": os.getpid(),
        "state": "running",
        "started": now,
        "updated": now,
        "scan": 3,
        "lanes": [{**lane, "last_scan": last}, {**lane, "last_scan": None, "next_due": None}],
        "backlog": {"files": 1, "bytes": 2},
        "roots": [
            {"id": root, "kind": "models", "path": "ComfyUI/models", "state": "held"}
            | {"since": now, "filesystem": "cifs", "reason": "9 files are gone"}
        ],
        "holds": [
            {"id": root, "kind": "loss", "files": 9, "bytes": 8, "since": now}
            | {"needs_accept": False}
        ],
        "unreachable": [{"path": "x", "error": "Permission denied", "since": now}],
        "unsettled": [{"path": "y"}],
        "journal": {"path": "/srv/i.changes.jsonl", "scan": 3, "bytes": 100},
        "inventory": {"path": "/srv/i.json", "scan": 3, "written": None, "bytes": 0},
        **more,
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "i.status.json"


def test_comes_back_as_it_was(path):
    status = a_status()
    SCHEMA.validate(status)
    write_status(path, status)
    assert read_status(path) == status
    assert path.read_text("utf-8").endswith("}\n")
    assert [other.name for other in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("key", sorted(set(a_status()) - {"unsettled"}))
def test_the_schema_misses_what_is_missing(key):
    status = a_status()
    del status[key]
    with pytest.raises(ValidationError, match=key):
        SCHEMA.validate(status)


def test_one_bad_name_does_not_stop_it(path):
    write_status(path, a_status(unreachable=[{"path": "gro\udcdf", "error": "\udcff"}]))
    status = read_status(path)
    assert status is not None
    assert status["unreachable"] == [{"path": "gro\ufffd", "error": "\ufffd"}]
    assert status["pid"] == os.getpid()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"a":1'])
def test_what_is_no_status(path, content):
    assert read_status(path) is None
    path.write_bytes(content)
    assert read_status(path) is None


def test_errors_are_output_errors(path):
    path.mkdir()
    with pytest.raises(OutputError, match="cannot read"):
        read_status(path)
    with pytest.raises(OutputError, match="cannot write"):
        write_status(path, {})


@pytest.mark.skipif(os.name == "nt", reason="there, readers and writers wait for each other")
def test_readers_never_see_half_of_it(path):
    write_status(path, a_status(filler=["x"] * 10_000))
    done, seen = threading.Event(), set()

    def look():
        while not done.is_set():
            seen.add(read_status(path) is None)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for turn in range(100):
            write_status(path, a_status(filler=["x"] * (turn % 2 * 10_000)))
    finally:
        done.set()
        reader.join()
    assert seen == {False}


def test_is_alive():
    assert is_alive(a_status())
    assert not is_alive(a_status(state="stopped"))
    assert not is_alive(None)


@pytest.mark.parametrize("pid", [None, "1", -1, 2**80])
def test_a_damaged_status_is_not_alive(pid):
    assert not is_alive(a_status(pid=pid))
    assert not is_alive({"state": "running"})


def test_a_process_that_ended_is_not_alive():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not is_alive(a_status(pid=process.pid))


def test_a_younger_process_with_the_same_number_is_not_the_writer():
    long_ago = time_text(time.time_ns() - 10**6 * 10**9)
    assert not is_alive(a_status(pid=os.getpid(), updated=long_ago))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no shared locks to ask for")
def test_the_lock_tells_who_is_alive_where_process_ids_are_others(tmp_path):
    """As in another container: the writer's id is unknown there, or belongs to somebody else."""
    path = str(tmp_path / "i.lock")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_alive(a_status(), path), "without a lock file the id must do"
    lock = FileLock(path)
    with lock:
        assert is_alive(a_status(pid=ended.pid), path)
        assert not is_alive(a_status(state="stopped"), path)
    open(path, "a").close()
    assert not is_alive(a_status(pid=os.getpid()), path)
    with lock.acquire(timeout=0):
        pass
