"""The order in which ComfyUI searches the folders of a category, from extra_model_paths.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanner.comfyui.extra_model_paths import read_extra_paths
from scanner.comfyui.installation import Found, find_roots
from scanner.comfyui.known_roots import with_known_roots
from scanner.core.roots import KINDS, Root, category_folder, search_order
from scanner.settings.schema import Settings


@pytest.fixture
def comfy(tmp_path: Path) -> Path:
    (tmp_path / "ComfyUI" / "models").mkdir(parents=True)
    return tmp_path / "ComfyUI"


def find(comfy: Path, **settings: Any) -> Found:
    return find_roots(Settings(comfy_root=comfy, **settings), cwd="/", home="/", environ={})


def order(roots: tuple[Root, ...], *folders: str | Path) -> list[str]:
    """Those of `folders` that ComfyUI searches, sorted by its order."""
    places = []
    for folder in map(str, folders):
        (root,) = [root for root in roots if category_folder(root, folder) == folder]
        place = search_order(root, folder)
        if place is not None:
            places.append((place, folder))
    return [folder for _, folder in sorted(places)]


def test_folders_of_a_file_come_after_comfyuis_own_and_before_those_of_output(comfy: Path) -> None:
    (comfy / "extra_model_paths.yaml").write_text("a:\n  loras: |\n    /z\n    /a\n")
    (comfy.parent / "b.yaml").write_text("b:\n  loras: /b\n")
    roots = find(comfy, extra_model_paths_config=[comfy.parent / "b.yaml"]).roots
    own, out = str(comfy / "models" / "loras"), str(comfy / "output" / "loras")
    assert order(roots, out, "/b", "/a", "/z", own) == [own, "/z", "/a", "/b", out]


def test_default_folders_are_inserted_in_front(comfy: Path) -> None:
    (comfy / "extra_model_paths.yaml").write_text(
        "a:\n  loras: /a\nb:\n  is_default: true\n  loras: |\n    /b\n    /c\n"
    )
    own = str(comfy / "models" / "loras")
    assert order(find(comfy).roots, "/a", "/b", "/c", own) == ["/c", "/b", own, "/a"]


def test_shipped_example_moves_comfyuis_own_folders(comfy: Path) -> None:
    """Its section `comfyui` names them again as default ones: the last one comes first."""
    (comfy / "extra_model_paths.yaml").write_text(
        f"comfyui:\n  base_path: {comfy}/\n  is_default: true\n  diffusion_models: |\n"
        "    models/unet\n    models/diffusion_models\n  loras: models/loras/\n"
    )
    roots = find(comfy).roots
    assert [root.kind for root in roots] == [*KINDS[:5]]
    unet, models = comfy / "models" / "unet", comfy / "models" / "diffusion_models"
    assert order(roots, unet, models) == [str(models), str(unet)]


def test_a_folder_that_is_named_again_keeps_its_place(comfy: Path) -> None:
    (comfy / "extra_model_paths.yaml").write_text(
        f"a:\n  diffusion_models: |\n    /a\n    {comfy}/models/unet\n    /b\n    /a\n"
    )
    unet, models = str(comfy / "models" / "unet"), str(comfy / "models" / "diffusion_models")
    found = order(find(comfy).roots, "/a", "/b", unet, models)
    assert found == [unet, models, "/a", "/b"]


def test_folders_that_comfyui_is_not_told_of_have_no_place(comfy: Path) -> None:
    (comfy / "extra_model_paths.yaml").write_text("a:\n  loras: /nas/loras\n")
    roots = find(comfy, models=[Path("/nas")]).roots
    assert [root.path for root in roots if root.kind == "models"] == [str(comfy / "models"), "/nas"]
    assert order(roots, "/nas/loras", "/nas/vae") == ["/nas/loras"]


@pytest.mark.parametrize("spoil", ["", "a:\n  base_path: /n", None])
@pytest.mark.parametrize("models", [[], [Path("/nas")]])
def test_a_file_that_is_away_keeps_the_order(
    comfy: Path, spoil: str | None, models: list[Path]
) -> None:
    """Also of folders that other roots hold."""
    file = comfy / "extra_model_paths.yaml"
    file.write_text("a:\n  is_default: true\n  loras: /nas/loras\n")
    second = comfy.parent / "b.yaml"
    second.write_text("b:\n  loras: /b\n")
    settings: dict[str, Any] = {"models": models, "extra_model_paths_config": [second]}
    known = find(comfy, **settings).roots
    if spoil is None:
        file.unlink()
    else:
        file.write_text(spoil)
    roots = with_known_roots(find(comfy, **settings), known).roots
    own = str(comfy / "models" / "loras")
    assert order(roots, "/b", own, "/nas/loras") == ["/nas/loras", own, "/b"]
    before = {root.id: set(root.searched) for root in known}
    assert {root.id: set(root.searched) for root in roots} == before


def test_a_whole_file_changes_the_order(comfy: Path) -> None:
    file = comfy / "extra_model_paths.yaml"
    file.write_text("a:\n  is_default: true\n  loras: /nas/loras\n")
    known = find(comfy).roots
    file.write_text("a:\n  loras: /nas/loras\n")
    roots = with_known_roots(find(comfy), known).roots
    own = str(comfy / "models" / "loras")
    assert order(roots, own, "/nas/loras") == [own, "/nas/loras"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", True),
        ("yes", True),
        ("1", True),
        ("'false'", True),
        ("[1]", True),
        ("false", False),
        ("no", False),
        ("0", False),
        ("", False),
        ("[]", False),
        ("!!int x", False),
        ("!unknown x", False),
    ],
)
def test_is_default_counts_as_python_takes_it(tmp_path: Path, value: str, expected: bool) -> None:
    (tmp_path / "e.yaml").write_text(f"a:\n  loras: /x\n  is_default: {value}\n")
    (found,) = read_extra_paths(tmp_path / "e.yaml").paths
    assert found.is_default is expected
