"""A check on each table, for users to see. It stops nothing: what must not be loaded, the load itself refuses."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import dagster as dg

from klaviyo_assets import clock
from klaviyo_assets.assets.advice import wait_notice
from klaviyo_assets.assets.described import HISTORY, PERSON_DELETES, DescribedAssets
from klaviyo_assets.assets.history import TABLES_LEFT, WITH_HISTORY
from klaviyo_assets.assets.specs import io_manager_key
from klaviyo_assets.schema.spec import ForeignKey
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.profiles import PERSON
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.guard import FEW_WAIT, is_suspicious
from klaviyo_assets.warehouse.results import Inspection
from klaviyo_assets.warehouse.warehouse import Warehouse

INTEGRITY = "integrity"


def build_checks(described: DescribedAssets, tables: Sequence[Table]) -> dg.AssetChecksDefinition:
    """Return the checks of the tables that are synced: one step, which opens the warehouse once.

    The step depends on no asset: else it would not run in a sync that leaves out one of them as not due. It has a low
    priority, so that it comes after them. Each table has one check, because Dagster stores three events for each.
    """
    settings = described.settings
    names = {table.name for table in tables}
    keys = {t.name: [key for key in t.foreign_keys if key.table in names and not key.nominal] for t in tables}
    specs = {table.name: _spec(described.key(table.name), table, keys[table.name]) for table in tables}

    @dg.op(
        name=f"{settings.name}__checks",
        out={
            spec.get_python_identifier(): dg.Out(dg.Any, is_required=False, io_manager_key=io_manager_key(settings))
            for spec in specs.values()
        },
        **described.options.of_op(**{"dagster/priority": "-900"}),
        required_resource_keys={f"{settings.name}_warehouse"},
    )
    def checks(context: dg.OpExecutionContext) -> Iterator[dg.AssetCheckResult]:
        warehouse: Warehouse = getattr(context.resources, f"{settings.name}_warehouse")
        chosen = [table for table in tables if specs[table.name].key in context.selected_asset_check_keys]
        seen = warehouse.inspect([(t, keys[t.name]) for t in chosen], now=clock.machine_time())
        unread = _unread(described.key(HISTORY), context.instance)
        for table in chosen:
            if table.name in seen:
                awaited = {key.column for key in keys[table.name] if key.table in unread}
                yield _result(settings, table, specs[table.name], seen[table.name], awaited)

    definition: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name={},
        node_def=checks,
        check_specs_by_output_name={spec.get_python_identifier(): spec for spec in specs.values()},
        can_subset=True,
    )
    return definition


def _spec(asset: dg.AssetKey, table: Table, keys: Sequence[ForeignKey]) -> dg.AssetCheckSpec:
    promises = [
        f"No two rows have the same {', '.join(table.primary_key)}, and none lacks it.",
        "No more live rows disappeared since the last check than `delete_guard` allows (else a warning).",
        "No row waits to be flagged as deleted because too many are missing.",
    ]
    if keys:
        references = ", ".join(f"{key.column} to {key.table.upper()}" for key in keys)
        promises.append(
            f"Every row refers to rows that exist (else a warning, once the history has been read): {references}."
        )
    promises.append("Of a large table, the rows written since the last check are looked at, once a week all.")
    return dg.AssetCheckSpec(INTEGRITY, asset=asset, description=" ".join(promises))


def _unread(history: dg.AssetKey, instance: dg.DagsterInstance) -> set[str]:
    """Return the tables whose history has not been read completely, as far as the last sync knows."""
    latest = instance.get_latest_materialization_event(history)
    metadata = latest.asset_materialization.metadata if latest and latest.asset_materialization else {}
    told: Any = metadata[TABLES_LEFT].value if TABLES_LEFT in metadata else {}
    return {name for name in WITH_HISTORY if name not in told or told[name]["days_left"] > 0}


def _result(
    settings: Settings, table: Table, spec: dg.AssetCheckSpec, seen: Inspection, awaited: Collection[str]
) -> dg.AssetCheckResult:
    """Say what was found. awaited: columns that refer to rows of which many have not been read yet."""
    errors: list[str] = []
    warnings: list[str] = []
    notes: list[str] = []
    if seen.duplicates:
        errors.append(f"{seen.duplicates:,} keys have several rows.")
    if seen.without_key:
        errors.append(f"{seen.without_key:,} rows have no key.")
    lost = _lost(settings, table, seen)
    if lost:
        (warnings if seen.live else errors).append(
            f"{lost:,} of {seen.live_before:,} live rows disappeared since the last check."
        )
    if seen.waiting:
        (warnings if seen.waiting <= FEW_WAIT else errors).append(
            wait_notice(PERSON_DELETES if table.name == PERSON.name else table.name, seen.waiting)
        )
    for column, count in seen.orphans.items():
        if count and column in awaited:
            notes.append(f"{count:,} rows have a {column} that is still unknown: it may come with the history.")
        elif count:
            warnings.append(f"{count:,} rows have an unknown {column}.")
    return dg.AssetCheckResult(
        passed=not errors and not warnings,
        asset_key=spec.asset_key,
        check_name=spec.name,
        severity=dg.AssetCheckSeverity.ERROR if errors else dg.AssetCheckSeverity.WARN,
        description=" ".join(errors + warnings + notes) or None,
        metadata={
            "live_rows": seen.live,
            "deleted_rows": seen.rows - seen.live,
            **({} if seen.live_before is None else {"live_rows_before": seen.live_before}),
            "rows_deleted_since": seen.flagged,
            "deletes_waiting": seen.waiting,
            "duplicate_keys": seen.duplicates,
            "rows_without_key": seen.without_key,
            **{f"unknown_{column}": count for column, count in seen.orphans.items()},
            "looked_at": "all rows" if seen.wholly else "rows written since the last check",
        },
    )


def _lost(settings: Settings, table: Table, seen: Inspection) -> int:
    """Return how many of the live rows of the last check are gone, 0 if that is not too many."""
    before = seen.live_before or 0
    lost = min(max(before - seen.live, seen.flagged), before)
    return lost if is_suspicious(table, live=before, going=lost, guard=settings.delete_guard) else 0
