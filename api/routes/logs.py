"""What the processes of a request printed last: it outlives them for a while."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.dependencies import CallerDep, PortsDep, RequestIdDep, policy
from api.problems import accepted, problems
from api.schemas.logs import LogOut, LogsOut, LogTextOut
from operations.permitted import log_seen, logs_seen

router = APIRouter(prefix="/v1/requests/{request}/logs", tags=["requests"])

ProcessName = Annotated[str, Path(pattern=r"^h-[a-z2-7]{26}-[0-9]{1,4}-[0-9]{1,4}$")]


@router.get("", responses=problems(404), openapi_extra=policy("requests:logs"))
def list_logs(request: RequestIdDep, caller: CallerDep, ports: PortsDep) -> LogsOut:
    """List the logs of a request's processes that have ended, the newest first."""
    return LogsOut(items=[LogOut.from_log(log) for log in accepted(ports.store.read(logs_seen, caller, request))])


@router.get("/{process}", responses=problems(404), openapi_extra=policy("requests:logs"))
def read_log(request: RequestIdDep, process: ProcessName, caller: CallerDep, ports: PortsDep) -> LogTextOut:
    """Return the last 64 KiB that a process printed, as the process wrote it: treat it as a stranger's text."""
    return LogTextOut.from_kept(*accepted(ports.store.read(log_seen, caller, request, process)))
