"""Node packs: what stands in a custom_nodes folder, which version it is, whether ComfyUI loads it.

Everything is read from files. git is never run and no pack is imported: both would execute what was
downloaded, and git takes locks besides. What counts as a pack is what ComfyUI's `nodes.py` tries to
load, and who it is what ComfyUI-Manager says of it (`manager_core`, `cnr_utils`).
"""

from __future__ import annotations

import errno
import os
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from scanner.filesystem import FileSystem
from scanner.mounts import Mount, leads_to, mount_of
from scanner.portable import readable
from scanner.snapshot import (
    CONTAINERS,
    DIRECTORY,
    FILE,
    FILE_LINK,
    FOREIGN_LINK,
    Directory,
    is_below,
    join,
)

KIND = "custom_nodes"
"""Kind of the roots that hold packs."""

DISABLED = ".disabled"
"""Name of the folder of disabled packs, and ending of the name of a pack that is disabled where it
stands."""

PROJECT_LIMIT = 1 << 20
CONFIG_LIMIT = 256 << 10
SMALL_LIMIT = 4 << 10
PACKED_REFS_LIMIT = 16 << 20
"""Bytes that are read at most of pyproject.toml, of git's config, of a file of one line, and of
packed-refs (some 200,000 branches and tags). What is larger is not what it seems to be."""

CHUNK = 64 << 10
MOST_REFS = 5
"""Symbolic refs in a row that git follows (SYMREF_MAXDEPTH)."""

LONGEST_TEXT = 500
"""Characters kept of what a pack says of itself."""

Source = Literal["registry", "git", "file", "unknown"]
"""Where a pack came from: the ComfyUI registry, a git repository, a single file put there, or who
knows."""


class Pack(NamedTuple):
    """One pack as its files describe it. Texts are empty where unknown."""

    id: str
    """As ComfyUI-Manager names it: of a registry pack its project's name in lower case, of a
    repository the registry's name where it is known there, else the repository's name."""
    name: str
    """For people: its display name, else its project's, else that of its folder or file."""
    source: Source
    enabled: bool
    """Whether ComfyUI tries to load it."""
    version: str = ""
    commit: str = ""
    """What is checked out: 40 or 64 hexadecimal digits."""
    remote: str = ""
    """URL of its repository, without user names and passwords."""
    publisher: str = ""
    requirements: str = ""
    """Name of its requirements file."""
    is_partial: bool = False
    """Whether something of it could not be read: a better record from before is kept."""

    @property
    def state(self) -> tuple[str, str, str, bool]:
        """What makes a change of a pack worth a line."""
        return self.id, self.version, self.commit, self.enabled

    def as_json(self) -> dict[str, str | bool]:
        """What readers of the inventory see; what is not known is left out."""
        texts = {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "commit": self.commit,
            "source": self.source,
            "remote": self.remote,
            "publisher": self.publisher,
            "requirements": self.requirements,
        }
        fields: dict[str, str | bool] = {key: readable(text) for key, text in texts.items() if text}
        fields["enabled"] = self.enabled
        if self.is_partial:
            fields["partial"] = True
        return fields


class PackChange(NamedTuple):
    """What became of a pack. `before` is None of a new one, `after` of one that is gone."""

    before: Pack | None
    after: Pack | None

    def as_json(self) -> dict[str, Any]:
        """The field `pack` of a change line: `schemas/change.schema.json` says what it means."""
        before, after = self.before, self.after
        shown = after or before
        assert shown is not None
        fields: dict[str, Any] = {"id": readable(shown.id), "name": readable(shown.name)}
        renamed = before is not None and after is not None and before.id != after.id
        for key, pack in (("from", before), ("to", after)):
            if pack is not None:
                known = {"version": pack.version, "commit": pack.commit}
                if renamed:
                    known = {"id": pack.id, **known}
                texts = {word: readable(text) for word, text in known.items() if text}
                fields[key] = {**texts, "enabled": pack.enabled}
        return fields


# Where packs stand


def pack_places(snapshot: Mapping[str, Directory], top: str) -> list[tuple[str, bool]]:
    """(path, whether it is a folder) of every pack below the custom_nodes folder `top`, sorted.

    The choice is that of ComfyUI's `init_external_custom_nodes`: folders, and files that end in
    `.py`; and, since they are installed all the same, both where they are disabled. Only folders
    that have a listing count.
    """
    return sorted(_places_in(snapshot, top, top))


def _places_in(
    snapshot: Mapping[str, Directory], folder: str, top: str
) -> Iterator[tuple[str, bool]]:
    directory = snapshot.get(folder)
    if directory is None:
        return
    listing = directory.listing
    for name, letter in zip(listing.split_names(), listing.types, strict=True):
        path = join(folder, name)
        if letter in CONTAINERS:
            if name == DISABLED and folder == top:
                yield from _places_in(snapshot, path, top)
            elif not name.startswith(".") and name != "__pycache__" and path in snapshot:
                yield path, True
        elif letter in (FILE, FILE_LINK) and _is_module(name.removesuffix(DISABLED)):
            yield path, False


def _is_module(name: str) -> bool:
    return os.path.splitext(name)[1] == ".py"


def pack_around(path: str, top: str) -> str | None:
    """The place of a pack below the custom_nodes folder `top` that `path` is or lies in."""
    if path == top or not is_below(path, top):
        return None
    parts = path[len(join(top, "")) :].split(os.sep)
    depth = 2 if parts[0] == DISABLED else 1
    return join(top, os.sep.join(parts[:depth])) if len(parts) >= depth else None


def is_enabled(path: str) -> bool:
    """Whether ComfyUI tries to load the pack at `path`, as its place says."""
    folder, name = os.path.split(path)
    return not name.endswith(DISABLED) and os.path.basename(folder) != DISABLED


_SPEC = re.compile(r"(.+)@(?:nightly|unknown|(\d[\w.+-]*))")
"""Folder names of ComfyUI-Manager: `pack@nightly`, or `pack@1_0_2` with the dots of the version."""


def _folder_name(path: str) -> tuple[str, str]:
    """(name, version) that a pack's folder says, without the marks of its state."""
    name = os.path.basename(path).removesuffix(DISABLED)
    spec = _SPEC.fullmatch(name)
    name, version = (spec[1], spec[2] or "") if spec else (name, "")
    return name.removesuffix(".git") or name, version.replace("_", ".")


def pack_of_file(path: str) -> Pack:
    """The pack that is the single file `path`: ComfyUI knows nothing of it but its name."""
    name = os.path.basename(path).removesuffix(DISABLED).removesuffix(".py")
    return Pack(name, name, "file", is_enabled(path))


# When packs are read


class Attention:
    """Which packs of one place a scan has to read. Times in seconds, monotonic clock.

    Most of what a pack's record is made of lies in `.git`, which is not listed, so the folders that
    are listed give the sign: an update changes some of its files. But it writes HEAD only after
    them, so that a pack seen to change is read again when it is at rest (design rule 4). What
    gives no sign at all (a commit) is found by reading every pack within `verify_within`.
    """

    def __init__(self) -> None:
        self._read: dict[str, float] = {}
        self._racy: dict[str, float] = {}

    def due(
        self,
        packs: Collection[str],
        changed: Iterable[str],
        *,
        started: float,
        verify_within: float,
    ) -> list[str]:
        """Those of `packs` that the scan which started at `started` has to read. In `changed` it
        has seen something change."""
        for table in (self._read, self._racy):
            for path in table.keys() - set(packs):
                del table[path]
        self._racy.update(dict.fromkeys(set(packs).intersection(changed), started))
        return [
            path
            for path in packs
            if path in self._racy
            or path not in self._read
            or started - self._read[path] >= verify_within
        ]

    def has_read(self, path: str, *, started: float, settle: float) -> bool:
        """Note that a pack was read; whether it was at rest then."""
        self._read[path] = started
        if path in self._racy and started - self._racy[path] >= settle:
            del self._racy[path]
        return path not in self._racy


def is_believable(pack: Pack, known: Pack | None, *, is_at_rest: bool) -> bool:
    """Whether a reading replaces what is known: in the middle of an update a file may be missing
    or cut short, which says nothing of the pack."""
    if known is None or is_at_rest:
        return True
    return bool(pack.version or not known.version) and bool(pack.commit or not known.commit)


def record_of(path: str, found: Pack | None, known: Pack | None) -> Pack | None:
    """The record of the pack at `path`, from what was read of it now, if anything was, and what is
    known of it, maybe from another path; None where nothing is."""
    if known is not None and (found is None or (found.is_partial and not known.is_partial)):
        return known._replace(enabled=is_enabled(path))
    return found


def differs(pack: Pack, known: Pack) -> bool:
    """Whether something became of a pack, and not only of what could be read of it."""
    if known.is_partial and not pack.is_partial:
        return pack.enabled != known.enabled
    return pack.state != known.state


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
            types |= dict.fromkeys(points, _AWAY) | dict.fromkeys(listing.unread, _UNREAD)
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


def _text(value: object) -> str:
    """One line of what a file says; empty for anything but texts and numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).split())[:LONGEST_TEXT]


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


_URL = re.compile(r"((?:.*::)?([A-Za-z][A-Za-z0-9+.-]*)://)([^/?#]*)(.*)", re.DOTALL)


def _url(text: str) -> str:
    """A URL as it is kept. Cut to length only when nothing is left in it that must not stay."""
    return _text(without_credentials(text))


def without_credentials(url: str) -> str:
    """`url` without user name, password and query: either may be a secret, since access tokens are
    written as user names, passwords or parameters. Of ssh the user name stays: it is part of the
    address."""
    found = _URL.match(url)
    if found is None:
        user, at, rest = url.partition("@")
        is_path = "/" in user or re.match(r"[A-Za-z]:[\\/]", url)
        return rest if at and ":" in user and not is_path else url
    scheme, authority, path = found[1], found[3], found[4]
    if ":" in authority and "@" not in authority and "@" in path:
        # A password with a slash or the like that nobody escaped: the host follows the last @.
        authority, slash, path = path.rpartition("@")[2].partition("/")
        path = slash + path
    user, at, host = authority.rpartition("@")
    kept = user.partition(":")[0] + at if "ssh" in found[2].lower() else ""
    return scheme + kept + host + re.split(r"[?#]", path)[0]


_SECTION = re.compile(r'\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]\s*')
_VARIABLE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*)", re.DOTALL)


def git_remotes(config: str) -> dict[str, str]:
    """URL by name of the remotes in git's configuration file (git-config(1)), in its order and
    without credentials; of several URLs of a remote the first, from which git fetches."""
    remotes: dict[str, str] = {}
    remote = ""
    for line in _logical_lines(config):
        section = _SECTION.match(line)
        if section is not None:
            remote = _remote_name(section[1], section[2])
        variable = _VARIABLE.match(line, section.end() if section is not None else 0)
        if remote and variable is not None and variable[1].lower() == "url":
            url = _url(_value(variable[2]))
            if url:
                remotes.setdefault(remote, url)
    return remotes


def _logical_lines(config: str) -> Iterator[str]:
    """The lines without leading blanks; one that ends in an odd backslash goes on in the next."""
    begun = ""
    for part in config.split("\n"):
        line = begun + part.removesuffix("\r")
        begun = ""
        is_comment = line.lstrip().startswith(("#", ";"))
        if not is_comment and (len(line) - len(line.rstrip("\\"))) % 2:
            begun = line[:-1]
        else:
            yield line.lstrip()
    yield begun.lstrip()


def _remote_name(section: str, sub: str | None) -> str:
    """The remote that a section is about: `[remote "origin"]`, or as it once was `[remote.origin]`;
    empty for other sections."""
    if sub is not None:
        return re.sub(r"\\(.)", r"\1", sub) if section.lower() == "remote" else ""
    head, _, name = section.partition(".")
    return name.lower() if head.lower() == "remote" else ""


def _value(text: str) -> str:
    """A value without quotes, escapes and the comment behind it."""
    value, quoted, index = "", False, 0
    while index < len(text):
        letter = text[index]
        if letter == "\\" and index + 1 < len(text):
            index += 1
            value += {"n": "\n", "t": "\t", "b": ""}.get(text[index], text[index])
        elif letter == '"':
            quoted = not quoted
        elif letter in "#;" and not quoted:
            break
        else:
            value += letter
        index += 1
    return value.strip()
