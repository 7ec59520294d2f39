"""Each test is reported by itself, whatever its report quotes."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

TESTS = r"""
import logging
import pytest

def test_that_passes():
    logging.getLogger("test").warning("logged \udcff")

@pytest.mark.parametrize("name", ["name \udcff"])
def test_assertion(name):
    assert name == "", "message " + name

@pytest.fixture
def broken():
    raise OSError("fixture \udcff")

def test_fixture(broken):
    pass

@pytest.mark.skip(reason="skipped \udcff")
def test_skipped():
    pass
"""


def test_reports_of_names_that_are_not_utf8_reach_the_parent_process(tmp_path: Path) -> None:
    file = tmp_path / "test_names.py"
    file.write_text(TESTS, encoding="utf-8")
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-rA", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "1", *options, str(file)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert "1 failed, 1 passed, 1 skipped, 1 error" in done.stdout, done.stdout + done.stderr
    for text in ("logged", "message name", "fixture", "skipped"):
        assert f"{text} \\udcff" in done.stdout
    assert done.returncode == 1
