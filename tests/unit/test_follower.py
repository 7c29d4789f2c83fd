"""Several read one follower: whoever only looks takes nothing from who decides."""

from operations.clusters import free_unseen
from operations.cycle import run_cycle
from operations.requests import cancel, submit
from registry.ids import RequestId, Seconds
from scheduler.policy import DEFAULT_POLICY, HOUR
from tests.builders import a_draft, cores, request_id
from tests.seeding import award
from tests.unit.test_metering import PROJECT, SmallCenter


def test_room_that_was_made_before_somebody_looked_is_still_news_to_the_next_cycle() -> None:
    """A promise moves earlier only where room was made since the last cycle."""
    center = SmallCenter()
    award(center.store, PROJECT)
    for number in (1, 2):
        draft = a_draft(number, PROJECT, worker=cores(7, 32))
        long_ago = Seconds(center.clock.now() - 18 * HOUR)
        center.store.transact(submit, draft, None, DEFAULT_POLICY, now=long_ago)
    assert run_cycle(center.ports, center.follower).placed == (request_id(1),)
    end(center, request_id(1))
    center.follower.look()
    assert not center.follower.look().snapshot.clusters()
    other = a_draft(3, PROJECT)
    center.store.transact(submit, other, None, DEFAULT_POLICY, now=center.clock.now())
    center.follower.look()
    assert request_id(2) in run_cycle(center.ports, center.follower).placed


def end(center: SmallCenter, request: RequestId) -> None:
    """End a cluster before any of its processes was seen."""
    center.store.transact(cancel, request, now=center.clock.now())
    names = frozenset(slot.name for slot in center.store.read(lambda work: work.clusters.slots(request)))
    center.store.transact(free_unseen, request, names, now=center.clock.now())
