"""The integer vector of what a process needs and a node has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NewType

GpuModel = NewType("GpuModel", str)
ResourceName = NewType("ResourceName", str)
"""`cpu` (milli-cores), `memory` (bytes) or `gpu/MODEL` (whole devices): the key of one number in a vector."""

CPU: Final = ResourceName("cpu")
MEMORY: Final = ResourceName("memory")
_GPU: Final = "gpu/"

MODEL_PATTERN: Final = r"^[a-z0-9](?:-?[a-z0-9]){0,31}$"
MOST_MILLICORES: Final = 10**10
MOST_MEMORY: Final = 2**52
MOST_GPUS: Final = 10**6
"""More than any center has of one resource, and so little that a thousand such amounts still fit in 64 bits."""
MOST_MODELS: Final = 16

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
MILLI: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """An amount of each resource: milli-cores, bytes, and whole GPUs by model.

    `gpus` is sorted by model and never holds a zero, so that equal amounts are equal values.
    A difference may be negative: it then says how much is missing.
    """

    millicores: int = 0
    memory: int = 0
    gpus: tuple[tuple[GpuModel, int], ...] = ()

    @classmethod
    def of(cls, amounts: Iterable[tuple[ResourceName, int]]) -> Resources:
        """Build the vector from its named numbers; what is not named is zero."""
        named = dict(amounts)
        return cls(
            millicores=named.pop(CPU, 0),
            memory=named.pop(MEMORY, 0),
            gpus=tuple(sorted((GpuModel(name.removeprefix(_GPU)), n) for name, n in named.items() if n)),
        )

    def items(self) -> Iterator[tuple[ResourceName, int]]:
        """Yield every number by its name; milli-cores and bytes also where they are zero."""
        yield CPU, self.millicores
        yield MEMORY, self.memory
        for model, count in self.gpus:
            yield ResourceName(_GPU + model), count

    def amount(self, name: ResourceName) -> int:
        """Return one number of the vector, zero if it has none by that name."""
        if name == CPU:
            return self.millicores
        if name == MEMORY:
            return self.memory
        return dict(self.gpus).get(GpuModel(name.removeprefix(_GPU)), 0)

    def __add__(self, other: Resources) -> Resources:
        """Add each number to its counterpart."""
        return Resources(
            millicores=self.millicores + other.millicores,
            memory=self.memory + other.memory,
            gpus=_merged(self.gpus, other.gpus, 1) if self.gpus or other.gpus else (),
        )

    def __sub__(self, other: Resources) -> Resources:
        """Subtract each number from its counterpart; the result may be negative."""
        return Resources(
            millicores=self.millicores - other.millicores,
            memory=self.memory - other.memory,
            gpus=_merged(self.gpus, other.gpus, -1) if self.gpus or other.gpus else (),
        )

    def __mul__(self, count: int) -> Resources:
        """Return `count` times this amount."""
        return Resources(
            millicores=self.millicores * count,
            memory=self.memory * count,
            gpus=tuple((model, n * count) for model, n in self.gpus) if count else (),
        )

    def within(self, limit: Resources) -> bool:
        """Tell whether no number exceeds its counterpart in `limit`."""
        return (
            self.millicores <= limit.millicores
            and self.memory <= limit.memory
            and (not (self.gpus or limit.gpus) or all(n >= 0 for _, n in _merged(limit.gpus, self.gpus, -1)))
        )

    def least(self, other: Resources) -> Resources:
        """Return the smaller of each pair of numbers."""
        if not (self.gpus or other.gpus):
            return Resources(millicores=min(self.millicores, other.millicores), memory=min(self.memory, other.memory))
        return Resources.of((name, min(self.amount(name), other.amount(name))) for name in names(self, other))

    def most(self, other: Resources) -> Resources:
        """Return the larger of each pair of numbers."""
        if not (self.gpus or other.gpus):
            return Resources(millicores=max(self.millicores, other.millicores), memory=max(self.memory, other.memory))
        return Resources.of((name, max(self.amount(name), other.amount(name))) for name in names(self, other))


NOTHING: Final = Resources()


def names(*vectors: Resources) -> tuple[ResourceName, ...]:
    """Return the names that any of the vectors has a number for, sorted."""
    return tuple(sorted({name for vector in vectors for name, _ in vector.items()}))


def total(vectors: Iterable[Resources]) -> Resources:
    """Return the sum of the vectors."""
    result = NOTHING
    for vector in vectors:
        result += vector
    return result


def dominant_ppm(amount: Resources, whole: Resources) -> int:
    """Return the largest fraction of `whole` that `amount` takes, in millionths, rounded up.

    This is the dominant share of Ghodsi et al., "Dominant Resource Fairness" (NSDI 2011). A number that `whole`
    does not have counts as all of it.
    """
    return max(
        (-(-n * 1_000_000 // whole.amount(name)) if whole.amount(name) > 0 else 1_000_000)
        for name, n in amount.items()
        if n > 0 or name == CPU
    )


def _merged(
    left: tuple[tuple[GpuModel, int], ...], right: tuple[tuple[GpuModel, int], ...], sign: int
) -> tuple[tuple[GpuModel, int], ...]:
    counts = dict(left)
    for model, n in right:
        counts[model] = counts.get(model, 0) + sign * n
    return tuple(sorted((model, n) for model, n in counts.items() if n))
