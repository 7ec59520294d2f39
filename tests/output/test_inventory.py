"""The inventory is one valid JSON document, sorted, countable, and can be turned back."""

import errno
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scanner.core.paths import is_below, join
from scanner.core.roots import KINDS, Root
from scanner.core.serialize import native, raw_text, readable
from scanner.core.snapshot import (
    BROKEN_LINK,
    CONTAINERS,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    OTHER,
    Directory,
    Row,
    Snapshot,
    listing_of,
    project,
)
from scanner.errors import OutputError
from scanner.output.inventory_reader import base_of, read_entries, read_header, snapshot_from
from scanner.output.inventory_text import HEADER_END, UnreadableInventoryError
from scanner.output.inventory_view import InventoryView, RootView, Unreachable
from scanner.output.inventory_writer import InventoryWriter, write_inventory
from scanner.schemas import NAMES, load_schema
from tests.support.build import directory_of, file_row
from tests.support.build import folder_row as folder
from tests.support.names import TOP, names

NOW = 1_790_000_000_123_456_789
SCHEMA = Draft202012Validator(load_schema("inventory"))


def at(path: str) -> str:
    """`/a/b` as this system writes it, below TOP."""
    return os.path.join(TOP, *path.strip("/").split("/")) if path.strip("/") else TOP


directory = partial(directory_of, mtime=NOW, device=1)
file = partial(file_row, mtime=NOW)


def link_to_folder(name: str) -> Row:
    return Row(name, DIRECTORY_LINK, 0, NOW, 0)


def view(roots: list[Root], snapshot: Snapshot, base: str | None = TOP, **more) -> InventoryView:
    views = [RootView(root, "online", NOW, "ext4") for root in roots]
    return InventoryView(7, NOW, base, views, (), snapshot, **more)


def _by_category(files: list[dict]) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for entry in files:
        total = totals.setdefault(entry.get("category", ""), {"files": 0, "bytes": 0})
        total["files"] += 1
        total["bytes"] += entry["size"]
    return totals


def _copies(files: list[dict]) -> dict[str, int]:
    sets: dict[str, list[int]] = {}
    for entry in files:
        if (
            "category" in entry
            and "fingerprint" in entry
            and entry["type"] == "file"
            and entry["size"]
        ):
            sets.setdefault(entry["fingerprint"], []).append(entry["size"])
    several = [sizes for sizes in sets.values() if len(sizes) > 1]
    return {
        "files": sum(map(len, several)),
        "bytes": sum(sum(sizes) - max(sizes) for sizes in several),
    }


def written(path: Path, view: InventoryView) -> list[dict]:
    """Write it, check what holds for every inventory, and return the entries."""
    size = write_inventory(path / "i.json", view).bytes
    content = (path / "i.json").read_bytes()
    assert len(content) == size
    document = orjson.loads(content)
    SCHEMA.validate(document)
    lines = content.split(b"\n")
    assert lines[0].endswith(b'"entries":[')
    assert lines[-2:] == [b"]}", b""]
    entries = [orjson.loads(line.removesuffix(b",")) for line in lines[1:-2]]
    assert entries == document["entries"] == list(read_entries(path / "i.json"))
    assert read_header(path / "i.json") == {k: v for k, v in document.items() if k != "entries"}
    keys = [[(readable(n), n) for n in raw_text(e, "path").split("/")] for e in entries]
    assert keys == sorted(keys)
    counted = [entry for entry in entries if "alias_of" not in entry]
    all_files = [entry for entry in entries if "size" in entry]
    files = [entry for entry in counted if "size" in entry]
    directories = [e for e in counted if e["type"] == "directory" or _leads(e) == "directory"]
    assert document["totals"] == {
        "entries": len(entries),
        "files": len(files),
        "directories": len(directories),
        "others": len(counted) - len(files) - len(directories),
        "aliases": len(entries) - len(counted),
        "shadowed": sum("shadowed_by" in entry for entry in entries),
        "bytes": sum(entry["size"] for entry in files),
        "apparent_bytes": sum(entry["size"] for entry in all_files),
        "categories": _by_category(files),
        "likely_copies": _copies(files),
    }
    ids = [root["id"] for root in document["roots"]]
    for root in document["roots"]:
        if ids.count(root["id"]) > 1:
            continue  # two that differ in bytes that are not UTF-8 only
        own = [entry for entry in files if entry["root"] == root["id"]]
        assert root["files"] == len(own)
        assert root["bytes"] == sum(entry["size"] for entry in own)
        listed = [entry for entry in all_files if entry["root"] == root["id"]]
        assert root["apparent_bytes"] == sum(entry["size"] for entry in listed)
    return entries


def _leads(entry: dict) -> str:
    return str(entry.get("leads_to", ""))


def brief(entries: list[dict]) -> list[str]:
    return [entry["path"] for entry in entries]


def test_schemas_are_schemas():
    for name in NAMES:
        Draft202012Validator.check_schema(load_schema(name))


def test_every_kind_of_entry(tmp_path):
    models = Root("models", at("ComfyUI/models"))
    snapshot = {
        models.path: directory(
            file("notes.txt", 3),
            folder("loras"),
            folder("locked"),
            Row("a_link", FILE_LINK, 50, NOW, 0),
            link_to_folder("b_link"),
            Row("broken", BROKEN_LINK, 0, NOW, 0),
            Row("loop", DIRECTORY_LINK, 0, 0, 0),
            Row("pipe", OTHER, 0, 0, 0),
            targets=[("a_link", "/mnt/x"), ("b_link", "/mnt/y"), ("broken", "gone"), ("loop", ".")],
        ),
        join(models.path, "loras"): directory(
            file("old", 5, mtime=-(2**63)),
            file("x", 7),
            mtime=NOW + 1,
            fingerprints=bytes(16) + bytes(range(16)),
        ),
        join(models.path, "b_link"): directory(file("y", 11)),
    }
    entries = written(
        tmp_path, view([models], snapshot, status={join(models.path, "notes.txt"): "unsettled"})
    )
    root, top = models.id, "ComfyUI/models/"
    now, later = "2026-09-21T14:13:20.123456789Z", "2026-09-21T14:13:20.123456790Z"
    assert entries == [
        {"path": top + "a_link", "type": "symlink", "size": 50, "mtime": now, "root": root}
        | {"leads_to": "file", "target": "/mnt/x"},
        {"path": top + "b_link", "type": "symlink", "mtime": now, "root": root}
        | {"total_size": 11, "apparent_bytes": 11}
        | {"category": "b_link", "leads_to": "directory", "target": "/mnt/y"},
        {"path": top + "b_link/y", "type": "file", "size": 11, "mtime": now, "root": root}
        | {"category": "b_link", "name": "y"},
        {"path": top + "broken", "type": "symlink", "mtime": now, "root": root, "target": "gone"},
        {"path": top + "locked", "type": "directory", "root": root, "category": "locked"},
        {"path": top + "loop", "type": "symlink", "root": root, "category": "loop"}
        | {"leads_to": "directory", "target": "."},
        {"path": top + "loras", "type": "directory", "mtime": later, "root": root}
        | {"total_size": 12, "apparent_bytes": 12}
        | {"category": "loras"},
        {"path": top + "loras/old", "type": "file", "size": 5, "root": root}
        | {"mtime": "1677-09-21T00:12:43.145224192Z", "category": "loras"},
        {"path": top + "loras/x", "type": "file", "size": 7, "mtime": now, "root": root}
        | {"category": "loras", "fingerprint": "xxh3_128s:000102030405060708090a0b0c0d0e0f"},
        {"path": top + "notes.txt", "type": "file", "size": 3, "mtime": now, "root": root}
        | {"status": "unsettled"},
        {"path": top + "pipe", "type": "other", "root": root},
    ]


def test_header(tmp_path):
    roots = [
        RootView(Root("models", at("ComfyUI/models")), "online", NOW, "ext4"),
        RootView(Root("extra", at("nas"), "loras"), "offline", NOW - 1, "cifs", "host is down"),
        RootView(Root("input", at("ComfyUI/input")), "missing", NOW, ""),
    ]
    places = [Unreachable(at("ComfyUI/models/x"), "Permission denied", NOW)]
    snapshot = {at("ComfyUI/models"): directory(file("a", 3), mtime=NOW)}
    written(tmp_path, InventoryView(7, NOW, TOP, roots, places, snapshot))
    now, before = "2026-09-21T14:13:20.123456789Z", "2026-09-21T14:13:20.123456788Z"
    header = read_header(tmp_path / "i.json")
    assert header is not None
    assert header["tool"].pop("version")
    assert header == {
        "schema": 2,
        "tool": {"name": "comfy-inventory"},
        "generated": now,
        "scan": 7,
        "base": TOP.replace(os.sep, "/"),
        "roots": [
            {"id": roots[0].root.id, "kind": "models", "path": "ComfyUI/models"}
            | {"state": "online", "since": now, "filesystem": "ext4", "mtime": now}
            | {"files": 1, "bytes": 3, "apparent_bytes": 3},
            {"id": roots[1].root.id, "kind": "extra", "path": "nas", "category": "loras"}
            | {"state": "offline", "since": before, "filesystem": "cifs"}
            | {"reason": "host is down", "files": 0, "bytes": 0, "apparent_bytes": 0},
            {"id": roots[2].root.id, "kind": "input", "path": "ComfyUI/input"}
            | {"state": "missing", "since": now, "files": 0, "bytes": 0, "apparent_bytes": 0},
        ],
        "unreachable": [
            {"path": "ComfyUI/models/x", "error": "Permission denied", "since": now},
        ],
        "mounts": [],
        "totals": {"entries": 1, "files": 1, "directories": 0, "others": 0}
        | {"aliases": 0, "shadowed": 0, "bytes": 3, "apparent_bytes": 3}
        | {"categories": {"": {"files": 1, "bytes": 3}}}
        | {"likely_copies": {"files": 0, "bytes": 0}},
    }
    assert base_of(header) == TOP


def test_models_with_equal_fingerprints_are_counted_as_likely_copies(tmp_path):
    models = Root("models", at("m"))
    one, two = bytes(range(16)), bytes(range(1, 17))
    snapshot = {
        at("m"): directory(folder("loras"), file("a", 7)).with_fingerprints({"a": one}),
        at("m/loras"): directory(
            file("x", 7), file("y", 7), file("z", 7), file("only", 9), file("empty", 0)
        ).with_fingerprints({"x": one, "y": one, "z": one, "only": two, "empty": two}),
    }
    written(tmp_path, view([models], snapshot))
    header = read_header(tmp_path / "i.json")
    assert header is not None
    assert header["totals"]["likely_copies"] == {"files": 3, "bytes": 14}
    assert header["totals"]["categories"]["loras"] == {"files": 5, "bytes": 30}


def test_nested_roots_are_sorted_into_the_outer_one(tmp_path):
    models = Root("models", at("m"))
    inner = Root("downloads", at("m/mid"))
    deep = Root("extra", at("m/left_out/z/deep"))
    outside = Root("output", at("a"))
    snapshot = {
        models.path: directory(folder("aaa"), file("midd"), file("mi"), folder("zzz")),
        at("m/aaa"): directory(file("1")),
        at("m/zzz"): directory(file("2", 100)),
        inner.path: directory(folder("sub"), file("zz")),
        at("m/mid/sub"): directory(file("3")),
        deep.path: directory(file("4")),
        outside.path: directory(file("5")),
    }
    entries = written(tmp_path, view([models, inner, deep, outside], snapshot))
    assert brief(entries) == [
        "a/5",
        "m/aaa",
        "m/aaa/1",
        "m/left_out/z/deep/4",
        "m/mi",
        "m/mid/sub",
        "m/mid/sub/3",
        "m/mid/zz",
        "m/midd",
        "m/zzz",
        "m/zzz/2",
    ]
    roots = {entry["path"]: entry["root"] for entry in entries}
    assert roots["m/mid/zz"] == inner.id
    assert roots["m/left_out/z/deep/4"] == deep.id
    assert roots["m/midd"] == models.id


def test_nested_root_in_an_unreachable_folder_or_an_outer_root_that_was_never_walked(tmp_path):
    models, inner = Root("models", at("m")), Root("extra", at("m/locked/in"))
    snapshot = {inner.path: directory(file("1"))}
    assert brief(written(tmp_path, view([models, inner], snapshot))) == ["m/locked/in/1"]
    snapshot[models.path] = directory(folder("locked"), file("locked.txt"))
    assert brief(written(tmp_path, view([models, inner], snapshot))) == [
        "m/locked",
        "m/locked/in/1",
        "m/locked.txt",
    ]


def test_two_roots_on_one_folder_list_it_once(tmp_path):
    roots = [Root("extra", at("m")), Root("models", at("m"))]
    (entry,) = written(tmp_path, view(roots, {at("m"): directory(file("1"))}))
    assert entry["root"] == roots[1].id


def test_a_root_that_is_the_base_itself(tmp_path):
    roots = [Root("downloads", TOP), Root("extra", os.path.abspath(os.sep + "zzz"))]
    snapshot = {TOP: directory(file("1")), roots[1].path: directory(file("2"))}
    entries = written(tmp_path, view(roots, snapshot))
    assert sorted(brief(entries)) == ["/zzz/2", "1"] or os.name == "nt"


# Rule 11: what is reached by several paths counts once


def alias_snapshot() -> tuple[Root, Root, Snapshot]:
    models, extra = Root("models", at("m")), Root("extra", at("e"))
    snapshot = {
        models.path: directory(link_to_folder("link"), file("own", 1), inode=1),
        at("m/link"): directory(folder("sub"), file("x", 100), inode=10),
        at("m/link/sub"): directory(file("y", 1000), inode=11),
        extra.path: directory(folder("real"), file("own", 2), inode=2),
        at("e/real"): directory(folder("sub"), file("x", 100), inode=10),
        at("e/real/sub"): directory(file("y", 1000), inode=11),
    }
    return models, extra, snapshot


def aliases(entries: list[dict]) -> dict[str, str]:
    return {entry["path"]: entry["alias_of"] for entry in entries if "alias_of" in entry}


def test_the_first_kind_owns_even_through_a_link(tmp_path):
    models, extra, snapshot = alias_snapshot()
    entries = written(tmp_path, view([extra, models], snapshot))
    assert aliases(entries) == {
        "e/real": "m/link",
        "e/real/sub": "m/link/sub",
        "e/real/sub/y": "m/link/sub/y",
        "e/real/x": "m/link/x",
    }
    header = read_header(tmp_path / "i.json")
    assert header is not None
    assert header["totals"]["bytes"] == 1103
    assert [root["bytes"] for root in header["roots"]] == [2, 1101]
    sizes = {entry["path"]: entry.get("total_size") for entry in entries}
    assert sizes["e/real"] == sizes["m/link"] == 1100
    assert header["totals"]["apparent_bytes"] == 2203


def test_within_a_kind_the_path_without_links_owns(tmp_path):
    models = Root("models", at("m"))
    snapshot = {
        models.path: directory(link_to_folder("a_link"), folder("real")),
        at("m/a_link"): directory(folder("sub"), file("x"), inode=10),
        at("m/a_link/sub"): directory(file("y"), inode=11),
        at("m/real"): directory(folder("sub"), file("x"), inode=10),
        at("m/real/sub"): directory(file("y"), inode=11),
    }
    assert aliases(written(tmp_path, view([models], snapshot))) == {
        "m/a_link": "m/real",
        "m/a_link/sub": "m/real/sub",
        "m/a_link/sub/y": "m/real/sub/y",
        "m/a_link/x": "m/real/x",
    }


def test_within_a_kind_the_first_by_path_owns(tmp_path):
    models = Root("models", at("m"))
    snapshot = {
        models.path: directory(link_to_folder("b"), link_to_folder("a"), link_to_folder("c")),
        at("m/b"): directory(file("x"), inode=5),
        at("m/a"): directory(file("x"), inode=5),
        at("m/c"): directory(file("x"), inode=5),
    }
    assert aliases(written(tmp_path, view([models], snapshot))) == {
        "m/b": "m/a",
        "m/b/x": "m/a/x",
        "m/c": "m/a",
        "m/c/x": "m/a/x",
    }


def test_unknown_inodes_are_never_the_same_folder(tmp_path):
    models = Root("models", at("m"))
    snapshot = {
        models.path: directory(folder("a"), folder("b")),
        at("m/a"): directory(file("x")),
        at("m/b"): directory(file("x")),
    }
    assert not aliases(written(tmp_path, view([models], snapshot)))


def test_below_an_alias_what_has_no_inode_is_known_by_its_path(tmp_path):
    models, extra, snapshot = alias_snapshot()
    for path in (at("m/link/sub"), at("e/real/sub")):
        snapshot[path] = replace(snapshot[path], inode=0)
    assert aliases(written(tmp_path, view([models, extra], snapshot)))["e/real/sub/y"] == (
        "m/link/sub/y"
    )


def test_what_the_owner_does_not_list_is_counted_where_it_is(tmp_path):
    models, extra, snapshot = alias_snapshot()
    snapshot[at("e/real")] = directory(folder("sub"), file("x", 100), file("only", 9), inode=10)
    entries = written(tmp_path, view([models, extra], snapshot))
    assert "e/real/only" in brief(entries)
    assert "e/real/only" not in aliases(entries)


def test_a_root_that_a_link_of_another_root_leads_to(tmp_path):
    """The owner is the root's folder, which has no entry, or the link, if its root comes first."""
    models, output = Root("models", at("m")), Root("output", at("o"))
    snapshot = {
        models.path: directory(link_to_folder("out"), inode=1),
        at("m/out"): directory(file("x"), inode=2),
        output.path: directory(file("x"), inode=2),
    }
    assert aliases(written(tmp_path, view([models, output], snapshot))) == {"o/x": "m/out/x"}
    swapped = [replace(models, kind="extra"), output]
    assert aliases(written(tmp_path, view(swapped, snapshot))) == {
        "m/out": "o",
        "m/out/x": "o/x",
    }


# Names

posix_only = pytest.mark.skipif(os.name == "nt", reason="such names exist on POSIX only")


@posix_only
def test_names_that_are_not_utf8(tmp_path):
    name, other = os.fsdecode(b"gro\xdf"), "\uff21"
    root = Root("models", at("m") + os.fsdecode(b"\xff"), "loras")
    snapshot = {
        root.path: directory(
            file(name), file(other), Row("l", FILE_LINK, 1, NOW, 0), targets=[("l", name)]
        )
    }
    entries = written(tmp_path, view([root], snapshot))
    assert [entry["path"] for entry in entries] == [
        "m\ufffd/gro\ufffd",
        "m\ufffd/l",
        "m\ufffd/\uff21",
    ]
    by_path = {entry["path"]: entry for entry in entries}
    assert by_path["m\ufffd/gro\ufffd"]["path_b64"] == "bf8vZ3Jv3w=="
    assert by_path["m\ufffd/l"]["target"] == "gro\ufffd"
    assert by_path["m\ufffd/l"]["target_b64"] == "Z3Jv3w=="
    assert entries[0]["root"] == readable(root.id)
    header, snapshot_back = snapshot_from(tmp_path / "i.json")
    assert native(header["roots"][0], TOP) == root.path
    assert project(snapshot_back, [root.path]) == project(snapshot, [root.path])


@posix_only
def test_a_newline_in_a_name_does_not_break_a_line(tmp_path):
    root = Root("models", at("m\nn"))
    (entry,) = written(tmp_path, view([root], {root.path: directory(file('a\n"b\\'))}))
    assert entry["path"] == 'm\nn/a\n"b\\'


# Any snapshot

mtimes = st.sampled_from([0, 1, -1, NOW, 2**63 - 1, -(2**63)]) | st.integers(NOW, NOW + 10**12)
prints = st.sampled_from([bytes(16), bytes(range(16))])


@st.composite
def snapshots(draw) -> tuple[list[Root], Snapshot]:
    """One to three roots, possibly nested, with some folders that have no listing."""
    snapshot: Snapshot = {}
    places = [TOP]

    def grow(path: str, depth: int) -> None:
        rows, targets = [], []
        for name in draw(st.lists(names, max_size=4, unique=True)):
            letters = [FILE, FILE, FILE_LINK, BROKEN_LINK, OTHER, DIRECTORY, DIRECTORY_LINK]
            letter = draw(st.sampled_from(letters if depth else letters[:5]))
            child = join(path, name)
            places.append(child)
            if child in snapshot:
                continue  # a nested root: never in the outer listing
            size = draw(st.integers(0, 2**40)) if letter in (FILE, FILE_LINK) else 0
            mtime = 0 if letter in (DIRECTORY, OTHER) else draw(mtimes)
            rows.append(Row(name, letter, size, mtime, draw(st.integers(0, 3))))
            if letter in (FILE_LINK, DIRECTORY_LINK, BROKEN_LINK):
                targets.append((name, draw(names)))
            if letter in CONTAINERS and draw(st.booleans()):
                grow(child, depth - 1)
        files = [row.name for row in rows if row.type == FILE]
        linked = draw(st.lists(st.sampled_from(files), unique=True)) if files else []
        columns = listing_of(rows, targets=targets, hard_links=linked)
        found = {row.name: draw(prints) for row in rows if row.type == FILE and draw(st.booleans())}
        listed = Directory(columns, draw(mtimes), draw(st.integers(1, 2)), draw(st.integers(0, 4)))
        snapshot[path] = listed.with_fingerprints(found) if found else listed

    roots: list[Root] = []
    for depth in range(draw(st.integers(1, 3))):
        above = draw(st.sampled_from(places))
        path = join(above, draw(names))
        taken = [*snapshot, *(root.path for root in roots)]
        if any(is_below(other, path) for other in taken):
            continue
        for outer, listed in snapshot.items():
            for row in listed.listing.rows():
                if is_below(path, join(outer, row.name)) and (
                    row.type not in CONTAINERS or join(outer, row.name) == path
                ):
                    break
            else:
                continue
            break
        else:
            category = draw(st.sampled_from(["", "loras"]))
            roots.append(Root(draw(st.sampled_from(KINDS)), path, category))
            if draw(st.integers(0, 9)):
                grow(path, 3 - depth)
    return roots, snapshot


@given(snapshots(), st.sampled_from([None, TOP, os.sep]))
def test_any_snapshot_comes_back_from_its_inventory(tmp_path_factory, drawn, base):
    roots, snapshot = drawn
    folder = tmp_path_factory.getbasetemp()
    written(folder, view(roots, snapshot, base))
    header, back = snapshot_from(folder / "i.json")
    tops = [root.path for root in roots]
    assert project(back, tops) == project(snapshot, tops)
    assert back.keys() == snapshot.keys()
    for path, directory in snapshot.items():
        assert back[path].listing.names == directory.listing.names
        assert back[path].listing.types == directory.listing.types
        assert back[path].listing.targets == directory.listing.targets
        assert back[path].fingerprints == directory.fingerprints
    for fields, root in zip(header["roots"], roots, strict=True):
        assert native(fields, base_of(header)) == root.path
        if root.path in snapshot:
            assert back[root.path].mtime == snapshot[root.path].mtime


# Copying what has not changed


def assert_as_written_anew(writer: InventoryWriter, folder: Path, now: InventoryView) -> None:
    write_inventory(folder / "new.json", now)
    writer.write(now)
    assert (folder / "i.json").read_bytes() == (folder / "new.json").read_bytes()


@given(st.data())
@settings(max_examples=150)
def test_copying_gives_what_writing_anew_gives(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    roots, snapshot = data.draw(snapshots())
    writer = InventoryWriter(folder / "i.json")
    assert_as_written_anew(writer, folder, view(roots, snapshot))
    for _ in range(data.draw(st.integers(1, 3))):
        known = sorted(snapshot)
        for path in data.draw(st.lists(st.sampled_from(known), max_size=3)) if known else ():
            listed = snapshot.get(path)
            if listed is None:
                continue
            rows = [row for row in listed.listing.rows() if data.draw(st.integers(0, 3))]
            rows = [
                row._replace(size=row.size + 1) if data.draw(st.booleans()) else row for row in rows
            ]
            present = {row.name for row in rows}
            name = data.draw(names)
            if name not in present and join(path, name) not in snapshot:
                letter = data.draw(st.sampled_from([FILE, DIRECTORY]))
                rows.append(Row(name, letter, 7 if letter == FILE else 0, 0, 0))
                if letter == DIRECTORY and not any(r.path == join(path, name) for r in roots):
                    inode = data.draw(st.integers(0, 9))
                    snapshot[join(path, name)] = directory(file("in it"), inode=inode)
            targets = [pair for pair in listed.listing.targets if pair[0] in present]
            snapshot[path] = Directory(
                listing_of(rows, targets=targets), listed.mtime + 1, listed.device, listed.inode
            )
        reached = {root.path for root in roots}
        for path in sorted(snapshot):
            if path in reached:
                for name, _ in snapshot[path].listing.named_containers():
                    reached.add(join(path, name))
        for path in snapshot.keys() - reached:
            del snapshot[path]
        status = {}
        if known and data.draw(st.booleans()):
            status = {join(data.draw(st.sampled_from(known)), data.draw(names)): "unsettled"}
        assert_as_written_anew(writer, folder, view(roots, snapshot, status=status))


def tree(folders: int, files: int) -> tuple[list[Root], Snapshot]:
    """A root with `folders` folders of `files` files each."""
    top = at("m")
    places = [f"folder_{number:03}" for number in range(folders)]
    snapshot = {top: directory(*(folder(name) for name in places))}
    for number, name in enumerate(places, 1):
        rows = [file(f"file_{index}.safetensors") for index in range(files)]
        snapshot[join(top, name)] = directory(*rows, inode=number)
    return [Root("models", top)], snapshot


def change_one(snapshot: Snapshot) -> None:
    path = at("m/folder_050")
    rows = list(snapshot[path].listing.rows())
    rows[0] = rows[0]._replace(size=999_999)
    snapshot[path] = Directory(listing_of(rows), NOW + 1, 1, snapshot[path].inode)


@pytest.mark.parametrize("files", [1, 30, 600])
def test_one_changed_file_has_only_its_line_and_that_of_its_folder_written(tmp_path, files):
    roots, snapshot = tree(100, files)
    writer = InventoryWriter(tmp_path / "i.json")
    assert_as_written_anew(writer, tmp_path, view(roots, snapshot))
    assert writer.copied == 0
    encoded = len(read_lines(tmp_path / "i.json"))
    change_one(snapshot)
    assert_as_written_anew(writer, tmp_path, view(roots, snapshot))
    lines = read_lines(tmp_path / "i.json")
    changed = (b'"path":"m/folder_050"', b'"path":"m/folder_050/file_0.safetensors"')
    own = [line for line in lines if any(path in line for path in changed)]
    assert len(own) == 2
    assert encoded == len(lines) == 100 + 100 * files
    # With the two bytes that separate lines; the last line has one of them.
    assert writer.copied == sum(len(line) + 2 for line in lines) - sum(len(o) + 2 for o in own)


def test_a_copied_folder_takes_its_place_behind_new_names(tmp_path):
    roots, snapshot = tree(3, 5)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(view(roots, snapshot))
    rows = [*snapshot[at("m")].listing.rows(), file("a"), file("folder_000a"), file("z")]
    snapshot[at("m")] = directory(*rows)
    assert_as_written_anew(writer, tmp_path, view(roots, snapshot))
    assert writer.copied


def test_a_folder_that_is_not_listed_any_more_is_left_out_with_all_below_it(tmp_path):
    roots, snapshot = tree(3, 5)
    below = at("m/folder_001/below")
    snapshot[at("m/folder_001")] = directory(folder("below"))
    snapshot[below] = directory(file("deep"), inode=77)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(view(roots, snapshot))
    snapshot[at("m")] = directory(folder("folder_000"), folder("folder_002"))
    assert_as_written_anew(writer, tmp_path, view(roots, snapshot))
    snapshot[at("m")] = directory(folder("folder_000"), folder("folder_001"))
    assert_as_written_anew(writer, tmp_path, view(roots, snapshot))


def read_lines(path: Path) -> list[bytes]:
    return [line.removesuffix(b",") for line in path.read_bytes().split(b"\n")[1:-2]]


def test_an_inventory_that_another_has_replaced_or_edited_is_not_copied_from(tmp_path):
    roots, snapshot = tree(100, 30)
    writer = InventoryWriter(tmp_path / "i.json")
    for spoil in (
        lambda path: path.write_bytes(path.read_bytes().replace(b"file_7", b"FILE__7")),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
    ):
        writer.write(view(roots, snapshot))
        spoil(tmp_path / "i.json")
        change_one(snapshot)
        assert_as_written_anew(writer, tmp_path, view(roots, snapshot))
        assert writer.copied == 0


def test_the_old_inventory_is_closed_before_it_is_replaced(tmp_path, monkeypatch):
    """Windows refuses to replace an open file."""
    roots, snapshot = tree(100, 30)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(view(roots, snapshot))
    opened: list[IO[bytes]] = []
    closed: list[bool] = []
    open_, replace_ = open, os.replace

    def noted_open(*args, **more):
        opened.append(open_(*args, **more))
        return opened[-1]

    def noted_replace(*args):
        closed.extend(file.closed for file in opened)
        replace_(*args)

    monkeypatch.setattr("builtins.open", noted_open)
    monkeypatch.setattr(os, "replace", noted_replace)
    change_one(snapshot)
    writer.write(view(roots, snapshot))
    assert writer.copied
    assert closed == [True, True]  # the temporary file and the old inventory


def test_after_a_failed_write_the_next_one_is_whole(tmp_path, monkeypatch):
    roots, snapshot = tree(100, 30)
    writer = InventoryWriter(tmp_path / "i.json")
    writer.write(view(roots, snapshot))
    change_one(snapshot)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", _full_disk)
        with pytest.raises(OutputError):
            writer.write(view(roots, snapshot))
    assert_as_written_anew(writer, tmp_path, view(roots, snapshot))
    assert writer.copied == 0


def _full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# What is no inventory


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]\n",
        b'{"schema":1}\n',
        b'{"schema":"1","entries":[\n]}\n',
        b"\xff\n",
        b"x" * 99,
    ],
)
def test_other_files_are_no_inventories(tmp_path, content):
    (tmp_path / "i.json").write_bytes(content)
    assert read_header(tmp_path / "i.json") is None
    with pytest.raises(UnreadableInventoryError, match="is not an inventory"):
        snapshot_from(tmp_path / "i.json")


def test_a_missing_inventory(tmp_path):
    assert read_header(tmp_path / "i.json") is None
    with pytest.raises(UnreadableInventoryError, match="there is no inventory"):
        snapshot_from(tmp_path / "i.json")
    with pytest.raises(UnreadableInventoryError, match="there is no inventory"):
        list(read_entries(tmp_path / "i.json"))
    with pytest.raises(OutputError, match="cannot read"):
        read_header(tmp_path)


def test_an_inventory_of_a_newer_version_is_not_guessed_at(tmp_path):
    (tmp_path / "i.json").write_bytes(b'{"schema":3,"roots":[],"entries":[\n]}\n')
    assert read_header(tmp_path / "i.json") == {"schema": 3, "roots": []}
    with pytest.raises(UnreadableInventoryError, match="newer version"):
        snapshot_from(tmp_path / "i.json")


def test_a_cut_off_inventory_is_never_taken_for_a_smaller_one(tmp_path):
    models, extra, snapshot = alias_snapshot()
    path = tmp_path / "i.json"
    write_inventory(path, view([models, extra], snapshot))
    content = path.read_bytes()
    for end in range(len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(UnreadableInventoryError):
            snapshot_from(path)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": True},
        {"scan": None},
        {"scan": [{}]},
        {"scan": True},
        {"scan": -1},
        {"scan": 10**18},
        {"scan": 1.5},
        {"roots": "x"},
        {"roots": [None]},
        {"roots": [{}]},
        {"roots": [{"kind": "x", "path": "/a", "state": "online"}]},
        {"roots": [{"kind": "models", "path": "a\0", "state": "online"}]},
        {"roots": [{"kind": "models", "path": 5, "state": "online"}]},
        {"roots": [{"kind": "models", "path": "/a", "state": []}]},
        {"roots": [{"kind": "models", "path": "/a", "state": "online", "category": {}}]},
        {"base": 5},
        {"base_b64": "x"},
    ],
)
def test_a_header_of_another_form_is_no_inventory(tmp_path, change):
    root = {"kind": "models", "path": "/a", "state": "online"}
    header = {"schema": 2, "scan": 1, "base": "/b", "roots": [root]}
    path = tmp_path / "i.json"

    def write(fields):
        path.write_bytes(orjson.dumps(fields)[:-1] + b"," + HEADER_END + b"]}\n")

    write(header)
    assert read_header(path) == header
    write({**header, **change})
    assert read_header(path) is None
    with pytest.raises(UnreadableInventoryError):
        snapshot_from(path)


def test_a_lost_line_is_damage(tmp_path):
    """A file that the inventory lacks would be told as created after the state was lost."""
    models, extra, snapshot = alias_snapshot()
    path = tmp_path / "i.json"
    write_inventory(path, view([models, extra], snapshot))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(UnreadableInventoryError, match="entries are missing"):
        snapshot_from(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"type":"file"', b'"type":"fole"'),
        (b'"size":100', b'"size":"a"'),
        (b'"size":100', b'"size":99999999999999999999'),
        (b'"mtime":"2026', b'"mtime":"20x6'),
        (b'"path":"e/', b'"puth":"e/'),
        (b'{"path":"e/own"', b'["path","e/own"'),
        (b'"base":"', b'"bose":"'),
        (b'"path":"e/', b'"path":"/'),
        (b'"path":"e/', b'"path":"../../etc/'),
    ],
)
def test_damage_is_one_sentence(tmp_path, old, new):
    models, extra, snapshot = alias_snapshot()
    path = tmp_path / "i.json"
    write_inventory(path, view([models, extra], snapshot))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(UnreadableInventoryError, match=r"damaged|is not an inventory"):
        snapshot_from(path)


@pytest.mark.parametrize("size", [b"null", b"1.5", b'"a"', b"true", b"[]"])
def test_a_size_that_is_no_number_is_damage_for_every_reader(tmp_path, size):
    models, extra, snapshot = alias_snapshot()
    path = tmp_path / "i.json"
    write_inventory(path, view([models, extra], snapshot))
    path.write_bytes(path.read_bytes().replace(b'"size":100', b'"size":' + size))
    with pytest.raises(UnreadableInventoryError, match="damaged at line"):
        list(read_entries(path))


@pytest.mark.parametrize("parts", [b"[]", b"{}", b'{"bytes":null}', b'"a"'])
def test_a_set_without_its_size_is_damage_for_every_reader(tmp_path, parts):
    models, extra, snapshot = alias_snapshot()
    path = tmp_path / "i.json"
    write_inventory(path, view([models, extra], snapshot))
    path.write_bytes(path.read_bytes().replace(b'"size":100', b'"set":' + parts + b',"size":100'))
    with pytest.raises(UnreadableInventoryError, match="damaged at line"):
        list(read_entries(path))


def test_a_failed_write_leaves_the_old_inventory(tmp_path, monkeypatch):
    path = tmp_path / "i.json"
    path.write_bytes(b"old")
    root = Root("models", at("m"))
    bad = view([root], {root.path: directory(file("a"))}, status={at("m/a"): object()})
    with pytest.raises(TypeError):
        write_inventory(path, bad)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["i.json"]


def test_deep_folders_do_not_exhaust_the_stack(tmp_path):
    root = Root("models", at("m"))
    snapshot, path = {}, root.path
    for _ in range(1500):
        snapshot[path] = directory(file("a"), folder("d"), file("e"))
        path = join(path, "d")
    entries = written(tmp_path, view([root], snapshot))
    assert len(entries) == 4500
