"""Trust in the directory mtimes of a mount: by type, or earned (rule 5)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from scanner.disk.mounts import Mount

log = logging.getLogger(__name__)
BY_TYPE = "by type"

EARNED = "earned"

TO_BE_EARNED = "to be earned"

NEVER = "never"

LOST = "lost"


def trust_state(mount: Mount, trust: Trust) -> str:
    """The trust in directory mtimes on `mount`, as one of the words above."""
    if mount.never_moves_directory_mtimes:
        return NEVER
    if trust.is_lost:
        return LOST
    if mount.moves_directory_mtimes:
        return BY_TYPE
    return EARNED if trust.is_earned(mount) else TO_BE_EARNED


PROOFS_WANTED = 3
"""Changes that must have moved a directory's mtime before an unknown mount is trusted."""


@dataclass
class Trust:
    """Evidence about directory mtimes on one mount, kept over restarts by mount identity."""

    proofs: int = 0
    """Changes seen that moved the mtime of their directory."""
    is_lost: bool = False
    """True once a change was seen that did not move it: the mount is never trusted again."""

    def is_earned(self, mount: Mount) -> bool:
        """True if mtimes of directories on `mount` may spare listings."""
        if self.is_lost or mount.never_moves_directory_mtimes:
            return False
        return mount.moves_directory_mtimes or self.proofs >= PROOFS_WANTED

    def learn(self, mount: Mount, path: str, *, has_moved: bool) -> None:
        """Record whether a change of names in `path`, which was at rest, moved its mtime."""
        if has_moved:
            self.proofs += 1
        elif not self.is_lost:
            self.is_lost = True
            log.warning(
                "%s changed and its mtime did not: directory mtimes on %s (%s) are no longer"
                " trusted, every folder is listed in every scan.",
                path,
                mount.point,
                mount.type,
            )
