"""Trust in the directory times of a mount: by type, or earned (rule 5)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from scanner.core.serialize import printable
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
    if trust.is_lost(mount):
        return LOST
    if mount.moves_directory_mtimes:
        return BY_TYPE
    return EARNED if trust.is_earned(mount) else TO_BE_EARNED


PROOFS_WANTED = 3
"""Changes that must have moved a directory's times before an unknown mount is trusted."""

FAILURES_BORNE = 2
"""Counter-examples that a mount of a type known to work may give: it is more likely that the clock,
the disk or a person did something odd than that the type does not work."""


@dataclass
class Trust:
    """Evidence about directory times on one mount, kept over restarts by mount identity."""

    proofs: int = 0
    """Changes seen that moved the times of their directory."""
    failures: int = 0
    """Changes seen that did not move them."""

    def is_lost(self, mount: Mount) -> bool:
        """True once `mount` has given more counter-examples than it may. Only a person gives the
        trust back."""
        return self.failures > (FAILURES_BORNE if mount.moves_directory_mtimes else 0)

    def is_earned(self, mount: Mount) -> bool:
        """True if times of directories on `mount` may spare listings."""
        if self.is_lost(mount) or mount.never_moves_directory_mtimes:
            return False
        return mount.moves_directory_mtimes or self.proofs >= PROOFS_WANTED

    def learn(self, mount: Mount, path: str, *, has_moved: bool) -> None:
        """Record whether a change of names in `path`, which was at rest, moved its times."""
        if has_moved:
            self.proofs += 1
        elif not self.is_lost(mount):
            self.failures += 1
            if self.is_lost(mount):
                log.warning(
                    "%s changed and its times did not: directory mtimes on %s (%s) are no longer"
                    " trusted, every folder is listed in every scan. `comfy-inventory doctor"
                    " --trust` gives the trust back.",
                    printable(path),
                    printable(mount.point),
                    mount.type,
                )
            else:
                log.info("%s changed and its times did not.", printable(path))

    def give_back(self) -> None:
        """Forget everything, as a person asked: types known to work are trusted at once, others may
        earn it again."""
        self.proofs = self.failures = 0
