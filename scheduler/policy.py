"""The center's published scheduling policy as data: classes, weights and times."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registry.resources import Resources
from scheduler.requests import RequestClass
from scheduler.troubles import Trouble

HOUR: Final = 3600
DAY: Final = 24 * HOUR
WHOLE_PERCENT: Final = 100


class Order(StrEnum):
    """By what requests take their turns."""

    SCORE = "score"
    """Class, fair share, length and size: the center's own."""
    ARRIVAL = "arrival"
    """First come, first served."""
    FILL = "fill"
    """Who needs exactly so many workers first, as they came, the wide a while earlier; then who can do with fewer, the
    least to do first: they fill what is left. Who is overdue goes before all."""
    UNICEF = "unicef"
    """wait / (log2(cores) x walltime): Tang et al. (Cluster 2009), for comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRule:
    """What a class of requests may ask for, how it ranks and what it costs.

    `weight` is in the units of the score: 1.3 of it let a request go before one that is half as long, 10 before one
    that is 200 times shorter. `overtaking_seconds` is how long others that came later may go before a request of the
    class on a center with a short queue: by then it is promised to have started (`scheduler.overtaking`).
    `most_per_person` bounds how many of one person run at once, `most_waiting` how many of one person wait and
    `most_waiting_of_institution` how many of all people of an institution.
    `share_percent` is how much of a pool the class may hold at once, `price_percent` the factor on its price.
    """

    weight: float
    default_walltime_seconds: int
    longest_walltime_seconds: int
    largest_workers: int
    most_per_person: int
    most_waiting: int
    most_waiting_of_institution: int
    share_percent: int
    price_percent: int
    overtaking_seconds: int
    admin_only: bool = False

    @property
    def takes_all(self) -> bool:
        """Tell whether the class may hold a whole pool, so that only nodes bound it."""
        return self.share_percent >= WHOLE_PERCENT

    def share_of(self, whole: Resources) -> Resources:
        """Return what the class may hold at once of a pool that has so much."""
        return Resources.of((name, amount * self.share_percent // WHOLE_PERCENT) for name, amount in whole.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Every number that `decide` uses and nobody measured: published, versioned with the center's rules.

    Requests take their turns by `order`. With `backfill` the others go on where one is blocked by nodes, in their
    order or `shortest_fills` first. With `keeps_promises` a protected start that was given stays until it comes and
    only moves earlier; without, for comparison with published schedules, it is found anew in each cycle.
    Weights are in doublings of a length to 1.3, as `scheduler.ordering.Rank` says, that of owners more than any length.
    `half_life_seconds` is that of fair-share usage; `termination_slack_seconds` what a process may take to end
    after its deadline; `notice_seconds` what an elastic worker gets to drain; `lease_seconds` how long the hold
    of an elastic worker lasts; `reservations` how many requests of a pool that are next in line and blocked by nodes
    alone keep a protected start, and `latest_starts` how many that were overtaken for long are promised a latest one.
    Guaranteed work that its institution has borrowed the room for is stopped for the owner once it has run for
    `minimum_run_seconds`, with the same notice; with None it never is.
    `start_patience_seconds` is how long what does not start is waited for, `unschedulable_patience_seconds` what the
    cluster's own scheduler finds no room for, `retry_pauses_seconds` how long a start that failed is put off, the last
    for ever after. `evacuation_notice_seconds` is what a worker on a node that is to be emptied gets to drain.
    `parallel_fraction` is how much of its work, in thousandths, several workers are taken to share where nobody says.
    """

    classes: Mapping[RequestClass, ClassRule]
    order: Order = Order.SCORE
    backfill: bool = True
    shortest_fills: bool = False
    keeps_promises: bool = True
    fair_share_weight: float = 1.0
    owner_weight: float = 25.0
    length_weight: float = 1.3
    slowdown_bound_seconds: int = 10
    half_life_seconds: int = 7 * DAY
    reservations: int = 1
    latest_starts: int = 20
    termination_slack_seconds: int = 30
    notice_seconds: int = 30
    minimum_run_seconds: int | None = HOUR
    lease_seconds: int = 600
    start_patience_seconds: int = 120
    unschedulable_patience_seconds: int = 15
    retry_pauses_seconds: tuple[int, ...] = (5, 10, 30, 60, 120)
    evacuation_notice_seconds: int = 300
    parallel_fraction: int = 990

    @property
    def promises_latest_starts(self) -> bool:
        """Tell whether who was overtaken for long is promised a latest start."""
        return self.order is Order.SCORE and self.keeps_promises and self.latest_starts > 0

    def patience_seconds(self, trouble: Trouble) -> int:
        """Return how long a process with a trouble is waited for."""
        unschedulable = trouble is Trouble.UNSCHEDULABLE
        return self.unschedulable_patience_seconds if unschedulable else self.start_patience_seconds

    def retry_pause_seconds(self, failed_starts: int) -> int:
        """Return for how long the next start is put off after so many that failed before this one."""
        return self.retry_pauses_seconds[min(failed_starts, len(self.retry_pauses_seconds) - 1)]


DEFAULT_POLICY: Final = Policy(
    classes={
        RequestClass.URGENT: ClassRule(
            weight=1000.0,
            default_walltime_seconds=4 * HOUR,
            longest_walltime_seconds=2 * DAY,
            largest_workers=900,
            most_per_person=20,
            most_waiting=100,
            most_waiting_of_institution=2000,
            share_percent=50,
            price_percent=100,
            overtaking_seconds=HOUR,
            admin_only=True,
        ),
        RequestClass.INTERACTIVE: ClassRule(
            weight=20.0,
            default_walltime_seconds=HOUR,
            longest_walltime_seconds=12 * HOUR,
            largest_workers=200,
            most_per_person=5,
            most_waiting=20,
            most_waiting_of_institution=400,
            share_percent=100,
            price_percent=100,
            overtaking_seconds=6 * HOUR,
        ),
        RequestClass.NORMAL: ClassRule(
            weight=10.0,
            default_walltime_seconds=4 * HOUR,
            longest_walltime_seconds=7 * DAY,
            largest_workers=900,
            most_per_person=100,
            most_waiting=500,
            most_waiting_of_institution=10_000,
            share_percent=100,
            price_percent=100,
            overtaking_seconds=60 * HOUR,
        ),
        RequestClass.COURSE: ClassRule(
            weight=15.0,
            default_walltime_seconds=2 * HOUR,
            longest_walltime_seconds=6 * HOUR,
            largest_workers=50,
            most_per_person=2,
            most_waiting=20,
            most_waiting_of_institution=400,
            share_percent=50,
            price_percent=100,
            overtaking_seconds=6 * HOUR,
        ),
        RequestClass.SCAVENGER: ClassRule(
            weight=0.0,
            default_walltime_seconds=HOUR,
            longest_walltime_seconds=DAY,
            largest_workers=900,
            most_per_person=1000,
            most_waiting=1000,
            most_waiting_of_institution=20_000,
            share_percent=100,
            price_percent=25,
            overtaking_seconds=30 * DAY,
        ),
    },
)
