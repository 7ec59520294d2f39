"""ComfyUI's extra_model_paths.yaml: further folders and their categories.

The grammar is that of ComfyUI's utils/extra_config.py. Errors that stop ComfyUI there (lists, empty
values, keys outside a section, tabs, backslashes in double quotes) are read as intended, with a
warning: a scan that skips half of the models because of one tab helps nobody.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from scanner.comfyui.lenient_yaml import Warnings, YamlText
from scanner.core.roots import LEGACY_CATEGORIES
from scanner.disk.read_with_timeout import (
    ABSENT,
    FOLDER,
    MOST_BYTES,
    SILENT,
    read_with_timeout,
)
from scanner.errors import SettingsError

if TYPE_CHECKING:
    from yaml import MappingNode, Node

MOST_PATHS = 1000
"""Most folders that one file names: each is a root that every scan looks at."""

_TEXT = "tag:yaml.org,2002:str"

_NULL = "tag:yaml.org,2002:null"

_MERGE = "tag:yaml.org,2002:merge"

_ERRORS = sys.getfilesystemencodeerrors()

_DRIVE = re.compile(r"([A-Za-z]):[\\/]")

_COMMENT = re.compile(r"^#|\s+#(?=\s|$)")
"""A comment in a block, where YAML has none. A word such as `#2` may be part of a name."""

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)

_WINDOWS_VARIABLE = re.compile(r"%(\w+)%()", re.ASCII)


class ExtraPath(NamedTuple):
    """A folder that extra_model_paths.yaml names.

    `category` is the present name of a category, or one of two other names: `custom_nodes`, and
    ComfyUI-Manager's `download_model_base`, a folder with one folder per category. `path` is
    absolute and lexical. `line` counts from 1. With `is_default` ComfyUI searches it before the
    folders that it knew until then.
    """

    category: str
    path: str
    line: int
    is_default: bool = False


class ExtraPaths(NamedTuple):
    """The folders that a file names, in its order, and warnings that name file and line.

    `problem` says why the file is not whole; empty if it is. A file that is half written or was
    emptied says nothing about the folders that it named before. `is_cut` is True if that cannot be
    told: its last line has no end.
    """

    paths: list[ExtraPath]
    warnings: list[str]
    problem: str
    is_cut: bool = False


def read_extra_paths(
    path: str | os.PathLike[str],
    *,
    home: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ExtraPaths:
    """Read the folders that the file at `path` names.

    `~` and variables are expanded in `base_path` only, with `home` and `environ`. Relative paths
    start at the folder of the file. No named path is accessed. A file that is not YAML, or is
    larger than any real one, gives no folders and a warning. Folders beyond `MOST_PATHS` are left
    out.

    Raises SettingsError if the file cannot be read.
    """
    seen = read_with_timeout(os.path.abspath(path))
    problem = _PROBLEMS.get(seen.kind, seen.error)
    if problem:
        raise SettingsError(
            f"{path}: expected a file such as ComfyUI's extra_model_paths.yaml, but it cannot be "
            f"read: {problem}"
        )
    file, warnings = os.path.abspath(path), Warnings()
    collector = _Collector(
        os.path.dirname(file), home or os.path.expanduser("~"), environ, warnings
    )
    if len(seen.content) > MOST_BYTES:
        problem = f"it is larger than {MOST_BYTES // 1024} KiB"
        warnings.add(1, f"expected a file such as ComfyUI's extra_model_paths.yaml, but {problem}")
        return ExtraPaths([], warnings.about(file), problem)
    documents = YamlText(warnings).trees(seen.content)
    for document in documents:
        collector.read(document)
    return ExtraPaths(
        collector.paths,
        warnings.about(file),
        _problem_of(documents),
        _may_be_cut(seen.content, documents),
    )


def _may_be_cut(content: bytes, documents: list[Node | None]) -> bool:
    """True if more of the last line may follow. A mapping in braces is whole with its brace."""
    from yaml import MappingNode

    if content.rstrip(b"\0").endswith((b"\n", b"\r")):
        return False
    last = documents[-1] if documents else None
    return not (isinstance(last, MappingNode) and last.flow_style)


def _problem_of(documents: list[Node | None]) -> str:
    """Why these are not the documents of a whole file; empty if they are."""
    from yaml import MappingNode

    if not documents:
        return "it is not YAML"
    if all(document is None or document.tag == _NULL for document in documents):
        return "it is empty"
    if not any(isinstance(document, MappingNode) for document in documents):
        return "it has no sections"
    return ""


_PROBLEMS = {
    ABSENT: "No such file or directory",
    FOLDER: "Is a directory",
    SILENT: "its mount does not answer",
}


class _Collector:
    """Collects the folders that the YAML trees of one file name.

    Relative paths start at `folder`.
    """

    def __init__(
        self, folder: str, home: str, environ: Mapping[str, str], warnings: Warnings
    ) -> None:
        self.paths: list[ExtraPath] = []
        self._warnings = warnings
        self._folder = folder
        self._home = home
        self._environ = environ
        self._cached_pairs: dict[int, dict[str, tuple[Node, Node]]] = {}

    def read(self, document: Node | None) -> None:
        """Collect the folders of all sections."""
        from yaml import MappingNode

        if document is None or document.tag == _NULL:
            self._warnings.add(1, "empty, which stops ComfyUI; {} or no file at all is right")
            return
        if not isinstance(document, MappingNode):
            self._warnings.add(_line(document), "expected sections such as `comfyui:`")
            return
        loose: dict[str, tuple[Node, Node]] = {}
        for name, (key, value) in self._pairs(document).items():
            if isinstance(value, MappingNode):
                self._read_section(self._pairs(value))
            elif value.tag != _NULL:  # a section without content, which ComfyUI skips
                loose[name] = (key, value)
        if loose:
            key, _ = next(iter(loose.values()))
            self._warnings.add(
                _line(key),
                f"{key.value} is outside of any section, which stops ComfyUI; "
                "read as a section of its own",
            )
            self._read_section(loose)

    def _read_section(self, pairs: dict[str, tuple[Node, Node]]) -> None:
        base: str | None = self._folder
        if "base_path" in pairs:
            for text, line in self._texts("base_path", pairs["base_path"][1]):
                local = self._local(self._expanded(text), line)
                base = local and os.path.abspath(os.path.join(self._folder, local))
        is_default = "is_default" in pairs and _is_true(pairs["is_default"][1])
        for name, (key, value) in pairs.items():
            if name in ("base_path", "is_default"):
                continue
            if not _is_encodable(name, "utf-8", "strict"):
                self._warnings.add(_line(key), "a category that is no text; left out")
                continue
            category = LEGACY_CATEGORIES.get(name, name)
            for text, line in self._texts(name, value):
                local = self._local(text, line)
                if local is not None and (base is not None or os.path.isabs(local)):
                    if len(self.paths) == MOST_PATHS:
                        self._warnings.add(
                            line, f"the {MOST_PATHS:,} folders named above are all that are read"
                        )
                        return
                    path = os.path.normpath(os.path.join(base or "", local))
                    self.paths.append(ExtraPath(category, path, line, is_default))

    def _texts(self, name: str, node: Node) -> Iterator[tuple[str, int]]:
        """The lines of a value with their line numbers in the file, without blank lines."""
        from yaml import ScalarNode, SequenceNode

        if isinstance(node, SequenceNode):
            self._warnings.add(
                _line(node),
                f"{name} is a list, which stops ComfyUI; one folder a line after | is right",
                "list",
            )
            for item in node.value:
                if isinstance(item, ScalarNode):
                    yield from self._texts(name, item)
                else:
                    self._warnings.add(_line(item), f"{name}: expected a path", "item")
            return
        if not isinstance(node, ScalarNode):
            self._warnings.add(_line(node), f"{name}: expected a path; this stops ComfyUI", "value")
            return
        if node.tag == _NULL:
            self._warnings.add(
                _line(node), f"{name} has no value, which stops ComfyUI; left out", "no value"
            )
            return
        if node.tag != _TEXT:
            self._warnings.add(
                _line(node),
                f"{name}: {node.value} is not a text, which stops ComfyUI; quote it",
                "no text",
            )
        # The lines of a block begin below its | or >.
        is_block = node.style in ("|", ">")
        for line, text in enumerate(node.value.split("\n"), _line(node) + is_block):
            path = self._path_in(name, line, text, is_block=is_block)
            if path:
                yield path, line

    def _path_in(self, name: str, line: int, text: str, *, is_block: bool) -> str:
        """The path in one line of the value `name`; empty if there is none."""
        stripped = text.strip()
        if stripped != text and stripped:
            self._warnings.add(
                line, f"{name}: spaces around the path, which ComfyUI takes as part of it", "spaces"
            )
        if is_block and (comment := _COMMENT.search(stripped)):
            stripped = stripped[: comment.start()]
            self._warnings.add(
                line,
                f"{name}: a comment below |, which ComfyUI takes as part of the path; cut off",
                "comment",
            )
        if "\0" in stripped:
            self._warnings.add(
                line, f"{name}: a zero byte, which no path can have; left out", "zero"
            )
        elif not _is_encodable(stripped, sys.getfilesystemencoding(), _ERRORS):
            self._warnings.add(line, f"{name}: half a character, which no path can have", "half")
        else:
            return stripped
        return ""

    def _pairs(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """Keys and values by the text of the key, with merge keys (<<) resolved.

        Of equal keys the last one counts.
        """
        from yaml import MappingNode, ScalarNode, SequenceNode

        cached = self._cached_pairs.get(id(node))
        if cached is not None:
            return cached
        merged = self._cached_pairs.setdefault(id(node), {})  # ends a merge with itself
        own: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                sources = value.value if isinstance(value, SequenceNode) else [value]
                for source in sources:
                    if isinstance(source, MappingNode):
                        for name, pair in self._pairs(source).items():
                            merged.setdefault(name, pair)
            elif not isinstance(key, ScalarNode):
                self._warnings.add(_line(key), "expected a name before the colon")
            else:
                if key.value in own:
                    self._warnings.add(
                        _line(key),
                        f"{key.value} is here for the second time; as in ComfyUI, the first one, "
                        f"at line {_line(own[key.value][0])}, is ignored",
                        "second time",
                    )
                own[key.value] = (key, value)
        merged.update(own)
        return merged

    def _expanded(self, text: str) -> str:
        """`text` after os.path.expanduser and then expandvars, as in ComfyUI."""
        if text == "~" or text.startswith(("~/", "~" + os.sep)):
            text = self._home + text[1:]
        else:
            text = os.path.expanduser(text)
        for variable in (_VARIABLE, _WINDOWS_VARIABLE) if os.name == "nt" else (_VARIABLE,):
            text = variable.sub(lambda m: self._environ.get(m[1] or m[2], m[0]), text)
        return text

    def _local(self, path: str, line: int) -> str | None:
        """`path` in the form of this system; None if this system has no such path.

        The file often belongs to a ComfyUI on Windows whose disk is mounted here.
        """
        slashed = path.replace("\\", "/")
        drive = _DRIVE.match(path)
        if os.sep == "\\" or (slashed == path and not drive):
            return path
        if drive and "WSL_DISTRO_NAME" in self._environ:
            # The mount point of drives in WSL, unless /etc/wsl.conf sets another one.
            local = f"/mnt/{drive[1].lower()}/{slashed[3:]}"
            self._warnings.add(
                line, f"{path} is a path of Windows; read as {local}", "drive in WSL"
            )
            return local
        if drive or slashed.startswith("//"):
            self._warnings.add(
                line,
                f"{path} is a path of Windows, which means nothing on this system; left out, "
                "pass the folder with --models or --extra instead",
                "drive",
            )
            return None
        self._warnings.add(
            line,
            f"{path}: backslashes, which only Windows understands; read as slashes",
            "backslashes",
        )
        return slashed


def _is_encodable(text: str, encoding: str, errors: str) -> bool:
    try:
        text.encode(encoding, errors)
    except UnicodeEncodeError:
        return False
    return True


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _is_true(node: Node) -> bool:
    """The value as Python takes it for true, as in ComfyUI: the text "false" in quotes is true."""
    from yaml import ScalarNode, YAMLError
    from yaml.constructor import SafeConstructor

    if not isinstance(node, ScalarNode):
        return bool(node.value)
    try:
        return bool(SafeConstructor().construct_object(node))
    except (YAMLError, ValueError, OverflowError):
        return False
