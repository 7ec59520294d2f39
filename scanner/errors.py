"""Errors that carry the sentence a user reads, and the exit code that goes with it."""

from __future__ import annotations

import errno


class InventoryError(Exception):
    """Base of all errors of this program: its text is one clear sentence for the user."""

    exit_code = 2
    hint: str | None = None
    """What may help, for programs that show it; None if the text says it all."""


LONGEST = 1000
"""Most characters of a sentence about a wrong value, which may be of any length."""


class SettingsError(InventoryError):
    """Wrong use or wrong settings: names the setting, where it stands, and what was expected."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"
        super().__init__(text)


class BusyError(InventoryError):
    """Another instance holds the lock of this output."""

    exit_code = 4
    hint = "comfy-inventory status shows what the other instance does."


class NothingWrittenError(InventoryError):
    """There is no file of a scan to read yet."""

    hint = "comfy-inventory scan writes the files; -o names those of another place."


class OutputError(InventoryError):
    """The inventory, the journal, the status or the state cannot be written."""

    exit_code = 5


class ExhaustedError(InventoryError):
    """The system gives this program no more open files, threads or memory."""

    exit_code = 5

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The system gives this program no more of what it needs ({reason}): raise its limits "
            "(ulimit -n for open files, ulimit -u for threads), or scan fewer folders at once."
        )


class RootsIncompleteError(InventoryError):
    """The work was done, but a root is partial, offline, stalled, held or missing."""

    exit_code = 3


class DamagedStateError(InventoryError):
    """The state is not a database, or not one that this program wrote. A scan rebuilds it (rule 9,
    baselines are not changes); a command that only reads it ends with this sentence."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The state {path} cannot be read ({reason}); "
            "where it is damaged, the next start of run or scan rebuilds it."
        )
        self.reason = reason


_SCARCE = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN))


def exhausted(error: BaseException) -> ExhaustedError | None:
    """`error` as an error of ours, if it says that open files, threads or memory ran out."""
    if isinstance(error, OSError) and error.errno in _SCARCE:
        return ExhaustedError(error.strerror or str(error))
    if isinstance(error, MemoryError):
        return ExhaustedError("Cannot allocate memory")
    # What Python says where a thread cannot be started has no class of its own.
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return ExhaustedError("Cannot start a thread")
    return None
