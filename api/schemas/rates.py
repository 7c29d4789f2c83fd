"""Rate cards as they are published and shown."""

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.shape import Closed, Moment, Open, Slug
from quotas.rates import LONGEST_MINIMUM_SECONDS, MOST_PER_STEP, RateCard, RateRule, Term
from registry.ids import PoolId, Seconds
from registry.resources import MODEL_PATTERN, MOST_MEMORY, ResourceName

_RESOURCE_PATTERN = rf"^(?:cpu|memory|gpu/{MODEL_PATTERN.removeprefix('^').removesuffix('$')})$"


class TermIn(Closed):
    """What an hour of each begun `step` of a resource costs: milli-cores, bytes, GPUs."""

    resource: Annotated[str, StringConstraints(pattern=_RESOURCE_PATTERN)] = Field(examples=["cpu", "gpu/a100"])
    step: int = Field(ge=1, le=MOST_MEMORY, examples=[1000])
    micro_credits: int = Field(ge=0, le=MOST_PER_STEP, examples=[1_000_000])

    def to_term(self) -> Term:
        """Return the term."""
        return Term(resource=ResourceName(self.resource), step=self.step, micro_credits=self.micro_credits)


class RuleIn(Closed):
    """What a process costs: the sum over groups of the dearest term in each."""

    groups: list[Annotated[list[TermIn], Field(min_length=1, max_length=20)]] = Field(min_length=1, max_length=10)
    minimum_seconds: int = Field(
        default=0, ge=0, le=LONGEST_MINIMUM_SECONDS, description="A process is charged for at least so long."
    )

    def to_rule(self, pool: str) -> RateRule:
        """Return the rule of a pool."""
        groups = tuple(tuple(term.to_term() for term in group) for group in self.groups)
        return RateRule(pool=PoolId(pool), groups=groups, minimum_seconds=self.minimum_seconds)


class RatesIn(Closed):
    """The rates from a moment on, of every pool."""

    since: Moment = Field(description="At least a minute from now.")
    rules: dict[Slug, RuleIn] = Field(description="By pool.", min_length=1, max_length=100)

    def to_card(self) -> RateCard:
        """Return the rate card."""
        rules = tuple(rule.to_rule(pool) for pool, rule in sorted(self.rules.items()))
        return RateCard(since=Seconds(self.since), rules=rules)


class TermOut(Open):
    """What an hour of each begun `step` of a resource costs."""

    resource: str
    step: int
    micro_credits: int


class RuleOut(Open):
    """What a process costs: the sum over groups of the dearest term in each."""

    groups: list[list[TermOut]]
    minimum_seconds: int

    @classmethod
    def from_rule(cls, rule: RateRule) -> "RuleOut":
        """Return a rule as it goes out."""
        groups = [[_term(term) for term in group] for group in rule.groups]
        return cls(groups=groups, minimum_seconds=rule.minimum_seconds)


class RatesOut(Open):
    """The rates from a moment on, by pool."""

    since: int
    rules: dict[str, RuleOut]

    @classmethod
    def from_card(cls, card: RateCard) -> "RatesOut":
        """Return a rate card as it goes out."""
        return cls(since=card.since, rules={rule.pool: RuleOut.from_rule(rule) for rule in card.rules})


class RateCardsOut(Open):
    """Every rate card, by the moment it comes into force."""

    items: list[RatesOut]

    @classmethod
    def from_cards(cls, cards: tuple[RateCard, ...]) -> "RateCardsOut":
        """Return rate cards as they go out."""
        return cls(items=[RatesOut.from_card(card) for card in cards])


def _term(term: Term) -> TermOut:
    return TermOut(resource=term.resource, step=term.step, micro_credits=term.micro_credits)
