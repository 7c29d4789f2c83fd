"""Ports on which any user of this machine may listen, and so a tenant's process in the center's place."""

from pathlib import Path
from typing import Final

import structlog

_FIRST: Final = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")

log = structlog.get_logger()


def first_open_port() -> int:
    """Return the first of the ports for which nobody has to be root."""
    return int(_FIRST.read_text(encoding="ascii"))


def warn_of_open_ports(*ports: int, first: int) -> None:
    """Say once which of the center's ports are not its own: whoever listens there while it does not is sent tokens."""
    if taken := [port for port in ports if port >= first]:
        log.warning(
            "every uid of this machine may listen on these ports while the center does not; docs/operations.md says "
            "how to keep them",
            ports=taken,
            others_from=first,
        )
