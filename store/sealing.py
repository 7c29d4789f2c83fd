"""Sealing of what must not be read from the database alone."""

import json
from dataclasses import asdict

from cryptography.fernet import Fernet, InvalidToken

from operations.ports.backend import Credentials, Leaf
from operations.ports.store import SealedOtherwiseError


class Seal:
    """Turns credentials into sealed bytes and back, with one key that is not in the database."""

    def __init__(self, key: str) -> None:
        """Take the key: 32 bytes in url-safe base64.

        Raises:
            ValueError: it is not of that shape.
        """
        self._fernet = Fernet(key)

    def closed(self, credentials: Credentials) -> bytes:
        """Return the credentials sealed."""
        written = {
            "authority": credentials.authority,
            "leaves": {role: asdict(leaf) for role, leaf in credentials.leaves.items()},
            "token": credentials.token,
        }
        return self._fernet.encrypt(json.dumps(written).encode())

    def opened(self, sealed: bytes) -> Credentials:
        """Return what was sealed.

        Raises:
            SealedOtherwiseError: it was sealed with another key, or changed since.
        """
        try:
            written = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise SealedOtherwiseError from error
        leaves = {role: Leaf(**leaf) for role, leaf in written.pop("leaves").items()}
        return Credentials(leaves=leaves, **written)
