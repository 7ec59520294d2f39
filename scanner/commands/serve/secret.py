"""The token of a server: where it comes from, and the one that is made where nobody names one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from scanner.core.serialize import printable
from scanner.core.user_folders import state_folder
from scanner.errors import OutputError, SettingsError

VARIABLE = "COMFY_INVENTORY_TOKEN"

SHORTEST = 8
"""Characters of a token that a person may choose."""

_NAME = "serve.token"

_LONGEST = 4096


class Secret(NamedTuple):
    """A token, and whether a person chose it."""

    token: str
    is_chosen: bool
    path: str = ""
    """The file that holds it."""


def read_secret(token_file: str, environ: Mapping[str, str]) -> Secret:
    """The token of the file or the environment, else the one of the user's state folder, which is
    made where there is none. Raises SettingsError and OutputError."""
    if token_file:
        return Secret(_checked("--token-file", _first_line(token_file)), True, token_file)
    if text := environ.get(VARIABLE, "").strip():
        return Secret(_checked(VARIABLE, text), True)
    folder = state_folder()
    if not folder:
        raise SettingsError(
            f"--token-file: expected a file, since no home folder is known here; or set {VARIABLE}."
        )
    path = os.path.join(folder, _NAME)
    return Secret(_made_once(folder, path), False, path)


def _checked(source: str, text: str) -> str:
    if len(text) < SHORTEST or not text.isprintable():
        raise SettingsError(
            f"{source}: expected a token of at least {SHORTEST} characters in one line."
        )
    return text


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline(_LONGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"--token-file: {printable(path)} cannot be read: {reason}.") from None


def _made_once(folder: str, path: str) -> str:
    """The token in the file at `path`, which only the user may read."""
    token = secrets.token_urlsafe(32)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            found = _first_line(path)
            if len(found) >= SHORTEST and _is_private(path):
                return found
            os.unlink(path)  # left half written, or others could read it
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{token}\n")
    except OSError as error:
        raise OutputError(
            f"The token cannot be kept in {printable(path)}: {error.strerror}; --token-file names "
            f"another file."
        ) from None
    return token


def _is_private(path: str) -> bool:
    return os.name == "nt" or not os.stat(path).st_mode & 0o077
