"""Settings are changed in a file, and all else that stands in it stays."""

import pytest

from scanner.commands.settings_file import edit_settings
from scanner.core import bounded_toml
from scanner.errors import SettingsError
from scanner.settings.editing import edited

PATH = "/x/comfy_inventory.toml"

COMMENTED = """\
# mine
every = "5m"   # often enough

# why
models = [
    "/nas/models",  # the big one
]

[per_root.downloads]
ignore = ["*.bak"]
# the end
"""


def test_a_changed_value_keeps_its_comment_and_all_other_lines() -> None:
    assert edited(COMMENTED, {"every": "1h"}, PATH) == COMMENTED.replace('"5m"', '"1h"')


def test_an_equal_value_keeps_its_form() -> None:
    assert edited(COMMENTED, {"every": "5m", "models": ["/nas/models"]}, PATH) == COMMENTED


def test_an_equal_value_keeps_its_form_beside_a_changed_one() -> None:
    text = edited(COMMENTED, {"every": "1h", "models": ["/nas/models"]}, PATH)
    assert text == COMMENTED.replace('"5m"', '"1h"')


def test_a_new_setting_stands_before_the_first_table() -> None:
    text = edited(COMMENTED, {"duty": 0.1}, PATH)
    assert bounded_toml.loads(text) == {**bounded_toml.loads(COMMENTED), "duty": 0.1}
    assert [line for line in text.splitlines() if line not in COMMENTED.splitlines()] == [
        "duty = 0.1"
    ]
    assert "# the end" in text


def test_none_removes_a_setting() -> None:
    assert "every" not in edited(COMMENTED, {"every": None}, PATH)
    assert edited(COMMENTED, {"duty": None}, PATH) == COMMENTED


def test_an_empty_text_becomes_a_file() -> None:
    assert edited("", {"profile": "nas"}, PATH) == 'profile = "nas"\n'


def test_lines_end_as_in_the_file() -> None:
    windows = COMMENTED.replace("\n", "\r\n")
    text = edited(windows, {"duty": 0.1}, PATH)
    assert text.count("\n") == text.count("\r\n") == COMMENTED.count("\n") + 1


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("", {"every": "soon"}, "line 1.*expected a duration"),
        ("", {"evry": "5m"}, "did you mean every"),
        ("", {"profile": "nass"}, "did you mean nas"),
        ("every = = 1", {"duty": 0.1}, "line 1: expected TOML"),
        ("every = 'soon'", {"duty": 0.1}, "expected a duration"),
        ("a" + ".a" * 40 + " = 1", {"duty": 0.1}, "dots"),
    ],
)
def test_nothing_wrong_is_accepted_or_made(text: str, values: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        edited(text, values, PATH)


def test_the_file_is_written_only_if_something_changes(tmp_path) -> None:
    path = tmp_path / "comfy_inventory.toml"
    assert edit_settings(str(path), {"every": "1h"})
    before = path.stat()
    assert not edit_settings(str(path), {"every": "1h"})
    assert path.stat().st_ino == before.st_ino
    with pytest.raises(SettingsError):
        edit_settings(str(path), {"every": "never"})
    assert path.read_text() == 'every = "1h"\n'
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
