"""Measure the server on a generated inventory beside jq on the same file.

    python -m benchmarks.serve                       200,000 files
    python -m benchmarks.serve --files 1000000
    python -m benchmarks.serve --listeners 200 --seconds 60

With --listeners it holds so many on the stream of events while a scan is published every second.
CPU seconds are those of the server's process, each the least of several runs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.request import Request, urlopen

import psutil

from scanner.core.serialize import time_text
from tests.support.library import write_large

REPEATS = 5

FILTERS = (
    ("name", "q=sdxl", '.entries[] | select(.path | ascii_downcase | contains("sdxl"))'),
    ("two words", "q=flux+lora",
     '.entries[] | select(.path | ascii_downcase | contains("flux") and contains("lora"))'),
    ("category", "category=loras", '.entries[] | select(.category == "loras")'),
    ("size", "min_size=10000000000", ".entries[] | select(.size >= 10000000000)"),
    ("largest 100", "sort=-size&limit=100", ".entries | sort_by(-.size) | .[:100]"),
)  # fmt: skip
"""Name, parameters of `entries`, and the program of jq that finds the same."""


@contextmanager
def serving(inventory: Path, home: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A server of `inventory` in a process of its own, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scanner", "serve", str(inventory), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(home)},
    )
    try:
        assert process.stdout is not None
        link = process.stdout.readline().split()[-1].partition("#")[0]
        yield psutil.Process(process.pid), link
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def get(link: str, route: str) -> bytes:
    """The answer as it comes, compressed."""
    request = Request(f"{link}{route}", headers={"Accept-Encoding": "gzip"})
    with urlopen(request) as answer:
        content: bytes = answer.read()
        return content


def cpu(process: psutil.Process) -> float:
    """CPU seconds that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def used(process: psutil.Process, work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of the process and seconds on the wall that `work` takes."""
    before, begun = cpu(process), time.perf_counter()
    work()
    return cpu(process) - before, time.perf_counter() - begun


def least(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The least of each."""
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def megabytes(number: float) -> str:
    return f"{number / 1e6:,.1f} MB"


def jq_seconds(inventory: Path, program: str) -> float | None:
    """CPU seconds of jq, the least of two runs; None where it is not here."""
    if not shutil.which("jq"):
        return None
    found = []
    for _ in range(2):
        with subprocess.Popen(
            ["jq", "-c", program, str(inventory)], stdout=subprocess.DEVNULL
        ) as process:
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        found.append(usage.ru_utime + usage.ru_stime)
    return min(found)


def measure_filters(files: int, folder: Path) -> None:
    """Print a table of filters, with the memory of the server."""
    inventory = folder / "comfy_inventory.json"
    write_large(inventory, files)
    size = inventory.stat().st_size
    with serving(inventory, folder) as (process, link):
        get(link, "healthz")
        empty = process.memory_info().rss
        first, wall = used(process, lambda: get(link, "api/v1/pages"))
        loaded = process.memory_info().rss
        whole, _ = used(process, lambda: get(link, "api/v1/entries"))
        table = get(link, "api/v1/entries")
        print(f"{files:,} files, an inventory of {megabytes(size)}.\n")
        print(f"- Reading it: {first:.2f} s of CPU, {wall:.2f} s.")
        print(f"- Memory of the server: {megabytes(empty)} before, {megabytes(loaded)} after.")
        print(
            f"- The whole table: {whole:.2f} s of CPU once, {megabytes(len(table))} on the way.\n"
        )
        print("| Filter | Rows | CPU of the server | Time | jq, CPU |")
        print("|---|---|---|---|---|")
        for name, query, program in FILTERS:
            # Each time another limit: a result is kept, and that is not to be measured.
            routes = [f"api/v1/entries?{query}&max_size={10**15 + n}" for n in range(REPEATS)]
            own, wall = least([used(process, partial(get, link, route)) for route in routes])
            rows = len(json.loads(gzip.decompress(get(link, routes[-1])))["columns"]["name"])
            jq = jq_seconds(inventory, program)
            beside = "not here" if jq is None else f"{jq:.2f} s"
            print(f"| {name} | {rows:,} | {own:.2f} s | {wall:.2f} s | {beside} |", flush=True)
        after = process.memory_info().rss
        print(f"\nMemory after all of these: {megabytes(after)}.")


class Crowd:
    """Listeners on the stream, read by one thread."""

    def __init__(self, link: str, count: int) -> None:
        host, port = link.split("/")[2].split(":")
        self.events = 0
        self._sockets = []
        for _ in range(count):
            made = socket.create_connection((host, int(port)))
            made.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self._sockets.append(made)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        import selectors

        with selectors.DefaultSelector() as selector:
            for each in self._sockets:
                each.setblocking(False)
                selector.register(each, selectors.EVENT_READ)
            while not self._ends.is_set():
                for key, _ in selector.select(0.1):
                    self.events += key.fileobj.recv(1 << 16).count(b"event: change")  # type: ignore[union-attr]

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        for each in self._sockets:
            each.close()


def publish(folder: Path, scan: int, lines: int) -> None:
    """Write what a scan writes that has found `lines` new files."""
    stem = folder / "comfy_inventory"
    now = time_text(time.time_ns())
    texts = [
        json.dumps(
            {"scan": scan, "n": n, "of": lines, "time": now, "kind": "created", "type": "file",
             "path": f"models/loras/{scan}-{n}.safetensors", "root": "models:/m", "size": 1}
        )
        for n in range(1, lines + 1)
    ]  # fmt: skip
    with open(f"{stem}.changes.jsonl", "a") as journal:
        journal.write("".join(f"{text}\n" for text in texts))
    last = {"scan": scan, "started": now, "seconds": 0.1, "files": 1, "directories": 1}
    lane: dict[str, object] = {"id": "local", "state": "waiting", "roots": [], "last_scan": last,
            "next_due": None, "every_seconds": 1, "error": None}  # fmt: skip
    status = {"schema": 1, "pid": 1, "state": "idle", "started": now, "updated": now,
              "scan": scan,
              "lanes": [lane], "roots": [], "holds": [], "unreachable": []}  # fmt: skip
    temporary = Path(f"{stem}.status.tmp")
    temporary.write_text(json.dumps(status))
    temporary.replace(f"{stem}.status.json")


def measure_listeners(count: int, seconds: int, folder: Path) -> None:
    """Print how memory and CPU stand while `count` listen, one of them without reading."""
    inventory = folder / "comfy_inventory.json"
    write_large(inventory, 1000)
    publish(folder, 1, 1)
    with serving(inventory, folder) as (process, link):
        get(link, "api/v1/summary")
        crowd = Crowd(link, count - 1)
        host, port = link.split("/")[2].split(":")
        deaf = socket.create_connection((host, int(port)))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(3)
        print(f"{count} listeners for {seconds} s, one of them reads nothing; a scan a second with "
              "10 changes.\n")  # fmt: skip
        print("| After | Memory | CPU since before | Events heard by each |")
        print("|---|---|---|---|")
        begun, before = time.monotonic(), cpu(process)
        scan = 1
        step = max(1, seconds // 6)
        while (passed := time.monotonic() - begun) < seconds:
            scan += 1
            publish(folder, scan, 10)
            time.sleep(1)
            if (scan - 1) % step == 0:
                share = (cpu(process) - before) / (time.monotonic() - begun)
                memory = megabytes(process.memory_info().rss)
                heard = crowd.events / max(1, count - 1)
                print(f"| {passed + 1:.0f} s | {memory} | {100 * share:.1f} % | {heard:.0f} |")
        time.sleep(2)
        heard = crowd.events / max(1, count - 1)
        print(f"\nPublished: {10 * (scan - 1)} changes; heard by each: {heard:.0f}.")
        crowd.close()
        deaf.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--listeners", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="comfy-inventory-") as folder:
        if options.listeners:
            measure_listeners(options.listeners, options.seconds, Path(folder))
        else:
            measure_filters(options.files, Path(folder))


if __name__ == "__main__":
    main()
