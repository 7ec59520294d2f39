"""The line that the loop begins its log with."""

from __future__ import annotations

from scanner import __version__
from scanner.core.wording import count_text, share_text
from scanner.settings.schema import Settings
from scanner.settings.values import format_duration


def greeting(settings: Settings, roots: int, inventory: str) -> str:
    """The version, the number of folders, the schedule and the path of the inventory."""
    if settings.cron:
        when = f'at "{settings.cron}"'
    elif settings.is_paced:
        when = f"as often as {share_text(settings.auto_duty)} of the time allows"
    else:
        when = f"every {format_duration(settings.first_every)}"
    return (
        f"comfy-inventory {__version__}: {count_text(roots, 'folder')}, {when}; writing {inventory}"
    )
