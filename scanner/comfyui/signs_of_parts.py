"""Signs of VAEs, text encoders, vision and audio encoders.

Facts from the modules of the projects named in each group, and from the keys that ComfyUI's
comfy/sd.py (`VAE`, `detect_te_model`), comfy/clip_vision.py and comfy/audio_encoders look at.
"""

from __future__ import annotations

from scanner.comfyui.tensor_signs import Group, rows

VAE, TEXT, VISION, AUDIO = "vae", "text encoder", "clip vision", "audio encoder"

_SD_VAE = (
    "decoder.mid.block_1.|decoder.mid.attn_1.|decoder.up.#.block.|encoder.down.#.block."
    "|encoder.mid.block_1.|decoder.mid_block.resnets.|decoder.up_blocks.#.resnets."
    "|encoder.down_blocks.#.resnets.|encoder.mid_block.resnets."
)

VAES = (
    Group(VAE, "Wan-Video/Wan2.2 wan/modules/vae2_1.py, vae2_2.py; diffusers AutoencoderKL", rows(
        ("Wan 2.2", "Wan", "decoder.upsamples.#.upsamples.|encoder.downsamples.#.downsamples."),
        ("Wan 2.1/Qwen-Image", "Wan/Qwen-Image", "decoder.upsamples.#.residual."
         "|encoder.downsamples.#.residual."
         "|decoder.middle.#.residual.|encoder.middle.#.residual."),
        ("Wan 2.2", "Wan", "decoder.mid_block.resnets.#.norm1.gamma"
         "|encoder.mid_block.resnets.#.norm1.gamma decoder.conv_in.weight[*,48]"
         "|quant_conv.weight[96]"),
        ("Wan 2.1/Qwen-Image", "Wan/Qwen-Image", "decoder.mid_block.resnets.#.norm1.gamma"
         "|encoder.mid_block.resnets.#.norm1.gamma"
         "|decoder.up_blocks.#.resnets.#.norm1.gamma"),
    )),
    Group(VAE, "Lightricks/LTX-Video models/autoencoders", rows(
        ("LTX-Video", "LTX-Video", "decoder.up_blocks.#.res_blocks."
         "|encoder.down_blocks.#.res_blocks.|decoder.last_scale_shift_table"),
        ("LTX-2 audio", "LTX-2", "per_channel_statistics. decoder.up.#.block."
         "|decoder.conv_in.conv.|decoder.mid."),
    )),
    Group(VAE, "NVIDIA/Cosmos-Tokenizer modules", rows(
        ("Cosmos", "Cosmos", "decoder.unpatcher3d.|encoder.patcher3d."
         "|decoder.mid.block_1.conv1.#.conv3d."
         "|encoder.down.#.block.#.conv1.#.conv3d.|decoder.up.#.block.#.conv1.#.conv3d."
          "|encoder.conv_in.#.conv3d."),
    )),
    Group(VAE, "Tencent HunyuanVideo, HunyuanVideo-1.5, HunyuanImage-2.1 vae; diffusers "
     "AutoencoderKLHunyuanVideo", rows(
        ("HunyuanVideo 1.5", "HunyuanVideo", "decoder.mid.block_1.norm1.gamma"
         "|encoder.mid.block_1.norm1.gamma|encoder.down.#.block.#.norm1.gamma"
         "|decoder.up.#.block.#.norm1.gamma|decoder.conv_in.conv.weight[1024,32]"),
        ("HunyuanVideo", "HunyuanVideo", "decoder.conv_in.conv.weight[*,16]"
         "|decoder.mid.block_1.conv1.conv.|encoder.down.#.block.#.conv1.conv."
         "|encoder.mid.block_1.conv1.conv.|decoder.up.#.block.#.conv1.conv."
          "|decoder.mid_block.resnets.#.conv1.conv."
         "|encoder.down_blocks.#.resnets.#.conv1.conv."),
        ("HunyuanImage 2.1", "HunyuanImage", f"{_SD_VAE} decoder.conv_in.weight[*,64]"
         "|encoder.conv_out.weight[128]"),
    )),
    Group(VAE, "Stability-AI/generative-models temporal_ae.py", rows(
        ("SVD", "SVD", "decoder.mid.block_1.mix_factor|decoder.mid.block_1.time_stack."
         "|decoder.up.#.block.#.time_stack."
         "|decoder.up.#.block.#.mix_factor|decoder.conv_out.time_mix_conv."
         "|decoder.mid_block.resnets.#.temporal_res_block."),
    )),
    Group(VAE, "Stability-AI/StableCascade modules/stage_a.py, effnet.py, previewer.py", rows(
        ("Stable Cascade A", "Stable Cascade", "vquantizer.codebook.weight "
         "down_blocks.#.depthwise.|up_blocks.|in_block.|out_block."),
        ("Stable Cascade effnet", "Stable Cascade", "encoder.mapper.#.weight|encoder.backbone."
         "|backbone.#.#.block. previewer.|encoder.mean|encoder.mapper.|mapper."),
    )),
    Group(VAE, "ace-step/ACE-Step music_dcae; stable-audio-tools autoencoders.py", rows(
        ("ACE-Step", "ACE-Step", "vocoder.backbone.|dcae.encoder.|dcae.decoder. dcae."
         "|vocoder.head.|vocoder.mel_transform."),
        ("Stable Audio", "Stable Audio", "encoder.layers.#.layers.#.layers.#.alpha"
         "|decoder.layers.#.layers.#.alpha|decoder.layers.#.layers.#.layers.#.alpha "
         "decoder.layers.#.weight_v|encoder.layers.#.weight_v|decoder.layers.#.layers.#.weight_v"
          "|encoder.layers.#.layers.#.weight_v"
         "|decoder.layers.#.layers.#.layers.#.weight_v"),
    )),
    Group(VAE, "genmoai/mochi vae/models.py; Tencent/Hunyuan3D-2 autoencoders", rows(
        ("Mochi", "Mochi", "blocks.#.blocks.#.stack.|decoder.blocks.#.blocks.#.stack."
         "|layers.#.layers.#.attn_block.attn."
         "|encoder.layers.#.layers.#.attn_block.attn.|blocks.#.#.stack.|decoder.blocks.#.#.stack."
          "|encoder.layers.#.stack."),
        ("Hunyuan3D", "Hunyuan3D", "geo_decoder. transformer.resblocks.|post_kl."
         "|geo_decoder.cross_attn_decoder."),
    )),
    Group(VAE, "madebyollin/taesd taesd.py; madebyollin/taehv taehv.py", rows(
        ("TAESD", "TAESD", "taesd_decoder.|taesd_encoder."),
        ("TAEHV", "TAEHV", "decoder.#.weight encoder.#.weight|encoder.#.conv.#.weight"
         "|decoder.#.conv.#.weight "
         "!decoder.#.#. !encoder.layers."),
        ("TAESD", "TAESD", "decoder.layers.#.conv.#.weight|encoder.layers.#.conv.#.weight"),
        ("TAESD", "TAESD", "#.weight[64,4,3,3]|#.weight[64,16,3,3]|#.weight[64,3,3,3]"
         "|#.weight[3,64,3,3] #.conv.#.weight[64,64,3,3]"),
    )),
    Group(VAE, "CompVis/latent-diffusion autoencoder.py, black-forest-labs/flux and flux2 "
     "autoencoder.py; diffusers AutoencoderKL", rows(
        ("Flux.2", "Flux.2", f"{_SD_VAE} decoder.conv_in.weight[*,32]|encoder.conv_out.weight[64]"
         "|bn.running_mean[128]|quant_conv.weight[64]"),
        ("Flux/SD3 16ch", "Flux.1/SD 3/Z-Image/Chroma/HiDream/Lumina 2",
         f"{_SD_VAE} decoder.conv_in.weight[*,16,3,3]|encoder.conv_out.weight[32,*,3,3]"),
        ("SD 1.x/SDXL", "SD 1.5/SD 2/SDXL", f"{_SD_VAE} decoder.conv_in.weight[*,4,3,3]"
         "|encoder.conv_out.weight[8,*,3,3]"
         "|quant_conv.weight[8,8,1,1]|post_quant_conv.weight[4,4,1,1]"),
        ("", "", f"{_SD_VAE} decoder.|encoder.conv_in. "
         "decoder.mid.block_1.conv1.weight|decoder.up.#.block.#.conv1.weight"
          "|encoder.down.#.block.#.conv1.weight|encoder.mid.block_1.conv1.weight"
         "|decoder.mid_block.resnets.#.conv1.weight|decoder.up_blocks.#.resnets.#.conv1.weight"
          "|encoder.down_blocks.#.resnets.#.conv1.weight"),
    )),
)  # fmt: skip

_LAYER = "text_model.encoder.layers.#"


def _clip(width: int) -> str:
    wide = (
        f"{_LAYER}.layer_norm1.weight", f"{_LAYER}.layer_norm2.weight",
         f"{_LAYER}.layer_norm1.bias",
        f"{_LAYER}.self_attn.q_proj.bias", f"{_LAYER}.self_attn.out_proj.bias",
         f"{_LAYER}.mlp.fc2.bias",
        "text_model.final_layer_norm.weight", f"{_LAYER}.self_attn.q_proj.weight",
        "transformer.resblocks.#.ln_1.weight", "transformer.resblocks.#.ln_2.weight",
        "transformer.resblocks.#.ln_1.bias", "transformer.resblocks.#.mlp.c_proj.bias",
         "ln_final.weight",
    )  # fmt: skip
    return "|".join(f"{name}[{width}]" for name in wide)


_CLIP = f"{_LAYER}.|transformer.resblocks.#.ln_1.|transformer.resblocks.#.mlp.c_fc. !vision_model."

_OPEN_CLIP = "transformer.resblocks.#."


def _t5(width: int) -> str:
    return (
        f"encoder.block.#.layer.#.layer_norm.weight[{width}]"
        f"|encoder.final_layer_norm.weight[{width}]"
        f"|encoder.block.#.layer.#.SelfAttention.o.weight[{width}]|shared.weight[*,{width}]"
        f"|encoder.block.#.layer.#.DenseReluDense.wo.weight[{width}]"
        f"|enc.output_norm.weight[{width}]|enc.blk.#.attn_norm.weight[{width}]"
        f"|enc.blk.#.ffn_norm.weight[{width}]"
        f"|token_embd.weight[*,{width}]"
    )


_T5 = (
    "encoder.block.#.layer.#.SelfAttention.|encoder.block.#.layer.#.DenseReluDense."
    "|encoder.block.#.layer.#.layer_norm.|enc.blk.#.attn_q.|enc.blk.#.ffn_up.|enc.blk.#.attn_norm."
)

_EACH_BIAS = (
    "encoder.block.#.layer.#.SelfAttention.relative_attention_bias.weight{2}"
    "|enc.blk.#.attn_rel_b.weight{2}"
)


def _vocabulary(*sizes: int) -> str:
    return "|".join(f"{name}[{size}]" for size in sizes
                    for name in ("embed_tokens.weight", "token_embd.weight"))  # fmt: skip


def _llm(width: int) -> str:
    return (
        f"layers.#.input_layernorm.weight[{width}]"
        f"|layers.#.post_attention_layernorm.weight[{width}]"
        f"|embed_tokens.weight[*,{width}]|layers.#.self_attn.q_proj.weight[*,{width}]"
        f"|layers.#.self_attn.o_proj.weight[{width}]"
        f"|layers.#.mlp.gate_proj.weight[*,{width}]|layers.#.mlp.down_proj.weight[{width}]"
        f"|norm.weight[{width}]"
        f"|blk.#.attn_norm.weight[{width}]|blk.#.ffn_norm.weight[{width}]"
        f"|token_embd.weight[*,{width}]|output_norm.weight[{width}]"
    )


_LLM = (
    "layers.#.self_attn.q_proj.|layers.#.self_attn.k_proj.|layers.#.mlp.gate_proj."
    "|layers.#.input_layernorm."
    "|layers.#.mlp.down_proj.|blk.#.attn_q.|blk.#.ffn_gate.|blk.#.attn_norm. "
    "layers.#.mlp.gate_proj.|layers.#.mlp.up_proj.|layers.#.mlp.down_proj.|blk.#.ffn_gate."
    "|blk.#.ffn_down.|blk.#.ffn_up."
    "|embed_tokens.|token_embd."
)

_Q_NORM = (
    "layers.#.self_attn.q_norm.|layers.#.self_attn.k_norm.|blk.#.attn_q_norm.|blk.#.attn_k_norm."
)

_K_BIAS = (
    "layers.#.self_attn.k_proj.bias|layers.#.self_attn.v_proj.bias|layers.#.self_attn.q_proj.bias"
    "|blk.#.attn_k.bias|blk.#.attn_v.bias|blk.#.attn_q.bias"
)

_GEMMA = (
    "layers.#.post_feedforward_layernorm.|layers.#.pre_feedforward_layernorm.|blk.#.post_ffw_norm."
    "|blk.#.post_attention_norm."
    "|layers.#.self_attn.q_norm.weight[256]|layers.#.self_attn.k_norm.weight[256]"
)

_QWEN25 = f"{_K_BIAS}|{_vocabulary(151936, 152064, 151680)}"

TEXTS = (
    Group(TEXT, "openai/CLIP, mlfoundations/open_clip model.py; transformers CLIPTextModel", rows(
        ("CLIP-L", "CLIP", f"{_CLIP} {_clip(768)}"),
        ("CLIP-H (SD2)", "CLIP", f"{_CLIP} {_clip(1024)}"),
        ("CLIP-G", "CLIP", f"{_CLIP} {_clip(1280)}"),
    )),
    Group(TEXT, "google-research/t5x; transformers T5EncoderModel, UMT5EncoderModel; llama.cpp "
     "t5encoder", rows(
        ("ByT5 glyph", "ByT5", f"{_T5} {_t5(1472)}"),
        ("UMT5-XXL", "UMT5", f"{_T5} {_t5(4096)} {_EACH_BIAS}|shared.weight[256384]"
         "|shared.weight[256300]|token_embd.weight[256384]"),
        ("T5-XXL", "T5", f"{_T5} {_t5(4096)}"),
        ("UMT5 base", "UMT5", f"{_T5} {_t5(768)}"),
        ("T5-v1.0 XXL (Cosmos)", "T5", f"{_T5} {_t5(1024)} "
         "encoder.block.#.layer.#.DenseReluDense.wi.weight[65536]"
         "|encoder.block.#.layer.#.SelfAttention.q.weight[16384]"
         "|encoder.block.#.layer.#.SelfAttention.k.weight[16384]"
          "|encoder.block.#.layer.#.SelfAttention.relative_attention_bias.weight[*,128]"),
        ("mT5-XL", "mT5", f"{_T5} {_t5(2048)} shared.weight[250112]|token_embd.weight[250112]"),
        ("T5-XL", "T5", f"{_T5} {_t5(2048)}"),
        ("", "", _T5),
    )),
    Group(TEXT, "transformers Gemma2Model, Gemma3Model; ComfyUI comfy/text_encoders/llama.py", rows(
        ("Gemma 3 1B", "Gemma 3", f"{_LLM} {_GEMMA} {_Q_NORM} {_llm(1152)}"),
        ("Gemma 3 4B", "Gemma 3", f"{_LLM} {_GEMMA} {_Q_NORM}|{_vocabulary(262208, 262144)} "
         f"{_llm(2560)}"),
        ("Gemma 3 12B", "Gemma 3", f"{_LLM} {_GEMMA} {_Q_NORM}|{_vocabulary(262208, 262144)} "
         f"{_llm(3840)}"),
        ("Gemma 2 2B", "Gemma 2", f"{_LLM} {_GEMMA} {_llm(2304)}"),
        ("Gemma 2 9B", "Gemma 2", f"{_LLM} {_GEMMA} {_llm(3584)}"),
        ("", "", f"{_LLM} {_GEMMA}"),
    )),
    Group(TEXT, "transformers Qwen2_5_VL, Qwen3, Mistral and Llama models; llama.cpp", rows(
        ("Qwen3-VL 8B", "Qwen3-VL", f"{_LLM} {_Q_NORM} {_llm(4096)} "
         "~visual.deepstack_merger_list."),
        ("Qwen3-VL 4B", "Qwen3-VL", f"{_LLM} {_Q_NORM} {_llm(2560)} "
         "~visual.deepstack_merger_list."),
        ("Qwen3 0.6B", "Qwen3", f"{_LLM} {_Q_NORM} {_llm(1024)}"),
        ("Qwen3 1.7B", "Qwen3", f"{_LLM} {_Q_NORM} {_llm(2048)}"),
        ("Qwen3 4B", "Qwen3", f"{_LLM} {_Q_NORM} {_llm(2560)}"),
        ("Qwen3 8B", "Qwen3", f"{_LLM} {_Q_NORM} {_llm(4096)}"),
        ("Qwen3", "Qwen3", f"{_LLM} {_Q_NORM} {_llm(5120)}"),
        ("Qwen2.5-VL 7B", "Qwen2.5-VL", f"{_LLM} {_llm(3584)} {_QWEN25} ~visual.blocks."
         "|~visual.merger."),
        ("Qwen2.5-VL 3B", "Qwen2.5-VL", f"{_LLM} {_llm(2048)} {_QWEN25} ~visual.blocks."
         "|~visual.merger."),
        ("Qwen2.5 7B", "Qwen2.5", f"{_LLM} {_llm(3584)} {_QWEN25}"),
        ("Qwen2.5 3B", "Qwen2.5", f"{_LLM} {_llm(2048)} {_QWEN25}"),
        ("Qwen2.5 1.5B", "Qwen2.5", f"{_LLM} {_llm(1536)} {_QWEN25}"),
        ("Qwen2.5 0.5B", "Qwen2.5", f"{_LLM} {_llm(896)} {_QWEN25}"),
        ("Mistral Small 24B (Flux.2)", "Mistral", f"{_LLM} !{_K_BIAS} {_llm(5120)} "
         f"{_vocabulary(131072)}|layers.#.mlp.gate_proj.weight[32768]"
         "|layers.#.self_attn.q_proj.weight[4096,5120]|blk.#.ffn_gate.weight[32768]"
          "|blk.#.attn_q.weight[4096,5120]"),
        ("Llama 3.1 8B", "Llama 3", f"{_LLM} !{_K_BIAS} {_llm(4096)} "
         f"{_vocabulary(128256, 128320)}"),
        ("Llama 3.2 1B", "Llama 3", f"{_LLM} !{_K_BIAS} {_llm(2048)} {_vocabulary(128256)}"),
        ("Llama 3.2 3B", "Llama 3", f"{_LLM} !{_K_BIAS} {_llm(3072)} {_vocabulary(128256)}"),
        ("", "", f"{_LLM} layers.#.self_attn.|blk.#.attn_q.|blk.#.attn_k.|blk.#.attn_norm."
         "|layers.#.input_layernorm."),
    )),
    Group(TEXT, "Tencent/HunyuanDiT (BERT); Kwai-Kolors/Kolors (ChatGLM)", rows(
        ("BERT (HunyuanDiT)", "BERT", "bert.encoder.layer.#.attention.self.query.weight[1024]"
         "|encoder.layer.#.attention.self.query.weight[1024]"
         "|bert.encoder.layer.#.attention.self.query.bias[1024]"
          "|encoder.layer.#.attention.self.query.bias[1024]"
         "|bert.encoder.layer.#.attention.self.key.bias[1024]"
          "|bert.encoder.layer.#.output.LayerNorm.weight[1024]"),
        ("", "", "bert.encoder.layer.#.attention.self.query.|encoder.layer.#.attention.self.query. "
         "bert.embeddings.word_embeddings.|embeddings.word_embeddings.|bert.encoder."),
        ("ChatGLM3 (Kolors)", "ChatGLM", "encoder.layers.#.self_attention.query_key_value. "
         "encoder.layers.#.mlp.dense_h_to_4h."),
    )),
)  # fmt: skip

_VISION = "vision_model.encoder.layers.#"


def _vision(width: int) -> str:
    wide = (
        "vision_model.embeddings.class_embedding", "vision_model.embeddings.patch_embedding.weight",
        "vision_model.embeddings.patch_embedding.bias", "vision_model.post_layernorm.weight",
        f"{_VISION}.layer_norm1.weight", f"{_VISION}.layer_norm2.weight",
         f"{_VISION}.layer_norm1.bias",
        f"{_VISION}.self_attn.q_proj.bias", f"{_VISION}.mlp.fc2.bias",
        "visual.conv1.weight", "visual.transformer.resblocks.#.ln_1.weight",
         "visual.ln_post.weight",
        "visual.transformer.resblocks.#.ln_1.bias", "v.blk.#.ln1.weight",
    )  # fmt: skip
    return "|".join(f"{name}[{width}]" for name in wide)


_TOWER = f"{_VISION}.|visual.transformer.resblocks.|v.blk.#."

VISIONS = (
    Group(VISION, "transformers CLIPVisionModel, SiglipVisionModel; mlfoundations/open_clip; "
     "ComfyUI comfy/clip_vision.py", rows(
        ("ViT-L llava", "ViT", f"{_TOWER} multi_modal_projector."),
        ("ViT-H", "ViT", f"{_TOWER} {_vision(1280)}"),
        ("ViT-G", "ViT", f"{_TOWER} {_vision(1664)}"),
        ("SigLIP", "SigLIP", f"{_TOWER} {_vision(1152)}"),
        ("ViT-L", "ViT", f"{_TOWER} {_vision(1024)}"),
        ("ViT-B", "ViT", f"{_TOWER} {_vision(768)}"),
        ("", "", f"{_TOWER} vision_model.|visual.|mm.|v.patch_embd.|v.blk.#.attn_q.|v.blk.#.ln1."),
    )),
    Group(VISION, "facebookresearch/dinov2; transformers Dinov2Model", rows(
        ("DINOv2 giant", "DINOv2", "encoder.layer.#.layer_scale1.lambda1[1536]"
         "|encoder.layer.#.norm1.weight[1536] encoder.layer.#.layer_scale1."
         "|encoder.layer.#.layer_scale2."),
        ("DINOv2 large", "DINOv2", "encoder.layer.#.layer_scale1.lambda1[1024]"
         "|encoder.layer.#.norm1.weight[1024]|encoder.layer.#.layer_scale2.lambda1[1024] "
         "encoder.layer.#.layer_scale1.|encoder.layer.#.layer_scale2."),
        ("DINOv2 base", "DINOv2", "encoder.layer.#.layer_scale1.lambda1[768]"
         "|encoder.layer.#.norm1.weight[768] encoder.layer.#.layer_scale1."
         "|encoder.layer.#.layer_scale2."),
    )),
)  # fmt: skip

AUDIOS = (
    Group(AUDIO, "openai/whisper; transformers WhisperModel, Wav2Vec2Model; ComfyUI "
     "comfy/audio_encoders", rows(
        ("Whisper large v3", "Whisper", "encoder.conv1.weight[1280,128,3]"),
        ("Whisper", "Whisper", "encoder.embed_positions.weight"
         "|encoder.layers.#.self_attn_layer_norm.|decoder.layers.#.encoder_attn. "
         "encoder.conv1.|encoder.conv2.|encoder.layers.#.fc1."),
        ("wav2vec2", "wav2vec2", "feature_extractor.conv_layers."
         "|wav2vec2.feature_extractor.conv_layers. "
         "encoder.layers.#.|wav2vec2.encoder.layers.#.|feature_projection."
          "|wav2vec2.feature_projection."),
    )),
)  # fmt: skip
