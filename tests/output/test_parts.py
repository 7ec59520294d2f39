"""An inventory in several files holds what one file holds, and only what changed is written."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator, ValidationError

from scanner.core.paths import join
from scanner.core.roots import Root
from scanner.core.serialize import time_ns
from scanner.core.snapshot import Snapshot
from scanner.errors import OutputError
from scanner.output import atomic, inventory_text, parts
from scanner.output.atomic import AtomicFile
from scanner.output.inventory_reader import (
    OpenInventory,
    read_entries,
    read_header,
    snapshot_from,
)
from scanner.output.inventory_text import UnreadableInventoryError
from scanner.output.inventory_view import InventoryView, RootView
from scanner.output.inventory_writer import write_inventory
from scanner.output.part_files import remove_leftover_parts
from scanner.output.parts import CATEGORY, ROOT, PartsWriter
from scanner.schemas import load_schema
from tests.output import test_inventory_copies as copies
from tests.output.test_inventory_copies import MODELS, Edits
from tests.support.build import directory_of, file_row, folder_row
from tests.support.names import TOP

NOW = copies.NOW


def lines_of(path: Path) -> list[bytes]:
    """The lines of one file, without commas."""
    return [line.rstrip(b",\n") for line in path.read_bytes().splitlines(True)[1:-1]]


def manifest_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def paths_of(inventory: Path) -> list[Path]:
    return [inventory.parent / part["file"] for part in manifest_of(inventory)["parts"]]


def assert_equal(inventory: Path, whole: Path) -> None:
    """The split inventory is `whole`, in its order, and its manifest tells the truth."""
    expected = lines_of(whole)
    manifest, header = manifest_of(inventory), read_header(whole)
    assert header is not None
    found = read_header(inventory)
    assert found is not None
    assert found.pop("split_by") in (ROOT, CATEGORY)
    assert found == header
    listed = manifest["parts"]
    own = [lines_of(path) for path in paths_of(inventory)]
    assert sorted(line for lines in own for line in lines) == sorted(expected)
    assert [part["entries"] for part in listed] == [len(lines) for lines in own]
    assert [part["bytes"] for part in listed] == [p.stat().st_size for p in paths_of(inventory)]
    with OpenInventory(inventory) as opened:
        opened.check()
        placed = list(opened.placed_entries())
        assert [entry for _, entry in placed] == list(map(orjson.loads, expected))
        for place, entry in placed[:: 1 + len(placed) // 20]:
            assert opened.entry_at(place) == entry
    for part, lines in zip(listed, own, strict=True):
        entries = list(map(orjson.loads, lines))
        assert {entry["root"] for entry in entries} == {part["root"]}


def nested_view(edits: Edits) -> InventoryView:
    """The same with a root inside of another one, and with one that has a category."""
    view = edits.view()
    inner = Root("extra", join(MODELS, "loras"), "loras")
    return InventoryView(
        view.scan,
        view.generated,
        view.base,
        [*view.roots, RootView(inner, "online", NOW, "ext4")],
        (),
        view.snapshot,
        status=view.status,
        annotations=view.annotations,
    )


@pytest.mark.parametrize("split_by", [ROOT, CATEGORY])
@pytest.mark.parametrize("seed", range(24))
def test_parts_together_are_the_inventory_in_one_file(
    tmp_path: Path, seed: int, split_by: str
) -> None:
    edits = Edits(seed, has_links=seed % 4 == 3)
    view = nested_view if seed % 3 == 0 else Edits.view
    inventory, whole = tmp_path / "i.json", tmp_path / "whole.json"
    writer = PartsWriter(inventory, split_by)
    copied = 0
    for number in (0, 1, 1, 2, 1, 5, 20, 1, 1, 3, 1):
        for _ in range(number):
            edits.edit()
        now = view(edits)
        if number == 3:
            writer = PartsWriter(inventory, split_by)
        written = writer.write(now)
        one = write_inventory(whole, now)
        assert written.words == one.words
        assert_equal(inventory, whole)
        copied += writer.copied
        size = inventory.stat().st_size + sum(path.stat().st_size for path in paths_of(inventory))
        assert written.bytes == size
    assert copied


# What is written


def three_roots(sizes: Mapping[str, int], *, generated: int = NOW) -> InventoryView:
    """Three roots whose files have the sizes given by kind of root."""
    kinds = ("models", "input", "output")
    snapshot: Snapshot = {}
    for number, kind in enumerate(kinds, 1):
        top, size = join(TOP, kind), sizes.get(kind, 0)
        rows = [file_row(f"{kind}_{place:04}.safetensors", size) for place in range(400)]
        folders = [folder_row(name) for name in ("loras", "vae")]
        snapshot[top] = directory_of(*folders, *rows, device=1, inode=number * 10)
        for name in ("loras", "vae"):
            snapshot[join(top, name)] = directory_of(*rows, device=1, inode=number * 10 + len(name))
    roots = [RootView(Root(kind, join(TOP, kind)), "online", 1, "ext4") for kind in kinds]
    return InventoryView(1, generated, TOP, roots, (), snapshot)


only_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="reads names of open files in /proc"
)


class Disk:
    """Counts what AtomicFile brings to the disk, and notes what is forced to it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        self.done: list[str] = []
        write, replace, sync = AtomicFile.write, os.replace, atomic.sync_file

        def counted(file: AtomicFile, data: bytes) -> None:
            self.bytes += len(data)
            write(file, data)

        def replaced(source: str, target: str) -> None:
            replace(source, target)
            self.done.append(f"rename {self._kind(target)}")

        def forced(descriptor: int) -> None:
            self.done.append(f"force {self._kind(os.readlink(f'/proc/self/fd/{descriptor}'))}")
            sync(descriptor)

        patch.setattr(AtomicFile, "write", counted)
        patch.setattr(os, "replace", replaced)
        patch.setattr(atomic, "sync_file", forced)

    @staticmethod
    def _kind(path: str) -> str:
        folder, name = os.path.split(path)
        if folder.endswith(".parts"):
            return "part"
        return "folder of parts" if name.endswith(".parts") else (name if "." in name else "folder")


@only_linux
@pytest.mark.parametrize("is_new_process", [False, True])
def test_a_change_in_one_root_costs_its_part_and_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new_process: bool
) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, ROOT)
    writer.write(three_roots({}))
    before = {path: path.stat().st_ino for path in paths_of(inventory)}
    if is_new_process:
        writer = PartsWriter(inventory, ROOT)
    disk = Disk(monkeypatch)
    written = writer.write(three_roots({"input": 7}))
    now = paths_of(inventory)
    (new,) = set(now) - set(before)
    assert new.name.startswith("input-")
    assert disk.bytes == written.anew == new.stat().st_size + inventory.stat().st_size
    assert written.bytes > 2.5 * disk.bytes
    assert all(path.stat().st_ino == before[path] for path in now if path != new)


@only_linux
@pytest.mark.parametrize("is_new_process", [False, True])
def test_what_changes_no_entry_costs_the_manifest_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new_process: bool
) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, CATEGORY)
    writer.write(three_roots({}))
    if is_new_process:
        writer = PartsWriter(inventory, CATEGORY)
    disk = Disk(monkeypatch)
    writer.write(three_roots({}, generated=NOW + 1))
    assert disk.bytes == inventory.stat().st_size
    assert [words.split()[0] for words in disk.done] == ["force", "rename", "force"]


@only_linux
def test_parts_are_on_the_disk_before_their_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = PartsWriter(tmp_path / "i.json", ROOT)
    disk = Disk(monkeypatch)
    writer.write(three_roots({}))
    part, rest = ["force part", "rename part"], ["force folder of parts"]
    first = [*part * 3, *rest, "force folder"]
    assert disk.done[: len(first)] == first
    assert [words.split()[0] for words in disk.done[len(first) :]] == ["force", "rename", "force"]
    disk.done.clear()
    writer.write(three_roots({"input": 7}))
    assert disk.done[:3] == [*part, *rest]
    assert [words.split()[0] for words in disk.done[3:]] == ["force", "rename", "force"]


def test_parts_of_the_generation_before_stay_until_the_next_one(tmp_path: Path) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, ROOT)
    generations = []
    for size in range(4):
        writer.write(three_roots({"output": size}))
        generations.append(set(paths_of(inventory)))
        kept = set().union(*generations[-2:])
        assert set((tmp_path / "i.parts").iterdir()) == kept
    strange = tmp_path / "i.parts" / "mine.json"
    strange.write_text("of a person")
    remove_leftover_parts(str(inventory))
    assert set((tmp_path / "i.parts").iterdir()) == generations[-1] | {strange}
    inventory.unlink()
    strange.unlink()
    remove_leftover_parts(str(inventory))
    assert not (tmp_path / "i.parts").exists()


def test_parts_have_the_mode_of_the_manifest(tmp_path: Path) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, ROOT)
    writer.write(three_roots({}))
    inventory.chmod(0o600)
    writer.write(three_roots({"output": 1}))
    (new,) = (tmp_path / "i.parts").glob(paths_of(inventory)[2].name)
    assert new.stat().st_mode & 0o777 == 0o600


def test_many_small_parts_need_no_open_files(tmp_path: Path) -> None:
    """A process may have as few as 256."""
    resource = pytest.importorskip("resource", reason="Windows counts open files otherwise")
    top = join(TOP, "models")
    names = [f"kind{number}" for number in range(600)]
    snapshot = {top: directory_of(*map(folder_row, names), device=1, inode=1)}
    for number, name in enumerate(names):
        snapshot[join(top, name)] = directory_of(file_row("a.sft"), device=1, inode=number + 2)
    root = RootView(Root("models", top), "online", 1, "ext4")
    view = InventoryView(1, NOW, TOP, [root], (), snapshot)
    inventory, whole = tmp_path / "i.json", tmp_path / "whole.json"
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limit[1]))
    try:
        for _ in range(2):
            PartsWriter(inventory, CATEGORY).write(view)
            assert len(list(read_entries(inventory))) == 1200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    write_inventory(whole, view)
    assert_equal(inventory, whole)


# Crashes, full disks


class Killed(BaseException):
    """The process ends here."""


def killed_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Let the `step`-th call that changes or forces the disk be the last one, as kill -9 does."""
    left = [step]

    def until(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return call(*arguments)

        return counted

    for place, name in ((atomic, "sync_file"), (os, "replace"), (os, "unlink"), (os, "mkdir")):
        patch.setattr(place, name, until(getattr(place, name)))
    patch.setattr(AtomicFile, "_discard", lambda file: file._file.close())  # and not deleted


def entries_of(inventory: Path) -> list[dict[str, Any]]:
    with OpenInventory(inventory) as opened:
        opened.check()
        return list(opened.entries())


def test_a_crash_at_any_step_leaves_a_whole_generation(tmp_path: Path) -> None:
    sizes: list[dict[str, int]] = [{}, {"input": 5}, {"input": 5, "output": 6}, {"models": 7}]
    whole = tmp_path / "whole.json"
    expected = []
    for each in sizes:
        write_inventory(whole, three_roots(each))
        expected.append(list(read_entries(whole)))
    deaths = 0
    for step in range(100):
        folder = tmp_path / str(step)
        folder.mkdir()
        inventory = folder / "i.json"
        writer = PartsWriter(inventory, ROOT)
        for each in sizes[:3]:
            writer.write(three_roots(each))
        is_dead = False
        with pytest.MonkeyPatch.context() as patch:
            killed_at(step, patch)
            try:
                writer.write(three_roots(sizes[3]))
            except Killed:
                is_dead = True
        assert entries_of(inventory) in expected[2:4]
        remove_leftover_parts(str(inventory))
        assert set((folder / "i.parts").iterdir()) == set(paths_of(inventory))
        PartsWriter(inventory, ROOT).write(three_roots(sizes[3]))
        assert entries_of(inventory) == expected[3]
        deaths += is_dead
        if not is_dead:
            break
    assert deaths == step
    assert deaths > 8  # three parts, two folders and the manifest, and a part that is removed


@pytest.mark.parametrize(
    ("call", "good"), [("fsync", 0), ("fsync", 1), ("replace", 1), ("mkdir", 0)]
)
def test_a_full_disk_is_one_sentence_and_leaves_the_old_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, good: int
) -> None:
    """Also if some parts were written already: `good` calls succeed."""
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, ROOT)
    if call != "mkdir":
        writer.write(three_roots({}))
    before = sorted(tmp_path.rglob("*"))

    now, known, left = three_roots({"output": 1, "models": 1}), getattr(os, call), [good]

    def fail(*arguments: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        known(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OutputError) as failure:
            writer.write(now)
    assert "cannot write" in str(failure.value)
    assert "No space left on device" in str(failure.value)
    assert sorted(tmp_path.rglob("*")) == before
    writer.write(now)
    write_inventory(tmp_path / "whole.json", now)
    assert_equal(inventory, tmp_path / "whole.json")


def test_parts_of_a_manifest_that_cannot_be_read_outlive_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = tmp_path / "i.json"
    PartsWriter(inventory, ROOT).write(three_roots({}))
    expected = list(read_entries(inventory))

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(parts, "parts_of", fail)
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OutputError):
            PartsWriter(inventory, ROOT).write(three_roots({"output": 1}))
    assert list(read_entries(inventory)) == expected


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "i.parts").write_text("of a person")
    with pytest.raises(OutputError, match="is not a folder, and the parts of the inventory go"):
        PartsWriter(tmp_path / "i.json", ROOT).write(three_roots({}))
    assert (tmp_path / "i.parts").read_text() == "of a person"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root makes folders of other users",
)
def test_a_folder_of_another_user_where_all_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "i.parts").mkdir()
    os.chown(tmp_path / "i.parts", 12345, 12345)
    with pytest.raises(OutputError, match="is a folder of another user in a folder that all"):
        PartsWriter(tmp_path / "i.json", ROOT).write(three_roots({}))


# Readers


def test_a_reader_in_a_loop_sees_one_generation_each_time(tmp_path: Path) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, CATEGORY)
    kinds = ("models", "input", "output")
    writer.write(three_roots(dict.fromkeys(kinds, 0), generated=NOW))
    is_over = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            for number in range(1, 40):
                writer.write(three_roots(dict.fromkeys(kinds, number), generated=NOW + number))
        except BaseException as error:  # shown below
            errors.append(error)
        is_over.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set()
    while True:
        is_last = is_over.is_set()
        with OpenInventory(inventory) as opened:
            number = time_ns(opened.header["generated"]) - NOW
            entries = list(opened.entries())
        assert {entry["size"] for entry in entries if "size" in entry} == {number}
        assert len(entries) == opened.header["totals"]["entries"]
        seen.add(number)
        if is_last:
            break
    thread.join()
    assert not errors
    assert len(seen) > 3


def test_a_slow_reader_ends_with_the_generation_that_it_began(tmp_path: Path) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, ROOT)
    kinds = ("models", "input", "output")
    writer.write(three_roots(dict.fromkeys(kinds, 3)))
    expected = list(read_entries(inventory))
    with OpenInventory(inventory) as opened:
        begun = opened.entries()
        first = next(begun)
        for number in (4, 5, 6, 7):
            writer.write(three_roots(dict.fromkeys(kinds, number)))
        assert [first, *begun] == expected


def test_a_reader_whose_parts_went_before_it_opened_them_reads_the_next_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = tmp_path / "i.json"
    writer = PartsWriter(inventory, ROOT)
    writer.write(three_roots({}))
    listed, sizes = inventory_text._parts_after_header, [7, 6, 5]

    def delayed(*arguments: Any) -> Any:
        found = listed(*arguments)
        while sizes:  # two generations: the parts that were just named are removed
            writer.write(three_roots({"output": sizes.pop()}))
        return found

    monkeypatch.setattr(inventory_text, "_parts_after_header", delayed)
    assert {entry["size"] for entry in read_entries(inventory) if "size" in entry} == {0, 7}
    assert sizes == []


def test_damaged_parts_are_one_sentence(tmp_path: Path) -> None:
    inventory = tmp_path / "i.json"
    PartsWriter(inventory, ROOT).write(three_roots({}))
    part = paths_of(inventory)[1]
    content = part.read_bytes()
    part.write_bytes(content[:-10])
    with pytest.raises(UnreadableInventoryError, match=f"{part.name} is damaged"):
        list(read_entries(inventory))
    part.write_bytes(content[:-4] + b"    ")  # over the end of the last line
    with pytest.raises(UnreadableInventoryError, match=f"{part.name} is damaged"):
        list(read_entries(inventory))
    part.write_bytes(content[:-3] + b"   ")  # over the last line of the file
    with pytest.raises(UnreadableInventoryError, match=f"{part.name} is damaged"):
        list(read_entries(inventory))
    part.write_bytes(content.replace(b'"size":0', b'"size":1', 1))
    assert len(list(read_entries(inventory))) == 3606
    with pytest.raises(UnreadableInventoryError, match=f"{part.name} is damaged"):
        snapshot_from(inventory)  # what a state is rebuilt from is compared with its checksum
    part.unlink()
    with pytest.raises(UnreadableInventoryError, match="a part of the inventory, is missing"):
        list(read_entries(inventory))
    with pytest.raises(UnreadableInventoryError, match="name the manifest beside its folder"):
        list(read_entries(paths_of(inventory)[0]))
    assert read_header(paths_of(inventory)[0]) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["parts"][0].update(file="../etc/passwd"),
        lambda document: document["parts"][0].update(file="/etc/passwd"),
        lambda document: document["parts"][0].update(
            file=f"../{document['parts'][0]['file'].partition('/')[2]}"
        ),
        lambda document: document["parts"][0].update(file=document["parts"][1]["file"]),
        lambda document: document["parts"][0].update(bytes="5"),
        lambda document: document["parts"].append(7),
        lambda document: document["order"].append([9, 5]),
        lambda document: document["order"].append([0, 10**12]),
        lambda document: document["order"].append([0, 3]),
        lambda document: document.pop("order"),
        lambda document: document.update(order=5),
    ],
)
def test_damaged_manifests_are_one_sentence(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    inventory = tmp_path / "i.json"
    PartsWriter(inventory, ROOT).write(three_roots({}))
    line = inventory.read_bytes().partition(b"\n")[0] + b"\n"
    document = manifest_of(inventory)
    change(document)
    rest = {key: document[key] for key in ("parts", "order") if key in document}
    inventory.write_bytes(line + orjson.dumps(rest).removeprefix(b'{"parts":[') + b"\n")
    with pytest.raises(UnreadableInventoryError, match="list of parts is not whole"):
        list(read_entries(inventory))
    PartsWriter(inventory, ROOT).write(three_roots({}))
    assert len(list(read_entries(inventory))) == 3606


def test_a_manifest_that_was_renamed_with_its_folder_left_alone_is_read(tmp_path: Path) -> None:
    inventory = tmp_path / "i.json"
    PartsWriter(inventory, ROOT).write(three_roots({}))
    inventory.rename(tmp_path / "other.json")
    assert len(list(read_entries(tmp_path / "other.json"))) == 3606


def test_a_manifest_is_what_its_schema_says(tmp_path: Path) -> None:
    schema = load_schema("inventory")
    for split_by in (ROOT, CATEGORY):
        PartsWriter(tmp_path / "i.json", split_by).write(three_roots({}))
        document = manifest_of(tmp_path / "i.json")
        Draft202012Validator(schema).validate(document)
        with pytest.raises(ValidationError):
            Draft202012Validator(schema).validate({**document, "entries": []})
