"""Links to files have what is read of their targets, and a file is read once (rules 3 and 11)."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path

import pytest

from scanner.core.digests import SHA256, XXH3
from scanner.disk.mounts import Mount
from scanner.service.attempts import RETRY_AFTER
from scanner.service.hash_tasks import tasks_to_verify
from scanner.service.hasher import FileHasher
from scanner.service.hashes import HashReader
from scanner.service.headers import HeaderReader
from scanner.store.metadata import MetadataUpdate
from scanner.walk.fingerprints import PATIENCE
from scanner.workers.worker import Worker
from tests.support.real_worlds import RealWorld
from tests.support.world import World, at, content, safetensors

LORAS = at("ComfyUI/models/loras")
REPOSITORY = at("ComfyUI/models/hub/models--x--y")
BLOB = f"{REPOSITORY}/blobs/{'0' * 64}"
SNAPSHOT = f"{REPOSITORY}/snapshots/abc"
TO_BLOB = f"../../blobs/{'0' * 64}"
ELSEWHERE = "/data/a.safetensors"
NAS = "/mnt/nas/a.safetensors"
DIGEST = hashlib.sha256(safetensors()).hexdigest()


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.makedirs(LORAS)
    return world


class Readers:
    """The readers of a lane, which are kept from scan to scan."""

    def __init__(self, world: World) -> None:
        self.headers = HeaderReader(world.scanner, world.without_facts)
        self.hashes = HashReader(world.scanner, world.unhashed, (XXH3, SHA256))

    def work(self) -> None:
        self.headers.work(lambda: False)
        self.hashes.work(lambda: False)


def read(world: World) -> None:
    """Two scans, with all that a lane reads after them."""
    Readers(world.settle()).work()


def opened(world: World) -> Counter[str]:
    """How often each file was opened."""
    return Counter(path for operation, path in world.files.asked if operation == "open")


def facts(world: World, name: str) -> tuple[str | None, ...]:
    """Format, whether there is a fingerprint, and SHA-256 in the inventory."""
    entry = world.entry(name)
    has_fingerprint = "fingerprint" if "fingerprint" in entry else None
    return entry.get("model", {}).get("format"), has_fingerprint, entry.get("sha256")


ALL = ("safetensors", "fingerprint", DIGEST)
NOTHING = (None, None, None)


def test_a_linked_model_has_the_facts_of_its_target(world: World) -> None:
    world.files.write(ELSEWHERE, safetensors())
    world.files.symlink(ELSEWHERE, f"{LORAS}/a.safetensors")
    read(world)
    assert facts(world, "a.safetensors") == ALL
    assert opened(world) == {ELSEWHERE: 3}


def test_the_status_of_the_target_stands_under_the_link(world: World) -> None:
    world.files.write(ELSEWHERE, safetensors(2))
    world.files.symlink(ELSEWHERE, f"{LORAS}/a.safetensors")
    read(world)
    assert world.entry("a.safetensors")["status"] == "truncated"
    assert "header declares" in world.entry("a.safetensors")["problem"]


def test_links_to_one_file_share_one_reading_with_it(world: World) -> None:
    world.files.write(f"{LORAS}/m.safetensors", safetensors())
    for name in ("a", "z"):
        world.files.symlink("m.safetensors", f"{LORAS}/{name}.safetensors")
    world.files.symlink(LORAS + "/z.safetensors", at("ComfyUI/models/chain.safetensors"))
    read(world)
    for name in ("a.safetensors", "m.safetensors", "z.safetensors", "chain.safetensors"):
        assert facts(world, name) == ALL
    assert opened(world) == {f"{LORAS}/m.safetensors": 3}


@pytest.mark.parametrize("runs", [1, 2])
def test_a_file_that_a_link_was_read_for_is_not_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    """The link is read first, and the turn of the file comes later, or in the next run."""
    monkeypatch.setattr("scanner.service.headers.HEADERS", 1)
    file = f"{LORAS}/m.safetensors"
    world.files.write(file, safetensors())
    world.files.symlink("m.safetensors", f"{LORAS}/a.safetensors")
    reader = HeaderReader(world.settle().scanner, world.without_facts)
    if runs == 2:
        reader.work(lambda: bool(opened(world)[file] > 1))
    reader.work(lambda: False)
    assert opened(world)[file] == 2  # for its fingerprint, and for its header
    assert facts(world, "a.safetensors")[0] == facts(world, "m.safetensors")[0] == "safetensors"


def test_links_to_one_file_outside_of_all_roots_share_one_reading(world: World) -> None:
    world.files.write(ELSEWHERE, safetensors())
    world.files.symlink(ELSEWHERE, "/data/link")
    for number in range(100):
        target = ELSEWHERE if number % 2 else "/data/link"
        world.files.symlink(target, at(f"ComfyUI/models/{number}/{number}.safetensors"))
    read(world)
    for number in (0, 1, 99):
        assert facts(world, f"{number}/{number}.safetensors") == ALL
    assert opened(world) == {ELSEWHERE: 3}


def test_a_link_that_comes_later_takes_what_is_known(world: World) -> None:
    world.files.write(ELSEWHERE, safetensors())
    world.files.write(f"{LORAS}/own.safetensors", safetensors(3) + b"x")
    world.files.symlink(ELSEWHERE, f"{LORAS}/a.safetensors")
    readers = Readers(world.settle())
    readers.work()
    world.files.asked.clear()
    world.files.symlink(ELSEWHERE, f"{LORAS}/b.safetensors")
    world.files.symlink("own.safetensors", f"{LORAS}/c.safetensors")
    world.settle()
    readers.work()
    assert facts(world, "b.safetensors") == ALL
    assert facts(world, "c.safetensors")[2] == hashlib.sha256(safetensors(3) + b"x").hexdigest()
    assert opened(world) == {}


def test_many_links_are_saved_a_few_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        world.files.write(f"/data/{number}.safetensors", safetensors())
        world.files.symlink(f"/data/{number}.safetensors", f"{LORAS}/{number}.safetensors")
    saved: list[int] = []
    save = world.store.metadata.save

    def count(updates: list[MetadataUpdate], now: int) -> None:
        saved.append(len(updates))
        save(updates, now)

    world.settle()
    monkeypatch.setattr(world.store.metadata, "save", count)
    HashReader(world.scanner, world.unhashed, (XXH3, SHA256)).work(lambda: False)
    assert sum(saved) == 40
    assert len(saved) < 5


def test_links_cost_no_look_at_the_mount_table_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        world.files.write(f"/data/{number}.safetensors", content(f"{number} "))
        world.files.symlink(f"/data/{number}.safetensors", f"{LORAS}/{number}.safetensors")
    world.scan(reads=False)
    world.files.advance(30)
    mounts, looks = world.files.mounts, Counter[str]()

    def count() -> list[Mount]:
        looks["mounts"] += 1
        return mounts()

    monkeypatch.setattr(world.files, "mounts", count)
    world.backlog.work(lambda: False)
    assert len(opened(world)) == 40
    assert looks["mounts"] < 20


def test_the_cache_of_hugging_face_has_its_names_from_the_snapshot(world: World) -> None:
    world.files.write(BLOB, safetensors())
    world.files.write(f"{REPOSITORY}/blobs/{'1' * 64}.incomplete", content("half"))
    world.files.write(at("ComfyUI/models/hub/.locks/models--x--y/1.lock"), b"")
    for revision in ("abc", "def"):
        world.files.symlink(TO_BLOB, f"{REPOSITORY}/snapshots/{revision}/m.safetensors")
    read(world)
    for revision in ("abc", "def"):
        assert facts(world, f"{revision}/m.safetensors") == ALL
    assert facts(world, "0" * 64) == (None, "fingerprint", DIGEST)
    assert world.entry(".incomplete")["status"] == "partial"
    assert not [path for path in world.project() if ".locks" in path]
    # Fingerprint, header and hash; the unfinished blob has the first and the last.
    assert opened(world)[BLOB] == 3
    assert sum(opened(world).values()) == 5


def test_a_link_with_another_suffix_is_read_as_what_its_name_says(world: World) -> None:
    world.files.write(f"{LORAS}/a.safetensors", safetensors())
    world.files.symlink("a.safetensors", f"{LORAS}/b.gguf")
    read(world)
    assert "status" not in world.entry("a.safetensors")
    assert world.entry("b.gguf")["status"] == "damaged"


def test_a_target_that_is_replaced_is_read_anew(world: World) -> None:
    world.files.write(ELSEWHERE, safetensors())
    world.files.symlink(ELSEWHERE, f"{LORAS}/a.safetensors")
    readers = Readers(world.settle())
    readers.work()
    world.files.write(ELSEWHERE, safetensors(2))
    world.settle()
    assert facts(world, "a.safetensors")[::2] == (None, None)
    readers.work()
    digest = hashlib.sha256(safetensors(2)).hexdigest()
    assert facts(world, "a.safetensors") == ("safetensors", "fingerprint", digest)


def test_a_damaged_target_is_read_again_once_for_all_links(world: World) -> None:
    world.files.write(ELSEWHERE, safetensors())
    for name in "ab":
        world.files.symlink(ELSEWHERE, f"{LORAS}/{name}.safetensors")
    read(world)
    node = world.files._resolve(ELSEWHERE)
    node.content = node.content[:-1] + b"x"
    (task,) = tasks_to_verify(world.scanner, (), 1 << 62)
    hasher = FileHasher(world.scanner)
    hasher.verify([task], lambda: False)
    assert [damage.path for damage in hasher.damaged] == [task.path]
    for name in "ab":
        assert world.entry(f"{name}.safetensors")["status"] == "corrupt"
    world.files.symlink(ELSEWHERE, f"{LORAS}/late.safetensors")
    read(world)
    assert world.entry("late.safetensors")["status"] == "corrupt"


def test_a_link_to_files_of_this_program_is_never_read(world: World) -> None:
    world.files.makedirs(str(world.folder))
    world.files.write(world.outputs.inventory, b"{}")
    world.files.symlink(world.outputs.inventory, f"{LORAS}/a.safetensors")
    read(world)
    assert facts(world, "a.safetensors") == NOTHING
    assert opened(world) == {}


def test_a_link_that_leads_elsewhere_loses_what_was_read(world: World) -> None:
    """Also where size and mtime are the same, and where a link on the way leads elsewhere."""
    for name in ("one", "two"):
        world.files.write(f"/data/{name}.safetensors", safetensors() + name.encode(), 5)
    world.files.symlink("/data/one.safetensors", f"{LORAS}/a.safetensors")
    world.files.symlink("a.safetensors", f"{LORAS}/b.safetensors")
    world.files.symlink("loras/b.safetensors", at("ComfyUI/models/c.safetensors"))
    readers = Readers(world.settle())
    readers.work()
    before = world.entry("a.safetensors")
    link = world.files.root.children["home"].children["u"].children["ComfyUI"]
    link = link.children["models"].children["loras"].children["a.safetensors"]
    link.target = "/data/two.safetensors"
    world.files._change(world.files._resolve(LORAS))
    world.scan(reads=False)
    for name in ("a.safetensors", "b.safetensors", "models/c.safetensors"):
        assert facts(world, name) == NOTHING
    world.settle()
    readers.work()
    for name in ("a.safetensors", "b.safetensors", "models/c.safetensors"):
        now = world.entry(name)
        assert now["sha256"] == hashlib.sha256(safetensors() + b"two").hexdigest()
        assert now["fingerprint"] != before["fingerprint"]
        assert now["status"] == "damaged"  # it has more bytes than its header says


def test_a_target_replaced_by_rename_is_another_file_for_its_links_too(world: World) -> None:
    world.files.write(at("Downloads/m.safetensors"), safetensors(), 5)
    world.files.symlink(at("Downloads/m.safetensors"), f"{LORAS}/a.safetensors")
    readers = Readers(world.settle())
    readers.work()
    world.files.remove(at("Downloads/m.safetensors"))
    world.files.write(at("Downloads/m.safetensors"), safetensors()[:-1] + b"x", 5)
    assert world.scan(reads=False) == []
    assert facts(world, "a.safetensors") == NOTHING
    world.settle()
    readers.work()
    assert facts(world, "a.safetensors")[2] == hashlib.sha256(safetensors()[:-1] + b"x").hexdigest()


# Another mount


@pytest.fixture
def nas(world: World) -> World:
    """A model on a share that is no root, a link to it, and one to a file of this disk."""
    world.files.mount_table.append(Mount("/mnt/nas", "cifs", "//nas/models"))
    world.files.write(NAS, safetensors())
    world.files.write(ELSEWHERE, safetensors())
    world.files.symlink(NAS, f"{LORAS}/a.safetensors")
    world.files.symlink(ELSEWHERE, f"{LORAS}/b.safetensors")
    return world


def test_a_link_to_another_mount_is_read_through_its_worker(nas: World) -> None:
    asked: list[tuple[str, float | None]] = []
    of = nas.workers.of

    def noting(mount: Mount, patience: float | None = None) -> Worker:
        asked.append((mount.point, patience))
        return of(mount, patience)

    nas.workers.of = noting  # type: ignore[method-assign]
    read(nas)
    assert facts(nas, "a.safetensors") == ALL
    assert opened(nas)[NAS] == 3
    assert f"{LORAS}/a.safetensors" not in opened(nas)
    assert {patience for point, patience in asked if point == "/mnt/nas"} == {PATIENCE}


def test_a_mount_that_hangs_stops_no_other_link(nas: World) -> None:
    nas.settle()
    nas.workers.hanging.add("/mnt/nas")
    readers = Readers(nas)
    readers.work()
    tries = len(nas.workers.lost)
    readers.work()
    assert len(nas.workers.lost) == tries, "it is not asked in each turn"
    assert facts(nas, "b.safetensors") == ALL
    assert facts(nas, "a.safetensors")[::2] == (None, None)
    nas.workers.hanging.clear()
    nas.files.advance(RETRY_AFTER)
    readers.work()
    assert facts(nas, "a.safetensors") == ALL


def test_a_link_to_a_mount_that_is_away_costs_nothing(nas: World) -> None:
    nas.files.mount_table.pop()
    nas.files.remove(NAS)
    read(nas)
    assert facts(nas, "b.safetensors") == ALL
    assert facts(nas, "a.safetensors") == NOTHING


def test_hard_links_are_read_once(tmp_path: Path) -> None:
    """On the real disk: the fake one has no hard links."""
    top = tmp_path / "models"
    (top / "loras").mkdir(parents=True)
    (top / "loras" / "a.safetensors").write_bytes(safetensors())
    os.link(top / "loras" / "a.safetensors", top / "b.safetensors")
    os.link(top / "loras" / "a.safetensors", top / "loras" / "c.safetensors")
    world = RealWorld(tmp_path, top)
    read(world)
    for name in ("loras/a.safetensors", "models/b.safetensors", "c.safetensors"):
        assert facts(world, name) == ALL
    assert sum(world.opened.values()) == 3
