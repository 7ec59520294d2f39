"""Where each command stands in the help, and examples of its use."""

from __future__ import annotations

SCAN = "Scan"
LOOK = "Look at the inventory"
CHECK = "Check disks and files"
PROGRAMS = "For programs and settings"

PANELS = {
    "init": SCAN,
    "run": SCAN,
    "scan": SCAN,
    "service": SCAN,
    "status": LOOK,
    "changes": LOOK,
    "history": LOOK,
    "find": LOOK,
    "packs": LOOK,
    "duplicates": LOOK,
    "unused": LOOK,
    "used-by": LOOK,
    "roots": LOOK,
    "workflow": LOOK,
    "comfyui": PROGRAMS,
    "fleet": LOOK,
    "report": LOOK,
    "serve": LOOK,
    "doctor": CHECK,
    "tune": CHECK,
    "hash": CHECK,
    "verify": CHECK,
    "accept": CHECK,
    "notify": CHECK,
    "metrics": PROGRAMS,
    "export": PROGRAMS,
    "schema": PROGRAMS,
    "config": PROGRAMS,
}
"""The group of each command in `comfy-inventory --help`."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "comfy-inventory scan --comfy-root ./ComfyUI",
        "comfy-inventory status",
        "comfy-inventory find sdxl base",
    ),
    "init": ("comfy-inventory init",),
    "run": (
        "comfy-inventory run --comfy-root ./ComfyUI --downloads ~/Downloads",
        "comfy-inventory run --models /volume1/models --profile nas",
    ),
    "scan": (
        "comfy-inventory scan --comfy-root ./ComfyUI",
        "comfy-inventory scan --exit-code",
    ),
    "status": ("comfy-inventory status --check",),
    "changes": (
        "comfy-inventory changes --since 7d",
        "comfy-inventory changes --follow",
    ),
    "history": (
        "comfy-inventory history --since 30d",
        "comfy-inventory history --by day",
    ),
    "find": (
        "comfy-inventory find sdxl base",
        "comfy-inventory find loras/flux",
        "comfy-inventory find '*.safetensors' --base-model sdxl --size '>1GB' --sort size",
        "comfy-inventory find --status broken",
    ),
    "packs": ("comfy-inventory packs --disabled",),
    "unused": (
        "comfy-inventory unused --category loras --least 100MB",
        "comfy-inventory unused --script move --to /mnt/archive > move.sh",
    ),
    "used-by": ("comfy-inventory used-by sd_xl_base_1.0.safetensors",),
    "duplicates": (
        "comfy-inventory duplicates",
        "comfy-inventory duplicates --keep fastest --script link > copies.sh",
    ),
    "serve": (
        "comfy-inventory serve",
        "comfy-inventory serve comfy_inventory.json /mnt/nas/nas.json",
    ),
    "workflow check": (
        "comfy-inventory workflow check flux.json",
        "comfy-inventory workflow check ComfyUI/user/default/workflows",
    ),
    "doctor": (
        "comfy-inventory doctor",
        "comfy-inventory doctor /mnt/nas/models",
    ),
    "tune": ("comfy-inventory tune /mnt/nas/models",),
    "hash": ("comfy-inventory hash --rate 50MB/s",),
    "verify": ("comfy-inventory verify --older 30d",),
    "notify": ("comfy-inventory notify --test",),
    "metrics": ("comfy-inventory metrics",),
    "accept": ("comfy-inventory accept /mnt/nas/models",),
    "export": (
        "comfy-inventory export --format csv --category loras -o loras.csv",
        "comfy-inventory export --format lock -o models.lock.json",
    ),
    "report": (
        "comfy-inventory report -o inventory.html",
        "comfy-inventory report --format md -o -",
    ),
    "schema": ("comfy-inventory schema inventory",),
    "config show": ("comfy-inventory config show --profile nas",),
    "service install": (
        "comfy-inventory service install --comfy-root ./ComfyUI",
        "comfy-inventory service install --print",
    ),
    "comfyui install": (
        "comfy-inventory comfyui install --comfy-root ./ComfyUI",
        "comfy-inventory comfyui install --fast-lists",
    ),
    "fleet where": ("comfy-inventory fleet where flux1-dev.safetensors",),
    "fleet missing": ("comfy-inventory fleet missing --of render-01 --category loras",),
    "fleet sql": ('comfy-inventory fleet sql "SELECT host, count(*) FROM entries GROUP BY host"',),
    "service logs": ("comfy-inventory service logs --follow",),
}
"""Examples by command, `""` for the program. Tests parse each."""


def epilog(command: str) -> str | None:
    """The examples of `command` as the end of its help. Typer takes an empty line for a new one."""
    examples = EXAMPLES.get(command)
    return "\n\n".join(["Examples:", *(f"  {each}" for each in examples)]) if examples else None
