"""What holds for all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.world import close_worlds

# How long an example takes says more of the machine's other work than of ours.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def worlds_are_closed() -> Iterator[None]:
    """Whoever opens closes: a test opens worlds, and this closes them."""
    yield
    close_worlds()
