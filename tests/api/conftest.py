"""The application on a database of its own for each test, copied from one that was seeded once."""

from collections.abc import Iterator

import pytest

from tests.databases import SqliteFiles, opened
from tests.fronts import Front, a_front, seed_front


@pytest.fixture(scope="session")
def seeded_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    def seed(url: str) -> None:
        with opened(url) as store:
            seed_front(store)

    return SqliteFiles(tmp_path_factory.mktemp("fronts"), seed)


@pytest.fixture
def front(seeded_files: SqliteFiles) -> Iterator[Front]:
    with seeded_files.fresh() as url, opened(url) as store, a_front(store) as front:
        yield front


@pytest.fixture(scope="module")
def shared_front(seeded_files: SqliteFiles) -> Iterator[Front]:
    """One application for all examples of a property, none of which depends on what another has left."""
    with seeded_files.fresh() as url, opened(url) as store, a_front(store) as front:
        yield front
