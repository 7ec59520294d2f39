"""Signs of what is added to a diffusion model, and of models that do something else.

Facts from the modules of the projects named in each group, and from the keys that ComfyUI's
comfy/controlnet.py, comfy/t2i_adapter, comfy_extras/nodes_model_patch.py and spandrel's
architectures look at.
"""

from __future__ import annotations

from scanner.comfyui.signs_of_diffusion import cross_attention
from scanner.comfyui.tensor_signs import Group, rows

CONTROL = "controlnet"

_CONTROL = (
    "input_hint_block.|zero_convs.|lora_controlnet input_blocks.|middle_block.|lora_controlnet"
    "|zero_convs."
)

_LOW_RANK = "|".join(
    f"{block}.transformer_blocks.#.attn2.{side}.down[*,{{0}}]"
    for block in ("input_blocks.#.#", "middle_block.#")
    for side in ("to_k", "to_v")
)
"""Of control LoRAs: pairs `.up` and `.down` in place of weights."""

_DIFFUSERS_CONTROL = (
    "controlnet_cond_embedding.|controlnet_down_blocks.|controlnet_mid_block. down_blocks."
    "|mid_block.|controlnet_down_blocks."
)

_XL = f"label_emb.|add_embedding.|{cross_attention(2048)}|{_LOW_RANK.format(2048)}"

_IP = "ip_adapter.|image_proj."


def _ip(width: int) -> str:
    return f"ip_adapter.#.to_k_ip.weight[*,{width}]|ip_adapter.#.to_v_ip.weight[*,{width}]"


def _motion(*blocks: str) -> str:
    return "|".join(f"{block}.motion_modules.#.temporal_transformer." for block in blocks)


_MOTION = _motion("down_blocks.#", "up_blocks.#", "mid_block")

ADDITIONS = (
    Group("ip-adapter", "tencent-ailab/IP-Adapter; XLabs-AI/x-flux; InstantX", rows(
        ("Flux.1", "Flux.1", "double_blocks.#.processor.ip_adapter_double_stream_k_proj."
         "|double_blocks.#.processor.ip_adapter_double_stream_v_proj."),
        ("SDXL", "SDXL", f"{_IP} {_ip(2048)}"),
        ("SD 1.5", "SD 1.5", f"{_IP} {_ip(768)}"),
        ("Flux.1", "Flux.1", f"{_IP} {_ip(4096)}|ip_adapter.#.to_k_ip.weight[3072]"),
        ("", "", f"{_IP} ip_adapter.#.|image_proj.proj.|image_proj.layers.|image_proj.latents"
         "|image_proj.proj_in."),
    )),
    Group("pulid", "ToTheBeginning/PuLID", rows(
        ("Flux.1", "Flux.1", "pulid_ca.#. pulid_encoder.|pulid_ca.#.to_q."),
        ("SDXL", "SDXL", "id_adapter. id_adapter_attn_layers."),
    )),
    Group("photomaker", "TencentARC/PhotoMaker; ComfyUI comfy_extras/nodes_photomaker.py", rows(
        ("SDXL", "SDXL", "id_encoder.fuse_module.|id_encoder.visual_projection_2."
         "|id_encoder.qformer_perceiver."),
    )),
    Group("gligen", "gligen/GLIGEN; ComfyUI comfy/gligen.py", rows(
        ("SD 1.5", "SD 1.5", "position_net.|input_blocks.#.#.transformer_blocks.#.fuser."
         "|output_blocks.#.#.transformer_blocks.#.fuser. "
         "input_blocks.#.#.transformer_blocks.#.fuser.linear.weight[*,768]"
          "|output_blocks.#.#.transformer_blocks.#.fuser.linear.weight[*,768]"
         "|middle_block.#.transformer_blocks.#.fuser.linear.weight[*,768]"
          "|position_net.linears.#.weight[512,832]|position_net.null_positive_feature[768]"),
        ("", "", "position_net.linears.|input_blocks.#.#.transformer_blocks.#.fuser."
         "|output_blocks.#.#.transformer_blocks.#.fuser."
          "|middle_block.#.transformer_blocks.#.fuser."),
    )),
    Group("brushnet", "TencentARC/BrushNet; open-mmlab/PowerPaint", rows(
        ("SDXL", "SDXL", "brushnet_down_blocks.|brushnet_up_blocks.|brushnet_mid_block."
         f"|conv_in_condition. {_XL}"),
        ("SD 1.5", "SD 1.5", "brushnet_down_blocks.|brushnet_up_blocks.|brushnet_mid_block."
         "|conv_in_condition. "
         f"{cross_attention(768)}|conv_in_condition.weight[320]|down_blocks.#.resnets."),
        ("", "", "brushnet_down_blocks.|brushnet_up_blocks.|brushnet_mid_block."),
    )),
    Group("motion module", "guoyww/AnimateDiff models/motion_module.py: SD 1.5 has four levels of "
     "blocks, SDXL three", rows(
        ("SD 1.5", "SD 1.5", f"{_MOTION} ~down_blocks.3.|~up_blocks.3.|~mid_block."),
        ("SDXL", "SDXL", f"{_MOTION} up_blocks.#.motion_modules. ~up_blocks.2. !~up_blocks.3."),
        ("", "", _MOTION),
    )),
    Group("style model", "black-forest-labs/flux ReduxImageEncoder; TencentARC/T2I-Adapter "
     "StyleAdapter", rows(
        ("Flux.1", "Flux.1", "redux_up.|redux_down."),
        ("SD 1.5", "SD 1.5", "style_embedding transformer_layes.|proj"),
    )),
    Group("model patch", "ComfyUI comfy_extras/nodes_model_patch.py; modelscope/DiffSynth-Studio; "
     "aigc-apps/VideoX-Fun", rows(
        ("Qwen-Image", "Qwen-Image", "controlnet_blocks.#.y_rms.|controlnet_blocks.#.x_rms."),
        ("Flux.1", "Flux.1", "feature_embedder."),
        ("Z-Image", "Z-Image", "control_all_x_embedder.|control_layers.#. "
         "control_layers.#.attention.|control_layers.#.adaLN_modulation."
         "|control_layers.#.after_proj.|control_noise_refiner."),
        ("Wan VACE", "Wan", "vace_patch_embedding. vace_blocks. !blocks.#.self_attn."),
        ("Wan", "Wan", "audio_proj.proj1. blocks.#.audio_cross_attn. !patch_embedding."),
    )),
    Group(CONTROL, "lllyasviel/ControlNet cldm.py; stabilityai/control-lora; ComfyUI "
     "comfy/controlnet.py; diffusers ControlNetModel", rows(
        ("SDXL", "SDXL", f"{_CONTROL} {_XL}"),
        ("SD 2", "SD 2", f"{_CONTROL} {cross_attention(1024)}|{_LOW_RANK.format(1024)}"),
        ("SD 1.5", "SD 1.5", f"{_CONTROL} {cross_attention(768)}|{_LOW_RANK.format(768)}"),
        ("", "", f"{_CONTROL} !double_blocks."),
        ("SDXL", "SDXL", f"{_DIFFUSERS_CONTROL} {_XL}|control_add_embedding."),
        ("SD 2", "SD 2", f"{_DIFFUSERS_CONTROL} {cross_attention(1024)}"),
        ("SD 1.5", "SD 1.5", f"{_DIFFUSERS_CONTROL} {cross_attention(768)}"),
        ("", "", _DIFFUSERS_CONTROL),
    )),
    Group(CONTROL, "XLabs-AI/x-flux; TheMistoAI/MistoLine; InstantX and Shakker-Labs (diffusers "
     "FluxControlNetModel, QwenImageControlNetModel, SD3ControlNetModel)", rows(
        ("Wan 2.1", "Wan", "controlnet_patch_embedding. controlnet_blocks.|proj_out.#."),
        ("Flux.1", "Flux.1", "controlnet_blocks.|pos_embed_input.|input_hint_block."
         "|input_cond_block.|controlnet_x_embedder. double_blocks.#.img_attn."
         "|double_blocks.#.img_mlp.|double_blocks.#.txt_attn."),
        ("Qwen-Image", "Qwen-Image", "controlnet_blocks.|controlnet_x_embedder. txt_norm."
         "|transformer_blocks.#.img_mod.|transformer_blocks.#.img_mlp."),
        ("Flux.1", "Flux.1", "controlnet_blocks.|controlnet_single_blocks."
         "|controlnet_mode_embedder. controlnet_x_embedder.|controlnet_mode_embedder."
         "|controlnet_single_blocks. "
         "transformer_blocks.#.attn.add_q_proj.|transformer_blocks.#.norm1_context."
          "|context_embedder.weight[3072,4096]|x_embedder.weight[3072,64]"),
        ("SD 3.5 Large", "SD 3", "controlnet_blocks. pos_embed_input.|transformer_blocks. "
         "x_embedder.proj.weight[2432]|pos_embed_input.proj.weight[2432]"
         "|controlnet_blocks.#.weight[2432]|controlnet_blocks.#.bias[2432]"),
        ("SD 3", "SD 3", "controlnet_blocks. pos_embed_input. transformer_blocks."
         "|controlnet_blocks.#.weight[1536]|controlnet_blocks.#.bias[1536]"),
        ("Qwen-Image", "Qwen-Image", "control_blocks.#. control_img_in."),
        ("HunyuanDiT", "HunyuanDiT", "after_proj_list.|before_proj. mlp_t5.|blocks.#.attn1.Wqkv."),
        ("Stable Cascade", "Stable Cascade", "projections.#.#.weight[1280,1280,1,1]"
         "|projections.#.#.weight[2048,1280,1,1]"),
        ("", "", "controlnet_blocks. controlnet_x_embedder.|pos_embed_input."),
    )),
    Group(CONTROL, "TencentARC/T2I-Adapter adapter.py; diffusers T2IAdapter; "
     "kohya-ss/ControlNet-LLLite", rows(
        ("SDXL", "SDXL", "adapter.conv_in.weight[*,768]|body.#.in_conv.weight[*,768]"
         "|adapter.body.#.in_conv.weight[*,768]|conv_in.weight[*,768] "
         "body.|adapter.body. !conv_out."),
        ("SD 1.5", "SD 1.5", "adapter.conv_in.weight[*,192]|body.#.in_conv.weight[*,192]"
         "|adapter.body.#.in_conv.weight[*,192]|conv_in.weight[*,192]"
         "|adapter.conv_in.weight[*,64]|conv_in.weight[*,64] body.|adapter.body. "
         "body.#.block1.|adapter.body.#.resnets.|body.#.body.|body.#.in_conv."
          "|adapter.body.#.in_conv.|adapter.body.#.block1."),
        ("", "", "body.#.in_conv.|body.#.block1.|adapter.body. body.#.block1."
         "|body.#.body.#.block1.|adapter.body.#.resnets.|adapter.body.#.in_conv."),
        ("SDXL", "SDXL", "~lllite_unet_ ~lllite_unet_input_blocks_|~lllite_unet_middle_block_ "
         "~transformer_blocks_"),
    )),
    Group("latent upscale model", "ComfyUI comfy_extras/nodes_hunyuan.py; Lightricks "
     "LatentUpsampler", rows(
        ("HunyuanVideo 1.5", "HunyuanVideo", "block.#.conv.weight|blocks.#.block.#.conv.weight"
         "|up.#.block.#.conv1.conv.weight|block.#.conv.bias conv_in.conv.|conv_out.conv."
          "|norm_out."),
        ("LTX-Video", "LTX-Video", "initial_conv.|post_upsample_res_blocks.|final_conv. "
         "res_blocks.#.conv1.|post_upsample_res_blocks.#.conv1.|post_upsample_res_blocks.#.conv2."),
    )),
)  # fmt: skip

_PLKSR = "feats.#.lk.|feats.#.lk.conv.|feats.#.channel_mixer.|feats.#.channe_mixer."

UPSCALERS = (
    Group("upscale model", "chaiNNer-org/spandrel libs/spandrel/spandrel/architectures", rows(
        ("GFPGAN", "GFPGAN", "stylegan_decoder.|stylegan_decoderdotto_rgbs. conv_body_first."
         "|stylegan_decoder.style_mlp.|stylegan_decoder.style_convs."),
        ("CodeFormer", "CodeFormer", "quantize.embedding.weight ft_layers.|fuse_convs_dict."
         "|position_emb"),
        ("ESRGAN", "ESRGAN", "model.#.sub.#.RDB1.|model.#.sub.#.RDB2.|model.#.sub.#.RDB3."
         "|#.sub.#.RDB1.|body.#.rdb1.|body.#.rdb2.|RRDB_trunk.#.RDB1.|RRDB_trunk.#.RDB2."),
        ("RGT", "RGT", "before_RG. layers.#.blocks.#.gamma|layers.#.blocks.#.attn.get_v."),
        ("DAT", "DAT", "before_RG. layers.#.blocks.#.ffn.sg."
         "|layers.#.blocks.#.attn.channel_interaction."
          "|layers.#.blocks.#.attn.spatial_interaction."),
        ("CRAFT", "CRAFT", "layers.#.residual_group.srwa_blocks."
         "|layers.#.residual_group.hf_blocks."),
        ("ATD", "ATD", "layers.#.residual_group.layers.#.attn_atd."
         "|layers.#.residual_group.layers.#.attn_aca."),
        ("HAT", "HAT", "layers.#.residual_group.overlap_attn."
         "|layers.#.residual_group.blocks.#.conv_block.cab."),
        ("DRCT", "DRCT", "layers.#.swin1.|layers.#.swin2. layers.#.adjust1.|layers.#.swin1.attn."),
        ("SRFormer", "SRFormer",
         "layers.#.residual_group.blocks.#.attn.aligned_relative_position_index"),
        ("Swin2SR", "Swin2SR", "layers.#.residual_group.blocks.#.attn.logit_scale"
         "|layers.#.residual_group.blocks.#.attn.cpb_mlp."),
        ("SwinIR", "SwinIR", "layers.#.residual_group.blocks.#.attn."
         "|layers.#.residual_group.blocks.#.mlp."),
        ("FDAT", "FDAT", "groups.#.blocks.#.inter.|groups.#.blocks.#.attn.|groups.#.blocks.#.ffn. "
         "conv_first.|upsampler.|conv_after."),
        ("SPAN", "SPAN", "block_1.c1_r.|block_2.c1_r.|block_3.c2_r.|block_6.c3_r. conv_1."
         "|conv_cat.|conv_2."),
        ("PLKSR", "PLKSR", _PLKSR),
        ("SAFMN", "SAFMN", "feats.#.safm.|feats.#.ccm. to_feat.|to_img."),
        ("MoSR", "MoSR", "gblocks.#.fc1.|gblocks.#.conv.|gblocks.#.fc2. upsampler.|shortcut."),
        ("OmniSR", "OmniSR", "residual_layer.#.residual_layer.#. residual_layer.#.esa.|input."
         "|output.|up."),
        ("RCAN", "RCAN", "body.#.body.#.body.#.conv_du.|body.#.body.#.conv_du."),
        ("EDSR", "EDSR", "head.#.weight body.#.body.#.weight tail."),
        ("SCUNet", "SCUNet", "m_head.#.weight|m_down1.|m_body. m_down1.|m_down2.|m_body.|m_up1."),
        ("RealCUGAN", "RealCUGAN", "unet1.conv1.conv.|unet1.conv2.conv.|unet1.conv_bottom. unet2."),
        ("SwiftSRGAN", "SwiftSRGAN", "initial.cnn.depthwise.|residual.#.block1.cnn.depthwise. "
         "residual.#.block1.|upsampler.#.conv."),
        ("NAFNet", "NAFNet", "middle_blks.#.|encoders.#.#.beta intro.|ending."
         "|middle_blks.#.conv1."),
        ("Restormer", "Restormer", "encoder_level1.#.attn.qkv_dwconv."
         "|decoder_level1.#.attn.qkv_dwconv."),
        ("DITN", "DITN", "UFONE.#."),
        ("Compact", "Compact", "body.#.weight[*,3,3,3]|body.#.weight[12]|body.#.weight[48]"
         "|body.#.weight[3]|body.#.weight[27] !conv_first. !body.#.body. !head. !body.#.in_conv. "
         "!tail."),
    )),
)  # fmt: skip

OTHERS = (
    Group("depth", "ByteDance-Seed/Depth-Anything-3; DepthAnything/Depth-Anything-V2", rows(
        ("Depth Anything 3", "Depth Anything", "backbone.embeddings.patch_embeddings."
         "|backbone.encoder.layer.|backbone.pretrained. head.projects."),
        ("Depth Anything 2", "Depth Anything", "pretrained.blocks.#.|pretrained.patch_embed. "
         "depth_head."),
    )),
    Group("segmentation", "facebookresearch/segment-anything, sam2", rows(
        ("SAM", "SAM", "image_encoder.blocks.|image_encoder.patch_embed. mask_decoder."
         "|prompt_encoder."),
        ("SAM 2", "SAM", "sam_mask_decoder.|sam_prompt_encoder. image_encoder.|memory_attention."),
    )),
    Group("background removal", "ZhengPeng7/BiRefNet", rows(
        ("BiRefNet", "BiRefNet", "bb.layers.|bb.patch_embed. decoder.gdt_convs_4."
         "|decoder.gdt_convs_3.|squeeze_module.|decoder.decoder_block4."),
    )),
    Group("frame interpolation", "hzwer/Practical-RIFE model/IFNet_HDv3.py", rows(
        ("RIFE", "RIFE", "block0.conv0.|block1.conv0.|block0.convblock.|block2.conv0. encode."
         "|block0.convblock.|block1.conv0.|block0.lastconv.|contextnet."),
    )),
)  # fmt: skip
