"""The names of the files that this program writes, and their recognition in scanned folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from scanner.core.inventory_parts import parts_folder
from scanner.core.user_folders import state_folder
from scanner.disk.filesystem import FileSystem
from scanner.disk.location import locate
from scanner.disk.mounts import UNKNOWN, Mount
from scanner.errors import OutputError
from scanner.settings.schema import Settings

_STATE, _JOURNAL, _STATUS = ".state.sqlite", ".changes.jsonl", ".status.json"

_SIGN = re.compile(
    r"(?:^|(?<=\0))([^\0]+)\.(?:lock|state\.sqlite|changes\.jsonl|status\.json|history\.jsonl)"
    r"(?=\0|$)"
)


@dataclass(frozen=True)
class Outputs:
    """Paths of all files written for one `--output`; `state_folder` holds the database."""

    inventory: str
    state_folder: str
    log_file: str = ""
    may_hang: bool = False
    """True if the inventory or the log lies on a mount that may hang."""
    apart: str = ""
    """Why the state does not lie beside the inventory; empty if it does."""
    metrics_file: str = ""

    @cached_property
    def _stem(self) -> str:
        return os.path.splitext(os.path.basename(self.inventory))[0]

    @property
    def folder(self) -> str:
        """The folder of the inventory."""
        return os.path.dirname(self.inventory)

    def _beside(self, ending: str) -> str:
        return os.path.join(self.folder, self._stem + ending)

    @property
    def journal(self) -> str:
        """The change list."""
        return self._beside(".changes.jsonl")

    @property
    def status(self) -> str:
        """The status file."""
        return self._beside(".status.json")

    @property
    def history(self) -> str:
        """What each day left."""
        return self._beside(".history.jsonl")

    @property
    def parts(self) -> str:
        """The folder of the parts of an inventory that is split."""
        return parts_folder(self.inventory)

    @property
    def lock(self) -> str:
        """The lock file, held by the only instance that may write."""
        return self._beside(".lock")

    @property
    def state(self) -> str:
        """The private database."""
        return os.path.join(self.state_folder, self._stem + ".state.sqlite")

    @property
    def notify(self) -> str:
        """The news that wait to be sent."""
        return os.path.join(self.state_folder, self._stem + ".notify.json")

    @cached_property
    def _own_name(self) -> re.Pattern[str]:
        stem = re.escape(self._stem)
        inventory = re.escape(os.path.basename(self.inventory))
        return re.compile(
            rf"(?:{inventory}|{stem}\.(?:changes(?:\.\d+)?\.jsonl|status\.json|history\.jsonl"
            rf"|notify\.json|lock|state\.sqlite(?:-wal|-shm|-journal)?))(?:\.damaged-\S+)?"
            rf"|\.(?:{inventory}|{stem}\.\S+)\.\S+\.tmp"
        )

    @cached_property
    def own_prefixes(self) -> frozenset[str]:
        """The beginnings of all names for which `is_own` can be True."""
        log_file, metrics = os.path.basename(self.log_file), os.path.basename(self.metrics_file)
        others = {log_file, metrics, metrics and "." + metrics} - {""}
        return frozenset((self._stem, "." + self._stem)) | others

    @cached_property
    def _metrics_name(self) -> re.Pattern[str]:
        name = re.escape(os.path.basename(self.metrics_file))
        return re.compile(rf"{name}|\.{name}\.\S+\.tmp")

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(map(os.path.realpath, (self.folder, self.state_folder)))

    def instance_files(self, names: str) -> frozenset[str]:
        """Those of `names` (joined by NUL, of one folder) that any instance of this program writes.
        Its folder of parts is among them, with a slash at its end.

        Two files of an instance identify it by the stem that they share. The inventory counts if
        its name ends in .json.
        """
        # Nearly no folder goes beyond the first line. Every listing comes here, so it is plain.
        if _STATE not in names and _JOURNAL not in names and _STATUS not in names:
            return frozenset()
        stems = Counter(match[1] for match in _SIGN.finditer(names))
        instances = [
            Outputs(os.path.join(os.sep, f"{stem}.json"), os.sep)
            for stem, signs in stems.items()
            if signs > 1
        ]
        own = (
            name
            for name in names.split("\0")
            if any(instance.has_own_name(name) for instance in instances)
        )
        return frozenset(own) | {os.path.basename(each.parts) + "/" for each in instances}

    def has_own_name(self, name: str) -> bool:
        """True if `name` is that of one of these files, in their folder. The log is not counted."""
        return bool(self._own_name.fullmatch(name))

    def is_own(self, folder: str, name: str) -> bool:
        """True if `name` in `folder` is one of these files, also through a link to their folder."""
        if self.log_file and os.path.join(folder, name) == self.log_file:
            return True
        # The name is tested first: the real path of the folder costs a system call.
        if self.metrics_file and self._metrics_name.fullmatch(name):
            other = os.path.realpath(os.path.dirname(self.metrics_file))
            return os.path.realpath(folder) == other
        return self.has_own_name(name) and os.path.realpath(folder) in self._folders


def outputs_of(settings: Settings, files: FileSystem, cwd: str) -> Outputs:
    """The paths of all files to write.

    If the output really lies on a remote mount, the database moves to a local disk, because
    SQLite's locks are not reliable on remote mounts, and it would hang with one.
    """
    inventory = os.path.abspath(os.path.join(cwd, settings.output))
    outputs = Outputs(inventory, os.path.dirname(inventory))

    def absolute(path: Path | None) -> str:
        return "" if path is None else os.path.abspath(os.path.join(cwd, path))

    log_file = absolute(settings.log_file)
    outputs = replace(outputs, log_file=log_file, metrics_file=absolute(settings.metrics_file))
    mounts = files.mounts()
    place = locate(outputs.folder, mounts, files.read_link)
    state = locate(outputs.state, mounts, files.read_link)  # it may be a link by itself
    if not place.mount.is_remote and not state.mount.is_remote:
        log = locate(log_file, mounts, files.read_link) if log_file else place
        return replace(outputs, may_hang=log.mount.is_remote)
    reason = _reason(place.mount if place.mount.is_remote else state.mount)
    # Under whatever path it is reached, one output has one state.
    real = os.path.join(place.path, os.path.basename(inventory))
    import hashlib  # which loads OpenSSL

    name = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
    folder = state_folder()
    if not folder:
        raise OutputError(
            f"{inventory}: {reason}, so the state needs a folder on a local disk, and no home "
            "folder is known here: set XDG_STATE_HOME to one."
        )
    apart = os.path.join(folder, name)
    return replace(outputs, state_folder=apart, may_hang=True, apart=reason)


def _reason(mount: Mount) -> str:
    """Why the state cannot lie on `mount`, beside its inventory."""
    if mount == UNKNOWN:
        return "no mount table can be read here (is /proc there?), so that the disk is not known"
    if mount.locality == "network":
        return f"the inventory lies on a network mount ({mount.type})"
    return f"the inventory lies on a mount that may hang ({mount.type})"
