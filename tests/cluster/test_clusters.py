"""A cluster finds what one machine finds, whatever happens to its workers, and deletes nothing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scanner.output.inventory_reader import read_entries
from scanner.output.journal_reader import read
from tests.cluster.site import Site, edit
from tests.support.cluster import OLDER, Cluster
from tests.support.installation import imported
from tests.support.machine import Machine, wait_for, write
from tests.support.real_mounts import SshfsMount

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="sshfs is mounted on Linux"),
]


def stays_equal(site: Site, cluster: Cluster) -> None:
    """Alone and with the cluster the same was found, and is found again after edits."""
    assert site.differences() == []
    edit(site.server)
    site.scan(site.alone)
    site.scan(site.together, "--cluster", cluster.address)
    assert site.differences() == []


def test_cluster_finds_what_one_machine_finds(site: Site, cluster: Cluster) -> None:
    cluster.add(2)
    site.scan(site.alone)
    site.scan(site.together, "--cluster", cluster.address)
    stays_equal(site, cluster)
    assert len(list(read(site.together.journal))) > 4


def test_local_cluster_finds_it_as_well(site: Site) -> None:
    site.scan(site.alone)
    with Cluster():  # there may be another one on this machine
        site.scan(site.together, "--cluster", "local:2")
    assert site.differences() == []


def during(
    site: Site, cluster: Cluster, does: Callable[[], object], *, expect: int = 0
) -> tuple[str, bool]:
    """Scan with the cluster, and do something once workers are at it. What was logged, and whether
    it was done before the scan ended."""
    started = work_done(cluster)
    machine = site.together
    with machine.running(
        "scan", "--models", site.mount.point, "--cluster", cluster.address
    ) as running:
        wait_for(lambda: work_done(cluster) > started, "work of a worker")
        in_time = running.process.poll() is None
        does()
        assert running.process.wait(60) == expect, running.log()
        return running.log(), in_time


def work_done(cluster: Cluster) -> int:
    """The number of steps that the scheduler has gone through with shares."""
    from distributed import Client

    with Client(cluster.address) as client:
        found: int = client.run_on_scheduler(_steps)
    return found


def _steps(dask_scheduler: Any) -> int:
    return sum("_serve_here" in str(entry[0]) for entry in dask_scheduler.transition_log)


def test_worker_that_is_killed_is_replaced(site: Site, cluster: Cluster) -> None:
    cluster.add(2)
    site.scan(site.alone)
    during(site, cluster, cluster.workers[0].kill)
    stays_equal(site, cluster)


def test_all_workers_that_are_killed_are_replaced(site: Site, cluster: Cluster) -> None:
    cluster.add(2)
    site.scan(site.alone)

    def kill() -> None:
        for worker in cluster.workers:
            worker.kill()

    during(site, cluster, kill)
    assert site.differences() == []


def test_scheduler_that_is_killed_ends_the_pass(site: Site, cluster: Cluster) -> None:
    cluster.add(1)
    site.scan(site.together)
    before = list(read_entries(site.together.output))
    lines = list(read(site.together.journal))
    edit(site.server)
    log, in_time = during(site, cluster, cluster.scheduler.kill, expect=3)
    assert in_time and "scheduler" in log
    assert list(read_entries(site.together.output)) == before
    assert list(read(site.together.journal)) == lines
    site.scan(site.alone)
    with Cluster() as other:
        other.add(1)
        site.scan(site.together, "--cluster", other.address)
    now = list(read_entries(site.together.output))
    assert [e["path"] for e in now] == [e["path"] for e in read_entries(site.alone.output)]


def test_worker_whose_mount_goes_is_left_out(site: Site, cluster: Cluster, tmp_path: Path) -> None:
    with SshfsMount(site.server, tmp_path / "other", delay_ms=1.0) as other:
        cluster.add(1, paths={str(site.mount.point): str(other.point)})
        cluster.add(1)
        site.scan(site.alone)
        site.scan(site.together, "--cluster", cluster.address)
        assert site.differences() == []
        edit(site.server)
        site.scan(site.alone)
        log, _ = during(site, cluster, lambda: other.unmount(lazy=True))
    assert site.differences() == []
    site.scan(site.alone)
    log = site.scan(site.together, "--cluster", cluster.address)
    assert site.differences() == []
    assert "takes no part" in log


def test_worker_with_another_folder_is_left_out(
    site: Site, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere/a.safetensors", "a")
    cluster.add(1, paths={str(site.mount.point): str(tmp_path / "elsewhere")})
    cluster.add(1, paths={str(site.mount.point): str(tmp_path / "nothing")})
    site.scan(site.alone)
    log = site.scan(site.together, "--cluster", cluster.address)
    assert log.count("takes no part") == 2
    assert "its storage is not this one" in log
    stays_equal(site, cluster)


def test_storage_that_is_a_disk_of_the_worker_is_read_there(site: Site, cluster: Cluster) -> None:
    for path in [site.server, *site.server.rglob("*")]:
        os.utime(path, (1_700_000_000, 1_700_000_000))  # sshfs shows whole seconds
    cluster.add(2, paths={str(site.mount.point): str(site.server)})
    asked = sum(site.mount.requests.values())
    site.scan(site.alone)
    alone = sum(site.mount.requests.values()) - asked
    log = site.scan(site.together, "--cluster", cluster.address)
    together = sum(site.mount.requests.values()) - asked - alone
    assert "takes no part" not in log
    assert site.differences() == []
    assert together < alone / 2


def test_worker_of_another_version_is_left_out(site: Site, cluster: Cluster) -> None:
    cluster.add(1, before=OLDER)
    site.scan(site.alone)
    log = site.scan(site.together, "--cluster", cluster.address)
    assert "it has version 0.0.1" in log
    assert site.differences() == []


def test_worker_that_stands_still_stops_nothing(site: Site, cluster: Cluster) -> None:
    cluster.add(2)
    site.scan(site.alone)
    site.together.environ["COMFY_INVENTORY_STALL_AFTER"] = "5s"
    during(site, cluster, lambda: cluster.workers[0].send_signal(signal.SIGSTOP))
    assert site.differences() == []


def test_hashes_are_those_of_one_machine(site: Site, cluster: Cluster) -> None:
    cluster.add(2)
    for machine in (site.alone, site.together):
        site.scan(machine)
    part = site.mount.point / "category_00"
    site.alone.run("hash", part)
    site.together.run("hash", part, "--cluster", cluster.address)
    assert site.differences() == []
    hashed = [entry for entry in read_entries(site.together.output) if "sha256" in entry]
    assert len(hashed) == len([p for p in (site.server / "category_00").rglob("*") if p.is_file()])


def test_worker_that_is_killed_while_it_hashes_is_replaced(site: Site, cluster: Cluster) -> None:
    cluster.add(2)
    for machine in (site.alone, site.together):
        site.scan(machine)
    part = site.mount.point / "category_00"
    site.alone.run("hash", part)
    with site.together.running("hash", part, "--cluster", cluster.address) as running:
        wait_for(lambda: work_done(cluster) > 20, "work of a worker")
        cluster.workers[1].kill()
        assert running.process.wait(100) == 0, running.log()
    assert site.differences() == []


def test_address_that_nobody_answers_is_one_sentence(site: Site) -> None:
    log = site.scan(site.alone, "--cluster", "tcp://127.0.0.1:9", expect=2)
    assert "--cluster: no scheduler answers at tcp://127.0.0.1:9 (Timed out" in log
    assert log.count("\n") == 1
    log = site.scan(site.alone, "--cluster", "somewhere", expect=2)
    assert "expected tcp://host:port" in log


def test_run_scans_with_a_cluster_and_ends_at_once(site: Site, cluster: Cluster) -> None:
    cluster.add(1)
    with site.together.running(
        "run", "--models", site.mount.point, "--every", "2s", "--cluster", cluster.address
    ) as running:
        running.scans(1)
        write(site.server / "later.safetensors", "x")
        running.wait_for(
            lambda: any("later" in line["path"] for line in site.together.changes()),
            "the new file",
        )
        running.stop(seconds=4)


def test_without_the_option_nothing_of_it_is_imported(tmp_path: Path) -> None:
    made = Machine(tmp_path / "two")
    write(made.work / "models/a.pt", "")
    modules = imported(made, "scan", "--models", "models")
    assert not modules & {"distributed", "dask", "tornado", "scanner.cluster"}
