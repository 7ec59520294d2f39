"""A file that names roots and is not whole for a moment removes none (rule 9)."""

import os
from pathlib import Path

import pytest

from scanner.comfyui.installation import Found, find_roots
from scanner.comfyui.known_roots import KnownRoots, sure_roots, with_known_roots
from scanner.core.roots import Root
from scanner.settings.schema import Settings

GOOD = "a:\n  base_path: /nas\n  loras: loras\n"
NAS = Root("models", "/nas/loras", "loras")


@pytest.fixture
def comfy(tmp_path: Path) -> Path:
    (tmp_path / "ComfyUI" / "models").mkdir(parents=True)
    (tmp_path / "ComfyUI" / "extra_model_paths.yaml").write_text(GOOD, "utf-8")
    return tmp_path / "ComfyUI"


def find(comfy: Path) -> Found:
    return find_roots(Settings(comfy_root=comfy), cwd="/", home="/", environ={})


def again(comfy: Path, known: tuple[Root, ...]) -> KnownRoots:
    return with_known_roots(find(comfy), known)


def spoil(comfy: Path, how: str) -> None:
    file = comfy / "extra_model_paths.yaml"
    if how == "removed":
        file.unlink()
    elif how == "a folder":
        file.unlink()
        file.mkdir()
    elif how == "ComfyUI away":
        os.rename(comfy, comfy.parent / "elsewhere")
    else:
        file.write_text(how, "utf-8")


CUT = "a:\n  base_path: /n"
"""Valid YAML, which names no folder."""
TEXTS_NOT_WHOLE = ["", CUT, GOOD[:-3], "# nothing\n", "a: [\n", "text\n"]
NOT_WHOLE = [*TEXTS_NOT_WHOLE, "removed", "a folder", "ComfyUI away"]


@pytest.mark.parametrize("how", NOT_WHOLE)
def test_roots_stay_while_their_file_is_not_whole(comfy: Path, how: str) -> None:
    known = find(comfy).roots
    assert NAS in known
    spoil(comfy, how)
    roots, warnings = again(comfy, known)
    assert set(roots) >= set(known)
    (warning,) = warnings
    assert warning.startswith(f"{comfy / 'extra_model_paths.yaml'}: ")
    assert "(1 folder)" in warning


@pytest.mark.parametrize("text", ["{}\n", "{}", "a:\n  base_path: /nas\n"])
def test_whole_file_that_names_none_removes_them(comfy: Path, text: str) -> None:
    known = find(comfy).roots
    spoil(comfy, text)
    roots, warnings = again(comfy, known)
    assert NAS not in roots
    assert warnings == ()


def test_roots_of_the_settings_do_not_stay_with_those_of_a_file(comfy: Path) -> None:
    known = (*find(comfy).roots, Root("models", "/dropped"))
    spoil(comfy, "")
    roots, _ = again(comfy, known)
    assert Root("models", "/dropped") not in roots
    assert NAS in roots


@pytest.mark.parametrize("how", ["", "removed", CUT])
def test_root_of_unknown_origin_with_a_category_stays_while_its_file_is_not_whole(
    comfy: Path, how: str
) -> None:
    """A state of an earlier version does not say which file named a root."""
    old = Root("models", "/old", "loras", named_by=None)
    spoil(comfy, how)
    roots, _ = again(comfy, (old,))
    assert old in roots


@pytest.mark.parametrize(("how", "stays"), [("", True), ("removed", False), (CUT, False)])
def test_root_of_unknown_origin_without_a_category_may_be_of_the_settings(
    comfy: Path, how: str, stays: bool
) -> None:
    old = Root("models", "/old", named_by=None)
    spoil(comfy, how)
    roots, _ = again(comfy, (old,))
    assert (old in roots) == stays


VAE = "a:\n  base_path: /nas\n  vae: vae\n"


@pytest.mark.parametrize("texts", [[GOOD], [VAE, GOOD], [VAE, "{}\n", VAE, "{}\n", VAE]])
def test_file_that_is_being_written_drops_nothing_at_the_start(
    comfy: Path, texts: list[str]
) -> None:
    known = find(comfy).roots
    spoil(comfy, "{}\n")
    later = iter(texts)

    def look_again() -> Found:
        spoil(comfy, next(later))
        return find(comfy)

    assert NAS in sure_roots(find(comfy), known, look_again).roots


def test_second_look_that_agrees_drops_roots_at_the_start(comfy: Path) -> None:
    known = find(comfy).roots
    spoil(comfy, "{}\n")
    assert NAS not in sure_roots(find(comfy), known, lambda: find(comfy)).roots
    assert NAS in sure_roots(find(comfy), known, lambda: None).roots
