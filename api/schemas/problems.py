"""The one shape of every error (RFC 9457)."""

from pydantic import ConfigDict, Field

from api.schemas.shape import Open


class ReasonOut(Open):
    """One reason: its code, the field it is about if it is about one, a sentence, and its numbers by their names."""

    model_config = ConfigDict(frozen=True, extra="allow")

    code: str = Field(examples=["share-full"])
    field: str | None = None
    sentence: str


class ProblemOut(Open):
    """Why something was refused. `type` is the code of the first reason, `detail` all their sentences."""

    type: str = Field(examples=["walltime-too-long"])
    title: str
    status: int
    detail: str
    reasons: list[ReasonOut]
