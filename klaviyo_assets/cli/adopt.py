"""The command that takes over a schema of Fivetran's."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from klaviyo_assets import clock
from klaviyo_assets.cli.account import DAY, DAY_SHOWN, Opened, opened
from klaviyo_assets.text import clean

if TYPE_CHECKING:
    from klaviyo_assets.adoption.findings import Finding
    from klaviyo_assets.adoption.report import AdoptionReport
    from klaviyo_assets.schema.spec import TableSpec

_HEADINGS = {
    "problem": "Problems: each keeps the schema from being taken over",
    "choice": "To look at first",
    "altered": "Changed by the adoption",
    "later": "Made by the syncs that follow",
    "kept": "Stays as it is",
}


@click.command()
@click.option("--apply", is_flag=True, help="Take the schema over. Without it nothing is changed.")
@click.option(
    "--history",
    type=click.Choice(["keep", "read"]),
    default="keep",
    show_default=True,
    help="keep: days of events that are there count as read, and are compared with Klaviyo's own numbers. read: all of "
    "them are read again. Rows stay meanwhile.",
)
@click.option(
    "--from",
    "since",
    type=DAY,
    metavar=DAY_SHOWN,
    help="First day (UTC) that is kept.  [default: that of the first event]",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def adopt(apply: bool, history: str, since: dt.datetime | None, yes: bool, as_json: bool) -> None:
    """Take over a schema that Fivetran has filled, with its rows.

    The settings `warehouse` and `schema` say where it is. First comes a report: what differs there, what will be
    changed and what stays, and how long the first sync will take. Ends with 1 if something keeps it from being taken
    over. Fivetran has to be paused before --apply: docs/from_fivetran.md.
    """
    import dagster as dg

    from klaviyo_assets.adoption import report as adoption
    from klaviyo_assets.assets.advice import advised
    from klaviyo_assets.assets.described import DescribedAssets
    from klaviyo_assets.automation.selection import ask_for_all
    from klaviyo_assets.cli import terminal
    from klaviyo_assets.warehouse.errors import WarehouseError

    if since and history == "read":
        raise click.UsageError("--from says what is kept, and --history read keeps nothing: give one of them.")
    with opened() as account:
        settings, warehouse = account.settings, account.warehouse
        specs = list(_specs(account))
        try:
            with advised(), terminal.busy("Looking at the tables"):
                found = adoption.look(
                    settings,
                    warehouse,
                    specs,
                    now=clock.machine_time(),
                    keep=history == "keep",
                    since=since.date() if since else None,
                )
                found = replace(found, findings=[*_of_account(account, found), *found.findings])
        except WarehouseError as error:
            raise click.ClickException(str(error)) from None
        if as_json:
            click.echo(json.dumps(_as_dict(found), indent=2, default=str))
        else:
            _print(found)
        if found.problems:
            if apply:
                raise click.ClickException("Nothing was taken over: mend the problems first.")
            click.get_current_context().exit(1)
        if not apply:
            return
        if not yes:
            click.confirm(
                f"\n{warehouse.place} will be taken over. Is Fivetran's connection paused?", abort=True, err=True
            )
        try:
            with advised(), terminal.busy("Taking the tables over"):
                account.klaviyo.start(lambda sentence: click.echo(clean(sentence), err=True))
                adoption.adopt(warehouse, specs, found)
        except (WarehouseError, dg.Failure) as error:
            raise click.ClickException(f"{error} Nothing was taken over.") from None
        ask_for_all(DescribedAssets(account.settings), account.instance)
        if not as_json:
            click.echo(
                "Taken over. Next: `klaviyo-assets sync`, or start the schedule; then `klaviyo-assets backfill`."
            )


def _specs(account: Opened) -> Iterator[TableSpec]:
    from klaviyo_assets.assets.described import enabled_tables

    yield from map(account.settings.table, enabled_tables(account.settings))


def _of_account(account: Opened, found: AdoptionReport) -> Iterator[Finding]:
    """Yield whether the key is of the account whose rows are there, and what the server does not allow."""
    from klaviyo_assets.adoption.findings import Finding, Kind
    from klaviyo_assets.api import KlaviyoError
    from klaviyo_assets.assets.identity import confirm
    from klaviyo_assets.cli import postgres
    from klaviyo_assets.warehouse.errors import AnotherAccount
    from klaviyo_assets.warehouse.location import kind_of

    settings, klaviyo = account.settings, account.klaviyo
    if kind_of(settings.warehouse) == "postgres":
        _, problems, warnings = postgres.look(account.warehouse, settings)
        yield from (Finding(Kind.PROBLEM, None, problem) for problem in problems)
        yield from (Finding(Kind.CHOICE, None, warning) for warning in warnings)
    try:
        warning = confirm(klaviyo.client, account.warehouse, klaviyo.identity(), settings.api_key_variable)
        yield from list(_of_history(account, found))
    except AnotherAccount as error:
        yield Finding(Kind.PROBLEM, None, str(error))
    except KlaviyoError as error:
        yield Finding(Kind.PROBLEM, None, f"Whose rows these are could not be asked: {error}")
    else:
        if warning:
            yield Finding(Kind.CHOICE, None, warning)


def _of_history(account: Opened, found: AdoptionReport) -> Iterator[Finding]:
    """Yield what Klaviyo says of the days that count as read: whether they can be compared, and what is before them."""
    from klaviyo_assets.adoption.findings import Finding, Kind
    from klaviyo_assets.api import NotPermitted
    from klaviyo_assets.assets.history import first_event
    from klaviyo_assets.cli.check import PROBES
    from klaviyo_assets.sync.ranges import DAY as ONE_DAY
    from klaviyo_assets.tables.events import EVENT
    from klaviyo_assets.tables.metrics import METRIC

    if found.kept is None:
        return
    client = account.klaviyo.client
    scope = METRIC.family.scopes[0]
    probe = PROBES[scope]
    try:
        client.get(probe.operation, probe.path, probe.params, many=True)
    except NotPermitted:
        text = (
            f"can't be compared with Klaviyo's numbers: the key lacks the scope {scope}. Events that the other "
            "connector has missed stay missing. Give the key that scope, or read all days again: --history read."
        )
        yield Finding(Kind.CHOICE, EVENT.name, text)
    try:
        first = first_event(client)
    except NotPermitted as error:
        yield Finding(Kind.CHOICE, EVENT.name, f"is not synced on: {error}")
        return
    if first and found.first and first < found.first - ONE_DAY and not account.settings.history_start:
        text = (
            f"begins with {found.first.date()} here, and with {first.date()} at Klaviyo: the backfill reads the days "
            "before as well. How many events that are is in no figure here. "
            f"`history_start: {found.kept.start.date()}` leaves them out."
        )
        yield Finding(Kind.CHOICE, EVENT.name, text)


def _as_dict(found: AdoptionReport) -> dict[str, Any]:
    least, most = (round(each.total_seconds()) for each in found.duration)
    return {
        "rows": found.rows,
        "findings": [asdict(finding) for finding in found.findings],
        "kept": asdict(found.kept) if found.kept else None,
        "to_read": {"events": found.events, "profiles": found.profiles, "seconds": [least, most]},
    }


def _print(found: AdoptionReport) -> None:
    for table, rows in found.rows.items():
        click.echo(f"{table:<32} {rows:>14,} rows")
    for kind, heading in _HEADINGS.items():
        some = [finding for finding in found.findings if finding.kind == kind]
        if some:
            click.echo(f"\n{heading}:")
        for finding in some:
            click.echo(f"  {finding.table + ' ' if finding.table else ''}{clean(finding.text)}")
    if found.problems:
        return
    takes = " to ".join(dict.fromkeys(_minutes(each) for each in found.duration))
    click.echo(
        f"\nThe first sync and the backfill read about {found.events:,} events and {found.profiles:,} profiles: "
        f"{takes}, at the rate that Klaviyo allows."
    )


def _minutes(duration: dt.timedelta) -> str:
    minutes = max(1, round(duration.total_seconds() / 60))
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
