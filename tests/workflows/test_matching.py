"""How needs stand against an inventory: the states, and the reasons in words."""

from __future__ import annotations

from typing import Any

import pytest

from scanner.workflows.index import Index
from scanner.workflows.matching import Standing, stand
from scanner.workflows.uses import Hint, Need

OWN = "models:/c/ComfyUI/models"
NAS = "models:/mnt/nas/loras"
COLD = "models:/mnt/cold/vae"
LOST = "models:/mnt/lost/loras"
BARE = "models:/mnt/bare"
DOWNLOADS = "downloads:/home/me/Downloads"
EXTRA = "extra:/data/assets"
PACKS = "custom_nodes:/c/ComfyUI/custom_nodes"
SINCE = "2026-11-01T00:00:00.000000000Z"

HEADER: dict[str, Any] = {
    "base": "/c",
    "roots": [
        {"id": OWN, "kind": "models", "path": "ComfyUI/models", "state": "online"},
        {"id": "output:/c/ComfyUI/output", "kind": "output", "path": "ComfyUI/output",
         "state": "online"},
        {"id": PACKS, "kind": "custom_nodes", "path": "ComfyUI/custom_nodes", "state": "partial"},
        {"id": NAS, "kind": "models", "path": "/mnt/nas/loras", "category": "loras",
         "named_by": "/c/ComfyUI/extra_model_paths.yaml", "state": "online"},
        {"id": COLD, "kind": "models", "path": "/mnt/cold/vae", "category": "vae",
         "named_by": "/c/ComfyUI/extra_model_paths.yaml", "state": "offline", "since": SINCE},
        {"id": LOST, "kind": "models", "path": "/mnt/lost/loras", "category": "loras",
         "named_by": "/c/ComfyUI/extra_model_paths.yaml", "state": "held", "since": SINCE},
        {"id": BARE, "kind": "models", "path": "/mnt/bare", "state": "online"},
        {"id": DOWNLOADS, "kind": "downloads", "path": "/home/me/Downloads", "state": "online"},
        {"id": EXTRA, "kind": "extra", "path": "/data/assets", "state": "online"},
    ],
    "unreachable": [{"path": "ComfyUI/models/vae/locked", "error": "Permission denied"}],
}  # fmt: skip

A, B = "a" * 64, "b" * 64


def own(category: str, name: str, **fields: Any) -> dict[str, Any]:
    """A model in ComfyUI's own folders."""
    path = f"ComfyUI/models/{category}/{name}"
    return {"path": path, "type": "file", "root": OWN, "category": category, "name": name, **fields}


def at(root: str, path: str, **fields: Any) -> dict[str, Any]:
    return {"path": path, "type": "file", "root": root, **fields}


def standing(
    need: Need, *entries: dict[str, Any], header: dict[str, Any] = HEADER
) -> Standing:  # fmt: skip
    return stand(need, Index(header, entries), lambda text: text[:10])


def need(name: str, category: str | None = "loras", *hints: Hint, bare: bool = False) -> Need:
    return Need(name, category, True, ("1 Loader",), bare, hints)


def sha(digits: str, name: str = "x.safetensors") -> Hint:
    return Hint(name, "https://example.org/x", "loras", digits)


def path_of(found: Standing) -> str | None:
    return found.found and found.found.path


# Present: ComfyUI here would load exactly this value


@pytest.mark.parametrize(
    ("wanted", "entry"),
    [
        (need("x.safetensors"), own("loras", "x.safetensors")),
        (need("flux/x.safetensors"), own("loras", "flux/x.safetensors")),
        (need("x.safetensors", "clip"), own("text_encoders", "x.safetensors")),
        (need("x.safetensors", "unet"), own("diffusion_models", "x.safetensors")),
        (need("x.safetensors", None), own("loras", "x.safetensors")),
        (need("x.safetensors"), at(NAS, "/mnt/nas/loras/x.safetensors", category="loras",
                                   name="x.safetensors")),
        # A pack's loader lists it, though ComfyUI's own do not.
        (need("q/x.gguf", "diffusion_models"),
         at(OWN, "ComfyUI/models/unet/q/x.gguf", category="diffusion_models")),
        (need("sdxl", "diffusers"),
         {**own("diffusers", "sdxl"), "type": "directory"}),
        (need("taehv.safetensors", "vae"), own("vae_approx", "taehv.safetensors")),
        (need("lighttaew2_1.pth", "vae"), own("vae_approx", "lighttaew2_1.pth")),
        (need("easynegative", "embeddings", bare=True), own("embeddings", "easynegative.pt")),
        (need("easynegative", "embeddings", bare=True), own("embeddings", "xl/easynegative.bin")),
        (need("xl/neg.pt", "embeddings", bare=True), own("embeddings", "xl/neg.pt")),
        (need("detail", bare=True), own("loras", "sdxl/detail.safetensors")),
        (need("detail.safetensors", bare=True), own("loras", "sdxl/detail.safetensors")),
        (need("x.safetensors"), own("loras", "x.safetensors", type="symlink", leads_to="file",
                                    target="/elsewhere/x", alias_of="ComfyUI/models/y")),
    ],
)  # fmt: skip
def test_present(wanted: Need, entry: dict[str, Any]) -> None:
    found = standing(wanted, entry)
    assert (found.state, found.reason, path_of(found)) == ("present", "", entry["path"])


def test_the_file_that_comfyui_finds_first_counts() -> None:
    shadowed = own("loras", "x.safetensors", shadowed_by="/mnt/nas/loras/x.safetensors", sha256=A)
    first = at(NAS, "/mnt/nas/loras/x.safetensors", category="loras", name="x.safetensors",
               sha256=B)  # fmt: skip
    found = standing(need("x.safetensors", "loras", sha(A)), shadowed, first)
    assert (found.state, path_of(found)) == ("present", first["path"])
    (note,) = found.notes
    assert "aaaaaaaaaa" in note and "bbbbbbbbbb" in note and shadowed["path"] in note
    broken = standing(need("x.safetensors"), shadowed, {**first, "status": "truncated"})
    assert broken.state == "broken"


def test_a_shadowed_file_is_loaded_while_the_other_is_away() -> None:
    here = own("vae", "x.safetensors", shadowed_by="/mnt/cold/vae/x.safetensors")
    away = at(COLD, "/mnt/cold/vae/x.safetensors", category="vae", name="x.safetensors")
    found = standing(need("x.safetensors", "vae"), here, away)
    assert (found.state, path_of(found)) == ("present", here["path"])


@pytest.mark.parametrize("name", ["taesd", "taef1"])
def test_tiny_vaes_are_two_files(name: str) -> None:
    decoder = own("vae_approx", f"{name}_decoder.pth")
    encoder = own("vae_approx", f"{name}_encoder.safetensors")
    assert standing(need(name, "vae"), decoder, encoder).state == "present"
    half = standing(need(name, "vae"), decoder)
    assert half.state == "missing" and f"{name}_encoder" in half.reason
    cut = standing(need(name, "vae"), decoder, {**encoder, "status": "truncated"})
    assert cut.state == "broken" and path_of(cut) == encoder["path"]
    other = own("vae_approx", f"{name}xl_encoder.pth")
    assert standing(need(name, "vae"), decoder, other).state == "missing"


def test_another_hash_is_a_note() -> None:
    wanted = need("x.safetensors", "loras", sha(A))
    assert standing(wanted, own("loras", "x.safetensors", sha256=A)).notes == ()
    assert standing(wanted, own("loras", "x.safetensors")).notes == ()
    (note,) = standing(wanted, own("loras", "x.safetensors", sha256=B)).notes
    assert "SHA-256" in note


def test_a_wrong_kind_is_a_note() -> None:
    entry = own("loras", "x.pt", misplaced={"kind": "checkpoint", "category": "loras"})
    found = standing(need("x.pt"), entry)
    assert found.state == "present" and "checkpoint" in found.notes[0]


# Elsewhere


@pytest.mark.parametrize(
    ("wanted", "entry", "reason"),
    [
        (need("x.safetensors", "loras", sha(A)), own("vae", "renamed.safetensors", sha256=A),
         "the same content (SHA-256); in vae, the node reads loras"),
        (need("flux\\x.safetensors"), own("loras", "flux/x.safetensors"),
         "other separators or capitals: ComfyUI lists it as flux/x.safetensors"),
        (need("X.safetensors"), own("loras", "x.safetensors"),
         "other separators or capitals: ComfyUI lists it as x.safetensors"),
        (need("x.safetensors"), own("loras", "flux/x.safetensors"),
         "ComfyUI lists it as flux/x.safetensors"),
        (need("sd/x.safetensors"), own("loras", "flux/x.safetensors"),
         "ComfyUI lists it as flux/x.safetensors"),
        (need("x.safetensors", "vae"), own("checkpoints", "x.safetensors"),
         "in checkpoints, the node reads vae"),
        (need("x.safetensors"), at(BARE, "/mnt/bare/loras/x.safetensors", category="loras",
                                   name="x.safetensors"),
         "in /mnt/bare, which ComfyUI does not search"),
        (need("x.safetensors"), at(DOWNLOADS, "/home/me/Downloads/x.safetensors"),
         "in the download folder /home/me/Downloads"),
        (need("x.safetensors"), at(EXTRA, "/data/assets/a/x.safetensors"),
         "in /data/assets, which holds no models for ComfyUI"),
        (need("x.safetensors"), at(PACKS, "ComfyUI/custom_nodes/p/x.safetensors"),
         "inside a node pack"),
        (need("x", bare=True), at(DOWNLOADS, "/home/me/Downloads/x.safetensors"),
         "in the download folder /home/me/Downloads"),
        (need("flux1-dev.safetensors"), own("loras", "flux1_dev.safetensors"),
         "under a similar name; ComfyUI lists it as flux1_dev.safetensors"),
    ],
)  # fmt: skip
def test_elsewhere(wanted: Need, entry: dict[str, Any], reason: str) -> None:
    found = standing(wanted, entry)
    assert (found.state, found.reason, path_of(found)) == ("elsewhere", reason, entry["path"])


def test_the_place_that_takes_the_least_work_is_named() -> None:
    far = at(DOWNLOADS, "/home/me/Downloads/x.safetensors")
    wrong = own("vae", "x.safetensors")
    near = own("loras", "flux/x.safetensors")
    found = standing(need("x.safetensors"), far, wrong, near)
    assert path_of(found) == near["path"]
    assert found.notes == (f"Also at {far['path']}, {wrong['path']}.",)


def test_another_file_of_that_name_is_not_it() -> None:
    other = at(DOWNLOADS, "/home/me/Downloads/x.safetensors", sha256=B)
    found = standing(need("x.safetensors", "loras", sha(A)), other)
    assert found.state == "missing" and other["path"] in found.notes[0]
    assert standing(need("x.safetensors"), other).state == "elsewhere"


def test_windows_lists_backslashes() -> None:
    roots = [{"id": r"models:C:\c\ComfyUI\models", "kind": "models", "path": "ComfyUI/models",
              "state": "online"}]  # fmt: skip
    header = {"base": "C:/c", "roots": roots}
    entry = {**own("loras", "flux/x.safetensors"), "root": roots[0]["id"]}
    assert standing(need("flux\\x.safetensors"), entry, header=header).state == "present"
    found = standing(need("flux/x.safetensors"), entry, header=header)
    assert found.state == "elsewhere" and found.reason.endswith("flux\\x.safetensors")
    found = standing(need("flux\\X.safetensors"), entry, header=header)
    assert found.state == "elsewhere"


def test_a_models_folder_without_comfyui_stands_for_one() -> None:
    header = {"roots": [{"id": BARE, "kind": "models", "path": "/mnt/bare", "state": "online"}]}
    entry = at(BARE, "/mnt/bare/loras/x.safetensors", category="loras", name="x.safetensors")
    assert standing(need("x.safetensors"), entry, header=header).state == "present"


# Offline, broken, another precision, missing


@pytest.mark.parametrize(
    ("wanted", "entry", "reason"),
    [
        (need("x.safetensors", "vae"),
         at(COLD, "/mnt/cold/vae/x.safetensors", category="vae", name="x.safetensors"),
         "on /mnt/cold/vae, offline since 2026-11-01"),
        (need("x.safetensors"),
         at(COLD, "/mnt/cold/vae/sub/x.safetensors", category="vae", name="sub/x.safetensors"),
         "on /mnt/cold/vae, offline since 2026-11-01"),
        (need("x.safetensors"),
         at(LOST, "/mnt/lost/loras/x.safetensors", category="loras", name="x.safetensors"),
         "on /mnt/lost/loras, held since 2026-11-01"),
        (need("locked/x.pt", "vae"), own("vae", "locked/x.pt"),
         "in ComfyUI/models/vae/locked, unreachable (Permission denied)"),
        (need("x.pt"), own("loras", "x.pt", type="symlink", target="/gone/x.pt", status="away"),
         "a link to a file that is away"),
    ],
)  # fmt: skip
def test_offline(wanted: Need, entry: dict[str, Any], reason: str) -> None:
    found = standing(wanted, entry)
    assert (found.state, found.reason, path_of(found)) == ("offline", reason, entry["path"])


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (own("loras", "x.safetensors", status="truncated", problem="5 of 9 bytes."),
         "truncated: 5 of 9 bytes"),
        (own("loras", "x.safetensors", status="pointer"), "pointer"),
        (own("loras", "x.safetensors", status="unsettled"), "still being written"),
        (own("loras", "x.safetensors", status="partial"), "an unfinished download"),
        (at(OWN, "ComfyUI/models/loras/x.safetensors.part", category="loras", status="partial"),
         "an unfinished download"),
        (at(DOWNLOADS, "/home/me/Downloads/x.safetensors.a1b2.part", status="partial"),
         "an unfinished download; in the download folder /home/me/Downloads"),
        (at(DOWNLOADS, "/home/me/Downloads/.x.safetensors.Ab3dEf", status="partial"),
         "an unfinished download; in the download folder /home/me/Downloads"),
    ],
)  # fmt: skip
def test_broken(entry: dict[str, Any], reason: str) -> None:
    found = standing(need("x.safetensors"), entry)
    assert (found.state, found.reason, path_of(found)) == ("broken", reason, entry["path"])


def test_a_part_of_an_incomplete_set_is_broken() -> None:
    first = own("loras", "x-00001-of-00002.gguf", status="incomplete", problem="1 of 2 parts.")
    second = own("loras", "x-00002-of-00002.gguf", part_of=first["path"])
    for entry in (first, second):
        found = standing(need(entry["name"]), second, first)
        assert (found.state, found.reason) == ("broken", "incomplete: 1 of 2 parts")


def test_a_whole_copy_is_better_than_a_broken_one_elsewhere() -> None:
    part = at(DOWNLOADS, "/home/me/Downloads/x.safetensors", status="truncated")
    away = at(COLD, "/mnt/cold/vae/x.safetensors", category="vae", name="x.safetensors")
    whole = own("vae", "a/x.safetensors")
    wanted = need("x.safetensors")
    assert standing(wanted, part, away, whole).state == "elsewhere"
    assert standing(wanted, part, away).state == "offline"
    assert standing(wanted, part).state == "broken"


@pytest.mark.parametrize(
    ("name", "here", "reason"),
    [
        ("x_fp16.safetensors", "sub/x-fp8_scaled.safetensors",
         "the same model in fp8_scaled, not fp16"),
        ("x.safetensors", "x-Q4_K_M.gguf", "the same model in q4_k_m"),
        ("x_fp8.safetensors", "x.safetensors",
         "the same model, its name says no precision, not fp8"),
        ("x.ckpt", "x.safetensors", "the same model as .safetensors"),
    ],
)  # fmt: skip
def test_other_precision(name: str, here: str, reason: str) -> None:
    found = standing(need(name), own("loras", here))
    assert (found.state, found.reason) == ("other_precision", reason)
    assert standing(need(name), own("vae", here)).state == "missing"
    assert standing(need(name), own("loras", here, status="truncated")).state == "missing"


def test_another_precision_that_is_away_is_a_note() -> None:
    entry = at(COLD, "/mnt/cold/vae/x_fp8.pt", category="vae", name="x_fp8.pt")
    found = standing(need("x_fp16.pt", "vae"), entry)
    assert found.state == "missing"
    assert found.notes == ("x_fp8.pt is on /mnt/cold/vae, offline since 2026-11-01.",)


@pytest.mark.parametrize(
    "entry",
    [
        own("loras", "other.safetensors"),
        own("loras", "ax.safetensors"),
        at(OWN, "ComfyUI/models/loras/x.png", category="loras"),
        at(OWN, "ComfyUI/models/loras/x.json", category="loras", sidecar_of="y"),
    ],
)
def test_missing(entry: dict[str, Any]) -> None:
    found = standing(need("x.safetensors"), entry)
    assert (found.state, found.found) == ("missing", None)


def test_bare_names_are_whole_names() -> None:
    assert standing(need("neg", "embeddings", bare=True), own("embeddings", "aneg.pt")).state == (
        "missing"
    )
    one, other = own("embeddings", "axl/neg.pt"), need("xl/neg", "embeddings", bare=True)
    assert standing(other, one).state == "elsewhere"
    found = standing(need("Neg", "embeddings", bare=True), own("embeddings", "neg.pt"))
    assert found.state == "elsewhere"
    assert standing(need("neg", "embeddings", bare=True), own("loras", "neg.pt")).state == (
        "elsewhere"
    )
