"""Runs of the definitions in this process: started, followed on the terminal, and told."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import click
import dagster as dg
from dagster._core.instance.ref import InstanceRef

from klaviyo_assets.cli import terminal
from klaviyo_assets.models.assets import models_prefix
from klaviyo_assets.models.report import REPORT
from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.warehouse.local.interrupts import insisting
from klaviyo_assets.warehouse.warehouse import Warehouse

ROWS = "dagster/row_count"

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def open_instance() -> dg.DagsterInstance:
    """Return Dagster's instance, without the processes that copy what is printed: Ctrl-C would end them loudly."""
    ignored = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    reference = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides={"compute_logs": ignored})
    return dg.DagsterInstance.from_ref(reference)


def run(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    job_name: str,
    tags: Mapping[str, str] | None = None,
    *,
    assets: Sequence[dg.AssetKey] | None = None,
    ops: Mapping[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job as a real Dagster run. assets: of the job; None: all. ops: config of its ops.

    Raises click.ClickException if it fails, KeyboardInterrupt if the user ends it.
    """
    job = definitions.resolve_job_def(job_name)
    run_id = str(uuid.uuid4())
    with terminal.following(instance, run_id, job), insisting() as interrupted:
        result = job.execute_in_process(
            instance=instance,
            tags=dict(tags or {}),
            run_config={**_QUIET, "ops": dict(ops)} if ops else _QUIET,
            asset_selection=assets,
            run_id=run_id,
            raise_on_error=False,
        )
    if interrupted.is_set():
        raise KeyboardInterrupt
    if not result.success:
        errors = [event.step_failure_data for event in result.all_events if event.is_step_failure]
        reasons = [_reason(failure.error) for failure in errors]
        reasons += [_reason(event.job_failure_data.error) for event in result.all_events if event.is_run_failure]
        checks = [str(check.description) for check in result.get_asset_check_evaluations() if not check.passed]
        all_told = dict.fromkeys(filter(None, [*reasons, *checks]))
        told = [each for each in all_told if not any(other != each and other.startswith(each) for other in all_told)]
        raise click.ClickException("\n".join([f"{job_name} failed.", *told]))
    return result


def _reason(error: Any) -> str:
    """Return what Dagster's record of an exception, or None, says: not its type and where, which the run's log has."""
    while error and error.cause:
        error = error.cause
    return re.sub(r"^[\w.]+: ", "", error.message).strip() if error else ""


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Return asset key -> metadata values of what a run materialized, in order; one entry for all partitions."""
    found: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        found[materialization.asset_key.to_user_string()] = {
            name: value.value for name, value in materialization.metadata.items()
        }
    return found


def print_failed(checks: Sequence[dg.AssetCheckEvaluation]) -> None:
    """Print the checks that did not pass."""
    for check in checks:
        if not check.passed:
            click.echo(f"{check.severity.value.lower()}: {check.check_name}: {check.description}")


def print_run(result: dg.ExecuteInProcessResult, warehouse: Warehouse) -> None:
    """Print a table of what a run did to each table, and the checks that did not pass."""
    assets = materializations(result)
    published = {key: values for key, values in assets.items() if STAGING not in key and "seconds" in values}
    tables = {table.name: table for table in TABLES}
    for key, values in published.items():
        table = tables.get(key.rpartition("/")[2])
        values["live"] = warehouse.live_rows(table) if table else values[ROWS]
    if published:
        _print_table(published)
    else:
        click.echo("No table was due.")
    print_failed(result.get_asset_check_evaluations())


def _print_table(published: Mapping[str, Mapping[str, Any]]) -> None:
    width = max(len(key) for key in published)
    columns = {
        "rows": "live",
        "new": "rows_inserted",
        "updated": "rows_updated",
        "new columns": "columns_added",
        "deleted": "rows_deleted",
    }
    click.echo("  ".join([f"{'asset':<{width}}", *(f"{title:>11}" for title in columns), f"{'seconds':>8}"]))
    for key, values in published.items():
        counts = [f"{values[name]:>11,}" for name in columns.values()]
        click.echo("  ".join([f"{key:<{width}}", *counts, f"{values['seconds']:>8.2f}"]))
    gone = {key: values[ROWS] - values["live"] for key, values in published.items() if values[ROWS] > values["live"]}
    if gone:
        named = ", ".join(f"{count:,} of {key}" for key, count in gone.items())
        click.echo(f"\nRows deleted in Klaviyo are not counted; they stay, flagged _fivetran_deleted: {named}.")


def run_models(instance: dg.DagsterInstance, definitions: dg.Definitions, settings: Settings) -> None:
    """Build the models and the report as a real Dagster run, and print what was built; raises as `run` does."""
    result = run(instance, definitions, f"{settings.name}_models_job")
    built = materializations(result)
    for key, values in built.items():
        if ROWS in values:
            click.echo(f"{key:<68}{values[ROWS]:>9,} rows")
    checks = result.get_asset_check_evaluations()
    click.echo(f"\n{sum(check.passed for check in checks)} of {len(checks)} tests passed.")
    print_failed(checks)
    click.echo(f"The report is {built[f'{models_prefix(settings)}/{REPORT}']['path']}")
