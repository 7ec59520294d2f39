"""The metrics as Prometheus reads them, from the status and the header of the inventory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from scanner import __version__
from scanner.core.changes import BASELINE, KINDS
from scanner.core.paths import short_names
from scanner.core.roots import COMPLETE
from scanner.core.serialize import time_ns
from scanner.errors import OutputError
from scanner.output.atomic import VolatileFile

STATES = ("online", "partial", "offline", "stalled", "held", "missing", "absent")

_SIGN = b"comfy_inventory_"

_Samples = list[tuple[dict[str, str], float]]


class Measured(NamedTuple):
    """What metrics are made from. `changes` are counted by kind."""

    status: Mapping[str, Any]
    header: Mapping[str, Any] | None
    changes: Mapping[str, int]


def metrics_text(
    status: Mapping[str, Any], header: Mapping[str, Any] | None, changes: Mapping[str, int]
) -> str:
    """The text. No path is a label: folders are named by the last parts of their paths that tell
    them apart. `changes` are counted by kind."""
    return metrics_of({"": Measured(status, header, changes)})


def metrics_of(machines: Mapping[str, Measured]) -> str:
    """The text about several machines, whose names are labels where they are not empty."""
    blocks: dict[str, tuple[str, str, _Samples]] = {}
    for machine, measured in machines.items():
        for name, help_, type_, samples in _blocks(*measured):
            known = blocks.setdefault(name, (help_, type_, []))[2]
            label = {"machine": machine} if machine else {}
            known += [({**label, **labels}, value) for labels, value in samples]
    return "".join(
        _block(name, help_, samples, type_) for name, (help_, type_, samples) in blocks.items()
    )


def _blocks(
    status: Mapping[str, Any], header: Mapping[str, Any] | None, changes: Mapping[str, int]
) -> Iterator[tuple[str, str, str, _Samples]]:
    """Name, help, type and samples of each metric."""
    roots = status["roots"]
    names = short_names([root["path"] for root in roots])
    labels = {root["id"]: {"root": names[root["path"]], "kind": root["kind"]} for root in roots}
    totals = {root["id"]: root for root in (header or {}).get("roots", ()) if root["id"] in labels}
    lanes = [lane for lane in status["lanes"] if lane["last_scan"]]
    places = short_names([lane["id"].partition(" ")[2] or lane["id"] for lane in lanes])
    lane_labels = [
        ({"lane": places[lane["id"].partition(" ")[2] or lane["id"]]}, lane["last_scan"])
        for lane in lanes
    ]
    blocks: list[tuple[str, str, _Samples]] = [
        ("build_info", "Version of the program.", [({"version": __version__}, 1)]),
        (
            "root_up",
            "1 if a folder could be read in the last scan.",
            [(labels[root["id"]], root["state"] in COMPLETE) for root in roots],
        ),
        (
            "root_state",
            "1 for the state that a folder is in.",
            [
                ({**labels[root["id"]], "state": state}, root["state"] == state)
                for root in roots
                for state in STATES
            ],
        ),
        (
            "root_files",
            "Files of a folder in the inventory.",
            [(labels[id_], root["files"]) for id_, root in totals.items() if "files" in root],
        ),
        (
            "root_bytes",
            "Bytes of a folder in the inventory, each file once.",
            [(labels[id_], root["bytes"]) for id_, root in totals.items() if "bytes" in root],
        ),
        (
            "problem_files",
            "Files with a problem.",
            [
                ({"status": word}, status[word])
                for word in ("broken", "misplaced", "unfinished", "shadowed")
                if word in status
            ],
        ),
        ("scan_seconds", "Duration of the last scan.", [(n, s["seconds"]) for n, s in lane_labels]),
        (
            "last_scan_timestamp_seconds",
            "Start of the last scan.",
            [(name, time_ns(scan["started"]) / 1e9) for name, scan in lane_labels],
        ),
        (
            "held_files",
            "Deletions that are held back.",
            [({}, sum(hold["files"] for hold in status["holds"]))],
        ),
        ("backlog_files", "Files without a fingerprint.", [({}, status["backlog"]["files"])]),
        *_space(status),
    ]
    for name, help_, samples in blocks:
        yield name, help_, "gauge", samples
    yield (
        "changes_total",
        "Changes since the metrics of this inventory began.",
        "counter",
        [({"kind": kind}, changes.get(kind, 0)) for kind in KINDS if kind != BASELINE],
    )


def _space(status: Mapping[str, Any]) -> Iterable[tuple[str, str, _Samples]]:
    """What files take, and what is left for them."""
    totals = status["totals"]
    categories = totals.get("categories", {}).items()
    names = short_names([mount["point"] for mount in status["mounts"]])
    mounts = [({"mount": names[mount["point"]]}, mount) for mount in status["mounts"]]
    yield (
        "category_bytes",
        "Bytes of a category of models, each file once; other is what has none.",
        [({"category": category or "other"}, sums["bytes"]) for category, sums in categories],
    )
    copies = totals.get("likely_copies")
    yield (
        "duplicate_bytes",
        "Bytes that likely copies of models take.",
        [({}, copies["bytes"])] if copies else [],
    )
    yield (
        "mount_free_bytes",
        "Free space of a disk for this user.",
        [(label, mount["free"]) for label, mount in mounts],
    )
    yield (
        "mount_size_bytes",
        "Size of a disk.",
        [(label, mount["bytes"]) for label, mount in mounts],
    )


def _block(name: str, help_: str, samples: _Samples, type_: str) -> str:
    if not samples:
        return ""
    full = f"comfy_inventory_{name}"
    lines = [f"# HELP {full} {help_}", f"# TYPE {full} {type_}"]
    for labels, value in samples:
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{full}{{{inner}}} {value:.17g}" if inner else f"{full} {value:.17g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def write_metrics(
    path: str,
    status: Mapping[str, Any],
    header: Mapping[str, Any] | None,
    changes: Mapping[str, int],
) -> None:
    """Replace the file at `path`. Raises OutputError, also if another program wrote it."""
    try:
        with open(path, "rb") as file:
            start = file.read(200)
    except FileNotFoundError:
        start = b""
    except OSError as error:
        raise OutputError(f"metrics_file: {path} cannot be read: {error.strerror}.") from error
    if start and _SIGN not in start:
        raise OutputError(f"metrics_file: {path} is a file of another program; it stays as it is.")
    with VolatileFile(path) as file:
        file.write(metrics_text(status, header, changes).encode("utf-8", "replace"))
