"""`comfy-inventory service`: the files that it writes, and what it tells the service manager."""

from __future__ import annotations

import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scanner.commands.service import act, here
from scanner.commands.service.definition import Definition, program_of
from scanner.commands.service.managers import (
    LABEL,
    Manager,
    launchd,
    systemd_command,
    systemd_system,
    systemd_user,
    task_scheduler,
)
from scanner.commands.service.page import when_it_runs
from scanner.errors import InventoryError
from tests.support.installation import parsed, sentence
from tests.support.machine import CHECKOUT, PATIENCE, Machine
from tests.support.real_mounts import require

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")

HARD_WORDS = (
    "--comfy-root", "/mnt/my nas/100% %h/$HOME ${HOME}", 'a "quoted" \\n back\\slash', "it's", ";",
    "*/5 * * * *", "café 🎨", "", "-y", "<&>",
)  # fmt: skip
"""Arguments that some service manager reads as something else, if they are not quoted."""

HARD = Definition(("/opt/my %n $tools/comfy-inventory",), HARD_WORDS, "me")


# systemd


def installed_program(folder: Path) -> str:
    """A program at a path that systemd would misread, if it were not quoted."""
    program = folder / "my %n $tools" / "comfy-inventory"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return str(program)


def verified(folder: Path, manager: Manager, text: str) -> str:
    """What `systemd-analyze verify` says against a unit; empty if nothing."""
    (analyze,) = require("systemd-analyze")
    unit = folder / os.path.basename(manager.path)
    unit.write_text(text)
    scope = ["--user"] if "--user" in manager.query else []
    done = subprocess.run(
        [analyze, *scope, "verify", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


UNITS: dict[str, Callable[[str], Manager]] = {"user": systemd_user, "system": systemd_system}


@pytest.mark.parametrize("kind", UNITS)
def test_systemd_accepts_the_unit(tmp_path: Path, kind: str) -> None:
    manager = UNITS[kind](str(tmp_path))
    program = installed_program(tmp_path)
    text = manager.text(replace(HARD, program=(program,), user="root"))
    assert verified(tmp_path, manager, text) == ""


def test_systemd_would_tell_of_a_mistake(tmp_path: Path) -> None:
    manager = systemd_user(str(tmp_path))
    program = installed_program(tmp_path)
    text = manager.text(replace(HARD, program=(program,)))
    assert "Unknown key" in verified(tmp_path, manager, text.replace("Nice=", "Nicer="))
    assert "not executable" in verified(tmp_path, manager, text.replace("%%n", "%n"))


@pytest.fixture
def strangers_home() -> Iterator[Path]:
    """A folder that every user may write to; those of pytest are for one user."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def test_systemd_reads_the_arguments_that_were_meant(strangers_home: Path) -> None:
    """Read by systemd's own parser: its test mode prints each command line, quoted for C."""
    require("systemd-analyze")
    (systemd,) = require("/lib/systemd/systemd")
    through = []
    if os.geteuid() == 0:  # which the test mode refuses
        (setpriv,) = require("setpriv")
        through = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"]
    units = strangers_home / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "default.target").write_text("[Unit]\nWants=comfy-inventory.service\n")
    (units / "comfy-inventory.service").write_text(systemd_user("/home/me/.config").text(HARD))
    done = subprocess.run(
        [*through, systemd, "--user", "--test"],
        env={
            "HOME": str(strangers_home),
            "XDG_RUNTIME_DIR": str(strangers_home),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    unit = done.stdout.partition("Unit comfy-inventory.service:")[2]
    printed = re.search(r"Command Line: (.*)", unit)
    assert printed, done.stderr
    words = [re.sub(r"\\(.)", r"\1", word) for word in words_of(printed[1])]
    # Variables are replaced only when the program is started, and `$$` becomes `$` then.
    assert words == [HARD.program[0], *(word.replace("$", "$$") for word in HARD_WORDS)]


def words_of(line: str) -> list[str]:
    """Words of which some stand between double quotes; escapes in them stay."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [quoted or plain for quoted, plain in found]


def test_plain_words_stay_readable() -> None:
    command = ("/usr/bin/comfy-inventory", "run", "--every", "30s", "--output", "/srv/a b/i.json")
    assert systemd_command(command) == (
        '/usr/bin/comfy-inventory run --every 30s --output "/srv/a b/i.json"'
    )


def test_only_the_system_unit_waits_for_mounts_and_names_a_user(tmp_path: Path) -> None:
    user, system = (kind(str(tmp_path)).text(HARD) for kind in UNITS.values())
    for line in ("After=remote-fs.target", "User=me", "WantedBy=multi-user.target"):
        assert f"\n{line}\n" in system
        assert line not in user
    assert "\nWantedBy=default.target\n" in user


# launchd and Windows


def test_plist_holds_the_whole_command() -> None:
    manager = launchd("/Users/me", 501, "/Users/me/Library/Logs/comfy & more/service.log")
    document = plistlib.loads(manager.text(HARD).encode(manager.encoding))
    assert document == {
        "Label": LABEL,
        "ProgramArguments": list(HARD.command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 30,
        "ExitTimeOut": 20,
        "Nice": 10,
        "LowPriorityIO": True,
        "StandardErrorPath": "/Users/me/Library/Logs/comfy & more/service.log",
    }
    assert manager.path == f"/Users/me/Library/LaunchAgents/{LABEL}.plist"
    assert manager.start == (("launchctl", "bootstrap", "gui/501", manager.path),)


def task(arguments: tuple[str, ...], log_file: str = "C:\\logs\\service.log") -> dict[str, str]:
    """The elements of the task: path of names -> text."""
    manager = task_scheduler("C:\\Users\\me\\AppData\\comfy-inventory", log_file)
    own = Definition(("C:\\Program Files\\<py>\\pythonw.exe", "-P"), arguments, "HOME-PC\\me & co")
    # As a parser on Windows reads it: from bytes with a byte order mark.
    top = ElementTree.fromstring(manager.text(own).encode(manager.encoding))
    found: dict[str, str] = {}

    def visit(element: ElementTree.Element, above: str) -> None:
        space, _, name = element.tag[1:].partition("}")
        assert space == "http://schemas.microsoft.com/windows/2004/02/mit/task"
        path = f"{above}/{name}" if above else name
        assert path not in found
        found[path] = (element.text or "").strip()
        for inner in element:
            visit(inner, path)

    visit(top, "")
    return found


def test_task_holds_what_the_scheduler_needs() -> None:
    found = task(("run", "--comfy-root", "D:\\my models\\", "--log-file", "E:\\l.log"))
    expected = {
        "Triggers/LogonTrigger/UserId": "HOME-PC\\me & co",
        "Principals/Principal/UserId": "HOME-PC\\me & co",
        "Principals/Principal/LogonType": "InteractiveToken",
        "Principals/Principal/RunLevel": "LeastPrivilege",
        "Settings/MultipleInstancesPolicy": "IgnoreNew",
        "Settings/DisallowStartIfOnBatteries": "false",
        "Settings/StopIfGoingOnBatteries": "false",
        "Settings/ExecutionTimeLimit": "PT0S",
        "Settings/RestartOnFailure/Interval": "PT1M",
        "Settings/RestartOnFailure/Count": "999",
        "Actions/Exec/Command": "C:\\Program Files\\<py>\\pythonw.exe",
        "Actions/Exec/Arguments": ('-P run --comfy-root "D:\\my models\\\\" --log-file E:\\l.log'),
    }
    assert {path: found[f"Task/{path}"] for path in expected} == expected


def test_task_logs_to_a_file_where_none_is_named() -> None:
    arguments = task(("run",), "C:\\my logs\\service.log")["Task/Actions/Exec/Arguments"]
    assert arguments == '-P run --log-file "C:\\my logs\\service.log"'


def test_no_console_window_opens_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "pythonw.exe"
    python.touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python.exe"))
    assert program_of("x", windowless=True) == (str(python), "-P", "-m", "scanner")


# The command that is written


@pytest.fixture
def place(machine: Machine) -> Machine:
    """A small installation, on a machine whose systemctl notes what it is asked."""
    programs = machine.work.parent / "services"
    programs.mkdir()
    machine.environ["PATH"] = f"{programs}{os.pathsep}{os.defpath}"
    for name in ("systemctl", "journalctl"):
        (programs / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >>"{programs}/asked"\n'
            f'[ -e "{programs}/fails" ] || exit 0\ncat "{programs}/fails" >&2; exit 1\n'
        )
        (programs / name).chmod(0o755)
    return machine


def asked(place: Machine) -> list[str]:
    file = place.work.parent / "services" / "asked"
    return file.read_text().splitlines() if file.exists() else []


def fails(place: Machine, words: str) -> None:
    (place.work.parent / "services" / "fails").write_text(words)


def unit(place: Machine) -> Path:
    return place.home / ".config" / "systemd" / "user" / "comfy-inventory.service"


def command_of(text: str) -> list[str]:
    """The command of a unit without quotes in its words."""
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    return shlex.split(line)


def test_install_writes_what_print_shows_and_starts_it(place: Machine) -> None:
    options = ("--every", "30s", "--downloads", "../home")
    shown = place.run("service", "install", "--print", *options)
    assert str(unit(place)) in shown.stderr
    assert not unit(place).exists()
    assert asked(place) == []
    done = place.run("service", "install", *options)
    assert unit(place).read_text() == shown.stdout
    unit_name = "comfy-inventory.service"
    assert asked(place) == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {unit_name}",
        f"systemctl --user restart {unit_name}",
    ]
    assert "loginctl enable-linger" in done.stdout
    assert command_of(shown.stdout)[1:] == [
        "run",
        *("--downloads", str(place.home)),
        *("--every", "30s"),
        *("--comfy-root", str(place.work / "ComfyUI")),
        *("--output", str(place.output)),
    ]


def test_settings_of_a_file_stay_there(place: Machine) -> None:
    config = place.work / "comfy_inventory.toml"
    config.write_text('output = "elsewhere.json"\nevery = "5m"\n')
    shown = place.run("service", "install", "--print").stdout
    assert command_of(shown)[1:] == [
        "run",
        *("--config", str(config)),
        *("--comfy-root", str(place.work / "ComfyUI")),
    ]


def test_variables_become_options_or_are_refused(place: Machine) -> None:
    environ = {"COMFY_INVENTORY_EVERY": "7s", "COMFY_INVENTORY_MODELS": "ComfyUI/models"}
    shown = place.run("service", "install", "--print", environ=environ).stdout
    words = command_of(shown)
    assert words[words.index("--every") + 1] == "7s"
    assert words[words.index("--models") + 1] == str(place.work / "ComfyUI" / "models")
    told = sentence(
        place.run("service", "install", expect=2, environ={"COMFY_INVENTORY_DUTY": "3%"})
    )
    assert "COMFY_INVENTORY_DUTY" in told
    assert not unit(place).exists()


@pytest.mark.slow
def test_command_of_the_unit_scans_from_any_folder(place: Machine) -> None:
    place.environ["COMFY_INVENTORY_EVERY"] = "1s"
    shown = place.run("service", "install", "--print").stdout
    place.environ["COMFY_INVENTORY_EVERY"] = ""
    place.work = place.home
    with place.typing(shlex.join(command_of(shown))) as running:
        running.wait_for(lambda: place.status().get("scan"), "a scan")
        assert running.stop() == 0
    assert any("loras/00.safetensors" in path for path in place.inventory())


def test_second_install_replaces_the_first(place: Machine) -> None:
    place.run("service", "install", "--every", "30s")
    place.run("service", "install", "--every", "5m")
    assert "5m" in unit(place).read_text()
    assert asked(place)[-1] == "systemctl --user restart comfy-inventory.service"


def test_unit_that_a_person_wrote_stays(place: Machine) -> None:
    unit(place).parent.mkdir(parents=True)
    unit(place).write_text("[Service]\nExecStart=/bin/true\n")
    for command in ("install", "uninstall"):
        assert "was not written by this program" in sentence(
            place.run("service", command, expect=2)
        )
    assert unit(place).read_text() == "[Service]\nExecStart=/bin/true\n"
    assert asked(place) == []


def test_machine_without_systemd_gets_the_next_steps(place: Machine) -> None:
    (place.work.parent / "services" / "systemctl").unlink()
    place.environ["PATH"] = str(place.work.parent / "services")
    told = sentence(place.run("service", "install", expect=2))
    assert "systemctl is not installed" in told
    assert "run --comfy-root" in told
    assert "--print" in told
    assert not unit(place).exists()
    assert place.run("service", "install", "--print").stdout


def test_manager_that_refuses_is_quoted_with_the_next_steps(place: Machine) -> None:
    fails(place, "Failed to connect to bus: No medium found")
    told = sentence(place.run("service", "install", expect=2))
    assert "No medium found" in told
    assert "systemd=true" in told
    assert "systemctl --user enable comfy-inventory.service" in told
    assert "Nothing was removed" in sentence(place.run("service", "uninstall", expect=2))
    assert unit(place).exists()


def test_uninstall_stops_and_removes_it(place: Machine) -> None:
    place.run("service", "install")
    before = len(asked(place))
    place.run("service", "uninstall")
    assert not unit(place).exists()
    assert asked(place)[before:] == [
        "systemctl --user disable --now comfy-inventory.service",
        "systemctl --user daemon-reload",
    ]
    assert "No service is installed" in place.run("service", "uninstall").stderr


def test_status_says_whether_it_is_installed_and_runs(place: Machine) -> None:
    def answer(expect: int) -> tuple[bool, bool]:
        told = parsed(place.run("service", "status", "--json", expect=expect))
        assert told["path"] == str(unit(place))
        return told["installed"], told["running"]

    assert answer(1) == (False, False)
    assert "service install" in place.run("service", "status", expect=1).stdout
    place.run("service", "install")
    assert answer(0) == (True, True)
    fails(place, "inactive (dead)")
    assert answer(1) == (True, False)
    assert "inactive (dead)" in place.run("service", "status", expect=1).stdout


def test_logs_are_those_of_the_journal(place: Machine) -> None:
    place.run("service", "logs", "-n", "7", "--follow")
    assert asked(place) == ["journalctl --user-unit comfy-inventory --no-pager --lines=7 --follow"]
    fails(place, "no journal")
    place.run("service", "logs", expect=2)


def test_folder_of_the_inventory_must_be_there(place: Machine) -> None:
    told = sentence(place.run("service", "install", "--output", "nowhere/i.json", expect=5))
    assert "nowhere" in told
    assert not unit(place).exists()


def test_path_that_no_unit_can_hold_is_refused(place: Machine) -> None:
    for name in ("new\nline", os.fsdecode(b"caf\xe9")):
        (place.work / name).mkdir()
        told = sentence(place.run("service", "install", "--extra", name, expect=2))
        assert told.startswith("extra: ")
    assert not unit(place).exists()


# Functions


def test_log_file_is_read_from_its_end_and_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "service.log"
    log.write_text("one\ntwo\nthree\n")
    manager = launchd(str(tmp_path), 501, str(log))
    seen: list[str] = []
    act.show_log(manager, 2, False, seen.append)
    assert "".join(seen) == "two\nthree\n"

    class Enough(Exception):  # noqa: N818
        pass

    def later(seconds: float) -> None:
        if "four\n" in seen:
            raise Enough
        with log.open("a") as file:
            file.write("four\n")

    monkeypatch.setattr(time, "sleep", later)
    seen.clear()
    with pytest.raises(Enough):
        act.show_log(manager, 0, True, seen.append)
    assert "".join(seen) == "four\n"
    log.unlink()
    with pytest.raises(InventoryError, match=r"service\.log cannot be read"):
        act.show_log(manager, 2, False, seen.append)


def test_launchd_that_still_ends_the_old_one_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter((0, 5, 5, 0))
    calls: list[str] = []

    def run(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        calls.append(command[1])
        return subprocess.CompletedProcess(command, next(answers), "", "Input/output error")

    monkeypatch.setattr(act, "_run", run)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(shutil, "which", lambda tool: f"/bin/{tool}")
    manager = launchd(str(tmp_path), 501, str(tmp_path / "logs" / "service.log"))
    act.install(manager, HARD)
    assert calls == ["bootout", "bootstrap", "bootstrap", "bootstrap"]
    assert plistlib.loads(Path(manager.path).read_bytes())["Label"] == LABEL
    assert (tmp_path / "logs").is_dir()


def test_system_service_needs_root_and_runs_as_who_called_sudo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InventoryError, match=r"sudo '/my bin/x' service install --system"):
        here.need_root(("/my bin/x",), ("service", "install", "--system"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    here.need_root(("/my bin/x",), ())
    assert here.user_here(True, {"SUDO_USER": "me"}) == "me"
    assert here.user_here(False, {"SUDO_USER": "me"}) == "root"


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_system_service_is_for_linux(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(InventoryError, match="--system is for Linux"):
        here.manager_here(True)


def test_lingering_is_said_aloud_unless_it_is_on(tmp_path: Path) -> None:
    (tmp_path / "me").touch()
    assert here.lingers("me", str(tmp_path))
    assert not here.lingers("you", str(tmp_path))
    assert "ENDS WHEN YOU LOG OUT" in when_it_runs("nobody-of-this-name", False)
    assert "as the user me" in when_it_runs("me", True)


def test_program_of_uvx_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/me/.cache/uv/archive-v0/x")
    with pytest.raises(InventoryError, match="uv tool install"):
        program_of("comfy-inventory")


def test_program_is_the_command_that_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/opt/python")
    script = tmp_path / "comfy-inventory"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert program_of(str(script)) == (str(script),)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    assert program_of("/elsewhere/__main__.py") == (str(script),)
    script.unlink()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InventoryError, match="is not installed"):
        program_of(str(script))


def test_every_file_carries_the_mark_by_which_it_is_known() -> None:
    # The units of `serve` are printed for a person, who installs them.
    folder = CHECKOUT / "config" / "service"
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("serve."))
    assert [file.name for file in files] == [
        "launchd.plist", "system.service", "task.xml", "user.service"
    ]  # fmt: skip
    from scanner.commands.service.managers import MARK

    assert all(MARK in file.read_text(encoding="utf-8") for file in files)
