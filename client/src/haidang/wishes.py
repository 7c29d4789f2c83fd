"""What somebody wants of a center, and the body of the call that asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from haidang.amounts import (
    Bytes,
    Cores,
    Walltime,
    Workers,
    read_bytes,
    read_millicores,
    read_seconds,
    read_workers,
)
from haidang.errors import ArgumentError
from haidang.words import Words


class Wishes(TypedDict, total=False):
    """The arguments of `submit` that describe a cluster."""

    workers: Workers
    cores: Cores
    memory: Bytes
    gpus: Mapping[str, int] | None
    walltime: Walltime | None
    idle: Walltime | None
    head: tuple[Cores, Bytes] | None
    request_class: str | None
    environment: str | None
    booking: str | None
    parallel_fraction: int | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A cluster as somebody describes it. What is None is left to the center."""

    workers: Workers = (1, 4)
    cores: Cores = 1
    memory: Bytes = "2GiB"
    gpus: Mapping[str, int] | None = None
    walltime: Walltime | None = "1h"
    idle: Walltime | None = None
    head: tuple[Cores, Bytes] | None = None
    request_class: str | None = None
    environment: str | None = None
    booking: str | None = None
    parallel_fraction: int | None = None
    name: str = ""

    def body(self, project: str, pool: str, words: Words) -> dict[str, object]:
        """Return the body of `POST /v1/requests`.

        Raises:
            ArgumentError: an amount cannot be read; its name is that of the argument.
        """
        least, most = read_workers(self.workers, "workers", words)
        asked: dict[str, object] = {
            "name": self.name,
            "project": project,
            "pool": pool,
            "workers": {"min": least, "max": most},
            "worker": _shape(self.cores, self.memory, "cores", "memory", words) | _devices(self.gpus, words),
        }
        if self.walltime is not None:
            asked["walltime_seconds"] = read_seconds(self.walltime, "walltime", words)
        if self.idle is not None:
            asked["idle_seconds"] = read_seconds(self.idle, "idle", words)
        if self.head is not None:
            cores, memory = self.head
            asked["head"] = _shape(cores, memory, "head", "head", words)
        if self.request_class is not None:
            asked["class"] = self.request_class
        if self.environment is not None:
            asked["environment"] = self.environment
        if self.booking is not None:
            asked["booking"] = self.booking
        if self.parallel_fraction is not None:
            asked["parallel_fraction"] = self.parallel_fraction
        return asked


def _shape(cores: Cores, memory: Bytes, cores_argument: str, memory_argument: str, words: Words) -> dict[str, object]:
    return {
        "millicores": read_millicores(cores, cores_argument, words),
        "memory": read_bytes(memory, memory_argument, words),
    }


def _devices(gpus: Mapping[str, int] | None, words: Words) -> dict[str, object]:
    """Return the part of a shape that asks for GPUs; nothing if none are wanted, so that no center has to know them."""
    if not gpus:
        return {}
    if not all(type(count) is int and count > 0 for count in gpus.values()):
        raise ArgumentError("gpus", words("bad_gpus", argument="gpus", value=dict(gpus)))
    return {"gpus": dict(gpus)}
