"""Which language a caller is answered in."""

from typing import Final

from starlette.datastructures import Headers

from operations.sentences import Language

_MOST_RANGES: Final = 16
_OURS: Final = {language.value: language for language in Language}


def language_of(headers: Headers) -> Language:
    """Return the language that `Accept-Language` likes best among ours (RFC 9110, 12.5.4); English without a liking."""
    liked: dict[Language, float] = {}
    for part in headers.get("accept-language", "").split(",")[:_MOST_RANGES]:
        name, _, weight = part.partition(";")
        language = _OURS.get(name.strip().lower().partition("-")[0])
        if language is not None:
            liked[language] = max(liked.get(language, 0.0), _quality(weight))
    best = max(liked, key=lambda language: liked[language], default=Language.EN)
    return best if liked.get(best) else Language.EN


def _quality(weight: str) -> float:
    name, _, number = weight.strip().partition("=")
    digits = number.strip()
    if name.strip().lower() != "q":
        return 1.0
    return float(digits) if digits.replace(".", "", 1).isdecimal() and digits.isascii() else 0.0
