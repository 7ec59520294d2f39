"""What the failure of a link proves of its target (rule 1, absence needs proof)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from scanner.disk.location import MOST_LINKS


def is_proven_broken(
    path: str,
    text: str,
    error: OSError,
    list_names: Callable[[str], list[str]] = os.listdir,
    read_link: Callable[[str], str] = os.readlink,
) -> bool:
    """True if a link's target is known to be absent rather than out of reach.

    A link into an unmounted share fails with ENOENT like a truly broken one. It is broken only
    if the folder that should hold the target lists something, and not the target; or if the link
    leads to itself.
    """
    if error.errno == errno.ELOOP:
        return True
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return False
    for _ in range(MOST_LINKS):
        path = os.path.join(os.path.dirname(path), text)
        folder, name = os.path.split(path)
        try:
            names = list_names(folder)
            if name not in names:
                return bool(names)
            text = read_link(path)  # a link to a link
        except OSError:
            return False
    return False
