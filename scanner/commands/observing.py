"""News and metrics of `run` and `scan`, if the settings ask for them."""

from __future__ import annotations

from collections.abc import Callable

from scanner.output.file_names import Outputs
from scanner.service.opening import Observer, Unobserved
from scanner.settings.schema import Settings


def observing(settings: Settings, *, once: bool = False) -> Callable[[Outputs], Observer]:
    """A function that makes the observer of an output. `once`: it sends at the end of one scan."""
    wanted = (settings.on_event, settings.webhook, settings.healthcheck, settings.metrics_file)

    def observe(outputs: Outputs) -> Observer:
        if not any(wanted):
            return Unobserved()
        from scanner.notify.notifications import Notifications

        return Notifications(settings, outputs, once=once)

    return observe
