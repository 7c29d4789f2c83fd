"""One process of a cluster as the only one of a container: what it is told by its arguments, and by what it mounts.

    python -m haidang.inside.pod --role head|worker --name NAME --cores N --memory BYTES --head ADDRESS

Credentials lie in /papers. The root of the file system is not writable; what is left of the process lies in /scratch
and goes with it. That all doors are locked is said by a file there, which the container's probe looks for.
"""

import argparse
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from haidang.inside.warm import DASK_SETTINGS, ONE_THREAD

PAPERS: Final = Path("/papers")
SCRATCH: Final = Path("/scratch")
READY: Final = SCRATCH / ".ready"
COMM_PORT: Final = 8786
STATE_PORT: Final = 8787
HEAD_PATIENCE_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 0.1
# As among the forks of a warm process, for whoever reads a pod's end.
NO_HEAD: Final = 71
OPEN_DOOR: Final = 73


def main() -> int:
    """Be the process until it ends; return its exit status."""
    options = _options()
    # The first process of a container is ended by no signal that it does not react to. Whoever is ended so did not end
    # well: a kubelet that evicts a pod would otherwise report that it had completed, and no word of the reason.
    signal.signal(signal.SIGTERM, lambda number, _frame: os._exit(128 + number))
    os.umask(0o077)
    os.chdir(SCRATCH)
    os.environ.update(ONE_THREAD, HOME=str(SCRATCH), TMPDIR=str(SCRATCH), PWD=str(SCRATCH))

    import dask.config  # noqa: PLC0415 - not before the threads of numerical libraries are set

    dask.config.set(DASK_SETTINGS)
    from haidang.inside import roles  # noqa: PLC0415 - it imports distributed, which reads the settings

    identity = roles.Identity(
        name=options.name,
        cores=options.cores,
        memory_bytes=options.memory,
        home=SCRATCH,
        papers=roles.Papers(
            authority=_paper("authority.pem"), certificate=_paper("leaf.pem"), key="", token=_paper("token")
        ),
        doors=roles.Doors(host=os.environ["POD_IP"], comm=COMM_PORT, state=STATE_PORT),
    )
    try:
        if options.role == "head":
            roles.be_head(identity, _tell)
        elif _appears(options.head):
            roles.be_worker(identity, options.head, _tell)
        else:
            return NO_HEAD
    except roles.OpenDoorError as error:
        sys.stderr.write(f"it listened where no certificate is demanded: {error}\n")
        return OPEN_DOOR
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--role", choices=["head", "worker"], required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True, help="bytes")
    parser.add_argument("--head", required=True, help="where the Dask scheduler answers")
    return parser.parse_args()


def _paper(name: str) -> str:
    """Return a credential; a worker has no token."""
    path = PAPERS / name
    return path.read_text() if path.exists() else ""


def _appears(head: str) -> bool:
    """Wait until the Dask scheduler can be reached: its node may still be fetching what it is made of."""
    address = urlsplit(head)
    deadline = time.monotonic() + HEAD_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address.hostname, address.port or COMM_PORT), timeout=1.0).close()
        except OSError:
            time.sleep(LOOK_SECONDS)
        else:
            return True
    return False


def _tell(comm: int, state: int | None) -> None:
    READY.write_text(f"{comm} {state or ''}\n")


if __name__ == "__main__":
    sys.exit(main())
