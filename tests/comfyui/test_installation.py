"""Which folders are scanned, what they are, and which root owns a path."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.comfyui.installation import Found, find_roots
from scanner.core.roots import KINDS, Root, category_of, owner_of
from scanner.errors import SettingsError
from scanner.settings.root_settings import RootSettings
from scanner.settings.schema import Settings
from scanner.walk.ignore import rules_for


@pytest.fixture
def here(tmp_path):
    """An empty working directory beside an empty home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def find(here: Path, **settings: Any) -> Found:
    return find_roots(
        Settings(**settings), cwd=str(here), home=str(here.parent / "home"), environ={}
    )


def comfy_at(folder: Path, sign: str = "models/") -> Path:
    """A ComfyUI folder that can be told by one sign only."""
    folder.mkdir(parents=True)
    if sign.endswith("/"):
        (folder / sign).mkdir()
    else:
        (folder / sign).touch()
    return folder


def workspace(here: Path, text: str) -> None:
    """comfy-cli's settings, where it keeps them on this system."""
    folders = {"win32": ("AppData", "Local"), "darwin": ("Library", "Application Support")}
    folder = here.parent.joinpath("home", *folders.get(sys.platform, (".config",)), "comfy-cli")
    folder.mkdir(parents=True)
    (folder / "config.ini").write_text(text, encoding="utf-8")


def ids(found: Found, top: Path) -> list[str]:
    """Ids of the roots, with `top` as `.`, and the category behind them."""
    return [
        root.id.replace(str(top), ".") + (f" {root.category}" if root.category else "")
        for root in found.roots
    ]


# ComfyUI's folder.


@pytest.mark.parametrize("sign", ["models/", "main.py", "folder_paths.py"])
def test_comfyui_in_the_working_directory_is_found(here, sign) -> None:
    comfy = comfy_at(here / "ComfyUI", sign)
    found = find(here)
    assert found.comfy_root == str(comfy)
    assert found.base == str(here)
    assert ids(found, comfy) == [
        "models:./models",
        "custom_nodes:./custom_nodes",
        "input:./input",
        "output:./output",
        "workflows:./user",
    ]
    assert found.notices == found.warnings == ()


@pytest.mark.parametrize(
    ("signs", "is_found"),
    [
        (("main.py", "models"), True),
        (("main.py", "folder_paths.py"), True),
        (("main.py",), False),
        (("models",), False),
    ],
)
def test_comfyui_is_found_from_inside_its_folder(here, signs, is_found) -> None:
    for sign in signs:
        (here / sign).touch() if sign.endswith(".py") else (here / sign).mkdir()
    found = find(here, extra=["/x"])
    assert found.comfy_root == (str(here) if is_found else None)
    assert found.notices == ()
    nearer = comfy_at(here / "ComfyUI")
    assert find(here).comfy_root == str(nearer)


def test_named_comfyui_is_waited_for_if_it_is_not_there(here) -> None:
    comfy_at(here / "ComfyUI")
    found = find(here, comfy_root="../gone/ComfyUI")
    gone = here.parent / "gone" / "ComfyUI"
    assert found.comfy_root == str(gone)
    assert [root.path for root in found.roots] == [
        str(gone / name) for name in ("models", "custom_nodes", "input", "output", "user")
    ]
    assert found.warnings == ()


def test_links_stay_unresolved(here) -> None:
    comfy_at(here / "real")
    (here / "link").symlink_to(here / "real")
    assert find(here, comfy_root="link").comfy_root == str(here / "link")


@pytest.mark.parametrize("key", ["default_workspace", "recent_workspace"])
def test_workspace_of_comfy_cli_is_used_and_said(here, key) -> None:
    comfy = comfy_at(here.parent / "100% comfy")
    workspace(here, f"[DEFAULT]\n{key} = {comfy}\n")
    found = find(here)
    assert found.comfy_root == str(comfy)
    (notice,) = found.notices
    assert str(comfy) in notice
    assert "comfy-cli" in notice


def test_default_workspace_goes_before_the_recent_one_if_it_is_there(here) -> None:
    first, second = comfy_at(here / "first"), comfy_at(here / "second")
    workspace(here, f"[DEFAULT]\nrecent_workspace = {second}\ndefault_workspace = {first}\n")
    assert find(here).comfy_root == str(first)
    (first / "models").rmdir()
    assert find(here).comfy_root == str(second)


@pytest.mark.parametrize(
    "text", ["", "no ini", "[DEFAULT]\ndefault_workspace = relative\n", "[a]\n" + "# x\n" * 100_000]
)
def test_settings_of_comfy_cli_that_help_nothing_are_passed_over(here, text) -> None:
    workspace(here, text)
    assert find(here, extra=["/x"]).comfy_root is None


def test_missing_comfyui_is_not_mentioned_where_another_root_is_given(here) -> None:
    found = find(here, downloads=["dl"])
    assert found == Found(None, None, (Root("downloads", str(here / "dl")),))


def test_nothing_to_scan_is_refused_saying_where_it_looked_and_what_to_pass(here) -> None:
    with pytest.raises(SettingsError) as refused:
        find(here)
    sentence = str(refused.value)
    assert str(here / "ComfyUI") in sentence
    assert "comfy-cli" in sentence
    assert "--comfy-root" in sentence
    assert "--models" in sentence
    assert "\n" not in sentence


# Roots.


def test_directories_lie_where_comfyuis_own_options_put_them(here) -> None:
    comfy = comfy_at(here / "ComfyUI")
    options = {"output_directory": "/out", "input_directory": "in", "user_directory": "/u"}
    found = find(here, base_directory="/data", **options)
    assert ids(found, here) == [
        "models:/data/models",
        "custom_nodes:/data/custom_nodes",
        "input:./in",
        "output:/out",
        "workflows:/u",
    ]
    assert found.comfy_root == str(comfy)
    assert found.base == str(here)


def test_user_folder_may_be_missing_until_comfyui_makes_it_unless_it_is_named(here) -> None:
    comfy_at(here / "ComfyUI")
    assert [root.kind for root in find(here).roots if root.is_optional] == ["workflows"]
    named = find(here, user_directory="/u").roots
    assert not any(root.is_optional for root in named)
    assert named[-1].patterns


@pytest.mark.parametrize(
    ("path", "is_directory", "belongs"),
    [
        ("default/", True, True),
        ("default/workflows/", True, True),
        ("default/workflows", False, True),  # a link
        ("default/workflows/a.json", False, True),
        ("bob_0f/workflows/deep/workflows/__b/c.json", False, True),
        ("default/subgraphs/Blueprint.json", False, True),
        ("linked", False, True),
        ("default/comfy.settings.json", False, False),
        ("default/ComfyUI-Manager/", True, False),
        ("default/other/workflows/a.json", False, False),
        ("__manager/workflows/a.json", False, False),
        ("comfyui.log", False, False),
        ("comfyui.db-wal", False, False),
        ("workflows.json", False, False),
        ("default/workflows/.DS_Store", False, False),
    ],
)
def test_only_what_people_save_belongs_to_the_user_folder(path, is_directory, belongs) -> None:
    settings = Settings(comfy_root=Path("/ComfyUI"))
    (user,) = [
        root
        for root in find_roots(settings, cwd="/", home="/h", environ={}).roots
        if root.kind == "workflows"
    ]
    rules = rules_for(settings, user)
    assert rules.ignores_within(path.rstrip("/"), is_directory) is not belongs


def test_base_directory_alone_is_enough(here) -> None:
    found = find(here, base_directory="/data")
    assert len(found.roots) == 5
    assert found.base is None


def test_every_kind_of_folder_can_be_given_sorted_by_kind(here) -> None:
    found = find(
        here, extra=["/e", "/f"], downloads=["/d"], workflows=["/w"], models=["/m/", "n/../o"]
    )
    given = ["models:/m", "models:./o", "workflows:/w", "downloads:/d", "extra:/e", "extra:/f"]
    assert ids(found, here) == given
    assert [KINDS.index(root.kind) for root in found.roots] == [0, 0, 4, 5, 6, 6]


def test_folder_given_twice_is_scanned_once_as_the_earlier_kind(here) -> None:
    found = find(here, extra=["/a"], downloads=["/a"], models=["/a/"])
    assert ids(found, here) == ["models:/a"]
    assert len(found.warnings) == 2
    assert all("/a is named as models and as" in warning for warning in found.warnings)


def test_folder_given_twice_alike_needs_no_warning(here) -> None:
    found = find(here, extra=["/a", "/b/../a"])
    assert ids(found, here) == ["extra:/a"]
    assert found.warnings == ()


def test_nested_folders_are_both_roots(here) -> None:
    found = find(here, models=["/a"], downloads=["/a/b"], extra=["/"])
    assert ids(found, here) == ["models:/a", "downloads:/a/b", "extra:/"]
    assert found.warnings == ()


def test_per_root_settings_of_no_root_are_warned_about(here) -> None:
    per_root = {key: RootSettings() for key in ("downloads", "/a", "models:/a", "extra:/a", "/b")}
    found = find(here, models=["/a"], per_root=per_root)
    assert [warning.split(": ")[1].split()[0] for warning in found.warnings] == ["extra:/a", "/b"]


def test_roots_are_not_looked_at(here, monkeypatch) -> None:
    looked_at: list[str] = []
    stat = os.stat

    def watched(path, *args, **kwargs):
        looked_at.append(os.fspath(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr("os.stat", watched)
    find(here, comfy_root="/hung", models=["/m"], output_directory="/o", extra=["/e"])
    monkeypatch.undo()
    assert set(looked_at) <= {"/hung", os.path.join("/hung", "extra_model_paths.yaml")}


# extra_model_paths.yaml.


def test_file_beside_main_py_is_read_whatever_the_base_directory(here) -> None:
    comfy = comfy_at(here / "ComfyUI")
    (comfy / "extra_model_paths.yaml").write_text(
        "a:\n  base_path: /sd\n  loras: Lora\n  clip: te\n  custom_nodes: nodes\n"
    )
    found = find(here, base_directory="/data")
    assert ids(found, here) == [
        "models:/data/models",
        "models:/sd/te text_encoders",
        "models:/sd/Lora loras",
        "custom_nodes:/data/custom_nodes",
        "custom_nodes:/sd/nodes",
        "input:/data/input",
        "output:/data/output",
        "workflows:/data/user",
    ]


def test_named_files_are_read_too_and_are_enough(here) -> None:
    (here / "a.yaml").write_text("a:\n  vae: v")
    (here / "b.yaml").write_text("a:\n  LLM: /l")
    found = find(here, extra_model_paths_config=["a.yaml", "b.yaml"])
    assert ids(found, here) == ["models:/l LLM", "models:./v vae"]


def test_named_file_that_is_not_there_is_refused(here) -> None:
    with pytest.raises(SettingsError, match=r"extra_model_paths_config: .*a\.yaml"):
        find(here, extra_model_paths_config=["a.yaml"], models=["/m"])


def test_named_file_without_folders_is_refused_where_nothing_else_is_given(here) -> None:
    (here / "a.yaml").write_text("{}")
    with pytest.raises(SettingsError, match=r"extra_model_paths_config: .*a\.yaml names none"):
        find(here, extra_model_paths_config=["a.yaml"])


def test_broken_file_is_a_warning(here) -> None:
    comfy = comfy_at(here / "ComfyUI")
    (comfy / "extra_model_paths.yaml").write_text("a:\n  loras: x: y")
    found = find(here)
    assert len(found.roots) == 5
    (warning,) = found.warnings
    assert f"{comfy / 'extra_model_paths.yaml'}, line 2" in warning


def test_folder_whose_category_is_known_anyway_adds_no_root(here) -> None:
    (here / "a.yaml").write_text(
        """
a:
    base_path: /m
    loras: |
        loras/sub
        loras
    diffusion_models: unet
    clip: clip
    controlnet: t2i_adapter
    checkpoints: loras/checkpoints
"""
    )
    found = find(here, models=["/m"], extra_model_paths_config=["a.yaml"])
    assert ids(found, here) == ["models:/m", "models:/m/loras/checkpoints checkpoints"]
    assert found.warnings == ()


def test_folder_of_one_category_inside_another_of_it_adds_no_root(here) -> None:
    (here / "a.yaml").write_text("a:\n  loras: |\n    /l/sub\n    /l\n")
    found = find(here, extra_model_paths_config=["a.yaml"])
    assert ids(found, here) == ["models:/l loras"]


def test_download_base_of_the_manager_is_a_models_root(here) -> None:
    (here / "a.yaml").write_text(
        "a:\n  base_path: /b\n  loras: models/loras\n  download_model_base: models\n"
    )
    found = find(here, extra_model_paths_config=["a.yaml"])
    assert ids(found, here) == ["models:/b/models"]
    assert category_of(found.roots[0], ["vae", "x"]) == "vae"


def test_folder_named_for_two_categories_takes_the_first_with_a_warning(here) -> None:
    (here / "a.yaml").write_text("a:\n  vae: /x\n  loras: /x\n  text_encoders: /y\n  clip: /y\n")
    found = find(here, extra_model_paths_config=["a.yaml"])
    assert ids(found, here) == ["models:/x vae", "models:/y text_encoders"]
    (warning,) = found.warnings
    assert "/x is named as models (vae) and as models (loras)" in warning


# Categories and owners.


@pytest.mark.parametrize(
    ("kind", "category", "parts", "expected"),
    [
        ("models", "", (), ""),
        ("models", "", ("loras",), "loras"),
        ("models", "", ("loras", "flux"), "loras"),
        ("models", "", ("unet",), "diffusion_models"),
        ("models", "", ("clip", "x"), "text_encoders"),
        ("models", "", ("t2i_adapter",), "controlnet"),
        ("models", "", ("LLM",), "LLM"),
        ("models", "loras", (), "loras"),
        ("models", "loras", ("unet",), "loras"),
        ("output", "", (), ""),
        ("output", "", ("loras", "x"), "loras"),
        ("output", "", ("clip",), "text_encoders"),
        ("output", "", ("2026-01-01",), ""),
        ("custom_nodes", "", ("loras",), ""),
        ("input", "", ("loras",), ""),
        ("downloads", "", ("loras",), ""),
        ("extra", "", ("loras",), ""),
    ],
)
def test_category_is_what_comfyui_calls_it(kind, category, parts, expected) -> None:
    assert category_of(Root(kind, "/r", category), parts) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a", "/a"),
        ("/a/x", "/a"),
        ("/a/b", "/a/b"),
        ("/a/b/c/d", "/a/b"),
        ("/a/bc", "/a"),
        ("/ab", None),
        ("/", None),
    ],
)
def test_inner_root_owns_its_paths(path, expected) -> None:
    roots = [Root("extra", "/a/b"), Root("models", "/a")]
    owner = owner_of(path, roots)
    assert (owner.path if owner else None) == expected


def test_root_of_everything_owns_what_no_other_does() -> None:
    everything = Root("extra", "/")
    assert owner_of("/x/y", [Root("models", "/x/z"), everything]) is everything


def test_one_warning_stands_for_folders_named_twice_in_one_file(here) -> None:
    comfy = comfy_at(here / "ComfyUI")
    pairs = "".join(f"  a{i}: /m/{i}\n  b{i}: /m/{i}\n" for i in range(14))
    (comfy / "extra_model_paths.yaml").write_text(f"x:\n{pairs}")
    found = find(here)
    assert found.warnings == (
        "/m/0 is named as models (a0) and as models (b0); it is scanned as models (a0); likewise "
        "13 more folders",
    )


@pytest.mark.parametrize("order", [("checkpoints", "configs"), ("configs", "checkpoints")])
def test_configurations_beside_checkpoints_are_no_warning(here, order) -> None:
    comfy = comfy_at(here / "ComfyUI")
    text = "".join(f"  {name}: /m\n" for name in order)
    (comfy / "extra_model_paths.yaml").write_text(f"x:\n{text}")
    found = find(here)
    assert found.warnings == ()
    assert [root.category for root in found.roots if root.path == "/m"] == ["checkpoints"]
