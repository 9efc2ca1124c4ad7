"""Making a table fit what comes: columns that are new, and columns that are too narrow."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from klaviyo_assets.warehouse.batches import EXACT_IN_DOUBLE, widen
from klaviyo_assets.warehouse.schema import TableSpec, Type
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import literal, quote
from klaviyo_assets.warehouse.transaction import Transaction


def columns_left_out(transaction: Transaction, spec: TableSpec, spool: Spool) -> tuple[str, ...]:
    """Return the spool's columns that the table does not take: it takes all of the first rows.

    What its overflow column holds is no new column either.
    """
    if spec.takes_new_columns or not transaction.sql(f"SELECT 1 FROM {transaction.table(spec.name)} LIMIT 1"):
        return ()
    existing = transaction.column_types(spec.name)
    new = {name for file in spool.files for name in file.types} - existing.keys()
    if new and spec.overflow in existing:
        keys = f"SELECT DISTINCT unnest(json_keys({quote(spec.overflow)})) FROM {transaction.table(spec.name)}"
        new -= {key for (key,) in transaction.sql(keys)}
    return tuple(sorted(new))


def fit(
    transaction: Transaction, spec: TableSpec, spool: Spool, left_out: Collection[str] = (), most: int | None = None
) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Add the spool's new columns to the table and widen those that are too narrow; return both.

    left_out: columns that the table does not take.
    most: appearing columns that the table may have; the names of those beyond are returned too. They are not added
        but go to the table's overflow column. A column that the table has stays one.
    """
    existing = transaction.column_types(spec.name)
    incoming: dict[str, set[Type]] = {}
    for file in spool.files:
        for name, kind in file.types.items():
            if name not in left_out:
                incoming.setdefault(name, set()).add(kind)
    overflow = _overflow(spec, existing, incoming, most)
    if overflow and spec.overflow and spec.overflow not in existing:
        transaction.add_column(spec.name, spec.overflow, Type.JSON)
    for name in overflow:
        del incoming[name]
    added, widened = [], []
    for name, kinds in incoming.items():
        target = _common_type(transaction, spec.name, name, existing.get(name), kinds, spool)
        if name not in existing:
            transaction.add_column(spec.name, name, target)
            added.append(name)
        elif target != existing[name]:
            transaction.widen(spec.name, name, existing[name], target)
            widened.append(name)
    return added, widened, overflow


def _overflow(spec: TableSpec, existing: Iterable[str], incoming: Iterable[str], most: int | None) -> tuple[str, ...]:
    if most is None or not spec.dynamic:
        return ()
    there = {name for name in existing if name.startswith(spec.dynamic)} - {*spec.types, spec.overflow}
    new = [name for name in incoming if name not in there and name not in spec.types]
    return tuple(new[max(0, most - len(there)) :])


def _common_type(
    transaction: Transaction, table: str, name: str, existing: Type | None, incoming: Iterable[Type], spool: Spool
) -> Type:
    kinds = {*incoming, *([existing] if existing else [])}
    target = kinds.pop()
    for kind in kinds:
        target = widen(target, kind)
    if target is Type.DOUBLE and len(kinds):
        sources = [_parquet(file.path) for file in spool.files if file.types.get(name) is Type.BIGINT]
        if existing is Type.BIGINT:
            sources.append(transaction.table(table))
        inexact = f"{quote(name)} NOT BETWEEN -{EXACT_IN_DOUBLE} AND {EXACT_IN_DOUBLE}"
        if any(transaction.value(f"SELECT count(*) FROM {source} WHERE {inexact}") for source in sources):
            return Type.TEXT
    return target


def _parquet(path: Any) -> str:
    return f"read_parquet({literal(str(path))}, file_row_number = true)"
