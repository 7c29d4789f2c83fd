"""The images that pods of a real node run, made without a registry: a base of Debian's packages, ours on top of it.

    python -m tests.kubernetes.images

makes those that are not there yet, as archives for containerd, outside the network of `run.sh`, which leads nowhere.
An archive is named by what it was made of: nothing is made twice, and nothing old is taken for new. It needs root, and
the programs buildah and debootstrap.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.house import ROOT

FOLDER: Final = ROOT / ".tools" / "kubernetes" / "images"
STORAGE: Final = FOLDER / "storage"
MOST_STORED: Final = 400
"""Steps of builds that may lie in buildah's storage: with more it begins anew, which costs minutes, once."""

DEBIAN: Final = ("bookworm", "python3,python3-venv,ca-certificates")
# It sleeps, too, where nothing else is to run: as the process by which a pod keeps its network.
BASE_FILE: Final = 'FROM scratch\nADD base.tar /\nCMD ["sleep", "infinity"]\n'

CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
SETTINGS: Final = "/etc/pip.conf"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image under a name of this machine's own; `sources` are what it is made of, from the root."""

    name: str
    sources: tuple[str, ...] = ()

    @cached_property
    def reference(self) -> str:
        return f"localhost/{self.name}:{self.digest}"

    @cached_property
    def digest(self) -> str:
        digest = hashlib.sha256(repr((DEBIAN, BASE_FILE)).encode())
        for path in self._files():
            digest.update(f"\n{path}\n".encode() + (ROOT / path).read_bytes())
        return digest.hexdigest()[:16]

    @property
    def archive(self) -> Path:
        return FOLDER / f"{self.name}-{self.digest}.tar"

    @property
    def containerfile(self) -> str:
        return f"images/Containerfile.{self.name}"

    def _files(self) -> Iterator[Path]:
        for source in self.sources:
            found = [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*"))
            yield from (one.relative_to(ROOT) for one in found if one.is_file() and "__pycache__" not in one.parts)


LOCKED: Final = (".containerignore", "pyproject.toml", "uv.lock", "client")
CENTER: Final = (
    "registry",
    "quotas",
    "scheduler",
    "operations",
    "store",
    "backends",
    "api",
    "exporters",
    "simulator",
    "server",
)

BASE: Final = Image(name="base")
DASK: Final = Image(name="dask", sources=("images/Containerfile.dask", *LOCKED))
SERVER: Final = Image(name="server", sources=("images/Containerfile.server", *LOCKED, "README.md", "LICENSE", *CENTER))
IMAGES: Final = (BASE, DASK, SERVER)


class BuildFailedError(Exception):
    """A program that makes images failed; the message is what it said."""


def missing() -> str:
    """Return what of the images has not been made yet, or nothing."""
    lacking = [image.name for image in IMAGES if not image.archive.exists()]
    return f"no image {', '.join(lacking)}" if lacking else ""


def make_all() -> None:
    """Make what is missing, and remove what was made of something else before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if missing():
        _bound_storage()
    for image in IMAGES:
        if not image.archive.exists():
            sys.stderr.write(f"making the image {image.name}\n")
            try:
                _make_one(image)
            except BuildFailedError:
                _empty_storage()
                _make_one(image)


def _make_one(image: Image) -> None:
    _lay_out() if image is BASE else _make(image)
    _export(image)
    for old in FOLDER.glob(f"{image.name}-*.tar"):
        if old != image.archive:
            old.unlink()


def _bound_storage() -> None:
    if len(_buildah("images", "--quiet", "--all").split()) > MOST_STORED:
        _empty_storage()


def _empty_storage() -> None:
    """Forget every step: of one in which a build was killed only the name may be there."""
    _buildah("rm", "--all")
    _buildah("rmi", "--all", "--force")


def _lay_out() -> None:
    """Let debootstrap lay out a small Debian, without what its installation has left."""
    release, packages = DEBIAN
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        system = f"{folder}/system"
        _run("debootstrap", "--variant=minbase", f"--include={packages}", release, system)
        left = [f"--exclude=./{path}/*" for path in ("dev", "var/cache/apt", "var/lib/apt/lists", "var/log")]
        _run("tar", f"--directory={system}", *left, "--create", f"--file={folder}/base.tar", ".")
        Path(folder, "Containerfile").write_text(BASE_FILE)
        _buildah("build", f"--tag={BASE.reference}", folder)


def _make(image: Image) -> None:
    """Build an image as its file says, on our base; steps that were done before are not done again."""
    if BASE.reference not in _buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        _buildah("tag", _buildah("pull", "--quiet", f"oci-archive:{BASE.archive}"), BASE.reference)
    _buildah(
        "build",
        "--layers",
        f"--build-arg=BASE={BASE.reference}",
        *_way_to_packages(),
        f"--file={ROOT / image.containerfile}",
        f"--tag={image.reference}",
        str(ROOT),
    )


def _way_to_packages() -> Iterator[str]:
    """Lend a build what leads from this machine to the package index; no image keeps it."""
    home = str(Path.home())
    trusted = [os.environ.get("SSL_CERT_FILE", ""), CERTIFICATES]
    settings = [
        os.environ.get("PIP_CONFIG_FILE", ""),
        f"{home}/.config/pip/pip.conf",
        f"{home}/.pip/pip.conf",
        SETTINGS,
    ]
    for place, paths in ((CERTIFICATES, trusted), (SETTINGS, settings)):
        yield from [f"--volume={path}:{place}:ro" for path in paths if Path(path).is_file()][:1]


def _export(image: Image) -> None:
    """Write an archive that is there either whole or not at all."""
    unfinished = FOLDER / f"{image.name}.unfinished"
    unfinished.unlink(missing_ok=True)
    _buildah("push", "--quiet", image.reference, f"oci-archive:{unfinished}:{image.reference}")
    unfinished.rename(image.archive)


def _buildah(*arguments: str) -> str:
    with tempfile.TemporaryDirectory() as running:
        return _run("buildah", f"--root={STORAGE}", f"--runroot={running}", *arguments)


def _run(*command: str) -> str:
    """Return what a program prints."""
    done = subprocess.run(
        command,
        env=dict(os.environ, BUILDAH_ISOLATION="chroot"),  # which needs no more than root
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildFailedError(f"{' '.join(command)}\n{done.stdout}")
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        make_all()
    except BuildFailedError as failure:
        sys.exit(str(failure))
