"""The settings of single roots, or of all roots of a kind: the tables of `per_root`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from scanner.core.roots import KINDS
from scanner.settings.fields import About, WrongValueError, declared, parse_all
from scanner.settings.types import (
    COUNT,
    FRACTION,
    PATTERNS,
    RootTableType,
    SettingType,
    is_path,
    kind_prefix,
)
from scanner.settings.values import suggestion


@dataclass(frozen=True)
class RootSettings:
    """Settings of one root, or of all roots of a kind; None takes the general setting.

    Raises WrongValueError.
    """

    ignore: Annotated[
        tuple[str, ...] | None,
        PATTERNS.optional(),
        About(
            "Gitignore patterns of names to leave out there, added to the general ones.", ["*.bak"]
        ),
    ] = None
    loss_fraction: Annotated[
        float | None, FRACTION.optional(), About("As the general setting of this name.", 0.9)
    ] = None
    loss_files: Annotated[
        int | None, COUNT.optional(), About("As the general setting of this name.", 100)
    ] = None

    def __post_init__(self) -> None:
        parse_all(self, ROOT_TYPES)


ROOT_TYPES: dict[str, SettingType[Any]] = {
    name: kind for name, (kind, _) in declared(RootSettings).items()
}
"""The type of each setting in a table of `per_root`."""

ROOT_TEXTS = {name: about for name, (_, about) in declared(RootSettings).items()}


def _parse_table(table: object) -> dict[str, RootSettings]:
    """Settings by kind, path or id of a root. Raises WrongValueError."""
    if not isinstance(table, Mapping):
        raise WrongValueError((), f"expected a table of settings, not {table!r}")
    parsed = {key: _parse_root(key, item) for key, item in table.items()}
    for key in parsed:
        if key not in KINDS and not is_path(key.removeprefix(kind_prefix(key))):
            raise WrongValueError(
                (),
                f"expected a kind of root ({', '.join(KINDS)}), a root's id or its path, "
                f"not {key!r}{suggestion(key, KINDS)}",
            )
    return parsed


def _parse_root(key: str, table: object) -> RootSettings:
    if isinstance(table, RootSettings):
        return table
    if not isinstance(table, Mapping):
        raise WrongValueError((key,), f"expected a table of settings, not {table!r}")
    for name in table:
        if name not in ROOT_TYPES:
            raise WrongValueError(
                (key, name),
                f"expected one of {', '.join(ROOT_TYPES)}{suggestion(name, ROOT_TYPES)}",
            )
    try:
        return RootSettings(**table)
    except WrongValueError as error:
        raise WrongValueError((key, *error.keys), str(error)) from None


def _format_table(table: Mapping[str, RootSettings]) -> dict[str, dict[str, object]]:
    return {
        key: {name: kind.format(getattr(root, name)) for name, kind in ROOT_TYPES.items()}
        for key, root in table.items()
    }


ROOT_TABLE = RootTableType(_parse_table, _format_table)


class RootRules(NamedTuple):
    """The rules of one root, after general and per-root settings are put together."""

    ignore: tuple[str, ...]
    """The user's gitignore patterns, general ones first; the default ones are not among them."""
    loss_fraction: float
    loss_files: int
