"""The description of the API for programs (OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scanner import __version__
from scanner.core.changes import KINDS
from scanner.views.feed import MOST as MOST_LINES
from scanner.views.select import SORTS
from scanner.views.tree import DEEPEST

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_FLAG: Json = {"type": "string", "enum": ["0", "1"]}


def _number(least: int, most: int) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most}


def _object(required: str = "", **properties: Json) -> Json:
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
    }


def _list_of(item: Json) -> Json:
    return {"type": "array", "items": item}


def _query(name: str, about: str, schema: Json, *, needed: bool = False) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": about,
        "required": needed,
        "schema": schema,
    }


def _names(name: str, about: str) -> Json:
    return _query(name, f"{about} Repeat it for several.", _list_of(_TEXT))


_MACHINES = _names("machine", "Names of inventories; all of them without.")
_MACHINE = _query("machine", "Name of an inventory; the first one without.", _TEXT)

_WHOLE = _number(-(10**17), 10**17)

_ENTRIES = [
    _query("q", "Words; each must be in the name or in the path of the folder.", _TEXT),
    _MACHINES,
    *(
        _names(name, f"Names of {plural}, as in the answer.")
        for name, plural in (
            ("drive", "drives"),
            ("category", "categories"),
            ("base", "base models"),
            ("kind", "kinds"),
            ("status", "statuses"),
            ("root", "roots: ids or paths"),
        )
    ),
    _query("folder", "A folder: all files at and below it.", _TEXT),
    _query("min_size", "Bytes.", _WHOLE),
    _query("max_size", "Bytes.", _WHOLE),
    _query("since", "Modified then or later: seconds since 1970.", _WHOLE),
    _query("models", "1: models only; 0: everything else.", _FLAG),
    _query("aliases", "0: each file once.", _FLAG),
    _query(
        "sort",
        "The order; with - before it the largest first.",
        {"type": "string", "enum": [*SORTS, *(f"-{name}" for name in SORTS)]},
    ),
    _query("limit", "Rows of this answer.", _number(1, 300_000)),
    _query("cursor", "That of the answer before.", _TEXT),
]

_COLUMNS = "machine row folder name size time drive category base kind word hash loader alias model"

_TABLE = _object(
    "schema machines scans total bytes cursor folders columns",
    machines=_list_of(_TEXT),
    scans=_list_of(_COUNT),
    total=_COUNT,
    bytes=_COUNT,
    cursor={"type": ["string", "null"]},
    folders=_object("parent name", parent=_list_of(_COUNT), name=_list_of(_TEXT)),
    columns=_object(_COLUMNS, **{name: {"type": "array"} for name in _COLUMNS.split()}),
    **{name: _list_of(_TEXT) for name in ("drives", "categories", "bases", "kinds", "words")},
)

_LINE = _object(
    "scan n of time kind path text",
    kind={"type": "string", "enum": list(KINDS)},
    text=_TEXT,
    path=_TEXT,
)


def _per_machine(name: str, part: Json) -> Json:
    machine = _object("name", name=_TEXT, error=_TEXT, scan=_COUNT, **{name: part})
    return _object("schema machines", machines=_list_of(machine))


def _answer(schema: Json, type_: str = "application/json") -> Json:
    return {"description": "Done.", "content": {type_: {"schema": schema}}}


_ERROR = _answer(_object("error", error=_TEXT))

_ALWAYS = (401, 403, 413, 429, 500, 503)

_MEANINGS = {
    304: "Nothing is new.",
    400: "A parameter or the body is wrong.",
    401: "It needs the token.",
    403: "A host, an origin or a machine that may not.",
    404: "There is nothing of that name.",
    409: "It is not as it was.",
    410: "The inventory has changed: begin without a cursor.",
    413: "The body is too large.",
    415: "The body is of another type.",
    429: "Too many wrong tokens.",
    500: "A bug.",
    503: "The files cannot be read now, or too many ask.",
}


def _operation(
    about: str,
    answer: Json,
    parameters: Sequence[Json] = (),
    errors: Sequence[int] = (),
    *,
    has_tag: bool = False,
    body: Json | None = None,
    done: str = "200",
) -> Json:
    responses: Json = {done: answer}
    if has_tag:
        responses["304"] = {"description": _MEANINGS[304]}
    for status in sorted({*errors, *_ALWAYS}):
        responses[str(status)] = {**_ERROR, "description": _MEANINGS[status]}
    made: Json = {"summary": about, "parameters": list(parameters), "responses": responses}
    if body is not None:
        made["requestBody"] = {"required": True, "content": body}
    return made


def _gets() -> dict[str, Json]:
    """The operations that only read, by path."""
    parts = {
        "duplicates": _object("total proven rows"),
        "problems": _list_of(_object("name title advice files bytes rows")),
        "packs": _list_of(_object("name version enabled path files bytes")),
        "roots": _list_of(_object("id kind path state")),
    }
    found = {
        f"/api/v1/{name}": _operation(
            f"The {name}.", _answer(_per_machine(name, part)), [_MACHINES], [404], has_tag=True
        )
        for name, part in parts.items()
    }
    pages = _object("totals attention drives space problems duplicates changes packs status")
    summary = _object(
        "fine answer files bytes models scan", fine={"type": "boolean"}, answer=_TEXT, files=_COUNT
    )
    changes = _object("machine since scan more gap changes", changes=_list_of(_LINE))
    found |= {
        "/api/v1/pages": _operation(
            "Everything but the table of files.",
            _answer(_per_machine("pages", pages)), [_MACHINES], [404], has_tag=True,
        ),
        "/api/v1/history": _operation(
            "How the folders grew, and what scans cost, by day.",
            _answer(
                _object(
                    machines=_list_of(
                        _object(
                            "name history",
                            name=_TEXT,
                            history=_object("days files bytes problems categories lanes"),
                        )
                    )
                )
            ),
            [_MACHINES],
            [404],
            has_tag=True,
        ),
        "/api/v1/unused": _operation(
            "Models that nothing names.",
            _answer(
                _object(
                    "complete files models count bytes unused",
                    complete={"type": "boolean"},
                    unused=_list_of(_object("path size category name", path=_TEXT, name=_TEXT)),
                )
            ),
            [_MACHINE, _query("limit", "Models in the answer.", _number(1, 100_000))],
            [400, 404, 409],
            has_tag=True,
        ),
        "/api/v1/summary": _operation(
            "All in a few numbers, without nesting.",
            _answer(summary), [_MACHINES], [404], has_tag=True,
        ),
        "/api/v1/entries": _operation(
            "Files as columns.", _answer(_TABLE), _ENTRIES, [400, 404, 410], has_tag=True
        ),
        "/api/v1/entry": _operation(
            "All that is known of one file.",
            _answer(_object("machine scan entry", entry=_object("path type root"))),
            [
                _MACHINE,
                _query("row", "The row of the table.", _number(0, 1 << 40), needed=True),
                _query("scan", "The scan of the table.", _number(0, 1 << 60)),
            ],
            [400, 404, 409],
        ),
        "/api/v1/tree": _operation(
            "Sums of folders.",
            _answer(_object("machine scan path name bytes files", bytes=_COUNT, files=_COUNT)),
            [
                _MACHINE,
                _query("path", "A folder; without, above all.", _TEXT),
                _query("depth", "Levels below it.", _number(0, DEEPEST)),
            ],
            [400, 404], has_tag=True,
        ),
        "/api/v1/changes": _operation(
            "Lines of the change list.",
            _answer(changes),
            [
                _MACHINE,
                _query("since", "After this scan.", _number(0, 1 << 60)),
                _query("limit", "About as many lines.", _number(1, MOST_LINES)),
                _query("wait", "Seconds to wait for a line.", _number(0, 55)),
            ],
            [400, 404],
        ),
        "/api/v1/events": _operation(
            "What happens, as server-sent events.", _answer(_TEXT, "text/event-stream")
        ),
        "/api/v1/duplicates/script": _operation(
            "The script of `comfy-inventory duplicates --script`.",
            _answer(_TEXT, "text/plain"),
            [
                _MACHINE,
                _query(
                    "step", "What it does.",
                    {"type": "string", "enum": ["link", "reflink", "delete"]},
                ),
                _query("keep", "fastest, oldest, newest or in PATH.", _TEXT),
                _query("shell", "Its language.", {"type": "string", "enum": ["sh", "powershell"]}),
            ],
            [400, 404, 409],
        ),
        "/healthz": _operation("Whether the server lives.", _answer(_TEXT, "text/plain")),
        "/metrics": _operation("Metrics for Prometheus.", _answer(_TEXT, "text/plain")),
    }  # fmt: skip
    return found


def _posts() -> dict[str, Json]:
    """What is posted, by path."""
    wish = _object("place", machine=_TEXT, place={"type": "string", "minLength": 1})
    accepted = _object(
        "accepted",
        accepted=_list_of(_object("place applied told", applied={"type": "boolean"})),
    )
    nothing = {"description": "Done."}
    session = _operation("Open a session with the token.", nothing, done="204")
    return {
        "/api/v1/workflow": {
            "post": _operation(
                "What a workflow needs, and whether it is here.",
                _answer(_object("workflows totals wanted")),
                [_MACHINE, _query("filename", "The name to show.", _TEXT)],
                [400, 404, 409],
                body={"application/octet-stream": {"schema": {}}},
            )
        },
        "/api/v1/accept": {
            "post": {
                **_operation(
                    "Accept what is held, as `comfy-inventory accept` does.",
                    _answer(accepted),
                    errors=[400, 404, 409, 415],
                    body={"application/json": {"schema": wish}},
                ),
                "security": [{"token": []}, {"password": []}, {"session": []}],
            }
        },
        "/api/v1/session": {
            "post": {**session, "security": [{"token": []}, {"password": []}]},
            "delete": _operation("End it.", nothing, done="204"),
        },
    }


def document(base: str) -> Json:
    """The whole document; `base` is the path before all others."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "comfy-inventory",
            "version": __version__,
            "description": "The inventory of ComfyUI's folders. docs/api.md says more.",
        },
        "servers": [{"url": base or "/"}],
        "paths": {path: {"get": each} for path, each in _gets().items()} | _posts(),
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
                "session": {"type": "apiKey", "in": "cookie", "name": "comfy_inventory"},
            }
        },
    }
