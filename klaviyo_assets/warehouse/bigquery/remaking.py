"""A table that is made anew, because ALTER can't give a column the type that it needs.

`CREATE OR REPLACE TABLE ... AS SELECT` is one statement: others see the old table or the new one. It keeps
partitions, clustering, descriptions, labels, defaults and NOT NULL; views go on working, for they look for names. It
reads the whole table, which is billed. What it would lose prevents it: policy tags of columns, and rows that a
row-level access policy hides from who loads.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_table_statement
"""

from __future__ import annotations

from collections.abc import Mapping

from google.cloud import bigquery

from klaviyo_assets.warehouse.bigquery.catalog import BigQueryCatalog
from klaviyo_assets.warehouse.bigquery.text import fold
from klaviyo_assets.warehouse.bigquery.types import native
from klaviyo_assets.warehouse.errors import ColumnFixed
from klaviyo_assets.warehouse.sql import column_list, literal, quote


def remake(session: BigQueryCatalog, schema: str, table: str, changes: Mapping[str, tuple[str, str]]) -> None:
    """Make a table anew with other types of some columns: name -> (existing, target)."""
    session.changed(schema, table)
    found = session.described(schema, table)
    assert found  # noqa: S101
    place, because = session.name(schema, table), list[str]()
    because += [f"{field.name} has policy tags" for field in found.schema if field.policy_tags]
    ((seen,),) = session.sql(f"SELECT count(*) FROM {place}")
    if (hidden := (found.num_rows or 0) - seen) > 0:
        because.append(f"a row-level access policy hides {hidden:,} of its rows")
    if because:
        name = next(iter(changes))
        raise ColumnFixed(table, name, *changes[name], because)
    targets = {name: target for name, (_, target) in changes.items()}
    columns = ", ".join(_column(field, targets.get(fold(field.name))) for field in found.schema)
    values = ", ".join(
        f"{session.dialect.convert(quote(name), *changes[name])} AS {quote(name)}" if name in changes else quote(name)
        for name in (fold(field.name) for field in found.schema)
    )
    kept = _partitions(found) + _options(found)
    session.execute(f"CREATE OR REPLACE TABLE {place} ({columns}){kept} AS SELECT {values} FROM {place}")


def _column(field: bigquery.SchemaField, target: str | None) -> str:
    parts = [quote(field.name), target or native(field)]
    if field.default_value_expression:
        parts.append(f"DEFAULT {field.default_value_expression}")
    if field.mode == "REQUIRED":
        parts.append("NOT NULL")
    if field.description:
        parts.append(f"OPTIONS(description = {literal(field.description)})")
    return " ".join(parts)


def _partitions(table: bigquery.Table) -> str:
    """Return by what a table is partitioned and clustered."""
    told = ""
    if (by := table.time_partitioning) and by.field:
        native_type = next(field.field_type for field in table.schema if fold(field.name) == fold(by.field))
        unit = by.type_
        plain = native_type == "DATE" and unit == "DAY"
        truncated = f"{native_type}_TRUNC({quote(by.field)}, {unit})"
        told += f" PARTITION BY {quote(by.field) if plain else truncated}"
    elif by:
        told += " PARTITION BY _PARTITIONDATE"
    elif table.range_partitioning and (span := table.range_partitioning.range_):
        told += (
            f" PARTITION BY RANGE_BUCKET({quote(table.range_partitioning.field)}, "
            f"GENERATE_ARRAY({span.start}, {span.end}, {span.interval}))"
        )
    if table.clustering_fields:
        told += f" CLUSTER BY {column_list(table.clustering_fields)}"
    return told


def _options(table: bigquery.Table) -> str:
    options = {}
    if table.description:
        options["description"] = literal(table.description)
    if table.friendly_name:
        options["friendly_name"] = literal(table.friendly_name)
    if table.labels:
        pairs = ", ".join(f"({literal(name)}, {literal(value)})" for name, value in table.labels.items())
        options["labels"] = f"[{pairs}]"
    if table.time_partitioning and table.time_partitioning.expiration_ms:
        options["partition_expiration_days"] = str(table.time_partitioning.expiration_ms / 86_400_000)
    if table.require_partition_filter:
        options["require_partition_filter"] = "true"
    return f" OPTIONS({', '.join(f'{name} = {value}' for name, value in options.items())})" if options else ""
