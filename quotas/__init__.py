"""Amounts, shares and ledger arithmetic: pure."""
