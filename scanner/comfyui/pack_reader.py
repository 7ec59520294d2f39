"""Reads the record of a node pack from its files.

Neither git nor the pack is run, because both would execute downloaded code. ComfyUI's `nodes.py`
defines which folders count as packs. The id of a pack is the one that ComfyUI-Manager uses.
"""

from __future__ import annotations

import re
from typing import Any

from scanner.comfyui.folder_reader import FolderReader
from scanner.comfyui.git_config import one_line, stored_url
from scanner.comfyui.git_repository import GitRepository
from scanner.comfyui.packs import is_enabled, name_and_version, pack_of_file
from scanner.core import bounded_toml
from scanner.core.packs import Pack, Source
from scanner.core.snapshot import FILE, FILE_LINK
from scanner.disk.filesystem import FileSystem

PROJECT_LIMIT = 1 << 16
"""Bytes of pyproject.toml: real ones have up to 20 kB. A larger file is not what its name says."""


def read_pack(files: FileSystem, path: str, is_directory: bool) -> Pack | None:
    """The record of the pack at `path`; None if it no longer exists.

    A file that is damaged, too large or unreadable leaves its fields empty. Nothing outside the
    mount of the pack is touched (rule 3, a hang stops nothing).
    """
    if not is_directory:
        return pack_of_file(path)
    reader = FolderReader(files, path, files.mounts())
    return _pack(reader, path) if reader.is_there else None


def _pack(reader: FolderReader, path: str) -> Pack:
    """The record of the pack that is known by `path`."""
    stem, version = name_and_version(path)
    project, comfy = _project(reader)
    title = one_line(project.get("name"))
    urls = project.get("urls")
    link = urls.get("Repository") if isinstance(urls, dict) else ""
    here = reader.types(reader.top)
    repository = GitRepository.find(reader)
    remote = repository.remote() if repository else ""
    is_registered = "pyproject.toml" in here and ".tracking" in here
    source: Source = "unknown"
    id_ = stem
    if ".git" in here and (remote or not is_registered):
        source = "git"
        id_ = (repository.line(".cnr-id") if repository else "") or _base(remote) or stem
    elif is_registered:
        source = "registry"
        id_ = title.lower() or stem
    return Pack(
        id_,
        one_line(comfy.get("DisplayName")) or title or stem,
        source,
        is_enabled(path),
        normal_version(one_line(project.get("version"))) or version,
        repository.commit() if repository else "",
        remote or (stored_url(link) if isinstance(link, str) else ""),
        one_line(comfy.get("PublisherId")),
        "requirements.txt" if here.get("requirements.txt") in (FILE, FILE_LINK) else "",
        reader.is_partial,
    )


def _project(reader: FolderReader) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables `project` and `tool.comfy` of pyproject.toml; empty if missing or damaged."""
    content = reader.read(PROJECT_LIMIT, reader.top, "pyproject.toml") or b""
    try:
        document = bounded_toml.loads(content.decode("utf-8-sig", "replace"))
    except ValueError:
        return {}, {}
    project, tool = document.get("project"), document.get("tool")
    comfy = tool.get("comfy") if isinstance(tool, dict) else None
    return (
        project if isinstance(project, dict) else {},
        comfy if isinstance(comfy, dict) else {},
    )


def normal_version(version: str) -> str:
    """`version` with three numbers, in the form of ComfyUI-Manager's `StrictVersion`.

    2.5 becomes 2.5.0, and a third dot becomes a hyphen. A version of another form is unchanged.
    """
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts[:3]):
        return version
    numbers = [part.lstrip("0") or "0" for part in parts[:3]]
    return "-".join((".".join([*numbers, "0", "0"][:3]), *parts[3:]))


def _base(url: str) -> str:
    """The last name in a URL."""
    return re.split(r"[/:\\]", url.rstrip("/"))[-1].removesuffix(".git")
