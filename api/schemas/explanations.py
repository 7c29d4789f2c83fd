"""Why a request waits, as its owner reads it."""

from pydantic import ConfigDict, Field

from api.problems import reason_out
from api.schemas.amounts import AmountsOut
from api.schemas.problems import ReasonOut
from api.schemas.shape import Open
from operations.sentences import Language, advice_sentence, values
from registry.resources import Resources
from scheduler.advice import Advice
from scheduler.explain import Explanation
from scheduler.ordering import Rank
from scheduler.overtaking import Overtakable
from scheduler.requests import State


class RankOut(Open):
    """Every factor of a request's place in the order: the larger total goes first."""

    total: float
    class_weight: float
    fair_share: float
    owned: float
    length: float
    size: float

    @classmethod
    def from_rank(cls, rank: Rank) -> "RankOut":
        """Return the factors as they go out."""
        return cls.model_validate(rank, from_attributes=True)


class BorrowedOut(Open):
    """What an institution holds of a pool beyond what it owns there."""

    institution: str
    amount: AmountsOut


class OvertakableOut(Open):
    """Until when those that came later may go before a request.

    From `promised_from` on it is promised a latest start, about `until`. That `is_due` once the moment is over: it gets
    one when nothing but nodes stops it and one of those that its pool may have is free.
    """

    until: int
    promised_from: int
    is_due: bool

    @classmethod
    def from_overtakable(cls, overtakable: Overtakable) -> "OvertakableOut":
        """Return the two moments as they go out."""
        return cls.model_validate(overtakable, from_attributes=True)


class ExplanationOut(Open):
    """Where a request stands. All but `state` is null or empty unless it waits.

    Without a reason it starts in the next round. `place` counts from 1 among the `pending` ones of its pool,
    `expected` is the second at which its protected start begins at the latest; where it has none, `overtakable` is for
    how long others may go before it, null while it is held or where the center's policy goes by another order than its
    score. `borrowed` is what other institutions hold of its pool beyond what they own.
    """

    state: State
    place: int | None = Field(default=None, ge=1)
    pending: int | None = Field(default=None, ge=1)
    rank: RankOut | None = None
    reasons: list[ReasonOut] = Field(default_factory=list)
    expected: int | None = None
    overtakable: OvertakableOut | None = None
    borrowed: list[BorrowedOut] = Field(default_factory=list)

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
            overtakable=OvertakableOut.from_overtakable(explanation.overtakable) if explanation.overtakable else None,
            borrowed=[
                BorrowedOut(institution=one.institution, amount=AmountsOut.from_resources(one.amount))
                for one in explanation.borrowed
            ],
        )


class AdviceOut(Open):
    """A change that alone would start the request: its code, a sentence, and its numbers by their names."""

    model_config = ConfigDict(frozen=True, extra="allow")

    code: str = Field(examples=["fewer-workers"])
    sentence: str

    @classmethod
    def from_advice(cls, advice: Advice, language: Language) -> "AdviceOut":
        """Return advice as it goes out."""
        numbers = {
            name: AmountsOut.from_resources(value) if isinstance(value, Resources) else value
            for name, value in values(advice).items()
        }
        return cls(code=advice.code, sentence=advice_sentence(advice, language), **numbers)


class AdvicesOut(Open):
    """The smallest change of each kind that would start a request now, each tried; none where no single one would."""

    items: list[AdviceOut]
