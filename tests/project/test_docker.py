"""The steps of the Dockerfile as plain commands, and the compose file. No Docker engine is used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.machine import CHECKOUT, wait_for
from tests.support.real_mounts import require, require_root

CANNOT_REACH_INDEX = ("No matching distribution found", "Connection", "Temporary failure")


def instructions() -> list[tuple[str, str]]:
    lines = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    split = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(word, rest) for word, _, rest in split]


def python_for_everyone() -> Path:
    """A Python that other users may run: not one in root's home."""
    for name in (sys.executable, *require("python3"), "/usr/bin/python3"):
        python = Path(name).resolve()
        if python.exists() and all(folder.stat().st_mode & 0o001 for folder in python.parents):
            return python
    pytest.skip("every Python here lies in a folder of root alone")


class Image:
    """A folder in place of the image's root. After USER, commands run as that user."""

    def __init__(self, top: Path) -> None:
        self.top = top
        python = top / "bin" / "python"
        python.parent.mkdir()
        python.symlink_to(python_for_everyone())
        path = f"{python.parent}{os.pathsep}{os.defpath}"
        self.environ = {k: v for k, v in os.environ.items() if k.startswith("PIP_")}
        self.environ |= {"PATH": path, "HOME": os.environ.get("HOME", "/")}
        self.user: list[str] = []
        self.folder = "/"
        self.found: dict[str, str] = {}

    def inside(self, text: str) -> str:
        return re.sub(r"(?<![\w.])/(?=(?:opt|data|src)\b)", f"{self.top}/", text)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.user, "sh", "-c", self.inside(command)], cwd=self.inside(self.folder),
            env=self.environ, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip

    def build(self) -> None:
        for word, rest in instructions():
            if word == "WORKDIR":
                self.folder = rest
                os.makedirs(self.inside(rest), exist_ok=True)
            elif word == "COPY" and not rest.startswith("--from=build "):
                *sources, target = rest.split()
                for source in sources:
                    whole = Path(self.inside(self.folder), target)
                    if (CHECKOUT / source).is_dir():
                        shutil.copytree(CHECKOUT / source, whole)
                    else:
                        shutil.copy(CHECKOUT / source, whole)
            elif word == "RUN":
                done = self.run(rest)
                if any(sign in done.stderr for sign in CANNOT_REACH_INDEX) and not os.getenv("CI"):
                    pytest.skip("the packages that are needed cannot be downloaded now")
                assert done.returncode == 0, done.stderr
            elif word == "ENV":
                for name, value in (pair.split("=", 1) for pair in rest.split()):
                    self.environ[name] = self.inside(value).replace("$PATH", self.environ["PATH"])
            elif word == "USER":
                uid, gid = rest.split(":")
                (setpriv,) = require("setpriv")
                self.user = [setpriv, f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
            else:
                self.found[word] = rest


@pytest.fixture
def image() -> Iterator[Image]:
    require_root()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Image(Path(folder))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform == "win32", reason="users of POSIX")
def test_steps_of_the_dockerfile_make_a_scanner_that_may_only_read(image: Image) -> None:
    image.build()
    model = image.top / "models" / "loras" / "a.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"weights")
    check = image.found["HEALTHCHECK"].partition(" CMD ")[2]
    assert image.run(check).returncode == 1
    command = [*json.loads(image.found["ENTRYPOINT"]), *json.loads(image.found["CMD"])]
    running = subprocess.Popen(
        [*image.user, *command, "--models", str(image.top / "models")],
        cwd=image.inside(image.folder), env=image.environ, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        inventory = image.top / "data" / "comfy_inventory.json"
        wait_for(lambda: inventory.exists() and str(model) in inventory.read_text(), "a scan")
        assert image.run(check).returncode == 0
        assert inventory.stat().st_uid == 1000
    finally:
        running.terminate()
        code = running.wait(20)
    assert code == 0
    assert image.run(check).returncode == 1


def test_only_what_is_copied_is_sent_to_the_engine() -> None:
    copied = {
        name
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    }
    lines = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied


def test_compose_mounts_models_read_only_under_the_same_path() -> None:
    text = (CHECKOUT / "compose.yaml").read_text(encoding="utf-8")
    service = yaml.safe_load(text)["services"]["comfy-inventory"]
    models, data = service["volumes"]
    assert models["source"] == models["target"] == service["command"][-1]
    assert models["read_only"] is True
    assert data["target"] == "/data"
