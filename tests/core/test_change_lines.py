"""Changes in words."""

from __future__ import annotations

import os

import pytest

from scanner.commands.scan.page import summary_text
from scanner.core.change_lines import CROWD, change_lines, counts_text
from scanner.core.changes import Change

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")

BASE = "/u"


def change(kind: str, path: str, **values: object) -> Change:
    return Change(kind, "file", f"/u/{path}", "r", 1500)._replace(**values)  # type: ignore[arg-type]


def folder(kind: str, path: str, **values: object) -> Change:
    return Change(kind, "directory", f"/u/{path}", "r")._replace(**values)  # type: ignore[arg-type]


def lines(*changes: Change) -> list[str]:
    return change_lines(changes, BASE)


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (change("created", "m/a"), "created m/a (1.5 kB)"),
        (change("deleted", "m/a", size=0), "deleted m/a (0 B)"),
        (change("modified", "m/a", size=6_938_041_144), "modified m/a (6.9 GB)"),
        (change("moved", "m/b", source="/u/d/a"), "moved d/a -> m/b"),
        (change("created", "x")._replace(path="/mnt/nas/x"), "created /mnt/nas/x (1.5 kB)"),
        (change("created", "caf\udce9"), "created caf\ufffd (1.5 kB)"),
        (folder("created", "m/d"), "created m/d/"),
        (folder("deleted", "m/d"), "deleted m/d/"),
        (folder("modified", "m/d"), "modified m/d/"),
        (
            folder("moved", "m/d", source="/u/d", files=1204, bytes=2_000_000),
            "moved d -> m/d (1,204 files, 2.0 MB)",
        ),
        (
            folder("baseline", "m", files=1, bytes=10, reason="added"),
            "baseline m (1 file, 10 B; first scan)",
        ),
        (
            folder("baseline", "", files=0, bytes=0, reason="state lost")._replace(path="/u"),
            "baseline . (0 files, 0 B; state lost)",
        ),
    ],
)
def test_every_kind_of_change_is_one_line(one: Change, line: str) -> None:
    assert lines(one) == [line]


def test_without_a_base_paths_are_absolute() -> None:
    assert change_lines([change("created", "m/a")], None) == ["created /u/m/a (1.5 kB)"]


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2Jcleared", "bell\a", "back\rover"])
def test_name_with_control_characters_is_still_one_plain_line(name: str) -> None:
    (line,) = lines(change("created", name))
    assert line.isprintable()


def test_no_changes_are_no_lines() -> None:
    assert lines() == []


# Folding


def test_created_folder_and_its_files_are_one_line() -> None:
    assert lines(
        folder("created", "m/d"),
        folder("created", "m/d/e"),
        change("created", "m/d/a"),
        change("created", "m/d/e/b"),
        change("created", "m/d.c"),
    ) == ["created m/d/ with 2 files, 3.0 kB", "created m/d.c (1.5 kB)"]


def test_deleted_folder_and_its_files_are_one_line() -> None:
    assert lines(folder("deleted", "m/d"), change("deleted", "m/d/a")) == [
        "deleted m/d/ with 1 file, 1.5 kB"
    ]


def test_only_the_same_kind_is_folded_into_a_folder() -> None:
    """A folder in the place of another: what moved into the new one has its own line."""
    found = lines(
        folder("deleted", "m/d"),
        change("moved", "m/d/x", source="/u/x"),
        folder("created", "m/d"),
        change("created", "m/d/a"),
        change("modified", "m/d/b"),
    )
    assert sorted(found) == [
        "created m/d/ with 1 file, 1.5 kB",
        "deleted m/d/",
        "modified m/d/b (1.5 kB)",
        "moved x -> m/d/x",
    ]


@pytest.mark.parametrize("kind", ["created", "deleted", "modified"])
def test_crowd_in_one_folder_is_one_line(kind: str) -> None:
    crowd = [change(kind, f"m/f{number}") for number in range(CROWD)]
    assert lines(*crowd) == [f"{kind} 10 files, 15.0 kB in m/"]
    assert len(lines(*crowd[1:])) == CROWD - 1


def test_crowds_are_told_apart_by_kind_and_folder() -> None:
    changes = [
        change(kind, f"{top}/f{number}")
        for kind in ("created", "deleted")
        for top in ("m", "n")
        for number in range(CROWD)
    ]
    assert lines(*changes) == [
        "created 10 files, 15.0 kB in m/",
        "created 10 files, 15.0 kB in n/",
        "deleted 10 files, 15.0 kB in m/",
        "deleted 10 files, 15.0 kB in n/",
    ]


def test_crowd_of_moved_files_tells_where_from() -> None:
    moved = [change("moved", f"m/f{n}", source=f"/u/d/f{n}") for n in range(CROWD)]
    assert lines(*moved) == ["moved 10 files, 15.0 kB from d/ to m/"]
    moved[0] = moved[0]._replace(source="/u/elsewhere/f0")
    (line,) = lines(*moved)
    assert line.startswith("moved 10 files, 15.0 kB from several folders")


def test_moved_folders_and_baselines_are_never_folded() -> None:
    folders = [
        folder("moved", f"m/d{n}", source=f"/u/d/{n}", files=1, bytes=1) for n in range(CROWD)
    ]
    roots = [folder("baseline", f"r{n}", files=1, bytes=1, reason="added") for n in range(CROWD)]
    assert len(lines(*folders, *roots)) == 2 * CROWD


def test_every_change_is_told_and_none_twice() -> None:
    """The numbers of all lines add up."""
    changes = [
        folder("created", "m/d"),
        *(change("created", f"m/d/f{n}") for n in range(25)),
        *(change("created", f"m/f{n}") for n in range(15)),
        *(change("deleted", f"m/g{n}") for n in range(3)),
    ]
    assert lines(*changes) == [
        "created m/d/ with 25 files, 37.5 kB",
        "created 15 files, 22.5 kB in m/",
        *(f"deleted m/g{n} (1.5 kB)" for n in range(3)),
    ]


# Summaries


def test_counts_by_kind_without_baselines() -> None:
    changes = [
        change("moved", "a", source="/u/b"),
        *(change("created", f"c{n}") for n in range(1200)),
        folder("baseline", "m"),
    ]
    assert counts_text(changes) == "1,200 created, 1 moved"
    assert counts_text(changes[-1:]) == counts_text([]) == "no changes"


def test_summary_is_one_line() -> None:
    summary = {
        "files": 1,
        "directories": 2,
        "bytes": 1500,
        "kinds": {"created": 1200},
        "seconds": 0.123,
        "inventory": "out.json",
        "complete": True,
        "committed": True,
        "scan": 12,
    }
    assert summary_text(summary) == "1 file in 2 folders, 1.5 kB; 1,200 created; 0.12 s; out.json"
    assert "no changes" in summary_text({**summary, "kinds": {}})
    abandoned = {**summary, "complete": False}
    assert summary_text(abandoned) == (
        "interrupted; scan 12 was committed before that: 1,200 created; out.json"
    )
    assert summary_text({**abandoned, "committed": False}) == "interrupted; nothing was changed"
