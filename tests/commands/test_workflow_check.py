"""`workflow check`: what workflows need, against an installation that was scanned."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scanner.commands.workflow import read_files
from scanner.commands.workflow.read_files import read_workflows
from scanner.disk.child import start_child
from scanner.schemas import load_schema
from scanner.workflows.document import read_text
from scanner.workflows.uses import WorkflowError
from scanner.workflows.variants import variant_of
from tests.support.installation import LORAS
from tests.support.machine import PATIENCE, Machine, write

MODELS = Path("ComfyUI/models")

Loader = tuple[str, str]
"""Class of a loader, and the value of its only widget."""

CATEGORIES = {
    "CheckpointLoaderSimple": "checkpoints",
    "LoraLoaderModelOnly": "loras",
    "VAELoader": "vae",
    "UNETLoader": "diffusion_models",
    "CLIPLoader": "text_encoders",
    "UpscaleModelLoader": "upscale_models",
}


def node(number: int, loader: Loader, mode: int = 0, **hint: str) -> dict[str, Any]:
    models = [{"name": loader[1], "directory": CATEGORIES[loader[0]], **hint}] if hint else []
    return {
        "id": number,
        "type": loader[0],
        "mode": mode,
        "widgets_values": [loader[1]],
        "properties": {"models": models},
    }


def workflow(*nodes: Mapping[str, Any], inside: Iterable[Mapping[str, Any]] = ()) -> str:
    """A workflow as the page saves it; the nodes `inside` stand in a subgraph."""
    document: dict[str, Any] = {"version": 0.4, "nodes": list(nodes), "links": []}
    if inside:
        document["nodes"].append({"id": 99, "type": "sub", "mode": 0})
        graph = {"id": "sub", "nodes": list(inside), "links": [], "inputs": []}
        document["definitions"] = {"subgraphs": [graph]}
    return json.dumps(document)


def write_model(path: Path) -> None:
    """A whole safetensors file of one number."""
    head = json.dumps({"t": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"\0\0")


def checked(machine: Machine, *paths: object, expect: int = 0) -> dict[str, Any]:
    """The data of `workflow check --json`, which fits its schema."""
    done = machine.run("workflow", "check", *paths, "--json", expect=expect)
    data: dict[str, Any] = json.loads(done.stdout)["data"]
    Draft202012Validator(load_schema("workflow")).validate(data)
    return data


def only(data: Mapping[str, Any]) -> dict[str, Any]:
    """The only need of the only workflow."""
    ((need,),) = [each["needs"] for each in data["workflows"]]
    found: dict[str, Any] = need
    return found


# Half of the models


def corpus(folder: Path) -> Path:
    """The official templates where their package is installed, else workflows of our own."""
    spec = importlib.util.find_spec("comfyui_workflow_templates_json")
    if spec and spec.origin:
        return Path(spec.origin).parent / "templates"
    names = [f"model_{number}.safetensors" for number in range(12)]
    for number, loader in enumerate(CATEGORIES):
        one, other = node(1, (loader, names[number])), node(2, (loader, names[number + 1]))
        nested = [node(3, ("VAELoader", names[number + 6]))]
        write(folder / f"{loader}.json", workflow(one, other, inside=nested))
    write(folder / "one.json", workflow(node(1, ("VAELoader", names[1]))))
    write(folder / "notes.json", "{}")
    return folder


def models_in(folder: Path) -> set[tuple[str, str]]:
    """Category and name of all models that the workflows in a folder name."""
    found = set()
    for path in folder.glob("*.json"):
        try:
            needs = read_text(path.read_bytes()).needs()
        except WorkflowError:
            continue
        found |= {(need.category or "", need.name) for need in needs}
    return found


def written_as(kind: str, source: Path, target: Path) -> Path:
    """A folder with files of a kind that hold the workflows in the folder `source`."""
    if kind == "json":
        return source
    from tests.support.media import WRITERS

    target.mkdir()
    for path in source.glob("*.json"):
        text = path.read_text("utf-8")
        if '"nodes"' in text:
            media = WRITERS[kind]({"workflow": text, "prompt": "{}"})
            (target / f"{path.stem}.{kind}").write_bytes(media)
    return target


@pytest.mark.parametrize("kind", ["json", "png", "webp", "mp4"])
def test_exactly_the_other_half_is_missing(machine: Machine, tmp_path: Path, kind: str) -> None:
    source = corpus(tmp_path / "corpus")
    models = models_in(source)
    folder = written_as(kind, source, tmp_path / "media")
    # All precisions of a model stand in one half, or those of the other half would be found.
    kinds = sorted({variant_of(name).model for _, name in models})
    here = {(category, name) for category, name in models
            if kinds.index(variant_of(name).model) % 2}  # fmt: skip
    assert len(models) // 3 < len(here) < len(models) * 2 // 3
    for category, name in here:
        write_model(machine.work / MODELS / category / name)
    machine.run("scan", "-q")
    data = checked(machine, folder, expect=1)
    needs = [need for each in data["workflows"] for need in each["needs"]]
    by_state: dict[str, set[tuple[str, str]]] = {}
    for need in needs:
        by_state.setdefault(need["state"], set()).add((need["category"], need["name"]))
    assert by_state == {"present": here, "missing": models - here}
    ready = {each["path"] for each in data["workflows"] if each["ready"]}
    assert data["totals"]["ready"] == len(ready) > 0
    for each in data["workflows"]:
        active = {(n["category"], n["name"]) for n in each["needs"] if n["active"]}
        assert (each["path"] in ready) == (active <= here)


# Into place


def test_a_model_is_present_once_it_was_moved_into_place(machine: Machine) -> None:
    write(machine.work / "a.json", workflow(node(1, ("LoraLoaderModelOnly", "flux/x.safetensors"))))
    write_model(machine.work / "downloads/flux/x.safetensors")
    machine.run("scan", "--downloads", "downloads")
    need = only(checked(machine, "a.json", expect=1))
    assert (need["state"], need["found"]) == ("elsewhere", "downloads/flux/x.safetensors")
    assert "download folder" in need["reason"]
    shutil.move(machine.work / "downloads/flux", machine.work / LORAS / "flux")
    machine.run("scan", "--downloads", "downloads")
    need = only(checked(machine, "a.json"))
    assert (need["state"], need["reason"]) == ("present", "")
    assert need["found"] == f"{LORAS}/flux/x.safetensors"


def test_a_model_on_a_drive_that_is_away_is_offline(machine: Machine) -> None:
    drive = machine.work / "drive"
    write_model(drive / "loras/cold.safetensors")
    yaml = f"cold:\n  base_path: {drive}\n  loras: loras\n"
    write(machine.work / "ComfyUI/extra_model_paths.yaml", yaml)
    write(machine.work / "a.json", workflow(node(1, ("LoraLoaderModelOnly", "cold.safetensors"))))
    machine.run("scan")
    assert only(checked(machine, "a.json"))["state"] == "present"
    drive.rename(machine.work / "unplugged")
    machine.run("scan", expect=3)
    need = only(checked(machine, "a.json", expect=1))
    assert need["state"] == "offline"
    assert "offline since 20" in need["reason"] and need["reason"].endswith(" UTC")


def test_a_file_that_is_cut_off_is_broken(machine: Machine) -> None:
    path = machine.work / LORAS / "cut.safetensors"
    write_model(path)
    path.write_bytes(path.read_bytes()[:-1])
    write(machine.work / "a.json", workflow(node(1, ("LoraLoaderModelOnly", "cut.safetensors"))))
    machine.run("scan")
    need = only(checked(machine, "a.json", expect=1))
    assert need["state"] == "broken" and need["reason"].startswith("truncated")


# Exit codes, and what is not a workflow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An installation with workflows, scanned once."""
    machine = Machine(tmp_path_factory.mktemp("place"))
    lora = ("LoraLoaderModelOnly", "here.safetensors")
    gone = ("VAELoader", "gone.safetensors")
    write_model(machine.work / LORAS / "here.safetensors")
    for folder in ("custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / folder).mkdir()
    saved = machine.work / "saved"
    write(saved / "good.json", workflow(node(1, lora)))
    write(saved / "sub/off.json", workflow(node(1, lora), node(2, gone, mode=4)))
    url = "https://example.org/models/gone.safetensors"
    write(saved / "sub/bad.json", workflow(node(1, lora), node(2, gone, url=url)))
    write(machine.work / "none/package.json", '{"name": "x"}')
    write(machine.work / "torn.json", '{"nodes": [')
    write(machine.work / "list.json", "[1, 2]")
    (machine.work / "empty").mkdir()
    machine.run("scan")
    return machine


@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (("saved/good.json",), 0),
        (("saved/sub/off.json",), 0),
        (("saved/good.json", "saved/sub/off.json"), 0),
        (("saved/sub/bad.json",), 1),
        (("saved",), 1),
        (("saved/good.json", "torn.json"), 1),
        (("saved/good.json", "nowhere.json"), 1),
        (("torn.json",), 2),
        (("list.json",), 2),
        (("torn.json", "nowhere"), 2),
        (("none",), 2),
        (("empty",), 2),
        (("/dev/null",), 2),
    ],
)
def test_exit_code(place: Machine, paths: tuple[str, ...], code: int) -> None:
    done = place.run("workflow", "check", *paths, expect=code)
    document = json.loads(place.run("workflow", "check", *paths, "--json", expect=code).stdout)
    assert document["ok"] == (code < 2)
    if code == 2:
        assert done.stdout == ""
        assert done.stderr.count("\n") == len(paths)
        assert document["error"]["message"] in done.stderr


def test_folders_give_a_matrix(place: Machine) -> None:
    data = checked(place, "saved", "none", "torn.json", expect=1)
    states = {each["path"]: (each["ready"], bool(each["error"])) for each in data["workflows"]}
    assert states == {
        "saved/good.json": (True, False),
        "saved/sub/bad.json": (False, False),
        "saved/sub/off.json": (True, False),
        "torn.json": (False, True),
    }
    assert data["totals"] == {"workflows": 3, "ready": 2, "unreadable": 1, "without": 1}
    assert data["wanted"] == [
        {"name": "gone.safetensors", "category": "vae", "state": "missing", "workflows": 1}
    ]
    shown = place.run("workflow", "check", "saved", "none", "torn.json", expect=1).stdout
    lines = shown.splitlines()
    order = [line.split()[-1] for line in lines[1:5]]
    assert order == ["saved/good.json", "saved/sub/off.json", "saved/sub/bad.json", "torn.json"]
    assert "1 of 2 here" in lines[3] and "gone.safetensors (missing)" in lines[3]
    assert "unreadable" in lines[4]
    assert "3 workflows: 2 with all models here, 1 without; 1 file cannot be read" in shown


def test_one_workflow_is_shown_with_what_can_be_done(place: Machine) -> None:
    shown = place.run("workflow", "check", "saved/sub/bad.json", expect=1).stdout
    lines = shown.splitlines()
    assert lines[1].split() == ["missing", "vae", "gone.safetensors"]
    assert lines[2].split() == ["present", "loras", "here.safetensors"]
    assert "It needs 2 models: 1 present, 1 missing." in lines
    command = (
        "comfy model download --url https://example.org/models/gone.safetensors "
        "--relative-path models/vae"
    )
    assert lines[-1].strip() == command
    need = checked(place, "saved/sub/bad.json", expect=1)["workflows"][0]["needs"][1]
    assert need["command"] == command
    assert (need["node"], need["url"]) == ("2 VAELoader", command.split()[4])


def test_a_name_counts_in_its_category(place: Machine) -> None:
    name = "here.safetensors"
    nodes = node(1, ("LoraLoaderModelOnly", name)), node(2, ("VAELoader", name))
    write(place.work / "both.json", workflow(*nodes))
    needs = checked(place, "both.json", expect=1)["workflows"][0]["needs"]
    assert [(need["category"], need["state"]) for need in needs] == [
        ("loras", "present"),
        ("vae", "elsewhere"),
    ]


def test_what_is_bypassed_is_marked_and_needs_nothing(place: Machine) -> None:
    shown = place.run("workflow", "check", "saved/sub/off.json").stdout
    assert "missing (off)" in shown
    assert "The 1 model that it needs is here." in shown
    assert "comfy model" not in shown
    needs = checked(place, "saved/sub/off.json")["workflows"][0]["needs"]
    assert [need["active"] for need in needs] == [True, False]


def test_standard_input(place: Machine) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scanner", "workflow", "check", "-", "--json"],
        input=(place.work / "saved/good.json").read_bytes(),
        cwd=place.work,
        env=place.environ,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["data"]["workflows"]
    assert (found["path"], found["ready"], len(found["needs"])) == ("-", True, 1)


def test_without_an_inventory(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    write(machine.work / "a.json", workflow())
    done = machine.run("workflow", "check", "a.json", expect=2)
    assert "there is no inventory at" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="such names are POSIX's")
def test_hostile_names_forge_nothing(place: Machine) -> None:
    name = os.fsdecode(b"caf\xe9\n\x1b[2J.json")
    evil = "\x1b]0;x\x07\ud800\nmissing.safetensors"
    loader = node(1, ("VAELoader", "a\x1b[2J\ud800.pt"), url=evil)
    write(place.work / "evil" / name, workflow(loader))
    for options in (("evil",), ("evil", "saved"), (f"evil/{name}",)):
        done = place.run("workflow", "check", *options, expect=1)
        assert "\x1b" not in done.stdout + done.stderr
        data = checked(place, *options, expect=1)
        assert data["workflows"][0]["path_b64"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_in_circles_end(place: Machine) -> None:
    loop = place.work / "loop"
    write(loop / "a.json", workflow())
    (loop / "again").symlink_to(loop)
    (loop / "pipe.json").unlink(missing_ok=True)
    os.mkfifo(loop / "pipe.json")
    data = checked(place, "loop", expect=1)
    assert [each["path"] for each in data["workflows"]] == ["loop/a.json", "loop/pipe.json"]
    assert "no file" in data["workflows"][1]["error"]


# Mounts that hang

HANGS = (
    "import json, sys, time; print(json.dumps(['touch', 0, sys.argv[1]]), flush=True); "
    "time.sleep(60)"
)
DIES = HANGS.replace("time.sleep(60)", "sys.exit(1)")


def test_a_mount_that_hangs_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_files, "SILENCE", 0.5)
    monkeypatch.setattr(read_files, "_READ", HANGS)
    start = time.monotonic()
    reads = read_workflows(["a.json", "b.json"], str(tmp_path))
    assert time.monotonic() - start < 10
    assert [each.path for each in reads.files] == ["a.json", "b.json"]
    assert all("does not answer" in each.error for each in reads.files)


def test_other_mounts_are_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "nas.json", workflow())
    write(tmp_path / "local.json", workflow())
    real, code = start_child, read_files._READ
    codes = iter((HANGS, code))
    monkeypatch.setattr(read_files, "SILENCE", 5)
    monkeypatch.setattr(read_files, "_mount_of", os.path.basename)
    monkeypatch.setattr(read_files, "start_child", lambda _, *paths: real(next(codes), *paths))
    reads = read_workflows(["nas.json", "local.json"], str(tmp_path))
    assert [(each.path, bool(each.error)) for each in reads.files] == [
        ("nas.json", True),
        ("local.json", False),
    ]


def test_a_reader_that_dies_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_files, "_READ", DIES)
    (read,) = read_workflows(["a.json"], str(tmp_path)).files
    assert "ended early" in read.error
