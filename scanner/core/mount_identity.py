"""The identity of a mount, which must not change unnoticed (rule 2), as a value that is kept."""

from __future__ import annotations

import json  # escapes surrogates, which orjson refuses
import re
from typing import NamedTuple

AUTOMOUNTER = "autofs"
"""The type of an automounter: it mounts what belongs there once a folder is opened."""

POOL_TYPES = frozenset(("fuse.mergerfs", "mergerfs", "fuse.unionfs", "fuse.mhddfs"))
"""Pools of several folders. Their source is the list of these folders, and it changes whenever the
pool gets a disk or loses one. mergerfs shortens it too, so that no part of it stays the same."""

_UUID = "uuid="


class MountIdentity(NamedTuple):
    """Type, source and path within the source. For block devices the source has several names.

    Never st_dev: it changes over reboots and reconnections. A field that is not known is empty.
    """

    type: str
    source: str = ""
    """The name of the device, or host and share."""
    within: str = ""
    uuid: str = ""
    """UUID of the file system on a block device, as udev names it."""
    fsid: str = ""
    """The number that ext2, ext3 and ext4 derive from their UUID. It needs no udev."""

    def is_same(self, other: MountIdentity) -> bool:
        """True if both name the same file system, as far as both are known."""
        if self.type != other.type:
            return False
        if self.within and other.within and self.within != other.within:
            return False
        for mine, theirs in ((self.uuid, other.uuid), (self.fsid, other.fsid)):
            if mine and theirs:
                return mine == theirs
        return (
            self.type in POOL_TYPES
            or not (self.names_source and other.names_source)
            or self.source == other.source
        )

    def completed_by(self, known: MountIdentity | None) -> MountIdentity:
        """This identity, with the UUID that only `known` has where both are the same.

        A UUID that udev does not name for a moment is not forgotten: else another disk under the
        same device name would be taken for this one.
        """
        if known is None or not self.is_same(known):
            return self
        return self._replace(uuid=self.uuid or known.uuid, fsid=self.fsid or known.fsid)

    @property
    def names_source(self) -> bool:
        """True if anything but the type is known of the source."""
        return bool(self.source or self.uuid or self.fsid)

    @property
    def is_unique(self) -> bool:
        """True if it differs from that of other mounts: that of `tmpfs tmpfs /` does not."""
        has_name = any(mark in self.source for mark in "/\\:")
        return bool(self.uuid) or (has_name and self.type not in POOL_TYPES)

    def as_text(self) -> str:
        """The identity as it is kept in the state."""
        return json.dumps(list(self), separators=(",", ":"))


def identity_from(text: str) -> MountIdentity | None:
    """Inverse of `as_text`, None for an empty text. Raises ValueError if it is damaged.

    Older states have one text, `type source within`, where `uuid=...` may stand for the source.
    """
    if not text:
        return None
    if text.startswith("["):
        fields = json.loads(text)
        if not 1 <= len(fields) <= len(MountIdentity._fields):
            raise ValueError(f"not the identity of a mount: {text!r}")
        if not all(isinstance(field, str) for field in fields):
            raise ValueError(f"not the identity of a mount: {text!r}")
        return MountIdentity(*fields)
    type_, _, rest = text.partition(" ")
    source, slash, within = rest.rpartition(" /")
    if source.startswith(_UUID):
        return MountIdentity(type_, "", slash.strip() + within, uuid=source.removeprefix(_UUID))
    return MountIdentity(type_, without_password(source), slash.strip() + within)


def without_password(source: str) -> str:
    """`source` without a password that stands in it."""
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1@", source)
