"""The parts of the panel, put together."""

from __future__ import annotations

from typing import Any

from . import settings
from .fast_lists import FastLists
from .watch import Watcher


class Panel:
    """Reads the inventory, and answers ComfyUI's lists from it if that is wanted."""

    def __init__(self, folder: str, folder_paths: Any, *, every: float = 2.0) -> None:
        """`folder` holds the settings; `folder_paths` is ComfyUI's module."""
        self._folder = folder
        self.watcher = Watcher(folder, every)
        self.fast_lists = FastLists(
            folder_paths,
            lambda: self.watcher.view,
            lambda: self.watcher.settings.fast_lists,
            lambda: self.watcher.settings.max_age,
        )

    def start(self) -> None:
        """Begin to read, and put the wrapper in place. It answers once the user wants it."""
        self.watcher.start()
        self.fast_lists.wrap()
        self.fast_lists.start_comparing()

    def want_fast_lists(self, wanted: bool) -> None:
        """Keep the user's choice. Raises OSError."""
        chosen = settings.read(self._folder)._replace(fast_lists=wanted)
        settings.write(self._folder, chosen)
        if wanted:
            self.fast_lists.again()
        self.watcher.look_soon()

    def fast_state(self) -> dict[str, Any]:
        """How the fast lists stand, for the page."""
        lists = self.fast_lists
        return {
            "on": self.watcher.settings.fast_lists,
            "off": lists.off,
            "answered": lists.answered,
            "compared": dict(lists.compared),
        }
