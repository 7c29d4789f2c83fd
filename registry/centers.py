"""Data centers, their pools of nodes of one kind, the nodes, and the software environments they offer."""

from dataclasses import dataclass
from enum import StrEnum

from registry.ids import CenterId, EnvironmentId, NodeId, PoolId, Seconds
from registry.resources import NOTHING, Resources


class Tier(StrEnum):
    """Where a pool stands between the supercomputer and the edge of the network."""

    HPC = "hpc"
    CLOUD = "cloud"
    FOG = "fog"


class NodeState(StrEnum):
    """Whether a node takes new work; only a ready one counts as capacity.

    What runs on a pressed one stays: the machine is short of something that may be anybody's doing, and passes.
    Workers leave one that is draining.
    """

    READY = "ready"
    PRESSED = "pressed"
    DRAINING = "draining"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Center:
    """One data center. One that is `closed` keeps its books and makes no places for tenants; a start opens it again."""

    id: CenterId
    name: str
    closed: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Nodes of one kind at one center."""

    id: PoolId
    center: CenterId
    tier: Tier
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine: what it has and what of it is granted to processes, and how many of those may be there at once."""

    id: NodeId
    pool: PoolId
    capacity: Resources
    granted: Resources = NOTHING
    state: NodeState = NodeState.READY
    places: int | None = None

    @property
    def free(self) -> Resources:
        """What new processes may take; nothing unless the node is ready."""
        return self.capacity - self.granted if self.state is NodeState.READY else NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A locked set of packages that processes run in: a client must have the same Python minor and distributed."""

    id: EnvironmentId
    version: str
    python: str
    distributed: str
    path: str
