"""What the server has commands do: metrics, scripts, workflows, acceptance."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from scanner.commands.accept.ask import accept_places
from scanner.commands.accept.page import as_json as answers_as_json
from scanner.commands.duplicates.keep import Keep, kept_first, parse_keep, plan_of
from scanner.commands.duplicates.search import search
from scanner.commands.scripts import powershell, shell
from scanner.commands.unused.known import load
from scanner.commands.unused.page import as_json as unused_as_json
from scanner.commands.unused.search import search as search_unused
from scanner.commands.workflow.check import check
from scanner.commands.workflow.page import as_json as workflow_as_json
from scanner.commands.workflow.read_files import Read
from scanner.console.filters import CategoryFilter
from scanner.console.steps import _one_of
from scanner.core.times import time_shown, zone_of
from scanner.errors import InventoryError
from scanner.notify.ledger import read_counts
from scanner.notify.metrics import Measured, metrics_of
from scanner.output.inventory_reader import OpenInventory, damage_reported, read_header
from scanner.output.status_file import damage_reported as status_damage_reported
from scanner.output.status_file import read_status
from scanner.views.status_facts import printed
from scanner.web.sources import Services, Source
from scanner.workflows.index import Index
from scanner.workflows.media.read import read_workflow
from scanner.workflows.uses import WorkflowError

_FOLDER = "/"
"""What paths in requests are relative to: none of ours."""

_SCRIPTS = {"sh": (shell, "copies.sh"), "powershell": (powershell, "copies.ps1")}


def services() -> Services:
    """All of them."""
    return Services(metrics, script, _Workflows().check, accept, unused)


def metrics(sources: Sequence[Source]) -> str:
    """The text of the command `metrics`, about each inventory that has a status."""
    found = {}
    for source in sources:
        status = read_status(source.outputs.status)
        if status is not None:
            header = read_header(source.outputs.inventory)
            counts = read_counts(source.outputs.notify)
            found[source.name if len(sources) > 1 else ""] = Measured(status, header, counts)
    if not found:
        raise InventoryError("No scan has written a status yet.")
    with status_damage_reported(sources[0].outputs.status):
        return metrics_of(found)


def script(source: Source, wanted: Mapping[str, str]) -> tuple[str, bytes]:
    """What `duplicates --script` prints: the name of a file and its content."""
    if not source.is_here:
        raise InventoryError(
            "The state of this inventory is on another machine: run comfy-inventory duplicates "
            "--script there."
        )
    language, name = _SCRIPTS[
        _one_of("shell", wanted.get("shell", _native_shell()), tuple(_SCRIPTS))
    ]
    action = _one_of("step", wanted.get("step", "link"), language.ACTIONS)
    rule = parse_keep(wanted["keep"], _FOLDER) if wanted.get("keep") else Keep()
    found = search(
        source.outputs,
        _FOLDER,
        paths=(),
        roots=(),
        categories=(),
        least=1,
        only_proven=False,
        sort="wasted",
    )
    plan = plan_of(kept_first(found.report, rule, found.roots).sets, action, rule)
    if language is powershell:
        return name, powershell.powershell_script(plan)
    return name, shell.shell_script(plan)


def _native_shell() -> str:
    return "powershell" if sys.platform == "win32" else "sh"


def accept(source: Source, place: str, patience: float) -> list[dict[str, Any]]:
    """What `accept PLACE` answers within some seconds."""
    answers = accept_places(source.outputs, [place], _FOLDER, patience)
    accepted: list[dict[str, Any]] = answers_as_json(answers)["accepted"]
    return accepted


def unused(source: Source, most: int) -> dict[str, Any]:
    """What `unused --json --limit MOST` prints. Raises InventoryError without the state."""
    known = load(source.outputs)
    report = search_unused(known, CategoryFilter(()), 1)
    answer: dict[str, Any] = printed(unused_as_json(report, known, most))
    return answer


class _Workflows:
    """Checks workflows, one at a time: an index is made from the whole inventory. The last one is
    kept, since people drop one file after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[Any, ...] = ()
        self._index: Index | None = None

    def check(self, source: Source, body: bytes, name: str) -> dict[str, Any]:
        """What `workflow check --json` says of one file."""
        try:
            workflow = read_workflow(io.BytesIO(body), len(body))
            read = Read(name, tuple(workflow.needs()), workflow.form)
        except WorkflowError as error:
            read = Read(name, error=str(error))
        with self._lock, OpenInventory(source.outputs.inventory) as opened:
            header = opened.header
            key = (source.outputs.inventory, header["scan"], header["generated"])
            if self._index is None or self._key != key:
                with damage_reported(opened.path):
                    self._index, self._key = Index(header, opened.entries()), key
            checkups = check([read], self._index, lambda text: time_shown(text, zone_of(True)))
            is_windows = self._index.is_windows
        return workflow_as_json(header, checkups, 0, is_windows=is_windows)
