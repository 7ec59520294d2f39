"""The panel as it is installed, imported beside a model of ComfyUI's modules."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scanner.commands.comfyui.assemble import write_pack
from tests.support.machine import Machine

NAME = "inventory_panel_as_installed"


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack") / NAME
    folder.mkdir()
    write_pack(folder)
    return folder


@pytest.fixture
def part(pack: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that imports a module of the panel."""
    monkeypatch.syspath_prepend(str(pack.parent))
    # Its __init__ starts the panel inside ComfyUI; the modules are wanted here.
    package = ModuleType(NAME)
    package.__path__ = [str(pack)]
    sys.modules[NAME] = package
    yield lambda name: importlib.import_module(f"{NAME}.{name}")
    for module in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[module]


@pytest.fixture
def folder_paths(tmp_path: Path) -> Any:
    """ComfyUI's list of folders for `tmp_path/work/ComfyUI`."""
    path = Path(__file__).parents[1] / "support" / "folder_model.py"
    spec = importlib.util.spec_from_file_location("folder_paths_here", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    models = tmp_path / "work/ComfyUI/models"
    for category, folders in (
        ("checkpoints", ["checkpoints"]),
        ("loras", ["loras"]),
        ("diffusion_models", ["unet", "diffusion_models"]),
        ("vae", ["vae"]),
    ):
        module.folder_names_and_paths[category] = (
            [str(models / folder) for folder in folders],
            module.MODELS,
        )
    module.folder_names_and_paths["anything"] = ([str(models / "anything")], set())
    module.folder_names_and_paths["configs"] = ([str(models / "configs")], [".yaml"])
    return module


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    models = machine.work / "ComfyUI/models"
    for name in (
        "checkpoints/base.safetensors",
        "checkpoints/XL/other.SAFETENSORS",
        "checkpoints/XL/notes.txt",
        "checkpoints/.hidden/deep.ckpt",
        "checkpoints/.git/left/out.ckpt",
        "unet/flux.safetensors",
        "diffusion_models/flux.safetensors",
        "diffusion_models/wan.gguf",
        "loras/b.pt",
        "loras/B.pt",
        "loras/\u00e9t\u00e9 \n.pt",
        "anything/no ending",
        "anything/x.json",
        "configs/v1.yaml",
    ):
        path = models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 5)
    for kind in ("custom_nodes", "input", "output"):
        (models.parent / kind).mkdir()
    (models.parent / "main.py").write_text("")
    return machine


@pytest.fixture
def settings(tmp_path: Path, machine: Machine) -> Path:
    """A folder with the panel's settings."""
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "settings.json").write_text(
        json.dumps({"inventory": str(machine.output), "fast_lists": True})
    )
    return folder
