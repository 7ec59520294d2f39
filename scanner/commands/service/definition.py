"""The command line that a service runs: the options of `service install`, as `run` takes them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import scanner
from scanner.comfyui.installation import Found
from scanner.core.serialize import is_utf8, printable
from scanner.errors import InventoryError, SettingsError
from scanner.settings.load import Loaded
from scanner.settings.sources import ENVIRONMENT, ENVIRONMENT_PREFIX, OPTION

CACHES = {"archive-v0", ".cache"}
"""Folders in which uvx and `pipx run` keep what they install for one run."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One service: the program, its arguments, and the user that it runs as."""

    program: tuple[str, ...]
    arguments: tuple[str, ...]
    user: str

    @property
    def command(self) -> tuple[str, ...]:
        """The whole command line."""
        return (*self.program, *self.arguments)


def run_arguments(
    names: Iterable[str],
    options: Mapping[str, object],
    environ: Mapping[str, str],
    loaded: Loaded,
    found: Found,
    inventory: str,
    cwd: str,
) -> tuple[str, ...]:
    """The arguments of `run` that mean the same in any folder and without this environment.

    `names` are the options of `run`. Settings of a file stay there, and the file is named.

    Raises SettingsError if a setting comes from a variable and `run` has no option for it.
    """
    names = tuple(names)
    _refuse_variables(names, loaded)
    values: dict[str, tuple[str, ...]] = {}
    if loaded.config:
        values["config"] = (os.path.join(cwd, loaded.config),)
    for name in names:
        if name in loaded.origins and loaded.origins[name].startswith((OPTION, ENVIRONMENT)):
            values[name] = _values(name, options, environ, loaded, cwd)
    if loaded.origins["comfy_root"] == "default" and found.comfy_root is not None:
        values["comfy_root"] = (found.comfy_root,)
    if loaded.origins["output"] == "default":
        values["output"] = (inventory,)
    arguments = ["run"]
    for name, texts in values.items():
        for text in texts:
            arguments += [f"--{name.replace('_', '-')}", _plain(name, text)]
    return tuple(arguments)


def _refuse_variables(names: tuple[str, ...], loaded: Loaded) -> None:
    for name, origin in loaded.origins.items():
        if origin.startswith(ENVIRONMENT) and name not in names:
            variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
            raise SettingsError(
                f"{name} (environment {variable}): a service does not see this variable; put "
                f"{name} into a settings file and unset it."
            )


def _values(
    name: str,
    options: Mapping[str, object],
    environ: Mapping[str, str],
    loaded: Loaded,
    cwd: str,
) -> tuple[str, ...]:
    """The values of an option: paths made absolute, everything else as it was typed."""
    value = getattr(loaded.settings, name)
    paths = value if isinstance(value, tuple) else (value,)
    if paths and all(isinstance(path, Path) for path in paths):
        return tuple(os.path.abspath(os.path.join(cwd, path)) for path in paths)
    typed = options.get(name)
    return (str(environ[ENVIRONMENT_PREFIX + name.upper()] if typed is None else typed),)


def _plain(name: str, text: str) -> str:
    """`text`, if the files of all service managers can hold it. Raises SettingsError."""
    if not is_utf8(text) or not text.isprintable():
        raise SettingsError(
            f"{name}: {printable(text)} holds characters that the file of a service cannot hold; "
            "use a link with a plain name."
        )
    return text


def program_of(argv0: str, windowless: bool = sys.platform == "win32") -> tuple[str, ...]:
    """The command that starts this program from anywhere; `argv0` is what started this process.

    Raises InventoryError if there is none that lasts.
    """
    if CACHES & set(Path(sys.prefix).parts):
        raise InventoryError(
            f"This comfy-inventory lies in a cache ({sys.prefix}) that may be emptied: install it "
            "with `uv tool install` or `pipx install` first."
        )
    if windowless:
        # The installed script would open a console window.
        python = Path(sys.executable).with_name("pythonw.exe")
        return (str(python if python.exists() else sys.executable), "-P", "-m", "scanner")
    beside = os.path.join(os.path.dirname(sys.executable), "comfy-inventory")
    typed = os.path.abspath(argv0) if os.path.basename(argv0) == "comfy-inventory" else ""
    for script in (typed, beside, shutil.which("comfy-inventory") or ""):
        if script and os.access(script, os.X_OK):
            return (_plain("The program's path", os.path.abspath(script)),)
    raise InventoryError(
        f"comfy-inventory {scanner.__version__} is not installed, and a service needs its command: "
        "run `make install` in the checkout, or install it with `uv tool install` or `pipx "
        "install`."
    )
