"""What a center remembers of requests that ran is replayed like a log, by the names of its institutions."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from registry.ids import PoolId
from server.remembering import remembered
from server.simulating import simulate
from simulator.swf import RigidJob
from tests.databases import SqliteFiles, opened
from tests.fronts import Front, a_body, a_front

HOUR = 3600


@pytest.fixture
def url(seeded_files: SqliteFiles) -> Iterator[str]:
    """A center where two requests of one institution ran one after the other, and a third never did."""
    with seeded_files.fresh() as url, opened(url) as store, a_front(store) as front:
        for cores, seconds in ((3, HOUR), (1, 60)):
            request = asked(front, millicores=cores * 1000)
            front.cycle()
            front.start(request)
            front.clock.time += seconds
            assert front.client("alice").post(f"/v1/requests/{request}/cancel").is_success
            front.end(request)
        assert front.client("alice").post(f"/v1/requests/{asked(front, millicores=1000)}/cancel").is_success
        yield url


def asked(front: Front, *, millicores: int) -> str:
    body = a_body(worker={"millicores": millicores, "memory": 1024**3}, walltime_seconds=2 * HOUR)
    return str(front.client("alice").post("/v1/requests", json=body).json()["id"])


def run(url: str, *arguments: str) -> Result:
    settings = {"HAIDANG_LANGUAGE": "en"}
    return CliRunner().invoke(simulate, ["--journal", "--database", url, *arguments], env=settings)


def test_each_request_that_ran_is_a_job_of_its_gangs_cores(url: str) -> None:
    with opened(url) as store:
        found = remembered(store, PoolId("main"))
    first = RigidJob(index=0, job_id=1, submit=0, procs=4, run=HOUR, est=2 * HOUR, user=1, group=1)
    assert found.jobs == [first, replace(first, index=1, job_id=2, submit=HOUR, procs=2, run=60)]
    assert (found.institutions, found.processors) == ({1: "vmu"}, 8)


def test_the_command_tells_institutions_by_their_names_and_needs_nobodys_credentials(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(url, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["trace"], answer["jobs"], answer["processors"]) == ("main", 2, 8)
    assert [one["institution"] for one in answer["institutions"]] == ["vmu"]
    refused = run(url, "--pool", "gpu")
    assert refused.exit_code == 1
    assert "--pool: main" in refused.stderr
    assert list(tmp_path.iterdir()) == [], "a center's folder was made"


def test_where_there_is_no_center_nothing_is_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("empty")
    result = run(f"sqlite:///{folder}/none.db")
    assert result.exit_code == 1
    assert "there is no center" in result.stderr
    assert list(folder.iterdir()) == []


def test_a_log_or_the_journal_is_replayed_and_not_both() -> None:
    assert CliRunner().invoke(simulate, ["--policy", "fcfs"]).exit_code == 2
    assert CliRunner().invoke(simulate, ["--journal", "--trace", "x.swf"]).exit_code == 2
