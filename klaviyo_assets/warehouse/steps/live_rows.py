"""Questions about how many rows a table has: most are about those that are not deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from klaviyo_assets.schema.spec import DELETED, TableSpec, Type
from klaviyo_assets.warehouse.extract import Coverage
from klaviyo_assets.warehouse.results import Shrinkage
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import quote, same_key
from klaviyo_assets.warehouse.steps.declared import as_declared, with_system_columns
from klaviyo_assets.warehouse.transaction import Transaction, aware, naive

NOT_DELETED = f"NOT coalesce({quote(DELETED.name)}, false)"


def measure_shrinkage(transaction: Transaction, spec: TableSpec, staging: str) -> Shrinkage:
    """Compare a table with its snapshot, which is in the schema `staging`."""
    types = with_system_columns(spec, *spec.primary_key)
    copy = as_declared(transaction.dialect, transaction.in_schema(staging).source(spec.name), types)
    staged = f"SELECT count(*) FROM {copy} AS staged"
    if not transaction.column_types(spec.name):
        return Shrinkage(0, 0, transaction.value(staged))
    live = f"{as_declared(transaction.dialect, transaction.source(spec.name), types)} AS own WHERE {NOT_DELETED}"
    lacking = (
        f"SELECT count(*) FROM (SELECT * FROM {live}) AS live WHERE NOT EXISTS "
        f"(SELECT 1 FROM {copy} AS staged WHERE {same_key('live', 'staged', spec.primary_key)})"
    )
    ((live_rows, lacking_rows, staged_rows),) = transaction.sql(
        f"SELECT (SELECT count(*) FROM {live}), ({lacking}), ({staged})"
    )
    return Shrinkage(live_rows, lacking_rows, staged_rows)


def earliest(transaction: Transaction, table: str, column: str) -> dt.datetime | None:
    """Return the earliest time in a column, in UTC; None if there is no live row."""
    if column not in transaction.column_types(table):
        return None
    live = f"{_flagged(transaction, table, {column: Type.TIMESTAMP})} AS own WHERE {NOT_DELETED}"
    return aware(transaction.value(f"SELECT min({quote(column)}) FROM {live}"))


def daily_counts(transaction: Transaction, table: str, by: str, coverage: Coverage) -> dict[tuple[Any, dt.date], int]:
    """Return (value of `by`, day) -> number of live rows in a range of time."""
    if not coverage.column or not {by, coverage.column} <= transaction.column_types(table).keys():
        return {}
    condition, parameters = is_covered(transaction, coverage)
    rows = _flagged(transaction, table, {by: Type.TEXT, coverage.column: Type.TIMESTAMP})
    counted = transaction.sql(
        f"SELECT {quote(by)}, CAST({quote(coverage.column)} AS DATE) AS day, count(*) FROM {rows} AS own "
        f"WHERE {NOT_DELETED} AND {condition} GROUP BY 1, 2",
        parameters,
    )
    return {(value, day): count for value, day, count in counted}


def rows_by_day(transaction: Transaction, spec: TableSpec, start: dt.datetime, end: dt.datetime) -> dict[dt.date, int]:
    """Return day -> number of rows of a partition, deleted ones included, in a range of time, if there are any."""
    column = str(spec.partitioned_by)
    condition, parameters = is_covered(transaction, Coverage(column, start, end))
    rows = as_declared(transaction.dialect, transaction.source(spec.name), {column: Type.TIMESTAMP})
    return dict(
        transaction.sql(
            f"SELECT CAST({quote(column)} AS DATE) AS day, count(*) FROM {rows} AS own WHERE {condition} GROUP BY 1",
            parameters,
        )
    )


def count_live(transaction: Transaction, table: str) -> int:
    """Return the number of live rows of a table, 0 if there is no such table."""
    if not transaction.column_types(table):
        return 0
    rows = _flagged(transaction, table, {})
    count: int = transaction.value(f"SELECT count(*) FROM {rows} AS own WHERE {NOT_DELETED}")
    return count


def _flagged(transaction: Transaction, table: str, types: Mapping[str, Type]) -> str:
    """Return the relation of a table with columns as they are declared, the one that flags deleted rows included."""
    return as_declared(transaction.dialect, transaction.source(table), {**types, DELETED.name: DELETED.type})


def spooled(transaction: Transaction, keys: Spool) -> tuple[str, str]:
    """Return the relation of a spool with one column, in which each value is a key's, and that column."""
    (types,) = {tuple(file.types.items()) for file in keys.files} or {(("key", Type.TEXT),)}
    return transaction.session.spooled(keys, dict(types)), types[0][0]


def is_covered(
    transaction: Transaction, coverage: Coverage, types: Mapping[str, str] | None = None
) -> tuple[str, list[Any]]:
    """Return the condition that a row is in a coverage, and its parameters.

    types: native types of the rows' columns; None: they are as declared.
    """
    if coverage.column is None:
        return "true", []
    column = quote(coverage.column)
    if coverage.values is not None:
        return f"{column} IN (SELECT * FROM {spooled(transaction, coverage.values)[0]} AS chosen)", []
    if types:
        column = transaction.dialect.read_as(column, types[coverage.column], Type.TIMESTAMP)
    conditions, parameters = ["true"], []
    for operator, bound in ((">=", coverage.start), ("<", coverage.end)):
        if bound is not None:
            conditions.append(f"{column} {operator} ?")
            parameters.append(naive(bound))
    return " AND ".join(conditions), parameters
