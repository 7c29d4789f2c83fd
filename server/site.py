"""The file that says on which Kubernetes cluster a center's clusters run, and in which images.

kubeconfig = "/etc/haidang/kubeconfig"     # without it, the account of the pod the center runs in
namespace = "haidang"                      # where the center's own pods run: they may reach clusters
kubelet_authority = "/etc/kubelets.pem"    # of kubelets' certificates; without it, the API server's
priority_class = "haidang-cluster"
pull = "IfNotPresent"

[environments.default]                     # what requests name
image = "registry.example/dask@sha256:..."
version = "2026.11"
python = "3.11"
distributed = "2026.8.0"

[devices.a100]                             # one GPU of a model as Kubernetes counts it
resource = "nvidia.com/gpu"
labels = {"nvidia.com/gpu.product" = "NVIDIA-A100-PCIE-40GB"}  # of its nodes, where others have the same resource
"""

import tomllib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FilePath, ValidationError, field_validator

from backends.kube.manifests import Device, Site
from registry.centers import Environment
from registry.ids import SLUG_PATTERN, CenterId, EnvironmentId
from registry.resources import MODEL_PATTERN, GpuModel

Slug = Annotated[str, Field(pattern=SLUG_PATTERN)]
Model = Annotated[str, Field(pattern=MODEL_PATTERN)]
Words = Annotated[str, Field(min_length=1, max_length=500)]


class SiteError(Exception):
    """The file about a cluster cannot be used; the message names the file, and the field that is wrong."""


class ImageSettings(BaseModel):
    """One environment: its image, and what a client has to have in order to work with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Words
    version: Words
    python: Annotated[str, Field(pattern=r"^3\.[0-9]{1,2}$")]
    distributed: Words


class DeviceSettings(BaseModel):
    """One model of GPUs: the extended resource that one of them is, and the labels of the nodes that have them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resource: Words
    labels: Mapping[Words, str] = {}

    def is_apart_from(self, other: "DeviceSettings") -> bool:
        """Tell whether no node can count one device as both: another resource, or another value of one label."""
        shared = self.labels.keys() & other.labels.keys()
        return self.resource != other.resource or any(self.labels[name] != other.labels[name] for name in shared)


class SiteSettings(BaseModel):
    """The whole file; a name that is not in it is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environments: Mapping[Slug, ImageSettings]
    devices: Mapping[Model, DeviceSettings] = {}
    priority_class: Words | None = None
    pull: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    kubeconfig: Path | None = None
    namespace: Words | None = None
    kubelet_authority: FilePath | None = None

    @field_validator("environments")
    @classmethod
    def _there_is_one_for_who_names_none(cls, environments: Mapping[str, ImageSettings]) -> Mapping[str, ImageSettings]:
        if "default" not in environments:
            raise ValueError("none is named default, which requests get that name none")
        return environments

    @field_validator("devices")
    @classmethod
    def _no_device_is_of_two_models(cls, devices: Mapping[str, DeviceSettings]) -> Mapping[str, DeviceSettings]:
        for (one, its), (other, others) in combinations(devices.items(), 2):
            if not its.is_apart_from(others):
                raise ValueError(
                    f"{one} and {other} are both {its.resource}, so a node would offer each device twice;"
                    " give both a label of which their nodes have different values"
                )
        return devices

    @classmethod
    def read(cls, path: Path) -> "SiteSettings":
        """Return what a file says.

        Raises:
            SiteError: it cannot be read, or says something else.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            faults = (
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
                for fault in error.errors()
            )
            raise SiteError(f"{path}: {'; '.join(faults)}") from error
        except (OSError, ValueError) as error:
            raise SiteError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from error

    def site(self, center: CenterId) -> Site:
        """Return what the backend has to know."""
        return Site(
            center=center,
            images={EnvironmentId(name): one.image for name, one in self.environments.items()},
            devices={
                GpuModel(model): Device(resource=one.resource, labels=one.labels) for model, one in self.devices.items()
            },
            priority_class=self.priority_class,
            pull=self.pull,
            namespace=self.namespace,
            kubelet_authority=str(self.kubelet_authority) if self.kubelet_authority else None,
        )

    def records(self) -> tuple[Environment, ...]:
        """Return the environments as the center offers them; where an image lies is nobody's business."""
        return tuple(
            Environment(
                id=EnvironmentId(name), version=one.version, python=one.python, distributed=one.distributed, path=""
            )
            for name, one in self.environments.items()
        )
