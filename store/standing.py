"""The numbers and names that both kinds of store keep to."""

from typing import Final

from quotas.ledger import AccountId

DAYS_THAT_MATTER: Final = 90
"""How far back a rebuild reads use: with a half-life of a week, what is older weighs less than a seven-thousandth."""

BOOKED_SECONDS_THAT_MATTER: Final = 30 * 86_400
"""How long before the last one was made a booking may have ended to be read by a rebuild: no clock is read here."""

KEPT_SECONDS: Final = 48 * 3600
"""How long an idempotency key is remembered at least; nobody repeats a call for two days."""

_STANDING: Final = ("center:", "source:")


def is_standing(account: AccountId) -> bool:
    """Tell whether an account exists without being opened and may run below zero; all others are allocations'."""
    return account.startswith(_STANDING)
