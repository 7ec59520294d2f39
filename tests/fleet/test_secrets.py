"""Passwords in the address of a place are shown nowhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.machine import Machine, write

SECRET = "hidden-word"

URLS = (
    f"postgresql://me:{SECRET}@127.0.0.1:9/db",
    f"postgresql://127.0.0.1:9/db?user=me&password={SECRET}",
    f"postgresql://127.0.0.1:9/db?sslpassword={SECRET}&sslkey=x",
    f"postgresql://me:{SECRET}%zz@127.0.0.1:9/db",
    f"postgresql://me:{SECRET}@127.0.0.1:9/db?bogus=1",
    f"postgresql://me:a@{SECRET}@127.0.0.1:9/db",
    f"postgresql://me:a/{SECRET}@127.0.0.1:9/db",
    f"postgresql://me:{SECRET}@[::1/db",
    f"s3://key:{SECRET}@127.0.0.1:9/inventory",
    f"s3://key:{SECRET}@bucket/inventory",
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    made = Machine(tmp_path_factory.mktemp("secret"), AWS_ENDPOINT_URL="http://127.0.0.1:9")
    made.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": SECRET}
    made.environ |= {"AWS_MAX_ATTEMPTS": "1", "PGPASSWORD": SECRET}
    write(made.work / "ComfyUI/main.py", "")
    for name in ("models", "custom_nodes", "input", "output"):
        (made.work / "ComfyUI" / name).mkdir()
    made.run("scan", "--comfy-root", "ComfyUI", "-q")
    return made


@pytest.mark.parametrize("url", URLS)
def test_password_is_not_in_an_error(machine: Machine, url: str) -> None:
    code = _run(machine, ["fleet", "hosts", "--json"], url)
    assert code in (2, 5)


@pytest.mark.parametrize("words", ["fleet publish", "fleet forget x", "scan -v", "config show"])
def test_password_is_in_no_output_and_no_file(machine: Machine, words: str) -> None:
    more = ["--comfy-root", "ComfyUI"] if words.startswith("scan") else []
    for url in (URLS[0], URLS[3]):
        code = _run(machine, [*words.split(), *more], url)
        assert code == (5 if words.startswith("fleet") else 0)
    for path in (*machine.work.rglob("*"), *machine.home.rglob("*")):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def _run(machine: Machine, words: list[str], url: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "scanner", *words],
        cwd=machine.work, env={**machine.environ, "COMFY_INVENTORY_PUBLISH": url},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.returncode
