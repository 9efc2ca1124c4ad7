"""Commands that work on the account of the settings: what the schedule and the sensors launch, launched by hand."""

from __future__ import annotations

import datetime as dt
import json
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from klaviyo_assets import environment
from klaviyo_assets.cli.extras import lacking
from klaviyo_assets.loading import load_libraries

if TYPE_CHECKING:
    import dagster as dg

    from klaviyo_assets.assets.resources import KlaviyoAccount
    from klaviyo_assets.settings import Settings
    from klaviyo_assets.warehouse.warehouse import Warehouse

DAY = click.DateTime(["%Y-%m-%d"])
DAY_SHOWN = "YYYY-MM-DD"


@dataclass
class Opened:
    """The account of the settings, its definitions, and the Dagster instance that its UI shows, too.

    prints: whether runs print a table of what they do.
    """

    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    prints: bool = False

    def name(self, what: str) -> str:
        """Return the name of a job, a schedule or a sensor of the account."""
        return f"{self.settings.name}_{what}"

    def run(
        self,
        job: str,
        tags: Mapping[str, str] | None = None,
        assets: list[dg.AssetKey] | None = None,
        ops: Mapping[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job of the account; see `runs.run`."""
        from klaviyo_assets.cli.runs import run

        warehouse = self.warehouse if self.prints else None
        return run(self.instance, self.definitions, self.name(job), tags, assets=assets, ops=ops, warehouse=warehouse)

    @property
    def warehouse(self) -> Warehouse:
        """The account's warehouse."""
        found: Warehouse = (self.definitions.resources or {})[self.name("warehouse")]
        return found

    @property
    def klaviyo(self) -> KlaviyoAccount:
        """The account at Klaviyo."""
        found: KlaviyoAccount = (self.definitions.resources or {})[self.name("account")]
        return found

    def keys(self, job: str, tables: list[str]) -> list[dg.AssetKey]:
        """Return the assets of a job that belong to tables, their snapshots included, and what every run ends with."""
        from klaviyo_assets.assets.described import HISTORY

        assets = self.definitions.resolve_job_def(self.name(job)).asset_layer.selected_asset_keys
        return sorted(key for key in assets if key.path[-1] in (*tables, HISTORY))


@contextmanager
def opened(warehouse: str | None = None) -> Iterator[Opened]:
    """Open the account of the settings. warehouse: address of another warehouse than theirs.

    Raises click.ClickException if there is no key for it, SettingsError if a setting is wrong.
    """
    load_libraries()
    from klaviyo_assets.build import build_definitions
    from klaviyo_assets.cli import places, terminal
    from klaviyo_assets.cli.runs import open_instance
    from klaviyo_assets.settings import Settings

    with ExitStack() as stack:
        stack.enter_context(places.variables(KLAVIYO_WAREHOUSE=warehouse))
        settings = Settings()
        if not environment.get(settings.api_key_variable):
            raise click.ClickException(
                f"{settings.api_key_variable} is not set: it holds the private API key, in .env or in the shell. "
                "`klaviyo-assets demo` shows everything on a simulated account."
            )
        stack.enter_context(places.home_of(settings))
        instance = stack.enter_context(open_instance())
        with terminal.busy("Loading the definitions"):
            definitions = build_definitions(settings)
        yield Opened(settings, definitions, instance)


def _tables(given: str | None) -> list[str]:
    from klaviyo_assets.tables.registry import TABLES

    names = [name.strip().lower() for name in (given or "").split(",") if name.strip()]
    if unknown := sorted(set(names) - {table.name for table in TABLES}):
        raise click.ClickException(f"There is no table {', '.join(unknown)}. `klaviyo-assets status` lists them.")
    return names


def _range(first: dt.datetime | None, last: dt.datetime | None) -> dict[str, str]:
    """Return the tags of a range of days, none if no day is given."""
    from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START

    today = dt.datetime.now(dt.UTC).date()
    if first is None and last is None:
        return {}
    if first is None:
        raise click.UsageError("--to needs --from, the first of the days.")
    days = first.date(), last.date() if last else today
    if not days[0] <= days[1] <= today:
        raise click.UsageError("The days have to be in order, and not after today (UTC).")
    return {RANGE_START: days[0].isoformat(), RANGE_END: days[1].isoformat()}


_json = click.option("--json", "as_json", is_flag=True, help="Print what each run did as JSON.")
_from = click.option(
    "--from", "first", type=DAY, metavar=DAY_SHOWN, help="First of the days (UTC) whose events and people are read."
)
_to = click.option("--to", "last", type=DAY, metavar=DAY_SHOWN, help="Last of these days.  [default: today]")


def _told(account: Opened, as_json: bool, launch: Callable[[], Iterator[dg.ExecuteInProcessResult]]) -> None:
    """Print what runs did: as a table each, or all as JSON, then also why one failed."""
    from klaviyo_assets.cli.runs import materializations

    runs: list[dict[str, Any]] = []
    problem: str | None = None
    account.prints = not as_json
    try:
        for result in launch():
            if not as_json:
                continue
            failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
            checks = [
                {"check": f"{c.asset_key.to_user_string()} {c.check_name}", "says": c.description} for c in failed
            ]
            runs.append({"run_id": result.run_id, "assets": materializations(result), "checks_not_passed": checks})
    except click.ClickException as error:
        if not as_json:
            raise
        problem = error.message
    if as_json:
        click.echo(json.dumps({"success": problem is None, "problem": problem, "runs": runs}, indent=2, default=str))
    if problem is not None:
        click.get_current_context().exit(1)


@click.command()
@_from
@_to
@click.option("--tables", help="Names of tables, with commas between them.  [default: all that are turned on]")
@click.option("--full", is_flag=True, help="Also import what is not due yet, completely.")
@click.option("--to-database", help="Address of the warehouse, instead of the setting `warehouse`.")
@_json
def sync(
    first: dt.datetime | None,
    last: dt.datetime | None,
    tables: str | None,
    full: bool,
    to_database: str | None,
    as_json: bool,
) -> None:
    """Sync what the schedule would sync now: events and people since the last time, and every table that is due.

    With --from, read the events and people of these days completely instead. The runs are in the UI, too.
    """
    names = _tables(tables)
    with opened(to_database) as account:
        days = _range(first, last)
        _told(account, as_json, lambda: _days(account, names, days) if days else _syncs(account, names, full))


def _syncs(account: Opened, tables: list[str], full: bool) -> Iterator[dg.ExecuteInProcessResult]:
    import dagster as dg

    schedule = account.definitions.resolve_schedule_def(account.name("sync_schedule"))
    with dg.build_schedule_context(account.instance, scheduled_execution_time=dt.datetime.now(dt.UTC)) as context:
        wanted = schedule(context)  # which opens an instance of its own
    if not isinstance(wanted, dg.RunRequest):
        reason = wanted.skip_message if isinstance(wanted, dg.SkipReason) else wanted
        raise click.ClickException(f"{reason} Wait for it, or end it in the UI.")
    due = list(wanted.asset_selection or []) or None
    if tables:
        due = account.keys("sync", tables)
    result = account.run("sync", wanted.tags, None if full and not tables else due)
    yield result
    _tell_of_the_history(result)
    if full:
        whole = account.keys("full_refresh", tables) if tables else None
        if whole != []:
            yield account.run("full_refresh", assets=whole)


def _tell_of_the_history(result: dg.ExecuteInProcessResult) -> None:
    """Say that older days are still to be read, if they are."""
    from klaviyo_assets.assets.described import HISTORY
    from klaviyo_assets.cli.runs import materializations

    for asset, metadata in materializations(result).items():
        if asset.endswith(f"/{HISTORY}") and (left := metadata.get("days_left")):
            click.echo(
                f"{left:,} days before {metadata['oldest_day_complete']} are still to be read: "
                "`klaviyo-assets backfill`, or the backfill sensor in the UI.",
                err=True,
            )


def _days(account: Opened, tables: list[str], days: Mapping[str, str]) -> Iterator[dg.ExecuteInProcessResult]:
    assets = account.keys("backfill", tables) if tables else None
    if assets is not None and not any(key.path[-1] in tables for key in assets):
        raise click.UsageError(f"--from is for tables that are read by day: {', '.join(tables)} is read as a whole.")
    yield account.run("backfill", days, assets)


@click.command()
@_from
@_to
@_json
def backfill(first: dt.datetime | None, last: dt.datetime | None, as_json: bool) -> None:
    """Read the history that is missing, newest days first, as the backfill sensor would. A sync comes before it.

    With --from, read these days completely, whatever was read before. Ends with 0 once the history is complete.
    """
    with opened() as account:
        days = _range(first, last)
        _told(account, as_json, lambda: _days(account, [], days) if days else _history(account))


def _history(account: Opened) -> Iterator[dg.ExecuteInProcessResult]:
    import dagster as dg

    from klaviyo_assets.automation.sensors import COMPLETE

    sensor = account.definitions.resolve_sensor_def(account.name("backfill_sensor"))
    cursor: str | None = None
    while True:
        with dg.build_sensor_context(account.instance, cursor=cursor, definitions=account.definitions) as context:
            wanted = sensor.evaluate_tick(context)
        cursor = wanted.cursor or cursor
        if not wanted.run_requests:
            if wanted.skip_message != COMPLETE:
                raise click.ClickException(str(wanted.skip_message))
            click.echo(COMPLETE, err=True)
            return
        for request in wanted.run_requests:
            yield account.run("backfill", request.tags, list(request.asset_selection or []) or None)


@click.command()
@click.option("--tables", help="Names of tables, with commas between them.  [default: all]")
@click.option("--yes", is_flag=True, help="Do not ask.")
def resync(tables: str | None, yes: bool) -> None:
    """Have tables imported anew by the next syncs. Their rows stay readable meanwhile."""
    from klaviyo_assets.automation.resync import CONFIRMATION

    names = _tables(tables)
    with opened() as account:
        if not yes:
            what = ", ".join(names) or "all tables"
            click.confirm(f"Import {what} anew, which takes as many requests as the first sync?", abort=True)
        config = {"config": {"confirm": CONFIRMATION, "tables": names}}
        account.run("resync", ops={f"{account.settings.name}__forget": config})
        click.echo("Forgotten. The next `klaviyo-assets sync`, or the schedule, imports them anew.")


@click.command()
def models() -> None:
    """Build the models of campaigns, flows and people, and the report."""
    from klaviyo_assets.cli.runs import run_models
    from klaviyo_assets.models.project import extra_of, is_installed
    from klaviyo_assets.warehouse.location import kind_of

    with opened() as account:
        if not account.settings.models:
            raise click.ClickException("The models are turned off: set `models: true`.")
        kind = kind_of(account.settings.warehouse)
        if not is_installed(kind):
            raise click.ClickException(lacking(extra_of(kind)))
        run_models(account.instance, account.definitions, account.settings)


@click.command()
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def report(show: bool) -> None:
    """Print where the last report is."""
    import dagster as dg

    from klaviyo_assets.models.assets import models_prefix
    from klaviyo_assets.models.report.asset import REPORT

    with opened() as account:
        key = dg.AssetKey([models_prefix(account.settings), REPORT])
        event = account.instance.get_latest_materialization_event(key)
        materialization = event.asset_materialization if event else None
        if materialization is None:
            raise click.ClickException("There is no report yet: `klaviyo-assets models` makes it.")
        path = str(materialization.metadata["path"].value)
        click.echo(path)
        if show:
            webbrowser.open(Path(path).resolve().as_uri())


COMMANDS = (sync, backfill, resync, models, report)
