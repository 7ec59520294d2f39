"""The files of the panel: its own, and the modules of this program that it shares.

Shared modules stand in `parts/` with their imports made relative, so that the panel needs nothing
but ComfyUI.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import scanner

OWN = "comfyui_pack"

PARTS = "parts"

_NOT_SHIPPED = ("__pycache__", "settings.json", PARTS)

_IMPORT = re.compile(r"^( *)from scanner\.", re.MULTILINE)

_VERSION = re.compile(rb'^version = ".*"$', re.MULTILINE)


def pack_files() -> dict[str, bytes]:
    """The content of all files of the panel, by path with `/` relative to its folder."""
    root = Path(scanner.__file__).parent
    files = {
        path.relative_to(root / OWN).as_posix(): path.read_bytes()
        for path in sorted((root / OWN).rglob("*"))
        if path.is_file() and not set(path.relative_to(root / OWN).parts) & set(_NOT_SHIPPED)
    }
    version = f'version = "{scanner.__version__}"'.encode()
    files["pyproject.toml"] = _VERSION.sub(version, files["pyproject.toml"])
    wanted = {
        name
        for path, text in files.items()
        if path.endswith(".py")
        for name in _shared_by(text.decode())
    }
    for name, text in _closure(root, wanted).items():
        files[f"{PARTS}/{name}"] = text
        for folder in PurePosixPath(name).parents:
            files.setdefault(f"{(PARTS / folder / '__init__.py').as_posix()}", b"")
    return files


def _shared_by(text: str) -> Iterator[str]:
    """The shared modules that a module of the panel imports, as `workflows/index.py`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PARTS}."):
            yield _file_of((node.module or "").removeprefix(f"{PARTS}."))


def _file_of(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _closure(root: Path, wanted: set[str]) -> dict[str, bytes]:
    """These modules and all that they import of this program, with relative imports."""
    found: dict[str, bytes] = {}
    waiting = set(wanted)
    while waiting:
        name = waiting.pop()
        text = (root / name).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scanner."):
                other = _file_of((node.module or "").removeprefix("scanner."))
                if other not in found:
                    waiting.add(other)
        dots = "." * len(PurePosixPath(name).parts)
        found[name] = _IMPORT.sub(rf"\1from {dots}", text).encode()
    return dict(sorted(found.items()))


def write_pack(folder: Path) -> None:
    """Write the panel into a new folder, as it is published. Raises OSError."""
    for name, content in pack_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
