"""What every asset says about itself: key, group, columns, kinds, freshness."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_assets.assets.code import of_table
from klaviyo_assets.assets.io_manager import PARTITION_EXPR, SNAPSHOT_OF, TABLE
from klaviyo_assets.schema.spec import STAGING, SYSTEM_COLUMNS
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.location import kind_of, server

SNAPSHOT_FRESH_FOR = dt.timedelta(hours=24)


def table_name(settings: Settings, schema: str, table: str) -> str:
    """Return the name of a table in SQL, for the UI; with the database on a server, or if it has the schema's name."""
    if on_server := server(settings.warehouse):
        return ".".join(filter(None, (on_server.database, schema, table)))
    database = Path(settings.warehouse).stem.removeprefix("md:")
    ambiguous = database.lower() == schema.lower()
    return f"{database}.{schema}.{table}" if ambiguous else f"{schema}.{table}"


def storage(settings: Settings, schema: str, table: str) -> dict[str, str]:
    """Return the metadata that says where a table is."""
    return {
        "dagster/table_name": table_name(settings, schema, table),
        "dagster/storage_kind": kind_of(settings.warehouse),
    }


def table_spec(settings: Settings, table: Table, deps: Sequence[dg.AssetDep] = ()) -> dg.AssetSpec:
    """Describe a table."""
    return _spec(
        settings,
        table,
        prefix=settings.name,
        schema=settings.schema_name,
        group="tables" if table.family in READS else "core",
        description=table.description,
        name_in=TABLE,
        deps=deps,
    )


def snapshot_spec(settings: Settings, table: Table) -> dg.AssetSpec:
    """Describe a table's snapshot."""
    return _spec(
        settings,
        table,
        prefix=settings.name + STAGING,
        schema=settings.schema_name + STAGING,
        group="snapshots",
        description=f"Import of {table.name}, before publishing.\n\n{table.description}",
        name_in=SNAPSHOT_OF,
    )


def pass_spec(settings: Settings, name: str, description: str, deps: Sequence[dg.AssetDep]) -> dg.AssetSpec:
    """Describe an asset that is no table of its own but a pass over PERSON."""
    return dg.AssetSpec(
        [settings.name, name],
        deps=deps,
        group_name=group_name(settings, "core"),
        description=description,
        kinds={"klaviyo", kind_of(settings.warehouse)},
        owners=list(settings.owners),
        metadata=storage(settings, settings.schema_name, "person"),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(days=8)),
    )


def progress_spec(
    settings: Settings,
    name: str,
    description: str,
    *,
    fresh_for: dt.timedelta | None = None,
    deps: Sequence[dg.AssetDep] = (),
) -> dg.AssetSpec:
    """Describe an asset that holds no rows: its metadata says how the sync is doing.

    Its steps may come to nothing (`skippable`): it is not always due.
    """
    return dg.AssetSpec(
        [settings.name, name],
        group_name=group_name(settings, "core"),
        description=description,
        kinds={"klaviyo", kind_of(settings.warehouse)},
        owners=list(settings.owners),
        deps=deps,
        skippable=True,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=fresh_for) if fresh_for else None,
    ).with_io_manager_key(io_manager_key(settings))


def group_name(settings: Settings, group: str) -> str:
    """Return the name of a group of the account's assets: core, tables, snapshots or models."""
    return f"{settings.name}_{group}"


def backfill_sensor_name(settings: Settings) -> str:
    """Return the name of the sensor that has the history read, and days that differ."""
    return f"{settings.name}_backfill_sensor"


def _spec(
    settings: Settings,
    table: Table,
    *,
    prefix: str,
    schema: str,
    group: str,
    description: str,
    name_in: str,
    deps: Sequence[dg.AssetDep] = (),
) -> dg.AssetSpec:
    version, code = of_table(table)
    metadata: dict[str, Any] = {
        **code,
        "dagster/column_schema": column_schema(table),
        **storage(settings, schema, table.name),
        name_in: table.name,
        "primary_key": ", ".join(table.primary_key),
    }
    if table.partitioned_by:
        metadata[PARTITION_EXPR] = table.partitioned_by
    return dg.AssetSpec(
        [prefix, table.name],
        deps=deps,
        group_name=group_name(settings, group),
        description=description,
        kinds={"klaviyo", kind_of(settings.warehouse)},
        owners=list(settings.owners),
        metadata=metadata,
        code_version=version,
        freshness_policy=freshness(settings, table),
    )


def account_key(settings: Settings) -> str:
    """Return the resource key of the account."""
    return f"{settings.name}_account"


def io_manager_key(settings: Settings) -> str:
    """Return the resource key of the account's IO manager."""
    return f"{settings.name}_io_manager"


def column_schema(table: Table) -> dg.TableSchema:
    """Describe a table's columns for the UI; columns that appear by themselves are named after a load."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type.value,
                column.description,
                dg.TableColumnConstraints(
                    nullable=column.name not in table.primary_key,
                    unique=table.primary_key == (column.name,),
                    other=[f"references {key.table}.{key.references}" for key in table.foreign_keys
                           if key.column == column.name],
                ),
            )
            for column in (*table.columns, *SYSTEM_COLUMNS)
        ]
    )  # fmt: skip


def freshness(settings: Settings, table: Table) -> dg.FreshnessPolicy:
    """Event and person are stale after two sync intervals (a warning after one), snapshots after a day."""
    if table.partitioned_by:
        return dg.FreshnessPolicy.time_window(
            fail_window=2 * settings.sync_interval, warn_window=settings.sync_interval
        )
    if table.cadence and table.cadence > SNAPSHOT_FRESH_FOR:
        return dg.FreshnessPolicy.time_window(fail_window=table.cadence + SNAPSHOT_FRESH_FOR)
    return dg.FreshnessPolicy.time_window(fail_window=max(SNAPSHOT_FRESH_FOR, settings.sync_interval))
