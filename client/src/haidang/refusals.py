"""What the center says no to in the words of the command line: its options, and what a cluster is made up of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from haidang.amounts import as_written, write_bytes, write_cores, write_seconds
from haidang.answers import Amounts
from haidang.errors import ArgumentError, HaidangError, Reason, RefusedError
from haidang.words import Words


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the command line: how limits of it are written there, and the sentence about what it has to be."""

    flag: str
    write: Callable[[int], str] = str
    form: str = "form_other"


OPTIONS: Final[Mapping[str, Option]] = {
    "begins": Option("--begins"),
    "booking": Option("--booking"),
    "class": Option("--class"),
    "displace": Option("--displace"),
    "ends": Option("--lasts"),
    "environment": Option("--environment", form="form_id"),
    "idle_seconds": Option("--idle", write_seconds),
    "kind": Option("--kind"),
    "name": Option("--name", form="form_name"),
    "parallel_fraction": Option("--parallel-fraction"),
    "node_count": Option("--nodes"),
    "nodes": Option("--nodes", form="form_id"),
    "pool": Option("--pool", form="form_id"),
    "project": Option("--project", form="form_project"),
    "walltime_seconds": Option("--walltime", write_seconds),
    "worker.cpu": Option("--cores"),
    "worker.gpu": Option("--gpus"),
    "worker.gpus": Option("--gpus"),
    "worker.memory": Option("--memory", write_bytes),
    "worker.millicores": Option("--cores", write_cores),
    "workers": Option("--workers"),
    "workers.max": Option("--workers"),
    "workers.min": Option("--workers"),
}
"""By the field of a request that a reason is about, with the resource behind it where the reason names one."""

_IN_A_LIST: Final = re.compile(r"\.\d+$")
"""The place of one thing in a list, which is given as one option."""

_RESOURCES: Final[Mapping[str, tuple[Callable[[Amounts], int], Callable[[int], str]]]] = {
    "cpu": (lambda worker: worker.millicores, write_cores),
    "memory": (lambda worker: worker.memory, write_bytes),
}


def complaint(error: HaidangError, words: Words, arguments: Mapping[str, str] | None = None) -> str:
    """Return what is told of a failure: a sentence, or a line for each reason where there are several.

    `arguments` are how a command writes what it takes without an option, by the option that others have for it.
    """
    written = arguments or {}
    if isinstance(error, ArgumentError):
        return _about(written.get(flag := f"--{error.argument}", flag), str(error), error.argument)
    if not isinstance(error, RefusedError) or not error.reasons:
        return str(error)
    reasons = list(dict.fromkeys(_told(reason, words, written) for reason in error.reasons))
    lines = reasons if len(reasons) == 1 else [f"{error.title}:", *(f"  - {reason}" for reason in reasons)]
    return "\n".join([*lines, *getattr(error, "__notes__", ())])


def made_up(needs: Iterable[Mapping[str, object]], least: int, worker: Amounts, words: Words) -> list[str]:
    """Return of what the amounts in reasons are made up that a cluster needs to start: people forget its scheduler."""
    lines: list[str] = []
    for numbers in needs:
        needed, resource = numbers.get("needed"), str(numbers.get("resource"))
        if isinstance(needed, int) and resource in _RESOURCES:
            of, write = _RESOURCES[resource]
            head = needed - least * of(worker)
            if head > 0:
                each, rest = (as_written(write(amount), words) for amount in (of(worker), head))
                lines.append(words(f"gang_{resource}", count=least, each=each, head=rest))
    return list(dict.fromkeys(lines))


def _told(reason: Reason, words: Words, written: Mapping[str, str]) -> str:
    resource, _, _ = str(reason.numbers.get("resource")).partition("/")
    field = _IN_A_LIST.sub("", str(reason.field))
    option = OPTIONS.get(f"{field}.{resource}") or OPTIONS.get(field)
    if option is None:
        return reason.sentence
    flag = written.get(option.flag, option.flag)
    flaw, bound = f"flaw_{reason.numbers.get('problem')}", reason.numbers.get("bound")
    if flaw not in words:
        return _about(flag, reason.sentence, reason.field)
    limit = option.write(bound) if isinstance(bound, int) else bound
    return f"{flag}: {words(flaw, limit=limit, form=words(option.form))}"


def _about(flag: str, sentence: str, field: str | None) -> str:
    """Return a sentence about an option that may name its field at the beginning."""
    return f"{flag}: {sentence.removeprefix(f'{field}: ')}"
