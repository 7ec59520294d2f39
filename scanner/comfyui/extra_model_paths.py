"""ComfyUI's extra_model_paths.yaml: further folders and their categories.

The grammar is that of ComfyUI's utils/extra_config.py. Errors that stop ComfyUI there (lists, empty
values, keys outside a section, tabs, backslashes in double quotes) are read as intended, with a
warning: a scan that skips half of the models because of one tab helps nobody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from scanner.core.roots import LEGACY_CATEGORIES
from scanner.disk.read_with_timeout import ABSENT, FOLDER, SILENT, read_with_timeout
from scanner.errors import SettingsError

if TYPE_CHECKING:
    from yaml import MappingNode, Node

_TEXT = "tag:yaml.org,2002:str"

_NULL = "tag:yaml.org,2002:null"

_MERGE = "tag:yaml.org,2002:merge"

_QUOTED = re.compile(r'"([^"]*)"')

_DRIVE = re.compile(r"([A-Za-z]):[\\/]")

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)

_WINDOWS_VARIABLE = re.compile(r"%(\w+)%()", re.ASCII)


class ExtraPath(NamedTuple):
    """A folder that extra_model_paths.yaml names.

    `category` is the present name of a category, or one of two other names: `custom_nodes`, and
    ComfyUI-Manager's `download_model_base`, a folder with one folder per category. `path` is
    absolute and lexical. `line` counts from 1.
    """

    category: str
    path: str
    line: int


def read_extra_paths(
    path: str | os.PathLike[str],
    *,
    home: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> tuple[list[ExtraPath], list[str]]:
    """The folders that the file names, in its order, and warnings that name file and line.

    `~` and variables are expanded in `base_path` only, with `home` and `environ`. Relative paths
    start at the folder of the file. No named path is accessed. A file that is not YAML gives no
    folders and a warning.

    Raises SettingsError if the file cannot be read.
    """
    seen = read_with_timeout(os.path.abspath(path))
    problem = _PROBLEMS.get(seen.kind, seen.error)
    if problem:
        raise SettingsError(
            f"{path}: expected a file such as ComfyUI's extra_model_paths.yaml, but it cannot be "
            f"read: {problem}"
        )
    raw = seen.content
    reader = _Reader(os.path.abspath(path), home or os.path.expanduser("~"), environ)
    for document in reader.documents(reader.decoded(raw)):
        reader.read(document)
    return reader.found, reader.warnings()


_PROBLEMS = {
    ABSENT: "No such file or directory",
    FOLDER: "Is a directory",
    SILENT: "its mount does not answer",
}


class _NotYamlError(Exception):
    """The YAML parser refused the text because of `problem` at `line`."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


class _Reader:
    """Collects the folders of one file, and warnings about repaired errors."""

    def __init__(self, path: str, home: str, environ: Mapping[str, str]) -> None:
        self.found: list[ExtraPath] = []
        self._path = path
        self._warned: set[tuple[int, str]] = set()
        self._folder = os.path.dirname(path)
        self._home = home
        self._environ = environ
        self._cached_pairs: dict[int, dict[str, tuple[Node, Node]]] = {}

    def _warn(self, line: int, what: str) -> None:
        self._warned.add((line, what))

    def warnings(self) -> list[str]:
        """The warnings, sorted by line."""
        return [f"{self._path}, line {line}: {what}" for line, what in sorted(self._warned)]

    # From bytes to YAML trees.

    def decoded(self, raw: bytes) -> str:
        """The text, with `\n` as line end."""
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            self._warn(1, "UTF-16, where ComfyUI expects UTF-8")
            text = raw.decode("utf-16", errors="replace")
        else:
            try:
                text = raw.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                line = raw.count(b"\n", 0, error.start) + 1
                self._warn(line, "not UTF-8, which ComfyUI expects; read as Windows-1252")
                text = raw.decode("cp1252", errors="replace")
        return re.sub(r"\r\n?", "\n", text)

    def documents(self, text: str) -> list[Node | None]:
        """The trees in `text`, repaired if it is not YAML; none if it cannot be repaired."""
        # A Windows path in double quotes may be valid YAML with another meaning: "D:\new" contains
        # a line end. So these are repaired first, everything else only if necessary.
        text = self._with_backslashes_doubled(text, re.compile(r"[A-Za-z]:\\(?!\\)"))
        try:
            return self._composed(text)
        except _NotYamlError:
            text = self._with_backslashes_doubled(text, re.compile(r".*\\"))
            text = self._without_tabs(text)
        try:
            return self._composed(text)
        except _NotYamlError as error:
            self._warn(
                error.line,
                f"expected YAML, but: {error.problem}; none of this file's folders is scanned",
            )
            return []

    def _composed(self, text: str) -> list[Node | None]:
        """The trees in `text`; [None] for an empty one. Raises _NotYamlError."""
        import yaml

        try:
            documents: list[Node | None] = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        except RecursionError:
            raise _NotYamlError(1, "it is nested too deeply") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise _NotYamlError(line, error.reason) from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise _NotYamlError(line, error.problem or "a mistake in syntax") from None
        if len(documents) > 1:
            self._warn(1, "several YAML documents, which stop ComfyUI; all are read")
        return documents or [None]

    def _with_backslashes_doubled(self, text: str, wrong: re.Pattern[str]) -> str:
        """`text` with single backslashes doubled in quoted texts that match `wrong`."""

        def double(quoted: re.Match[str]) -> str:
            if not wrong.match(quoted[1]):
                return quoted[0]
            return re.sub(r"\\\\?", r"\\\\", quoted[0])

        return self._repaired(
            text,
            lambda line: _QUOTED.sub(double, line),
            "backslashes in double quotes, which stop ComfyUI or change the path; "
            "single quotes are right",
        )

    def _without_tabs(self, text: str) -> str:
        def expand(line: str) -> str:
            indent = len(line) - len(line.lstrip())
            return line[:indent].replace("\t", "    ") + line[indent:].replace("\t", " ")

        return self._repaired(text, expand, "a tab, which stops ComfyUI; spaces are right")

    def _repaired(self, text: str, repair: Callable[[str], str], what: str) -> str:
        lines = text.split("\n")
        for index, line in enumerate(lines):
            lines[index] = line if line.lstrip().startswith("#") else repair(line)
            if lines[index] != line:
                self._warn(index + 1, what)
        return "\n".join(lines)

    # From YAML trees to folders.

    def read(self, document: Node | None) -> None:
        """Collect the folders of all sections."""
        from yaml import MappingNode

        if document is None or document.tag == _NULL:
            self._warn(1, "empty, which stops ComfyUI; {} or no file at all is right")
            return
        if not isinstance(document, MappingNode):
            self._warn(_line(document), "expected sections such as `comfyui:`")
            return
        loose: dict[str, tuple[Node, Node]] = {}
        for name, (key, value) in self._pairs(document).items():
            if isinstance(value, MappingNode):
                self._read_section(self._pairs(value))
            elif value.tag != _NULL:  # a section without content, which ComfyUI skips
                loose[name] = (key, value)
        if loose:
            key, _ = next(iter(loose.values()))
            self._warn(
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
        for name, (_, value) in pairs.items():
            if name in ("base_path", "is_default"):  # is_default is about order only
                continue
            category = LEGACY_CATEGORIES.get(name, name)
            for text, line in self._texts(name, value):
                local = self._local(text, line)
                if local is not None and (base is not None or os.path.isabs(local)):
                    path = os.path.normpath(os.path.join(base or "", local))
                    self.found.append(ExtraPath(category, path, line))

    def _texts(self, name: str, node: Node) -> Iterator[tuple[str, int]]:
        """The lines of a value with their line numbers in the file, without blank lines."""
        from yaml import ScalarNode, SequenceNode

        if isinstance(node, SequenceNode):
            self._warn(
                _line(node),
                f"{name} is a list, which stops ComfyUI; one folder a line after | is right",
            )
            for item in node.value:
                if isinstance(item, ScalarNode):
                    yield from self._texts(name, item)
                else:
                    self._warn(_line(item), f"{name}: expected a path")
            return
        if not isinstance(node, ScalarNode):
            self._warn(_line(node), f"{name}: expected a path; this stops ComfyUI")
            return
        if node.tag == _NULL:
            self._warn(_line(node), f"{name} has no value, which stops ComfyUI; left out")
            return
        if node.tag != _TEXT:
            self._warn(
                _line(node), f"{name}: {node.value} is not a text, which stops ComfyUI; quote it"
            )
        # The lines of a block begin below its | or >.
        first = _line(node) + (node.style in ("|", ">"))
        for line, text in enumerate(node.value.split("\n"), first):
            stripped = text.strip()
            if stripped != text and stripped:
                self._warn(
                    line, f"{name}: spaces around the path, which ComfyUI takes as part of it"
                )
            if "\0" in stripped:
                self._warn(line, f"{name}: a zero byte, which no path can have; left out")
            elif stripped:
                yield stripped, line

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
                self._warn(_line(key), "expected a name before the colon")
            else:
                if key.value in own:
                    self._warn(
                        _line(key),
                        f"{key.value} is here for the second time; as in ComfyUI, the first one, "
                        f"at line {_line(own[key.value][0])}, is ignored",
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
            self._warn(line, f"{path} is a path of Windows; read as {local}")
            return local
        if drive or slashed.startswith("//"):
            self._warn(
                line,
                f"{path} is a path of Windows, which means nothing on this system; left out, "
                "pass the folder with --models or --extra instead",
            )
            return None
        self._warn(line, f"{path}: backslashes, which only Windows understands; read as slashes")
        return slashed


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
