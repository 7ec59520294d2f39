"""The search for duplicates in what a state knows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from scanner.commands.duplicates.compare import find_duplicates
from scanner.commands.duplicates.known import load
from scanner.commands.duplicates.sets import Report, choice_of, chosen
from scanner.console.filters import CategoryFilter, RootFilter
from scanner.core.memory import RootRecord
from scanner.disk.mounts import read_mounts
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import base_of, read_header
from scanner.store.metadata import MetadataTable


class Search(NamedTuple):
    """The duplicates that a user asked for, and the scanned roots."""

    report: Report
    roots: tuple[RootRecord, ...]
    base: str | None
    """The folder that paths in the inventory are relative to."""


def search(
    outputs: Outputs,
    cwd: str,
    *,
    paths: Sequence[str],
    roots: Sequence[str],
    categories: Sequence[str],
    least: int,
    only_proven: bool,
    sort: str,
) -> Search:
    """The sets of files of at least `least` bytes that are selected, sorted by one of `SORTS`.

    `paths` may be relative to `cwd`. Raises SettingsError for a path or root that was not scanned,
    InventoryError where there is no state to read.
    """
    wanted_categories = CategoryFilter(categories) if categories else None
    scanned = load(outputs.state, read_mounts())
    header = read_header(outputs.inventory)
    base = base_of(header) if header else None
    within = [os.path.abspath(os.path.join(cwd, path)) for path in paths]
    choice = choice_of(
        scanned.roots,
        paths=within,
        roots=RootFilter(roots, cwd, base) if roots else None,
        categories=wanted_categories,
        only_proven=only_proven,
    )
    with contextlib.closing(MetadataTable(outputs.state, readonly=True)) as metadata:
        report = find_duplicates(
            scanned.snapshot,
            scanned.roots,
            metadata.digests_of,
            least=least,
            within=within,
            skip=scanned.unsettled,
            hashed=metadata.versions,
        )
    return Search(chosen(report, choice, sort), scanned.roots, base)
