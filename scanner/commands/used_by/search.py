"""The workflows and outputs that name a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from scanner.commands.unused.known import Model, Sources
from scanner.commands.unused.names import Texts, form_of, stem_of
from scanner.workflows.traces import Traces, from_text


class Using(NamedTuple):
    """A file that names the model."""

    path: str
    is_exact: bool
    """True if a node names it as ComfyUI does, in a category that is its own or not known."""
    is_active: bool
    """False if every node that names it is muted or bypassed."""
    names: tuple[str, ...]
    """As they stand in the file, the shortest first."""


class Answer(NamedTuple):
    """The models that were meant, and the files that name one of them, sure ones first."""

    models: tuple[Model, ...]
    files: tuple[Using, ...]


def search(sources: Sources, text: str, cwd: str) -> Answer:
    """The files that name the model that `text` means: its path, its name in ComfyUI, or its file
    name, with ending or without. A name of no model is searched as it is: the model may be gone."""
    models = _meant(sources, text, cwd)
    names = {model.name for model in models} or {text}
    categories: dict[str, set[str]] = {}
    for model in models:
        categories.setdefault(form_of(model.name), set()).add(model.category)
    read = {id_: from_text(sources.known.texts[id_]) for id_ in set(sources.files.values())}
    texts = Texts({each for traces in read.values() for each in _texts(traces)})
    meant = frozenset(each for name in names for each in texts.of(name))
    found = {id_: _using(traces, meant, categories) for id_, traces in read.items()}
    files = [
        using._replace(path=path)
        for path, id_ in sources.files.items()
        if (using := found[id_]) is not None
    ]
    files.sort(key=lambda using: (not using.is_exact, not using.is_active, using.path))
    return Answer(tuple(models), tuple(files))


def _meant(sources: Sources, text: str, cwd: str) -> Sequence[Model]:
    paths = {os.path.normpath(os.path.join(folder, text)) for folder in (cwd, sources.base or cwd)}
    by_path = [model for model in sources.models if model.path in paths]
    if by_path:
        return by_path
    form = form_of(text)
    forms: tuple[Callable[[str], str], ...] = (str, lambda name: name.rpartition("/")[2], stem_of)
    for part_of in forms:
        models = [model for model in sources.models if part_of(form_of(model.name)) == form]
        if models:
            return models
    return []


def _texts(traces: Traces) -> Iterator[str]:
    yield from (name for name, _, _ in traces.uses)
    yield from traces.names


def _using(
    traces: Traces, meant: frozenset[str], categories: Mapping[str, set[str]]
) -> Using | None:
    """How a file names a model that the texts in `meant` may mean; None if it does not."""
    written = sorted(meant.intersection(_texts(traces)), key=lambda text: (len(text), text))
    if not written:
        return None
    exact = [
        is_active
        for name, category, is_active in traces.uses
        if (own := categories.get(form_of(name))) and (category is None or category in own)
    ]
    active = exact or [on for name, _, on in traces.uses if name in written] or [True]
    return Using("", bool(exact), any(active), tuple(written))
