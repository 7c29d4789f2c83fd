"""What pydantic finds wrong with a call, as reasons that name the field and never repeat its value."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from operations.reasons import Flaw, Invalid, Reason, WrongMediaType

_MOST_TOLD: Final = 20
_SPEAKABLE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KEY: Final = "[key]"

_FLAWS: Final[Mapping[str, Flaw]] = {
    "missing": Flaw.MISSING,
    "extra_forbidden": Flaw.UNEXPECTED,
    "json_invalid": Flaw.NOT_JSON,
    "string_type": Flaw.NOT_TEXT,
    "string_unicode": Flaw.NOT_TEXT,
    "int_type": Flaw.NOT_INTEGER,
    "int_parsing": Flaw.NOT_INTEGER,
    "int_parsing_size": Flaw.NOT_INTEGER,
    "int_from_float": Flaw.NOT_INTEGER,
    "bool_type": Flaw.NOT_BOOLEAN,
    "bool_parsing": Flaw.NOT_BOOLEAN,
    "dict_type": Flaw.NOT_OBJECT,
    "model_type": Flaw.NOT_OBJECT,
    "model_attributes_type": Flaw.NOT_OBJECT,
    "list_type": Flaw.NOT_LIST,
    "string_pattern_mismatch": Flaw.NOT_OF_SHAPE,
    "enum": Flaw.NOT_ONE_OF,
    "literal_error": Flaw.NOT_ONE_OF,
    "greater_than_equal": Flaw.NOT_AT_LEAST,
    "less_than_equal": Flaw.NOT_AT_MOST,
    "string_too_short": Flaw.SHORTER_THAN,
    "too_short": Flaw.SHORTER_THAN,
    "string_too_long": Flaw.LONGER_THAN,
    "too_long": Flaw.LONGER_THAN,
}
_BOUNDS: Final = ("ge", "le", "expected", "min_length", "max_length")


def flaws(errors: Sequence[Mapping[str, Any]]) -> Iterator[Reason]:
    """Yield a reason for each error, as many as anybody reads."""
    for error in errors[:_MOST_TOLD]:
        if error["type"] == "model_attributes_type" and error["loc"] == ("body",) and isinstance(error["input"], bytes):
            yield WrongMediaType()
            continue
        context = error.get("ctx", {})
        yield Invalid(
            field=_field(error["loc"]),
            problem=_FLAWS.get(error["type"], Flaw.UNREADABLE),
            bound=next((_bound(context[name]) for name in _BOUNDS if name in context), None),
        )


def _bound(limit: int | str) -> int | str:
    """Return a limit, and choices without the words that stand between them."""
    return limit if isinstance(limit, int) else limit.replace("'", "").replace(" or ", ", ")


def speakable(name: str) -> str:
    """Return the name of a field as it may be repeated: one that is none is not."""
    return name if _SPEAKABLE.fullmatch(name) else "?"


def _field(loc: Sequence[str | int]) -> str:
    """Return the name of a field inside the body, or of a parameter."""
    where, *parts = loc
    named = [str(part) for part in parts if part != _KEY]
    if not named or (where == "body" and isinstance(parts[0], int)):
        return str(where)
    return ".".join(speakable(part) for part in named)
