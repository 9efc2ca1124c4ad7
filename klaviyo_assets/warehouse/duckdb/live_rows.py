"""Questions about the rows of a table that are not deleted."""

from __future__ import annotations

import datetime as dt
from typing import Any

from klaviyo_assets.schema.spec import DELETED, TableSpec
from klaviyo_assets.warehouse.duckdb.rows import parquets
from klaviyo_assets.warehouse.duckdb.sql import TYPE_NAMES, convert, quote, same_key, type_of
from klaviyo_assets.warehouse.duckdb.transaction import Transaction, aware, naive
from klaviyo_assets.warehouse.extract import Scope
from klaviyo_assets.warehouse.results import Shrinkage

NOT_DELETED = f"NOT coalesce({quote(DELETED.name)}, false)"


def measure_shrinkage(transaction: Transaction, spec: TableSpec, staging: str) -> Shrinkage:
    """Compare a table with its staging copy, which is in the schema `staging`."""
    copy = transaction.table(spec.name, staging)
    staged = transaction.value(f"SELECT count(*) FROM {copy}")
    if not transaction.column_types(spec.name):
        return Shrinkage(0, 0, staged)
    live = f"{transaction.table(spec.name)} WHERE {NOT_DELETED}"
    lacking = (
        f"SELECT count(*) FROM (SELECT * FROM {live}) AS live ANTI JOIN {copy} AS staged "
        f"ON {same_key('live', 'staged', spec.primary_key)}"
    )
    return Shrinkage(transaction.value(f"SELECT count(*) FROM {live}"), transaction.value(lacking), staged)


def earliest(transaction: Transaction, table: str, column: str) -> dt.datetime | None:
    """Return the earliest time in a column, in UTC; None if there is no live row."""
    native = transaction.column_types(table).get(column)
    if native is None:
        return None
    value = convert(f"min({quote(column)})", native, TYPE_NAMES[type_of(native)])
    return aware(transaction.value(f"SELECT {value} FROM {transaction.table(table)} WHERE {NOT_DELETED}"))


def daily_counts(transaction: Transaction, table: str, by: str, scope: Scope) -> dict[tuple[Any, dt.date], int]:
    """Return (value of `by`, day) -> number of live rows in a range of time."""
    if not scope.column or not {by, scope.column} <= transaction.column_types(table).keys():
        return {}
    condition, parameters = inside(scope)
    counted = transaction.sql(
        f"SELECT {quote(by)}, CAST({quote(scope.column)} AS DATE) AS day, count(*) FROM {transaction.table(table)} "
        f"WHERE {NOT_DELETED} AND {condition} GROUP BY ALL",
        parameters,
    )
    return {(value, day): count for value, day, count in counted}


def inside(scope: Scope) -> tuple[str, list[Any]]:
    """Return the condition that a row is in a scope, and its parameters."""
    if scope.column is None:
        return "true", []
    column = quote(scope.column)
    if scope.values is not None:
        if not scope.values.files:
            return "false", []
        return f"{column} IN (SELECT * FROM {parquets(scope.values)})", []
    conditions, parameters = ["true"], []
    for operator, bound in ((">=", scope.start), ("<", scope.end)):
        if bound is not None:
            conditions.append(f"{column} {operator} ?")
            parameters.append(naive(bound))
    return " AND ".join(conditions), parameters
