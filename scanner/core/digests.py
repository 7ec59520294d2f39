"""Names of the fingerprint and content-hash algorithms, and how digests are written in JSON."""

from __future__ import annotations

from collections.abc import Mapping

XXH3 = "xxh3"

SHA256 = "sha256"

BLAKE3 = "blake3"

ALGORITHMS = (XXH3, SHA256, BLAKE3)
"""xxh3 is the 128-bit xxh3 of the whole file. SHA-256 is what model sites know files by; its first
ten digits are Civitai's AutoV2. BLAKE3 is what ComfyUI's assets are known by; it needs an optional
package."""

DEFAULT_ALGORITHMS = (XXH3, SHA256)
"""What is taken where nothing else is asked for."""

DIGEST_BYTES = {XXH3: 16, SHA256: 32, BLAKE3: 32}
"""Length of a digest of each algorithm."""


def texts(digests: Mapping[str, bytes]) -> dict[str, str]:
    """Digests as readers of the inventory see them."""
    shown = {}
    if XXH3 in digests:
        shown["hash"] = f"xxh3_128:{digests[XXH3].hex()}"
    if SHA256 in digests:
        shown["sha256"] = digests[SHA256].hex()
    if BLAKE3 in digests:
        shown["blake3"] = digests[BLAKE3].hex()
    return shown


WHOLE = 256 * 1024
"""Bytes up to which a fingerprint is taken of the whole file."""

ALGORITHM = "xxh3_128s"
"""Name of hash and plan in the files we write; a change of the plan needs a new name."""
