"""Three hosts with inventories, and what a place says of them."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scanner.fleet.address import Address
from scanner.fleet.generation import Source
from scanner.fleet.questions import Question
from scanner.fleet.reading import open_fleet
from scanner.output.columns import COLUMNS, row_of
from scanner.output.inventory_reader import read_entries
from tests.support.machine import Machine, write

HOSTS = ("alpha", "beta", "gamma")

NAMES = [column.name for column in COLUMNS]


class Studio:
    """Three hosts with inventories, scanned once."""

    def __init__(self, folder: Path) -> None:
        self.machines = {host: Machine(folder / host) for host in HOSTS}
        contents = {f"model-{n}": random.Random(n).randbytes(2_000 + 700 * n) for n in range(6)}
        held = {
            "alpha": {"loras/a.safetensors": 0, "loras/b.safetensors": 1, "vae/v.pt": 2},
            "beta": {"loras/a.safetensors": 0, "loras/other.safetensors": 1, "vae/own.pt": 3},
            "gamma": {"checkpoints/big.ckpt": 4, "loras/a.safetensors": 5},
        }
        for host, files in held.items():
            root = self.machines[host].work / "ComfyUI"
            for folder_name in ("custom_nodes", "input", "output", "user/default/workflows"):
                (root / folder_name).mkdir(parents=True)
            write(root / "main.py", "")
            for path, number in files.items():
                write(root / "models" / path, contents[f"model-{number}"])
            write(root / "models" / "loras" / "ä ö\n\u202e%_'\"\\.safetensors", host)
            write(Path(os.fsdecode(os.fsencode(root / "models/loras") + b"/\xff.pt")), host)
            os.link(root / "models/loras/a.safetensors", root / "models/loras/z.safetensors")
            self.scan(host)
        for host in HOSTS:
            self.scan(host)  # fingerprints are written with the next scan

    def scan(self, host: str) -> None:
        self.machines[host].run("scan", "--comfy-root", "ComfyUI", "-q")

    def source(self, host: str) -> Source:
        machine = self.machines[host]
        return Source(str(machine.output), str(machine.journal), host, f"machine of {host}")


def asked(place: Address, question: Question) -> list[dict[str, Any]]:
    problems: list[str] = []
    with open_fleet(place, problems.append) as fleet:
        rows = list(fleet.ask(question).dicts())
    assert not problems
    return rows


def entries_of(machine: Machine) -> list[dict[str, Any]]:
    return list(read_entries(machine.output))


def project(host: str, entry: Mapping[str, Any]) -> tuple[Any, ...]:
    row: dict[str, Any] = dict(zip(NAMES, row_of(entry), strict=True))
    return (host, *row.values())


def published(place: Address) -> list[tuple[Any, ...]]:
    names = ", ".join(f'"{name}"' for name in ("host", *NAMES))
    rows = asked(place, Question(f"SELECT {names} FROM entries", {}))
    return sorted((tuple(row.values()) for row in rows), key=repr)


def union(studio: Studio, hosts: tuple[str, ...] = HOSTS) -> list[tuple[Any, ...]]:
    return sorted(
        (project(host, entry) for host in hosts for entry in entries_of(studio.machines[host])),
        key=repr,
    )
