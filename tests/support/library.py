"""An installation with models of real headers, and with everything that a report tells about."""

from __future__ import annotations

import json
import math
import os
import random
from pathlib import Path

from scanner.core.serialize import time_text
from tests.support.machine import Machine, write
from tests.support.model_cases import CASES, Case

HOSTILE = (
    "<img src=x onerror=alert(1)>.safetensors",
    "<script>alert(2)<\\script>.safetensors".replace("\\", "\u2215"),
    "a\u2028b\u2029c.safetensors",
    "bell\x07 esc\x1b[31m line\nend.safetensors",
    "\u202egnp.safetensors",
    "`code` | *bold* [link](x).safetensors",
    "&lt;&amp;.safetensors",
)
"""Names that would do something if they were markup, or would not show what they are."""

NOT_UTF8 = b"caf\xe9.safetensors"

_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2}

_SIZES = {
    "diffusion_models": (2e9, 24e9), "checkpoints": (2e9, 7e9), "text_encoders": (2e8, 10e9),
    "controlnet": (7e8, 5e9), "loras": (2e7, 9e8),
}  # fmt: skip
"""Least and most bytes of a file, by category; they take no room on the disk."""


def build_library(machine: Machine) -> None:
    """Write the library of `machine`, scan it, change it, and scan it again."""
    models = machine.work / "ComfyUI" / "models"
    chance = random.Random(14)
    for case in CASES:
        _write_model(models / case.folder / f"{case.id}.safetensors", case, chance)
    _write_packs(machine.work / "ComfyUI" / "custom_nodes")
    for kind in ("input", "output"):
        (machine.work / "ComfyUI" / kind).mkdir()
    machine.run("scan")
    _spoil(models, chance)
    machine.run("scan", "--hold-wait", "0")
    machine.run("scan")  # headers of files that were new are read once they rest


def write_large(target: Path, count: int) -> None:
    """Write an inventory of `count` files, most of them models, in the folders of creators."""
    chance = random.Random(count)
    words = [case.id.replace("_", " ") for case in CASES]
    categories = [*_SIZES, "vae", "embeddings", "upscale_models"]
    bases = sorted({case.base for case in CASES if case.base})
    entries: list[dict[str, object]] = []
    for number in range(count):
        category = chance.choice(categories)
        least, most = _SIZES.get(category, (3e6, 9e8))
        name = f"{chance.choice(words)} {chance.choice(words)} v{number}.safetensors"
        folder = f"/mnt/nas/models/{category}/creator {number % 997}"
        fields: dict[str, object] = {
            "path": f"{folder}/{name}",
            "type": "file",
            "size": int(chance.uniform(least, most)),
            "mtime": time_text(chance.randrange(1_600_000_000, 1_790_000_000) * 10**9),
            "root": "models:/mnt/nas/models",
            "category": category,
            "fingerprint": f"xxh3_128s:{chance.randrange(count):032x}",
            "sha256": f"{chance.getrandbits(256):064x}",
            "model": {"format": "safetensors", "kind": "lora", "base_model": chance.choice(bases)},
        }
        entries.append(fields)
    entries.sort(key=lambda entry: str(entry["path"]).split("/"))
    total = sum(int(str(entry["size"])) for entry in entries)
    root = {
        "id": "models:/mnt/nas/models", "kind": "models", "path": "/mnt/nas/models",
        "state": "online", "since": "2026-11-01T00:00:00.000000000Z", "filesystem": "nfs4",
        "files": count, "bytes": total,
    }  # fmt: skip
    header = {
        "schema": 2,
        "tool": {"name": "comfy-inventory", "version": "0"},
        "generated": "2026-11-28T00:00:00.000000000Z",
        "scan": 7,
        "roots": [root],
        "unreachable": [],
        "mounts": [{"path": "/mnt/nas/models", "point": "/mnt/nas", "type": "nfs4"}],
        "totals": {"entries": count, "files": count, "directories": 0, "bytes": total},
    }
    with target.open("w", encoding="utf-8") as file:
        file.write(f'{json.dumps(header, separators=(",", ":"))[:-1]},"entries":[\n')
        file.write(",\n".join(json.dumps(entry) for entry in entries))
        file.write("\n]}\n")


def _write_model(path: Path, case: Case, chance: random.Random) -> None:
    header: dict[str, object] = {"__metadata__": case.metadata} if case.metadata else {}
    end = 0
    for name, (dtype, shape) in case.tensors.items():
        size = math.prod(shape) * _BYTES.get(dtype, 1)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    least, most = _SIZES.get(case.folder, (3e6, 9e8))
    filler = int(chance.uniform(least, most))
    header["filler"] = {"dtype": "U8", "shape": [filler], "data_offsets": [end, end + filler]}
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end + filler)
    os.utime(path, (1_750_000_000, 1_750_000_000 + chance.randrange(40_000_000)))


def _write_packs(folder: Path) -> None:
    for name, version in (("ComfyUI-Impact-Pack", "8.28.3"), ("rgthree-comfy", "1.0.2512")):
        write(folder / name / "__init__.py", "NODE_CLASS_MAPPINGS = {}\n")
        write(
            folder / name / "pyproject.toml",
            f'[project]\nname = "{name.lower()}"\nversion = "{version}"\n',
        )
    write(folder / "ComfyUI-Old.disabled" / "__init__.py", "")


def _spoil(models: Path, chance: random.Random) -> None:
    """Problems, copies, and changes."""
    by_folder: dict[str, list[Case]] = {}
    for case in CASES:
        by_folder.setdefault(case.folder, []).append(case)
    loras, checkpoints = by_folder["loras"], by_folder["checkpoints"]
    cut = models / "checkpoints" / f"{checkpoints[0].id}.safetensors"
    os.truncate(cut, cut.stat().st_size // 2)
    write(models / "vae" / "downloaded.safetensors", "<!DOCTYPE html><title>403</title>")
    write(models / "loras" / "new_style.safetensors.part", bytes(1000))
    _write_model(models / "checkpoints" / "style.safetensors", loras[0], chance)
    (models / "loras" / "old").symlink_to("../gone")
    for name in HOSTILE:
        _write_model(models / "loras" / "odd names" / name, loras[1], chance)
    os.link(models / "vae" / "downloaded.safetensors", models / "vae" / "link.safetensors")
    with open(os.path.join(os.fsencode(models / "loras"), NOT_UTF8), "wb") as file:
        file.write(b"not whole")
    for number in range(2):
        write(models / "embeddings" / f"copy {number}.safetensors", bytes(70_000))
    (models / "upscale_models" / f"{by_folder['upscale_models'][0].id}.safetensors").unlink()
    (models / "loras" / "flux").mkdir()
    for case in loras[2:5]:
        name = f"{case.id}.safetensors"
        (models / "loras" / name).rename(models / "loras" / "flux" / name)
