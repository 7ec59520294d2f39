"""comfy-inventory: a polling, scheduled inventory of ComfyUI folders on any kind of mount."""

__version__ = "0.1.0"
