"""What the reconciler asks of a backend, one closed union of steps, each safe to repeat."""

from collections.abc import Mapping
from dataclasses import dataclass

from registry.ids import EnvironmentId, InstitutionId, NodeId, ProjectId, RequestId, Seconds
from registry.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProcess:
    """One process to start: its outside name says which slot and incarnation it fills."""

    name: str
    ordinal: int
    incarnation: int
    node: NodeId
    shape: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProcesses:
    """Start processes of one cluster; a name that exists already is left as it is.

    The process with ordinal 0 is the Dask scheduler. Workers find it by the name of its slot, whether it is
    started by the same step or was started before. `last_second` is when the center will have ended them all,
    however much longer than its walltime the cluster is allowed to run.
    """

    request: RequestId
    institution: InstitutionId
    project: ProjectId
    environment: EnvironmentId
    head_name: str
    processes: tuple[NewProcess, ...]
    last_second: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainWorkers:
    """Ask the Dask scheduler to move the data of some workers, to await their tasks and to close them.

    `deadlines` are the seconds until each has to be gone, by name: all that leave a cluster at this moment.
    """

    request: RequestId
    head_name: str
    deadlines: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteProcesses:
    """End processes now; one that has ended already, or never was, is no error."""

    request: RequestId
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearCluster:
    """Remove what is left of a cluster that nobody wants and of which no process is left."""

    request: RequestId


Step = StartProcesses | DrainWorkers | DeleteProcesses | ClearCluster
