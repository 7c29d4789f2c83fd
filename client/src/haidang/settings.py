"""Where a center is and what lets somebody in, as they were given: read carefully, since people copy them by hand."""

from __future__ import annotations

import warnings
from typing import Final
from urllib.parse import urlsplit

from haidang.errors import HaidangWarning, SettingsError
from haidang.words import Words

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def address_of(url: str, words: Words) -> str:
    """Return a center's address; a token that would travel readable through a network is worth a warning."""
    if not url:
        raise SettingsError(words("no_url"))
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        raise SettingsError(words("bad_url", url=url)) from None
    if not is_address:
        raise SettingsError(words("bad_url", url=url))
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(words("long_url", url=url, origin=f"{parts.scheme}://{parts.netloc}"))
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        warnings.warn(words("clear_text", url=url), HaidangWarning, stacklevel=3)
    return url


def token_of(token: str, words: Words) -> str:
    """Return a token without the line break behind it; a letter that none has came in where it was copied."""
    token = token.strip()
    if not token:
        raise SettingsError(words("no_token"))
    if strange := next((letter for letter in token if not "!" <= letter <= "~"), None):
        raise SettingsError(words("strange_token", letter=strange))
    return token
