"""Every setting once: name, type, default and description.

Annotations are evaluated where they stand, since each is read at every start: as texts they would
have to be compiled first.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from scanner.core.roots import MAX_PATHS, Root
from scanner.settings.fields import About, declared, parse_all
from scanner.settings.root_settings import ROOT_TABLE, RootRules, RootSettings
from scanner.settings.types import (
    ALGORITHMS,
    AMOUNT,
    COMMAND,
    COUNT,
    CRON,
    DIGITS,
    DURATION,
    EVERY,
    FLAG,
    FRACTION,
    HOST,
    LEVEL,
    NUMBER,
    PATH,
    PATHS,
    PATTERNS,
    PLACE,
    PROFILE,
    PROM,
    RATE,
    SIZE,
    SPLIT,
    URL,
    SettingType,
)
from scanner.settings.values import AUTO, NOT_SPLIT, LogLevel, MtimeDigits, SplitBy

FIRST_EVERY = 30.0
"""Seconds between scans where none are given, or none are measured yet."""


@dataclass(frozen=True, init=False, repr=False, eq=False)
class FolderSettings:
    """Which folders are scanned, and where the inventory is written."""

    comfy_root: Annotated[
        Path | None,
        PATH.optional(),
        About(
            "ComfyUI's folder; without it ./ComfyUI, the current folder, or comfy-cli's workspace.",
            "./ComfyUI",
        ),
    ] = None
    models: Annotated[
        tuple[Path, ...],
        PATHS,
        About("Models folders without ComfyUI, as on a NAS. Their folders are categories."),
    ] = ()
    downloads: Annotated[
        tuple[Path, ...], PATHS, About("Folders that models are downloaded to.")
    ] = ()
    workflows: Annotated[
        tuple[Path, ...], PATHS, About("Folders of workflows besides ComfyUI's own.")
    ] = ()
    extra: Annotated[tuple[Path, ...], PATHS, About("Other folders to scan.")] = ()
    extra_model_paths_config: Annotated[
        tuple[Path, ...],
        PATHS,
        About(
            "Files to read besides the extra_model_paths.yaml next to ComfyUI's main.py "
            "(ComfyUI's option of the same name)."
        ),
    ] = ()
    base_directory: Annotated[
        Path | None,
        PATH.optional(),
        About(
            "Folder that holds models, custom_nodes, input, output and user where it is not "
            "ComfyUI's own (ComfyUI's option of the same name).",
            "/data/comfy",
        ),
    ] = None
    output_directory: Annotated[
        Path | None,
        PATH.optional(),
        About(
            "ComfyUI's output folder where it lies elsewhere (ComfyUI's option of the same name).",
            "/data/comfy/output",
        ),
    ] = None
    input_directory: Annotated[
        Path | None,
        PATH.optional(),
        About(
            "ComfyUI's input folder where it lies elsewhere (ComfyUI's option of the same name).",
            "/data/comfy/input",
        ),
    ] = None
    user_directory: Annotated[
        Path | None,
        PATH.optional(),
        About(
            "ComfyUI's folder of saved workflows and settings where it lies elsewhere (ComfyUI's "
            "option of the same name). Only workflows and subgraphs in it are scanned.",
            "/data/comfy/user",
        ),
    ] = None
    output: Annotated[
        Path,
        PATH,
        About("Path of the inventory. Change list, status and lock are written beside it."),
    ] = Path("comfy_inventory.json")
    split_by: Annotated[
        SplitBy,
        SPLIT,
        About(
            "Write the inventory as several files, one for each root or for each category of each "
            "root: root, category, or none for one file. The file at `output` then lists them. For "
            "millions of entries: only the files that changed are written."
        ),
    ] = NOT_SPLIT
    profile: Annotated[
        str | None,
        PROFILE.optional(),
        About("Ready-made settings to start from: local, nas or wsl.", "nas"),
    ] = None


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ScanSettings(FolderSettings):
    """When a scan runs, which names belong to it, and what counts as a move or as a loss."""

    every: Annotated[
        float | Literal["auto"],
        EVERY,
        About(
            "Time from the start of one scan to the start of the next, at least 1s. With auto "
            "each mount is scanned as often as `auto_duty` allows, from every 5s to every hour."
        ),
    ] = FIRST_EVERY
    auto_duty: Annotated[
        float,
        FRACTION,
        About(
            "The largest share of the time that scans may take: where `every` is auto, and for "
            "the interval that doctor and tune recommend. At most half of it goes to "
            "re-verification (see `verify_within`)."
        ),
    ] = 0.02
    cron: Annotated[
        str,
        CRON,
        About(
            "When to scan, as five crontab fields in local time. If it is empty, `every` counts."
        ),
    ] = ""
    ignore: Annotated[
        tuple[str, ...],
        PATTERNS,
        About("Gitignore patterns of names to leave out, added to the default ones."),
    ] = ()
    default_ignore: Annotated[
        bool,
        FLAG,
        About(
            "Ignore files created by operating systems and tools: .DS_Store, .git, __pycache__, "
            "@eaDir and the like."
        ),
    ] = True
    follow_links: Annotated[bool, FLAG, About("Enter linked folders, as ComfyUI does.")] = True
    max_paths: Annotated[
        int,
        COUNT.at_least(1),
        About(
            "The most paths to one folder that are entered, links and all. Further links to it "
            "are listed as links, and named under `unreachable`."
        ),
    ] = MAX_PATHS
    mtime_digits: Annotated[
        MtimeDigits,
        DIGITS,
        About(
            "Which digits of mtimes count: all, whole seconds, or auto: those below a second where "
            "two stats of a file show the same ones. Some servers make them up at each stat."
        ),
    ] = "auto"
    move_window: Annotated[
        float,
        DURATION,
        About(
            "How long after a file arrived or went its other half still makes it a move. A move "
            "to a NAS is a copy of minutes and then a deletion."
        ),
    ] = 900.0
    hold_wait: Annotated[
        float,
        DURATION,
        About(
            "How long a one-shot `scan` waits before it looks again at deletions that look like a"
            " lost mount; 0 leaves them held."
        ),
    ] = 30.0
    loss_fraction: Annotated[
        float,
        FRACTION,
        About(
            "A root that loses more than this fraction of its files in one scan is held "
            "as a possibly lost mount."
        ),
    ] = 0.5
    loss_files: Annotated[
        int, COUNT, About("Roots with fewer files than this are not held by `loss_fraction`.")
    ] = 20
    unsettled_every: Annotated[
        float, DURATION, About("How often a file that keeps growing is reported as modified.")
    ] = 600.0


@dataclass(frozen=True, init=False, repr=False, eq=False)
class NotifySettings(ScanSettings):
    """Where news and metrics go."""

    on_event: Annotated[
        tuple[str, ...],
        COMMAND,
        About(
            "A command that gets news as JSON on its stdin: a list, or a text that is split as a "
            "shell does it. No shell runs it. See docs/monitoring.md.",
            ["notify-send", "comfy-inventory"],
        ),
    ] = ()
    webhook: Annotated[
        str | None,
        URL.optional(),
        About("An http or https address that news are posted to as JSON.", "https://example.org/x"),
    ] = None
    notify_every: Annotated[
        float,
        DURATION,
        About(
            "The least time between two messages to one place. News after a longer quiet are sent "
            "after ten seconds."
        ),
    ] = 900.0
    disk_low: Annotated[
        int | float,
        AMOUNT,
        About(
            "Free space of a disk below which `disk_low` is news: a size such as 50GB, or a "
            "percentage of the disk. 0 is never."
        ),
    ] = 0.05
    healthcheck: Annotated[
        str | None,
        URL.optional(),
        About(
            "An address to ping at the start and after scans, as healthchecks.io has it: /start, "
            "then /0, or /3 if a root is out of reach.",
            "https://hc-ping.com/your-uuid",
        ),
    ] = None
    metrics_file: Annotated[
        Path | None,
        PROM.optional(),
        About(
            "File for the metrics of Prometheus, in the folder that node_exporter's textfile "
            "collector reads. Its name ends in .prom.",
            "/var/lib/node_exporter/comfy_inventory.prom",
        ),
    ] = None


@dataclass(frozen=True, init=False, repr=False, eq=False)
class FleetSettings(NotifySettings):
    """Where this machine's inventory is published, for questions to many machines."""

    publish: Annotated[
        str | None,
        PLACE.optional(),
        About(
            "A place that all machines publish their inventories to: a folder, a bucket or a "
            "database. `comfy-inventory fleet` asks it. See docs/fleet.md.",
            "file:///share/inventory",
        ),
    ] = None
    publish_as: Annotated[
        str | None,
        HOST.optional(),
        About("The name to publish under; without it the name of this machine.", "render-07"),
    ] = None
    publish_every: Annotated[
        float,
        DURATION.at_least(1.0),
        About("The least time between two publications. Nothing is published without news."),
    ] = 300.0


@dataclass(frozen=True)
class Settings(FleetSettings):
    """All settings, checked. Durations are in seconds, sizes in bytes; `load` reads them.

    Raises WrongValueError.
    """

    annotations_every: Annotated[
        float,
        DURATION,
        About(
            "How often the inventory is written for new fingerprints alone, without any change; "
            "and how often the history follows it."
        ),
    ] = 600.0
    backlog_time: Annotated[
        float,
        DURATION,
        About("How long a one-shot `scan` takes missing fingerprints; 0 takes none."),
    ] = 60.0
    facts: Annotated[
        bool,
        FLAG,
        About(
            "Read the headers of model files, to know what they are and if they are complete, and "
            "what workflows and outputs name. Nothing else of them is read."
        ),
    ] = True
    hash: Annotated[
        tuple[str, ...],
        ALGORITHMS,
        About(
            "Hashes of the whole content of models, taken in one reading between scans: a list of"
            ' xxh3, sha256 and blake3, or "off". `comfy-inventory hash` takes them once. blake3'
            " needs `pip install 'comfy-inventory[blake3]'`.",
            ["xxh3", "sha256"],
        ),
    ] = ()
    hash_rate: Annotated[
        int,
        RATE,
        About("Limit for this reading on each mount, such as 50MB/s; 0 sets no limit.", "50MB/s"),
    ] = 0
    verify_within: Annotated[
        float,
        DURATION.at_least(1.0),
        About(
            "Size and mtime of every file are read again at least this often, even where "
            "directory mtimes spare listing."
        ),
    ] = 600.0
    duty: Annotated[
        float,
        FRACTION,
        About(
            "The largest share of the time that this re-verification may take. Where it is too "
            "little, `verify_within` takes longer, and status says so."
        ),
    ] = 0.05
    stall_after: Annotated[
        float,
        DURATION.at_least(1.0),
        About(
            "A network mount is stalled if no call on it has returned for this long. Its worker "
            "is abandoned and other mounts go on."
        ),
    ] = 60.0
    workers: Annotated[
        int,
        COUNT.at_least(1),
        About(
            "The most requests at a time on one network mount. How many are used depends on how "
            "slowly it answers. With 1, no further process helps with a long walk of local disks."
        ),
    ] = 16
    requests_per_second: Annotated[
        float,
        NUMBER,
        About(
            "The most folders and file samples read per second on one network mount; 0 sets no "
            "limit."
        ),
    ] = 0.0
    journal_size: Annotated[
        int, SIZE.at_least(1), About("Size at which the change list is rotated.")
    ] = 10_000_000
    journal_files: Annotated[
        int, COUNT.at_least(1), About("How many rotated change lists are kept.")
    ] = 5
    log_file: Annotated[
        Path | None, PATH.optional(), About("File to log to besides stderr.", "comfy_inventory.log")
    ] = None
    log_level: Annotated[
        LogLevel, LEVEL, About("The least to log: debug, info, warning or error.")
    ] = "info"
    per_root: Annotated[
        dict[str, RootSettings],
        ROOT_TABLE,
        About(
            "Settings of single roots, by kind, path or id (kind:path); id overrides "
            "path, path overrides kind.",
            "downloads",
        ),
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parse_all(self, TYPES)

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


_DECLARED = declared(Settings)

TYPES: dict[str, SettingType[Any]] = {name: kind for name, (kind, _) in _DECLARED.items()}
"""The type of each setting."""

TEXTS = {name: about for name, (_, about) in _DECLARED.items()}
