"""One scan, for cron: what `comfy-inventory scan` does with its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.console.apart import end_with_parent, need_child
from scanner.console.steps import _cwd, _find_roots, _finder, _load, _outputs, _start_log
from scanner.console.terminal import _print_json, echo_error

if TYPE_CHECKING:
    from scanner.settings.load import Loaded
    from scanner.workers.helped import Helper


def scan_once(
    *, exit_code: bool, cluster: str | None, utc: bool, as_json: bool, **options: Any
) -> int:
    """Scan, and print what came of it; the exit code."""
    loaded = _load(options)
    outputs = _outputs(loaded)
    need_child(outputs.may_hang)
    end_with_parent()
    from scanner.commands.named_folders import refuse_mistakes

    refuse_mistakes(loaded, outputs, _cwd())
    _start_log(loaded, utc=utc)
    from scanner.workers.helped import helpers_from_the_start

    with helpers_from_the_start(loaded.settings.workers, outputs.state) as helpers:
        summary, signals = _scanned(loaded, cluster, helpers)
    if as_json:
        _print_json(summary, signals[0] if signals else 0)
    else:
        from scanner.commands.scan.page import accept_texts, summary_text

        for line in (*accept_texts(summary), summary_text(summary)):
            echo_error(line)
    if signals:
        return 128 + signals[0]
    if summary["incomplete_roots"]:
        return 3
    return int(exit_code and bool(summary["changes"]))


def _scanned(
    loaded: Loaded, cluster: str | None, helpers: list[Helper]
) -> tuple[dict[str, Any], list[int]]:
    """Scan; the summary, and the signals that came."""
    found = _find_roots(loaded)
    from scanner.commands.cluster import workers_for
    from scanner.commands.observing import observing
    from scanner.console.progress import display
    from scanner.output.last_output import remember_output
    from scanner.service.opening import open_service, stopping_on_signals

    find = _finder(loaded.settings, found.comfy_root)
    observe = observing(loaded.settings, once=True)
    workers = workers_for(cluster, helpers)
    with (
        open_service(loaded.settings, found, _cwd(), find, observe, workers) as service,
        stopping_on_signals(service) as signals,
    ):
        remember_output(service.outputs.inventory)
        result = service.scan_once(display())
        return service.summary(result), signals
