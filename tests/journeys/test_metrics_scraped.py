"""What a real Prometheus has stored after a scrape is what the ledger says, to the unit."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from exporters.app import serve
from operations.ports.office import BEFORE_ALL, Office
from operations.ports.store import Work
from quotas.ledger import ABSORBED, INCOME, Entry, EntryKey, EntryKind, Usage
from registry.ids import MicroCredits
from registry.people import EVERYTHING
from store.transactions import SqlStore
from tests.builders import NOW, tags
from tests.databases import SqliteFiles, opened
from tests.overlapping import WELL, a_collector
from tests.programs import prometheus
from tests.seeding import A_POOL, a_project, seed

PATIENCE_SECONDS = 20
SCRAPES = """
global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}
scrape_configs:
  - job_name: center
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def free_port() -> int:
    """Return a port that nobody listens on: Prometheus cannot say which one it was given."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def scraping(folder: Path, port: int) -> Iterator[int]:
    """Run a Prometheus that scrapes a port, and give the port that it answers on."""
    program, own = prometheus(), free_port()
    (folder / "prometheus.yml").write_text(SCRAPES.format(port=port), encoding="utf-8")
    arguments = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "series",
        "web.listen-address": f"127.0.0.1:{own}",
        "log.level": "error",
    }
    with subprocess.Popen([program, *(f"--{name}={said}" for name, said in arguments.items())]) as running:
        try:
            yield own
        finally:
            running.kill()


def asked(port: int, query: str) -> dict[str, str]:
    """Return the value of each institution's series, as Prometheus writes it; nothing while it is not up."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}", timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
    except URLError:
        return {}
    return {series["metric"]["institution"]: series["value"][1] for series in found}


def post_use(work: Work, number: int, project: str, core_milliseconds: int) -> None:
    entry = Entry(
        key=EntryKey(f"charge:{number}"),
        kind=EntryKind.CHARGE,
        source=ABSORBED,
        target=INCOME,
        amount=MicroCredits(1),
        at=NOW,
        tags=tags(project),
        usage=Usage(core_milliseconds=core_milliseconds),
    )
    assert work.accounts.post([entry])


def used(office: Office) -> dict[str, int]:
    """Return the core-milliseconds of each institution, entry by entry."""
    found: dict[str, int] = {}
    for posted in office.books.entries(EVERYTHING, project=None, after=BEFORE_ALL, limit=1000):
        tags = posted.entry.tags
        found[tags.institution] = found.get(tags.institution, 0) + posted.entry.usage.core_milliseconds
    return found


def test_prometheus_has_the_core_seconds_of_the_ledger(tmp_path: Path) -> None:
    with SqliteFiles(tmp_path).fresh() as url, opened(url) as store:
        seed(store, A_POOL, a_project("vmu.vision"), a_project("port.traffic"))
        with (
            serve(a_collector(store), socket.create_server(("127.0.0.1", 0)), WELL) as server,
            scraping(tmp_path, server.port) as port,
        ):
            for number, (project, use) in enumerate(
                [("vmu.vision", 1), ("port.traffic", 2**51 - 1), ("vmu.vision", 1_234_567_890_123)]
            ):
                store.transact(post_use, number, project, use)
                until_equal(store, port)


def until_equal(store: SqlStore, port: int) -> None:
    """Wait until Prometheus shows what the ledger says."""
    said = store.read(used)
    shown: dict[str, int] = {}
    patience = time.monotonic() + PATIENCE_SECONDS
    while {institution: use for institution, use in shown.items() if use} != said:
        assert time.monotonic() < patience, (said, shown)
        time.sleep(0.05)
        seconds = asked(port, "sum by (institution) (haidang_used_core_seconds_total)")
        shown = {institution: round(float(amount) * 1000) for institution, amount in seconds.items()}
