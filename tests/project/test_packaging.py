"""A stranger installs the package into an empty environment and it works there."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import scanner
from tests.support.real_mounts import SshfsMount

CHECKOUT = Path(__file__).resolve().parents[2]
CANNOT_REACH_INDEX = ("No matching distribution found", "Connection", "Temporary failure")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("packaging"),
    pytest.mark.timeout(300),
]


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds the wheel and what it depends on, nothing else."""

    folder: Path
    elsewhere: Path

    def script(self, name: str) -> str:
        scripts = "Scripts" if os.name == "nt" else "bin"
        found = shutil.which(name, path=str(self.folder / scripts))
        assert found, f"{name} is not installed"
        return found

    def run(self, *command: str, expect: tuple[int, ...] = (0,)) -> str:
        """Run a script of the environment outside the checkout; its standard output."""
        done = subprocess.run(
            [self.script(command[0]), *command[1:]],
            cwd=self.elsewhere,
            env=_environment() | {"HOME": str(self.elsewhere), "XDG_CONFIG_HOME": ""},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode in expect, done.stderr
        return done.stdout


def _environment() -> dict[str, str]:
    """This process's variables without those that would lead back to the checkout."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "COMFY_INVENTORY_", "VIRTUAL_ENV"))
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run(
        [*command, str(CHECKOUT)], capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel in an empty environment; pip of this one installs, so none is needed there."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    environment = Environment(folder, tmp_path_factory.mktemp("elsewhere"))
    pip = [sys.executable, "-m", "pip", "--python", environment.script("python"), "install"]
    done = subprocess.run(
        [*pip, "--quiet", str(wheel)],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if (
        done.returncode
        and "CI" not in os.environ
        and any(sign in done.stderr for sign in CANNOT_REACH_INDEX)
    ):
        pytest.skip("the packages that comfy-inventory needs cannot be downloaded now")
    assert done.returncode == 0, done.stderr
    return environment


def test_installed_command_tells_its_version(installed: Environment) -> None:
    assert scanner.__version__ in installed.run("comfy-inventory", "--version")


def test_installed_command_gives_help(installed: Environment) -> None:
    assert "scan" in installed.run("comfy-inventory", "--help")


def test_installed_command_knows_the_shipped_profiles(installed: Environment) -> None:
    assert installed.run("comfy-inventory", "config", "show", "--profile", "nas").strip()


def test_installed_command_scans_an_installation(installed: Environment, tmp_path: Path) -> None:
    comfy_root = tmp_path / "ComfyUI"
    model = comfy_root / "models" / "loras" / "a.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"weights")
    for folder in ("custom_nodes", "input", "output"):
        (comfy_root / folder).mkdir()
    output = tmp_path / "out" / "comfy_inventory.json"
    output.parent.mkdir()
    command = ["comfy-inventory", "scan", "--comfy-root", str(comfy_root)]
    installed.run(*command, "--output", str(output))
    assert "ComfyUI/models/loras/a.safetensors" in output.read_text(encoding="utf-8")


def test_installed_command_walks_a_network_mount(installed: Environment, tmp_path: Path) -> None:
    """The worker process finds the package without a checkout around it."""
    source, point, out = tmp_path / "source", tmp_path / "nas", tmp_path / "out"
    for folder in (source / "loras", point, out):
        folder.mkdir(parents=True)
    (source / "loras" / "far.safetensors").write_bytes(b"weights")
    with SshfsMount(source, point):
        command = ["comfy-inventory", "scan", "--models", str(point)]
        installed.run(*command, "--output", str(out / "i.json"))
        doctor = ("comfy-inventory", "doctor", "--timeout", "30s", str(point))
        page = installed.run(*doctor, expect=(0, 1))  # 1: there is something to know
    assert "loras/far.safetensors" in (out / "i.json").read_text(encoding="utf-8")
    assert "fuse.sshfs" in page


def test_wheel_holds_one_import_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    beside = re.compile(r"\.(?:dist-info|data)/")
    assert {name.split("/")[0] for name in names if not beside.search(name)} == {"scanner"}
    assert "scanner/py.typed" in names


def test_wheel_holds_every_profile(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    prefix = "scanner/profiles/"
    shipped = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    config = CHECKOUT / "config"
    assert shipped == {
        file.relative_to(config).as_posix() for file in config.rglob("*") if file.is_file()
    }


def test_man_page_is_installed(installed: Environment) -> None:
    page = installed.folder / "share" / "man" / "man1" / "comfy-inventory.1"
    assert page.read_bytes() == (CHECKOUT / "docs" / "man" / "comfy-inventory.1").read_bytes()


def test_wheel_holds_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())


def test_source_distribution_holds_what_a_checkout_holds(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {
        "Makefile",
        "README.md",
        "SECURITY.md",
        "docs/pictures/terminal.svg",
        ".ci/run",
        "benchmarks/__main__.py",
        "scripts/comfy_inventory_watcher.py",
        "tests/data/comfyui_install.tsv",
        "tests/project/test_packaging.py",
    }
    assert expected <= names
    assert not any(name.startswith((".venv/", ".sample/")) for name in names)
