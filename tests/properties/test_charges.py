"""However a life is cut into charges, the pieces sum to the whole; the published prices come out to the unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotas.charges import Tariff, Use, charges
from quotas.ledger import ABSORBED, INCOME, Bearer, Entry, Usage, days, windows
from quotas.rates import RateRule, Term, price
from registry.ids import AllocationId, MicroCredits, ProcessUid, Seconds
from registry.resources import CPU, GIB, MEMORY, MILLI, GpuModel, ResourceName, Resources
from tests.builders import CREDIT, POOL, a_rule, request_id, tags
from tests.properties.worlds import amounts

BEARER = Bearer(allocation=AllocationId("a" * 26), request=request_id(1), tags=tags())
UID = ProcessUid("f" * 32)
TARIFF = Tariff(rule=a_rule(), percent=100)
moments = st.integers(0, 10_000_000).map(Seconds)


def a_use(shape: Resources, started: int, begins: int, ends: int) -> Use:
    return Use(uid=UID, shape=shape, started=Seconds(started), begins=Seconds(begins), ends=Seconds(ends))


@given(moments, st.integers(0, 400_000))
def test_the_days_of_a_life_are_those_of_its_seconds(begins: Seconds, seconds: int) -> None:
    pieces = list(days(begins, Seconds(begins + seconds)))
    hours: dict[int, int] = {}
    for hour in windows(UID, Resources(), begins, Seconds(begins + seconds)):
        hours[hour.hour // 24] = hours.get(hour.hour // 24, 0) + hour.ends - hour.begins
    assert dict(pieces) == hours
    assert len(pieces) == len(hours)


@given(moments, st.integers(0, 400_000), amounts())
def test_the_windows_of_a_life_are_its_hours_and_sum_to_its_use(
    begins: Seconds, seconds: int, shape: Resources
) -> None:
    pieces = windows(UID, shape, begins, Seconds(begins + seconds))
    assert sum((piece.usage for piece in pieces), Usage()) == Usage.of(shape, seconds)
    assert len({piece.hour for piece in pieces}) == len(pieces)
    assert all(piece.begins // 3600 == (piece.ends - 1) // 3600 for piece in pieces)


@given(moments, st.integers(1, 400_000), st.integers(0, 400_000), amounts(), st.integers(0, 10**9))
def test_charging_at_a_full_hour_in_between_changes_no_sum(
    started: Seconds, seconds: int, later: int, shape: Resources, hold: int
) -> None:
    ends = started + seconds
    cut = min(ends, -(-(started + later) // 3600) * 3600)
    whole = charges(BEARER, TARIFF, a_use(shape, started, started, ends), MicroCredits(hold))
    first = charges(BEARER, TARIFF, a_use(shape, started, started, cut), MicroCredits(hold))
    rest = charges(BEARER, TARIFF, a_use(shape, started, cut, ends), MicroCredits(hold - first.covered))
    assert [*first.entries, *rest.entries] == list(whole.entries)
    assert first.covered + rest.covered == whole.covered


@given(moments, st.integers(1, 400_000), amounts(), st.integers(0, 10**9))
def test_what_exceeds_the_hold_is_the_centers_and_everything_is_income(
    started: Seconds, seconds: int, shape: Resources, hold: int
) -> None:
    due = charges(BEARER, TARIFF, a_use(shape, started, started, started + seconds), MicroCredits(hold))
    total = price(TARIFF.rule, shape, seconds * 1000)
    assert sum(entry.amount for entry in due.entries) == total
    assert all(entry.target == INCOME for entry in due.entries)
    assert sum(entry.amount for entry in due.entries if entry.source != ABSORBED) == due.covered == min(hold, total)
    assert sum((entry.usage for entry in due.entries), Usage()) == Usage.of(shape, seconds)
    assert len({entry.key for entry in due.entries}) == len(due.entries)


def test_a_life_without_a_second_costs_nothing() -> None:
    none: tuple[Entry, ...] = ()
    assert charges(BEARER, TARIFF, a_use(Resources(millicores=1), 5, 5, 5), MicroCredits(9)).entries == none


def term(resource: ResourceName, step: int, credits_per_hour: float) -> Term:
    return Term(resource=resource, step=step, micro_credits=round(credits_per_hour * CREDIT))


GCD = ResourceName("gpu/gcd")
GB = 10**9


@pytest.mark.parametrize(
    ("groups", "minimum", "shape", "hours", "expected"),
    [
        # LUMI, small partition: max(cores, ceil(GB / 2)) x h
        (((term(CPU, MILLI, 1), term(MEMORY, 2 * GB, 1)),), 0, Resources(millicores=4000, memory=32 * GB), 24, 384),
        # LUMI-G: max(ceil(cores / 8), ceil(GB / 64), GCDs) x h x 0.5
        (
            ((term(CPU, 8 * MILLI, 0.5), term(MEMORY, 64 * GB, 0.5), term(GCD, 1, 0.5)),),
            0,
            Resources(millicores=8000, memory=128 * GB, gpus=((GpuModel("gcd"), 1),)),
            24,
            24,
        ),
        # CSC: max(0.75 x cores, 0.375 x GiB) x h
        (
            ((term(CPU, MILLI, 0.75), term(MEMORY, GIB, 0.375)),),
            0,
            Resources(millicores=4000, memory=16 * GIB),
            2,
            12,
        ),
        # TACC: nodes x max(h, 0.25), here four nodes of 48 cores for five minutes
        (((term(CPU, 48 * MILLI, 1),),), 900, Resources(millicores=4 * 48 * MILLI), 5 / 60, 1),
    ],
)
def test_published_prices_come_out_to_the_unit(
    groups: tuple[tuple[Term, ...], ...], minimum: int, shape: Resources, hours: float, expected: float
) -> None:
    rule = RateRule(pool=POOL, groups=groups, minimum_seconds=minimum)
    assert price(rule, shape, round(hours * 3_600_000)) == round(expected * CREDIT)
