"""At most so many links lead to one folder on another mount (rule 11). Pure.

Each such link is a zone of its own. Two mounts that link to each other, twice on each level, would
give twice as many zones with every scan.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace

from scanner.core.paths import nearest_above
from scanner.walk.linked import surplus_text
from scanner.walk.zone_scan import Collected


def without_surplus_links(collected: Collected, most: int) -> Collected:
    """`collected`; of the links to one folder on another mount, the first `most` by path are
    entered. The others that were met are closed, and so are the zones behind them."""
    targets = _links(collected)
    if len(targets) <= most:
        return collected
    by_target: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(targets, key=lambda path: path.split(os.sep)):
        by_target[targets[path]].append(path)
    foreign = {path for _, walked in collected.walks for path in walked.foreign}
    told: dict[str, str] = {}
    closed: set[str] = set()
    for paths in by_target.values():
        surplus = [path for path in paths[most:] if path in foreign]
        if surplus:
            told[surplus[0]] = surplus_text(len(surplus), most)
            closed.update(surplus)
    scans = {}
    for zone, scan in collected.scans.items():
        if nearest_above(zone.path, closed) is not None:
            continue
        scans[zone] = scan
        walked = scan.walked
        if walked is not None and not closed.isdisjoint(walked.foreign):
            own = closed & walked.foreign.keys()
            walked = replace(
                walked,
                foreign={path: to for path, to in walked.foreign.items() if path not in own},
                closed=walked.closed | own,
                surplus=walked.surplus | {path: told[path] for path in own & told.keys()},
            )
            scans[zone] = replace(scan, walked=walked)
    return replace(collected, scans=scans)


def _links(collected: Collected) -> dict[str, str]:
    """The links to folders on other mounts and their targets: those that were met, and known ones
    in folders that were not listed now."""
    zones = collected.zones
    listed: set[str] = set()
    links: dict[str, str] = {}
    if any(zones.is_link(path) for path in zones.targets):
        listed = {path for _, walked in collected.walks for path in walked.listed}
        links = {
            path: target
            for path, target in zones.targets.items()
            if zones.is_link(path) and os.path.dirname(path) not in listed
        }
    for _, walked in collected.walks:
        links.update(walked.foreign)
    return links
