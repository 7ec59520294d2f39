"""The files that this program writes, by name, and how it recognises them in a scanned folder."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property

from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import mount_of
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
        """Where the inventory stands."""
        return os.path.dirname(self.inventory)

    def _beside(self, ending: str) -> str:
        return os.path.join(self.folder, self._stem + ending)

    @property
    def journal(self) -> str:
        """The change list."""
        return self._beside(".changes.jsonl")

    @property
    def status(self) -> str:
        """The heartbeat."""
        return self._beside(".status.json")

    @property
    def lock(self) -> str:
        """Held by the one instance that may write."""
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
        """How every name starts that `is_own` may be true of."""
        log_file = {os.path.basename(self.log_file)} if self.log_file else set()
        return frozenset((self._stem, "." + self._stem)) | log_file

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(map(os.path.realpath, (self.folder, self.state_folder)))

    def is_own(self, folder: str, name: str) -> bool:
        """Whether `name` in `folder` is one of ours; links to our folder are seen through."""
        if self.log_file and os.path.join(folder, name) == self.log_file:
            return True
        # The name is tested first: only then is the folder's real path worth a system call.
        return bool(self._own_name.fullmatch(name)) and os.path.realpath(folder) in self._folders


def outputs_of(settings: Settings, files: FileSystem, cwd: str) -> Outputs:
    """Where everything is written. The database moves to this machine's own disk where the
    output lies on a remote mount: SQLite's locks cannot be relied on there."""
    inventory = os.path.abspath(os.path.join(cwd, settings.output))
    folder = os.path.dirname(inventory)
    log_file = ""
    if settings.log_file is not None:
        log_file = os.path.abspath(os.path.join(cwd, settings.log_file))
    if mount_of(folder, files.mounts()).is_remote:
        import platformdirs

        name = hashlib.sha256(os.fsencode(inventory)).hexdigest()[:16]
        folder = os.path.join(platformdirs.user_state_dir("comfy-inventory"), name)
    return Outputs(inventory, folder, log_file)
