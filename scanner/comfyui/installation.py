"""The roots of an installation, from settings, ComfyUI's own files and comfy-cli."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scanner.comfyui.extra_model_paths import ExtraPath, read_extra_paths
from scanner.comfyui.search_order import OUTPUT, OWN, with_search_order
from scanner.core.roots import KINDS, Root, category_of, owner_of
from scanner.core.wording import count_text
from scanner.disk.read_with_timeout import ABSENT, FILE, FOLDER, MOST_BYTES, read_with_timeout
from scanner.errors import SettingsError
from scanner.settings.schema import Settings

_NOT_SAVED_BY_USERS = ("/*.*", "/__*/", "/*/*", "!/*/workflows", "!/*/subgraphs")
"""Gitignore lines that leave in ComfyUI's user folder only what people save in it: workflows and
blueprints of subgraphs. Names of users have no dot. Those with `__` are ComfyUI's own
(folder_paths.SYSTEM_USER_PREFIX). A link to a folder of workflows is no folder in gitignore's eyes,
so the last two lines have no slash at the end."""

_CUT = "its last line has no end, so it may be half written"


class UnreadFile(NamedTuple):
    """A file that may name roots, but is not whole or not there, or may not be whole."""

    path: str
    problem: str
    is_absent: bool = False
    """True if ComfyUI's folder answers and holds no such file, as in most installations."""
    is_cut: bool = False
    """True if it was read and is whole, unless it is half written: its last line has no end."""


@dataclass(frozen=True, slots=True)
class Found:
    """The roots of an installation, and messages for the user about them."""

    comfy_root: str | None
    """ComfyUI's folder; None if none was named or found."""
    base: str | None
    """Parent of ComfyUI's folder. Paths in the inventory are relative to it."""
    roots: tuple[Root, ...]
    """Sorted by kind, each path once."""
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unread: tuple[UnreadFile, ...] = ()
    """Files that say nothing at the moment. Roots that they named before are kept."""


def find_roots(settings: Settings, *, cwd: str, home: str, environ: Mapping[str, str]) -> Found:
    """The folders to scan according to `settings`.

    The roots themselves are not accessed, because they may lie on a mount that hangs. Only the
    files that name further folders are read, and ComfyUI's folder is searched if it is not named.
    `cwd` is absolute.

    Raises SettingsError if there is nothing to scan or a named file cannot be read.
    """
    notices: list[str] = []
    warnings: list[str] = []

    def absolute(path: str | os.PathLike[str]) -> str:
        return os.path.abspath(os.path.join(cwd, path))

    if settings.comfy_root is not None:
        comfy_root: str | None = absolute(settings.comfy_root)
    else:
        comfy_root = _detected(absolute("ComfyUI"), home, notices)

    data = comfy_root if settings.base_directory is None else absolute(settings.base_directory)
    given: list[Root] = []
    own: dict[str, int] = {}
    if data is not None:
        own[os.path.join(data, "models")] = OWN
        given += [Root(kind, os.path.join(data, kind)) for kind in ("models", "custom_nodes")]
    for kind, directory in (
        ("output", settings.output_directory),
        ("input", settings.input_directory),
    ):
        if directory is not None:
            given.append(Root(kind, absolute(directory)))
        elif data is not None:
            given.append(Root(kind, os.path.join(data, kind)))
    own |= {root.path: OUTPUT for root in given if root.kind == "output"}
    if settings.user_directory is not None:
        given.append(_user_root(absolute(settings.user_directory)))
    elif data is not None:
        given.append(_user_root(os.path.join(data, "user"), is_optional=True))
    for kind, paths in (
        ("models", settings.models),
        ("workflows", settings.workflows),
        ("downloads", settings.downloads),
        ("extra", settings.extra),
    ):
        given += [Root(kind, absolute(path)) for path in paths]

    files = _ExtraFiles(home, environ, warnings)
    if comfy_root is not None:
        files.read_beside(comfy_root)
    for file in settings.extra_model_paths_config:
        try:
            files.read_given(absolute(file))
        except SettingsError as error:
            raise SettingsError(f"extra_model_paths_config: {error}") from None

    roots = _with_extra_paths(_merged(given, warnings), files.named, warnings)
    roots = with_search_order(roots, own, files.named, files.paths)
    if not roots:
        raise SettingsError(_nothing_to_scan(absolute("ComfyUI"), home, settings))
    for key in settings.per_root:
        if key not in KINDS and not any(key in (root.path, root.id) for root in roots):
            warnings.append(f"per_root: {key} is not among the folders that are scanned")
    base = None if comfy_root is None else os.path.dirname(comfy_root)
    return Found(comfy_root, base, roots, tuple(notices), tuple(warnings), tuple(files.unread))


def _user_root(path: str, *, is_optional: bool = False) -> Root:
    """The root of ComfyUI's user folder, which holds one folder for each user."""
    return Root("workflows", path, patterns=_NOT_SAVED_BY_USERS, is_optional=is_optional)


class _ExtraFiles:
    """Reads the files that name further folders."""

    def __init__(self, home: str, environ: Mapping[str, str], warnings: list[str]) -> None:
        self.named: list[tuple[str, ExtraPath]] = []
        """Each with the path of its file."""
        self.paths: list[str] = []
        """All files in the order in which ComfyUI reads them."""
        self.unread: list[UnreadFile] = []
        self._home = home
        self._environ = environ
        self._warnings = warnings

    def read_beside(self, comfy_root: str) -> None:
        """Read ComfyUI's own file, which need not exist."""
        # It is next to main.py regardless of base_directory.
        path = os.path.join(comfy_root, "extra_model_paths.yaml")
        self.paths.append(path)
        seen = read_with_timeout(path).kind
        if seen == FILE:
            try:
                self._read(path)
            except SettingsError as error:
                self._warnings.append(str(error))
                self.unread.append(UnreadFile(path, "it cannot be read"))
        elif seen != ABSENT:
            problem = "it is a folder" if seen == FOLDER else "its mount does not answer"
            self.unread.append(UnreadFile(path, problem))
        elif read_with_timeout(comfy_root).kind == FOLDER:
            self.unread.append(UnreadFile(path, "it is missing", is_absent=True))
        else:
            self.unread.append(UnreadFile(path, f"{comfy_root} is away"))

    def read_given(self, path: str) -> None:
        """Read another file, at `path`. Raises SettingsError."""
        self.paths.append(path)
        self._read(path)

    def _read(self, path: str) -> None:
        found = read_extra_paths(path, home=self._home, environ=self._environ)
        self.named += [(path, entry) for entry in found.paths]
        self._warnings += found.warnings
        if found.problem:
            self.unread.append(UnreadFile(path, found.problem))
        elif found.is_cut:
            self.unread.append(UnreadFile(path, _CUT, is_cut=True))


def _detected(default: str, home: str, notices: list[str]) -> str | None:
    """ComfyUI's folder if none is named: `default`, the folder that it would be in, or the
    workspace of comfy-cli."""
    if _is_comfy_root(default):
        return default
    here = os.path.dirname(default)
    if _is_surely_comfy_root(here):
        return here
    for workspace in workspaces(home):
        if _is_comfy_root(workspace):
            notices.append(
                f"no ComfyUI at {default}; using {workspace}, the workspace of comfy-cli "
                "(--comfy-root names another)"
            )
            return workspace
    return None


def _is_comfy_root(path: str) -> bool:
    return (
        read_with_timeout(os.path.join(path, "models")).kind == FOLDER
        or read_with_timeout(os.path.join(path, "main.py")).kind == FILE
        or read_with_timeout(os.path.join(path, "folder_paths.py")).kind == FILE
    )


def _is_surely_comfy_root(path: str) -> bool:
    """True for a folder with two signs of ComfyUI: many programs have a main.py, or models."""
    return read_with_timeout(os.path.join(path, "main.py")).kind == FILE and (
        read_with_timeout(os.path.join(path, "folder_paths.py")).kind == FILE
        or read_with_timeout(os.path.join(path, "models")).kind == FOLDER
    )


def _workspace_file(home: str) -> str:
    """Path of the settings of comfy-cli (its comfy_cli/constants.py)."""
    if sys.platform == "win32":
        folder = ("AppData", "Local")
    elif sys.platform == "darwin":
        folder = ("Library", "Application Support")
    else:
        folder = (".config",)
    return os.path.join(home, *folder, "comfy-cli", "config.ini")


def workspaces(home: str) -> list[str]:
    """Workspaces in the settings of comfy-cli, the default one first; none without comfy-cli."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None, strict=False)
    content = read_with_timeout(_workspace_file(home)).content
    if len(content) > MOST_BYTES:
        return []
    try:
        parser.read_string(content.decode())
    except (configparser.Error, UnicodeDecodeError):
        return []  # a file of another program, and only a hint: its errors are not reported
    keys = ("default_workspace", "recent_workspace")
    values = (parser.defaults().get(key, "").strip() for key in keys)
    return [os.path.abspath(path) for path in values if os.path.isabs(path)]


def _merged(given: Iterable[Root], warnings: list[str]) -> tuple[Root, ...]:
    """`given` sorted by kind, without paths that an earlier kind has."""
    merged: dict[str, Root] = {}
    doubles: dict[tuple[str, str, str], list[tuple[Root, Root]]] = {}
    for root in sorted(given, key=lambda root: KINDS.index(root.kind)):
        key = os.path.normcase(root.path)
        first = merged.setdefault(key, root)
        if first.category == "configs" and first.kind == root.kind:
            merged[key] = root
        # Configurations lie beside their checkpoints in AUTOMATIC1111 and in ComfyUI's example.
        if first != root and "configs" not in (first.category, root.category):
            kind = (first.kind, root.kind, root.named_by or "")
            doubles.setdefault(kind, []).append((first, root))
    for (first, root), *others in doubles.values():
        likewise = f"; likewise {count_text(len(others), 'more folder')}" if others else ""
        warnings.append(
            f"{root.path} is named as {_described(first)} and as {_described(root)}; "
            f"it is scanned as {_described(first)}{likewise}"
        )
    return tuple(merged.values())


def _described(root: Root) -> str:
    return f"{root.kind} ({root.category})" if root.category else root.kind


def _with_extra_paths(
    roots: tuple[Root, ...], named: Iterable[tuple[str, ExtraPath]], warnings: list[str]
) -> tuple[Root, ...]:
    """`roots` and the roots that `named` adds, whose entries come with the path of their file.

    A folder is left out if its category follows from an outer root.
    """
    added: list[Root] = []
    # Outer folders first, so that each one is compared with the root that will own it.
    for file, entry in sorted(named, key=lambda pair: _outer_first(pair[1])):
        if entry.category == "custom_nodes":
            added.append(Root("custom_nodes", entry.path, named_by=file))
            continue
        if entry.category == "download_model_base":
            added.append(Root("models", entry.path, named_by=file))
            continue
        owner = owner_of(entry.path, (*roots, *added))
        if owner is not None and owner.kind == "models" and entry.path != owner.path:
            parts = os.path.relpath(entry.path, owner.path).split(os.sep)
            if category_of(owner, parts) == entry.category:
                continue
        added.append(Root("models", entry.path, entry.category, file))
    return _merged((*roots, *added), warnings)


def _outer_first(entry: ExtraPath) -> tuple[int, bool]:
    return len(entry.path), entry.category != "download_model_base"


def _nothing_to_scan(default: str, home: str, settings: Settings) -> str:
    if settings.extra_model_paths_config:
        named = ", ".join(str(path) for path in settings.extra_model_paths_config)
        return f"extra_model_paths_config: expected folders to scan, but {named} names none"
    return (
        f"comfy_root: expected ComfyUI, but there is none at {default} and no workspace in "
        f"{_workspace_file(home)}; pass --comfy-root, or --models, --downloads or --extra for "
        "folders without ComfyUI"
    )
