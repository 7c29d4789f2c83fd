"""What nodes and shares grant, as several requests take of it or give it back."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from quotas.tree import Share
from registry.centers import Node
from registry.ids import NodeId, PoolId, ShareId
from registry.resources import NOTHING, Resources, total
from scheduler.clusters import Process
from scheduler.requests import Request
from scheduler.snapshot import Snapshot


class Granting:
    """What changes of the nodes and shares of a snapshot; those that are not there any more grant nothing."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot: Final = snapshot
        self._nodes: Final[dict[NodeId, Node]] = {}
        self._shares: Final[dict[tuple[ShareId, PoolId], Resources]] = {}

    def take(self, request: Request, processes: Iterable[Process]) -> None:
        """Grant processes of a request what they take."""
        self._move(request, tuple(processes), 1)

    def give_back(self, request: Request, processes: Iterable[Process]) -> None:
        """Grant processes of a request nothing any more."""
        self._move(request, tuple(processes), -1)

    def facts(self) -> Iterator[Node | Share]:
        """Yield the nodes and shares that grant something else than before."""
        yield from self._nodes.values()
        for key, amount in self._shares.items():
            share = self._snapshot.shares[key]
            yield replace(share, granted=share.granted + amount)

    def _move(self, request: Request, processes: tuple[Process, ...], sign: int) -> None:
        for process in processes:
            node = self._nodes.get(process.node) or self._snapshot.nodes.get(process.node)
            if node is not None:
                self._nodes[node.id] = replace(node, granted=node.granted + process.shape * sign)
        amount = total(process.shape for process in processes) * sign
        share = self._snapshot.shares.get((ShareId(request.project), request.pool))
        while share is not None:
            self._shares[share.id, share.pool] = self._shares.get((share.id, share.pool), NOTHING) + amount
            share = self._snapshot.shares.get((share.parent, share.pool)) if share.parent else None
