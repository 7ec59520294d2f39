"""The names of the files that this program writes, and their recognition in scanned folders."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property

from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import mount_of
from scanner.errors import OutputError
from scanner.settings.schema import Settings


@dataclass(frozen=True)
class Outputs:
    """Paths of all files written for one `--output`; `state_folder` holds the database."""

    inventory: str
    state_folder: str
    log_file: str = ""

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
    def lock(self) -> str:
        """The lock file, held by the only instance that may write."""
        return self._beside(".lock")

    @property
    def state(self) -> str:
        """The private database."""
        return os.path.join(self.state_folder, self._stem + ".state.sqlite")

    @cached_property
    def _own_name(self) -> re.Pattern[str]:
        stem = re.escape(self._stem)
        inventory = re.escape(os.path.basename(self.inventory))
        return re.compile(
            rf"(?:{inventory}|{stem}\.(?:changes(?:\.\d+)?\.jsonl|status\.json|lock"
            rf"|state\.sqlite(?:-wal|-shm|-journal)?|state\.sqlite\.damaged\S*))"
            rf"|\.(?:{inventory}|{stem}\.\S+)\.\S+\.tmp"
        )

    @cached_property
    def own_prefixes(self) -> frozenset[str]:
        """The beginnings of all names for which `is_own` can be True."""
        log_file = {os.path.basename(self.log_file)} if self.log_file else set()
        return frozenset((self._stem, "." + self._stem)) | log_file

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(map(os.path.realpath, (self.folder, self.state_folder)))

    def is_own(self, folder: str, name: str) -> bool:
        """True if `name` in `folder` is one of these files, also through a link to their folder."""
        if self.log_file and os.path.join(folder, name) == self.log_file:
            return True
        # The name is tested first: the real path of the folder costs a system call.
        return bool(self._own_name.fullmatch(name)) and os.path.realpath(folder) in self._folders


def outputs_of(settings: Settings, files: FileSystem, cwd: str) -> Outputs:
    """The paths of all files to write.

    If the output lies on a remote mount, the database moves to a local disk, because SQLite's
    locks are not reliable on remote mounts.
    """
    inventory = os.path.abspath(os.path.join(cwd, settings.output))
    folder = os.path.dirname(inventory)
    log_file = ""
    if settings.log_file is not None:
        log_file = os.path.abspath(os.path.join(cwd, settings.log_file))
    if mount_of(folder, files.mounts()).is_remote:
        import platformdirs

        name = hashlib.sha256(os.fsencode(inventory)).hexdigest()[:16]
        folder = os.path.join(platformdirs.user_state_dir("comfy-inventory"), name)
        if not os.path.isabs(folder):
            raise OutputError(
                f"{inventory} lies on a network mount, so the state needs a folder on a local "
                "disk, and no home folder is known here: set XDG_STATE_HOME to one."
            )
    return Outputs(inventory, folder, log_file)
