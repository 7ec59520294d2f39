"""The sample installation replaces no file."""

from pathlib import Path

import pytest

from scripts import build_sample


def test_existing_files_stay_and_are_mentioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = tmp_path / "listing.tsv"
    listing.write_text("# path<TAB>size\nmodels/vae/a.pt\t3000000\nmain.py\t7\n", encoding="utf-8")
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "main.py").write_text("mine")
    assert build_sample.build(str(tmp_path), listing=str(listing)) == 1
    assert (tmp_path / "ComfyUI" / "main.py").read_text() == "mine"
    assert "1 files were already in" in capsys.readouterr().err
