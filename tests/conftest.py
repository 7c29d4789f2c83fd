"""What every test runs under: nothing skipped where all must hold, and properties that can be repeated."""

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import PostgresqlServer
from tests.traces import NO_SUCH_LOG

# They need a cluster: collected when the folder is named, as `make test-kubernetes` does.
collect_ignore = ["kubernetes"]

ALL_MUST_HOLD = os.environ.get("CI") == "true"

# No deadline: a loaded machine is not a bug. In CI the same examples each time, so that a red run is the change's own.
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=200, print_blob=True)
settings.register_profile("here", deadline=None, print_blob=True)
# For a night: HYPOTHESIS_PROFILE=search make test
settings.register_profile(
    "search", deadline=None, max_examples=5_000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if ALL_MUST_HOLD else "here"))


def _refused(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that keeps its reason; an expected failure is no skip.

    Published logs are nobody's to bring along: what needs one that is not there says so, and generated ones stand in.
    """
    if ALL_MUST_HOLD and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if NO_SUCH_LOG in reason:
            return
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refused(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refused(report)
    return report


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One real PostgreSQL for the whole run."""
    server = PostgresqlServer()
    yield server
    server.stop()


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> str:
    """The address of an empty, migrated database."""
    return postgresql_server.fresh()
