"""Places that a fleet publishes to: a folder, a server of S3, and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from scanner.fleet.address import Address, address_of
from tests.fleet.studio import Studio
from tests.support.fleet_places import Served, postgres_server, s3_server, shared_folder


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture(
    scope="session",
    params=[
        "folder",
        pytest.param("s3", marks=pytest.mark.slow),
        pytest.param("postgresql", marks=pytest.mark.slow),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "folder":
        yield shared_folder(folder / "share [it] *' ä")
    elif request.param == "s3":
        with s3_server(folder) as place:
            yield place
    else:
        with postgres_server(folder) as place:
            yield place


_NUMBERS = itertools.count()


@pytest.fixture
def served(server: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A place of the server at which nothing was published yet."""
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    if server.folder is not None:
        name = f"fleet-{next(_NUMBERS)}"
        (server.folder / name).mkdir(parents=True)
        return server._replace(url=f"{server.url}/{name}", folder=server.folder / name)
    import psycopg

    with psycopg.connect(server.url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS comfy_inventory CASCADE")
    return server


@pytest.fixture
def place(served: Served) -> Address:
    return address_of(served.url)
