"""Events as values: which conditions hold, which have begun or ended, and the message of them.

Pure: the status, statuses of files and lines of the change list go in, JSON comes out.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from scanner.core.memory import HELD, MISSING, OFFLINE, STALLED
from scanner.core.serialize import printable, time_ns
from scanner.core.statuses import BROKEN, UNFINISHED
from scanner.core.wording import count_text, size_text

OFFLINE_AFTER = 600
"""Seconds for which a folder is out of reach before that is an event."""

_AWAY = (OFFLINE, STALLED, MISSING)

_MODELS = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".gguf", ".onnx")

MOST_NAMES = 20
"""Most paths that an event names; `count` counts all."""

_LONGEST = 1900
"""Most characters of `content`: Discord takes 2,000."""

Conditions = dict[str, list[str]]
"""Ids or paths by event, of what is wrong now."""

NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})


def low_disks(
    mounts: Iterable[Mapping[str, Any]], limit: int | float, before: Container[str]
) -> list[str]:
    """The mounts with less free space than `limit`: bytes, or a fraction of the mount.

    One that was low `before` is low until it has a tenth more, so that a download that comes and
    goes is not news each time.
    """

    def least(mount: Mapping[str, Any]) -> float:
        bytes_ = limit * mount["bytes"] if isinstance(limit, float) else limit
        return bytes_ * 1.1 if mount["point"] in before else bytes_

    return sorted(mount["point"] for mount in mounts if mount["free"] < least(mount))


def conditions(
    status: Mapping[str, Any],
    statuses: Mapping[str, str],
    now: int,
    disk_low: int | float = 0,
    before: Mapping[str, Sequence[str]] = NOTHING,
) -> Conditions:
    """What is wrong. `statuses` of files by path; `now` in nanoseconds since 1970; `before` is what
    was wrong at the last look."""

    def is_long(since: object) -> bool:
        return isinstance(since, str) and now - time_ns(since) >= OFFLINE_AFTER * 10**9

    away = [r["path"] for r in status["roots"] if r["state"] in _AWAY and is_long(r["since"])]
    away += [
        place["path"]
        for place in status["unreachable"]
        if place["error"].partition(":")[0] in _AWAY and is_long(place["since"])
    ]
    held = {root["path"] for root in status["roots"] if root["state"] == HELD}
    held |= {hold["id"].partition(":")[2] for hold in status["holds"]}
    return {
        "offline": sorted(set(away)),
        "held": sorted(held),
        "broken": sorted(p for p, s in statuses.items() if s in BROKEN and s != "corrupt"),
        "corrupt": sorted(path for path, s in statuses.items() if s == "corrupt"),
        "disk_low": low_disks(status["mounts"], disk_low, before.get("disk_low", ())),
    }


def differences(old: Mapping[str, Sequence[str]], new: Conditions) -> list[dict[str, Any]]:
    """Events of the conditions that began or ended."""
    events = []
    for name, paths in new.items():
        before = set(old.get(name, ()))
        for places, ended in ((set(paths) - before, False), (before - set(paths), True)):
            if places:
                events.append(event(name, sorted(places), ended=ended))
    return events


def watch(watched: Mapping[str, int], lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Models that have come and may not be whole yet, by path, with the scan of their last change.

    `lines` of the change list follow those that led to `watched`.
    """
    now = dict(watched)
    for line in lines:
        path, kind, scan = line["path"], line["kind"], line["scan"]
        if kind == "moved" and line.get("type") == "directory":
            old = line["from"] + "/"
            for known in [known for known in now if known.startswith(old)]:
                now[f"{path}/{known.removeprefix(old)}"] = now.pop(known)
        if line.get("type") != "file":
            continue
        was_watched = now.pop(path, None) is not None
        source = line.get("from", "")
        was_watched |= now.pop(source, None) is not None
        is_new = kind == "created" or (
            kind == "moved"
            and (
                not _is_model(source)
                or (line["root"].startswith("models:") and not _below_root(source, line))
            )
        )
        if kind != "deleted" and _is_model(path) and (is_new or was_watched):
            now[path] = scan
    return now


def _below_root(source: str, line: Mapping[str, Any]) -> bool:
    """True if a moved file was below the same root before: it has not arrived, it was tidied."""
    root = line["root"].partition(":")[2].replace(os.sep, "/")
    path = line["path"]
    if path.startswith(root + "/"):
        return bool(source.startswith(root + "/"))
    # The path is relative to the base, which the root begins with.
    parts = path.split("/")
    for end in range(len(parts) - 1, 0, -1):
        top = "/".join(parts[:end])
        if root == top or root.endswith("/" + top):
            return bool(source.startswith(top + "/"))
    return False


def has_header(path: str) -> bool:
    """True for a model that is known to be whole only once its header was read."""
    return path.lower().endswith((".safetensors", ".sft", ".gguf"))


def _is_model(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in _MODELS


def arrived(
    watched: Mapping[str, int], statuses: Mapping[str, str], scan: int, *, is_last: bool
) -> list[str]:
    """The watched models that are whole as of `scan`: at rest for a scan, unless it `is_last`."""
    return sorted(
        path
        for path, changed in watched.items()
        if (changed < scan or is_last)
        and statuses.get(path) not in UNFINISHED
        and statuses.get(path) not in BROKEN
    )


def pack_news(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """An event for each change of a node pack."""
    events = []
    for line in lines:
        pack = line.get("pack")
        if isinstance(pack, dict):
            news = event("pack", [line["path"]])
            news["pack"] = pack
            came, gone = "from" not in pack, "to" not in pack
            word = "added" if came else "removed" if gone else "changed"
            before, after = (pack.get(side, {}).get("version", "") for side in ("from", "to"))
            versions = f" ({before} -> {after})" if before and after and before != after else ""
            news["text"] = printable(f"node pack {pack.get('name', '?')} {word}{versions}")
            events.append(news)
    return events


_WORDS = {
    ("offline", False): "out of reach for 10 minutes",
    ("offline", True): "online again",
    ("held", False): "held: deletions there wait, comfy-inventory status says how to accept them",
    ("held", True): "no longer held",
    ("broken", False): "broken",
    ("broken", True): "no longer broken",
    ("corrupt", False): "corrupt: the content is no longer what was read before",
    ("corrupt", True): "no longer corrupt",
    ("arrived", False): "arrived",
    ("disk_low", False): "low on free space",
    ("disk_low", True): "no longer low on free space",
}

_NOUNS = {"offline": "folder", "held": "folder", "arrived": "model", "disk_low": "disk"}


def event(name: str, paths: Sequence[str], *, ended: bool = False) -> dict[str, Any]:
    """An event about `paths`."""
    noun = _NOUNS.get(name, "file")
    subject = paths[0] if len(paths) == 1 else count_text(len(paths), noun)
    return {
        "event": name,
        "ended": ended,
        "count": len(paths),
        "paths": list(paths[:MOST_NAMES]),
        "text": printable(f"{subject} {_WORDS.get((name, ended), name)}"),
    }


def with_space(item: dict[str, Any], mounts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An event of `disk_low` that says how much space each of its `mounts` has."""
    spaces = [
        f"{mount['point']} has {size_text(mount['free'])} free of {size_text(mount['bytes'])}"
        for mount in mounts
        if mount["point"] in item["paths"]
    ]
    return {**item, "text": printable(f"{item['text']}: {', '.join(spaces)}")} if spaces else item


def message(events: Sequence[Mapping[str, Any]], inventory: str, version: str) -> dict[str, Any]:
    """The JSON that is sent: `schemas/event.schema.json` says what it means."""
    text = "\n".join(item["text"] for item in events)
    title = "ComfyUI inventory"
    content = f"{title}: {text}" if len(events) == 1 else f"{title}:\n{text}"
    if len(content) > _LONGEST:
        content = content[:_LONGEST] + " ..."
    return {
        "schema": 1,
        "tool": {"name": "comfy-inventory", "version": version},
        "inventory": inventory,
        "title": title,
        "text": text,
        "content": content,
        "events": list(events),
    }
