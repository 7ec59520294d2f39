"""The kernel clients of the guest, each with a hand on what serves it. Runs inside the guest."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.support.guest.servers import DISK, POINT, OutsideServer, Server, attempt, do, mount_image
from tests.support.machine import wait_for, write


class Fault(NamedTuple):
    """What happens, how it ends, and the states that the root may truly be in meanwhile."""

    happens: Callable[[], object]
    ends: Callable[[], object]
    states: frozenset[str]
    keeps_server: bool = True
    """Whether the server's files can be changed while it lasts, to be found afterwards."""
    is_of_all: bool = False
    """Whether the whole mount is away, and so is a root that is a link to another folder of it."""
    loses_state: bool = False
    """Whether the state is lost meanwhile."""


GONE = frozenset(("offline",))
HANGS = frozenset(("stalled",))
FAILS = frozenset(("offline", "partial", "stalled"))
OTHER = frozenset(("held",))
NOT_THERE = frozenset(("offline", "held", "partial"))


class Client:
    """A mount on `POINT`. The root of the program is its folder `models`."""

    name: str
    server: Server

    def start(self) -> None:
        """Start the server and mount it."""
        raise NotImplementedError

    def mount(self) -> None:
        raise NotImplementedError

    def faults(self) -> dict[str, Fault]:
        return {
            "unmounted": Fault(self.unmount, self.mount, GONE, is_of_all=True),
            "unmounted, and the state is lost": Fault(
                self.unmount, self.mount, GONE, keeps_server=False, loses_state=True
            ),
            "another mount over its parent": Fault(self._hide, self._uncover, NOT_THERE),
            "root folder renamed on the server": Fault(
                lambda: self.server.rename("models", "aside"),
                lambda: self.server.rename("aside", "models"),
                NOT_THERE,
                keeps_server=False,
            ),
        }

    def lose_all(self) -> None:
        """All files of `models` are gone for good."""
        self.server.clear("models")

    def _hide(self) -> None:
        do("mount", "-t", "tmpfs", "tmpfs", POINT.parent)
        write(POINT / "models" / "d0" / "other.safetensors", "other")

    def _uncover(self) -> None:
        wait_for(lambda: attempt("umount", POINT.parent), "an unmount of what covers it")

    def unmount(self) -> None:
        # A worker may have a folder open just now.
        wait_for(lambda: attempt("umount", POINT), "an unmount")

    def close(self) -> None:
        """Unmount it and end its server, so that another client can follow."""
        self.unmount()


def serve_disk() -> None:
    do("modprobe", "-a", "loop", "ext4")
    mount_image(DISK.with_suffix(".img"), DISK)
    # Samba counts in seconds if its folder's time, when a client connects, is a whole one.
    (DISK / "models").mkdir()
    POINT.mkdir(parents=True, exist_ok=True)


def drop_disk() -> None:
    wait_for(lambda: attempt("umount", DISK), "an unmount of the server's disk")
    DISK.with_suffix(".img").unlink()


class Nfs(Client):
    """The kernel's server and client, mounted hard as by default."""

    def __init__(
        self, version: str, options: str = "no_root_squash", caches: str = "actimeo=1"
    ) -> None:
        self.caches = caches
        self.name = f"NFS {version}"
        self.version = version
        self.options = options
        self.server = Server(DISK)

    def start(self) -> None:
        serve_disk()
        do("modprobe", "-a", "nfsd", "nfs", "nfsv3", "nfsv4")
        state = Path("/var/lib/nfs")
        for name in ("rpc_pipefs", "sm", "sm.bak", "v4recovery", "nfsdcld"):
            (state / name).mkdir(parents=True, exist_ok=True)
        Path("/run/rpcbind").mkdir(exist_ok=True)
        do("mount", "-t", "rpc_pipefs", "rpc_pipefs", state / "rpc_pipefs")
        do("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
        # A server that starts makes its clients wait for so many seconds: 90 by default.
        for name in ("nfsv4leasetime", "nfsv4gracetime"):
            Path("/proc/fs/nfsd", name).write_text("10")
        exported = f"{DISK} *(rw,sync,no_subtree_check,fsid=0,insecure,{self.options})\n"
        Path("/etc/exports").write_text(exported)
        do("rpcbind", "-w")
        do("exportfs", "-ra")
        self.serve()
        do("rpc.mountd")
        self.mount()

    @staticmethod
    def serve() -> None:
        do("rpc.nfsd", "4")

    @staticmethod
    def stop_serving() -> None:
        do("rpc.nfsd", "0")

    def mount(self) -> None:
        path = DISK if self.version == "3" else "/"
        options = f"vers={self.version},{self.caches}{',nolock' if self.version == '3' else ''}"
        wait_for(lambda: attempt("mount", "-t", "nfs", "-o", options, f"nas:{path}", POINT), "NFS")

    def close(self) -> None:
        super().close()
        self._withdraw()
        self.stop_serving()
        drop_disk()

    def faults(self) -> dict[str, Fault]:
        return {
            "server stopped": Fault(self.stop_serving, self.serve, HANGS, is_of_all=True),
            "export withdrawn": Fault(self._withdraw, self._export, FAILS),
            "the server's disk unmounted": Fault(
                self._lose_disk, self._find_disk, NOT_THERE, keeps_server=False
            ),
            **super().faults(),
        }

    def _withdraw(self) -> None:
        do("exportfs", "-ua")
        do("exportfs", "-f")

    def _export(self) -> None:
        do("exportfs", "-ra")

    def _lose_disk(self) -> None:
        """Its empty mount point is exported."""
        self._withdraw()
        wait_for(lambda: attempt("umount", DISK), "that nfsd lets go of the disk")
        (DISK / "models").mkdir(exist_ok=True)
        self._export()

    def _find_disk(self) -> None:
        self._withdraw()
        mount_image(DISK.with_suffix(".img"), DISK)
        self._export()


SMB_CONF = """[global]
interfaces = lo
bind interfaces only = yes
map to guest = bad user
guest account = root
server role = standalone
private dir = /guest/samba
lock directory = /guest/samba
state directory = /guest/samba
cache directory = /guest/samba
pid directory = /guest/samba
ncalrpc dir = /guest/samba/ncalrpc
log file = /guest/samba/log
smb ports = 445
disable netbios = yes
disable spoolss = yes
load printers = no
[nas]
path = /guest/srv
guest ok = yes
read only = no
"""


class Smb(Client):
    """Samba and the kernel's client, cifs."""

    name = "SMB"

    def __init__(self, caches: str = "actimeo=1") -> None:
        self.caches = caches
        self.server = Server(DISK)
        self._conf = Path("/guest/smb.conf")

    def start(self) -> None:
        serve_disk()
        do(
            "modprobe",
            "-a",
            "cifs",
            "nls_utf8",
            "cmac",
            "hmac",
            "md4",
            "sha512",
            "ccm",
            "gcm",
            "ecb",
        )
        Path("/guest/samba").mkdir()
        self._conf.write_text(SMB_CONF)
        self.serve()
        self.mount()

    def serve(self) -> None:
        do("smbd", "-s", self._conf, "-D")

    def mount(self) -> None:
        # A guest needs no password; without `echo_interval` a dead server is noticed after 2 min.
        options = f"guest,vers=3.1.1,noperm,echo_interval=2,{self.caches}"
        wait_for(lambda: attempt("mount", "-t", "cifs", "-o", options, "//nas/nas", POINT), "SMB")

    def faults(self) -> dict[str, Fault]:
        return {
            "server killed": Fault(lambda: self._signal("KILL"), self.serve, FAILS, is_of_all=True),
            "server stopped": Fault(
                lambda: self._signal("STOP"), lambda: self._signal("CONT"), FAILS
            ),
            "the server's disk unmounted": Fault(
                self._lose_disk, self._find_disk, NOT_THERE, keeps_server=False
            ),
            **super().faults(),
        }

    def close(self) -> None:
        super().close()
        self._signal("KILL")
        drop_disk()

    @staticmethod
    def _signal(name: str) -> None:
        do("pkill", f"-{name}", "-x", "smbd")

    @staticmethod
    def _lose_disk() -> None:
        do("umount", "-l", DISK)
        (DISK / "models").mkdir(exist_ok=True)

    @staticmethod
    def _find_disk() -> None:
        mount_image(DISK.with_suffix(".img"), DISK)


class Plan9(Client):
    """9p to qemu, as WSL 2 has its Windows drives. Its server cannot be stopped alone."""

    name = "9p"

    def __init__(self) -> None:
        self.server = OutsideServer()

    def start(self) -> None:
        POINT.mkdir(parents=True)
        self.mount()

    def mount(self) -> None:
        do("mount", "-t", "9p", "-o", "trans=virtio,version=9p2000.L,msize=65536", "nas", POINT)


class Disk(Client):
    """An external disk, mounted without a server."""

    def __init__(self, kind: str) -> None:
        self.name = kind
        self.kind = kind
        self.server = Server(POINT)
        self._image = Path("/guest/disk.img")
        self._other = Path("/guest/other.img")

    def start(self) -> None:
        do("modprobe", "-a", "loop", self.kind, "nls_utf8", "nls_ascii", "nls_cp437")
        self._mount(self._other)
        write(POINT / "models" / "other.safetensors", "other")
        self.unmount()
        self.mount()

    def mount(self, options: str = "") -> None:
        self._mount(self._image, options)

    def faults(self) -> dict[str, Fault]:
        faults = {
            name: fault._replace(keeps_server=False) for name, fault in super().faults().items()
        }
        other = Fault(self._swap, self._swap_back, OTHER, keeps_server=False)
        return {"another disk in its place": other, **faults}

    def _mount(self, image: Path, options: str = "") -> None:
        words = ",".join(filter(None, ["iocharset=utf8", options]))
        mount_image(image, POINT, self.kind, words)

    def close(self) -> None:
        super().close()
        self._image.unlink()
        self._other.unlink()

    def lose_all(self) -> None:
        """A loss of files alone is no reason to hold a local disk for ever. Another disk is."""
        self._swap()

    def _swap(self) -> None:
        self.unmount()
        self._mount(self._other)

    def _swap_back(self) -> None:
        self.unmount()
        self.mount()


class Automounted(Nfs):
    """NFS 4.2 that automount mounts when somebody looks and unmounts when it is idle."""

    IDLE = 8

    def __init__(self, is_direct: bool) -> None:
        super().__init__("4.2")
        self.name = f"autofs, {'direct' if is_direct else 'indirect'}"
        self.is_direct = is_direct

    def mount(self) -> None:
        do("modprobe", "autofs4")
        # Without nobind, automount binds the folder of a server on the same machine.
        what = "-fstype=nfs4,vers=4.2,actimeo=1,nobind 127.0.0.1:/"
        where = POINT if self.is_direct else POINT.name
        Path("/guest/auto.map").write_text(f"{where} {what}\n")
        top = "/-" if self.is_direct else POINT.parent / "auto"
        Path("/guest/auto.master").write_text(f"{top} /guest/auto.map --timeout={self.IDLE}\n")
        # It serves in a process group of its own only: the group 0 of a child of init will not do.
        subprocess.Popen(["automount", "-f", "/guest/auto.master"], start_new_session=True)
        wait_for(lambda: " - autofs " in Path("/proc/self/mountinfo").read_text(), "automount")
        time.sleep(1)

    @property
    def point(self) -> Path:
        return POINT if self.is_direct else POINT.parent / "auto" / POINT.name
