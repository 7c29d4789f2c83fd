"""What journeys of real processes need."""

from collections.abc import Iterator

import pytest

from tests.databases import PostgresqlServer


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    server = PostgresqlServer()
    yield server.fresh()
    server.stop()
