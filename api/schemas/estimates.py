"""When a request probably starts, as it was said when it first had to wait or is said before it is asked for."""

from pydantic import Field

from api.problems import reason_out
from api.schemas.problems import ReasonOut
from api.schemas.shape import Open
from operations.sentences import Language
from scheduler.estimates import Estimate, Span
from scheduler.prospects import Prospect


class IntervalOut(Open):
    """The first and the last second of an interval."""

    earliest: int
    latest: int

    @classmethod
    def from_span(cls, span: Span) -> "IntervalOut":
        """Return the interval as it goes out."""
        return cls(earliest=span.earliest, latest=span.latest)


class StartOut(Open):
    """When something starts, as it was foreseen at `issued`: within each interval in so many of 100 cases."""

    issued: int
    percent_50: IntervalOut
    percent_90: IntervalOut

    @classmethod
    def from_estimate(cls, estimate: Estimate) -> "StartOut":
        """Return what was said of a request as it goes out."""
        return cls.from_spans(estimate.issued, estimate.half, estimate.most)

    @classmethod
    def from_spans(cls, issued: int, half: Span, most: Span) -> "StartOut":
        """Return the two intervals as they go out."""
        return cls(issued=issued, percent_50=IntervalOut.from_span(half), percent_90=IntervalOut.from_span(most))


class EstimateOut(Open):
    """What would become of a request if it were submitted now; nothing of it is kept.

    Without a reason it would start in the next round. `start` is null while something else than nodes would stop it,
    `micro_credits` is what would be held of its project's credit, null while its pool has no rate. `place` counts from
    1 among the `pending` ones of its pool.
    """

    start: StartOut | None
    micro_credits: int | None
    place: int = Field(ge=1)
    pending: int = Field(ge=1)
    reasons: list[ReasonOut]

    @classmethod
    def from_prospect(cls, found: Prospect, language: Language) -> "EstimateOut":
        """Return what would become of it, its reasons as sentences in a language."""
        start = None
        if found.half is not None and found.most is not None:
            start = StartOut.from_spans(found.asked, found.half, found.most)
        return cls(
            start=start,
            micro_credits=found.hold,
            place=found.place,
            pending=found.pending,
            reasons=[reason_out(reason, language) for reason in found.reasons],
        )
