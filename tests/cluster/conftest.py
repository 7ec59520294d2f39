"""A storage on sshfs and a cluster, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.network import build_tree
from tests.cluster.site import FILES, Site
from tests.support.cluster import Cluster
from tests.support.real_mounts import SshfsMount


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    build_tree(tmp_path / "server", FILES)
    with SshfsMount(tmp_path / "server", tmp_path / "mount", delay_ms=1.0) as mount:
        made = Site(tmp_path, mount)
        for machine in (made.alone, made.together):
            machine.environ["COMFY_INVENTORY_BACKLOG_TIME"] = "0s"
        yield made


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        yield made
