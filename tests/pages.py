"""The rules of the house for its pages, as functions from a Markdown file to its breaches."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house import ROOT, files, packages

PARTS_OF_A_DECISION = ("Context", "Decision", "Consequences", "Enforced by")
DECISION_NAME = re.compile(r"\d{4}-[a-z0-9-]+\.md")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
# A file of ours that a page names by its whole path, without linking to it.
NAMED = re.compile(r"`(?P<file>[\w.-]+(?:/[\w.-]+)+\.(?:py|toml|md|svg|txt|json))`")
# A line of the walk: the functions, and the file in which all of them are defined.
STEP = re.compile(r"^[\s|'-]*(?P<names>\w[\w., ]*?)\s{2,}(?P<file>[\w/]+\.py)\b", re.MULTILINE)


def pages() -> list[Path]:
    return files(".md")


def decisions() -> list[Path]:
    return [path for path in pages() if path.parent == Path("docs/decisions") and path.name[0].isdigit()]


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ +(.+?) *$", FENCE.sub("", text).replace("`", ""), re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The names that a page's headings can be linked by."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(text)}


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Links to a file or a heading of ours that is not there; other sites are not asked."""
    for target in LINK.findall(CODE.sub("", FENCE.sub("", text))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (ROOT / path.parent / file).resolve() if file else ROOT / path
        if not there.exists():
            yield f"{path}: {target} leads nowhere"
        elif anchor and anchor not in anchors(there.read_text(encoding="utf-8") if file else text):
            yield f"{path}: {target} names no heading"


def lost_files(path: Path, text: str) -> Iterator[str]:
    """Files that a page names and that are not there: tests are renamed more often than pages are read."""
    named = {match["file"] for match in NAMED.finditer(FENCE.sub("", text))}
    yield from (f"{path}: there is no {file}" for file in sorted(named) if not (ROOT / file).exists())


def missing_parts(path: Path, text: str) -> Iterator[str]:
    """What a decision does not say: its reasons, itself, its price, or what holds it up."""
    if not DECISION_NAME.fullmatch(path.name):
        yield f"{path}: a decision's file is NNNN-what-was-decided.md"
    found = headings(text)
    if not found or not found[0].startswith(f"{path.name[:4]}. "):
        yield f"{path}: the title opens with the number, '# {path.name[:4]}. ...'"
    yield from (f"{path}: has no part '{part}'" for part in PARTS_OF_A_DECISION if part not in found)


def gaps(numbered: list[Path]) -> Iterator[str]:
    """Numbers given twice or left out."""
    for expected, path in enumerate(sorted(numbered), start=1):
        if int(path.name[:4]) != expected:
            yield f"{path}: decisions are numbered without gaps, this would be {expected:04}"


def lost_steps(path: Path, text: str) -> Iterator[str]:
    """Steps of a walk whose function is not defined in the file that the walk names."""
    for step in STEP.finditer(text):
        file = ROOT / step["file"]
        if not file.exists():
            yield f"{path}: the walk passes {step['file']}, which is not there"
            continue
        wanted = {name.strip().rpartition(".")[2] for name in step["names"].split(",")}
        yield from (f"{path}: {step['file']} has no {name}" for name in sorted(wanted - defined(file)))


def defined(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def unmapped(text: str) -> Iterator[str]:
    """Packages of the tree that the map does not show."""
    shown = set(re.findall(r"^ *([a-z]+)/", text, re.MULTILINE))
    yield from (f"CONTRIBUTING.md: the map shows no {package}/" for package in packages() if package not in shown)
