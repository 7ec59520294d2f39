"""The stream of events: everybody hears everything once, and a slow reader stops nobody."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scanner.output.journal_reader import read
from scanner.output.status_file import read_status
from scanner.web import streams
from tests.support.installation import KINDS
from tests.support.machine import PATIENCE, Machine, write
from tests.support.serving import API, Served, outputs_at, served


class Event(NamedTuple):
    name: str
    data: dict[str, Any]
    id: str


class Listener:
    """One who reads the stream."""

    def __init__(self, site: Served, last: str = "") -> None:
        self._socket = site.connect()
        more = f"Last-Event-ID: {last}\r\n" if last else ""
        self._socket.sendall(f"GET {API}/events HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
        self._text = b""
        self.events: list[Event] = []
        assert self.until("hello").name == "hello"

    def until(self, *names: str) -> Event:
        """Read up to the next event of one of these names."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            event = self._next()
            if event is not None:
                self.events.append(event)
                if event.name in names:
                    return event
                continue
            self._socket.settimeout(1)
            try:
                piece = self._socket.recv(65536)
            except TimeoutError:
                continue
            assert piece, "the stream has ended"
            self._text += piece
        raise AssertionError(f"no {names}: {self.events}")

    def _next(self) -> Event | None:
        start = self._text.find(b"id: ")
        end = self._text.find(b"\n\n", start)
        if start < 0 or end < 0:
            return None
        lines = self._text[start:end].decode().splitlines()
        self._text = self._text[end + 2 :]
        fields = dict(line.split(": ", 1) for line in lines if ": " in line)
        return Event(fields["event"], json.loads(fields["data"]), fields["id"])

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    for kind in KINDS:
        (made.work / "ComfyUI" / kind).mkdir(parents=True)
    made.run("scan")
    return made


@pytest.fixture
def site(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(streams, "PACE", 0.05)
    with served(machine.output) as made:
        made.app.hub.pace = 0.05
        yield made


@contextmanager
def listening(site: Served, last: str = "") -> Iterator[Listener]:
    listener = Listener(site, last)
    try:
        yield listener
    finally:
        listener.close()


def create(machine: Machine, name: str, content: str = "x") -> str:
    write(machine.work / "ComfyUI" / "models" / "loras" / name, content)
    return f"ComfyUI/models/loras/{name}"


def test_a_scan_is_heard_with_its_lines(machine: Machine, site: Served) -> None:
    with listening(site) as listener:
        path = create(machine, "new.safetensors")
        machine.run("scan")
        event = listener.until("status")
        names = [event.name for event in listener.events]
        assert names == ["hello", "change", "change", "scan", "status"]
        assert event.data == {
            "machine": "comfy_inventory",
            "scan": 2,
            "updated": machine.status()["updated"],
        }
        change = listener.events[2]
        assert change.data["path"] == path and change.data["kind"] == "created"
        assert change.data["text"].startswith("created ")
        assert change.id == "comfy_inventory=2"


def test_every_line_is_heard_once(machine: Machine, site: Served) -> None:
    with listening(site) as listener:
        for number in range(4):
            create(machine, f"{number}.safetensors")
            machine.run("scan")
            listener.until("status")
        heard = [(e.data["scan"], e.data["n"]) for e in listener.events if e.name == "change"]
    assert heard == [(line["scan"], line["n"]) for line in read(machine.journal, 1)]
    assert len(heard) >= 4


def test_after_a_break_nothing_is_missing_and_nothing_comes_twice(
    machine: Machine, site: Served
) -> None:
    with listening(site) as listener:
        create(machine, "first.safetensors")
        machine.run("scan")
        listener.until("status")
        last = listener.events[-1].id
    create(machine, "second.safetensors")
    machine.run("scan")
    with listening(site) as other:  # somebody else keeps the news flowing
        with listening(site, last) as listener:
            missed = listener.until("change")
            assert missed.data["path"].endswith("second.safetensors")
            create(machine, "third.safetensors")
            machine.run("scan")
            listener.until("status")
            paths = [e.data["path"] for e in listener.events if e.name == "change"]
            assert [Path(path).name for path in paths] == [
                "second.safetensors",
                "third.safetensors",
            ]
        other.until("status")


@pytest.mark.parametrize("last", ["", "nonsense", "other=3", "comfy_inventory=x", "a=1&b", "%00=1"])
def test_marks_that_are_not_ours_are_no_error(site: Served, last: str) -> None:
    with listening(site, last) as listener:
        assert [event.name for event in listener.events] == ["hello"]


def test_a_crowd_of_lines_is_fetched_and_not_sent(
    machine: Machine, site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_LINES", 5)
    with listening(site) as listener:
        for number in range(20):
            create(machine, f"{number}.safetensors", f"{number}")
        machine.run("scan")
        create(machine, "more.safetensors")
        machine.run("scan")
        listener.until("status")
        names = {event.name for event in listener.events}
    assert "reset" in names and "scan" in names
    assert sum(event.name == "change" for event in listener.events) <= 5


def test_a_root_that_goes_offline_is_heard(machine: Machine, site: Served) -> None:
    folder = machine.work / "ComfyUI" / "input"
    write(folder / "a.png", "a")
    machine.run("scan")
    with listening(site) as listener:
        folder.rename(machine.work / "elsewhere")
        machine.run("scan", expect=3)
        event = listener.until("root")
        assert event.data["path"] == str(folder) and event.data["state"] == "offline"
        assert event.data["since"]


def test_a_state_that_was_lost_begins_anew(machine: Machine, site: Served) -> None:
    create(machine, "a.safetensors")
    machine.run("scan")
    with listening(site) as listener:
        for path in machine.work.glob("comfy_inventory*"):
            path.unlink()
        machine.run("scan")
        assert listener.until("reset", "status").name == "reset"


def test_a_slow_reader_stops_nobody_and_costs_nothing(
    machine: Machine, site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reads nothing while thousands of events come; the other hears the last one at once."""
    monkeypatch.setattr("scanner.web.limits.STALL_SECONDS", 0.5)
    slow = site.connect()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(f"GET {API}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    hub = site.app.hub
    text = "x" * 10_000
    with listening(site) as quick:
        heard: list[int] = []

        def hear() -> None:
            while not heard or heard[-1] < 3999:
                heard.append(quick.until("change").data["number"])

        thread = threading.Thread(target=hear)
        thread.start()
        loop = site.server.loop
        for start in range(0, 4000, 500):

            def some(first: int = start) -> None:
                for number in range(first, first + 500):
                    hub._publish(("change", {"number": number, "text": text}))

            loop.call_soon_threadsafe(some)
            deadline = time.monotonic() + PATIENCE
            while (not heard or heard[-1] < start + 499) and time.monotonic() < deadline:
                time.sleep(0.01)
        thread.join(PATIENCE)
        assert heard == list(range(4000))
        deadline = time.monotonic() + PATIENCE
        while hub.listeners > 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert hub.listeners == 1  # the slow one was cut off
    slow.close()


def test_the_ring_keeps_no_more_than_it_may(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who falls behind by more than the ring is told to fetch everything anew."""
    hub = site.app.hub
    with listening(site) as listener:
        more = hub._ring.maxlen or 0

        def many() -> None:
            for number in range(more + 10):
                hub._publish(("change", {"number": number}))

        site.server.loop.call_soon_threadsafe(many)
        assert listener.until("reset").name == "reset"
        assert len(hub._ring) == more
        assert not any(event.name == "change" for event in listener.events)
        site.server.loop.call_soon_threadsafe(hub._publish, ("change", {"number": -1}))
        assert listener.until("change").data["number"] == -1


def test_a_long_poll_answers_when_something_happens(machine: Machine, site: Served) -> None:
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(site.json("changes", wait=50)))
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while site.app.hub.listeners == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    create(machine, "new.safetensors")
    machine.run("scan")
    thread.join(PATIENCE)
    (answer,) = answers
    assert answer["scan"] == 2
    assert any(line["path"].endswith("new.safetensors") for line in answer["changes"])


def test_a_long_poll_ends_with_its_time(site: Served) -> None:
    begun = time.monotonic()
    answer = site.json("changes", wait=1)
    assert answer["changes"] == [] and time.monotonic() - begun >= 1


def test_nobody_listens_and_nothing_is_looked_at(
    site: Served, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def read(path: str) -> dict[str, Any] | None:
        looks.append(path)
        return read_status(path)

    monkeypatch.setattr(streams, "read_status", read)
    with listening(site):
        deadline = time.monotonic() + PATIENCE
        while len(looks) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    deadline = time.monotonic() + PATIENCE
    while site.app.hub.listeners and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    before = len(looks)
    time.sleep(0.3)
    assert 3 <= before == len(looks)


def test_several_inventories_are_heard_together(machine: Machine, tmp_path: Path) -> None:
    other = Machine(tmp_path / "other")
    for kind in KINDS:
        (other.work / "ComfyUI" / kind).mkdir(parents=True)
    other.run("scan", "-o", "nas.json")
    path = other.work / "nas.json"
    with served(machine.output, path) as site:
        site.app.hub.pace = 0.05
        with listening(site) as listener:
            assert [each["name"] for each in listener.events[0].data["machines"]] == [
                "comfy_inventory",
                "nas",
            ]
            create(other, "new.safetensors")
            other.run("scan", "-o", "nas.json")
            assert listener.until("status").data["machine"] == "nas"
            assert listener.events[-1].id == "comfy_inventory=1&nas=2"
    assert outputs_at(path).journal.endswith("nas.changes.jsonl")
