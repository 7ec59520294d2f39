"""What the service manager hears: ready, alive as long as the main loop goes round, stopping."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scanner.service.notify import Notifier, notifier_of
from scanner.service.schedule import Schedule
from scanner.service.triggers import trigger_of
from tests.support.machine import Machine, wait_for
from tests.support.real_mounts import SshfsMount

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets of Unix")


class Manager:
    """The socket that systemd would listen on."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def close(self) -> None:
        self._socket.close()

    def listen(self) -> list[str]:
        """All messages so far."""
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def manager(address: str) -> Iterator[Manager]:
    with closing(Manager(address)) as manager:
        yield manager


def test_notifier_sends_what_systemd_reads(manager: Manager, address: str) -> None:
    notifier = Notifier(address)
    notifier.ready()
    notifier.alive()
    notifier.stopping()
    assert manager.listen() == ["READY=1", "STOPPING=1"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a name space of Linux")
def test_address_may_be_a_name_without_a_file() -> None:
    name = f"comfy-inventory-test-{os.getpid()}"
    with closing(Manager(f"\0{name}")) as manager:
        notifier_of({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert manager.listen() == ["READY=1"]


@pytest.mark.parametrize("variable", ["", "vsock:2:1234", "relative/socket"])
def test_without_an_address_of_this_kind_nothing_is_sent(variable: str) -> None:
    notifier = notifier_of({"NOTIFY_SOCKET": variable, "WATCHDOG_USEC": "1000000"})
    notifier.ready()
    notifier.alive()
    assert notifier.ping_every == float("inf")


def test_children_do_not_get_the_variables(address: str) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/x"}
    notifier_of(environ)
    assert environ == {"HOME": "/x"}


PROCESSES = {
    "none": (lambda: "", 40.0),
    "this one": (lambda: str(os.getpid()), 40.0),
    "the parent of the child that writes to a network mount": (lambda: str(os.getppid()), 40.0),
    "another one": (lambda: "999999999", float("inf")),
}


@pytest.mark.parametrize("process", PROCESSES)
def test_watchdog_is_for_the_process_that_it_names(address: str, process: str) -> None:
    number, every = PROCESSES[process]
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "120000000", "WATCHDOG_PID": number()}
    assert notifier_of(environ).ping_every == every


def test_pings_come_three_times_in_the_period(manager: Manager, address: str) -> None:
    now = 0.0
    notifier = Notifier(address, 120.0, lambda: now)
    notifier.ready()
    for second in range(121):
        now = float(second)
        notifier.alive()
    assert manager.listen() == ["READY=1", *["WATCHDOG=1"] * 3]


def test_readiness_that_was_not_heard_is_sent_again(address: str) -> None:
    notifier = Notifier(address)
    notifier.ready()  # nobody listens yet
    with closing(Manager(address)) as manager:
        notifier.alive()
        notifier.alive()
        assert manager.listen() == ["READY=1"]


def test_queue_that_is_full_neither_fails_nor_waits_long(manager: Manager, address: str) -> None:
    notifier = Notifier(address, 0.001)
    notifier.ready()
    start, calls = time.monotonic(), 0
    while time.monotonic() - start < 0.5:
        time.sleep(0.001)
        began = time.monotonic()
        notifier.alive()
        calls += 1
        if time.monotonic() - began > 0.1:  # it waited for room
            break
    else:
        pytest.fail("the queue was never full")
    before = len(manager.listen())
    time.sleep(0.002)
    notifier.alive()
    assert manager.listen()[before:] == ["WATCHDOG=1"]


class Looping:
    """A schedule in a thread, as the main thread runs it."""

    def __init__(self, address: str) -> None:
        self.schedule = Schedule(trigger_of(3600, ""), Notifier(address, 0.15))
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self.schedule.run, args=(self.stop, 0.1))

    def __enter__(self) -> Looping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join()


def pings(manager: Manager) -> int:
    return manager.listen().count("WATCHDOG=1")


def test_turn_that_hangs_stops_no_ping(manager: Manager, address: str) -> None:
    hangs, ends = threading.Event(), threading.Event()

    def hang(seconds_left: object) -> None:
        hangs.set()
        ends.wait()

    with Looping(address) as loop:
        loop.schedule.add("lane", hang)
        try:
            assert hangs.wait(10)
            before = pings(manager)
            wait_for(lambda: pings(manager) >= before + 3, "pings beside the turn")
        finally:
            ends.set()
    assert manager.listen()[0] == "READY=1"
    assert manager.listen()[-1] == "STOPPING=1"


def test_main_loop_that_hangs_sends_no_ping(
    manager: Manager, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, ends = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        ends.wait()

    with Looping(address) as loop:
        wait_for(lambda: pings(manager) >= 2, "pings")
        monkeypatch.setattr(loop.schedule, "_place_moved", hang)
        try:
            assert hangs.wait(10)
            before = pings(manager)
            time.sleep(1.0)  # six periods
            assert pings(manager) == before
        finally:
            monkeypatch.undo()
            ends.set()
        wait_for(lambda: pings(manager) > before, "pings after it")


# The whole program


def as_a_service(machine: Machine, address: str) -> str:
    """The command by which systemd starts the program: the process that it names is the first."""
    machine.environ |= {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
    return f'sh -c \'WATCHDOG_PID=$$; export WATCHDOG_PID; exec "{sys.executable}" "$@"\' sh'


@pytest.mark.slow
def test_run_is_ready_alive_and_stopping(tmp_path: Path, manager: Manager, address: str) -> None:
    machine = Machine(tmp_path / "machine")
    (machine.work / "ComfyUI" / "models").mkdir(parents=True)
    command = as_a_service(machine, address)
    with machine.typing(f"{command} -m scanner run --every 1s") as running:
        running.wait_for(manager.listen, "readiness")
        assert machine.status()["state"] == "running"
        running.wait_for(lambda: pings(manager) >= 3, "pings")
        assert running.stop() == 0
    heard = manager.listen()
    assert (heard[0], heard[-1]) == ("READY=1", "STOPPING=1")
    assert set(heard[1:-1]) == {"WATCHDOG=1"}


@pytest.mark.slow
def test_run_that_cannot_start_is_never_ready(
    tmp_path: Path, manager: Manager, address: str
) -> None:
    machine = Machine(tmp_path / "machine")
    machine.environ["NOTIFY_SOCKET"] = address
    machine.run("run", expect=2)  # there is nothing to scan
    assert manager.listen() == []


@pytest.mark.slow
def test_child_that_writes_to_a_network_mount_notifies(
    tmp_path: Path, manager: Manager, address: str
) -> None:
    machine = Machine(tmp_path / "machine")
    (machine.work / "ComfyUI" / "models").mkdir(parents=True)
    point, source = tmp_path / "nas", tmp_path / "source"
    for folder in (point, source):
        folder.mkdir()
    with SshfsMount(source, point):
        command = as_a_service(machine, address)
        output = point / "comfy_inventory.json"
        with machine.typing(f"{command} -m scanner run --every 1s --output {output}") as running:
            running.wait_for(lambda: pings(manager) >= 3, "pings")
            assert running.stop() == 0
    assert manager.listen()[0] == "READY=1"
    assert manager.listen()[-1] == "STOPPING=1"
