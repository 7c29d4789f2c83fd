"""The policies by name: the center's own, and published ones to compare it with, each a mode of the one engine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from scheduler.policy import DEFAULT_POLICY, Order, Policy

_EVERYBODY: Final = 10**9

_BY_ARRIVAL: Final = replace(
    DEFAULT_POLICY,
    order=Order.ARRIVAL,
    keeps_promises=False,
    fair_share_weight=0.0,
    termination_slack_seconds=0,
    minimum_run_seconds=None,
)
_EASY: Final = replace(_BY_ARRIVAL, reservations=1)

NAMED: Final[Mapping[str, Policy]] = {
    "default": DEFAULT_POLICY,
    "fcfs": replace(_BY_ARRIVAL, reservations=0, backfill=False),
    "fcfs-easy": _EASY,
    "fcfs-easy-sjbf": replace(_EASY, shortest_fills=True),
    "fcfs-conservative": replace(_BY_ARRIVAL, reservations=_EVERYBODY, keeps_promises=True),
    "unicef-easy": replace(_EASY, order=Order.UNICEF),
}
"""`fcfs-*` after Mu'alem and Feitelson, "Utilization, predictability, workloads, and user runtime estimates in
scheduling the IBM SP2 with backfilling" (IEEE TPDS 2001), `sjbf` after Tsafrir et al. (IEEE TPDS 2007), `unicef`
after Tang et al. (Cluster 2009). Published schedules know no slack between a deadline and the release of nodes."""
