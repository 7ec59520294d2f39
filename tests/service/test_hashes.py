"""Content hashes taken between scans or by `hash`: of which files, in which order, and when."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import xxhash

from scanner.core.digests import BLAKE3, SHA256, XXH3
from scanner.core.pending import PendingFolders
from scanner.core.progress import Progressed
from scanner.disk.hash_feed import BLOCK
from scanner.errors import OutputError
from scanner.output.inventory_view import InventoryView
from scanner.output.inventory_writer import write_inventory
from scanner.service import hash_tasks
from scanner.service.hash_tasks import HashTask, tasks_to_verify
from scanner.service.hasher import FileHasher
from scanner.service.hashes import HashReader
from scanner.service.headers import HeaderReader
from scanner.store.projection import view_of
from tests.support.fakes import FakeFileSystem
from tests.support.world import World, at, content, safetensors

A = at("ComfyUI/models/loras/a.safetensors")
B = at("ComfyUI/models/loras/b.safetensors")
C = at("ComfyUI/models/vae/c.safetensors")
BOTH = (XXH3, SHA256)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    for folder in ("loras", "vae"):
        world.files.makedirs(at(f"ComfyUI/models/{folder}"))
    return world


def reader(world: World, algorithms: tuple[str, ...] = BOTH, **values: Any) -> HashReader:
    pending = world.unhashed
    if "within" in values:
        pending = PendingFolders(world.store.snapshot)
    return HashReader(world.scanner, pending, algorithms, **values)


def to_verify(world: World, *within: str, before: int = 1 << 62) -> list[HashTask]:
    return tasks_to_verify(world.scanner, within, before)


def verified(world: World, tasks: Sequence[HashTask]) -> FileHasher:
    """Read `tasks` again."""
    hasher = FileHasher(world.scanner)
    hasher.verify(tasks, never)
    return hasher


def never() -> bool:
    return False


def digests(data: bytes) -> dict[str, bytes]:
    return {XXH3: xxhash.xxh3_128(data).digest(), SHA256: hashlib.sha256(data).digest()}


def known(world: World, path: str) -> dict[str, bytes]:
    found = world.store.metadata.of(path)
    return {} if found is None else dict(found.digests)


# What is read, in which order


def test_every_model_is_hashed_and_the_inventory_says_so(world: World) -> None:
    world.files.write(A, content("a"))
    left = reader(world.settle()).work(never)
    assert known(world, A) == digests(content("a"))
    assert (left.files, left.bytes) == (0, 0)
    entry = world.entry("a.safetensors")
    assert entry["hash"] == f"xxh3_128:{xxhash.xxh3_128(content('a')).hexdigest()}"
    assert entry["sha256"] == hashlib.sha256(content("a")).hexdigest()


def test_nothing_is_read_twice(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle()).work(never)
    world.restart()
    world.files.bytes_read = 0
    reader(world).work(never)
    assert world.files.bytes_read == 0


def test_a_hash_that_is_wanted_later_is_taken_alone(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle(), (XXH3,)).work(never)
    world.restart()
    reader(world).work(never)
    assert known(world, A) == digests(content("a"))


def test_a_file_that_changed_since_its_listing_waits_for_the_next_scan(world: World) -> None:
    world.files.write(A, content("a"))
    world.settle()
    one = reader(world)
    world.files.write(A, content("other"))
    one.work(never)
    assert known(world, A) == {}
    assert one.hasher.attempts.unreadable == [A]
    world.settle()
    one.work(never)
    assert known(world, A) == digests(content("other"))


def test_equal_sizes_come_first_and_then_the_smallest(world: World) -> None:
    sizes = {A: 9_000, B: 9_000, C: 10, at("ComfyUI/models/vae/d.safetensors"): 500}
    for path, size in sizes.items():
        world.files.write(path, content(path, size))
    world.settle()
    world.files.asked.clear()
    reader(world).work(never)
    opened = [path for operation, path in world.files.asked if operation == "open"]
    assert opened == [A, B, C, at("ComfyUI/models/vae/d.safetensors")]


def test_a_piece_at_a_time_until_the_next_scan_is_due(world: World) -> None:
    world.files.write(A, bytes(3 * BLOCK))
    world.settle()
    one = reader(world, rate=float(BLOCK))  # a piece is one block then
    for done in (1, 2):
        world.files.bytes_read = 0
        left = one.work(never, None, lambda: 1.0 - world.files.bytes_read)
        assert known(world, A) == {}
        assert left.bytes == (3 - done) * BLOCK
    world.files.bytes_read = 0
    one.work(never)
    assert known(world, A) == digests(bytes(3 * BLOCK))
    assert world.files.bytes_read == BLOCK


def test_the_rate_is_kept(world: World) -> None:
    world.files.write(A, bytes(8 * BLOCK))
    world.settle()
    started = world.files.monotonic()
    reader(world, rate=float(BLOCK)).work(never)
    assert 7 <= world.files.monotonic() - started <= 8


def test_a_growing_file_is_not_read(world: World) -> None:
    world.files.write(A, content("a", 10))
    world.scan()
    world.files.write(A, content("a", 2_000))
    world.scan()
    world.files.write(A, content("a", 3_000))
    world.scan(reads=False)
    reader(world).work(never)
    assert known(world, A) == {}


def test_what_could_not_be_read_is_tried_again_after_ten_minutes(world: World) -> None:
    """A server that restarts answers with errors for a moment."""
    world.files.write(A, content("a"))
    world.settle()
    world.files.faults["open", A] = errno.ESTALE
    one = reader(world)
    one.work(never)
    del world.files.faults["open", A]
    one.work(never)
    assert known(world, A) == {}
    world.files.advance(600)
    one.work(never)
    assert known(world, A) == digests(content("a"))


def test_the_rate_is_kept_over_the_scans_between(world: World) -> None:
    world.files.write(A, bytes(8 * BLOCK))
    world.settle()
    one = reader(world, rate=float(BLOCK))
    started = world.files.monotonic()
    while not known(world, A):
        ends = world.files.monotonic() + 0.4
        one.work(never, None, lambda ends=ends: ends - world.files.monotonic())  # type: ignore[misc]
        world.files.advance(0.1)
    assert world.files.monotonic() - started >= 7


def test_a_failing_display_has_nothing_read_twice(world: World) -> None:
    world.files.write(A, content("a"))
    world.settle()
    one = reader(world)

    def fail(done: Progressed) -> None:
        raise OutputError("the disk is full")

    with pytest.raises(OutputError):
        one.work(never, fail)
    world.files.bytes_read = 0
    one.work(never)
    assert world.files.bytes_read == 0
    assert known(world, A) == digests(content("a"))


def test_a_file_that_the_end_cut_off_is_left_and_not_unreadable(world: World) -> None:
    """A worker that is to stop answers no longer: that says nothing of the file."""
    world.files.write(A, content("a"))
    world.settle()
    world.workers.hanging.add("/")
    one = reader(world)
    left = one.work(lambda: bool(world.workers.lost))
    assert (left.files, left.bytes) == (1, len(content("a")))
    assert one.hasher.attempts.unreadable == []
    world.workers.hanging.clear()
    one.work(never)
    assert known(world, A) == digests(content("a"))


def test_a_mount_that_does_not_answer_is_asked_once(world: World) -> None:
    for path in (A, B):
        world.files.write(path, content(path))
    world.settle()
    world.workers.hanging.add("/")
    one = reader(world)
    one.work(never)
    assert len(world.workers.lost) == 1
    assert sorted(one.hasher.attempts.unreadable) == [A, B]
    world.workers.hanging.clear()
    one.work(never)
    assert known(world, A) and known(world, B)


def test_more_than_one_reader_reads_the_same_file_by_itself(world: World) -> None:
    world.files.write(A, bytes(3 * BLOCK))
    world.settle()
    first, second = (reader(world, within=[A], rate=float(BLOCK)) for _ in range(2))
    world.files.bytes_read = 0
    first.work(never, None, lambda: 1.0 - world.files.bytes_read)
    second.work(never)
    assert known(world, A) == digests(bytes(3 * BLOCK))


def test_a_hash_is_not_added_to_content_that_rotted(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle(), (XXH3,)).work(never)
    restore = corrupt(world.files, A)
    one = reader(world, within=[A])
    one.work(never)
    assert [damage.path for damage in one.hasher.damaged] == [A]
    assert known(world, A) == {XXH3: digests(content("a"))[XXH3]}
    restore()
    verified(world, to_verify(world))
    reader(world, within=[A]).work(never)
    assert known(world, A) == digests(content("a"))


def test_an_unreadable_file_is_tried_again_when_it_changes_only(world: World) -> None:
    world.files.write(A, content("a"))
    world.settle()
    world.files.faults["open", A] = errno.EIO
    one = reader(world)
    one.work(never)
    assert one.hasher.attempts.unreadable == [A]
    world.files.asked.clear()
    one.work(never)
    assert ("open", A) not in world.files.asked
    del world.files.faults["open", A]
    world.files.write(A, content("new"))
    world.settle()
    one.work(never)
    assert known(world, A) == digests(content("new"))


def test_only_what_is_asked_for_is_read(world: World) -> None:
    for path in (A, B, C):
        world.files.write(path, content(path))
    world.settle()
    reader(world, within=[B, os.path.dirname(C)]).work(never)
    assert [bool(known(world, path)) for path in (A, B, C)] == [False, True, True]


# Hashes follow the files


def test_a_hash_moves_with_its_file(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle()).work(never)
    target = at("ComfyUI/models/vae/renamed.safetensors")
    world.files.rename(A, target)
    assert world.scan() == [("moved", A[len("/home/u/") :], target[len("/home/u/") :])]
    assert known(world, target) == digests(content("a"))
    assert known(world, A) == {}
    world.files.bytes_read = 0
    reader(world).work(never)
    assert world.files.bytes_read == 0


def test_a_copy_that_was_read_keeps_what_is_known_of_it(world: World) -> None:
    """The line that tells of the move comes with the deletion, much later than the copy."""
    source = at("Downloads/a.safetensors")
    world.files.write(source, safetensors())
    headers, hashes = HeaderReader(world.settle().scanner, world.without_facts), reader(world)
    headers.work(never)
    hashes.work(never)
    world.files.advance(60)
    world.files.write(A, safetensors())
    world.settle()
    headers.work(never)
    hashes.work(never)
    assert known(world, A)
    world.files.remove(source)
    world.scan()
    assert known(world, A) == digests(safetensors())
    assert "model" in world.entry("a.safetensors")


def test_what_is_known_moves_although_the_clock_was_set_back(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle()).work(never)
    world.files.advance(700)
    world.scanner.publish(is_last=False)
    target = at("ComfyUI/models/vae/moved.safetensors")
    world.files.rename(A, target)
    world.scan()
    assert "hash" in world.entry("moved.safetensors")


def test_what_another_lane_learns_while_the_inventory_is_written_is_shown_later(
    world: World,
) -> None:
    world.files.write(A, content("a"))
    world.files.write(C, content("c"))
    reader(world.settle(), within=[A]).work(never)
    world.files.advance(700)
    write = world.store.inventory.write

    def slowly(view: InventoryView) -> None:
        write(view)
        reader(world, within=[C]).work(never)

    world.store.inventory.write = slowly  # type: ignore[method-assign]
    assert world.scanner.publish(is_last=False)
    world.store.inventory.write = write  # type: ignore[method-assign]
    assert "hash" in world.entry("c.safetensors")


def test_hashes_move_with_their_folder(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle()).work(never)
    world.files.rename(os.path.dirname(A), at("ComfyUI/models/styles"))
    world.scan()
    assert known(world, at("ComfyUI/models/styles/a.safetensors")) == digests(content("a"))
    assert "hash" in world.entry("a.safetensors")


def test_folders_that_swap_their_names_swap_their_hashes(world: World) -> None:
    world.files.write(A, content("a"))
    world.files.write(C, content("c"))
    reader(world.settle()).work(never)
    loras, vae, aside = os.path.dirname(A), os.path.dirname(C), at("ComfyUI/models/aside")
    for source, target in ((loras, aside), (vae, loras), (aside, vae)):
        world.files.rename(source, target)
    world.scan()
    for path, data in (
        (at("ComfyUI/models/vae/a.safetensors"), content("a")),
        (at("ComfyUI/models/loras/c.safetensors"), content("c")),
    ):
        assert known(world, path) in (digests(data), {})
        reader(world).work(never)
        assert known(world, path) == digests(data)


def test_a_rewritten_file_has_no_hash_in_the_inventory(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle()).work(never)
    world.files.write(A, content("b"))
    world.scan()
    assert "hash" not in world.entry("a.safetensors")


def test_notes_that_are_copied_and_notes_that_are_new_make_the_same_file(
    world: World, tmp_path: Path
) -> None:
    """The inventory copies what it takes for unchanged from the file before it."""
    paths = [at(f"ComfyUI/models/loras/{name}.safetensors") for name in "abc"]
    for path in (*paths, C):
        world.files.write(path, content(path))
    world.settle()
    for step, path in enumerate((*paths, C)):
        if step == 2:
            world.files.write(paths[0], content("new"))
            world.scan(advance=700)
        reader(world, within=[path]).work(never)
        if step == 3:
            corrupt(world.files, paths[1])
            verified(world, to_verify(world, paths[1]))
        world.files.advance(700)
        assert world.scanner.publish(is_last=False)
        fresh = tmp_path / f"fresh{step}.json"
        write_inventory(fresh, view_of(world.store, world.roots, world.files.now()))
        assert Path(world.outputs.inventory).read_bytes() == fresh.read_bytes()


def test_reading_hashes_is_no_reason_to_write_at_once(world: World) -> None:
    """Rule 10: annotations alone cause a write at most every ten minutes."""
    world.files.write(A, content("a"))
    world.settle()
    world.files.advance(700)
    world.scanner.publish(is_last=False)
    reader(world).work(never)
    assert not world.scanner.publish(is_last=False)
    world.files.advance(601)
    assert world.scanner.publish(is_last=False)
    world.files.advance(601)
    assert not world.scanner.publish(is_last=False)


# Verification


def test_silent_corruption_is_reported_and_never_overwritten(world: World) -> None:
    world.files.write(A, content("a"))
    world.files.write(C, content("c"))
    reader(world.settle()).work(never)
    corrupt(world.files, A)
    one = verified(world, to_verify(world))
    assert [damage.path for damage in one.damaged] == [A]
    assert known(world, A) == digests(content("a"))
    entry = world.entry("a.safetensors")
    assert entry["status"] == "corrupt"
    assert "size and time are the same" in entry["problem"]
    assert "status" not in world.entry("c.safetensors")


def test_a_mended_file_is_sound_again(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle()).work(never)
    restore = corrupt(world.files, A)
    verified(world, to_verify(world))
    restore()
    again = verified(world, to_verify(world))
    assert again.damaged == []
    assert "status" not in world.entry("a.safetensors")


def test_what_was_not_read_for_longest_is_verified_first(world: World) -> None:
    order = [C, A, B]
    for path in order:
        world.files.write(path, content(path))
    world.settle()
    for path in order:
        reader(world, within=[path]).work(never)
        world.files.advance(100)
    tasks = to_verify(world)
    assert [task.path for task in tasks] == order
    middle = tasks[1].expected
    assert middle is not None
    assert [task.path for task in to_verify(world, before=middle.read)] == [C]


def test_a_changed_file_is_no_corruption(world: World) -> None:
    world.files.write(A, content("a"))
    reader(world.settle()).work(never)
    tasks = to_verify(world)
    world.files.advance(1)
    world.files.write(A, content("other"))
    one = verified(world, tasks)
    assert one.damaged == []
    assert one.attempts.unreadable == [A]


def corrupt(files: FakeFileSystem, path: str) -> Callable[[], None]:
    """Change a byte as a failing disk does, and give back what undoes it."""
    node = files._resolve(path)
    before = node.content
    node.content = bytes([before[0] ^ 1]) + before[1:]

    def restore() -> None:
        node.content = before

    return restore


@pytest.mark.parametrize(
    ("known", "is_installed", "checked"),
    [
        ((XXH3, BLAKE3, SHA256), True, XXH3),
        ((BLAKE3, SHA256), True, BLAKE3),
        ((BLAKE3, SHA256), False, SHA256),
        ((BLAKE3,), False, BLAKE3),
    ],
)
def test_verify_takes_the_cheapest_hash_that_can_be_taken(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    known: tuple[str, ...],
    is_installed: bool,
    checked: str,
) -> None:
    world.files.write(A, content("a"))
    reader(world.settle(), known).work(never)
    monkeypatch.setattr(hash_tasks, "has_blake3", lambda: is_installed)
    (task,) = to_verify(world)
    assert task.algorithms == (checked,)
