"""New identifiers and secrets, from the operating system's chance."""

import base64
import secrets

from registry.ids import AllocationId, BookingId, PersonId, RequestId, TokenId

_ID_BYTES = 16
_SECRET_BYTES = 32


class RandomIds:
    """`Ids` that nobody can guess and that never meet."""

    def request(self) -> RequestId:
        """Return a new request id."""
        return RequestId(_random_id())

    def person(self) -> PersonId:
        """Return a new person id."""
        return PersonId(_random_id())

    def allocation(self) -> AllocationId:
        """Return a new allocation id."""
        return AllocationId(_random_id())

    def booking(self) -> BookingId:
        """Return a new booking id."""
        return BookingId(_random_id())

    def token(self) -> TokenId:
        """Return a new token id."""
        return TokenId(_random_id())

    def secret(self) -> str:
        """Return a new secret of 256 random bits; its prefix lets leak scanners and people recognize it."""
        return "haidang_" + secrets.token_urlsafe(_SECRET_BYTES)


def _random_id() -> str:
    """Return 128 random bits as 26 letters and digits that survive any file system, host name and URL."""
    return base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode().rstrip("=").lower()
