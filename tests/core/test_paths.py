"""Path arithmetic."""

from __future__ import annotations

import pytest

from scanner.core.paths import folders_above


@pytest.mark.parametrize(
    ("path", "top", "expected"),
    [
        ("/r/a/b/f", "/r", ["/r/a/b", "/r/a", "/r"]),
        ("/r/f", "/r", ["/r"]),
        ("/r", "/r", []),
        ("/rest/f", "/r", []),
        ("/a/f", "/", ["/a", "/"]),
        ("/", "/", []),
    ],
)
def test_folders_above_end_at_the_top(path: str, top: str, expected: list[str]) -> None:
    assert list(folders_above(path, top)) == expected
