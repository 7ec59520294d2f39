"""What `python -m benchmarks.scale --keep` measures, and the file that it writes.

Everything that `benchmarks.model` knows comes from this file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from benchmarks.machine import machine
from benchmarks.made_up import Shape
from benchmarks.page import FOLDER
from benchmarks.scale import PHASES, Run, measured

RESULTS = os.path.join(FOLDER, "scale.json")

PARTS = ("runs", "hash", "round_trips", "fleet")

SMALL, LARGE = 1_000_000, 10_000_000

FEW_A_FOLDER = 20
"""Files of a folder in the second shape: from both, what a folder costs is told from what a file
does."""

LATENCY = 0.001

FLEETS = ((5, 20_000), (50, 2_000), (50, 20_000), (100, 15_000))
"""Hosts, and entries of each. The last one checks what the others predict."""

QUESTIONS = ("hosts", "where", "missing", "duplicates")

HASHED = 256 << 20
"""Bytes of the file that is hashed, from memory."""


def measure(parts: Sequence[str], tell: Callable[[Run], None]) -> None:
    """Measure some of PARTS, or all, and write them beside what is known of the others."""
    made: dict[str, Callable[[], Any]] = {
        "hash": hash_costs,
        "round_trips": round_trips,
        "fleet": fleet_costs,
    }
    for part in parts or PARTS:
        if part == "runs":
            for found in runs(tell):
                keep("runs", found)
        else:
            keep(part, made[part]())


def keep(part: str, found: Any) -> None:
    """Write a part beside the others."""
    known = {**(read() if os.path.exists(RESULTS) else {}), part: found}
    document = {"machine": machine(tempfile.gettempdir())} | {p: known.get(p) for p in PARTS}
    with open(RESULTS, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def runs(tell: Callable[[Run], None]) -> Iterator[list[dict[str, Any]]]:
    """Trees of a million files in two shapes, and of ten million: all runs so far, after each."""
    found = []
    for given in (
        (Shape(SMALL), 0, 0.0, tuple(PHASES)),
        (Shape(SMALL, FEW_A_FOLDER), 0, 0.0, tuple(PHASES)),
        (Shape(SMALL), 4, 0.0, ("scan",)),
        (Shape(SMALL, FEW_A_FOLDER), 4, 0.0, ("scan",)),
        (Shape(LARGE), 0, 0.0, ("scan", "restart")),
        (Shape(LARGE), 4, 0.0, ("scan",)),
        (Shape(LARGE), 16, LATENCY, ("scan",)),
        (Shape(LARGE), 0, LATENCY, ("scan",)),
    ):
        run = measured(*given)
        tell(run)
        found.append(asdict(run))
        yield found


def hash_costs() -> dict[str, float]:
    """Processor seconds for each byte of a file in memory, by algorithm; the least of three."""
    from benchmarks.hashing import OURS, ours

    found = {}
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        for _ in range(16):
            file.write(os.urandom(HASHED // 16))
        file.flush()
        for name, algorithms in OURS.items():
            costs = []
            for _ in range(3):
                started = time.process_time()
                ours(file.name, algorithms)
                costs.append(time.process_time() - started)
            found[name] = min(costs) / HASHED
    return found


def round_trips() -> list[dict[str, Any]]:
    """What `python -m benchmarks.round_trips --json` counts."""
    command = [sys.executable, "-m", "benchmarks.round_trips", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def fleet_costs() -> list[dict[str, Any]]:
    """Processor seconds of questions, each in a process of its own; the least of two."""
    found = []
    for hosts, entries in FLEETS:
        with tempfile.TemporaryDirectory(prefix="comfy-inventory-fleet-") as folder:
            make_fleet(folder, hosts, entries)
            for question in QUESTIONS:
                code = "import sys; from benchmarks.scale_results import ask; ask(*sys.argv[1:])"
                command = [sys.executable, "-c", code, folder, question]
                costs = [
                    json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                    for _ in range(2)
                ]
                best = min(costs, key=lambda cost: float(cost["cpu"]))
                found.append({"hosts": hosts, "entries": entries, "question": question, **best})
                print(found[-1], file=sys.stderr, flush=True)
    return found


def ask(folder: str, question: str) -> None:
    """Ask the fleet below `folder`, and print what it cost."""
    from benchmarks.scale import peak_resident
    from scanner.commands.fleet import asking
    from scanner.fleet import questions
    from scanner.fleet.address import FOLDER as FOLDER_KIND
    from scanner.fleet.address import Address

    place = Address(FOLDER_KIND, folder)
    started, cpu = time.perf_counter(), time.process_time()
    if question == "hosts":
        count = len(asking.hosts_of(place, 1e9, _ignore)["hosts"])
    else:
        asked = {
            "where": lambda: questions.where("image_0000007_*"),
            "missing": lambda: questions.missing("host-0", None, None),
            "duplicates": lambda: questions.duplicates(1),
        }[question]()
        count = asking.ask(place, asked, 50, _ignore)["count"]
    cost = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    print(json.dumps({**cost, "peak": peak_resident(), "answers": count}))


def _ignore(sentence: str) -> None:
    raise AssertionError(sentence)


def make_fleet(folder: str, hosts: int, entries: int) -> None:
    """Publish one made-up inventory, and copy it under further names, with fingerprints: each host
    has every file that the others have, but for one in a hundred, which is its own. A file in a
    thousand is a model."""
    from scanner.fleet.manifest import Part, manifest_from, manifest_path
    from scanner.output.parquet import connected, quoted

    published = measured(Shape(entries), 0, 0.0, ("scan", "fleet"), keep_fleet=folder)
    assert published.parquet
    with open(os.path.join(folder, manifest_path("host-0")), "rb") as file:
        first = manifest_from(file.read())
    (root, part), = first.parts.items()  # fmt: skip
    source = os.path.join(folder, part.path)
    with closing(connected()) as database:
        database.execute(
            f"CREATE TABLE entries AS SELECT *, row_number() OVER () AS n "
            f"FROM read_parquet({quoted(source)})"
        )
        for number in range(hosts):
            host = f"host-{number}"
            own = f"CASE WHEN n % 100 = {number % 100} THEN {quoted(host)} ELSE '' END"
            path = f"entries/host={host}/root=made-up/1.parquet"
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            database.execute(
                f"COPY (SELECT * EXCLUDE (n) REPLACE ({quoted(host)} AS host, "
                f"{quoted(host)} AS storage, md5(path || {own}) AS fingerprint, "
                f"CASE WHEN n % 1000 = 7 THEN 'loras' END AS category, "
                f"regexp_extract(path, '[^/]*$') || {own} AS name) "
                f"FROM entries) TO {quoted(os.path.join(folder, path))} "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
            parts = {root: Part(path, part.rows, f"{number:032x}")}
            made = replace(first, host=host, machine=f"{number:032x}", parts=parts)
            with open(os.path.join(folder, manifest_path(host)), "wb") as file:
                file.write(made.as_bytes())
    os.remove(source)


def read() -> dict[str, Any]:
    """The committed results."""
    with open(RESULTS, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found
