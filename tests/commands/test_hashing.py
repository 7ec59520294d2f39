"""`hash` and `verify`, as they are typed, on a real disk and beside a running scanner."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import xxhash
from blake3 import blake3

from scanner.output.inventory_reader import read_entries
from scanner.output.journal_reader import read
from tests.support.installation import parsed
from tests.support.machine import Machine, assert_valid, write
from tests.support.real_mounts import SshfsMount

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

LORA = "ComfyUI/models/loras/a.safetensors"
CHECKPOINT = "ComfyUI/models/checkpoints/b.ckpt"
PICTURE = "ComfyUI/output/c.png"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    for kind in ("models", "custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    for path in (LORA, CHECKPOINT, PICTURE):
        write(machine.work / path, f"content of {path}")
    machine.run("scan")
    return machine


def entry(machine: Machine, path: str) -> dict[str, object]:
    (found,) = [e for e in read_entries(machine.work / "comfy_inventory.json") if e["path"] == path]
    return found


def test_hash_puts_both_hashes_of_models_into_the_inventory(machine: Machine) -> None:
    done = machine.run("hash", "--json")
    told = parsed(done)
    assert told["read"]["files"] == 2
    data = (machine.work / LORA).read_bytes()
    found = entry(machine, LORA)
    assert found["hash"] == f"xxh3_128:{xxhash.xxh3_128(data).hexdigest()}"
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    assert "hash" not in entry(machine, PICTURE)
    assert_valid(machine)


def test_hash_of_a_path_reads_it_whatever_it_is(machine: Machine) -> None:
    machine.run("hash", PICTURE, "--algorithm", "sha256")
    assert "sha256" in entry(machine, PICTURE)
    assert "hash" not in entry(machine, PICTURE)
    assert "sha256" not in entry(machine, LORA)


def test_blake3_stands_beside_the_others_and_finds_its_file(machine: Machine) -> None:
    machine.run("hash", "--algorithm", "blake3")
    data = (machine.work / LORA).read_bytes()
    found = entry(machine, LORA)
    assert found["blake3"] == blake3(data).hexdigest()
    assert "sha256" not in found
    machine.run("hash")
    found = entry(machine, LORA)
    assert found["blake3"] == blake3(data).hexdigest()
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    assert_valid(machine)
    machine.run("verify")
    for digits in (found["blake3"], f"blake3:{found['blake3']}"):
        assert LORA in machine.run("find", "--hash", digits).stdout


@pytest.mark.parametrize("where", ["option", "environment", "file"])
def test_blake3_without_its_package_is_one_sentence(machine: Machine, where: str) -> None:
    hidden = machine.work / "hidden"
    write(hidden / "sitecustomize.py", "import sys; sys.modules['blake3'] = None\n")
    environ = {"PYTHONPATH": str(hidden)}
    arguments = ["hash"]
    if where == "option":
        arguments += ["--algorithm", "blake3"]
    elif where == "environment":
        environ["COMFY_INVENTORY_HASH"] = "blake3"
    else:
        write(machine.work / "comfy_inventory.toml", 'hash = ["blake3"]\n')
    done = machine.run(*arguments, expect=2, environ=environ)
    assert done.stderr.count("\n") == 1
    assert "pip install 'comfy-inventory[blake3]'" in done.stderr
    assert "blake3" not in entry(machine, LORA)


def test_verify_finds_what_rotted(machine: Machine) -> None:
    machine.run("hash")
    machine.run("verify")
    path = machine.work / LORA
    found = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    done = machine.run("verify", "--json", expect=1)
    assert [item["path"] for item in parsed(done)["corrupt"]] == [str(path)]
    assert entry(machine, LORA)["status"] == "corrupt"
    done = machine.run("verify", expect=1)
    assert str(path) in done.stdout
    # What was known of it is still what it was, and no scan takes it for a change.
    assert not [c for c in read(machine.work / "comfy_inventory.changes.jsonl") if c["scan"] > 1]


@pytest.mark.slow
def test_hash_beside_run_reaches_the_inventory_through_it(machine: Machine) -> None:
    with machine.running("run", "--every", "1s") as running:
        running.scans(2)
        machine.run("hash")
        assert running.stop() == 0
    assert "hash" in entry(machine, LORA)


@pytest.mark.slow
def test_the_setting_hashes_between_scans(machine: Machine) -> None:
    (machine.work / "comfy_inventory.toml").write_text('hash = ["sha256"]\n')
    with machine.running("run", "--every", "1s") as running:
        running.scans(4)
        running.wait_for(lambda: not machine.status()["unhashed"]["files"], "hashes")
        assert running.stop() == 0
    assert "sha256" in entry(machine, LORA)
    assert "hash" not in entry(machine, LORA)


@pytest.mark.slow
def test_what_was_hashed_before_a_kill_is_not_read_again(machine: Machine) -> None:
    large = machine.work / "ComfyUI/models/loras/large.safetensors"
    large.write_bytes(os.urandom(3 << 20))
    machine.run("scan")
    # The large one takes many seconds at this rate, and the small ones come first.
    with machine.running("hash", "--rate", "200KB/s"):
        time.sleep(4)
    done = parsed(machine.run("hash", "--json"))
    assert 0 < done["read"]["bytes"] <= large.stat().st_size + 200
    assert "hash" in entry(machine, "ComfyUI/models/loras/large.safetensors")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["hash", "--algorithm", "md5"], "--algorithm: expected a list of xxh3, sha256 and blake3"),
        (["hash", "--rate", "fast"], "--rate: expected a rate"),
        (["hash", "/elsewhere"], "/elsewhere is in none of the folders that are scanned"),
        (["verify", "--older", "old"], "--older: expected a duration"),
    ],
)
def test_bad_input_gets_one_sentence(machine: Machine, arguments: list[str], sentence: str) -> None:
    assert sentence in machine.run(*arguments, expect=2).stderr


def test_without_a_scan_there_is_nothing_to_hash(tmp_path: Path) -> None:
    done = Machine(tmp_path).run("hash", expect=2)
    assert "No scan has written" in done.stderr


# On a mount that hangs


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux")
@pytest.mark.timeout(180)
def test_a_share_that_hangs_stops_no_other_hash_and_no_end(tmp_path: Path) -> None:
    """Rule 3: what is on the share waits, local files are hashed, and SIGTERM ends it."""
    source, point = tmp_path / "source", tmp_path / "nas"
    for folder in (source, point):
        folder.mkdir()
    share = SshfsMount(source, point)
    with share:
        machine = Machine(tmp_path / "machine", COMFY_INVENTORY_STALL_AFTER="3s")
        for kind in ("models", "custom_nodes", "input", "output"):
            (machine.work / "ComfyUI" / kind).mkdir(parents=True)
        write(machine.work / LORA, "local")
        (source / "far.safetensors").write_bytes(os.urandom(1 << 20))
        machine.run("scan", "--models", point)
        share.stop_server()
        try:
            done = parsed(machine.run("hash", "--json", expect=3))
            assert [Path(path).name for path in done["unread"]] == ["far.safetensors"]
            assert "hash" in entry(machine, LORA)
            machine.environ["COMFY_INVENTORY_STALL_AFTER"] = "60s"
            with machine.running("hash") as running:
                time.sleep(3)
                started = time.monotonic()
                running.process.send_signal(signal.SIGTERM)
                assert running.process.wait(30) == 128 + signal.SIGTERM
                assert time.monotonic() - started < 5
        finally:
            share.continue_server()
        done = parsed(machine.run("hash", "--json"))
        assert done["unread"] == []
        assert done["read"]["files"] == 1


# What `find`, `packs` and `duplicates` say of it


def test_duplicates_are_likely_until_they_are_hashed(machine: Machine) -> None:
    data = os.urandom(1 << 20)
    for name in ("one", "two"):
        (machine.work / f"ComfyUI/models/loras/{name}.safetensors").write_bytes(data)
    machine.run("scan")
    machine.run("scan")
    found = parsed(machine.run("duplicates", "--json"))
    assert [(one["proven"], one["size"]) for one in found["sets"]] == [(False, 1 << 20)]
    machine.run("hash", "ComfyUI/models/loras")
    found = parsed(machine.run("duplicates", "--json", "--proven"))
    assert [(one["proven"], one["size"]) for one in found["sets"]] == [(True, 1 << 20)]
    machine.run("duplicates", "--root", "input")
    assert "two.safetensors" in machine.run("duplicates").stdout


def test_one_content_under_two_sizes_of_time_is_not_called_whole(machine: Machine) -> None:
    """A corrupt copy is no duplicate, whatever was known of it."""
    paths = [machine.work / f"ComfyUI/models/loras/{name}.ckpt" for name in ("one", "two")]
    for path in paths:
        path.write_bytes(bytes(range(256)) * 4096)
    machine.run("scan")
    machine.run("hash")
    found = paths[0].stat()
    with paths[0].open("r+b") as file:
        file.seek(500_000)
        file.write(b"rotten")
    os.utime(paths[0], ns=(found.st_atime_ns, found.st_mtime_ns))
    machine.run("verify", expect=1)
    sets = parsed(machine.run("duplicates", "--json", "--proven"))["sets"]
    assert sets == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["duplicates", "--sort", "name"], "--sort: expected one of wasted, count, size"),
        (["duplicates", "--least", "big"], "--least: expected a size"),
        (["find", "--status", "lost"], "--status: expected"),
        (["find", "--size", "1GB"], "--size: expected"),
    ],
)
def test_bad_questions_get_one_sentence(
    machine: Machine, arguments: list[str], sentence: str
) -> None:
    assert sentence in machine.run(*arguments, expect=2).stderr


def test_find_and_packs_read_what_the_scan_wrote(machine: Machine) -> None:
    pack = machine.work / "ComfyUI/custom_nodes/ComfyUI-Example"
    write(pack / "__init__.py", "NODE_CLASS_MAPPINGS = {}")
    write(pack / "pyproject.toml", '[project]\nname = "example"\nversion = "1.2"\n')
    write(pack / ".tracking", "__init__.py")
    machine.run("scan")
    (found,) = parsed(machine.run("packs", "--json"))["packs"]
    assert (found["id"], found["version"], found["enabled"]) == ("example", "1.2.0", True)
    (machine.work / "ComfyUI/custom_nodes/.disabled").mkdir()
    pack.rename(machine.work / "ComfyUI/custom_nodes/.disabled/ComfyUI-Example")
    machine.run("scan")
    moved = [line for line in machine.changes() if "pack" in line][-1]
    assert (moved["kind"], moved["type"]) == ("moved", "directory")
    assert (moved["pack"]["from"]["enabled"], moved["pack"]["to"]["enabled"]) == (True, False)
    assert "example" in machine.run("packs", "--disabled").stdout
    assert "example" not in machine.run("packs", "--enabled").stdout
    assert "a.safetensors" in machine.run("find", "*.SAFETENSORS").stdout
    machine.run("find", "nothing*")
    assert_valid(machine)


def test_a_root_that_is_away_is_named_and_ends_with_three(machine: Machine) -> None:
    nas = machine.work / "nas"
    write(nas / "loras" / "far.safetensors", "far")
    machine.run("scan", "--models", "nas")
    nas.rename(machine.work / "away")
    machine.run("scan", "--models", "nas", expect=3)
    done = machine.run("hash", expect=3)
    assert "nas does not answer" in done.stderr
    assert "2 files hashed" in done.stderr
    machine.run("hash", LORA)
    machine.run("verify", "nas", expect=3)


def test_a_path_that_no_scan_has_seen_is_wrong_use(machine: Machine) -> None:
    path = "ComfyUI/models/loras/typo.safetensors"
    assert "No scan has seen" in machine.run("hash", path, expect=2).stderr
    assert "No scan has seen" in machine.run("verify", path, expect=2).stderr


def damage_hashes(machine: Machine) -> None:
    """Overwrite the first page of the table that holds hashes."""
    state = machine.work / "comfy_inventory.state.sqlite"
    with closing(sqlite3.connect(state)) as database:
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'known'"
        ).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with state.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.parametrize("command", ["duplicates", "hash", "verify"])
def test_damage_where_hashes_are_kept_is_one_sentence(machine: Machine, command: str) -> None:
    machine.run("hash")
    damage_hashes(machine)
    done = machine.run(command, expect=2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "cannot be read (database disk image is malformed)" in line
    assert "rebuilds it" in line


def test_damage_where_hashes_are_kept_costs_hashes_and_no_change(machine: Machine) -> None:
    """Rule 9: the bad state is kept aside and rebuilt from the inventory."""
    machine.run("hash")
    damage_hashes(machine)
    before = len(machine.changes())
    machine.run("scan")
    assert len(machine.changes()) == before
    assert list(machine.work.glob("*.damaged-*"))
    assert entry(machine, LORA)["size"]


def test_hash_that_meets_damage_says_so_and_keeps_no_hash_of_it(machine: Machine) -> None:
    machine.run("hash", "--algorithm", "xxh3")
    path = machine.work / LORA
    found = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert str(path) in machine.run("hash", expect=1).stdout
    assert "sha256" not in entry(machine, LORA)
    assert entry(machine, LORA)["status"] == "corrupt"
    assert "sha256" in entry(machine, CHECKPOINT)
