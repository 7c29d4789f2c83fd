"""What a user does with a real center: compute on a cluster, change it, give it back, and change one's mind."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from haidang import Client

from tests.centers import RealCenter, a_center, until


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCenter]:
    with a_center(tmp_path_factory.mktemp("center")) as center:
        yield center


@pytest.fixture(scope="module")
def token(center: RealCenter) -> str:
    return center.admit("vmu", "vision")


@pytest.fixture
def user(center: RealCenter, token: str) -> Iterator[Client]:
    with closing(Client(center.url, token)) as user:
        yield user


def square(number: int) -> int:
    return number * number


def test_a_cluster_computes_grows_shrinks_and_is_gone_and_billed_when_it_is_closed(user: Client) -> None:
    with user.cluster(workers=(1, 3), cores=0.5, memory="256MiB", walltime="10m", progress=False) as cluster:
        dask = cluster.get_client()
        assert dask.gather(dask.map(square, range(4))) == [0, 1, 4, 9]
        assert cluster.request.phase == "running"
        assert cluster.extend("10m").extended_seconds == 600
        assert cluster.scale(3).workers.wanted == 3
        dask.wait_for_workers(3, timeout=30)
        cluster.scale(1)
        until(lambda: len(dask.scheduler_info()["workers"]) == 1)
        assert dask.submit(square, 5).result() == 25
        cluster.close(wait=True)
        cluster.close()
    assert user.request(cluster.id).end == "cancelled"
    assert user.usage().outstanding_micro_credits == 0


def test_a_cluster_that_was_only_attached_to_goes_on(user: Client) -> None:
    request = user.submit(workers=1, cores=0.5, memory="256MiB").id
    with user.connect(request, progress=False) as cluster:
        assert cluster.client.submit(square, 3).result() == 9
    with user.connect(request, progress=False) as cluster:
        assert cluster.client.submit(square, 4).result() == 16
    user.cancel(request)


def test_an_error_in_the_block_is_the_one_that_is_seen_and_the_cluster_ends(user: Client) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        user.cluster(workers=1, cores=0.5, memory="256MiB", progress=False) as cluster,
    ):
        cluster.client.submit(lambda: 1 // 0).result()
    assert [event.kind for event in user.events(cluster.id)][-1] == "ended"


def test_what_a_worker_printed_before_it_died_is_told_to_its_owner(user: Client) -> None:
    with user.cluster(workers=1, cores=0.5, memory="256MiB", progress=False) as cluster:
        dask = cluster.client
        dask.run(print, "the sea is rising", flush=True)
        assert user.logs(cluster.id) == []
        os.kill(next(iter(dask.run(os.getpid).values())), signal.SIGKILL)
        (log,) = until(lambda: user.logs(cluster.id))
        assert log.process.endswith("-1-1")
        text = user.log(cluster.id, log.process).text or ""
        assert "the sea is rising\n" in text
        assert log.characters == len(text)
    list(user.events(cluster.id))
    until(lambda: {one.process[-4:] for one in user.logs(cluster.id)} >= {"-0-1", "-1-1"})  # of those that were stopped


def test_a_program_that_forgets_its_cluster_gives_it_back_when_it_ends(
    center: RealCenter, token: str, user: Client
) -> None:
    program = textwrap.dedent("""
        from haidang import Client

        cluster = Client().cluster(workers=1, cores=0.5, memory="256MiB", progress=False)
        print(cluster.id)
    """)
    said = subprocess.run([sys.executable, "-c", program], env=settings(center, token), capture_output=True, check=True)
    assert [event.kind for event in user.events(said.stdout.decode().strip())][-1] == "ended"


@pytest.mark.parametrize("wait", ["haidang submit", "Client().cluster"])
def test_ctrl_c_while_waiting_cancels_the_request(center: RealCenter, token: str, user: Client, wait: str) -> None:
    # More than the node has left beside what runs already, so that it has to wait.
    taken = user.submit(workers=15, cores=1, memory="256MiB").id
    user.wait(taken, progress=False)
    haidang = str(Path(sys.executable).with_name("haidang"))
    commands = {
        "haidang submit": [haidang, "submit", "--workers", "2", "--memory", "256MiB", "--wait"],
        "Client().cluster": [
            sys.executable,
            "-c",
            "import haidang; haidang.Client().cluster(workers=2, memory='256MiB')",
        ],
    }
    waiting = subprocess.Popen(
        commands[wait], env=settings(center, token), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    request = until(lambda: next(iter(user.requests(state="pending")), None))
    assert waiting.stderr is not None
    said = b""
    while b"place 1 of 1" not in said:
        more = waiting.stderr.read(1)
        assert more, said.decode()
        said += more
    waiting.send_signal(signal.SIGINT)
    _, rest = waiting.communicate(timeout=30)
    assert waiting.returncode in {130, -signal.SIGINT}
    assert f"Request {request.id} was cancelled" in (said + rest).decode()
    assert user.request(request.id).end == "cancelled"
    user.cancel(taken)
    list(user.events(taken))


def settings(center: RealCenter, token: str) -> dict[str, str]:
    return os.environ | {"HAIDANG_URL": center.url, "HAIDANG_TOKEN": token, "HAIDANG_LANGUAGE": "en"}
