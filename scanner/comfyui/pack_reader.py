"""Reads what a node pack is from its files.

Neither git nor the pack is run: both would execute what was downloaded. Which folder counts as a
pack is what ComfyUI's `nodes.py` tries to load; its id is what ComfyUI-Manager calls it.
"""

from __future__ import annotations

import errno
import os
import re
import tomllib
from typing import Any

from scanner.comfyui.git_config import _text, _url, git_remotes
from scanner.comfyui.packs import _folder_name, is_enabled, pack_of_file
from scanner.core.packs import Pack, Source
from scanner.core.paths import join
from scanner.core.snapshot import CONTAINERS, DIRECTORY, FILE, FILE_LINK, FOREIGN_LINK
from scanner.disk.filesystem import FileSystem
from scanner.disk.links import leads_to
from scanner.disk.mounts import Mount, mount_of

PROJECT_LIMIT = 1 << 20

CONFIG_LIMIT = 256 << 10

SMALL_LIMIT = 4 << 10

PACKED_REFS_LIMIT = 16 << 20
"""Bytes that are read at most of pyproject.toml, of git's config, of a file of one line, and of
packed-refs (some 200,000 branches and tags). What is larger is not what it seems to be."""

CHUNK = 64 << 10

MOST_REFS = 5
"""Symbolic refs in a row that git follows (SYMREF_MAXDEPTH)."""


# Reading


def read_pack(files: FileSystem, path: str, is_directory: bool) -> Pack | None:
    """What is to be read of the pack at `path`; None where it is not there any more.

    Whatever is damaged, too large or unreadable leaves the fields empty that it would have filled.
    Nothing outside of the mount that the pack lies on is touched (design rule 3): another one may
    hang, and the process that walks this one with it.
    """
    if not is_directory:
        return pack_of_file(path)
    mounts = files.mounts()
    reader = _Reader(files, leads_to(path, mounts), mounts)
    return reader.pack(path) if reader.is_there else None


_NOT_THERE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG)
)
"""Errors that say that there is no such file; any other leaves that open."""

_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")

_AWAY = FOREIGN_LINK
"""In place of a type: it leads to another mount."""

_UNREAD = "?"
"""In place of a type: listed, but its stat failed."""


class _Reader:
    """Reads below one folder, and no further than its mount."""

    def __init__(self, files: FileSystem, top: str, mounts: list[Mount]) -> None:
        self._files = files
        self._top = top
        self._mounts = mounts
        self._home = mount_of(top, mounts)
        self._listings: dict[str, dict[str, str]] = {}
        self._is_partial = False
        self.is_there = True
        """Whether the folder itself was found."""
        self._types(top)

    def pack(self, path: str) -> Pack:
        """The record of the pack that is known by `path`."""
        stem, version = _folder_name(path)
        project, comfy = self._project()
        title = _text(project.get("name"))
        urls = project.get("urls")
        repository = urls.get("Repository") if isinstance(urls, dict) else ""
        here = self._types(self._top)
        folders = self._git_folders()
        remote = self._remote(folders[1]) if folders else ""
        source: Source = "unknown"
        id_ = stem
        if ".git" in here and (remote or not ("pyproject.toml" in here and ".tracking" in here)):
            source = "git"
            id_ = (self._line(folders[0], ".cnr-id") if folders else "") or _base(remote) or stem
        elif "pyproject.toml" in here and ".tracking" in here:
            source = "registry"
            id_ = title.lower() or stem
        return Pack(
            id_,
            _text(comfy.get("DisplayName")) or title or stem,
            source,
            is_enabled(path),
            normal_version(_text(project.get("version"))) or version,
            self._commit(*folders) if folders else "",
            remote or (_url(repository) if isinstance(repository, str) else ""),
            _text(comfy.get("PublisherId")),
            "requirements.txt" if here.get("requirements.txt") in (FILE, FILE_LINK) else "",
            self._is_partial,
        )

    # Files

    def _types(self, folder: str) -> dict[str, str]:
        """What `folder` lists: the letter of `snapshot.TYPE_NAMES` by name.

        Every name is looked up in a listing before it is used, since that tells what may not be
        touched: links to other mounts, and the points of mounts. A ref with `..` in it leads
        nowhere either.
        """
        if folder in self._listings:
            return self._listings[folder]
        points = frozenset(
            os.path.basename(mount.point)
            for mount in self._mounts
            if os.path.dirname(mount.point) == folder != mount.point
        )
        try:
            listing = self._files.list_directory(folder, frozenset(), points).listing
        except OSError as error:
            self._note(error)
            if folder == self._top and error.errno in _NOT_THERE:
                self.is_there = False
            types = {}
        else:
            types = dict(zip(listing.split_names(), listing.types, strict=True))
            types |= dict.fromkeys(points, _AWAY) | dict.fromkeys(listing.unstatted, _UNREAD)
        self._listings[folder] = types
        return types

    def _note(self, error: OSError) -> None:
        self._is_partial |= error.errno not in _NOT_THERE

    def _type(self, folder: str, *parts: str) -> str:
        """Type of what stands below `folder`; empty where nothing does."""
        letter = DIRECTORY
        for part in parts:
            letter = self._types(folder).get(part, "") if letter in CONTAINERS else ""
            self._is_partial |= letter == _UNREAD
            folder = join(folder, part)
        return letter

    def _read(self, limit: int, folder: str, *parts: str) -> bytes | None:
        """The file below `folder`; None where there is none of at most `limit` bytes."""
        if self._type(folder, *parts) not in (FILE, FILE_LINK):
            return None
        content = b""
        try:
            with self._files.open(join(folder, os.sep.join(parts))) as file:
                while len(content) <= limit and (piece := file.read(limit + 1 - len(content))):
                    content += piece
        except OSError as error:
            self._note(error)
            return None
        return content if len(content) <= limit else None

    def _line(self, folder: str, name: str) -> str:
        """Text of a file of one line."""
        return _text((self._read(SMALL_LIMIT, folder, name) or b"").decode("utf-8", "replace"))

    def _at_home(self, path: str) -> str | None:
        """Where `path` leads, if it stays on this mount, by the paths' words and by links on local
        disks."""
        if "\0" in path:
            return None
        found = os.path.normpath(leads_to(path, self._mounts))
        return found if mount_of(found, self._mounts) == self._home else None

    # What they say

    def _project(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The tables `project` and `tool.comfy` of pyproject.toml."""
        content = self._read(PROJECT_LIMIT, self._top, "pyproject.toml") or b""
        try:
            document = tomllib.loads(content.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError, OverflowError):
            return {}, {}
        project, tool = document.get("project"), document.get("tool")
        comfy = tool.get("comfy") if isinstance(tool, dict) else None
        return (
            project if isinstance(project, dict) else {},
            comfy if isinstance(comfy, dict) else {},
        )

    def _git_folders(self) -> tuple[str, str] | None:
        """The folder of HEAD and the one of refs and config (gitrepository-layout(5)).

        They differ for a worktree; that of a submodule lies in the repository around it. A `.git`
        that is a file names the first, and `commondir` in there the second.
        """
        own = join(self._top, ".git")
        letter = self._type(self._top, ".git")
        if letter not in CONTAINERS:
            content = self._read(SMALL_LIMIT, self._top, ".git") or b""
            named = self._path_in(content.removeprefix(b"gitdir:"), self._top)
            if not content.startswith(b"gitdir:") or named is None:
                return None
            own = named
        content = self._read(SMALL_LIMIT, own, "commondir") or b""
        common = self._path_in(content, own) if content else own
        return None if common is None else (own, common)

    def _path_in(self, content: bytes, folder: str) -> str | None:
        """The path that a file in `folder` holds, relative to that folder or absolute."""
        text = content.strip(b"\r\n").lstrip(b" ").decode("utf-8", "surrogateescape")
        return self._at_home(os.path.join(folder, text)) if text else None

    def _remote(self, common: str) -> str:
        content = self._read(CONFIG_LIMIT, common, "config") or b""
        remotes = git_remotes(content.decode("utf-8-sig", "replace"))
        return remotes.get("origin") or next(iter(remotes.values()), "")

    def _commit(self, own: str, common: str) -> str:
        """What HEAD stands for, through symbolic refs (gitrepository-layout(5)); empty where it is
        not known, as in a repository without a commit or one whose refs are a reftable."""
        ref = "HEAD"
        for _ in range(MOST_REFS + 1):
            folder = own if ref == "HEAD" or ref.startswith(_OWN_REFS) else common
            content = self._read(SMALL_LIMIT, folder, *ref.split("/"))
            if content is None:
                return self._packed_commit(common, ref)
            content = content.strip()
            if _COMMIT.fullmatch(content):
                return content.decode("ascii")
            ref = content.removeprefix(b"ref:").strip().decode("utf-8", "surrogateescape")
            if not content.startswith(b"ref:"):
                return ""
        return ""

    def _packed_commit(self, common: str, ref: str) -> str:
        """The commit of a ref that `git pack-refs` has put into the one file, piece by piece."""
        if self._type(common, "packed-refs") not in (FILE, FILE_LINK):
            return ""
        wanted = b" " + ref.encode("utf-8", "surrogateescape")
        rest, left = b"", PACKED_REFS_LIMIT
        try:
            with self._files.open(join(common, "packed-refs")) as file:
                while left > 0 and len(rest) < CHUNK:
                    piece = file.read(min(CHUNK, left))
                    left -= len(piece)
                    *lines, rest = (rest + (piece or b"\n")).split(b"\n")
                    for line in lines:
                        commit = line.rstrip(b"\r").removesuffix(wanted)
                        if commit != line.rstrip(b"\r") and _COMMIT.fullmatch(commit):
                            return commit.decode("ascii")
                    if not piece:
                        return ""
        except OSError as error:
            self._note(error)
        return ""


_OWN_REFS = ("refs/bisect/", "refs/worktree/", "refs/rewritten/")
"""Refs that each worktree has for itself (git-worktree(1))."""


def normal_version(version: str) -> str:
    """`version` with three numbers, as ComfyUI-Manager's `StrictVersion` writes it: 2.5 is 2.5.0,
    and what follows a third dot follows a hyphen. What is not of that form stays as it is."""
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts[:3]):
        return version
    numbers = [part.lstrip("0") or "0" for part in parts[:3]]
    return "-".join((".".join([*numbers, "0", "0"][:3]), *parts[3:]))


def _base(url: str) -> str:
    """The last name in a URL."""
    return re.split(r"[/:\\]", url.rstrip("/"))[-1].removesuffix(".git")
