"""Every metric of the center, and the one function that shows a scrape as all of them.

They are projections of the committed state, never counters that the domain bumps, so that no dashboard can disagree
with a bill.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from prometheus_client.metrics_core import Metric

from exporters import readings
from exporters.scrapes import Scrape
from exporters.series import Amount, Kind, Source, Waits, parts, thousandths_of_cores
from quotas.ledger import EntryKind
from registry.centers import NodeState
from registry.resources import MIB, MILLI

MICRO: Final = 1_000_000
NANO: Final = 1_000_000_000

POOL: Final = ("center", "pool")
INSTITUTION: Final = ("center", "institution")
BOTH: Final = ("center", "institution", "pool")

UNITS: Final = "cores of cpu, bytes of memory, devices of a GPU model"

NODES: Final = (
    Amount(
        name="haidang_pool_info",
        kind=Kind.GAUGE,
        says="Always 1: a pool with its tier, to join to other metrics.",
        labels=(*POOL, "tier"),
        source=Source.REGISTER,
        read=readings.pool_tiers,
    ),
    Amount(
        name="haidang_nodes",
        kind=Kind.GAUGE,
        says="Nodes by state.",
        labels=(*POOL, "state"),
        source=Source.SNAPSHOT,
        read=readings.nodes,
    ),
    Amount(
        name="haidang_installed",
        kind=Kind.GAUGE,
        says=f"What all nodes have, whatever their state: {UNITS}.",
        labels=(*POOL, "resource"),
        source=Source.SNAPSHOT,
        read=readings.node_capacity(frozenset(NodeState)),
        stored=thousandths_of_cores,
    ),
    Amount(
        name="haidang_capacity",
        kind=Kind.GAUGE,
        says=f"What ready nodes have: {UNITS}.",
        labels=(*POOL, "resource"),
        source=Source.SNAPSHOT,
        read=readings.node_capacity(frozenset({NodeState.READY})),
        stored=thousandths_of_cores,
    ),
)


def _of_shares(name: str, says: str, read: readings.Reading) -> Amount:
    return Amount(
        name=name,
        kind=Kind.GAUGE,
        says=f"{says}: {UNITS}.",
        labels=(*BOTH, "resource"),
        source=Source.SNAPSHOT,
        read=read,
        stored=thousandths_of_cores,
    )


SHARES: Final = (
    _of_shares(
        "haidang_granted",
        "Concurrent capacity that an institution's processes hold",
        readings.institution_shares(attrgetter("granted")),
    ),
    _of_shares(
        "haidang_quota_nominal",
        "An institution's own share of concurrent capacity",
        readings.institution_shares(attrgetter("quota.nominal")),
    ),
    _of_shares(
        "haidang_quota_borrowing_limit",
        "The most that an institution may take beyond its nominal quota",
        readings.institution_shares(attrgetter("quota.borrowing")),
    ),
    _of_shares(
        "haidang_quota_lending_limit",
        "The most that an institution lends of its nominal quota while that is idle",
        readings.institution_shares(attrgetter("quota.lending")),
    ),
    _of_shares(
        "haidang_borrowed",
        "What an institution holds beyond its nominal quota",
        readings.institution_shares(attrgetter("borrowed")),
    ),
    _of_shares(
        "haidang_lent",
        "What others use of an institution's nominal quota, split between lenders by what each leaves idle",
        readings.lent_amounts,
    ),
)

REQUESTS: Final = (
    Amount(
        name="haidang_queued_requests",
        kind=Kind.GAUGE,
        says="Requests that wait and may start; those on hold are not among them.",
        labels=(*BOTH, "class"),
        source=Source.SNAPSHOT,
        read=readings.queued_requests,
    ),
    Amount(
        name="haidang_queued_cores",
        kind=Kind.GAUGE,
        says="Cores that the gangs of queued requests would take: each one's head and guaranteed workers.",
        labels=(*BOTH, "class"),
        source=Source.SNAPSHOT,
        read=readings.queued_millicores,
        stored=parts(MILLI),
    ),
    Amount(
        name="haidang_requests_on_hold",
        kind=Kind.GAUGE,
        says="Requests that their user or an operator holds back.",
        labels=(*BOTH, "class"),
        source=Source.SNAPSHOT,
        read=readings.requests_on_hold,
    ),
    Amount(
        name="haidang_clusters",
        kind=Kind.GAUGE,
        says="Placed requests by the phase of their cluster.",
        labels=(*BOTH, "state"),
        source=Source.SNAPSHOT,
        read=readings.clusters,
    ),
    Waits(
        name="haidang_wait_seconds",
        says="Time from submission to placement of the requests that were placed.",
        labels=(*BOTH, "class"),
        source=Source.JOURNAL,
        read=readings.waits,
    ),
    Amount(
        name="haidang_estimated_starts_total",
        kind=Kind.COUNTER,
        says="Starts that had been foreseen, by where they lay: within an interval, as so many percent are to, or not.",
        labels=(*POOL, "percent", "side"),
        source=Source.JOURNAL,
        read=readings.hits,
    ),
)

USE: Final = (
    Amount(
        name="haidang_used_core_seconds_total",
        kind=Kind.COUNTER,
        says="Cores held x time, as charged: at each full hour and when a process has ended.",
        labels=BOTH,
        source=Source.LEDGER,
        read=readings.pool_entries(attrgetter("usage.core_milliseconds"), *EntryKind),
        stored=parts(MILLI),
    ),
    Amount(
        name="haidang_used_memory_byte_seconds_total",
        kind=Kind.COUNTER,
        says="Bytes of memory held x time, as charged: each process in whole MiB.",
        labels=BOTH,
        source=Source.LEDGER,
        read=readings.pool_entries(lambda total: total.usage.mib_seconds * MIB, *EntryKind),
    ),
    Amount(
        name="haidang_used_gpu_seconds_total",
        kind=Kind.COUNTER,
        says="GPUs held x time, as charged, all models together.",
        labels=BOTH,
        source=Source.LEDGER,
        read=readings.pool_entries(attrgetter("usage.gpu_milliseconds"), *EntryKind),
        stored=parts(MILLI),
    ),
)

CREDITS: Final = (
    Amount(
        name="haidang_credits_granted_total",
        kind=Kind.COUNTER,
        says="Credits awarded to the projects of an institution.",
        labels=INSTITUTION,
        source=Source.LEDGER,
        read=readings.granted_credits,
        stored=parts(MICRO),
    ),
    Amount(
        name="haidang_credits_charged_total",
        kind=Kind.COUNTER,
        says="Credits that an institution paid for use.",
        labels=BOTH,
        source=Source.LEDGER,
        read=readings.pool_entries(lambda total: total.amount - total.absorbed, EntryKind.CHARGE),
        stored=parts(MICRO),
    ),
    Amount(
        name="haidang_credits_refunded_total",
        kind=Kind.COUNTER,
        says="Credits given back to an institution of what it was charged for runs that had to make way for others.",
        labels=BOTH,
        source=Source.LEDGER,
        read=readings.pool_entries(attrgetter("amount"), EntryKind.REFUND),
        stored=parts(MICRO),
    ),
    Amount(
        name="haidang_credits_absorbed_total",
        kind=Kind.COUNTER,
        says="Credits that the center paid for use by an institution: what went beyond a hold.",
        labels=BOTH,
        source=Source.LEDGER,
        read=readings.pool_entries(attrgetter("absorbed"), EntryKind.CHARGE),
        stored=parts(MICRO),
    ),
    Amount(
        name="haidang_credits_held",
        kind=Kind.GAUGE,
        says="Credits set aside for work that runs.",
        labels=INSTITUTION,
        source=Source.SNAPSHOT,
        read=readings.held_credits,
        stored=parts(MICRO),
    ),
    Amount(
        name="haidang_credits_available",
        kind=Kind.GAUGE,
        says="Credits neither held nor charged; only those of an open period can be held.",
        labels=(*INSTITUTION, "state"),
        source=Source.SNAPSHOT,
        read=readings.available_credits,
        stored=parts(MICRO),
    ),
    Amount(
        name="haidang_ledger_entries_total",
        kind=Kind.COUNTER,
        says="Entries of the ledger.",
        labels=(*INSTITUTION, "kind"),
        source=Source.LEDGER,
        read=readings.entries,
    ),
)

LOOPS: Final = (
    Amount(
        name="haidang_cycle_age_seconds",
        kind=Kind.GAUGE,
        says="Time since this process last finished a scheduling cycle; absent before the first.",
        source=Source.PROCESS,
        read=readings.age(attrgetter("pulse.cycle")),
    ),
    Amount(
        name="haidang_reconcile_age_seconds",
        kind=Kind.GAUGE,
        says="Time since this process last finished reconciling; absent before the first time.",
        source=Source.PROCESS,
        read=readings.age(attrgetter("pulse.reconciled")),
    ),
    Amount(
        name="haidang_tend_age_seconds",
        kind=Kind.GAUGE,
        says="Time since this process last followed machines and kept tenants' places; absent where there are none.",
        source=Source.PROCESS,
        read=readings.age(attrgetter("pulse.tended")),
    ),
)

FRESHNESS: Final = (
    Amount(
        name="haidang_snapshot_age_seconds",
        kind=Kind.GAUGE,
        says="Time since the committed state shown here was read; it grows while the store does not answer.",
        source=Source.PROCESS,
        read=readings.snapshot_age,
    ),
    *LOOPS,
    Amount(
        name="haidang_scrape_duration_seconds",
        kind=Kind.GAUGE,
        says="Time that reading the committed state took for this scrape.",
        source=Source.PROCESS,
        read=readings.reading_nanoseconds,
        stored=parts(NANO),
    ),
)

FAMILIES: Final[tuple[Amount | Waits, ...]] = (*NODES, *SHARES, *REQUESTS, *USE, *CREDITS, *FRESHNESS)


def families(scrape: Scrape | None) -> Iterable[Metric]:
    """Yield every metric of the center as a scrape shows it; without a scrape their names and types alone."""
    return (family.metric(scrape) for family in FAMILIES)
