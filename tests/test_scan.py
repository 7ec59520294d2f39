"""Passes over a fake disk: what the change list says of what was done to it.

`World.scan` checks on every pass that the change list replays exactly and that the inventory shows
what the snapshot holds.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from scanner.core.digests import WHOLE
from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem
from tests.support.world import DOWNLOADS, MODELS, World, at, content

BIG = WHOLE * 3


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    files = world.files
    for name in ("a", "b", "c"):
        files.write(at(f"ComfyUI/models/loras/{name}.safetensors"), content(name))
    files.write(at("ComfyUI/models/checkpoints/big.safetensors"), content("big", BIG))
    files.write(at("Downloads/new.safetensors"), content("new"))
    world.scan()
    return world


def lora(name: str) -> str:
    return f"ComfyUI/models/loras/{name}.safetensors"


def test_first_scan_is_one_baseline_per_root(world: World) -> None:
    assert world.baselines() == [("ComfyUI/models", "added"), ("Downloads", "added")]
    assert len(world.lines) == 2
    assert set(world.inventory()) == {
        at("ComfyUI/models/checkpoints"),
        at("ComfyUI/models/checkpoints/big.safetensors"),
        at("ComfyUI/models/loras"),
        at(lora("a")),
        at(lora("b")),
        at(lora("c")),
        at("Downloads/new.safetensors"),
    }


def test_unchanged_tree_gives_no_change_and_no_write(world: World) -> None:
    written = Path(world.outputs.inventory).stat().st_mtime_ns
    assert world.scan() == []
    assert Path(world.outputs.inventory).stat().st_mtime_ns == written


def test_created_modified_touched_and_deleted_files_each_have_one_line(world: World) -> None:
    world.files.write(at(lora("d")), b"d")
    world.files.write(at(lora("a")), content("a") + b"more")
    world.files.touch(at(lora("b")))
    world.files.remove(at(lora("c")))
    assert world.scan() == [
        ("created", lora("d")),
        ("deleted", lora("c")),
        ("modified", lora("a")),
        ("modified", lora("b")),
    ]
    assert world.scan() == []


def test_older_mtime_of_equal_size_is_a_modification(world: World) -> None:
    world.files.write(at(lora("a")), content("z"), mtime=1_000_000_000)
    assert world.scan() == [("modified", lora("a"))]


def test_rename_is_one_move(world: World) -> None:
    world.files.rename(at(lora("a")), at(lora("renamed")))
    assert world.scan() == [("moved", lora("a"), lora("renamed"))]
    assert world.lines[0]["evidence"] == "inode"


def test_move_across_roots_without_inodes_is_proven_by_fingerprint(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
    world.files.shuffles_inodes = True
    world.files.write(at("Downloads/x.safetensors"), content("x", BIG))
    world.scan()
    world.files.rename(at("Downloads/x.safetensors"), at(lora("x")))
    assert world.scan() == [
        ("created", "ComfyUI/models/loras"),
        ("moved", "Downloads/x.safetensors", lora("x")),
    ]
    assert [line.get("evidence") for line in world.lines if "from" in line] == ["fingerprint"]


def test_fine_tunes_of_equal_size_and_header_do_not_collide(tmp_path: Path) -> None:
    """Two files of one size whose only difference is one run of 4 % in the middle."""
    world = World(tmp_path)
    world.files.shuffles_inodes = True
    world.files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
    size = 4_000_000
    one = bytearray(size)
    other = bytearray(size)
    other[1_230_000 : 1_230_000 + size // 25] = b"\x01" * (size // 25)
    world.files.write(at("Downloads/one.safetensors"), bytes(one))
    world.scan()
    world.files.remove(at("Downloads/one.safetensors"))
    world.files.write(at("Downloads/other.safetensors"), bytes(other))
    assert world.scan() == [
        ("created", "Downloads/other.safetensors"),
        ("deleted", "Downloads/one.safetensors"),
    ]


def test_swapped_files_are_two_modifications(world: World) -> None:
    world.files.rename(at(lora("a")), at("Downloads/tmp"))
    world.files.rename(at(lora("b")), at(lora("a")))
    world.files.rename(at("Downloads/tmp"), at(lora("b")))
    world.files.touch(at(lora("a")))
    world.files.advance(1)
    world.files.touch(at(lora("b")))
    assert world.scan() == [("modified", lora("a")), ("modified", lora("b"))]


def test_file_renamed_over_another_is_one_move(world: World) -> None:
    world.files.advance(1)
    world.files.write(at(lora("a.part")), content("new a") + b"longer")
    world.scan()
    world.files.remove(at(lora("a")))
    world.files.rename(at(lora("a.part")), at(lora("a")))
    assert world.scan() == [("moved", lora("a.part"), lora("a"))]


def test_touched_twin_of_a_deleted_file_is_no_move(world: World) -> None:
    world.files.write(at(lora("twin")), content("a"))
    world.scan()
    world.files.remove(at(lora("a")))
    world.files.touch(at(lora("twin")))
    assert world.scan() == [("deleted", lora("a"))]
    assert world.scan() == [("modified", lora("twin"))]  # it had just been created: when it rests


def test_moved_directory_of_a_hundred_files_is_one_line(world: World) -> None:
    for number in range(100):
        world.files.write(at(f"Downloads/pack/f{number}.bin"), content(str(number)))
    world.scan()
    world.files.rename(at("Downloads/pack"), at("ComfyUI/models/loras/pack"))
    assert world.scan() == [("moved", "Downloads/pack", "ComfyUI/models/loras/pack")]
    assert world.lines[0]["files"] == 100


def test_edits_inside_a_moved_directory_have_their_own_lines(world: World) -> None:
    for number in range(10):
        world.files.write(at(f"Downloads/pack/f{number}.bin"), content(str(number)))
    world.files.makedirs(at("Downloads/pack/sub"))
    world.scan()
    world.files.rename(at("Downloads/pack"), at("Downloads/new"))
    world.files.write(at("Downloads/new/f0.bin"), b"edited")
    world.files.remove(at("Downloads/new/f1.bin"))
    world.files.rename(at("Downloads/new/f2.bin"), at("Downloads/new/sub/f2.bin"))
    world.files.rename(at("Downloads/new/f3.bin"), at(lora("f3")))
    world.files.write(at("Downloads/new/f10.bin"), b"fresh")
    assert world.scan() == [
        ("created", "Downloads/new/f10.bin"),
        ("deleted", "Downloads/pack/f1.bin"),
        ("modified", "Downloads/new/f0.bin"),
        ("moved", "Downloads/pack", "Downloads/new"),
        ("moved", "Downloads/pack/f2.bin", "Downloads/new/sub/f2.bin"),
        ("moved", "Downloads/pack/f3.bin", lora("f3")),
    ]


def test_folder_moved_out_of_a_moved_folder_is_a_second_move(world: World) -> None:
    for number in range(8):
        world.files.write(at(f"Downloads/pack/f{number}"), content(f"f{number}"))
    for number in range(4):
        world.files.write(at(f"Downloads/pack/sub/deep/g{number}"), content(f"g{number}"))
        world.files.write(at(f"Downloads/pack/sub/h{number}"), content(f"h{number}"))
    world.scan()
    world.files.rename(at("Downloads/pack"), at("Downloads/new"))
    world.files.rename(at("Downloads/new/sub"), at("ComfyUI/models/sub"))
    world.files.rename(at("ComfyUI/models/sub/deep"), at("Downloads/new/deep"))
    world.files.touch(at("Downloads/new/deep/g1"))
    assert world.scan() == [
        ("modified", "Downloads/new/deep/g1"),
        ("moved", "Downloads/pack", "Downloads/new"),
        ("moved", "Downloads/pack/sub", "ComfyUI/models/sub"),
        ("moved", "Downloads/pack/sub/deep", "Downloads/new/deep"),
    ]


def test_moved_directory_without_inodes_reads_at_most_64_samples(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.shuffles_inodes = True
    world.files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
    for number in range(200):
        world.files.write(at(f"Downloads/pack/f{number}.bin"), content(str(number), 100))
    world.scan()
    world.files.rename(at("Downloads/pack"), at("Downloads/new"))
    world.files.calls.clear()
    assert world.scan(reads=False) == [("moved", "Downloads/pack", "Downloads/new")]
    assert world.files.calls["open"] <= 64


def test_copy_over_several_scans_and_deletion_is_created_then_moved(world: World) -> None:
    """Rule 6: a move to a NAS is a copy of minutes and then a deletion."""
    whole = content("big", BIG)
    target = "Downloads/big.safetensors"
    found = []
    for part in (1, 2, 3):
        world.files.write(at(target), whole[: BIG * part // 3])
        found += world.scan()
    world.files.remove(at("ComfyUI/models/checkpoints/big.safetensors"))
    found += world.scan()
    assert found == [
        ("created", target),
        ("moved", "ComfyUI/models/checkpoints/big.safetensors", target),
    ]


def test_directory_copied_over_several_scans_and_deleted_is_one_move(world: World) -> None:
    for number in range(6):
        world.files.write(at(f"Downloads/pack/f{number}.bin"), content(f"pack{number}"))
    world.scan()
    for number in range(6):
        world.files.write(at(f"ComfyUI/models/loras/pack/f{number}.bin"), content(f"pack{number}"))
        if number % 2:
            world.scan()
    for number in range(6):
        world.files.remove(at(f"Downloads/pack/f{number}.bin"))
    world.files.remove(at("Downloads/pack"))
    found = world.scan()
    assert ("moved", "Downloads/pack", "ComfyUI/models/loras/pack") in found
    # Copies have new mtimes, so the files differ from what moved: each has its line, no other.
    assert {line[0] for line in found} == {"moved", "modified"}


def test_deletion_followed_by_arrival_in_a_later_scan_is_a_move(world: World) -> None:
    world.files.remove(at(lora("a")))
    assert world.scan() == [("deleted", lora("a"))]
    world.files.write(at("Downloads/a.safetensors"), content("a"))
    assert world.scan() == [("moved", lora("a"), "Downloads/a.safetensors")]


def test_move_window_ends(world: World) -> None:
    world.files.remove(at(lora("a")))
    world.scan()
    world.scan(advance=1000)
    world.files.write(at("Downloads/a.safetensors"), content("a"))
    assert world.scan() == [("created", "Downloads/a.safetensors")]


def test_empty_files_never_move_alone(world: World) -> None:
    world.files.write(at("Downloads/empty"), b"")
    world.scan()
    world.files.rename(at("Downloads/empty"), at(lora("empty")))
    assert world.scan() == [("created", lora("empty")), ("deleted", "Downloads/empty")]


def test_pairs_of_equal_content_prefer_the_same_name(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.mount_table = [Mount("/", "exfat", "/dev/fake1")]
    world.files.write(at("Downloads/other.bin"), b"1")
    for name in ("x", "y", "z"):
        world.files.write(at(f"Downloads/{name}.bin"), content("same"))
    world.files.makedirs(at("ComfyUI/models/loras"))
    world.scan()
    for name in ("x", "y", "z"):
        world.files.remove(at(f"Downloads/{name}.bin"))
        world.files.write(at(f"ComfyUI/models/loras/{name}.bin"), content("same"))
    assert world.scan() == [
        ("moved", f"Downloads/{name}.bin", f"ComfyUI/models/loras/{name}.bin")
        for name in ("x", "y", "z")
    ]


def test_growing_file_is_reported_when_it_rests(world: World) -> None:
    path = "Downloads/growing.bin"
    found = []
    for size in (10, 20, 30, 40):
        world.files.write(at(path), b"g" * size)
        found.append(world.scan())
    found.append(world.scan())
    found.append(world.scan())
    assert found == [[("created", path)], [], [], [], [("modified", path)], []]


def test_file_that_never_rests_is_reported_every_ten_minutes(world: World) -> None:
    path = "Downloads/growing.bin"
    found = []
    for size in range(1, 42):
        world.files.write(at(path), b"g" * size)
        found += world.scan()
    # 41 scans, 35 s apart: 24 minutes.
    assert found == [("created", path), ("modified", path), ("modified", path)]


def test_file_replaced_by_directory_and_back(world: World) -> None:
    world.files.remove(at(lora("a")))
    world.files.write(at(lora("a") + "/inside"), b"1")
    assert world.scan() == [
        ("created", lora("a")),
        ("created", lora("a") + "/inside"),
        ("deleted", lora("a")),
    ]
    world.files.remove(at(lora("a")))
    world.files.write(at(lora("a")), content("a2"))
    assert world.scan() == [
        ("created", lora("a")),
        ("deleted", lora("a")),
        ("deleted", lora("a") + "/inside"),
    ]


# Absence needs proof


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOENT])
def test_folder_that_answers_with_an_error_keeps_everything_below(
    world: World, number: int
) -> None:
    world.files.faults["list", at("ComfyUI/models/loras")] = number
    world.files.remove(at(lora("a")))
    assert world.scan() == []
    assert at(lora("a")) in world.inventory()
    assert world.state(MODELS) == "partial"
    assert list(world.store.memory.unreachable) == [at("ComfyUI/models/loras")]
    world.files.faults.clear()
    assert world.scan() == [("deleted", lora("a"))]
    assert world.state(MODELS) == "online"
    assert world.store.memory.unreachable == {}


def test_listed_name_whose_stat_fails_is_kept(world: World) -> None:
    world.files.faults["stat", at(lora("a"))] = errno.ENOENT
    assert world.scan() == []
    assert at(lora("a")) in world.inventory()
    world.files.faults.clear()
    assert world.scan() == []


def test_folder_that_vanishes_while_it_is_walked_is_deleted_at_once(world: World) -> None:
    world.files.write(at("Downloads/pack/file"), b"1")
    world.scan()

    def vanish(path: str) -> None:
        if path == at("Downloads"):
            world.files.on_list = None
            # Listed by its parent a moment ago, gone when its turn comes.
            world.files.faults["list", at("Downloads/pack")] = go

    def go() -> None:
        world.files.remove(at("Downloads/pack"))

    world.files.on_list = vanish
    assert world.scan() == [("deleted", "Downloads/pack"), ("deleted", "Downloads/pack/file")]
    assert world.state(DOWNLOADS) == "online"


def test_vanished_root_keeps_entries_and_comes_back(world: World) -> None:
    node = world.files.remove(at("Downloads"))
    assert world.scan() == []
    assert world.state(DOWNLOADS) == "offline"
    assert at("Downloads/new.safetensors") in world.inventory()
    world.files.makedirs(at("")).children["Downloads"] = node
    assert world.scan() == []
    assert world.state(DOWNLOADS) == "online"


def test_root_that_vanishes_during_the_walk_deletes_nothing(world: World) -> None:
    def vanish(path: str) -> None:
        if path == at("Downloads"):
            for name in list(world.files._resolve(path).children):
                del world.files._resolve(path).children[name]
            world.files.remove(path)
            world.files.on_list = None

    world.files.on_list = vanish
    assert world.scan() == []
    assert world.state(DOWNLOADS) == "offline"
    assert at("Downloads/new.safetensors") in world.inventory()


def test_missing_root_is_waited_for(tmp_path: Path) -> None:
    extra = Root("extra", "/mnt/disk")
    world = World(tmp_path, roots=(MODELS, extra))
    world.files.remove("/mnt/disk")
    world.scan()
    assert world.state(extra) == "missing"
    world.files.write("/mnt/disk/x", b"1")
    assert world.scan() == []
    assert world.baselines() == [("/mnt/disk", "added")]
    assert world.state(extra) == "online"


def test_unmounted_root_keeps_entries(tmp_path: Path) -> None:
    extra = Root("extra", "/mnt/disk")
    world = World(tmp_path, roots=(MODELS, extra))
    world.files.mount_table.append(Mount("/mnt/disk", "ext4", "/dev/fake2"))
    world.files.write("/mnt/disk/x", b"1")
    world.scan()
    world.files.mount_table.pop()
    world.files.remove("/mnt/disk/x")
    assert world.scan() == []
    assert world.state(extra) == "offline"
    assert "/mnt/disk/x" in world.inventory()


def test_other_disk_on_the_mount_point_is_held_until_accepted(tmp_path: Path) -> None:
    extra = Root("extra", "/mnt/disk")
    world = World(tmp_path, roots=(MODELS, extra))
    world.files.mount_table.append(Mount("/mnt/disk", "ext4", "/dev/fake2"))
    world.files.write("/mnt/disk/x", b"1")
    world.scan()
    world.files.mount_table[-1] = Mount("/mnt/disk", "ext4", "/dev/other")
    world.files.remove("/mnt/disk/x")
    world.files.write("/mnt/disk/y", b"2")
    assert world.scan() == []
    assert world.scan() == []
    assert world.state(extra) == "held"
    world.store.state.ask(0, extra.id, "", frozenset())
    assert world.scan() == [("created", "/mnt/disk/y"), ("deleted", "/mnt/disk/x")]
    assert world.state(extra) == "online"


# Loss hold


def fill(world: World, count: int) -> None:
    for number in range(count):
        world.files.write(at(f"Downloads/f{number:03}.bin"), content(str(number)))
    world.scan()


def test_loss_of_most_files_is_held_until_the_next_scan(world: World) -> None:
    fill(world, 40)
    for number in range(30):
        world.files.remove(at(f"Downloads/f{number:03}.bin"))
    world.files.write(at("Downloads/fresh.bin"), b"1")
    assert world.scan() == [("created", "Downloads/fresh.bin")]
    assert world.state(DOWNLOADS) == "held"
    assert at("Downloads/f000.bin") in world.inventory()
    assert len(world.scan()) == 30
    assert world.state(DOWNLOADS) == "online"


def test_what_comes_back_during_a_hold_is_forgotten(world: World) -> None:
    fill(world, 40)
    nodes = {n: world.files.remove(at(f"Downloads/f{n:03}.bin")) for n in range(30)}
    assert world.scan() == []
    folder = world.files._resolve(at("Downloads"))
    folder.children.update({f"f{n:03}.bin": node for n, node in nodes.items() if n})
    assert world.scan() == [("deleted", "Downloads/f000.bin")]


def test_loss_that_spreads_during_a_hold_is_judged_by_itself(world: World) -> None:
    fill(world, 80)
    for number in range(50):
        world.files.remove(at(f"Downloads/f{number:03}.bin"))
    assert world.scan() == []
    for number in range(50, 80):
        world.files.remove(at(f"Downloads/f{number:03}.bin"))
    found = world.scan()
    assert len(found) == 50
    assert world.state(DOWNLOADS) == "held"
    assert len(world.scan()) == 30


def test_root_that_lists_empty_is_held(world: World) -> None:
    world.files.remove(at("Downloads/new.safetensors"))
    assert world.scan() == []
    assert world.state(DOWNLOADS) == "held"
    assert world.scan() == [("deleted", "Downloads/new.safetensors")]


def test_moves_are_no_loss(world: World) -> None:
    fill(world, 40)
    for number in range(40):
        world.files.rename(
            at(f"Downloads/f{number:03}.bin"), at(f"ComfyUI/models/loras/f{number:03}.bin")
        )
    world.files.rename(at("Downloads/new.safetensors"), at(lora("new")))
    assert {line[0] for line in world.scan()} == {"moved"}
    assert world.state(DOWNLOADS) == "online"


def test_hold_outlives_a_restart(world: World) -> None:
    fill(world, 40)
    for number in range(30):
        world.files.remove(at(f"Downloads/f{number:03}.bin"))
    world.scan()
    world.restart()
    assert world.scan(advance=10) == []
    assert len(world.scan(advance=25)) == 30


def test_accept_lifts_what_was_held_when_it_was_asked(world: World) -> None:
    fill(world, 40)
    for number in range(30):
        world.files.remove(at(f"Downloads/f{number:03}.bin"))
    world.scan()
    hold = world.store.memory.holds[DOWNLOADS.id]
    world.store.state.ask(0, DOWNLOADS.id, "", hold.paths)
    assert len(world.scan(advance=1)) == 30


def test_empty_remote_models_wait_for_a_person(world: World, tmp_path: Path) -> None:
    world.files.mount_table.append(Mount(at("ComfyUI/models"), "cifs", "//nas/models"))
    world.store.close()
    (tmp_path / "nas").mkdir()
    world = World(tmp_path / "nas", world.files)
    world.scan()
    for name in ("loras", "checkpoints"):
        world.files.remove(at(f"ComfyUI/models/{name}"))
    for _ in range(5):
        assert world.scan() == []
    assert world.state(MODELS) == "held"
    hold = world.store.memory.holds[MODELS.id]
    world.store.state.ask(0, MODELS.id, "", hold.paths)
    assert len(world.scan()) == 6


def test_limits_are_settings_per_root(tmp_path: Path) -> None:
    world = World(tmp_path, per_root={"downloads": {"loss_fraction": 0.9}})
    fill(world, 40)
    for number in range(30):
        world.files.remove(at(f"Downloads/f{number:03}.bin"))
    assert len(world.scan()) == 30


def test_accept_drops_an_offline_root(world: World) -> None:
    world.files.remove(at("Downloads"))
    world.scan()
    world.store.state.ask(0, "", at("Downloads"), frozenset())
    assert world.scan() == [("deleted", "Downloads/new.safetensors")]
    assert world.state(DOWNLOADS) == "missing"


def test_accept_drops_a_folder_whose_name_is_not_utf8(world: World) -> None:
    """The answer names it, and has to fit into the state."""
    folder = at("Downloads/caf\udce9")
    world.files.write(folder + "/a", content("a"))
    world.scan()
    world.files.faults["list", folder] = errno.EIO
    world.scan()
    number = world.store.state.ask(0, "", folder, frozenset())
    world.scan()
    assert "caf\ufffd" in str(world.store.state.answer_of(number))


# Lanes


@pytest.mark.parametrize("name", ["f1", ""])
def test_move_is_found_though_another_lane_began_before_its_first_half_and_ended_after_it(
    tmp_path: Path, name: str
) -> None:
    """SMB's client shows what was renamed on the server under both names for some scans. Another
    lane must not forget that it came."""
    files = FakeFileSystem()
    files.mount_table.append(Mount("/m", "cifs", "//nas/m"))
    files.shuffles_inodes = True
    for folder in ("d0", "d1"):
        for file in ("f0", "f1", "f2"):
            files.write(f"/m/{folder}/{file}", content(folder + file))
    files.makedirs(DOWNLOADS.path)
    share = Root("models", "/m")
    world = World(tmp_path, files, (share, DOWNLOADS)).settle()
    source, target = f"/m/d1/{name}".rstrip("/"), "/m/d0/renamed"

    def scan(root: Root) -> list[tuple[str, str]]:
        files.advance(1)
        changes = world.scanner.scan([root], interval=1).changes
        return [(change.kind, change.path) for change in changes]

    def meanwhile(path: str) -> None:
        files.on_list = None
        files._resolve("/m/d0").children["renamed"] = files._resolve(source)
        assert ("created", target) in scan(share)

    files.on_list = meanwhile
    assert scan(DOWNLOADS) == []
    files.remove(source)
    assert scan(share) == [("moved", target)]


# Links


def test_linked_folder_is_followed_and_its_loop_is_not(world: World) -> None:
    world.files.write("/mnt/nas/x.safetensors", content("nas"))
    world.files.symlink("/mnt/nas", at("ComfyUI/models/nas"))
    world.files.symlink(at("ComfyUI"), at("ComfyUI/models/loop"))
    world.files.symlink("/", at("ComfyUI/models/everything"))
    assert world.scan() == [
        ("created", "ComfyUI/models/everything"),
        ("created", "ComfyUI/models/loop"),
        ("created", "ComfyUI/models/nas"),
        ("created", "ComfyUI/models/nas/x.safetensors"),
    ]
    world.files.write("/mnt/nas/y.safetensors", content("nas2"))
    assert world.scan() == [("created", "ComfyUI/models/nas/y.safetensors")]


def test_file_link_changes_with_its_target(world: World) -> None:
    world.files.write("/mnt/nas/x.safetensors", content("nas"))
    world.files.symlink("/mnt/nas/x.safetensors", at(lora("link")))
    world.scan()
    world.scan()
    world.files.write("/mnt/nas/x.safetensors", content("other", 5))
    assert world.scan() == [("modified", lora("link"))]


def test_link_into_an_unmounted_share_keeps_what_is_known(world: World) -> None:
    world.files.write("/mnt/nas/x.safetensors", content("nas"))
    world.files.symlink("/mnt/nas/x.safetensors", at(lora("link")))
    world.scan()
    node = world.files.remove("/mnt/nas")
    assert world.scan() == []
    world.files.makedirs("/mnt/nas")
    assert world.scan() == []
    world.files._resolve("/mnt").children["nas"] = node
    assert world.scan() == []


def test_truly_broken_link_is_listed_as_one(world: World) -> None:
    world.files.symlink(at(lora("a")) + ".gone", at(lora("link")))
    assert world.scan() == [("created", lora("link"))]
    world.files.symlink(at(lora("a")), at(lora("link")))
    assert world.scan() == [("modified", lora("link"))]


def test_directory_swapped_for_a_link_to_its_copy_changes_one_entry(world: World) -> None:
    node = world.files.remove(at("ComfyUI/models/loras"))
    world.files.makedirs("/mnt").children["loras"] = node
    world.files.symlink("/mnt/loras", at("ComfyUI/models/loras"))
    assert world.scan() == [("modified", "ComfyUI/models/loras")]


def test_special_files_are_listed_and_never_opened(world: World) -> None:
    world.files.special(at("Downloads/pipe"))
    assert world.scan() == [("created", "Downloads/pipe")]
    assert world.files.calls["open", at("Downloads/pipe")] == 0  # type: ignore[index]


# Baselines


def test_new_ignore_rule_is_a_baseline_and_real_changes_stay_changes(world: World) -> None:
    world.files.write(at(lora("note.bak")), b"1")
    world.scan()
    world.restart(ignore=("*.bak*", "note.bak.*"))
    world.files.write(at(lora("d")), b"d")
    world.files.remove(at(lora("a")))
    assert world.scan() == [("created", lora("d")), ("deleted", lora("a"))]
    assert ("ComfyUI/models", "rules changed") in world.baselines()
    assert at(lora("note.bak")) not in world.inventory()
    world.restart(ignore=())
    assert world.scan() == []
    assert at(lora("note.bak")) in world.inventory()


def test_added_and_removed_roots_are_baselines(world: World) -> None:
    world.store.close()
    inner = Root("extra", at("ComfyUI/models/loras"))
    world.roots = (MODELS, DOWNLOADS, inner)
    world.open()
    world.files.write(at(lora("d")), b"d")
    assert world.scan() == [("created", lora("d"))]
    assert ("ComfyUI/models/loras", "added") in world.baselines()
    world.store.close()
    world.roots = (MODELS, DOWNLOADS)
    world.open()
    world.files.remove(at(lora("a")))
    assert world.scan() == [("deleted", lora("a"))]
    assert ("ComfyUI/models/loras", "removed") in world.baselines()
    assert at("ComfyUI/models/loras") in world.inventory()


def test_lost_state_is_rebuilt_and_finds_only_what_changed(world: World) -> None:
    world.store.close()
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    world.files.write(at(lora("d")), b"d")
    world.files.remove(at(lora("a")))
    world.open()
    assert world.scan() == [("created", lora("d")), ("deleted", lora("a"))]
    assert {reason for _, reason in world.baselines()} == {"state lost"}
    assert world.scan() == []


def test_lost_state_is_rebuilt_from_inventory_and_the_changes_after_it(world: World) -> None:
    """The journal may be ahead of the inventory: what it says already is not said again."""
    world.files.write(at("ComfyUI/models/new/sub/x"), b"x")
    world.files.write(at(lora("d")), b"d")
    world.files.remove(at(lora("a")))
    world.files.rename(at(lora("b")), at("Downloads/b"))
    world.files.advance(30)
    world.scanner.scan(world.scanner.zones().all, interval=30)
    world.files.write(at(lora("e")), b"e")
    world.files.touch(at(lora("c")))
    world.files.advance(30)
    world.scanner.scan(world.scanner.zones().all, interval=30)
    expected = world.project()
    world.store.close()
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    world.open()
    assert world.project() == expected
    assert world.scan() == []
    assert {reason for _, reason in world.baselines()} == {"state lost"}


def test_corrupt_state_is_kept_aside_and_rebuilt(world: World) -> None:
    world.store.close()
    for ending in ("-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    Path(world.outputs.state).write_bytes(b"this is no database" * 100)
    world.files.remove(at(lora("a")))
    world.open()
    assert world.scan() == [("deleted", lora("a"))]
    assert len(list(world.folder.glob("*.damaged-*"))) == 1


def test_offline_changes_appear_once_after_a_restart(world: World) -> None:
    world.restart()
    world.files.write(at(lora("d")), b"d")
    world.files.rename(at(lora("a")), at("Downloads/a"))
    assert world.scan() == [("created", lora("d")), ("moved", lora("a"), "Downloads/a")]
    world.restart()
    assert world.scan() == []


def test_unchanged_scan_asks_only_for_listings(world: World) -> None:
    """Counted: one listing per directory, one stat per entry, and the roots' own twice."""
    world.files.calls.clear()
    world.scan()
    directories, entries = 4, 7
    assert world.files.calls["list"] == directories
    assert world.files.calls["stat"] == entries + 2 * len(world.roots)
    assert world.files.calls["open"] == 0


# Holds on remote mounts

NAS = Mount("/", "cifs", "//nas/share")


@pytest.fixture
def nas(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.mount_table = [NAS]
    for number in range(40):
        world.files.write(at(f"ComfyUI/models/loras/f{number:02}"), content(str(number)))
        world.files.write(at(f"ComfyUI/models/vae/sub/f{number:02}"), content(f"v{number}"))
    for number in range(400):
        world.files.write(at(f"ComfyUI/models/checkpoints/f{number:03}"), content(f"c{number}"))
    world.files.write(at("Downloads/keep"), b"1")
    world.scan()
    world.scan()
    return world


def test_folder_of_a_remote_mount_that_lists_empty_is_held(nas: World) -> None:
    """A server may lose one of the folders that it serves, behind a mount that looks well."""
    for number in range(40):
        nas.files.remove(at(f"ComfyUI/models/loras/f{number:02}"))
    nas.files.remove(at("ComfyUI/models/vae/sub/f00"))
    assert nas.scan() == [("deleted", "ComfyUI/models/vae/sub/f00")]
    assert nas.state(MODELS) == "held"
    assert len(nas.scan()) == 40
    assert nas.state(MODELS) == "online"


def test_folder_of_a_remote_mount_that_loses_most_is_held_with_what_is_below(nas: World) -> None:
    nas.files.remove(at("ComfyUI/models/vae/sub"))
    assert nas.scan() == []
    assert at("ComfyUI/models/vae/sub/f07") in nas.inventory()
    assert len(nas.scan()) == 41


def test_folder_of_a_remote_mount_that_is_gone_is_held(nas: World) -> None:
    """As one that lists empty: a disk of the server, or of a pool, may be away."""
    nas.files.remove(at("ComfyUI/models/loras"))
    assert nas.scan() == []
    assert nas.state(MODELS) == "held"
    assert len(nas.scan()) == 41
    assert nas.state(MODELS) == "online"


def test_small_folder_of_a_remote_mount_that_is_gone_is_believed(nas: World) -> None:
    for number in range(19):
        nas.files.write(at(f"ComfyUI/models/clip/f{number}"), content(f"k{number}"))
    nas.settle()
    nas.files.remove(at("ComfyUI/models/clip"))
    assert len(nas.scan()) == 20


def test_small_loss_in_a_folder_of_a_remote_mount_is_believed(nas: World) -> None:
    for number in range(20):
        nas.files.remove(at(f"ComfyUI/models/loras/f{number:02}"))
    assert len(nas.scan()) == 20


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Style.safetensors", "style.safetensors"),
        ("caf\u00e9.safetensors", "cafe\u0301.safetensors"),
    ],
)
@pytest.mark.parametrize("mount", [Mount("/", "ext4", "/dev/fake1"), Mount("/", "exfat", "/dev/x")])
def test_new_form_of_the_same_name_is_one_move(
    tmp_path: Path, mount: Mount, old: str, new: str
) -> None:
    """What the directory lists is the name; that both forms may lead to one file is no matter."""
    world = World(tmp_path)
    world.files.mount_table = [mount]
    world.files.write(at(f"Downloads/{old}"), content("x"))
    world.files.write(at(f"Downloads/{old}.d/inside"), content("y"))
    world.files.write(at("Downloads/keep"), b"1")
    world.scan()
    world.files.rename(at(f"Downloads/{old}"), at(f"Downloads/{new}"))
    world.files.rename(at(f"Downloads/{old}.d"), at(f"Downloads/{new}.d"))
    assert world.scan() == sorted(
        [
            ("moved", f"Downloads/{old}", f"Downloads/{new}"),
            ("moved", f"Downloads/{old}.d", f"Downloads/{new}.d"),
        ]
    )


def test_root_of_everything_is_scanned_with_a_mount_below(tmp_path: Path) -> None:
    everything = Root("extra", "/")
    world = World(tmp_path, roots=(everything,))
    world.files.mount_table = [Mount("/", "nfs", "nas:/"), Mount("/mnt/nas", "cifs", "//nas/x")]
    for number in range(30):
        world.files.write(f"/data/{number:02}", b"1")
    world.files.write("/mnt/nas/keep", b"1")
    assert world.scan() == []
    assert {path for path in world.project() if path.startswith("/mnt/")} == {
        "/mnt/nas",
        "/mnt/nas/keep",
    }
    for number in range(29):
        world.files.remove(f"/data/{number:02}")
    assert world.scan() == []
    assert world.state(everything) == "held"


def test_scan_that_followed_other_roots_is_abandoned(world: World) -> None:
    """Its decision would remove the roots that another lane has added meanwhile."""
    world.settle()
    new = Root("extra", "/new")
    world.files.write("/new/a", b"x")
    world.files.write(at("ComfyUI/models/late"), b"x")
    world.files.advance(30)

    roots = (*world.roots, new)

    def change(progress: object) -> None:
        world.scanner.set_roots(roots)

    zones = world.scanner.zones().all
    result = world.scanner.scan(zones, interval=30, progress=change)
    assert not result.is_complete
    world.roots = roots
    assert world.scan() == [("created", "ComfyUI/models/late")]
    assert world.baselines() == [("/new", "added")]


def test_mount_that_keeps_hanging_is_reported_once(nas: World) -> None:
    """Each attempt in vain ends in other words; the inventory is not replaced for that."""
    nas.workers.hanging.add("/")
    nas.workers.reasons = [
        f"no call has returned for {seconds} s; attempt {n}"
        for n, seconds in enumerate((60, 61, 60, 62) * 10)
    ]
    nas.scan()
    written, records = nas.store.inventory.scan, nas.store.memory.roots
    reasons = {record.reason for record in records.values()}
    for _ in range(5):
        nas.scan()
    assert nas.store.inventory.scan == written
    assert {record.reason for record in nas.store.memory.roots.values()} == reasons
    nas.workers.hanging.clear()
    nas.scan()
    assert nas.store.inventory.scan > written
    assert set(nas.states().values()) == {"online"}


def test_stopped_walk_asks_nothing_more(world: World) -> None:
    for number in range(300):
        world.files.write(at(f"ComfyUI/models/{number}/f"), b"x")
    world.files.calls.clear()
    answers = 0

    def stopped() -> bool:
        return answers > 0

    def count(progress: object) -> None:
        nonlocal answers
        answers += 1

    result = world.scanner.scan(
        world.scanner.zones().all, interval=30, stopped=stopped, progress=count
    )
    assert not result.is_complete
    assert world.files.calls["list"] <= 2


def test_second_write_of_equal_size_and_mtime_gives_no_line_and_the_right_fingerprint(
    tmp_path: Path,
) -> None:
    """Rule 4: it cannot be seen. On a disk that counts seconds it is any write within one."""
    world = World(tmp_path)
    world.files.granularity = 10**9
    first, second = at("ComfyUI/models/a"), at("ComfyUI/models/b")
    world.scan()
    mtime = world.files.write(first, content("before")).mtime
    assert world.scan(advance=0.1, reads=False) == [("created", "ComfyUI/models/a")]
    world.files.write(first, content("after"), mtime)
    world.files.write(second, content("after"))
    assert world.scan(advance=0.1) == [("created", "ComfyUI/models/b")]
    world.scan()
    assert world.entry("a")["fingerprint"] == world.entry("b")["fingerprint"]
    world.files.write(first, content("later"), mtime)
    assert world.scan() == []
    world.files.write(first, content("later"), mtime + 10**9)
    assert world.scan() == [("modified", "ComfyUI/models/a")]
