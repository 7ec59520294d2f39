"""The files that this program writes, by name, and how it knows them again in a scanned folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property


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
