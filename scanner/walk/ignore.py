"""Names that are left out of the inventory: gitignore rules, the default ones and the user's."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from scanner.errors import SettingsError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

    from scanner.core.roots import Root
    from scanner.settings.schema import Settings
DEFAULT_PATTERNS = (
    # What file managers leave in every folder that they show.
    ".DS_Store",
    "._*",
    ".AppleDouble/",
    ".localized",
    "[Tt]humbs.db",
    "ehthumbs.db",
    "[Dd]esktop.ini",
    # What systems keep at the top of a volume: bins, indexes, journals.
    "$RECYCLE.BIN/",
    "System Volume Information/",
    "lost+found/",
    ".Trash-*/",
    ".Trashes/",
    ".Spotlight-V100/",
    ".fseventsd/",
    ".DocumentRevisions-V100/",
    ".TemporaryItems/",
    "Network Trash Folder/",
    ".AppleDB/",
    "RECYCLER/",
    # Housekeeping of NAS boxes (Synology, QNAP, TrueNAS, btrfs and NFS servers): thumbnails, bins,
    # and snapshots, which would list everything once more.
    "@eaDir/",
    "@tmp/",
    "\\#recycle/",
    "\\#snapshot/",
    "@Recycle/",
    ".recycle/",
    ".deleted/",
    "@Recently-Snapshot/",
    ".@__thumb/",
    ".@__qini/",
    "@SynoResource",
    "~snapshot/",
    ".snapshot/",
    ".snapshots/",
    ".zfs/",
    ".glusterfs/",
    # Files that were deleted while open, kept under another name until they are closed.
    ".nfs[0-9a-f]*",
    ".smbdelete*",
    ".fuse_hidden*",
    # Lock files of huggingface_hub, beside the models of its cache.
    ".locks/",
    # What office programs keep beside a document while it is open.
    ".~lock.*#",
    "~$*",
    # The file that `doctor --probe` makes and removes.
    ".comfy-inventory-probe-*",
    # Bookkeeping of programs that synchronise folders.
    ".stfolder/",
    ".stversions/",
    ".dropbox.cache/",
    # Under node packs: history, compiled code, environments. Disabled packs (*.disabled and what
    # lies in .disabled) are still installed and stay listed.
    ".git/",
    ".hg/",
    ".svn/",
    "__pycache__/",
    "*.pyc",
    "*.pyo",
    "node_modules/",
    "venv/",
    ".venv/",
    ".ipynb_checkpoints/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    # Empty files that ComfyUI ships to keep its folders in git. Folders of such a name are kept.
    "put_*_here",
    "!put_*_here/",
    "_output_images_will_be_put_here",
)
"""Left out everywhere unless `default_ignore` is off. Downloads in progress are not among them:
that one is going on is worth knowing."""

_SPECIAL = re.compile(r"[*?\[]")


class Edges:
    """How names start or end that are worth a closer look. The empty start or end means any."""

    def __init__(self, prefixes: frozenset[str], suffixes: frozenset[str] = frozenset()) -> None:
        self.prefixes = prefixes
        self.suffixes = suffixes
        self._means_any = "" in prefixes or "" in suffixes
        self._starts = _grouped(prefixes, 0)
        self._ends = _grouped(suffixes, -1)

    def suspects(self, names: Iterable[str]) -> list[str]:
        """The `names` that start or end so."""
        if self._means_any:
            return list(names)
        starts, ends = self._starts, self._ends
        # Two passes: for a million names the first letters take 0.1 s, all starts and ends 0.9 s.
        near = [name for name in names if name[0] in starts or name[-1] in ends]
        return [
            name
            for name in near
            if name.startswith(starts.get(name[0], ())) or name.endswith(ends.get(name[-1], ()))
        ]


def _grouped(texts: frozenset[str], position: int) -> dict[str, tuple[str, ...]]:
    """`texts` by their letter at `position`."""
    groups: dict[str, tuple[str, ...]] = {}
    for text in texts - {""}:
        groups[text[position]] = (*groups.get(text[position], ()), text)
    return groups


class IgnoreRules:
    """Gitignore patterns, relative to a root, that leave out names.

    The matcher is built when the first name has to be matched: an unchanged tree needs none.
    """

    def __init__(self, patterns: tuple[str, ...] = ()) -> None:
        self.patterns = patterns
        """Gitignore lines, the last one that matches decides. Equal patterns, equal rules."""

    def ignores(self, relative: str, is_directory: bool) -> bool:
        """True if the rules leave out this entry of a folder that they do not leave out.

        `relative` is the path below the root with forward slashes; names that are not UTF-8 as
        `os.fsdecode` gives them.
        """
        if not self.suspects((relative[relative.rfind("/") + 1 :],)):
            return False
        return self._spec.match_file(relative + "/" if is_directory else relative)

    def ignores_within(self, relative: str, is_directory: bool) -> bool:
        """True if the rules leave out this entry or a folder above it, up to the root."""
        end = relative.find("/")
        while end != -1:
            if self.ignores(relative[:end], is_directory=True):
                return True
            end = relative.find("/", end + 1)
        return self.ignores(relative, is_directory)

    def suspects(self, names: Iterable[str]) -> list[str]:
        """The `names` of a folder that some pattern may match, found without the matcher.

        Asking the matcher takes some 16 microseconds with the default patterns, a first scan asks
        for every name, and hardly any name starts or ends as a pattern does.
        """
        return self.edges.suspects(names)

    @functools.cached_property
    def edges(self) -> Edges:
        """How a name has to start, or else to end, for some pattern to match it."""
        prefixes, suffixes = set(), set()
        for pattern in self.patterns:
            # Of a path the last name decides: what stands above it is asked about by itself.
            name = pattern.rstrip().removeprefix("!").removesuffix("/").rpartition("/")[2]
            before, after = _SPECIAL.split(name)[0], re.split(r"[*?\]]", name)[-1]
            if "\\" in name.removeprefix("\\") or not (before or after):
                prefixes.add("")
            elif before:
                prefixes.add(before.removeprefix("\\"))
            else:
                suffixes.add(after)
        return Edges(frozenset(prefixes), frozenset(suffixes))

    @functools.cached_property
    def _spec(self) -> GitIgnoreSpec:
        from pathspec import GitIgnoreSpec

        # Other backends come in by being installed, and refuse names that are not UTF-8.
        return GitIgnoreSpec.from_lines(self.patterns, backend="simple")


def rules_for(settings: Settings, root: Root) -> IgnoreRules:
    """The default patterns, unless they are off, those of the root, and the user's for it.

    Raises SettingsError naming a pattern of the user that is malformed.
    """
    patterns = settings.for_root(root).ignore
    for pattern in patterns:
        _check(pattern)
    defaults = DEFAULT_PATTERNS if settings.default_ignore else ()
    return IgnoreRules(defaults + root.patterns + patterns)


def _check(pattern: str) -> None:
    """Refuse what is no pattern now: in the middle of a scan nobody would see why it fails."""
    if pattern.startswith("#"):
        # In a .gitignore this is a comment. #recycle is a folder on every Synology, so whoever
        # writes it means the name.
        raise SettingsError(
            f"ignore: expected a gitignore pattern, but {pattern!r} is a comment; "
            f"write {chr(92) + pattern!r} for names that start with #"
        )
    from pathspec import GitIgnoreSpec

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the regular expressions' way to doubt a bracket
            GitIgnoreSpec.from_lines([pattern], backend="simple")
    except (ValueError, re.error, Warning) as error:
        reason = re.sub(r"^Invalid git pattern: .*", "it cannot be matched", str(error))
        raise SettingsError(
            f"ignore: expected a gitignore pattern, not {pattern!r}: {reason}"
        ) from None
