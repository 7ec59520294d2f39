"""Find deletions and creations that are one file or directory that moved. Pure, with one question.

Rule 6 (a move is the same content, proven): equal size and fingerprint prove it. Equal inode, size
and mtime prove it only if inodes are stable and no fingerprint of the old file is known: file
systems use freed inodes again. Only a download may have grown on the way. A function is asked for
fingerprints that are not known yet, only those of files whose size equals that of a file that is
gone.
"""

from __future__ import annotations

from scanner.diff.compare import Delta
from scanner.diff.move_proofs import MoveProofs
from scanner.diff.moved_directories import pair_directories
from scanner.diff.moved_files import pair_files
from scanner.diff.moves import AskFingerprints, Moves, Window
from scanner.diff.unpaired import Unpaired


def find_moves(delta: Delta, window: Window, ask: AskFingerprints) -> Moves:
    """Pair entries that are gone with entries that arrived, one to one, directories first."""
    unpaired, proofs = Unpaired(delta, window), MoveProofs(ask)
    moves = Moves(arrived_before=dict(unpaired.past_arrived), fingerprints=proofs.fingerprints)
    if unpaired.now_gone:
        moves.directories.extend(pair_directories(unpaired, proofs))
    if unpaired.now_gone or (unpaired.past_gone and unpaired.now_arrived):
        moves.files.extend(pair_files(unpaired, proofs))
    return moves
