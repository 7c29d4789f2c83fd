"""What a scrape shows, to the letter and to the unit."""

import os
import re
import subprocess
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporters.families import FAMILIES, families
from exporters.readings import Period
from exporters.series import Family, Kind
from exporters.totals import WAIT_BOUNDS, Totals
from quotas.ledger import EntryKind, Usage
from registry.centers import NodeState
from registry.resources import GIB, MIB
from scheduler.clusters import Phase
from scheduler.requests import RequestClass
from tests.builders import CENTER, POOL
from tests.house import ROOT
from tests.programs import promtool
from tests.scrapes import (
    FOG,
    PORT,
    UNIVERSITY,
    Series,
    a_busy_scrape,
    a_picture,
    a_scrape,
    a_wait_count,
    an_entry_sum,
    series_of,
    some_nodes,
    some_shares,
    text_of,
    value,
)

GOLDEN = ROOT / "tests/golden/metrics.txt"


@pytest.fixture(scope="module")
def busy() -> Series:
    return series_of(text_of(families(a_busy_scrape())))


@pytest.fixture(scope="module")
def idle() -> Series:
    """An idle center: its nodes and quotas are there, and nobody has asked for anything."""
    return series_of(text_of(families(a_scrape(a_picture([*some_nodes(), *some_shares()])))))


def test_the_page_is_the_one_that_was_reviewed() -> None:
    page = text_of(families(a_busy_scrape()))
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(page, encoding="utf-8")
    assert page == GOLDEN.read_text(encoding="utf-8"), "review it, then: GOLDEN=write make test"


def test_prometheus_itself_finds_nothing_to_say_about_the_page() -> None:
    checked = subprocess.run(
        [promtool(), "check", "metrics"],
        input=text_of(families(a_busy_scrape())),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_core_seconds_are_those_of_the_ledger_to_the_millisecond(busy: Series) -> None:
    used = value(busy, "haidang_used_core_seconds_total", institution=UNIVERSITY, pool=POOL)
    assert used == 7200.002
    assert round(used * 1000) == 2 * 3_600_001


def shown(totals: Totals, name: str) -> float:
    """Return what the page says of one metric, over all its series."""
    (family,) = [family for family in FAMILIES if family.name == name]
    return value(series_of(text_of([family.metric(a_scrape(a_picture(totals=totals)))])), name)


@given(used=st.integers(0, 2**51 - 1))
@example(used=2**51 - 1)
def test_what_the_ledger_counts_can_be_read_back_from_the_page(used: int) -> None:
    usage = Usage(core_milliseconds=used, mib_seconds=used, gpu_milliseconds=used)
    totals = Totals().plus([an_entry_sum(usage=usage)], [], [])
    assert round(shown(totals, "haidang_used_core_seconds_total") * 1000) == used
    assert round(shown(totals, "haidang_used_gpu_seconds_total") * 1000) == used
    assert shown(totals, "haidang_used_memory_byte_seconds_total") == used * MIB


@given(less=st.integers(0, 2**60), more=st.integers(0, 2**60))
def test_a_counter_never_goes_back_even_where_a_float_is_too_short(less: int, more: int) -> None:
    before, after = sorted((less, less + more))
    earlier, later = (
        Totals().plus([an_entry_sum(usage=Usage(core_milliseconds=used))], [], []) for used in (before, after)
    )
    name = "haidang_used_core_seconds_total"
    assert shown(earlier, name) <= shown(later, name)


def test_projects_and_awards_of_one_institution_are_one_series(busy: Series) -> None:
    assert value(busy, "haidang_credits_granted_total", institution=UNIVERSITY) == 100
    assert value(busy, "haidang_credits_charged_total", institution=UNIVERSITY) == 24.000001
    assert value(busy, "haidang_credits_absorbed_total", institution=UNIVERSITY) == 1
    assert value(busy, "haidang_ledger_entries_total", institution=UNIVERSITY, kind="charge") == 4


def test_credit_is_told_by_whether_it_can_be_held(busy: Series) -> None:
    assert value(busy, "haidang_credits_available", institution=UNIVERSITY, state="open") == 70.000001
    assert value(busy, "haidang_credits_available", institution=UNIVERSITY, state="lapsed") == 5
    assert value(busy, "haidang_credits_available", institution=PORT, state="upcoming") == 9
    assert value(busy, "haidang_credits_held", institution=UNIVERSITY) == 2


def test_only_ready_nodes_are_capacity(busy: Series) -> None:
    assert value(busy, "haidang_capacity", pool=POOL, resource="cpu") == 16
    assert value(busy, "haidang_installed", pool=POOL, resource="cpu") == 24
    assert value(busy, "haidang_capacity", pool=POOL, resource="memory") == 64 * GIB
    assert value(busy, "haidang_capacity", pool=POOL, resource="gpu/a100") == 2
    assert value(busy, "haidang_nodes", pool=POOL, state="draining") == 1


def test_what_one_institution_borrows_another_lends(busy: Series) -> None:
    assert value(busy, "haidang_granted", institution=UNIVERSITY, resource="cpu") == 12.5
    assert value(busy, "haidang_quota_nominal", institution=UNIVERSITY, resource="cpu") == 10
    assert value(busy, "haidang_borrowed", institution=UNIVERSITY, resource="cpu") == 2.5
    assert value(busy, "haidang_lent", institution=PORT, resource="cpu") == 2.5
    assert value(busy, "haidang_lent", institution=UNIVERSITY, resource="cpu") == 0


def test_what_is_on_hold_does_not_stand_in_the_queue(busy: Series) -> None:
    assert value(busy, "haidang_queued_requests", institution=UNIVERSITY, class_="normal") == 2
    assert value(busy, "haidang_queued_cores", institution=UNIVERSITY, class_="normal") == 2.5 + 1.5
    assert value(busy, "haidang_requests_on_hold", institution=UNIVERSITY) == 1
    assert value(busy, "haidang_queued_requests", institution=PORT, class_="urgent") == 1


def test_a_placed_request_is_counted_by_the_phase_of_its_cluster(busy: Series) -> None:
    assert value(busy, "haidang_clusters", institution=UNIVERSITY, state="running") == 1
    assert value(busy, "haidang_clusters", institution=UNIVERSITY, state="starting") == 1
    assert value(busy, "haidang_clusters", institution=UNIVERSITY, state="ending") == 0


def test_a_bucket_holds_all_that_waited_no_longer(busy: Series) -> None:
    def up_to(bound: str) -> float:
        return value(busy, "haidang_wait_seconds_bucket", institution=UNIVERSITY, class_="normal", le=bound)

    assert [up_to(bound) for bound in ("1.0", "900.0", "3600.0", "604800.0", "+Inf")] == [3, 3, 4, 4, 5]
    assert value(busy, "haidang_wait_seconds_count", institution=UNIVERSITY) == 5
    assert value(busy, "haidang_wait_seconds_sum", institution=UNIVERSITY) == 2 + 1234 + 700_000


def test_a_bound_of_the_histogram_is_a_bound_that_the_store_counts_by() -> None:
    totals = Totals().plus([], [a_wait_count(up_to=bound) for bound in (*WAIT_BOUNDS, None)], [])
    series = series_of(text_of(families(a_scrape(a_picture(totals=totals)))))
    found = [value(series, "haidang_wait_seconds_bucket", le=str(float(bound))) for bound in WAIT_BOUNDS]
    assert found == [*range(1, len(WAIT_BOUNDS) + 1)]
    assert value(series, "haidang_wait_seconds_bucket", le="+Inf") == len(WAIT_BOUNDS) + 1


def test_everything_that_exists_has_a_series_before_anything_happens(idle: Series) -> None:
    for family in FAMILIES:
        name = family.name + ("_count" if family.kind is Kind.HISTOGRAM else "")
        found = [dict(labels) for called, labels in idle if called == name]
        if "institution" in family.labels:
            pools = {FOG, POOL} if "pool" in family.labels else {None}
            wanted = {(one, pool) for one in (PORT, UNIVERSITY) for pool in pools}
            assert {(labels["institution"], labels.get("pool")) for labels in found} == wanted, family.name
        elif "pool" in family.labels:
            assert {labels["pool"] for labels in found} == {FOG, POOL}, family.name


@pytest.mark.parametrize(
    ("name", "label", "said"),
    [
        ("haidang_nodes", "state", NodeState),
        ("haidang_queued_requests", "class", RequestClass),
        ("haidang_wait_seconds_count", "class", RequestClass),
        ("haidang_clusters", "state", Phase),
        ("haidang_credits_available", "state", Period),
        ("haidang_ledger_entries_total", "kind", EntryKind),
        ("haidang_granted", "resource", ("cpu", "memory", "gpu/a100")),
        ("haidang_estimated_starts_total", "percent", ("50", "90")),
        ("haidang_estimated_starts_total", "side", ("earlier", "within", "later")),
    ],
)
def test_every_member_of_a_closed_set_is_shown_also_at_zero(
    idle: Series, name: str, label: str, said: tuple[str, ...]
) -> None:
    assert {dict(labels)[label] for called, labels in idle if called == name} == set(said)


def test_labels_are_enumerated() -> None:
    allowed = {"center", "institution", "pool", "resource", "state", "class", "kind", "tier", "percent", "side"}
    assert {label for family in FAMILIES for label in family.labels} == allowed


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_name_says_whose_it_is_and_total_if_it_only_grows(family: Family) -> None:
    assert re.fullmatch(r"haidang_[a-z]+(_[a-z]+)*", family.name)
    assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)
    assert family.says.endswith(".")


def test_an_entry_whose_pool_nobody_set_is_reported_as_such() -> None:
    totals = Totals().plus([an_entry_sum(pool=None, usage=Usage(core_milliseconds=1500))], [], [])
    series = series_of(text_of(families(a_scrape(a_picture(totals=totals)))))
    assert value(series, "haidang_used_core_seconds_total", pool="unreported", center=CENTER) == 1.5


def test_a_loop_that_never_went_round_has_no_age(busy: Series) -> None:
    assert value(busy, "haidang_cycle_age_seconds") == 3
    assert not [name for name, _ in busy if name in {"haidang_reconcile_age_seconds", "haidang_tend_age_seconds"}]
    assert value(busy, "haidang_snapshot_age_seconds") == 2
    assert value(busy, "haidang_scrape_duration_seconds") == 0.0125


def test_a_center_without_a_name_is_shown_all_the_same() -> None:
    series = series_of(text_of(families(a_scrape(replace(a_picture(), center=None, pools=())))))
    assert value(series, "haidang_credits_held", center="unreported", institution=PORT) == 0
