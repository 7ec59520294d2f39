"""Kind and base model from names and shapes of tensors, of public architectures."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from benchmarks import models
from scanner.comfyui.base_words import base_of_word, family_of
from scanner.comfyui.model_identity import Identity, identity_of
from scanner.comfyui.signs_of_additions import ADDITIONS, OTHERS, UPSCALERS
from scanner.comfyui.signs_of_diffusion import DIFFUSION
from scanner.comfyui.signs_of_parts import AUDIOS, TEXTS, VAES, VISIONS
from scanner.comfyui.tensor_signs import TensorNames
from tests.support.model_cases import CASES, Case, identity, is_family

_TENSOR = re.compile(r"([^\[\s]+)(?:\[([0-9,]*)\])?")


def tensors(text: str, prefix: str = "") -> TensorNames:
    """Tensors from words such as `img_in.weight[3072,64]`."""
    names = TensorNames()
    for name, shape in _TENSOR.findall(text):
        names.add((prefix + name).encode(), tuple(int(n) for n in shape.split(",") if n))
    return names


def told(text: str, **metadata: str) -> tuple[str, str]:
    found = identity_of(tensors(text), {k.replace("__", "."): v for k, v in metadata.items()})
    return found.kind, found.base


UNET = "input_blocks.1.0.in_layers.0.weight[320] middle_block.0.in_layers.0.weight[1280] "
SD15 = UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight[320,768] "
SD2 = UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight[320,1024] "
XL = (
    UNET + "label_emb.0.0.weight[1280,2816] "
    "input_blocks.4.1.transformer_blocks.1.attn2.to_k.weight[640,2048] "
)
FLUX = (
    "img_in.weight[3072,{0}] vector_in.in_layer.weight[3072,768] txt_in.weight[3072,4096] "
    "time_in.in_layer.weight[3072,256] "
    "double_blocks.0.img_attn.norm.key_norm.scale[128] "
    "double_blocks.0.img_attn.proj.weight[3072,3072] "
    "single_blocks.0.linear1.weight[21504,3072] "
)
GUIDED = "guidance_in.in_layer.weight[3072,256] "
FLUX2 = (
    "img_in.weight[{0},128] double_stream_modulation_img.lin.weight "
    "double_blocks.0.img_attn.qkv.weight single_blocks.0.linear2.weight "
)
WAN = (
    "patch_embedding.weight[{0},{1},1,2,2] head.modulation[1,2,{0}] head.head.weight[{2},{0}] "
    "blocks.0.modulation[1,6,{0}] "
    "blocks.0.self_attn.q.weight[{0},{0}] blocks.0.self_attn.norm_q.weight[{0}] "
    "blocks.0.cross_attn.k.weight[{0},{0}] "
)
DIT = (
    "blocks.0.attn.qkv.weight[3456,1152] blocks.0.cross_attn.kv_linear.weight "
    "blocks.0.scale_shift_table[6,1152] "
)
LLM = (
    "model.embed_tokens.weight[{0},{1}] model.layers.0.self_attn.q_proj.weight[4096,{1}] "
    "model.layers.0.input_layernorm.weight[{1}] "
    "model.layers.0.mlp.gate_proj.weight[9999,{1}] model.layers.0.mlp.down_proj.weight[{1},9999] "
)
T5 = (
    "shared.weight[{0},{1}] encoder.final_layer_norm.weight[{1}] "
    "encoder.block.0.layer.0.SelfAttention.q.weight[{1},{1}] "
    "encoder.block.0.layer.0.layer_norm.weight[{1}] "
    "encoder.block.0.layer.1.DenseReluDense.wi_0.weight[9999,{1}] "
)
VAE = (
    "decoder.conv_in.weight[512,{0},3,3] encoder.conv_out.weight[{1},512,3,3] "
    "decoder.mid.block_1.conv1.weight[512,512,3,3] "
)
FLUX_DIFFUSERS = (
    "x_embedder.weight[3072,64] context_embedder.weight[3072,4096] "
    "time_text_embed.timestep_embedder.linear_1.weight[3072,256] "
    "transformer_blocks.0.attn.add_q_proj.weight[3072,3072] "
    "single_transformer_blocks.0.proj_mlp.weight[12288,3072] "
)

PUBLIC = {
    "diffusion model": {
        "SD 1.5": [SD15 + "input_blocks.0.0.weight[320,4,3,3]",
                   "conv_in.weight[320,4,3,3] "
                    "down_blocks.0.resnets.0.time_emb_proj.weight[320,1280] "
                   "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight[1280,768]"],
        "SD 1.5 inpaint": [SD15 + "input_blocks.0.0.weight[320,9,3,3]"],
        "SD 1.5 edit": [SD15 + "input_blocks.0.0.weight[320,8,3,3]"],
        "SD 2.1": [SD2 + "input_blocks.0.0.weight[320,4,3,3]"],
        "SD 2 inpaint": [SD2 + "input_blocks.0.0.weight[320,9,3,3]"],
        "SD 2 depth": [SD2 + "input_blocks.0.0.weight[320,5,3,3]"],
        "SDXL": [XL + "input_blocks.0.0.weight[320,4,3,3]",
                 "down_blocks.1.resnets.0.time_emb_proj.weight "
                  "add_embedding.linear_1.weight[1280,2816]"],
        "SDXL inpaint": [XL + "input_blocks.0.0.weight[320,9,3,3]"],
        "SDXL refiner": ["input_blocks.0.0.weight[384,4,3,3] "
         "input_blocks.1.0.in_layers.0.weight[384] label_emb.0.0.weight[1536,2560]"],
        "SVD": [UNET + "label_emb.0.0.weight[1280,768] "
         "input_blocks.1.1.time_stack.0.attn1.to_q.weight[320,320]"],
        "SD 3.5 medium": ["x_embedder.proj.weight[1536,16,2,2] "
         "joint_blocks.0.context_block.attn.qkv.weight joint_blocks.0.x_block.attn2.qkv.weight"],
        "SD 3.5 Large": ["x_embedder.proj.weight[2432,16,2,2] "
         "joint_blocks.0.context_block.attn.qkv.weight joint_blocks.0.x_block.attn.ln_q.weight"],
        "SD 3 medium": ["x_embedder.proj.weight[1536,16,2,2] "
         "joint_blocks.0.context_block.attn.qkv.weight joint_blocks.0.x_block.attn.qkv.weight"],
        "SD 3.5": ["pos_embed.proj.weight[2432,16,2,2] "
         "transformer_blocks.0.attn.add_q_proj.weight transformer_blocks.0.attn.norm_q.weight[64]"],
        "Flux.1 dev": [FLUX.format(64) + GUIDED,
                       FLUX_DIFFUSERS +
                        "time_text_embed.guidance_embedder.linear_1.weight[3072,256]",
                       # bitsandbytes: packed weights, biases as they were
                       "img_in.weight[98304,1] img_in.bias[3072] guidance_in.in_layer.bias[3072] "
                       "double_blocks.0.img_attn.proj.weight[4718592,1] "
                        "double_blocks.0.img_attn.proj.weight.absmax[147456]"],
        "Flux.1 schnell": [FLUX.format(64), FLUX_DIFFUSERS],
        "Flux.1 fill": [FLUX.format(384) + GUIDED],
        "Flux.1 canny/depth": [FLUX.format(128) + GUIDED],
        "Flux.2 dev": [FLUX2.format(6144)],
        "Flux.2 klein 9B": [FLUX2.format(4096)],
        "Flux.2 klein 4B": [FLUX2.format(3072)],
        "Chroma": [FLUX.format(64) + "distilled_guidance_layer.in_proj.weight"],
        "Chroma Radiance": ["double_blocks.0.img_attn.qkv.weight "
         "distilled_guidance_layer.in_proj.weight nerf_blocks.0.norm.scale"],
        "Qwen-Image": ["txt_norm.weight[3584] img_in.weight[3072,64] "
         "transformer_blocks.0.img_mod.1.weight transformer_blocks.0.attn.to_q.weight"],
        "HunyuanVideo": ["txt_in.individual_token_refiner.blocks.0.norm1.weight "
         "img_in.proj.weight[3072,16,1,2,2] vector_in.in_layer.weight "
                         "double_blocks.0.img_attn.norm.key_norm.scale"],
        "HunyuanVideo I2V": ["txt_in.individual_token_refiner.blocks.0.norm1.weight "
         "img_in.proj.weight[3072,33,1,2,2] vector_in.in_layer.weight"],
        "HunyuanImage 2.1": ["txt_in.individual_token_refiner.blocks.0.norm1.weight "
         "img_in.proj.weight[3584,64,1,1] double_blocks.0.img_attn.qkv.weight"],
        "Hunyuan3D 2": ["latent_in.weight[1024,64] cond_in.weight "
         "double_blocks.0.img_attn.norm.key_norm.scale"],
        "HunyuanDiT": ["mlp_t5.0.weight[8192,2048] blocks.0.attn1.Wqkv.weight "
         "blocks.0.attn1.k_norm.weight"],
        "LTX-Video": ["adaln_single.emb.timestep_embedder.linear_1.bias[2048] "
         "patchify_proj.weight[2048,128] transformer_blocks.27.scale_shift_table[6,2048]"],
        "LTX-Video 13B": ["adaln_single.emb.timestep_embedder.linear_1.bias[4096] "
         "patchify_proj.weight[4096,128] transformer_blocks.47.scale_shift_table[6,4096]"],
        "Lumina 2": ["cap_embedder.1.weight[2304,2304] "
         "noise_refiner.0.attention.k_norm.weight[96] x_embedder.weight[2304,64]"],
        "Z-Image": ["cap_embedder.1.weight[3840,2560] "
         "noise_refiner.0.attention.k_norm.weight[128] layers.3.attention_norm1.weight[3840]",
                    "all_x_embedder.2-1.weight[3840,64] layers.0.attention.to_q.weight "
                     "noise_refiner.0.ffn_norm1.weight[3840]"],
        "OmniGen2": ["time_caption_embed.timestep_embedder.linear_1.bias[1024] "
         "x_embedder.weight[2520,64] ref_image_refiner.0.attn.to_q.weight "
          "layers.0.attn.to_q.weight"],
        "HiDream I1": ["caption_projection.0.linear.weight[2560,4096] "
         "double_stream_blocks.0.block.ff_i.gate.weight"],
        "Cosmos 1": ["blocks.block0.blocks.0.block.attn.to_q.0.weight x_embedder.proj.1.weight"],
        "Cosmos-Predict2": ["blocks.0.mlp.layer1.weight blocks.0.self_attn.q_proj.weight "
         "x_embedder.proj.1.weight"],
        "Anima": ["blocks.0.mlp.layer1.weight llm_adapter.blocks.0.cross_attn.q_proj.weight"],
        "AuraFlow": ["double_layers.0.attn.w1q.weight init_x_linear.weight"],
        "PixArt Sigma": [DIT + "t_block.1.weight y_embedder.y_embedding[300,4096]",
                         "adaln_single.emb.timestep_embedder.linear_1.weight pos_embed.proj.bias "
                          "caption_projection.linear_1.weight "
                          "transformer_blocks.0.attn1.to_q.weight"],
        "PixArt alpha": [DIT + "t_block.1.weight ar_embedder.mlp.0.weight"],
        "Stable Cascade": ["clip_txt_mapper.weight clf.1.weight down_blocks.0.0.depthwise.weight",
         "clip_mapper.weight clf.1.weight up_blocks.0.0.channelwise.0.weight"],
        "Mochi": ["t5_yproj.weight blocks.0.attn.qkv_x.weight"],
        "CogVideoX": ["patch_embed.text_proj.weight transformer_blocks.0.norm1.linear.weight",
         "blocks.0.norm1.linear.weight patch_embed.proj.weight"],
        "SeedVR2": ["blocks.31.mlp.all.proj_in_gate.weight"],
        "ACE-Step": ["genre_embedder.weight lyric_encoder.after_norm.weight "
         "transformer_blocks.0.attn.to_q.weight"],
        "Stable Audio": ["transformer.rotary_pos_emb.inv_freq "
         "transformer.layers.0.cross_attn.to_kv.weight to_cond_embed.0.weight"],
        "Kandinsky 5": ["visual_transformer_blocks.0.cross_attention.key_norm.weight "
         "visual_embeddings.in_layer.weight"],
        "Wan 2.1 T2V 1.3B": [WAN.format(1536, 16, 64)],
        "Wan 2.x T2V 14B": [WAN.format(5120, 16, 64)],
        "Wan 2.1 I2V 14B": [WAN.format(5120, 36, 64) + "img_emb.proj.0.bias"],
        "Wan 2.1 FLF2V 14B": [WAN.format(5120, 36, 64) + "img_emb.proj.0.bias img_emb.emb_pos"],
        "Wan 2.2 I2V 14B": [WAN.format(5120, 36, 64)],
        "Wan 2.2 TI2V 5B": [WAN.format(3072, 48, 192)],
        "Wan VACE": [WAN.format(5120, 16, 64) + "vace_patch_embedding.weight"],
        "Wan 2.2 Animate": [WAN.format(5120, 36, 64) + "face_adapter.fuser_blocks.0.k_norm.weight "
         "img_emb.proj.0.bias"],
        "Wan 2.x 14B": ["blocks.0.attn1.norm_q.weight[5120] blocks.0.attn2.to_k.weight[5120,5120] "
         "blocks.0.ffn.net.0.proj.weight"],
    },
    "text encoder": {
        "CLIP-L": ["text_model.encoder.layers.0.layer_norm1.weight[768]",
         "text_model.encoder.layers.11.mlp.fc1.weight[3072,768] "
         "text_model.final_layer_norm.weight[768]"],
        "CLIP-G": ["text_model.encoder.layers.31.layer_norm1.weight[1280]",
         "transformer.resblocks.0.ln_1.weight[1280] token_embedding.weight[49408,1280]"],
        "T5-XXL": [T5.format(32128, 4096), "enc.blk.0.attn_q.weight[4096,4096] "
         "enc.output_norm.weight[4096] token_embd.weight[32128,4096]"],
        "UMT5-XXL": [T5.format(256384, 4096),
                     "enc.blk.0.attn_rel_b.weight[32,64] enc.blk.1.attn_rel_b.weight[32,64] "
                      "enc.blk.0.attn_q.weight enc.output_norm.weight[4096]"],
        "T5-XL": [T5.format(32128, 2048)],
        "Qwen2.5-VL 7B": [LLM.format(152064, 3584) + "model.layers.0.self_attn.k_proj.bias[512] "
         "visual.blocks.0.norm1.weight"],
        "Qwen2.5 3B": [LLM.format(151936, 2048) + "model.layers.0.self_attn.k_proj.bias[256]"],
        "Qwen3 4B": [LLM.format(151936, 2560) + "model.layers.0.self_attn.q_norm.weight[128]",
                     "token_embd.weight[151936,2560] blk.0.attn_q.weight "
                      "blk.0.attn_q_norm.weight[128] blk.0.ffn_gate.weight "
                      "blk.0.attn_norm.weight[2560]"],
        "Qwen3 8B": [LLM.format(151936, 4096) + "model.layers.0.self_attn.q_norm.weight[128]"],
        "Gemma 2 2B": [LLM.format(256000, 2304) +
         "model.layers.0.post_feedforward_layernorm.weight[2304]"],
        "Gemma 3 12B": [LLM.format(262208, 3840) +
         "model.layers.0.post_feedforward_layernorm.weight[3840] "
         "model.layers.0.self_attn.q_norm.weight[256]"],
        "Llama 3.1 8B": [LLM.format(128256, 4096)],
        "Mistral Small 24B (Flux.2)": [LLM.format(131072, 5120)],
        "BERT (HunyuanDiT)": ["bert.encoder.layer.0.attention.self.query.weight[1024,1024] "
         "bert.embeddings.word_embeddings.weight"],
    },
    "clip vision": {
        "ViT-H": ["vision_model.encoder.layers.0.layer_norm1.weight[1280]",
         "visual.transformer.resblocks.0.ln_1.weight[1280] visual.conv1.weight[1280,3,14,14]"],
        "ViT-L": ["vision_model.encoder.layers.0.layer_norm1.weight[1024]"],
        "ViT-G": ["vision_model.encoder.layers.0.layer_norm1.weight[1664]"],
        "SigLIP": ["vision_model.encoder.layers.0.layer_norm1.weight[1152]"],
        "DINOv2 giant": ["encoder.layer.0.layer_scale1.lambda1[1536]"],
    },
    "vae": {
        "SD 1.x/SDXL": [VAE.format(4, 8)],
        "Flux/SD3 16ch": [VAE.format(16, 32)],
        "Flux.2": [VAE.format(32, 64) + "bn.running_mean[128]"],
        "HunyuanImage 2.1": [VAE.format(64, 128)],
        "Wan 2.1/Qwen-Image": ["decoder.middle.0.residual.0.gamma "
         "decoder.upsamples.0.residual.2.weight"],
        "Wan 2.2": ["decoder.middle.0.residual.0.gamma "
         "decoder.upsamples.0.upsamples.0.residual.2.weight"],
        "Mochi": ["blocks.2.blocks.3.stack.5.weight", "decoder.blocks.2.blocks.3.stack.5.weight"],
        "TAESD": ["taesd_decoder.1.weight[64,4,3,3] vae_scale"],
        "TAEHV": ["encoder.0.weight[64,3,3,3] decoder.1.weight[256,16,3,3] decoder.22.bias[3]"],
        "SVD": [VAE.format(4, 8) + "decoder.mid.block_1.mix_factor"],
        "Hunyuan3D": ["geo_decoder.cross_attn_decoder.ln_1.bias post_kl.weight"],
    },
    "controlnet": {
        "SD 1.5": ["control_model." + word for word in [
            "input_hint_block.0.weight "
             "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight[320,768]"]]
                  + ["controlnet_cond_embedding.conv_in.weight "
                   "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight[320,768]",
                     "adapter.conv_in.weight[320,192,3,3] adapter.body.0.resnets.0.block1.weight",
                      "body.0.block1.weight conv_in.weight[320,192,3,3]"],
        "SD 2": ["controlnet_cond_embedding.conv_in.weight "
         "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight[320,1024]"],
        "SDXL": ["controlnet_cond_embedding.conv_in.weight "
         "down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_k.weight[640,2048]",
                 "lllite_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.down.0.weight[32,640]"
                  ""
                  ""
                  "",
                 "adapter.conv_in.weight[320,768,3,3] adapter.body.0.resnets.0.block1.weight"],
        "Flux.1": ["controlnet_x_embedder.weight[3072,64] controlnet_blocks.0.weight "
         "transformer_blocks.0.attn.add_q_proj.weight x_embedder.weight[3072,64]"],
        "Qwen-Image": ["controlnet_x_embedder.weight[3072,64] controlnet_blocks.0.weight "
         "txt_norm.weight[3584] transformer_blocks.0.img_mod.1.weight"],
    },
    "upscale model": {
        "ESRGAN": ["RRDB_trunk.0.RDB1.conv1.weight conv_first.weight"],
        "PLKSR": ["feats.0.weight feats.1.channe_mixer.0.weight"],
        "RCAN": ["head.0.weight body.0.body.0.body.0.weight body.0.body.0.body.3.conv_du.0.weight"],
        "SCUNet": ["m_head.0.weight m_down1.0.trans_block.ln1.weight m_body.0.conv1_1.weight"],
        "RealCUGAN": ["unet1.conv1.conv.0.weight unet2.conv1.conv.0.weight"],
        "GFPGAN": ["stylegan_decoder.style_mlp.1.weight conv_body_first.weight"],
        "Compact": ["params.body.0.weight[64,3,3,3] params.body.1.weight[64] "
         "params.body.2.weight[64,64,3,3]"],
    },
    "ip-adapter": {
        "Flux.1": ["double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight[3072,4096] "
         "ip_adapter_proj_model.proj.weight"],
        "SDXL": ["image_proj.latents ip_adapter.1.to_k_ip.weight[640,2048] "
         "ip_adapter.0.to_q_lora.down.weight"],
    },
    "gligen": {"SD 1.5": ["position_net.linears.0.weight[512,832] "
     "input_blocks.1.1.transformer_blocks.0.fuser.linear.weight[320,768]"]},
    "brushnet": {"SD 1.5": ["conv_in_condition.weight[320,9,3,3] brushnet_down_blocks.0.weight "
     "down_blocks.0.resnets.0.conv1.weight"]},
    "pulid": {"SDXL": ["id_adapter.latents id_adapter_attn_layers.0.id_to_k.weight"]},
    "audio encoder": {"wav2vec2": ["feature_extractor.conv_layers.0.conv.weight "
     "encoder.layers.0.attention.q_proj.weight"]},
    "lora": {
        "SD 1.5": [
         "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight[4,768]"
          ""
          ""
         "",
                   "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight[8,768] "
                   "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v.hada_w1_b[4,768]"
                   " "
                    ""
                    ""
                    "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v.hada_w1_a[1280,4]"
                     ""
                     ""
                    ""],
        "SD 2.1": [
         "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight[4,1024]"
          ""
          ""
         ""],
        "SDXL": [
         "lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k.lora_down.weight[4,2048]",
                 "unet.down_blocks.2.attentions.0.transformer_blocks.7.attn1.to_q.lora_A.weight[4,1280]"
                  ""
                  ""
                  "",
                 "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight[8,1280]"],
        "Flux.1": ["lora_unet_double_blocks_0_img_mlp_0.lora_down.weight[16,3072] "
         "lora_unet_double_blocks_0_img_mlp_0.lora_up.weight[12288,16]",
                   "transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight[16,3072]",
                   "double_blocks.0.processor.qkv_lora1.down.weight[16,3072]"],
        "Flux.2 klein 4B": ["diffusion_model.double_blocks.0.img_mlp.0.lora_A.weight[16,3072] "
         "diffusion_model.double_blocks.0.img_mlp.0.lora_B.weight[18432,16]"],
        "Flux.2 dev": ["diffusion_model.double_blocks.0.img_attn.proj.lora_A.weight[16,6144]"],
        "Wan 2.1 T2V 1.3B": ["diffusion_model.blocks.0.self_attn.q.lora_A.weight[16,1536]"],
        "Wan 2.2 TI2V 5B": ["diffusion_model.blocks.0.ffn.0.lora_A.weight[16,3072]"],
        "Cosmos-Predict2": ["diffusion_model.blocks.0.self_attn.q_proj.lora_A.weight[16,2048]"],
        "Qwen-Image": ["transformer_blocks.0.img_mlp.net.2.lora_A.default.weight[16,12288]",
         "transformer.transformer_blocks.40.attn.to_k.lora_A.weight[16,3072]"],
        "HunyuanVideo": ["lora_unet_double_blocks_19_img_attn_qkv.lora_down.weight[16,3072]"],
        "Z-Image": ["diffusion_model.layers.0.attention.to_q.lora_A.weight[16,3840]"],
        "LTX-2": ["diffusion_model.transformer_blocks.0.audio_attn1.to_q.lora_A.weight[16,2048]"],
        "HiDream I1": [
         "diffusion_model.double_stream_blocks.0.block.attn1.to_q.lora_A.weight[16,2560]"],
        "": ["some_model_layer_1.lora_down.weight[4,77]"],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "base", "text"),
    [
        (kind, base, text)
        for kind, by_base in PUBLIC.items()
        for base, texts in by_base.items()
        for text in texts
    ],
)
def test_public_architectures_are_known(kind: str, base: str, text: str) -> None:
    assert told(text) == (kind, base)


@pytest.mark.parametrize("base", PUBLIC["diffusion model"])
@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "diffusion_model.", "net.", "model."])
def test_a_container_changes_nothing(base: str, prefix: str) -> None:
    for text in PUBLIC["diffusion model"][base]:
        found = identity_of(tensors(text, prefix), {})
        assert (found.kind, found.base) == ("diffusion model", base)
        together = tensors(text, prefix)
        together.add(b"first_stage_model.encoder.conv_in.weight", (128, 3, 3, 3))
        assert identity_of(together, {}).kind == "checkpoint"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_cases_of_public_headers(case: Case) -> None:
    found = identity(case)
    assert found.kind == case.kind
    assert is_family(found.families, found.base, case.base)
    assert found.evidence in ("tensors", "metadata")


def _renamed(name: str) -> str:
    return ".".join(
        part if part.isdigit() or part in ("weight", "bias") else f"q{part[::-1]}z"
        for part in name.split(".")
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_unknown_names_say_nothing(case: Case) -> None:
    tensors = {_renamed(name): value for name, value in case.tensors.items()}
    assert identity(case._replace(tensors=tensors)) == Identity()


@pytest.mark.parametrize(
    "text",
    [
        "", "a.weight[1]", "encoder.layers.0.weight[4,4]", "layers.0.attention.wq.weight[64,64]",
        "model.blocks.0.attn.qkv.weight[9,9] model.head.weight[9,9]", "clip_l[1,768] 1 2 3",
        "model.diffusion_model.tower.0.w[1] first_stage_model.encoder.conv_in.weight[128,3,3,3]",
        "conv_first.weight[64,3,3,3] conv_last.weight[3,64,3,3]",
        "transformer_blocks.0.attn.to_q.weight[64,64]",
         "double_blocks.0.img_attn.proj.weight[77,77]",
    ],
)  # fmt: skip
def test_unknown_architectures_have_no_kind(text: str) -> None:
    assert identity_of(tensors(text), {"ss_base_model_version": "sdxl"}) == Identity()


XL_LORA = PUBLIC["lora"]["SDXL"][0]
TEXT_ENCODER_LORA = (
    "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight[16,768] "
    "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight[3072,16]"
)


@pytest.mark.parametrize(
    ("text", "metadata", "base", "evidence"),
    [
        (XL_LORA, {"ss_base_model_version": "sdxl_base_v1-0"}, "SDXL", "tensors"),
        (XL_LORA, {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}, "SDXL",
         "tensors"),
        (XL_LORA, {"ss_base_model_version": "flux1"}, "SDXL", "tensors"),
        (XL_LORA, {"base_model": "Pony"}, "SDXL (Pony)", "metadata"),
        (XL_LORA, {"ss_sd_model_name": "D:\\a\\ponyDiffusionV6XL.safetensors"}, "SDXL (Pony)",
         "metadata"),
        (XL_LORA, {"ss_sd_model_name": "/pony/flux1-dev.safetensors"}, "SDXL", "tensors"),
        (XL_LORA, {"ss_sd_model_name": "pony.safetensors", "base_model": "Illustrious"},
         "SDXL (Illustrious)", "metadata"),
        (PUBLIC["diffusion model"]["SDXL refiner"][0], {"ss_sd_model_name": "pony.safetensors"},
         "SDXL refiner", "tensors"),
        (TEXT_ENCODER_LORA, {"ss_sd_model_name": "pony.safetensors"}, "SDXL/SD 3/Flux.1",
         "tensors"),
        (TEXT_ENCODER_LORA, {"ss_base_model_version": "wan2.1"}, "SDXL/SD 3/Flux.1", "tensors"),
        (PUBLIC["lora"]["Flux.1"][0], {"ss_sd_model_name": "pony.safetensors"}, "Flux.1",
         "tensors"),
        (PUBLIC["lora"][""][0], {"ss_base_model_version": "wan2.1"}, "Wan 2.1", "metadata"),
        (PUBLIC["lora"][""][0], {"ss_base_model_version": "/models/wan"}, "", "tensors"),
        (PUBLIC["diffusion model"]["SDXL"][0], {"modelspec.architecture":
         "stable-diffusion-xl-v1-base"},
         "SDXL 1.0", "metadata"),
        (PUBLIC["diffusion model"]["SD 1.5"][0], {"modelspec.architecture":
         "stable-diffusion-xl-v1-base"},
         "SD 1.5", "tensors"),
        (PUBLIC["diffusion model"]["Wan 2.x T2V 14B"][0], {"base_model": "Wan-AI/Wan2.2-T2V-A14B"},
         "Wan 2.2 T2V 14B", "metadata"),
    ],
)  # fmt: skip
def test_metadata_refine_and_never_contradict(
    text: str, metadata: dict[str, str], base: str, evidence: str
) -> None:
    found = identity_of(tensors(text), metadata)
    assert (found.base, found.evidence) == (base, evidence)


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("sd_v1", "SD 1.5"), ("sd_v2_v", "SD 2.1"), ("sdxl_base_v1-0", "SDXL"), ("sd3-m",
         "SD 3 medium"),
        ("flux1", "Flux.1"), ("hunyuan-image-2.1", "HunyuanImage 2.1"), ("flux-1-dev",
         "Flux.1 dev"),
        ("stable-diffusion-v1", "SD 1.5"), ("stable-diffusion-xl-v1-base/lora", "SDXL 1.0"),
        ("black-forest-labs/FLUX.1-dev", "Flux.1 dev"), ("SDXL 1.0", "SDXL 1.0"), ("Pony",
         "SDXL (Pony)"),
        ("Illustrious", "SDXL (Illustrious)"), ("NoobAI", "SDXL (NoobAI)"), ("Flux.1 D",
         "Flux.1 dev"),
        ("Wan Video 14B t2v", "Wan 2.1 T2V 14B"), ("Wan Video 2.2 T2V-A14B", "Wan 2.2 T2V 14B"),
        ("SD 1.5 LCM", "SD 1.5"), ("Qwen", "Qwen-Image"), ("ZImageTurbo", "Z-Image"),
        ("/home/me/sdxl", None), ("C:\\sdxl", None), ("C:/sdxl", None), ("a/b/sdxl", None), (
         "my model", None),
    ],
)  # fmt: skip
def test_words_of_others_are_ours(word: str, base: str | None) -> None:
    found = base_of_word(word)
    assert (found.name if found else None) == base


def test_the_family_is_the_word_before_size_and_variant() -> None:
    assert family_of("SD 3.5 Large") == "SD 3"
    assert family_of("SDXL (Pony)") == "SDXL"
    assert family_of("Wan 2.2 TI2V 5B") == "Wan"


def test_the_table_in_the_docs_is_what_the_program_says() -> None:
    page = models.PAGE.read_text(encoding="utf-8")
    assert models.table() in page


def test_kinds_in_the_schema_are_those_of_the_tables() -> None:
    tables = (DIFFUSION, VAES, TEXTS, VISIONS, AUDIOS, ADDITIONS, UPSCALERS, OTHERS)
    kinds = {group.kind for groups in tables for group in groups}
    schema = resources.files("scanner.schemas").joinpath("inventory.schema.json").read_text("utf-8")
    for kind in kinds | {"checkpoint", "lora", "embedding"}:
        assert re.search(rf"One of: [^\"]*\b{kind}\b", schema), kind
