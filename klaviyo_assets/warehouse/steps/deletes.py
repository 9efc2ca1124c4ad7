"""Flagging rows that a complete read did not return."""

from __future__ import annotations

from collections.abc import Callable

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.extract import Coverage, Sweep
from klaviyo_assets.warehouse.guard import Waiting, is_suspicious
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import quote, same_key
from klaviyo_assets.warehouse.steps.declared import as_declared, is_declared, with_system_columns
from klaviyo_assets.warehouse.steps.flags import Missing, flag, forget_returned
from klaviyo_assets.warehouse.steps.live_rows import NOT_DELETED, is_covered, spooled
from klaviyo_assets.warehouse.steps.loads import LOADS_TABLE, record, written_since
from klaviyo_assets.warehouse.transaction import Transaction, naive

MOST_ASKED = 300
"""Keys that the source is asked for one by one before their rows are flagged: two minutes of what Klaviyo allows."""


def flag_vanished(
    transaction: Transaction,
    spec: TableSpec,
    coverage: Coverage,
    guard: float | None,
    came: str,
    began: int,
    confirmed: Spool | None = None,
) -> tuple[int, Waiting | None]:
    """Flag the live rows of a coverage whose keys are not in the relation `came`; return how many, and what waits.

    began: number of the read. What was written since may have come into being after it was read here.
    guard: share of them that may be flagged at once; the flags of more wait. None: any.
    confirmed: keys that the source was asked for and says are gone; others are not flagged. None: no need to ask.
    """
    return flag(transaction, spec, _vanished(transaction, spec, coverage, came, began, confirmed), guard, began)


def keys_to_ask_for(
    transaction: Transaction, spec: TableSpec, coverage: Coverage, guard: float | None, spool: Spool, began: int
) -> list[str]:
    """Return the keys of rows that a load of the spool would flag, for the source to be asked about each of them.

    At most `MOST_ASKED`, those that were written longest ago first; none if there are more and none of them would be
    flagged now (too many are missing), or all of them in any case (without a guard).
    """
    if not {spec.name, LOADS_TABLE} <= transaction.tables():
        return []
    (key,) = spec.primary_key
    came = transaction.session.spooled(spool, {key: spec.types[key]})
    types = with_system_columns(spec, key, *([coverage.column] if coverage.column else []))
    rows = f"{as_declared(transaction.dialect, transaction.source(spec.name), types)} AS {quote(spec.name)}"
    vanished = _vanished(transaction, spec, coverage, came, began, rows=rows)
    where = f"FROM {rows} WHERE {vanished.condition}"
    going = transaction.value(f"SELECT count(*) {where}", vanished.parameters)
    if going > MOST_ASKED and (guard is None or is_suspicious(spec, live=vanished.live, going=going, guard=guard)):
        return []
    found = transaction.sql(
        f"SELECT {quote(key)} {where} AND {quote(key)} IS NOT NULL "
        f"ORDER BY {quote(SYNCED.name)} NULLS FIRST, 1 LIMIT {MOST_ASKED}",
        vanished.parameters,
    )
    return [row[0] for row in found]


def _vanished(
    transaction: Transaction,
    spec: TableSpec,
    coverage: Coverage,
    came: str,
    began: int,
    confirmed: Spool | None = None,
    rows: str | None = None,
) -> Missing:
    condition, parameters = is_covered(transaction, coverage, None if rows else transaction.column_types(spec.name))
    live = f"{condition} AND {NOT_DELETED} AND NOT {written_since(transaction, spec.name, began)}"
    count = transaction.value(f"SELECT count(*) FROM {rows or transaction.table(spec.name)} WHERE {live}", parameters)
    vanished = (
        f"{live} AND NOT EXISTS (SELECT 1 FROM {came} AS came WHERE {same_key(spec.name, 'came', spec.primary_key)})"
    )
    return Missing(vanished, parameters, count, coverage.read_at, confirmed)


def missing_keys(transaction: Transaction, sweep: Sweep) -> list[str]:
    """Return the keys of live rows that a sweep should have seen and did not."""
    if not transaction.column_types(sweep.spec.name):
        return []
    (key,) = sweep.spec.primary_key
    keys, name = spooled(transaction, sweep.keys)
    there = f"{quote('there', name)} = {quote('own', key)}"
    recent = written_since(transaction, sweep.spec.name, sweep.began)
    types = with_system_columns(sweep.spec, key) | {sweep.created: Type.TIMESTAMP}
    rows = as_declared(transaction.dialect, transaction.source(sweep.spec.name), types)
    found = transaction.sql(
        f"SELECT {quote(key)} FROM {rows} AS own WHERE {NOT_DELETED} AND {quote(key)} IS NOT NULL "
        f"AND NOT {recent} AND coalesce({quote(sweep.created)} < ?, true) "
        f"AND NOT EXISTS (SELECT 1 FROM {keys} AS there WHERE {there})",
        [naive(sweep.created_before)],
    )
    return [row[0] for row in found]


def flag_gone(transaction: Transaction, sweep: Sweep, gone: Spool, guard: float | None) -> tuple[int, Waiting | None]:
    """Flag the rows with these keys that nobody has written since the sweep began, and the children of flagged rows.

    Returns how many rows, and what waits because they are more than the guard allows.
    """
    spec = sweep.spec
    (key,) = spec.primary_key
    table = transaction.table(spec.name)
    live = transaction.value(f"SELECT count(*) FROM {table} WHERE {NOT_DELETED}")
    keys = f"(SELECT * FROM {spooled(transaction, gone)[0]} AS gone)"
    there_is = f"(SELECT * FROM {spooled(transaction, sweep.keys)[0]} AS there)"
    recent = written_since(transaction, spec.name, sweep.began)
    condition = f"{NOT_DELETED} AND NOT {recent} AND {quote(key)} IN {keys}"
    deleted, waiting = flag(transaction, spec, Missing(condition, (), live, sweep.created_before), guard, sweep.began)
    forget_returned(transaction, spec, f"(SELECT * FROM {table} WHERE {NOT_DELETED} AND {quote(key)} NOT IN {keys})")
    if deleted:
        record(transaction, spec.name, sweep.began)
    # Of all flagged rows, not only of those now: a run that stalled may have brought children of one since. No read of
    # their own would miss them, for a profile that is gone has no page any more.
    flagged = f"(SELECT {quote(key)} FROM {table} WHERE {quote(DELETED.name)})"
    # A row that somebody has removed by hand can't be flagged; who is at neither place is gone as well.
    known, there_is = (
        f"(SELECT {quote(key)} FROM {table} WHERE {quote(key)} IS NOT NULL)",
        f"(SELECT * FROM {spooled(transaction, sweep.keys)[0]} AS k)",
    )
    for child, column in sweep.children:
        # One that is not as declared is left to the next sweep: its own load mends it.
        there, own = transaction.column_types(child.name), with_system_columns(child, column)
        if not is_declared(transaction.dialect, there, own):
            continue
        if transaction.update(
            child.name,
            {DELETED.name: "true", SYNCED.name: "?"},
            f"{NOT_DELETED} AND ({quote(column)} IN {flagged} OR {quote(column)} NOT IN {known} "
            f"AND {quote(column)} NOT IN {there_is} AND NOT {written_since(transaction, child.name, sweep.began)})",
            [transaction.stamp],
            before=_recording(transaction, child.name, sweep.began),
        ):
            record(transaction, child.name, sweep.began)
    return deleted, waiting


def _recording(transaction: Transaction, table: str, began: int) -> Callable[[str], None]:
    return lambda _: record(transaction, table, began)
