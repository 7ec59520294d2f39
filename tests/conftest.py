"""Settings and hooks for all tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.support.world import close_worlds

# How long an example takes depends more on the machine's other work than on the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Make a report safe to send from a worker of pytest-xdist, which sends UTF-8 only.

    Names that are not UTF-8 are part of many tests. A report that quotes one would end the whole
    run instead of one test.
    """
    report = yield
    return _without_surrogates(report)


def _without_surrogates(value: Any) -> Any:
    """`value` with lone surrogates in all of its texts written as backslash escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_without_surrogates(item) for item in value)
    return value


@pytest.fixture(autouse=True)
def worlds_are_closed() -> Iterator[None]:
    """Whoever opens closes: a test opens worlds, and this closes them."""
    yield
    close_worlds()
