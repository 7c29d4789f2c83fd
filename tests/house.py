"""The rules of the house that no linter knows, as functions from a Python file to its breaches.

Run as a program it prints the figures that only grow when nobody looks.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parent.parent
CLIENT = Path("client/src")

NOT_OURS = frozenset({"build", "dist", "haidang-data", "__pycache__"})

FILE_LINES = 400
TEST_FILE_LINES = 600
FUNCTION_LINES = 50
PROTOCOL_METHODS = 5

EMPTY_PLACES = frozenset({"utils", "util", "common", "core", "helpers", "helper", "models", "misc"})
EMPTY_WORDS = frozenset(
    {"manager", "helper", "helpers", "util", "utils", "handler", "processor", "data", "info", "base", "impl"}
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|MVP|[Pp]laceholders?)\b")
# These two name the words in order to forbid them.
NAMES_THE_WORDS = frozenset({"tests/house.py", "tests/unit/test_tidy.py"})

# Who may import what is not ours. A row says where a package's idea lives; a new reader is a decision, made here.
OUTSIDE: dict[str, tuple[str, ...]] = {
    "alembic": ("store",),
    "click": ("server", "haidang"),
    "cryptography": ("backends", "store", "server"),
    "dask": ("haidang",),
    "distributed": ("haidang",),
    "fastapi": ("api",),
    "httpx2": ("backends", "haidang"),
    "kubernetes": ("backends.kube",),
    "matplotlib": ("server",),
    "numpy": ("registry", "quotas", "scheduler", "haidang.inside"),
    "prometheus_client": ("exporters",),
    "psycopg": ("store",),
    "psycopg_pool": ("store",),
    "pydantic": ("api", "server", "haidang"),
    "pydantic_settings": ("server",),
    "sqlalchemy": ("store",),
    "stamina": ("store", "backends", "server"),
    "starlette": ("api",),
    "structlog": ("operations", "backends", "server"),
    "tornado": ("haidang.inside",),
    "urllib3": ("backends.kube",),
    "uvicorn": ("server",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Python file of the tree: `path` from the root, its text and its syntax."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The name it is imported by."""
        parts = list((self.path.relative_to(CLIENT) if self.path.is_relative_to(CLIENT) else self.path).parts)
        parts[-1] = parts[-1].removesuffix(".py")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def is_test(self) -> bool:
        return self.package == "tests"


Rule: TypeAlias = Callable[[Source], Iterator[str]]


def source(path: str, text: str) -> Source:
    """Read a file's text, which need not lie on the disk."""
    return Source(path=Path(path), text=text, tree=ast.parse(text))


@cache
def files(ending: str) -> list[Path]:
    """Our own files with that ending, from the root; what tools and runs keep there is not ours."""
    found: list[Path] = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if not name.startswith(".") and name not in NOT_OURS]
        found += [Path(folder, name).relative_to(ROOT) for name in names if name.endswith(ending)]
    return sorted(found)


def sources() -> list[Source]:
    return [source(str(path), (ROOT / path).read_text(encoding="utf-8")) for path in files(".py")]


@cache
def packages() -> list[str]:
    """The packages that make up the center: what can be imported from the root beside what only looks at it."""
    apart = {"tests", "examples", "benchmarks"}
    return sorted({path.parts[0] for path in files("__init__.py") if str(path.parent) == path.parts[0]} - apart)


# The rules


def stays_readable_in_one_sitting(of: Source) -> Iterator[str]:
    lines, most = len(of.text.splitlines()), TEST_FILE_LINES if of.is_test else FILE_LINES
    if lines > most:
        yield f"{of.path}: {lines} lines, at most {most}; split it by noun"


def functions_fit_on_a_screen(of: Source) -> Iterator[str]:
    for name, line, length in functions(of):
        if length > FUNCTION_LINES:
            yield f"{of.path}:{line}: {name} has {length} lines, at most {FUNCTION_LINES}"


def protocols_are_small(of: Source) -> Iterator[str]:
    for node in ast.walk(of.tree):
        if isinstance(node, ast.ClassDef) and any(map(_is_protocol, node.bases)):
            methods = sum(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body)
            if methods > PROTOCOL_METHODS:
                yield f"{of.path}:{node.lineno}: {node.name} asks for {methods} methods, at most {PROTOCOL_METHODS}"


def _is_protocol(parent: ast.expr) -> bool:
    return ast.unparse(parent).partition("[")[0].rpartition(".")[2] == "Protocol"


def opens_with_one_sentence(of: Source) -> Iterator[str]:
    first, _, rest = (ast.get_docstring(of.tree) or "").partition("\n")
    if not first.endswith(".") or re.search(r"[.!?] +[A-ZĐ]", first) or (rest and not rest.startswith("\n")):
        yield f"{of.path}:1: opens with one sentence on one line that names its duty; more comes after an empty line"


def places_name_a_noun(of: Source) -> Iterator[str]:
    for part in of.module.split("."):
        if part in EMPTY_PLACES:
            yield f"{of.path}: {part!r} says nothing about what is in it"
        if part.endswith("_more"):
            yield f"{of.path}: a module is split by noun, not into a rest"


def names_say_what_a_thing_is(of: Source) -> Iterator[str]:
    for node in ast.walk(of.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            last = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", node.name)[-1:]
            if last and last[0].lower() in EMPTY_WORDS:
                yield f"{of.path}:{node.lineno}: {node.name} ends in a word that fits everything"


def only_the_store_commits(of: Source) -> Iterator[str]:
    if of.package == "store" or of.is_test:
        return
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield f"{of.path}:{node.lineno}: only store/ ends a transaction"


def outside_packages_stay_where_they_belong(of: Source) -> Iterator[str]:
    if of.package not in {*packages(), "haidang"}:
        return
    for name, line in imported_from_outside(of):
        allowed = OUTSIDE.get(name, ())
        if not any(of.module == owner or of.module.startswith(f"{owner}.") for owner in allowed):
            where = f"belongs to {', '.join(allowed)}" if allowed else "has no row in OUTSIDE"
            yield f"{of.path}:{line}: {name} {where}"


def nothing_is_left_unfinished(of: Source) -> Iterator[str]:
    if str(of.path) not in NAMES_THE_WORDS:
        yield from unfinished(of.path, of.text)


RULES: tuple[Rule, ...] = (
    stays_readable_in_one_sitting,
    functions_fit_on_a_screen,
    protocols_are_small,
    opens_with_one_sentence,
    places_name_a_noun,
    names_say_what_a_thing_is,
    only_the_store_commits,
    outside_packages_stay_where_they_belong,
    nothing_is_left_unfinished,
)


# What the rules and the figures ask


def functions(of: Source) -> Iterator[tuple[str, int, int]]:
    """Every function with its first line and its number of lines, docstring included, decorators not."""
    for node in ast.walk(of.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def imported_from_outside(of: Source) -> Iterator[tuple[str, int]]:
    """What a file imports that is neither the standard library's nor ours, wherever in the file it does."""
    ours = {*packages(), "haidang", "tests", "benchmarks"}
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module.partition(".")[0]}
        else:
            continue
        yield from ((name, node.lineno) for name in sorted(names - ours - sys.stdlib_module_names))


def unfinished(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        if found := UNFINISHED.search(line):
            yield f"{path}:{number}: {found[0]!r} leaves something for later; finish it or leave it out"


# The figures


def figures() -> Iterator[str]:
    """The sizes that only grow when nobody looks, and where the world comes in."""
    ours = [of for of in sources() if not of.is_test]
    lengths = sorted(
        ((length, f"{of.path}:{line} {name}") for of in ours for name, line, length in functions(of)), reverse=True
    )
    yield "largest functions"
    yield from (f"  {length:4}  {where}" for length, where in lengths[:5])
    yield "largest files"
    by_lines = sorted(((len(of.text.splitlines()), str(of.path)) for of in ours), reverse=True)
    yield from (f"  {lines:4}  {path}" for lines, path in by_lines[:5])
    importers: dict[str, set[str]] = defaultdict(set)
    for of in ours:
        for name, _ in imported_from_outside(of):
            importers[name].add(of.module)
    yield "who imports each outside package"
    yield from (f"  {name}: {', '.join(sorted(modules))}" for name, modules in sorted(importers.items()))


if __name__ == "__main__":
    print("\n".join(figures()))
