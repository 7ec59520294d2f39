"""What the fields of settings have in common: a type, texts, and how they are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_type_hints

from scanner.settings.types import SettingType


class WrongValueError(ValueError):
    """A setting has a value that it cannot have; the text says what was expected."""

    def __init__(self, keys: Sequence[str], expected: str) -> None:
        super().__init__(expected)
        self.keys = tuple(keys)
        """The names that lead to the value, outermost first: a setting, then keys of tables."""


class About(NamedTuple):
    """The texts about a setting for `config/default.toml`."""

    description: str
    example: object = None


def declared(settings: type) -> dict[str, tuple[Any, About]]:
    """The type of each field and the texts about it, which stand in its annotation."""
    hints = get_type_hints(settings, include_extras=True)
    return {name: hint.__metadata__ for name, hint in hints.items()}


def parse_all(settings: object, types: Mapping[str, SettingType[Any]]) -> None:
    """Replace the value of each field by the parsed one. Raises WrongValueError."""
    for name, kind in types.items():
        try:
            # The class is frozen for all others.
            object.__setattr__(settings, name, kind.parse(getattr(settings, name)))
        except WrongValueError as error:
            raise WrongValueError((name, *error.keys), str(error)) from None
        except ValueError as error:
            raise WrongValueError((name,), str(error)) from None
