"""Flagging the rows that a complete read lacks, and noting those whose flags wait (see `warehouse.guard`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.duckdb.live_rows import NOT_DELETED
from klaviyo_assets.warehouse.duckdb.rows import parquets
from klaviyo_assets.warehouse.duckdb.sql import quote
from klaviyo_assets.warehouse.duckdb.transaction import Transaction, naive
from klaviyo_assets.warehouse.guard import FEW_WAIT, SETTLED_AFTER, Waiting, is_suspicious
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.state import WAITING, SyncState

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
    transaction: Transaction, spec: TableSpec, missing: Missing, guard: float | None
) -> tuple[int, Waiting | None]:
    """Flag rows as deleted, or note those whose flags wait; return how many were flagged, and what waits.

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
        may_be_flagged += f" AND {quote(key)} IN {_keys(missing.confirmed)}"
    if suspicious:
        old, more = _noted(transaction, spec, missing.read_at) if settles else ("false", [])
        may_be_flagged += f" AND {old}"
    deleted: int = transaction.value(
        f"UPDATE {table} SET {quote(DELETED.name)} = true, {quote(SYNCED.name)} = ? WHERE {may_be_flagged}",
        [transaction.stamp, *parameters, *more],
    )
    if deleted == going:
        return deleted, None
    _note(transaction, spec, missing)
    return deleted, Waiting(missing.live, going - deleted, suspicious, settles)


def forget_returned(transaction: Transaction, spec: TableSpec, came: str) -> None:
    """Forget the notes of rows that came (a relation with the table's key) or that are no longer live."""
    of_table = f'FROM {transaction.table(NOTES)} WHERE "table" = ?'
    if not transaction.column_types(NOTES) or not transaction.value(f"SELECT count(*) {of_table}", [spec.name]):
        return
    live = f"SELECT {_key(spec)} FROM {transaction.table(spec.name)} WHERE {NOT_DELETED}"
    transaction.sql(
        f"DELETE {of_table} AND (key IN (SELECT {_key(spec)} FROM {came}) OR key NOT IN ({live}))", [spec.name]
    )
    _write_state(transaction, spec)


def _note(transaction: Transaction, spec: TableSpec, missing: Missing) -> None:
    transaction.create(NOTES, _NOTE_COLUMNS)
    at = naive(missing.read_at)
    if at:  # a time in the future is that of a clock that was wrong
        transaction.sql(
            f"UPDATE {transaction.table(NOTES)} SET missed_since = ? "
            'WHERE "table" = ? AND coalesce(missed_since > ?, true)',
            [at, spec.name, at],
        )
    transaction.sql(
        f"INSERT INTO {transaction.table(NOTES)} SELECT ?, {_key(spec)}, ? FROM {transaction.table(spec.name)} "
        f"WHERE {missing.condition} AND {_key(spec)} NOT IN "
        f'(SELECT key FROM {transaction.table(NOTES)} WHERE "table" = ?)',
        [spec.name, at, *missing.parameters, spec.name],
    )


def _number_waiting(transaction: Transaction, spec: TableSpec, missing: Missing) -> int:
    """Return how many rows of the table wait once the missing ones do."""
    waiting = f"SELECT {_key(spec)} AS key FROM {transaction.table(spec.name)} WHERE {missing.condition}"
    parameters = list(missing.parameters)
    if transaction.column_types(NOTES):
        waiting += f' UNION SELECT key FROM {transaction.table(NOTES)} WHERE "table" = ?'
        parameters.append(spec.name)
    count: int = transaction.value(f"SELECT count(*) FROM ({waiting})", parameters)
    return count


def _noted(transaction: Transaction, spec: TableSpec, read_at: dt.datetime | None) -> tuple[str, list[Any]]:
    """Return the condition that a row was missed long enough before a read, and its parameters."""
    if read_at is None or not transaction.column_types(NOTES):
        return "false", []
    return (
        f'{_key(spec)} IN (SELECT key FROM {transaction.table(NOTES)} WHERE "table" = ? AND missed_since <= ?)',
        [spec.name, naive(read_at - SETTLED_AFTER)],
    )


def _write_state(transaction: Transaction, spec: TableSpec) -> None:
    rows, since = transaction.sql(
        f'SELECT count(*), min(missed_since) FROM {transaction.table(NOTES)} WHERE "table" = ?', [spec.name]
    )[0]
    transaction.forget([spec.name], WAITING)
    if rows:
        transaction.write_state(SyncState(spec.name, WAITING, synced_through=since, rows=rows))


def _key(spec: TableSpec) -> str:
    """Return the SQL of a row's key as one text."""
    texts = [f"CAST({quote(name)} AS VARCHAR)" for name in spec.primary_key]
    return texts[0] if len(texts) == 1 else f"CAST(to_json([{', '.join(texts)}]) AS VARCHAR)"


def _keys(spool: Spool) -> str:
    return f"(SELECT * FROM {parquets(spool)})" if spool.files else "(SELECT NULL WHERE false)"
