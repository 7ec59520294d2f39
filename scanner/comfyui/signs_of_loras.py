"""What a LoRA is made for, from the names and widths of the layers that it changes.

The names of layers are those of the model in one of its layouts, joined by dots (PEFT, diffusers)
or underscores (kohya, LyCORIS). All are compared with underscores, and with `#` for numbers.
Sources of the forms: ComfyUI comfy/lora.py and comfy/weight_adapter, kohya-ss/sd-scripts,
kohya-ss/musubi-tuner, KohakuBlueleaf/LyCORIS, huggingface/peft.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from scanner.comfyui.tensor_signs import Match, Shape, TensorNames

KIND = "lora"

_SUFFIX = re.compile(
    rb"""[._](?:
        (?P<down> lora_(?:down|A) (?:\.[\w-]+)? | lora_(?:linear_layer\.)?\.?down | lora[12]?\.down
            | lora_a ) (?:\.weight)?
      | (?P<up> lora_(?:up|B) (?:\.[\w-]+)? | lora[12]?\.up | lora_linear_layer\.up | lora_b )
            (?:\.weight)?
      | (?P<left> hada_w1_a | hada_w2_a | lokr_w2_a )
      | (?P<right> hada_w1_b | hada_w2_b | lokr_w2_b )
      | (?P<full> lokr_w2 ) | (?P<small> lokr_w1 )
      | (?P<blocks> oft_blocks | oft_diag )
      | (?P<diff> diff | set_weight )
      | (?P<other> lora_mid(?:\.weight)? | hada_t[12] | lokr_t2 | lokr_w1_[ab] | dora_scale | diff_b
            | lora_magnitude_vector(?:\.[\w-]+)?(?:\.weight)? | on_input | w_norm | b_norm
            | lora_[EM](?:\.weight)? | oft_[RS](?:\.[\w-]+)?(?:\.weight)? | set_weight_b
            | reshape_weight | boft_blocks | rescale )
    )\Z""",
    re.VERBOSE,
)  # fmt: skip

_PREFIX = re.compile(
    rb"(?:(?:base_model|model|diffusion_model|transformer|unet|net|pipe|dit|lora|lycoris)\."
    rb"|(?:lora_unet|lora_transformer|lora_prior_unet|lycoris|oft_unet|lora)_)+"
)

_TRAINED = (
    b"lora_unet_", b"lora_te_", b"lora_te1_", b"lora_te2_", b"lora_te3_", b"lora_prior_unet_",
    b"lora_transformer_", b"lycoris_",
)  # fmt: skip
"""Beginnings of names that only LoRAs have, whatever follows."""

_QUANTISED = (b".qweight", b".wscales", b".smooth_factor", b".smooth")
"""Ends of names in SVDQuant models, which hold a low-rank pair beside each layer."""

_NUMBER = re.compile(rb"(?<![^_])[0-9]+(?![^_])")


class Width(NamedTuple):
    """Columns and rows of a layer; 0 if unknown."""

    columns: int
    rows: int


class Layers(NamedTuple):
    """The layers that a LoRA changes."""

    widths: dict[bytes, set[Width]]
    highest: dict[bytes, int]
    """The highest number behind a word, such as 18 for `double_blocks`."""
    names: bytes
    """All names as they stand in the file, with a line for each."""


def layers_of(tensors: TensorNames) -> Layers | None:
    """The layers that a LoRA changes, or None if the tensors are not those of a LoRA."""
    pieces: defaultdict[bytes, dict[str, Shape]] = defaultdict(dict)
    for name, shape in tensors.names:
        if name.endswith(_QUANTISED):
            return None
        match = _SUFFIX.search(name)
        if match is not None and match.lastgroup is not None:
            pieces[name[: match.start()]].setdefault(match.lastgroup, shape)
        elif name.startswith(_TRAINED) and not name.endswith(b".alpha"):
            pieces[name.partition(b".")[0]].setdefault("other", shape)
    if not pieces:
        return None
    widths: defaultdict[bytes, set[Width]] = defaultdict(set)
    highest: dict[bytes, int] = {}
    for name, parts in pieces.items():
        layer = _layer(name)
        for word, number in _numbers(layer):
            highest[word] = max(highest.get(word, 0), number)
        widths[_NUMBER.sub(b"#", layer)].add(_width(parts))
    return Layers(dict(widths), highest, b"\n".join(pieces))


def _layer(name: bytes) -> bytes:
    prefix = _PREFIX.match(name)
    below = name[prefix.end() :] if prefix else name
    # diffusers' names of the text encoders, as kohya abbreviates them
    return re.sub(rb"\Atext_encoder((?:_[23])?)\.", _text_encoder, below).replace(b".", b"_")


def _text_encoder(match: re.Match[bytes]) -> bytes:
    return b"te" + match[1].removeprefix(b"_") + b"_"


def _numbers(layer: bytes) -> Iterator[tuple[bytes, int]]:
    words = layer.split(b"_")
    for at in range(1, len(words)):
        if words[at].isdigit() and len(words[at]) < 5:
            yield b"_".join(words[max(0, at - 2) : at]), int(words[at])


def _width(parts: dict[str, Shape]) -> Width:
    down, up = parts.get("down"), parts.get("up")
    left, right = parts.get("left"), parts.get("right")
    small = parts.get("small")
    full = parts.get("full") or parts.get("diff")
    columns = rows = 0
    if down and len(down) > 1:
        columns = down[1]
    if up:
        rows = up[0]
    if left and right and len(right) > 1:
        rows, columns = left[0], right[1]
    elif full and len(full) > 1:
        rows, columns = full[:2]
    if small and len(small) > 1:
        rows, columns = rows * small[0], columns * small[1]
    blocks = parts.get("blocks")
    if blocks and len(blocks) > 2:
        rows = blocks[0] * blocks[1]
    return Width(columns, rows)


class LoraRow(NamedTuple):
    """A sign of what a LoRA is made for. All parts that are given must hold for one layer."""

    base: str
    families: str
    """With `/` between them."""
    words: str
    """Regular expression in the name of a layer."""
    columns: int = 0
    rows: int = 0
    deep: tuple[str, int] | None = None
    """A word, and the least number that stands behind it in some layer."""
    dotted: str = ""
    """A text in a name as it stands in the file."""


_ATTN2 = r"attn2_to_[kv]$"
_UNET = r"(?:^|_)(?:input|output|middle|down|up|mid)_blocks?_"
_DOUBLE = r"^(?:double|single)_blocks_#_"
_LTX = r"^transformer_blocks_#_(?:attn[12]_to_|ff_net_)"
_PLAIN = r"^transformer_blocks_#_attn_"
_WAN = (
    r"^blocks_#_(?:self_attn_[qkvo]$|cross_attn_(?:[qkvo]|k_img|v_img)$|ffn_#|attn[12]_to_|norm3)"
)

LORAS: tuple[LoraRow, ...] = (
    # Layers that only one model has.
    LoraRow("Stable Cascade", "Stable Cascade", r".", dotted="lora_prior_unet_"),
    LoraRow("HunyuanVideo", "HunyuanVideo", r"token_refiner"),
    LoraRow("HunyuanVideo", "HunyuanVideo", r"^double_blocks_#_(?:img|txt)_(?:mlp_fc[12]"
     "|mod_linear)$"),
    LoraRow("HunyuanVideo", "HunyuanVideo", r"^single_blocks_#_modulation_linear$"),
    # HunyuanVideo's own modules are img_attn_qkv and img_attn_proj, Flux has img_attn.qkv.
    LoraRow("HunyuanVideo", "HunyuanVideo", _DOUBLE, dotted=".img_attn_qkv"),
    LoraRow("HunyuanVideo", "HunyuanVideo", _DOUBLE, dotted=".img_attn_proj"),
    LoraRow("HunyuanVideo", "HunyuanVideo", _DOUBLE, dotted=".txt_attn_qkv"),
    LoraRow("HunyuanVideo", "HunyuanVideo", _DOUBLE, deep=("double_blocks", 19)),
    LoraRow("HunyuanVideo", "HunyuanVideo", _DOUBLE, deep=("single_blocks", 38)),
    LoraRow("Chroma", "Chroma", r"distilled_guidance_layer"),
    LoraRow("Flux.2", "Flux.2", r"(?:double|single)_stream_modulation"),
    LoraRow("Flux.2 dev", "Flux.2", _DOUBLE, columns=6144),
    LoraRow("Flux.2 klein 9B", "Flux.2", _DOUBLE, columns=4096),
    LoraRow("Flux.2 klein 4B", "Flux.2", r"^double_blocks_#_(?:img|txt)_mlp_#$",
            columns=3072, rows=18432),
    LoraRow("Flux.2 klein 4B", "Flux.2", r"^single_blocks_#_linear1$", columns=3072, rows=27648),
    LoraRow("Flux.1", "Flux.1", _DOUBLE, columns=3072),
    LoraRow("Flux.1", "Flux.1", r"^double_blocks_#_(?:img|txt)_(?:attn|mlp|mod)_"
     "|^double_blocks_#_processor_"),
    LoraRow("Flux.1", "Flux.1", r"^single_blocks_#_(?:linear[12]|modulation_lin)$"),
    LoraRow("Flux.2", "Flux.2", r"^single_transformer_blocks_#_attn_to_qkv_mlp_proj$"),
    LoraRow("Flux.2 dev", "Flux.2", r"^single_transformer_blocks_#_", columns=6144),
    LoraRow("Flux.1", "Flux.1", r"^single_transformer_blocks_#_(?:attn_|proj_|norm_)"),
    LoraRow("Qwen-Image", "Qwen-Image", r"^transformer_blocks_#_(?:img|txt)_(?:mod|mlp)_"),
    LoraRow("SD 3.5 medium", "SD 3", r"^joint_blocks_#_x_block_attn2_"),
    LoraRow("SD 3.5 Large", "SD 3", r"^joint_blocks_#_", columns=2432),
    LoraRow("SD 3", "SD 3", r"^joint_blocks_#_(?:x|context)_block_"),
    LoraRow("AuraFlow", "AuraFlow", r"^(?:double|single)_layers_#_(?:attn_w|mlp|mod)"
     "|^joint_transformer_blocks_#_"),
    LoraRow("HunyuanDiT", "HunyuanDiT", r"^blocks_#_attn[12]_(?:Wqkv|q_proj|kv_proj)$"),
    LoraRow("HiDream I1", "HiDream", r"^(?:double|single)_stream_blocks_#_block_"),
    LoraRow("Mochi", "Mochi", r"^blocks_#_(?:attn_qkv_[xy]|mod_[xy]|mlp_[xy]_)"),
    LoraRow("Kandinsky 5", "Kandinsky", r"^visual_transformer_blocks_#_"),
    LoraRow("Krea 2", "Krea 2", r"^txtfusion_"),
    LoraRow("ACE-Step", "ACE-Step", r"^lyric_encoder_|^(?:genre|speaker)_embedder"),
    LoraRow("ACE-Step", "ACE-Step", r"^transformer_blocks_#_(?:attn|cross_attn)_to_", columns=2560),
    LoraRow("Anima", "Anima", r"^llm_adapter_"),
    LoraRow("Cosmos-Predict2", "Cosmos/Anima", r"^blocks_#_(?:mlp_layer[12]|adaln_modulation_"
     "|(?:self|cross)_attn_(?:q|k|v|output)_proj)"),
    LoraRow("Wan 2.1 I2V 14B", "Wan", r"^blocks_#_cross_attn_(?:k|v)_img$", columns=5120),
    LoraRow("Wan 2.x 14B", "Wan", _WAN, columns=5120),
    LoraRow("Wan 2.2 TI2V 5B", "Wan", _WAN, columns=3072),
    LoraRow("Wan 2.1 T2V 1.3B", "Wan", _WAN, columns=1536),
    LoraRow("Wan", "Wan", r"^blocks_#_(?:self_attn_[qkvo]|cross_attn_(?:[qkvo]|k_img|v_img))$"),
    LoraRow("Z-Image", "Z-Image", r"^(?:layers|noise_refiner|context_refiner)_#_(?:attention"
     "|feed_forward|adaLN)_?", columns=3840),
    LoraRow("Lumina 2", "Lumina 2", r"^(?:layers|noise_refiner|context_refiner)_#_(?:attention"
     "|feed_forward|attn)_?", columns=2304),
    LoraRow("LTX-2", "LTX-2", r"^transformer_blocks_#_audio_"
     "|^transformer_blocks_#_(?:video_to_audio|audio_to_video)_attn"),
    LoraRow("LTX-Video", "LTX-Video", _LTX, columns=2048),
    LoraRow("LTX-Video 13B", "LTX-Video/LTX-2", _LTX, columns=4096),
    LoraRow("PixArt", "PixArt", r"^transformer_blocks_#_attn[12]_to_", columns=1152),
    LoraRow("CogVideoX", "CogVideoX", r"^transformer_blocks_#_attn1_to_[qkv]$", columns=3072),
    LoraRow("CogVideoX", "CogVideoX", r"^transformer_blocks_#_attn1_to_[qkv]$", columns=1920),
    # Blocks of one name in several models: width and depth distinguish them.
    LoraRow("SD 3.5 Large", "SD 3", _PLAIN, columns=2432),
    LoraRow("SD 3", "SD 3", _PLAIN, columns=1536),
    LoraRow("Flux.2 dev", "Flux.2", _PLAIN, columns=6144),
    LoraRow("Qwen-Image", "Qwen-Image", _PLAIN, columns=3072, deep=("transformer_blocks", 19)),
    LoraRow("Qwen-Image/Flux.1", "Qwen-Image/Flux.1", _PLAIN),
    # UNets: the width of the context, else blocks that only one of them has.
    LoraRow("SDXL", "SDXL", _ATTN2, columns=2048),
    LoraRow("SD 2.1", "SD 2", _ATTN2, columns=1024),
    LoraRow("SD 1.5", "SD 1.5", _ATTN2, columns=768),
    LoraRow("SDXL", "SDXL", r"^(?:lora_)?te2_text_model_"),
    LoraRow("SDXL", "SDXL", _UNET, deep=("transformer_blocks", 2)),
    LoraRow("SD 2.1", "SD 2", r"^te_text_model_encoder_layers_#_self_attn_", columns=1024),
    # SDXL has no attention at the first level. SD 2 has the blocks of SD 1.5, but its LoRAs hold
    # layers of the context or of the text encoder too.
    LoraRow("SD 1.5", "SD 1.5", r"(?:^|_)down_blocks_#_attentions_#_", columns=320),
    LoraRow("SD 1.5", "SD 1.5", r"(?:^|_)(?:down|up)_blocks_#_attentions_#_", dotted=
     "down_blocks_0_attentions"),
    LoraRow("SD 1.5", "SD 1.5", r"(?:^|_)(?:down|up)_blocks_#_attentions_#_", dotted=
     "down_blocks.0.attentions"),
    LoraRow("SD 1.5", "SD 1.5", r"(?:^|_)up_blocks_#_attentions_#_", deep=("up_blocks", 3)),
    LoraRow("SD 1.5", "SD 1.5", r"(?:^|_)(?:input|output)_blocks_#_#_", columns=320),
    LoraRow("SD 1.5", "SD 1.5", r"^te_text_model_", columns=768),
    LoraRow("SDXL/SD 3/Flux.1", "SDXL/SD 3/Flux.1", r"^te1_text_model_"),
    LoraRow("SD 1.5/SD 2/SDXL", "SD 1.5/SD 2/SDXL", _UNET + r".*(?:attn[12]_to_|ff_net_|proj_(?:in"
     "|out)|conv)"),
)  # fmt: skip
"""In the order of the decision."""


@cache
def _compiled() -> tuple[tuple[LoraRow, re.Pattern[bytes], bytes], ...]:
    # Not when the module is loaded: it takes milliseconds, and most runs read no header.
    return tuple((row, re.compile(row.words.encode()), row.dotted.encode()) for row in LORAS)


def base_of(layers: Layers) -> Match:
    """What the LoRA with these layers is made for, as far as they tell."""
    for row, words, dotted in _compiled():
        if dotted and dotted not in layers.names:
            continue
        if row.deep is not None and not _is_deep(layers, *row.deep):
            continue
        if any(
            words.search(name) and (not (row.columns or row.rows) or _is_wide(widths, row))
            for name, widths in layers.widths.items()
        ):
            return Match(KIND, row.base, tuple(row.families.split("/")))
    return Match(KIND, "", ())


def _is_deep(layers: Layers, word: str, least: int) -> bool:
    return any(
        number >= least and name.endswith(word.encode())
        for name, number in layers.highest.items()
        if name == word.encode() or not name.startswith(b"single_") or word.startswith("single_")
    )


def _is_wide(widths: set[Width], row: LoraRow) -> bool:
    return any(
        row.columns in (0, width.columns) and row.rows in (0, width.rows) for width in widths
    ) or (row.columns == 320 and any(width.rows == 320 and not width.columns for width in widths))
