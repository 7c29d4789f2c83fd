"""Whether this Python can work with a cluster's, and the command that builds one that can."""

import sys
from importlib.metadata import PackageNotFoundError, version

from haidang.answers import Environment
from haidang.errors import DaskMissingError, EnvironmentMismatchError
from haidang.words import Words


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
        raise DaskMissingError(words("dask_missing"))


def need_match(environment: Environment, words: Words) -> None:
    """Make sure that functions and results can travel between this process and the cluster's.

    Both sides pickle for each other, so the Python minor and the distributed version have to be the same: a 3.11
    client kills 3.13 workers.

    Raises:
        EnvironmentMismatchError: one of them differs; the error carries the command that builds a match.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = ".".join(environment.python.split(".")[:2])
    distributed = installed_distributed()
    if (python, distributed) == (wanted, environment.distributed):
        return
    command = matching_command(environment)
    sentence = words(
        "environment_mismatch",
        environment=environment.id,
        python=python,
        distributed=distributed or "-",
        wanted_python=wanted,
        wanted_distributed=environment.distributed,
        command=command,
    )
    raise EnvironmentMismatchError(sentence, command)


def matching_command(environment: Environment) -> str:
    """Return the command that builds a virtual environment in which this client matches the cluster's environment."""
    minor = ".".join(environment.python.split(".")[:2])
    return f'uv venv --python {minor} && uv pip install "haidang[dask]" distributed=={environment.distributed}'
