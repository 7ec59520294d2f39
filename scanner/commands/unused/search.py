"""Models that no saved workflow names and no output carries."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from scanner.commands.unused.known import Model, Sources, texts_in
from scanner.commands.unused.names import Texts
from scanner.console.filters import CategoryFilter
from scanner.store.uses import Past


class Unused(NamedTuple):
    """A model without a trace."""

    model: Model
    last: Past | None
    """The last file that named it, and when that was seen to be gone or to name it no more."""


class Report(NamedTuple):
    """All models without a trace, largest first."""

    unused: tuple[Unused, ...]
    models: int
    """All models that were looked for."""
    cut: int
    """Files that were not read to their end: they may name more."""


def search(sources: Sources, categories: CategoryFilter, least: int) -> Report:
    """The models of at least `least` bytes and of these categories that no text names."""
    from scanner.workflows.traces import from_text

    used = set(sources.files.values())
    now = Texts({text for id_ in used for text in texts_in(sources.known.texts[id_])})
    traced = {model.real for model in sources.models if now.has(model.name)}
    past_names = set(sources.known.past)
    for id_ in sources.known.texts.keys() - used:  # of files that went a moment ago
        past_names.update(texts_in(sources.known.texts[id_]))
    past = Texts(past_names)
    wanted = [
        model
        for model in sources.models
        if categories.selects(model.category) and model.shown.get("size", 0) >= least
    ]
    unused = [
        Unused(model, _last(sources, past, model)) for model in wanted if model.real not in traced
    ]
    unused.sort(key=lambda each: (-each.model.shown["size"], each.model.path))
    is_cut = {id_ for id_ in used if from_text(sources.known.texts[id_]).is_cut}
    cut = sum(id_ in is_cut for id_ in sources.files.values())
    return Report(tuple(unused), len(wanted), cut)


def _last(sources: Sources, past: Texts, model: Model) -> Past | None:
    known = (sources.known.past.get(text) for text in past.of(model.name))
    return max((each for each in known if each), key=lambda each: each.seen, default=None)


def movable(unused: Collection[Unused]) -> Iterator[Model]:
    """Those that a script may move: plain files that no other entry leads to."""
    for each in unused:
        entry = each.model.shown
        if entry["type"] == "file" and "alias_of" not in entry:
            yield each.model
