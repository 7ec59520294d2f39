"""`comfy-inventory init`: from nothing to a settings file that scans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scanner.comfyui.installation import find_roots
from scanner.commands.doctor.finding import OK, STALLED, Finding
from scanner.commands.init import propose
from scanner.commands.init.propose import advised, examined, text_with
from scanner.core import bounded_toml
from scanner.core.roots import Root
from scanner.disk.location import locate
from scanner.disk.mounts import read_mounts
from scanner.disk.trust import Trust
from scanner.errors import SettingsError
from scanner.settings.load import load_text
from tests.support.machine import PATIENCE, Machine, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")


@pytest.fixture
def portable(tmp_path: Path) -> Machine:
    """The portable's outer folder as the working folder."""
    machine = Machine(tmp_path)
    comfy(machine.work / "ComfyUI")
    return machine


def comfy(folder: Path) -> None:
    for name in ("models/loras", "custom_nodes", "input", "output"):
        (folder / name).mkdir(parents=True)
    write(folder / "main.py", "")
    write(folder / "models" / "loras" / "a.safetensors", "a")


def settings_of(machine: Machine) -> dict:
    return bounded_toml.loads((machine.work / "comfy_inventory.toml").read_text())


def answering(machine: Machine, answers: str, *arguments: str, expect: int = 0) -> str:
    """What a terminal shows while `answers` are typed into it."""
    import pty

    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "scanner", "init", *arguments],
        cwd=machine.work,
        env={**machine.environ, "COLUMNS": "100", "TERM": "dumb"},
        stdin=child,
        stdout=child,
        stderr=child,
    ) as process:
        os.close(child)
        os.write(parent, answers.encode())
        shown = b""
        try:
            while part := os.read(parent, 1 << 16):
                shown += part
        except OSError:
            pass  # Linux ends a terminal with an error
        assert process.wait(PATIENCE) == expect, shown.decode()
    os.close(parent)
    return shown.decode().replace("\r\n", "\n")


def test_yes_writes_a_commented_file_that_scans(portable: Machine) -> None:
    done = portable.run("init", "-y")
    assert done.stdout == ""
    assert f"ComfyUI: {portable.work}/ComfyUI (here)" in done.stderr
    assert "1 file " in done.stderr
    settings = settings_of(portable)
    assert settings["comfy_root"] == f"{portable.work}/ComfyUI"
    text = (portable.work / "comfy_inventory.toml").read_text()
    assert all(f"\n\n# {word}" in text for word in ("ComfyUI's folder", "Path of the inventory"))
    portable.run("scan")
    portable.run("init", "-y")
    assert (portable.work / "comfy_inventory.toml").read_text() == text


def test_print_writes_nothing_and_prints_the_file_alone(portable: Machine) -> None:
    before = sorted(os.listdir(portable.work))
    printed = portable.run("init", "--print").stdout
    assert bounded_toml.loads(printed)["comfy_root"] == f"{portable.work}/ComfyUI"
    assert sorted(os.listdir(portable.work)) == before


def test_what_could_not_be_read_has_a_next_step(portable: Machine) -> None:
    assert "doctor --write" not in portable.run("init", "--print").stderr
    told = portable.run("init", "--print", "--extra", "not/there/yet").stderr
    assert "`comfy-inventory doctor --write` does so once it is there" in told


def test_json_asks_nothing_and_says_what_was_written(portable: Machine) -> None:
    portable.run("init", "--json", expect=2)
    printed = json.loads(portable.run("init", "--json", "--print").stdout)["data"]
    assert not printed["written"]
    assert not (portable.work / "comfy_inventory.toml").exists()
    data = json.loads(portable.run("init", "--json", "-y").stdout)["data"]
    assert data["written"]
    assert (portable.work / "comfy_inventory.toml").read_text() == data["text"]
    assert [folder["state"] for folder in data["folders"]] == ["ok"] * 4


def test_without_a_terminal_and_without_yes_it_says_so(portable: Machine) -> None:
    done = portable.run("init", expect=2)
    assert "there is no terminal: pass -y" in done.stderr
    assert not (portable.work / "comfy_inventory.toml").exists()


def test_an_existing_file_is_edited_and_keeps_what_it_says(portable: Machine) -> None:
    mine = '# mine\nevery = "7m"  # often enough\n\n[per_root.models]\nloss_files = 5\n'
    write(portable.work / "comfy_inventory.toml", mine)
    portable.run("init", "-y", "--models", "ComfyUI/models/loras")
    text = (portable.work / "comfy_inventory.toml").read_text()
    assert all(line in text.splitlines() for line in mine.splitlines())
    assert settings_of(portable)["models"] == [f"{portable.work}/ComfyUI/models/loras"]
    assert settings_of(portable)["every"] == "7m"


def test_a_wrong_file_or_folder_is_left_as_it_is(portable: Machine) -> None:
    done = portable.run("init", "-y", "--comfy-root", "ComfyUI/main.py", expect=2)
    assert f"is a file; did you mean {portable.work}/ComfyUI?" in done.stderr
    write(portable.work / "comfy_inventory.toml", "evry = 1\n")
    done = portable.run("init", "-y", expect=2)
    assert "did you mean every" in done.stderr
    assert (portable.work / "comfy_inventory.toml").read_text() == "evry = 1\n"


def test_no_comfyui_is_2_and_a_models_folder_needs_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    write(machine.work / "nas" / "loras" / "a.safetensors", "a")
    done = machine.run("init", "-y", expect=2)
    assert "no ComfyUI was found" in done.stderr
    machine.run("init", "-y", "--models", "nas")
    assert settings_of(machine)["models"] == [f"{machine.work}/nas"]
    machine.run("scan")


def test_of_several_the_first_or_the_one_of_the_answer(portable: Machine) -> None:
    comfy(portable.work / "ComfyUI-test")
    done = portable.run("init", "-y")
    assert f"  2  {portable.work}/ComfyUI-test (here)" in done.stderr
    assert settings_of(portable)["comfy_root"] == f"{portable.work}/ComfyUI"
    (portable.work / "comfy_inventory.toml").unlink()
    shown = answering(portable, "7\n2\ny\nn\n")
    assert "A number from 1 to 2, please." in shown
    assert settings_of(portable)["comfy_root"] == f"{portable.work}/ComfyUI-test"


def test_a_no_writes_nothing(portable: Machine) -> None:
    shown = answering(portable, "n\n")
    assert "Write it?" in shown
    assert "Nothing was written." in shown
    assert not (portable.work / "comfy_inventory.toml").exists()


def test_a_yes_writes_and_offers_the_service(portable: Machine) -> None:
    shown = answering(portable, "y\nn\n")
    assert "Run it as a service" in shown
    assert "Next: comfy-inventory scan   (once)" in shown
    assert settings_of(portable)["comfy_root"] == f"{portable.work}/ComfyUI"


def test_another_file_is_named_in_what_comes_next(portable: Machine) -> None:
    done = portable.run("init", "-y", "-c", "my settings.toml")
    assert f"scan --config '{portable.work}/my settings.toml'" in done.stderr


def test_ten_seconds_are_for_all_folders(portable: Machine, monkeypatch) -> None:
    monkeypatch.setattr(propose, "SECONDS", 0.5)
    loaded = load_text(f"comfy_root = '{portable.work}/ComfyUI'", f"{portable.work}/x.toml")
    found = find_roots(loaded.settings, cwd=str(portable.work), home="/no", environ={})
    started = time.monotonic()
    results = examined(loaded, found, str(portable.work))
    assert [one.finding for one in results] == [None] * 4
    assert time.monotonic() - started < 5
    assert advised(results) == {}
    monkeypatch.setattr(propose, "SECONDS", 10.0)
    results = examined(loaded, found, str(portable.work))
    assert all(one.finding is not None for one in results)
    assert "every" in advised(results)


def test_a_hung_mount_is_asked_once_and_the_rest_share_the_time(
    portable: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []

    class Hanging:
        state = STALLED

        def examine(self, root: Root, *, probe: bool, seconds: float) -> Finding:
            shares.append(seconds)
            mount = locate(root.path, read_mounts()).mount
            return Finding(root.path, root.path, mount, Trust(), state=self.state)

    @contextmanager
    def open_hanging(*args: object, limit: float) -> Iterator[Hanging]:
        assert limit == propose.LIMIT
        yield Hanging()

    monkeypatch.setattr(propose, "open_doctor", open_hanging)
    loaded = load_text(f"comfy_root = '{portable.work}/ComfyUI'", f"{portable.work}/x.toml")
    found = find_roots(loaded.settings, cwd=str(portable.work), home="/no", environ={})
    results = examined(loaded, found, str(portable.work))
    assert [one.finding is None for one in results] == [False, True, True, True]
    Hanging.state = OK
    shares.clear()
    assert all(one.finding is not None for one in examined(loaded, found, str(portable.work)))
    assert shares == pytest.approx([10 / 8, 10 / 6, 10 / 4, 10 / 2], rel=0.2)


def test_a_path_that_toml_cannot_hold_is_refused() -> None:
    with pytest.raises(SettingsError, match="not UTF-8"):
        text_with("", {"comfy_root": "/caf\udce9"}, "/x/a.toml")
    control = text_with("", {"comfy_root": "/new\nline\x7f\x1b"}, "/x/a.toml")
    assert bounded_toml.loads(control)["comfy_root"] == "/new\nline\x7f\x1b"
