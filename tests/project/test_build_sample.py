"""The sample installation is big to look at, small on disk, and the same every time."""

import os
from pathlib import Path

import pytest

from scripts import build_sample


@pytest.fixture
def listing(tmp_path: Path) -> str:
    file = tmp_path / "listing.tsv"
    file.write_text(
        "# path<TAB>size\n"
        "models/vae/a.pt\t3000000\nmodels/vae/b.pt\t3000000\nmain.py\t7\nempty\t0\n",
        encoding="utf-8",
    )
    return str(file)


def test_sample_has_the_sizes_of_its_listing(tmp_path: Path) -> None:
    written = build_sample.build(str(tmp_path))
    listed = list(build_sample.read_listing(build_sample.LISTING))
    assert written == len(listed) > 1000
    if build_sample.holds_sparse_files(str(tmp_path)):
        sizes = {path: (tmp_path / "ComfyUI" / path).stat().st_size for path, _ in listed}
        assert sizes == dict(listed)
    assert (tmp_path / "Downloads").is_dir()


def test_files_of_one_size_differ_at_the_start_and_in_the_middle(
    tmp_path: Path, listing: str
) -> None:
    build_sample.build(str(tmp_path), listing=listing)
    a, b = (tmp_path / "ComfyUI" / "models" / "vae" / name for name in ("a.pt", "b.pt"))
    size = a.stat().st_size
    contents = [file.read_bytes() for file in (a, b)]
    for start in (0, size // 2):
        assert len({content[start : start + 32] for content in contents}) == 2


def test_sample_is_the_same_every_time(tmp_path: Path, listing: str) -> None:
    seen = []
    for name in ("one", "two"):
        build_sample.build(str(tmp_path / name), listing=listing)
        file = tmp_path / name / "ComfyUI" / "main.py"
        seen.append((file.read_bytes(), file.stat().st_mtime_ns))
    assert seen[0] == seen[1]


def test_existing_files_stay_and_are_mentioned(
    tmp_path: Path, listing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "main.py").write_text("mine")
    assert build_sample.build(str(tmp_path), listing=listing) == 3
    assert (tmp_path / "ComfyUI" / "main.py").read_text() == "mine"
    assert "1 files were already in" in capsys.readouterr().err


def test_without_sparse_files_sizes_are_cut(
    tmp_path: Path,
    listing: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(build_sample, "holds_sparse_files", lambda folder: False)
    build_sample.build(str(tmp_path), listing=listing)
    assert os.stat(tmp_path / "ComfyUI" / "models" / "vae" / "a.pt").st_size == 64 << 10
    assert "sizes are cut to 64 KiB" in capsys.readouterr().err
