"""What a read needs to know before it begins: whose rows the warehouse holds, its own number, and how far tables are.

What can't be true is mended here: states of tables that somebody dropped, made anew or removed rows from, and states
from the future.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.errors import AnotherAccount
from klaviyo_assets.warehouse.results import AccountIdentity, Beginning
from klaviyo_assets.warehouse.sql import column_list
from klaviyo_assets.warehouse.state import SNAPSHOT, SNAPSHOT_CONTENT, SyncState, with_rows
from klaviyo_assets.warehouse.steps.declared import with_system_columns
from klaviyo_assets.warehouse.steps.ensuring import ensure
from klaviyo_assets.warehouse.steps.loads import take_number
from klaviyo_assets.warehouse.steps.states import cut_state, forget, read_states, void, why_void
from klaviyo_assets.warehouse.transaction import Transaction

ACCOUNT_TABLE = "_account"
_COLUMNS = {"id": Type.TEXT, "name": Type.TEXT}

TOLERANCE = dt.timedelta(hours=2)
"""A state that is so much later than now, or than the time at which it was stored, was written by a wrong clock."""


def known_account(transaction: Transaction) -> AccountIdentity | None:
    """Return the account whose rows the warehouse holds, None if it does not know."""
    if not transaction.column_types(ACCOUNT_TABLE):
        return None
    found = transaction.sql(f"SELECT {column_list(_COLUMNS)} FROM {transaction.table(ACCOUNT_TABLE)}")
    return AccountIdentity(*found[0]) if found else None


def admit(transaction: Transaction, account: AccountIdentity, place: str) -> bool:
    """Return whether the account whose rows come is to be stored, or its new name; make the table for it.

    Raises AnotherAccount if the warehouse holds another's.
    """
    known = known_account(transaction)
    if known and known.id != account.id:
        raise AnotherAccount(place, str(known), str(account))
    if known != account:
        transaction.create(ACCOUNT_TABLE, _COLUMNS, key=["id"])
    return known != account


def store_account(transaction: Transaction, account: AccountIdentity) -> None:
    """Store the account whose rows come."""
    transaction.put(ACCOUNT_TABLE, ["id"], list(_COLUMNS), [(account.id, account.name)])


def begin(
    transaction: Transaction, staging: Transaction, now: dt.datetime | None, tables: Iterable[TableSpec] = ()
) -> Beginning:
    """Mend the states and take a number.

    now: the source's time, aware; None: its clock is not asked. tables: that are to be read; if their rows lack
    columns of these, they are to be read anew. Raises ViewInPlace if a view has the name of one, or of its snapshot.
    The states of other such tables stay: the view may only be there for a while. If a database would have to look at
    all rows to count them, only the next load finds that some were removed.
    """
    mended, tables = [], tuple(tables)
    for spec in tables:
        transaction.has_table(spec.name)
        staging.has_table(spec.name)
    states = {
        (table, scope): state
        for (table, scope), state in read_states(transaction).items()
        if scope != SNAPSHOT_CONTENT and not (staging if scope == SNAPSHOT else transaction).is_view(table)
    }
    declared = {spec.name: with_system_columns(spec, *spec.types).keys() for spec in tables}
    counts = {place.schema: place.row_counts(table for table, _ in states) for place in (transaction, staging)}
    for table, scope in sorted({(table, scope if scope == SNAPSHOT else "") for table, scope in states}):
        place = staging if scope == SNAPSHOT else transaction
        state = states.get((table, scope)) if scope == SNAPSHOT else with_rows(states, table)
        if state is None and table in counts[place.schema]:
            continue
        reason = why_void(place, state or SyncState(table), counts[place.schema], declared.get(table, ()))
        if reason:
            void(transaction, table) if place is transaction else forget(transaction, [table], scope)
            mended.append(f"{_name(table, scope)} is void: {reason}.")
    for spec in tables:  # what looks at rows before they are loaded may ask for any column
        if spec.name in counts[transaction.schema] and declared[spec.name] - transaction.column_types(spec.name).keys():
            ensure(transaction, spec)
    for (table, scope), state in read_states(transaction).items():
        if now and _is_from_future(state, now):
            reason = f"it speaks of {state.synced_through}, and it is {now}"
            if _cut(transaction, state, now):
                mended.append(f"{_name(table, scope)} was cut: {reason}.")
            else:
                forget(transaction, [table], scope)
                mended.append(f"{_name(table, scope)} is void: {reason}.")
    return Beginning(take_number(transaction), read_states(transaction), tuple(mended))


def _name(table: str, scope: str) -> str:
    return f"What was known of how far {table} is synced" + (f" ({scope})" if scope else "")


def _is_from_future(state: SyncState, now: dt.datetime) -> bool:
    if state.synced_through is None:
        return False
    return state.synced_through > min(now, state.stored_at or now) + TOLERANCE


def _cut(transaction: Transaction, state: SyncState, now: dt.datetime) -> bool:
    """Let a range end when it was stored, the latest that can have been read; return whether that is known."""
    if state.synced_from is None or state.stored_at is None or state.stored_at > now + TOLERANCE:
        return False
    through = min(state.stored_at, now) - TOLERANCE
    if through <= state.synced_from:
        return False
    cut_state(transaction, state, through)
    return True
