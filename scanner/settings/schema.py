"""Every setting once: name, type, default and description."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from scanner.core.roots import Root
from scanner.settings.types import (
    ALGORITHMS,
    COUNT,
    CRON,
    DURATION,
    EVERY,
    FLAG,
    FRACTION,
    LEVEL,
    NUMBER,
    PATH,
    PATHS,
    PATTERNS,
    PROFILE,
    RATE,
    ROOT_TABLE,
    SIZE,
    SettingType,
)
from scanner.settings.values import AUTO, LogLevel

FIRST_EVERY = 30.0
"""Seconds between scans where none are given, or none are measured yet."""


class RootSettings(BaseModel):
    """Settings of one root, or of all roots of a kind; None takes the general setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ignore: Annotated[tuple[str, ...] | None, PATTERNS.optional()] = Field(
        default=None,
        description="Gitignore patterns of names to leave out there, added to the general ones.",
        examples=[["*.bak"]],
    )
    loss_fraction: Annotated[float | None, FRACTION.optional()] = Field(
        default=None, description="As the general setting of this name.", examples=[0.9]
    )
    loss_files: Annotated[int | None, COUNT.optional()] = Field(
        default=None, description="As the general setting of this name.", examples=[100]
    )


class RootRules(NamedTuple):
    """The rules of one root, after general and per-root settings are put together."""

    ignore: tuple[str, ...]
    """The user's gitignore patterns, general ones first; the default ones are not among them."""
    loss_fraction: float
    loss_files: int


class Settings(BaseModel):
    """All settings, checked. Durations are in seconds, sizes in bytes; `load` reads them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    comfy_root: Annotated[Path | None, PATH.optional()] = Field(
        default=None,
        description="ComfyUI's folder; without it ./ComfyUI, then the workspace of comfy-cli.",
        examples=["./ComfyUI"],
    )
    models: Annotated[tuple[Path, ...], PATHS] = Field(
        default=(),
        description="Bare models folders, as on a NAS without ComfyUI; their folders are "
        "categories.",
    )
    downloads: Annotated[tuple[Path, ...], PATHS] = Field(
        default=(), description="Folders that models are downloaded to."
    )
    extra: Annotated[tuple[Path, ...], PATHS] = Field(
        default=(), description="Any other folders to keep an inventory of."
    )
    extra_model_paths_config: Annotated[tuple[Path, ...], PATHS] = Field(
        default=(),
        description="Files to read besides the extra_model_paths.yaml next to ComfyUI's main.py "
        "(ComfyUI's option of the same name).",
    )
    base_directory: Annotated[Path | None, PATH.optional()] = Field(
        default=None,
        description="Folder that holds models, custom_nodes, input and output where it is not "
        "ComfyUI's own (ComfyUI's option of the same name).",
        examples=["/data/comfy"],
    )
    output_directory: Annotated[Path | None, PATH.optional()] = Field(
        default=None,
        description="ComfyUI's output folder where it lies elsewhere (ComfyUI's option of the "
        "same name).",
        examples=["/data/comfy/output"],
    )
    input_directory: Annotated[Path | None, PATH.optional()] = Field(
        default=None,
        description="ComfyUI's input folder where it lies elsewhere (ComfyUI's option of the "
        "same name).",
        examples=["/data/comfy/input"],
    )
    output: Annotated[Path, PATH] = Field(
        default=Path("comfy_inventory.json"),
        description="The inventory; change list, status and lock are written beside it.",
    )
    profile: Annotated[str | None, PROFILE.optional()] = Field(
        default=None,
        description="Ready-made settings to start from: local, nas or wsl.",
        examples=["nas"],
    )
    every: Annotated[float | Literal["auto"], EVERY] = Field(
        default=FIRST_EVERY,
        description="Time from the start of one scan to the start of the next, at least 1s; or "
        "auto: as often as `auto_duty` allows, from 5s to 1h, each network mount for itself.",
    )
    auto_duty: Annotated[float, FRACTION] = Field(
        default=0.02,
        description="The most of the time that scans may take where `every` is auto; at most "
        "half of it re-reads files (see `verify_within`).",
    )
    cron: Annotated[str, CRON] = Field(
        default="",
        description="When to scan, as five crontab fields in local time; empty takes `every`.",
    )
    ignore: Annotated[tuple[str, ...], PATTERNS] = Field(
        default=(),
        description="Gitignore patterns of names to leave out, added to the default ones.",
    )
    default_ignore: Annotated[bool, FLAG] = Field(
        default=True,
        description="Whether to leave out what systems and tools litter: .DS_Store, .git, "
        "__pycache__, @eaDir and the like.",
    )
    follow_links: Annotated[bool, FLAG] = Field(
        default=True, description="Whether to enter linked folders, as ComfyUI does."
    )
    move_window: Annotated[float, DURATION] = Field(
        default=900.0,
        description="How long after a file arrived or went its other half still makes it a move: "
        "a move to a NAS is a copy of minutes and then a deletion.",
    )
    hold_wait: Annotated[float, DURATION] = Field(
        default=30.0,
        description="How long a one-shot `scan` waits before it looks again at deletions that "
        "look like a lost mount; 0 leaves them held.",
    )
    loss_fraction: Annotated[float, FRACTION] = Field(
        default=0.5,
        description="A root that loses more than this fraction of its files in one scan is held "
        "as a possibly lost mount.",
    )
    loss_files: Annotated[int, COUNT] = Field(
        default=20, description="Roots with fewer files than this are not held by `loss_fraction`."
    )
    unsettled_every: Annotated[float, DURATION] = Field(
        default=600.0, description="How often a file that keeps growing is reported as modified."
    )
    annotations_every: Annotated[float, DURATION] = Field(
        default=600.0,
        description="How often new fingerprints alone, without any change, cause the inventory "
        "to be written.",
    )
    backlog_time: Annotated[float, DURATION] = Field(
        default=60.0,
        description="How long a one-shot `scan` takes fingerprints that are still missing; 0 "
        "takes none.",
    )
    facts: Annotated[bool, FLAG] = Field(
        default=True,
        description="Whether to read the headers of model files: what they are, and whether they "
        "are whole. Nothing is read of them but that.",
    )
    hash: Annotated[tuple[str, ...], ALGORITHMS] = Field(
        default=(),
        description="Hashes to take of the whole content of models, in one reading, between "
        'scans: a list of xxh3 and sha256, or "off". `comfy-inventory hash` does it once.',
        examples=[["xxh3", "sha256"]],
    )
    hash_rate: Annotated[int, RATE] = Field(
        default=0,
        description="Limit for this reading on each mount, such as 50MB/s; 0 sets no limit.",
        examples=["50MB/s"],
    )
    verify_within: Annotated[float, DURATION.at_least(1.0)] = Field(
        default=600.0,
        description="Size and time of every file are read again at least this often, even where "
        "the times of folders spare listing them.",
    )
    duty: Annotated[float, FRACTION] = Field(
        default=0.05,
        description="The most of the time that this re-reading may take; where it does not "
        "suffice, `verify_within` takes longer and status says so.",
    )
    stall_after: Annotated[float, DURATION.at_least(1.0)] = Field(
        default=60.0,
        description="A network mount on which no call has returned for so long is stalled: its "
        "worker is left behind and the others go on.",
    )
    workers: Annotated[int, COUNT.at_least(1)] = Field(
        default=16,
        description="The most requests under way at a time on one network mount; how many there "
        "are follows from how slowly it answers.",
    )
    requests_per_second: Annotated[float, NUMBER] = Field(
        default=0.0,
        description="The most folders looked at and files sampled per second on one network "
        "mount; 0 sets no limit.",
    )
    journal_size: Annotated[int, SIZE.at_least(1)] = Field(
        default=10_000_000, description="Size at which the change list is rotated."
    )
    journal_files: Annotated[int, COUNT.at_least(1)] = Field(
        default=5, description="How many rotated change lists are kept."
    )
    log_file: Annotated[Path | None, PATH.optional()] = Field(
        default=None, description="File to log to besides stderr.", examples=["comfy_inventory.log"]
    )
    log_level: Annotated[LogLevel, LEVEL] = Field(
        default="info", description="The least that is logged: debug, info, warning or error."
    )
    per_root: Annotated[dict[str, RootSettings], ROOT_TABLE] = Field(
        default={},
        description="Settings of single roots, by kind, path or id (kind:path); id overrides "
        "path, path overrides kind.",
        examples=["downloads"],
    )

    @property
    def is_paced(self) -> bool:
        """True if each lane finds its interval itself. A crontab line overrules that."""
        return self.every == AUTO and not self.cron

    @property
    def first_every(self) -> float:
        """Seconds between scans until one has been measured."""
        return FIRST_EVERY if self.every == AUTO else self.every

    def for_root(self, root: Root) -> RootRules:
        """The rules of `root`. Its id overrides its path, its path its kind, its kind the rest."""
        rules = RootRules(self.ignore, self.loss_fraction, self.loss_files)
        for key in (root.kind, root.path, root.id):
            own = self.per_root.get(key)
            if own is not None:
                rules = RootRules(
                    rules.ignore + (own.ignore or ()),
                    rules.loss_fraction if own.loss_fraction is None else own.loss_fraction,
                    rules.loss_files if own.loss_files is None else own.loss_files,
                )
        return rules


def type_of(name: str) -> SettingType[Any]:
    """The type of the setting called `name`. Raises KeyError."""
    metadata = Settings.model_fields[name].metadata
    return next(item for item in metadata if isinstance(item, SettingType))
