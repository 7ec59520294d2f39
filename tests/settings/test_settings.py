"""Where settings come from, what they may be, and what is said when they are wrong."""

import os
import re
import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.core.roots import Root
from scanner.errors import SettingsError
from scanner.settings.describe import default_toml, describe, toml_text
from scanner.settings.load import load
from scanner.settings.root_settings import RootSettings
from scanner.settings.schema import TYPES, Settings
from scanner.settings.values import format_duration, format_size, parse_duration, parse_size

CONFIG = Path(__file__).parents[2] / "config"
PROFILES = ["local", "nas", "wsl"]


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    """A user without any configuration; returns the working directory."""
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def refusal(options=(), environ=(), toml=None) -> str:
    """The sentence with which `load` refuses."""
    if toml is not None:
        Path("comfy_inventory.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(dict(options), environ=dict(environ))
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


# Single values.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("2m", 120),
        ("1h", 3600),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("1d", 86400),
        ("45", 45),
        (45, 45),
        (0.5, 0.5),
        (" 10 S ", 10),
        ("0", 0),
    ],
)
def test_durations_are_read(text, seconds) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "soon", "-5s", "5 weeks", "1h30m", "1e3", True, None, -1, "inf", "99999d", []]
)
def test_what_is_no_duration_is_refused_with_examples(text) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 30s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("10MB", 10_000_000), ("64KiB", 65536), ("1GB", 10**9), ("1.5 kb", 1500), (123, 123)],
)
def test_sizes_are_read(text, size) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "10 apples", "-1", None, True, float("nan"), 2**64])
def test_what_is_no_size_is_refused_with_examples(text) -> None:
    with pytest.raises(ValueError, match="expected a size such as 10MB"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=10**11))
def test_shown_durations_and_sizes_are_read_back(number: int) -> None:
    assert parse_size(format_size(number)) == number
    assert parse_duration(format_duration(number / 1000)) == pytest.approx(number / 1000)


@pytest.mark.parametrize(
    ("seconds", "text"), [(900.0, "15m"), (90.5, "90.5s"), (0.5, "500ms"), (0.0, "0s")]
)
def test_durations_are_shown_in_the_unit_that_fits(seconds, text) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("text", ["auto", " Auto "])
def test_interval_may_be_left_to_the_program(text) -> None:
    settings = load({"every": text}, environ={}).settings
    assert (settings.every, settings.is_paced, settings.first_every) == ("auto", True, 30)
    assert ("every", "auto") in [row[:2] for row in describe(load({"every": text}, environ={}))]
    assert Settings().is_paced is False
    assert Settings(every=7.0).first_every == 7


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("@hourly", "0 * * * *"),
        (" @Daily ", "0 0 * * *"),
        ("@weekly # on Sundays", "0 0 * * 0"),
        ("0 4 * * * # night", "0 4 * * *"),
        ("0 4 * * 1\t#night", "0 4 * * 1"),
    ],
)
def test_crontab_names_and_comments_are_understood(line: str, fields: str) -> None:
    assert load({"cron": line}, environ={}).settings.cron == fields


def test_crontab_line_wins_over_auto() -> None:
    assert load({"every": "auto", "cron": "0 4 * * *"}, environ={}).settings.is_paced is False


def test_auto_can_be_said_anywhere(nobody) -> None:
    assert load({}, environ={"COMFY_INVENTORY_EVERY": "auto"}).settings.is_paced
    Path("comfy_inventory.toml").write_text('every = "auto"\nauto_duty = "3%"\n')
    loaded = load({}, environ={})
    assert loaded.settings.is_paced
    assert loaded.settings.auto_duty == pytest.approx(0.03)


@pytest.mark.parametrize("text", ["soon", "automatic", "-1s"])
def test_interval_that_is_none_is_refused_with_what_may_stand_there(text) -> None:
    told = refusal({"every": text})
    assert "every" in told
    assert "30s" in told
    assert "auto" in told


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), (" 12.5 % ", 0.125), ("0.5", 0.5)])
def test_fractions_are_read(text, share) -> None:
    assert load({"auto_duty": text}, environ={}).settings.auto_duty == pytest.approx(share)


@pytest.mark.parametrize("text", ["0%", "101%", "2", "%", "two", "2%%", "-1%", True])
def test_what_is_no_fraction_is_refused(text) -> None:
    assert "expected a fraction above 0 and up to 1" in refusal({"auto_duty": text})


@pytest.mark.parametrize("text", ["50MB/s", "50MB", " 50 mb/s", 50_000_000])
def test_rate_is_written_in_settings_as_in_the_option(nobody, text) -> None:
    assert load({"hash_rate": text}, environ={}).settings.hash_rate == 50_000_000


@pytest.mark.parametrize("text", ["fast", "50MB/min", "/s", -1, True])
def test_what_is_no_rate_is_refused(text) -> None:
    assert "expected a rate such as 50MB/s" in refusal({"hash_rate": text})


# Where values come from.


def test_option_beats_environment_beats_file_beats_profile_beats_default(nobody) -> None:
    file = nobody / "comfy_inventory.toml"
    file.write_text('every = "11s"\ncron = "0 0 * * *"\nlog_level = "error"\nprofile = "nas"\n')
    environ = {"COMFY_INVENTORY_EVERY": "12s", "COMFY_INVENTORY_CRON": "1 1 * * *"}
    loaded = load({"every": "13s"}, environ=environ)
    values = loaded.settings
    assert (values.every, values.cron, values.log_level) == (13, "1 1 * * *", "error")
    assert (values.move_window, values.loss_files) == (3600, 20)
    assert {name: loaded.origins[name] for name in ("every", "cron", "log_level")} == {
        "every": "option",
        "cron": "environment COMFY_INVENTORY_CRON",
        "log_level": f"file {file}",
    }
    assert loaded.origins["move_window"] == "profile nas"
    assert loaded.origins["loss_files"] == "default"
    assert loaded.config == str(file)


def test_without_any_source_everything_is_default() -> None:
    loaded = load({"every": None, "models": (), "extra": []}, environ={"COMFY_INVENTORY_CRON": ""})
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.config is None


def test_the_real_environment_is_not_read_behind_the_callers_back(monkeypatch) -> None:
    monkeypatch.setenv("COMFY_INVENTORY_EVERY", "7s")
    monkeypatch.setenv("EVERY", "8s")
    assert load({}, environ={}).settings.every == Settings().every == 30


@pytest.mark.parametrize("how", ["option", "environment", "file"])
def test_profile_can_be_named_anywhere(how, nobody) -> None:
    options, environ = {}, {}
    if how == "option":
        options = {"profile": "nas"}
    elif how == "environment":
        environ = {"COMFY_INVENTORY_PROFILE": "nas"}
    else:
        (nobody / "comfy_inventory.toml").write_text('profile = "nas"')
    assert load(options, environ=environ).origins["every"] == "profile nas"


@pytest.mark.parametrize("how", ["option", "environment"])
def test_named_file_is_read_instead_of_the_usual_one(how, nobody, tmp_path) -> None:
    (nobody / "comfy_inventory.toml").write_text('every = "5s"')
    named = tmp_path / "other.toml"
    named.write_text('every = "6s"')
    options = {"config": named} if how == "option" else {}
    environ = {"COMFY_INVENTORY_CONFIG": "../other.toml"} if how == "environment" else {}
    assert load(options, environ=environ, cwd=nobody).settings.every == 6


def test_file_of_the_user_is_read_where_the_working_directory_has_none(nobody, monkeypatch) -> None:
    folder = str(nobody / "user")
    monkeypatch.setattr("scanner.settings.sources.config_folder", lambda: folder)
    (nobody / "user").mkdir()
    (nobody / "user" / "config.toml").write_text('every = "9s"')
    assert load({}, environ={}).settings.every == 9
    (nobody / "comfy_inventory.toml").write_text('every = "8s"')
    assert load({}, environ={}).settings.every == 8


def test_lists_in_the_environment_are_split() -> None:
    settings = load(
        {},
        environ={
            "COMFY_INVENTORY_MODELS": os.pathsep.join(("/a", "b")),
            "COMFY_INVENTORY_EXTRA": '["/c:d", "/e"]',
            "COMFY_INVENTORY_IGNORE": "*.a, *.b\n[cd].e",
            "COMFY_INVENTORY_PER_ROOT": '{"downloads": {"loss_files": 5}}',
        },
    ).settings
    assert settings.models == (Path("/a"), Path("b"))
    assert settings.extra == (Path("/c:d"), Path("/e"))
    assert settings.ignore == ("*.a", "*.b", "[cd].e")
    assert settings.per_root == {"downloads": RootSettings(loss_files=5)}


def test_patterns_in_the_environment_may_start_with_a_bracket() -> None:
    environ = {"COMFY_INVENTORY_IGNORE": "[ab].x,*.y"}
    assert load({}, environ=environ).settings.ignore == ("[ab].x", "*.y")


def test_relative_paths_in_a_file_start_at_its_folder(nobody, tmp_path) -> None:
    folder = tmp_path / "conf {0}"
    folder.mkdir()
    file = folder / "my.toml"
    file.write_text('output = "out/a.json"\nmodels = ["../m", "~/n"]\nextra = "/x"', "utf-8")
    loaded = load({"config": file, "log_file": "a.log"}, environ={"HOME": "/home/me"})
    assert loaded.settings.output == folder / "out" / "a.json"
    assert loaded.settings.models == (tmp_path / "m", Path("/home/me/n"))
    assert loaded.settings.extra == (Path("/x"),)
    assert loaded.settings.log_file == Path("a.log")
    assert loaded.origins["output"] == f"file {file}"


def test_home_is_expanded_in_options_and_environment() -> None:
    environ = {"HOME": "/home/me", "COMFY_INVENTORY_EXTRA": "~/x"}
    settings = load({"comfy_root": Path("~/ComfyUI"), "models": ["~"]}, environ=environ).settings
    assert settings.comfy_root == Path("/home/me/ComfyUI")
    assert settings.models == (Path("/home/me"),)
    assert settings.extra == (Path("/home/me/x"),)


def test_file_saved_by_a_windows_editor_is_read(nobody) -> None:
    (nobody / "comfy_inventory.toml").write_bytes('\ufeffevery = "5s"\r\n'.encode())
    assert load({}, environ={}).settings.every == 5


# Per-root settings.


def test_id_overrides_path_overrides_kind_and_patterns_add_up(nobody) -> None:
    (nobody / "comfy_inventory.toml").write_text(
        """
ignore = ["*.all"]
loss_files = 1
[per_root.models]
ignore = ["*.kind"]
loss_files = 2
loss_fraction = 0.2
[per_root."/m"]
ignore = ["*.path"]
loss_files = 3
[per_root."models:/m"]
ignore = ["*.id"]
loss_files = 4
"""
    )
    settings = load({}, environ={}).settings
    assert settings.for_root(Root("models", "/m")) == (
        ("*.all", "*.kind", "*.path", "*.id"),
        0.2,
        4,
    )
    assert settings.for_root(Root("extra", "/m")) == (("*.all", "*.path"), 0.5, 3)
    assert settings.for_root(Root("extra", "/e")) == (("*.all",), 0.5, 1)


def test_relative_and_home_paths_name_roots(nobody) -> None:
    (nobody / "comfy_inventory.toml").write_text(
        '[per_root."./m"]\nloss_files = 1\n[per_root."extra:~/e"]\nloss_files = 2\n'
    )
    settings = load({}, environ={"HOME": "/home/me"}).settings
    assert settings.for_root(Root("models", str(nobody / "m"))).loss_files == 1
    assert settings.for_root(Root("extra", "/home/me/e")).loss_files == 2


# Refusals.


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("every", "0.5s", "expected at least 1s, not 500ms"),
        ("every", "often", "expected a duration such as 30s"),
        ("cron", "* * *", "expected five fields"),
        ("cron", "@reboot", "expected five fields"),
        ("loss_fraction", "0", "expected a fraction above 0 and up to 1"),
        ("loss_fraction", "150%", "expected a fraction above 0 and up to 1"),
        ("loss_files", "1.5", "expected a whole number"),
        ("journal_size", "0", "expected at least 1"),
        ("journal_files", "0", "expected at least 1"),
        ("follow_links", "maybe", "expected true or false"),
        ("log_level", "loud", "expected one of debug, info, warning, error"),
        ("profile", "nass", "did you mean nas?"),
        ("per_root", "[1", "expected JSON"),
        ("per_root", "[1]", "expected a table"),
        ("per_root", '{"download": {}}', "did you mean downloads?"),
        ("per_root", '{"downloads": {"ignored": []}}', "did you mean ignore?"),
    ],
)
def test_wrong_value_is_refused_naming_setting_place_and_expectation(name, value, expected) -> None:
    variable = "COMFY_INVENTORY_" + name.upper()
    sentence = refusal(environ={variable: value})
    assert sentence.startswith(name)
    assert f"(environment {variable})" in sentence
    assert expected in sentence


def test_wrong_option_is_named_as_typed() -> None:
    assert refusal({"move_window": "x"}).startswith("move_window (option --move-window): expected")


@pytest.mark.parametrize(
    ("toml", "line", "expected"),
    [
        ('# every = "2s"\n\nunsettled_every = "3m"\nevery = "x"\n', 4, "every (.*a duration"),
        ('every = "5s"\nloss_fraction = 2', 2, "loss_fraction (.*a fraction"),
        ("ignore = 5", 1, "ignore (.*a list of patterns"),
        ("ignore = [5]", 1, r"ignore (.*patterns such as '\*.tmp'"),
        ("extra = [5]", 1, "extra (.*a path"),
        ('output = ""', 1, "output (.*a path"),
        ("follow_links = 3", 1, "follow_links (.*true or false"),
        ('\nevrey = "5s"', 2, "evrey (.*did you mean every?"),
        ('\nmove-window = "5s"', 2, "move-window (.*did you mean move_window?"),
        ("[models]", 1, "models (.*a list of paths"),
        ("[per_root.downloads]\nignore=[]\nloss_files='x'", 3, "per_root.downloads.loss_files ("),
        ("[per_root.'/m']\n\nlos_files = 1", 3, "per_root./m.los_files (.*mean loss_files?"),
        ("per_root = 1", 1, "per_root (.*a table"),
        ('every = "5s"\ncron = ', 2, "expected TOML"),
        ('output = "C:\\Users"', 1, "expected TOML.*single quotes"),
        ('every = "5s"\nevery = "6s"', 2, "expected TOML"),
        ('profile = "nowhere"', 1, "profile (.*expected one of .*local, nas, wsl"),
        ("profile = 3", 1, "profile (.*expected one of"),
    ],
)
def test_wrong_file_is_refused_naming_file_and_line(toml, line, expected, nobody) -> None:
    sentence = refusal(toml=toml)
    assert f"file {nobody / 'comfy_inventory.toml'}, line {line}" in sentence
    assert re.search(expected.replace("(", r"\(").replace("?", r"\?"), sentence), sentence


def test_file_that_is_not_utf8_is_refused_with_its_line(nobody) -> None:
    (nobody / "comfy_inventory.toml").write_bytes(b'every = "5s"\n# caf\xe9\n')
    assert "line 2): expected UTF-8" in refusal()


@pytest.mark.parametrize("where", ["option", "environment"])
def test_missing_named_file_is_refused(where) -> None:
    options = {"config": "gone.toml"} if where == "option" else {}
    environ = {"COMFY_INVENTORY_CONFIG": "gone.toml"} if where == "environment" else {}
    sentence = refusal(options, environ)
    assert sentence.startswith(f"config ({where}")
    assert "gone.toml" in sentence


@pytest.mark.parametrize(
    ("options", "environ"),
    [({"evry": "5s"}, {}), ({}, {"COMFY_INVENTORY_EVRY": "5s"})],
)
def test_unknown_setting_is_refused_with_a_suggestion(options, environ) -> None:
    assert "did you mean every?" in refusal(options, environ)


# The shipped files.


def test_default_file_is_what_the_program_renders() -> None:
    assert (CONFIG / "default.toml").read_text(encoding="utf-8") == default_toml()


def test_default_file_changes_nothing(tmp_path) -> None:
    loaded = load({"config": CONFIG / "default.toml"}, environ={})
    assert loaded.settings == Settings()
    assert load({"profile": "default"}, environ={}).settings.every == Settings().every


def test_default_file_shows_every_setting_in_valid_form(nobody) -> None:
    uncommented = re.sub(r"^# (?=\[?[\w.]+(\]| = ))", "", default_toml(), flags=re.MULTILINE)
    assert set(tomllib.loads(uncommented)) == set(TYPES)
    (nobody / "comfy_inventory.toml").write_text(uncommented, encoding="utf-8")
    assert load({}, environ={}).settings.per_root["downloads"] == RootSettings(
        ignore=("*.bak",), loss_fraction=0.9, loss_files=100
    )


def test_ignore_and_per_root_add_to_those_of_the_profile(nobody) -> None:
    toml = 'profile = "wsl"\nignore = ["*.tmp"]\n'
    (nobody / "comfy_inventory.toml").write_text(toml, encoding="utf-8")
    loaded = load({}, environ={})
    assert loaded.settings.ignore == ("*:Zone.Identifier", "*.tmp")
    assert loaded.origins["ignore"].endswith("comfy_inventory.toml, profile wsl")
    loaded = load({"ignore": ["*.bak"]}, environ={})
    assert loaded.settings.ignore == ("*:Zone.Identifier", "*.bak")
    alone = load({"profile": "local"}, environ={}).settings.per_root["downloads"]
    own = {"downloads": {"ignore": ["*.log"]}, "input": {"ignore": ["x"]}}
    both = load({"profile": "local", "per_root": own}, environ={}).settings.per_root
    assert both["downloads"].ignore == (*(alone.ignore or ()), "*.log")
    assert both["downloads"].loss_files == alone.loss_files
    assert both["input"].ignore == ("x",)
    other = load({"profile": "local", "per_root": {"input": {"ignore": ["x"]}}}, environ={})
    assert other.settings.per_root["downloads"] == alone, "that of the profile stays"


def test_without_a_profile_an_option_replaces_what_the_file_says(nobody) -> None:
    (nobody / "comfy_inventory.toml").write_text('ignore = ["*.tmp"]\n', encoding="utf-8")
    loaded = load({"ignore": ["*.bak"]}, environ={})
    assert loaded.settings.ignore == ("*.bak",)
    assert loaded.origins["ignore"] == "option"


@pytest.mark.parametrize("name", PROFILES)
def test_profile_is_valid_and_gives_a_reason_for_each_setting(name) -> None:
    text = (CONFIG / f"{name}.toml").read_text(encoding="utf-8")
    loaded = load({"profile": name}, environ={})
    changed = {key for key, origin in loaded.origins.items() if origin == f"profile {name}"}
    assert changed == set(tomllib.loads(text))
    for key in changed - {"per_root"}:
        assert getattr(loaded.settings, key) != getattr(Settings(), key), "repeats the default"
        assert re.search(rf"^# .*\n{key} = ", text, re.MULTILINE), f"{key} has no reason"


def test_settings_are_described_as_a_file_would_have_them(nobody) -> None:
    loaded = load({"every": "90", "models": ["/a"], "journal_size": 65536}, environ={})
    shown = {name: (value, origin) for name, value, origin in describe(loaded)}
    assert list(shown) == list(TYPES)
    assert shown["every"] == ("90s", "option")
    assert shown["models"] == (["/a"], "option")
    assert shown["journal_size"] == ("64KiB", "option")
    assert shown["comfy_root"] == (None, "default")
    texts = {name: toml_text(value) for name, (value, _) in shown.items()}
    assert (texts["every"], texts["comfy_root"]) == ('"90s"', "(not set)")
    lines = [f"{name} = {text}" for name, text in texts.items() if text != "(not set)"]
    assert tomllib.loads("\n".join(lines))["every"] == "90s"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().every = 5.0  # type: ignore[misc]


def no_home(*_: object, **__: object) -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_settings_need_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry in the system's table."""
    monkeypatch.setattr(Path, "home", no_home)
    assert load({"models": ["/m"]}, environ={}).settings.models == (Path("/m"),)
    with pytest.raises(SettingsError, match="no home folder is known"):
        load({"models": ["~/m"]}, environ={})


def test_settings_need_no_folder_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """platformdirs raises, or leaves the ~, where the system knows no home."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platformdirs, "user_config_dir", no_home)
    assert load({"models": ["/m"]}).config is None
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: "~/.config/it")
    os.makedirs("~/.config/it")
    Path("~/.config/it/config.toml").write_text("profile = 1")
    assert load({"models": ["/m"]}).config is None


# Values of any depth and size.


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("models", "[" * 100_000, "expected JSON, but it is nested too deeply"),
        ("per_root", '{"a":' * 100_000, "expected JSON, but it is nested too deeply"),
        ("ignore", ",".join(["*.x"] * 5000), "expected at most 1,000 patterns, not 5,000"),
        ("ignore", "x" * 5000, "expected patterns of at most 1,000 characters, not one of 5,000"),
        ("workers", "9" * 5000, "expected a whole number"),
        ("every", "9" * 5000, "expected a duration"),
    ],
)
def test_values_of_any_size_end_in_one_short_sentence(name, text, sentence) -> None:
    refused = refusal(environ={f"COMFY_INVENTORY_{name.upper()}": text})
    assert sentence in refused
    assert len(refused) < 1100


def test_a_pattern_with_brackets_nested_in_any_depth_is_a_pattern() -> None:
    pattern = "[" * 900
    loaded = load({}, environ={"COMFY_INVENTORY_IGNORE": pattern})
    assert loaded.settings.ignore == (pattern,)
