"""News of real scans, sent to a server on this machine; what waits over crashes; metrics."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scanner.core.paths import short_names
from scanner.errors import OutputError
from scanner.notify.events import arrived, conditions, differences, event, message, watch
from scanner.notify.ledger import Ledger
from scanner.notify.metrics import write_metrics
from scanner.schemas import load_schema
from tests.notify.test_send import Server, server  # noqa: F401
from tests.support.machine import Machine, wait_for
from tests.support.world import safetensors

MODELS = "ComfyUI/models"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    for kind in ("models/loras", "custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    (machine.work / MODELS / "loras/first.safetensors").write_bytes(safetensors())
    return machine


def settings(machine: Machine, **values: object) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    (machine.work / "comfy_inventory.toml").write_text("\n".join(lines))


def events_of(bodies: list[bytes]) -> list[tuple[str, bool, list[str]]]:
    found = []
    for body in bodies:
        document = json.loads(body)
        jsonschema.validate(document, load_schema("event"))
        found += [(item["event"], item["ended"], item["paths"]) for item in document["events"]]
    return found


# One-shot scans


def test_scan_sends_what_arrived_and_broke_before_it_ends(
    machine: Machine,
    server: Server,  # noqa: F811
) -> None:
    settings(machine, webhook=server.url, notify_every=0)
    machine.run("scan")
    assert server.got == []  # what is there at first has not arrived
    loras = machine.work / MODELS / "loras"
    (loras / "new.safetensors").write_bytes(safetensors())
    (loras / "half.safetensors").write_bytes(safetensors()[:-1])
    (loras / "notes.txt").write_text("no model")
    machine.run("scan")
    machine.run("scan")  # at the first one they are too young to be read
    bodies = [body for _, _, body, _ in server.got]
    assert sorted(events_of(bodies)) == [
        ("arrived", False, ["ComfyUI/models/loras/new.safetensors"]),
        ("broken", False, ["ComfyUI/models/loras/half.safetensors"]),
    ]
    (loras / "half.safetensors").unlink()
    machine.run("scan")
    machine.run("scan")
    assert events_of([body for _, _, body, _ in server.got[len(bodies) :]]) == [
        ("broken", True, ["ComfyUI/models/loras/half.safetensors"])
    ]


def test_news_that_could_not_be_sent_come_with_the_next_scan(
    machine: Machine,
    server: Server,  # noqa: F811
) -> None:
    settings(machine, webhook=server.url + "/secret-token", notify_every=0)
    machine.run("scan")
    server.codes = [500, 200]
    (machine.work / MODELS / "loras/a.safetensors").write_bytes(safetensors())
    told = machine.run("scan").stderr + machine.run("scan").stderr
    assert "HTTP 500" in told
    assert "secret" not in told
    (machine.work / MODELS / "loras/b.safetensors").write_bytes(safetensors())
    machine.run("scan")
    machine.run("scan")
    assert events_of([body for _, _, body, _ in server.got[1:]]) == [
        ("arrived", False, ["ComfyUI/models/loras/a.safetensors"]),
        ("arrived", False, ["ComfyUI/models/loras/b.safetensors"]),
    ]


def test_command_gets_the_news_and_each_place_has_its_own_position(
    machine: Machine,
    server: Server,  # noqa: F811
) -> None:
    code = "import sys; open('got.jsonl', 'ab').write(sys.stdin.buffer.read() + b'\\n')"
    settings(machine, on_event=[sys.executable, "-c", code], webhook=server.url, notify_every=0)
    machine.run("scan")
    server.codes = [503]
    (machine.work / MODELS / "loras/a.safetensors").write_bytes(safetensors())
    for _ in range(3):
        machine.run("scan")
    got = (machine.work / "got.jsonl").read_bytes().splitlines()
    assert events_of(got) == [("arrived", False, ["ComfyUI/models/loras/a.safetensors"])]
    assert events_of([server.got[-1][2]]) == events_of(got)


def test_healthcheck_hears_start_and_exit_code(
    machine: Machine,
    server: Server,  # noqa: F811
) -> None:
    settings(machine, healthcheck=server.url + "/uuid?create=1", extra=["nas"])
    nas = machine.work / "nas"
    nas.mkdir()
    (nas / "a").write_text("a")
    machine.run("scan")
    nas.rename(machine.work / "away")
    machine.run("scan", expect=3)
    assert [path for _, path, _, _ in server.got] == [
        "/uuid/start?create=1",
        "/uuid/0?create=1",
        "/uuid/start?create=1",
        "/uuid/3?create=1",
    ]
    assert b"nas is offline" in server.got[-1][2]


def test_low_disk_is_news_with_its_free_space(
    machine: Machine,
    server: Server,  # noqa: F811
) -> None:
    settings(machine, webhook=server.url, notify_every=0, disk_low="100%")
    machine.run("scan")
    [low] = json.loads(server.got[0][2])["events"]
    assert (low["event"], low["ended"]) == ("disk_low", False)
    assert events_of([body for _, _, body, _ in server.got]) == [("disk_low", False, low["paths"])]
    assert re.fullmatch(r"/.* low on free space: /.* has .* free of .*B", low["text"])
    settings(machine, webhook=server.url, notify_every=0, disk_low=0)
    machine.run("scan")
    assert events_of([server.got[1][2]]) == [("disk_low", True, low["paths"])]


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_program_killed_between_success_and_note_sends_the_same_numbers_again(
    machine: Machine,
) -> None:
    code = (
        "import os, signal, sys\n"
        "first = not os.path.exists('got.jsonl')\n"
        "open('got.jsonl', 'ab').write(sys.stdin.buffer.read() + b'\\n')\n"
        "if first: os.kill(os.getppid(), signal.SIGKILL)\n"
    )
    settings(machine, on_event=[sys.executable, "-c", code], notify_every=0)
    (machine.work / MODELS / "loras/half.safetensors").write_bytes(safetensors()[:-1])
    machine.run("scan", expect=-signal.SIGKILL)
    machine.run("scan")
    machine.run("scan")
    got = (machine.work / "got.jsonl").read_bytes().splitlines()
    assert events_of(got) == [("broken", False, ["ComfyUI/models/loras/half.safetensors"])] * 2
    first, again = (json.loads(body)["events"] for body in got)
    assert [item["n"] for item in first] == [item["n"] for item in again] == [1]


# The loop


def test_hanging_places_delay_neither_scans_nor_the_end(
    machine: Machine,
    server: Server,  # noqa: F811
) -> None:
    server.codes = [0]
    hang = [sys.executable, "-c", "import time; time.sleep(1000)"]
    settings(machine, on_event=hang, webhook=server.url, healthcheck=server.url, notify_every=0)
    machine.run("config", "show")
    (machine.work / MODELS / "loras/half.safetensors").write_bytes(safetensors()[:-1])
    with machine.running("run", "--every", "1s") as running:
        wait_for(lambda: len(server.got) >= 2, "ping and webhook hang")
        reached = machine.status()["scan"]
        wait_for(lambda: machine.status()["scan"] >= reached + 3, "scans go on")
        started = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0
        assert time.monotonic() - started < 2.5
    waiting = json.loads(machine.output.with_name("comfy_inventory.notify.json").read_bytes())
    assert [item["event"] for item in waiting["events"]] == ["broken"]


def test_secrets_are_not_printed(machine: Machine) -> None:
    settings(machine, webhook="https://me:pass@example.org:8443/hooks/token?key=k")
    shown = machine.run("config", "show").stdout + machine.run("config", "show", "--json").stdout
    assert "https://example.org:8443/..." in shown
    assert not any(word in shown for word in ("pass", "token", "key=k", "me:"))
    settings(machine, webhook="ftp://me:pass@example.org")
    assert "pass" not in machine.run("scan", expect=2).stderr


# Tests by hand


def test_notify_test_says_what_happened(machine: Machine, server: Server) -> None:  # noqa: F811
    machine.run("notify", "--test", expect=2)
    settings(machine, webhook=server.url, on_event=[sys.executable, "-c", "raise SystemExit(7)"])
    done = machine.run("notify", "--test", expect=1)
    assert "webhook: sent (HTTP 200)" in done.stdout
    assert "on_event: NOT sent (exit code 7)" in done.stdout
    assert events_of([server.got[0][2]]) == [("test", False, [])]


# What waits


def test_event_is_kept_until_every_place_has_it(tmp_path: Path) -> None:
    path = str(tmp_path / "i.notify.json")
    ledger = Ledger(path, ["on_event", "webhook"])
    ledger.note(5, {"held": ["/x"]}, {}, [event("held", ["/x"])], "t", 100.0)
    ledger.sent("on_event", 1, 101.0)
    # A kill here, after the success of one place: only that one has it.
    again = Ledger(path, ["on_event", "webhook"])
    assert (again.scan, again.conditions) == (5, {"held": ["/x"]})
    assert again.waiting("on_event") == []
    assert [item["n"] for item in again.waiting("webhook")] == [1]


def test_kill_between_success_and_note_sends_the_same_number_again(tmp_path: Path) -> None:
    path = str(tmp_path / "i.notify.json")
    ledger = Ledger(path, ["webhook"])
    ledger.note(5, {}, {}, [event("held", ["/x"])], "t", 100.0)
    sent = ledger.waiting("webhook")
    assert Ledger(path, ["webhook"]).waiting("webhook") == sent


def test_first_news_gather_for_a_while_and_later_ones_wait_for_the_digest(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "i.notify.json"), ["webhook"])
    assert ledger.due("webhook", 1000.0, 900.0, gather=10) is None
    ledger.note(1, {}, {}, [event("held", ["/x"])], "t", 1000.0)
    assert ledger.due("webhook", 1003.0, 900.0, gather=10) == 7
    ledger.sent("webhook", 1, 1010.0)
    ledger.note(2, {}, {}, [event("held", ["/y"])], "t", 1020.0)
    assert ledger.due("webhook", 1020.0, 900.0, gather=10) == 890


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"schema":1,"events":7,"places":3}'])
def test_damaged_file_begins_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "i.notify.json"
    path.write_bytes(damage)
    assert Ledger(str(path), ["webhook"]).waiting("webhook") == []


# Conditions


def status_with(**values: Any) -> dict[str, Any]:
    return {"roots": [], "unreachable": [], "holds": [], "mounts": [], **values}


def test_folder_counts_as_offline_after_ten_minutes_and_as_online_again_at_once() -> None:
    root = {"path": "/nas", "state": "offline", "since": "1970-01-01T00:00:00.000000000Z"}
    late, early = 600 * 10**9, 599 * 10**9
    assert conditions(status_with(roots=[root]), {}, early)["offline"] == []
    found = conditions(status_with(roots=[root]), {}, late)
    assert found["offline"] == ["/nas"]
    ended = conditions(status_with(roots=[{**root, "state": "online"}]), {}, late)
    [back] = differences(found, ended)
    assert (back["event"], back["ended"], back["text"]) == ("offline", True, "/nas online again")


def test_mount_below_a_root_counts_as_offline_and_an_unreadable_folder_does_not() -> None:
    since = "1970-01-01T00:00:00.000000000Z"
    places = [
        {"path": "models/nas", "error": "offline: not mounted", "since": since},
        {"path": "models/private", "error": "Permission denied", "since": since},
    ]
    found = conditions(status_with(unreachable=places), {}, 10**15)
    assert found["offline"] == ["models/nas"]


@pytest.mark.parametrize(
    ("limit", "free", "before", "expected"),
    [
        (0.05, 49, (), ["/nas"]),
        (0.05, 50, (), []),
        (50, 49, (), ["/nas"]),
        (50, 50, (), []),
        (0, 0, (), []),
        (50, 54, ["/nas"], ["/nas"]),
        (50, 56, ["/nas"], []),
        (50, 54, ["/other"], []),
    ],
)
def test_disk_is_low_below_the_limit_and_until_a_tenth_more_is_free(
    limit: int | float, free: int, before: Sequence[str], expected: list[str]
) -> None:
    mount = {"point": "/nas", "bytes": 1000, "free": free}
    found = conditions(
        status_with(mounts=[mount]), {}, 0, disk_low=limit, before={"disk_low": before}
    )
    assert found["disk_low"] == expected


def line(kind: str, path: str, scan: int, source: str = "", type_: str = "file") -> dict[str, Any]:
    moved = {"from": source} if source else {}
    root = "models:/x/models"
    return {"kind": kind, "path": path, "scan": scan, "type": type_, "root": root, **moved}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line("created", "models/a.gguf", 2)], ["models/a.gguf"]),
        ([line("created", "models/a.txt", 2)], []),
        ([line("modified", "models/a.gguf", 2)], []),
        ([line("moved", "models/a.gguf", 2, "models/a.gguf.part")], ["models/a.gguf"]),
        ([line("moved", "models/a.gguf", 2, "models/old/a.gguf")], []),
        ([line("moved", "models/a.gguf", 2, "/home/me/Downloads/a.gguf")], ["models/a.gguf"]),
        ([line("created", "models/a.gguf", 2), line("deleted", "models/a.gguf", 3)], []),
        (
            [
                line("created", "models/d/a.gguf", 2),
                line("moved", "models/e", 3, "models/d", "directory"),
            ],
            ["models/e/a.gguf"],
        ),
    ],
)  # fmt: skip
def test_model_that_came_is_watched(lines: list[dict[str, Any]], expected: list[str]) -> None:
    assert sorted(watch({}, lines)) == expected


def test_model_arrives_when_it_is_whole_and_at_rest() -> None:
    watched = {"a": 5, "b": 4, "c": 4, "d": 4}
    statuses = {"b": "unsettled", "c": "truncated"}
    assert arrived(watched, statuses, 5, is_last=False) == ["d"]
    assert arrived(watched, statuses, 5, is_last=True) == ["a", "d"]


def test_message_is_valid_and_short_enough_for_discord() -> None:
    events = [event("broken", [f"{n}/\x1b" + "x" * 300]) for n in range(50)]
    document = message(events, "/i.json", "1")
    jsonschema.validate(document, load_schema("event"))
    assert "\x1b" not in document["content"]


# Metrics


def test_metrics_are_what_prometheus_reads_and_name_no_path(machine: Machine) -> None:
    target = machine.work / "node" / "comfy.prom"
    target.parent.mkdir()
    settings(machine, metrics_file=str(target))
    machine.run("scan")
    text = target.read_text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    up = {tuple(s.labels.values()): s.value for s in families["comfy_inventory_root_up"].samples}
    assert up[("models", "models")] == 1
    files = families["comfy_inventory_root_files"].samples
    assert {s.labels["root"]: s.value for s in files}["models"] == 1
    labels = [v for f in families.values() for s in f.samples for v in s.labels.values()]
    assert not [v for v in labels if str(machine.work) in v or v.startswith("/")]
    assert machine.run("metrics").stdout == text
    assert [path.name for path in target.parent.iterdir()] == ["comfy.prom"]


def test_metrics_tell_space_copies_and_changes(machine: Machine) -> None:
    loras = machine.work / MODELS / "loras"
    (loras / "copy.safetensors").write_bytes((loras / "first.safetensors").read_bytes())
    settings(machine, metrics_file=str(machine.work / "comfy.prom"))
    machine.run("scan")
    (loras / "copy.safetensors").unlink()
    machine.run("scan")
    (loras / "a.txt").write_text("a")
    (loras / "b.txt").write_text("b")
    machine.run("scan")
    text = (machine.work / "comfy.prom").read_text()
    found = {
        sample.name.removeprefix("comfy_inventory_"): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    size = len(safetensors())
    changes = {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "comfy_inventory_changes_total"
    }
    assert changes == {"created": 2, "deleted": 1, "modified": 0, "moved": 0}
    assert found["category_bytes"].labels == {"category": "loras"}
    assert found["category_bytes"].value == size + 2
    assert found["duplicate_bytes"].value == 0
    assert 0 < found["mount_free_bytes"].value < found["mount_size_bytes"].value
    assert machine.run("metrics").stdout == text
    if promtool := shutil.which("promtool"):
        told = subprocess.run(
            [promtool, "check", "metrics"], input=text.encode(), check=False, timeout=30
        )
        assert told.returncode == 0


def test_likely_copies_are_counted_in_bytes(machine: Machine) -> None:
    loras = machine.work / MODELS / "loras"
    (loras / "copy.safetensors").write_bytes((loras / "first.safetensors").read_bytes())
    machine.run("scan")
    machine.run("scan")
    assert f"duplicate_bytes {len(safetensors())}\n" in machine.run("metrics").stdout


def test_metrics_and_news_that_wait_are_not_listed_in_a_scanned_folder(machine: Machine) -> None:
    outputs = machine.work / "ComfyUI" / "output"
    (machine.work / "linked").symlink_to(outputs)
    settings(
        machine,
        metrics_file=str(machine.work / "linked" / "comfy.prom"),
        on_event=["false"],
        output=str(outputs / "i.json"),
    )
    (outputs / ".comfy.prom.01234567.tmp").write_text("a crash left this")
    (outputs / "other.prom").write_text("of another program")
    arguments = ("scan", "--output", str(outputs / "i.json"))
    machine.run(*arguments)
    (machine.work / MODELS / "loras/half.safetensors").write_bytes(safetensors()[:-1])
    machine.run(*arguments)
    machine.run(*arguments)
    assert {"comfy.prom", "i.notify.json", "other.prom"} <= set(os.listdir(outputs))
    _, *entries = (outputs / "i.json").read_text().splitlines()
    assert [line for line in entries if "/output/" in line] == [
        line for line in entries if "other.prom" in line
    ]


def test_file_of_another_program_is_not_replaced(tmp_path: Path) -> None:
    other = tmp_path / "node.prom"
    other.write_text("# HELP other x\n")
    with pytest.raises(OutputError, match="another program"):
        write_metrics(str(other), {}, None, {})
    assert other.read_text() == "# HELP other x\n"


def test_folders_of_the_same_name_are_told_apart() -> None:
    assert short_names(["/a/loras", "/b/loras", "/c/vae", "/"]) == {
        "/a/loras": "a/loras",
        "/b/loras": "b/loras",
        "/c/vae": "vae",
        "/": "root",
    }
