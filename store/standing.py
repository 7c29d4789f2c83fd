"""The numbers and names that both kinds of store keep to."""

from typing import Final

from quotas.ledger import AccountId

DAYS_THAT_MATTER: Final = 90
"""How far back a rebuild reads use: with a half-life of a week, what is older weighs less than a seven-thousandth."""

KEPT_SECONDS: Final = 48 * 3600
"""How long an idempotency key is remembered at least; nobody repeats a call for two days."""

_STANDING: Final = ("center:", "source:")


def is_standing(account: AccountId) -> bool:
    """Tell whether an account exists without being opened and may run below zero; all others are allocations'."""
    return account.startswith(_STANDING)
