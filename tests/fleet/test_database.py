"""PostgreSQL: hosts do not wait for each other, and older tables and small rights are enough."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from scanner.errors import OutputError
from scanner.fleet import database_place
from scanner.fleet.address import Address, address_of
from scanner.fleet.publish import publish
from scanner.fleet.questions import Question, where
from scanner.fleet.reading import open_fleet
from tests.fleet.studio import HOSTS, Studio, asked, published, union
from tests.support.fleet_places import Served
from tests.support.machine import write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("server", ["postgresql"], indirect=True, scope="session"),
]


def news(studio: Studio, host: str, name: str) -> None:
    write(studio.machines[host].work / f"ComfyUI/input/{name}.png", name)
    studio.scan(host)


def test_host_publishes_while_another_reads_and_one_publishes(
    studio: Studio, place: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in HOSTS:
        publish(place, studio.source(host))
    news(studio, "alpha", "beside")
    news(studio, "beta", "beside")
    within, go_on = threading.Event(), threading.Event()
    put = database_place._put_host

    def slowly(cursor: Any, manifest: Any) -> None:
        put(cursor, manifest)
        if manifest.host == "alpha":
            within.set()
            assert go_on.wait(60)

    monkeypatch.setattr(database_place, "_put_host", slowly)
    first = threading.Thread(target=publish, args=(place, studio.source("alpha")))
    with open_fleet(place, print) as fleet:
        before = list(fleet.ask(Question("SELECT path FROM entries ORDER BY 1", {})).dicts())
        first.start()
        assert within.wait(60)
        # Its transaction is open, and so is that of the reader.
        other = threading.Thread(target=publish, args=(place, studio.source("beta")))
        other.start()
        other.join(60)
        assert not other.is_alive()
        again = list(fleet.ask(Question("SELECT path FROM entries ORDER BY 1", {})).dicts())
        assert again == before, "as of one moment"
        go_on.set()
        first.join(60)
    assert published(place) == union(studio)


def test_hosts_that_come_first_at_a_time_make_the_tables_once(
    studio: Studio, place: Address
) -> None:
    failed: list[BaseException] = []

    def run(host: str) -> None:
        try:
            publish(place, studio.source(host))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(host,)) for host in HOSTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert published(place) == union(studio)


def test_connection_that_is_lost_leaves_the_last_generation(
    studio: Studio, place: Address, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    publish(place, studio.source("gamma"))
    before = published(place)
    news(studio, "gamma", "lost")
    put = database_place._put_host

    def lost(cursor: Any, manifest: Any) -> None:
        with psycopg.connect(served.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (cursor.connection.info.backend_pid,))
        put(cursor, manifest)

    with monkeypatch.context() as patch:
        patch.setattr(database_place, "_put_host", lost)
        with pytest.raises(OutputError, match=r"^postgresql://127\.0\.0\.1") as raised:
            publish(place, studio.source("gamma"))
    assert "\n" not in str(raised.value) and "word" not in str(raised.value)
    assert published(place) == before
    publish(place, studio.source("gamma"))
    assert published(place) == union(studio, ("gamma",))


def test_tables_of_an_older_version_get_the_new_columns(
    studio: Studio, place: Address, served: Served
) -> None:
    import psycopg

    publish(place, studio.source("alpha"))
    with psycopg.connect(served.url) as connection:
        connection.execute("ALTER TABLE comfy_inventory.entries DROP COLUMN blake3")
        connection.execute("ALTER TABLE comfy_inventory.changes DROP COLUMN reason")
        connection.execute("ALTER TABLE comfy_inventory.entries ADD COLUMN later VARCHAR")
        connection.execute("DROP TABLE comfy_inventory.roots")
    for host in ("beta", "gamma"):
        publish(place, studio.source(host))
    news(studio, "alpha", "older")
    publish(place, studio.source("alpha"))
    assert published(place) == union(studio)
    assert {row["host"] for row in asked(place, where("*.safetensors"))} == set(HOSTS)


def test_role_that_may_make_no_tables_publishes(
    studio: Studio, place: Address, served: Served
) -> None:
    import psycopg

    publish(place, studio.source("alpha"))
    with psycopg.connect(served.url) as connection:
        connection.execute(
            "DROP ROLE IF EXISTS host; CREATE ROLE host LOGIN; "
            "GRANT USAGE ON SCHEMA comfy_inventory TO host; GRANT SELECT, INSERT, UPDATE, DELETE "
            "ON ALL TABLES IN SCHEMA comfy_inventory TO host"
        )
    try:
        publish(address_of(served.url.replace("tester:word", "host")), studio.source("beta"))
        assert published(place) == union(studio, ("alpha", "beta"))
    finally:
        with psycopg.connect(served.url) as connection:
            connection.execute("DROP OWNED BY host; DROP ROLE host")


def test_rows_of_a_damaged_manifest_are_replaced(
    studio: Studio, place: Address, served: Served
) -> None:
    import psycopg

    for host in HOSTS:
        publish(place, studio.source(host))
    with psycopg.connect(served.url) as connection:
        connection.execute("UPDATE comfy_inventory.hosts SET manifest = '{' WHERE host = 'beta'")
    problems: list[str] = []
    with open_fleet(place, problems.append) as fleet:
        assert [manifest.host for manifest in fleet.manifests] == ["alpha", "gamma"]
    assert len(problems) == 1 and "beta" in problems[0]
    publish(place, studio.source("beta"))
    assert published(place) == union(studio)
    lines = asked(place, Question("SELECT scan, n FROM changes WHERE host = 'beta'", {}))
    assert len({tuple(line.values()) for line in lines}) == len(lines)
