"""Workers that misbehave, maps that are wrong, and ends that come early."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.output.inventory_reader import read_entries
from tests.cluster.site import Site, edit
from tests.support.cluster import Cluster
from tests.support.fleet_places import free_port
from tests.support.machine import wait_for, write
from tests.support.real_mounts import SshfsMount, unmet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="sshfs is mounted on Linux"),
]

_SERVE = "from scanner.cluster import session; "

NONSENSE = {
    "text": _SERVE + "session.serve = lambda *a: 'nonsense'; ",
    "pickle": _SERVE + "import pickle; session.serve = lambda *a: pickle.dumps(['nonsense']); ",
    "bytes": _SERVE + "session.serve = lambda *a: b'nonsense'; ",
    "raises": _SERVE + "session.serve = lambda *a: 1 / 0; ",
    "short": (
        _SERVE + "import pickle; from scanner.cluster.serving import serve\n"
        "def short(*a):\n"
        "    share = pickle.loads(serve(*a))\n"
        "    return pickle.dumps(share._replace(answers=share.answers[:-1]))\n"
        "session.serve = short\n"
    ),
    "other": (
        _SERVE + "import pickle; from scanner.cluster.serving import serve\n"
        "def other(*a):\n"
        "    share = pickle.loads(serve(*a))\n"
        "    return pickle.dumps(share._replace(answers=share.answers[::-1]))\n"
        "session.serve = other\n"
    ),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_worker_that_answers_nonsense_changes_nothing(
    site: Site, cluster: Cluster, nonsense: str
) -> None:
    cluster.add(1, before=NONSENSE[nonsense])
    site.scan(site.alone)
    site.scan(site.together, "--cluster", cluster.address)
    assert site.differences() == []
    edit(site.server)
    site.scan(site.alone)
    site.scan(site.together, "--cluster", cluster.address)
    assert site.differences() == []


@pytest.mark.parametrize(
    "pairs",
    [
        {"{mount}": "relative"},
        {"{mount}/": "{server}/"},
        {"{mount}": "{server}", "{mount}/category_00": "{server}/category_01"},
        {"{mount}/category_00": "{server}/category_01"},
        {"/": "/"},
        {"{mount}": "{server}/category_00"},
    ],
    ids=" ".join,
)
def test_map_that_is_wrong_changes_nothing(
    site: Site, cluster: Cluster, pairs: dict[str, str]
) -> None:
    for path in [site.server, *site.server.rglob("*")]:
        os.utime(path, (1_700_000_000, 1_700_000_000))  # sshfs shows whole seconds
    places = {"mount": str(site.mount.point), "server": str(site.server)}
    cluster.add(1, paths={k.format(**places): v.format(**places) for k, v in pairs.items()})
    site.scan(site.alone)
    log = site.scan(site.together, "--cluster", cluster.address)
    assert site.differences() == []
    is_right = next(iter(pairs)) in ("{mount}/", "/")
    assert ("takes no part" in log) != is_right, log


def test_folder_with_many_files_and_odd_names(site: Site, cluster: Cluster) -> None:
    flat = site.server / "flat"
    flat.mkdir()
    for number in range(5_000):
        (flat / f"{number}.png").touch()
    for name in (b"\xff\xfe.pt", b"new\nline", "ä\u202e".encode(), b"\xff"):
        path = os.fsencode(site.server) + b"/" + name
        if name == b"\xff":
            os.mkdir(path)
            Path(os.fsdecode(path + b"/inner.pt")).write_text("x")
        else:
            Path(os.fsdecode(path)).write_text("x")
    cluster.add(2)
    site.scan(site.alone)
    site.scan(site.together, "--cluster", cluster.address)
    assert site.differences() == []
    assert len(list(read_entries(site.together.output))) > 7_000


def test_storage_of_local_disks_needs_no_worker(site: Site, cluster: Cluster) -> None:
    """A cluster without workers, and roots on this machine's disk only."""
    for machine in (site.alone, site.together):
        more = ["--cluster", cluster.address] if machine is site.together else []
        machine.run("scan", "--models", site.server, *more)
        machine.run("hash", *more)
        machine.run("verify", *more)
    assert site.differences() == []
    assert all("sha256" in e for e in read_entries(site.together.output) if e["type"] == "file")


def test_mounts_beside_each_other(site: Site, cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path / "second/a.safetensors", "a")
    write(tmp_path / "disk/b.safetensors", "b")
    with SshfsMount(tmp_path / "second", tmp_path / "mount2", delay_ms=1.0) as second:
        cluster.add(2)
        for machine in (site.alone, site.together):
            more = ["--cluster", cluster.address] if machine is site.together else []
            roots = ["--models", site.mount.point, "--models", second.point]
            machine.run("scan", *roots, "--models", tmp_path / "disk", *more)
        assert site.differences() == []


def children_of(pid: int) -> set[int]:
    done = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    found = {int(word) for word in done.split()}
    return found.union(*(children_of(child) for child in found))


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_end_in_the_middle_leaves_no_process(site: Site, number: int) -> None:
    with site.together.running(
        "scan", "--models", site.mount.point, "--cluster", "local:2"
    ) as running:
        pid = running.process.pid
        wait_for(lambda: len(children_of(pid)) >= 4 or None, "scheduler, workers and the walker")
        children = children_of(pid)
        running.stop(number, seconds=4)  # 2 s on a machine of its own
        assert "Traceback" not in running.log()
    wait_for(lambda: not any(map(is_there, children)) or None, "the end of all processes")


@pytest.mark.timeout(400)
def test_many_passes_leak_nothing(site: Site, cluster: Cluster) -> None:
    shutil.rmtree(site.server / "category_01")
    cluster.add(1)

    def held(pid: int) -> int:
        return len(os.listdir(f"/proc/{pid}/fd"))

    def tasks() -> tuple[int, int]:
        from distributed import Client

        with Client(cluster.address) as client:
            found: tuple[int, int] = client.run_on_scheduler(_tasks)
        return found

    with site.together.running(
        "run", "--models", site.mount.point, "--every", "1s", "--cluster", cluster.address
    ) as running:
        running.scans(5)
        first = held(running.process.pid), held(cluster.workers[0].pid)
        before = tasks()[1]
        for _ in range(5):
            running.scans(10)
        now = held(running.process.pid), held(cluster.workers[0].pid)
        assert all(b <= a + 4 for a, b in zip(first, now, strict=True)), (first, now)
        left, after = tasks()
        assert left < 10, "no more shares than are under way"
        assert after > before, "the cluster was at work"
        running.stop(seconds=4)


def _tasks(dask_scheduler: Any) -> tuple[int, int]:
    """Shares that the scheduler holds, and the steps that it has gone through."""
    return len(dask_scheduler.tasks), len(dask_scheduler.transition_log)


def certificate(folder: Path) -> dict[str, str]:
    """An authority and one certificate for all, as paths."""
    ca, ca_key, key, asked, made = (
        str(folder / name) for name in ("ca.pem", "ca.key", "key.pem", "asked.csr", "cert.pem")
    )
    new_key = ["-newkey", "rsa:2048", "-nodes", "-subj"]
    for command in (
        ["req", "-x509", *new_key, "/CN=authority", "-keyout", ca_key, "-out", ca, "-days", "2"],
        ["req", *new_key, "/CN=localhost", "-keyout", key, "-out", asked],
        ["x509", "-req", "-in", asked, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
         "-out", made, "-days", "2"],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return {"ca": ca, "cert": made, "key": key}


def settings_of_tls(paths: dict[str, str]) -> dict[str, str]:
    """Variables that Dask reads."""
    start = "DASK_DISTRIBUTED__COMM__TLS"
    found = {f"{start}__CA_FILE": paths["ca"]}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        found[f"{start}__{role}__CERT"] = paths["cert"]
        found[f"{start}__{role}__KEY"] = paths["key"]
    return found


def test_tls_as_it_is_documented(site: Site, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        unmet("not installed: openssl")
    (tmp_path / "keys").mkdir()
    environ = settings_of_tls(certificate(tmp_path / "keys"))
    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    dask = str(Path(sys.executable).with_name("dask"))
    commands = (
        [dask, "scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", str(port),
         "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
        [dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"],
    )  # fmt: skip
    site.scan(site.alone)
    children = [
        subprocess.Popen(
            command, cwd=tmp_path, env={**site.together.environ, **environ},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]  # fmt: skip
    try:
        wait_for(lambda: answers(port) or None, "the scheduler")
        refused = site.scan(site.together, "--cluster", address, expect=2)
        assert f"--cluster: no scheduler answers at {address}" in refused, "it has no certificate"
        assert "Traceback" not in refused
        site.together.environ |= environ
        log = site.scan(site.together, "-v", "--cluster", address)
        assert "takes no part" not in log
        assert site.differences() == []
    finally:
        for child in children:
            child.kill()
            child.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
