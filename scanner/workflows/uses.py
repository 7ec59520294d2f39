"""The models that the nodes of a workflow name: values that every reader of workflows returns."""

from __future__ import annotations

from typing import NamedTuple

from scanner.errors import InventoryError


class WorkflowError(InventoryError):
    """A file holds no workflow that can be read: one sentence, without the file's name."""


class NoWorkflowError(WorkflowError):
    """A file was read, and holds no workflow at all."""


class Hint(NamedTuple):
    """What the author of a workflow wrote down about a model of this name. It may be out of date:
    it stays as it is when a user picks another model."""

    name: str
    url: str | None
    directory: str | None
    sha256: str | None


class Use(NamedTuple):
    """One name in one place of a workflow."""

    name: str
    """As it stands there, with the separators of the author's system."""
    category: str | None
    """None where the node is not known, and nothing else tells it."""
    node: str
    """The node's class and its number, within nested subgraphs with theirs: `12:3 VAELoader`."""
    active: bool
    """False in a muted or bypassed node, or where the entry itself is switched off."""
    nested: bool = False
    """True inside a subgraph."""
    promoted: bool = False
    """True where the value stands at an instance of the subgraph, not at the node itself."""
    bare: bool = False
    """True for names that may stand without their ending, as embeddings in prompts."""


class Need(NamedTuple):
    """A model that a workflow needs, from all its uses."""

    name: str
    category: str | None
    active: bool
    nodes: tuple[str, ...]
    bare: bool = False
    hints: tuple[Hint, ...] = ()


class Workflow(NamedTuple):
    """What one workflow names."""

    form: str
    """`ui` or `api`: ComfyUI's two formats; `parameters`: the text of other programs."""
    uses: tuple[Use, ...]
    hints: tuple[Hint, ...] = ()

    def needs(self) -> list[Need]:
        """One need for each name and category, in the order of their first use.

        A name without a category joins the need of the same name that has one.
        """
        known = {use.name: use.category for use in reversed(self.uses) if use.category}
        hints: dict[str, list[Hint]] = {}
        for hint in self.hints:
            hints.setdefault(hint.name, []).append(hint)
        found: dict[tuple[str, str | None], list[Use]] = {}
        for use in self.uses:
            category = use.category or known.get(use.name)
            if category is None and use.name in hints:
                category = hints[use.name][0].directory
            found.setdefault((use.name, category), []).append(use)
        return [
            Need(
                name,
                category,
                any(use.active for use in uses),
                tuple(dict.fromkeys(use.node for use in uses)),
                all(use.bare for use in uses),
                tuple(dict.fromkeys(hints.get(name, ()))),
            )
            for (name, category), uses in found.items()
        ]
