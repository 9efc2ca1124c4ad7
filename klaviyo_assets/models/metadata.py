"""What a materialization says about a model: its rows, its columns and what they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from logging import Logger
from typing import Any

import dagster as dg
import duckdb

from klaviyo_assets.models.lineage import Origins, Relation, trace
from klaviyo_assets.models.project import Model
from klaviyo_assets.models.run import Result
from klaviyo_assets.warehouse.local.sql import fold
from klaviyo_assets.warehouse.sql import quote

ColumnTypes = Mapping[str, str]
"""Column -> type."""


def describe(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    models: Iterable[Model],
    results: Iterable[Result],
    keys: Mapping[tuple[str, str], dg.AssetKey],
    log: Logger,
) -> dict[str, dict[str, Any]]:
    """Return model -> metadata; models that do not exist are left out.

    schema: of the models. results: what dbt did, in its order. keys: (schema, table) -> asset, for all that is one.
    """
    ((name,),) = connection.execute("SELECT current_database()").fetchall()
    database = fold(name)
    keys = {(fold(schema), fold(table)): key for (schema, table), key in keys.items()}
    tables = _tables(connection)
    origins = _origins(results, tables, log)
    described: dict[str, dict[str, Any]] = {}
    for model in models:
        relation = (database, fold(schema), fold(model.name))
        if relation not in tables:
            continue
        ((rows,),) = connection.execute(f"SELECT count(*) FROM {quote(*relation)}").fetchall()
        made_of = {
            column: _deps(origins.get(model.name, {}).get(column.lower(), ()), database, keys)
            for column in tables[relation]
        }
        described[model.name] = {
            "dagster/row_count": rows,
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn(column, kind, _description(model.columns.get(column), made_of[column]))
                    for column, kind in tables[relation].items()
                ]
            ),
        }
        if lineage := {column: deps for column, deps in made_of.items() if deps}:
            described[model.name]["dagster/column_lineage"] = dg.TableColumnLineage(lineage)
    return described


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[Relation, ColumnTypes]:
    """Return the tables and views that exist, by their folded names."""
    tables: dict[Relation, dict[str, str]] = {}
    for database, schema, table, column, kind in connection.execute(
        "SELECT database_name, schema_name, table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE NOT internal ORDER BY column_index"
    ).fetchall():
        tables.setdefault((fold(database), fold(schema), fold(table)), {})[column] = kind
    return dict(tables)


def _origins(
    results: Iterable[Result], tables: Mapping[Relation, ColumnTypes], log: Logger
) -> dict[str, dict[str, Origins]]:
    """Return model -> column -> what it is made of, of the models that dbt has built; nothing if it can't be told."""
    built = [result for result in results if result.kind == "model" and result.sql and not result.is_failure]
    try:
        traced = trace([(result.relation, result.sql) for result in built], tables)
    except Exception as error:  # noqa: BLE001 - the models are there, whatever a parser thinks of their SQL
        log.info("The models have no column lineage this time: %r", error)
        return {}
    return {result.name: traced[result.relation] for result in built}


def _deps(
    origins: Iterable[tuple[Relation, str]], database: str, keys: Mapping[tuple[str, str], dg.AssetKey]
) -> list[dg.TableColumnDep]:
    """Return the columns of assets among the columns of tables."""
    found = (
        (keys[schema, table], column)
        for (place, schema, table), column in origins
        if place == database and (schema, table) in keys
    )
    return [dg.TableColumnDep(key, column) for key, column in sorted(found)]


def _description(description: str | None, made_of: Sequence[dg.TableColumnDep]) -> str | None:
    origins = ", ".join(f"{dep.asset_key.path[-1]}.{dep.column_name}" for dep in made_of)
    return " ".join(filter(None, [description, origins and f"Made of {origins}."])) or None
