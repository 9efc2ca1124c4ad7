"""The command line: `klaviyo-assets COMMAND`. Those that sync are in `account`, `init` has a module of its own."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from klaviyo_assets import environment
from klaviyo_assets.cli import account
from klaviyo_assets.cli.adopt import adopt
from klaviyo_assets.cli.compare import compare_models
from klaviyo_assets.cli.extras import require
from klaviyo_assets.cli.init import init
from klaviyo_assets.cli.signals import as_ctrl_c
from klaviyo_assets.cli.verify import verify_warehouse
from klaviyo_assets.text import clean

if TYPE_CHECKING:
    from klaviyo_assets.cli.check import CheckReport, TableReport
    from klaviyo_assets.warehouse.location import Kind


def _account_options(events: int, profiles: int, days: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that describe a simulated account."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--seed", default=1, show_default=True, help="Another seed makes another account."),
            _number("--days", days, "Days that the events are spread over.", least=1),
            _number("--profiles", profiles, "Number of profiles.", least=1),
            _number("--events", events, "Number of events."),
        ):
            command = option(command)
        return command

    return add


def _number(option: str, default: int, help: str, least: int = 0) -> Callable[..., Any]:
    return click.option(
        option, type=click.IntRange(min=least), metavar="INTEGER", default=default, show_default=True, help=help
    )


def _time(_context: click.Context, _option: click.Parameter, given: str | None) -> datetime | None:
    """Return the time that an option gives; raise click.BadParameter if it is none, or has no time zone."""
    if given is None:
        return None
    try:
        if (found := datetime.fromisoformat(given)).tzinfo:
            return found
    except ValueError:
        pass
    raise click.BadParameter(f"it has to be a time with a zone, 2026-05-01T12:00:00Z for one, not {given!r}.")


_database_option = click.option(
    "--database",
    type=click.Path(path_type=Path),
    default=Path("data/demo.duckdb"),
    show_default=True,
    help="DuckDB file of the simulated account, or folder of its Postgres server; its DAGSTER_HOME is beside it.",
)

_TIMES, _PATIENCE = 4, 20.0
"""How often Dagster is told to end, and how many seconds it has each time."""

INTERRUPTED = 130
"""The status that a shell gives to a command that Ctrl-C has ended."""

_AFTER_CTRL_C = {
    "demo": " The next demo begins anew.",
    "adopt": " A schema is taken over as a whole or not at all: `klaviyo-assets adopt` says which.",
    **dict.fromkeys(("sync", "backfill"), " What was loaded stays; another run goes on from there."),
}
"""Command -> what becomes of what it has done when Ctrl-C ends it."""


class _Commands(click.Group):
    """Wrong settings are the user's to mend, and Ctrl-C is no error: both are said without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        from klaviyo_assets.settings.problems import SettingsError

        try:
            return super().invoke(ctx)
        except (SettingsError, environment.UnreadableFile) as error:
            raise click.ClickException(str(error)) from None
        except (KeyboardInterrupt, click.Abort) as error:
            # click makes an Abort of Ctrl-C at a question, and of an answer that declines.
            if isinstance(error, click.Abort) and not isinstance(error.__context__, KeyboardInterrupt):
                raise
            stays = _AFTER_CTRL_C.get(str(ctx.invoked_subcommand), "")
            click.echo(f"\nStopped.{stays}", err=True)
            sys.stdout.flush()
            sys.stderr.flush()
            # All has been closed on the way here. What an interrupted library still holds, it would complain about.
            os._exit(INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="klaviyo-assets")
def main() -> None:
    """Sync a Klaviyo account into your own warehouse, every table a Dagster asset.

    Every command also reads the file .env of the working directory; what the shell has exported wins over it.
    """
    environment.load()


for _command in (init, *account.COMMANDS, adopt, compare_models, verify_warehouse):
    main.add_command(_command)


@main.command()
@_account_options(events=50_000, profiles=5_000, days=60)
@_database_option
@click.option(
    "--warehouse",
    type=click.Choice(["duckdb", "postgres"]),
    default="duckdb",
    show_default=True,
    help="Where the tables go. postgres: a server of its own, in data/demo_postgres unless --database says where.",
)
def demo(events: int, profiles: int, days: int, seed: int, database: Path, warehouse: Kind) -> None:
    """Sync a simulated Klaviyo account with real Dagster runs, and print what landed.

    What an earlier demo has left in the file is replaced; any other file is left alone. For a week the account is the
    same each time, as it is in `klaviyo-assets dev`.
    """
    require("sandbox")
    from klaviyo_assets.cli.demo import run_demo

    if warehouse == "postgres" and not _was_given("database"):
        database = Path("data/demo_postgres")
    run_demo(events=events, profiles=profiles, days=days, seed=seed, database=database, kind=warehouse)


@main.command()
@_account_options(events=50_000, profiles=5_000, days=60)
@click.option("--port", default=0, show_default="a free one", help="Port to listen on, on 127.0.0.1.")
@click.option("--rate-limits/--no-rate-limits", default=True, show_default=True, help="Refuse as Klaviyo does (429).")
@click.option("--latency", default=0.0, show_default=True, help="Seconds that every answer takes.")
@click.option("--faults", type=int, help="Seed of a mixture of faults that requests meet.")
@click.option(
    "--now",
    metavar="TIME",
    callback=_time,
    help="When the account was made, with a time zone: its events lie before. The same time, seed and numbers make the "
    "same account.  [default: now]",
)
def sandbox(
    events: int,
    profiles: int,
    days: int,
    seed: int,
    port: int,
    rate_limits: bool,
    latency: float,
    faults: int | None,
    now: datetime | None,
) -> None:
    """Serve a simulated Klaviyo account on this machine until interrupted."""
    require("sandbox")
    from klaviyo_assets.cli.places import SANDBOX_KEY
    from klaviyo_assets.sandbox.fault_plans import FaultPlan
    from klaviyo_assets.sandbox.server import HOST, Sandbox
    from klaviyo_assets.sandbox.shop.generate import generate_account

    _require_free(HOST, port)
    account = generate_account(events=events, profiles=profiles, days=days, seed=seed, now=now)
    account.clock.set(datetime.now(UTC))  # since it was made, time has passed
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

    A scope is ok if Klaviyo has answered a question that needs it. Ends with 0 if everything works, 1 if something does
    not. A missing scope counts only if no table may be skipped (the setting `missing_scope: fail`).
    """
    from klaviyo_assets.cli.check import check as run_check
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
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(as_json: bool) -> None:
    """Show how far every table is, as the warehouse says; `check` also asks Klaviyo."""
    from klaviyo_assets.cli.check import status as look
    from klaviyo_assets.settings import Settings
    from klaviyo_assets.warehouse.errors import WarehouseError

    try:
        tables = look(Settings())
    except WarehouseError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([asdict(table) for table in tables], indent=2))
    else:
        _print_tables(tables)


@main.command()
@click.option("--example", is_flag=True, help="Print a settings file with every setting, its meaning and its default.")
@click.option("--schema", is_flag=True, help="Print a JSON schema of the settings file, for editors.")
def settings(example: bool, schema: bool) -> None:
    """Print the settings in effect, as YAML, and where each comes from.

    That is the shell, else .env, else the file of KLAVIYO_SETTINGS, else the default.
    """
    from klaviyo_assets.settings import Settings, describe

    if example:
        click.echo(describe.example(), nl=False)
    elif schema:
        click.echo(json.dumps(describe.json_schema(), indent=2))
    else:
        click.echo(describe.effective(Settings()), nl=False)


def _print_report(report: CheckReport) -> None:
    for problem in report.problems:
        click.echo(f"PROBLEM    {clean(problem)}\n", err=True)
    account = clean(report.account or "unknown")
    click.echo(f"account    {account}, key in {report.key_variable}, {report.key_origin or 'not set'}")
    for number, (revision, days) in enumerate(report.revisions.items()):
        click.echo(f"{'' if number else 'revision':<10} {revision} of the API, supported for {days} more days")
    click.echo(f"warehouse  {report.warehouse}")
    for number, (name, value) in enumerate(report.settings.items()):
        shown = json.dumps(value["value"], ensure_ascii=False)
        click.echo(f"{'' if number else 'settings':<10} {name}: {shown}, from {value['from']}")
    for scope in report.scopes:
        mark = "missing" if scope.problem else "ok"
        click.echo(f"{mark:<10} {scope.scope:<18} {', '.join(scope.tables)}")
        if scope.problem:
            click.echo(f"{'':<10} {clean(scope.problem)}")
    if report.tables and not report.problems:
        click.echo()
        _print_tables(report.tables)
    if report.history:
        click.echo(
            "\nhistory    complete from {oldest_day_complete} on: {days_done:,} days done, {days_left:,} left, "
            "back to {first_day}".format(**report.history)
        )
    for warning in report.warnings:
        click.echo(f"\nWARNING    {clean(warning)}", err=True)


def _print_tables(tables: list[TableReport]) -> None:
    click.echo(f"{'table':<32} {'synced through (UTC)':<20} {'last sync (UTC)':<20} {'rows':>12}  next due")
    for table in tables:
        rows = "" if table.rows is None else f"{table.rows:,}"
        times = [(moment or "never")[:19] for moment in (table.synced_through, table.synced_at)]
        following = "now" if table.due and table.next_due != "every sync" else str(table.next_due)[:19]
        click.echo(f"{table.table:<32} {times[0]:<20} {times[1]:<20} {rows:>12}  {following}")


@main.command()
@_account_options(events=50_000, profiles=5_000, days=60)
@_database_option
@click.option("--port", default=3000, show_default=True, help="Port of the UI.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address that the UI listens on; 0.0.0.0: on all of them. It asks nobody for a password.",
)
def dev(events: int, profiles: int, days: int, seed: int, database: Path, port: int, host: str) -> None:
    """Open the Dagster UI: on your account if KLAVIYO_API_KEY is set (also in .env), else on a simulated one.

    The simulated account is that of the demo, if there was one. It keeps to a file and a DAGSTER_HOME of its own,
    whatever the settings say.
    """
    from klaviyo_assets.settings import Settings

    chosen = Settings()
    simulated = not environment.get(chosen.api_key_variable)
    require("webserver", *(["sandbox"] if simulated else []))
    from klaviyo_assets.cli import places
    from klaviyo_assets.settings.sources import FORMER_FILE
    from klaviyo_assets.warehouse.duckdb.location import located

    _require_free(host, port)
    with as_ctrl_c(), ExitStack() as stack:
        if not simulated:
            click.echo(f"Using the Klaviyo account of {chosen.api_key_variable}.")
            folder = Path.cwd()
            what = ["-m", "klaviyo_assets.definitions"]
            if Path("workspace.yaml").is_file():
                what = ["-w", "workspace.yaml"]
            if "DAGSTER_HOME" in environment.differing():
                raise click.ClickException(
                    "DAGSTER_HOME differs between the shell and .env, which Dagster prefers: keep one."
                )
            home = stack.enter_context(places.home_of(chosen))
            if Path(".dagster_home/dagster.yaml").is_file() and home != Path(".dagster_home").absolute():
                click.echo(
                    f"The history of runs is in {home}; to go on with .dagster_home, set DAGSTER_HOME to its path."
                )
            if chosen.warehouse == located(FORMER_FILE):
                click.echo(
                    f"The warehouse is {FORMER_FILE}, the default of earlier versions: see `klaviyo-assets check`."
                )
        else:
            from klaviyo_assets.cli.demo import sandbox_process
            from klaviyo_assets.cli.embedded import serving

            click.echo(f"{chosen.api_key_variable} is not set: this runs on the simulated account of the sandbox.")
            given = {"events": events, "profiles": profiles, "days": days, "seed": seed}
            insisted = {name: value for name, value in given.items() if _was_given(name)}
            try:
                stack.enter_context(places.in_use(database))
                account = places.SimulatedAccount.resume(database, given, insisted)
            except places.NotSimulated as error:
                raise click.ClickException(str(error)) from None
            url = stack.enter_context(sandbox_process(account))
            stack.enter_context(account.environment(url, stack.enter_context(serving(account))))
            # Away from .env, which Dagster would write over the environment, and from the user's own code locations.
            folder, what = account.home, ["-w", str(account.workspace())]
        everywhere = host in ("0.0.0.0", "::")  # noqa: S104
        shown = "127.0.0.1" if everywhere else f"[{host}]" if ":" in host else host
        more = ", and at every other address of this machine" if everywhere else ""
        click.echo(f"The UI will be at http://{shown}:{port}{more}")
        command = [sys.executable, "-W", "ignore:Function `dev_command`", "-m", "dagster", "dev"]
        # In a group of its own, Ctrl-C reaches Dagster once, from here, and before the sandbox stops. What a shell
        # starts in the background ignores SIGINT, and Dagster would inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(  # noqa: S603
            [*command, *what, "-h", host, "-p", str(port)],
            process_group=0,
            cwd=folder,
            env={**environment.kept(), **os.environ},
        )
        signal.signal(signal.SIGINT, before)
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End Dagster, which may forget a signal; in the end with all processes that it has started."""
    for _ in range(_TIMES):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(_PATIENCE)
            return
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _require_free(host: str, port: int) -> None:
    """Raise click.ClickException if nobody can listen there: Dagster itself would go on without its UI."""
    try:
        (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        option = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        reason = (error.strerror or str(error)).partition(" (while ")[0]  # which says the address once more
        raise click.ClickException(f"{host}:{port} can't be used ({reason}); choose another {option}.") from error


def _was_given(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is not None and source is not ParameterSource.DEFAULT


if __name__ == "__main__":
    main()
