"""A small installation, and what a version that wrote schema 1 kept of it.

`tests/data/schema_1` was written by the program of commit 61d31cc (version 0.1) on a fake disk with
this tree: two scans, then all fingerprints, headers and hashes, then the end. No path of a real
machine is in it.
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Protocol

DATA = Path(__file__).resolve().parents[1] / "data" / "schema_1"

MODELS, DOWNLOADS, NODES = (
    "/home/u/ComfyUI/models",
    "/home/u/Downloads",
    "/home/u/ComfyUI/custom_nodes",
)

LORA = f"{MODELS}/loras/a.safetensors"
COPY = f"{DOWNLOADS}/set/copy.safetensors"
EMPTY = f"{MODELS}/vae"
BROKEN = f"{MODELS}/loras/b.safetensors"

_HEADER = (
    b'{"__metadata__":{"ss_base_model_version":"sdxl_base_v1-0"},'
    b'"lora_unet_output_blocks_3_1_transformer_blocks_1_attn2_to_k.lora_down.weight":'
    b'{"dtype":"F16","shape":[1,2048],"data_offsets":[0,4096]}}'
)


class Disk(Protocol):
    """The calls of a fake disk that all versions of it have."""

    def makedirs(self, path: str) -> object: ...

    def write(self, path: str, content: bytes, mtime: int | None = None) -> object: ...

    def symlink(self, target: str, path: str) -> object: ...


def build(files: Disk) -> None:
    """Make the tree."""
    for folder in (MODELS, DOWNLOADS, NODES, EMPTY):
        files.makedirs(folder)
    model = len(_HEADER).to_bytes(8, "little") + _HEADER + bytes(4096)
    files.write(LORA, model)
    files.write(BROKEN, model[:-100])
    files.write(COPY, model, 1_600_000_000_123_456_700)
    files.write(f"{DOWNLOADS}/set/\udce9.txt", b"a name that is not UTF-8")
    files.write(f"{DOWNLOADS}/old.bin", b"", -1)
    files.symlink(f"{DOWNLOADS}/set", f"{MODELS}/linked")
    files.symlink(LORA, f"{MODELS}/loras/link.safetensors")
    files.symlink("/nowhere", f"{MODELS}/broken")
    files.write(f"{NODES}/Foo/__init__.py", b"NODE_CLASS_MAPPINGS = {}")
    files.write(
        f"{NODES}/Foo/pyproject.toml", b'[project]\nname = "comfyui-foo"\nversion = "1.2.0"\n'
    )


def put(folder: Path, *, with_state: bool) -> None:
    """Copy the files that the old version left, as those of an output `out.json` in `folder`."""
    for name in ("out.json", "out.changes.jsonl"):
        shutil.copyfile(DATA / name, folder / name)
    if with_state:
        state = gzip.decompress((DATA / "out.state.sqlite.gz").read_bytes())
        (folder / "out.state.sqlite").write_bytes(state)
