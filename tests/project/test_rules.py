"""Every rule of the design that is cited somewhere exists in docs/architecture.md."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ARCHITECTURE = CHECKOUT / "docs" / "architecture.md"
RULE = re.compile(r"^(\d+)\. \*\*", re.MULTILINE)
CITED = re.compile(r"\brules?[\s#]+(\d+(?:(?:,|,?[\s#]+(?:and|or))[\s#]+\d+)*)\b", re.IGNORECASE)
TEXTS = {".py", ".md", ".toml"}


def test_rules_are_numbered_from_1_to_12() -> None:
    numbers = RULE.findall(ARCHITECTURE.read_text(encoding="utf-8"))
    assert numbers == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("folder", ["scanner", "tests", "benchmarks", "config", "docs"])
def test_cited_rules_exist(folder: str) -> None:
    rules = set(RULE.findall(ARCHITECTURE.read_text(encoding="utf-8")))
    unknown = [
        f"{path.relative_to(CHECKOUT)}: {citation[0]}"
        for path in sorted((CHECKOUT / folder).rglob("*"))
        if path.suffix in TEXTS and path != Path(__file__)
        for citation in CITED.finditer(path.read_text(encoding="utf-8"))
        if not set(re.findall(r"\d+", citation[1])) <= rules
    ]
    assert unknown == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("(rule 4)", ["4"]),
        ("design rules 9\n    and 11", ["9", "11"]),
        ("rules 1, 2 and 13", ["1", "2", "13"]),
        ("# as of rule\n    # 12, in", ["12"]),
        ("ignore rules of 3 folders", []),
    ],
)
def test_citations_are_found(text: str, numbers: list[str]) -> None:
    found = [number for one in CITED.finditer(text) for number in re.findall(r"\d+", one[1])]
    assert found == numbers
