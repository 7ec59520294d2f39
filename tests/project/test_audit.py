"""A report of pip-audit is read as what it says, and one that says nothing is called that."""

from __future__ import annotations

from scripts.audit import verdict

SOUND = {"name": "rich", "version": "15.0", "vulns": []}
WEAK = {"name": "x", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
UNKNOWN = {"name": "y", "skip_reason": "not found"}


def test_a_weakness_is_named_and_fails() -> None:
    code, lines = verdict({"dependencies": [SOUND, WEAK, UNKNOWN]})
    assert code == 1
    assert lines == [
        "x 1: CVE-1, mended in 2",
        "2 packages audited, 1 could not be looked up",
    ]


def test_nothing_found_is_0() -> None:
    assert verdict({"dependencies": [SOUND]}) == (0, ["1 packages audited"])


def test_without_the_list_nothing_counts_as_audited() -> None:
    code, (line,) = verdict({"dependencies": [UNKNOWN]})
    assert code == 0
    assert line.startswith("not audited")
