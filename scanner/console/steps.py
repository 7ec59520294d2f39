"""The steps of a command that turn its options into settings, roots and files. Without Typer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scanner.console.terminal import echo_error
from scanner.errors import OutputError, SettingsError

if TYPE_CHECKING:
    from scanner.comfyui.installation import Found
    from scanner.output.file_names import Outputs
    from scanner.settings.load import Loaded
    from scanner.settings.schema import Settings

_Value = TypeVar("_Value")


def _cwd() -> str:
    """The current folder. Raises SettingsError if it was removed."""
    try:
        return os.getcwd()
    except OSError as error:
        raise SettingsError(
            f"The current folder cannot be used ({error.strerror}): change to another one."
        ) from None


def _load(options: Mapping[str, Any]) -> Loaded:
    """The settings, from these options and all other sources."""
    from scanner.settings.load import load

    return load(options, environ=os.environ, cwd=_cwd())


def _checked(option: str, read: Callable[[Any], _Value], value: object) -> _Value:
    try:
        return read(value)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from None


def _one_of(option: str, text: str, choices: Collection[str]) -> str:
    """The choice that `text` names; capitals do not matter. Raises SettingsError."""
    word = text.strip().lower()
    if word not in choices:
        raise SettingsError(f"{option}: expected one of {', '.join(choices)}, not {text!r}.")
    return word


def _seconds(option: str, text: str) -> float:
    from scanner.settings.values import parse_duration

    return _checked(option, parse_duration, text)


def _fraction(option: str, text: str) -> float:
    from scanner.settings.values import parse_fraction

    return _checked(option, parse_fraction, text)


def _rate(text: str) -> int:
    from scanner.settings.values import parse_rate

    return _checked("--rate", parse_rate, text)


def _finder(settings: Settings, comfy_root: str | None = None) -> Callable[[], Found]:
    """A function that finds the roots of `settings`. `comfy_root` was found before."""
    from scanner.comfyui.installation import find_roots

    if comfy_root is not None:
        settings = replace(settings, comfy_root=Path(comfy_root))
    cwd, home = _cwd(), os.path.expanduser("~")
    return lambda: find_roots(settings, cwd=cwd, home=home, environ=os.environ)


def _find_roots(loaded: Loaded, tell: Any = None) -> Found:
    found = _finder(loaded.settings)()
    import logging

    log = logging.getLogger("scanner")
    for notice in found.notices:
        (tell or log.info)(notice)
    for warning in found.warnings:
        (tell or log.warning)(warning)
    return found


def _tell_plainly(text: str) -> None:
    echo_error(text)


def _tell_on_terminal(text: str) -> None:
    if sys.stderr.isatty():
        echo_error(f"{text} ...", dim=True)


def _outputs(loaded: Loaded) -> Outputs:
    from scanner.disk.filesystem import DiskFileSystem
    from scanner.output.file_names import outputs_of

    return outputs_of(loaded.settings, DiskFileSystem(), _cwd())


def _known_outputs(loaded: Loaded) -> Outputs:
    """The files to read: those of the settings or here, else those that were written last."""
    here = _outputs(loaded)
    files = (here.inventory, here.status, here.journal)
    if loaded.origins["output"] != "default" or any(map(os.path.lexists, files)):
        return here
    from scanner.output.last_output import last_output

    last = last_output()
    if not last or not os.path.exists(last):
        return here
    _tell_plainly(f"No inventory here; reading {last}, which was written last (-o names another).")
    return _outputs(replace(loaded, settings=replace(loaded.settings, output=Path(last))))


def _start_log(loaded: Loaded, *, utc: bool = False) -> None:
    from scanner.console.log import start_log

    try:
        start_log(loaded.settings, _log_check(loaded), utc=utc)
    except OutputError as error:
        raise SettingsError(f"log_file: {error}") from None
    except OSError as error:
        raise SettingsError(
            f"log_file: {error.filename} cannot be written: {error.strerror}."
        ) from None


def _log_check(loaded: Loaded) -> Callable[[], None]:
    """Make a function that refuses a log file that is not ours; it was called once."""
    if loaded.settings.log_file is None:
        return lambda: None
    from scanner.output.refusals import refuse_log_file

    outputs = _outputs(loaded)
    refuse_log_file(outputs)
    return lambda: refuse_log_file(outputs)
