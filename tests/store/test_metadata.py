from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scanner.errors import DamagedStateError, OutputError
from scanner.store.claims import doubt_rows
from scanner.store.metadata import MetadataTable, MetadataUpdate

PATH = "/models/loras/a.safetensors"


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[MetadataTable]:
    found = MetadataTable(str(tmp_path / "state.sqlite"))
    yield found
    found.close()


def test_what_was_learned_is_found_again_after_a_restart(metadata: MetadataTable) -> None:
    metadata.save(
        [MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16}, {"model": {"format": "gguf"}})], 99
    )
    metadata.close()
    again = MetadataTable(metadata.path)
    known = again.of(PATH)
    again.close()
    assert known is not None
    assert known.is_of(5, 7)
    assert known.digests == {"xxh3": b"x" * 16}
    assert known.facts == {"model": {"format": "gguf"}}
    assert (known.read, known.corrupt) == (99, 0)


def test_one_thing_learned_leaves_the_others_of_the_same_file(metadata: MetadataTable) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    metadata.save([MetadataUpdate(PATH, 5, 7, {"sha256": b"s" * 32})], 2)
    metadata.save([MetadataUpdate(PATH, 5, 7, facts={"model": {}})], 3)
    known = metadata.of(PATH)
    assert known is not None
    assert known.digests == {"xxh3": b"x" * 16, "sha256": b"s" * 32}
    assert known.facts == {"model": {}}
    assert known.read == 2


def test_hashes_of_a_version_without_blake3_stay_and_it_is_added(metadata: MetadataTable) -> None:
    """Their checksums too: a column that comes at the end leaves those right."""
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16, "sha256": b"s" * 32})], 1)
    metadata._db.execute("ALTER TABLE known DROP COLUMN blake3")
    metadata.close()
    reading = MetadataTable(metadata.path, readonly=True)
    known = reading.of(PATH)
    reading.close()
    assert known is not None
    assert known.digests == {"xxh3": b"x" * 16, "sha256": b"s" * 32}
    again = MetadataTable(metadata.path)
    again.save([MetadataUpdate(PATH, 5, 7, {"blake3": b"b" * 32})], 2)
    known = again.of(PATH)
    assert known is not None
    assert known.digests == {"xxh3": b"x" * 16, "sha256": b"s" * 32, "blake3": b"b" * 32}
    again.save([MetadataUpdate(PATH, 6, 7, {"xxh3": b"y" * 16})], 3)
    known = again.of(PATH)
    again.close()
    assert known is not None
    assert known.digests == {"xxh3": b"y" * 16}


@pytest.mark.parametrize(("size", "mtime"), [(6, 7), (5, 8)])
def test_what_was_read_of_another_content_is_forgotten(
    metadata: MetadataTable, size: int, mtime: int
) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16}, {"model": {"a": 1}})], 1)
    metadata.mark(PATH, corrupt=2, now=2)
    metadata.save([MetadataUpdate(PATH, size, mtime, {"sha256": b"s" * 32})], 3)
    known = metadata.of(PATH)
    assert known is not None
    assert known.digests == {"sha256": b"s" * 32}
    assert known.facts is None
    assert known.corrupt == 0


def test_folders_tell_by_a_number_that_something_in_them_is_new(metadata: MetadataTable) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    before = metadata.versions
    metadata.save([MetadataUpdate("/models/vae/b.pt", 5, 7, {"xxh3": b"y" * 16})], 1)
    assert before.keys() == {"/models/loras"}
    assert metadata.versions["/models/loras"] == before["/models/loras"]
    metadata.mark(PATH, corrupt=5, now=5)
    assert metadata.versions["/models/loras"] > before["/models/loras"]


def test_reading_a_sound_file_again_changes_nothing_that_readers_see(
    metadata: MetadataTable,
) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    before = metadata.versions
    metadata.mark(PATH, corrupt=0, now=50)
    known = metadata.of(PATH)
    assert known is not None
    assert known.read == 50
    assert not metadata.refresh()
    assert metadata.versions is before


def test_another_process_is_noticed(metadata: MetadataTable) -> None:
    other = MetadataTable(metadata.path)
    assert not metadata.refresh()
    other.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    other.close()
    assert metadata.refresh()
    assert metadata.versions.keys() == {"/models/loras"}
    assert not metadata.refresh()


def test_numbers_rise_although_rows_are_dropped(metadata: MetadataTable) -> None:
    other = MetadataTable(metadata.path)
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    other.refresh()
    metadata.forget_folders(["/models/loras"])
    metadata.save([MetadataUpdate(PATH, 5, 8, {"xxh3": b"y" * 16})], 1)
    assert other.refresh()
    other.close()


def test_names_that_are_not_utf8_are_kept(metadata: MetadataTable) -> None:
    path = "/models/\udcff/\udcfe.safetensors"
    metadata.save([MetadataUpdate(path, 5, 7, {"xxh3": b"x" * 16})], 1)
    assert metadata.of(path) is not None
    assert list(metadata.of_folder("/models/\udcff")) == ["\udcfe.safetensors"]


def test_folders_that_are_no_more_are_forgotten(metadata: MetadataTable) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    metadata.forget_folders(["/models/loras"])
    assert metadata.of(PATH) is None
    assert metadata.versions == {}


def test_reading_alone_writes_nothing(metadata: MetadataTable, tmp_path: Path) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    metadata.close()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    reading = MetadataTable(metadata.path, readonly=True)
    assert reading.digests_of(PATH, 5, 7) == {"xxh3": b"x" * 16}
    assert reading.versions.keys() == {"/models/loras"}
    reading.close()
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_state_of_before_is_read_as_one_that_knows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE meta (key TEXT)")
    reading = MetadataTable(str(path), readonly=True)
    assert reading.of(PATH) is None
    assert reading.versions == {}
    reading.close()


def test_damaged_facts_are_read_again(metadata: MetadataTable) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16}, {"model": {}})], 1)
    metadata._db.execute("UPDATE known SET facts = '{' || facts, checksum = NULL")
    known = metadata.of(PATH)
    assert known is not None
    assert (known.facts, known.digests) == (None, {"xxh3": b"x" * 16})


@pytest.mark.parametrize("readonly", [False, True])
def test_values_of_another_kind_are_noticed_on_opening(
    metadata: MetadataTable, readonly: bool
) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    metadata._db.execute("UPDATE known SET folder = 5")
    metadata.close()
    with pytest.raises(DamagedStateError, match="cannot be read"):
        MetadataTable(metadata.path, readonly=readonly)


def test_a_hash_of_what_is_corrupt_is_none(metadata: MetadataTable) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    metadata.mark(PATH, corrupt=3, now=3)
    assert metadata.digests_of(PATH, 5, 7) == {}


def test_news_are_found_without_reading_the_table(metadata: MetadataTable) -> None:
    plan = metadata._db.execute(
        "EXPLAIN QUERY PLAN SELECT folder, max(version) FROM known INDEXED BY known_version"
        " WHERE version > 1 GROUP BY folder"
    ).fetchall()
    assert any("known_version" in row[3] and "SEARCH" in row[3] for row in plan)


DAMAGE = "UPDATE known SET sha256 = CAST(zeroblob(32) AS BLOB)"


def test_a_row_that_the_disk_changed_counts_as_not_read_yet(metadata: MetadataTable) -> None:
    other = "/models/loras/b.safetensors"
    digests = {"sha256": b"s" * 32}
    metadata.save([MetadataUpdate(path, 5, 7, digests) for path in (PATH, other)], 1)
    metadata.mark(PATH, corrupt=0, now=2)
    metadata._db.execute(f"{DAMAGE} WHERE name = CAST('a.safetensors' AS BLOB)")
    assert metadata.of(PATH) is None
    assert metadata.of_folder("/models/loras").keys() == {"b.safetensors"}
    metadata.save([MetadataUpdate(PATH, 5, 7, facts={})], 3)
    again = metadata.of(PATH)
    assert again is not None
    assert again.digests == {}


def test_to_mark_a_file_makes_no_damaged_row_right(metadata: MetadataTable) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"sha256": b"s" * 32})], 1)
    metadata._db.execute(DAMAGE)
    metadata.mark(PATH, corrupt=0, now=2)
    assert metadata.of(PATH) is None


@pytest.mark.parametrize("readonly", [True, False])
def test_a_table_of_an_older_version_is_read(metadata: MetadataTable, readonly: bool) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"sha256": b"s" * 32})], 1)
    metadata._db.execute("DROP INDEX known_doubtful")
    for column in ("checksum", "identity", "claimed", "blake3"):
        metadata._db.execute(f"ALTER TABLE known DROP COLUMN {column}")
    metadata.close()
    with closing(MetadataTable(metadata.path, readonly=readonly)) as again:
        assert again.digests_of(PATH, 5, 7) == {"sha256": b"s" * 32}


CLAIM = {"sha256": b"s" * 32}


@pytest.fixture
def doubtful(metadata: MetadataTable) -> MetadataTable:
    """A table of one file that was gone and has come back."""
    metadata.save([MetadataUpdate(PATH, 5, 7, CLAIM, {"model": {}}, b"1 2 3")], 1)
    assert doubt_rows(metadata._db, {PATH: b"f" * 16, PATH + "x": b""}) == {PATH}
    metadata.doubtful.add(PATH)
    return metadata


def test_what_is_in_doubt_counts_for_nothing(doubtful: MetadataTable) -> None:
    assert doubtful.digests_of(PATH, 5, 7) == {}
    known = doubtful.of(PATH)
    assert known is not None
    assert (known.digests, known.facts, known.claims) == ({}, None, {})
    assert (known.identity, known.claimed) == (b"1 2 3", b"f" * 16)
    with closing(MetadataTable(doubtful.path)) as again:
        assert again.doubtful == {PATH}


@pytest.mark.parametrize("is_same", [True, False, None])
def test_doubt_is_settled_once(doubtful: MetadataTable, is_same: bool | None) -> None:
    version = doubtful.versions["/models/loras"]
    doubtful.settle({PATH: is_same})
    known = doubtful.of(PATH)
    assert not doubtful.doubtful
    if is_same is None:
        assert known is None
        return
    assert known is not None
    assert doubtful.versions["/models/loras"] > version, "readers of the inventory see it"
    if is_same:
        assert (known.digests, known.facts, known.claims) == (CLAIM, {"model": {}}, {})
    else:
        assert (known.digests, known.facts, known.claims) == ({}, None, CLAIM)


def test_a_claim_stays_beside_new_facts_and_ends_with_new_hashes(doubtful: MetadataTable) -> None:
    doubtful.settle({PATH: False})
    doubtful.save([MetadataUpdate(PATH, 5, 7, facts={"model": {"a": 1}}, identity=b"4")], 2)
    known = doubtful.of(PATH)
    assert known is not None
    assert (known.digests, known.facts, known.claims) == ({}, {"model": {"a": 1}}, CLAIM)
    doubtful.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16}, identity=b"4")], 3)
    known = doubtful.of(PATH)
    assert known is not None
    assert (known.digests, known.claims) == ({"xxh3": b"x" * 16}, {})
    assert (known.facts, known.identity) == ({"model": {"a": 1}}, b"4")


def test_a_damaged_row_of_a_file_that_came_back_is_not_believed(metadata: MetadataTable) -> None:
    metadata.save([MetadataUpdate(PATH, 5, 7, {"xxh3": b"x" * 16})], 1)
    metadata._db.execute("UPDATE known SET xxh3 = ?", (b"y" * 16,))
    assert metadata.of(PATH) is None
    assert doubt_rows(metadata._db, {PATH: b""}) == set()
    assert metadata.of(PATH) is None


def test_doubt_that_cannot_be_settled_stays(doubtful: MetadataTable) -> None:
    with closing(sqlite3.connect(doubtful.path, isolation_level=None)) as other:
        doubtful._db.execute("PRAGMA busy_timeout=1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutputError, match="locked"):
            doubtful.settle({PATH: True})
    assert doubtful.doubtful == {PATH}
    doubtful.settle({PATH: True})
    assert not doubtful.doubtful
