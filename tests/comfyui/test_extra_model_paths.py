"""extra_model_paths.yaml is read as ComfyUI reads it, and forgiven where ComfyUI stops."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.comfyui.extra_model_paths import MOST_PATHS, ExtraPath, read_extra_paths
from scanner.errors import SettingsError

HOME = "/home/me"
posix = pytest.mark.skipif(os.name == "nt", reason="about Windows paths seen from elsewhere")


def read(folder: Path, text: str | bytes, **environ: str) -> tuple[list[ExtraPath], list[str]]:
    file = folder / "extra.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    found, warnings, *_ = read_extra_paths(file, home=HOME, environ=environ)
    for warning in warnings:
        assert warning.startswith(f"{file}, line ")
        assert "\n" not in warning
    return found, [warning.removeprefix(f"{file}, ") for warning in warnings]


def paths(folder: Path, text: str, **environ: str) -> list[tuple[str, str]]:
    """Category and path of all entries, with the file's folder as `.`; no warning is allowed."""
    found, warnings = read(folder, text, **environ)
    assert warnings == []
    return [(entry.category, entry.path.replace(str(folder), ".")) for entry in found]


# As ComfyUI reads it.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n  base_path: /b\n  loras: x", [("loras", "/b/x")]),
        ("a:\n  base_path: /b/\n  loras: x/\n", [("loras", "/b/x")]),
        ("a:\n  base_path: /b\n  loras: /abs", [("loras", "/abs")]),
        ("a:\n  base_path: /b\n  loras: ../c/./d", [("loras", "/c/d")]),
        ("a:\n  base_path: rel\n  loras: x", [("loras", "./rel/x")]),
        ("a:\n  loras: x", [("loras", "./x")]),
        ("a:\n  loras: |\n    x\n\n    y\n", [("loras", "./x"), ("loras", "./y")]),
        ("a:\n  base_path: ~/sd\n  loras: ~/x", [("loras", f"{HOME}/sd/~/x")]),
        ("a:\n  base_path: $D/${E}/$F\n  loras: $D", [("loras", "/d/e/$F/$D")]),
        ("a:\n  is_default: true\n  loras: x", [("loras", "./x")]),
        ("a:\n  unet: x\n  clip: y", [("diffusion_models", "./x"), ("text_encoders", "./y")]),
        ("a:\n  t2i_adapter: x", [("t2i_adapter", "./x")]),
        ("a:\n  LLM: x", [("LLM", "./x")]),
        ("a:\n  custom_nodes: x", [("custom_nodes", "./x")]),
        ("a:\n  download_model_base: x", [("download_model_base", "./x")]),
        ("a:\nb:\n  loras: x", [("loras", "./x")]),
        ("a:\n  loras: x\nb:\n  loras: y", [("loras", "./x"), ("loras", "./y")]),
        (
            "a: &a\n  base_path: /a\n  vae: v\nb:\n  <<: *a\n  vae: w",
            [("vae", "/a/v"), ("vae", "/a/w")],
        ),
        ("a:\n  loras: ''", []),
        ("{}", []),
        ("a:\r\n  loras: |\r\n    x\r\n    y\r\n", [("loras", "./x"), ("loras", "./y")]),
        ("\ufeffa:\n  loras: x", [("loras", "./x")]),
        ("a:\n  loras: 模型/é", [("loras", "./模型/é")]),
    ],
)
def test_file_is_read_as_comfyui_reads_it(tmp_path, text, expected) -> None:
    assert paths(tmp_path, text, D="/d", E="e") == expected


def test_shipped_example_is_read_with_its_lines(tmp_path) -> None:
    text = """# comment
a111:
    base_path: path/to/webui/

    checkpoints: models/Stable-diffusion
    loras: |
         models/Lora
         models/LyCORIS
    controlnet: models/ControlNet

#comfyui:
#     base_path: path/to/comfyui/
"""
    found, warnings = read(tmp_path, text)
    assert not warnings
    assert [(entry.category, entry.path[len(str(tmp_path)) :], entry.line) for entry in found] == [
        ("checkpoints", "/path/to/webui/models/Stable-diffusion", 5),
        ("loras", "/path/to/webui/models/Lora", 7),
        ("loras", "/path/to/webui/models/LyCORIS", 8),
        ("controlnet", "/path/to/webui/models/ControlNet", 9),
    ]


# Forgiven.


@pytest.mark.parametrize(
    ("text", "expected", "warning"),
    [
        ("a:\n  loras:\n    - /x\n    - /y", ["/x", "/y"], "line 3: loras is a list"),
        ("a:\n  loras: [/x, /y]", ["/x", "/y"], "line 2: loras is a list"),
        ("a:\n  loras: /x\n  vae:", ["/x"], "line 3: vae has no value"),
        ("a:\n  base_path:\n  loras: /x", ["/x"], "line 2: base_path has no value"),
        ("base_path: /b\nloras: x", ["/b/x"], "line 1: base_path is outside"),
        ("a:\nloras: /x", ["/x"], "line 2: loras is outside"),
        ("a:\n\tloras: /x\n", ["/x"], "line 2: a tab"),
        ("a:\n  loras: /x\t\n", ["/x"], "line 2: a tab"),
        ("a:\n  loras:\t/x\n  vae: /y", ["/x", "/y"], "line 2: a tab"),
        ("a:\n  loras: |\n    /x \n    /y", ["/x", "/y"], "line 3: loras: spaces"),
        ("a:\n  loras: ' /x'", ["/x"], "line 2: loras: spaces"),
        ("a:\n  loras: 5\n  base_path: /b", ["/b/5"], "line 2: loras: 5 is not a text"),
        ("a:\n  loras: 2024-01-02\n  base_path: /b", ["/b/2024-01-02"], "not a text"),
        ("a:\n  loras: !!python/name:os.system /x", ["/x"], "not a text"),
        ("a:\n  loras: {b: /x}\n  vae: /y", ["/y"], "line 2: loras: expected a path"),
        ("a:\n  loras: [{b: /x}, /y]", ["/y"], "line 2: loras: expected a path"),
        ("a:\n  loras: /x\na:\n  loras: /y", ["/y"], "line 3: a is here for the second time"),
        ("a:\n  loras: /x\n---\nb:\n  loras: /y", ["/x", "/y"], "several YAML documents"),
        ("? [a]\n: b\nc:\n  loras: /x", ["/x"], "line 1: expected a name"),
        ('a:\n  loras: "/x\\0"\n  vae: /y', ["/y"], "line 2: loras: a zero byte"),
        (b"a:\n  loras: /caf\xe9", ["/café"], "line 2: not UTF-8"),
        ("a:\n  loras: /x".encode("utf-16"), ["/x"], "line 1: UTF-16"),
    ],
)
def test_what_stops_comfyui_is_read_with_a_warning_naming_the_line(
    tmp_path, text, expected, warning
) -> None:
    found, warnings = read(tmp_path, text)
    assert [entry.path for entry in found] == expected
    assert any(warning in each for each in warnings), warnings


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# only comments\n", 1),
        ("a:\n  loras: x: y", 2),
        ("a:\n  loras: [x", 2),
        ("just words", 1),
        ("- a\n- b", 1),
        ("\0", 1),
        ("a: *b", 1),
        ("[" * 5000, 1),
        ("a: &a\n  <<: *a\n  loras: {}", 3),
    ],
)
def test_hopeless_file_gives_a_warning_and_no_folders(tmp_path, text, line) -> None:
    found, warnings = read(tmp_path, text)
    assert found == []
    assert len(warnings) == 1
    assert warnings[0].startswith(f"line {line}: ")


@given(st.text(alphabet="ab:-|>\n \t\"'\\[]{}&*<~$%!#/\0é", max_size=40))
def test_no_text_whatever_raises(tmp_path_factory, text) -> None:
    read(tmp_path_factory.getbasetemp(), text)


def test_unreadable_file_is_refused(tmp_path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.yaml: expected a file"):
        read_extra_paths(tmp_path / "gone.yaml")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_extra_paths(tmp_path)


# Files of a ComfyUI on Windows.


@posix
@pytest.mark.parametrize("path", ["D:\\new\\models", "D:/new/models", "d:\\new\\models"])
def test_windows_drive_is_found_below_mnt_in_wsl(tmp_path, path) -> None:
    found, warnings = read(tmp_path, f"a:\n  base_path: {path}\n  vae: x", WSL_DISTRO_NAME="Ubuntu")
    assert [entry.path for entry in found] == ["/mnt/d/new/models/x"]
    assert "line 2:" in warnings[0]
    assert "read as /mnt/d/new/models" in warnings[0]


@posix
@pytest.mark.parametrize("path", ["D:\\new\\models", "\\\\nas\\models"])
def test_windows_path_elsewhere_is_left_out_with_a_warning(tmp_path, path) -> None:
    found, warnings = read(tmp_path, f"a:\n  base_path: {path}\n  vae: x\n  loras: /y")
    assert [entry.path for entry in found] == ["/y"]
    assert len(warnings) == 1
    assert "line 2:" in warnings[0]
    assert "pass the folder" in warnings[0]


@posix
def test_backslashes_of_a_relative_path_are_slashes(tmp_path) -> None:
    found, warnings = read(tmp_path, "a:\n  base_path: /b\n  vae: models\\vae")
    assert [entry.path for entry in found] == ["/b/models/vae"]
    assert "line 3: models\\vae: backslashes" in warnings[0]


@posix
@pytest.mark.parametrize("quoted", ["D:\\new\\x", "D:\\models\\x", "D:\\new\\\\x", "D:\\new\\"])
def test_windows_path_in_double_quotes_keeps_its_backslashes(tmp_path, quoted) -> None:
    text = f'a:\n  base_path: "{quoted}"\n  vae: x'
    found, warnings = read(tmp_path, text, WSL_DISTRO_NAME="Ubuntu")
    expected = "/mnt/d/" + quoted[3:].strip("\\").replace("\\\\", "/").replace("\\", "/") + "/x"
    assert [entry.path for entry in found] == [expected]
    assert "line 2: backslashes in double quotes" in "\n".join(warnings)


@posix
def test_windows_path_that_is_quoted_well_needs_no_repair(tmp_path) -> None:
    text = 'a:\n  base_path: "D:\\\\new"\n  vae: x'
    found, warnings = read(tmp_path, text, WSL_DISTRO_NAME="Ubuntu")
    assert [entry.path for entry in found] == ["/mnt/d/new/x"]
    assert not any("double quotes" in warning for warning in warnings)


def test_nothing_is_looked_at_on_the_disk(tmp_path, monkeypatch) -> None:
    def guarded(name: str):
        plain = getattr(os, name)

        def look(path: object, *arguments: object, **named: object) -> object:
            assert not str(path).startswith("/b"), "a folder may lie on a mount that hangs"
            return plain(path, *arguments, **named)

        return look

    file = tmp_path / "extra.yaml"
    file.write_text("a:\n  base_path: /b\n  loras: x")
    for name in ("stat", "lstat", "scandir", "listdir", "readlink"):
        monkeypatch.setattr(f"os.{name}", guarded(name))
    found, *_ = read_extra_paths(str(file), home=HOME, environ={})
    monkeypatch.undo()
    assert found == [ExtraPath("loras", os.path.normpath("/b/x"), 3)]


# Bounds.


def test_a_file_that_is_larger_than_any_real_one_is_not_parsed(tmp_path: Path) -> None:
    file = tmp_path / "extra.yaml"
    file.write_text("a:\n  loras: |\n" + "    folder\n" * 100_000)
    assert read_extra_paths(file, home=HOME)[:3] == (
        [],
        [
            f"{file}, line 1: expected a file such as ComfyUI's extra_model_paths.yaml, "
            "but it is larger than 256 KiB"
        ],
        "it is larger than 256 KiB",
    )


def test_folders_beyond_the_most_are_left_out_with_a_warning(tmp_path: Path) -> None:
    named = "".join(f"    p{number}\n" for number in range(MOST_PATHS + 5))
    found, warnings = read(tmp_path, f"a:\n  loras: |\n{named}")
    assert [entry.path for entry in found] == [f"{tmp_path}/p{i}" for i in range(MOST_PATHS)]
    assert warnings == ["line 1003: the 1,000 folders named above are all that are read"]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ('a:\n  loras: "\\ud800"', "line 2: loras: half a character, which no path can have"),
        ('a:\n  "\\udfff": x', "line 2: a category that is no text; left out"),
        ('a:\n  "\\udc80": x', "line 2: a category that is no text; left out"),
    ],
)
def test_half_a_character_is_left_out_with_a_warning(
    tmp_path: Path, text: str, warning: str
) -> None:
    assert read(tmp_path, text) == ([], [warning])


def test_an_alias_of_an_alias_is_read_once(tmp_path: Path) -> None:
    text = "a: &a [p,p,p,p,p,p,p,p,p]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]\n"
        for above, name in pairwise("abcdefghijklmnop")
    )
    found, warnings = read(tmp_path, text)
    assert len(found) == 9
    assert len(warnings) < 300


def test_of_one_kind_of_warning_the_first_is_shown(tmp_path: Path) -> None:
    keys = "".join(f"  k{i}: {{}}\n" for i in range(150))
    found, warnings = read(tmp_path, f"a:\n{keys}  x: D:\\one\n  y: D:\\two\n")
    assert found == []
    assert warnings == [
        "line 2: k0: expected a path; this stops ComfyUI "
        "(likewise lines 3, 4, 5, 6, 7 and 144 more)",
        "line 152: D:\\one is a path of Windows, which means nothing on this system; left out, "
        "pass the folder with --models or --extra instead (likewise line 153)",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/x # mine", ["/x"]),
        ("/x\t#", ["/x"]),
        ("#/x", []),
        ("# all of it", []),
        ("/x #2", ["/x #2"]),
        ("/x#y", ["/x#y"]),
    ],
)
def test_a_comment_in_a_block_is_cut(tmp_path: Path, line: str, expected: list[str]) -> None:
    found, warnings = read(tmp_path, f"a:\n  loras: |\n    /a\n    {line}\n    /b\n")
    assert [entry.path for entry in found] == ["/a", *expected, "/b"]
    is_cut = expected != [line]
    assert ("line 4: loras: a comment" in "".join(warnings)) == is_cut
