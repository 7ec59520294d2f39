"""The wings of `scanner` import each other in one direction only, and keep apart what each may do.

A wing is a folder of `scanner`, or a file beside the folders.
"""

import ast
from pathlib import Path

import pytest

SCANNER = Path(__file__).resolve().parents[2] / "scanner"

MAY_IMPORT = {
    "errors": set(),
    "core": {"errors"},
    "settings": {"errors", "core"},
    "disk": {"errors", "core"},
    "comfyui": {"errors", "core", "settings", "disk"},
    "output": {"errors", "core", "settings", "disk"},
    "workers": {"errors", "core", "settings", "disk", "comfyui", "workflows"},
    "walk": {"errors", "core", "settings", "disk", "comfyui", "workers"},
    "diff": {"errors", "core", "settings", "comfyui", "walk"},
    "store": {"errors", "core", "settings", "disk", "comfyui", "diff", "output"},
    "scan": {"errors", "core", "settings", "disk", "workers", "walk", "diff", "store"},
    "service": {
        "errors", "core", "settings", "disk", "comfyui", "workers", "walk", "output", "store",
        "scan",
    },
    "notify": {"errors", "core", "settings", "output"},
    "workflows": {"errors", "core"},
    "cluster": {"errors", "core", "settings", "disk", "workers"},
    "views": {"errors", "core", "output"},
    "web": {"errors", "core", "disk", "output", "views"},
    "fleet": {"errors", "core", "settings", "disk", "output"},
    "api": {"errors", "core", "output"},
    "console": {"errors", "core", "settings", "disk", "comfyui", "output"},
    "commands": {
        "errors", "core", "settings", "disk", "comfyui", "workers", "walk", "diff", "output",
        "store", "scan", "service", "notify", "console", "api", "schemas", "workflows",
        "fleet", "cluster", "views", "web",
    },
    "cli": {"errors", "console", "commands"},
    "__main__": {"cli"},
    "schemas": set(),
}  # fmt: skip
"""The wings that each wing may import besides itself, from the ground up. Imports inside functions
and imports for types alone count too."""

WITHOUT_EFFECTS = ("diff",)
"""Wings of pure functions: they use no file, clock, process or database."""

EFFECTS = {"io", "os.open", "sqlite3", "subprocess", "threading", "time", "socket", "psutil"}

LIGHT = {"contextlib", "collections", "inspect", "logging", "os", "sys", "time", "typing", "typer"}
"""A `command.py` may import these at the top, and `scanner.console`: help has to appear at once."""


def _wing(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "scanner":
            found |= {f"scanner.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not used"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found - {"scanner.__version__"}


PACK = "comfyui_pack"
"""The panel inside ComfyUI. It is data of the package: `commands/comfyui` copies it."""

FILES = sorted(path for path in SCANNER.rglob("*.py") if PACK not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SCANNER)))
def test_wings_import_only_those_below(path: Path) -> None:
    own = path.relative_to(SCANNER).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    ours = {_wing(name) for name in _imports(path) if name.startswith("scanner.")}
    assert ours - {own} <= MAY_IMPORT[own]


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {
        ".".join(("scanner", *path.relative_to(SCANNER).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in FILES
    }
    graph = {name: _imports(path) & modules.keys() for name, path in modules.items()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("wing", WITHOUT_EFFECTS)
def test_pure_wings_import_nothing_with_effects(wing: str) -> None:
    for path in sorted((SCANNER / wing).rglob("*.py")):
        assert not _imports(path) & EFFECTS, path.name


@pytest.mark.parametrize(
    "path", sorted(SCANNER.glob("commands/*/command.py")), ids=lambda path: path.parent.name
)
def test_command_modules_import_their_engines_late(path: Path) -> None:
    heavy = {
        name
        for name in _imports(path, top_only=True)
        if name.split(".")[0] not in LIGHT | {"__future__", "scanner"}
        or (name.startswith("scanner.") and _wing(name) not in ("console", "errors"))
    }
    assert not heavy
