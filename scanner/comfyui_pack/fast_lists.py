"""Fast lists: ComfyUI's lists of models from the inventory, without a look at the disk.

One function of ComfyUI's `folder_paths` is wrapped: `cached_filename_list_`. `get_filename_list`
asks it first, and searches the disk where it answers None. ComfyUI's own version of it asks the
disk for the time of every folder, which is slow on a NAS and hangs with it. The wrapper answers
first where the inventory is young enough, and leaves ComfyUI's own cache alone.

Now and then one category is searched by ComfyUI's own code and compared. The first difference that
a scan in between does not explain switches the lists off until ComfyUI is started again.
"""

from __future__ import annotations

import inspect
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .freshness import Facts, facts_of, why_not
from .library import Library
from .watch import View

log = logging.getLogger(__name__)

COMPARE_EVERY = 600.0
"""Seconds between two comparisons of a category."""

FIRST_COMPARISON = 60.0
"""Seconds after the start."""

DEADLINE = 120.0
"""Seconds after which a comparison is given up. No other one begins until its search returns."""

Answer = tuple[list[str], dict[str, float], float]


class _Lists(NamedTuple):
    """What belongs to one view."""

    library: Library | None
    status: Any
    facts: Facts | None
    answers: dict[tuple[str, ...], Answer]


class _Doubt(NamedTuple):
    """Names that differed once."""

    names: frozenset[str]
    at: float
    """Time of the comparison, in seconds since 1970."""


class FastLists:
    """Answers `folder_paths.cached_filename_list_` from a view."""

    def __init__(
        self,
        folder_paths: Any,
        view: Callable[[], View],
        is_wanted: Callable[[], bool],
        max_age: Callable[[], float],
    ) -> None:
        self._paths = folder_paths
        self._view = view
        self._is_wanted = is_wanted
        self._max_age = max_age
        self._original: Callable[[str], Answer | None] | None = None
        self._lists = _Lists(None, None, None, {})
        self._doubts: dict[str, _Doubt] = {}
        self._searching: threading.Thread | None = None
        self._next = 0
        self.off = ""
        """Why the lists are switched off; empty if they are not."""
        self.compared: dict[str, str] = {}
        """What the last comparison of each category has shown."""
        self.answered = 0

    # The wrapper

    def wrap(self) -> None:
        """Put the wrapper in place, if this ComfyUI has the functions that it knows."""
        if reason := unknown_parts(self._paths):
            self.off = f"This version of ComfyUI is not known: {reason}."
            return
        original = self._paths.cached_filename_list_
        self._original = original

        def cached_filename_list_(folder_name: str) -> Answer | None:
            answer = self.answer(folder_name) if self._is_wanted() else None
            return original(folder_name) if answer is None else answer

        cached_filename_list_.comfy_inventory = self  # type: ignore[attr-defined]
        self._paths.cached_filename_list_ = cached_filename_list_

    def unwrap(self) -> None:
        """Give ComfyUI its function back, unless another pack has wrapped ours."""
        current = self._paths.cached_filename_list_
        if self._original is not None and getattr(current, "comfy_inventory", None) is self:
            self._paths.cached_filename_list_ = self._original
        self._original = None

    def answer(self, folder_name: str) -> Answer | None:
        """The list of a category; None if ComfyUI has to search. Asks no disk."""
        if self.off:
            return None
        try:
            return self._answer(self._paths.map_legacy(folder_name))
        except Exception as error:  # ComfyUI's own search takes over
            self._switch_off(f"{type(error).__name__}: {error}")
            return None

    def _answer(self, category: str) -> Answer | None:
        if self.reason(category):
            return None
        folders, endings = self._paths.folder_names_and_paths[category]
        lists = self._current()
        assert lists.library is not None
        key = (*folders, "", *sorted(endings))
        if key not in lists.answers:
            lists.answers[key] = self._make(lists.library, folders, endings)
        self.answered += 1
        names, times, _ = lists.answers[key]
        return names, times, time.perf_counter()

    def _make(self, library: Library, folders: list[str], endings: Any) -> Answer:
        names: set[str] = set()
        times: dict[str, float] = {}
        for folder in folders:
            files, found = library.tree.files(os.path.normpath(folder))
            names.update(self._paths.filter_files_extensions(files, endings))
            times |= found
        return sorted(names), times, 0.0

    def reason(self, category: str) -> str:
        """Why ComfyUI has to search this category; empty if it need not."""
        if category == "custom_nodes":
            return "node packs are no models"
        lists = self._current()
        if lists.facts is None:
            return "there is no inventory"
        if category not in self._paths.folder_names_and_paths:
            return "it is not known"
        folders = [os.path.normpath(path) for path in self._paths.get_folder_paths(category)]
        return why_not(folders, lists.facts, time.time(), self._max_age())

    def _current(self) -> _Lists:
        view, lists = self._view(), self._lists
        if view.library is not lists.library or view.status is not lists.status:
            facts = None
            if view.library is not None and view.status is not None:
                facts = facts_of(view.library, view.status)
            is_same = view.library is lists.library
            lists = _Lists(view.library, view.status, facts, lists.answers if is_same else {})
            self._lists = lists
        return lists

    def _switch_off(self, reason: str) -> None:
        self.off = reason
        log.warning("Fast lists are switched off: %s", reason)

    def again(self) -> None:
        """Forget why the lists were switched off: a user has switched them on."""
        if self._original is not None:
            self.off = ""
            self._doubts.clear()

    # Comparison

    def start_comparing(self) -> None:
        """Compare a category now and then, in a thread that ends with the process."""
        threading.Thread(
            target=self._compare_all, name="comfy-inventory lists", daemon=True
        ).start()

    def _compare_all(self) -> None:
        time.sleep(FIRST_COMPARISON)
        while self._original is not None:
            if self._is_wanted() and not self.off:
                self.compare_next()
            time.sleep(min(COMPARE_EVERY, FIRST_COMPARISON) if self._doubts else COMPARE_EVERY)

    def compare_next(self) -> None:
        """Compare the next category whose folders are online, one that differed before first."""
        names = sorted(self._doubts) or sorted(self._paths.folder_names_and_paths)
        for _ in names:
            category = names[self._next % len(names)]
            self._next += 1
            if not self._is_stalled(category) and not self.reason(category):
                self.compare(category)
                return

    def _is_stalled(self, category: str) -> bool:
        facts = self._current().facts
        return facts is None or any(root.state == "stalled" for root in facts.roots)

    def compare(self, category: str, deadline: float = DEADLINE) -> None:
        """Compare one category with ComfyUI's own search."""
        if self._searching is not None and self._searching.is_alive():
            return
        begun = time.time()
        found: list[list[str]] = []

        def search() -> None:
            try:
                found.append(self._paths.get_filename_list_(category)[0])
            except Exception as error:  # a folder that is gone, on a disk that went away
                log.debug("ComfyUI's own search of %s failed: %s", category, error)

        self._searching = threading.Thread(target=search, daemon=True)
        self._searching.start()
        self._searching.join(deadline)
        ours = self.answer(category)
        if not found or ours is None:
            return
        self._judge(category, begun, found[0], ours[0])

    def _judge(self, category: str, begun: float, theirs: list[str], ours: list[str]) -> None:
        names = frozenset(theirs) ^ frozenset(ours)
        before = self._doubts.pop(category, None)
        if not names:
            is_equal = theirs == ours
            self.compared[category] = "equal" if is_equal else "in another order"
            if not is_equal:
                self._switch_off(f"The order of {category} is not ComfyUI's.")
            return
        self.compared[category] = f"{len(names)} names differ"
        if before is None or not self._has_scanned(category, before.at):
            # A scan has to say whether the disk has changed since the last one.
            self._doubts[category] = before or _Doubt(names, begun)
        elif still := names & before.names:
            example = min(still)
            where = "the inventory" if example in ours else "ComfyUI's own search"
            self._switch_off(f"Only {where} has {example!r} in {category}.")
        else:
            self._doubts[category] = _Doubt(names, begun)

    def _has_scanned(self, category: str, since: float) -> bool:
        """True if all folders of a category have been scanned since a time."""
        facts = self._current().facts
        folders = [os.path.normpath(path) for path in self._paths.get_folder_paths(category)]
        return facts is not None and all(
            facts.scanned.get(root.id, 0.0) > since
            for root in facts.roots
            if any(folder.startswith(root.path) for folder in folders)
        )


_PARAMETERS = {
    "cached_filename_list_": ("folder_name",),
    "get_filename_list_": ("folder_name",),
    "get_filename_list": ("folder_name",),
    "map_legacy": ("folder_name",),
    "get_folder_paths": ("folder_name",),
    "filter_files_extensions": ("files", "extensions"),
    "recursive_search": ("directory", "excluded_dir_names"),
}


def unknown_parts(folder_paths: Any) -> str:
    """What of ComfyUI's `folder_paths` is not as this module knows it; empty if all is."""
    for name, parameters in _PARAMETERS.items():
        function = getattr(folder_paths, name, None)
        if not callable(function):
            return f"folder_paths.{name} is missing"
        if tuple(inspect.signature(function).parameters) != parameters:
            return f"folder_paths.{name} takes other arguments"
    try:
        source = inspect.getsource(folder_paths.get_filename_list)
    except (OSError, TypeError):
        return "the source of folder_paths.get_filename_list cannot be read"
    if "cached_filename_list_(" not in source:
        return "folder_paths.get_filename_list does not ask cached_filename_list_"
    return ""
