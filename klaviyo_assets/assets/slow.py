"""Which reads begin ahead of their steps: those that take a request for each of many objects, 60 a minute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import dagster as dg

from klaviyo_assets.assets.ahead import Done
from klaviyo_assets.assets.pools import without_limit
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.spooling import fill, spools
from klaviyo_assets.schema.columns import Batch, Columns
from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.due import is_snapshot_due
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.tables.flows import FLOW_MESSAGE
from klaviyo_assets.tables.forms import FORM_VERSION
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.spool import SpoolWriter
from klaviyo_assets.warehouse.state import States

SLOW = (FLOW_MESSAGE, FORM_VERSION)
"""Tables, each alone in its family."""


def snapshot_step(settings: Settings, family: str) -> str:
    """Return the name of the step that reads the snapshots of a family."""
    return f"{settings.name}{STAGING}__{family}"


def snapshot_rows(account: KlaviyoAccount, tables: Sequence[Table]) -> Iterator[Batch]:
    """Read tables of a family, page by page."""
    for rows in READS[tables[0].family](account):
        yield {table.name: Columns.of_rows(rows.get(table.name, []), table.types) for table in tables}


def read_ahead(
    settings: Settings,
    context: dg.AssetExecutionContext,
    account: KlaviyoAccount,
    now: dt.datetime,
    began: int,
    states: States,
    *,
    only_due: bool,
) -> None:
    """Begin, with the first step of a run, what later ones in the same process will read slowly.

    Not where steps wait for a place in a pool: they have none yet. now, began, states: what the step begins with.
    """
    if account.ahead.decided:
        return
    account.ahead.decided = True
    plan = context.op_execution_context.get_step_execution_context().execution_plan
    later = set(plan.step_keys_to_execute) - {context.op_execution_context.op_handle.name}
    tables = {
        step: table
        for table in map(settings.table, SLOW)
        if (step := snapshot_step(settings, table.family.name)) in later
        and (not only_due or is_snapshot_due(settings, states, [table], now))
    }
    places = {place for step in tables if (place := plan.get_step_by_key(step).pool)}
    if not tables or places - set(without_limit(places, context.instance)):
        return
    for step, table in tables.items():
        until = ExitStack()
        writers = spools([table], settings.spool_limit, until)

        def read(table: Table = table, writers: dict[str, SpoolWriter] = writers) -> Done:
            with account.client.counting_apart():
                used = account.usage()
                return fill(writers, snapshot_rows(account, [table])), used()

        account.ahead.begin(step, read, now=now, began=began, writers=writers, spools=until)
    context.log.info(
        f"{' and '.join(table.name for table in tables.values())}: being read meanwhile, with a request for each of "
        "many objects, of which Klaviyo allows 60 a minute."
    )
