"""The schema that migrations make is the one that the code reads and writes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Table, inspect, text

from scheduler.bookings import Booking
from scheduler.clusters import Process
from scheduler.requests import Request
from store.bookings import BOOKINGS
from store.clusters import PROCESSES
from store.connections import engine_for
from store.migrating import is_current, migrate
from store.requests import REQUESTS
from store.rows import values_of
from store.schema import METADATA
from tests.builders import a_booking, a_request, a_slot
from tests.databases import PostgresqlServer, opened


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.db'}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    with server.bare() as url:
        yield url


def differences(url: str) -> list[object]:
    engine = engine_for(url)
    try:
        with engine.connect() as connection:
            ours = MigrationContext.configure(
                connection,
                opts={
                    "compare_type": True,
                    # The counter of marks, which is no noun and exists on SQLite only.
                    "include_name": lambda name, kind, _: kind != "table" or name != "mark",
                },
            )
            return list(compare_metadata(ours, METADATA))
    finally:
        engine.dispose()


def constraints(url: str) -> set[str | None]:
    engine = engine_for(url)
    try:
        inspector = inspect(engine)
        return {check["name"] for table in METADATA.tables for check in inspector.get_check_constraints(table)}
    finally:
        engine.dispose()


def test_migrations_make_what_the_tables_say(bare_url: str) -> None:
    migrate(bare_url)
    assert differences(bare_url) == []
    said = {str(one.name) for table in METADATA.tables.values() for one in table.constraints if "ck_" in str(one.name)}
    assert said <= constraints(bare_url)


def test_to_migrate_again_changes_nothing(bare_url: str) -> None:
    migrate(bare_url)
    with opened(bare_url) as store:
        store.transact(lambda office: office.requests.add(a_request()))
    migrate(bare_url)
    with opened(bare_url) as store:
        assert store.read(lambda office: office.requests.get(a_request().id)) == a_request()


def test_several_who_migrate_at_once_wait_for_the_first(bare_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, [bare_url] * 4))
    assert differences(bare_url) == []


@pytest.mark.parametrize(
    ("table", "thing"),
    [(REQUESTS, a_request()), (PROCESSES, a_slot()), (BOOKINGS, a_booking())],
    ids=["request", "slot", "booking"],
)
def test_a_table_has_the_columns_of_its_noun_and_its_mark(table: Table, thing: Request | Process | Booking) -> None:
    assert {column.name for column in table.columns} == {*values_of(thing), "mark"}


def test_a_database_of_a_newer_version_is_left_as_it_is_and_served(bare_url: str) -> None:
    migrate(bare_url)
    assert is_current(bare_url)
    engine = engine_for(bare_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    migrate(bare_url)
    assert is_current(bare_url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    assert not is_current(bare_url)
