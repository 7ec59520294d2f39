"""`serve` and `run --serve` as a user starts them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from scanner.commands.serve.secret import VARIABLE
from tests.support.installation import sentence
from tests.support.machine import PATIENCE, Machine, Running, wait_for, write

API = "/api/v1"

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def link_of(running: Running) -> str:
    """The address that is printed."""
    wait_for(lambda: "http://" in running.printed(), "the address")
    match = re.search(r"http://\S+", running.printed())
    assert match
    return match[0]


def get(link: str, path: str, **headers: str) -> httpx.Response:
    url = link.partition("#")[0].rstrip("/") + path
    return httpx.get(url, headers=headers, timeout=PATIENCE, trust_env=False)


@posix
def test_the_page_of_the_inventory_here(scanned: Machine) -> None:
    with scanned.running("serve", "--port", "0") as running:
        link = link_of(running)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#token=[\w-]{43}", link)
        assert get(link, f"{API}/summary").json()["files"] == 24
        assert "<html" in get(link, "/").text
        token = link.partition("#token=")[2]
        answer = httpx.post(
            link.partition("#")[0] + "api/v1/session",
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert answer.status_code == 204
        assert running.stop() == 0


@posix
def test_the_token_is_kept_for_this_user_alone(scanned: Machine) -> None:
    path = Path(scanned.environ["XDG_STATE_HOME"]) / "comfy-inventory" / "serve.token"
    links = []
    for _ in range(2):
        with scanned.running("serve", "--port", "0") as running:
            links.append(link_of(running).partition("#")[2])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert f"token={path.read_text().strip()}" == links[-1]
    assert links[0] == links[1]
    path.chmod(0o644)  # somebody may have read it
    with scanned.running("serve", "--port", "0") as running:
        assert link_of(running).partition("#")[2] != links[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_a_token_of_a_file_or_the_environment_is_not_printed(
    scanned: Machine, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from the file\nanother line\n")
    scanned.environ[VARIABLE] = "from the environment"
    for arguments, token in (
        (("--token-file", secret), "from the file"),
        ((), "from the environment"),
    ):
        with scanned.running("serve", "--port", "0", *arguments) as running:
            link = link_of(running)
            assert "#" not in link and token not in running.printed()
            url = f"{link}api/v1/session"
            headers = {"authorization": f"Bearer {token}"}
            assert httpx.post(url, headers=headers, trust_env=False).status_code == 204


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_others_are_let_in_only_with_a_token(scanned: Machine, address: str) -> None:
    done = scanned.run("serve", "--listen", address, "--port", free_port(), expect=2)
    assert sentence(done).startswith("--listen:") and "--token-file" in sentence(done)
    assert VARIABLE in sentence(done)


@posix
def test_with_a_token_others_are_let_in(scanned: Machine) -> None:
    scanned.environ[VARIABLE] = "a good long one"
    with scanned.running("serve", "--listen", "0.0.0.0", "--port", "0") as running:
        link = link_of(running)
        port = link.rpartition(":")[2].strip("/")
        local = f"http://127.0.0.1:{port}/"
        assert get(local, f"{API}/summary").status_code == 401
        allowed = get(local, f"{API}/summary", authorization="Bearer a good long one")
        assert allowed.status_code == 200


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--port", "x"), "--port"), (("--port", "70000"), "--port"), (("--port", "-1"), "--port"),
        (("--listen", "no such host.invalid"), "--listen"),
        (("--base-path", "inventory"), "--base-path"),
        (("--token-file", "nowhere"), "--token-file"), (("nowhere.json",), "nowhere.json"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_sentence(scanned: Machine, arguments: tuple[str, ...], word: str) -> None:
    assert word in sentence(scanned.run("serve", *arguments, expect=2))


@pytest.mark.parametrize("text", ["", "short", "with\x07bell long enough"])
def test_a_token_that_is_none(scanned: Machine, tmp_path: Path, text: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text(text)
    assert "--token-file" in sentence(scanned.run("serve", "--token-file", secret, expect=2))


def test_a_port_that_is_taken(scanned: Machine) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for command in (("serve",), ("run", "--serve")):
            done = scanned.run(*command, "--port", port, expect=2)
            assert "--port" in sentence(done) and str(port) in sentence(done)


@pytest.mark.parametrize("name", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(scanned: Machine, name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None\nfrom scanner.cli import main\n"
    for command in (["serve", "--port", "0"], ["run", "--serve", "--port", "0"]):
        done = scanned.execute(sys.executable, "-c", f"{code}sys.exit(main({command!r}))")
        assert done.returncode == 2, done.stderr
        assert "comfy-inventory[web]" in done.stderr and "Traceback" not in done.stderr


@posix
def test_an_inventory_of_another_machine_beside_ours(scanned: Machine, tmp_path: Path) -> None:
    other = tmp_path / "nas.json"
    other.write_bytes(scanned.output.read_bytes())
    with scanned.running("serve", scanned.output, other, "--port", "0") as running:
        machines = get(link_of(running), f"{API}/pages").json()["machines"]
        assert [machine["name"] for machine in machines] == ["comfy_inventory", "nas"]


@posix
def test_inventories_of_one_name_are_told_apart(scanned: Machine, tmp_path: Path) -> None:
    other = tmp_path / "nas" / "comfy_inventory.json"
    other.parent.mkdir()
    other.write_bytes(scanned.output.read_bytes())
    with scanned.running("serve", scanned.output, other, "--port", "0") as running:
        machines = get(link_of(running), f"{API}/pages").json()["machines"]
        assert [machine["name"] for machine in machines] == [
            "work/comfy_inventory",
            "nas/comfy_inventory",
        ]


def activated(number: int) -> list[str]:
    """The command that systemd starts: `number` is its descriptor 3, and two variables say so."""
    code = (
        "import os, sys\n"
        f"os.dup2({number}, 3)\n"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'scanner', 'serve'])"
    )
    return [sys.executable, "-c", code]


@posix
def test_sockets_that_systemd_opens(scanned: Machine) -> None:
    """Socket activation."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        port = opened.getsockname()[1]
        number = opened.fileno()
        process = subprocess.Popen(
            activated(number),
            cwd=scanned.work,
            env=scanned.environ,
            pass_fds=(number,),
            stdout=subprocess.DEVNULL,
        )
        try:
            link = f"http://127.0.0.1:{port}/"
            assert get(link, f"{API}/summary").json()["files"] == 24
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0


@posix
def test_a_socket_for_others_needs_a_token_too(scanned: Machine) -> None:
    with socket.socket() as opened:
        opened.bind(("0.0.0.0", 0))
        opened.listen()
        number = opened.fileno()
        done = scanned.execute(*activated(number), pass_fds=(number,))
    assert done.returncode == 2 and "--token-file" in done.stderr


@posix
def test_units_that_systemd_understands(scanned: Machine, tmp_path: Path) -> None:
    program = tmp_path / "comfy-inventory"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    scanned.environ["PATH"] += f":{tmp_path}"
    options = ("--port", "8200", "--allow-host", "nas.example")
    texts = {
        kind: scanned.run("serve", "--unit", kind, *options).stdout
        for kind in ("socket", "service")
    }
    assert "ListenStream=127.0.0.1:8200\n" in texts["socket"]
    assert f"serve {scanned.output} --allow-host nas.example\n" in texts["service"]
    assert "--unit" in sentence(scanned.run("serve", "--unit", "timer", expect=2))
    checker = shutil.which("systemd-analyze")
    if checker is None:
        pytest.skip("systemd-analyze is not here")
    for kind, text in texts.items():
        (tmp_path / f"comfy-inventory-serve.{kind}").write_text(text)
    done = subprocess.run(
        [checker, "verify", "--man=no", "--recursive-errors=no"]
        + [str(tmp_path / f"comfy-inventory-serve.{kind}") for kind in texts],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "comfy-inventory" not in done.stderr, done.stderr


# run --serve


@posix
def test_the_page_of_a_scanner_that_runs(machine: Machine) -> None:
    arguments = ("--every", "1s", "--serve", "--port", str(free_port()))
    with machine.running("run", *arguments) as running:
        link = f"http://127.0.0.1:{arguments[-1]}/"
        wait_for(machine.output.exists, "the first scan")
        facts = get(link, f"{API}/pages").json()["machines"][0]["pages"]["status"]
        assert facts["alive"] is True and facts["lanes"][0]["next_due"]
        assert "#token" not in running.log()  # a log is no place for it
        write(machine.work / "ComfyUI" / "models" / "loras" / "new.safetensors", "new")
        wait_for(
            lambda: get(link, f"{API}/entries?q=new").json()["total"] == 1, "a file that is new"
        )
        with httpx.stream("GET", f"{link}api/v1/events", trust_env=False) as stream:
            running.process.send_signal(signal.SIGTERM)
            for _ in stream.iter_raw():
                pass  # it ends in order
            assert running.process.wait(PATIENCE) == 0


@posix
def test_a_server_that_fails_stops_no_scan(machine: Machine) -> None:
    """Its loop ends; scans go on, and so does the end in order."""
    code = (
        "import sys, uvicorn\n"
        "async def fail(self): raise RuntimeError('broken')\n"
        "uvicorn.Server.main_loop = fail\n"
        "from scanner.cli import main\n"
        f"sys.exit(main(['run', '--every', '1s', '--serve', '--port', '{free_port()}']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=machine.work,
        env=machine.environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: machine.status().get("scan", 0) >= 2, "two scans")
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "The server has ended; scans go on" in errors


MODULES = ("starlette", "uvicorn", "anyio", "h11", "scanner.web", "scanner.views")


@posix
@pytest.mark.parametrize("command", ["run", "scan"])
def test_without_serve_nothing_of_it_is_imported(machine: Machine, command: str) -> None:
    code = (
        "import os, signal, sys, threading\n"
        "from scanner.cli import main\n"
        "stop = threading.Timer(2.5, os.kill, (os.getpid(), signal.SIGTERM))\n"
        "stop.daemon = True\n"
        "stop.start()\n"
        f"code = main([{command!r}])\n"
        f"print([name for name in {MODULES!r} if name in sys.modules])\n"
        "sys.exit(code)"
    )
    done = machine.execute(sys.executable, "-c", code)
    assert done.stdout == "[]\n", done.stderr
    assert machine.output.exists()
    assert os.path.exists(machine.journal)
