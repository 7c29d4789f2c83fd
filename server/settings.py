"""What a center is told when it starts: by options, else by the environment, else what suits one machine."""

import hashlib
import os
import sys
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final, Self

from cryptography.fernet import Fernet
from pydantic import ByteSize, DirectoryPath, Field, FilePath, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from operations.ports.store import SealedOtherwiseError
from registry.centers import Environment
from registry.ids import SLUG_PATTERN, EnvironmentId
from registry.resources import MILLI, Resources
from store.connections import flaw

_SEALING_KEY: Final = "sealing.key"
_DATABASE: Final = "haidang.sqlite"
_SYSTEM_SCRATCH: Final = Path("/var/lib/haidang/scratch")
_SYSTEM_USERS: Final = Path("/var/lib/haidang/users")

Port = Annotated[int, Field(ge=0, le=65535)]


def machine_cores() -> float:
    """Return how many cores this process may use."""
    return float(len(os.sched_getaffinity(0)))


def machine_memory() -> ByteSize:
    """Return the bytes of memory this machine has."""
    return ByteSize(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


class Part(StrEnum):
    """What of a center a process is. Apart from each other they share nothing but the database."""

    ALL = "all"
    API = "api"
    CONTROLLER = "controller"
    EXPORTER = "exporter"


class Settings(BaseSettings):
    """Everything a center has to be told; each also reads `HAIDANG_NAME`, and an option goes before that.

    `node_cores` and `node_memory` (bytes) are what this machine offers, by default all it has. `cgroup` is a folder
    of control groups that was delegated to the center: the kernel then bounds memory, not the keepers' samples.
    `site` is the file about a Kubernetes cluster to run clusters on instead of this machine. `users` is the folder in
    which all centers of a machine note which uids they gave to projects. `part` is what of the center this process is;
    one by itself needs a database that the others share. `sealing_key_file` holds the key that seals credentials, if it
    is not to be made in the data folder. `lease` is the namespace and the name of the Lease that controllers share.
    """

    model_config = SettingsConfigDict(env_prefix="HAIDANG_", env_ignore_empty=True, extra="ignore", frozen=True)

    data: Path = Path("haidang-data")
    database: Annotated[str, Field(pattern=r"^(postgresql://.|sqlite:///.)")] | None = None
    host: str = "127.0.0.1"
    port: Port = 8787
    metrics_port: Port = 8788
    center: Annotated[str, Field(pattern=SLUG_PATTERN)] = "center"
    node_cores: Annotated[float, Field(ge=0.001, le=100_000)] = Field(default_factory=machine_cores)
    node_memory: Annotated[ByteSize, Field(gt=0)] = Field(default_factory=machine_memory)
    trust_everyone: bool = False
    cgroup: DirectoryPath | None = None
    site: FilePath | None = None
    users: Path = _SYSTEM_USERS
    part: Part = Part.ALL
    sealing_key_file: FilePath | None = None
    lease: Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$")] | None = None

    @field_validator("database")
    @classmethod
    def _is_an_address(cls, database: str | None) -> str | None:
        if database and (said := flaw(database)):
            raise ValueError(said)
        return database

    @model_validator(mode="after")
    def _parts_share_what_they_need(self) -> Self:
        if self.part is not Part.ALL and not (self.database or "").startswith("postgresql://"):
            raise ValueError(f"{self.part} by itself needs --database postgresql://..., which all parts share")
        if self.part is not Part.ALL and self.sealing_key_file is None:
            raise ValueError(f"{self.part} by itself needs --sealing-key-file, the same for all parts")
        return self

    @property
    def database_url(self) -> str:
        """Return where the store is: the database that was named, else a file in the data folder."""
        return self.database or f"sqlite:///{self.data.absolute() / _DATABASE}"

    @property
    def private_scratch(self) -> Path:
        """Return where processes leave their files if they all run as the center."""
        return self.data.absolute() / "scratch"

    @property
    def public_scratch(self) -> Path:
        """Return where they do so under uids of their own, which must pass to it: the data folder lets nobody pass."""
        return _SYSTEM_SCRATCH / hashlib.sha256(str(self.data.absolute()).encode()).hexdigest()[:16]

    @property
    def node_capacity(self) -> Resources:
        """Return what this machine offers."""
        return Resources(millicores=int(self.node_cores * MILLI), memory=self.node_memory)


def own_environment() -> Environment:
    """Return the environment that the center itself runs in, which is also what it offers on one machine.

    The versions are read from the packages' metadata: the center never imports distributed.
    """
    return Environment(
        id=EnvironmentId("default"),
        version=metadata.version("haidang"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        distributed=metadata.version("distributed"),
        path=sys.prefix,
    )


def make_data_folder(data: Path) -> None:
    """Make the folder that only the center may enter."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    data.chmod(0o700)


def sealing_key(settings: Settings) -> str:
    """Return the key that seals credentials in the store.

    It is read from the file that was named for it; else it lies in the data folder, made at the first call and readable
    by the center alone.

    Raises:
        SealedOtherwiseError: the file holds no key.
    """
    if settings.sealing_key_file is not None:
        return _checked(settings.sealing_key_file)
    make_data_folder(settings.data)
    path = settings.data / _SEALING_KEY
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _checked(path)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(Fernet.generate_key().decode())
        file.flush()
        os.fsync(file.fileno())
    return _checked(path)


def _checked(path: Path) -> str:
    key = path.read_text(encoding="ascii", errors="replace").strip()
    try:
        Fernet(key)
    except ValueError as error:
        raise SealedOtherwiseError from error
    return key
