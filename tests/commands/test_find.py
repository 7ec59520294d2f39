"""What `find` and `packs` find in an inventory, and what they print."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from scanner.commands.find.criteria import (
    Span,
    Wanted,
    parse_ages,
    parse_base_model,
    parse_sizes,
    parse_statuses,
    parse_wanted,
)
from scanner.commands.find.globs import parse_glob
from scanner.commands.find.nothing import nothing_text
from scanner.commands.find.page import print_found, write_found
from scanner.commands.find.search import Searched, find_entries, matches
from scanner.commands.packs.page import print_packs, write_packs
from scanner.console.tables import STRETCH
from scanner.core.roots import Root
from scanner.core.serialize import mtime_fields
from scanner.core.snapshot import FILE, Directory, Row, listing_of
from scanner.core.statuses import STATUSES
from scanner.errors import SettingsError
from scanner.output.inventory_reader import header_of, read_entries
from scanner.output.inventory_text import UnreadableInventoryError
from scanner.output.inventory_view import InventoryView, RootView
from scanner.output.inventory_writer import write_inventory
from scanner.views.packs import pack_name, packs_of
from tests.support.installation import sentence
from tests.support.machine import PATIENCE, Machine, write

NOW = 1_790_000_000_000_000_000
DAY = 86_400 * 10**9
HOUR = DAY // 24
BASE = "/srv"
MODELS = "models:/srv/ComfyUI/models"
NAS = "extra:/mnt/nas"
PACKS = "custom_nodes:/srv/ComfyUI/custom_nodes"
ROOTS = [
    {"id": MODELS, "kind": "models", "path": "ComfyUI/models"},
    {"id": PACKS, "kind": "custom_nodes", "path": "ComfyUI/custom_nodes"},
    {"id": NAS, "kind": "extra", "path": "/mnt/nas"},
]
HEADER: dict[str, Any] = {
    "schema": 1,
    "tool": {"name": "comfy-inventory", "version": "0"},
    "generated": "2026-09-21T14:13:20.000000000Z",
    "scan": 7,
    "base": BASE,
    "roots": ROOTS,
    "unreachable": [],
    "totals": {},
}
LORAS = "ComfyUI/models/loras"


def file(path: str, size: int = 10, age: int = 0, **fields: Any) -> dict[str, Any]:
    """An entry of a file that is `age` nanoseconds old."""
    root = NAS if path.startswith("/mnt/nas") else MODELS
    entry = {"path": path, "type": "file", "size": size, **mtime_fields(NOW - age), "root": root}
    parts = path.split("/")
    if path.startswith("ComfyUI/models/") and len(parts) > 3:
        entry["category"] = parts[2]
    return {**entry, **fields}


def folder(path: str, size: int = 0, **fields: Any) -> dict[str, Any]:
    return {**file(path, size), "type": "directory", **fields}


def inventory(path: Path, entries: Iterable[dict[str, Any]]) -> Path:
    """An inventory as the program writes it, also with fields that it does not know yet."""
    with open(path / "inventory.json", "wb") as out:
        out.write(orjson.dumps(HEADER)[:-1] + b',"entries":[')
        separator = b"\n"
        for entry in entries:
            out.write(separator + orjson.dumps(entry))
            separator = b",\n"
        out.write(b"\n]}\n")
    return path / "inventory.json"


def found(path: Path, **options: Any) -> list[str]:
    wanted = parse_wanted(HEADER, "/srv", **options)
    return [entry["path"] for entry in find_entries(path, wanted, NOW)]


def is_found(entry: dict[str, Any], **options: Any) -> bool:
    return matches(entry, parse_wanted(HEADER, "/srv", **options), NOW)


def refusal(**options: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        parse_wanted(HEADER, "/srv", **options)
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    return str(raised.value)


def printed(entries: Iterable[dict[str, Any]], width: int = 100_000, **more: Any) -> list[str]:
    """What people see where stdout is no terminal."""
    out = io.StringIO()
    print_found(Console(file=out, width=width), entries, **more)
    return out.getvalue().splitlines()


# Patterns of paths

PATTERNS = [
    # Without a slash: the name.
    ("a.safetensors", f"{LORAS}/a.safetensors", True),
    ("*.safetensors", f"{LORAS}/deep/a.safetensors", True),
    ("*.SafeTensors", f"{LORAS}/A.SAFETENSORS", True),
    ("*.safetensors", f"{LORAS}/a.safetensors.part", False),
    ("loras", f"{LORAS}/a", False),
    ("a*", f"{LORAS}/ba", False),
    ("?[0-9].pt", "x/a1.pt", True),
    ("?[!0-9].pt", "x/a1.pt", False),
    ("[z-a]*", "x/a", False),
    ("[", "x/[", True),
    # With one: whole components at the end.
    ("loras/a", f"{LORAS}/a", True),
    ("oras/a", f"{LORAS}/a", False),
    ("models/*/a", f"{LORAS}/a", True),
    ("models/*", f"{LORAS}/a", False),
    ("models/loras", f"{LORAS}/a", True),
    ("models/lora", f"{LORAS}/a", False),
    ("models/loras", "x/models/loras", True),
    ("./loras//a", f"{LORAS}/a", True),
    # `**` for any number of components.
    ("models/**/a", f"{LORAS}/b/c/a", True),
    ("models/**/a", "ComfyUI/models/a", True),
    ("models/**", f"{LORAS}/a", True),
    ("models/**", "ComfyUI/models", False),
    ("models/", f"{LORAS}/a", True),
    ("models/**/", f"{LORAS}/a", True),
    ("loras/**/b/*/a", "loras/b/x/b/y/a", True),
    ("loras/**/b/*/a", "loras/b/a", False),
    ("a/**/b/**/c", "a/b/b/x/c", True),
    ("a/**/b/**/c", "a/x/c", False),
    ("a/**/a/**/a/**/b", "/".join("a" * 60), False),
    ("**", "x", True),
    ("**/x", "x", True),
    ("a**b", "x/acb", True),
    ("a**b/x", "a/c/b/x", False),
    # Absolute: all of it, also where the inventory leaves the base out.
    ("/mnt/nas/*", "/mnt/nas/a", True),
    ("/nas/*", "/mnt/nas/a", False),
    ("/srv/ComfyUI/**", f"{LORAS}/a", True),
    ("/srv/*/models/loras/a", f"{LORAS}/a", True),
    ("/ComfyUI/**", f"{LORAS}/a", False),
    ("/srv/**", "/mnt/srv/a", False),
    ("/", "/mnt/nas/a", True),
    # Names as people write them.
    ("stra\u00dfe", "x/STRASSE", True),
    ("caf\u00e9*", "x/cafe\u0301.pt", True),
    ("cafe\u0301*", "x/CAF\u00c9.pt", True),
    ("\u0416*", "x/\u0436.pt", True),
    ("gro?.pt", "x/gro\ufffd.pt", True),
    ("gro\udcdf.pt", "x/gro\ufffd.pt", True),
    ("*\n*", "x/new\nline", True),
    ("\U0001f600.pt", "x/\U0001f600.pt", True),
]


@pytest.mark.skipif(os.name == "nt", reason="absolute paths of POSIX")
@pytest.mark.parametrize(("pattern", "path", "expected"), PATTERNS)
def test_globs(pattern: str, path: str, expected: bool) -> None:
    assert is_found(file(path), globs=[pattern]) is expected


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=7), st.data())
def test_a_path_with_components_left_out_still_matches(
    path: list[str], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(path) - 1))
    end = data.draw(st.integers(start, len(path) - 1))
    pattern = [*path[:start], "**", *path[end:]]
    assert is_found(file("/".join(path)), globs=["/".join(pattern)])
    assert not is_found(file("/".join(path)), globs=["/".join([*pattern, "d"])])


def test_several_patterns_find_what_any_of_them_does(tmp_path: Path) -> None:
    path = inventory(tmp_path, [file("x/a.pt"), file("x/b.ckpt"), file("x/c.png")])
    assert found(path, globs=["*.pt", "x/*.ckpt"]) == ["x/a.pt", "x/b.ckpt"]
    assert found(path) == ["x/a.pt", "x/b.ckpt", "x/c.png"]


@pytest.mark.skipif(os.name == "nt", reason="absolute paths of POSIX")
@pytest.mark.parametrize("base", ["/", "/srv/Caf\u00e9", "/srv/gro\udcdf", None])
def test_absolute_patterns_whatever_the_base_is(base: str | None) -> None:
    above = (base or "").rstrip("/")
    inside = Wanted(globs=(parse_glob(f"{above}/ComfyUI/*.pt", base),))
    assert matches(file("ComfyUI/a.pt"), inside, NOW) is (base is not None)
    assert not matches(file("x/ComfyUI/a.pt"), inside, NOW)
    assert not matches(file("/mnt/ComfyUI/a.pt"), inside, NOW)
    deeper = Wanted(globs=(parse_glob(f"{above}/*/ComfyUI/*.pt", base),))
    assert not matches(file("ComfyUI/a.pt"), deeper, NOW)


WORDS = [
    ("sdxl base", "sd_xl_base_1.0.safetensors", True),
    ("base sdxl", "sd_xl_base_1.0.safetensors", True),
    ("SD-XL", "sdxl_vae.safetensors", True),
    ("sdxl base", "sdxl_vae.safetensors", False),
    ("sdxl.base", "sd_xl_base_1.0.safetensors", True),
    ("base.sdxl", "sd_xl_base_1.0.safetensors", False),
    ("1.0", "sd_xl_base_1_0.pt", True),
    ("1.0", "epoch10.pt", False),
    ("sd15", "sd_1.5.pt", True),
    ("ae.safetensors", "ae.safetensors", True),
    ("ae.safetensors", "ae.sft", False),
    ("flux", "x.safetensors", False),  # its folder is no part of a name
    ("caf\u00e9", "un-cafe\u0301.pt", True),
    ("stra\u00dfe", "STRASSE.pt", True),
    ("\U0001f600", "\U0001f600.pt", True),
    ("__", "a__b", True),
    ("__", "ab", False),
    ("\u6a21\u578b", "\u5927-\u6a21-\u578b.pt", True),
    ("-rf", "-rf", True),
    ("a(", "b(a)", True),
]


@pytest.mark.parametrize(("words", "name", "expected"), WORDS)
def test_words_are_searched_in_names(words: str, name: str, expected: bool) -> None:
    assert is_found(file(f"{LORAS}/flux/{name}"), globs=[words]) is expected


def test_words_narrow_a_search_and_folders_widen_it(tmp_path: Path) -> None:
    names = [f"ComfyUI/models/{name}" for name in ("loras/a_ink", "loras/b_ink", "vae/a_ink")]
    path = inventory(tmp_path, [*map(file, names), file("ComfyUI/models/vae/b")])
    assert found(path, globs=["ink", "a"]) == [names[0], names[2]]
    assert found(path, globs=["ink", "models/loras"]) == names[:2]
    assert found(path, globs=["ink", "models/loras", "models/vae/*"]) == names


@pytest.mark.skipif(os.name == "nt", reason="absolute paths of POSIX")
@pytest.mark.parametrize(
    ("folder", "cwd", "expected"),
    [
        (".", "/srv/ComfyUI/models", True),
        (".", "/srv/ComfyUI/models/vae", False),
        ("..", "/srv/ComfyUI/models/vae", True),
        ("../loras", "/srv/ComfyUI/models/vae", True),
        ("/srv/ComfyUI/models/loras", "/", True),
        ("/srv/ComfyUI/models/lor", "/", False),
        ("loras/", "/", True),
    ],
)
def test_a_folder_means_what_is_below(folder: str, cwd: str, expected: bool) -> None:
    wanted = parse_wanted(HEADER, cwd, globs=[folder])
    assert matches(file(f"{LORAS}/flux/a.pt"), wanted, NOW) is expected


IN_PACK = "ComfyUI/custom_nodes/ComfyUI-Manager/js/extra.json"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"globs": ["extra"]}, False),
        ({"globs": ["*.json"]}, False),
        ({"globs": ["ComfyUI/"]}, False),
        ({"globs": ["ComfyUI/**"]}, False),
        ({"is_all": True}, True),
        ({"roots": ["custom_nodes"]}, True),
        ({"globs": ["ComfyUI/custom_nodes"]}, True),
        ({"globs": ["ComfyUI-Manager/"]}, True),
        ({"globs": ["comfyui-manager/**/*.json"]}, True),
        ({"globs": ["extra", "custom_nodes/"]}, True),
        ({"statuses": ["broken"]}, True),
        ({"hashes": ["sha256:abcd"]}, True),
        ({"formats": ["json"]}, False),
    ],
)
def test_files_inside_packs_are_found_if_they_are_asked_for(
    tmp_path: Path, options: dict[str, Any], expected: bool
) -> None:
    entry = file(IN_PACK, root=PACKS, status="damaged", sha256="abcd" * 16)
    single = file("ComfyUI/custom_nodes/extra.json.py", root=PACKS)
    path = inventory(tmp_path, [entry, single])
    assert (IN_PACK in found(path, **options)) is expected
    if not options:
        assert found(path) == [single["path"]]


@pytest.mark.parametrize(
    "options", [{"kinds": ["controlnet"]}, {"formats": ["safetensors"]}, {"base_models": ["sd15"]}]
)
def test_models_inside_packs_are_found_where_models_are_asked_for(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    model = {"format": "safetensors", "kind": "controlnet", "base_model": "SD 1.5"}
    weights = "ComfyUI/custom_nodes/aux/ckpts/body.safetensors"
    path = inventory(tmp_path, [file(weights, root=PACKS, model=model)])
    assert found(path, **options) == [weights]
    assert found(path, globs=["body"]) == []


NOTHING = [
    ({"categories": ["lora"]}, "category lora: did you mean loras?"),
    ({"categories": ["nope"]}, "category nope: there are checkpoints, loras"),
    ({"kinds": ["lorra"]}, "kind lorra: did you mean lora?"),
    ({"formats": ["safetensor"]}, "format safetensor: did you mean safetensors?"),
    ({"globs": ["zzz"], "categories": ["vae", "loras"]}, "category vae: there are"),
    ({"globs": ["loras"]}, "loras is a category: did you mean --category loras?"),
    ({"globs": ["zzz"]}, ""),
    ({"categories": ["loras"], "globs": ["zzz"]}, ""),
    ({"size": ">1TB"}, ""),
    ({"globs": ["extra"]}, "1 inside node packs is left out (--all)"),
]


@pytest.mark.parametrize(("options", "expected"), NOTHING)
def test_a_search_that_found_nothing_says_what_may_be_meant(
    tmp_path: Path, options: dict[str, Any], expected: str
) -> None:
    entries = [
        file(f"{LORAS}/a.safetensors", model={"format": "safetensors", "kind": "lora"}),
        file("ComfyUI/models/checkpoints/b.ckpt"),
        folder(f"{LORAS}/deep.folder"),
        file(IN_PACK, root=PACKS),
    ]
    path = inventory(tmp_path, entries)
    searched = Searched()
    wanted = parse_wanted(HEADER, "/srv", **options)
    assert list(find_entries(path, wanted, NOW, searched)) == []
    text = nothing_text(path, searched, options)
    assert text.startswith("Nothing found among 4 entries" + ("; " if expected else ""))
    assert expected in text
    assert bool(expected) == (";" in text)
    assert "\n" not in text


# The other criteria


def test_roots_by_kind_path_or_id() -> None:
    inside, outside = file(f"{LORAS}/a"), file("/mnt/nas/a")
    for root in ("models", "ComfyUI/models", "ComfyUI/models/", MODELS):
        assert is_found(inside, roots=[root])
        assert not is_found(outside, roots=[root])
    for path in ("ComfyUI/models", "ComfyUI/models/"):  # as the inventory shows it
        assert parse_wanted(HEADER, "/elsewhere", roots=[path]).roots == frozenset((MODELS,))
    assert is_found(outside, roots=["models", "extra"])


@pytest.mark.skipif(os.name == "nt", reason="absolute paths of POSIX")
def test_roots_by_a_path_relative_to_the_working_folder() -> None:
    for cwd, root in (
        ("/srv/ComfyUI", "models"),
        ("/srv/x", "../ComfyUI/models/"),
        ("/", "/mnt/nas"),
    ):
        wanted = parse_wanted(HEADER, cwd, roots=[root])
        assert wanted.roots == frozenset((NAS if root == "/mnt/nas" else MODELS,))


def test_categories_are_patterns_and_old_names_are_known() -> None:
    lora, unet = file(f"{LORAS}/a"), file("ComfyUI/models/diffusion_models/a")
    assert is_found(lora, categories=["LoRAs"])
    assert is_found(lora, categories=["vae", "lor*"])
    assert not is_found(lora, categories=["lora"])
    assert is_found(unet, categories=["unet"])
    text_encoder, adapter = file("a", category="text_encoders"), file("a", category="t2i_adapter")
    assert is_found(text_encoder, categories=["clip"])
    assert not is_found(text_encoder, categories=["clip_vision"])
    for category in ("controlnet", "t2i_adapter"):
        assert is_found(file("a", category=category), categories=["t2i_adapter"])
    assert not is_found(adapter, categories=["controlnet"])
    assert not is_found(file("/mnt/nas/a"), categories=["*"])


def test_kinds_are_what_the_model_says_or_the_category_is() -> None:
    lora = file(f"{LORAS}/a.safetensors")
    for kind in ("lora", "LoRAs", "loras"):
        assert is_found(lora, kinds=[kind])
        assert is_found(file("/mnt/nas/a", model={"kind": "LoRA"}), kinds=[kind])
        assert not is_found(file("/mnt/nas/a", model={"kind": "vae"}), kinds=[kind])
        assert not is_found(file("/mnt/nas/a"), kinds=[kind])
    upscaler = file("ComfyUI/models/upscale_models/a.pth")
    assert is_found(upscaler, kinds=["upscale model"])
    assert is_found(upscaler, kinds=["vae", "upscale-models"])
    adapter = {"kind": "ip-adapter"}
    assert is_found(file("/mnt/nas/a", model=adapter), kinds=["ipadapter"])
    assert is_found(file("ComfyUI/models/ipadapter/a.pt"), kinds=["ip-adapter"])
    assert is_found(file("ComfyUI/models/text_encoders/a.pt"), kinds=["clip"])
    assert is_found(file("/mnt/nas/a", model={"kind": "clip"}), kinds=["clip"])
    # A model in the wrong folder is found by what it is, and by where it is.
    stray = file("ComfyUI/models/checkpoints/a.pt", model={"kind": "lora"})
    assert is_found(stray, kinds=["lora"])
    assert is_found(stray, kinds=["checkpoint"])


def test_previews_are_no_models_of_their_category() -> None:
    assert not is_found(file(f"{LORAS}/a.preview.PNG"), kinds=["lora"])
    assert is_found(file(f"{LORAS}/a.preview.png"), categories=["loras"])
    assert is_found(file(f"{LORAS}/a.safetensors.part"), kinds=["lora"])


BASE_MODELS = [
    ("sdxl 1.0", "sdxl_1.0", True),
    ("sdxl_1.0", "SDXL 1.0", True),
    ("sdxl1.0", "SDXL 1.0", True),
    ("sdxl", "SDXL-1.0", True),
    ("sdx", "SDXL 1.0", True),
    ("xl", "SDXL", True),
    ("flux1", "Flux.1 D", True),
    ("flux.1-dev", "FLUX.1 [dev]", True),
    ("sd15", "SD 1.5", True),
    ("sd 1.5", "SD 1.5 LCM", True),
    ("sd 1.5", "sd15", False),
    ("sd 15", "sd15", True),
    ("*1.0", "SDXL 1.0 turbo", False),
    ("sd 1", "SD 1.5", True),
    ("sd 1", "SD 15", False),
    ("2.1", "Wan 2.2 14B", False),
    ("2.1", "Wan 2.1 14B", True),
    ("14b", "Wan 2.1 14B", True),
    ("4b", "Wan 2.1 14B", False),
    ("sdxl", "SD 1.5", False),
    ("sd*", "SDXL 1.0", True),
    ("sd?l*", "SDXL 1.0", True),
    ("*1.0", "SDXL 1.0", True),
    ("xl*", "SDXL 1.0", False),
    ("sd", "Pony", False),
    ("wan video 2.2 *", "Wan Video 2.2 T2V-A14B", True),
    ("sdxl", "stable-diffusion-xl-v1-base/lora", True),
    ("Stable Diffusion 1.5", "SD 1.5", True),
    ("sd1", "sd_v1", True),
    ("sd 1", "sd-v-1.5", True),
    ("sdv1", "sd 1", False),
    ("sd5", "sdv1-5", False),
    ("\u6a21\u578b", "\u5927\u6a21\u578b", True),
]


@pytest.mark.parametrize(("text", "name", "expected"), BASE_MODELS)
def test_base_models(text: str, name: str, expected: bool) -> None:
    assert is_found(file("x/a", model={"base_model": name}), base_models=[text]) is expected


@pytest.mark.parametrize(
    ("text", "base", "family", "expected"),
    [
        ("sd15", "SD 1.x/SDXL", ["SD 1.5", "SD 2", "SDXL"], True),
        ("sd 1.5", "SD 1.5", "SD 1.5", True),
        ("sdxl", "SDXL (Pony)", "SDXL", True),
        ("pony", "SDXL (Pony)", "SDXL", True),
        ("pony", "SDXL", "SDXL", False),
        ("flux", "Flux.1 dev", "Flux.1", True),
        ("flux.1 d", "Flux.1 dev", "Flux.1", True),
        ("flux.1 d", "Flux.1 schnell", "Flux.1", False),
        ("wan2.2", "Wan 2.x T2V 14B", "Wan", True),
        ("wan2.1", "Wan 2.x T2V 14B", "Wan", True),
        ("wan2.1", "Wan 2.2 TI2V 5B", "Wan", False),
        ("ltxv", "LTX-Video", "LTX-Video", True),
        ("sd3", "SD 3.5 Large", "SD 3", True),
    ],
)
def test_base_models_as_people_type_them(
    text: str, base: str, family: str | list[str], expected: bool
) -> None:
    model = {"base_model": base, "family": family}
    assert is_found(file("x/a", model=model), base_models=[text]) is expected


def test_base_models_in_other_shapes() -> None:
    assert is_found(file("x/a", model={"base_model": ["Pony", "SDXL"]}), base_models=["sdxl"])
    assert is_found(file("x/a", model={"architecture": "sdxl"}), base_models=["sdxl", "flux"])
    both = {"architecture": "sdxl", "base_model": "Pony"}
    assert not is_found(file("x/a", model=both), base_models=["sdxl"])
    assert not is_found(file("x/sdxl"), base_models=["sdxl"])


@given(st.text(min_size=1))
def test_any_text_is_a_base_model_or_refused(text: str) -> None:
    try:
        parse_base_model(text).search(text)
    except SettingsError as error:
        assert "--base-model" in str(error)


def test_formats_are_what_the_content_says_else_the_ending() -> None:
    assert is_found(file("x/a.bin", model={"format": "GGUF"}), formats=[".gguf"])
    assert not is_found(file("x/a.gguf", model={"format": "safetensors"}), formats=["gguf"])
    for format_ in ("ckpt", "pickle", "PyTorch"):
        model = {"format": "pytorch (pickle in zip)"}
        assert is_found(file("x/a.ckpt", model=model), formats=["pt", format_])
    assert is_found(file("x/a.SafeTensors", status="truncated"), formats=["safetensors"])
    assert not is_found(file("x.safetensors/safetensors"), formats=["safetensors"])
    assert not is_found(file("x/.safetensors"), formats=["safetensors"])


SPANS = [
    (">1GB", Span(10**9 + 1, None)),
    (">= 1 GiB", Span(2**30, None)),
    ("<=100MB", Span(None, 10**8)),
    ("<1.5kb", Span(None, 1499)),
    ("1GB..2GB", Span(10**9, 2 * 10**9)),
    ("1.5GB .. 2TB", Span(1_500_000_000, 2 * 10**12)),
    ("1GB..", Span(10**9, None)),
    ("..2KiB", Span(None, 2048)),
    ("=0", Span(0, 0)),
    (" >0 ", Span(1, None)),
]


@pytest.mark.parametrize(("text", "span"), SPANS)
def test_sizes(text: str, span: Span) -> None:
    assert parse_sizes(text) == span


def test_bounds_of_sizes_are_kept_to_the_byte() -> None:
    for size, expected in ((999, False), (1000, True), (2000, True), (2001, False)):
        assert is_found(file("x/a", size), size="1KB..2KB") is expected
    assert not is_found(file("x/a", 1000), size=">1KB")
    assert is_found(file("x/a", 1000), size=">=1KB")
    assert is_found(file("x/a", 0), size="=0")
    without = {key: value for key, value in folder("x/a").items() if key != "size"}
    assert not is_found(without, size="<1TB", types=["directory"])


def test_ages_are_those_of_the_content() -> None:
    assert parse_ages("7d..30d") == Span(7 * DAY, 30 * DAY)
    assert is_found(file("x/a", age=31 * DAY), age=">30d")
    assert not is_found(file("x/a", age=30 * DAY), age=">30d")
    assert is_found(file("x/a", age=HOUR), age="<2h")
    assert is_found(file("x/a", age=-DAY), age="<2h")  # a server's clock ahead of ours
    assert is_found(file("x/a", age=7 * DAY), age="7d..30d")
    ancient = {**file("x/a"), "mtime_ns": "-99999999999999999999"}
    del ancient["mtime"]
    assert is_found(ancient, age=">3000d")
    del ancient["mtime_ns"]
    assert not is_found(ancient, age=">0s")


def test_statuses_and_their_groups() -> None:
    def having(*words: str) -> set[str]:
        return {
            status
            for status in (*STATUSES, "new_word", "")
            if is_found({**file("x/a"), **({"status": status} if status else {})}, statuses=words)
        }

    assert having("partial") == {"partial"}
    assert having("Partial", "page") == {"partial", "page"}
    assert having("broken") == {"truncated", "damaged", "pointer", "page", "corrupt"}
    assert having("unfinished") == {"unsettled", "partial", "truncated", "incomplete"}
    assert having("unfinished", "page") == {
        *("unsettled", "partial", "truncated", "incomplete", "page"),
    }
    assert having("any") == {*STATUSES, "new_word"}
    assert having() == {*STATUSES, "new_word", ""}
    assert parse_statuses(["any", "page"]) == frozenset()


def test_misplaced_models_are_searched_as_a_status() -> None:
    misplaced = {"misplaced": {"kind": "lora", "category": "vae"}}
    entry, broken = {**file("x/a"), **misplaced}, {**file("x/b"), "status": "page"}
    for words, expected in (
        (["misplaced"], (True, False)),
        (["misplaced", "broken"], (True, True)),
        (["page"], (False, True)),
        (["any"], (True, True)),
    ):
        assert (is_found(entry, statuses=words), is_found(broken, statuses=words)) == expected
    assert not is_found(file("x/c"), statuses=["any"])
    assert "misplaced: lora in vae" in printed([entry])[1]


def test_a_link_whose_target_is_away_is_found() -> None:
    for leads_to in ({}, {"leads_to": "directory"}, {"leads_to": "file"}):
        link = {**file("x/a"), "type": "symlink", **leads_to, "status": "away", "target": "/nas/a"}
        assert is_found(link, statuses=["away"])
        assert is_found(link, statuses=["away"], types=["symlink"])
        assert not is_found(link, statuses=["away"], types=["file"])


def test_types() -> None:
    entries = {
        "file": file("x/a"),
        "directory": folder("x/b"),
        "to file": {**file("x/c"), "type": "symlink", "leads_to": "file", "target": "y"},
        "to folder": {**file("x/d"), "type": "symlink", "leads_to": "directory", "target": "y"},
        "broken": {"path": "x/e", "type": "symlink", "root": MODELS, "target": "y"},
        "pipe": {"path": "x/f", "type": "other", "root": MODELS},
    }

    def having(*types: str) -> set[str]:
        return {name for name, entry in entries.items() if is_found(entry, types=types)}

    assert having() == {"file", "to file"}
    assert having("file") == {"file"}
    assert having("directory") == {"directory"}
    assert having("symlink") == {"to file", "to folder", "broken"}
    assert having("other", "Directory") == {"pipe", "directory"}


def test_shadowed_models_are_files_or_folders() -> None:
    shadowed = file(f"{LORAS}/a", shadowed_by="/mnt/nas/a")
    model = folder("ComfyUI/models/diffusers/a", shadowed_by="/mnt/nas/b")
    for entry in (shadowed, model):
        assert is_found(entry, is_shadowed=True)
    assert not is_found(file(f"{LORAS}/a"), is_shadowed=True)
    assert is_found(shadowed)
    assert not is_found(model)
    (line,) = [line for line in printed([shadowed]) if LORAS in line]
    assert "  shadowed by /mnt/nas/a  " in line


def test_packs_are_a_kind_that_is_found_whatever_its_type() -> None:
    pack = folder("ComfyUI/custom_nodes/a", pack={"name": "a"})
    assert not is_found(pack)
    for kind in ("pack", "node packs", "custom-node"):
        assert is_found(pack, kinds=[kind])
    assert is_found(file("ComfyUI/custom_nodes/a.py", pack={"name": "a"}), kinds=["pack"])
    assert not is_found(pack, kinds=["pack"], types=["file"])
    assert not is_found(file("ComfyUI/custom_nodes/a/b.py"), kinds=["pack"])
    assert not is_found(folder("ComfyUI/custom_nodes/a/b"), kinds=["pack"])


HASHED = file(
    "x/a",
    fingerprint="xxh3_128s:" + "1a" * 16,
    hash="xxh3_128:" + "2b" * 16,
    sha256="3c" * 32,
    model={"autov3": "4d4d4d4d4d4d"},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1a1a", True),
        ("1A1A1A", True),
        ("fingerprint:1a1a", True),
        ("xxh3_128s:1a1a", True),
        ("xxh3_128:1a1a", False),
        ("hash:2b2b2b", True),
        ("XXH3_128:" + "2b" * 16, True),
        ("hash:1a1a", False),
        ("3c" * 32, True),
        ("sha256:3c3c3c", True),
        ("3c3c3c3c3c", True),
        ("autov2:3c3c3c3c3c", True),
        ("AutoV2:4d4d", False),
        ("autov3:4d4d4d4d4d4d", True),
        ("autov3:" + "4d" * 32, True),
        ("4d" * 32, True),
        ("4d4d4d4d4d4e", False),
        ("a1a1", False),
        (" 1a1a ", True),
    ],
)
def test_hashes(text: str, expected: bool) -> None:
    assert is_found(HASHED, hashes=[text]) is expected
    assert is_found(HASHED, hashes=["ffff", text]) is expected
    assert not is_found(file("x/a"), hashes=[text])


def test_text_is_looked_for_where_people_write() -> None:
    model = {
        "title": "Caf\u00e9 at Night",
        "trigger_words": ["neon glow", "rain"],
        "description": "Trained on\nphotographs.",
        "author": "somebody",
    }
    for text in ("CAFE\u0301", "Neon Glow", "on\nphoto", "loras/A"):
        assert is_found(file(f"{LORAS}/a", model=model), text=text)
    assert is_found(file("x/a", model={"trigger_words": "neon"}), text="neon")
    for text in ("somebody", "neonglow"):
        assert not is_found(file(f"{LORAS}/a", model=model), text=text)
    assert not is_found(file("x/a"), text="neon")


def test_all_criteria_must_hold(tmp_path: Path) -> None:
    hit = file(f"{LORAS}/a.safetensors", 2000, 40 * DAY, model={"base_model": "SDXL"})
    options = {
        "globs": ["*.safetensors"],
        "roots": ["models"],
        "categories": ["loras"],
        "kinds": ["lora"],
        "base_models": ["sdxl"],
        "formats": ["safetensors"],
        "size": ">1KB",
        "age": ">30d",
        "types": ["file"],
        "text": "a",
    }
    assert is_found(hit, **options)
    misses = {
        "globs": ["*.pt"],
        "roots": ["extra"],
        "categories": ["vae"],
        "kinds": ["vae"],
        "base_models": ["flux"],
        "formats": ["gguf"],
        "size": "<1KB",
        "age": "<30d",
        "types": ["other"],
        "text": "nowhere",
        "statuses": ["any"],
        "hashes": ["abcd"],
    }
    for option, value in misses.items():
        assert not is_found(hit, **{**options, option: value}), option


# Sentences


REFUSED = [
    ({"globs": [""]}, ("WORD", "*.safetensors", "''")),
    ({"roots": ["nowhere"]}, ("--root", MODELS, NAS, "'nowhere'")),
    ({"roots": ["downloads"]}, ("--root", MODELS, NAS, "'downloads'")),  # there is none of it
    ({"categories": [" "]}, ("--category", "loras")),
    ({"kinds": [""]}, ("--kind", "lora")),
    ({"base_models": [""]}, ("--base-model", "sdxl")),
    ({"base_models": ["._ "]}, ("--base-model", "'._ '")),
    ({"formats": [""]}, ("--format", "gguf")),
    ({"size": "1GB"}, ("--size", ">1GB", "'1GB'")),
    ({"size": ">1XB"}, ("--size", "1GB..2GB", "'>1XB'")),
    ({"size": "2GB..1GB"}, ("--size", "'2GB..1GB'")),
    ({"size": ".."}, ("--size", "'..'")),
    ({"size": ">-1"}, ("--size", "'>-1'")),
    ({"size": ">=<1"}, ("--size", "'>=<1'")),
    ({"size": ""}, ("--size", "''")),
    ({"size": "1...2"}, ("--size", "'1...2'")),
    ({"age": "30d"}, ("--age", ">30d", "'30d'")),
    ({"age": ">1GB"}, ("--age", "7d..30d", "'>1GB'")),
    (
        {"statuses": ["brocken"]},
        ("--status", "broken", "unfinished", "any", "pointer", "'brocken'"),
    ),
    ({"types": ["folder"]}, ("--type", "directory", "'folder'")),
    ({"hashes": ["abc"]}, ("--hash", "4", "'abc'")),
    ({"hashes": ["safetensors"]}, ("--hash", "hexadecimal", "'safetensors'")),
    ({"hashes": ["md5:abcdef"]}, ("--hash", "sha256", "autov2", "'md5:abcdef'")),
    ({"hashes": [":abcdef"]}, ("--hash", "':abcdef'")),
    ({"hashes": ["autov2:" + "a" * 11]}, ("--hash", "autov2")),
    ({"hashes": ["a" * 65]}, ("--hash",)),
    ({"text": "  "}, ("--text", "'  '")),
    ({"sort": "name"}, ("--sort", "path, size, age", "'name'")),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_wrong_use_is_one_sentence(options: dict[str, Any], words: tuple[str, ...]) -> None:
    told = refusal(**options)
    assert told.endswith(".")
    assert ": expected " in told
    assert all(word in told for word in words), told


# Order and limit


@pytest.fixture
def assorted(tmp_path: Path) -> Path:
    unlisted = folder("x/d")
    del unlisted["size"], unlisted["mtime"]
    return inventory(
        tmp_path,
        [
            file("x/B", 5, 3 * DAY),
            file("x/a", 7, 1 * DAY),
            file("x/a b/z", 5, 2 * DAY),
            file("x/c", 9, 4 * DAY),
            unlisted,
        ],
    )


EVERYTHING = {"types": ["file", "directory"]}


def test_order_is_that_of_the_inventory_unless_sorted(assorted: Path) -> None:
    assert found(assorted, **EVERYTHING) == ["x/B", "x/a", "x/a b/z", "x/c", "x/d"]
    assert found(assorted, sort="path") == ["x/a", "x/a b/z", "x/B", "x/c"]
    assert found(assorted, sort="size") == ["x/c", "x/a", "x/B", "x/a b/z"]
    assert found(assorted, sort="age") == ["x/a", "x/a b/z", "x/B", "x/c"]


def test_paths_are_sorted_by_components(tmp_path: Path) -> None:
    path = inventory(tmp_path, [file("x/a b"), file("x/a/z")])
    assert found(path, sort="path") == ["x/a/z", "x/a b"]


def test_reversed_order(assorted: Path) -> None:
    assert found(assorted, is_reversed=True) == ["x/c", "x/B", "x/a b/z", "x/a"]
    assert found(assorted, sort="size", is_reversed=True) == ["x/B", "x/a b/z", "x/a", "x/c"]
    assert found(assorted, sort="age", is_reversed=True) == ["x/c", "x/B", "x/a b/z", "x/a"]


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("sort", ["size", "age"])
def test_what_has_no_size_or_time_comes_last(assorted: Path, sort: str, is_reversed: bool) -> None:
    names = found(assorted, sort=sort, is_reversed=is_reversed, **EVERYTHING)
    assert names[-1] == "x/d"


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("sort", [None, "path", "size", "age"])
def test_limit_is_the_start_of_all(assorted: Path, sort: str | None, is_reversed: bool) -> None:
    whole = found(assorted, sort=sort, is_reversed=is_reversed, **EVERYTHING)
    for limit in range(1, 7):
        options = {"sort": sort, "is_reversed": is_reversed, "limit": limit}
        assert found(assorted, **options, **EVERYTHING) == whole[:limit]
    options = {"sort": sort, "is_reversed": is_reversed, "limit": 0}
    assert found(assorted, **options, **EVERYTHING) == whole


def test_reading_ends_at_the_limit(tmp_path: Path) -> None:
    path = inventory(tmp_path, [file("x/a"), file("x/b")])
    path.write_bytes(path.read_bytes().replace(b'"x/b"', b'"x/b'))
    assert found(path, limit=1) == ["x/a"]
    with pytest.raises(UnreadableInventoryError, match="line 3"):
        found(path, limit=2)


# Inventories


def test_real_inventory(tmp_path: Path) -> None:
    top = os.path.abspath(os.sep + "srv")
    models = Root("models", os.path.join(top, "models"))
    rows = [Row("a.safetensors", FILE, 5, NOW, 0), Row("gro\udcdf.pt", FILE, 7, NOW, 0)]
    loras = os.path.join(models.path, "loras")
    snapshot = {
        models.path: Directory(listing_of([Row("loras", "d", 0, 0, 0)]), NOW),
        loras: Directory(listing_of(rows), NOW),
    }
    if os.name == "nt":
        rows.pop()
    path = tmp_path / "i.json"
    write_inventory(
        path, InventoryView(3, NOW, top, [RootView(models, "online", NOW, "")], (), snapshot)
    )
    header = header_of(path)
    wanted = parse_wanted(header, top, globs=["loras/*.pt"], roots=["models"])
    entries = list(find_entries(path, wanted, NOW))
    assert [entry["path"] for entry in entries] == ["models/loras/gro\ufffd.pt"]
    assert entries == [entry for entry in read_entries(path) if "path_b64" in entry]
    assert "gro\ufffd.pt" in printed(entries)[1]


def test_an_inventory_that_is_none_is_told(tmp_path: Path) -> None:
    for content, words in ((None, "no inventory"), (b"{}", "not an inventory")):
        path = tmp_path / "i.json"
        if content is not None:
            path.write_bytes(content)
        for read in (header_of, packs_of):
            with pytest.raises(UnreadableInventoryError, match=words):
                read(path)


@pytest.mark.parametrize(
    ("broken", "options"),
    [
        ({"size": "much"}, {"size": ">1"}),
        ({"size": "much"}, {"sort": "size"}),
        ({"mtime": "yesterday"}, {"age": ">1s"}),
        ({"mtime": "yesterday"}, {"sort": "age"}),
        ({"path": None}, {"globs": ["a"]}),
        ({"model": 3}, {"kinds": ["lora"]}),
    ],
)
def test_a_damaged_entry_is_told(
    tmp_path: Path, broken: dict[str, Any], options: dict[str, Any]
) -> None:
    path = inventory(tmp_path, [{**file("x/a"), **broken}])
    with pytest.raises(UnreadableInventoryError, match="damaged") as raised:
        found(path, **options)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


# What is printed for people


def test_table_is_whole_where_nobody_looks() -> None:
    long = "ComfyUI/models/loras/" + "x" * 400
    lines = printed(
        [
            file(
                f"{LORAS}/a.safetensors",
                6_900_000_000,
                DAY,
                status="truncated",
                problem="It ends 3 bytes too soon.",
                model={"base_model": "SDXL 1.0", "kind": "lora"},
            ),
            file(long, 5, category="loras", model={"kind": "lora"}),
        ],
        zone=UTC,
    )
    assert lines[0].split() == ["size", "modified", "(UTC)", "category", "model", "status", "path"]
    assert len(lines) == 4
    cells = [f"{LORAS}/a.safetensors", "6.9 GB", "2026-09-20 14:13", "loras", "SDXL 1.0"]
    assert all(cell in lines[1] for cell in cells)
    assert lines[1].endswith(f"  truncated: It ends 3 bytes too soon.  {LORAS}/a.safetensors")
    assert lines[2].endswith(long)
    assert "  lora " in lines[2]
    assert lines[3] == "2 files, 6.9 GB"
    assert len({line.index("loras") for line in lines[1:3]}) == 1


def test_nothing_found_prints_nothing() -> None:
    assert printed([]) == []
    out = io.StringIO()
    print_packs(Console(file=out), [])
    assert out.getvalue() == ""


EVIL = "\x1b[31mred\x07\nline\u202e"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_names_cannot_steer_the_terminal(is_terminal: bool) -> None:
    model = {"base_model": EVIL}
    entry = file(EVIL, category=EVIL, model=model, status="page", problem=EVIL)
    pack = {"path": "x", "name": EVIL, "remote": EVIL, "version": EVIL, "files": 1, "bytes": 1}
    out = io.StringIO()
    console = Console(file=out, width=400, force_terminal=is_terminal, color_system=None)
    print_found(console, [entry])
    print_packs(console, [pack])
    assert not {"\x1b", "\x07", "\u202e"} & set(out.getvalue())
    assert out.getvalue().count(r"\x1b[31mred\x07\nline\u202e") == 7
    # On a terminal the problem has a line of its own.
    assert len(out.getvalue().splitlines()) == (7 if is_terminal else 6)


def test_markup_in_names_is_text() -> None:
    for terminal in (False, True):
        out = io.StringIO()
        console = Console(file=out, width=200, force_terminal=terminal, color_system=None)
        print_found(console, [file("x/[bold]a[/bold] :smile:")])
        assert "x/[bold]a[/bold] :smile:" in out.getvalue()


def test_on_a_terminal_facts_fit_and_a_path_stays_whole() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    problem = "It is a page of HTML: the download asked for a password."
    print_found(console, [file(f"{LORAS}/" + "x" * 200, 5, status="page", problem=problem)])
    lines = out.getvalue().splitlines()
    path = f"    {LORAS}/" + "x" * 200
    assert path in lines
    assert all(len(line) <= 100 for line in lines if line != path)
    assert f"    page: {problem}" in lines


@pytest.mark.parametrize("width", [80, 140])
def test_on_a_terminal_what_shadows_a_model_stands_whole_below_it(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    other = "/mnt/nas/a folder with a long name/" + "x y" * 60
    entry = file(f"{LORAS}/a", 5, category="loras", shadowed_by=other, status="partial")
    print_found(console, [entry])
    lines = out.getvalue().splitlines()
    assert f"    shadowed by {other}" in lines
    assert "partial, shadowed  " in lines[1]
    assert f"{LORAS}/a" in lines[1]
    assert "\u2026" not in out.getvalue()


def test_columns_stay_in_place_from_stretch_to_stretch() -> None:
    entries = [file(f"{LORAS}/{n:04}.pt") for n in range(2 * STRETCH)]
    entries[0]["category"] = "a rather long category"
    lines = printed(entries)
    assert len(lines) == 2 * STRETCH + 2
    assert sum("modified" in line for line in lines) == 1
    assert len({line.index(LORAS) for line in lines[1:-1]}) == 1


def test_rows_come_before_all_are_known() -> None:
    out = io.StringIO()

    def entries() -> Iterable[dict[str, Any]]:
        for number in range(STRETCH + 1):
            yield file(f"x/{number}")
        assert f"x/{STRETCH - 1}\n" in out.getvalue()

    print_found(Console(file=out, width=1000), entries())


def test_links_and_folders_are_shown_as_such() -> None:
    link = {**file("x/l"), "type": "symlink", "leads_to": "file", "target": "/y"}
    lines = printed([link, folder("x/f", 9)])
    assert lines[1].endswith("x/l -> /y")
    assert lines[2].endswith("x/f/")
    assert lines[3] == "1 file, 10 B; 1 folder, 9 B"


def test_sums_count_nothing_twice() -> None:
    nested = [folder("a/b/c", 5), folder("a", 100), folder("a/b", 60), folder("ab", 1)]
    assert printed(nested)[-1] == "4 folders, 101 B"
    aliases = [file("x/a", 10), file("x/b", 7, alias_of="y/b")]
    assert printed(aliases)[-1].startswith("2 files, 17 B (1 of them, 7 B, are further paths")
    broken = {"path": "x/e", "type": "symlink", "root": MODELS, "target": "y"}
    assert printed([broken])[-1] == "1 other"


def test_sums_count_a_model_in_several_files_with_all_its_parts() -> None:
    index = file("x/m.safetensors.index.json", 3, set={"kind": "shards", "bytes": 70})
    parts = [file(f"x/m-{n}-of-2.safetensors", 30, part_of=index["path"]) for n in (1, 2)]
    assert printed([index])[-1] == "1 file, 70 B"
    # One part is not in the table: the model has its bytes all the same.
    assert printed([parts[0], index, file("x/z", 5)])[-1] == "3 files, 75 B"
    assert printed(parts)[-1] == "2 files, 60 B"
    assert document([*parts, index])["bytes"] == 70
    further = [{**entry, "path": f"y/{n}", "alias_of": "x"} for n, entry in enumerate(parts)]
    counted = document([*parts, *further, index])
    assert (counted["bytes"], counted["alias_bytes"]) == (70, 60)
    pipeline = folder("x/p", 99, set={"kind": "diffusers", "bytes": 90})
    assert printed([pipeline])[-1] == "1 folder, 90 B"


def test_a_reached_limit_is_told() -> None:
    entries = [file("x/a"), file("x/b")]
    assert "--limit is 2" in printed(entries, limit=2)[-1]
    assert "--limit" not in printed(entries, limit=3)[-1]


# JSON


def document(entries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    out = io.BytesIO()
    write_found(out, HEADER, entries)
    assert out.getvalue().endswith(b"\n")
    parsed: dict[str, Any] = json.loads(out.getvalue())["data"]
    assert out.getvalue().count(b"\n") == len(parsed["entries"]) + 2
    return parsed


def test_json_has_the_entries_as_they_stand(tmp_path: Path) -> None:
    entries = [
        file("x/\ufffd", 3, path_b64=b64encode(b"x/\xdf").decode()),
        file('x/"\n\u2028', 4, model={"base_model": "SDXL"}, alias_of="y"),
        folder("x/f", 8, pack={"name": "f"}),
    ]
    path = inventory(tmp_path, entries)
    wanted = parse_wanted(HEADER, "/", types=["file", "directory"])
    parsed = document(find_entries(path, wanted, NOW))
    assert parsed == {
        "schema": 1,
        "scan": 7,
        "generated": HEADER["generated"],
        "base": BASE,
        "entries": entries,
        "count": 3,
        "bytes": 7,
        "alias_bytes": 4,
        "folder_bytes": 8,
    }


def test_json_of_nothing_is_a_document() -> None:
    parsed = document([])
    assert parsed["entries"] == []
    assert (parsed["count"], parsed["bytes"]) == (0, 0)


def test_no_half_document_of_what_cannot_be_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    entries = find_entries(tmp_path / "nothing.json", parse_wanted(HEADER, "/"), NOW)
    with pytest.raises(UnreadableInventoryError):
        write_found(out, HEADER, entries)
    assert out.getvalue() == b""


# Node packs

NODES = "ComfyUI/custom_nodes"


@pytest.fixture
def with_packs(tmp_path: Path) -> Path:
    return inventory(
        tmp_path,
        [
            folder(f"{NODES}/.disabled", 30),
            folder(f"{NODES}/.disabled/old@1_0", 30, pack={"name": "Old", "enabled": False}),
            file(f"{NODES}/.disabled/old@1_0/a.py", 30),
            folder(
                f"{NODES}/Zeta",
                15,
                pack={
                    "id": "zeta",
                    "name": "zeta",
                    "commit": "0123456789abcdef",
                    "remote": "https://example.org/zeta.git",
                    "source": "git",
                    "enabled": True,
                    "files": 99,
                },
            ),
            file(f"{NODES}/Zeta/__init__.py", 5),
            folder(f"{NODES}/Zeta/js", 10),
            {**file(f"{NODES}/Zeta/js/a.js", 10), "type": "symlink", "leads_to": "file"},
            {"path": f"{NODES}/Zeta/pipe", "type": "other", "root": PACKS},
            file(f"{NODES}/Zeta b/a.py", 1000),
            file(f"{NODES}/Zeta.py", 1000),
            file(f"{NODES}/alone.py", 7, pack={"source": "file", "enabled": True}),
            folder(f"{NODES}/\u00c4pfel", 0, pack={"name": "\u00c4pfel", "version": "1.2.3"}),
            file(f"{LORAS}/a.pt", 1000),
        ],
    )


def test_packs_are_counted_and_sorted(with_packs: Path) -> None:
    packs = packs_of(with_packs)
    told = [(pack_name(pack), pack["files"], pack["bytes"]) for pack in packs]
    assert told == [
        ("alone.py", 1, 7),
        ("Old", 1, 30),
        ("zeta", 2, 15),
        ("\u00c4pfel", 0, 0),
    ]
    assert packs[2]["path"] == f"{NODES}/Zeta"
    assert packs[2]["id"] == "zeta"
    assert "size" not in packs[2]


def test_a_pack_without_a_name_has_that_of_its_place() -> None:
    assert pack_name({"path": "x/Some.disabled", "id": "some"}) == "some"
    assert pack_name({"path": "x/Some.disabled"}) == "Some"


def test_packs_by_whether_they_are_enabled(with_packs: Path) -> None:
    disabled = packs_of(with_packs, is_enabled=False)
    enabled = packs_of(with_packs, is_enabled=True)
    assert [pack["name"] for pack in disabled] == ["Old"]
    assert [pack_name(pack) for pack in enabled] == ["alone.py", "zeta", "\u00c4pfel"]


def test_packs_within_packs_and_names_that_look_alike(tmp_path: Path) -> None:
    twin = {"path_b64": b64encode(b"p\xff").decode()}
    path = inventory(
        tmp_path,
        [
            folder("a", 3, pack={"name": "outer"}),
            file("a/a.py", 1),
            folder("a/b", 2, pack={"name": "inner"}),
            file("a/b/x.py", 2),
            file("b.py", 1000),
            folder("p\ufffd", 4, pack={"name": "p1"}, **twin),
            file("p\ufffd/x.py", 4),
            folder("p\ufffd", 5, pack={"name": "p2"}, **twin),
            file("p\ufffd/x.py", 5),
        ],
    )
    told = {pack["name"]: (pack["files"], pack["bytes"]) for pack in packs_of(path)}
    assert told == {"outer": (2, 3), "inner": (1, 2), "p1": (1, 4), "p2": (1, 5)}


def test_packs_as_a_table(with_packs: Path) -> None:
    out = io.StringIO()
    print_packs(Console(file=out, width=100_000), packs_of(with_packs))
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["name", "version", "source", "enabled", "files", "size", "remote"]
    zeta = "zeta 0123456 git yes 2 15 B https://example.org/zeta.git"
    assert lines[3].split() == zeta.split()
    assert lines[2].split() == ["Old", "no", "1", "30", "B"]
    assert lines[-1] == "4 packs (1 disabled), 4 files, 52 B"


def test_packs_as_json(with_packs: Path) -> None:
    out = io.BytesIO()
    write_packs(out, HEADER, packs_of(with_packs))
    parsed = json.loads(out.getvalue())["data"]
    assert parsed["packs"] == packs_of(with_packs)
    assert (parsed["schema"], parsed["scan"], parsed["count"]) == (1, 7, 4)
    assert (parsed["files"], parsed["bytes"]) == (4, 52)


def test_packs_are_shown_among_entries_too(with_packs: Path) -> None:
    wanted = parse_wanted(HEADER, "/", kinds=["pack"])
    lines = printed(find_entries(with_packs, wanted, NOW))
    assert any("zeta 0123456" in line and f"{NODES}/Zeta/" in line for line in lines)
    assert any("alone.py" in line for line in lines)


# Large inventories


def large(folder_: Path, folders: int) -> Path:
    """An inventory of so many packs of 1000 files each."""

    def entries() -> Iterable[dict[str, Any]]:
        for number in range(folders):
            yield folder(f"{LORAS}/{number:03}", pack={"name": f"pack {number:03}"})
            for inner in range(1000):
                size = number * 1000 + inner
                yield file(f"{LORAS}/{number:03}/{inner:03}.safetensors", size)

    return inventory(folder_, entries())


class Sink(io.RawIOBase):
    """Counts what it forgets."""

    def __init__(self) -> None:
        self.lines = 0

    def write(self, data: Any) -> int:
        self.lines += bytes(data).count(b"\n")
        return len(data)

    def writable(self) -> bool:
        return True


def peak(work: Callable[[], None]) -> int:
    """Bytes that `work` held at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_hundred_thousand_entries_need_the_memory_of_a_few(tmp_path: Path) -> None:
    path = large(tmp_path, 100)

    def as_json() -> None:
        sink = Sink()
        entries = find_entries(path, parse_wanted(HEADER, "/"), NOW)
        assert write_found(sink, HEADER, entries).count == 100_000  # type: ignore[arg-type]
        assert sink.lines == 100_002

    assert peak(as_json) < 200_000


def test_sorted_with_a_limit_and_counted_in_packs_in_little_memory(tmp_path: Path) -> None:
    path = large(tmp_path, 20)

    def largest() -> None:
        wanted = parse_wanted(HEADER, "/", sort="size", limit=10)
        sizes = [entry["size"] for entry in find_entries(path, wanted, NOW)]
        assert sizes == list(range(19_999, 19_989, -1))

    def packs() -> None:
        assert [pack["files"] for pack in packs_of(path)] == [1000] * 20

    for work in (largest, packs):
        assert peak(work) < 200_000, work.__name__


def test_a_table_of_many_rows_needs_the_memory_of_a_stretch(tmp_path: Path) -> None:
    path = large(tmp_path, 5)

    def table() -> None:
        console = Console(file=io.TextIOWrapper(io.BufferedWriter(Sink())), width=100_000)
        found = find_entries(path, parse_wanted(HEADER, "/"), NOW)
        assert print_found(console, found).count == 5000

    printed([file("x/a")])  # what Rich keeps once is not counted
    assert peak(table) < 2_500_000


# Through the command line


@pytest.mark.skipif(os.name == "nt", reason="a terminal of POSIX")
def test_find_as_people_type_it(machine: Machine) -> None:
    models = machine.work / "ComfyUI" / "models"
    for name in ("checkpoints/sd_xl_base_1.0.safetensors", "loras/flux/ink.safetensors"):
        write(models / name, name)
    write(machine.work / "ComfyUI/custom_nodes/Pack/inner.json", "{}")
    machine.run("scan")
    listed = machine.run("find", "sdxl base").stdout
    assert "checkpoints/sd_xl_base_1.0.safetensors" in listed
    assert "1 file, " in listed
    listed = machine.run("find", "ComfyUI/models/loras/flux").stdout
    assert "ink.safetensors" in listed and "1 file, " in listed
    everything = machine.run("find", "--json").stdout
    assert "inner.json" not in everything
    assert "inner.json" in machine.run("find", "--all", "--json").stdout
    assert "inner.json" in machine.run("find", "ComfyUI/custom_nodes/Pack").stdout
    done = machine.run("find", "inner")
    assert sentence(done).endswith("1 inside node packs is left out (--all)")
    done = machine.run("find", "--category", "lora")
    assert sentence(done).endswith("entries; category lora: did you mean loras?")


@pytest.mark.skipif(os.name == "nt", reason="a terminal of POSIX")
def test_a_terminal_shows_the_first_hundred(machine: Machine) -> None:
    for number in range(150):
        write(machine.work / LORAS / f"many{number:03}.pt", "x")
    machine.run("scan")
    assert "many149.pt" in machine.run("find", "many").stdout
    shown = on_terminal(machine, "find", "many")
    assert shown.count(".pt") == 100
    assert "150 files, 150 B; the first 100 are shown, --limit 0 shows all" in shown
    assert on_terminal(machine, "find", "many", "--limit", "0").count(".pt") == 150


def on_terminal(machine: Machine, *arguments: str) -> str:
    """What a terminal of 200 columns shows."""
    import pty
    import subprocess
    import sys

    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "scanner", *arguments],
        cwd=machine.work,
        env={**machine.environ, "COLUMNS": "200", "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(child)
        shown = b""
        try:
            while part := os.read(parent, 1 << 16):
                shown += part
        except OSError:
            pass  # Linux ends a terminal with an error
        assert process.wait(PATIENCE) == 0
    os.close(parent)
    return shown.decode()
