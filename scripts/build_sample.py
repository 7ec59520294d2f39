"""Build a sample ComfyUI installation of real names and sizes that takes almost no disk space.

    python scripts/build_sample.py DEST

makes `DEST/ComfyUI` (1652 files that look like 2.8 TB) and an empty `DEST/Downloads`.
"""

import argparse
import hashlib
import json
import os
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

LISTING = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    "tests",
    "data",
    "comfyui_install.tsv",
)
OLDEST = int(datetime(2023, 1, 1, tzinfo=UTC).timestamp())
NEWEST = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())
MIDDLE_MARK_ABOVE = 1 << 20
WITHOUT_HOLES_AT_MOST = 64 << 10


def build(dest: str, *, listing: str = LISTING) -> int:
    """Write the files of `listing` below `dest`/ComfyUI; files that are there stay as they are.

    Of two files of one size the contents differ, at the start and, above 1 MiB, in the middle.
    Contents and times depend on the path only. Where the file system cannot hold sparse files
    (exFAT, FAT), sizes are cut to 64 KiB. Returns the number of files written.
    """
    comfy_root = os.path.join(dest, "ComfyUI")
    os.makedirs(comfy_root, exist_ok=True)
    os.makedirs(os.path.join(dest, "Downloads"), exist_ok=True)
    limit = None
    if not holds_sparse_files(comfy_root):
        limit = WITHOUT_HOLES_AT_MOST
        _say(f"{dest} cannot hold sparse files: sizes are cut to {limit >> 10} KiB")
    written = kept = 0
    for path, size in read_listing(listing):
        target = os.path.join(comfy_root, *path.split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            write_sample_file(target, path, size if limit is None else min(size, limit))
        except FileExistsError:
            kept += 1
        else:
            written += 1
    if kept:
        _say(f"{kept} files were already in {comfy_root} and stay as they are")
    return written


def read_listing(listing: str) -> Iterator[tuple[str, int]]:
    """Yield path (forward slashes) and size in bytes of each line; `#` starts a comment line."""
    with open(listing, encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("#"):
                path, size = line.rstrip("\n").split("\t")
                yield path, int(size)


def write_sample_file(target: str, path: str, size: int) -> None:
    """Create `target` with the content and time that belong to `path`.

    Raises FileExistsError where it exists.
    """
    mark = hashlib.sha256(os.fsencode(path)).digest()
    with open(target, "xb") as file:
        file.write((_header(path, size) + mark)[:size])
        if size > MIDDLE_MARK_ABOVE:
            file.seek(size // 2)
            file.write(mark)
        file.truncate(size)
    spread = int.from_bytes(mark[:12], "big")
    mtime = OLDEST * 10**9 + spread % ((NEWEST - OLDEST) * 10**9)
    os.utime(target, ns=(mtime, mtime))


def _header(path: str, size: int) -> bytes:
    """What a model of this name and size begins with: one tensor of bytes, named by its title."""
    name, suffix = os.path.splitext(os.path.basename(path))
    if suffix == ".safetensors" and size > 1024:
        for length in range(64, 1024, 64):
            data = size - 8 - length
            tensor = {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}
            header = {"__metadata__": {"modelspec.title": name}, "weight": tensor}
            text = json.dumps(header).encode()
            if len(text) <= length:
                return length.to_bytes(8, "little") + text.ljust(length)
    if suffix == ".gguf" and size > 1024:
        key, title = b"general.name", name.encode()
        title_field = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(title)) + title
        return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + title_field
    if suffix in (".pt", ".pth", ".ckpt", ".bin", ".pkl"):
        return b"\x80\x02"  # protocol 2, as torch.save wrote before it made zip files
    return b""


def holds_sparse_files(folder: str) -> bool:
    """Whether a hole in a file takes no space here, found with a file of 4 MiB."""
    probe = os.path.join(folder, f".sparse-probe-{os.getpid()}")
    size = 4 << 20
    try:
        with open(probe, "xb") as file:
            file.write(b"\1")
            file.truncate(size)
        # Windows has no st_blocks, and no sparse files without asking for them.
        blocks: int | None = getattr(os.stat(probe), "st_blocks", None)
        return blocks is not None and blocks * 512 < size // 2
    finally:
        os.unlink(probe)


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build a sample ComfyUI installation.")
    parser.add_argument("dest", metavar="DEST", help="folder that receives ComfyUI and Downloads")
    dest: str = parser.parse_args().dest
    try:
        written = build(dest)
    except OSError as error:
        _say(f"The sample could not be built: {error.strerror}: {error.filename or dest}")
        return 5
    _say(f"{written} files written below {os.path.join(dest, 'ComfyUI')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
