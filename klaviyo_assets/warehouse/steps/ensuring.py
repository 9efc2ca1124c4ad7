"""A table that is there, with the columns that are declared."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from klaviyo_assets.schema.spec import SYSTEM_COLUMNS, Column, TableSpec, Type
from klaviyo_assets.warehouse.dialect import Dialect
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.state import with_rows
from klaviyo_assets.warehouse.steps.declared import with_system_columns
from klaviyo_assets.warehouse.steps.origins import ensure_origins
from klaviyo_assets.warehouse.steps.states import flush_states, read_states, void, why_void
from klaviyo_assets.warehouse.transaction import Transaction

_log = logging.getLogger(__name__)


def ensure(transaction: Transaction, spec: TableSpec) -> bool:
    """Create the schema and the table; of an existing one, add the declared columns that it lacks.

    Returns whether what was known of how far the table is synced can't be true of it, and is forgotten.
    Columns by which rows are found compare as they are declared, if that is TEXT, and the system columns have a type
    that holds every value of theirs: what is compared with them has it too. Raises WarehouseError where that is
    impossible, ViewInPlace among them.
    """
    dialect = transaction.dialect
    transaction.create_schema()
    transaction.has_table(spec.name)
    declared = with_system_columns(spec, *spec.types)
    known = with_rows(read_states(transaction), spec.name)
    there = bool(transaction.column_types(spec.name))
    counts = {spec.name: transaction.count(spec.name)} if known and there else {}
    reason = why_void(transaction, known, counts, declared) if known else None
    if reason:
        _log.warning("What was known of how far %s is synced is void: %s.", spec.name, reason)
    if reason or not transaction.column_types(spec.name):
        void(transaction, spec.name)
        if not dialect.capabilities.transactions:
            flush_states(transaction)
    transaction.create(spec.name, declared, spec)
    ensure_origins(transaction, spec)
    existing = transaction.column_types(spec.name)
    lacking = {name: dialect.type_names[kind] for name, kind in declared.items() if name not in existing}
    transaction.add_columns(spec.name, lacking)
    transaction.widen(spec.name, dict.fromkeys(no_text_to_find_by(dialect, spec, existing), dialect.text))
    for column in SYSTEM_COLUMNS:
        if column.name in existing:
            _hold_all(transaction, spec.name, column, existing[column.name])
    transaction.session.ensure_key(transaction.schema, spec)
    return reason is not None


def is_foreign(transaction: Transaction, spec: TableSpec) -> bool:
    """Return whether a table is there that `ensure` has not made: its system columns are not as that declares them."""
    existing, names = transaction.column_types(spec.name), transaction.dialect.type_names
    return bool(existing) and any(existing.get(column.name) != names[column.type] for column in SYSTEM_COLUMNS)


def no_text_to_find_by(dialect: Dialect, spec: TableSpec, existing: Mapping[str, str]) -> list[str]:
    """Return the columns by which rows are found, and that do not compare as text. existing: column -> native type."""
    found_by = {*spec.primary_key, *(key.column for key in spec.foreign_keys)}
    found_by |= {name for lookup in spec.lookups for name in (lookup.on, lookup.column)}
    as_text = [name for name, kind in spec.types.items() if kind is Type.TEXT and name in found_by and name in existing]
    return [name for name in as_text if not dialect.compares(existing[name], Type.TEXT)]


def has_other_values(transaction: Transaction, table: str, column: Column, existing: str) -> bool:
    """Return whether a column of another type than its own has values that are none of it."""
    dialect, name = transaction.dialect, quote(column.name)
    declared = dialect.type_names[column.type]
    condition = dialect.says(name, declared) if existing == dialect.text else dialect.survives(name, existing, declared)
    return bool(transaction.sql(f"SELECT 1 FROM {transaction.table(table)} WHERE NOT {condition} LIMIT 1"))


def _hold_all(transaction: Transaction, table: str, column: Column, existing: str) -> None:
    if transaction.dialect.holds_all(existing, column.type):
        return
    declared = transaction.dialect.type_names[column.type]
    if has_other_values(transaction, table, column, existing):
        raise WarehouseError(f"{table}.{column.name} is {existing}: its values are no {declared}. Correct its type.")
    transaction.widen(table, {column.name: declared})
