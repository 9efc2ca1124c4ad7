"""Rows of one table on their way into another, one per key, where the database knows QUALIFY."""

from __future__ import annotations

from collections.abc import Mapping

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.session import STAGE, Session, Source
from klaviyo_assets.warehouse.sql import column_list, quote


def newest_rows(session: Session, spec: TableSpec, source: Source, types: Mapping[str, str]) -> tuple[set[str], str]:
    """Return which declared columns a table has, and the query of them with the newest row of each key.

    types: column -> native type, of the table that they go to. Its key and version are there, if only as NULL.
    """
    came = [name for name in types if name in spec.types and name in source.types]
    convert = session.dialect.convert
    values = [f"{convert(quote(name), source.types[name], types[name])} AS {quote(name)}" for name in came]
    lacking = [
        f"CAST(NULL AS {types[name]}) AS {quote(name)}"
        for name in (*spec.primary_key, *([spec.version] if spec.version else []))
        if name not in came
    ]
    key = column_list(spec.primary_key)
    newest = f"{quote(spec.version)} DESC NULLS LAST" if spec.version and spec.version in came else key
    return set(came), (
        f"SELECT {', '.join([*values, *lacking])} FROM {source.relation} WHERE true "  # BigQuery wants a WHERE
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {newest}) = 1"
    )


def count_with_keys(session: Session, spec: TableSpec, source: Source) -> int:
    """Return how many rows a table has, of which `STAGE` was made; raise WarehouseError if one has no key."""
    without_key = " OR ".join(f"{quote(name)} IS NULL" for name in spec.primary_key)
    ((total, empty),) = session.sql(
        f"SELECT (SELECT count(*) FROM {source.relation}), (SELECT count(*) FROM {STAGE} WHERE {without_key})"
    )
    if empty:
        raise WarehouseError(f"{empty} rows for {spec.name} have no {' and '.join(spec.primary_key)}.")
    return int(total)
