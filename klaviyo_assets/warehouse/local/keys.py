"""One row per key: the newest version, and the last among equals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.local.rows import ORDER, IncomingRows
from klaviyo_assets.warehouse.session import STAGE
from klaviyo_assets.warehouse.sql import column_list, quote


def stage_keys(
    sql: Callable[[str], list[tuple[Any, ...]]],
    spec: TableSpec,
    parts: Sequence[IncomingRows],
    types: Mapping[str, str],
    names: Sequence[str],
) -> tuple[int, bool]:
    """Make `STAGE` in a DuckDB: some columns, the key among them, of all rows that count, and their `ORDER`.

    sql: runs a statement in it. types: column -> type of DuckDB's. names: the columns.
    Returns the number of rows that came, and whether all of them count. Raises WarehouseError if a row has no key.
    """
    ddl = ", ".join(f"{quote(name)} {types[name]}" for name in names)
    sql(f"CREATE TEMP TABLE {STAGE} ({ddl}, {ORDER} BIGINT)")
    for part in parts:
        there = [name for name in names if name in part.values]
        sql(f"INSERT INTO {STAGE} ({column_list([*there, ORDER])}) {part.select(there)}")
    return keep_one_per_key(sql, spec, names, ORDER)


def keep_one_per_key(
    sql: Callable[[str], list[tuple[Any, ...]]], spec: TableSpec, names: Collection[str], order: str
) -> tuple[int, bool]:
    """Remove the rows of `STAGE` that do not count, in any database.

    sql: runs a statement in it. names: columns of `STAGE`. order: its column by which the later of two rows is known.
    Returns the number of rows that came, and whether all of them count. Raises WarehouseError if a row has no key.
    """
    key = column_list(spec.primary_key)
    ((total, distinct, without_key),) = sql(
        f"SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {key} FROM {STAGE}) AS keys), "
        f"count(*) FILTER (WHERE {' OR '.join(f'{quote(name)} IS NULL' for name in spec.primary_key)}) FROM {STAGE}"
    )
    if without_key:
        raise WarehouseError(f"{without_key} rows for {spec.name} have no {' and '.join(spec.primary_key)}.")
    if total > distinct:
        newest = f"{quote(spec.version)} DESC NULLS LAST, " if spec.version and spec.version in names else ""
        numbered = f"row_number() OVER (PARTITION BY {key} ORDER BY {newest}{order} DESC)"
        sql(
            f"DELETE FROM {STAGE} WHERE {order} IN "
            f"(SELECT {order} FROM (SELECT {order}, {numbered} AS n FROM {STAGE}) AS numbered WHERE n > 1)"
        )
    return total, total == distinct
