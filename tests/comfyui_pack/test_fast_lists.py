"""Fast lists are ComfyUI's own lists, or none."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.machine import Machine


@pytest.fixture
def panel(part: Any, settings: Path, folder_paths: Any, machine: Machine) -> Any:
    """A panel that has read the first scan, with its wrapper in place."""
    machine.run("scan")
    made = part("panel").Panel(str(settings), folder_paths)
    made.watcher.look()
    made.fast_lists.wrap()
    return made


def change_status(machine: Machine, edit: Any) -> None:
    status = json.loads(machine.status_file.read_text())
    edit(status)
    machine.status_file.write_text(json.dumps(status))


def own_list(folder_paths: Any, category: str) -> list[str]:
    return list(folder_paths.get_filename_list_(category)[0])


def test_every_category_is_what_comfyui_finds(
    machine: Machine, part: Any, settings: Path, folder_paths: Any, tmp_path: Path
) -> None:
    models = machine.work / "ComfyUI/models"
    elsewhere = tmp_path / "disk"
    (elsewhere / "more").mkdir(parents=True)
    (elsewhere / "more/far.safetensors").write_bytes(b"far")
    (elsewhere / "far too.ckpt").write_bytes(b"too")
    (models / "loras/linked").symlink_to(elsewhere)
    (models / "loras/again").symlink_to(elsewhere)
    (models / "loras/file.safetensors").symlink_to(elsewhere / "far too.ckpt")
    (models / "loras/broken.safetensors").symlink_to(elsewhere / "nothing")
    os.mkfifo(models / "loras/pipe.pt")
    (machine.work / "ComfyUI/extra_model_paths.yaml").write_text(
        f"one:\n  base_path: {tmp_path / 'nas'}\n  loras: lo\n  vae: v\n"
    )
    for name in ("lo/x/b.pt", "lo/b.pt", "v/ae.sft"):
        (tmp_path / "nas" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "nas" / name).write_bytes(name.encode())
    folder_paths.folder_names_and_paths["loras"][0].append(str(tmp_path / "nas/lo"))
    folder_paths.folder_names_and_paths["vae"][0].append(str(tmp_path / "nas/v"))
    machine.run("scan")
    panel = part("panel").Panel(str(settings), folder_paths)
    panel.watcher.look()
    panel.fast_lists.wrap()
    for category in folder_paths.folder_names_and_paths:
        folder_paths.walks.clear()
        ours = folder_paths.get_filename_list(category)
        assert folder_paths.walks == [], panel.fast_lists.reason(category)
        assert ours == own_list(folder_paths, category), category
        names, times, at = folder_paths.cached_filename_list_(category)
        assert (type(names), type(times), type(at)) == (list, dict, float)
        assert times.items() <= folder_paths.get_filename_list_(category)[1].items()
    assert len(own_list(folder_paths, "loras")) == 11


def test_legacy_names_are_answered(panel: Any, folder_paths: Any) -> None:
    assert folder_paths.get_filename_list("unet") == own_list(folder_paths, "diffusion_models")


def test_nothing_is_answered_before_a_user_wants_it(
    panel: Any, settings: Path, folder_paths: Any
) -> None:
    (settings / "settings.json").write_text(json.dumps({"inventory": panel.watcher.view.path}))
    panel.watcher.look()
    folder_paths.get_filename_list("loras")
    assert folder_paths.walks


@pytest.mark.parametrize("state", ["offline", "missing", "held"])
def test_comfyui_looks_itself_while_a_folder_is_not_online(
    panel: Any, machine: Machine, folder_paths: Any, state: str
) -> None:
    change_status(machine, lambda status: status["roots"][0].update(state=state))
    panel.watcher.look()
    assert state in panel.fast_lists.reason("loras")
    folder_paths.get_filename_list("loras")
    assert folder_paths.walks


def test_what_hangs_is_answered_with_what_was_there(
    panel: Any, machine: Machine, folder_paths: Any
) -> None:
    def stall(status: Any) -> None:
        status["roots"][0]["state"] = "stalled"
        status["lanes"][0]["last_scan"]["started"] = "2020-01-01T00:00:00.000000000Z"

    change_status(machine, stall)
    panel.watcher.look()
    folder_paths.get_filename_list("loras")
    assert folder_paths.walks == []


@pytest.mark.parametrize("what", ["scan", "status"])
def test_old_facts_are_not_used(panel: Any, machine: Machine, folder_paths: Any, what: str) -> None:
    def age(status: Any) -> None:
        if what == "status":
            status["roots"][0]["state"] = "stalled"
            status["updated"] = "2020-01-01T00:00:00.000000000Z"
        status["lanes"][0]["last_scan"]["started"] = "2020-01-01T00:00:00.000000000Z"

    change_status(machine, age)
    panel.watcher.look()
    folder_paths.get_filename_list("loras")
    assert folder_paths.walks


def test_changes_that_the_inventory_lacks_are_waited_for(
    panel: Any, machine: Machine, folder_paths: Any
) -> None:
    change_status(machine, lambda status: status["journal"].update(scan=99))
    panel.watcher.look()
    assert folder_paths.cached_filename_list_("loras") is None


def test_unknown_folders_and_links_in_a_circle_are_left_to_comfyui(
    machine: Machine, part: Any, settings: Path, folder_paths: Any, tmp_path: Path
) -> None:
    (machine.work / "ComfyUI/models/loras/up").symlink_to("..")
    folder_paths.folder_names_and_paths["checkpoints"][0].append(str(tmp_path / "unknown"))
    machine.run("scan")
    panel = part("panel").Panel(str(settings), folder_paths)
    panel.watcher.look()
    panel.fast_lists.wrap()
    assert folder_paths.cached_filename_list_("loras") is None
    assert "does not have it" in panel.fast_lists.reason("checkpoints")
    assert folder_paths.cached_filename_list_("diffusion_models") is not None


def test_new_file_is_no_difference_until_a_scan_has_missed_it(
    panel: Any, machine: Machine, folder_paths: Any
) -> None:
    lists = panel.fast_lists
    (machine.work / "ComfyUI/models/vae").mkdir()
    (machine.work / "ComfyUI/models/vae/new.pt").write_bytes(b"new")
    lists.compare("vae")
    lists.compare("vae")
    assert not lists.off
    machine.run("scan")
    panel.watcher.look()
    lists.compare("vae")
    assert lists.compared["vae"] == "equal"
    assert not lists.off


def test_first_lasting_difference_switches_them_off(
    panel: Any, machine: Machine, folder_paths: Any
) -> None:
    lists = panel.fast_lists
    machine.run("scan")
    panel.watcher.look()
    lines = machine.output.read_bytes().splitlines(keepends=True)
    machine.output.write_bytes(b"".join(line for line in lines if b"loras/b.pt" not in line))
    panel.watcher.look()
    lists.compare("loras")
    assert not lists.off
    time.sleep(0.01)
    now = time.strftime("%Y-%m-%dT%H:%M:%S.999999999Z", time.gmtime())
    change_status(machine, lambda status: status["lanes"][0]["last_scan"].update(started=now))
    panel.watcher.look()
    lists.compare("loras")
    assert "'b.pt'" in lists.off
    folder_paths.walks.clear()
    assert "b.pt" in folder_paths.get_filename_list("loras")
    assert folder_paths.walks
    panel.want_fast_lists(True)
    assert not lists.off


def test_search_that_fails_is_no_difference(panel: Any, folder_paths: Any) -> None:
    def fail(folder_name: str) -> None:
        raise FileNotFoundError(folder_name)

    folder_paths.get_filename_list_ = fail
    panel.fast_lists.compare("loras")
    assert not panel.fast_lists.off
    assert panel.fast_lists.compared == {}


def test_search_that_hangs_holds_up_no_comparison(panel: Any, folder_paths: Any) -> None:
    folder_paths.get_filename_list_ = lambda folder_name: time.sleep(3)
    begun = time.monotonic()
    panel.fast_lists.compare("loras", deadline=0.05)
    panel.fast_lists.compare("loras", deadline=0.05)
    assert time.monotonic() - begun < 2
    assert not panel.fast_lists.off


def test_unwrap_gives_comfyui_its_function_back(
    part: Any, settings: Path, folder_paths: Any
) -> None:
    own = folder_paths.cached_filename_list_
    panel = part("panel").Panel(str(settings), folder_paths)
    panel.fast_lists.wrap()
    assert folder_paths.cached_filename_list_ is not own
    panel.fast_lists.unwrap()
    assert folder_paths.cached_filename_list_ is own


@pytest.mark.parametrize("change", ["missing", "arguments", "calls"])
def test_other_versions_of_comfyui_are_left_alone(
    part: Any, settings: Path, folder_paths: Any, change: str
) -> None:
    if change == "missing":
        del folder_paths.map_legacy
    elif change == "arguments":
        folder_paths.recursive_search = lambda directory, excluded_dir_names=None, more=0: None
    else:
        folder_paths.get_filename_list = lambda folder_name: []
    own = folder_paths.cached_filename_list_
    panel = part("panel").Panel(str(settings), folder_paths)
    panel.fast_lists.wrap()
    assert folder_paths.cached_filename_list_ is own
    assert panel.fast_state()["off"]


def test_bug_in_the_answer_gives_the_list_back_to_comfyui(panel: Any, folder_paths: Any) -> None:
    panel.watcher._view = panel.watcher.view._replace(status={"roots": []})
    folder_paths.get_filename_list("loras")
    assert folder_paths.walks
    assert "KeyError" in panel.fast_lists.off


def test_folders_of_git_are_left_out_where_the_inventory_has_them(part: Any) -> None:
    paths = ("loras/.git/a.pt", "loras/x/.git/b.pt", "loras/x/c.pt", "loras/.github/d.pt")
    entries = [{"path": path, "type": "file", "category": "loras"} for path in paths]
    folders = ("loras", "loras/.git", "loras/x", "loras/x/.git", "loras/.github")
    entries += [{"path": path, "type": "directory", "category": "loras"} for path in folders]
    top = os.path.join(os.sep, "base")
    names, _ = part("tree").Tree(entries, top).files(os.path.join(top, "loras"))
    assert sorted(names) == [os.path.join(".github", "d.pt"), os.path.join("x", "c.pt")]
