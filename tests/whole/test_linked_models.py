"""Linked models on real disks: the cache of Hugging Face, single links, a network mount."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.output.inventory_reader import read_entries
from tests.support.machine import wait_for
from tests.support.real_mounts import SshfsMount
from tests.support.world import safetensors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="links and mounts as on Linux"),
    pytest.mark.timeout(180),
]

DIGEST = hashlib.sha256(safetensors()).hexdigest()


def command(folder: Path, *words: str) -> list[str]:
    models = folder / "models"
    start = [sys.executable, "-m", "scanner", *words, "--models", str(models)]
    return [*start, "--output", str(folder / "out.json")]


def environment(folder: Path) -> dict[str, str]:
    config = folder / "config.toml"
    config.write_text('hash = ["sha256"]\nstall_after = "20s"\nannotations_every = "1s"\n', "utf-8")
    home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    return {**os.environ, **home, "COMFY_INVENTORY_CONFIG": str(config)}


def run(folder: Path, *words: str) -> None:
    result = subprocess.run(
        [*command(folder, *words), "--config", str(folder / "config.toml")],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    """The inventory's entries by the end of their path, below the models folder."""
    found = list(read_entries(folder / "out.json"))
    return {entry["path"].partition("models/")[2]: entry for entry in found}


def read_of(entry: dict[str, Any]) -> tuple[str | None, str | None, bool]:
    return entry.get("model", {}).get("format"), entry.get("sha256"), "fingerprint" in entry


ALL = ("safetensors", DIGEST, True)


def test_the_cache_of_hugging_face_and_single_links(tmp_path: Path) -> None:
    models, elsewhere = tmp_path / "models", tmp_path / "elsewhere"
    repository = models / "hub" / "models--x--y"
    for folder in ("blobs", "snapshots/one", "snapshots/two", "refs"):
        (repository / folder).mkdir(parents=True)
    (models / "hub" / ".locks" / "models--x--y").mkdir(parents=True)
    (models / "hub" / ".locks" / "models--x--y" / f"{DIGEST}.lock").touch()
    (repository / "blobs" / DIGEST).write_bytes(safetensors())
    (repository / "blobs" / f"{'0' * 64}.incomplete").write_bytes(safetensors()[:50])
    for revision in ("one", "two"):
        link = repository / "snapshots" / revision / "m.safetensors"
        link.symlink_to(f"../../blobs/{DIGEST}")
    elsewhere.mkdir()
    (elsewhere / "a.safetensors").write_bytes(safetensors())
    (elsewhere / "chain").symlink_to("a.safetensors")
    (models / "a.safetensors").symlink_to(elsewhere / "chain")
    (models / "away.safetensors").symlink_to(elsewhere / "nothing")
    run(tmp_path, "scan")
    run(tmp_path, "scan")
    found = entries(tmp_path)
    for name in ("one", "two"):
        assert read_of(found[f"hub/models--x--y/snapshots/{name}/m.safetensors"]) == ALL
    assert read_of(found["a.safetensors"]) == ALL
    assert read_of(found["away.safetensors"]) == (None, None, False)
    assert read_of(found[f"hub/models--x--y/blobs/{DIGEST}"]) == (None, DIGEST, True)
    assert found[f"hub/models--x--y/blobs/{'0' * 64}.incomplete"]["status"] == "partial"
    assert not [path for path in found if ".locks" in path]


def test_links_to_a_network_mount_that_hangs_while_they_are_read(tmp_path: Path) -> None:
    source, point, models = tmp_path / "source", tmp_path / "nas", tmp_path / "models"
    for folder in (source, point, models):
        folder.mkdir()
    (source / "far.safetensors").write_bytes(safetensors())
    with SshfsMount(source, point, reconnect=True) as mount:
        (models / "far.safetensors").symlink_to(point / "far.safetensors")
        environ = environment(tmp_path)
        words = [
            *command(tmp_path, "run"),
            "--every",
            "1s",
            "--config",
            str(tmp_path / "config.toml"),
        ]
        with subprocess.Popen(
            words, env=environ, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                wait_for((tmp_path / "out.json").exists, "an inventory")
                wait_for(
                    lambda: read_of(entries(tmp_path).get("far.safetensors", {})) == ALL,
                    "the facts of the link, once sshfs caches nothing older",
                    90,
                )
                mount.stop_server()
                (models / "new.safetensors").symlink_to(point / "far.safetensors")
                (models / "near.safetensors").write_bytes(safetensors())
                wait_for(
                    lambda: read_of(entries(tmp_path).get("near.safetensors", {})) == ALL,
                    "the facts of the file on this disk",
                    60,
                )
                assert read_of(entries(tmp_path)["far.safetensors"]) == ALL
                mount.continue_server()
            finally:
                mount.continue_server()
                process.terminate()
                assert process.wait(20) == 0
    assert read_of(entries(tmp_path)["far.safetensors"]) == ALL
