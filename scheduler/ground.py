"""The nodes of one pool as rows of numbers: what is free on each, and which of them take work."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from registry.axes import PLENTY, Axes, Bools, Ints
from registry.centers import Node, NodeState
from registry.ids import NodeId
from scheduler.fitting import Packing


class Ground:
    """The nodes of one pool, by id, and what is free on each: a row of nothing where one takes no new work."""

    def __init__(self, nodes: Iterable[Node], axes: Axes) -> None:
        self.nodes = {node.id: node for node in sorted(nodes, key=lambda node: node.id)}
        self.ids = tuple(self.nodes)
        self.row_of = {node: row for row, node in enumerate(self.ids)}
        rows = [_free(node, axes) for node in self.nodes.values()]
        self.free: Ints = np.array(rows, dtype=np.int64).reshape(-1, axes.width)
        whole = [axes.row(node.capacity, _places(node)) for node in self.nodes.values()]
        self.capacity: Ints = np.array(whole, dtype=np.int64).reshape(-1, axes.width)
        self.ready: Bools = np.array([_is_ready(node) for node in self.nodes.values()], dtype=bool)
        self.emptied: Bools = np.array([_is_emptied(node) for node in self.nodes.values()], dtype=bool)
        self.all_ready = bool(self.ready.all())
        self.any_emptied = bool(self.emptied.any())

    def with_nodes(self, changed: Iterable[Node], axes: Axes) -> Ground:
        """Return the ground with some nodes in place of what they were; new ones make it anew."""
        news = {node.id: node for node in changed}
        if not news.keys() <= self.nodes.keys():
            return Ground((self.nodes | news).values(), axes)
        after = Ground.__new__(Ground)
        after.nodes, after.ids, after.row_of = self.nodes | news, self.ids, self.row_of
        after.free, after.capacity = self.free.copy(), self.capacity
        after.ready, after.emptied = self.ready, self.emptied
        after.all_ready, after.any_emptied = self.all_ready, self.any_emptied
        for node in news.values():
            after.free[self.row_of[node.id]] = _free(node, axes)
        others = [node for node in news.values() if _differs_in_more(self.nodes[node.id], node)]
        if others:
            after.adopt(others, axes)
        return after

    def adopt(self, news: Iterable[Node], axes: Axes) -> None:
        """Take over from nodes what is more than grants, in columns of its own."""
        self.ready, self.emptied = self.ready.copy(), self.emptied.copy()
        self.capacity = self.capacity.copy()
        for node in news:
            self.capacity[self.row_of[node.id]] = axes.row(node.capacity, _places(node))
            self.ready[self.row_of[node.id]] = _is_ready(node)
            self.emptied[self.row_of[node.id]] = _is_emptied(node)
        self.all_ready, self.any_emptied = bool(self.ready.all()), bool(self.emptied.any())

    def named(self, packing: Packing) -> tuple[NodeId, tuple[tuple[NodeId, int], ...]]:
        """Return the node of a packing's head, and of how many workers, by their ids."""
        return self.ids[packing.head], tuple((self.ids[row], count) for row, count in packing.workers)

    def without(self, left: Collection[NodeId], axes: Axes) -> Ground:
        """Return the ground without nodes that are in another pool now."""
        return Ground((node for node in self.nodes.values() if node.id not in left), axes)


def _places(node: Node) -> int:
    return PLENTY if node.places is None else node.places


def _is_ready(node: Node) -> bool:
    return node.state is NodeState.READY


def _is_emptied(node: Node) -> bool:
    return node.state is NodeState.DRAINING


def _free(node: Node, axes: Axes) -> tuple[int, ...]:
    if not _is_ready(node):
        return (0,) * axes.width
    return axes.row(node.free, _places(node))


def _differs_in_more(before: Node, after: Node) -> bool:
    """Tell whether a node differs in more than in what is granted of it."""
    return (before.capacity, before.places, before.state) != (after.capacity, after.places, after.state)
