"""A panel in ComfyUI for what comfy-inventory knows. This package runs inside ComfyUI.

comfy-inventory itself never imports it. `comfy-inventory comfyui install` copies it into
custom_nodes/, together with the modules of comfy-inventory that it shares (`parts/`).
"""

from __future__ import annotations

import logging
from typing import Any

NODE_CLASS_MAPPINGS: dict[str, Any] = {}
WEB_DIRECTORY = "./web"

__all__ = ["NODE_CLASS_MAPPINGS", "WEB_DIRECTORY"]

try:
    from .start import start

    start()
except Exception:  # ComfyUI starts without the panel
    logging.getLogger(__name__).exception("The panel of comfy-inventory cannot start.")
