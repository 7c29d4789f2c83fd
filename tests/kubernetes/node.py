"""A real node beside the control plane: containerd, kubelet, kube-proxy and a name server, which run our images.

It runs where `run.sh` runs a command: the processes of pods end with that, and what the node writes below /var goes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.kubernetes import images
from tests.kubernetes.control_plane import ADDRESS, URL, ControlPlane, Program, environment
from tests.kubernetes.images import Image
from tests.kubernetes.wire import RefusedError
from tests.ordered import until

NAME: Final = "node-1"
PODS: Final = "10.120.0.0/16"
"""Beside the addresses of Services, and of simulated nodes and pods; each node has a part of them."""
CNI: Final = next((folder for folder in ("/usr/lib/cni", "/opt/cni/bin") if Path(folder).is_dir()), "")
CGROUPS: Final = Path("/sys/fs/cgroup")
MEMORY: Final = Path("/run")
"""Below this containerd keeps images and what containers write: no disk has to take in, and to give up again, a GiB."""
SHIM: Final = "containerd-shim-runc-v2"
PROGRAMS: Final = ("containerd", SHIM, "ctr", "coredns", "kube-proxy", "kubelet", "runc", "nft")

END_SECONDS: Final = 30.0


class Node:
    """A node as a test meets it: everything of it lies in one folder, which is empty before.

    The first one serves names and addresses of Services to all: they share a network.
    """

    def __init__(self, plane: ControlPlane, folder: Path, labels: Mapping[str, str], number: int = 1) -> None:
        self.name = f"node-{number}"
        self._plane = plane
        self._folder = folder
        # By this name `run.sh` finds it, too, when nobody here is left to put it away.
        self._cgroup = f"{os.environ['HAIDANG_KUBE']}/{self.name}"
        self._memory = MEMORY / f"haidang-images-{number}"
        self._door = folder / "containerd.sock"
        self._containerd = Program(_containerd(folder, self._door, self._memory, number), folder)
        self._kubelet = Program(_kubelet(plane, folder, self._cgroup, labels, number), folder)
        self._helpers: list[Program] = []
        if number == 1:
            self._helpers += [Program(_coredns(plane, folder), folder), Program(_kube_proxy(plane, folder), folder)]

    def start(self) -> None:
        """Start everything, and return when pods would run."""
        for group in self._cgroups():
            group.mkdir(parents=True, exist_ok=True)
        self._containerd.start()
        self._containerd.until(lambda: self._ctr("version"))
        for image in (images.BASE, images.DASK):
            self.load(image)
        for program in (*self._helpers, self._kubelet):
            program.start()
        self._kubelet.until(self._look)

    def load(self, image: Image) -> None:
        """Let pods have an image."""
        self._ctr("images", "import", "--local", str(image.archive))

    def stop(self) -> None:
        """End everything, pods with it; the logs stay."""
        for program in (self._kubelet, *self._helpers):
            program.stop()
        self._end_pods()
        self._containerd.stop()
        for mounted in reversed(_mounts(self._folder)):
            subprocess.run(["umount", mounted], check=True)
        for part in (self._memory, self._folder / "kubelet"):
            shutil.rmtree(part, ignore_errors=True)
        for group in self._cgroups():
            for folder in sorted((one for one in group.rglob("*") if one.is_dir()), reverse=True):
                folder.rmdir()
            group.rmdir()
        with suppress(RefusedError):
            self._plane.wire.delete(f"/api/v1/nodes/{self.name}")

    def _look(self) -> None:
        conditions = self._plane.wire.get(f"/api/v1/nodes/{self.name}")["status"].get("conditions", [])
        if ("Ready", "True") not in [(one["type"], one["status"]) for one in conditions]:
            raise RefusedError(503, f"{self.name} is not ready")

    def _end_pods(self) -> None:
        """Kill what runs in containers, and wait until each pod's keeper has noticed."""
        for group in self._cgroups():
            for listed in group.rglob("cgroup.procs"):
                for process in listed.read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
        until(lambda: not list(_shims(self._door)), seconds=END_SECONDS)

    def _cgroups(self) -> list[Path]:
        """Return the group of all pods: one folder, or with the first version of control groups one of each kind."""
        is_one = (CGROUPS / "cgroup.controllers").exists()
        roots = {CGROUPS} if is_one else {procs.parent.resolve() for procs in CGROUPS.glob("*/cgroup.procs")}
        return [root / self._cgroup for root in roots]

    def _ctr(self, *arguments: str) -> None:
        done = subprocess.run(
            ["ctr", "--address", self._door, "--namespace", "k8s.io", *arguments],
            env=environment(self._folder),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OSError(done.stderr)


@contextmanager
def real_node(plane: ControlPlane, folder: Path, labels: Mapping[str, str], number: int = 1) -> Iterator[Node]:
    """Run a node with these labels and with everything of it in an empty folder; a second one has another number."""
    node = Node(plane, folder, labels, number)
    try:
        node.start()
        yield node
    finally:
        node.stop()


def missing() -> str:
    """Return what a node lacks here, or nothing."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"no {', '.join(lacking)}" if lacking else images.missing()


def _mounts(folder: Path) -> list[str]:
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [path for path in mounted if Path(path).is_relative_to(folder)]


def _shims(door: Path) -> Iterator[str]:
    """Find the keepers of a containerd's pods, which are nobody's children."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_text()
            if SHIM in command and str(door) in command:
                yield process.name


def _written(folder: Path, name: str, settings: object) -> Path:
    """Write settings as JSON, which is YAML, too."""
    path = folder / name
    path.write_text(json.dumps(settings, indent=1))
    return path


def _containerd(folder: Path, door: Path, memory: Path, number: int) -> list[str]:
    cni = folder / "cni"
    cni.mkdir()
    ranges = [[{"subnet": f"10.120.{number}.0/24"}]]
    ipam = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}], "dataDir": str(folder / "leases")}
    bridge = {"type": "bridge", "bridge": f"pods{number}", "isGateway": True, "hairpinMode": True, "ipam": ipam}
    _written(cni, "pods.conflist", {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]})
    settings = folder / "containerd.toml"
    settings.write_text(f"""\
version = 3
root = "{memory}/root"
state = "{folder}/containerd/state"
[grpc]
address = "{door}"
[ttrpc]
address = "{door}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "{memory}/opt"
[plugins."io.containerd.nri.v1.nri"]
disable = true
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{images.BASE.reference}"
[plugins."io.containerd.cri.v1.runtime"]
netns_mounts_under_state_dir = true
restrict_oom_score_adj = true # root of a virtual machine may not lower any
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{CNI}"]
conf_dir = "{cni}"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
""")
    return ["containerd", f"--config={settings}"]


def _kubelet(plane: ControlPlane, folder: Path, cgroup: str, labels: Mapping[str, str], number: int) -> list[str]:
    authority, name = plane.authority, f"node-{number}"
    user, file = f"system:node:{name}", f"kubelet-{number}"
    serving = authority.leaf(f"{file}-serving", user, organization="system:nodes", hosts=[name, ADDRESS])
    calling = authority.leaf(file, user, organization="system:nodes")
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "port": 10240 + 10 * number,
        "healthzPort": 10248 + 10 * (number - 1),
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(authority.certificate)}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "containerRuntimeEndpoint": f"unix://{folder / 'containerd.sock'}",
        "podLogsDir": str(folder / "logs"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [ADDRESS],
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "nodeLeaseDurationSeconds": 6,  # renewed each quarter of that: the control plane's patience is short
        "volumeStatsAggPeriod": "2s",  # how soon it sees that a volume is full
        "maxOpenFiles": 20000,  # as many as containers here may have at all
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
    }
    return [
        "kubelet",
        f"--config={_written(folder, 'kubelet.yaml', settings)}",
        f"--kubeconfig={authority.kubeconfig(file, URL, calling)}",
        f"--hostname-override={name}",
        f"--node-ip={ADDRESS}",
        f"--root-dir={folder / 'kubelet'}",
        f"--cert-dir={folder / 'kubelet' / 'pki'}",
        f"--node-labels={','.join(f'{name}={value}' for name, value in labels.items())}",
    ]


def _kube_proxy(plane: ControlPlane, folder: Path) -> list[str]:
    calling = plane.authority.leaf("kube-proxy", "system:kube-proxy")
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": ADDRESS,
        "clusterCIDR": PODS,
        "hostnameOverride": NAME,
        "clientConnection": {"kubeconfig": str(plane.authority.kubeconfig("kube-proxy", URL, calling))},
        "conntrack": {"maxPerCore": 0},  # a setting of the whole machine
    }
    return ["kube-proxy", f"--config={_written(folder, 'kube-proxy.yaml', settings)}"]


def _coredns(plane: ControlPlane, folder: Path) -> list[str]:
    settings = folder / "Corefile"
    settings.write_text(f"""\
.:53 {{
    bind {ADDRESS}
    errors
    kubernetes cluster.local {{
        kubeconfig {plane.admin}
        ttl 5
    }}
    cache 5
}}
""")
    return ["coredns", "-conf", str(settings)]
