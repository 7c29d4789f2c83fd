"""Reasons as sentences for people, in Vietnamese and English, from texts that say what would help."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from functools import cache
from importlib.resources import files
from string import Formatter
from tomllib import loads
from typing import Any, Final

from operations.reasons import Invalid, Reason
from registry.resources import CPU, GIB, MEMORY, MIB, MILLI, ResourceName, Resources
from scheduler.advice import Advice

_CLOCK: Final = timezone(timedelta(hours=7))
"""The clock on the city's walls: people are told times by it, machines get seconds since 1970."""

_MICRO: Final = 1_000_000
_DIGITS: Final = 2
_UNITS: Final = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


class Language(StrEnum):
    """A language that every sentence exists in."""

    VI = "vi"
    EN = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Everything that is said in one language: by code of a reason, by flaw of a field, and single words."""

    reasons: Mapping[str, Mapping[str, str]]
    advice: Mapping[str, str]
    flaws: Mapping[str, str]
    words: Mapping[str, str]


@cache
def texts(language: Language) -> Texts:
    """Return the texts of a language."""
    read = loads(files("operations").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8"))
    return Texts(reasons=read["reasons"], advice=read["advice"], flaws=read["flaws"], words=read["words"])


def sentence(reason: Reason, language: Language) -> str:
    """Return what a reason says, with its numbers in the units and the notation of people."""
    said = texts(language)
    template = said.flaws[reason.problem] if isinstance(reason, Invalid) else said.reasons[reason.code]["sentence"]
    return _Speech(said.words, language, getattr(reason, "resource", None)).vformat(template, (), values(reason))


def advice_sentence(advice: Advice, language: Language) -> str:
    """Return what a change is that would start a request."""
    said = texts(language)
    speech = _Speech(said.words, language, getattr(advice, "resource", None))
    return speech.vformat(said.advice[advice.code], (), values(advice))


def title(reason: Reason, language: Language) -> str:
    """Return what reasons of this code have in common, always the same words."""
    return texts(language).reasons[reason.code]["title"]


def values(reason: Reason | Advice) -> dict[str, Any]:
    """Return the details of a reason, or of advice, by their names."""
    return {field.name: getattr(reason, field.name) for field in fields(reason)}


class _Speech(Formatter):
    """Formats the values in a text; what a value means to people is said behind the colon: `{needed:amount}`."""

    def __init__(self, words: Mapping[str, str], language: Language, resource: ResourceName | None) -> None:
        self._words = words
        self._language = language
        self._resource = resource

    def format_field(self, value: Any, spec: str) -> str:  # noqa: ANN401  a value of any reason
        meanings: dict[str, Callable[[Any], str]] = {
            "amount": self._amount,
            "amounts": self._amounts,
            "names": self._names,
            "credits": self._credits,
            "duration": self._duration,
            "time": self._time,
            "start": self._start,
            "word": self._word,
            "": self._plain,
        }
        return meanings[spec](value)

    def _plain(self, value: object) -> str:
        if value is None:
            return ""
        return self._number(value, 1) if isinstance(value, int) else str(value)

    def _word(self, value: object) -> str:
        return self._words.get(str(value), str(value))

    def _credits(self, amount: int) -> str:
        return self._unit("credits", amount, _MICRO)

    def _start(self, seconds: int | None) -> str:
        return "" if seconds is None else self._words["start"].format(self._time(seconds))

    def _amount(self, amount: int) -> str:
        return self._amount_of(self._resource, amount)

    def _amounts(self, amounts: Resources) -> str:
        return ", ".join(self._amount_of(name, amount) for name, amount in amounts.items() if amount)

    def _names(self, names: Iterable[str]) -> str:
        return ", ".join(names)

    def _amount_of(self, resource: ResourceName | None, amount: int) -> str:
        if resource == CPU:
            return self._unit("cores", amount, MILLI)
        if resource == MEMORY:
            return self._unit("gib", amount, GIB) if amount >= GIB else self._unit("mib", amount, MIB)
        return self._unit("gpus", amount, 1).format(str(resource).removeprefix("gpu/"))

    def _unit(self, word: str, amount: int, unit: int) -> str:
        return f"{self._number(amount, unit)} {self._words[word]}"

    def _number(self, amount: int, unit: int) -> str:
        """Return amount / unit with at most two digits behind the point, by integer arithmetic alone."""
        hundredths = (abs(amount) * 10**_DIGITS + unit // 2) // unit
        whole, rest = divmod(hundredths, 10**_DIGITS)
        point, comma = (",", ".") if self._language is Language.VI else (".", ",")
        digits = f"{whole:,}".replace(",", comma)
        behind = f"{rest:0{_DIGITS}}".rstrip("0")
        sign = "-" if amount < 0 else ""
        return f"{sign}{digits}{point}{behind}" if behind else f"{sign}{digits}"

    def _duration(self, seconds: int) -> str:
        parts: list[str] = []
        for word, unit in _UNITS:
            count, seconds = divmod(seconds, unit)
            if count:
                parts.append(self._unit(word, count, 1))
        return " ".join(parts) or self._unit("seconds", 0, 1)

    def _time(self, seconds: int) -> str:
        return datetime.fromtimestamp(seconds, _CLOCK).strftime(self._words["time"])
