"""What proves that an entry that arrived is the one that is gone (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence

from scanner.core.snapshot import BROKEN_LINK, CONTAINERS, FILE, FILE_LINK, Entry
from scanner.diff.moves import FINGERPRINT, INODE, AskFingerprints


class MoveProofs:
    """The fingerprints that are known or were taken, and what they prove."""

    def __init__(self, ask: AskFingerprints) -> None:
        self._ask = ask
        self.fingerprints: dict[str, bytes] = {}
        """Fingerprints that were taken, by path of the file that arrived."""

    def learn(self, entries: Sequence[Entry]) -> None:
        """Take the fingerprints of `entries` that were not taken yet."""
        unknown = [entry for entry in entries if entry.path not in self.fingerprints]
        if unknown:
            self.fingerprints.update(self._ask(unknown))

    def content(self, entry: Entry) -> bytes:
        """The fingerprint of an entry that arrived; empty if it is not known."""
        return self.fingerprints.get(entry.path) or entry.fingerprint

    def evidence(self, gone: Entry, there: Entry) -> str:
        """The kind of proof that `there` is the file that is gone; empty without any."""
        if gone.fingerprint and self.content(there) != gone.fingerprint:
            return ""
        if _same_inode(gone, there):
            return INODE
        return FINGERPRINT if gone.fingerprint else ""

    def is_contradicted(self, gone: Entry, there: Entry) -> bool:
        """True if two files of equal size and mtime have different fingerprints."""
        if (gone.size, gone.mtime) != (there.size, there.mtime) or not gone.fingerprint:
            return False
        return self.content(there) != gone.fingerprint


def inode_key(entry: Entry) -> object:
    """Inode, size and mtime: what a renamed file or link keeps. None if they prove nothing."""
    if not entry.inode or entry.type in CONTAINERS:
        return None
    if entry.type == FILE and not entry.size:
        return None
    if entry.type not in (FILE, FILE_LINK, BROKEN_LINK):
        return None
    return entry.type, entry.device, entry.inode, entry.size, entry.mtime


def _same_inode(gone: Entry, there: Entry) -> bool:
    return bool(gone.inode) and (gone.device, gone.inode, gone.size, gone.mtime) == (
        there.device,
        there.inode,
        there.size,
        there.mtime,
    )
