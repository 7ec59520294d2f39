"""A library that was scanned, and a server of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.library import build_library, write_large
from tests.support.machine import Machine
from tests.support.serving import Served, served


@pytest.fixture(scope="package")
def library(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An installation with hostile names, broken files, copies, changes and packs. No test changes
    it."""
    machine = Machine(tmp_path_factory.mktemp("library"))
    build_library(machine)
    return machine


@pytest.fixture(scope="package")
def site(library: Machine) -> Iterator[Served]:
    """A server of the library on a loopback address."""
    with served(library.output) as server:
        yield server


@pytest.fixture(scope="package")
def fleet(library: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of the library and of a larger inventory of another machine."""
    other = tmp_path_factory.mktemp("other") / "nas.json"
    write_large(other, 500)
    with served(library.output, other) as server:
        yield server
