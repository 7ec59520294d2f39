"""Real mounts for tests, each with a server on this machine that can be stopped and killed.

    with SshfsMount(tmp_path / "server", tmp_path / "mount", delay_ms=1) as mount:
        (mount.source / "a").write_bytes(b"")  # behind the client's back
        assert ask_list(mount.point).names == ["a"]
        mount.stop_server()
        assert ask_stat(mount.point, timeout=1).result == HANG

A call on a hung mount may never return and cannot be killed, so nothing here makes one from the
process of the test: `ask_stat` and `ask_list` ask from another process and give up on it. `close`,
which ends a `with`, leaves neither a mount nor a process behind, whatever state they are in, and
takes seconds at most.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, NoReturn, Self

import pytest

from tests.support import relay

HANG = "hang"

_STARTING = 10.0
_ENDING = 2.0
_MOUNTING = 5.0
"""Seconds that a server may take to start, a killed process to end, a call of mount or umount."""

_FOLDERS = ("/usr/sbin", "/sbin", "/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh")
"""Where Debian, Fedora and Arch keep commands that are not on everyone's PATH."""


def require(*commands: str) -> list[str]:
    """The commands' full paths. Where one is missing the test is skipped, and failed in CI."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS])
    found = {command: shutil.which(command, path=path) for command in commands}
    missing = [command for command, place in found.items() if place is None]
    if missing:
        unmet(f"not installed: {', '.join(missing)}")
    return [place for place in found.values() if place]


def require_root() -> None:
    if os.geteuid() != 0:
        unmet("only root can mount this")


def require_fuse() -> None:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        unmet("/dev/fuse cannot be opened")


def unmet(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI must run this test", pytrace=False)
    pytest.skip(reason)


class Answer(NamedTuple):
    """What another process was told about a path."""

    result: str
    """`ok`, `hang`, or the name of the error, as `ENOTCONN`."""
    names: list[str]
    size: int = -1
    mtime_ns: int = -1
    inode: int = -1
    device: int = -1


_ASK = """
import errno, json, os, sys
try:
    if sys.argv[1] == "list":
        told = {"names": sorted(os.listdir(sys.argv[2]))}
    else:
        s = os.lstat(sys.argv[2])
        told = {"size": s.st_size, "mtime_ns": s.st_mtime_ns, "inode": s.st_ino, "device": s.st_dev}
    told["result"] = "ok"
except OSError as error:
    told = {"result": errno.errorcode[error.errno]}
print(json.dumps(told))
"""


def ask_stat(path: Path, timeout: float = 5.0) -> Answer:
    """An lstat of `path` by another process, which is given up after `timeout` seconds."""
    return _ask("stat", path, timeout)


def ask_list(path: Path, timeout: float = 5.0) -> Answer:
    """A listing of `path` by another process, which is given up after `timeout` seconds."""
    return _ask("list", path, timeout)


def _ask(question: str, path: Path, timeout: float) -> Answer:
    output = _run([sys.executable, "-ISc", _ASK, question, str(path)], timeout)
    if output is None:
        return Answer(HANG, [])
    assert output.code == 0, output.text
    return Answer(**{"names": [], **json.loads(output.text)})


class _Output(NamedTuple):
    code: int
    text: str


_given_up: list[subprocess.Popen[str]] = []
"""Killed, but perhaps stuck in the kernel until their mount is gone."""


def _run(command: list[str], timeout: float) -> _Output | None:
    """What the command said, or None if it took longer; `subprocess.run` would wait for its end."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
    )
    try:
        text, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        assert process.stdout is not None
        process.stdout.close()
        _given_up.append(process)
        return None
    return _Output(process.returncode, text)


def _do(*command: str) -> str:
    """Run a command that must succeed soon."""
    output = _run(list(command), _MOUNTING)
    if output is None:
        raise TimeoutError(f"{shlex.join(command)} took more than {_MOUNTING} s")
    if output.code:
        raise OSError(f"{shlex.join(command)} ended with {output.code}: {output.text.strip()}")
    return output.text


def _wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass  # it has ended


class _Program:
    """A server or a client in the foreground, with a process group and a log of its own."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """To the whole group, also to children that outlived their parent."""
        _signal_group(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> None:
        """Until it has ended by itself, or was killed because it did not."""
        if not _wait_for(lambda: not self.is_running, _ENDING):
            self.signal(signal.SIGKILL)
            assert _wait_for(lambda: not self.is_running, _ENDING), f"{self} cannot be killed"

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Until `condition` holds; raises OSError with the log if it never does."""
        _wait_for(lambda: condition() or not self.is_running, _STARTING)
        if not condition():
            raise OSError(f"{self} did not start: {self.log.read_text(errors='replace')[-2000:]}")

    def __str__(self) -> str:
        return shlex.join(map(str, self._process.args))  # type: ignore[arg-type]


class Identity(NamedTuple):
    """A mount as the kernel names it in /proc/self/mountinfo."""

    fs_type: str
    source: str
    root: str


def mounted_at(point: Path) -> Identity | None:
    """What is mounted there last, without touching it."""
    found = None
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        _, _, _, root, place = before.split()[:5]
        if _unescaped(place) == str(point):
            fs_type, source = after.split()[:2]
            found = Identity(fs_type, _unescaped(source), _unescaped(root))
    return found


def _unescaped(text: str) -> str:
    """Space, tab, newline and backslash stand in octal there."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text


class Mount:
    """One mount on `point`, an empty folder, showing `source`; both are made if they are missing.

    `private` is a folder for what the servers need themselves, gone after `close`.
    """

    def __init__(self, source: Path, point: Path) -> None:
        self.source = source
        self.point = point
        self.private = Path(tempfile.mkdtemp(prefix="mount-"))

    def __enter__(self) -> Self:
        try:
            self._provide()
            self.point.mkdir(parents=True, exist_ok=True)
            self._mount()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def files(self) -> Path:
        """Where files are edited: behind the client's back, where there are two sides."""
        return self.source

    @property
    def identity(self) -> Identity | None:
        """None while nothing is mounted."""
        return mounted_at(self.point)

    def unmount(self, lazy: bool = False) -> None:
        """Leave the bare folder; OSError where the mount is busy, unless `lazy`."""
        _do("umount", *(["-l"] if lazy else []), str(self.point))

    def remount(self, source: Path | None = None) -> None:
        """Mount again as it was, or another folder in its place; unmounts first where need be.

        A server that was killed is started; one that is stopped must be continued before.
        """
        if self.identity:
            self.unmount(lazy=True)
        self._end_clients()
        if source:
            self.source = source
            self._provide()
        self._mount()

    def close(self) -> None:
        """Leave nothing behind."""
        self._end_clients()
        for _ in range(3):
            if not self.identity:
                break
            try:
                self.unmount(lazy=True)
            except OSError:
                pass  # it went by itself meanwhile, or the next attempt says why not
        self._end_servers()
        _wait_for(lambda: not self._stuck(), _ENDING)
        assert not self.identity, f"{self.point} is still mounted"
        shutil.rmtree(self.private, ignore_errors=True)

    def _provide(self) -> None:
        self.source.mkdir(parents=True, exist_ok=True)

    def _mount(self) -> None:
        raise NotImplementedError

    def _stuck(self) -> list[subprocess.Popen[str]]:
        """Processes that were given up and have not yet ended, as far as they are about us."""
        _given_up[:] = [process for process in _given_up if process.poll() is None]
        return [process for process in _given_up if str(self.point) in str(process.args)]

    def _end_clients(self) -> None:
        """What holds the mount open in user space."""

    def _end_servers(self) -> None:
        """What the mount shows."""


class FuseMount(Mount):
    """A mount by a program of its own, the client, from a server, which is another program."""

    _client: _Program | None = None

    def unmount(self, lazy: bool = False) -> None:
        _do("fusermount3", "-uz" if lazy else "-u", str(self.point))
        if self._client and not lazy:
            self._client.wait()

    def kill_client(self) -> None:
        """The program behind the mount dies, and leaves a mount that answers ENOTCONN."""
        if self._client:
            self._client.kill()

    def start_server(self) -> None:
        """Undo `kill_server`, without a word to the client."""
        raise NotImplementedError

    def kill_server(self) -> None:
        """The server dies, and nothing answers in its place."""
        raise NotImplementedError

    def stop_server(self) -> None:
        """The server falls silent and keeps its connections, as a NAS that hangs."""
        raise NotImplementedError

    def continue_server(self) -> None:
        raise NotImplementedError

    def _start_client(self, command: list[str]) -> None:
        self._client = _Program(command, self.private / "client.log")
        self._client.wait_until(
            lambda: self.identity is not None and ask_stat(self.point).result == "ok"
        )

    def _end_clients(self) -> None:
        self.kill_client()
        self._client = None


class SshfsMount(FuseMount):
    """sshfs to an sftp-server, through a relay that delays and counts requests.

    `delay_ms` is the time of a round trip beyond the machine's own 0.1 ms or so. `caches` are those
    that sshfs and the kernel have by default: 20 s and 1 s. With `reconnect`, sshfs answers EIO
    while the server is dead, and finds it again; without it, sshfs unmounts and ends. More
    connections (`max_conns`) change nothing: libfuse 3.14 works on ten requests at once.
    """

    def __init__(
        self,
        source: Path,
        point: Path,
        delay_ms: float = 0.0,
        caches: bool = False,
        reconnect: bool = False,
    ) -> None:
        require_fuse()
        self._sshfs, self._sftp_server, _ = require("sshfs", "sftp-server", "fusermount3")
        super().__init__(source, point)
        self._delay_ms = delay_ms
        self._options: list[str] = []
        if not caches:
            self._options += ["dir_cache=no", "attr_timeout=0", "entry_timeout=0"]
        if reconnect:
            self._options += ["reconnect"]
        self._count_file = self.private / "counts"
        self._down_file = self.private / "down"

    @property
    def requests(self) -> Counter[str]:
        """How many requests of each type sshfs has sent since the mount was made.

        Those between two moments are the later counts minus the earlier.
        """
        return relay.read_counts(self._count_file)

    def kill_server(self) -> None:
        self._down_file.touch()
        self._signal_server(signal.SIGKILL)

    def start_server(self) -> None:
        self._down_file.unlink(missing_ok=True)

    def stop_server(self) -> None:
        self._signal_server(signal.SIGSTOP)

    def continue_server(self) -> None:
        self._signal_server(signal.SIGCONT)

    def _mount(self) -> None:
        self.start_server()
        command = [sys.executable, "-IS", relay.__file__, "--delay-ms", str(self._delay_ms)]
        command += ["--count-file", str(self._count_file), "--down-file", str(self._down_file)]
        command += ["--", self._sftp_server, "--"]
        options = ["ssh_command=" + " ".join(map(_escaped, command)), *self._options]
        self._start_client(
            [self._sshfs, "-f", "-o", ",".join(options), f"nas:{self.source}", str(self.point)]
        )

    def _end_servers(self) -> None:
        self._signal_server(signal.SIGKILL)

    def _signal_server(self, number: signal.Signals) -> None:
        group = relay.read_group(self._count_file)
        try:
            # The number may have been given to another process since the relay ended.
            is_ours = str(self._count_file) in os.fsdecode(
                Path(f"/proc/{group}/cmdline").read_bytes()
            )
        except OSError:
            return
        if is_ours:
            _signal_group(group, number)


def _escaped(argument: str) -> str:
    """sshfs splits ssh_command at spaces, libfuse its options at commas; both know backslashes."""
    for character in "\\ ,":
        argument = argument.replace(character, "\\" + character)
    return argument


class RcloneMount(FuseMount):
    """`rclone mount` from Samba (`smb`) or from `rclone serve webdav`, on a port of loopback.

    The client keeps trying to reach a dead server, answers EIO meanwhile, and finds it again. Its
    own caches, by default 5 min for names and 1 s for attributes, are off unless `caches`.
    """

    def __init__(
        self, kind: Literal["smb", "webdav"], source: Path, point: Path, caches: bool = False
    ) -> None:
        require_fuse()
        self._rclone, _ = require("rclone", "fusermount3")
        if kind == "smb":
            require_root()  # smbd changes to the user of the connection
            (self._smbd,) = require("smbd")
        super().__init__(source, point)
        self.kind = kind
        self._caches = caches
        self._port = _free_port()
        self._server: _Program | None = None

    def kill_server(self) -> None:
        if self._server:
            self._server.kill()
            self._server = None

    def stop_server(self) -> None:
        self._signal_server(signal.SIGSTOP)

    def continue_server(self) -> None:
        self._signal_server(signal.SIGCONT)

    def start_server(self) -> None:
        if self._server:
            return
        command = self._samba() if self.kind == "smb" else self._webdav()
        self._server = _Program(command, self.private / "server.log")
        self._server.wait_until(self._accepts)

    def remount(self, source: Path | None = None) -> None:
        if source:
            self.kill_server()
        super().remount(source)

    def _mount(self) -> None:
        self.start_server()
        config = self.private / "rclone.conf"
        if self.kind == "smb":
            password = _do(self._rclone, "obscure", "guest").strip()
            remote = f"type = smb\nhost = 127.0.0.1\nport = {self._port}\nuser = guest\n"
            config.write_text(f"[nas]\n{remote}pass = {password}\n")
        else:
            url = f"http://127.0.0.1:{self._port}/{self.source.name}"
            config.write_text(f"[nas]\ntype = webdav\nurl = {url}\n")
        name = f"nas:{self.source.name}"
        caches = ["--dir-cache-time=0s", "--attr-timeout=0s"]
        self._start_client(
            [
                *(self._rclone, "mount", name if self.kind == "smb" else "nas:", str(self.point)),
                *("--devname", name),
                *("--config", str(config), "--cache-dir", str(self.private / "cache")),
                # One attempt, not ten: EIO comes at once and not after 20 s.
                *("--low-level-retries=1", "--poll-interval=0"),
                *([] if self._caches else caches),
            ]
        )

    def _samba(self) -> list[str]:
        run = self.private / "samba"
        run.mkdir(exist_ok=True)
        config = self.private / "smb.conf"
        config.write_text(
            "[global]\n"
            "server role = standalone server\n"
            "interfaces = 127.0.0.1\n"
            "bind interfaces only = yes\n"
            f"smb ports = {self._port}\n"
            "disable netbios = yes\n"
            "disable spoolss = yes\n"
            "load printers = no\n"
            "map to guest = Bad User\n"
            "guest account = root\n"
            f"private dir = {run}\n"
            f"lock directory = {run}\n"
            f"state directory = {run}\n"
            f"cache directory = {run}\n"
            f"pid directory = {run}\n"
            f"ncalrpc dir = {run / 'ncalrpc'}\n"
            f"log file = {self.private / 'samba.log'}\n"
            f"[{self.source.name}]\n"
            f"path = {self.source}\n"
            "guest ok = yes\n"
            "read only = no\n"
        )
        options = ["--foreground", "--no-process-group", "--debug-stdout"]
        return [self._smbd, *options, f"--configfile={config}"]

    def _webdav(self) -> list[str]:
        return [
            *(self._rclone, "serve", "webdav", str(self.source)),
            *("--addr", f"127.0.0.1:{self._port}", "--baseurl", f"/{self.source.name}"),
            *("--config", os.devnull, "--dir-cache-time=0s", "--poll-interval=0"),
        ]

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def _signal_server(self, number: signal.Signals) -> None:
        if self._server:
            self._server.signal(number)

    def _end_servers(self) -> None:
        self.kill_server()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class BindMount(Mount):
    """A folder of this disk, mounted at another place."""

    def __init__(self, source: Path, point: Path) -> None:
        require_root()
        require("mount", "umount")
        super().__init__(source, point)

    def _mount(self) -> None:
        _do("mount", "--bind", str(self.source), str(self.point))


class TmpfsMount(Mount):
    """A tmpfs on `source`, bound to `point`: what is in it survives an unmount of `point`."""

    def __init__(self, source: Path, point: Path) -> None:
        require_root()
        require("mount", "umount")
        super().__init__(source, point)
        self._tmpfs = source

    def _mount(self) -> None:
        if not mounted_at(self._tmpfs):
            _do("mount", "-t", "tmpfs", "comfy", str(self._tmpfs))
        _do("mount", "--bind", str(self.source), str(self.point))

    def _end_servers(self) -> None:
        if mounted_at(self._tmpfs):
            _do("umount", "-l", str(self._tmpfs))


class ImageMount(Mount):
    """A new file system in a file, mounted as an external disk is: exfat, vfat or ext4.

    `source` is that file. `remount` with another is another disk in the same place.
    """

    def __init__(
        self, kind: Literal["exfat", "vfat", "ext4"], source: Path, point: Path, *options: str
    ) -> None:
        """`options` are those of its mkfs."""
        require_root()
        self._mkfs, self._losetup, *_ = require(f"mkfs.{kind}", "losetup", "mount", "umount")
        if _kernel_has(kind):
            self._driver = ["mount", "-t", kind]
        elif kind == "exfat":
            require_fuse()
            self._driver = require("mount.exfat-fuse")
        else:
            pytest.skip(f"this kernel has no {kind}")
        super().__init__(source, point)
        self.kind, self._options = kind, options

    @property
    def files(self) -> Path:
        return self.point

    def _provide(self) -> None:
        if not self.source.exists():
            with self.source.open("wb") as image:
                image.truncate(_IMAGE_BYTES)
            _do(self._mkfs, *self._options, str(self.source))

    def _mount(self) -> None:
        device = _do(self._losetup, "--find", "--show", str(self.source)).strip()
        try:
            _do(*self._driver, device, str(self.point))
        finally:
            # At once if it is not mounted, and else with its unmount.
            _do(self._losetup, "--detach", device)


_IMAGE_BYTES = 64 << 20


def _kernel_has(kind: str) -> bool:
    def is_known() -> bool:
        return kind in Path("/proc/filesystems").read_text().split()

    if not is_known() and (modprobe := shutil.which("modprobe", path="/usr/sbin:/sbin")):
        _run([modprobe, "--quiet", kind], _MOUNTING)
    return is_known()
