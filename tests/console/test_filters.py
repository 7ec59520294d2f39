"""`--root` and `--category` select the same in every command."""

from __future__ import annotations

import os

import pytest

from scanner.console.filters import CategoryFilter, RootFilter
from scanner.errors import SettingsError

MODELS, MORE, DOWNLOADS = "models:/srv/ComfyUI/models", "models:/nas/m", "downloads:/home/me/down"
IDS = (MODELS, MORE, DOWNLOADS)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="absolute paths of POSIX")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models", {MODELS, MORE}),
        ("downloads", {DOWNLOADS}),
        (MORE, {MORE}),
        (f"{MORE}/", {MORE}),
        ("/nas/m", {MORE}),
        ("/nas/x/../m/", {MORE}),
        ("../nas/m", {MORE}),  # from the working folder
        ("down", {DOWNLOADS}),
        ("ComfyUI/models", {MODELS}),  # from the base, as the inventory shows it
    ],
)
def test_root_is_named_by_kind_path_or_id(text: str, expected: set[str]) -> None:
    roots = RootFilter([text], "/home/me" if text == "down" else "/tmp", "/srv")
    assert roots.ids(IDS) == expected
    assert {root for root in IDS if roots.selects(root)} == expected


def test_roots_add_up_and_none_given_selects_all() -> None:
    assert RootFilter(["/nas/m", "downloads"], "/").ids(IDS) == {MORE, DOWNLOADS}
    assert RootFilter([], "/").ids(IDS) == set(IDS)
    assert RootFilter([], "/").selects("")


@pytest.mark.parametrize("text", ["typo", "model", "/nas", "/nas/m/loras", "output", "", "m"])
def test_root_that_is_none_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(SettingsError, match="--root: expected") as refused:
        RootFilter(["models", text], "/").ids(IDS)
    assert all(root in str(refused.value) for root in IDS)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "category", "expected"),
    [
        ("loras", "loras", True),
        ("LoRAs", "loras", True),
        ("lora", "loras", False),
        ("lor*", "loras", True),
        ("clip", "text_encoders", True),
        ("CLIP", "text_encoders", True),
        ("unet", "diffusion_models", True),
        ("*", "", False),
        ("caf\u00e9", "cafe\u0301", True),
    ],
)
def test_category_is_a_pattern_and_old_names_are_known(
    text: str, category: str, expected: bool
) -> None:
    assert CategoryFilter([text]).selects(category) is expected
    assert CategoryFilter(["nothing", text]).selects(category) is expected


def test_no_category_given_selects_all() -> None:
    assert CategoryFilter([]).selects("")


def test_empty_category_is_refused() -> None:
    with pytest.raises(SettingsError, match="--category: expected a category such as loras"):
        CategoryFilter([" "])
