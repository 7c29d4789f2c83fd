"""Ask a Haidang center for compute, from a notebook or the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haidang.client import Client as Client
    from haidang.clusters import Cluster as Cluster
    from haidang.errors import HaidangError as HaidangError
else:
    _HOMES = {"Client": "haidang.client", "Cluster": "haidang.clusters", "HaidangError": "haidang.errors"}

    def __getattr__(name: str) -> object:
        """Import what is asked for and nothing else: processes inside an environment pass here and need nothing."""
        from importlib import import_module  # noqa: PLC0415 - as said above

        if name not in _HOMES:
            raise AttributeError(f"module 'haidang' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


__all__ = ("Client", "Cluster", "HaidangError")
