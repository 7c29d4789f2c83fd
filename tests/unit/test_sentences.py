"""Every reason can be said in both languages, has a status, and says its numbers as people do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from itertools import product
from string import Formatter
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from api.problems import STATUS
from operations.reasons import Flaw, Invalid, Reason, Unknown
from operations.sentences import Language, sentence, texts, title
from quotas.reasons import NoCredit, ShareFull
from registry.ids import MicroCredits, PoolId, ProjectId, Seconds, ShareId
from registry.resources import CPU, GIB, MEMORY, MIB, ResourceName
from scheduler.reasons import NodesFull, PersonAtClassLimit, WalltimeTooLong
from scheduler.requests import RequestClass

REASONS = get_args(Reason)
BOTH = list(Language)


def some_of_each(kind: Any) -> Iterator[Any]:  # noqa: ANN401 - whatever a field of a reason may be
    """Yield values of a field's type: every member of an enumeration, and nothing where that is allowed."""
    if kind is ResourceName:
        yield from (CPU, MEMORY, ResourceName("gpu/a100"))
    elif get_origin(kind) is UnionType or type(None) in get_args(kind):
        for one in get_args(kind):
            yield from [None] if one is type(None) else some_of_each(one)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield from kind
    else:
        supertype = getattr(kind, "__supertype__", kind)
        yield 1_800_000_000 if supertype is int else "some-name"


def some_of(kind: type) -> Iterator[Reason]:
    """Yield reasons of a type with some combinations of their numbers."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for values in product(*(list(some_of_each(hints[name])) for name in names)):
        yield kind(**dict(zip(names, values, strict=True)))


@pytest.mark.parametrize("kind", REASONS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("language", BOTH)
def test_every_reason_has_a_title_and_a_sentence_whatever_its_numbers(kind: type, language: Language) -> None:
    for reason in some_of(kind):
        said = sentence(reason, language)
        assert re.fullmatch(r"[^{}\n]+\.", said), said
        assert "None" not in said, said
        assert title(reason, language)


@pytest.mark.parametrize("kind", REASONS, ids=lambda kind: kind.__name__)
def test_every_reason_has_a_status_that_says_no(kind: type) -> None:
    assert 400 <= STATUS[kind] < 600


def test_codes_are_different_and_nothing_is_translated_that_nobody_says() -> None:
    codes = [kind.code for kind in REASONS]
    assert len(set(codes)) == len(codes)
    for language in BOTH:
        assert set(texts(language).reasons) == set(codes)
        assert set(texts(language).flaws) == {flaw.value for flaw in Flaw}
    assert set(STATUS) == set(REASONS)


def test_both_languages_have_the_same_words_and_tell_the_same_numbers() -> None:
    vi, en = texts(Language.VI), texts(Language.EN)
    assert set(vi.words) == set(en.words)

    def told(template: str) -> set[tuple[str | None, str | None]]:
        return {(name, spec) for _, name, spec, _ in Formatter().parse(template) if name}

    for code, said in en.reasons.items():
        assert told(vi.reasons[code]["sentence"]) == told(said["sentence"]), code
    for flaw, said_of_it in en.flaws.items():
        assert told(vi.flaws[flaw]) == told(said_of_it), flaw


def full(resource: str, needed: int, claimable: int) -> ShareFull:
    return ShareFull(
        share=ShareId("vmu"),
        pool=PoolId("main"),
        resource=ResourceName(resource),
        needed=needed,
        claimable=claimable,
        granted=0,
        limit=needed,
    )


@pytest.mark.parametrize(
    ("reason", "english", "vietnamese"),
    [
        (full(CPU, 1500, 250), "needs 1.5 cores", "cần 1,5 lõi"),
        (full(CPU, 1_234_567_000, 0), "1,234,567 cores", "1.234.567 lõi"),
        (full(MEMORY, 5 * GIB // 2, 0), "2.5 GiB", "2,5 GiB"),
        (full(MEMORY, 300 * MIB, 0), "300 MiB", "300 MiB"),
        (full("gpu/a100", 3, 1), "3 a100 GPU", "3 GPU a100"),
        (
            NoCredit(project=ProjectId("a.b"), needed=MicroCredits(12_500_000), available=MicroCredits(10)),
            "needs 12.5 credits and project a.b has 0 credits",
            "cần 12,5 điểm",
        ),
        (
            WalltimeTooLong(request_class=RequestClass.COURSE, asked=93_784, longest=21_600),
            "asked for 1 d 2 h 3 min 4 s and course work may run 6 h",
            "xin chạy 1 ngày 2 giờ 3 phút 4 giây nhưng hạng lớp học chỉ được chạy 6 giờ",
        ),
        (
            NodesFull(pool=PoolId("main"), processes=3, placeable=1, expected=Seconds(1_800_000_000)),
            "protected from 15:00 on 15/01/2027 (UTC+7)",
            "chậm nhất lúc 15:00 ngày 15/01/2027",
        ),
        (NodesFull(pool=PoolId("main"), processes=3, placeable=1), "may start sooner.", "có thể chạy sớm hơn."),
        (PersonAtClassLimit(request_class=RequestClass.URGENT, running=2, most=2), "run 2 urgent", "2 yêu cầu hạng"),
        (Unknown(what="request"), "no such request", "Không có yêu cầu này"),
        (
            Invalid(field="worker.memory", problem=Flaw.NOT_AT_LEAST, bound=16_777_216),
            "worker.memory must be at least 16,777,216.",
            "worker.memory không được nhỏ hơn 16.777.216.",
        ),
    ],
)
def test_numbers_are_said_in_the_units_and_the_notation_of_people(
    reason: Reason, english: str, vietnamese: str
) -> None:
    assert english in sentence(reason, Language.EN)
    assert vietnamese in sentence(reason, Language.VI)


def test_a_request_without_a_protected_start_promises_none() -> None:
    unprotected = NodesFull(pool=PoolId("main"), processes=3, placeable=1)
    assert "protected" not in sentence(unprotected, Language.EN)
