"""Idempotency keys: a call that carries the same one again is done once."""

from __future__ import annotations

import re
import secrets
from typing import Final

from haidang.errors import ArgumentError
from haidang.words import Words

_KEY: Final = re.compile(r"[!-~]{1,255}")


def key_of(given: str | None, words: Words) -> str:
    """Return the key of a call: the one that is given, else a new one, which only the call's own retries share.

    Raises:
        ArgumentError: it cannot be sent.
    """
    if given is None:
        return secrets.token_urlsafe(24)
    if not _KEY.fullmatch(given):
        raise ArgumentError("key", words("bad_key", argument="key", value=given))
    return given
