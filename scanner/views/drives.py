"""Drives: the mounts that the scanned folders lie on, with their space and their folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scanner.core.paths import nearest_above
from scanner.core.serialize import printable
from scanner.core.times import Zone, time_shown

UNKNOWN = "not known"


class Drives:
    """Tells the drive of a folder by the mounts that the header of an inventory names."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self.mounts: list[Mapping[str, Any]] = []
        """One of each mount, in the order of the header."""
        self._at: dict[str, int] = {}
        points: dict[str, int] = {}
        for mount in header.get("mounts", ()):
            if mount["point"] not in points:
                points[mount["point"]] = len(self.mounts)
                self.mounts.append(mount)
            self._at[mount["path"]] = points[mount["point"]]

    @property
    def names(self) -> list[str]:
        """The point of each mount, and a word for folders of which no mount is known."""
        return [*(printable(mount["point"]) for mount in self.mounts), UNKNOWN]

    def of(self, path: str) -> int:
        """Index in `names` of the drive that a folder lies on. `path` is as the inventory shows
        it."""
        above = nearest_above(path, self._at)
        return len(self.mounts) if above is None else self._at[above]


def drives_page(
    header: Mapping[str, Any], status: Mapping[str, Any], drives: Drives, zone: Zone
) -> list[dict[str, Any]]:
    """One item for each drive, with the folders on it. Of a drive whose space is not known, or
    where there is no status file, `bytes` and `free` are absent."""
    spaces = {mount["point"]: mount for mount in status.get("mounts", ())}
    on: list[list[Mapping[str, Any]]] = [[] for _ in drives.names]
    for root in header["roots"]:
        on[drives.of(root["path"])].append(root)
    page = []
    for index, roots in enumerate(on):
        mount: Mapping[str, Any] = drives.mounts[index] if index < len(drives.mounts) else {}
        if not mount and not roots:
            continue
        space = spaces.get(mount.get("point"), {})
        page.append(
            {
                "point": drives.names[index],
                "type": printable(mount.get("type", "")),
                "source": printable(mount.get("source", "")),
                **{key: space[key] for key in ("bytes", "free") if key in space},
                "roots": _roots(roots, zone),
            }
        )
    return page


def _roots(roots: Sequence[Mapping[str, Any]], zone: Zone) -> list[dict[str, Any]]:
    return [
        {
            "path": printable(root["path"]),
            "kind": root["kind"],
            "state": root["state"],
            "since": time_shown(root.get("since", ""), zone),
            "reason": printable(root.get("reason", "")),
            "files": root.get("files", 0),
            "bytes": root.get("bytes", 0),
        }
        for root in roots
    ]
