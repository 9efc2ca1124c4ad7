"""Columns that repeat a value of another table."""

from __future__ import annotations

from contextlib import ExitStack

from klaviyo_assets.schema.spec import DELETED, SYNCED, Lookup, TableSpec, Type
from klaviyo_assets.warehouse.duckdb.declared import is_declared, with_system_columns
from klaviyo_assets.warehouse.duckdb.loads import restamping
from klaviyo_assets.warehouse.duckdb.rewriting import sql_function
from klaviyo_assets.warehouse.duckdb.sql import quote
from klaviyo_assets.warehouse.duckdb.transaction import Transaction


def correct(transaction: Transaction, dependent: TableSpec, lookup: Lookup) -> int:
    """Update the rows of `dependent` whose looked-up column differs from the table it repeats.

    A `dependent` that is not there yet, or not as declared, is left to its own load and to the next publication.
    The stamp of a deleted row stays: it tells which read flagged it.
    Raises ViewInPlace if a view has the name of `dependent`.
    Where `dependent` holds digests, the other table's values are hashed to compare (a digest stays what it is).
    """
    transaction.has_table(dependent.name)
    if not is_declared(
        transaction.column_types(dependent.name), with_system_columns(dependent, lookup.on, lookup.column)
    ):
        return 0
    key, value, policy = quote(lookup.key), quote(lookup.value), dependent.policy
    with ExitStack() as stack:
        if policy and (policy.hashes(lookup.on) or policy.hashes(lookup.column)):
            digest = stack.enter_context(sql_function(transaction, policy.digest, Type.TEXT))
            key = f"{digest}({key})" if policy.hashes(lookup.on) else key
            value = f"{digest}({value})" if policy.hashes(lookup.column) else value
        stamp = stack.enter_context(restamping(transaction, dependent.name))
        corrected: int = transaction.value(
            f"UPDATE {transaction.table(dependent.name)} AS own SET {quote(lookup.column)} = other.value, "
            f"{quote(SYNCED.name)} = CASE WHEN coalesce({quote(DELETED.name)}, false) "
            f"THEN {quote(SYNCED.name)} ELSE {stamp} END FROM (SELECT {key} AS key, {value} AS value "
            f"FROM {transaction.table(lookup.table)}) AS other WHERE own.{quote(lookup.on)} = other.key "
            f"AND other.value IS NOT NULL AND own.{quote(lookup.column)} IS DISTINCT FROM other.value"
        )
    return corrected
