"""Values that were written before their columns were blocked or hashed: finding, removing and hashing them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.duckdb.sql import TEXT, TYPE_NAMES, literal, quote
from klaviyo_assets.warehouse.state import PRIVACY, SyncState

if TYPE_CHECKING:
    from klaviyo_assets.warehouse.duckdb.transaction import Transaction


def find_old_values(transaction: Transaction, spec: TableSpec) -> tuple[str, ...]:
    """Return the columns that hold values from before they were blocked or hashed.

    Looks through the table until there are none; then that is remembered for as long as the policy stays the same.
    """
    policy = spec.policy
    known = transaction.read_state(spec.name, PRIVACY)
    if known and policy and known.fingerprint == policy.fingerprint:
        return ()
    if known:
        transaction.forget([spec.name], PRIVACY)
    if policy is None:
        return ()
    found = tuple(sorted(name for name in transaction.column_types(spec.name) if _is_old(transaction, spec, name)))
    if not found:
        transaction.write_state(SyncState(spec.name, PRIVACY, complete=True, fingerprint=policy.fingerprint))
    return found


def rewrite(transaction: Transaction, spec: TableSpec) -> list[str]:
    """Drop the blocked columns of a table and hash what is not hashed yet; return what was done, in words.

    Raises ViewInPlace: what the view shows is not rewritten.
    """
    policy = spec.policy
    if policy is None:
        return []
    transaction.has_table(spec.name)
    table, types, done = transaction.table(spec.name), transaction.column_types(spec.name), []
    old = [name for name in types if not policy.blocks(name) and _is_old(transaction, spec, name)]
    for name in filter(policy.blocks, types):
        if _has_index(transaction, spec):  # DuckDB drops no column of such a table
            transaction.sql(f"UPDATE {table} SET {quote(name)} = NULL WHERE {quote(name)} IS NOT NULL")
            done.append(f"{name} emptied")
        else:
            transaction.alter(spec.name, f"ALTER TABLE {table} DROP COLUMN {quote(name)}")
            done.append(f"{name} dropped")
    for name in old:
        column = quote(name)
        if policy.hashes(name):
            transaction.widen(spec.name, {name: TEXT})
            with sql_function(transaction, policy.digest, Type.TEXT) as digest:
                is_digest = f"regexp_full_match({column}, {literal(policy.digest_pattern)})"
                transaction.sql(
                    f"UPDATE {table} SET {column} = {digest}({column}) WHERE {column} IS NOT NULL AND NOT {is_digest}"
                )
            done.append(f"{name} hashed")
        else:
            with sql_function(transaction, policy.apply_to_json, Type.TEXT) as applied:
                transaction.sql(f"UPDATE {table} SET {column} = {applied}(CAST({column} AS VARCHAR))")
            done.append(f"{name} rewritten")
    return done


def _is_old(transaction: Transaction, spec: TableSpec, name: str) -> bool:
    """Return whether a column holds values that the policy would not have written."""
    policy = spec.policy
    if policy is None:
        return False
    column = quote(name)
    rows = f"SELECT 1 FROM {transaction.table(spec.name)} WHERE {column} IS NOT NULL"
    if policy.blocks(name):
        return bool(transaction.sql(f"{rows} LIMIT 1"))
    if policy.hashes(name):
        text = f"CAST({column} AS VARCHAR)"
        return bool(
            transaction.sql(f"{rows} AND NOT regexp_full_match({text}, {literal(policy.digest_pattern)}) LIMIT 1")
        )
    if name == policy.json_column:
        with sql_function(transaction, policy.is_old_json, Type.BOOLEAN) as is_old:
            return bool(transaction.sql(f"{rows} AND {is_old}(CAST({column} AS VARCHAR)) LIMIT 1"))
    return False


def _has_index(transaction: Transaction, spec: TableSpec) -> bool:
    return bool(transaction.catalog_rows("duckdb_indexes", "1", spec.name))


@contextmanager
def sql_function(transaction: Transaction, call: Callable[[str], Any], returns: Type) -> Iterator[str]:
    """Make a Python function known to SQL for a while; NULL goes around it."""
    name = f"policy_{uuid.uuid4().hex}"
    transaction.connection.create_function(name, call, [TYPE_NAMES[Type.TEXT]], TYPE_NAMES[returns])
    yield name
    transaction.connection.remove_function(name)  # after a failure it goes with the connection
