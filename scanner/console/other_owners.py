"""Other installed distributions that own a package of our name: one hides the other."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions

PACKAGE = "scanner"

OURS = "comfy-inventory"

_INSTALLED = re.compile(rf'^({PACKAGE}(/[^,\n]*)?\.py|"{PACKAGE}/[^"\n]*\.py"),', re.MULTILINE)
"""A line of RECORD for a Python file of the package."""


def other_owners() -> list[str]:
    """Names of the distributions that also install a top-level package `scanner`.

    `importlib.metadata.packages_distributions` makes an object of every file of every
    distribution: that takes 0.1 s and 10 MB beside matplotlib, and more beside torch.
    """
    return sorted({name for name in map(_owner, distributions()) if name})


def _owner(distribution: Distribution) -> str:
    """The name of a distribution if it owns the package, and is not ours."""
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared and PACKAGE not in declared:
        return ""
    if not declared and not _INSTALLED.search(distribution.read_text("RECORD") or ""):
        return ""
    try:
        metadata = distribution.metadata
    except FileNotFoundError:  # of the package importlib_metadata, if something has imported it
        return ""
    # `get` is not in its type.
    name = metadata["Name"] if "Name" in metadata else ""  # noqa: SIM401
    return "" if name.lower().replace("_", "-") == OURS else name


def warning_of(owners: list[str]) -> str:
    """A sentence for people; empty without owners."""
    if not owners:
        return ""
    names = ", ".join(owners)
    return (
        f"{names} also installs a Python package named {PACKAGE} here, and one hides the other: "
        "install comfy-inventory apart from it (uv tool install, or pipx)."
    )
