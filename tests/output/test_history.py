"""The rows of the history: written, read, damaged, and what they come to."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from scanner.errors import OutputError
from scanner.output import usage
from scanner.output.history_reader import (
    costs_of,
    growth_of,
    read_history,
    rows_between,
    totals_of,
    usage_days,
)
from scanner.output.history_rows import REST, Cost, Day, Usage, days_in, lines_of
from scanner.schemas import load_schema
from tests.support.world import World, at

LORAS = Usage("models:/m", "loras", 2, 300, 1)
VAE = Usage("models:/m", "vae", 1, 50, 0)
COST = Cost("local", 3, 0.25, 30.0)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "s.history.jsonl"
    days = {"2026-01-01": Day((LORAS, VAE), (COST,)), "2026-01-02": Day((), (COST,))}
    path.write_bytes(b"".join(lines_of(day, rows) for day, rows in days.items()))
    lines = path.read_bytes().splitlines()
    found = {day: Day(tuple(u), tuple(c)) for day, (u, c) in days_in(lines).items()}
    assert found == days
    assert [row["day"] for row in read_history(path)] == ["2026-01-01"] * 3 + ["2026-01-02"]


def test_lines_follow_their_schema() -> None:
    schema = load_schema("history")
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    rows = Day([LORAS, VAE], [COST, Cost("nfs4 /mnt", 1, 1.0, None)])
    for line in lines_of("2026-01-01", rows).splitlines():
        validator.validate(json.loads(line))
    assert not validator.is_valid({"day": "2026-01-01"})


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\n",
        b"\0\0\0\n",
        b"[]\n",
        b"null\n",
        b'{"day":"2026-01-01"}\n',
        b'{"day":"2026-01-01","root":"r","category":"","files":1,"bytes":1}\n',
        b'{"day":"2026-01-01","root":"r","category":"","files":true,"bytes":1,"problems":0}\n',
        b'{"day":"2026-01-01","root":"r","category":"","files":-1,"bytes":1,"problems":0}\n',
        b'{"day":"2026-13-01","root":"r","category":"","files":1,"bytes":1,"problems":0}\n',
        b'{"day":20260101,"root":"r","category":"","files":1,"bytes":1,"problems":0}\n',
        b'{"day":"2026-01-01","root":1,"category":"","files":1,"bytes":1,"problems":0}\n',
        b'{"day":"2026-01-01","lane":"l","scans":0,"seconds":1,"every_seconds":1}\n',
        b'{"day":"2026-01-01","lane":"l","scans":1,"seconds":"1","every_seconds":1}\n',
        b'{"day":"2026-01-01","lane":"l","scans":1,"seconds":1,"every_seconds":-1}\n',
        b'{"day":"2026-01-01","root":"m\xff","category":"","files":1,"bytes":1,"problems":0}\n',
        b'{"day":"2026-01-01","root":"models:/m","cat',
    ],
)
def test_a_damaged_line_costs_itself_only(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "s.history.jsonl"
    before, after = lines_of("2026-01-01", Day([LORAS])), lines_of("2026-01-02", Day([VAE]))
    path.write_bytes(before + damage)
    assert [row["category"] for row in read_history(path)] == ["loras"]
    if damage.endswith(b"\n"):
        path.write_bytes(before + damage + after)
        assert [row["category"] for row in read_history(path)] == ["loras", "vae"]


def test_a_missing_history_is_empty_and_one_that_cannot_be_read_an_error(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none") == []
    with pytest.raises(OutputError, match="cannot read"):
        read_history(tmp_path)


def test_of_two_rows_about_one_thing_the_last_counts() -> None:
    lines = lines_of("2026-01-01", Day([LORAS, LORAS._replace(files=9), COST]))  # type: ignore[list-item]
    (day,) = days_in(lines.splitlines()).values()
    assert day == Day([LORAS._replace(files=9)], [COST])


def test_means_of_costs_are_those_of_all_scans() -> None:
    both = Cost("l", 1, 1.0, 10.0).plus(Cost("l", 3, 2.0, 20.0))
    assert both == Cost("l", 4, 1.75, 17.5)
    assert Cost("l", 1, 1.0, None).plus(Cost("l", 1, 3.0, 10.0)) == Cost("l", 2, 2.0, None)


# What rows come to


def _rows(*days: tuple[str, list[Usage]]) -> list[dict[str, object]]:
    text = b"".join(lines_of(day, Day(rows)) for day, rows in days)
    return [json.loads(line) for line in text.splitlines()]


def test_growth_is_that_since_the_end_of_the_day_before() -> None:
    rows = _rows(
        ("2026-01-01", [LORAS]),
        ("2026-01-03", [LORAS._replace(bytes=500, files=3)]),
        ("2026-01-09", [LORAS._replace(bytes=400), VAE]),
    )
    days = usage_days(rows)
    assert [(each.day, each.bytes) for each in totals_of(days)] == [
        ("2026-01-01", 300),
        ("2026-01-03", 500),
        ("2026-01-09", 450),
    ]
    assert [(each.category, each.grown, each.series) for each in growth_of(days)] == [
        ("loras", 100, [300, 500, 400]),
        ("vae", 50, [0, 0, 50]),
    ]
    # The 4th has no rows: what the 3rd left stood then.
    assert [(each.category, each.grown) for each in growth_of(days, "2026-01-04")] == [
        ("vae", 50),
        ("loras", -100),
    ]
    assert growth_of({}) == []


def test_what_has_no_row_on_a_day_that_has_some_is_gone() -> None:
    days = usage_days(_rows(("2026-01-01", [LORAS, VAE]), ("2026-01-02", [VAE])))
    (loras,) = [each for each in growth_of(days) if each.category == "loras"]
    assert (loras.last.bytes, loras.last.files, loras.grown) == (0, 0, -300)


def test_rows_of_some_days() -> None:
    rows = _rows(*((f"2026-01-0{number}", [LORAS]) for number in range(1, 5)))
    days = [row["day"] for row in rows_between(rows, "2026-01-02", "2026-01-03")]
    assert days == ["2026-01-02", "2026-01-03"]
    assert len(list(rows_between(rows))) == 4
    assert list(costs_of(rows)) == []


# What an inventory holds


def usage_of(world: World) -> list[Usage]:
    found = world.store.inventory.usage()
    assert found is not None
    return found


def test_usage_by_root_and_category_follows_every_change(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number, name in enumerate(("loras/a", "loras/b", "vae/c", "d")):
        world.files.write(at(f"ComfyUI/models/{name}.safetensors"), b"x" * (number + 1))
    world.settle()
    models, downloads = "models:/home/u/ComfyUI/models", "downloads:/home/u/Downloads"
    assert usage_of(world) == [
        Usage(downloads, "", 0, 0, 0),
        Usage(models, "", 1, 4, 0),
        Usage(models, "loras", 2, 3, 0),
        Usage(models, "vae", 1, 3, 0),
    ]
    world.files.remove(at("ComfyUI/models/vae/c.safetensors"))
    world.files.write(at("Downloads/model.safetensors.crdownload"), b"12345")
    world.scan()
    assert usage_of(world) == [
        Usage(downloads, "", 1, 5, 1),
        Usage(models, "", 1, 4, 0),
        Usage(models, "loras", 2, 3, 0),
    ]
    # A process that begins anew counts the same.
    changed = usage_of(world)
    world.restart()
    world.files.write(at("ComfyUI/models/d.safetensors"), b"1234", mtime=5)
    world.scan()
    assert usage_of(world) == changed


def test_files_that_are_still_written_are_no_problem(tmp_path: Path) -> None:
    world = World(tmp_path).settle()
    path = at("ComfyUI/models/loras/a.safetensors")
    for size in range(1, 4):
        world.files.write(path, b"x" * size)
        world.scan()
    assert "unsettled" in world.store.inventory.counts
    assert sum(row.problems for row in usage_of(world)) == 0


def test_the_smallest_of_too_many_categories_stand_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_ROWS", 2)
    world = World(tmp_path)
    for number in range(1, 6):
        world.files.write(at(f"ComfyUI/models/kind{number}/a.safetensors"), b"x" * number)
    world.settle()
    models = "models:/home/u/ComfyUI/models"
    assert usage_of(world)[1:] == [
        Usage(models, REST, 3, 6, 0),
        Usage(models, "kind4", 1, 4, 0),
        Usage(models, "kind5", 1, 5, 0),
    ]
