"""The demo: a simulated Klaviyo account, synced by real Dagster runs, twice, with changes in between."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import dagster as dg
from dagster._core.instance.ref import InstanceRef

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.cli import terminal
from klaviyo_assets.cli.embedded import serving
from klaviyo_assets.cli.places import DEMO, SHOPIFY_SCHEMA, NotSimulated, SimulatedAccount, in_use
from klaviyo_assets.models.sample_shop import write_shopify
from klaviyo_assets.sandbox.control import SandboxControl
from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.warehouse.local.interrupts import insisting
from klaviyo_assets.warehouse.location import Kind
from klaviyo_assets.warehouse.warehouse import Warehouse

ROWS = "dagster/row_count"

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@contextmanager
def sandbox_process(account: SimulatedAccount) -> Iterator[str]:
    """Serve an account from a process of its own; give its base URL and stop it at the end.

    Raises click.ClickException if it does not start.
    """
    options = {**account.options, "port": 0, "now": account.now.isoformat()}
    command = [sys.executable, "-m", "klaviyo_assets.cli.main", "sandbox"]
    command += [f"--{name}={value}" for name, value in options.items()]
    # In a group of its own, so that Ctrl-C does not stop it before the runs that read from it.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as process:  # noqa: S603
        try:
            assert process.stdout is not None  # noqa: S101
            with insisting(), terminal.busy("Making the simulated account"):
                url = next((line.split()[-1] for line in process.stdout if "http://" in line), None)
            if url is None:
                raise click.ClickException("The sandbox did not start.")
            for story in account.told:
                SandboxControl(url).tell(story["command"], **story["arguments"])
            yield url
        finally:
            process.terminate()


def _instance() -> dg.DagsterInstance:
    """Return Dagster's instance, without the processes that copy what is printed: Ctrl-C would end them loudly."""
    ignored = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    reference = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides={"compute_logs": ignored})
    return dg.DagsterInstance.from_ref(reference)


def run_demo(*, events: int, profiles: int, days: int, seed: int, database: Path, kind: Kind = "duckdb") -> None:
    """Sync a fresh simulated account into `database`, change it, sync again, and print what landed.

    kind: postgres: `database` is the folder of a server that runs meanwhile.

    Raises click.ClickException if a run fails.
    """
    try:
        with in_use(database):
            options = {"events": events, "profiles": profiles, "days": days, "seed": seed}
            account = SimulatedAccount.begin(database, options, kind)
            with serving(account, anew=True) as address:
                _demonstrate(account, address)
    except NotSimulated as error:
        raise click.ClickException(str(error)) from None


def _demonstrate(account: SimulatedAccount, address: str) -> None:
    from klaviyo_assets.build import build_definitions

    database = account.database
    click.echo(
        "A simulated Klaviyo account: {events:,} events of {days} days, {profiles:,} profiles.\n".format(
            **account.options
        )
    )
    with sandbox_process(account) as url, account.environment(url, address), _instance() as instance:
        settings = Settings(shopify_schema=SHOPIFY_SCHEMA)
        with terminal.busy("Loading the definitions"):
            definitions = build_definitions(settings)
        today = dt.datetime.now(dt.UTC).date()
        first_day = account.now.date() - dt.timedelta(days=account.options["days"])
        first = {RANGE_START: first_day.isoformat(), RANGE_END: today.isoformat()}
        sync(instance, definitions, "klaviyo_sync", first)
        warehouse = warehouse_of(settings)
        for (campaign,) in sorted(warehouse.rows("campaign", ["id"]))[:2]:
            account.remember("delete", type="campaign", id=campaign)
            SandboxControl(url).tell("delete", type="campaign", id=campaign)
        click.echo("\nNow two campaigns are deleted in Klaviyo. Importing again:\n")
        sync(instance, definitions, "klaviyo_full_refresh")
        if any(job.name == "klaviyo_models_job" for job in definitions.resolve_all_job_defs()):
            click.echo("\nBuilding the models, together with the orders of a simulated Shopify shop:\n")
            with warehouse.session(writes=True) as session:
                write_shopify(session, warehouse.schema_name, SHOPIFY_SCHEMA)
                session.commit()
            run_models(instance, definitions)
        else:
            extra = "models" if account.kind == "duckdb" else f"models-{account.kind}"
            click.echo(f"\nThere are no models without the extra: pip install 'klaviyo-assets[{extra}]'.")
    dev = "make dev" if database == DEMO else f"klaviyo-assets dev --database {database}"
    if account.kind == "postgres":
        where = f"on a Postgres server that runs while `{dev}` does: query them at {address}, or see the assets there"
    else:
        where = f"in {database}, schema klaviyo: query them with DuckDB, or see the assets with `{dev}`"
    click.echo(f"\nThe tables are {where}.")


def sync(
    instance: dg.DagsterInstance, definitions: dg.Definitions, job_name: str, tags: Mapping[str, str] | None = None
) -> None:
    """Run a job as a real Dagster run and print a table of what it did; raises click.ClickException if it fails."""
    result = run(instance, definitions, job_name, tags)
    assets = materializations(result)
    warehouse: Warehouse = (definitions.resources or {})["klaviyo_warehouse"]
    live = {table.name: warehouse.live_rows(table) for table in TABLES}
    for key, values in assets.items():
        if ROWS in values:
            table = key.rpartition("/")[2]
            values["live"] = live.get(table, values[ROWS])
    _print_table(assets)
    _print_failed(result.get_asset_check_evaluations())


def run(
    instance: dg.DagsterInstance, definitions: dg.Definitions, job_name: str, tags: Mapping[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    """Run a job as a real Dagster run.

    Raises click.ClickException if it fails, KeyboardInterrupt if the user ends it.
    """
    job = definitions.resolve_job_def(job_name)
    run_id = str(uuid.uuid4())
    with terminal.following(instance, run_id, job), insisting() as interrupted:
        result = job.execute_in_process(
            instance=instance,
            tags=dict(tags or {}),
            run_config=_QUIET,
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
        told = dict.fromkeys(filter(None, [*reasons, *checks]))
        raise click.ClickException("\n".join([f"{job_name} failed.", *told]))
    return result


def _reason(error: Any) -> str:
    """Return what Dagster's record of an exception, or None, says: not its type and where, which the run's log has."""
    while error and error.cause:
        error = error.cause
    return re.sub(r"^[\w.]+: ", "", error.message).strip() if error else ""


def run_models(instance: dg.DagsterInstance, definitions: dg.Definitions) -> None:
    """Build the models and the report as a real Dagster run; raises click.ClickException if it fails."""
    result = run(instance, definitions, "klaviyo_models_job")
    built = materializations(result)
    for key, values in built.items():
        if ROWS in values:
            click.echo(f"{key:<68}{values[ROWS]:>9,} rows")
    checks = result.get_asset_check_evaluations()
    click.echo(f"\n{sum(check.passed for check in checks)} of {len(checks)} tests passed.")
    _print_failed(checks)
    click.echo(f"The report is {built['klaviyo_models/campaign_report']['path']}")


def _print_failed(checks: Sequence[dg.AssetCheckEvaluation]) -> None:
    for check in checks:
        if not check.passed:
            click.echo(f"{check.severity.value.lower()}: {check.check_name}: {check.description}")


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Return asset key -> metadata values of what a run materialized, in order; one entry for all partitions."""
    found: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        found[materialization.asset_key.to_user_string()] = {
            name: value.value for name, value in materialization.metadata.items()
        }
    return found


def _print_table(assets: Mapping[str, Mapping[str, Any]]) -> None:
    published = {key: values for key, values in assets.items() if STAGING not in key and "seconds" in values}
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
