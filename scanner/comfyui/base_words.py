"""The words of trainers and sites for base models, and ours for the same.

Sources: kohya-ss/sd-scripts library/sai_model_spec.py and train_util.py (`ss_base_model_version`,
`modelspec.architecture`), kohya-ss/musubi-tuner, Stability-AI/ModelSpec, Civitai's list of base
models (civitai/civitai base-model.constants), names of repositories on Hugging Face.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Base(NamedTuple):
    """A base model in our words."""

    name: str
    family: str


_NAMES: dict[str, tuple[str, ...]] = {
    "SD 1.5": ("sd v1", "stable diffusion v1", "sd 1.5", "sd 1.4", "sd 1.5 lcm", "sd 1.5 hyper",
               "stable diffusion v1 5", "stable diffusion v1 4", "sd1", "sd 1", "sd 1 5", "sd1.x"),
    "SD 2.1": ("sd v2", "sd v2 v", "stable diffusion v2 512", "stable diffusion v2 768 v", "sd 2.0",
     "sd 2.1",
               "sd 2.0 768", "sd 2.1 768", "sd 2.1 unclip", "stable diffusion 2 1",
                "stable diffusion 2",
               "sd2", "sd 2", "stable diffusion 2 1 base", "stable diffusion v2"),
    "SDXL": ("sdxl base v1 0", "sdxl base v0 9", "sdxl", "sdxl lightning", "sdxl hyper",
     "sdxl turbo", "sdxl 1.0 lcm",
             "sdxl 0.9", "sdxl distilled", "sdxl base", "stable diffusion xl"),
    "SDXL 1.0": ("stable diffusion xl v1 base", "sdxl 1.0", "stable diffusion xl base 1.0"),
    "SDXL refiner": ("stable diffusion xl v1 refiner", "sdxl refiner",
     "stable diffusion xl refiner 1.0"),
    "SDXL (Pony)": ("pony", "pony diffusion v6 xl", "ponyxl", "pony xl"),
    "SDXL (Illustrious)": ("illustrious", "illustrious xl", "illustriousxl"),
    "SDXL (NoobAI)": ("noobai", "noobai xl", "noobaixl", "noob"),
    "SVD": ("svd", "svd xt", "stable video diffusion img2vid", "stable video diffusion img2vid xt"),
    "Stable Cascade": ("stable cascade", "stable cascade v1"),
    "SD 3 medium": ("sd3 m", "sd 3", "stable diffusion 3 medium", "sd3 medium",
     "stable diffusion 3"),
    "SD 3.5": ("sd 3.5", "stable diffusion 3.5", "sd3.5"),
    "SD 3.5 Large": ("sd3 5 large", "sd 3.5 large", "sd 3.5 large turbo",
     "stable diffusion 3.5 large", "sd3.5 large"),
    "SD 3.5 medium": ("sd3 5 medium", "sd 3.5 medium", "stable diffusion 3.5 medium",
     "sd3.5 medium"),
    "Flux.1": ("flux1", "flux.1", "flux", "flux 1"),
    "Flux.1 dev": ("flux.1 d", "flux 1 dev", "flux.1 dev", "flux dev", "flux1 dev"),
    "Flux.1 schnell": ("flux.1 s", "flux 1 schnell", "flux.1 schnell", "flux schnell",
     "flux1 schnell"),
    "Flux.1 Krea": ("flux.1 krea", "flux.1 krea dev"),
    "Flux.1 Kontext": ("flux.1 kontext", "flux.1 kontext dev", "flux kontext",
     "flux 1 kontext dev"),
    "Flux.1 fill": ("flux.1 fill dev", "flux 1 fill dev", "flux.1 fill"),
    "Flux.2": ("flux2", "flux.2", "flux 2"),
    "Flux.2 dev": ("flux.2 d", "flux.2 dev", "flux 2 dev", "flux2 dev"),
    "Flux.2 klein 9B": ("flux.2 klein 9b", "flux.2 klein 9b base", "flux 2 klein 9b"),
    "Flux.2 klein 4B": ("flux.2 klein 4b", "flux.2 klein 4b base", "flux 2 klein 4b"),
    "Chroma": ("chroma", "chroma1 hd"),
    "Lumina 2": ("lumina2", "lumina", "lumina 2", "lumina image 2.0"),
    "Z-Image": ("z image", "z image turbo", "zimageturbo", "zimagebase", "zimage", "z image base"),
    "AuraFlow": ("auraflow", "aura flow"),
    "AuraFlow (Pony V7)": ("pony v7", "ponyv7"),
    "PixArt alpha": ("pixart a", "pixart alpha"),
    "PixArt Sigma": ("pixart e", "pixart sigma"),
    "HunyuanDiT": ("hunyuan 1", "hunyuandit", "hunyuan dit"),
    "HunyuanVideo": ("hunyuan video", "hunyuanvideo"),
    "HunyuanVideo 1.5": ("hunyuan video 1.5", "hunyuanvideo 1.5"),
    "HunyuanImage 2.1": ("hunyuan image 2.1", "hunyuanimage 2.1"),
    "Kolors": ("kolors",),
    "Mochi": ("mochi", "mochi 1 preview"),
    "CogVideoX": ("cogvideox",),
    "LTX-Video": ("ltxv", "ltx video", "ltxv 2b"),
    "LTX-Video 13B": ("ltxv 13b",),
    "LTX-2": ("ltx 2", "ltxv2", "ltx2", "ltxv 2.3", "ltx 2.3"),
    "HiDream I1": ("hidream", "hidream i1", "hi dream"),
    "Qwen-Image": ("qwen", "qwen image", "qwen image edit", "qwen image edit 2509"),
    "Wan": ("wan", "wan video"),
    "Wan 2.1": ("wan2.1", "wan 2.1"),
    "Wan 2.2": ("wan2.2", "wan 2.2"),
    "Wan 2.1 T2V 1.3B": ("wan video 1.3b t2v", "wan2.1 t2v 1.3b"),
    "Wan 2.1 T2V 14B": ("wan video 14b t2v", "wan2.1 t2v 14b"),
    "Wan 2.1 I2V 14B": ("wan video 14b i2v 480p", "wan video 14b i2v 720p", "wan2.1 i2v 14b 480p",
                        "wan2.1 i2v 14b 720p", "wan2.1 i2v 14b"),
    "Wan 2.2 TI2V 5B": ("wan video 2.2 ti2v 5b", "wan2.2 ti2v 5b"),
    "Wan 2.2 T2V 14B": ("wan video 2.2 t2v a14b", "wan2.2 t2v a14b"),
    "Wan 2.2 I2V 14B": ("wan video 2.2 i2v a14b", "wan2.2 i2v a14b"),
    "Cosmos-Predict2": ("cosmos predict2", "cosmos predict2 2b", "cosmos predict2 14b"),
    "Anima": ("anima", "anima preview"),
    "ACE-Step": ("ace step", "ace audio"),
    "Stable Audio": ("stable audio", "stable audio open 1.0"),
    "Kandinsky 5": ("kandinsky 5", "kandinsky5"),
    "OmniGen2": ("omnigen2",),
}  # fmt: skip
"""For each of our words the words of others, in the form that `_form` gives."""

_FAMILIES = {
    "AuraFlow (Pony V7)": "AuraFlow", "Cosmos-Predict2": "Cosmos", "Kandinsky 5": "Kandinsky",
    "HiDream I1": "HiDream",
}  # fmt: skip
"""Families that `family_of` does not find by the beginning of the word."""

_BEGINNINGS = (
    "SD 1.5", "SD 2", "SDXL", "SD 3", "Flux.1", "Flux.2", "HunyuanVideo", "HunyuanImage",
     "LTX-Video",
    "LTX-2", "Wan", "PixArt",
)  # fmt: skip

_GAPS = re.compile(r"[\s_/:-]+")

_TRAINING = re.compile(
    r"/(?:lora|textual-inversion|control-lora|controlnet|lycoris|loha|lokr|controlnet-lllite"
    r"|dreambooth)\Z"
)


def family_of(base: str) -> str:
    """The family of a base model in our words."""
    known = _FAMILIES.get(base)
    return known or next((word for word in _BEGINNINGS if base.startswith(word)), base)


def is_version(name: str, base: str) -> bool:
    """True if `name` is `base` with a number in place of its x, as "Wan 2.x T2V 14B" has one."""
    pattern = re.escape(base).replace(r"\.x", r"\.\d")
    return name != base and re.fullmatch(pattern, name) is not None


def _form(word: str) -> str:
    return " ".join(_GAPS.sub(" ", word.strip().lower()).split())


_OURS = {form: Base(name, family_of(name)) for name, forms in _NAMES.items() for form in forms}


def base_of_word(word: str) -> Base | None:
    """The base model that a trainer or a site calls `word`, or None if it is not known.

    Paths and names of files are no words: only the name of a repository may hold a slash.
    """
    text = _TRAINING.sub("", word.strip().lower())
    if (
        len(text) > 100
        or "\\" in text
        or text.count("/") > 1
        or text.startswith(("/", "."))
        or ":/" in text
    ):
        return None
    return _OURS.get(_form(text)) or _OURS.get(_form(text.rpartition("/")[2]))


_XL_MERGES = (("pony", "SDXL (Pony)"), ("illustrious", "SDXL (Illustrious)"),
              ("noobai", "SDXL (NoobAI)"), ("noob_ai", "SDXL (NoobAI)"))  # fmt: skip


def xl_of_file_name(name: str) -> Base | None:
    """The branch of SDXL that a trainer's `ss_sd_model_name` hints at, or None.

    It is often a path on somebody's machine, so it only tells branches of SDXL from each other,
    which have the same tensors.
    """
    last = re.split(r"[\\/]", name)[-1].lower()
    return next((Base(base, "SDXL") for part, base in _XL_MERGES if part in last), None)
