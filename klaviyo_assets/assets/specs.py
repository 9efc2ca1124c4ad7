"""What every asset says about itself: key, group, columns, kinds, freshness."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_assets.assets.io_manager import PARTITION_EXPR
from klaviyo_assets.schema.spec import STAGING, SYSTEM_COLUMNS
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.location import kind_of, server

SNAPSHOT_FRESH_FOR = dt.timedelta(hours=24)


def table_key(settings: Settings, table: str) -> dg.AssetKey:
    """Return the key of a table's asset."""
    return dg.AssetKey([settings.name, table])


def snapshot_key(settings: Settings, table: str) -> dg.AssetKey:
    """Return the key of the asset that is a table's snapshot."""
    return dg.AssetKey([settings.name + STAGING, table])


def latest_day(settings: Settings, table: Table) -> dg.AssetDep:
    """Depend on the newest partition of EVENT or PERSON: Dagster would list all the days since 2012 in every run."""
    return dg.AssetDep(table_key(settings, table.name), partition_mapping=dg.LastPartitionMapping())


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


def table_spec(settings: Settings, table: Table, *, group: str) -> dg.AssetSpec:
    """Describe a table."""
    return _spec(
        settings,
        table,
        key=table_key(settings, table.name),
        schema=settings.schema_name,
        group=group,
        description=table.description,
    )


def snapshot_spec(settings: Settings, table: Table) -> dg.AssetSpec:
    """Describe a table's snapshot."""
    return _spec(
        settings,
        table,
        key=snapshot_key(settings, table.name),
        schema=settings.schema_name + STAGING,
        group="snapshots",
        description=f"Import of {table.name}, before publishing.\n\n{table.description}",
    )


def pass_spec(settings: Settings, name: str, description: str) -> dg.AssetSpec:
    """Describe an asset that is no table of its own but a pass over PERSON."""
    return dg.AssetSpec(
        table_key(settings, name),
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
        table_key(settings, name),
        group_name=group_name(settings, "core"),
        description=description,
        kinds={"klaviyo", kind_of(settings.warehouse)},
        owners=list(settings.owners),
        deps=deps,
        skippable=True,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=fresh_for) if fresh_for else None,
    )


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
    key: dg.AssetKey,
    schema: str,
    group: str,
    description: str,
) -> dg.AssetSpec:
    metadata: dict[str, Any] = {
        "dagster/column_schema": column_schema(table),
        **storage(settings, schema, table.name),
        "primary_key": ", ".join(table.primary_key),
    }
    if table.partitioned_by:
        metadata[PARTITION_EXPR] = table.partitioned_by
    return dg.AssetSpec(
        key,
        group_name=group_name(settings, group),
        description=description,
        kinds={"klaviyo", kind_of(settings.warehouse)},
        owners=list(settings.owners),
        metadata=metadata,
        freshness_policy=freshness(settings, table),
    )


def asset_out(settings: Settings, spec: dg.AssetSpec, type_: type, **options: Any) -> dg.AssetOut:
    """Make an asset's output: written by the account's IO manager."""
    return dg.AssetOut.from_spec(spec, dagster_type=type_, io_manager_key=io_manager_key(settings), **options)


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
