"""Node packs: where they lie, when they are read, and what the change list says of them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.comfyui.packs import Attention, differs, pack_around, pack_places, record_of
from scanner.core.change_lines import change_lines
from scanner.core.changes import Change
from scanner.core.packs import Pack, PackChange
from scanner.core.roots import Root
from scanner.diff.replay import replay
from scanner.disk.mounts import Mount
from scanner.output.journal import encode
from scanner.output.journal_reader import read
from scanner.workers.lost import LostWorkerError
from scanner.workers.requests import Answer, ReadPack, Request
from scanner.workers.worker import LocalWorker, Worker
from tests.support.fakes import FakeFileSystem
from tests.support.packs import (
    CLONED,
    GITHUB,
    NODES,
    ONE,
    SCHEMA,
    THREE,
    TOP,
    TWO,
    UNKNOWN,
    URL,
    log,
    node,
    project,
    write,
)
from tests.support.world import BASE, World, at

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")


def test_places_of_packs_are_those_that_comfyui_tries_and_the_disabled() -> None:
    files = FakeFileSystem()
    for path in (
        "Foo/__init__.py",
        "Bar.disabled/__init__.py",
        ".disabled/baz@1_0_0/__init__.py",
        ".disabled/one.py",
        ".disabled/.hidden/x",
        "single.py",
        "off.py.disabled",
        ".py",
        "example.py.example",
        "README.md",
        "__pycache__/x.py",
        ".cache/x.py",
        "Foo/.disabled/inner/x.py",
        ".disabled/.disabled/inner/x.py",
        "unlisted/x.py",
    ):
        files.write(node(path), b"x")
    files.symlink(node("Foo"), node("linked"))
    files.symlink(node("single.py"), node("linked.py"))
    snapshot = {
        node(path).rstrip("/"): files.list_directory(node(path))
        for path in ("", "Foo", "Bar.disabled", ".disabled", "linked", "__pycache__", ".cache")
    }
    snapshot[node(".disabled/baz@1_0_0")] = files.list_directory(node("Foo"))
    snapshot[node(".disabled/.hidden")] = files.list_directory(node("Foo"))
    for path in (".disabled/.disabled", ".disabled/.disabled/inner"):
        snapshot[node(path)] = files.list_directory(node(path))
    assert [
        (path[len(TOP) + 1 :], is_folder) for path, is_folder in pack_places(snapshot, TOP)
    ] == [
        (".disabled/baz@1_0_0", True),
        (".disabled/one.py", False),
        ("Bar.disabled", True),
        ("Foo", True),
        ("linked", True),
        ("linked.py", False),
        ("off.py.disabled", False),
        ("single.py", False),
    ]
    assert pack_places({}, TOP) == []


@pytest.mark.parametrize(
    ("path", "around"),
    [
        ("", None),
        ("Foo", "Foo"),
        ("Foo/a/b", "Foo"),
        (".disabled", None),
        (".disabled/Foo", ".disabled/Foo"),
        (".disabled/Foo/a", ".disabled/Foo"),
    ],
)
def test_what_lies_in_a_pack_is_told_by_its_path(path: str, around: str | None) -> None:
    expected = None if around is None else node(around)
    assert pack_around(node(path).rstrip("/"), TOP) == expected
    assert pack_around(at("ComfyUI/custom_nodes2/Foo"), TOP) is None


def test_record_has_no_empty_fields_and_is_valid_text() -> None:
    pack = Pack("f\udcff", "f\udcff", "unknown", False, is_partial=True)
    shown = {"id": "f\ufffd", "name": "f\ufffd", "source": "unknown"}
    assert pack.as_json() == {**shown, "enabled": False, "partial": True}
    assert CLONED.as_json() == {
        "id": "ComfyUI-Foo",
        "name": "Foo",
        "commit": ONE,
        "source": "git",
        "remote": URL,
        "enabled": True,
    }


TEXTS = st.text(max_size=5)
PACKS = st.builds(
    Pack,
    id=st.text(min_size=1, max_size=5),
    name=TEXTS,
    source=st.just("git"),
    enabled=st.booleans(),
    version=TEXTS,
    commit=st.sampled_from(["", ONE, "a" * 64]),
)


@given(st.one_of(st.none(), PACKS), PACKS, st.booleans())
def test_every_change_of_a_pack_can_be_written(one: Pack | None, two: Pack, turn: bool) -> None:
    change = Change("modified", "directory", node("Foo"), NODES.id)
    pack = PackChange(two, one) if turn else PackChange(one, two)
    line = encode(change._replace(pack=pack), scan=1, n=1, of=1, time_ns=1, base=BASE)
    SCHEMA.validate(orjson.loads(line))
    (told,) = change_lines([change._replace(pack=pack)], BASE)
    assert told.isprintable()


# What is read when


def test_pack_is_read_until_it_is_at_rest_and_then_once_a_period() -> None:
    attention = Attention()
    read = []
    for started, changed in ((0, ["a", "b"]), (2, ["b"]), (4, []), (8, []), (100, []), (104, [])):
        due = attention.due(["a", "b"], changed, started=started, verify_within=100)
        resting = [attention.has_read(path, started=started, settle=3) for path in due]
        read.append(list(zip(due, resting, strict=True)))
    assert read == [
        [("a", False), ("b", False)],
        [("a", False), ("b", False)],
        [("a", True), ("b", False)],
        [("b", True)],
        [],
        [("a", True)],
    ]


def test_pack_whose_reading_failed_is_read_again() -> None:
    attention = Attention()
    assert attention.due(["a"], [], started=0, verify_within=100) == ["a"]
    assert attention.due(["a"], [], started=1, verify_within=100) == ["a"]


def test_pack_that_is_gone_is_forgotten() -> None:
    attention = Attention()
    for path in attention.due(["a"], ["a"], started=0, verify_within=100):
        attention.has_read(path, started=0, settle=1)
    attention.due([], [], started=1, verify_within=100)
    assert attention.due(["a"], [], started=2, verify_within=100) == ["a"]


def test_partial_record_gives_way_without_a_line_and_replaces_no_whole_one() -> None:
    whole = Pack("a", "a", "git", True, "1.0.0", ONE)
    partial = Pack("b", "b", "unknown", True, is_partial=True)
    assert record_of("/p/a", partial, whole) == whole
    assert record_of("/p/a.disabled", None, whole) == whole._replace(enabled=False)
    assert record_of("/p/a", whole, partial) == whole
    newer = partial._replace(version="2.0.0")
    assert record_of("/p/a", newer, partial) == newer
    assert not differs(whole, partial)
    assert differs(whole._replace(enabled=False), partial)
    assert differs(newer, partial)


# In words

BEFORE = Pack("foo", "Foo", "git", True, "1.2.0", ONE)


@pytest.mark.parametrize(
    ("pack", "line"),
    [
        (BEFORE._replace(version="1.3.0", commit=TWO), "updated: 1.2.0 -> 1.3.0"),
        (BEFORE._replace(commit=TWO), "updated: 1111111 -> 2222222"),
        (BEFORE._replace(commit=""), "updated: 1111111 -> unknown"),
        (BEFORE._replace(version=""), "updated: 1.2.0 -> unknown"),
        (BEFORE._replace(enabled=False), "disabled"),
        (BEFORE._replace(id="bar"), "was foo"),
        (BEFORE._replace(enabled=False, commit=TWO), "disabled, updated: 1111111 -> 2222222"),
        (None, "removed"),
    ],
)
def test_change_of_a_pack_in_words(pack: Pack | None, line: str) -> None:
    change = Change("modified", "directory", node("Foo"), NODES.id)
    assert change_lines([change._replace(pack=PackChange(BEFORE, pack))], BASE) == [
        f"pack Foo {line}"
    ]


def test_new_pack_in_words() -> None:
    change = Change("created", "directory", node("Foo"), NODES.id)

    def words(pack: Pack) -> str:
        told, line = change_lines([change._replace(pack=PackChange(None, pack))], BASE)
        assert line == "created ComfyUI/custom_nodes/Foo/"
        return told

    assert words(BEFORE) == "pack Foo added: 1.2.0"
    assert words(BEFORE._replace(version="")) == "pack Foo added: 1111111"
    assert words(UNKNOWN._replace(enabled=False)) == "pack Foo added, disabled"


def test_each_of_many_updated_packs_has_its_line() -> None:
    change = Change("modified", "directory", node("Foo"), NODES.id)
    pack = PackChange(BEFORE, BEFORE._replace(version="2.0.0"))
    changes = [change._replace(path=node(f"p{n}"), pack=pack) for n in range(20)]
    assert change_lines(changes, BASE) == ["pack Foo updated: 1.2.0 -> 2.0.0"] * 20


# In scans


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, roots=(NODES,))
    files = world.files
    write(files, "Foo", init="foo", head="ref: refs/heads/main\n", main=ONE, config=GITHUB)
    write(files, "bar", init="bar", project=project("1.2.0", "Bar"), tracking="x", a="a", b="b")
    write(files, "plain", init="plain", other="other")
    files.write(node("single.py"), b"single")
    for _ in range(3):
        world.scan()
    return world


def packs(world: World) -> dict[str, Pack]:
    return {path[len(TOP) + 1 :]: pack for path, pack in world.store.memory.packs.items()}


def states(world: World) -> dict[str, tuple[str, str, str, bool]]:
    return {path: pack.state for path, pack in packs(world).items()}


def told(world: World) -> list[tuple[str, str, str, dict[str, Any]]]:
    """(kind, type, path, pack) of the lines of the last scan that speak of packs."""
    for line in world.lines:
        SCHEMA.validate(line)
    start = len(TOP) - len(BASE)
    return [
        (line["kind"], line["type"], line["path"][start:], line["pack"])
        for line in world.lines
        if "pack" in line
    ]


def reads(world: World, advance: float = 30.0) -> list[str]:
    """Packs that the next scan reads."""
    world.files.asked.clear()
    world.scan(advance=advance)
    opened = [path for operation, path in world.files.asked if operation == "open"]
    return sorted(
        path[len(TOP) + 1 :]
        for path in world.store.memory.packs
        if any(o.startswith((f"{path}/.git/HEAD", f"{path}/pyproject.toml")) for o in opened)
    )


def test_first_scan_records_packs_without_a_line(world: World) -> None:
    assert states(world) == {
        "Foo": ("ComfyUI-Foo", "", ONE, True),
        "bar": ("bar", "1.2.0", "", True),
        "plain": ("plain", "", "", True),
        "single.py": ("single", "", "", True),
    }
    assert not [line for line in read(world.outputs.journal) if "pack" in line]


def test_scan_of_unchanged_packs_reads_none(world: World) -> None:
    before = world.files.calls["open"]
    assert reads(world) == []
    assert world.files.calls["open"] == before


def test_packs_are_read_again_within_the_period_of_verification(world: World) -> None:
    assert reads(world, world.settings.verify_within) == ["Foo", "bar"]
    assert reads(world) == []


def test_commit_without_any_other_change_is_found_within_the_period(world: World) -> None:
    write(world.files, "Foo", main=TWO)
    assert world.scan() == []
    assert world.scan(advance=world.settings.verify_within) == [
        ("modified", "ComfyUI/custom_nodes/Foo")
    ]
    assert told(world) == [
        (
            "modified",
            "directory",
            "Foo",
            {
                "id": "ComfyUI-Foo",
                "name": "Foo",
                "from": {"commit": ONE, "enabled": True},
                "to": {"commit": TWO, "enabled": True},
            },
        )
    ]
    assert world.scan() == []


def test_new_version_is_one_line_of_the_folder(world: World) -> None:
    write(world.files, "bar", project=project("1.3", "Bar"))
    assert world.scan() == [
        ("modified", "ComfyUI/custom_nodes/bar"),
        ("modified", "ComfyUI/custom_nodes/bar/pyproject.toml"),
    ]
    assert [line["n"] for line in sorted(world.lines, key=lambda line: line["path"])] == [1, 2]
    assert told(world) == [
        (
            "modified",
            "directory",
            "bar",
            {
                "id": "bar",
                "name": "Bar",
                "from": {"version": "1.2.0", "enabled": True},
                "to": {"version": "1.3.0", "enabled": True},
            },
        )
    ]
    assert log(world) == ["pack Bar updated: 1.2.0 -> 1.3.0"]
    assert world.scan() == []


def test_head_that_is_written_after_the_files_is_seen_in_the_next_scan(world: World) -> None:
    write(world.files, "Foo", init="new")
    assert world.scan() == [("modified", "ComfyUI/custom_nodes/Foo/__init__.py")]
    write(world.files, "Foo", main=TWO)
    assert world.scan() == [("modified", "ComfyUI/custom_nodes/Foo")]
    assert log(world) == ["pack Foo updated: 1111111 -> 2222222"]


def test_project_cut_short_by_an_update_takes_no_version_away(world: World) -> None:
    write(world.files, "bar", project="[proj")
    world.scan()
    assert told(world) == []
    write(world.files, "bar", project=project("1.3.0", "Bar"))
    world.scan()
    assert log(world) == ["pack Bar updated: 1.2.0 -> 1.3.0"]


def test_project_that_stays_damaged_has_no_version_any_more(world: World) -> None:
    write(world.files, "bar", project="[proj")
    world.scan()
    world.scan()
    assert log(world) == ["pack bar updated: 1.2.0 -> unknown"]


@pytest.mark.parametrize("place", [".disabled/bar@1_2_0", "bar.disabled"])
def test_disabled_and_enabled_pack_is_a_move_that_says_so(world: World, place: str) -> None:
    world.files.rename(node("bar"), node(place))
    world.scan()
    (line,) = [line for line in world.lines if line["kind"] == "moved"]
    assert line["path"].endswith(place)
    assert line["pack"] == {
        "id": "bar",
        "name": "Bar",
        "from": {"version": "1.2.0", "enabled": True},
        "to": {"version": "1.2.0", "enabled": False},
    }
    assert len(told(world)) == 1
    assert log(world) == ["pack Bar disabled"]
    assert states(world)[place] == ("bar", "1.2.0", "", False)
    assert "bar" not in packs(world)
    world.scan()
    world.files.rename(node(place), node("bar"))
    world.scan()
    assert log(world) == ["pack Bar enabled"]
    assert [line["kind"] for line in world.lines if "pack" in line] == ["moved"]
    assert world.scan() == []


def test_disabled_file_is_a_move_that_says_so(world: World) -> None:
    world.files.rename(node("single.py"), node("single.py.disabled"))
    world.scan()
    assert told(world) == [
        (
            "moved",
            "file",
            "single.py.disabled",
            {
                "id": "single",
                "name": "single",
                "from": {"enabled": True},
                "to": {"enabled": False},
            },
        )
    ]
    assert log(world) == ["pack single disabled"]


def test_pack_that_is_updated_while_it_is_disabled_says_both_on_one_line(world: World) -> None:
    world.files.rename(node("bar"), node("bar.disabled"))
    write(world.files, "bar.disabled", project=project("2", "Bar"))
    world.scan()
    assert [line[0] for line in told(world)] == ["moved"]
    assert log(world) == ["pack Bar disabled, updated: 1.2.0 -> 2.0.0"]


def test_renamed_pack_of_the_same_identity_is_only_a_move(world: World) -> None:
    world.files.rename(node("bar"), node("BAR"))
    assert world.scan() == [("moved", "ComfyUI/custom_nodes/bar", "ComfyUI/custom_nodes/BAR")]
    assert told(world) == []
    assert states(world)["BAR"] == ("bar", "1.2.0", "", True)


def test_renamed_pack_without_an_identity_says_what_it_was(world: World) -> None:
    world.files.rename(node("plain"), node("other"))
    world.scan()
    (line,) = told(world)
    assert line[3] == {
        "id": "other",
        "name": "other",
        "from": {"id": "plain", "enabled": True},
        "to": {"id": "other", "enabled": True},
    }
    assert log(world) == ["pack other was plain"]


def test_records_follow_a_folder_above_them(world: World) -> None:
    """The folder of disabled packs moved away and back: what lies in it is no pack meanwhile."""
    world.files.rename(node("bar"), node(".disabled/bar"))
    world.scan()
    world.files.rename(node(".disabled"), node("old"))
    world.scan()
    assert "old" in packs(world)
    assert ".disabled/bar" not in packs(world)
    world.files.rename(node("old"), node(".disabled"))
    world.scan()
    assert states(world)[".disabled/bar"] == ("bar", "1.2.0", "", False)
    assert "old" not in packs(world)


def test_records_follow_the_folder_that_moves_with_its_packs(world: World) -> None:
    """From one root to another, and though the pack itself cannot be read there."""
    world.files.rename(node("bar"), node(".disabled/bar"))
    world.scan()
    before = world.store.memory.packs[node(".disabled/bar")]
    world.store.close()
    other = Root("custom_nodes", at("other"))
    world.roots = (NODES, other)
    world.files.write(at("other/keep.py"), b"keep")
    world.open()
    world.scan()
    world.scan()
    world.files.faults["open", at("other/.disabled/bar/pyproject.toml")] = errno.EIO
    world.files.rename(node(".disabled"), at("other/.disabled"))
    world.scan()
    assert [line["kind"] for line in world.lines] == ["moved"]
    assert world.store.memory.packs[at("other/.disabled/bar")] == before
    assert told(world) == []


def test_new_pack_is_told_on_the_line_of_its_folder(world: World) -> None:
    write(world.files, "new", init="x", project=project("0.1", "New"), tracking="")
    world.scan()
    assert told(world) == [
        (
            "created",
            "directory",
            "new",
            {"id": "new", "name": "New", "to": {"version": "0.1.0", "enabled": True}},
        )
    ]
    assert log(world) == ["pack New added: 0.1.0"]
    assert any("created" in line for line in change_lines(world.result.changes, BASE))
    assert world.scan() == []


def test_deleted_pack_loses_its_record(world: World) -> None:
    world.files.remove(node("bar"))
    world.files.remove(node("single.py"))
    world.scan()
    assert told(world) == [
        (
            "deleted",
            "directory",
            "bar",
            {"id": "bar", "name": "Bar", "from": {"version": "1.2.0", "enabled": True}},
        ),
        (
            "deleted",
            "file",
            "single.py",
            {"id": "single", "name": "single", "from": {"enabled": True}},
        ),
    ]
    assert log(world) == ["pack Bar removed", "pack single removed"]
    assert set(packs(world)) == {"Foo", "plain"}
    assert set(world.store.state.load_memory().packs) == {node("Foo"), node("plain")}


def test_pack_that_moves_out_of_the_packs_is_removed(tmp_path: Path) -> None:
    downloads = Root("downloads", at("Downloads"))
    world = World(tmp_path, roots=(NODES, downloads))
    world.files.write(node("keep.py"), b"keep")
    world.files.write(at("Downloads/keep"), b"keep")
    write(world.files, "bar", init="bar", project=project(name="Bar"), tracking="x")
    world.scan()
    world.files.rename(node("bar"), at("Downloads/bar"))
    world.scan()
    assert log(world) == ["pack Bar removed"]
    assert [line["kind"] for line in world.lines if "pack" in line] == ["moved"]
    world.files.rename(at("Downloads/bar"), node("bar"))
    world.scan()
    assert log(world) == ["pack Bar added: 1.2.0"]


def test_old_version_kept_beside_the_new_one_has_a_record_of_its_own(world: World) -> None:
    """As ComfyUI-Manager switches versions: the folder of that name is there all the time."""
    world.files.rename(node("bar"), node(".disabled/bar@1_2_0"))
    write(world.files, "bar", init="bar 2", project=project("2.0.0", "Bar"), tracking="x")
    world.scan()
    assert states(world)["bar"] == ("bar", "2.0.0", "", True)
    assert states(world)[".disabled/bar@1_2_0"] == ("bar", "1.2.0", "", False)
    assert "pack Bar updated: 1.2.0 -> 2.0.0" in log(world)


def test_restart_keeps_records_and_tells_nothing(world: World) -> None:
    before = dict(world.store.memory.packs)
    world.restart()
    assert world.store.memory.packs == before
    assert world.scan() == []
    assert world.store.memory.packs == before


def test_update_while_the_program_was_off_is_told_at_the_next_start(world: World) -> None:
    write(world.files, "Foo", main=TWO)
    world.restart()
    assert world.scan() == [("modified", "ComfyUI/custom_nodes/Foo")]


def test_state_of_before_there_were_records_takes_them_without_a_line(world: World) -> None:
    world.store.state._db.execute("DROP TABLE pack")
    world.restart()
    assert world.store.memory.packs == {}
    world.files.write(node("single.py"), b"changed")
    assert world.scan() == [("modified", "ComfyUI/custom_nodes/single.py")]
    assert told(world) == []
    assert len(packs(world)) == 4


def test_unreadable_pack_keeps_its_record(world: World) -> None:
    before = packs(world)
    for path in ("Foo/.git", "Foo/.git/HEAD", "bar/pyproject.toml", "bar"):
        for operation in ("open", "list"):
            world.files.faults[operation, node(path)] = errno.EACCES
    world.restart()
    assert world.scan() == []
    assert packs(world) == before


def test_offline_root_keeps_its_records(world: World) -> None:
    before = packs(world)
    whole = world.files.remove(TOP)
    world.scan()
    assert world.state(NODES) == "offline"
    assert packs(world) == before
    world.files._resolve(at("ComfyUI")).children["custom_nodes"] = whole
    assert world.scan() == []
    assert packs(world) == before


def test_offline_root_that_a_person_gives_up_has_no_records(world: World) -> None:
    world.files.remove(TOP)
    world.scan()
    world.store.state.ask(0, "", TOP, frozenset())
    world.scan()
    assert packs(world) == {}
    assert len(told(world)) == 4


def test_held_deletions_keep_their_records(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(NODES,))
    for number in range(40):
        write(world.files, f"p{number}", init=str(number))
    world.scan()
    for number in range(30):
        world.files.remove(node(f"p{number}"))
    assert world.scan() == []
    assert len(packs(world)) == 40
    world.scan()
    assert len(packs(world)) == 10
    assert len(told(world)) == 30


def test_records_end_with_their_root(world: World) -> None:
    world.store.close()
    other = Root("custom_nodes", at("other"))
    world.files.makedirs(other.path)
    world.roots = (other,)
    world.open()
    world.scan()
    assert packs(world) == {}


class LosingWorkers:
    """Workers that are lost when a pack is to be read."""

    def __init__(self, files: FakeFileSystem) -> None:
        self._files = files
        self.after = 0

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        return _Losing(self._files, self.after)

    apart = of

    def of_long_walk(self, mount: Mount, known: int = 0) -> Worker:
        return self.of(mount)

    def requests_at_once(self, mount: Mount) -> int:
        return 1


class _Losing(LocalWorker):
    def __init__(self, files: FakeFileSystem, after: int) -> None:
        super().__init__(files)
        self._after = after

    def ask(self, request: Request) -> None:
        super().ask(request)
        self._is_for_packs = isinstance(request, ReadPack)

    def answer(self) -> Answer | None:
        if self._is_for_packs:
            self._after -= 1
            if self._after < 0:
                raise LostWorkerError("it hangs", is_stalled=True)
        return super().answer()


def test_lost_worker_keeps_records_and_is_made_up_for(world: World) -> None:
    before = packs(world)
    collector: Any = world.scanner._collector
    workers = collector._workers
    collector._workers = LosingWorkers(world.files)
    write(world.files, "bar", project=project("1.3.0", "Bar"))
    write(world.files, "new", init="new", project=project("1.0.0", "New"), tracking="")
    world.scan()
    assert packs(world) == before
    collector._workers = workers
    world.scan()
    assert log(world) == ["pack Bar updated: 1.2.0 -> 1.3.0"]
    assert states(world)["new"] == ("new", "1.0.0", "", True)


def test_what_was_read_before_the_worker_was_lost_counts(world: World) -> None:
    losing = LosingWorkers(world.files)
    losing.after = 1
    cast(Any, world.scanner._collector)._workers = losing
    for pack in ("Foo", "bar"):
        write(world.files, pack, init="changed", project=project("9", pack))
    world.scan()
    assert len(log(world)) == 1


def test_moved_pack_that_could_not_be_read_keeps_what_is_known(world: World) -> None:
    cast(Any, world.scanner._collector)._workers = LosingWorkers(world.files)
    world.files.rename(node("bar"), node("bar.disabled"))
    world.scan()
    assert states(world)["bar.disabled"] == ("bar", "1.2.0", "", False)
    assert log(world) == ["pack Bar disabled"]


def test_mount_that_went_away_while_packs_were_read_changes_nothing(world: World) -> None:
    """Unmounted between walk and reading: the folders below are another file system's."""
    before = packs(world)
    world.restart()

    def unmount() -> None:
        world.files.mount_table.append(Mount(TOP, "ext4", "/dev/other"))
        world.files.write(node("bar/pyproject.toml"), project("0.0.1", "Bar"))

    world.files.faults["open", node("bar/pyproject.toml")] = unmount
    assert world.scan() == []
    assert packs(world) == before


def test_nothing_is_read_under_the_commit_lock(world: World) -> None:
    held = []

    def look() -> None:
        held.append(world.scanner.commit_lock._is_owned())  # type: ignore[attr-defined]

    world.files.faults["open", node("Foo/.git/HEAD")] = look
    world.restart()
    world.scan(reads=False)
    assert held == [False]


def test_new_record_alone_reaches_the_inventory_as_an_annotation(world: World) -> None:
    world.files.write(node("Foo/.git/config"), GITHUB.replace("me/", "you/").encode())
    written = world.store.inventory.written
    assert world.scan(advance=world.settings.verify_within) == []
    assert "you/" in packs(world)["Foo"].remote
    assert world.store.inventory.written > written


def test_linked_pack_has_a_line_of_its_own_type(tmp_path: Path) -> None:
    """A link's line says the link's own time: replay has to end with that."""
    world = World(tmp_path, roots=(NODES,))
    world.files.write("/src/foo/pyproject.toml", project("1.0.0"))
    world.files.symlink("/src/foo", node("Foo"))
    world.scan()
    world.scan()
    world.files.write("/src/foo/pyproject.toml", project("1.1.0"))
    world.scan()
    (line,) = told(world)
    assert line[:3] == ("modified", "symlink", "Foo")
    assert log(world) == ["pack comfyui-foo updated: 1.0.0 -> 1.1.0"]


class SpyingWorkers:
    """Notes which packs are asked for on which mount."""

    def __init__(self, files: FakeFileSystem) -> None:
        self._files = files
        self.asked: list[tuple[str, str]] = []

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        return _Spy(self._files, mount, self.asked)

    apart = of

    def of_long_walk(self, mount: Mount, known: int = 0) -> Worker:
        return self.of(mount)

    def requests_at_once(self, mount: Mount) -> int:
        return 1


class _Spy(LocalWorker):
    def __init__(self, files: FakeFileSystem, mount: Mount, asked: list[tuple[str, str]]) -> None:
        super().__init__(files)
        self._mount = mount
        self._asked = asked

    def ask(self, request: Request) -> None:
        if isinstance(request, ReadPack):
            self._asked.append((self._mount.point, request.path))
        super().ask(request)


@pytest.mark.parametrize("latency", [0.0, 2.0])
def test_pack_on_another_mount_is_read_by_that_mounts_worker_alone(
    tmp_path: Path, latency: float
) -> None:
    """Even where the folder of the link is only stat-ed, and says nothing of it."""
    world = World(tmp_path, roots=(NODES,))
    for number in range(5):
        write(world.files, f"p{number}", init="x")
    world.files.write("/nas/foo/pyproject.toml", project("1.0.0"))
    world.files.symlink("/nas/foo", node("Foo"))
    world.files.mount_table.append(Mount("/nas", "nfs4", "nas:/"))
    workers = SpyingWorkers(world.files)
    cast(Any, world.scanner._collector)._workers = workers
    world.files.latency = latency
    for _ in range(5):
        world.scan()
    assert {point for point, path in workers.asked if path == node("Foo")} == {"/nas"}
    assert states(world)["Foo"] == ("Foo", "1.0.0", "", True)


def test_link_that_leads_to_another_mount_since_now_is_not_read_here(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(NODES,))
    world.files.write(node("keep.py"), b"keep")
    world.files.write("/src/foo/pyproject.toml", project("1.0.0"))
    world.files.write("/nas/foo/pyproject.toml", project("2.0.0"))
    world.files.mount_table.append(Mount("/nas", "nfs4", "nas:/"))
    world.files.symlink("/src/foo", node("Foo"))
    world.scan()
    assert states(world)["Foo"] == ("Foo", "1.0.0", "", True)
    workers = SpyingWorkers(world.files)
    cast(Any, world.scanner._collector)._workers = workers
    world.files.symlink("/nas/foo", node("Foo"))
    world.scan()
    world.scan()
    assert set(workers.asked) == {("/nas", node("Foo"))}
    assert states(world)["Foo"] == ("Foo", "2.0.0", "", True)


def test_lines_of_packs_replay_exactly_with_moves_around_them(world: World) -> None:
    """Rule 7: a `modified` line of a folder, in a scan that also moves folders."""
    before = world.project()
    write(world.files, "bar", project=project("3", "Bar"))
    world.files.rename(node("plain"), node(".disabled/plain"))
    write(world.files, ".disabled/plain", project=project("1", "Plain"), tracking="")
    write(world.files, "Foo", init="again", main=THREE)
    world.scan()
    assert {line[:2] for line in told(world)} == {("moved", "directory"), ("modified", "directory")}
    assert replay(before, world.lines, BASE) == world.project()
