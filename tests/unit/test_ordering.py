"""Sentences about who takes turns before whom."""

from dataclasses import replace

from registry.ids import Seconds
from scheduler.ordering import Standings
from scheduler.policy import DEFAULT_POLICY, HOUR, Order
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center, request_id


def test_the_order_that_fills_up_takes_the_rigid_first_the_wide_earlier_then_the_smallest() -> None:
    asked = [
        a_request(1, workers_min=2, workers_max=4, walltime_seconds=HOUR),
        a_request(2, workers_min=2, workers_max=3, walltime_seconds=HOUR // 2),
        a_request(3, workers_min=1, workers_max=1),
        a_request(4, workers_min=3, workers_max=3),
    ]
    arrived = [replace(one, submitted=Seconds(NOW - (9 - at) * HOUR)) for at, one in enumerate(asked)]
    snapshot = a_snapshot(
        [*facts_of_a_center([a_node(capacity=cores(16, 64))], ["vmu.vision"]), *arrived],
        replace(DEFAULT_POLICY, order=Order.FILL),
    )
    queue = snapshot.arrays.queue
    order = [queue.key(row) for row in Standings(snapshot, NOW).order_of(queue.alive())]
    assert order == [request_id(one) for one in (4, 3, 2, 1)]
