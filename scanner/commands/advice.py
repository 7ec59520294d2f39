"""Settings that `doctor` and `tune` recommend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scanner.settings.values import format_duration
from scanner.walk.cost import Choice


@dataclass(frozen=True)
class Advice:
    """Recommended values of settings; None means no recommendation."""

    every: float | None
    """Seconds between scans."""
    duty: float | None = None
    """The share of the time for re-verification; None if the present one fits."""
    profile: str | None = None
    workers: int | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The recommended settings by name, as TOML values."""
        fields = {
            "profile": self.profile,
            "every": None if self.every is None else format_duration(self.every),
            "duty": self.duty,
            "workers": self.workers,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def toml(self) -> str:
        """Lines for `comfy_inventory.toml`."""
        lines = []
        if self.profile is not None:
            lines.append(f'profile = "{self.profile}"')
        if self.every is not None:
            lines.append(f'every = "{format_duration(self.every)}"')
        if self.duty is not None:
            lines.append(f"duty = {self.duty:g}")
        if self.workers is not None:
            lines.append(f"workers = {self.workers}")
        return "".join(line + "\n" for line in lines)

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "profile": self.profile,
            "every": None if self.every is None else format_duration(self.every),
            "every_seconds": self.every,
            "duty": self.duty,
            "workers": self.workers,
            "toml": self.toml,
        }


def reduced_duty(choices: Sequence[Choice], duty: float) -> float | None:
    """The smallest share for re-verification of all `choices`; None if that is `duty` itself."""
    smallest = min(choice.duty for choice in choices)
    return smallest if smallest < duty else None
