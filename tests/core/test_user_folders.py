"""The user's folders are those that platformdirs names, also where it is not imported for them."""

from __future__ import annotations

import os
import sys

import platformdirs
import pytest

from scanner.core.user_folders import config_folder, state_folder

PROGRAM = "comfy-inventory"
CASES: list[dict[str, str]] = [
    {},
    {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"},
    {"XDG_CONFIG_HOME": "", "XDG_STATE_HOME": "  "},
    {"XDG_CONFIG_HOME": "/c/", "XDG_STATE_HOME": "/s/../t"},
    {"HOME": "/h/"},
    {"HOME": ""},
]


@pytest.mark.parametrize("variables", CASES, ids=str)
def test_folders_are_those_of_platformdirs(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert config_folder() == _absolute(platformdirs.user_config_dir(PROGRAM, appauthor=False))
    assert state_folder() == _absolute(platformdirs.user_state_dir(PROGRAM))


def _absolute(folder: str) -> str:
    return folder if os.path.isabs(folder) else ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="variables of XDG")
def test_relative_folders_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder is no home."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert config_folder() in ("", os.path.expanduser(f"~/.config/{PROGRAM}"))
