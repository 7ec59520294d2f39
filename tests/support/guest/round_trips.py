"""Count what scans ask of the kernel's NFS and SMB clients. Runs inside the guest.

python -m tests.support.guest.round_trips REPORT CLIENT...
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.network import build_tree
from benchmarks.round_trips import Step, as_json, steps_on
from tests.support.guest.clients import Nfs, Smb
from tests.support.guest.servers import DISK, POINT

FILES = 600
CACHE_SECONDS = 10
"""Life of the client's caches here: longer than a scan of the emulated processor takes."""

KEPT = f"actimeo={CACHE_SECONDS}"
KINDS: dict[str, Callable[[], Nfs | Smb]] = {
    "NFS 4.2": lambda: Nfs("4.2", caches=KEPT),
    "NFS 4.2, noac": lambda: Nfs("4.2", caches="noac"),
    "NFS 3": lambda: Nfs("3", caches=KEPT),
    "SMB": lambda: Smb(KEPT),
    "SMB, actimeo=0": lambda: Smb("actimeo=0"),
}

UNCACHED = ("NFS 4.2, noac", "SMB, actimeo=0")
"""Those that keep no attributes."""


def nfs_requests() -> Counter[str]:
    """The calls of each kind that the mount has sent, as the client counts them."""
    text = Path("/proc/self/mountstats").read_text()
    ours = next(part for part in text.split("device ") if f"mounted on {POINT} " in part)
    counts = re.findall(r"^\s+([A-Z_]+): (\d+) \d+", ours.partition("per-op")[2], re.MULTILINE)
    return Counter({kind: int(count) for kind, count in counts})


def smb_requests() -> Counter[str]:
    """The same of SMB. The client sends an open, a question and a close together, and counts
    each; the questions are the round trips."""
    text = Path("/proc/fs/cifs/Stats").read_text()
    counts = re.findall(r"^(QueryInfos|QueryDirectories): (\d+) total", text, re.MULTILINE)
    return Counter({kind: int(count) for kind, count in counts})


def count(name: str) -> list[Step]:
    """The steps on one client, mounted and unmounted here."""
    client = KINDS[name]()
    client.start()
    build_tree(DISK / "models", FILES)
    steps = steps_on(
        name,
        POINT / "models",
        nfs_requests if isinstance(client, Nfs) else smb_requests,
        cache_seconds=CACHE_SECONDS + 1 if client.caches == KEPT else 1,
        has_find=False,
    )
    found = list(steps)
    client.close()
    return found


def main(arguments: list[str]) -> None:
    report, *names = arguments
    steps: list[Step] = []
    for name in names:
        steps += count(name)
        Path(report).write_text(json.dumps(as_json(steps), indent=1))
        print(json.dumps(as_json(steps[-4:])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
