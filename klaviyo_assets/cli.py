"""The command line: `klaviyo-assets check | demo | dev | sandbox | settings`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from klaviyo_assets.check import Report
from dotenv import dotenv_values


def _account_options(events: int, profiles: int, days: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that describe a simulated account."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--seed", default=1, show_default=True, help="The same seed makes the same account."),
            click.option("--days", default=days, show_default=True, help="Days that the events are spread over."),
            click.option("--profiles", default=profiles, show_default=True, help="Number of profiles."),
            click.option("--events", default=events, show_default=True, help="Number of events."),
        ):
            command = option(command)
        return command

    return add


INTERRUPTED = 130
"""The status that a shell gives to a command that Ctrl-C has ended."""


class _Commands(click.Group):
    """Wrong settings are the user's to mend, and Ctrl-C is no error: both are said without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        from klaviyo_assets.settings.problems import SettingsError

        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            click.echo("\nStopped. What was loaded stays; another run goes on from there.", err=True)
            sys.exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="klaviyo-assets")
def main() -> None:
    """Sync a Klaviyo account into your own warehouse, every table a Dagster asset."""


@main.command()
@_account_options(events=50_000, profiles=5_000, days=60)
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("data/demo.duckdb"),
    show_default=True,
    help="DuckDB file to write; a file that is there is replaced.",
)
def demo(events: int, profiles: int, days: int, seed: int, database: Path) -> None:
    """Sync a simulated Klaviyo account into DuckDB with real Dagster runs, and print what landed."""
    from klaviyo_assets.demo import run_demo

    run_demo(events=events, profiles=profiles, days=days, seed=seed, database=database)


@main.command()
@_account_options(events=50_000, profiles=5_000, days=60)
@click.option("--port", default=0, show_default="a free one", help="Port to listen on, on 127.0.0.1.")
@click.option("--rate-limits/--no-rate-limits", default=True, show_default=True, help="Refuse as Klaviyo does (429).")
@click.option("--latency", default=0.0, show_default=True, help="Seconds that every answer takes.")
@click.option("--faults", type=int, help="Seed of a mixture of faults that requests meet.")
def sandbox(
    events: int,
    profiles: int,
    days: int,
    seed: int,
    port: int,
    rate_limits: bool,
    latency: float,
    faults: int | None,
) -> None:
    """Serve a simulated Klaviyo account on this machine until interrupted."""
    from klaviyo_assets.demo import SANDBOX_KEY
    from klaviyo_assets.sandbox.generate import generate_account
    from klaviyo_assets.sandbox.plan import FaultPlan
    from klaviyo_assets.sandbox.server import Sandbox

    account = generate_account(events=events, profiles=profiles, days=days, seed=seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Sandbox(account, port, rate_limits="real" if rate_limits else "off", latency=latency) as served:
        if faults is not None:
            plan = FaultPlan(faults, account)
            served.faults.append(plan)
            click.echo(str(plan))
        click.echo(f"API key {SANDBOX_KEY}, KLAVIYO_API_URL {served.url}")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("Stopped.")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(as_json: bool) -> None:
    """Test the connection: the key, its scopes, the warehouse, and how far every table is.

    Ends with 0 if everything works, 1 if something does not. A missing scope counts only if no table may be skipped
    (the setting `missing_scope: fail`).
    """
    from klaviyo_assets.check import check as run_check
    from klaviyo_assets.settings import Settings

    chosen = Settings()
    report = run_check(chosen)
    missing = [scope for scope in report.scopes if scope.problem and scope.tables]
    if missing and chosen.missing_scope == "fail":
        scopes = ", ".join(scope.scope for scope in missing)
        report.problems.append(f"The setting `missing_scope: fail` lets no table be skipped. Missing: {scopes}.")
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _print_report(report)
    sys.exit(1 if report.problems else 0)


@main.command()
@click.option("--example", is_flag=True, help="Print a settings file with every setting, its meaning and its default.")
@click.option("--schema", is_flag=True, help="Print a JSON schema of the settings file, for editors.")
def settings(example: bool, schema: bool) -> None:
    """Print the settings in effect, as YAML: from the environment, the file of KLAVIYO_SETTINGS, and the defaults."""
    from klaviyo_assets.settings import Settings, describe

    if example:
        click.echo(describe.example(), nl=False)
    elif schema:
        click.echo(json.dumps(describe.json_schema(), indent=2))
    else:
        click.echo(describe.effective(Settings()), nl=False)


def _print_report(report: Report) -> None:
    click.echo(f"account    {report.account or 'unknown'}, key in {report.key_variable}")
    click.echo(f"revision   of the API, supported for {report.revision_days_left} more days")
    click.echo(f"warehouse  {report.warehouse}")
    for scope in report.scopes:
        mark = "missing" if scope.problem else "ok"
        click.echo(f"{mark:<10} {scope.scope:<18} {', '.join(scope.tables)}")
        if scope.problem:
            click.echo(f"{'':<10} {scope.problem}")
    if report.tables:
        click.echo(f"\n{'table':<32} {'synced through (UTC)':<20} {'last sync (UTC)':<20} {'rows':>12}  next due")
    for table in report.tables:
        rows = "" if table.rows is None else f"{table.rows:,}"
        times = [(moment or "never")[:19] for moment in (table.synced_through, table.synced_at)]
        following = "now" if table.due and table.next_due != "every sync" else str(table.next_due)[:19]
        click.echo(f"{table.table:<32} {times[0]:<20} {times[1]:<20} {rows:>12}  {following}")
    if report.history:
        click.echo(
            "\nhistory    complete from {oldest_day_complete} on: {days_done:,} days done, {days_left:,} left, "
            "back to {first_day}".format(**report.history)
        )
    for warning in report.warnings:
        click.echo(f"\nWARNING    {warning}", err=True)
    for problem in report.problems:
        click.echo(f"\nPROBLEM    {problem}", err=True)


@main.command()
@_account_options(events=50_000, profiles=5_000, days=60)
@click.option("--port", default=3000, show_default=True, help="Port of the UI, on 127.0.0.1.")
def dev(events: int, profiles: int, days: int, seed: int, port: int) -> None:
    """Open the Dagster UI: on your account if KLAVIYO_API_KEY is set (also in .env), else on a simulated one."""
    from klaviyo_assets.demo import dagster_home, sandbox_environment, sandbox_process

    try:
        socket.create_server(("127.0.0.1", port)).close()  # Dagster itself would go on without its UI
    except OSError as error:
        raise click.ClickException(
            f"Port {port} can't be used ({os.strerror(error.errno or 0)}); choose one with --port."
        ) from error
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    with ExitStack() as stack:
        stack.enter_context(dagster_home())
        if os.environ.get("KLAVIYO_API_KEY") or dotenv_values(".env").get("KLAVIYO_API_KEY"):
            click.echo("Using the Klaviyo account of KLAVIYO_API_KEY.")
        else:
            click.echo("KLAVIYO_API_KEY is not set: this runs on the simulated account of the sandbox.")
            url = stack.enter_context(sandbox_process(events=events, profiles=profiles, days=days, seed=seed))
            stack.enter_context(sandbox_environment(url, Path("data/demo.duckdb")))
        click.echo(f"The UI will be at http://127.0.0.1:{port}")
        what = ["-w", "workspace.yaml"] if Path("workspace.yaml").is_file() else ["-m", "klaviyo_assets.definitions"]
        # In a group of its own, Ctrl-C reaches Dagster once, from here, and before the sandbox stops.
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-W", "ignore:Function `dev_command`", "-m", "dagster", "dev", *what, "-p", str(port)],
            process_group=0,
        )
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()


if __name__ == "__main__":
    main()
