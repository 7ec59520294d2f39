"""Reading what a file names, of any kind that may hold a workflow."""

from __future__ import annotations

from scanner.disk.filesystem import FileSystem
from scanner.workers.requests import UsesFound
from scanner.workflows.traces import as_text, read_traces


def read_uses(files: FileSystem, path: str) -> UsesFound | None:
    """What the file at `path` names; None if it changed while it was read. Raises OSError."""
    before = files.stat(path)
    with files.open(path) as file:
        traces = read_traces(file, before.size)
    after = files.stat(path)
    if (after.size, after.mtime) != (before.size, before.mtime):
        return None
    return UsesFound(before.size, before.mtime, as_text(traces))
