"""`comfy-inventory scan`: exit codes, held losses, and what it finds."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.core.serialize import native
from scanner.output.inventory_reader import read_entries, read_header
from tests.support.installation import (
    EVENT_WATCHERS,
    HARD_NAMES,
    LORAS,
    imported,
    lose,
    parsed,
    sentence,
)
from tests.support.machine import Machine, assert_valid, told, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def test_scan_exits_with_1_where_something_changed_and_it_was_asked(scanned: Machine) -> None:
    scanned.run("scan", "--exit-code")
    write(scanned.work / LORAS / "new.safetensors", "new")
    scanned.run("scan", "--exit-code", expect=1)
    write(scanned.work / LORAS / "newer.safetensors", "newer")
    scanned.run("scan")


def test_root_that_is_not_there_is_3(scanned: Machine) -> None:
    (scanned.work / "ComfyUI" / "input").rmdir()
    done = scanned.run("scan", "--extra", "disk/assets", "--json", expect=3)
    assert parsed(done)["incomplete_roots"] == {
        f"input:{scanned.work}/ComfyUI/input": "offline",
        f"extra:{scanned.work}/disk/assets": "missing",
    }
    scanned.run("status", expect=3)
    assert_valid(scanned)
    write(scanned.work / "ComfyUI" / "input" / "new.png", "new")
    scanned.run("scan", "--exit-code", expect=1)
    assert told(scanned.changes()) == [("created", "ComfyUI/input/new.png")]


EXAMPLE = """# Rename this to extra_model_paths.yaml and ComfyUI will load it
a111:
    base_path: path/to/stable-diffusion-webui/

    checkpoints: models/Stable-diffusion
    configs: models/Stable-diffusion
    vae: models/VAE
    loras: |
         models/Lora
         models/LyCORIS  # made by others
    upscale_models: |
                  models/ESRGAN
                  models/RealESRGAN
                  models/SwinIR
    embeddings: embeddings
    hypernetworks: models/hypernetworks
    controlnet: models/ControlNet
"""


def test_example_that_comfyui_ships_is_no_reason_for_3(machine: Machine) -> None:
    (machine.work / "ComfyUI" / "extra_model_paths.yaml").write_text(EXAMPLE)
    done = machine.run("scan", "--json")
    assert parsed(done)["incomplete_roots"] == {}
    (warning,) = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert "line 10: loras: a comment" in warning
    (note,) = [line for line in done.stderr.splitlines() if "never there" in line]
    assert note.endswith("and 9 more folders: named in a file and never there (see `roots`).")
    machine.run("status")
    assert "never there" not in machine.run("scan").stderr
    roots = parsed(machine.run("roots", "--json"))["roots"]
    absent = [root for root in roots if root["state"] == "absent" and root["kind"] == "models"]
    assert len(absent) == 10
    assert {root["reason"] for root in absent} == {
        "extra_model_paths.yaml names it, and it never was there"
    }
    assert_valid(machine)
    loras = machine.work / "ComfyUI/path/to/stable-diffusion-webui/models/LyCORIS"
    write(loras / "x.safetensors", "x")
    machine.run("scan")
    assert machine.states()[str(loras)] == "online"
    (loras / "x.safetensors").unlink()
    loras.rmdir()
    machine.run("scan", expect=3)


def test_output_that_names_weights_is_refused_and_they_stay(machine: Machine) -> None:
    model = machine.work / LORAS / "big.safetensors"
    write(model, "weights")
    folder = sorted(model.parent.iterdir())
    for command in ("scan", "run"):
        done = machine.run(command, "--output", model, expect=5)
        assert "was not written by this program" in sentence(done)
    assert model.read_text() == "weights"
    assert sorted(model.parent.iterdir()) == folder
    sentence(machine.run("scan", "--log-file", model, expect=2))
    assert model.read_text() == "weights"


def test_a_damaged_inventory_is_kept_aside_and_written_anew(scanned: Machine) -> None:
    inventory = scanned.work / "comfy_inventory.json"
    inventory.write_text("damaged")
    done = scanned.run("scan")
    assert "The inventory is damaged: it is kept as" in done.stderr
    assert [path.read_text() for path in scanned.work.glob("*.json.damaged-*")] == ["damaged"]
    assert_valid(scanned)
    # The same state lies beside this file, and says nothing of it.
    scanned.run("scan", "--output", inventory.with_suffix(".other"))
    inventory.write_text("of somebody")
    scanned.run("scan", expect=5)
    assert inventory.read_text() == "of somebody"


def test_a_damaged_status_is_a_sentence_and_replaced(scanned: Machine) -> None:
    status = scanned.work / "comfy_inventory.status.json"
    for content in ("{}", "x", '{"roots": 3}', '{"roots": [], "state": 5}'):
        status.write_text(content)
        assert "is damaged" in sentence(scanned.run("status", expect=2))
    scanned.run("scan")
    scanned.run("status")


def test_two_instances_in_a_scanned_folder_give_each_other_no_changes(machine: Machine) -> None:
    one, other = ("ComfyUI/output/a.json", "ComfyUI/output/b.json")
    for output in (one, other):
        machine.run("scan", "--output", output)
    for number in range(2):
        for output in (one, other):
            machine.run("scan", "--exit-code", "--output", output)
        write(machine.work / LORAS / f"{number}.safetensors", "new")
        for output in (one, other):
            machine.run("scan", "--exit-code", "--output", output, expect=1)


def test_links_to_the_own_files_change_once(scanned: Machine) -> None:
    folder = scanned.work / "ComfyUI" / "output"
    for ending in ("json", "status.json", "changes.jsonl"):
        (folder / f"link.{ending}").symlink_to(f"../../comfy_inventory.{ending}")
    (scanned.work / "elsewhere").symlink_to("ComfyUI")
    (folder / "again.json").symlink_to("../../elsewhere/../comfy_inventory.json")
    scanned.run("scan", "--exit-code", expect=1)
    for number in range(2):
        scanned.run("scan", "--exit-code")
        write(scanned.work / LORAS / f"{number}.safetensors", "new")
        scanned.run("scan")
        assert told(scanned.changes()[-1:]) == [("created", f"{LORAS}/{number}.safetensors")]


def test_output_that_cannot_be_written_is_5(machine: Machine) -> None:
    (machine.work / "file").touch()
    (machine.work / "folder").mkdir()
    for output in ("nowhere/out.json", "file/out.json", "folder"):
        done = machine.run("scan", "--output", output, expect=5)
        assert str((machine.work / output).parent) in sentence(done)
    sentence(machine.run("run", "--output", "nowhere/out.json", expect=5))


LIMIT = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("size", [5_000, 120_000])
def test_full_disk_is_5_and_nothing_is_lost(scanned: Machine, size: int) -> None:
    """A limit on the size of files does what a full disk does: what is written breaks off."""
    inventory, journal = scanned.output.read_bytes(), scanned.journal.read_bytes()
    for number in range(800):
        write(scanned.work / LORAS / f"new{number:03}.safetensors", f"new {number}")
    limited = (sys.executable, "-c", LIMIT, str(size))
    done = scanned.run("scan", expect=5, through=limited)
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if line.startswith("comfy-inventory: ")]
    assert json.loads(scanned.output.read_bytes())
    assert scanned.output.read_bytes() == inventory
    assert scanned.journal.read_bytes().startswith(journal)
    scanned.run("scan")
    assert told(scanned.changes()) == [
        ("created", f"{LORAS}/new{number:03}.safetensors") for number in range(800)
    ]
    assert_valid(scanned)


def test_output_folder_without_the_right_to_write_is_5(
    machine: Machine, unprivileged: tuple[str, ...], closing: list[Path]
) -> None:
    folder = machine.work / "closed"
    folder.mkdir(0o555)
    closing.append(folder)
    done = machine.run("scan", "--output", "closed/out.json", expect=5, through=unprivileged)
    assert str(folder) in sentence(done)
    assert list(folder.iterdir()) == []


def test_scan_tells_programs_what_it_did(scanned: Machine) -> None:
    write(scanned.work / LORAS / "new.safetensors", "new")
    done = scanned.run("scan", "--json")
    summary = parsed(done)
    assert set(summary) == {
        "schema", "scan", "complete", "committed", "seconds", "files", "directories", "bytes",
        "changes", "kinds", "incomplete_roots", "accept", "backlog", "unhashed", "unread",
        "inventory",
    }  # fmt: skip
    assert (summary["scan"], summary["complete"], summary["files"]) == (2, True, 25)
    assert (summary["changes"], summary["kinds"]) == (1, {"created": 1})
    assert summary["inventory"] == str(scanned.output)
    assert "created" in done.stderr


def test_first_scan_says_what_it_found_and_the_next_one_does_not(machine: Machine) -> None:
    write(machine.work / LORAS / "broken.safetensors", "<!DOCTYPE html><html></html>" * 9)
    done = machine.run("scan")
    (line,) = [line for line in done.stderr.splitlines() if "First scan: " in line]
    status = machine.status()
    broken, files = status["broken"], status["lanes"][0]["last_scan"]["files"]
    assert broken
    assert f"First scan: {files:,} files, " in line
    assert f"in 4 folders; {broken} broken" in line
    assert line.endswith("(comfy-inventory find --status any)")
    assert f"{LORAS}/broken.safetensors" in machine.run("find", "--status", "any").stdout
    assert "First scan" not in machine.run("scan").stderr


def test_loss_is_held_and_committed_when_it_lasts(scanned: Machine) -> None:
    lose(scanned)
    done = scanned.run("scan", "--hold-wait", "1s", "--json")
    assert parsed(done)["kinds"] == {"deleted": 20}
    lines = scanned.changes()
    assert told(lines) == [("deleted", f"{LORAS}/{number:02}.safetensors") for number in range(20)]
    assert {line["scan"] for line in lines} == {3}


def test_loss_that_comes_back_was_never_a_change(scanned: Machine) -> None:
    known = scanned.inventory()
    folder = scanned.work / LORAS
    folder.rename(scanned.work / "away")
    folder.mkdir()
    scanned.run("scan", "--hold-wait", "0", expect=3)
    assert scanned.inventory() == known
    held = scanned.status()["holds"]
    assert [(hold["files"], hold["needs_accept"]) for hold in held] == [(24, False)]
    assert_valid(scanned)
    folder.rmdir()
    (scanned.work / "away").rename(folder)
    scanned.run("scan", "--exit-code", "--hold-wait", "0")
    assert scanned.changes() == []
    assert scanned.inventory() == known


def test_workspace_of_comfy_cli_is_used_and_told(machine: Machine) -> None:
    workspace = machine.home / "comfy" / "ComfyUI"
    workspace.parent.mkdir()
    (machine.work / "ComfyUI").rename(workspace)
    base = machine.home
    folder = ("Library", "Application Support") if sys.platform == "darwin" else (".config",)
    write(
        base.joinpath(*folder, "comfy-cli", "config.ini"),
        f"[DEFAULT]\ndefault_workspace = {workspace}\n",
    )
    for command in ("scan", "roots"):
        done = machine.run(command)
        said = [line for line in done.stderr.splitlines() if "comfy-cli" in line]
        assert len(said) == 1
        assert str(workspace) in said[0]
    header = read_header(machine.output)
    assert header is not None
    assert header["base"] == str(workspace.parent)
    assert f"{LORAS}/00.safetensors" in machine.output.read_text()
    # Where another root is given, a missing ./ComfyUI is not mentioned.
    (machine.home / ".config").rename(machine.home / ".other")
    (machine.work / "mine").mkdir()
    done = machine.run("scan", "--extra", "mine", "--output", "mine.json")
    assert "ComfyUI" not in done.stderr


def test_bare_models_folder_needs_no_comfyui(machine: Machine) -> None:
    done = machine.run("scan", "--models", LORAS.rpartition("/")[0], "--output", "nas.json")
    assert "warning" not in done.stderr.lower()


def test_everything_that_is_hard_to_list_is_listed(
    hard: Machine, unprivileged: tuple[str, ...], closing: list[Path]
) -> None:
    loras = hard.work / LORAS
    write(loras / "closed" / "inside", "inside")
    (loras / "closed").chmod(0o000)
    closing.append(loras / "closed")
    output = loras / "comfy_inventory.json"
    arguments = ("scan", "--output", output)
    hard.output = output
    hard.run(*arguments, expect=3, through=unprivileged)
    assert_valid(hard)
    entries = {os.fsencode(native(e, str(hard.work))): e for e in read_entries(output)}
    top = os.fsencode(loras)
    # Everything but our own files, what is closed, and what is below links.
    expected = {os.path.join(top, os.fsencode(name)) for name in os.listdir(loras)}
    expected -= {path for path in expected if b"comfy_inventory" in path}
    direct = {path for path in entries if os.path.dirname(path) == top}
    assert direct == expected
    assert not [path for path in entries if b"comfy_inventory." in path]
    names = [name for name in HARD_NAMES if os.path.join(top, name) in expected]
    for name in names:
        entry = entries[os.path.join(top, name)]
        assert entry["type"] == "file"
        assert entries[os.path.join(top, name + b".d", b"inner")]["type"] == "file"
        try:
            name.decode()
        except UnicodeDecodeError:
            assert base64.b64decode(entry["path_b64"]) == os.fsencode(LORAS) + b"/" + name
            assert "\ufffd" in entry["path"]
        else:
            assert entry["path"] == f"{LORAS}/{name.decode()}"
            assert "path_b64" not in entry

    def seen(name: str) -> dict[str, Any]:
        return entries[os.path.join(top, os.fsencode(name))]

    assert seen("pipe")["type"] == "other"
    for link in ("loop", "loop above", "link 1", "link 2"):
        assert (seen(link)["type"], seen(link)["leads_to"]) == ("symlink", "directory")
    for link, target in (("broken", "nowhere"), ("circle", "circle")):
        assert (seen(link)["type"], seen(link)["target"]) == ("symlink", target)
        assert "leads_to" not in seen(link)
    assert seen("link to a file")["size"] == len("shared")
    assert seen("link 1/deep/one.safetensors").get("alias_of") is None
    assert seen("link 2/deep/one.safetensors")["alias_of"] == f"{LORAS}/link 1/deep/one.safetensors"
    assert not [path for path in entries if path.startswith(os.path.join(top, b"loop"))][2:]
    assert seen("00.safetensors")["mtime"] == "1969-12-31T23:59:58.500000000Z"
    assert seen("01.safetensors")["mtime"] == "2242-03-16T12:56:32.000000001Z"


def test_scan_imports_no_scheduler(scanned: Machine) -> None:
    heavy = {"apscheduler", "tzlocal", "psutil", "yaml", "jsonschema", "pydantic"}
    assert not imported(scanned, "scan") & (heavy | EVENT_WATCHERS)
    write(scanned.work / "ComfyUI" / "extra_model_paths.yaml", "mine:\n  loras: /nowhere/loras\n")
    assert "yaml" in imported(scanned, "roots")
