"""Checks on the tables, for users to see; only the guard on snapshots (in `snapshots`) stops a run."""

from collections.abc import Sequence

import dagster as dg

from klaviyo_assets.assets.specs import table_key
from klaviyo_assets.resources import KlaviyoAccount
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.table import Table


def build_checks(settings: Settings, tables: Sequence[Table]) -> list[dg.AssetChecksDefinition]:
    """Return the checks of the tables that are synced."""
    names = {table.name for table in tables}
    return [
        _foreign_keys(settings, table, names)
        for table in tables
        if any(key.table in names and not key.nominal for key in table.foreign_keys)
    ]


def _foreign_keys(settings: Settings, table: Table, tables: set[str]) -> dg.AssetChecksDefinition:
    keys = [key for key in table.foreign_keys if key.table in tables and not key.nominal]

    @dg.asset_check(
        asset=table_key(settings, table.name),
        name="foreign_keys",
        additional_deps=[table_key(settings, other) for other in sorted({key.table for key in keys} - {table.name})],
        description="Every row refers to rows that exist: "
        + ", ".join(f"{key.column} to {key.table.upper()}" for key in keys)
        + ". Only references that Klaviyo itself keeps are checked.",
        required_resource_keys={settings.name},
    )
    def foreign_keys(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        account: KlaviyoAccount = getattr(context.resources, settings.name)
        orphans = {key.column: account.warehouse.orphans(table, key) for key in keys}
        return dg.AssetCheckResult(
            passed=not any(orphans.values()),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={f"unknown_{column}": count for column, count in orphans.items()},
        )

    return foreign_keys
