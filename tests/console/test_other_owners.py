"""Who else installs a package of our name is read of what is installed."""

from __future__ import annotations

import csv
import importlib.metadata
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from scanner.console.other_owners import other_owners
from tests.support.machine import write

OWNERS = {
    "by_record": {"RECORD": "scanner/__init__.py,sha256=x,1\nother/x.py,,\n"},
    "by_module": {"RECORD": "scanner.py,sha256=x,1\n"},
    "quoted": {"RECORD": 'a.py,,\n"scanner/a,b.py",sha256=x,1\n'},
    "declared": {"top_level.txt": "other\nscanner\n"},
}
NO_OWNERS = {
    "below": {"RECORD": "other/scanner/__init__.py,sha256=x,1\n"},
    "longer": {"RECORD": "scanner_tools/__init__.py,,\nscanner-1.dist-info/x.py,,\n"},
    "data": {"RECORD": "scanner/data.txt,sha256=x,1\n"},
    "other": {"top_level.txt": "other\n", "RECORD": "scanner/__init__.py,,\n"},
    "empty": {},
    "Comfy_Inventory": {"RECORD": "scanner/__init__.py,,\n"},
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages that is the only one."""
    for name, files in {**OWNERS, **NO_OWNERS}.items():
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        for file, text in files.items():
            (info / file).write_text(text)
        for row in csv.reader(files.get("RECORD", "").splitlines()):
            write(tmp_path / row[0], "")  # the library names no package of files that are not there
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    # Where the package importlib_metadata was imported, it has put itself in the library's place.
    finders = [PathFinder, importlib.metadata.MetadataPathFinder]
    monkeypatch.setattr("sys.meta_path", finders)
    return tmp_path


def test_owners_are_those_that_install_python_files_of_the_package(installed: Path) -> None:
    assert other_owners() == sorted(OWNERS)


def test_owners_are_those_that_the_library_names(installed: Path) -> None:
    """It reads the same of many more objects."""
    named = importlib.metadata.packages_distributions()["scanner"]
    # From Python 3.12 on it names those, too, that have no Python file there.
    assert set(other_owners()) == set(named) - {"Comfy_Inventory", "data"}


def test_a_distribution_without_a_name_is_left_out(installed: Path) -> None:
    (installed / "by_record-1.0.dist-info" / "METADATA").unlink()
    assert "by_record" not in other_owners()
