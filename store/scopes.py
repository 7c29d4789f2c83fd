"""The one place where rows are filtered by whose they are."""

from typing import Any

from sqlalchemy import ColumnElement, true

from registry.people import Scope


def within(scope: Scope, institution: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a row's institution may be seen; a row of none is seen by an unbounded scope only."""
    if scope.institutions is None:
        return true()
    return institution.in_(sorted(scope.institutions))
