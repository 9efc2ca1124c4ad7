"""Flagging rows that a complete read did not return."""

from __future__ import annotations

from klaviyo_assets.warehouse.errors import SuspiciousSnapshot
from klaviyo_assets.warehouse.extract import Scope, Sweep
from klaviyo_assets.warehouse.live_rows import NOT_DELETED, inside
from klaviyo_assets.warehouse.loads import record, written_since
from klaviyo_assets.warehouse.rows import parquets
from klaviyo_assets.warehouse.schema import DELETED, SYNCED, TableSpec
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import quote, same_key
from klaviyo_assets.warehouse.transaction import Transaction, naive


def flag_vanished(
    transaction: Transaction, spec: TableSpec, scope: Scope, guard: float | None, came: str, began: int
) -> int:
    """Flag the live rows of a scope whose keys are not in the relation `came`; return how many.

    began: number of the read. What was written since may have come into being after it was read here.
    guard: share of them that may vanish; more raises SuspiciousSnapshot. None: any.
    """
    condition, parameters = inside(scope)
    table = transaction.table(spec.name)
    live = f"{condition} AND {NOT_DELETED} AND NOT {written_since(transaction, spec.name, began)}"
    vanished = f"{live} AND NOT EXISTS (SELECT 1 FROM {came} WHERE {same_key(spec.name, came, spec.primary_key)})"
    if guard is not None:
        before = transaction.value(f"SELECT count(*) FROM {table} WHERE {live}", parameters)
        going = transaction.value(f"SELECT count(*) FROM {table} WHERE {vanished}", parameters)
        check_shrink(spec, before=before, going=going, guard=guard)
    deleted: int = transaction.value(
        f"UPDATE {table} SET {quote(DELETED.name)} = true, {quote(SYNCED.name)} = ? WHERE {vanished}",
        [transaction.synced_at, *parameters],
    )
    return deleted


def missing_keys(transaction: Transaction, sweep: Sweep) -> list[str]:
    """Return the keys of live rows that a sweep should have seen and did not."""
    if not transaction.column_types(sweep.spec.name):
        return []
    (key,) = sweep.spec.primary_key
    keys = parquets(sweep.keys) if sweep.keys.files else "(SELECT NULL WHERE false)"
    recent = written_since(transaction, sweep.spec.name, sweep.began)
    found = transaction.sql(
        f"SELECT {quote(key)} FROM {transaction.table(sweep.spec.name)} WHERE {NOT_DELETED} "
        f"AND NOT {recent} AND coalesce({quote(sweep.created)} < ?, true) "
        f"AND {quote(key)} NOT IN (SELECT * FROM {keys})",
        [naive(sweep.created_before)],
    )
    return [row[0] for row in found]


def flag_gone(transaction: Transaction, sweep: Sweep, gone: Spool) -> int:
    """Flag the rows with these keys that nobody has written since the sweep began, and their children."""
    (key,) = sweep.spec.primary_key
    if not gone.files:
        return 0
    keys = f"(SELECT * FROM {parquets(gone)})"
    flag = f"SET {quote(DELETED.name)} = true, {quote(SYNCED.name)} = ? WHERE {NOT_DELETED}"
    recent = written_since(transaction, sweep.spec.name, sweep.began)
    deleted: int = transaction.value(
        f"UPDATE {transaction.table(sweep.spec.name)} {flag} AND NOT {recent} AND {quote(key)} IN {keys}",
        [transaction.synced_at],
    )
    record(transaction, sweep.spec.name, sweep.began)
    for child, column in sweep.children:
        if transaction.column_types(child.name):
            record(transaction, child.name, sweep.began)
            transaction.sql(
                f"UPDATE {transaction.table(child.name)} {flag} AND {quote(column)} IN (SELECT {quote(key)} "
                f"FROM {transaction.table(sweep.spec.name)} WHERE {quote(DELETED.name)} AND {quote(key)} IN {keys})",
                [transaction.synced_at],
            )
    return deleted


FEW_ROWS = 10
"""A child table (a key of foreign keys), or a part of a table, may lose so many rows without anybody asking why."""


def check_shrink(spec: TableSpec, *, before: int, going: int, guard: float) -> None:
    """Raise SuspiciousSnapshot if too many live rows would be flagged as deleted.

    before: live rows now. going: those of them that a complete read did not return.
    guard: share of `before` that may go. Rows of child tables (their key contains a foreign key) come and go with
        settings of their parents, so a few of them may always go.
    """
    few_may_go = bool({key.column for key in spec.foreign_keys} & set(spec.primary_key)) or spec.partitioned_by
    if not going or going <= guard * before or (few_may_go and going <= FEW_ROWS):
        return
    raise SuspiciousSnapshot(
        f"{going:,} of the {before:,} live rows of {spec.name} did not come with a complete read, more than the share "
        f"of {guard:.0%} that `delete_guard` allows. Nothing was written. If they are really gone, materialize "
        f"{spec.name} alone with `accept_shrink: true` in its run config."
    )
