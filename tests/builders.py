"""Small builders of domain values: each has what a test does not care about, and takes what it does."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from quotas.allocations import Allocation
from quotas.rates import RateCard, RateRule, Term
from quotas.tree import Quota, Share
from registry.centers import Node, NodeState, Tier
from registry.ids import (
    AllocationId,
    BookingId,
    CenterId,
    EnvironmentId,
    MicroCredits,
    NodeId,
    PersonId,
    PoolId,
    ProjectId,
    RequestId,
    Seconds,
    ShareId,
    institution_of,
)
from registry.resources import CPU, GIB, MEMORY, MILLI, NOTHING, Resources, total
from registry.tags import FundingSource, Tags
from scheduler.bookings import Booking, BookingKind
from scheduler.clusters import Part, Process
from scheduler.estimates import Estimate, Signs, Span
from scheduler.facts import Fact
from scheduler.policy import DEFAULT_POLICY, HOUR, Policy
from scheduler.requests import Draft, Request, RequestClass
from scheduler.snapshot import Snapshot

CENTER = CenterId("hcmc")
POOL = PoolId("main")
NOW = Seconds(1_800_000_000)
ALICE = PersonId("a" * 26)
CREDIT = 1_000_000


def cores(amount: float, gib: float = 0) -> Resources:
    return Resources(millicores=round(amount * MILLI), memory=round(gib * GIB))


def request_id(number: int) -> RequestId:
    """Return an id of the right shape; a larger number is a later id."""
    digits = "abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, digit = divmod(number, 26)
        text = digits[digit] + text
    return RequestId(text.rjust(26, "a"))


def a_node(name: str = "n1", capacity: Resources | None = None, *, state: NodeState = NodeState.READY) -> Node:
    return Node(id=NodeId(name), pool=POOL, capacity=capacity or cores(8, 32), state=state)


def tags(project: str = "vmu.vision") -> Tags:
    return Tags(
        center=CENTER,
        institution=institution_of(ProjectId(project)),
        project=ProjectId(project),
        pool=POOL,
        tier=Tier.HPC,
    )


def a_draft(number: int = 1, project: str = "vmu.vision", **changes: Any) -> Draft:  # noqa: ANN401 - `replace` checks the names, the dataclass says the types
    draft = Draft(
        id=request_id(number),
        name="",
        person=ALICE,
        tags=tags(project),
        pool=POOL,
        request_class=RequestClass.NORMAL,
        environment=EnvironmentId("default"),
        head=cores(0.5, 1),
        worker=cores(1, 2),
        workers_min=1,
        workers_max=4,
        walltime_seconds=HOUR,
        idle_seconds=1800,
    )
    return replace(draft, **changes)


def a_request(number: int = 1, project: str = "vmu.vision", *, submitted: int = NOW, **changes: Any) -> Request:  # noqa: ANN401
    return a_draft(number, project, **changes).accepted(Seconds(submitted))


def an_estimate(number: int = 1) -> Estimate:
    """Return what was said of a start: within 20 to 30 seconds from now in 50 of 100, within 10 to 90 in 90."""
    signs = Signs(by_walltimes=number, by_predictions=2, ahead=3, first_room=4, planned=5, part_ppm=6, walltime=7)
    half, most = (
        Span(earliest=Seconds(NOW + first), latest=Seconds(NOW + last)) for first, last in ((20, 30), (10, 90))
    )
    return Estimate(issued=NOW, signs=signs, run_seconds=8, half=half, most=most)


def booking_id(number: int) -> BookingId:
    """Return an id of the right shape; a larger number is a later id."""
    return BookingId(request_id(number))


def a_booking(number: int = 1, *, project: str | None = "vmu.vision", **changes: Any) -> Booking:  # noqa: ANN401
    """Return two hours of one node, an hour from now."""
    booking = Booking(
        id=booking_id(number),
        name="",
        pool=POOL,
        nodes=(NodeId("n1"),),
        begins=Seconds(NOW + HOUR),
        ends=Seconds(NOW + 3 * HOUR),
        project=ProjectId(project) if project else None,
        kind=BookingKind.COURSE if project else BookingKind.MAINTENANCE,
        made_by=ALICE,
        made=NOW,
    )
    return replace(booking, **changes)


def a_slot(number: int = 1, ordinal: int = 0, **changes: Any) -> Process:  # noqa: ANN401
    slot = Process(
        request=request_id(number),
        ordinal=ordinal,
        part=Part.GUARANTEED if ordinal else Part.HEAD,
        node=NodeId("n1"),
        shape=cores(1, 4),
        hold=MicroCredits(5),
    )
    return replace(slot, **changes)


def a_share(
    name: str,
    nominal: Resources,
    *,
    parent: str | None = CENTER,
    borrowing: Resources = NOTHING,
    lending: Resources = NOTHING,
    granted: Resources = NOTHING,
) -> Share:
    quota = Quota(nominal=nominal, borrowing=borrowing, lending=lending)
    above = ShareId(parent) if parent else None
    return Share(id=ShareId(name), pool=POOL, parent=above, quota=quota, granted=granted)


def an_allocation(project: str = "vmu.vision", micro_credits: int = 10**12) -> Allocation:
    return Allocation(
        id=AllocationId("alloc-" + project),
        project=ProjectId(project),
        funding=FundingSource("city"),
        begins=Seconds(0),
        ends=Seconds(NOW * 2),
        available=MicroCredits(micro_credits),
        held=MicroCredits(0),
    )


def a_rule(pool: PoolId = POOL) -> RateRule:
    """One credit for the larger of each core and each begun 4 GiB, an hour."""
    per_core = Term(resource=CPU, step=MILLI, micro_credits=CREDIT)
    per_memory = Term(resource=MEMORY, step=4 * GIB, micro_credits=CREDIT)
    return RateRule(pool=pool, groups=((per_core, per_memory),))


def a_rate_card() -> RateCard:
    return RateCard(since=Seconds(0), rules=(a_rule(),))


def facts_of_a_center(
    nodes: Iterable[Node],
    projects: Iterable[str],
    nominal: Resources | None = None,
    *,
    borrowing: Resources | None = None,
) -> list[Fact]:
    """Return nodes, a share for the center, each institution and each project, credit, and a rate card.

    Institutions and projects get `nominal` and `borrowing`, and lend all if they may borrow; without either each may
    hold everything.
    """
    whole = total(node.capacity for node in nodes if node.state is NodeState.READY)
    rest = total(node.granted for node in nodes if node.state is not NodeState.READY)
    promised, more = nominal or NOTHING, borrowing or (NOTHING if nominal else whole)
    lent = promised if borrowing else NOTHING
    institutions = sorted({institution_of(ProjectId(project)) for project in projects})
    return [
        *nodes,
        a_rate_card(),
        a_share(CENTER, whole, parent=None, borrowing=rest),
        *(a_share(one, promised, borrowing=more, lending=lent) for one in institutions),
        *(
            a_share(one, promised, borrowing=more, lending=lent, parent=institution_of(ProjectId(one)))
            for one in projects
        ),
        *(an_allocation(one) for one in projects),
    ]


def a_snapshot(facts: Iterable[Fact], policy: Policy = DEFAULT_POLICY) -> Snapshot:
    return Snapshot(policy=policy).with_facts(facts)
