"""A small center as the exporter sees it, and its metrics as whoever scrapes them reads them."""

from collections.abc import Iterable
from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from exporters.scrapes import Picture, Scrape
from exporters.totals import Totals
from operations.ports.office import EntrySum, HitCount, WaitCount
from operations.ports.outside import Pulse
from quotas.ledger import EntryKind, Usage
from registry.centers import Node, NodeState, Pool, Tier
from registry.ids import AllocationId, InstitutionId, MicroCredits, NodeId, PoolId, ProjectId, RequestId, Seconds
from registry.resources import GIB, GpuModel, Resources
from scheduler.clusters import Part, Process
from scheduler.estimates import Side
from scheduler.facts import Fact
from scheduler.requests import Request, RequestClass, State
from scheduler.snapshot import Snapshot
from tests.builders import CENTER, CREDIT, NOW, POOL, a_node, a_request, a_share, an_allocation, cores

FOG = PoolId("fog")
PORT, UNIVERSITY = InstitutionId("port"), InstitutionId("vmu")
POOLS = (
    Pool(id=FOG, center=CENTER, tier=Tier.FOG, name="Fog"),
    Pool(id=POOL, center=CENTER, tier=Tier.HPC, name="Main"),
)

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def a_picture(facts: Iterable[Fact] = (), totals: Totals | None = None) -> Picture:
    """Return two institutions and two pools with nothing in them but the facts and the totals."""
    return Picture(
        seen=Seconds(NOW - 2),
        snapshot=Snapshot().with_facts(facts),
        center=CENTER,
        pools=POOLS,
        institutions=(PORT, UNIVERSITY),
        totals=totals or Totals(),
    )


def a_scrape(picture: Picture) -> Scrape:
    return Scrape(
        picture=picture,
        now=NOW,
        reading_nanoseconds=12_500_000,
        pulse=Pulse(cycle=Seconds(NOW - 3)),
    )


def a_busy_scrape() -> Scrape:
    """Return a center in which every metric but those of the loops has something to say."""
    facts = [*some_nodes(), *some_shares(), *some_requests(), *some_allocations()]
    return a_scrape(a_picture(facts, some_totals()))


def some_nodes() -> list[Node]:
    has = Resources(millicores=16_000, memory=64 * GIB, gpus=((GpuModel("a100"), 2),))
    return [a_node("n1", has), a_node("n2", cores(8, 32), state=NodeState.DRAINING)]


def some_shares() -> list[Fact]:
    gpu = Resources(gpus=((GpuModel("a100"), 2),))
    return [
        a_share(CENTER, cores(16, 64) + gpu, parent=None, granted=cores(12.5, 13) + gpu),
        a_share(PORT, cores(6, 24), lending=cores(6, 24)),
        a_share(UNIVERSITY, cores(10, 40) + gpu, borrowing=cores(6, 24), granted=cores(12.5, 13) + gpu),
        a_share("vmu.vision", cores(10, 40), parent=UNIVERSITY, granted=cores(12.5, 13) + gpu),
    ]


def some_requests() -> list[Fact]:
    running, starting = a_placed_request(1), a_placed_request(2)
    return [
        running,
        a_process(running.id, 0, address="tls://127.0.0.1:1"),
        a_process(running.id, 1, address="tls://127.0.0.1:2"),
        starting,
        a_process(starting.id, 0),
        a_request(3, workers_min=2),
        a_request(4, workers_min=1),
        replace(a_request(5), user_hold=True),
        a_request(6, "port.traffic", request_class=RequestClass.URGENT),
    ]


def a_placed_request(number: int) -> Request:
    return replace(
        a_request(number),
        state=State.PLACED,
        placed=NOW,
        deadline=Seconds(NOW + 60),
        allocation=AllocationId("alloc-vmu.vision"),
    )


def a_process(request: RequestId, ordinal: int, address: str | None = None) -> Process:
    return Process(
        request=request,
        ordinal=ordinal,
        part=Part.GUARANTEED if ordinal else Part.HEAD,
        node=NodeId("n1"),
        shape=cores(1, 1),
        hold=MicroCredits(0),
        address=address,
    )


def some_allocations() -> list[Fact]:
    held = replace(an_allocation("vmu.vision", 70 * CREDIT + 1), held=MicroCredits(2 * CREDIT))
    lapsed = replace(an_allocation("vmu.vision", 5 * CREDIT), id=AllocationId("old"), ends=NOW)
    coming = replace(an_allocation("port.traffic", 9 * CREDIT), begins=Seconds(NOW + 1))
    return [held, lapsed, coming]


def some_totals() -> Totals:
    used = Usage(core_milliseconds=3_600_001, mib_seconds=2048, gpu_milliseconds=7000)
    sums = (
        an_entry_sum(kind=EntryKind.GRANT, pool=None, amount=100 * CREDIT),
        an_entry_sum(kind=EntryKind.HOLD, amount=30 * CREDIT),
        an_entry_sum(kind=EntryKind.RELEASE, amount=4 * CREDIT),
        an_entry_sum(entries=3, amount=25 * CREDIT, absorbed=CREDIT, usage=used),
        an_entry_sum("vmu.robots", amount=1, usage=used),
    )
    counts = (
        a_wait_count(up_to=1, placed=3, waited_seconds=2),
        a_wait_count(up_to=3600, placed=1, waited_seconds=1234),
        a_wait_count(up_to=None, placed=1, waited_seconds=700_000),
    )
    hits = (
        HitCount(pool=POOL, half_side=Side.WITHIN, most_side=Side.WITHIN, placed=5),
        HitCount(pool=POOL, half_side=Side.LATER, most_side=Side.WITHIN, placed=4),
        HitCount(pool=POOL, half_side=Side.EARLIER, most_side=Side.EARLIER, placed=1),
    )
    return Totals().plus(sums, counts, hits)


def an_entry_sum(
    project: str = "vmu.vision",
    *,
    pool: PoolId | None = POOL,
    kind: EntryKind = EntryKind.CHARGE,
    entries: int = 1,
    amount: int = 0,
    absorbed: int = 0,
    usage: Usage | None = None,
) -> EntrySum:
    return EntrySum(
        institution=InstitutionId(project.partition(".")[0]),
        project=ProjectId(project),
        pool=pool,
        kind=kind,
        entries=entries,
        amount=MicroCredits(amount),
        absorbed=MicroCredits(absorbed),
        usage=usage or Usage(),
    )


def a_wait_count(*, up_to: int | None, placed: int = 1, waited_seconds: int = 0) -> WaitCount:
    return WaitCount(
        institution=UNIVERSITY,
        pool=POOL,
        request_class=RequestClass.NORMAL,
        up_to=up_to,
        placed=placed,
        waited_seconds=waited_seconds,
    )


class Shown:
    """A collector of some metrics."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def text_of(metrics: Iterable[Metric]) -> str:
    registry = CollectorRegistry()
    registry.register(Shown(metrics))
    return generate_latest(registry).decode()


def series_of(text: str) -> Series:
    """Return every series of a metrics page."""
    return series_in(text_string_to_metric_families(text))


def series_in(metrics: Iterable[Metric]) -> Series:
    """Return every series by its name and sorted labels; none may be there twice."""
    found: Series = {}
    for metric in metrics:
        for sample in metric.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def growing(metrics: Iterable[Metric]) -> Series:
    """Return the series that only grow."""
    return series_in(metric for metric in metrics if metric.type != "gauge")


def value(series: Series, name: str, **labels: str) -> float:
    """Return the sum of the series of a metric that have the labels; a trailing underscore is for Python's words."""
    wanted = {(label.rstrip("_"), said) for label, said in labels.items()}
    found = [one for (called, said), one in series.items() if called == name and wanted <= set(said)]
    assert found, (name, labels)
    return sum(found)
