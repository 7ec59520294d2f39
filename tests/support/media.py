"""Files with a workflow inside, written by real writers in the way of ComfyUI.

Pillow and PyAV are ComfyUI's own writers; PyAV is FFmpeg. See `nodes_images.py`, `nodes_video.py`,
`nodes_audio.py` and `nodes_hunyuan3d.py` of ComfyUI.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.numpy import save

Written = Callable[[dict[str, str]], bytes]


def _image() -> Image.Image:
    return Image.new("RGB", (16, 16), (200, 30, 60))


def png(texts: dict[str, str]) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    return _png(info)


def png_compressed(texts: dict[str, str]) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text, zip=True)
    return _png(info)


def png_international(texts: dict[str, str]) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add_itxt(key, text, "en", key)
    return _png(info)


def png_international_compressed(texts: dict[str, str]) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add_itxt(key, text, zip=True)
    return _png(info)


def _png(info: PngInfo) -> bytes:
    buffer = io.BytesIO()
    _image().save(buffer, "png", pnginfo=info, compress_level=4)
    return buffer.getvalue()


def apng(texts: dict[str, str]) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add(b"comf", key.encode("latin-1") + b"\0" + text.encode("latin-1"), after_idat=True)
    buffer = io.BytesIO()
    _image().save(
        buffer,
        "png",
        pnginfo=info,
        save_all=True,
        duration=100,
        append_images=[Image.new("RGB", (16, 16), (0, number, 0)) for number in range(3)],
    )
    return buffer.getvalue()


def _exif(texts: dict[str, str]) -> Image.Exif:
    exif = _image().getexif()
    tag = 0x010F
    for key, text in texts.items():
        if key == "prompt":
            exif[0x0110] = f"{key}:{text}"
        else:
            exif[tag] = f"{key}:{text}"
            tag -= 1
    return exif


def webp(texts: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    _image().save(buffer, "webp", exif=_exif(texts))
    return buffer.getvalue()


def webp_animated(texts: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    others = [Image.new("RGB", (16, 16), (0, number, 0)) for number in range(3)]
    _image().save(
        buffer, "webp", save_all=True, append_images=others, duration=100, exif=_exif(texts)
    )
    return buffer.getvalue()


def jpeg(texts: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    _image().save(buffer, "jpeg", exif=_exif(texts))
    return buffer.getvalue()


def jpeg_comment(texts: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    _image().save(buffer, "jpeg", comment=wrapped(texts))
    return buffer.getvalue()


def jpeg_user_comment(texts: dict[str, str]) -> bytes:
    """The comment as piexif's helper writes it: UTF-16, high byte first."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + wrapped(texts).encode("utf-16-be")
    buffer = io.BytesIO()
    _image().save(buffer, "jpeg", exif=exif)
    return buffer.getvalue()


def wrapped(texts: dict[str, str]) -> str:
    """One text with all of them, as VideoHelperSuite writes its comment."""
    return json.dumps({key: json.loads(text) for key, text in texts.items()})


def _video(
    container: str, codec: str, metadata: dict[str, str], place: str = "", **options: str
) -> bytes:
    frames: list[Any] = []
    for number in range(3):
        pixels = np.full((64, 64, 3), 60 * number, np.uint8)
        frames.append(av.VideoFrame.from_ndarray(pixels, format="rgb24"))

    def add_stream(output: Any) -> Any:
        stream = output.add_stream(codec, rate=Fraction(8))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        return stream

    return _encoded(container, metadata, add_stream, frames, place, options)


def _encoded(
    container: str,
    metadata: dict[str, str],
    add_stream: Callable[[Any], Any],
    frames: list[Any],
    place: str,
    options: dict[str, str],
) -> bytes:
    """What FFmpeg writes, in memory or, where the writer reads it again, at `place`."""
    buffer = io.BytesIO()
    with av.open(place or buffer, "w", format=container, options=options) as output:
        output.metadata.update(metadata)
        stream = add_stream(output)
        for frame in (*frames, None):
            output.mux(stream.encode(frame))
    return Path(place).read_bytes() if place else buffer.getvalue()


def mp4(texts: dict[str, str]) -> bytes:
    return _video("mp4", "mpeg4", texts, movflags="use_metadata_tags")


def mp4_fast_start(texts: dict[str, str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        flags = "use_metadata_tags+faststart"
        return _video("mp4", "mpeg4", texts, f"{folder}/a.mp4", movflags=flags)


def mov(texts: dict[str, str]) -> bytes:
    return _video("mov", "mpeg4", texts, movflags="use_metadata_tags")


def mp4_comment(texts: dict[str, str]) -> bytes:
    return _video("mp4", "mpeg4", {"comment": wrapped(texts)})


def mov_comment(texts: dict[str, str]) -> bytes:
    return _video("mov", "mpeg4", {"comment": wrapped(texts)})


def webm(texts: dict[str, str]) -> bytes:
    return _video("webm", "libvpx-vp9", texts)


def webm_live(texts: dict[str, str]) -> bytes:
    """Lengths are not known while it is written."""
    return _video("webm", "libvpx-vp9", texts, live="1")


def mkv_comment(texts: dict[str, str]) -> bytes:
    return _video("matroska", "mpeg4", {"comment": wrapped(texts)})


def _sound(
    container: str, codec: str, metadata: dict[str, str], layout: str = "mono", **options: str
) -> bytes:
    samples = np.zeros((1, 4800 * (2 if layout == "stereo" else 1)), np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
    frame.sample_rate = 48000
    frame.pts = 0

    def add_stream(output: Any) -> Any:
        # FFmpeg's own encoder of Vorbis counts as an experiment.
        return output.add_stream(codec, rate=48000, layout=layout, options={"strict": "-2"})

    return _encoded(container, metadata, add_stream, [frame], "", options)


def flac(texts: dict[str, str]) -> bytes:
    return _sound("flac", "flac", texts)


def opus(texts: dict[str, str]) -> bytes:
    return _sound("opus", "libopus", texts)


def ogg_vorbis(texts: dict[str, str]) -> bytes:
    return _sound("ogg", "vorbis", texts, "stereo")


def ogg_flac(texts: dict[str, str]) -> bytes:
    return _sound("ogg", "flac", texts)


def mp3(texts: dict[str, str]) -> bytes:
    return _sound("mp3", "libmp3lame", texts)


def mp3_version_3(texts: dict[str, str]) -> bytes:
    return _sound("mp3", "libmp3lame", texts, id3v2_version="3")


def svg(texts: dict[str, str]) -> bytes:
    """As `SaveSVGNode` writes it."""
    text = json.dumps({key: json.loads(text) for key, text in texts.items()}, indent=2)
    metadata = f"""  <metadata>
                <![CDATA[
            {text}
                ]]>
            </metadata>
            """
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{metadata}<path d="M0 0"/></svg>'.encode()


def svg_escaped(texts: dict[str, str]) -> bytes:
    from xml.sax.saxutils import escape

    text = escape(wrapped(texts), {'"': "&quot;"})
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- drawn -->\n'
    return f'{head}<svg><metadata id="m">{text}</metadata></svg>'.encode()


def glb(texts: dict[str, str]) -> bytes:
    """As `save_glb` writes it."""
    document = {"asset": {"version": "2.0", "extras": texts}, "scenes": [{"nodes": [0]}]}
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    data = bytes(32)
    return (
        struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(data))
        + struct.pack("<II", len(text), 0x4E4F534A)
        + text
        + struct.pack("<II", len(data), 0x004E4942)
        + data
    )


def latent(texts: dict[str, str]) -> bytes:
    """As `SaveLatent` writes it."""
    tensors = {
        "latent_tensor": np.zeros((1, 4, 8, 8), np.float32),
        "latent_format_version_0": np.zeros(0, np.float32),
    }
    return save(tensors, metadata=texts)


def plain(texts: dict[str, str]) -> bytes:
    return texts["workflow"].encode() if "workflow" in texts else texts["prompt"].encode()


WRITERS: dict[str, Written] = {
    written.__name__: written
    for written in (
        *(plain, png, png_compressed, png_international, png_international_compressed, apng),
        *(webp, webp_animated, jpeg, jpeg_comment, jpeg_user_comment),
        *(mp4, mp4_fast_start, mp4_comment, mov, mov_comment, webm, webm_live, mkv_comment),
        *(flac, opus, ogg_vorbis, ogg_flac, mp3, mp3_version_3),
        *(svg, svg_escaped, glb, latent),
    )
}
"""By the name of the kind."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of PNG."""
    return struct.pack(">I4s", len(data), kind) + data + zlib.crc32(kind + data).to_bytes(4, "big")
