"""What a read needs to know before it begins: whose rows the warehouse holds, its own number, and how far tables are.

What can't be true is mended here: states of tables that are gone or emptied, and states from the future.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.warehouse.duckdb.loads import take_number
from klaviyo_assets.warehouse.duckdb.sql import columns, fold
from klaviyo_assets.warehouse.duckdb.transaction import STATE_TABLE, Transaction, naive
from klaviyo_assets.warehouse.errors import AnotherAccount
from klaviyo_assets.warehouse.results import AccountIdentity, Beginning
from klaviyo_assets.warehouse.state import SNAPSHOT, SyncState

ACCOUNT_TABLE = "_account"
_COLUMNS = {"id": Type.TEXT, "name": Type.TEXT}

TOLERANCE = dt.timedelta(hours=2)
"""A state that is so much later than now, or than the time at which it was stored, was written by a wrong clock."""


def known_account(transaction: Transaction) -> AccountIdentity | None:
    """Return the account whose rows the warehouse holds, None if it does not know."""
    if not transaction.column_types(ACCOUNT_TABLE):
        return None
    found = transaction.sql(f"SELECT {columns(_COLUMNS)} FROM {transaction.table(ACCOUNT_TABLE)}")
    return AccountIdentity(*found[0]) if found else None


def claim(transaction: Transaction, account: AccountIdentity, place: str) -> None:
    """Store the account whose rows come, or its new name; raise AnotherAccount if the warehouse holds another's."""
    known = known_account(transaction)
    if known and known.id != account.id:
        raise AnotherAccount(place, str(known), str(account))
    if known == account:
        return
    transaction.create(ACCOUNT_TABLE, _COLUMNS)
    table = transaction.table(ACCOUNT_TABLE)
    transaction.sql(f"DELETE FROM {table}")
    transaction.sql(f"INSERT INTO {table} VALUES (?, ?)", [account.id, account.name])


def begin(
    transaction: Transaction, staging: Transaction, now: dt.datetime | None, tables: Iterable[str] = ()
) -> Beginning:
    """Mend the states and take a number. now: the source's time, aware; None: its clock is not asked.

    tables: what is to be read. Raises ViewInPlace if a view has the name of one, or of its staging copy. The states of
    other such tables stay: the view may only be there for a while.
    """
    for table in tables:
        transaction.has_table(table)
        staging.has_table(table)
    mended = []
    for (table, scope), state in transaction.read_states().items():
        place = staging if scope == SNAPSHOT else transaction
        if place.is_view(table):
            continue
        if fold(table) not in place.tables():
            reason = "the table is gone"
        elif scope == "" and state.rows and _is_empty(transaction, table):
            reason = "the table was emptied"
        elif now and _is_from_future(state, now):
            reason = f"it speaks of {state.synced_through}, and it is {now}"
            if _cut(transaction, state, now):
                mended.append(f"{_name(state)} was cut: {reason}.")
                continue
        else:
            continue
        transaction.forget([table], scope)
        mended.append(f"{_name(state)} is void: {reason}.")
    return Beginning(take_number(transaction), transaction.read_states(), tuple(mended))


def _name(state: SyncState) -> str:
    return f"What was known of how far {state.table} is synced" + (f" ({state.scope})" if state.scope else "")


def _is_empty(transaction: Transaction, table: str) -> bool:
    return not transaction.sql(f"SELECT 1 FROM {transaction.table(table)} LIMIT 1")


def _is_from_future(state: SyncState, now: dt.datetime) -> bool:
    if state.synced_through is None:
        return False
    return state.synced_through > min(now, state.synced_at or now) + TOLERANCE


def _cut(transaction: Transaction, state: SyncState, now: dt.datetime) -> bool:
    """Let a range end when it was stored, the latest that can have been read; return whether that is known."""
    if state.synced_from is None or state.synced_at is None or state.synced_at > now + TOLERANCE:
        return False
    through = min(state.synced_at, now) - TOLERANCE
    if through <= state.synced_from:
        return False
    transaction.sql(
        f'UPDATE {transaction.table(STATE_TABLE)} SET synced_through = ? WHERE "table" = ? AND scope = ?',
        [naive(through), state.table, state.scope],
    )
    return True
