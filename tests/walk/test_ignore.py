"""What the ignore rules leave out and what they must never leave out."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.core.roots import Root
from scanner.errors import SettingsError
from scanner.settings.root_settings import RootSettings
from scanner.settings.schema import Settings
from scanner.walk.ignore import DEFAULT_PATTERNS, IgnoreRules, rules_for
from tests.support.names import names

DEFAULTS = IgnoreRules(DEFAULT_PATTERNS)
INSTALLATION = Path(__file__).parents[1] / "data" / "comfyui_install.tsv"


@pytest.mark.parametrize(
    ("path", "is_directory"),
    [
        ("loras/.DS_Store", False),
        ("._model.safetensors", False),
        ("a/Thumbs.db", False),
        ("a/thumbs.db", False),
        ("a/desktop.ini", False),
        ("$RECYCLE.BIN", True),
        ("System Volume Information", True),
        ("lost+found", True),
        (".Trash-1000", True),
        ("loras/@eaDir", True),
        ("#recycle", True),
        (".recycle", True),
        (".deleted", True),
        ("~snapshot", True),
        (".@__qini", True),
        ("@SynoResource", False),
        ("Network Trash Folder", True),
        (".glusterfs", True),
        (".AppleDB", True),
        ("RECYCLER", True),
        (".~lock.notes.odt#", False),
        ("~$notes.docx", False),
        ("#snapshot", True),
        (".snapshot", True),
        (".nfs000000000123abcd00000001", False),
        ("pack/.git", True),
        ("pack/nodes/__pycache__", True),
        ("pack/nodes.pyc", False),
        ("pack/web/node_modules", True),
        ("pack/.venv", True),
        (".ipynb_checkpoints", True),
        ("loras/put_loras_here", False),
        ("_output_images_will_be_put_here", False),
    ],
)
def test_litter_is_left_out(path: str, is_directory: bool) -> None:
    assert DEFAULTS.ignores(path, is_directory)


@pytest.mark.parametrize(
    ("path", "is_directory"),
    [
        ("loras/a.safetensors", False),
        # downloads in progress
        ("a.safetensors.part", False),
        ("a.safetensors.crdownload", False),
        ("a.safetensors.aria2", False),
        ("Unconfirmed 123456.smdownload", False),
        (".cache/huggingface/download/x.incomplete", False),
        ("a.tmp", False),
        # disabled node packs
        ("ComfyUI-Pack.disabled", True),
        ("node.py.disabled", False),
        (".disabled", True),
        (".disabled/ComfyUI-Pack@1_0_2", True),
        # names that only resemble litter
        ("put_it_here", True),
        ("venv", False),
        (".nfsmodels", True),
        (".gitignore", False),
        ("thumbs.db.safetensors", False),
    ],
)
def test_what_matters_is_kept(path: str, is_directory: bool) -> None:
    assert not DEFAULTS.ignores_within(path, is_directory)


def test_an_installation_loses_its_placeholders_only() -> None:
    with INSTALLATION.open(encoding="utf-8") as lines:
        paths = [row[0] for row in csv.reader(lines, delimiter="\t") if row[0][0] != "#"]
    left_out = {path.rpartition("/")[2] for path in paths if DEFAULTS.ignores_within(path, False)}
    assert "put_loras_here" in left_out
    assert all(name.endswith("_here") for name in left_out)


@pytest.mark.parametrize(
    ("patterns", "path", "is_directory", "expected"),
    [
        (("cache/",), "cache", True, True),
        (("cache/",), "cache", False, False),
        (("/top",), "top", False, True),
        (("/top",), "a/top", False, False),
        (("a/*.txt",), "a/b.txt", False, True),
        (("a/*.txt",), "x/a/b.txt", False, False),
        (("**/old/*.txt",), "x/old/b.txt", False, True),
        (("*.txt", "!keep.txt"), "a/keep.txt", False, False),
        (("!keep.txt", "*.txt"), "a/keep.txt", False, True),
        (("*",), "anything", False, True),
        (("\\!important",), "!important", False, True),
        (("[ab].bin",), "b.bin", False, True),
        (("trailing ",), "trailing", False, True),
        ((), ".DS_Store", False, False),
    ],
)
def test_patterns_mean_what_they_mean_to_git(
    patterns: tuple[str, ...], path: str, is_directory: bool, expected: bool
) -> None:
    assert IgnoreRules(patterns).ignores(path, is_directory) is expected


def test_what_lies_in_an_ignored_folder_is_ignored() -> None:
    rules = IgnoreRules(("cache/", "!keep.txt"))
    assert rules.ignores_within("a/cache/b/c.txt", False)
    assert rules.ignores_within("a/cache/keep.txt", False)
    assert not rules.ignores_within("a/cached/c.txt", False)


def test_names_that_are_not_utf8_can_be_matched() -> None:
    rules = IgnoreRules(("*.tmp", "b?d"))
    assert rules.ignores("caf\udce9.tmp", False)
    assert rules.ignores("\udcff/b\udce9d", True)
    assert not rules.ignores("caf\udce9.safetensors", False)


PATTERNS = st.text(alphabet="ab.*?[]!\\#/ ", min_size=1, max_size=6)
NAMES = st.text(alphabet="ab.!#[] ", min_size=1, max_size=5)


@given(st.lists(PATTERNS, max_size=4), st.lists(NAMES, min_size=1, max_size=3), st.booleans())
def test_the_shortcut_never_misses_a_match(
    patterns: list[str], names: list[str], is_directory: bool
) -> None:
    rules = IgnoreRules(tuple(patterns))
    path = "/".join(names)
    try:
        rules.ignores(path, is_directory)
        matches = rules._spec.match_file
        matched = matches(path + "/" if is_directory else path)
    except (ValueError, Warning, re.error):
        return  # malformed: refused before it gets here
    # A match that is there only because a folder above matches belongs to that folder.
    above = any(matches("/".join(names[:end]) + "/") for end in range(1, len(names)))
    if matched and not above:
        assert rules.ignores(path, is_directory)


ODD_PATTERNS = [
    "*.tmp",
    "/top",
    "a/*.bin",
    "**/old",
    "old/**",
    "*",
    "?x",
    "[a-c]*",
    "[!.]x",
    " x",
    "x ",
    "\\!x",
    "\\ ",
    "!*.pyc",
    "!.DS_Store",
    "gro*\udcdf",
    "\udcff*",
    "\u00e9?",
]
LIKE_PATTERNS = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            (
                *(
                    ".DS_Store",
                    "._",
                    "humbs.db",
                    "put_",
                    "_here",
                    ".pyc",
                    ".nfs",
                    "0f",
                    "old",
                    "top",
                ),
                *("old", "top", "x", " ", "!", ".", "#", "\udcff", "\udcdf", "gro", "\u00e9"),
            )
        ),
        min_size=1,
        max_size=3,
    ),
)


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([*DEFAULT_PATTERNS, *ODD_PATTERNS]) | PATTERNS, max_size=5),
    st.booleans(),
    st.sampled_from(["", "a/", "models/old/", "top/x/"]),
    st.lists(st.tuples(LIKE_PATTERNS | NAMES | names, st.booleans()), max_size=12),
)
def test_the_same_names_are_left_out_with_and_without_looking_for_suspects_first(
    patterns: list[str], has_defaults: bool, folder: str, entries: list[tuple[str, bool]]
) -> None:
    rules = IgnoreRules((*(DEFAULT_PATTERNS if has_defaults else ()), *patterns))
    try:
        matches = rules._spec.match_file
    except (ValueError, Warning, re.error):
        return  # malformed: refused before it gets here
    steps = folder.split("/")[:-1]
    if any(matches("/".join(steps[:end]) + "/") for end in range(1, len(steps) + 1)):
        return  # what is below is not asked about
    suspects = set(rules.suspects([name for name, _ in entries]))
    for name, is_directory in entries:
        expected = matches(folder + name + ("/" if is_directory else ""))
        assert rules.ignores(folder + name, is_directory) is expected
        assert name in suspects or not expected


def test_hardly_any_name_of_an_installation_is_suspect() -> None:
    with INSTALLATION.open(encoding="utf-8") as lines:
        paths = [row[0] for row in csv.reader(lines, delimiter="\t") if row[0][0] != "#"]
    every = [path.rpartition("/")[2] for path in paths]
    assert (
        len(IgnoreRules((*DEFAULT_PATTERNS, "a/*.bak", "/old")).suspects(every)) < len(every) / 20
    )


@pytest.mark.parametrize("pattern", ["!", "back\\", "[z-a]", "[[:alpha:]]", "#recycle/"])
def test_malformed_pattern_is_named(pattern: str) -> None:
    some = Settings(ignore=(pattern,))
    with pytest.raises(SettingsError) as refusal:
        rules_for(some, Root("models", "/models"))
    assert repr(pattern) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_rules_of_a_root_are_default_then_general_then_its_own() -> None:
    some = Settings(ignore=("*.a",), per_root={"downloads": RootSettings(ignore=("*.b",))})
    assert rules_for(some, Root("models", "/m")).patterns == (*DEFAULT_PATTERNS, "*.a")
    assert rules_for(some, Root("downloads", "/d")).patterns[-2:] == ("*.a", "*.b")


def test_default_patterns_can_be_turned_off() -> None:
    rules = rules_for(Settings(default_ignore=False), Root("models", "/models"))
    assert not rules.ignores(".DS_Store", False)


def test_an_unchanged_tree_costs_no_import_of_the_matcher() -> None:
    code = """
import sys
from scanner.walk.ignore import DEFAULT_PATTERNS, IgnoreRules
rules = IgnoreRules(DEFAULT_PATTERNS)
assert not rules.ignores("loras/model.safetensors", False)
assert "pathspec" not in sys.modules
assert rules.ignores("loras/.DS_Store", False)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
