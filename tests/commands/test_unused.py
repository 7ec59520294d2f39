"""`unused` and `used-by` on trees where it is known what names what."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from scanner.commands.unused.names import Texts
from tests.support.installation import KINDS, imported, parsed
from tests.support.machine import Machine

OLD = 1_600_000_000
CATEGORIES = ("loras", "checkpoints", "vae", "embeddings", "upscale_models", "unet")
INPUTS = {"loras": "lora_name", "checkpoints": "ckpt_name", "vae": "vae_name",
          "upscale_models": "model_name", "unet": "unet_name"}  # fmt: skip


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (OLD, OLD))
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + zlib.crc32(kind + data).to_bytes(4, "big")


def picture(key: str, text: str) -> bytes:
    texts = chunk(b"tEXt", key.encode() + b"\0" + text.encode())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + texts + chunk(b"IEND", b"")


def ui(value: object, **node: Any) -> dict[str, Any]:
    first = {"id": 1, "type": "Any", "mode": 0, "widgets_values": [value, 1.0], **node}
    return {"nodes": [first], "links": []}


class Comfy:
    """An installation whose user folder exists."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.top = machine.work / "ComfyUI"
        shutil.rmtree(self.top / "models")
        for kind in KINDS:
            (self.top / kind).mkdir(parents=True, exist_ok=True)
        self.flows = self.top / "user" / "default" / "workflows"
        self.flows.mkdir(parents=True)

    def model(self, name: str, category: str = "loras", size: int = 100) -> str:
        put(self.top / "models" / category / name, os.urandom(size))
        return name

    def flow(self, name: str, document: object) -> None:
        put(self.flows / name, json.dumps(document).encode())

    def scan(self) -> None:
        self.machine.run("scan")
        self.machine.run("scan")

    def unused(self, *options: str) -> dict[str, Any]:
        return parsed(self.machine.run("unused", "--json", *options))

    def names(self, *options: str) -> set[str]:
        return {each["name"] for each in self.unused(*options)["unused"]}


@pytest.fixture
def comfy(machine: Machine) -> Comfy:
    return Comfy(machine)


def random_trace(comfy: Comfy, chance: random.Random, category: str, name: str, at: int) -> None:
    """Name a model in one of the ways in which people and programs do."""
    bare = name.rpartition("/")[2].rpartition(".")[0]
    written = chance.choice([name, name.replace("/", "\\"), name.upper(), f"other/{name}"])
    api = {"1": {"class_type": "X", "inputs": {INPUTS.get(category, "any"): written}}}
    documents: list[object] = [
        ui(written),
        ui(written, mode=chance.choice([2, 4])),
        api,
        {"prompt": api},
        ui({"on": True, "lora": written, "strength": 1}),
        ui(bare),
        ui(f"a cat <lora:{bare}:0.7> and embedding:{bare}, nice"),
        ui(0, properties={"models": [{"name": written, "url": "x", "directory": "loras"}]}),
        ui(f"see https://x/{name.rpartition('/')[2]} for more\nof it", type="Note"),
        {"definitions": {"subgraphs": [{"id": "s", "nodes": ui(written)["nodes"]}]}, "nodes": []},
    ]
    text = json.dumps(chance.choice(documents))
    if chance.random() < 0.5:
        comfy.flow(f"sub{at % 3}/{at}.json", json.loads(text))
    else:
        key = chance.choice(["workflow", "prompt"])
        put(comfy.top / "output" / f"{at % 4}" / f"p{at}.png", picture(key, text))


@pytest.mark.parametrize("seed", range(3))
def test_no_model_that_anything_names_is_in_the_list(comfy: Comfy, seed: int) -> None:
    chance = random.Random(seed)
    named, never = set(), set()
    for number in range(60):
        category = chance.choice(CATEGORIES)
        folder = chance.choice(["", "sub/", "Deep er/x.y/"])
        name = f"{folder}Model {number:02}-{chance.choice('abc')}v1.5.safetensors"
        comfy.model(name, category)
        if chance.random() < 0.6:
            named.add(name)
            random_trace(comfy, chance, category, name, number)
        else:
            never.add(name)
    comfy.scan()
    document = comfy.unused()
    assert document["complete"]
    assert {each["name"] for each in document["unused"]} == never
    assert document["models"] == 60
    for name in sorted(named):
        answer = parsed(comfy.machine.run("used-by", name, "--json"))
        assert answer["count"] >= 1, name


def test_list_says_what_is_not_read_and_then_gives_no_script(comfy: Comfy) -> None:
    comfy.model("a.safetensors")
    comfy.flow("f.json", ui("a.safetensors"))
    comfy.machine.run("scan", environ={"COMFY_INVENTORY_BACKLOG_TIME": "0"})
    document = comfy.unused()
    assert (document["left"], document["complete"], document["since"]) == (1, False, None)
    done = comfy.machine.run("unused")
    assert "1 file is not read yet, and may name models of it." in done.stderr
    refused = comfy.machine.run("unused", "--script", "move", "--to", "x", expect=3)
    assert "No script yet. This list is not complete" in refused.stderr
    assert refused.stdout == ""
    comfy.scan()
    assert comfy.unused()["unused"] == []


def test_without_any_workflow_the_list_says_so(comfy: Comfy) -> None:
    comfy.model("a.safetensors")
    comfy.scan()
    assert "No saved workflow and no output is known" in comfy.machine.run("unused").stderr
    assert not comfy.unused()["complete"]


def test_a_folder_that_is_away_may_hold_more_names(comfy: Comfy) -> None:
    comfy.model("a.safetensors")
    comfy.model("b.safetensors")
    comfy.flow("f.json", ui("b.safetensors"))
    put(comfy.top / "output" / "p.png", picture("prompt", json.dumps(ui("a.safetensors"))))
    comfy.scan()
    (comfy.top / "output").rename(comfy.machine.work / "away")
    comfy.machine.run("scan", expect=3)
    document = comfy.unused()
    assert document["unused"] == []
    assert not document["complete"]
    assert "cannot be read whole now" in comfy.machine.run("unused").stderr
    comfy.machine.run("unused", "--script", "move", "--to", "x", expect=3)


def test_last_trace_is_told_once_it_is_gone(comfy: Comfy) -> None:
    comfy.model("sub/a.safetensors")
    comfy.flow("f.json", ui("sub/a.safetensors"))
    comfy.flow("other.json", ui("b.safetensors"))
    comfy.scan()
    assert comfy.names() == set()
    (comfy.flows / "f.json").unlink()
    comfy.scan()
    (model,) = comfy.unused()["unused"]
    assert model["last"]["path"] == "ComfyUI/user/default/workflows/f.json"
    assert model["last"]["until"] > comfy.unused()["since"]
    shown = comfy.machine.run("unused").stdout
    assert "last named by ComfyUI/user/default/workflows/f.json" in shown


def test_a_link_that_is_named_keeps_its_file(comfy: Comfy) -> None:
    comfy.model("real.safetensors")
    (comfy.top / "models/loras/link.safetensors").symlink_to("real.safetensors")
    comfy.flow("f.json", ui("link.safetensors"))
    comfy.scan()
    assert comfy.names() == set()


def test_filters_and_exit_code(comfy: Comfy) -> None:
    comfy.model("a.safetensors", "loras", 10)
    comfy.model("b.safetensors", "vae", 2000)
    comfy.flow("f.json", ui("c.safetensors"))
    comfy.scan()
    assert comfy.names() == {"a.safetensors", "b.safetensors"}
    assert comfy.names("--category", "loras") == {"a.safetensors"}
    assert comfy.names("--least", "1kB") == {"b.safetensors"}
    assert comfy.names("-n", "1") == {"b.safetensors"}
    comfy.machine.run("unused", "--exit-code", expect=1)
    comfy.machine.run("used-by", "a", "--exit-code")
    comfy.machine.run("used-by", "c.safetensors", "--exit-code", expect=1)
    for wrong in (["--to", "x"], ["--script", "move"], ["--script", "burn", "--to", "x"],
                  ["--script", "move", "--to", "x", "--json"]):  # fmt: skip
        comfy.machine.run("unused", *wrong, expect=2)


def moved_by_script(comfy: Comfy, to: Path) -> subprocess.CompletedProcess[bytes]:
    script = comfy.machine.run("unused", "--script", "move", "--to", str(to)).stdout
    path = comfy.machine.home / "move.sh"
    path.write_text(script)
    return subprocess.run(["sh", path], capture_output=True, check=False, timeout=60)


def test_script_moves_with_sub_folders_and_overwrites_nothing(comfy: Comfy) -> None:
    for name in ("s u'b/a.safetensors", "b.safetensors", "changed.safetensors", "c.safetensors"):
        comfy.model(name)
    comfy.flow("f.json", ui("kept.safetensors"))
    comfy.model("kept.safetensors")
    comfy.scan()
    loras, to = comfy.top / "models/loras", comfy.machine.work / "away"
    content = (loras / "s u'b/a.safetensors").read_bytes()
    put(to / "models/loras/b.safetensors", b"mine")
    (loras / "changed.safetensors").write_bytes(b"other")
    os.link(loras / "c.safetensors", loras / "c2.bin")
    done = moved_by_script(comfy, to)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines()[-1] == "1 moved (100 bytes), 3 skipped, 0 failed."
    assert (to / "models/loras/s u'b/a.safetensors").read_bytes() == content
    assert not (loras / "s u'b/a.safetensors").exists()
    assert (to / "models/loras/b.safetensors").read_bytes() == b"mine"
    for stays in ("b", "changed", "c", "kept"):
        assert (loras / f"{stays}.safetensors").exists()


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs another disk")
def test_script_carries_to_another_disk(comfy: Comfy, request: pytest.FixtureRequest) -> None:
    to = Path(f"/dev/shm/comfy-inventory-{os.getpid()}")
    request.addfinalizer(lambda: subprocess.run(["rm", "-rf", to], check=True))
    comfy.model("a.safetensors", size=100_000)
    comfy.flow("f.json", ui("b.safetensors"))
    comfy.scan()
    source = comfy.top / "models/loras/a.safetensors"
    content, mtime = source.read_bytes(), os.stat(source).st_mtime
    done = moved_by_script(comfy, to)
    assert done.returncode == 0, done.stderr
    target = to / "models/loras/a.safetensors"
    assert (target.read_bytes(), os.stat(target).st_mtime) == (content, mtime)
    assert not source.exists()
    assert os.listdir(target.parent) == ["a.safetensors"]


def test_used_by_has_exact_matches_first(comfy: Comfy) -> None:
    comfy.model("sub/a.safetensors")
    comfy.flow("z exact.json", {"1": {"class_type": "LoraLoader",
                                      "inputs": {"lora_name": "sub\\a.safetensors"}}})  # fmt: skip
    comfy.flow("a similar.json", ui("else/a.safetensors"))
    comfy.flow("b off.json", ui("sub/a.safetensors", type="LoraLoader", mode=4))
    comfy.flow("none.json", ui("b.safetensors"))
    comfy.scan()
    expected = [("z exact.json", True, True), ("b off.json", True, False),
                ("a similar.json", False, True)]  # fmt: skip
    for model in ("a", "a.safetensors", "sub/a.safetensors", "SUB\\A.safetensors",
                  "ComfyUI/models/loras/sub/a.safetensors"):  # fmt: skip
        answer = parsed(comfy.machine.run("used-by", model, "--json"))
        found = [
            (os.path.basename(each["path"]), each["exact"], each["active"])
            for each in answer["used_by"]
        ]
        assert found == expected
        assert [each["name"] for each in answer["models"]] == ["sub/a.safetensors"]


def test_reading_commands_import_nothing_heavy(comfy: Comfy) -> None:
    comfy.model("a.safetensors")
    comfy.scan()
    for command in (("unused",), ("used-by", "a")):
        names = imported(comfy.machine, *command)
        assert not names & {"pydantic", "yaml", "apscheduler", "scanner.scan", "scanner.service"}


@pytest.mark.parametrize(
    ("name", "text", "is_trace"),
    [
        ("sub/a.safetensors", "a.safetensors", True),
        ("a.safetensors", "x\\y\\A.SafeTensors", True),
        ("a.safetensors", "my_a.safetensors", True),
        ("a.safetensors", "a", True),
        ("a.safetensors", "a [6ce0161689]", True),
        ("a.safetensors", "a.ckpt", True),
        ("cafe\u0301.pt", "caf\u00e9.pt", True),
        ("taesd_encoder.safetensors", "taesd", True),
        ("a.safetensors", "b", False),
        ("a.safetensors", "a.safetensors.bak", False),
        ("ab.safetensors", "b.safetensors", False),
        ("a.safetensors", "", False),
    ],
)
def test_which_texts_are_traces(name: str, text: str, is_trace: bool) -> None:
    assert Texts([text, "noise.safetensors"]).has(name) is is_trace
