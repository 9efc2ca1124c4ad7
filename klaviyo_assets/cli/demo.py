"""The demo: a simulated Klaviyo account, synced by real Dagster runs, twice, with changes in between."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import dagster as dg

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.cli import terminal
from klaviyo_assets.cli.embedded import serving
from klaviyo_assets.cli.places import DEMO, SHOPIFY_SCHEMA, NotSimulated, SimulatedAccount, in_use
from klaviyo_assets.cli.runs import open_instance, run, run_models
from klaviyo_assets.models.project import extra_of
from klaviyo_assets.models.sample_shop import write_shopify
from klaviyo_assets.sandbox.control import SandboxControl
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.local.interrupts import insisting
from klaviyo_assets.warehouse.location import Kind


@contextmanager
def sandbox_process(account: SimulatedAccount) -> Iterator[str]:
    """Serve an account from a process of its own, without rate limits; give its base URL and stop it at the end.

    Raises click.ClickException if it does not start.
    """
    options = {**account.options, "port": 0, "now": account.now.isoformat()}
    command = [sys.executable, "-m", "klaviyo_assets.cli.main", "sandbox"]
    command += ["--no-rate-limits", *(f"--{name}={value}" for name, value in options.items())]
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
    with sandbox_process(account) as url, account.environment(url, address), open_instance() as instance:
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
            run_models(instance, definitions, settings)
        else:
            lacking = extra_of(account.kind)
            click.echo(f"\nThere are no models without the extra: pip install 'klaviyo-assets[{lacking}]'.")
    dev = "make dev" if database == DEMO else f"klaviyo-assets dev --database {database}"
    if account.kind == "postgres":
        where = f"on a Postgres server that runs while `{dev}` does: query them at {address}, or see the assets there"
    else:
        where = f"in {database}, schema klaviyo: query them with DuckDB, or see the assets with `{dev}`"
    click.echo(f"\nThe tables are {where}.")


def sync(
    instance: dg.DagsterInstance, definitions: dg.Definitions, job_name: str, tags: Mapping[str, str] | None = None
) -> None:
    """Run a job as a real Dagster run and print a table of what it does; raises click.ClickException if it fails."""
    run(instance, definitions, job_name, tags, warehouse=(definitions.resources or {})["klaviyo_warehouse"])
