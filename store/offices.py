"""The nouns of one transaction, put together."""

from functools import partial

from operations.ports.office import Office
from store.accounts import SqlAccounts
from store.bills import SqlBills
from store.bookings import SqlBookings
from store.books import SqlBooks
from store.capacity import SqlCapacity
from store.clusters import SqlClusters
from store.connections import Transaction
from store.facilities import SqlFacilities
from store.facts import read_facts
from store.institutions import SqlInstitutions
from store.journal import SqlJournal
from store.keys import SqlKeys
from store.logs import SqlLogs
from store.nodes import SqlNodes
from store.outcomes import SqlOutcomes
from store.people import SqlGrants, SqlPeople
from store.projects import SqlProjects
from store.register import SqlRegister
from store.request_views import SqlRequestViews
from store.requests import SqlRequests
from store.runs import SqlRuns
from store.sealing import Seal
from store.shares import SqlShares
from store.tokens import SqlTokens
from store.vault import SqlVault
from store.waits import SqlWaits


def office_in(transaction: Transaction, seal: Seal) -> Office:
    """Return everything that may be touched inside the transaction."""
    return Office(
        requests=SqlRequests(transaction),
        clusters=SqlClusters(transaction),
        capacity=SqlCapacity(transaction),
        bookings=SqlBookings(transaction),
        accounts=SqlAccounts(transaction),
        runs=SqlRuns(transaction),
        outcomes=SqlOutcomes(transaction),
        keys=SqlKeys(transaction),
        vault=SqlVault(transaction, seal),
        register=SqlRegister(transaction),
        journal=SqlJournal(transaction),
        logs=SqlLogs(transaction),
        trial=transaction.trial,
        news=partial(read_facts, transaction),
        institutions=SqlInstitutions(transaction),
        projects=SqlProjects(transaction),
        people=SqlPeople(transaction),
        grants=SqlGrants(transaction),
        tokens=SqlTokens(transaction),
        facilities=SqlFacilities(transaction),
        nodes=SqlNodes(transaction),
        shares=SqlShares(transaction),
        request_views=SqlRequestViews(transaction),
        books=SqlBooks(transaction),
        bills=SqlBills(transaction),
        waits=SqlWaits(transaction),
    )
