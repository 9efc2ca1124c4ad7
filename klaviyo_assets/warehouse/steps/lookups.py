"""Columns that repeat a value of another table."""

from __future__ import annotations

from klaviyo_assets.schema.spec import DELETED, SYNCED, Lookup, TableSpec
from klaviyo_assets.warehouse.session import Source
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.sql import column_list, quote
from klaviyo_assets.warehouse.steps.declared import is_declared, with_system_columns
from klaviyo_assets.warehouse.steps.loads import restamping
from klaviyo_assets.warehouse.steps.pairs import PAIRS, spool_pairs
from klaviyo_assets.warehouse.transaction import Transaction


def correct(transaction: Transaction, dependent: TableSpec, lookup: Lookup) -> int:
    """Update the rows of `dependent` whose looked-up column differs from the table it repeats.

    A `dependent` that is not there yet, or not as declared, is left to its own load and to the next publication.
    The stamp of a deleted row stays: it tells which read flagged it.
    Raises ViewInPlace if a view has the name of `dependent`.
    Where `dependent` holds digests, the other table's values are hashed to compare (a digest stays what it is).
    """
    transaction.has_table(dependent.name)
    existing, own = transaction.column_types(dependent.name), with_system_columns(dependent, lookup.on, lookup.column)
    if not is_declared(transaction.dialect, existing, own):
        return 0
    policy, pair = dependent.policy, (lookup.key, lookup.value)
    hashed = [bool(policy and policy.hashes(name)) for name in (lookup.on, lookup.column)]
    relation, (key, value) = transaction.table(lookup.table), pair
    native = transaction.column_types(lookup.table).get(value, transaction.dialect.text)
    with temporary_spool() as spool, restamping(transaction, dependent.name) as stamp:
        if policy and any(hashed):
            rows = transaction.sql(f"SELECT {column_list(pair)} FROM {relation}")
            digested = [
                tuple(policy.digest(text) if is_hashed and text is not None else text
                      for text, is_hashed in zip(row, hashed, strict=True))
                for row in rows
            ]  # fmt: skip
            spool_pairs(spool, digested)
            relation, (key, value) = transaction.session.spooled(spool, PAIRS.types), PAIRS.types
            native = transaction.dialect.text
        theirs = Source(relation, {value: native})
        if not transaction.holds(theirs, value, existing[lookup.column]):
            transaction.widen(dependent.name, {lookup.column: transaction.dialect.text})
        stamp.rows = transaction.change(
            f"UPDATE {transaction.table(dependent.name)} AS own SET {quote(lookup.column)} = other.{quote(value)}, "
            f"{quote(SYNCED.name)} = CASE WHEN coalesce({quote('own', DELETED.name)}, false) "
            f"THEN {quote('own', SYNCED.name)} ELSE {stamp.sql} END FROM {relation} AS other "
            f"WHERE {quote('own', lookup.on)} = other.{quote(key)} AND other.{quote(value)} IS NOT NULL "
            f"AND {quote('own', lookup.column)} IS DISTINCT FROM other.{quote(value)}"
        )
    return stamp.rows
