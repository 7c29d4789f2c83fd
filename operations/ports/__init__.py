"""The ports that operations need, each a small protocol with one contract suite for all its adapters."""

from dataclasses import dataclass
from typing import Generic

from operations.ports.backend import Authority, ClusterBackend
from operations.ports.outside import Clock, Ids
from operations.ports.store import Store, W_co


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside(Generic[W_co]):
    """What every process of a center has: none of it touches a cluster."""

    store: Store[W_co]
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports(Inside[W_co]):
    """The edges of one center as its loops are given them."""

    backend: ClusterBackend
    authority: Authority
