"""What looks on after the scans of `run` and `scan`, if the settings ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scanner.output.file_names import Outputs
from scanner.service.opening import Observer, Unobserved
from scanner.settings.schema import Settings


def observing(settings: Settings, *, once: bool = False) -> Callable[[Outputs], Observer]:
    """A function that makes the observer of an output. `once`: it sends at the end of one scan."""
    wanted = (settings.on_event, settings.webhook, settings.healthcheck, settings.metrics_file)

    def observe(outputs: Outputs) -> Observer:
        observers: list[Observer] = []
        if any(wanted):
            from scanner.notify.notifications import Notifications

            observers.append(Notifications(settings, outputs, once=once))
        if settings.publish:
            from scanner.fleet.publishing import Publishing

            observers.append(Publishing(settings, outputs, once=once))
        return _Several(observers) if observers else Unobserved()

    return observe


class _Several:
    """Hands on to each of several observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def report(self, status: Mapping[str, Any]) -> None:
        for observer in self._observers:
            observer.report(status)

    def close(self, code: int | None) -> None:
        for observer in self._observers:
            observer.close(code)
