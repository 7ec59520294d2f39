"""Workflows as ComfyUI's page saves them: nodes, links, and subgraphs at every depth. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scanner.workflows.loaders import LOADERS, NOTES, category_of_input
from scanner.workflows.uses import Hint, Use, Workflow, WorkflowError
from scanner.workflows.values import STEP, Named, names_in, weight_of

OFF = (2, 4)
"""Modes of nodes that do not run: muted and bypassed."""

MOST_NODES = 200_000
"""Nodes that are looked at, those of a subgraph once for each instance. Ten levels of subgraphs
with ten instances each would be ten thousand million."""

MOST_CHARACTERS = 1 << 27
"""Characters of values that are searched, those of a subgraph once for each instance. Values that
are no texts, and inputs, count as some."""

MOST_DEPTH = 64

_INPUT_NODE = -10
"""The id of the node that stands for the inputs of a subgraph inside it."""


class _Graph(NamedTuple):
    """The nodes of a workflow or of one subgraph, and what is asked of them."""

    nodes: list[dict[str, Any]]
    by_id: Mapping[str, dict[str, Any]]
    links: Mapping[str, tuple[str, int]]
    """Where each link begins: the id of the node, and the number of its output."""
    inputs: list[dict[str, Any]]
    """The inputs of a subgraph."""
    fed_widgets: frozenset[int]
    """Those that feed a widget of a node inside, by their numbers."""


class _Inside(NamedTuple):
    """How a graph is reached."""

    prefix: str
    depth: int
    active: bool
    promoted: Mapping[int, Any]
    """Values that the instance gives, by the number of the subgraph's input."""
    ancestors: frozenset[str]


def is_ui_graph(document: Any) -> bool:
    """True if a JSON document has the form that ComfyUI's page saves."""
    return isinstance(document, dict) and isinstance(document.get("nodes"), list)


def read_ui_graph(document: dict[str, Any]) -> Workflow:
    """The uses of a workflow. Raises WorkflowError if it has more nodes than are looked at."""
    return _Reader(document).read()


class _Reader:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._left = MOST_NODES
        self._characters = MOST_CHARACTERS
        self._hints: dict[Hint, None] = dict.fromkeys(_hints(document.get("models")))
        definitions = document.get("definitions")
        subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
        self._subgraphs = {
            str(graph.get("id")): _graph(graph)
            for graph in (subgraphs if isinstance(subgraphs, list) else [])
            if isinstance(graph, dict)
        }

    def read(self) -> Workflow:
        top = _Inside("", 0, True, {}, frozenset())
        uses = tuple(self._uses(_graph(self._document), top))
        return Workflow("ui", uses, tuple(self._hints))

    def _uses(self, graph: _Graph, inside: _Inside) -> Iterator[Use]:
        for node in graph.nodes:
            self._left -= 1
            if self._left < 0:
                raise WorkflowError(
                    f"it has more than {MOST_NODES:,} nodes, those of subgraphs counted for each "
                    "instance"
                )
            node_class = str(node.get("type") or node.get("class_type") or "")
            active = inside.active and node.get("mode") not in OFF
            if node_class in self._subgraphs:
                yield from self._instance(graph, node, node_class, inside, active)
            else:
                yield from self._node(graph, node, node_class, inside, active)

    def _instance(
        self, graph: _Graph, node: dict[str, Any], node_class: str, inside: _Inside, active: bool
    ) -> Iterator[Use]:
        if node_class in inside.ancestors or inside.depth >= MOST_DEPTH:
            return
        inner = self._subgraphs[node_class]
        self._spend(node, STEP * len(inner.inputs))
        promoted = self._promoted(inner, node)
        # An input of the instance that is itself linked to the input of the subgraph around it.
        own = {str(entry.get("name")): entry for entry in reversed(_inputs(node))}
        for number, entry in enumerate(inner.inputs):
            given = _linked_value(graph, own.get(str(entry.get("name"))), inside)
            if given is not None:
                promoted[number] = given
        yield from self._uses(
            inner,
            _Inside(
                f"{inside.prefix}{node.get('id')}:",
                inside.depth + 1,
                active,
                promoted,
                inside.ancestors | {node_class},
            ),
        )

    def _spend(self, node: dict[str, Any], more: int = 0) -> None:
        """Count what looking at a node costs."""
        weight = weight_of(node.get("widgets_values")) + 8 * weight_of(node.get("properties"))
        self._spend_characters(weight + STEP * len(_inputs(node)) + more)

    def _spend_characters(self, count: int) -> None:
        self._characters -= count
        if self._characters < 0:
            raise WorkflowError(
                f"it has more than {MOST_CHARACTERS >> 20} million characters, those of subgraphs "
                "counted for each instance"
            )

    def _promoted(self, inner: _Graph, node: dict[str, Any]) -> dict[int, Any]:
        """The values that an instance keeps for inputs of its subgraph, by their numbers."""
        values = node.get("widgets_values")
        if isinstance(values, dict):
            names = [entry.get("name") for entry in inner.inputs]
            return {number: values[name] for number, name in enumerate(names) if name in values}
        if not isinstance(values, list) or not values:
            return {}
        own = {
            str(entry.get("name"))
            for entry in _inputs(node)
            if isinstance(entry.get("widget"), dict)
        }
        widgets = [
            number
            for number, entry in enumerate(inner.inputs)
            if number in inner.fed_widgets or str(entry.get("name")) in own
        ]
        if len(widgets) != len(values):
            return {}
        return dict(zip(widgets, values, strict=True))

    def _node(
        self, graph: _Graph, node: dict[str, Any], node_class: str, inside: _Inside, active: bool
    ) -> Iterator[Use]:
        self._spend(node)
        properties = node.get("properties")
        hints = _hints(properties.get("models") if isinstance(properties, dict) else None)
        self._hints.update(dict.fromkeys(hints))
        where = f"{inside.prefix}{node.get('id')} {node_class}".strip()
        found: list[tuple[Named, bool]] = []
        for value, name, is_promoted in _values(graph, node, node_class, inside):
            category = category_of_input(node_class, name) if name else None
            if is_promoted:
                self._spend_characters(weight_of(value))
            found.extend((named, is_promoted) for named in names_in(value, category, node_class))
        if not found and node.get("widgets_values") in (None, [], {}) and node_class not in NOTES:
            # Old pages kept no values with the nodes whose widgets were promoted.
            found = [(Named(hint.name, hint.directory), False) for hint in hints]
        directories = {hint.name: hint.directory for hint in hints}
        for named, is_promoted in found:
            yield Use(
                named.name,
                named.category or directories.get(named.name),
                where,
                active and named.active,
                inside.depth > 0,
                is_promoted,
                named.bare,
            )


def _values(
    graph: _Graph, node: dict[str, Any], node_class: str, inside: _Inside
) -> Iterator[tuple[Any, str, bool]]:
    """The values of the widgets of a node, each with the widget's name where it is known, and
    whether an instance around it gives the value."""
    linked = {
        entry["widget"]["name"]: given
        for entry in _inputs(node)
        if isinstance(entry.get("widget"), dict)
        and isinstance(entry["widget"].get("name"), str)
        and (given := _linked_value(graph, entry, inside)) is not None
    }
    yield from ((value, name, True) for name, value in linked.items())
    values = node.get("widgets_values")
    if isinstance(values, dict):
        yield from ((value, key, False) for key, value in values.items() if key not in linked)
    elif isinstance(values, list):
        names = _widget_names(node, node_class, len(values))
        for name, value in zip(names, values, strict=True):
            if not name or name not in linked:
                yield value, name, False


def _widget_names(node: dict[str, Any], node_class: str, count: int) -> list[str]:
    """The names of the widgets in the order of their values; empty where nothing tells them."""
    known = list(LOADERS.get(node_class, ()))
    own = [
        str(entry["widget"].get("name"))
        for entry in _inputs(node)
        if isinstance(entry.get("widget"), dict)
    ]
    # Pages of today list all widgets among the inputs, older ones those that were linked once.
    names = own if not known and len(own) == count else known
    return [*names, *[""] * count][:count]


def _linked_value(graph: _Graph, entry: dict[str, Any] | None, inside: _Inside) -> Any:
    """The value that comes to an input over its link; None if it has none, or it is worked out
    when the workflow runs."""
    begin = graph.links.get(str(entry.get("link"))) if entry else None
    if begin is None:
        return None
    origin, slot = begin
    if origin == str(_INPUT_NODE):
        return inside.promoted.get(slot)
    node = graph.by_id.get(origin)
    values = node.get("widgets_values") if node is not None else None
    if node is None or not str(node.get("type")).startswith("Primitive"):
        return None
    return values[0] if isinstance(values, list) and values else None


def _graph(raw: dict[str, Any]) -> _Graph:
    nodes = [node for node in _list(raw.get("nodes")) if isinstance(node, dict)]
    links: dict[str, tuple[str, int]] = {}
    for link in _list(raw.get("links")):
        if isinstance(link, list) and len(link) >= 3 and isinstance(link[2], int):
            links[str(link[0])] = (str(link[1]), link[2])
        elif isinstance(link, dict) and isinstance(link.get("origin_slot"), int):
            links[str(link.get("id"))] = (str(link.get("origin_id")), link["origin_slot"])
    inputs = [entry for entry in _list(raw.get("inputs")) if isinstance(entry, dict)]
    by_id = {str(node.get("id")): node for node in nodes}
    return _Graph(nodes, by_id, links, inputs, _fed_widgets(nodes, links))


def _fed_widgets(
    nodes: list[dict[str, Any]], links: Mapping[str, tuple[str, int]]
) -> frozenset[int]:
    begins = (
        links.get(str(entry.get("link")))
        for node in nodes
        for entry in _inputs(node)
        if isinstance(entry.get("widget"), dict)
    )
    return frozenset(begin[1] for begin in begins if begin and begin[0] == str(_INPUT_NODE))


def _inputs(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in _list(node.get("inputs")) if isinstance(entry, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _hints(models: Any) -> list[Hint]:
    return [
        Hint(
            model["name"],
            _text(model.get("url")),
            _text(model.get("directory")),
            _sha256(model),
        )
        for model in _list(models)
        if isinstance(model, dict) and isinstance(model.get("name"), str) and model["name"]
    ]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _sha256(model: dict[str, Any]) -> str | None:
    value = _text(model.get("hash"))
    is_sha = str(model.get("hash_type", "SHA256")).upper().replace("-", "") == "SHA256"
    return value.lower() if value and is_sha and len(value) == 64 else None
