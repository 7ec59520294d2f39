"""The machine that measured, in words that name neither it nor its people."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from typing import Any


def machine(folder: str) -> dict[str, Any]:
    """Processor, memory, system, and the type of the file system that holds `folder`."""
    import psutil

    from scanner.disk.mounts import mount_of, read_mounts

    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.system(),
        "kernel": platform.release(),
        "filesystem": mount_of(os.path.realpath(folder), read_mounts()).type,
        "python": platform.python_version(),
    }


def _cpu() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
