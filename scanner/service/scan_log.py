"""Log lines about one scan."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from scanner.core.change_lines import change_lines, counts_text
from scanner.core.memory import ABSENT, NOT_MADE_YET, ONLINE, Memory
from scanner.core.serialize import printable
from scanner.core.statuses import counts_shown
from scanner.core.wording import accept_command, accept_hint, count_text, size_text
from scanner.scan import ScanResult

log = logging.getLogger(__name__)

States = Mapping[str, tuple[str, str]]
"""State and reason, by id of zone."""


def states_of(memory: Memory) -> States:
    """State and reason of each zone as of the last scan."""
    return {id_: (record.state, record.reason) for id_, record in memory.roots.items()}


def log_scan(
    result: ScanResult, before: States, after: States, base: str | None, inventory: str
) -> None:
    """Log the changes that a scan found, the effects of `accept`, and the zones whose state has
    changed. `inventory` is the path of the file."""
    for line in change_lines(result.changes, base):
        log.info("%s", line)
    for answer in result.answers:
        log.info("accept: %s", printable(answer))
    absent = []
    for zone_id, (state, reason) in after.items():
        if reason == NOT_MADE_YET:
            continue  # as in every new installation
        if state == ABSENT:
            absent += [zone_id] if before.get(zone_id) != (state, reason) else []
        elif before.get(zone_id) != (state, reason) and zone_id in result.zones:
            path = zone_id.partition(":")[2]
            hint = accept_hint(state, accept_command(path, inventory))
            _log_state(zone_id, state, reason, hint, is_known=zone_id in before)
    if absent:
        first = absent[0].partition(":")[2]
        others = f" and {count_text(len(absent) - 1, 'more folder')}" if absent[1:] else ""
        log.info("%s%s: named in a file and never there (see `roots`).", first, others)
    log.debug(
        "scan %d: %s in %s, %s, %.2f s",
        result.scan,
        count_text(result.files, "file"),
        count_text(result.directories, "folder"),
        counts_text(result.changes),
        result.seconds,
    )


def first_scan_text(
    walks: Iterable[ScanResult],
    folders: int,
    counts: Mapping[str, int],
    unfinished: int,
    left: int = 0,
) -> str:
    """What the first scans of all lanes have learned: `First scan: 1,683 files, 412.0 GB in 8
    folders; 4 broken, 2 unfinished (comfy-inventory find --status any)`.

    `folders` counts the roots, `counts` the entries of each status, `left` the files that wait to
    be read: more of them may turn out to be broken.
    """
    results = list(walks)
    files = count_text(sum(result.files for result in results), "file")
    size = size_text(sum(result.bytes for result in results))
    text = f"First scan: {files}, {size} in {count_text(folders, 'folder')}"
    special = {**counts_shown(counts), "unfinished": unfinished}
    if found := [f"{number:,} {word}" for word, number in special.items() if number]:
        text += f"; {', '.join(found)} (comfy-inventory find --status any)"
    return text + (f"; {count_text(left, 'file')} still to be read" if left else "")


def _log_state(zone_id: str, state: str, reason: str, hint: str, *, is_known: bool) -> None:
    if state == ONLINE:
        if is_known:
            log.info("%s is online again.", zone_id)
    elif state == "missing":
        log.warning("%s is not there (%s): waiting for it.", zone_id, reason)
    else:
        log.warning(
            "%s is %s (%s): its entries are kept.%s",
            zone_id,
            state,
            reason,
            hint and f" {hint}",
        )
