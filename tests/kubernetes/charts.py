"""The chart as its users meet it: rendered, checked and installed by helm, and the account that it gives the center."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from kubernetes.client import ApiClient, Configuration

from tests.house import ROOT
from tests.kubernetes.control_plane import ControlPlane, environment
from tests.kubernetes.wire import Json

CHART: Final = ROOT / "helm" / "haidang"
RELEASE: Final = "center"
NAMESPACE: Final = "haidang-system"
CASES: Final = ("trial", "minimal", "production")


class RefusedByHelmError(Exception):
    """What helm says when it does not do something."""


def values_of(case: str) -> str:
    return f"--values={CHART / 'ci' / f'{case}-values.yaml'}"


def helm(*arguments: str, plane: ControlPlane | None = None, folder: Path | None = None) -> str:
    """Return what helm prints; it knows a cluster only where a plane is given."""
    home = folder or (plane.folder if plane else Path("/nonexistent"))
    where = [f"--kubeconfig={plane.admin}"] if plane else []
    done = subprocess.run(
        ["helm", *arguments, *where], env=environment(home), capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise RefusedByHelmError(done.stderr)
    return done.stdout


def rendered(case: str, *settings: str) -> str:
    return helm("template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", values_of(case), *settings)


def objects(text: str) -> list[Json]:
    return [one for one in yaml.safe_load_all(text) if one]


@contextmanager
def installed(plane: ControlPlane, values: Mapping[str, Any], *options: str) -> Iterator[None]:
    """Install the chart with these values, and take it away without its hooks."""
    file = plane.folder / "values.json"
    file.write_text(json.dumps(values))
    arguments = (str(CHART), f"--namespace={NAMESPACE}", "--create-namespace", f"--values={file}")
    helm("install", RELEASE, *arguments, *options, plane=plane)
    try:
        yield
    finally:
        helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--no-hooks", "--wait", plane=plane)
        plane.kubectl("delete", "namespace", NAMESPACE, "--wait=true")


def account(plane: ControlPlane, name: str = f"{RELEASE}-controller") -> ApiClient:
    """Return a client of an account of the center's, to be closed by whoever asks for it."""
    token = plane.kubectl("create", "token", name, f"--namespace={NAMESPACE}", "--duration=3h").strip()
    configuration = Configuration(host=plane.url)
    configuration.ssl_ca_cert = str(plane.authority.certificate)
    configuration.api_key = {"authorization": token}
    configuration.api_key_prefix = {"authorization": "Bearer"}
    configuration.proxy = None
    configuration.connection_pool_maxsize = 32
    return ApiClient(configuration)
