"""Files that commands write where a user says."""

from __future__ import annotations

import os

from scanner.core.serialize import printable
from scanner.errors import InventoryError, SettingsError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import read_header


def file_to_write(target: str, cwd: str, outputs: Outputs) -> str:
    """The absolute path of the file that `-o` names, relative to `cwd`.

    Raises SettingsError for a folder, and InventoryError for one of the files that scans write.
    """
    path = os.path.join(cwd, target)
    if not target or path.endswith(os.sep) or os.path.isdir(path):
        raise SettingsError(f"-o: expected a file to write, not {target!r}.")
    folder, base = os.path.split(os.path.realpath(path))
    ours = {os.path.realpath(outputs.folder), os.path.realpath(outputs.state_folder)}
    is_ours = folder in ours and outputs.has_own_name(base)
    if is_ours or folder == os.path.realpath(outputs.parts) or _is_inventory(path):
        raise InventoryError(
            f"-o: {printable(path)} belongs to an inventory. -o names the file to write, and "
            "--inventory the one to read."
        )
    return path


def _is_inventory(path: str) -> bool:
    return os.path.isfile(path) and read_header(path) is not None
