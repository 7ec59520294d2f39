"""Trees to measure on: as many small files as wanted, with names as long as in real installations.

In a real installation (ComfyUI, three node packs, the models of ComfyUI-Manager's list) names have
24 characters on average and paths below the ComfyUI folder 64; here as well, with 33 files a
folder. Contents differ and are small: fingerprints are taken as of any file, and the disk holds
little more than the names.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from itertools import count

FILES_PER_FOLDER = 33
AGE_SECONDS = 86_400
"""Files are older than any `settle`: an unchanged scan has nothing racy to look at again."""

A_YEAR = 365 * 86_400 * 10**9
TIME_STEP = 7_919_000_000_127
"""Nanoseconds: each file has a time of its own within the last year, as in folders that grew."""

CATEGORIES = (
    "checkpoints",
    "clip_vision",
    "controlnet",
    "diffusion_models",
    "embeddings",
    "loras",
    "text_encoders",
    "upscale_models",
    "vae",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"
_ENDINGS = (".safetensors", ".preview.png", ".json", ".gguf", ".civitai.info", ".pt", ".txt")


def tree_at(top: str, files: int) -> str:
    """The ComfyUI folder of `files` files at `top`/<files>/ComfyUI, built where it is not there."""
    comfy_root = os.path.join(top, str(files), "ComfyUI")
    if not os.path.isdir(comfy_root):
        # Half a tree never stands under the name of a whole one.
        unfinished = f"{comfy_root}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        build_tree(unfinished, files)
        os.rename(unfinished, comfy_root)
    return comfy_root


def build_tree(comfy_root: str, files: int) -> None:
    """Create a ComfyUI folder with `files` files below `models`; the same for every run."""
    rng = random.Random(files)
    newest = time.time_ns() - AGE_SECONDS * 10**9
    for kind in ("custom_nodes", "input", "models", "output"):
        os.makedirs(os.path.join(comfy_root, kind))
    folders = _folders(rng)
    index = 0
    while index < files:
        folder = os.path.join(comfy_root, "models", next(folders))
        os.makedirs(folder)
        # Few folders hold most files, as everywhere.
        most = max(1, round(rng.lognormvariate(0, 1) * FILES_PER_FOLDER / 1.65))
        for number in range(index, min(files, index + most)):
            ending = rng.choice(_ENDINGS)
            length = rng.randint(14, 34)
            stem = f"{number:x}_".ljust(max(length - len(ending), 8), _LETTERS[number % 26])
            path = os.path.join(folder, stem + ending)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(handle, f"{number}\n".encode() * rng.randint(1, 40))
            os.close(handle)
            time_ns = newest - number * TIME_STEP % A_YEAR
            os.utime(path, ns=(time_ns, time_ns))
        index += most


def _folders(rng: random.Random) -> Iterator[str]:
    """Relative paths of folders, each new, the one above it always met before."""
    above: list[str] = list(CATEGORIES)
    yield from CATEGORIES
    for number in count():
        parent = rng.choice(above[-200:] if rng.random() < 0.5 else CATEGORIES)
        length = rng.randint(8, 18)
        path = f"{parent}/{number:x}_".ljust(len(parent) + length, _LETTERS[number % 26])
        if path.count("/") < 4:
            above.append(path)
        yield path
