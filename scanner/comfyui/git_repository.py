"""Remote and commit of a git repository, read from its files.

git is not run: it would execute programs that the repository's configuration names.
"""

from __future__ import annotations

import os
import re

from scanner.comfyui.folder_reader import SMALL_LIMIT, FolderReader
from scanner.comfyui.git_config import git_remotes, one_line
from scanner.core.paths import join
from scanner.core.snapshot import CONTAINERS

CONFIG_LIMIT = 256 << 10
"""Bytes of git's configuration. A larger file is not what its name says."""

PACKED_REFS_LIMIT = 16 << 20
"""Bytes that are read of packed-refs: some 200,000 branches and tags."""

CHUNK = 64 << 10

MOST_REFS = 5
"""Symbolic refs in a row that git follows (SYMREF_MAXDEPTH)."""

_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")

_OWN_REFS = ("refs/bisect/", "refs/worktree/", "refs/rewritten/")
"""Refs that each worktree has for itself (git-worktree(1))."""


class GitRepository:
    """The repository whose HEAD is in the folder `own`, and refs and config in `common`.

    The two differ for a worktree only (gitrepository-layout(5)).
    """

    def __init__(self, reader: FolderReader, own: str, common: str) -> None:
        self._reader = reader
        self._own = own
        self._common = common

    @classmethod
    def find(cls, reader: FolderReader) -> GitRepository | None:
        """The repository of the folder that `reader` reads; None if there is none on its mount.

        `.git` is a folder, or a file that names the folder of HEAD. That of a submodule lies in the
        repository around it. A file `commondir` there names the folder of refs and config.
        """
        own = join(reader.top, ".git")
        if reader.type_of(reader.top, ".git") not in CONTAINERS:
            content = reader.read(SMALL_LIMIT, reader.top, ".git") or b""
            named = _path_in(reader, content.removeprefix(b"gitdir:"), reader.top)
            if not content.startswith(b"gitdir:") or named is None:
                return None
            own = named
        content = reader.read(SMALL_LIMIT, own, "commondir") or b""
        common = _path_in(reader, content, own) if content else own
        return None if common is None else cls(reader, own, common)

    def line(self, name: str) -> str:
        """Text of the file of one line `name` beside HEAD; empty if there is none."""
        content = self._reader.read(SMALL_LIMIT, self._own, name) or b""
        return one_line(content.decode("utf-8", "replace"))

    def remote(self) -> str:
        """URL of the remote `origin`, or else of the first one, without credentials."""
        content = self._reader.read(CONFIG_LIMIT, self._common, "config") or b""
        remotes = git_remotes(content.decode("utf-8-sig", "replace"))
        return remotes.get("origin") or next(iter(remotes.values()), "")

    def commit(self) -> str:
        """The commit of HEAD, through symbolic refs (gitrepository-layout(5)).

        Empty if unknown, as in a repository without a commit or with refs in a reftable.
        """
        ref = "HEAD"
        for _ in range(MOST_REFS + 1):
            folder = self._own if ref == "HEAD" or ref.startswith(_OWN_REFS) else self._common
            content = self._reader.read(SMALL_LIMIT, folder, *ref.split("/"))
            if content is None:
                return self._packed_commit(ref)
            content = content.strip()
            if _COMMIT.fullmatch(content):
                return content.decode("ascii")
            ref = content.removeprefix(b"ref:").strip().decode("utf-8", "surrogateescape")
            if not content.startswith(b"ref:"):
                return ""
        return ""

    def _packed_commit(self, ref: str) -> str:
        """The commit of a ref that `git pack-refs` has moved to packed-refs, read in pieces."""
        reader = self._reader
        if not reader.is_file(self._common, "packed-refs"):
            return ""
        suffix = b" " + ref.encode("utf-8", "surrogateescape")
        rest, left = b"", PACKED_REFS_LIMIT
        try:
            with reader.files.open(join(self._common, "packed-refs")) as file:
                while left > 0 and len(rest) < CHUNK:
                    piece = file.read(min(CHUNK, left))
                    left -= len(piece)
                    *lines, rest = (rest + (piece or b"\n")).split(b"\n")
                    for line in lines:
                        commit = line.rstrip(b"\r").removesuffix(suffix)
                        if commit != line.rstrip(b"\r") and _COMMIT.fullmatch(commit):
                            return commit.decode("ascii")
                    if not piece:
                        return ""
        except OSError as error:
            reader.note(error)
        return ""


def _path_in(reader: FolderReader, content: bytes, folder: str) -> str | None:
    """The path in the `content` of a file, absolute or relative to `folder`; None if elsewhere."""
    text = content.strip(b"\r\n").lstrip(b" ").decode("utf-8", "surrogateescape")
    return reader.at_home(os.path.join(folder, text)) if text else None
