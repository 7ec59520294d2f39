"""Take pictures of the commands in a terminal, on the sample with some problems in it.

    python -m scripts.screens picture               # docs/pictures/terminal.svg
    python -m scripts.screens all FOLDER [PROGRAM]  # the most used commands, 80 and 140 columns

Commands run in a pseudo-terminal, pyte keeps the screen as a terminal would, rich draws it. The
second form makes PNG files and needs Chromium. PROGRAM is another `comfy-inventory` than this one,
to compare with.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

from scripts.build_sample import build
from scripts.sample_problems import add_problems

CHECKOUT = Path(__file__).resolve().parents[1]
PICTURE = CHECKOUT / "docs" / "pictures" / "terminal.svg"
ROWS = 250

IN_PICTURE = (
    "comfy-inventory scan --comfy-root ./ComfyUI --downloads ~/Downloads",
    "comfy-inventory status",
    "comfy-inventory find sdxl base",
)

MOST_USED = {
    "help": "comfy-inventory --help",
    "scan": "comfy-inventory scan --comfy-root ./ComfyUI --downloads ./Downloads",
    "status": "comfy-inventory status",
    "changes": "comfy-inventory changes",
    "find": "comfy-inventory find '*qwen*'",
    "find-broken": "comfy-inventory find --status broken --status unfinished",
    "packs": "comfy-inventory packs",
    "roots": "comfy-inventory roots --comfy-root ./ComfyUI --downloads ./Downloads",
    "doctor": "comfy-inventory doctor ./ComfyUI/models",
    "hash": "comfy-inventory hash ./ComfyUI/models/loras/flux",
    "duplicates": "comfy-inventory duplicates",
    "config": "comfy-inventory config show --profile nas",
}

_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width }}
{styles}
</style>
<defs>
{lines}
</defs>
<rect fill="#1d2126" width="{width}" height="{height}" rx="8" />
<g transform="translate({terminal_x}, 12)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""As rich's own, without its font from the network and without the frame of a window."""


def make_home(top: Path) -> dict[str, str]:
    """A user's home with the sample, and the environment of a shell in it."""
    build(str(top))
    add_problems(top)
    kept = ("PATH", "LANG", "LC_ALL", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(top),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "PYTHONUTF8": "1",
    }


def printed(command: str, home: Path, environ: dict[str, str], columns: int) -> bytes:
    """What a terminal receives from `command`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=home, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    found = bytearray()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                found += os.read(ours, 65536)
            except OSError:
                break
        elif process.poll() is not None:
            break
    os.close(ours)
    process.terminate()
    process.wait()
    return bytes(found)


def on_screen(data: bytes, columns: int) -> list[Any]:
    """The lines of a terminal of `columns` after `data`, as rich's texts."""
    import pyte
    from rich.text import Text

    screen = pyte.Screen(columns, ROWS)
    pyte.ByteStream(screen).feed(data)
    lines = []
    for row in range(ROWS):
        text = Text()
        for column in range(columns):
            cell = screen.buffer[row][column]
            text.append(cell.data, _style(cell))
        text.rstrip()
        lines.append(text)
    while lines and not lines[-1].plain.strip():
        lines.pop()
    return lines


def _style(cell: Any) -> Any:
    from rich.style import Style

    def color(name: str) -> str | None:
        if name == "default":
            return None
        names = {"brown": "yellow", "brightbrown": "bright_yellow"}
        name = names.get(name, name.replace("bright", "bright_"))
        return f"#{name}" if len(name) == 6 and all(c in "0123456789abcdef" for c in name) else name

    return Style(color=color(cell.fg), bgcolor=color(cell.bg), bold=cell.bold, reverse=cell.reverse)


def draw(shown: list[tuple[str, list[Any]]], columns: int, to: Path) -> None:
    """An SVG of commands with what they printed."""
    from rich.console import Console
    from rich.text import Text

    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(
            record=True, width=columns, file=nowhere, force_terminal=True,
            color_system="truecolor", legacy_windows=False,
        )  # fmt: skip
        for number, (command, lines) in enumerate(shown):
            if number:
                console.print()
            console.print(Text("$ ", "green").append(command, "bold white"), soft_wrap=True)
            for line in lines:
                console.print(line, soft_wrap=True)
        svg = console.export_svg(code_format=_SVG, unique_id="terminal")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def to_png(svg: Path) -> None:
    """A PNG beside `svg`, by Chromium."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("Chromium is not installed: it draws the PNG")
    head = svg.read_text(encoding="utf-8").split("viewBox=", 1)[1].split('"')[1].split()
    size = ",".join(str(int(float(each)) + 1) for each in head[2:])
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         f"--window-size={size}", f"--screenshot={svg.with_suffix('.png')}", svg.as_uri()],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def take_picture(program: str) -> None:
    """The picture of the README."""
    columns = 100
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "me"
        environ = make_home(home)
        environ["PATH"] = f"{Path(program).parent}{os.pathsep}{environ['PATH']}"
        shown = []
        for command in IN_PICTURE:
            data = printed(command, home, environ, columns)
            data = data.replace(str(home).encode(), b"/home/me")
            shown.append((command, on_screen(data, columns)))
        draw(shown, columns, PICTURE)


def take_all(to: Path, program: str) -> None:
    """Every one of the most used commands, at 80 and 140 columns."""
    for columns in (80, 140):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            home = Path(folder)
            environ = make_home(home)
            environ["PATH"] = f"{Path(program).parent}{os.pathsep}{environ['PATH']}"
            for name, command in MOST_USED.items():
                lines = on_screen(printed(command, home, environ, columns), columns)
                picture = to / f"{name}-{columns}.svg"
                draw([(command, lines)], columns, picture)
                to_png(picture)


if __name__ == "__main__":
    here = str(Path(sys.executable).with_name("comfy-inventory"))
    match sys.argv[1:]:
        case ["picture"]:
            take_picture(here)
        case ["all", folder]:
            take_all(Path(folder), here)
        case ["all", folder, other]:
            take_all(Path(folder), other)
        case _:
            sys.exit(__doc__)
