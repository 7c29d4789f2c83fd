"""The ports that operations need, each a small protocol with one contract suite for all its adapters."""

from dataclasses import dataclass
from typing import Generic

from operations.ports.backend import Authority, ClusterBackend
from operations.ports.outside import Clock, Ids
from operations.ports.store import Store, W_co


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports(Generic[W_co]):
    """The edges of one center as loops and routes are given them."""

    store: Store[W_co]
    backend: ClusterBackend
    authority: Authority
    clock: Clock
    ids: Ids
