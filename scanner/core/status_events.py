"""What has happened between two statuses, as events for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Event = dict[str, Any]


def root_events(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Event]:
    """An event for each root whose state is another one in the status `after`."""
    known = {root["id"]: (root["state"], root.get("reason")) for root in before.get("roots", ())}
    for root in after["roots"]:
        if known.get(root["id"]) != (root["state"], root.get("reason")):
            yield {"event": "root", **root}


def scan_events(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Event]:
    """An event for each lane that has ended a scan between two statuses."""
    known = {lane["id"]: lane["last_scan"] for lane in before.get("lanes", ())}
    for lane in after["lanes"]:
        if lane["last_scan"] and lane["last_scan"] != known.get(lane["id"]):
            yield {"event": "scan", "lane": lane["id"], **lane["last_scan"]}
