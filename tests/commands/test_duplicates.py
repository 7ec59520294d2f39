"""Sets of files with the same content: what is proven, what is likely, and what is one file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from scanner.commands.duplicates.compare import candidates, find_duplicates
from scanner.commands.duplicates.known import Scanned, load
from scanner.commands.duplicates.page import as_json, print_duplicates
from scanner.commands.duplicates.sets import Choice, Report, choice_of, chosen
from scanner.console.filters import CategoryFilter, RootFilter
from scanner.core.digests import WHOLE
from scanner.core.memory import Memory, RootRecord
from scanner.core.mount_identity import MountIdentity, identity_from
from scanner.core.paths import join
from scanner.core.roots import Root
from scanner.core.snapshot import (
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    Directory,
    Listing,
    Row,
    Snapshot,
    listing_of,
)
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.fingerprint import SAMPLE, sample_plan, take_fingerprint
from scanner.disk.mounts import Mount, read_mounts
from scanner.errors import DamagedStateError, InventoryError, SettingsError
from scanner.store.state import State
from tests.support.fakes import FakeFileSystem
from tests.support.real_mounts import require
from tests.support.world import BASE, DOWNLOADS, MODELS, World, at

BIG = WHOLE + 1
SMALL = 1000
A, B, C = (bytes([letter]) * 16 for letter in b"ABC")
"""Fingerprints or xxh3 digests."""
SHA_A, SHA_B = A * 2, B * 2

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="links and inodes of POSIX")


def record(root: Root, **fields: Any) -> RootRecord:
    return RootRecord(root.id, root.kind, root.path, root.category, "online", walked=True, **fields)


RECORDS = (record(MODELS), record(DOWNLOADS))
LORAS = f"{MODELS.path}/loras"
VAE = f"{MODELS.path}/vae"


class Shelf:
    """A snapshot put together by hand, with what is known of each file."""

    def __init__(self, *, device: int = 1) -> None:
        self.device = device
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.targets: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.fingerprints: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.digests: dict[tuple[str, int, int], dict[str, bytes]] = {}
        self.records: Sequence[RootRecord] = RECORDS
        self.asked: list[str] = []
        self._inode = 100

    def put(
        self,
        path: str,
        fingerprint: bytes = b"",
        *,
        size: int = BIG,
        mtime: int = 1,
        inode: int = 0,
        type: str = FILE,
        target: str = "",
        **digests: Any,
    ) -> None:
        self._inode += 1
        folder, name = os.path.split(path)
        self.rows[folder].append(Row(name, type, size, mtime, inode or self._inode))
        if target:
            self.targets[folder].append((name, target))
        if fingerprint:
            self.fingerprints[folder][name] = fingerprint
        if digests:
            self.digests[path, size, mtime] = digests

    @property
    def snapshot(self) -> Snapshot:
        return {
            folder: Directory(
                listing_of(rows, targets=self.targets[folder]), 1, self.device, hash(folder) % 2**40
            ).with_fingerprints(self.fingerprints[folder])
            for folder, rows in self.rows.items()
        }

    def digests_of(self, path: str, size: int, mtime: int) -> Mapping[str, bytes]:
        self.asked.append(path)
        return self.digests.get((path, size, mtime), {})

    def find(self, **options: Any) -> Report:
        return find_duplicates(self.snapshot, self.records, self.digests_of, **options)

    def found(self, **options: Any) -> list[tuple[str, str, str]]:
        """(evidence, names, names of `either`) of each set."""
        return [
            (found.evidence, names(found.copies), names(found.either))
            for found in self.find(**options).sets
        ]


def names(copies: Iterable[Any]) -> str:
    return " ".join(os.path.basename(copy.path) for copy in copies)


def paths(report: Report) -> list[list[str]]:
    return [[copy.path for copy in found.copies] for found in report.sets]


# What is proven and what is likely


def test_small_files_of_equal_fingerprint_were_read_whole() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A, size=WHOLE)
    shelf.put(f"{LORAS}/b", A, size=WHOLE)
    (found,) = shelf.find().sets
    assert found.proven
    assert (found.evidence, found.digest) == ("read whole", A.hex())
    assert found.wasted == WHOLE


def test_large_files_of_equal_fingerprint_are_likely() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A, size=WHOLE + 1)
    shelf.put(f"{LORAS}/b", A, size=WHOLE + 1)
    report = shelf.find()
    (found,) = report.sets
    assert not found.proven
    assert (found.evidence, found.digest) == ("fingerprint", A.hex())
    assert report.unhashed == 2


def test_files_of_other_size_or_fingerprint_are_different() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A, size=BIG)
    shelf.put(f"{LORAS}/b", A, size=BIG + 1)
    shelf.put(f"{LORAS}/c", B, size=BIG)
    shelf.put(f"{LORAS}/d", B, size=SMALL)
    shelf.put(f"{LORAS}/e", C, size=SMALL)
    assert shelf.find() == Report(())
    assert shelf.asked == []


def test_empty_files_are_no_duplicates() -> None:
    shelf = Shelf()
    for name in "abc":
        shelf.put(f"{LORAS}/{name}", A, size=0)
    assert shelf.find(least=0) == Report(())
    assert list(candidates(shelf.snapshot, RECORDS, least=0)) == []


KNOWN: dict[str, tuple[dict[str, dict[str, Any]], list[tuple[str, str, str]]]] = {
    "proven": ({"a": {"xxh3": A}, "b": {"xxh3": A}}, [("xxh3", "a b", "")]),
    "different": ({"a": {"xxh3": A}, "b": {"xxh3": B}}, []),
    "stronger hash is named": (
        {"a": {"xxh3": A, "sha256": SHA_A}, "b": {"xxh3": A, "sha256": SHA_A}},
        [("sha256", "a b", "")],
    ),
    "what all have is named": (
        {"a": {"xxh3": A, "sha256": SHA_A}, "b": {"xxh3": A}},
        [("xxh3", "a b", "")],
    ),
    "blake3 proves too": (
        {"a": {"blake3": SHA_A}, "b": {"blake3": SHA_A}},
        [("blake3", "a b", "")],
    ),
    "blake3 differs": ({"a": {"blake3": SHA_A}, "b": {"blake3": SHA_B}}, []),
    "blake3 joins what sha256 and xxh3 know": (
        {
            "a": {"sha256": SHA_B}, "b": {"sha256": SHA_B, "blake3": SHA_A},
            "c": {"blake3": SHA_A},
        },
        [("blake3", "a b c", "")],
    ),
    "sha256 has the last word": (
        {"a": {"xxh3": A, "sha256": SHA_A}, "b": {"xxh3": A, "sha256": SHA_B}},
        [],
    ),
    "one is hashed": ({"a": {"xxh3": A}, "b": {}, "c": {}}, [("fingerprint", "a b c", "")]),
    "a proven pair and one more": (
        {"a": {"xxh3": A}, "b": {"xxh3": A}, "c": {}},
        [("fingerprint", "a c", ""), ("xxh3", "a b", "")],
    ),
    "one more, which may be either": (
        {"a": {"xxh3": A}, "b": {"xxh3": B}, "c": {}},
        [("fingerprint", "c", "a b")],
    ),
    "pairs of two contents and two more": (
        {
            "a": {"xxh3": A}, "b": {"xxh3": A}, "c": {"xxh3": B}, "d": {"xxh3": B},
            "e": {}, "f": {},
        },
        [("fingerprint", "e f", "a c"), ("xxh3", "a b", ""), ("xxh3", "c d", "")],
    ),
    "no algorithm in common": (
        {"a": {"xxh3": A}, "b": {"sha256": SHA_A}},
        [("fingerprint", "a b", "")],
    ),
    "one without an algorithm in common": (
        {"a": {"xxh3": A}, "b": {"xxh3": B}, "c": {"sha256": SHA_A}},
        [("fingerprint", "c", "a b")],
    ),
    "by way of a third": (
        {"a": {"xxh3": A}, "b": {"xxh3": A, "sha256": SHA_A}, "c": {"sha256": SHA_A}},
        [("xxh3", "a b c", "")],
    ),
    "a collision": (
        {
            "a": {"xxh3": A, "sha256": SHA_A}, "b": {"xxh3": A, "sha256": SHA_B},
            "c": {"xxh3": A},
        },
        [("fingerprint", "c", "a b")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", KNOWN)
def test_content_hashes_of_large_files_of_equal_fingerprint(case: str) -> None:
    files, expected = KNOWN[case]
    shelf = Shelf()
    for name, digests in files.items():
        shelf.put(f"{LORAS}/{name}", C, **digests)
    assert sorted(shelf.found()) == sorted(expected)
    for found in shelf.find().sets:
        assert found.proven == (found.evidence != "fingerprint")


@pytest.mark.parametrize("case", ["different", "sha256 has the last word"])
def test_content_hashes_refute_fingerprints_of_small_files(case: str) -> None:
    files, expected = KNOWN[case]
    shelf = Shelf()
    for name, digests in files.items():
        shelf.put(f"{LORAS}/{name}", C, size=SMALL, **digests)
    assert shelf.found() == expected


def test_one_hash_does_not_make_small_files_less_proven() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", C, size=SMALL, xxh3=A)
    shelf.put(f"{LORAS}/b", C, size=SMALL, sha256=SHA_A)
    shelf.put(f"{LORAS}/c", C, size=SMALL)
    assert shelf.found() == [("read whole", "a b c", "")]


def test_small_files_of_several_contents_leave_the_rest_unproven() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", C, size=SMALL, xxh3=A)
    shelf.put(f"{LORAS}/b", C, size=SMALL, xxh3=B)
    shelf.put(f"{LORAS}/c", C, size=SMALL)
    assert shelf.found() == [("fingerprint", "c", "a b")]


def test_what_may_be_either_is_waste_all_of_it() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", C, xxh3=A)
    shelf.put(f"{LORAS}/b", C, xxh3=B)
    shelf.put(f"{LORAS}/c", C)
    shelf.put(f"{LORAS}/d", C)
    report = shelf.find()
    (found,) = report.sets
    assert found.wasted == 2 * BIG
    assert (report.unhashed, report.likely.files) == (2, 2)


def test_only_what_has_no_hash_is_to_be_hashed() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", C, xxh3=A)
    shelf.put(f"{LORAS}/b", C)
    shelf.put(f"{LORAS}/c", C)
    assert shelf.find().unhashed == 2


def test_a_hash_at_another_size_or_mtime_counts_for_nothing() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", C)
    shelf.put(f"{LORAS}/b", C)
    shelf.digests[f"{LORAS}/a", BIG, 2] = {"xxh3": A}
    shelf.digests[f"{LORAS}/b", BIG, 1] = {"xxh3": B}
    assert shelf.found() == [("fingerprint", "a b", "")]


# Files that were not looked at yet


def test_files_without_a_fingerprint_are_counted_and_not_reported() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a")
    shelf.put(f"{LORAS}/b")
    shelf.put(f"{LORAS}/c", A)
    shelf.put(f"{LORAS}/alone", size=BIG + 1)
    report = shelf.find()
    assert (report.sets, report.unlooked) == ((), 2)


def test_files_without_a_fingerprint_are_known_by_their_hash() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", xxh3=A)
    shelf.put(f"{LORAS}/b", xxh3=A)
    shelf.put(f"{LORAS}/c", xxh3=B)
    assert shelf.found() == [("xxh3", "a b", "")]
    assert shelf.find().unlooked == 0


def test_a_hash_leads_to_those_with_a_fingerprint() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", xxh3=A)
    shelf.put(f"{LORAS}/b", C, xxh3=A)
    shelf.put(f"{LORAS}/c", C)
    shelf.put(f"{LORAS}/d", B)
    assert sorted(shelf.found()) == [("fingerprint", "a c", ""), ("xxh3", "a b", "")]
    assert shelf.find().unlooked == 0


def test_a_hash_that_could_be_that_of_an_unhashed_file_is_not_looked_at() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", xxh3=A)
    shelf.put(f"{LORAS}/b", C)
    report = shelf.find()
    assert (report.sets, report.unlooked) == ((), 1)


def test_hashes_without_an_algorithm_in_common_are_not_looked_at() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", xxh3=A)
    shelf.put(f"{LORAS}/b", sha256=SHA_A)
    report = shelf.find()
    assert (report.sets, report.unlooked) == ((), 2)


def test_only_folders_with_hashes_are_asked_about() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", C, xxh3=A)
    shelf.put(f"{LORAS}/b", C, xxh3=A)
    shelf.put(f"{VAE}/c", C)
    assert shelf.found(hashed={LORAS}) == shelf.found()
    shelf.asked.clear()
    shelf.find(hashed={LORAS})
    assert sorted(set(shelf.asked)) == [f"{LORAS}/a", f"{LORAS}/b"]


# One file under several paths


def test_hard_links_are_one_copy() -> None:
    shelf = Shelf()
    shelf.put(f"{DOWNLOADS.path}/a", A, inode=7)
    shelf.put(f"{LORAS}/b", A, inode=7)
    shelf.put(f"{LORAS}/c", A, inode=8)
    (found,) = shelf.find().sets
    first, second = found.copies
    assert (first.path, first.links) == (f"{LORAS}/b", (f"{DOWNLOADS.path}/a",))
    assert (second.path, second.links) == (f"{LORAS}/c", ())
    assert found.wasted == BIG


def test_only_hard_links_are_no_set() -> None:
    shelf = Shelf()
    for name in "abc":
        shelf.put(f"{LORAS}/{name}", A, inode=7)
    assert shelf.find() == Report(())
    assert list(candidates(shelf.snapshot, RECORDS)) == []


def test_an_inode_of_another_device_is_another_file() -> None:
    here, there = Shelf(device=1), Shelf(device=2)
    here.put(f"{LORAS}/a", A, inode=7)
    there.put(f"{VAE}/b", A, inode=7)
    report = find_duplicates({**here.snapshot, **there.snapshot}, RECORDS, here.digests_of)
    assert paths(report) == [[f"{LORAS}/a", f"{VAE}/b"]]


@pytest.mark.parametrize("algorithm", ["xxh3", "sha256"])
def test_what_is_known_of_one_hard_link_is_known_of_all(algorithm: str) -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", inode=7, xxh3=A)
    shelf.put(f"{LORAS}/b", C, inode=7, sha256=A)
    digests: dict[str, Any] = {algorithm: A}
    shelf.put(f"{LORAS}/c", C, **digests)
    assert shelf.found() == [(algorithm, "a c", "")]
    assert shelf.find().unlooked == 0


@pytest.mark.parametrize("change", [{"mtime": 2}, {"fingerprint": B}])
def test_hard_links_listed_at_two_moments_are_not_looked_at(change: dict[str, Any]) -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A, inode=7, xxh3=A)
    shelf.put(f"{LORAS}/b", **{"fingerprint": A, "inode": 7, **change})
    shelf.put(f"{LORAS}/c", A, xxh3=A)
    report = shelf.find()
    if "mtime" in change:
        assert (report.sets, report.unlooked) == ((), 1)
    else:  # the hash still says what it is
        assert names(report.sets[0].copies) == "a c"


def test_fingerprints_of_one_file_that_contradict_each_other_prove_nothing() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A, inode=7)
    shelf.put(f"{LORAS}/b", B, inode=7)
    shelf.put(f"{LORAS}/c", A)
    shelf.put(f"{LORAS}/d", B)
    report = shelf.find()
    assert (report.sets, report.unlooked) == ((), 1)


def test_a_link_to_a_file_is_no_copy() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A)
    shelf.put(f"{LORAS}/b", A)
    shelf.put(f"{VAE}/c", A, type=FILE_LINK, target="../loras/a")
    shelf.put(f"{VAE}/d", A, type=FILE_LINK, target="c")
    shelf.put(f"{VAE}/elsewhere", A, type=FILE_LINK, target="/mnt/x")
    (found,) = shelf.find().sets
    assert [copy.links for copy in found.copies] == [(f"{VAE}/c", f"{VAE}/d"), ()]


def test_a_link_listed_before_its_file_changed_is_not_told() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A)
    shelf.put(f"{LORAS}/b", A)
    shelf.put(f"{VAE}/c", type=FILE_LINK, target="../loras/a", mtime=9)
    (found,) = shelf.find().sets
    assert [copy.links for copy in found.copies] == [(), ()]


def test_circles_and_long_chains_of_links_end() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A)
    shelf.put(f"{LORAS}/b", A)
    shelf.put(f"{VAE}/c", type=FILE_LINK, target="d")
    shelf.put(f"{VAE}/d", type=FILE_LINK, target="c")
    shelf.put(f"{VAE}/e", type=FILE_LINK, target="e/e/../e")
    for number in range(3000):
        shelf.put(f"{VAE}/{number}", type=FILE_LINK, target=f"{number + 1}")
    shelf.put("/".join([VAE, *["x"] * 2000, "f"]), type=FILE_LINK, target="../f")
    (found,) = shelf.find().sets
    assert names(found.copies) == "a b"


def without_inodes(snapshot: Snapshot) -> Snapshot:
    return {
        path: replace(
            directory,
            device=0,
            inode=0,
            listing=replace(directory.listing, inodes=Listing().inodes),
        )
        for path, directory in snapshot.items()
    }


def alias_shelf(target: str) -> Shelf:
    shelf = Shelf()
    shelf.put(f"{MODELS.path}/linked", type=DIRECTORY_LINK, size=0, target=target)
    shelf.put(f"{MODELS.path}/linked/a", A, inode=7)
    shelf.put(f"{DOWNLOADS.path}/sub/a", A, inode=7)
    shelf.put(f"{DOWNLOADS.path}/sub/b", A)
    shelf.put(f"{MODELS.path}/linked/b", A, inode=shelf._inode)
    return shelf


@pytest.mark.parametrize("target", [f"{DOWNLOADS.path}/sub", "../../Downloads/./x/../sub"])
@pytest.mark.parametrize("view", [lambda snapshot: snapshot, without_inodes])
def test_a_folder_reached_by_a_link_holds_no_copies(
    target: str, view: Callable[[Snapshot], Snapshot]
) -> None:
    shelf = alias_shelf(target)
    (found,) = find_duplicates(view(shelf.snapshot), RECORDS, shelf.digests_of).sets
    # Of kind models first, though it is reached by a link (rule 11).
    assert [(copy.path, copy.links) for copy in found.copies] == [
        (f"{MODELS.path}/linked/{name}", (f"{DOWNLOADS.path}/sub/{name}",)) for name in "ab"
    ]


def test_two_links_to_a_folder_that_is_not_scanned_lead_to_one() -> None:
    shelf = Shelf()
    for name in ("x", "y"):
        shelf.put(f"{MODELS.path}/{name}", type=DIRECTORY_LINK, size=0, target="/mnt/nas/loras")
        shelf.put(f"{MODELS.path}/{name}/a", A)
    assert find_duplicates(without_inodes(shelf.snapshot), RECORDS, shelf.digests_of) == Report(())


NAS = "cifs //nas/share /"


@pytest.mark.parametrize(
    ("identities", "copies"),
    [
        ((NAS, NAS), 0),
        (("ext4 uuid=1 /srv", "ext4 uuid=1 /srv"), 0),
        ((NAS, "cifs //nas/other /"), 2),
        (("overlay overlay /", "overlay overlay /"), 2),
        (("", ""), 2),
    ],
)
def test_a_share_mounted_twice_holds_no_copies(identities: tuple[str, str], copies: int) -> None:
    shelf = Shelf()
    roots = [Root("extra", "/mnt/one/sub"), Root("extra", "/mnt/two/sub")]
    shelf.records = [
        record(root, mount_point=os.path.dirname(root.path), mount_identity=identity_from(identity))
        for root, identity in zip(roots, identities, strict=True)
    ]
    for root in roots:
        shelf.put(f"{root.path}/a", A)
    report = find_duplicates(without_inodes(shelf.snapshot), shelf.records, shelf.digests_of)
    assert sum(len(found.copies) for found in report.sets) == copies
    # Inodes that differ are files that differ, whatever the mounts are called.
    shelf.put("/mnt/one/sub/blind/b", A)
    snapshot = shelf.snapshot
    snapshot["/mnt/one/sub/blind"] = without_inodes(snapshot)["/mnt/one/sub/blind"]
    (found,) = find_duplicates(snapshot, shelf.records, shelf.digests_of).sets
    assert names(found.copies) == "a b a"


def test_a_bind_mount_is_the_folder_that_it_shows() -> None:
    shelf = Shelf()
    disk = MountIdentity("ntfs3", "/dev/sdb1", "/", uuid="1")
    below = disk._replace(within="/data")
    shelf.records = [
        record(Root("extra", "/data"), mount_point="/", mount_identity=disk),
        record(Root("extra", "/mnt/b"), mount_point="/mnt/b", mount_identity=below),
    ]
    shelf.put("/data/a", A)
    shelf.put("/mnt/b/a", A)
    report = find_duplicates(without_inodes(shelf.snapshot), shelf.records, shelf.digests_of)
    assert report == Report(())


def test_a_root_that_is_a_link_holds_no_copies() -> None:
    shelf = Shelf()
    extra = Root("extra", "/mnt/nas/models")
    shelf.records = [record(MODELS, target=extra.path), record(extra)]
    shelf.put(f"{LORAS}/a", A)
    shelf.put(f"{extra.path}/loras/a", A)
    snapshot = shelf.snapshot
    # Only one of them has inodes: mounts are known by the words of their paths.
    snapshot[f"{extra.path}/loras"] = without_inodes(snapshot)[f"{extra.path}/loras"]
    assert find_duplicates(snapshot, shelf.records, shelf.digests_of) == Report(())


# Which files, which sets


def test_what_lies_outside_the_roots_does_not_count() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A)
    shelf.put("/gone/a", A)
    assert shelf.find() == Report(())


def test_files_smaller_than_least_and_growing_ones_are_left_out() -> None:
    shelf = Shelf()
    for name in ("a", "b", "c"):
        shelf.put(f"{LORAS}/{name}", A, size=SMALL)
    assert shelf.found(least=SMALL) == [("read whole", "a b c", "")]
    assert shelf.found(least=SMALL + 1) == []
    assert shelf.found(skip={f"{LORAS}/b", f"{VAE}/a"}) == [("read whole", "a c", "")]


def test_sets_are_sorted_by_what_they_waste() -> None:
    shelf = Shelf()
    for number, (name, size, count) in enumerate([("x", 10, 5), ("y", 30, 2), ("z", 40, 2)]):
        for copy in range(count):
            shelf.put(f"{LORAS}/{name}{copy}", bytes([number + 1]) * 16, size=size)
    report = shelf.find()
    assert [found.wasted for found in report.sets] == [40, 40, 30]
    assert [found.copies[0].path[-2:] for found in report.sets] == ["x0", "z0", "y0"]
    by_count = chosen(report, Choice(), "count").sets
    assert [found.copies[0].path[-2:] for found in by_count] == ["x0", "z0", "y0"]
    by_size = chosen(report, Choice(), "size").sets
    assert [found.size for found in by_size] == [40, 30, 10]


def crossing() -> Shelf:
    """A content in loras, vae and downloads, one twice in vae, one twice in downloads."""
    shelf = Shelf()
    for path in (f"{DOWNLOADS.path}/a", f"{LORAS}/a", f"{VAE}/a"):
        shelf.put(path, A, size=10, xxh3=A)
    for path in (f"{VAE}/b", f"{VAE}/c"):
        shelf.put(path, B, size=BIG)
    for path in (f"{DOWNLOADS.path}/d", f"{DOWNLOADS.path}/e"):
        shelf.put(path, C, size=20)
    return shelf


def test_totals_count_what_is_one_too_many_where_it_stands() -> None:
    report = crossing().find()
    assert report.total == (3, 4, 10 + 10 + BIG + 20)
    assert report.proven == (2, 3, 10 + 10 + 20)
    assert report.likely == (1, 1, BIG)
    assert report.unhashed == 2
    assert report.over_roots == (1, 2, 20)
    assert report.by_category == {"vae": (2, 2, 10 + BIG), "": (2, 2, 10 + 20)}
    assert report.by_root == {MODELS.id: (2, 2, 10 + BIG), DOWNLOADS.id: (2, 2, 10 + 20)}
    assert report.by_pair == {(DOWNLOADS.id, MODELS.id): (1, 1, 10)}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"roots": RootFilter(["downloads"], "/")}, ["d e", "a a a"]),
        ({"roots": RootFilter([MODELS.id], "/")}, ["b c", "a a a"]),
        ({"roots": RootFilter([DOWNLOADS.path], "/")}, ["d e", "a a a"]),
        ({"categories": CategoryFilter(["vae"])}, ["b c", "a a a"]),
        ({"categories": CategoryFilter(["lora*"])}, ["a a a"]),
        ({"only_proven": True}, ["d e", "a a a"]),
        ({"paths": [VAE]}, ["b c", "a a a"]),
        ({"paths": [f"{LORAS}/a"]}, ["a a a"]),
        ({"paths": [f"{VAE}/c", f"{DOWNLOADS.path}/d"]}, ["b c", "d e"]),
        ({"paths": [BASE]}, ["b c", "d e", "a a a"]),
        ({"paths": [VAE], "roots": RootFilter(["downloads"], "/")}, ["a a a"]),
        ({"categories": CategoryFilter(["nothing"])}, []),
    ],
)
def test_a_set_is_told_whole_if_one_of_its_copies_is_asked_for(
    asked: dict[str, Any], expected: list[str]
) -> None:
    report = chosen(crossing().find(), choice_of(RECORDS, **asked))
    assert [names(found.copies) for found in report.sets] == sorted(
        expected, key=["b c", "a a a", "d e"].index
    )


def test_only_files_that_could_equal_one_within_are_looked_at() -> None:
    shelf = crossing()
    shelf.put(f"{LORAS}/blind", size=20)
    report = shelf.find(within=[f"{VAE}/c"])
    assert [names(found.copies) for found in report.sets] == ["b c"]
    assert report.unlooked == 0
    assert shelf.find(within=[DOWNLOADS.path]).unlooked == 1


def test_a_hard_link_within_counts() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A, inode=7)
    shelf.put(f"{DOWNLOADS.path}/a", A, inode=7)
    shelf.put(f"{LORAS}/b", A)
    assert len(shelf.find(within=[DOWNLOADS.path]).sets) == 1


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"paths": ["/mnt/elsewhere"]}, "/mnt/elsewhere lies in none of the folders"),
        ({"roots": RootFilter(["output"], "/")}, "--root: expected .*models:"),
    ],
)
def test_places_that_were_not_scanned_are_not_taken_for_clean(
    asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        choice_of(RECORDS, **asked)


def test_the_copy_among_the_models_is_the_one_that_is_needed() -> None:
    shelf = Shelf()
    extra = Root("extra", "/a")
    shelf.records = [record(extra), *RECORDS]
    shelf.put("/a/a", A)
    shelf.put(f"{VAE}/a", A)
    report = shelf.find()
    assert paths(report) == [[f"{VAE}/a", "/a/a"]]
    assert list(report.by_root) == [extra.id]


def test_nested_roots_own_their_paths() -> None:
    shelf = Shelf()
    inner = Root("extra", LORAS, "mine")
    shelf.records = [*RECORDS, record(inner)]
    shelf.put(f"{LORAS}/a", A)
    shelf.put(f"{VAE}/a", A)
    (found,) = shelf.find().sets
    assert [(copy.root, copy.category) for copy in found.copies] == [
        (MODELS.id, "vae"),
        (inner.id, "mine"),
    ]


# Candidates for hashing


def test_candidates_are_what_only_a_hash_can_tell() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A, inode=7)
    shelf.put(f"{LORAS}/a2", A, inode=7)
    shelf.put(f"{LORAS}/b", A)
    shelf.put(f"{LORAS}/c", B)
    shelf.put(f"{LORAS}/x", A, size=BIG + 1)
    shelf.put(f"{LORAS}/y", size=BIG + 1)
    shelf.put(f"{LORAS}/s", A, size=SMALL)
    shelf.put(f"{LORAS}/t", A, size=SMALL)
    shelf.put(f"{LORAS}/alone", size=SMALL + 1)
    found = [(size, sorted(map(os.path.basename, group))) for size, group in
             candidates(shelf.snapshot, RECORDS)]  # fmt: skip
    assert found == [(BIG + 1, ["x", "y"]), (BIG, ["a", "b"])]


def test_many_files_take_little_memory() -> None:
    shelf = Shelf()
    for folder in range(100):
        for number in range(500):
            row = Row(f"{number:04}", FILE, BIG + number % 10, 1, folder * 1000 + number + 1)
            shelf.rows[f"{LORAS}/{folder}"].append(row)
    snapshot = {
        path: replace(directory, fingerprints=random.Random(path).randbytes(16 * 500))
        for path, directory in shelf.snapshot.items()
    }
    tracemalloc.start()
    try:
        assert list(candidates(snapshot, RECORDS)) == []
        assert find_duplicates(snapshot, RECORDS, shelf.digests_of).sets == ()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 50,000 files in 7.5 MB are a million in 150.
    assert peak < 7_500_000


# Grouping by real content


CONTENTS = st.lists(
    st.tuples(
        st.sampled_from([LORAS, VAE, DOWNLOADS.path, f"{LORAS}/x"]),
        st.integers(0, 5),  # name
        st.sampled_from([b"", b"a", b"b", b"aa", b"ab", b"ba"]),
        st.booleans(),  # large
        st.sampled_from(["fingerprint", "both", "hash"]),
        st.sampled_from(["xxh3", "sha256 xxh3"]),
    ),
    max_size=14,
    unique_by=lambda item: item[:2],
)


@given(CONTENTS)
def test_with_all_hashes_sets_are_what_has_the_same_content(
    files: list[tuple[str, int, bytes, bool, str, str]],
) -> None:
    shelf = Shelf()
    real: dict[bytes, list[str]] = defaultdict(list)
    for folder, number, content, is_large, known, algorithms in files:
        path = f"{folder}/{number}"
        size = len(content) + (WHOLE if is_large and content else 0)
        # What samples would make of it: of large files here only the size, of small ones all.
        whole = (b"large" if is_large else b"") + content
        sampled = xxhash.xxh3_128(str(size).encode() + (b"" if is_large else content)).digest()
        digests: dict[str, Any] = {"xxh3": xxhash.xxh3_128(whole).digest()}
        if "sha256" in algorithms:
            digests["sha256"] = hashlib.sha256(whole).digest()
        shelf.put(
            path,
            b"" if known == "hash" else sampled,
            size=size,
            # Only of a small file does a fingerprint alone say all.
            **({} if known == "fingerprint" and not is_large else digests),
        )
        if size:
            real[whole].append(path)
    report = shelf.find()
    blind = {f"{folder}/{number}" for folder, number, *_, known, _ in files if known == "hash"}
    expected = {frozenset(group) for group in real.values() if len(group) > 1}
    found = {frozenset(group) for group in paths(report)}
    assert all(duplicate.proven for duplicate in report.sets)
    if report.unlooked == 0:
        assert found == expected
    else:  # a hash says nothing of a file that has a fingerprint alone, and that is counted
        assert {group - blind for group in expected if len(group - blind) > 1} == {
            group - blind for group in found if len(group - blind) > 1
        }


@given(st.data())
def test_nothing_false_is_proven_whatever_is_known(data: st.DataObject) -> None:
    shelf = Shelf()
    real: dict[str, int] = {}
    for number in range(data.draw(st.integers(2, 7))):
        content = data.draw(st.integers(1, 3))
        path = f"{data.draw(st.sampled_from([LORAS, VAE]))}/{number}"
        real[path] = content
        digests: dict[str, Any] = {"xxh3": bytes([content]) * 16, "sha256": bytes([content]) * 32}
        known = data.draw(st.sets(st.sampled_from(sorted(digests))))
        shelf.put(
            path,
            data.draw(st.sampled_from([b"", A])),  # the samples are the same in all
            **{name: digests[name] for name in known},
        )
    report = shelf.find()
    for found in report.sets:
        contents = {real[copy.path] for copy in found.copies}
        if found.proven:
            assert len(contents) == 1
        if found.either:
            assert len({real[copy.path] for copy in found.either}) == len(found.either) > 1
        assert len(found.copies) > (0 if found.either else 1)
    surplus = [copy.path for found in report.sets for copy in found.surplus]
    # No byte is counted as wasted twice, and never all copies of what is sampled.
    assert len(surplus) == len(set(surplus)) < len(real)
    hopeful = {path for _, group in candidates(shelf.snapshot, RECORDS) for path in group}
    likely = {c.path for found in report.sets if not found.proven for c in found.copies}
    assert likely <= hopeful


# On disks


def seen(*tops: Path) -> tuple[Snapshot, list[RootRecord]]:
    """A snapshot of real folders, links followed, all fingerprints taken."""
    files = DiskFileSystem()
    snapshot: Snapshot = {}
    stack = [str(top) for top in tops]
    while stack:
        folder = stack.pop()
        directory = files.list_directory(folder)
        prints: dict[str, bytes] = {}
        for row in directory.listing.rows():
            if row.type == FILE and row.size:
                sampled = take_fingerprint(files, join(folder, row.name))
                assert sampled is not None
                prints[row.name] = sampled.fingerprint
        snapshot[folder] = directory.with_fingerprints(prints)
        stack += [join(folder, name) for name, _ in directory.listing.named_containers()]
    return snapshot, [record(Root("extra", str(top))) for top in tops]


def real_digests(path: str, size: int, mtime: int) -> Mapping[str, bytes]:
    content = Path(path).read_bytes()
    assert len(content) == size
    return {"xxh3": xxhash.xxh3_128(content).digest(), "sha256": hashlib.sha256(content).digest()}


def unsampled_twin(content: bytes) -> bytes:
    """`content` with one byte changed that no sample meets."""
    (_, length), (second, _) = sample_plan(len(content))[:2]
    assert length == SAMPLE < second
    return content[: second - 1] + bytes([content[second - 1] ^ 1]) + content[second:]


def test_files_that_differ_between_samples_are_likely_until_hashed(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(3 * WHOLE)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(unsampled_twin(content))
    snapshot, records = seen(tmp_path)
    (found,) = find_duplicates(snapshot, records, lambda *_: {}).sets
    assert (found.proven, found.evidence) == (False, "fingerprint")
    assert find_duplicates(snapshot, records, real_digests) == Report(())
    (tmp_path / "c").write_bytes(content)
    snapshot, records = seen(tmp_path)
    (found,) = find_duplicates(snapshot, records, real_digests).sets
    assert (found.proven, names(found.copies)) == (True, "a c")


def plant(top: Path, seed: int) -> None:
    """Files with copies, with near copies, hard links, links, links to folders, empty ones."""
    chance = random.Random(seed)
    folders = [top / name for name in ("a", "a/b", "c", "c/d e", "ü")]
    for folder in folders:
        folder.mkdir(parents=True)
    contents = [chance.randbytes(size) for size in (1, 1, 2, 500, 500, 4096, WHOLE, WHOLE + 1)]
    contents.append(chance.randbytes(2 * WHOLE + 77))
    contents.append(unsampled_twin(contents[-1]))
    contents.append(contents[-2][:-1] + b"?")
    contents.append(b"")
    planted: list[Path] = []
    for number in range(60):
        path = chance.choice(folders) / f"{number}.safetensors"
        kind = chance.randrange(10)
        if planted and kind == 0:
            os.link(chance.choice(planted), path)
        elif planted and kind == 1:
            path.symlink_to(chance.choice(planted))
        elif planted and kind == 2:
            path.symlink_to("nowhere")
        else:
            path.write_bytes(chance.choice(contents))
            planted.append(path)
    (top / "ü" / "linked").symlink_to(top / "a")


def inode_of(path: str) -> int:
    return os.stat(path).st_ino


@posix_only
@pytest.mark.parametrize("seed", range(4))
def test_jdupes_finds_the_same_sets(tmp_path: Path, seed: int) -> None:
    (jdupes,) = require("jdupes")
    plant(tmp_path / "top", seed)
    # It compares byte by byte, follows no links, and knows hard links by their inode.
    done = subprocess.run(
        [jdupes, "--recurse", "--json", "--quiet", str(tmp_path / "top")],
        capture_output=True,
        check=True,
    )
    theirs = {
        frozenset(inode_of(file["filePath"]) for file in found["fileList"])
        for found in json.loads(done.stdout)["matchSets"]
    }
    snapshot, records = seen(tmp_path / "top")
    report = find_duplicates(snapshot, records, real_digests)
    assert all(found.proven for found in report.sets)
    ours = {frozenset(inode_of(copy.path) for copy in found.copies) for found in report.sets}
    assert ours == {group for group in theirs if len(group) > 1}
    assert len(ours) > 4
    for found in report.sets:
        assert len({inode_of(copy.path) for copy in found.copies}) == len(found.copies)
        for copy in found.copies:
            assert {inode_of(link) for link in copy.links} <= {inode_of(copy.path)}
    copies = [copy for found in report.sets for copy in found.copies]
    told = {path for copy in copies for path in (copy.path, *copy.links)}
    inodes = {inode for group in ours for inode in group}
    assert told == {
        path
        for folder, directory in snapshot.items()
        for name in directory.listing.split_names()
        if os.path.isfile(path := join(folder, name)) and inode_of(path) in inodes
    }
    without = find_duplicates(without_inodes(snapshot), records, real_digests)
    # There hard links cannot be known, but links to folders and files are.
    assert not any("linked" in copy.path for found in without.sets for copy in found.copies)


# The real program on a disk that is a fake


def world(folder: Path, *roots: Root, files: FakeFileSystem | None = None) -> World:
    return World(folder, files, roots or (MODELS, DOWNLOADS))


def scanned(made: World) -> Report:
    for _ in range(3):
        made.scan()
    made.store.close()
    known = load(made.outputs.state)
    return find_duplicates(known.snapshot, known.roots, lambda *_: {}, skip=known.unsettled)


def test_a_scan_is_all_that_is_needed(tmp_path: Path) -> None:
    made = world(tmp_path)
    for path in ("ComfyUI/models/loras/a", "Downloads/a", "Downloads/b"):
        made.files.write(at(path), b"same" * 100)
    made.files.write(at("Downloads/other"), b"else" * 100)
    node = made.files._resolve(at("Downloads/a"))
    made.files._resolve(at("Downloads")).children["hard link"] = node
    made.files.symlink(at("Downloads/b"), at("ComfyUI/models/vae/link"))
    made.files.symlink(at("Downloads"), at("ComfyUI/models/checkpoints"))
    (found,) = scanned(made).sets
    assert [(copy.path, copy.links) for copy in found.copies] == [
        (at("ComfyUI/models/loras/a"), ()),
        (at("ComfyUI/models/checkpoints/a"), tuple(map(at, (
            "ComfyUI/models/checkpoints/hard link", "Downloads/a", "Downloads/hard link",
        )))),
        (at("ComfyUI/models/checkpoints/b"), tuple(map(at, (
            "ComfyUI/models/vae/link", "Downloads/b",
        )))),
    ]  # fmt: skip


def test_a_share_reached_by_a_link_and_as_a_root_holds_no_copies(tmp_path: Path) -> None:
    share = Root("extra", "/mnt/nas/stuff")
    files = FakeFileSystem()
    files.mount_table.append(Mount("/mnt/nas", "cifs", "//nas/share"))
    files.makedirs(MODELS.path)
    files.write(f"{share.path}/loras/a", b"same" * 100)
    files.write(f"{share.path}/loras/b", b"same" * 100)
    files.symlink(f"{share.path}/loras", f"{MODELS.path}/loras")
    made = world(tmp_path, MODELS, share, files=files)
    (found,) = scanned(made).sets
    assert [(copy.path, copy.links) for copy in found.copies] == [
        (f"{LORAS}/{name}", (f"{share.path}/loras/{name}",)) for name in "ab"
    ]


# Reading the state


def stored(folder: Path) -> World:
    made = world(folder)
    made.files.write(at("Downloads/a"), b"same" * 100)
    made.files.write(at("Downloads/b"), b"same" * 100)
    for _ in range(3):
        made.scan()
    return made


def test_the_state_is_read_while_a_scanner_holds_it_and_nothing_is_written(tmp_path: Path) -> None:
    made = stored(tmp_path)
    made.files.write(at("Downloads/c"), b"same" * 100)
    made.scan()
    with made.store.state.transaction():
        made.store.state.put("half", "done")
        known = load(made.outputs.state)
    assert known.snapshot == made.store.snapshot
    assert {root.id for root in known.roots} == {MODELS.id, DOWNLOADS.id}
    made.store.close()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert load(made.outputs.state).snapshot == known.snapshot
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@posix_only
def test_what_a_killed_scanner_left_in_its_log_is_read(tmp_path: Path) -> None:
    made = stored(tmp_path / "one")
    copied = tmp_path / "two"
    copied.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(made.outputs.state + ending, copied)
    made.store.close()
    state = copied / os.path.basename(made.outputs.state)
    assert load(str(state)).snapshot == made.store.snapshot


def test_unsettled_files_are_told(tmp_path: Path) -> None:
    made = stored(tmp_path)
    for size in range(1, 4):
        made.files.write(at("Downloads/growing"), b"x" * 100 * size)
        made.scan()
    made.store.close()
    assert load(made.outputs.state).unsettled == {at("Downloads/growing")}


def test_a_state_of_an_older_version_lacks_tables(tmp_path: Path) -> None:
    made = stored(tmp_path)
    made.store.close()
    with closing(sqlite3.connect(made.outputs.state)) as database, database:
        database.execute("DROP TABLE unsettled")
    assert load(made.outputs.state).unsettled == frozenset()


def empty_state(path: Path) -> None:
    State(str(path)).close()


def text_file(path: Path) -> None:
    path.write_text("this is no database at all, but a text of some length" * 100)


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE x (y)")


def other_version(path: Path) -> None:
    state = State(str(path))
    state.put("version", 99)
    state.close()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "No scan has written"),
        (lambda path: path.mkdir(), "No scan has written"),
        (empty_state, "No scan has ended yet"),
        (text_file, "cannot be read .*file is not a database"),
        (Path.touch, "cannot be read .*not a state of this program"),
        (foreign_database, "cannot be read .*not a state of this program"),
        (other_version, "newer version"),
    ],
)
def test_a_state_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], None], told: str
) -> None:
    path = tmp_path / "x\n.state.sqlite"
    make(path)
    with pytest.raises(InventoryError, match=told) as raised:
        load(str(path))
    assert "\n" not in str(raised.value)


def test_a_damaged_page_is_one_sentence(tmp_path: Path) -> None:
    made = stored(tmp_path)
    made.store.close()
    with closing(sqlite3.connect(made.outputs.state)) as database, database:
        database.execute("UPDATE directory SET sizes = x'00'")
    with pytest.raises(InventoryError, match="cannot be read"):
        load(made.outputs.state)


@pytest.mark.parametrize("is_torn", [False, True])
def test_a_scanner_that_starts_meanwhile_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_torn: bool
) -> None:
    made = stored(tmp_path)
    made.store.close()
    original = State.load_snapshot
    attempts: list[World] = []

    def starting(state: State) -> Snapshot:
        found = original(state)
        if not attempts:
            attempts.append(made)
            made.open()
            made.files.write(at("Downloads/late"), b"same" * 100)
            made.scan()
            if is_torn:
                raise DamagedStateError(state.path, "half of it is of another moment")
        return found

    monkeypatch.setattr(State, "load_snapshot", starting)
    assert load(made.outputs.state).snapshot == made.store.snapshot
    made.store.close()


@posix_only
def test_a_root_that_is_a_link_is_followed_on_local_disks(tmp_path: Path) -> None:
    real, output = tmp_path / "real", tmp_path / "out"
    real.mkdir()
    output.mkdir()
    (tmp_path / "link").symlink_to(real)
    path = str(output / "x.state.sqlite")
    state = State(path)
    roots = [Root("models", str(tmp_path / "link")), Root("extra", str(real))]
    snapshot, _ = seen(real)
    with state.transaction():
        state.save_directories({roots[0].path: snapshot[str(real)], **snapshot})
        state.save_memory(Memory(), Memory(roots={root.id: record(root) for root in roots}))
    state.close()
    known: Scanned = load(path, read_mounts())
    assert {root.path: root.target for root in known.roots} == {
        roots[0].path: str(real),
        roots[1].path: "",
    }
    assert not any(root.target for root in load(path).roots)


# The page


def page(told: Mapping[str, Any], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_duplicates(console, told)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_page_names_every_path_and_how_to_prove() -> None:
    told = as_json(crossing().find(), RECORDS, BASE)
    text = page(told)
    for line in (
        "    ComfyUI/models/loras/a\n    ComfyUI/models/vae/a\n    Downloads/a\n",
        "likely, by samples",
        "proven by xxh3",
        "proven, read whole",
        "3 sets, 262.2 kB wasted: 40 B proven, 262.1 kB likely.",
        "1 set of these, 20 B, spans several roots.",
        "2 files are only likely to be the same as others: `comfy-inventory hash` reads them",
        f"{DOWNLOADS.path} and {MODELS.path}",
    ):
        assert line in text
    assert "not looked at" not in text


def test_the_page_says_what_was_not_looked_at_and_what_is_away() -> None:
    shelf = crossing()
    shelf.put(f"{LORAS}/blind", size=20)
    records = [replace(RECORDS[0], state="offline"), RECORDS[1]]
    text = page(as_json(shelf.find(), records, BASE))
    assert "1 more file has the size of another and was not looked at yet" in text
    assert f"{MODELS.id} is offline: its files are reported as last seen." in text


def test_the_page_says_that_there_is_nothing() -> None:
    assert page(as_json(Report(()), RECORDS, BASE)) == "No duplicates.\n"


def test_what_may_be_either_is_told_in_its_own_words() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", C, xxh3=A)
    shelf.put(f"{LORAS}/b", C, xxh3=B)
    shelf.put(f"{LORAS}/c", C)
    told = as_json(shelf.find(), RECORDS, BASE)
    assert [copy["path"] for copy in told["sets"][0]["either"]] == [
        "ComfyUI/models/loras/a",
        "ComfyUI/models/loras/b",
    ]
    assert (
        "    ComfyUI/models/loras/c\n"
        "        each likely a copy of one of these, which are proven to differ:\n"
        "    ComfyUI/models/loras/a\n"
    ) in page(told)


def test_links_are_marked() -> None:
    shelf = Shelf()
    shelf.put(f"{LORAS}/a", A, inode=7)
    shelf.put(f"{LORAS}/z", A, inode=7)
    shelf.put(f"{LORAS}/b", A)
    told = as_json(shelf.find(), RECORDS, BASE)
    assert told["sets"][0]["copies"][0]["links"] == [{"path": "ComfyUI/models/loras/z"}]
    assert "      = ComfyUI/models/loras/z (the same file)\n" in page(told)


def test_only_the_first_sets_are_told_and_totals_are_of_all() -> None:
    told = as_json(crossing().find(), RECORDS, BASE, limit=1)
    assert len(told["sets"]) == 1
    assert told["sets_left_out"] == 2
    assert told["totals"]["sets"] == 3
    assert "2 more sets not shown" in page(told)


@posix_only
def test_names_can_do_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf()
    extra = Root("extra", "/x/\udcff\x1b[31m", "[bold]cat\x07")
    shelf.records = [record(extra)]
    nasty = ("a\x1b]0;x\x07", "b\nc", "\udcfe", "[red]d[/red]", "e" * 300)
    for name in nasty:
        shelf.put(f"{extra.path}/{name}", A)
    shelf.put(f"{extra.path}/link\x1b", type=FILE_LINK, target="b\nc")
    told = as_json(shelf.find(), shelf.records, None)
    text = page(told, width=40)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\\x1b]0;x\\x07\n" in text
    assert "b\\nc\n" in text
    assert "[red]d[/red]\n" in text
    assert "link\\x1b (the same file)\n" in text
    assert "[bold]cat\\x07" in text
    assert "e" * 300 in text  # never folded: it can be copied
    again = json.loads(orjson.dumps(told))
    assert any("path_b64" in copy for copy in again["sets"][0]["copies"])


def test_json_says_everything() -> None:
    told = json.loads(orjson.dumps(as_json(crossing().find(), RECORDS, BASE)))
    assert told["schema"] == 1
    assert told["totals"] == {
        "sets": 3, "files": 4, "wasted": BIG + 40,
        "proven": {"sets": 2, "files": 3, "wasted": 40},
        "likely": {"sets": 1, "files": 1, "wasted": BIG},
        "over_roots": {"sets": 1, "files": 2, "wasted": 20},
    }  # fmt: skip
    assert (told["unhashed"], told["not_looked_at"], told["sets_left_out"]) == (2, 0, 0)
    assert told["categories"] == [
        {"category": "vae", "sets": 2, "files": 2, "wasted": BIG + 10},
        {"category": None, "sets": 2, "files": 2, "wasted": 30},
    ]
    assert told["roots"] == [
        {"id": DOWNLOADS.id, "state": "online", "sets": 2, "files": 2, "wasted": 30},
        {"id": MODELS.id, "state": "online", "sets": 2, "files": 2, "wasted": BIG + 10},
    ]
    assert told["pairs"] == [{"roots": [DOWNLOADS.id, MODELS.id], "sets": 1, "bytes": 10}]
    assert told["sets"][1] == {
        "wasted": 20, "size": 10, "proven": True, "evidence": "xxh3", "digest": A.hex(),
        "copies": [
            {"path": path, "root": root, **category, "mtime": "1970-01-01T00:00:00.000000001Z",
             "hashed": True}
            for path, root, category in [
                ("ComfyUI/models/loras/a", MODELS.id, {"category": "loras"}),
                ("ComfyUI/models/vae/a", MODELS.id, {"category": "vae"}),
                ("Downloads/a", DOWNLOADS.id, {}),
            ]
        ],
    }  # fmt: skip
