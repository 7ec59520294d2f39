"""Damaged files of one host stop no question about the others, and mend with its next news."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scanner.errors import OutputError, SettingsError
from scanner.fleet.address import Address
from scanner.fleet.files_place import FilesPlace
from scanner.fleet.generation import Source
from scanner.fleet.manifest import key_of, manifest_path
from scanner.fleet.publish import place_at, publish
from scanner.fleet.questions import Question, changes, duplicates, missing, where
from scanner.fleet.reading import open_fleet
from scanner.output.parquet import literal
from tests.fleet.studio import HOSTS, Studio, asked, published, union
from tests.support.fleet_places import Served
from tests.support.machine import Machine, write

ALL = Question("SELECT host, path, size FROM entries ORDER BY host, path", {})


@pytest.fixture
def folder(studio: Studio, place: Address, served: Served) -> Path:
    """The files of three hosts that have published."""
    if served.folder is None:
        pytest.skip("a database has no files")
    for host in HOSTS:
        publish(place, studio.source(host))
    return served.folder


def told(place: Address, question: Question) -> tuple[set[str], list[str]]:
    """The hosts in an answer, and the sentences about others."""
    problems: list[str] = []
    with open_fleet(place, problems.append) as fleet:
        rows = list(fleet.ask(question).dicts())
        assert {row["host"] for row in rows} <= {m.host for m in fleet.manifests}
    return {row["host"] for row in rows}, problems


def parquet_of(folder: Path, table: str, host: str = "beta") -> Path:
    return max((folder / table / f"host={host}").rglob("*.parquet"), key=lambda p: p.stat().st_size)


def other_types(path: Path) -> None:
    import duckdb

    with duckdb.connect() as database:
        rows = database.sql("SELECT 'beta' AS host, 'large' AS size, 'x' AS path")
        rows.write_parquet(str(path))


def middle_is_lost(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:8] + bytes(len(content) // 2) + content[8 + len(content) // 2 :])


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "removed": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "nonsense": lambda path: path.write_bytes(b"nonsense" * 100),
    "middle": middle_is_lost,
    "types": other_types,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_host_with_a_damaged_file_is_left_out(folder: Path, place: Address, damage: str) -> None:
    path = parquet_of(folder, "entries")
    DAMAGES[damage](path)
    hosts, problems = told(place, ALL)
    assert hosts == {"alpha", "gamma"}
    assert len(problems) == 1 and problems[0].startswith("beta is left out: entries/host=beta/")
    assert "\n" not in problems[0]


def test_damaged_change_list_leaves_its_host_out(folder: Path, place: Address) -> None:
    DAMAGES["cut"](parquet_of(folder, "changes"))
    hosts, problems = told(place, changes("", None))
    assert hosts == {"alpha", "gamma"} and len(problems) == 1
    # Questions that need no changes are answered for all.
    assert told(place, ALL) == (set(HOSTS), [])


def _part(manifest: dict[str, Any]) -> dict[str, Any]:
    return next(part for part in manifest["parts"].values() if part["path"])


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "later": (lambda m: m.update(schema=2), "of a later version"),
    "schema": (lambda m: m.update(schema="x"), "damaged"),
    "time": (lambda m: m.update(published="yesterday"), "damaged"),
    "scan": (lambda m: m.update(scan=-1), "damaged"),
    "large": (lambda m: m.update(scan=2**63), "damaged"),
    "root": (lambda m: m.update(roots=["x"]), "damaged"),
    "state": (lambda m: m["roots"][0].update(state=7), "damaged"),
    "parts": (lambda m: m.update(parts=[]), "damaged"),
    "outside": (lambda m: _part(m).update(path="../../secret.parquet"), "damaged"),
    "inside": (lambda m: _part(m).update(path="entries/../../secret.parquet"), "damaged"),
    "pattern": (lambda m: _part(m).update(path="entries/*.parquet"), "damaged"),
    "rows": (lambda m: _part(m).update(rows="many"), "damaged"),
    "other": (lambda m: m.update(host="alpha"), "of 'alpha'"),
}


@pytest.mark.parametrize("damage", MANIFESTS)
def test_host_with_a_damaged_manifest_is_left_out(
    folder: Path, place: Address, damage: str
) -> None:
    path = folder / "hosts/beta.json"
    document = json.loads(path.read_bytes())
    change, reason = MANIFESTS[damage]
    change(document)
    path.write_text(json.dumps(document))
    hosts, problems = told(place, ALL)
    assert hosts == {"alpha", "gamma"}
    assert len(problems) == 1 and problems[0].startswith("hosts/beta.json is left out: ")
    assert reason in problems[0]


def test_fields_of_a_later_version_are_ignored(folder: Path, place: Address) -> None:
    path = folder / "hosts/beta.json"
    document = json.loads(path.read_bytes())
    _part(document)["new"] = document["new"] = document["roots"][0]["new"] = {"x": 1}
    path.write_text(json.dumps(document))
    assert told(place, ALL) == (set(HOSTS), [])


def test_columns_of_a_later_version_are_kept(folder: Path, place: Address) -> None:
    import duckdb

    path = parquet_of(folder, "entries")
    with duckdb.connect() as database:
        database.execute(
            "CREATE TABLE t AS SELECT * EXCLUDE (blake3), 'yes' AS later FROM read_parquet($path)",
            {"path": literal(str(path))},
        )
        database.table("t").write_parquet(str(path))
    rows = asked(place, Question("SELECT host, later, blake3 FROM entries", {}))
    assert {row["host"] for row in rows} == set(HOSTS)
    assert {row["host"] for row in rows if row["later"]} == {"beta"}


def test_later_manifest_is_not_replaced(studio: Studio, folder: Path, place: Address) -> None:
    path = folder / "hosts/beta.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "schema": 2}))
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="a later version of comfy-inventory has published"):
        publish(place, studio.source("beta"))
    assert path.read_bytes() == before


def test_damaged_manifest_is_replaced(studio: Studio, folder: Path, place: Address) -> None:
    (folder / "hosts/beta.json").write_bytes(b"{")
    assert publish(place, studio.source("beta")).is_new
    assert published(place) == union(studio)


def test_file_that_is_gone_is_published_again(studio: Studio, folder: Path, place: Address) -> None:
    """Also where its root has not changed since."""
    models = next(folder.glob("entries/host=alpha/root=models*/*.parquet"))
    models.unlink()
    write(studio.machines["alpha"].work / f"ComfyUI/input/{folder.name}.png", "x")
    studio.scan("alpha")
    publish(place, studio.source("alpha"))
    assert published(place) == union(studio)


def test_changes_that_are_gone_are_noted(studio: Studio, folder: Path, place: Address) -> None:
    parquet_of(folder, "changes", "alpha").unlink()
    write(studio.machines["alpha"].work / f"ComfyUI/input/{folder.name}.png", "x")
    studio.scan("alpha")
    done = publish(place, studio.source("alpha"))
    assert done.lacks and {"alpha"} <= told(place, changes("", None))[0]


def test_what_a_killed_host_left_goes(studio: Studio, folder: Path, place: Address) -> None:
    left = [
        folder / "entries/host=alpha/root=x/.y.parquet.0011.tmp",
        folder / "entries/host=alpha/root=x/z.parquet",
        folder / "hosts/.alpha.json.0011.tmp",
    ]
    others = [folder / "hosts/.beta.json.0011.tmp", folder / "entries/host=beta/.x.tmp"]
    for path in [*left, *others]:
        write(path, "left")
    write(studio.machines["alpha"].work / f"ComfyUI/input/{folder.name}.png", "x")
    studio.scan("alpha")
    publish(place, studio.source("alpha"))
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others), "another host's, which may be at it"


def test_host_that_is_forgotten_half_can_be_forgotten(folder: Path, place: Address) -> None:
    (folder / "hosts/beta.json").unlink()
    assert place_at(place).forget("beta")
    assert not list(folder.rglob("*beta*/*"))
    assert not place_at(place).forget("beta")


def test_reader_follows_a_host_that_publishes_meanwhile(
    studio: Studio, folder: Path, place: Address
) -> None:
    def add(number: int) -> None:
        write(studio.machines["beta"].work / f"ComfyUI/input/{folder.name}-{number}.png", "x")
        studio.scan("beta")
        publish(place, studio.source("beta"))

    add(0)
    problems: list[str] = []
    with open_fleet(place, problems.append) as fleet:
        add(1)
        add(2)  # the files that the manifests name are gone now
        rows = list(fleet.ask(ALL).dicts())
    assert problems == []
    assert [row["path"] for row in rows if row["path"].endswith(f"{folder.name}-2.png")]


def test_host_that_is_published_twice_at_a_time_is_refused(
    studio: Studio, place: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(place, studio.source("alpha"))
    write(studio.machines["alpha"].work / f"ComfyUI/input/twice-{place.kind}.png", "x")
    studio.scan("alpha")
    kind = type(place_at(place))
    first = kind.publish
    started: list[bool] = []

    def publish_twice(self: Any, *arguments: Any) -> Any:
        if not started:
            started.append(True)
            publish(place, studio.source("alpha"))
        return first(self, *arguments)

    monkeypatch.setattr(kind, "publish", publish_twice)
    with pytest.raises(OutputError, match="another process publishes alpha at the same time"):
        publish(place, studio.source("alpha"))


def test_host_that_is_forgotten_while_it_publishes_comes_back_whole(
    studio: Studio, folder: Path, place: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = studio.machines["gamma"]
    write(machine.work / f"ComfyUI/input/{folder.name}.png", "x")
    studio.scan("gamma")
    put = FilesPlace._put_manifest

    def forgotten_before(self: FilesPlace, *arguments: Any) -> None:
        self.forget("gamma")
        put(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(FilesPlace, "_put_manifest", forgotten_before)
        publish(place, studio.source("gamma"))
    hosts, problems = told(place, ALL)
    assert hosts == {"alpha", "beta"} and len(problems) == 1
    write(machine.work / f"ComfyUI/input/{folder.name}-2.png", "x")
    studio.scan("gamma")
    publish(place, studio.source("gamma"))
    assert published(place) == union(studio)


NAMES = (
    "..", ".", "../../up", "/etc/passwd", "a/b", "a\\b", "x'; DROP TABLE hosts; --", "CON", "nul",
    "a\nb", "\x1b[31mred", "ä" * 90, "%s%(x)s", "*", "host=alpha", "Render", "render", "$host",
)  # fmt: skip


def test_any_name_of_a_host_is_kept_apart(studio: Studio, place: Address, served: Served) -> None:
    for name in NAMES:
        publish(place, studio.source("alpha")._replace(host=name))
    rows = asked(place, Question("SELECT DISTINCT host FROM entries", {}))
    assert {row["host"] for row in rows} == set(NAMES)
    for name in NAMES:
        only = asked(place, missing(name, "render" if name != "render" else "Render", None))
        assert only == []
    if served.folder is not None:
        top = {path.name for path in served.folder.iterdir()}
        assert top == {"hosts", "entries", "changes"}
    for name in NAMES:
        assert place_at(place).forget(name)
    assert place_at(place).manifests(print) == []


def test_keys_differ_where_capitals_do_not_count() -> None:
    keys = [key_of(name).lower() for name in NAMES]
    assert len(set(keys)) == len(NAMES)
    stems = {manifest_path(name).rpartition("/")[2].partition(".")[0].lower() for name in NAMES}
    assert not stems & {"con", "nul"}, "devices on Windows"
    assert all(len(key) <= 64 for key in keys)


def test_name_that_is_part_of_others_is_not_found(studio: Studio, place: Address) -> None:
    root = studio.machines["beta"].work / "ComfyUI/models/loras"
    for name in ("Übung.safetensors", "meine_Übung.safetensors", "back\\slash.safetensors"):
        write(root / name, name)
    studio.scan("beta")
    publish(place, studio.source("beta"))
    found = {
        wanted: [row["path"].rpartition("/")[2] for row in asked(place, where(wanted))]
        for wanted in (
            "Übung.safetensors", "übung.SAFETENSORS", "loras/Übung.safetensors", "bung.safetensors",
            "loras", "", "/", "back\\slash.safetensors", "?bung.safetensors",
        )
    }  # fmt: skip
    assert found["Übung.safetensors"] == ["Übung.safetensors"]
    assert found["loras/Übung.safetensors"] == found["?bung.safetensors"] == ["Übung.safetensors"]
    assert found["back\\slash.safetensors"] == ["back\\slash.safetensors"]
    assert found["bung.safetensors"] == found["loras"] == found[""] == found["/"] == []


def test_duplicates_count_hard_links_once(studio: Studio, place: Address) -> None:
    for host in HOSTS:
        publish(place, studio.source(host))
    rows = asked(place, duplicates(1))
    assert rows and not [row for row in rows if row["path"].endswith("z.safetensors")]
    assert {row["copies"] for row in rows} == {2}


def test_text_that_a_database_does_not_take_is_published(
    studio: Studio, place: Address, tmp_path: Path
) -> None:
    """A model's header may hold any text."""
    machine = Machine(tmp_path / "odd")
    odd = {"modelspec.title": "a\x00b \x1b[31m", "modelspec.trigger_phrase": "\x00"}
    header = json.dumps(
        {"__metadata__": odd, "t": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    root = machine.work / "ComfyUI"
    write(root / "main.py", "")
    for name in ("custom_nodes", "input", "output"):
        (root / name).mkdir()
    model = len(header).to_bytes(8, "little") + header + bytes(4)
    write(root / "models/loras/odd.safetensors", model)
    for _ in range(2):
        machine.run("scan", "--comfy-root", "ComfyUI", "-q")
    publish(place, Source(str(machine.output), str(machine.journal), "odd", "odd"))
    assert [row["host"] for row in asked(place, where("odd.safetensors"))] == ["odd"]
    titles = asked(place, Question("SELECT title FROM entries WHERE title IS NOT NULL", {}))
    assert len(titles) == 1
