"""`klaviyo-assets verify-warehouse`: tries on your database what this project promises of it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import click

from klaviyo_assets.cli.signals import as_ctrl_c
from klaviyo_assets.text import clean

if TYPE_CHECKING:
    from klaviyo_assets.verification.report import Report, Verdict


@click.command("verify-warehouse")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, once all is done.")
@click.option(
    "--at-once", type=click.IntRange(1, 16), default=4, show_default=True, help="Promises to try at the same time."
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10,
    show_default=True,
    help="Minutes after which no further promise is tried.",
)
def verify_warehouse(as_json: bool, at_once: int, minutes: float) -> None:
    """Try on the warehouse of the settings what every database has to do: upserts, types, deletes, all or nothing.

    It makes schemas of its own, whose names begin with klaviyo_verify_, loads some 400,000 rows that it makes up, and
    drops the schemas again; no other schema is looked at, and Klaviyo is not asked. The report names no server, account
    or user: it is made to be sent to us. Ends with 0 if every promise was tried and holds, 1 if not.
    """
    from klaviyo_assets.settings import Settings
    from klaviyo_assets.verification.run import Verification, apart
    from klaviyo_assets.warehouse.errors import WarehouseError

    with as_ctrl_c(), apart(Settings()) as settings:
        try:
            verification = Verification(settings, at_once=at_once, seconds=60 * minutes)
        except WarehouseError as error:
            raise click.ClickException(f"The warehouse can't be used: {clean(str(error))}") from None
        report = verification.report
        click.echo(f"Trying it in schemas whose names begin with {verification.schemas}.", err=True)
        if not as_json:
            _introduce(report)
        try:
            with closing(verification.verdicts()) as verdicts:
                for verdict in verdicts:
                    if not as_json:
                        _print(verdict)
            if as_json:
                click.echo(json.dumps(report.as_dict(), indent=2))
            else:
                _sum_up(report)
        finally:
            for left in report.left:
                click.echo(f"WARNING    This schema could not be dropped, drop it yourself: {clean(left)}", err=True)
    sys.exit(0 if report.all_hold else 1)


def _introduce(report: Report) -> None:
    click.echo(f"database   {report.database} {clean(report.server)}".rstrip())
    click.echo("versions   " + ", ".join(f"{name} {version}" for name, version in report.versions.items()))


def _print(verdict: Verdict) -> None:
    took = "" if verdict.outcome == "not tried" else f"{verdict.seconds:>6.1f} s {verdict.steps:>5} steps"
    click.echo(f"{verdict.outcome:<10} {took:<20} {verdict.promise}")
    for line in verdict.problem.splitlines():
        click.echo(f"{'':<10} {clean(line)}")
    if verdict.last:
        click.echo(f"{'':<10} last step: {clean(verdict.last)}")


def _sum_up(report: Report) -> None:
    counts = Counter(verdict.outcome for verdict in report.verdicts)
    click.echo("\n" + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
