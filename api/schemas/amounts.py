"""Amounts of resources in JSON: integers only, milli-cores, bytes and whole GPUs by model."""

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.shape import Closed, Open
from registry.resources import (
    MODEL_PATTERN,
    MOST_GPUS,
    MOST_MEMORY,
    MOST_MILLICORES,
    MOST_MODELS,
    GpuModel,
    Resources,
)
from scheduler.requests import SMALLEST_PROCESS

Model = Annotated[str, StringConstraints(pattern=MODEL_PATTERN)]
Devices = Annotated[
    dict[Model, Annotated[int, Field(ge=1, le=MOST_GPUS)]],
    Field(max_length=MOST_MODELS, description="Whole GPUs by model.", examples=[{"a100": 1}]),
]


class AmountsIn(Closed):
    """An amount of each resource, of a quota or a node; what is left out is zero."""

    millicores: int = Field(default=0, ge=0, le=MOST_MILLICORES, description="Thousandths of a core.")
    memory: int = Field(default=0, ge=0, le=MOST_MEMORY, description="Bytes.")
    gpus: Devices = Field(default_factory=dict)

    def to_resources(self) -> Resources:
        """Return the vector."""
        return _vector(self.millicores, self.memory, self.gpus)


class ShapeIn(Closed):
    """What one process needs."""

    millicores: int = Field(
        ge=SMALLEST_PROCESS.millicores, le=MOST_MILLICORES, description="Thousandths of a core.", examples=[1000]
    )
    memory: int = Field(ge=SMALLEST_PROCESS.memory, le=MOST_MEMORY, description="Bytes.", examples=[2147483648])
    gpus: Devices = Field(default_factory=dict)

    def to_resources(self) -> Resources:
        """Return the vector."""
        return _vector(self.millicores, self.memory, self.gpus)


class AmountsOut(Open):
    """An amount of each resource: milli-cores, bytes and whole GPUs by model. A difference may be negative."""

    millicores: int
    memory: int
    gpus: dict[str, int]

    @classmethod
    def from_resources(cls, amount: Resources) -> "AmountsOut":
        """Return the vector as it goes out."""
        return cls(millicores=amount.millicores, memory=amount.memory, gpus=dict(amount.gpus))


def _vector(millicores: int, memory: int, gpus: dict[str, int]) -> Resources:
    named = tuple(sorted((GpuModel(model), count) for model, count in gpus.items()))
    return Resources(millicores=millicores, memory=memory, gpus=named)
