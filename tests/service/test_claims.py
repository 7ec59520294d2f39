"""Files and links that go and come back keep what was read of them, if they are the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.core.digests import SHA256, XXH3
from scanner.disk.mounts import Mount
from scanner.service.claims import ClaimReader
from scanner.service.hashes import HashReader
from scanner.service.headers import HeaderReader
from tests.support.fakes import Node
from tests.support.real_worlds import RealWorld
from tests.support.world import World, at, safetensors

A = at("ComfyUI/models/loras/a.safetensors")
ELSEWHERE = "/data/a.safetensors"
DIGEST = hashlib.sha256(safetensors()).hexdigest()


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.write(at("ComfyUI/models/loras/other.txt"), b"1")
    return world


def read(world: World, *, hashes: bool = True) -> None:
    """All that a lane reads after a scan, in its order."""
    ClaimReader(world.scanner).work()
    HeaderReader(world.scanner, world.without_facts).work(lambda: False)
    if hashes:
        HashReader(world.scanner, world.unhashed, (XXH3, SHA256)).work(lambda: False)


def known(world: World, name: str = "a.safetensors") -> tuple[str, ...]:
    """The names of the fields that say what was read."""
    entry = world.entry(name)
    names = ("model", "hash", "sha256", "claimed_hash", "claimed_sha256")
    return tuple(name for name in names if name in entry)


def opened(world: World) -> int:
    """How many files were opened since the last call. Fingerprints are taken with each scan."""
    count = sum(operation == "open" for operation, _ in world.files.asked)
    world.files.asked.clear()
    return count


ALL = ("model", "hash", "sha256")


def gone_and_back(world: World, comes_back: Callable[[Node], object]) -> None:
    """Have A be gone in one scan, and come back in the next one."""
    read(world.settle())
    assert known(world) == ALL
    node = world.files.remove(A)
    assert ("deleted", "ComfyUI/models/loras/a.safetensors") in world.scan()
    comes_back(node)
    assert ("created", "ComfyUI/models/loras/a.safetensors") in world.scan()
    assert world.scan() == []
    opened(world)


def put_back(world: World, node: Node) -> None:
    parent = world.files._resolve(os.path.dirname(A))
    parent.children["a.safetensors"] = node
    world.files._change(parent)


def test_a_file_that_nothing_touched_keeps_facts_and_hashes(world: World) -> None:
    world.files.write(A, safetensors())
    gone_and_back(world, lambda node: put_back(world, node))
    assert known(world) == (), "nobody has compared it yet"
    read(world)
    assert known(world) == ALL
    assert opened(world) == 0


def test_a_copy_with_the_same_times_has_claims_until_it_is_read(world: World) -> None:
    world.files.write(A, safetensors())
    gone_and_back(world, lambda node: world.files.write(A, node.content, node.mtime))
    read(world, hashes=False)
    assert known(world) == ("model", "claimed_hash", "claimed_sha256")
    assert world.entry("a.safetensors")["claimed_sha256"] == DIGEST
    assert opened(world) == 1, "its header is read at once"
    world.restart()
    assert known(world) == ("model", "claimed_hash", "claimed_sha256")
    read(world)
    assert known(world) == ALL
    assert opened(world) == 1


def test_another_file_of_equal_size_and_times_takes_nothing_over(world: World) -> None:
    world.files.write(A, safetensors())
    other = safetensors()[:-1] + b"x"
    gone_and_back(world, lambda node: world.files.write(A, other, node.mtime))
    read(world, hashes=False)
    assert known(world) == ("model",)
    read(world)
    assert world.entry("a.safetensors")["sha256"] == hashlib.sha256(other).hexdigest()


def test_a_file_whose_ctime_moved_is_read_again(world: World) -> None:
    """Somebody may have written to it and put its mtime back."""
    world.files.write(A, safetensors())

    def touched(node: Node) -> None:
        node.ctime += 1
        put_back(world, node)

    gone_and_back(world, touched)
    read(world, hashes=False)
    assert known(world) == ("model", "claimed_hash", "claimed_sha256")


def test_inodes_that_are_made_up_prove_nothing(world: World) -> None:
    world.files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
    world.files.write(A, safetensors())
    gone_and_back(world, lambda node: put_back(world, node))
    read(world, hashes=False)
    assert known(world) == ("model", "claimed_hash", "claimed_sha256")


def test_what_came_back_is_read_first(world: World) -> None:
    world.files.write(A, safetensors())
    for name in ("b", "c"):
        world.files.write(at(f"ComfyUI/models/loras/{name}.bin"), name.encode() * 9)
    gone_and_back(world, lambda node: world.files.write(A, node.content, node.mtime))
    for name in ("d", "e"):
        world.files.write(at(f"ComfyUI/models/loras/{name}.bin"), name.encode() * 9)
    world.settle()
    ClaimReader(world.scanner).work()
    opened(world)
    HashReader(world.scanner, world.unhashed, (XXH3, SHA256)).work(lambda: False)
    assert next(path for operation, path in world.files.asked if operation == "open") == A


def test_links_that_are_removed_and_made_again_keep_all(world: World) -> None:
    """StabilityMatrix does so at every launch."""
    world.files.write(ELSEWHERE, safetensors())
    world.files.symlink(ELSEWHERE, A)
    gone_and_back(world, lambda _: world.files.symlink(ELSEWHERE, A))
    read(world)
    assert known(world) == ALL
    assert opened(world) == 0


def test_a_link_that_comes_back_and_leads_elsewhere_keeps_nothing(world: World) -> None:
    world.files.write(ELSEWHERE, safetensors(), 5)
    world.files.write("/data/b.safetensors", safetensors()[:-1] + b"x", 5)
    world.files.symlink(ELSEWHERE, A)
    gone_and_back(world, lambda _: world.files.symlink("/data/b.safetensors", A))
    read(world)
    digest = hashlib.sha256(safetensors()[:-1] + b"x").hexdigest()
    assert world.entry("a.safetensors")["sha256"] == digest


def test_a_linked_folder_that_is_made_again_keeps_all(tmp_path: Path) -> None:
    """On the real disk, with its own inodes and ctimes."""
    top, shared = tmp_path / "models", tmp_path / "shared"
    top.mkdir()
    shared.mkdir()
    (shared / "a.safetensors").write_bytes(safetensors())
    (top / "other.txt").write_text("1")  # a zone that lists empty is held
    (top / "loras").symlink_to(shared)
    world = RealWorld(tmp_path, top)
    read(world.settle())
    assert known(world) == ALL
    (top / "loras").unlink()
    assert world.scan()
    (top / "loras").symlink_to(shared)
    world.settle()
    world.opened.clear()
    read(world)
    assert known(world) == ALL
    assert not world.opened


def test_all_names_of_a_file_with_hard_links_are_compared_at_once(tmp_path: Path) -> None:
    top, shared = tmp_path / "models", tmp_path / "shared"
    top.mkdir()
    shared.mkdir()
    (shared / "a.safetensors").write_bytes(safetensors())
    (shared / "b.safetensors").hardlink_to(shared / "a.safetensors")
    (top / "other.txt").write_text("1")  # a zone that lists empty is held
    (top / "loras").symlink_to(shared)
    world = RealWorld(tmp_path, top)
    read(world.settle())
    (top / "loras").unlink()
    world.scan()
    (top / "loras").symlink_to(shared)
    world.settle()
    assert len(world.store.metadata.doubtful) == 2
    ClaimReader(world.scanner).work()
    assert not world.store.metadata.doubtful
    assert known(world, "b.safetensors") == known(world) == ALL


def test_a_file_that_is_gone_again_is_not_looked_for(world: World) -> None:
    world.files.write(A, safetensors())
    gone_and_back(world, lambda node: put_back(world, node))
    assert world.store.metadata.doubtful == {A}
    node = world.files.remove(A)
    world.scan()
    ClaimReader(world.scanner).work()
    assert not world.store.metadata.doubtful
    put_back(world, node)
    world.settle()
    read(world)
    assert known(world) == ALL


def test_a_root_that_is_removed_and_named_again_keeps_what_is_the_same(tmp_path: Path) -> None:
    """There is no line for each file then, and nothing says what is gone."""
    world = World(tmp_path)
    world.files.write(A, safetensors())
    world.files.write(at("Downloads/b.safetensors"), safetensors(), 5)
    read(world.settle())
    roots = world.roots
    world.scanner.set_roots(roots[:0])
    world.scan()
    node = world.files.remove(at("Downloads/b.safetensors"))
    world.files.write(at("Downloads/b.safetensors"), node.content[:-1] + b"x", 5)
    world.scanner.set_roots(roots)
    world.settle()
    read(world, hashes=False)
    assert known(world) == ALL
    assert known(world, "b.safetensors") == ("model",)
