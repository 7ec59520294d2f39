"""Other installed distributions that own a package of our name: one hides the other."""

from __future__ import annotations

from importlib.metadata import packages_distributions

PACKAGE = "scanner"

OURS = "comfy-inventory"


def other_owners() -> list[str]:
    """Names of the distributions that also install a top-level package `scanner`."""
    owners = packages_distributions().get(PACKAGE, ())
    return sorted({name for name in owners if name.lower().replace("_", "-") != OURS})


def warning_of(owners: list[str]) -> str:
    """A sentence for people; empty without owners."""
    if not owners:
        return ""
    names = ", ".join(owners)
    return (
        f"{names} also installs a Python package named {PACKAGE} here, and one hides the other: "
        "install comfy-inventory apart from it (uv tool install, or pipx)."
    )
