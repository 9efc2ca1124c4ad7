"""What a materialization says about a model: its rows, its columns and what they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from logging import Logger
from typing import Any

import dagster as dg

from klaviyo_assets.models.lineage import Origins, Table, trace
from klaviyo_assets.models.project import Model
from klaviyo_assets.models.run import Result
from klaviyo_assets.warehouse.session import Session

ColumnTypes = Mapping[str, str]
"""Column -> type."""


def describe(
    session: Session,
    schema: str,
    models: Sequence[Model],
    results: Iterable[Result],
    keys: Mapping[tuple[str, str], dg.AssetKey],
    log: Logger,
    *,
    sources: Iterable[tuple[str, str]] = (),
    dialect: str = "duckdb",
) -> dict[str, dict[str, Any]]:
    """Return model -> metadata; models that do not exist are left out.

    schema: of the models. results: what dbt did, in its order. keys: (schema, table) -> asset, for all that is one.
    sources: tables that the models read if they exist, whether they are assets or not. dialect: sqlglot's name of the
    SQL that dbt has run.
    """
    fold = session.dialect.fold
    keys = {(fold(schema), fold(table)): key for (schema, table), key in keys.items()}
    places = {model.name: (fold(schema), fold(model.name)) for model in models}
    read = {(fold(schema), fold(table)) for schema, table in sources}
    tables = _tables(session, {*keys, *places.values(), *read})
    origins = _origins(results, tables, log, dialect)
    described: dict[str, dict[str, Any]] = {}
    for model in models:
        relation = places[model.name]
        if relation not in tables:
            continue
        ((rows,),) = session.sql(f"SELECT count(*) FROM {session.name(*relation)}")
        made_of = {
            column: _deps(origins.get(model.name, {}).get(column.lower(), ()), keys) for column in tables[relation]
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


def _tables(session: Session, wanted: Iterable[Table]) -> dict[Table, ColumnTypes]:
    """Return those of some tables that exist."""
    return {place: session.columns(*place) for place in wanted if place[1] in session.tables(place[0])}


def _origins(
    results: Iterable[Result], tables: Mapping[Table, ColumnTypes], log: Logger, dialect: str
) -> dict[str, dict[str, Origins]]:
    """Return model -> column -> what it is made of, of the models that dbt has built; nothing if it can't be told."""
    built = [result for result in results if result.kind == "model" and result.sql and not result.is_failure]
    try:
        traced = trace([(result.relation, result.sql) for result in built], tables, dialect)
    except Exception as error:  # noqa: BLE001 - the models are there, whatever a parser thinks of their SQL
        log.info("The models have no column lineage this time: %r", error)
        return {}
    return {result.name: traced[result.relation] for result in built}


def _deps(origins: Iterable[tuple[Table, str]], keys: Mapping[Table, dg.AssetKey]) -> list[dg.TableColumnDep]:
    """Return the columns of assets among the columns of tables."""
    found = ((keys[table], column) for table, column in origins if table in keys)
    return [dg.TableColumnDep(key, column) for key, column in sorted(found)]


def _description(description: str | None, made_of: Sequence[dg.TableColumnDep]) -> str | None:
    origins = ", ".join(f"{dep.asset_key.path[-1]}.{dep.column_name}" for dep in made_of)
    return " ".join(filter(None, [description, origins and f"Made of {origins}."])) or None
