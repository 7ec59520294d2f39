"""The commands that README.md and docs/ show, and a folder in which they run.

Every block of code has a language. Blocks of `sh`, `console` and `python` run, in the order of
their page, in one folder that holds the sample installation. An HTML comment before a block says
what is different about it:

    <!-- not run: it is for Windows -->   it is listed and not run
    <!-- recipe: jq folders -->           tests/whole/test_recipes.py runs it
    <!-- until stopped -->                it is stopped once it has scanned
    <!-- ends with 3 -->                  the exit code, where it is not 0
    <!-- answered by Enter -->            it asks questions in a terminal
    <!-- never scanned before -->         what the program wrote until then is removed

In `console`, a line that begins with `$ ` is a command, and the lines after it are its output.
`python -m tests.support.documents` writes these outputs anew.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.build_sample import build
from scripts.sample_problems import add_problems, write_lora
from tests.support.machine import CHECKOUT, Machine, wait_for, write

RUN = {"sh", "console", "python"}
"""Languages of blocks that are run, unless a comment says otherwise."""
SHOWN = {"text", "json", "toml", "ini", "yaml", "sql", "powershell"}

ENTER = "answered by Enter"

_BLOCK = re.compile(r"^(?:<!-- ([^\n]+) -->\n)?(`{3,})(\w*)\n(.*?)^\2$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_INSTALLS = re.compile(r"\b(?:uv tool|pipx|pip) install\b|\buvx\b")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    mark: str
    """The HTML comment right before it."""
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def not_run(self) -> str:
        """Why it is not run, if it is marked so."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""

    @property
    def runs_here(self) -> bool:
        marked = self.mark.startswith(("not run: ", "recipe: "))
        return self.language in RUN and not marked

    @property
    def installs(self) -> bool:
        return bool(_INSTALLS.search(self.text))

    @property
    def exit_code(self) -> int:
        found = re.fullmatch(r"ends with (\d+)", self.mark)
        return int(found[1]) if found else 0

    def commands(self) -> list[tuple[str, str]]:
        """Command and output of each `$` line."""
        return [(match[1], match[2]) for match in _COMMAND.finditer(self.text)]


def pages() -> list[str]:
    """All pages, as paths in the checkout."""
    found = [CHECKOUT / "README.md", CHECKOUT / "SECURITY.md", *CHECKOUT.glob("docs/**/*.md")]
    return sorted(path.relative_to(CHECKOUT).as_posix() for path in found)


def blocks(page: str) -> list[Block]:
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start(2)) + 1, match[1] or "", match[3], match[4])
        for match in _BLOCK.finditer(text)
    ]


class Home(Machine):
    """A user's home with the sample installation, a checkout, and a folder in place of /mnt/nas."""

    def __init__(self, folder: Path, wheel: Path | None = None, *, is_scanned: bool) -> None:
        super().__init__(folder)
        self.check_out()
        self.wheel = wheel
        self.nas = folder / "nas"
        scripts = sysconfig.get_path("scripts")
        del self.environ["PYTHONWARNINGS"]  # those of pip are not ours
        self.environ |= {
            "HOME": str(self.work),
            "PATH": os.pathsep.join([self.environ["PATH"], scripts]),
            "COLUMNS": "100",
        }
        build(str(self.work))
        for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE", "tests"):
            (self.work / name).symlink_to(CHECKOUT / name)
        # An environment that `make` takes for installed, and that leads to this one.
        python = self.work / ".venv" / "bin" / "python"
        write(python, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        write(self.work / ".venv" / ".installed", "")
        for made in ("stable-diffusion-assets", "srv/inventory"):
            (self.work / made).mkdir(parents=True)
        add_problems(self.work)
        self._add_nas()
        if is_scanned:
            self._scan_twice()

    def _scan_twice(self) -> None:
        done = self.sh("comfy-inventory scan")
        (self.work / "ComfyUI" / "models" / "loras" / "cut_off.safetensors").unlink()
        again = self.sh("comfy-inventory scan")
        assert (done.returncode, again.returncode) == (0, 0), done.stdout + again.stdout

    def _add_nas(self) -> None:
        for top in (self.nas / "models", self.nas / "ComfyUI" / "models"):
            write_lora(top / "loras" / "flux" / "paper.safetensors", "Paper")
            write_lora(top / "checkpoints" / "big.safetensors", "Big", rows=100)
        for name in ("custom_nodes", "input", "output"):
            (self.nas / "ComfyUI" / name).mkdir()

    def inside(self, text: str) -> str:
        """`text` with the folders and the wheel of this machine."""
        text = re.sub(r"/mnt/nas\b|/volume1\b", str(self.nas), text)
        text = re.sub(r"(?<![\w.])/srv\b", str(self.work / "srv"), text)
        if self.wheel:
            name = r"(?<=[\s'\"])comfy-inventory(\[\w+\])?(?=['\"\s])"
            text = re.sub(r"\buvx (?=comfy-inventory\b)", f"uvx --from {self.wheel} ", text)
            text = re.sub(
                rf"(\b(?:uv tool|pipx|pip) install (?:-\S+ )*['\"]?){name}",
                lambda found: f"{found[1]}{self.wheel}{found[2] or ''}",
                text,
            )
        return text

    def shown(self, text: str) -> str:
        """`text` with the folders that a document shows."""
        for real, name in ((self.nas, "/mnt/nas"), (self.work, "/home/me")):
            text = text.replace(str(real), name)
        return text

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a piece of a shell script; stderr stands with stdout, as a terminal shows them."""
        return subprocess.run(
            ["sh", "-euc", self.inside(command)],
            cwd=self.work,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=170,
            check=False,
        )

    def answered(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run `command` in a terminal in which somebody presses Enter."""
        return subprocess.run(
            ["script", "-qec", self.inside(command), "/dev/null"],
            cwd=self.work,
            env=self.environ,
            input="\n" * 5,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )

    def until_scanned(self, command: str) -> int:
        """The exit code of a command that is stopped once it has scanned."""
        started = time.time()
        status = self.status_file  # of each scan, while an inventory without changes stays
        process = subprocess.Popen(
            ["sh", "-euc", f"exec {self.inside(command)}"],
            cwd=self.work,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for(
                lambda: (
                    status.exists() and status.stat().st_mtime > started and self.output.exists()
                ),
                f"a scan of {command}",
            )
            below = psutil.Process(process.pid).children(recursive=True)
            os.kill(below[-1].pid if below else process.pid, signal.SIGTERM)
            return process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def run_block(home: Home, block: Block) -> Iterator[tuple[str, str, str]]:
    """Run a block; what was run, what its page shows, and what was printed. Raises on failure."""
    if block.mark == "never scanned before":
        for written in home.work.glob("comfy_inventory.*"):
            written.unlink()
    if block.language == "python":
        home.environ["PYTHONPATH"] = str(CHECKOUT)
        (home.work / "example.py").write_text(block.text, encoding="utf-8")
        parts = [("python example.py", "")]
    elif block.language == "sh":
        parts = [(block.text, "")]
    else:
        parts = block.commands()
    for command, expected in parts:
        if block.mark == "until stopped":
            code, printed = home.until_scanned(command.strip()), ""
        else:
            done = home.answered(command) if block.mark == ENTER else home.sh(command)
            code, printed = done.returncode, done.stdout
        assert code == block.exit_code, f"{block.name}: {command}\nexit code {code}\n{printed}"
        assert "Traceback" not in printed, f"{block.name}: {command}\n{printed}"
        yield command, expected, home.shown(printed)


def loosely(text: str) -> list[str]:
    """The words of an output, without what differs from run to run: numbers, units, space."""
    text = re.sub(r"\d[\d,.:]*", "0", text)
    text = re.sub(r"\b0 ?(?:[num]?s|min|h|d|ms|[kMGT]?B)\b", "0", text)
    return re.sub(r"[-─━=]{3,}", "---", text).split()


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder)]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [*command, str(CHECKOUT)], capture_output=True, text=True, check=False, env=environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def _write_anew(page: str) -> None:
    path = CHECKOUT / page
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder), is_scanned=page != "README.md")
        for block in blocks(page):
            if not block.runs_here or block.installs:
                continue
            done = list(run_block(home, block))
            if block.language == "console":
                new = "".join(f"$ {command}\n{printed}" for command, _, printed in done)
                new = "\n".join(line.rstrip() for line in new.splitlines()) + "\n"
                text = path.read_text(encoding="utf-8")
                path.write_text(text.replace(block.text, new), encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("COMFY_TEST_PATIENCE", "60")
    for name in sys.argv[1:] or pages():
        if shutil.which("sh") and any(each.language == "console" for each in blocks(name)):
            _write_anew(name)
