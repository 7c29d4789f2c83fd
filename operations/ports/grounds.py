"""The port to what a cluster of machines has beside processes: its nodes, and the walls between its tenants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from registry.centers import NodeState, Tier
from registry.ids import InstitutionId, NodeId, PoolId
from registry.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A node as the cluster knows it: `capacity` is what is left there for tenants, beside what others hold.

    `places` are how many processes of tenants may be there at once.
    """

    id: NodeId
    pool: PoolId
    tier: Tier
    capacity: Resources
    state: NodeState
    places: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An institution, and the most that its processes may hold at once over all pools."""

    institution: InstitutionId
    ceiling: Resources


class Grounds(Protocol):
    """A cluster that keeps its own list of machines, and a place apart for each tenant."""

    def machines(self) -> tuple[Machine, ...]:
        """Return the machines that there are.

        Raises:
            BackendUnavailableError: nothing can be said.
        """
        ...

    def keep(self, tenants: Sequence[Tenant]) -> None:
        """Make every tenant's place what it has to be; what agrees already is left alone.

        Raises:
            BackendUnavailableError: one at least could not be made so.
        """
        ...
