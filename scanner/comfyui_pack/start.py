"""Puts the panel into the ComfyUI that imports it."""

from __future__ import annotations

import os

from .panel import Panel
from .routes import add_routes


def start() -> Panel:
    """Begin to read the inventory, and register the routes."""
    import folder_paths
    from server import PromptServer

    panel = Panel(os.path.dirname(os.path.abspath(__file__)), folder_paths)
    add_routes(PromptServer.instance.routes, panel)
    panel.start()
    return panel
