"""What the inventory says of models, beside what the formats' own packages say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scanner.output.inventory_reader import read_entries
from scripts.build_sample import build
from tests.support.headers import package
from tests.support.machine import Machine, assert_valid

LORA = "ComfyUI/models/loras/style.safetensors"
CUT = "ComfyUI/models/loras/cut.safetensors"
UNET = "ComfyUI/models/unet/small.gguf"
POINTER = "ComfyUI/models/vae/pointer.safetensors"
PAGE = "ComfyUI/models/vae/page.safetensors"


def test_facts_of_a_sample_installation_are_those_of_the_packages(tmp_path: Path) -> None:
    numpy = package("numpy")
    safetensors = package("safetensors")
    files = package("safetensors.numpy")
    gguf = package("gguf")
    machine = Machine(tmp_path)
    build(str(machine.work))
    tensors = {
        "lora_unet_x.lora_up.weight": numpy.ones((8, 4), dtype=numpy.float16),
        "lora_unet_x.lora_down.weight": numpy.ones((4, 8), dtype=numpy.float16),
        "lora_unet_x.alpha": numpy.float32([4.0]),
    }
    metadata = {
        "ss_base_model_version": "sdxl_base_v1-0",
        "modelspec.title": "A style",
        "modelspec.trigger_phrase": "in that style",
        "modelspec.thumbnail": "data:image/jpeg;base64," + "A" * 5000,
    }
    (machine.work / UNET).parent.mkdir(parents=True, exist_ok=True)
    files.save_file(tensors, machine.work / LORA, metadata)
    whole = (machine.work / LORA).read_bytes()
    (machine.work / CUT).write_bytes(whole[:-10])
    (machine.work / POINTER).write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 335304388\n"
    )
    (machine.work / PAGE).write_text("<!DOCTYPE html><title>Sign in</title>")
    writer = gguf.GGUFWriter(machine.work / UNET, "flux")
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_F16))
    writer.add_tensor("img_in.weight", numpy.ones((16, 32), dtype=numpy.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    machine.run("scan")

    entries = {e["path"]: e for e in read_entries(machine.output)}
    lora = entries[LORA]["model"]
    with safetensors.safe_open(machine.work / LORA, "numpy") as opened:
        assert lora["tensors"] == len(opened.keys())
        shapes = [opened.get_slice(key).get_shape() for key in opened.keys()]  # noqa: SIM118
        assert lora["parameters"] == sum(int(numpy.prod(shape)) for shape in shapes)
        assert opened.metadata()["ss_base_model_version"] == "sdxl_base_v1-0"
    assert (lora["base_model"], lora["evidence"]) == ("SDXL", "metadata")
    assert lora["dtypes"] == {"F16": 64, "F32": 1}
    assert (lora["title"], lora["kind"]) == ("A style", "lora")
    assert lora["trigger_words"] == ["in that style"]
    assert "AAAA" not in str(lora)
    unet, reader = entries[UNET]["model"], gguf.GGUFReader(machine.work / UNET)
    assert unet["format"] == "gguf"
    assert unet["tensors"] == len(reader.tensors)
    assert unet["parameters"] == sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert unet["architecture"] == "flux"
    assert unet["quantization"] == "F16"
    assert (unet["kind"], unet["evidence"]) == ("diffusion model", "metadata")
    words: dict[str, Any] = {path: entry.get("status") for path, entry in entries.items()}
    broken = {path: word for path, word in words.items() if word}
    assert broken == {CUT: "truncated", POINTER: "pointer", PAGE: "page"}
    found = machine.run("find", "--status", "broken").stdout
    assert all(path in found for path in broken)
    assert_valid(machine)
