"""Unfinished downloads: by which names they are told, and by which they are not."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.comfyui.downloads import SUFFIXES, Downloads, Signs, final_names, unfinished
from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    OTHER,
    Directory,
    Listing,
    Row,
    listing_of,
)
from tests.support.build import file_row, folder_row

HUB = "/models/.cache/huggingface/download"


def listing(names: Iterable[str], letter: str = FILE, size: int = 1) -> Listing:
    return listing_of(Row(name, letter, size, 0, 0) for name in names)


def told(*names: str, folder: str = "/models", size: int = 1) -> set[str]:
    return set(unfinished(listing(names, size=size), folder))


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("x.safetensors.crdownload", "Chrome"),
        ("Unconfirmed 123456.crdownload", "Chrome"),
        ("x.safetensors.part", "Firefox"),
        ("x.Zr8kq2Xs.safetensors.part", "Firefox"),
        ("x.safetensors.3f9a1c.part", "comfy-cli"),
        ("x.download", "Safari"),
        ("6f1c8f0e.download", "Model Manager"),
        ("x.opdownload", "Opera"),
        ("Unconfirmed 123456.smdownload", "StabilityMatrix"),
        ("x.safetensors.aria2", "aria2"),
        ("x.safetensors.aria2__temp", "aria2"),
        ("x.!qB", "qBittorrent"),
        ("x.safetensors.lftp-pget-status", "lftp"),
        ("x.safetensors.downloading", "Pando"),
        ("x.safetensors.baiduyun.p.downloading", "Baidu"),
        ("x.safetensors.xltd", "Xunlei"),
        ("x.safetensors.xltd.cfg", "Xunlei"),
        ("x.safetensors.td", "Xunlei"),
        ("x.safetensors.td.cfg", "Xunlei"),
        ("x.safetensors.fdmdownload", "Free Download Manager"),
        ("x.safetensors.dtapart", "DownThemAll"),
        ("x.safetensors.!ut", "uTorrent"),
        ("x.safetensors.bc!", "BitComet"),
        ("x.safetensors.!sync", "Resilio"),
        ("x.filepart", "WinSCP"),
        ("x.partial", "partial"),
        ("x.safetensors.tmp", "temporary"),
        ("X.SAFETENSORS.PART", "Firefox"),
        ("x.CrDownload", "Edge"),
        (".x.safetensors.part", "Firefox"),
        (".x.safetensors.aB3dEf", "rsync"),
        (".com.google.Chrome.Nc5oDU", "Chrome"),
        ("caf\u00e9 \udcff.part", "Firefox"),
    ],
)
def test_sign_says_whose_download_it_is(name: str, whose: str) -> None:
    found = unfinished(listing([name]), "/models")
    assert list(found) == [name]
    assert whose in found[name]
    # Between others, first and last: a name is told by itself.
    others = ["!", ".", "a.part1.rar", "b.safetensors", "~~"]
    assert list(unfinished(listing([*others, name]), "/models")) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "x.safetensors",
        "model.part1.rar",
        "model.part01",
        "model.parts",
        "part",
        ".part",
        ".tmp",
        ".aria2",
        "crdownload",
        "x.crdownload.txt",
        "spare-part",
        "download",
        "x.tmp.json",
        "~$list.xlsx",
        "~x",
        "x.incomplete",
        # hidden, and six letters at the end, but no random ones
        ".bashrc.backup",
        ".x.Backup",
        ".x.sha256",
        ".x.SHA256",
        ".state.sqlite",
        ".log.202401",
        ".x.aB3dE",
        ".x.aB3dEfg",
        ".aB3dEf",
        ".x.aB3-Ef",
        # random, but not hidden
        "x.aB3dEf",
    ],
)
def test_names_that_only_look_like_downloads(name: str) -> None:
    assert told(name) == set()


@pytest.mark.parametrize("letter", [DIRECTORY, DIRECTORY_LINK, BROKEN_LINK, OTHER])
@pytest.mark.parametrize("suffix", [*SUFFIXES, ".aB3dEf"])
def test_only_files_are_downloads(letter: str, suffix: str) -> None:
    assert unfinished(listing([".x" + suffix], letter), HUB) == {}
    assert unfinished(listing([".x" + suffix], FILE_LINK), HUB).keys() == {".x" + suffix}


def test_file_beside_that_of_aria2_is_the_unfinished_one() -> None:
    names = ("a", "x.safetensors", "x.safetensors.aria2", "x.safetensors.old", "y")
    assert told(*names) == {"x.safetensors", "x.safetensors.aria2"}
    assert told("x", "x.aria2__temp") == {"x", "x.aria2__temp"}
    assert told("X", "x.aria2") == {"x.aria2"}
    found = unfinished(listing(["x", "x.aria2"]), "/models")
    assert found["x"] == "x.aria2 is next to it"


def test_the_finished_name_is_without_the_whole_suffix() -> None:
    assert final_names("x.safetensors.baiduyun.p.downloading") == ("x.safetensors",)
    assert final_names("x.safetensors.td.cfg") == ("x.safetensors",)


def test_file_beside_that_of_lftp_is_the_unfinished_one() -> None:
    names = ("x.safetensors", "x.safetensors.lftp-pget-status")
    assert told(*names) == set(names)


def test_ordinary_files_with_like_endings_are_whole() -> None:
    assert not told("a.cfg", "td.cfg", "b.std", "downloading", "c.mega.png", "cut", "x.but", ".td")


def test_folder_beside_the_file_of_aria2_is_none() -> None:
    rows = [folder_row("x"), file_row("x.aria2", 9)]
    assert set(unfinished(listing_of(rows), "/models")) == {"x.aria2"}


@pytest.mark.parametrize(
    "part", ["x.st.part", "x.st.crdownload", "x.Zr8kq2Xs.st.part", "x.st.3f9a1c.part"]
)
def test_final_name_is_unfinished_only_while_it_is_empty(part: str) -> None:
    rows = [file_row("x.st", 0), file_row(part, 9), file_row("x", 9)]
    assert set(unfinished(listing_of(rows), "/models")) == {"x.st", part}
    rows[0] = file_row("x.st", 9)
    assert set(unfinished(listing_of(rows), "/models")) == {part}


@pytest.mark.parametrize(
    ("folder", "is_one"),
    [
        (HUB, True),
        (HUB + "/split_files/vae", True),
        (HUB.upper(), True),
        ("/home/u/.cache/huggingface/hub/models--a--b/blobs", True),
        ("/models/.cache/huggingface", False),
        ("/models/.cache/huggingface/downloads", False),
        ("/models/blobs/x", False),
        ("/models", False),
    ],
)
def test_incomplete_means_something_where_huggingface_hub_writes(folder: str, is_one: bool) -> None:
    assert told("e0f1.incomplete", "x.lock", folder=folder) == (
        {"e0f1.incomplete"} if is_one else set()
    )


def test_safari_downloads_into_a_folder_of_its_own() -> None:
    names = ("Info.plist", "x.safetensors")
    assert told(*names, folder="/home/u/Downloads/x.safetensors.download") == {"x.safetensors"}
    assert told(*names, folder="/home/u/Downloads/x.safetensors") == set()
    assert told(*names, folder="/home/u/Downloads/y.download") == set()
    assert told(*names, folder="/home/u/Downloads/.download") == set()


def test_neighbours_are_each_told() -> None:
    names = ["!.part", ".a.part", ".b.aB3dEf", ".c.Nc5oDU", "d.tmp", "e.part", "f"]
    assert list(unfinished(listing(names), "/models")) == names[:-1]


def test_nothing_is_listed() -> None:
    assert unfinished(Listing(), "/models/x.download") == {}


PIECES = ("x", ".", ".part", ".part1", ".TMP", ".aria2", ".aB3dEf", "Backup", "\n", "\udcff")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join), max_size=8
    ).map(lambda names: sorted({name for name in names if name.strip(".")}))
)
def test_a_name_alone_is_told_as_it_is_among_others(names: list[str]) -> None:
    """But for the files beside those of aria2, a name is judged by itself: whatever the search over
    all names at once finds, it finds for each."""
    alone = {name for name in names if unfinished(listing([name]), "/models")}
    together = set(unfinished(listing(names), "/models"))
    beside = {name.removesuffix(".aria2") for name in alone if name.endswith(".aria2")}
    assert alone <= together
    assert together - alone <= beside


def test_names_without_a_sign_are_not_looked_at_one_by_one() -> None:
    """A million names take 0.04 s as one text. Each by itself, they take more than a second."""
    ordinary = listing(f"ComfyUI_{number:05d}_.png" for number in range(10_000))
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        assert unfinished(ordinary, "/output") == {}
    finally:
        sys.setprofile(None)
    assert calls < 100


# Many folders


def test_signs_look_through_each_folder_once() -> None:
    asked: list[str] = []

    def directory_of(folder: str) -> Directory | None:
        asked.append(folder)
        return None if folder == "/gone" else Directory(listing(["x.part", "y"]))

    signs = Signs(directory_of)
    assert "/a/x.part" in signs
    assert "/a/y" not in signs
    assert "/a/z.part" not in signs  # not there
    assert "/gone/x.part" not in signs
    assert None not in signs
    assert asked == ["/a", "/gone"]


def test_downloads_follow_the_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def counted(listing: Listing, folder: str) -> dict[str, str]:
        looked.append(folder)
        return unfinished(listing, folder)

    monkeypatch.setattr("scanner.comfyui.downloads.unfinished", counted)
    downloads = Downloads()
    snapshot = {path: Directory(listing(["x", "x.part"])) for path in ("/a", "/b", "/c")}
    assert set(downloads.look(snapshot)) == {"/a/x.part", "/b/x.part", "/c/x.part"}
    assert set(downloads.look(snapshot)) == {"/a/x.part", "/b/x.part", "/c/x.part"}
    assert looked == ["/a", "/b", "/c"]
    snapshot["/a"] = Directory(listing(["x"]))
    del snapshot["/b"]
    snapshot["/d"] = Directory(listing(["x", "x.aria2"]))
    assert set(downloads.look(snapshot)) == {"/c/x.part", "/d/x", "/d/x.aria2"}
    assert looked[3:] == ["/a", "/d"]
    assert downloads.look({}) == {}
    # One gone and one come, as many as before.
    assert downloads.look({"/e": Directory(listing(["y.tmp"]))}).keys() == {"/e/y.tmp"}
    assert downloads.look({"/f": Directory(listing(["y.tmp"]))}).keys() == {"/f/y.tmp"}
