"""`comfy-inventory run`: scan on a schedule until stopped."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from scanner import __version__
from scanner.console.app import app, log
from scanner.console.options import (
    _FILES,
    _LOG,
    _OUTPUT,
    _ROOTS,
    _TIMES,
    _find_roots,
    _load,
    _start_log,
    _taking,
)

if TYPE_CHECKING:
    from scanner.comfyui.installation import Found
    from scanner.output.file_names import Outputs
    from scanner.settings.load import Loaded


@app.command()
@_taking(_ROOTS, _OUTPUT, _TIMES, _FILES, _LOG)
def run(
    **options: Any,
) -> None:
    """Scan now and then again and again, until stopped."""
    loaded = _load(options)
    _start_log(loaded)
    found = _find_roots(loaded)
    from scanner.console.progress import display
    from scanner.service.opening import open_service, stopping_on_signals
    from scanner.service.schedule import Schedule, trigger_of

    trigger = trigger_of(loaded.settings.first_every, loaded.settings.cron)
    with open_service(loaded.settings, found, os.getcwd()) as service, stopping_on_signals(service):
        _greet(loaded, found, service.outputs)
        has_ended = service.run(Schedule(trigger), display())
        log.info("stopping")
    if not has_ended:
        # A pass is stuck in the kernel on a mount that hangs: it holds no lock and nothing that
        # is not written, but waiting for its thread would never end (design rule 3).
        logging.shutdown()
        os._exit(0)


def _greet(loaded: Loaded, found: Found, outputs: Outputs) -> None:
    from scanner.core.serialize import readable
    from scanner.core.wording import count_text, share_text
    from scanner.settings.values import format_duration

    settings = loaded.settings
    if settings.cron:
        when = f'at "{settings.cron}"'
    elif settings.is_paced:
        when = f"as often as {share_text(settings.auto_duty)} of the time allows"
    else:
        when = f"every {format_duration(settings.first_every)}"
    log.info(
        "comfy-inventory %s: %s, %s; writing %s",
        __version__,
        count_text(len(found.roots), "root"),
        when,
        readable(outputs.inventory),
    )
