"""`comfy-inventory config show` names the source of each setting."""

from __future__ import annotations

import re
import sys

import pytest

from tests.support.installation import parsed
from tests.support.machine import Machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def test_settings_name_where_they_come_from(untouched: Machine) -> None:
    config = untouched.work / "my.toml"
    config.write_text('profile = "nas"\nmove_window = "20m"\nlog_level = "debug"\n')
    arguments = ("config", "show", "--config", "my.toml", "--every", "7s")
    environ = {"COMFY_INVENTORY_LOG_LEVEL": "warning", "COMFY_INVENTORY_EVERY": "9s"}
    settings = parsed(untouched.run(*arguments, "--json", environ=environ))["settings"]
    names = ("every", "log_level", "move_window", "unsettled_every", "journal_files")
    assert {name: (settings[name]["value"], settings[name]["origin"]) for name in names} == {
        "every": ("7s", "option"),
        "log_level": ("warning", "environment COMFY_INVENTORY_LOG_LEVEL"),
        "move_window": ("20m", f"file {config}"),
        "unsettled_every": ("30m", "profile nas"),
        "journal_files": (5, "default"),
    }
    text = untouched.run(*arguments, environ=environ).stdout
    assert re.search(r'^every +option +"7s"$', text, re.MULTILINE)
    assert re.search(r'^unsettled_every +profile nas +"30m"$', text, re.MULTILINE)
