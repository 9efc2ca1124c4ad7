"""Flagging the rows that a complete read lacks, and noting those whose flags wait (see `warehouse.guard`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.guard import FEW_WAIT, SETTLED_AFTER, Waiting, is_suspicious
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.state import WAITING, SyncState
from klaviyo_assets.warehouse.steps.live_rows import NOT_DELETED, spooled
from klaviyo_assets.warehouse.steps.loads import record
from klaviyo_assets.warehouse.steps.states import forget, write_state
from klaviyo_assets.warehouse.transaction import Transaction, naive

NOTES = "_waiting_deletes"
_NOTE_COLUMNS = {"table": Type.TEXT, "key": Type.TEXT, "missed_since": Type.TIMESTAMP}


@dataclass(frozen=True)
class Missing:
    """The live rows that a complete read should have returned and did not.

    condition, parameters: SQL, of the table's rows. live: number of rows that it should have returned.
    read_at: the server's time when the read began; a read without it settles nothing.
    confirmed: a spool of the keys that the source says are gone, asked for each; None if it needs not be asked.
    """

    condition: str
    parameters: Sequence[Any]
    live: int
    read_at: dt.datetime | None = None
    confirmed: Spool | None = None


def flag(
    transaction: Transaction, spec: TableSpec, missing: Missing, guard: float | None, began: int
) -> tuple[int, Waiting | None]:
    """Flag rows as deleted, or note those whose flags wait; return how many were flagged, and what waits.

    began: number of the read.
    guard: share of the live rows that may be flagged at once, and only if the source confirms it where it can be
        asked. None: all of them are flagged.
    """
    table = transaction.table(spec.name)
    condition, parameters = missing.condition, list(missing.parameters)
    going = transaction.value(f"SELECT count(*) FROM {table} WHERE {condition}", parameters)
    if not going:
        return 0, None
    suspicious = guard is not None and is_suspicious(spec, live=missing.live, going=going, guard=guard)
    settles = suspicious and _number_waiting(transaction, spec, missing) <= FEW_WAIT
    may_be_flagged = condition
    more: list[Any] = []
    if guard is not None and missing.confirmed is not None:
        (key,) = spec.primary_key
        gone = f"{quote(key)} IN (SELECT * FROM {spooled(transaction, missing.confirmed)[0]} AS gone)"
        may_be_flagged += f" AND ({gone} OR {quote(key)} IS NULL)"  # one without a key is none of the source's
    if suspicious:
        old, more = _noted(transaction, spec, missing.read_at) if settles else ("false", [])
        may_be_flagged += f" AND {old}"
    if may_be_flagged != condition:
        transaction.create(NOTES, _NOTE_COLUMNS, key=["table", "key"])
    if not transaction.dialect.capabilities.transactions:
        record(transaction, spec.name, began)
    deleted = transaction.update(
        spec.name,
        {DELETED.name: "true", SYNCED.name: "?"},
        may_be_flagged,
        [transaction.stamp, *parameters, *more],
    )
    if deleted == going:
        return deleted, None
    _note(transaction, spec, missing)
    return deleted, Waiting(missing.live, going - deleted, suspicious, settles)


def forget_returned(transaction: Transaction, spec: TableSpec, came: str) -> None:
    """Forget the notes of rows that came (a relation with the table's key) or that are no longer live."""
    of_table = '"table" = ?'
    if not transaction.column_types(NOTES) or not transaction.value(
        f"SELECT count(*) FROM {transaction.table(NOTES)} WHERE {of_table}", [spec.name]
    ):
        return
    key = _key(transaction, spec)
    live = f"SELECT {key} AS live_key FROM {transaction.table(spec.name)} WHERE {NOT_DELETED}"
    is_live = f"EXISTS (SELECT 1 FROM ({live}) AS live WHERE live.live_key = {quote(NOTES, 'key')})"
    transaction.delete(NOTES, f"{of_table} AND key IN (SELECT {key} FROM {came} AS came)", [spec.name])
    transaction.delete(NOTES, f"{of_table} AND NOT {is_live}", [spec.name])
    _write_state(transaction, spec)


def _note(transaction: Transaction, spec: TableSpec, missing: Missing) -> None:
    key = _key(transaction, spec)
    at = naive(missing.read_at)
    if at:  # a time in the future is that of a clock that was wrong
        transaction.update(
            NOTES, {"missed_since": "?"}, '"table" = ? AND coalesce(missed_since > ?, true)', [at, spec.name, at]
        )
    transaction.insert_from(
        NOTES,
        list(_NOTE_COLUMNS),
        f"SELECT CAST(? AS VARCHAR), {key}, CAST(? AS TIMESTAMP) "
        f"FROM {transaction.table(spec.name)} "
        f"WHERE {missing.condition} AND {key} NOT IN "
        f'(SELECT key FROM {transaction.table(NOTES)} WHERE "table" = ?)',
        [spec.name, at, *missing.parameters, spec.name],
    )


def _number_waiting(transaction: Transaction, spec: TableSpec, missing: Missing) -> int:
    """Return how many rows of the table wait once the missing ones do."""
    key = _key(transaction, spec)
    waiting = f"SELECT {key} AS key FROM {transaction.table(spec.name)} WHERE {missing.condition}"
    parameters = list(missing.parameters)
    if transaction.column_types(NOTES):
        waiting += f' UNION SELECT key FROM {transaction.table(NOTES)} WHERE "table" = ?'
        parameters.append(spec.name)
    count: int = transaction.value(f"SELECT count(*) FROM ({waiting}) AS waiting", parameters)
    return count


def _noted(transaction: Transaction, spec: TableSpec, read_at: dt.datetime | None) -> tuple[str, list[Any]]:
    """Return the condition that a row was missed long enough before a read, and its parameters."""
    if read_at is None or not transaction.column_types(NOTES):
        return "false", []
    key = _key(transaction, spec)
    return (
        f'{key} IN (SELECT key FROM {transaction.table(NOTES)} WHERE "table" = ? AND missed_since <= ?)',
        [spec.name, naive(read_at - SETTLED_AFTER)],
    )


def _write_state(transaction: Transaction, spec: TableSpec) -> None:
    rows, since = transaction.sql(
        f'SELECT count(*), min(missed_since) FROM {transaction.table(NOTES)} WHERE "table" = ?', [spec.name]
    )[0]
    forget(transaction, [spec.name], WAITING)
    if rows:
        write_state(transaction, SyncState(spec.name, WAITING, synced_through=since, rows=rows))


def _key(transaction: Transaction, spec: TableSpec) -> str:
    return transaction.dialect.text_of_key(spec.primary_key)
