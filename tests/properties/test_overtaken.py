"""Where more were overtaken for long than may be promised a latest start, institutions take turns, and their people."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.ids import PersonId, RequestId, Seconds
from scheduler.decide import decide
from scheduler.policy import HOUR
from scheduler.requests import Request, RequestClass
from scheduler.snapshot import Snapshot
from simulator.site import unbounded
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center
from tests.properties.worlds import applied

PROJECTS: Final = ("hust.climate", "uit.nlp", "vmu.vision")
CLASSES: Final = (RequestClass.NORMAL, RequestClass.COURSE)

Asked = tuple[int, str, int, RequestClass]
"""In which project somebody asks, who, how long ago beyond what is long, and as what."""

ASKED: Final = st.tuples(
    st.integers(0, len(PROJECTS) - 1), st.sampled_from("abc"), st.integers(0, 5), st.sampled_from(CLASSES)
)


def waiting(number: int, asked: Asked) -> Request:
    """Return what was overtaken for long and needs the whole node."""
    project, person, ago, request_class = asked
    return a_request(
        number,
        PROJECTS[project],
        person=PersonId(person * 26),
        request_class=request_class,
        submitted=Seconds(NOW - 1000 * HOUR - ago),
        head=cores(4, 8),
        workers_min=0,
        walltime_seconds=HOUR,
    )


def full_center(most: int) -> Snapshot:
    """Return a node that is taken, in a center that promises so many latest starts and protects nobody else's."""
    free = unbounded()
    classes = dict.fromkeys(free.classes, free.classes[RequestClass.NORMAL])
    policy = replace(free, classes=classes, latest_starts=most, reservations=0, minimum_run_seconds=None)
    facts = facts_of_a_center([a_node(capacity=cores(4, 64))], PROJECTS)
    taking = a_request(1000, PROJECTS[0], head=cores(4, 8), workers_min=0, walltime_seconds=24 * HOUR)
    center = a_snapshot([*facts, taking], policy)
    return applied(center, decide(center, NOW), NOW)


def promised(center: Snapshot) -> set[RequestId]:
    return {one.id for one in center.pending() if one.promise is not None}


def decided(center: Snapshot, more: Iterable[Request]) -> Snapshot:
    center = center.with_facts(more)
    return applied(center, decide(center, NOW), NOW)


def takes_turns(
    asked: Sequence[tuple[str, Seconds, RequestId]], having: set[RequestId], before: set[RequestId]
) -> bool:
    """Tell whether nobody got one of those while somebody who has fewer, and wants more, has at least two less."""
    of_all, got = Counter(who for who, _, _ in asked), Counter(who for who, _, one in asked if one in having)
    new = {who for who, _, one in asked if one in having - before}
    wanting = [who for who in of_all if got[who] < of_all[who]]
    return all(got[who] - got[other] <= 1 for who in new for other in wanting)


@settings(max_examples=60)
@given(st.lists(ASKED, max_size=5), st.lists(ASKED, min_size=1, max_size=16), st.integers(1, 8))
def test_nobody_is_promised_one_more_than_others_have_who_still_wait_for_theirs(
    first: list[Asked], then: list[Asked], most: int
) -> None:
    """Some come before, and may have them all; what is promised stays."""
    requests = [waiting(number, one) for number, one in enumerate([*first, *then], start=1)]
    before = decided(full_center(most), requests[: len(first)])
    after = decided(before, requests[len(first) :])
    had, has = promised(before), promised(after)
    assert had <= has
    assert len(has) == min(most, len(requests))
    assert takes_turns([(one.institution, one.submitted, one.id) for one in requests], has, had)
    for institution in {one.institution for one in requests}:
        own = [one for one in requests if one.institution == institution]
        assert takes_turns([(one.person, one.submitted, one.id) for one in own], has, had)
        for person in {one.person for one in own}:
            later = sorted((one for one in own if one.person == person and one.id not in had), key=age)
            assert [one.id in has for one in later] == sorted((one.id in has for one in later), reverse=True)


def age(request: Request) -> tuple[int, str]:
    return request.submitted, request.id


@given(st.integers(1, 8), st.integers(1, 3))
def test_so_many_who_wait_for_long_share_them_evenly(most: int, members: int) -> None:
    """Each has twice as many waiting as there are, one member's all before those of the others."""
    asked = [(member, "a", 5 - member, CLASSES[0]) for member in range(members) for _ in range(2 * most)]
    after = decided(full_center(most), [waiting(number, one) for number, one in enumerate(asked, start=1)])
    got = Counter(after.requests[one].institution for one in promised(after))
    assert sum(got.values()) == most
    assert max(got.values()) <= -(-most // members)


def test_where_all_may_have_one_the_oldest_is_promised_the_first_place() -> None:
    """As if there were no turns: whoever has two is not put behind others that came later."""
    asked = [(0, "a", 5, CLASSES[0]), (0, "a", 4, CLASSES[0]), (1, "b", 3, CLASSES[0])]
    requests = [waiting(number, one) for number, one in enumerate(asked, start=1)]
    after = decided(full_center(3), requests)
    starts = [promise.starts for one in requests if (promise := after.requests[one.id].promise)]
    assert starts == sorted(starts)
    assert len(starts) == 3
