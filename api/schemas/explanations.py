"""Why a request waits, as its owner reads it."""

from pydantic import Field

from api.problems import reason_out
from api.schemas.problems import ReasonOut
from api.schemas.shape import Open
from operations.sentences import Language
from scheduler.explain import Explanation
from scheduler.ordering import Rank
from scheduler.requests import State


class RankOut(Open):
    """Every factor of a request's place in the order; who is overdue goes before everybody who is not."""

    total: float
    class_weight: float
    fair_share: float
    slowdown: float
    overdue: bool

    @classmethod
    def from_rank(cls, rank: Rank) -> "RankOut":
        """Return the factors as they go out."""
        return cls.model_validate(rank, from_attributes=True)


class ExplanationOut(Open):
    """Where a request stands. All but `state` is null or empty unless it waits.

    Without a reason it starts in the next round. `place` counts from 1 among the `pending` ones of its pool,
    `expected` is the second at which its protected start begins at the latest.
    """

    state: State
    place: int | None = Field(default=None, ge=1)
    pending: int | None = Field(default=None, ge=1)
    rank: RankOut | None = None
    reasons: list[ReasonOut] = Field(default_factory=list)
    expected: int | None = None

    @classmethod
    def from_explanation(cls, explanation: Explanation, language: Language) -> "ExplanationOut":
        """Return the explanation of a pending request, its reasons as sentences in a language."""
        return cls(
            state=State.PENDING,
            place=explanation.place,
            pending=explanation.pending,
            rank=RankOut.from_rank(explanation.rank),
            reasons=[reason_out(reason, language) for reason in explanation.reasons],
            expected=explanation.expected,
        )
