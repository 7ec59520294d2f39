"""Signs of diffusion models: names below the container's prefix, in the order of the decision.

Facts from the projects' own modules and from the keys that ComfyUI's comfy/model_detection.py
(`detect_unet_config`) and comfy/utils.py (`unet_to_diffusers` and its tables for other layouts)
look at. Kinds of quantisation pack the columns of weights, so widths are read from biases and norms
too, and each family ends with a row without shapes.
"""

from __future__ import annotations

from scanner.comfyui.tensor_signs import Group, rows

KIND = "diffusion model"


def cross_attention(columns: int) -> str:
    """A term for the width of the context of a UNet, in both layouts."""
    blocks = (
        "input_blocks.#.#", "middle_block.#", "output_blocks.#.#",
        "down_blocks.#.attentions.#", "mid_block.attentions.#", "up_blocks.#.attentions.#",
    )  # fmt: skip
    return "|".join(
        f"{block}.transformer_blocks.#.attn2.{side}.weight[*,{columns}]"
        for block in blocks
        for side in ("to_k", "to_v")
    )


_UNET = (
    "input_blocks.#.#.in_layers.|input_blocks.#.#.weight|middle_block.#.in_layers."
    "|output_blocks.#.#.in_layers.|down_blocks.#.resnets.#.time_emb_proj."
    "|up_blocks.#.resnets.#.time_emb_proj.|mid_block.resnets.#.time_emb_proj."
)

_DEEP = (
    "~transformer_blocks.2.|~transformer_blocks.3.|~transformer_blocks.5.|~transformer_blocks.8."
)
"""Blocks that only the transformers of SDXL have."""

_XL = (
    "label_emb.#.#.weight[*,2816]|add_embedding.linear_1.weight[*,2816]|"
    f"{cross_attention(2048)}|{_DEEP}"
)

_SD3 = "joint_blocks.#.context_block.|joint_blocks.#.x_block."

_SD3_DIFFUSERS = (
    "transformer_blocks.#.attn.add_q_proj.weight pos_embed.proj.weight|pos_embed.pos_embed "
    "!single_transformer_blocks."
)

_FLUX = (
    "double_blocks.#.img_attn.|double_blocks.#.img_mlp.|double_blocks.#.txt_attn. !latent_in.weight"
)

_FLUX_WIDTH = (
    "img_in.weight[3072]|img_in.bias[3072]|double_blocks.#.img_attn.proj.weight[3072]"
    "|double_blocks.#.img_attn.proj.bias[3072]|double_blocks.#.img_mod.lin.bias[18432]"
    "|double_blocks.#.txt_mod.lin.bias[18432]|double_blocks.#.img_mlp.#.bias[12288]"
    "|single_blocks.#.linear1.bias[21504]|double_blocks.#.img_attn.qkv.weight[9216]"
    "|double_blocks.#.img_mlp.#.weight[12288]|single_blocks.#.linear1.weight[21504]"
)

_FLUX_DIFFUSERS = (
    "single_transformer_blocks.#.proj_mlp.|single_transformer_blocks.#.attn."
    "|single_transformer_blocks.#.mlp_fc1. "
    "transformer_blocks.#.attn.add_q_proj.|transformer_blocks.#.attn.norm_added_q."
    "|transformer_blocks.#.ff_context.|transformer_blocks.#.qkv_proj_context."
    "|transformer_blocks.#.mlp_context_fc1.|transformer_blocks.#.attn.add_qkv_proj."
    "|transformer_blocks.#.norm1_context. !transformer_blocks.#.img_mod."
)

_FLUX2 = "double_stream_modulation_img.|double_stream_modulation_txt.|single_stream_modulation."

_HUNYUAN = "txt_in.individual_token_refiner.|context_embedder.token_refiner."

_WAN = (
    "head.modulation|blocks.#.modulation|blocks.#.self_attn.norm_q.weight"
    "|blocks.#.cross_attn.norm_k.weight "
    "blocks.#.self_attn.q.weight|blocks.#.self_attn.k.weight|blocks.#.cross_attn.k.weight"
    "|blocks.#.ffn.#.weight|blocks.#.self_attn.v.weight|blocks.#.self_attn.o.weight"
)

_WAN_DIFFUSERS = (
    "blocks.#.attn1.norm_q.|blocks.#.attn1.norm_k.|condition_embedder.time_embedder. "
    "blocks.#.attn2.to_k.|blocks.#.attn2.to_q.|blocks.#.ffn.net.|blocks.#.attn1.to_q."
    "|blocks.#.attn1.to_k."
)


def _wan(width: int, wide: str) -> str:
    """A term for the width of a Wan model; `wide` are further terms."""
    return (
        f"head.modulation[1,2,{width}]|blocks.#.modulation[1,6,{width}]"
        f"|blocks.#.self_attn.norm_q.weight[{width}]|blocks.#.self_attn.q.bias[{width}]"
        f"|blocks.#.cross_attn.norm_k.weight[{width}]|blocks.#.attn1.norm_q.weight[{width}]"
        f"|blocks.#.attn1.norm_k.weight[{width}]|blocks.#.scale_shift_table[1,6,{width}]"
        f"|{wide}"
    )


_WAN_14B = _wan(5120, "patch_embedding.weight[5120]")

_ZIMAGE_LAYERS = ("layers.#", "noise_refiner.#", "context_refiner.#")


def _next_dit(width: int) -> str:
    return f"x_embedder.weight[{width}]|" + "|".join(
        f"{layer}.{norm}.weight[{width}]"
        for layer in _ZIMAGE_LAYERS
        for norm in ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2")
    )


_LTX = (
    "adaln_single.emb.timestep_embedder. !pos_embed.proj. "
    "patchify_proj.|transformer_blocks.#.attn1.q_norm.|transformer_blocks.#.attn1.k_norm."
    "|transformer_blocks.#.attn2.k_norm.|transformer_blocks.#.attn1.to_q."
    "|transformer_blocks.#.attn2.to_k.|caption_projection."
)

_LTX_DIFFUSERS = "time_embed.emb.timestep_embedder. transformer_blocks.#.attn1.norm_q. proj_in."

DIFFUSION = (
    Group(KIND, "Stability-AI/sd3.5 mmditx.py; diffusers SD3Transformer2DModel", rows(
        ("SD 3.5 medium", "SD 3", f"{_SD3} joint_blocks.#.x_block.attn2."),
        ("SD 3.5 Large", "SD 3", f"{_SD3} x_embedder.proj.weight[2432]|x_embedder.proj.bias[2432]"
         "|joint_blocks.#.x_block.attn.proj.bias[2432]"
          "|joint_blocks.#.context_block.attn.qkv.bias[7296]"
         "|joint_blocks.#.x_block.attn.qkv.bias[7296]|context_embedder.bias[2432]"),
        ("SD 3.5", "SD 3", f"{_SD3} joint_blocks.#.x_block.attn.ln_q."
         "|joint_blocks.#.x_block.attn.ln_k."),
        ("SD 3 medium", "SD 3", f"{_SD3} x_embedder.proj.bias[1536]|x_embedder.proj.weight[1536]"),
        ("SD 3", "SD 3", _SD3),
        ("SD 3.5 medium", "SD 3", f"{_SD3_DIFFUSERS} transformer_blocks.#.attn2."),
        ("SD 3.5", "SD 3", f"{_SD3_DIFFUSERS} transformer_blocks.#.attn.norm_q."
         "|transformer_blocks.#.attn.norm_k."),
        ("SD 3", "SD 3", _SD3_DIFFUSERS),
    )),
    Group(KIND, "Stability-AI/StableCascade modules/stage_c.py, stage_b.py", rows(
        ("Stable Cascade", "Stable Cascade", "clip_txt_mapper.weight|clip_txt_pooled_mapper."
         "|clip_img_mapper.|clip_mapper. "
         "clf.|down_blocks.#.#.mapper.|up_blocks.#.#.mapper.|down_blocks.#.#.depthwise."
         "|up_blocks.#.#.channelwise."),
        ("Stable Cascade", "Stable Cascade", "clf.#.weight down_blocks.#.#.channelwise."
         "|up_blocks.#.#.channelwise."),
    )),
    Group(KIND, "Stability-AI/stable-audio-tools models/dit.py", rows(
        ("Stable Audio", "Stable Audio", "transformer.layers.#.cross_attn.to_kv."
         "|transformer.rotary_pos_emb.inv_freq "
         "transformer.project_in.|transformer.project_out.|to_cond_embed.|to_timestep_embed."
         "|transformer.layers.#.self_attn.to_qkv."),
    )),
    Group(KIND, "cloneofsimo/lavenderflow; diffusers AuraFlowTransformer2DModel", rows(
        ("AuraFlow", "AuraFlow", "double_layers.#.attn.w1q.|double_layers.#.attn.w2q."
         "|double_layers.#.modC."
         "|double_layers.#.mlpX.|joint_transformer_blocks.#.ff_context."
          "|joint_transformer_blocks.#.attn."),
    )),
    Group(KIND, "Tencent/HunyuanDiT hydit/modules/models.py", rows(
        ("HunyuanDiT", "HunyuanDiT", "mlp_t5.#.weight|blocks.#.attn1.Wqkv."),
    )),
    Group(KIND, "Tencent/HunyuanVideo, HunyuanVideo-1.5, HunyuanImage-2.1 models.py; "
     "lllyasviel/FramePack", rows(
        ("HunyuanVideo 1.5", "HunyuanVideo", f"{_HUNYUAN} vision_in."),
        ("HunyuanImage 2.1", "HunyuanImage", f"{_HUNYUAN} img_in.proj.weight[*,64,1,1] "
         "!vector_in."),
        ("HunyuanImage 2.1 refiner", "HunyuanImage", f"{_HUNYUAN} img_in.proj.weight[*,128,1,1,1] "
         "!vector_in."),
        ("HunyuanVideo (FramePack)", "HunyuanVideo", f"{_HUNYUAN} clean_x_embedder."),
        ("HunyuanVideo I2V", "HunyuanVideo", f"{_HUNYUAN} img_in.proj.weight[*,33]"),
        ("HunyuanVideo (SkyReels)", "HunyuanVideo", f"{_HUNYUAN} img_in.proj.weight[*,32]"),
        ("HunyuanVideo", "HunyuanVideo", f"{_HUNYUAN} "
         "img_in.proj.weight[*,16,1,2,2]|vector_in.|img_in.proj.weight|x_embedder.proj."
         "|double_blocks.#.img_attn.|transformer_blocks.#.attn."),
    )),
    Group(KIND, "Tencent/Hunyuan3D-2 hy3dgen/shapegen/models/denoisers", rows(
        ("Hunyuan3D 2", "Hunyuan3D", "latent_in.weight cond_in.|double_blocks.|single_blocks."),
        ("Hunyuan3D 2.1", "Hunyuan3D", "blocks.#.attn1.k_norm.|blocks.#.attn1.q_norm. "
         "blocks.#.attn1.to_q.|blocks.#.attn1.to_k.|blocks.#.attn1.to_v.|blocks.#.moe."
          "|t_embedder.cond_proj."),
    )),
    Group(KIND, "black-forest-labs/flux2; diffusers Flux2Transformer2DModel", rows(
        ("Flux.2 dev", "Flux.2", f"{_FLUX2} img_in.weight[6144]|x_embedder.weight[6144]"
         "|txt_in.weight[6144]"
         "|context_embedder.weight[6144]|double_blocks.#.img_attn.proj.weight[6144]"),
        ("Flux.2 klein 9B", "Flux.2", f"{_FLUX2} img_in.weight[4096]|x_embedder.weight[4096]"
         "|txt_in.weight[4096]"
         "|context_embedder.weight[4096]|double_blocks.#.img_attn.proj.weight[4096]"),
        ("Flux.2 klein 4B", "Flux.2", f"{_FLUX2} img_in.weight[3072]|x_embedder.weight[3072]"
         "|txt_in.weight[3072]"
         "|context_embedder.weight[3072]|double_blocks.#.img_attn.proj.weight[3072]"),
        ("Flux.2", "Flux.2", f"{_FLUX2} double_blocks.|single_blocks.|single_transformer_blocks."
         "|transformer_blocks."),
    )),
    Group(KIND, "lodestones/Chroma; ComfyUI comfy/ldm/chroma, chroma_radiance", rows(
        ("Chroma Radiance", "Chroma", "distilled_guidance_layer.|double_blocks. nerf_blocks."
         "|nerf_image_embedder."),
        ("Chroma", "Chroma", "distilled_guidance_layer. double_blocks.|single_blocks."
         "|transformer_blocks.|single_transformer_blocks."),
    )),
    Group(KIND, "black-forest-labs/flux src/flux/model.py; ComfyUI comfy/ldm/flux; Step1X, "
     "LongCat and Ovis are of the same blocks", rows(
        ("Ovis-Image", "Ovis-Image", f"{_FLUX} double_blocks.#.img_mlp.gate_proj."),
        ("LongCat-Image", "LongCat-Image", f"{_FLUX} txt_in.weight[*,3584] !vector_in."),
        ("Flux.1 fill", "Flux.1", f"{_FLUX} img_in.weight[3072,384]"),
        ("Flux.1 canny/depth", "Flux.1", f"{_FLUX} img_in.weight[3072,128]"),
        ("Flux.1 dev", "Flux.1", f"{_FLUX} {_FLUX_WIDTH} guidance_in."),
        ("Flux.1 schnell", "Flux.1", f"{_FLUX} {_FLUX_WIDTH} vector_in.|time_in."),
        ("Flux.1", "Flux.1", f"{_FLUX} {_FLUX_WIDTH}"),
    )),
    Group(KIND, "diffusers FluxTransformer2DModel; nunchaku-tech/nunchaku names of its quantised "
     "layers", rows(
        ("LongCat-Image", "LongCat-Image", f"{_FLUX_DIFFUSERS} context_embedder.weight[*,3584]"),
        ("Flux.1 fill", "Flux.1", f"{_FLUX_DIFFUSERS} x_embedder.weight[3072,384]"),
        ("Flux.1 canny/depth", "Flux.1", f"{_FLUX_DIFFUSERS} x_embedder.weight[3072,128]"),
        ("Flux.1 dev", "Flux.1", f"{_FLUX_DIFFUSERS} time_text_embed.guidance_embedder."),
        ("Flux.1 schnell", "Flux.1", f"{_FLUX_DIFFUSERS} time_text_embed.timestep_embedder. "
         "x_embedder."),
        ("Flux.1", "Flux.1", _FLUX_DIFFUSERS),
    )),
    Group(KIND, "genmoai/mochi dit/joint_model", rows(
        ("Mochi", "Mochi", "t5_yproj.|t5_y_embedder. blocks.#.attn.qkv_x.|blocks.#.attn.qkv_y."
         "|blocks.#.mod_x.|blocks.#.mlp_x.|pos_frequencies"),
    )),
    Group(KIND, "Lightricks/LTX-Video, LTX-2 transformer3d; ComfyUI comfy/ldm/lightricks", rows(
        ("LTX-2", "LTX-2", "audio_adaln_single.|audio_patchify_proj."
         "|transformer_blocks.#.audio_attn1. "
         "adaln_single.|patchify_proj.|transformer_blocks.#.attn1.|transformer_blocks.#.attn2."),
        ("LTX-Video 13B", "LTX-Video", f"{_LTX} patchify_proj.bias[4096]"
         "|patchify_proj.weight[4096]|scale_shift_table[2,4096]"
         "|transformer_blocks.#.attn1.q_norm.weight[4096]"
          "|transformer_blocks.#.attn1.k_norm.weight[4096]"
          "|transformer_blocks.#.scale_shift_table[6,4096]"),
        ("LTX-Video", "LTX-Video", _LTX),
        ("LTX-Video 13B", "LTX-Video", f"{_LTX_DIFFUSERS} "
         "transformer_blocks.#.attn1.norm_q.weight[4096]"),
        ("LTX-Video", "LTX-Video", _LTX_DIFFUSERS),
    )),
    Group(KIND, "ace-step/ACE-Step models/ace_step_transformer.py; ComfyUI comfy/ldm/ace", rows(
        ("ACE-Step 1.5", "ACE-Step", "encoder.lyric_encoder.layers.|encoder.timbre_encoder. "
         "decoder.|encoder."),
        ("ACE-Step", "ACE-Step", "genre_embedder.|speaker_embedder.|lyric_embs."
         "|transformer_blocks.#.ff.inverted_conv.conv. "
         "transformer_blocks.|lyric_encoder."),
    )),
    Group(KIND, "PixArt-alpha/PixArt-sigma diffusion/model/nets; diffusers "
     "PixArtTransformer2DModel", rows(
        ("PixArt alpha", "PixArt", "t_block.#.weight ar_embedder.|csize_embedder."
         "|y_embedder.y_embedding[120]"),
        ("PixArt Sigma", "PixArt", "t_block.#.weight y_embedder.|blocks.#.scale_shift_table"
         "|blocks.#.cross_attn.kv_linear."),
        ("PixArt", "PixArt", "blocks.#.cross_attn.kv_linear. blocks.#.attn.qkv. blocks.#.mlp.fc1."
         "|blocks.#.mlp.fc2. !blocks.#.mlp.inverted_conv."),
        ("PixArt alpha", "PixArt", "adaln_single.emb.resolution_embedder. pos_embed.proj."
         "|transformer_blocks.#.attn1."),
        ("PixArt Sigma", "PixArt", "adaln_single.emb.timestep_embedder. pos_embed.proj. "
         "caption_projection."),
    )),
    Group(KIND, "NVIDIA/Cosmos, cosmos-predict2; ComfyUI comfy/ldm/cosmos, anima", rows(
        ("Anima", "Anima", "llm_adapter. blocks.#.mlp.layer1.|blocks.#.self_attn.q_proj."
         "|blocks.#.adaln_modulation_mlp."),
        ("Cosmos 1", "Cosmos", "blocks.block0.|blocks.block1. x_embedder.|final_layer."
         "|affline_norm.|blocks.block0.blocks.#.block.attn."),
        ("Cosmos-Predict2", "Cosmos", "blocks.#.mlp.layer1. blocks.#.self_attn.q_proj."
         "|blocks.#.cross_attn.k_proj.|blocks.#.adaln_modulation_self_attn."
         "|x_embedder.proj."),
        ("Cosmos-Predict2", "Cosmos", "blocks.#.adaln_modulation_self_attn. "
         "blocks.#.self_attn.q_proj.|blocks.#.cross_attn.q_proj.|blocks.#.cross_attn.k_proj."
         "|blocks.#.cross_attn.v_proj."),
    )),
    Group(KIND, "VectorSpaceLab/OmniGen2; Alpha-VLLM/Lumina-Image-2.0 models/model.py; "
     "Tongyi-MAI/Z-Image", rows(
        ("OmniGen2", "OmniGen2", "ref_image_refiner.|ref_image_patch_embedder."
         "|image_index_embedding noise_refiner.|context_refiner.|layers."),
        ("Lumina 2", "Lumina 2", "time_caption_embed. x_embedder.weight[2304]"),
        ("OmniGen2", "OmniGen2", "time_caption_embed.timestep_embedder. x_embedder.|noise_refiner."
         "|layers."),
        ("Z-Image", "Z-Image", f"noise_refiner.|context_refiner. {_next_dit(3840)}"),
        ("Lumina 2", "Lumina 2", f"noise_refiner.|context_refiner. {_next_dit(2304)}"),
        ("Z-Image", "Z-Image", "all_x_embedder. noise_refiner.|layers.#.attention."),
    )),
    Group(KIND, "THUDM/CogVideo; ByteDance-Seed/SeedVR models/dit", rows(
        ("SeedVR2", "SeedVR2", "blocks.#.mlp.all.proj_in_gate.|blocks.#.mlp.vid.proj_in_gate."
         "|blocks.#.attn.proj_qkv.vid.|blocks.#.attn.proj_qkv.all."),
        ("CogVideoX", "CogVideoX", "patch_embed.text_proj.|blocks.#.norm1.linear.weight "
         "blocks.#.norm1.linear.weight|transformer_blocks.#.norm1.linear.weight"
          "|transformer_blocks.#.attn1.to_q.weight"),
    )),
    Group(KIND, "Wan-Video/Wan2.1, Wan2.2 wan/modules; diffusers WanTransformer3DModel", rows(
        ("Wan VACE", "Wan", "vace_patch_embedding.|vace_blocks. blocks.#.self_attn."
         "|blocks.#.cross_attn.|vace_blocks.#.self_attn.|blocks.#.attn1."),
        ("Wan 2.2 S2V", "Wan", f"{_WAN} casual_audio_encoder.|audio_injector."),
        ("Wan HuMo", "Wan", f"{_WAN} audio_proj.audio_proj_glob_1."),
        ("Wan 2.2 Animate", "Wan", f"{_WAN} face_adapter.|motion_encoder.|pose_patch_embedding."),
        ("Wan 2.1 Camera", "Wan", f"{_WAN} control_adapter.conv. img_emb."),
        ("Wan 2.2 Camera", "Wan", f"{_WAN} control_adapter.conv."),
        ("Wan 2.2 TI2V 5B", "Wan", f"{_WAN} {_wan(3072, 'head.head.weight[192]')}"),
        ("Wan 2.1 FLF2V 14B", "Wan", f"{_WAN} img_emb.emb_pos"),
        ("Wan 2.1 I2V 1.3B", "Wan", f"{_WAN} img_emb.|blocks.#.cross_attn.k_img. "
         f"{_wan(1536, 'patch_embedding.weight[1536]')}"),
        ("Wan 2.1 I2V 14B", "Wan", f"{_WAN} img_emb.|blocks.#.cross_attn.k_img."),
        ("Wan 2.2 I2V 14B", "Wan", f"{_WAN} patch_embedding.weight[5120,36]"),
        ("Wan 2.1 T2V 1.3B", "Wan", f"{_WAN} {_wan(1536, 'patch_embedding.weight[1536]')}"),
        ("Wan 2.x T2V 14B", "Wan", f"{_WAN} patch_embedding.weight[5120,16]"),
        ("Wan 2.x 14B", "Wan", f"{_WAN} {_WAN_14B}"),
        ("Wan", "Wan", f"{_WAN} head.modulation|text_embedding.|time_projection."),
        ("Wan 2.1 I2V 14B", "Wan", f"{_WAN_DIFFUSERS} blocks.#.attn2.add_k_proj. {_WAN_14B}"),
        ("Wan 2.2 TI2V 5B", "Wan", f"{_WAN_DIFFUSERS} "
         f"{_wan(3072, 'patch_embedding.weight[3072,48]')}"),
        ("Wan 2.1 T2V 1.3B", "Wan", f"{_WAN_DIFFUSERS} "
         f"{_wan(1536, 'patch_embedding.weight[1536]')}"),
        ("Wan 2.x 14B", "Wan", f"{_WAN_DIFFUSERS} {_WAN_14B}"),
    )),
    Group(KIND, "HiDream-ai/HiDream-I1 models/transformers", rows(
        ("HiDream I1", "HiDream", "double_stream_blocks.#.block.|single_stream_blocks.#.block."),
    )),
    Group(KIND, "QwenLM/Qwen-Image; diffusers QwenImageTransformer2DModel; ComfyUI "
     "comfy/ldm/qwen_image", rows(
        ("Qwen-Image 2.1", "Qwen-Image", "txt_in.text_norm. modulation.|transformer_blocks."),
        ("Mage-Flow", "Mage-Flow", "txt_norm.weight[2560] proj_out.weight[128]"),
        ("Qwen-Image", "Qwen-Image", "txt_norm.weight[3584]|txt_in.weight[3072,3584]"
         "|transformer_blocks.#.img_mod.|transformer_blocks.#.txt_mod. "
         "transformer_blocks.#.attn.|transformer_blocks.#.img_mlp.|transformer_blocks.#.txt_mlp. "
         "transformer_blocks.#.img_mod.|transformer_blocks.#.txt_mod."
          "|transformer_blocks.#.img_mlp.|transformer_blocks.#.txt_mlp."),
    )),
    Group(KIND, "kandinskylab/kandinsky-5; ComfyUI comfy/model_detection.py (Krea 2, Ideogram "
     "4)", rows(
        ("Krea 2", "Krea 2", "txtfusion. blocks.|first."),
        ("Kandinsky 5", "Kandinsky", "visual_transformer_blocks.#.|text_transformer_blocks.#. "
         "visual_embeddings.|visual_transformer_blocks."),
        ("Ideogram 4", "Ideogram", "embed_image_indicator."),
        ("Sana", "Sana", "transformer_blocks.#.ff.conv_inverted. transformer_blocks.#.attn1."),
    )),
    Group(KIND, "CompVis/stable-diffusion, Stability-AI/generative-models openaimodel.py; "
     "diffusers UNet2DConditionModel", rows(
        ("SVD", "SVD", f"{_UNET} input_blocks.#.#.time_stack.|middle_block.#.time_stack."
         "|output_blocks.#.#.time_stack."
         "|input_blocks.#.#.time_mixer.|output_blocks.#.#.time_mixer."),
        ("SVD", "SVD", "down_blocks.#.attentions.#.temporal_transformer_blocks."
         "|up_blocks.#.attentions.#.temporal_transformer_blocks."
         "|mid_block.attentions.#.temporal_transformer_blocks."),
        ("SDXL refiner", "SDXL", f"{_UNET} label_emb.#.#.weight[*,2560]"
         "|input_blocks.#.#.weight[384]|time_embed.#.weight[1536,384]"
         "|conv_in.weight[384]|add_embedding.linear_1.weight[*,2560]"),
        ("Kolors", "Kolors", f"{_UNET} label_emb.#.#.weight[*,5632]"
         "|add_embedding.linear_1.weight[*,5632]"),
        ("SDXL inpaint", "SDXL", f"{_UNET} {_XL} input_blocks.#.#.weight[320,9]"
         "|conv_in.weight[320,9]"),
        ("SDXL edit", "SDXL", f"{_UNET} {_XL} input_blocks.#.#.weight[320,8]"
         "|conv_in.weight[320,8]"),
        ("SDXL", "SDXL", f"{_UNET} {_XL}"),
        ("SD 2 x4 upscaler", "SD 2", f"{_UNET} input_blocks.#.#.weight[256,7]"
         "|conv_in.weight[256,7]"),
        ("SD 2.1 unCLIP", "SD 2", f"{_UNET} {cross_attention(1024)} label_emb."),
        ("SD 2 inpaint", "SD 2", f"{_UNET} {cross_attention(1024)} input_blocks.#.#.weight[320,9]"
         "|conv_in.weight[320,9]"),
        ("SD 2 depth", "SD 2", f"{_UNET} {cross_attention(1024)} input_blocks.#.#.weight[320,5]"
         "|conv_in.weight[320,5]"),
        ("SD 2.1", "SD 2", f"{_UNET} {cross_attention(1024)}"),
        ("SD 1.5 inpaint", "SD 1.5", f"{_UNET} {cross_attention(768)} "
         "input_blocks.#.#.weight[320,9]|conv_in.weight[320,9]"),
        ("SD 1.5 edit", "SD 1.5", f"{_UNET} {cross_attention(768)} input_blocks.#.#.weight[320,8]"
         "|conv_in.weight[320,8]"),
        ("SD 1.5", "SD 1.5", f"{_UNET} {cross_attention(768)}"),
    )),
)  # fmt: skip
