"""Runs of the definitions in this process: started, followed on the terminal, and told."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import click
import dagster as dg
from dagster._core.instance.ref import InstanceRef

from klaviyo_assets.cli import terminal
from klaviyo_assets.dagster_storage.default import keep_open
from klaviyo_assets.models.assets import models_prefix
from klaviyo_assets.models.report.asset import REPORT
from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.warehouse.local.interrupts import insisting
from klaviyo_assets.warehouse.warehouse import Warehouse

ROWS = "dagster/row_count"

_COLUMNS = {
    "rows": "live",
    "new": "rows_inserted",
    "updated": "rows_updated",
    "new columns": "columns_added",
    "deleted": "rows_deleted",
}
"""Title of a column of the table that a run prints -> metadata of the asset."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def open_instance() -> dg.DagsterInstance:
    """Return Dagster's instance, without the processes that copy what is printed: Ctrl-C would end them loudly."""
    ignored = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    reference = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides={"compute_logs": ignored})
    instance = dg.DagsterInstance.from_ref(reference)
    keep_open(instance)
    return instance


def run(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    job_name: str,
    tags: Mapping[str, str] | None = None,
    *,
    assets: Sequence[dg.AssetKey] | None = None,
    ops: Mapping[str, Any] | None = None,
    warehouse: Warehouse | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job as a real Dagster run. assets: of the job; None: all. ops: config of its ops.

    warehouse: prints what becomes of its tables, each as soon as its step is done.

    Raises click.ClickException if it fails, KeyboardInterrupt if the user ends it.
    """
    job = definitions.resolve_job_def(job_name)
    run_id = str(uuid.uuid4())
    table = _Table(warehouse, job.asset_layer.selected_asset_keys) if warehouse else None
    with terminal.following(instance, run_id, job) as say, insisting() as interrupted:
        if table:
            instance.add_event_listener(run_id, partial(table.show, say))
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
    if table:
        table.end(result.get_asset_check_evaluations())
    return result


def _reason(error: Any) -> str:
    """Return what Dagster's record of an exception, or None, says: not its type and where, which the run's log has."""
    while error and error.cause:
        error = error.cause
    return re.sub(r"^[\w.]+: ", "", error.message).strip() if error else ""


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Return asset key -> metadata values of what a run materialized, in order; one entry for all partitions."""
    return dict(map(_materialized, result.get_asset_materialization_events()))


def _materialized(event: dg.DagsterEvent) -> tuple[str, dict[str, Any]]:
    materialization = event.step_materialization_data.materialization
    values = {name: value.value for name, value in materialization.metadata.items()}
    return materialization.asset_key.to_user_string(), values


def print_failed(checks: Sequence[dg.AssetCheckEvaluation]) -> None:
    """Print the checks that did not pass."""
    for check in checks:
        if not check.passed:
            click.echo(f"{check.severity.value.lower()}: {check.check_name}: {check.description}")


class _Table:
    """A table of what a run does to each table: a line as soon as the step is done that does it."""

    def __init__(self, warehouse: Warehouse, keys: Iterable[dg.AssetKey]) -> None:
        self._warehouse = warehouse
        self._width = max(len(key.to_user_string()) for key in keys)
        self._tables = {table.name: table for table in TABLES}
        self._step: dict[str, dict[str, Any]] = {}
        self._shown: dict[str, dict[str, Any]] = {}

    def show(self, say: Callable[[str], None], entry: dg.EventLogEntry) -> None:
        """Take note of an event of the run."""
        event = entry.dagster_event
        if event is None:
            return
        if event.is_step_materialization:
            key, values = _materialized(event)
            if STAGING not in key and "seconds" in values:
                self._step[key] = values  # the last one of a range of partitions
        elif event.is_step_success:
            if self._step and not self._shown:
                titles = (f"{title:>11}" for title in _COLUMNS)
                say("  ".join([f"{'asset':<{self._width}}", *titles, f"{'seconds':>8}"]))
            for key, values in self._step.items():
                table = self._tables.get(key.rpartition("/")[2])
                values["live"] = self._warehouse.live_rows(table) if table else values[ROWS]
                counts = [f"{values[name]:>11,}" for name in _COLUMNS.values()]
                say("  ".join([f"{key:<{self._width}}", *counts, f"{values['seconds']:>8.2f}"]))
            self._shown |= self._step
            self._step = {}

    def end(self, checks: Sequence[dg.AssetCheckEvaluation]) -> None:
        """Print what comes below the table. checks: of the run."""
        if not self._shown:
            click.echo("No table was due.")
        gone = {key: values[ROWS] - values["live"] for key, values in self._shown.items()}
        if named := ", ".join(f"{count:,} of {key}" for key, count in gone.items() if count > 0):
            click.echo(f"\nRows deleted in Klaviyo are not counted; they stay, flagged _fivetran_deleted: {named}.")
        print_failed(checks)


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
