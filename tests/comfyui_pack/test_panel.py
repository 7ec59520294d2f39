"""The panel inside ComfyUI: what it needs, reads and answers."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from scanner.core.user_folders import state_folder
from tests.support.machine import Machine, wait_for
from tests.support.world import safetensors

COMFYUI = {"aiohttp", "folder_paths", "server"}

GRAPH: dict[str, Any] = {
    "nodes": [
        {"id": 1, "type": "LoraLoader", "widgets_values": ["missing.safetensors", 1, 1]},
        {"id": 2, "type": "CheckpointLoaderSimple", "widgets_values": ["base.safetensors"]},
    ],
    "links": [],
}


def test_panel_needs_only_comfyui_and_the_standard_library(pack: Path) -> None:
    for path in pack.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            tops = {name.split(".")[0] for name in names}
            assert tops <= COMFYUI | sys.stdlib_module_names, path


def test_program_never_imports_the_panel() -> None:
    scanner = Path(__file__).parents[2] / "scanner"
    for path in scanner.rglob("*.py"):
        if "comfyui_pack" not in path.parts:
            assert "scanner.comfyui_pack" not in path.read_text(), path


def test_panel_has_what_comfyuis_registry_asks_for(pack: Path) -> None:
    import tomllib

    import scanner

    project = tomllib.loads((pack / "pyproject.toml").read_text())
    assert project["project"]["version"] == scanner.__version__
    assert project["project"]["dependencies"] == []
    assert "PublisherId" in project["tool"]["comfy"]
    assert (pack / "LICENSE").read_bytes() == (Path(__file__).parents[2] / "LICENSE").read_bytes()


def test_comfyui_imports_it_without_a_node(
    pack: Path, monkeypatch: pytest.MonkeyPatch, folder_paths: Any
) -> None:
    table = web.RouteTableDef()
    server = ModuleType("server")
    server.PromptServer = SimpleNamespace(  # type: ignore[attr-defined]
        instance=SimpleNamespace(routes=table)
    )
    monkeypatch.setitem(sys.modules, "server", server)
    monkeypatch.setitem(sys.modules, "folder_paths", folder_paths)
    monkeypatch.syspath_prepend(str(pack.parent))
    own = folder_paths.cached_filename_list_
    package = __import__(pack.name)
    try:
        assert package.NODE_CLASS_MAPPINGS == {}
        assert (pack / package.WEB_DIRECTORY / "inventory.js").is_file()
        assert len(table) == 7
        assert folder_paths.cached_filename_list_ is not own
    finally:
        for module in [name for name in sys.modules if name.split(".")[0] == pack.name]:
            del sys.modules[module]


def test_state_folder_is_the_programs(part: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    settings = part("settings")
    assert settings.state_folder("linux", os.environ, os.path.expanduser("~")) == state_folder()
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert settings.state_folder("linux", os.environ, "/home/a") == state_folder()


def test_last_output_is_read_where_no_inventory_is_named(
    part: Any, machine: Machine, tmp_path: Path
) -> None:
    machine.run("scan")
    folder = machine.home / ".local/state/comfy-inventory"
    assert part("settings").last_output(str(folder)) == str(machine.output)
    assert part("settings").last_output(str(tmp_path)) == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"inventory": 1, "max_age": true}', "\x00"])
def test_damaged_settings_are_the_defaults(part: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    assert part("settings").read(str(tmp_path)) == part("settings").Settings()


@pytest.mark.parametrize("text", [b"", b"{}", b'{"schema":9,"entries":[\n]}\n', b"\xff\x00"])
def test_what_is_no_inventory_is_one_sentence(
    part: Any, settings: Path, machine: Machine, text: bytes
) -> None:
    machine.output.write_bytes(text)
    watcher = part("watch").Watcher(str(settings))
    watcher.look()
    watcher.look()
    assert watcher.view.error.startswith(f"{machine.output} cannot be read: ")
    assert "\n" not in watcher.view.error


def test_inventory_that_breaks_off_leaves_the_last_one(
    part: Any, settings: Path, machine: Machine
) -> None:
    machine.run("scan")
    watcher = part("watch").Watcher(str(settings))
    watcher.look()
    whole = watcher.view.library
    machine.output.write_bytes(machine.output.read_bytes().removesuffix(b"]}\n"))
    watcher.look()
    assert watcher.view.library is whole
    assert "it has no end" in watcher.view.error


def test_files_are_read_again_only_when_they_change(
    part: Any, settings: Path, machine: Machine
) -> None:
    machine.run("scan")
    watcher = part("watch").Watcher(str(settings))
    watcher.look()
    library = watcher.view.library
    watcher.look()
    assert watcher.view.library is library


def test_disk_that_hangs_is_said_and_holds_up_no_one(
    part: Any, settings: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.run("scan")
    watch = part("watch")
    watcher = watch.Watcher(str(settings), every=0.01)
    watcher.look()
    hanging = threading.Event()
    monkeypatch.setattr(watch, "SILENT", 0.05)
    # Only for the panel: the same module serves the test's own process.
    slow = SimpleNamespace(**{**vars(os), "stat": lambda path: hanging.wait(20)})
    monkeypatch.setattr(watch, "os", slow)
    try:
        watcher.start()
        told = wait_for(lambda: watcher.view.error, "the error")
        assert "has not answered for" in told
        assert watcher.view.library is not None
    finally:
        watcher.stop()
        hanging.set()


def test_model_that_arrives_whole_is_news_once(part: Any, settings: Path, machine: Machine) -> None:
    machine.run("scan")
    watcher = part("watch").Watcher(str(settings))
    watcher.look()
    assert watcher.view.arrivals == ()
    target = machine.work / "ComfyUI/models/loras/new.safetensors"
    target.write_bytes(safetensors()[:-2])
    machine.run("scan")
    watcher.look()
    assert watcher.view.arrivals == ()
    target.write_bytes(safetensors())
    machine.run("scan")
    machine.run("scan")
    watcher.look()
    assert [each.name for each in watcher.view.arrivals] == ["new.safetensors"]
    machine.run("scan")
    watcher.look()
    assert len(watcher.view.arrivals) == 1


def test_folder_that_is_moved_into_place_brings_all_its_models(
    part: Any, settings: Path, machine: Machine
) -> None:
    downloads = machine.work / "Downloads/pack"
    downloads.mkdir(parents=True)
    for name in ("x", "y"):
        (downloads / f"{name}.safetensors").write_bytes(safetensors() + name.encode())
    machine.run("scan", "--downloads", "Downloads")
    watcher = part("watch").Watcher(str(settings))
    watcher.look()
    downloads.rename(machine.work / "ComfyUI/models/vae")
    machine.run("scan", "--downloads", "Downloads")
    watcher.look()
    new = {each.model.name for each in watcher.view.new}
    assert new == {"x.safetensors", "y.safetensors"}


def test_first_scan_of_a_disk_is_no_arrival(part: Any, settings: Path, machine: Machine) -> None:
    machine.run("scan")
    watcher = part("watch").Watcher(str(settings))
    watcher.look()
    nas = machine.work / "nas/vae"
    nas.mkdir(parents=True)
    (nas / "a.safetensors").write_bytes(safetensors())
    machine.run("scan", "--models", "nas")
    watcher.look()
    assert any(model.name == "a.safetensors" for model in watcher.view.library.models.values())
    assert watcher.view.arrivals == ()


def served(part: Any, panel: Any, talk: Callable[[TestClient], Awaitable[None]]) -> None:
    """Run `talk` with a client of the panel's routes."""

    async def both() -> None:
        application = web.Application()
        table = web.RouteTableDef()
        part("routes").add_routes(table, panel)
        application.add_routes(table)
        async with TestClient(TestServer(application)) as client:
            await talk(client)

    asyncio.run(both())


def test_routes_answer(part: Any, settings: Path, machine: Machine, folder_paths: Any) -> None:
    models = machine.work / "ComfyUI/models"
    (models / "loras/cut.safetensors").write_bytes(safetensors()[:-2])
    machine.run("scan")
    (models / "vae").mkdir()
    (models / "vae/fresh.safetensors").write_bytes(safetensors())
    machine.run("scan")
    panel = part("panel").Panel(str(settings), folder_paths)
    panel.watcher.look()

    async def talk(client: TestClient) -> None:
        async def get(path: str) -> Any:
            response = await client.get(f"/comfy_inventory/{path}")
            assert response.status == 200
            return await response.json()

        state = await get("state?since=1")
        assert state["scan"] == 2
        assert state["error"] == ""
        await get("state?since=x")
        problems = (await get("problems"))["problems"]
        assert state["problems"] == len(problems)
        statuses = {problem["path"]: problem["status"] for problem in problems}
        assert statuses["ComfyUI/models/loras/cut.safetensors"] == "truncated"
        assert [each["name"] for each in (await get("new"))["new"]] == ["fresh.safetensors"]
        drives = await get("drives")
        assert drives["mounts"]
        assert {root["state"] for root in drives["roots"]} <= {"online", "absent"}
        found = (await get("search?q=CHECK+base"))["models"]
        assert [each["path"] for each in found] == ["ComfyUI/models/checkpoints/base.safetensors"]
        assert (await get("search?q="))["models"] == []
        response = await client.post("/comfy_inventory/workflow", json=GRAPH)
        needs = {need["name"]: need["state"] for need in (await response.json())["needs"]}
        assert needs == {"missing.safetensors": "missing", "base.safetensors": "broken"}

    served(part, panel, talk)


def test_bad_requests_are_refused(
    part: Any, settings: Path, machine: Machine, folder_paths: Any
) -> None:
    panel = part("panel").Panel(str(settings), folder_paths)

    async def talk(client: TestClient) -> None:
        assert "error" in await (await client.get("/comfy_inventory/new")).json()
        for path in ("workflow", "fast_lists"):
            # A form, which any page can send to a program on this machine.
            response = await client.post(f"/comfy_inventory/{path}", data=b'{"on": true}')
            assert response.status == 415
            response = await client.post(
                f"/comfy_inventory/{path}",
                data=b"[" * 100_000,
                headers={"Content-Type": "application/json"},
            )
            assert response.status == 400
        response = await client.post("/comfy_inventory/fast_lists", json=["on"])
        assert response.status == 400

    served(part, panel, talk)


def test_documents_without_a_workflow_are_a_sentence(
    part: Any, settings: Path, machine: Machine, folder_paths: Any
) -> None:
    machine.run("scan")
    panel = part("panel").Panel(str(settings), folder_paths)
    panel.watcher.look()

    async def talk(client: TestClient) -> None:
        documents: tuple[Any, ...] = ([], {}, "text", None, 7, {"a": {"b": 1}})
        for document in documents:
            response = await client.post(
                "/comfy_inventory/workflow",
                data=json.dumps(document),
                headers={"Content-Type": "application/json"},
            )
            answer = await response.json()
            assert answer["error"]
            assert answer["needs"] == []

    served(part, panel, talk)


def test_switch_is_kept(part: Any, settings: Path, machine: Machine, folder_paths: Any) -> None:
    panel = part("panel").Panel(str(settings), folder_paths)

    async def talk(client: TestClient) -> None:
        for wanted in (False, True):
            await client.post("/comfy_inventory/fast_lists", json={"on": wanted})
            kept = json.loads((settings / "settings.json").read_text())
            assert kept["fast_lists"] is wanted
            assert kept["inventory"] == str(machine.output)

    served(part, panel, talk)
