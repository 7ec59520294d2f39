"""Scripts for copies: they are run here, on trees that changed after they were written."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.commands.scripts.plan import Group, Known, Plan
from scanner.commands.scripts.powershell import powershell_script
from scanner.commands.scripts.powershell import quoted as quoted_for_powershell
from scanner.commands.scripts.shell import ACTIONS, quoted, shell_script
from tests.support.names import names

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="scripts for sh")

SHELLS = [
    pytest.param(command, id=command[0], marks=pytest.mark.skipif(
        shutil.which(command[0]) is None, reason=f"needs {command[0]}"))
    for command in (["dash"], ["bash"], ["busybox", "sh"])
]  # fmt: skip

NASTY = ["new\nline", "ends\n", "-rf", "it's", 'say "no"', "$HOME", "`id`", "$(id)", "back\\",
         "*", "~", " ", "a\tb", "\x1b[31mred", "%s%n", "!x", "#",
         os.fsdecode(b"caf\xe9")]  # fmt: skip

OLD = 1_600_000_000 * 10**9 + 123_456_789


def put(path: Path, content: bytes, mtime: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime, mtime))
    return path


def known(path: Path) -> Known:
    status = os.stat(path)
    return Known(str(path), status.st_size, status.st_mtime_ns)


def plan(action: str, keep: Path, *others: Path) -> Plan:
    return Plan(action, [Group("copies", known(keep), tuple(map(known, others)))])


def run(
    script: bytes, folder: Path, shell: Sequence[str] = ("sh",), **environ: str
) -> subprocess.CompletedProcess[bytes]:
    path = folder / "script"
    path.write_bytes(script)
    return subprocess.run(
        [*shell, path],
        env={**os.environ, **environ},
        capture_output=True,
        check=False,
        timeout=60,
        cwd=folder,
    )


def summary(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stdout.decode(errors="replace").splitlines()[-1]


def tree(top: Path) -> dict[str, object]:
    """Everything below a folder: content, mtime and mode of files, targets of links."""
    found: dict[str, object] = {}
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                found[path] = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = Path(path).read_bytes()
                found[path] = (content, status.st_mtime_ns, status.st_mode)
            else:
                found[path] = stat.S_IFMT(status.st_mode)
    return found


@pytest.fixture
def cloning(tmp_path: Path) -> dict[str, str]:
    """An environ in which `cp --reflink=always` works on every file system: it copies."""
    programs = tmp_path / "programs"
    programs.mkdir()
    real = shutil.which("cp")
    (programs / "cp").write_text(
        f'#!/bin/sh\n[ "$1" = --reflink=always ] && shift\nexec {real} "$@"\n'
    )
    (programs / "cp").chmod(0o755)
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("shell", SHELLS)
def test_copies_become_links_to_the_kept_file(tmp_path: Path, shell: list[str]) -> None:
    top = tmp_path / "top"
    keep = put(top / "keep", b"bytes", OLD)
    others = [put(top / f"folder {n}" / name, b"bytes", OLD + n * 10**9)
              for n, name in enumerate(NASTY)]  # fmt: skip
    script = shell_script(plan("link", keep, *others))
    done = run(script, tmp_path, shell)
    assert (done.returncode, done.stderr) == (0, b"")
    count = len(NASTY)
    assert summary(done) == f"{count} done ({count * 5} bytes freed), 0 skipped, 0 failed."
    assert all(os.path.samefile(keep, other) for other in others)
    assert keep.stat().st_nlink == count + 1
    assert b"\x1b" not in done.stdout
    again = run(script, tmp_path, shell)
    assert again.returncode == 0
    assert summary(again) == f"0 done (0 bytes freed), {count} skipped, 0 failed."
    assert b"it is the kept file already" in again.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_copies_are_deleted(tmp_path: Path, shell: list[str]) -> None:
    top = tmp_path / "top"
    keep = put(top / "keep $(id)\n", b"bytes")
    others = [put(top / f"folder {n}" / name, b"bytes") for n, name in enumerate(NASTY)]
    beside = put(top / "beside", b"bytes")
    script = shell_script(plan("delete", keep, *others, beside))
    done = run(script, tmp_path, shell)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [path for path in tree(top) if os.path.isfile(path)] == [str(keep)]
    again = run(script, tmp_path, shell)
    assert again.returncode == 0
    assert summary(again).startswith("0 done (0 bytes freed)")


def test_a_clone_keeps_its_own_times_and_mode(tmp_path: Path, cloning: dict[str, str]) -> None:
    keep = put(tmp_path / "top" / "keep", b"bytes", OLD)
    other = put(tmp_path / "top" / "-other\n", b"bytes", OLD + 5)
    other.chmod(0o640)
    before, inode = tree(tmp_path / "top"), other.stat().st_ino
    script = shell_script(plan("reflink", keep, other))
    inodes = [inode]
    for _ in range(2):
        done = run(script, tmp_path, **cloning)
        assert (done.returncode, done.stderr) == (0, b"")
        assert summary(done) == "1 done (5 bytes freed), 0 skipped, 0 failed."
        assert tree(tmp_path / "top") == before
        inodes.append(other.stat().st_ino)
    assert inodes[0] != inodes[1]


def test_a_failed_step_is_told_and_leaves_the_file(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    put(programs / "cp", b"#!/bin/sh\nexit 1\n").chmod(0o755)
    put(programs / "ln", b"#!/bin/sh\nexit 1\n").chmod(0o755)
    put(programs / "rm", b"#!/bin/sh\nexit 1\n").chmod(0o755)
    keep, other = (put(tmp_path / "top" / name, b"bytes") for name in ("keep", "other"))
    before = tree(tmp_path / "top")
    for action in ACTIONS:
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        done = run(shell_script(plan(action, keep, other)), tmp_path, PATH=path)
        assert done.returncode == 1
        assert summary(done) == "0 done (0 bytes freed), 0 skipped, 1 failed."
        assert b"FAILED" in done.stderr
        assert tree(tmp_path / "top") == before


# Changes after the script was written


def same_size_and_mtime(path: Path) -> None:
    status = path.stat()
    put(path, b"BYTES", status.st_mtime_ns)


def other_mtime(path: Path) -> None:
    os.utime(path, ns=(OLD, OLD + 10**9))


def other_size(path: Path) -> None:
    put(path, b"bytes and more", path.stat().st_mtime_ns)


def gone(path: Path) -> None:
    path.unlink()


def a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def a_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def hard_linked(path: Path) -> None:
    os.link(path, path.with_name("second name"))


CHANGES: Mapping[Callable[[Path], None], str] = {
    same_size_and_mtime: "its content differs",
    other_mtime: "it has changed",
    other_size: "it has changed",
    gone: "it is not there",
    a_link: "it is a link or a folder now",
    a_broken_link: "it is a link or a folder now",
    a_folder: "it is a link or a folder now",
    a_pipe: "it is a link or a folder now",
    hard_linked: "it has other hard links",
}

CHANGES_OF_THE_KEPT: Mapping[Callable[[Path], None], str] = {
    same_size_and_mtime: "its content differs",
    other_mtime: "the kept file has changed",
    other_size: "the kept file has changed",
    gone: "the kept file is not there",
    a_link: "the kept file is a link or a folder now",
    a_broken_link: "the kept file is a link or a folder now",
    a_folder: "the kept file is a link or a folder now",
    a_pipe: "the kept file is a link or a folder now",
}

NAMED: Callable[[object], str] = lambda value: getattr(value, "__name__", "")  # noqa: E731


@pytest.mark.parametrize("change", CHANGES, ids=NAMED)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_copy_that_changed_is_left_alone(
    tmp_path: Path, cloning: dict[str, str], action: str, change: Callable[[Path], None]
) -> None:
    top = tmp_path / "top"
    keep, other = put(top / "keep", b"bytes"), put(top / "below" / "it's", b"bytes")
    script = shell_script(plan(action, keep, other))
    change(other)
    before = tree(top)
    done = run(script, tmp_path, **cloning)
    assert (done.returncode, done.stderr) == (0, b"")
    assert CHANGES[change] in done.stdout.decode()
    assert summary(done) == "0 done (0 bytes freed), 1 skipped, 0 failed."
    assert tree(top) == before


@pytest.mark.parametrize("change", CHANGES_OF_THE_KEPT, ids=NAMED)
@pytest.mark.parametrize("action", ACTIONS)
def test_without_the_kept_file_nothing_is_done(
    tmp_path: Path, cloning: dict[str, str], action: str, change: Callable[[Path], None]
) -> None:
    top = tmp_path / "top"
    keep, other = put(top / "keep", b"bytes"), put(top / "below" / "other", b"bytes")
    script = shell_script(plan(action, keep, other))
    change(keep)
    before = tree(top)
    done = run(script, tmp_path, **cloning)
    assert done.returncode == 0
    assert CHANGES_OF_THE_KEPT[change] in done.stdout.decode()
    assert tree(top) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_the_kept_file_under_another_path_is_not_touched(tmp_path: Path, action: str) -> None:
    top = tmp_path / "top"
    keep, other = put(top / "a" / "file", b"bytes"), put(top / "b" / "file", b"bytes")
    script = shell_script(plan(action, keep, other))
    shutil.rmtree(top / "b")
    (top / "b").symlink_to("a")
    before = tree(top)
    done = run(script, tmp_path)
    assert "it is the kept file already" in done.stdout.decode()
    assert tree(top) == before


@pytest.mark.parametrize("is_cached", [False, True])
def test_one_file_with_two_identities_is_not_deleted(tmp_path: Path, is_cached: bool) -> None:
    """A share that is mounted twice: no system says that both paths are one file."""
    top = tmp_path / "top"
    keep, other = put(top / "a" / "file", b"bytes"), put(top / "b" / "file", b"bytes")
    script = shell_script(plan("delete", keep, other))
    shutil.rmtree(top / "b")
    (top / "b").symlink_to("a")
    # Every path is an inode of its own for this `stat`.
    lying = (
        b"#!/bin/sh\nfor last; do :; done\n"
        b'echo "5 1600000000 1:$(echo "$last" | cksum | tr -d " ") 1"\n'
    )
    put(tmp_path / "programs" / "stat", lying).chmod(0o755)
    reason = b"its folder is the kept one under another path"
    if is_cached:  # and a client that caches names does not show the file moved aside
        script = script.replace(b'&& is_there "${kept%/*}/${temp##*/}"', b"&& false")
        reason = b"the kept file is gone with it"
    before = tree(top)
    path = f"{tmp_path / 'programs'}{os.pathsep}{os.environ['PATH']}"
    done = run(script, tmp_path, PATH=path)
    assert done.returncode == 0
    assert reason in done.stdout
    assert summary(done) == "0 done (0 bytes freed), 1 skipped, 0 failed."
    assert tree(top) == before


def test_copies_on_another_file_system_are_not_linked(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two file systems")
    keep, other = put(tmp_path / "keep", b"bytes"), shared / f"comfy-inventory-test-{os.getpid()}"
    try:
        put(other, b"bytes")
        done = run(shell_script(plan("link", keep, other)), tmp_path)
        assert done.returncode == 0
        assert b"it is on another file system" in done.stdout
        assert not os.path.samefile(keep, other)
    finally:
        other.unlink()


@pytest.mark.parametrize(("action", "tool"), [("link", "ln"), ("delete", "rm"), ("delete", "mv")])
def test_a_script_that_is_stopped_leaves_every_file(tmp_path: Path, action: str, tool: str) -> None:
    """The signal comes while the tool runs that makes the replacement, or moves the file."""
    real = shutil.which(tool)
    stopping = f'#!/bin/sh\n[ {tool} = rm ] && [ -z "$AGAIN" ] || {real} "$@"\nkill -TERM $PPID\n'
    put(tmp_path / "programs" / tool, stopping.encode()).chmod(0o755)
    keep, other = (put(tmp_path / "top" / name, b"bytes") for name in ("keep", "other"))
    before = tree(tmp_path / "top")
    path = f"{tmp_path / 'programs'}{os.pathsep}{os.environ['PATH']}"
    done = run(shell_script(plan(action, keep, other)), tmp_path, PATH=path, AGAIN="")
    assert done.returncode == 1
    assert b"Stopped." in done.stderr
    assert tree(tmp_path / "top") == before


def test_a_script_needs_its_tools(tmp_path: Path) -> None:
    sh = shutil.which("sh")
    assert sh is not None
    keep, other = (put(tmp_path / "top" / name, b"bytes") for name in ("keep", "other"))
    done = run(shell_script(plan("delete", keep, other)), tmp_path, [sh], PATH=str(tmp_path))
    assert done.returncode == 2
    assert b"needs cmp" in done.stderr
    assert other.exists()


EDITS = (None, None, *CHANGES)


@given(data=st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_content_is_lost_and_nothing_else_changes(tmp_path: Path, data: st.DataObject) -> None:
    top = tmp_path / "top"
    shutil.rmtree(top, ignore_errors=True)
    action = data.draw(st.sampled_from(("link", "delete")))
    groups: list[Group] = []
    paths: list[list[Path]] = []
    for number in range(data.draw(st.integers(1, 3))):
        found = [
            put(top / f"{number} {n}" / name, b"%05d" % number, OLD + n * 10**9)
            for n, name in enumerate(data.draw(st.lists(names, min_size=2, max_size=4)))
        ]
        paths.append(found)
        groups.append(Group("\n", known(found[0]), tuple(map(known, found[1:]))))
    put(top / "outside", b"00000")
    script = shell_script(Plan(action, groups, ["remark\nrm -rf /"]))
    for group in paths:
        for path in group:
            if change := data.draw(st.sampled_from(EDITS)):
                change(path)
    before = tree(top)
    done = run(script, tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    after = tree(top)

    contents = {value[0] for value in before.values() if isinstance(value, tuple)}
    assert contents == {value[0] for value in after.values() if isinstance(value, tuple)}
    may_change = {str(path) for group in paths for path in group[1:]}
    for name, value in before.items():
        if name not in may_change:
            assert after[name] == value
        elif action == "link" and isinstance(value, tuple):
            assert Path(name).read_bytes() == value[0]
    assert after.keys() <= before.keys()
    assert action == "delete" or after.keys() == before.keys()


# Names


@given(st.lists(names, min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_shell_reads_every_name_as_it_is(texts: list[str]) -> None:
    words = b" ".join(map(quoted, texts))
    script = b"for word in " + words + b"; do printf '%s\\0' \"$word\"; done\n"
    done = subprocess.run(["sh"], input=script, capture_output=True, check=True, timeout=60)
    assert done.stdout.split(b"\0")[:-1] == list(map(os.fsencode, texts))


def powershell_value(text: str) -> str:
    """An expression of quoted texts and characters, as PowerShell's grammar reads it."""
    assert text.isascii()
    assert text.isprintable()
    term = r"'(?:[^']|'')*'|\[char\]\d+"
    assert re.fullmatch(rf"\(({term})(\+({term}))*\)", text)
    units = b""
    for piece in re.findall(term, text):
        if piece.startswith("'"):
            units += piece[1:-1].replace("''", "'").encode("utf-16-le")
        else:
            units += int(piece.removeprefix("[char]")).to_bytes(2, "little")
    return units.decode("utf-16-le", "surrogatepass")


@given(st.text() | names)
def test_a_powershell_reads_every_name_as_it_is(text: str) -> None:
    assert powershell_value(quoted_for_powershell(text)) == text


def test_a_script_for_powershell_is_ascii_with_a_line_for_each_step() -> None:
    files = [Known(rf"C:\models\{name}", 5, OLD) for name in ("keep", "\u2019; rm *", "a\r\nb")]
    made = Plan("delete", [Group("two\n\u00e9", files[0], tuple(files[1:]))], ["left\u2028out"])
    text = powershell_script(made).decode("ascii")
    steps = text[text.index("# two") :].splitlines()
    calls = [line.split(" ", 3) for line in steps if line.startswith(("Keep", "Try"))]
    assert [call[0] for call in calls] == ["Keep", "Try-Delete", "Try-Delete"]
    assert [call[1:3] for call in calls] == [["5", "1600000000"]] * 3
    assert [powershell_value(call[3]) for call in calls] == [file.path for file in files]
    assert steps[-1] == "Finish"
