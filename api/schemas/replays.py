"""What came with an idempotency key, as a fingerprint that tells it from anything else."""

import json
from collections.abc import Collection
from hashlib import sha256

from api.schemas.shape import Closed
from operations.replaying import ReplayKey
from registry.ids import PersonId


def replay_of(
    person: PersonId, key: str | None, body: Closed, about: str = "", newer: Collection[str] = ()
) -> ReplayKey | None:
    """Return a person's key with the fingerprint of what was asked: the same for the same, however it is written.

    `about` is what the body does not say: what is done, and to what. A key may be repeated to a newer version than it
    was first sent to, so of the `newer` fields those are left out that the body leaves out.
    """
    if key is None:
        return None
    unsaid = {name for name in newer if getattr(body, name) is None}
    meant = json.dumps(body.model_dump(mode="json", by_alias=True, exclude=unsaid), sort_keys=True)
    return ReplayKey(person=person, key=key, fingerprint=sha256(f"{about}{meant}".encode()).hexdigest())
