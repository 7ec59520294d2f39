"""Node packs on a fake disk, and the log lines about them."""

from __future__ import annotations

from jsonschema import Draft202012Validator

from scanner.comfyui.pack_reader import read_pack
from scanner.core.change_lines import change_lines
from scanner.core.packs import Pack
from scanner.core.roots import Root
from scanner.schemas import load_schema
from tests.support.fakes import FakeFileSystem
from tests.support.world import BASE, World, at

SCHEMA = Draft202012Validator(load_schema("change"))
TOP = at("ComfyUI/custom_nodes")
NODES = Root("custom_nodes", TOP)
ONE, TWO, THREE = ("1" * 40, "2" * 40, "3" * 40)
GITHUB = '[remote "origin"]\n\turl = https://github.com/me/ComfyUI-Foo.git\n'
UNKNOWN = Pack("Foo", "Foo", "unknown", True)
URL = "https://github.com/me/ComfyUI-Foo.git"
CLONED = Pack("ComfyUI-Foo", "Foo", "git", True, "", ONE, URL)


def node(relative: str) -> str:
    return f"{TOP}/{relative}"


def project(version: str = "1.2.0", name: str = "comfyui-foo", more: str = "") -> bytes:
    return f'[project]\nname = "{name}"\nversion = "{version}"\n{more}'.encode()


def write(files: FakeFileSystem, pack: str, **contents: str | bytes) -> None:
    """Files of a pack, by the words in `NAMES` or their own names."""
    for name, content in contents.items():
        path = node(f"{pack}/{NAMES.get(name, name)}")
        files.write(path, content.encode() if isinstance(content, str) else content)


NAMES = {
    "init": "__init__.py",
    "project": "pyproject.toml",
    "tracking": ".tracking",
    "head": ".git/HEAD",
    "config": ".git/config",
    "main": ".git/refs/heads/main",
    "packed": ".git/packed-refs",
    "cnr": ".git/.cnr-id",
    "pointer": ".git",
    "requirements": "requirements.txt",
}


def pack_at(files: FakeFileSystem, relative: str) -> Pack:
    found = read_pack(files, node(relative), is_directory=True)
    assert found is not None
    return found


def log(world: World) -> list[str]:
    """The log lines about packs that the last scan leads to."""
    lines = change_lines(world.result.changes, BASE)
    return [line for line in lines if line.startswith("pack ")]
