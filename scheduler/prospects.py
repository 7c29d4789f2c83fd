"""What would become of a request that nobody has submitted: when it would start, what it would hold, what stops it."""

from dataclasses import dataclass, replace

from quotas.rates import price_of_all
from registry.ids import MicroCredits, Seconds
from scheduler.estimates import Span
from scheduler.explain import explain
from scheduler.foreseeing import foresee, waits_for_nodes
from scheduler.ordering import Standings
from scheduler.plan import WaitReason
from scheduler.requests import Draft
from scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What would become of a draft that were submitted at `asked`.

    It would start within `half` in 50 of 100 cases and within `most` in 90; at once if nothing stops it, and nobody
    can say when while something else than nodes does. `hold` is what would be held of its project's credit for its
    gang and its walltime, None while its pool has no rate. `place` counts from 1 among the `pending` of its pool.
    """

    asked: Seconds
    half: Span | None
    most: Span | None
    hold: MicroCredits | None
    place: int
    pending: int
    reasons: tuple[WaitReason, ...]


def prospect(snapshot: Snapshot, draft: Draft, now: Seconds) -> Prospect:
    """Decide for everybody as if a draft had just been submitted, and return what becomes of it. Nothing stays."""
    after = replace(snapshot, arrays=snapshot.arrays.apart()).with_facts((draft.accepted(now),))
    explanation = explain(after, draft.id, now)
    assert explanation is not None, draft
    half, most = _spans(after, draft, explanation.reasons, now)
    return Prospect(
        asked=now,
        half=half,
        most=most,
        hold=_hold(snapshot, draft, now),
        place=explanation.place,
        pending=explanation.pending,
        reasons=explanation.reasons,
    )


def _spans(
    snapshot: Snapshot, draft: Draft, reasons: tuple[WaitReason, ...], now: Seconds
) -> tuple[Span, Span] | tuple[None, None]:
    if not reasons:
        at_once = Span(earliest=now, latest=now)
        return at_once, at_once
    if not waits_for_nodes(reason.code for reason in reasons):
        return None, None
    estimate = foresee(snapshot, (draft.id,), Standings(snapshot, now))[draft.id]
    return estimate.half, estimate.most


def _hold(snapshot: Snapshot, draft: Draft, now: Seconds) -> MicroCredits | None:
    rule, percent = snapshot.rule(draft.pool, now), snapshot.policy.classes[draft.request_class].price_percent
    return None if rule is None else price_of_all(rule, draft.gang(), draft.walltime_seconds, percent=percent)
