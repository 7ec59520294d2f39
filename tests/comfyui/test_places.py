"""ComfyUI is found where comfy-cli, both generations of Desktop and the portable put it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.comfyui import places
from scanner.comfyui.places import COMFY_CLI, DESKTOP, FOUND, HERE, Installation, installations
from scanner.disk.read_with_timeout import SILENT, ReadResult
from tests.support.machine import write

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the places of Linux, made in a home folder"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def comfy(folder: Path) -> str:
    write(folder / "main.py", "")
    (folder / "models").mkdir(exist_ok=True)
    return str(folder)


def found(cwd: Path, home: Path) -> list[Installation]:
    cwd.mkdir(parents=True, exist_ok=True)
    return [
        place
        for place in installations(str(cwd), str(home), {})
        if place.path.startswith(str(home.parent))  # and not in /opt of this machine
    ]


@pytest.mark.parametrize(
    ("cwd", "folder"),
    [
        (".", "."),
        (".", "ComfyUI"),
        (".", "ComfyUI-master"),
        (".", "ComfyUI_windows_portable/ComfyUI"),
        ("custom_nodes", "."),
        ("beside", "ComfyUI"),
    ],
)
def test_here(tmp_path: Path, home: Path, cwd: str, folder: str) -> None:
    path = comfy(tmp_path / "work" / folder)
    assert found(tmp_path / "work" / cwd, home) == [Installation(path, HERE, {"comfy_root": path})]


def test_what_scan_would_take_here_needs_one_sign_only(tmp_path: Path, home: Path) -> None:
    (tmp_path / "work" / "ComfyUI" / "models").mkdir(parents=True)
    assert [place.path for place in found(tmp_path / "work", home)] == [f"{tmp_path}/work/ComfyUI"]


def test_a_program_with_one_sign_is_no_comfyui(tmp_path: Path, home: Path) -> None:
    write(tmp_path / "work" / "main.py", "")
    write(tmp_path / "work" / "comfy-tools" / "main.py", "")
    (tmp_path / "work" / "comfy-data" / "models").mkdir(parents=True)
    assert not found(tmp_path / "work", home)


@pytest.mark.parametrize(
    "folder",
    ["ComfyUI", "comfy/ComfyUI", "Documents/ComfyUI", "Downloads/ComfyUI_windows_portable/ComfyUI"],
)
def test_usual_places(tmp_path: Path, home: Path, folder: str) -> None:
    path = comfy(home / folder)
    assert found(tmp_path / "work", home) == [Installation(path, FOUND, {"comfy_root": path})]


def test_those_here_come_first_and_each_once(tmp_path: Path, home: Path) -> None:
    here, workspace = comfy(tmp_path / "work" / "ComfyUI"), comfy(home / "ComfyUI")
    (home / "comfy").mkdir()
    (home / "comfy" / "ComfyUI").symlink_to(home / "ComfyUI")
    write(
        home / ".config" / "comfy-cli" / "config.ini",
        f"[DEFAULT]\ndefault_workspace = {home}/comfy/ComfyUI\n",
    )
    assert [(place.path, place.source) for place in found(tmp_path / "work", home)] == [
        (here, HERE),
        (f"{home}/comfy/ComfyUI", COMFY_CLI),
    ]
    assert workspace


def test_the_first_desktop(tmp_path: Path, home: Path) -> None:
    base = home / "AI" / "base"
    (base / "models").mkdir(parents=True)
    data = home / ".config" / "ComfyUI"
    write(data / "config.json", json.dumps({"basePath": str(base)}))
    assert found(tmp_path / "work", home) == [
        Installation(str(base), DESKTOP, {"comfy_root": str(base)})
    ]
    write(data / "extra_models_config.yaml", "{}")
    values = {
        "comfy_root": str(base),
        "extra_model_paths_config": [f"{data}/extra_models_config.yaml"],
    }
    assert found(tmp_path / "work", home) == [Installation(str(base), DESKTOP, values)]


def desktop_2(home: Path, **record: Any) -> tuple[Path, str]:
    data = home / ".config" / "Comfy Desktop"
    path = comfy(home / "ComfyUI-Installs" / "main" / "ComfyUI")
    installed = {"id": "inst-1", "installPath": str(Path(path).parent), **record}
    write(data / "installations.json", json.dumps([installed, {"id": 3}, None]))
    shared = {"inputDir": "/shared/input", "outputDir": "/shared/output"}
    write(data / "settings.json", json.dumps(shared))
    write(data / "shared_model_paths.yaml", "{}")
    return data, path


def test_the_second_desktop_with_what_it_shares(tmp_path: Path, home: Path) -> None:
    data, path = desktop_2(home)
    values = {
        "comfy_root": path,
        "extra_model_paths_config": [f"{data}/shared_model_paths.yaml"],
        "input_directory": "/shared/input",
        "output_directory": "/shared/output",
    }
    assert found(tmp_path / "work", home) == [Installation(path, DESKTOP, values)]
    # Found here, it is told as here, with what Desktop knows.
    assert found(Path(path), home) == [Installation(path, HERE, values)]


def test_the_second_desktop_with_folders_of_its_own(tmp_path: Path, home: Path) -> None:
    data, path = desktop_2(home, useSharedInput=False, useSharedOutput=False, outputDir="/own")
    write(data / "instance-model-paths" / "inst-1.yaml", "{}")
    values = {
        "comfy_root": path,
        "extra_model_paths_config": [f"{data}/instance-model-paths/inst-1.yaml"],
        "output_directory": "/own",
    }
    assert found(tmp_path / "work", home) == [Installation(path, DESKTOP, values)]


@pytest.mark.parametrize(
    "content",
    ["", "{", "3", "null", '[{"installPath": 3}]', '[{"installPath": "a\\u0000"}]', "[" * 9999,
     '[{"installPath": "/\\ud800"}]', '{"basePath": "relative"}', '{"basePath": "/no/such"}'],
)  # fmt: skip
def test_damaged_files_of_desktop_are_no_error(tmp_path: Path, home: Path, content: str) -> None:
    for folder in ("ComfyUI", "Comfy Desktop"):
        for name in ("config.json", "installations.json", "settings.json"):
            write(home / ".config" / folder / name, content)
    assert not found(tmp_path / "work", home)


def test_mounts_that_do_not_answer_are_left_out(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comfy(home / "ComfyUI")
    monkeypatch.setattr(places, "list_with_timeout", lambda path: (SILENT, []))
    monkeypatch.setattr(places, "read_with_timeout", lambda path: ReadResult(SILENT))
    assert not found(tmp_path / "work", home)
