"""The store in memory, for simulation and for whoever needs no disk: the loops' part of the work, nothing else."""

from store.memory.transactions import MemoryStore

__all__ = ["MemoryStore"]
