"""The stores that must keep the same contract: in memory, in a file, on PostgreSQL."""

from collections.abc import Iterator

import pytest

from operations.ports.store import Store, Work
from store.memory import MemoryStore
from store.transactions import SqlStore
from tests.databases import SqliteFiles, opened


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def sqlite_store(sqlite_files: SqliteFiles) -> Iterator[SqlStore]:
    with sqlite_files.fresh() as url, opened(url) as store:
        yield store


@pytest.fixture
def postgresql_store(postgresql_url: str) -> Iterator[SqlStore]:
    with opened(postgresql_url) as store:
        yield store


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_store(request: pytest.FixtureRequest) -> SqlStore:
    """Each of the stores that have an office."""
    store: SqlStore = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store[Work]:
    """Each of the stores that loops and intake can run on."""
    if request.param == "memory":
        return MemoryStore()
    store: SqlStore = request.getfixturevalue(f"{request.param}_store")
    return store
