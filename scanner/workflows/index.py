"""The models of an inventory, by the words that workflows have for them. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from scanner.core.serialize import raw_text
from scanner.core.statuses import BROKEN, UNFINISHED
from scanner.workflows.loaders import ENDINGS
from scanner.workflows.variants import Variant, variant_of

ONLINE = frozenset(("online", "partial"))
"""States of roots whose entries are there."""

AWAY, PARTIAL, INCOMPLETE = "away", "partial", "incomplete"

_FINAL = re.compile(
    rf"\.?(.+?(?:{'|'.join(map(re.escape, sorted(ENDINGS, key=len, reverse=True)))}))(?:\..+)?",
    re.IGNORECASE | re.DOTALL,
)
"""The name that an unfinished download will have, before what marks it as unfinished."""

_WINDOWS = re.compile(r"(?:[A-Za-z]:|//[^/]+)/")

_INSTALLATION = ("custom_nodes", "input", "output")
"""Kinds of roots that lie beside ComfyUI's own models."""


class Folder(NamedTuple):
    """A root of the inventory."""

    id: str
    kind: str
    path: str
    category: str
    state: str
    since: str
    is_searched: bool
    """True if ComfyUI searches its categories."""


class Place(NamedTuple):
    """A file, or a folder of the category `diffusers`, that may be a model."""

    path: str
    path_b64: str | None
    category: str
    """Empty where ComfyUI has no name for the models there."""
    name: str
    """The path below the folder of its category, with `/`; the whole path without a category."""
    folder: Folder
    status: str = ""
    problem: str = ""
    sha256: str | None = None
    is_shadowed: bool = False
    part_of: str | None = None
    misplaced: str = ""
    """The kind of the model by its header, where ComfyUI cannot load that kind from its folder."""

    @property
    def file_name(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def is_searched(self) -> bool:
        """True if ComfyUI's loaders list it, if it is there."""
        return bool(self.category) and self.folder.is_searched


class Index:
    """The models of one inventory, by name, file name, content and precision."""

    def __init__(self, header: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> None:
        """`header` and `entries` as an inventory has them. Raises KeyError, TypeError, ValueError
        or AttributeError where they are damaged."""
        self.folders = _folders(header["roots"])
        self.is_windows = _is_windows(header)
        self.unreachable = [
            (f"{each['path'].rstrip('/')}/", each["error"], each.get("since", ""))
            for each in header.get("unreachable", ())
        ]
        self.named: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
        """By category and name."""
        self.by_file: defaultdict[str, list[Place]] = defaultdict(list)
        """By file name without regard to capitals."""
        self.by_sha256: defaultdict[str, list[Place]] = defaultdict(list)
        self.by_model: defaultdict[str, list[tuple[Variant, Place]]] = defaultdict(list)
        """By name without precision."""
        self.unfinished: defaultdict[str, list[Place]] = defaultdict(list)
        """Unfinished downloads, by the file name that they will have in small letters."""
        self._incomplete: dict[str, str] = {}
        """What is missing of models in several files, by the path of the entry that says so."""
        for entry in entries:
            self._add(entry)

    def _add(self, entry: Mapping[str, Any]) -> None:
        place = self._place(entry)
        if place is None:
            return
        if place.status == INCOMPLETE:
            self._incomplete[place.path] = place.problem
        is_final = place.file_name.lower().endswith(ENDINGS)
        if place.status == PARTIAL and not is_final:
            if found := _FINAL.fullmatch(place.file_name):
                self.unfinished[found[1].lower()].append(place)
            return
        if place.category:
            self.named[place.category, place.name].append(place)
        self.by_file[place.file_name.lower()].append(place)
        if place.sha256:
            self.by_sha256[place.sha256].append(place)
        variant = variant_of(place.file_name)
        if variant.model and is_final:
            self.by_model[variant.model].append((variant, place))

    def _place(self, entry: Mapping[str, Any]) -> Place | None:
        status = entry.get("status", "")
        path: str = entry["path"]
        if "name" not in entry:
            is_folder = entry["type"] == "directory" or entry.get("leads_to") == "directory"
            is_model = status == PARTIAL or path.lower().endswith(ENDINGS)
            if is_folder or not is_model or "sidecar_of" in entry:
                return None
        folder = self.folders[entry["root"]]
        category = entry.get("category", "")
        return Place(
            path,
            entry.get("path_b64"),
            category,
            raw_text(entry, "name") if "name" in entry else _below(path, folder, category),
            folder,
            status,
            entry.get("problem", ""),
            entry.get("sha256"),
            "shadowed_by" in entry,
            entry.get("part_of"),
            entry["misplaced"]["kind"] if "misplaced" in entry else "",
        )

    def fault(self, place: Place) -> str:
        """What is wrong with the content of `place`; empty if nothing is known to be."""
        if place.status in (*BROKEN, *UNFINISHED):
            return (
                f"{place.status}: {place.problem.rstrip('.')}"
                if place.problem
                else _FAULTS[place.status]
            )
        if place.part_of in self._incomplete:
            return f"incomplete: {self._incomplete[place.part_of].rstrip('.')}"
        return ""

    def absence(self, place: Place, shown: Callable[[str], str]) -> str:
        """Why `place` is out of reach now; empty if it is there. `shown` formats a time."""
        folder = place.folder
        if folder.state not in ONLINE:
            since = f" since {shown(folder.since)}" if folder.since else ""
            return f"on {folder.path}, {folder.state}{since}"
        for below, error, begun in self.unreachable:
            if f"{place.path}/".startswith(below):
                since = f" since {shown(begun)}" if begun else ""
                return f"in {below.rstrip('/')}, unreachable{since} ({error})"
        if place.status == AWAY:
            return "a link to a file that is away"
        return ""

    def listed(self, place: Place) -> str:
        """The name of `place` as ComfyUI's loaders list it."""
        return place.name.replace("/", "\\") if self.is_windows else place.name


_FAULTS = {
    "unsettled": "still being written",
    "partial": "an unfinished download",
    "incomplete": "a part of it is missing",
    **{word: word for word in BROKEN},
}


def _folders(roots: Iterable[Mapping[str, Any]]) -> dict[str, Folder]:
    roots = list(roots)
    beside = {
        each["path"].rpartition("/")[0] for each in roots if each["kind"] in _INSTALLATION
    }  # fmt: skip
    own = [each["path"] for each in roots if _is_plain(each)]
    known = {path for path in own if path.rpartition("/")[0] in beside}
    return {
        each["id"]: Folder(
            each["id"],
            each["kind"],
            each["path"],
            each.get("category", ""),
            each["state"],
            each.get("since", ""),
            # A models folder that only the settings name is unknown to ComfyUI, if there is one.
            not _is_plain(each) or not known or each["path"] in known,
        )
        for each in roots
    }


def _is_plain(root: Mapping[str, Any]) -> bool:
    return root["kind"] == "models" and not root.get("category") and not root.get("named_by")


def _is_windows(header: Mapping[str, Any]) -> bool:
    paths = [header.get("base", ""), *(root["path"] for root in header["roots"])]
    return any(_WINDOWS.match(path) for path in paths)


def _below(path: str, folder: Folder, category: str) -> str:
    """The part of a path that begins below the folder of its category."""
    top = folder.path.rstrip("/") + "/"
    if not category or not path.startswith(top):
        return path
    below = path[len(top) :]
    return below if folder.category else below.partition("/")[2] or below
