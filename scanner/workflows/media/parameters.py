"""Models in the text that AUTOMATIC1111's web UI and its heirs write into pictures.

Its last line is `Steps: 20, Model hash: 6ce0161689, Model: v1-5-pruned, Lora hashes: "a: 1f2e"`.
The hashes are the first digits of SHA-256 values of several kinds, so they are not used.
"""

from __future__ import annotations

import re

from scanner.workflows.loaders import LONGEST_NAME
from scanner.workflows.uses import Use, Workflow

FORM = "parameters"

_PAIR = re.compile(r'([A-Z][\w ]{0,63}): ("(?:[^"\\]|\\.)*"|[^,\n]*)(?:,|$)')

_LORA = re.compile(r"([^:,]+):")

_NODE = "parameters"


def read_parameters(text: str) -> Workflow | None:
    """The models that the text names, without their endings; None if it is no such text."""
    last = text.rpartition("\nSteps: ")[2] if "\nSteps: " in text else text
    if not text.startswith("Steps: ") and last is text:
        return None
    pairs = {match[1]: match[2] for match in _PAIR.finditer(last)}
    names = [(pairs.get("Model", ""), "checkpoints"), (pairs.get("VAE", ""), "vae")]
    loras = _LORA.findall(pairs.get("Lora hashes", "").strip('"'))
    names += [(lora, "loras") for lora in loras]
    return Workflow(
        FORM,
        tuple(
            Use(name.strip(), category, _NODE, True, bare=True)
            for name, category in names
            if 0 < len(name.strip()) <= LONGEST_NAME and name.strip() not in ("None", "Automatic")
        ),
    )
