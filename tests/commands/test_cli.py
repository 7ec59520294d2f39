"""The command line as a whole: wrong use, closed pipes, and the imports of help."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys

import pytest

import scanner.cli
from tests.support.installation import EVENT_WATCHERS, LORAS, imported, parsed, sentence
from tests.support.machine import PATIENCE, SCANNER, Machine, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


ROOTS = ("--root", "typo", "models:", "ComfyUI/models", "input:")


WRONG_USE = {
    "a file of settings that is not there": (
        ("scan", "--config", "nowhere.toml"),
        ("config", "--config", "nowhere.toml"),
    ),
    "an interval that is too short": (("run", "--every", "10ms"), ("every", "at least 1s")),
    "an interval that is none": (("run", "--every", "soon"), ("--every", "30s", "soon")),
    "a crontab line with four fields": (("run", "--cron", "* * * *"), ("cron", "five fields")),
    "a crontab line with a minute 61": (("run", "--cron", "61 * * * *"), ("cron", "61")),
    "a profile that does not exist": (("scan", "--profile", "nsa"), ("--profile", "nas")),
    "a duration that is none": (("scan", "--hold-wait", "-1s"), ("--hold-wait", "30s")),
    "a kind that does not exist": (("changes", "--kind", "renamed"), ("--kind", "moved")),
    "a root that no change is of": (("changes", "--root", "typo"), ROOTS),
    "a root that is not in the inventory": (("find", "--root", "typo"), ROOTS),
    "a root that was not scanned": (("duplicates", "--root", "typo"), ROOTS),
    "a time that is none": (("changes", "--since", "tomorrow"), ("--since", "2h")),
    "nothing to accept": (("accept",), ("held",)),
    "a place that needs no acceptance": (("accept", "nowhere"), ("nowhere", "held")),
    "a timeout that is none": (("accept", "--timeout", "soon"), ("--timeout", "30s")),
    "an inventory that was never written": (
        ("status", "--output", "other.json"),
        ("other.status.json",),
    ),
    "a file of folders that is not there": (
        ("scan", "--extra-model-paths-config", "nowhere.yaml"),
        ("extra_model_paths_config", "nowhere.yaml"),
    ),
    "a log that cannot be written": (
        ("scan", "--log-file", "nowhere/log.txt"),
        ("log_file", "nowhere/log.txt"),
    ),
}


@pytest.mark.parametrize("what", WRONG_USE)
def test_wrong_use_is_one_sentence_and_2(untouched: Machine, what: str) -> None:
    arguments, words = WRONG_USE[what]
    before = {path: path.read_bytes() for path in untouched.work.glob("*") if path.is_file()}
    told = sentence(untouched.run(*arguments, expect=2))
    assert all(word in told for word in words), told
    if arguments[0] != "accept":  # which opens the state
        after = {path: path.read_bytes() for path in untouched.work.glob("*") if path.is_file()}
        assert after == before


UNKNOWN = [("rescan",), ("scan", "--evry", "5s"), ("scan", "--every"), ("scan", "--verify")]


@pytest.mark.parametrize("arguments", UNKNOWN)
def test_unknown_commands_and_options_are_2(machine: Machine, arguments: tuple[str, ...]) -> None:
    done = machine.run(*arguments, expect=2)
    assert done.stdout == ""
    assert any(argument in done.stderr for argument in arguments)


def test_wrong_setting_names_its_variable_or_line(machine: Machine) -> None:
    done = machine.run("scan", expect=2, environ={"COMFY_INVENTORY_EVERY": "never"})
    assert "COMFY_INVENTORY_EVERY" in sentence(done)
    done = machine.run("scan", expect=2, environ={"COMFY_INVENTORY_EVRY": "30s"})
    assert "did you mean every" in sentence(done)
    config = machine.work / "comfy_inventory.toml"
    config.write_text('# mine\nextra = []\nevery = "never"\n')
    assert f"{config}, line 3" in sentence(machine.run("scan", expect=2))
    config.write_text('every = "30s\n')
    assert f"{config}, line 1" in sentence(machine.run("scan", expect=2))


def test_no_root_at_all_is_one_sentence_and_2(machine: Machine) -> None:
    (machine.work / "ComfyUI").rename(machine.work / "elsewhere")
    for command in ("run", "scan"):
        told = sentence(machine.run(command, expect=2))
        assert "--comfy-root" in told
        assert str(machine.work / "ComfyUI") in told
    assert not machine.output.exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", [("scan", "--json"), ("changes", "--json"), ("changes",)])
def test_full_disk_behind_stdout_is_5(untouched: Machine, command: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = untouched.execute(*SCANNER, *command, stdout=full.fileno())
    assert "Traceback" not in done.stderr
    assert done.returncode == 5
    assert "comfy-inventory: " in done.stderr


@pytest.mark.parametrize("buffering", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "command", ["changes", "changes --json", "roots", "find", "find --json", "--help"]
)
def test_reader_that_goes_away_is_no_error(
    untouched: Machine, command: str, buffering: str
) -> None:
    """As in `comfy-inventory changes | head -1`, also in a container with PYTHONUNBUFFERED."""
    line = f'{{ python -m scanner {command}; echo "exit $?" >&2; }} | true'
    done = untouched.execute("sh", "-c", line, environ={"PYTHONUNBUFFERED": buffering})
    assert done.stderr == "exit 0\n"


def test_duplicates_know_categories_as_find_does(machine: Machine) -> None:
    encoders = machine.work / "ComfyUI" / "models" / "clip"
    for name in ("a.safetensors", "b.safetensors"):
        write(encoders / name, "the same")
    machine.run("scan")
    for category in ("clip", "CLIP", "text_encoders", "text*"):
        assert "clip/a.safetensors" in machine.run("find", "--category", category).stdout
        done = machine.run("duplicates", "--category", category)
        assert "clip/a.safetensors" in done.stdout


def test_limit_0_sets_none(machine: Machine) -> None:
    for number in range(60):
        for name in "ab":
            write(machine.work / LORAS / f"{name}{number}.safetensors", f"same {number:0200}")
    machine.run("scan")
    found = parsed(machine.run("duplicates", "--limit", "0", "--json"))
    assert (len(found["sets"]), found["sets_left_out"]) == (60, 0)
    assert "not shown" not in machine.run("duplicates", "--limit", "0").stdout
    assert "not shown" in machine.run("duplicates").stdout
    files = parsed(machine.run("find", "--limit", "0", "--json"))
    assert files["count"] == 24 + 120


def test_installed_command_imports_no_module_of_the_working_folder(machine: Machine) -> None:
    """Whoever runs it beside a scanner.py, types.py or json.py of his own gets our program."""
    command = shutil.which("comfy-inventory", path=os.path.dirname(sys.executable))
    if command is None:
        pytest.skip("comfy-inventory is not installed beside this Python")
    for name in ("scanner", "types", "json", "typer"):
        write(machine.work / f"{name}.py", "raise SystemExit('the wrong module')")
    del machine.environ["PYTHONPATH"]
    done = machine.execute(command, "scan")
    assert (done.returncode, "wrong module" in done.stderr) == (0, False), done.stderr
    assert machine.inventory()


def test_help_imports_next_to_nothing(machine: Machine) -> None:
    heavy = {"apscheduler", "yaml", "psutil", "platformdirs", "asyncio", "pydantic", "sqlite3"}
    heavy |= {"orjson", "pathspec", "xxhash", "filelock"}
    assert not imported(machine, "--help") & (heavy | EVENT_WATCHERS)


READING = [
    ("status",),
    ("changes", "--root", "models"),
    ("find", "--category", "loras", "--limit", "3"),
    ("packs", "--enabled"),
    ("roots", "--models", "ComfyUI/models"),
    ("duplicates", "--root", "models"),
    ("config", "show"),
]


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("has_settings", [False, True], ids=["default", "file"])
def test_reading_command_imports_nothing_of_the_engine(
    untouched: Machine, arguments: tuple[str, ...], has_settings: bool
) -> None:
    """A file of settings costs no more: they are checked without pydantic too."""
    environ = {}
    if has_settings:
        (untouched.work / "some.toml").write_text('every = "1m"\nignore = ["*.x"]\n')
        environ["COMFY_INVENTORY_CONFIG"] = "some.toml"
    modules = imported(untouched, *arguments, environ=environ)
    heavy = {"pydantic", "apscheduler", "yaml", "scanner.service", "scanner.scan", "pathspec"}
    assert not modules & (heavy | EVENT_WATCHERS)


@pytest.mark.parametrize("command", ["scan", "status", "find", "accept"])
def test_current_folder_that_was_removed_is_a_sentence(machine: Machine, command: str) -> None:
    gone = machine.work / "gone"
    gone.mkdir()
    code = (
        f"import os, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); "
        "from scanner.cli import main; sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "The current folder cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "unavailable"),
        (MemoryError(), "memory"),
        (RuntimeError("can't start new thread"), "thread"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_system_without_files_threads_or_memory_is_a_sentence(
    error: Exception,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(scanner.cli, "_app_for", lambda _argv: fails)
    monkeypatch.setattr("scanner.commands.scan.once.scan_once", fails)
    for command in ("scan", "status"):
        assert scanner.cli.main([command]) == 5
        told = capsys.readouterr().err
        assert reason in told
        assert "Traceback" not in told


def test_few_open_files_are_a_sentence_and_delete_nothing(machine: Machine) -> None:
    for folder in "abc":
        for number in range(3):
            write(machine.work / "m" / folder / f"{number}.safetensors", b"x" * number)
    command = ("scan", "--extra", "m", "--hold-wait", "0")
    machine.run(*command)
    codes = []
    for limit in (6, 8, 9, 10, 11, 12, 13, 14, 16, 20):
        few = ("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh")
        ended = machine.execute(*few, sys.executable, "-m", "scanner", *command)
        told = ended.stderr
        codes.append(ended.returncode)
        assert "Traceback" not in told, (limit, told)
        assert ended.returncode == 0 or "open files" in told or "unable to open" in told
    assert set(codes) <= {0, 3, 5}
    assert codes[-1] == 0
    machine.run(*command)
    assert machine.changes() == []


def test_run_looks_for_garbage_as_usual_after_its_first_scan() -> None:
    code = (
        "import gc; usual = gc.get_threshold(); gc.set_threshold(200_000);"
        "from scanner.commands.run.command import _after_first_turn; _after_first_turn([]);"
        "assert gc.get_threshold()[0] <= usual[0] < 200_000"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("command", ["--version", "run", "serve"])
def test_the_end_of_the_process_looks_for_no_garbage(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would go through all objects at the end. Only a process that lasts collects often:
    `serve` from its start, `run` once its first scan is over."""
    calls: list[str] = []

    def run(_argv: list[str]) -> int:
        calls.append("run")
        return 0

    monkeypatch.setattr(gc, "freeze", lambda: calls.append("freeze"))
    monkeypatch.setattr(gc, "set_threshold", lambda *_: calls.append("threshold"))
    monkeypatch.setattr(scanner.cli, "_run", run)
    monkeypatch.setattr(sys, "argv", ["comfy-inventory", command])
    assert scanner.cli.main() == 0
    assert calls == ([] if command == "serve" else ["threshold"]) + ["run", "freeze"]
    calls.clear()
    assert scanner.cli.main([command]) == 0
    assert calls == ["run"], "the process goes on after this"
