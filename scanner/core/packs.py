"""A node pack as a value, and how it changed. How packs are found and read: `scanner.comfyui`."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from scanner.core.serialize import readable

Source = Literal["registry", "git", "file", "unknown"]
"""Where a pack came from: the ComfyUI registry, a git repository, a single file put there, or who
knows."""


SHORT = 7
"""Digits of a commit in logs and tables, as git prints them."""


class Pack(NamedTuple):
    """One pack as its files describe it. Texts are empty where unknown."""

    id: str
    """As ComfyUI-Manager names it: of a registry pack its project's name in lower case, of a
    repository the registry's name where it is known there, else the repository's name."""
    name: str
    """For people: its display name, else its project's, else that of its folder or file."""
    source: Source
    enabled: bool
    """True if ComfyUI tries to load it."""
    version: str = ""
    commit: str = ""
    """The commit that is checked out: 40 or 64 hexadecimal digits."""
    remote: str = ""
    """URL of its repository, without user names and passwords."""
    publisher: str = ""
    requirements: str = ""
    """Name of its requirements file."""
    is_partial: bool = False
    """True if something of it could not be read: a better record from before is kept."""

    @property
    def state(self) -> tuple[str, str, str, bool]:
        """The values whose change is worth a line."""
        return self.id, self.version, self.commit, self.enabled

    def as_json(self) -> dict[str, str | bool]:
        """The fields of the inventory; unknown ones are left out."""
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
    """A change of a pack. `before` is None for a new pack, `after` for one that is gone."""

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
