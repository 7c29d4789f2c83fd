"""Whether this Python can work with a cluster's, and the command that makes one that can."""

import json
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Final

from haidang.answers import Environment
from haidang.errors import DaskMissingError, EnvironmentMismatchError
from haidang.words import Words

_HERE: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


def installed_distributed() -> str | None:
    """Return the version of distributed that is installed here, without importing it."""
    try:
        return version("distributed")
    except PackageNotFoundError:
        return None


def need_dask(words: Words) -> None:
    """Make sure that Dask is here before anything is asked for.

    Raises:
        DaskMissingError: it is not installed.
    """
    if installed_distributed() is None:
        raise DaskMissingError(words("dask_missing", command=installing_command()))


def need_match(environment: Environment, words: Words) -> None:
    """Make sure that functions and results can travel between this process and the cluster's.

    Both sides pickle for each other, so the Python minor and the distributed version have to be the same: a 3.11
    client kills 3.13 workers.

    Raises:
        EnvironmentMismatchError: one of them differs; the error carries the command that makes a match.
    """
    wanted = _minor(environment)
    distributed = installed_distributed()
    if (_HERE, distributed) == (wanted, environment.distributed):
        return
    command = matching_command(environment)
    sentence = words(
        "environment_mismatch",
        environment=environment.id,
        python=_HERE,
        distributed=distributed or "-",
        wanted_python=wanted,
        wanted_distributed=environment.distributed,
        command=command,
    )
    raise EnvironmentMismatchError(sentence, command)


def installing_command() -> str:
    """Return the command that installs Dask beside this client, which may itself be on no index."""
    wanted = [one.partition(";") for one in distribution("haidang").requires or ()]
    return f"pip install {_quoted(*(name.strip() for name, _, condition in wanted if 'dask' in condition))}"


def matching_command(environment: Environment) -> str:
    """Return the command that makes this client match the cluster's environment: another Python needs a new place."""
    pins = (f"distributed=={environment.distributed}", f"dask=={environment.distributed}")
    if _minor(environment) == _HERE:
        return f"pip install {_quoted(*pins)}"
    return f"uv venv --python {_minor(environment)} && uv pip install {_quoted(_this_package(), *pins)}"


def _minor(environment: Environment) -> str:
    return ".".join(environment.python.split(".")[:2])


def _this_package() -> str:
    """Return this package with its extra `dask`, from where it was installed if it did not come from an index."""
    origin = json.loads(distribution("haidang").read_text("direct_url.json") or "{}")
    return f"haidang[dask] @ {origin['url']}" if "url" in origin else "haidang[dask]"


def _quoted(*requirements: str) -> str:
    """Return requirements as a shell takes them."""
    return " ".join(f'"{one}"' for one in requirements)
