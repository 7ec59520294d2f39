"""Every query of docs/recipes.md runs, and finds what the inventory holds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from scanner.output.inventory_reader import read_entries
from tests.support.fuzz_headers import safetensors_file, tensor
from tests.support.machine import CHECKOUT, Machine, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the recipes are for a shell"),
    pytest.mark.xdist_group("recipes"),
]

PAGE = (CHECKOUT / "docs" / "recipes.md").read_text(encoding="utf-8")

RECIPES: dict[str, tuple[str, str]] = {
    name: (language, text)
    for name, language, text in re.findall(
        r"^<!-- recipe: ([^\n]+?) -->\n```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
}
"""Language and text of each recipe, by its name: a tool and a question."""

QUERIES = [name for name in RECIPES if not name.endswith("entries")]

PACKAGES = {
    "jq": "Debian's package jq",
    "pandas": "the extra `recipes`",
    "duckdb": "the extra `recipes`",
    "sqlite": "the extra `recipes`",
    "datasette": "the extra `recipes`",
}
"""The tools, and what has them."""

LAYER = "lora_unet_output_blocks_3_1_transformer_blocks_1_attn2_to_k.lora_down.weight"

Rows = list[tuple[object, ...]]
"""Rows that a query must print: of each, all members in one line."""

_DUCKDB = """
import sys, duckdb
_, start, *queries = sys.argv
duckdb.sql(start)
for name, query in zip(queries[::2], queries[1::2]):
    print(name)
    for row in duckdb.sql(query).fetchall():
        print(*row, sep="\\t")
"""


def lora(width: int, rank: int = 1) -> bytes:
    """A LoRA for SDXL (2048) or SD 1.5 (768)."""
    size = 2 * width * rank
    return safetensors_file({LAYER: tensor("F16", [rank, width], 0, size)}, size)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """An installation after two scans: with links, copies, a model in two files, and changes."""
    machine = Machine(tmp_path_factory.mktemp("recipes"))
    machine.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{machine.environ['PATH']}"
    models = machine.work / "ComfyUI" / "models"
    write(models / "loras" / "ink.safetensors", lora(2048))
    write(models / "loras" / "old" / "copy.safetensors", lora(2048))
    write(models / "loras" / "small.safetensors", lora(768))
    write(models / "checkpoints" / "set-00001-of-00002.safetensors", lora(768, 2))
    write(models / "checkpoints" / "set-00002-of-00002.safetensors", lora(768, 3))
    write(models / "checkpoints" / "gone.txt", "gone")
    write(machine.work / "ComfyUI" / "output" / "picture.png", b"x" * 5000)
    for folder in ("input", "custom_nodes"):
        (machine.work / "ComfyUI" / folder).mkdir()
    os.symlink(models / "loras" / "ink.safetensors", models / "loras" / "link.safetensors")
    os.link(models / "loras" / "small.safetensors", models / "loras" / "hard.safetensors")
    os.symlink(models / "loras" / "old", models / "checkpoints" / "linked")
    scan = ("scan", "--comfy-root", "ComfyUI")
    machine.run(*scan)
    (models / "checkpoints" / "gone.txt").unlink()
    (models / "loras" / "old" / "copy.safetensors").rename(models / "loras" / "new.safetensors")
    write(models / "vae" / "note.txt", "new")
    machine.run(*scan)
    machine.run("hash", "ComfyUI/models/loras")
    machine.run(*scan)
    _add_old_line(machine.journal)
    yield machine


def _add_old_line(journal: Path) -> None:
    """Put a line of some days ago at the beginning of the change list."""
    text = journal.read_bytes()
    line = json.loads(text.splitlines()[-1])
    old = {**line, "time": "2026-01-01T00:00:00.000000000Z", "path": "ComfyUI/long_ago.txt"}
    journal.write_bytes(json.dumps(old).encode() + b"\n" + text)


def entries(machine: Machine) -> list[dict[str, Any]]:
    """The entries that count."""
    return [entry for entry in read_entries(machine.output) if "alias_of" not in entry]


def size_of(entry: Mapping[str, Any]) -> int:
    size: int = entry["set"]["bytes"] if "set" in entry else entry["size"]
    return size


def folders(machine: Machine) -> Rows:
    found = [entry for entry in entries(machine) if entry["type"] == "directory"]
    found.sort(key=lambda entry: -entry["total_size"])
    return [(entry["total_size"], entry["path"]) for entry in found if entry["total_size"]]


def kinds(machine: Machine) -> Rows:
    sizes: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for entry in entries(machine):
        if model := entry.get("model"):
            sizes[model["kind"], model["base_model"]].append(size_of(entry))
    return [(*names, sum(found), len(found)) for names, found in sizes.items()]


def duplicates(machine: Machine) -> Rows:
    paths: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for entry in entries(machine):
        if "hash" in entry:
            paths[entry["hash"], entry["size"]].append(entry["path"])
    return [
        (size * (len(found) - 1), *found) for (_, size), found in paths.items() if len(found) > 1
    ]


def changes(machine: Machine) -> Rows:
    lines = [line for line in machine.changes() if line["path"] != "ComfyUI/long_ago.txt"]
    return [(line["kind"], line["path"], line.get("from", "")) for line in lines]


def unhashed(machine: Machine) -> Rows:
    return [(e["path"],) for e in entries(machine) if "model" in e and "hash" not in e]


def categories(machine: Machine) -> Rows:
    sizes: defaultdict[str, int] = defaultdict(int)
    for entry in entries(machine):
        if "size" in entry:
            sizes[entry.get("category", "")] += entry["size"]
    return [(category, size) for category, size in sizes.items()]


EXPECTED = {
    "folders": folders,
    "kinds": kinds,
    "duplicates": duplicates,
    "changes": changes,
    "unhashed": unhashed,
    "categories": categories,
}


def need(tool: str) -> None:
    """Skip if `tool` is not installed. Where all is to be tested, it has to be."""
    name = {"sqlite": "sqlite_utils"}.get(tool, tool)
    if shutil.which("jq") if tool == "jq" else find_spec(name):
        return
    reason = f"{tool} is not installed: {PACKAGES[tool]}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def printed(machine: Machine, *command: str) -> list[str]:
    done = subprocess.run(
        command,
        cwd=machine.work,
        env={key: value for key, value in machine.environ.items() if not key.startswith("PYTHON")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def in_shell(machine: Machine, text: str) -> list[str]:
    return printed(machine, "sh", "-euc", text)


@cache
def answers(machine: Machine, tool: str) -> dict[str, list[str]]:
    """The lines that each query of a tool prints, in one process where the tool allows that."""
    if tool == "datasette":
        answers(machine, "sqlite")  # this makes the database
    in_shell(machine, RECIPES["entries"][1])
    _, start = RECIPES.get(f"{tool} entries", ("sh", ""))
    queries = {name: RECIPES[name] for name in QUERIES if name.split()[0] == tool}
    (language,) = {language for language, _ in queries.values()}
    if language == "sql":
        arguments = [part for name, (_, text) in queries.items() for part in (name, text)]
        lines = printed(machine, sys.executable, "-c", _DUCKDB, start, *arguments)
    elif language == "python":
        code = "".join(f"print({name!r})\n{text}" for name, (_, text) in queries.items())
        lines = printed(machine, sys.executable, "-c", start + code)
    else:
        code = "".join(f"echo '{name}'\n{text}" for name, (_, text) in queries.items())
        lines = in_shell(machine, start + code)
    found: dict[str, list[str]] = {}
    for line in lines:
        if line in queries:
            found[line] = []
        elif found:
            found[next(reversed(found))].append(line)
    return found


def test_every_tool_answers_every_question() -> None:
    tools = ("jq", "pandas", "duckdb", "sqlite")
    asked = {f"{tool} {question}" for tool in tools for question in EXPECTED}
    assert set(QUERIES) == asked | {"datasette categories"}
    assert PAGE.count("```") == 2 * len(RECIPES)


def test_the_sample_has_an_answer_to_every_question(machine: Machine) -> None:
    assert {question: len(rows(machine)) for question, rows in EXPECTED.items()} == {
        "folders": 3,
        "kinds": 2,
        "duplicates": 1,
        "changes": 5,
        "unhashed": 1,
        "categories": 4,
    }
    files = [path for path in (machine.work / "ComfyUI").rglob("*") if path.is_file()]
    sizes = {(path.stat().st_dev, path.stat().st_ino): path.stat().st_size for path in files}
    assert sum(int(str(size)) for _, size in categories(machine)) == sum(sizes.values())


@pytest.mark.parametrize("name", QUERIES)
def test_recipe(machine: Machine, name: str) -> None:
    tool, question = name.split()
    need(tool)
    lines = answers(machine, tool)[name]
    rows = EXPECTED[question](machine)
    for row in rows:
        words = [word for word in map(str, row) if word]
        patterns = [rf"(?<![\w.]){re.escape(word)}(?![\w/])" for word in words]
        found = [line for line in lines if all(re.search(each, line) for each in patterns)]
        assert len(found) == 1, (row, lines)
    text = "\n".join(lines)
    assert "baseline" not in text and "long_ago" not in text
    for entry in read_entries(machine.output):
        if "alias_of" in entry and question != "changes":
            assert entry["path"] not in text


def test_the_entries_are_those_of_the_inventory(machine: Machine) -> None:
    in_shell(machine, RECIPES["entries"][1])
    lines = (machine.work / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == list(read_entries(machine.output))
