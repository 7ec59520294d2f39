"""Boots Debian's kernel under qemu, with this machine's root below an overlay as its root.

    with Guest() as guest:
        assert guest.run("uname -r", seconds=60).code == 0

The root is shared read-only over 9p, so all programs of this machine are there. What the guest
writes is gone with it, except in `/share`, which is the folder `guest.share`. The processor is
emulated, since containers rarely have KVM: a boot takes some 5 s, and programs run 5 to 20 times
slower.
"""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn, Self

import pytest

from tests.support.machine import CHECKOUT
from tests.support.real_mounts import require

HERE = Path(__file__).parent
KERNEL = "linux-image-amd64"
"""Debian's package that depends on the newest kernel. Others' kernels may lack nfsd or 9p."""

EARLY = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "crc32c-intel", "crc32c_generic")
"""Modules that the initrd needs, and what they depend on."""

KEPT = (
    *("kernel/fs/", "kernel/net/9p/", "kernel/net/sunrpc/", "kernel/net/dns_resolver/"),
    *("kernel/drivers/virtio/", "kernel/drivers/block/loop", "kernel/lib/", "kernel/crypto/"),
    *("kernel/arch/x86/crypto/", "kernel/security/keys/", "modules."),
)
"""Modules that the guest may want: a tenth of all."""

PROGRAMS = ("qemu-system-x86_64", "busybox", "depmod", "modprobe", "dpkg-deb")
MEMORY_MB = 1536
PATIENCE = 240
"""Seconds that a test in the guest waits for something."""


class Result(NamedTuple):
    code: int
    """124 if the guest did not end in time or went down."""
    output: str


class Guest:
    """A guest that boots for one command."""

    def __init__(self) -> None:
        self._qemu, *_ = require(*PROGRAMS)
        self._kernel = kernel()
        self._folder = Path(tempfile.mkdtemp(prefix="comfy-guest-"))
        self.share = self._folder / "share"
        """The guest's `/share`."""
        self.server = self._folder / "nas"
        """What the guest can mount by the 9p tag `nas`."""
        self.share.mkdir()
        self.server.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, command: str, seconds: float) -> Result:
        """Boot, run a line of shell as root, and power off."""
        start = self.share / "start"
        shutil.copy(HERE / "start.sh", start)
        start.chmod(0o755)
        (self.share / "modules").write_text(str(self._kernel / "lib" / "modules"))
        (self.share / "command").write_text(command + "\n")
        (self.share / "wanted").mkdir()
        console = self._folder / "console"
        ended = threading.Event()
        helper = threading.Thread(target=self._help, args=(ended,))
        helper.start()
        try:
            with console.open("wb") as out:
                process = subprocess.Popen(
                    self._command(seconds), stdin=subprocess.DEVNULL, stdout=out, stderr=out
                )
                try:
                    process.wait()
                finally:
                    process.terminate()
                    process.wait()
        finally:
            ended.set()
            helper.join()
        code = self._text(self.share / "code").strip() or "124"
        output = self._text(self.share / "output")
        return Result(
            int(code), output or f"the guest said nothing:\n{self._text(console)[-3000:]}"
        )

    def _command(self, seconds: float) -> list[str]:
        boot = self._kernel / "boot"
        # It ends also where the test was killed.
        command = [
            "timeout",
            "--kill-after=5",
            f"{seconds:.0f}",
            self._qemu,
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-smp",
            "2",
        ]
        command += ["-m", str(MEMORY_MB), "-nographic", "-no-reboot", "-nic", "none"]
        command += ["-rtc", "base=utc", "-kernel", str(next(boot.glob("vmlinuz-*")))]
        command += ["-initrd", str(boot / "initrd.gz")]
        command += ["-append", "console=ttyS0 quiet panic=1 edd=off mitigations=off"]
        for tag, folder, access in (
            ("root", "/", ",readonly=on"),
            ("share", str(self.share), ""),
            ("nas", str(self.server), ""),
        ):
            path = folder.replace(",", ",,")
            options = f"local,id={tag},path={path},security_model=none,multidevs=remap{access}"
            command += ["-fsdev", options]
            command += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return command

    def _help(self, ended: threading.Event) -> None:
        """Do to `server` what the guest asks for: it sees that folder through its mount alone."""
        wanted = self.share / "wanted"
        while not ended.wait(0.1):
            for asked in sorted(wanted.glob("*.sh")):
                subprocess.run(["sh", "-e", asked], cwd=self.server, check=True)
                asked.rename(asked.with_suffix(".done"))

    @staticmethod
    def _text(path: Path) -> str:
        with suppress(FileNotFoundError):
            return path.read_text(encoding="utf-8", errors="replace")
        return ""


def run_python(guest: Guest, module: str, *arguments: str, seconds: float) -> Result:
    """Run a module of this checkout in the guest, with the interpreter of the test."""
    words = [
        "env",
        f"COMFY_TEST_PATIENCE={PATIENCE}",
        # Looking takes its time from what is looked at.
        "COMFY_TEST_POLL=0.3",
        sys.executable,
        "-u",
        "-m",
        module,
        *arguments,
    ]
    return guest.run(f"cd {shlex.quote(str(CHECKOUT))} && {shlex.join(words)}", seconds)


# The kernel


def kernel() -> Path:
    """A folder with Debian's kernel, its modules and our initrd: made once, then kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    kept = Path(os.environ.get("COMFY_GUEST_CACHE") or Path(cache) / "comfy-inventory-guest")
    package = _newest_kernel()
    if package is None:
        # Without a list of packages any kernel that was kept will do.
        made = sorted(kept.glob("linux-image-*/boot/initrd.gz"))
        return made[-1].parents[1] if made else _unmet(f"apt knows no package {KERNEL}")
    folder = kept / package
    if not _is_current(folder):
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as made_in:
            new = Path(made_in) / package
            _unpack(_download(package, Path(made_in)), new)
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)
    return folder


def _is_current(folder: Path) -> bool:
    initrd = folder / "boot" / "initrd.gz"
    if not initrd.exists():
        return False
    return initrd.stat().st_mtime >= (HERE / "init.sh").stat().st_mtime


def _newest_kernel() -> str | None:
    """The package that `KERNEL` depends on, as `linux-image-6.1.0-56-amd64`."""
    if not shutil.which("apt-cache"):
        return None
    done = subprocess.run(
        ["apt-cache", "depends", KERNEL], capture_output=True, text=True, check=False
    )
    words = [line.split() for line in done.stdout.splitlines()]
    names = [word[1] for word in words if word[:1] == ["Depends:"]]
    return next((name for name in names if name.startswith("linux-image-")), None)


def _download(package: str, folder: Path) -> Path:
    """Download a package without installing it."""
    command = ["apt-get", "-qq", "download", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = next(folder.glob("*.deb"), None)
    return found or _unmet(f"apt-get cannot download {package}: {done.stderr.strip()}")


def _unpack(packed: Path, folder: Path) -> None:
    """Unpack what the guest wants of the kernel's package, and make an initrd for it."""
    command = ["dpkg-deb", "--fsys-tarfile", str(packed)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if _is_wanted(member.name) and member.isfile():
                archive.extract(member, folder)
    release = next((folder / "lib" / "modules").iterdir()).name
    subprocess.run([*require("depmod"), "-b", str(folder), release], check=True)
    _make_initrd(folder, release)


def _is_wanted(name: str) -> bool:
    words = name.removeprefix("./").split("/", 3)
    if words[0] == "boot":
        return words[-1].startswith("vmlinuz-")
    return words[:2] == ["lib", "modules"] and words[-1].startswith(KEPT)


def _make_initrd(folder: Path, release: str) -> None:
    """Busybox, the modules that find the root, and `init.sh`."""
    busybox, modprobe = require("busybox", "modprobe")
    modules: list[str] = []
    for name in EARLY:
        show = [modprobe, "-d", str(folder), "-S", release, "--show-depends", name]
        shown = subprocess.run(show, capture_output=True, text=True, check=False).stdout
        paths = [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ")]
        modules += [path for path in paths if path not in modules]
    tree = folder / "initrd"
    for name in ("bin", "dev", "proc", "sys", "below", "above", "new", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin" / "busybox")
    shutil.copy(HERE / "init.sh", tree / "init")
    (tree / "init").chmod(0o755)
    for path in modules:
        shutil.copy(path, tree / "modules")
    order = "".join(f"{Path(path).name}\n" for path in modules)
    (tree / "modules" / "order").write_text(order)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    packed = subprocess.run(
        [busybox, "cpio", "-o", "-H", "newc"],
        cwd=tree,
        input=names.encode(),
        capture_output=True,
        check=True,
    ).stdout
    (folder / "boot" / "initrd.gz").write_bytes(gzip.compress(packed, 6))
    shutil.rmtree(tree)


def _unmet(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI must run this test", pytrace=False)
    pytest.skip(reason)
