"""Whoever is let go on for longer, everybody who was promised a start has it, and what is advised is granted."""

from dataclasses import replace

from hypothesis import event, given
from hypothesis import strategies as st

from registry.ids import MicroCredits, RequestId, Seconds
from scheduler.decide import decide
from scheduler.extension import extension_faults, extra_holds
from scheduler.policy import DEFAULT_POLICY
from scheduler.reasons import ExtensionTooLong
from scheduler.snapshot import Snapshot
from tests.builders import NOW
from tests.properties.worlds import applied, snapshots, started_when

ASKED = st.lists(st.tuples(st.integers(0, 7), st.sampled_from([1, 59, 600, 3540, 3570, 3600, 86_400])), max_size=6)


def extended(snapshot: Snapshot, request: RequestId, seconds: int) -> Snapshot:
    """Return the snapshot as a store would hand it over once an extension is granted."""
    before = snapshot.requests[request]
    assert before.deadline is not None
    assert before.allocation is not None
    after = replace(
        before,
        deadline=Seconds(before.deadline + seconds),
        extended_seconds=before.extended_seconds + seconds,
    )
    holds = extra_holds(snapshot, request, seconds, NOW)
    total = sum(more for _, more in holds)
    allocation = snapshot.allocations[before.allocation]
    left = replace(
        allocation,
        available=MicroCredits(allocation.available - total),
        held=MicroCredits(allocation.held + total),
    )
    assert left.available >= 0
    return snapshot.with_facts(
        [after, left, *(replace(slot, hold=MicroCredits(slot.hold + more)) for slot, more in holds)]
    )


@given(snapshots(replace(DEFAULT_POLICY, reservations=3)), ASKED)
def test_an_extension_delays_nobody_who_was_promised_a_start(snapshot: Snapshot, asked: list[tuple[int, int]]) -> None:
    running = applied(snapshot, decide(snapshot, NOW), NOW)
    promised = {request.id: request.promise.starts for request in running.pending() if request.promise}
    for which, seconds in asked:
        clusters = running.clusters()
        if not clusters:
            return
        request = clusters[which % len(clusters)].request.id
        faults = extension_faults(running, request, seconds, NOW)
        granted = seconds
        if faults:
            assert isinstance(faults[0], ExtensionTooLong)
            assert faults[1:], "what is in the way is said"
            assert 0 <= faults[0].longest < seconds
            granted = faults[0].longest
            event("told a shorter one" if granted else "told none")
        if granted:
            assert extension_faults(running, request, granted, NOW) == (), "what is advised is granted"
            running = extended(running, request, granted)
    started = started_when(running, NOW)
    for request, latest in promised.items():
        assert started[request] <= latest
