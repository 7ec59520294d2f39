"""Child processes import what this process imports, and nothing that lies in their folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.disk import child as children
from scanner.disk import read_with_timeout as reading
from scanner.disk.child import start_child
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.workers.pool import WorkersByMount
from scanner.workers.requests import Stated, StatPath

NAS = Mount("/", "cifs", "//nas/share")

POISON = "raise SystemExit('imported from the current folder')"


@pytest.fixture(params=["module", "package"])
def poisoned(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Children work in a folder that holds a `scanner` and a module of the standard library."""
    folder = tmp_path / "poisoned"
    (folder / "scanner").mkdir(parents=True)
    if request.param == "module":
        (folder / "scanner").rmdir()
        (folder / "scanner.py").write_text(POISON)
    else:
        (folder / "scanner" / "__init__.py").write_text(POISON)
    (folder / "pickle.py").write_text(POISON)
    monkeypatch.setattr(children, "_FOLDER", str(folder))
    monkeypatch.chdir(folder)
    return folder


def output_of(code: str, *arguments: str) -> str:
    output, _ = start_child(code, *arguments).communicate(timeout=60)
    return output.decode().strip()


@pytest.mark.usefixtures("poisoned")
def test_reading_with_a_timeout_imports_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "read_mounts", lambda: [NAS])
    (tmp_path / "file").write_bytes(b"content")
    assert reading.read_with_timeout(str(tmp_path / "file")).content == b"content"


@pytest.mark.usefixtures("poisoned")
def test_a_worker_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    workers = WorkersByMount(DiskFileSystem(), stall_after=60, most_workers=1)
    try:
        worker = workers.of(NAS)
        worker.ask(StatPath(str(tmp_path)))
        assert isinstance(worker.answer(), Stated)
    finally:
        workers.close()


@pytest.mark.parametrize("path", ["", ":", "."])
def test_an_empty_or_relative_module_path_is_not_the_folder_of_the_child(
    poisoned: Path, path: str
) -> None:
    """As users run it: the whole program in a process that was started so."""
    code = "import scanner.disk.child as c; c._FOLDER = {!r}; {}".format(
        str(poisoned),
        "p = c.start_child('import scanner; print(scanner.__file__)'); "
        "print(p.communicate()[0].decode())",
    )
    package = str(Path(children.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {package!r}); {code}"],
        cwd="/",
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(Path(package, "scanner", "__init__.py"))


def test_module_paths_of_this_process_are_those_of_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that PYTHONPATH, a virtual environment and an editable checkout all reach it."""
    library = tmp_path / "a:b é\udcff"
    library.mkdir()
    (library / "only_here.py").write_text("NAME = 'found'")
    monkeypatch.setattr(sys, "path", [*sys.path, str(library), "relative", ""])
    assert output_of("import only_here; print(only_here.NAME)") == "found"
    seen = output_of("print(ascii(sys.path))")
    assert seen == ascii([os.path.abspath(path) for path in sys.path if path])


def test_site_packages_never_replace_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package lies in site-packages, beside old backports such as `dataclasses`."""
    (tmp_path / "dataclasses.py").write_text(POISON)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(children, "_PACKAGE", str(tmp_path))
    assert output_of("import dataclasses; print('ours')") == "ours"


def test_arguments_are_bytes_of_any_kind() -> None:
    assert output_of("print(ascii(sys.argv[1:]))", "a\udcff", "") == ascii(["a\udcff", ""])
