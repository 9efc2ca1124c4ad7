"""EVENT and PERSON: straight from the API into the destination, incremental, partitioned by day."""

import datetime as dt
import gc
from collections.abc import Callable, Generator, Iterator, Sequence

import dagster as dg
from pydantic import Field

from klaviyo_assets.api import Page, attribute_times, between, read_windows, strictly_between
from klaviyo_assets.assets.progress import Progress
from klaviyo_assets.assets.ranges import ReadRange, plan
from klaviyo_assets.assets.specs import asset_out, is_incremental, table_spec
from klaviyo_assets.resources import KlaviyoAccount
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables import events, metrics, profiles
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.columns import Columns
from klaviyo_assets.warehouse.extract import Extract


class ReadConfig(dg.Config):
    """What a run may decide about event and person."""

    reread: bool | None = Field(
        default=None,
        description="Read the past days of the range again even if they were read before, instead of continuing from "
        "the watermark. Default: yes, except in syncs.",
    )


PagesToColumns = Callable[[KlaviyoAccount, ReadRange, Progress], Iterator[Columns]]


def build_incremental(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of EVENT and PERSON. They share one daily partitions definition: one run takes both."""
    days = dg.DailyPartitionsDefinition(start_date=settings.history_start.isoformat(), end_offset=1)
    return [
        _incremental(settings, days, events.EVENT, read_events),
        _incremental(settings, days, profiles.PERSON, read_profiles),
    ]


def _incremental(
    settings: Settings, days: dg.PartitionsDefinition, table: Table, read: PagesToColumns
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{settings.name}__{table.name}",
        outs={
            table.name: asset_out(
                settings,
                table_spec(settings, table, group="core"),
                Extract,
                backfill_policy=dg.BackfillPolicy.single_run(),
            )
        },
        partitions_def=days,
        required_resource_keys={settings.name},
    )
    def incremental(context: dg.AssetExecutionContext, config: ReadConfig) -> Extract:
        account: KlaviyoAccount = getattr(context.resources, settings.name)
        use = account.usage()
        window = context.partition_time_window
        chosen = plan(
            table.name,
            (window.start, window.end),
            account.warehouse.state(table.name),
            now=account.client.now(),
            overlap=settings.overlap,
            reread=not is_incremental(context, None if config.reread is None else not config.reread),
            run_id=context.run.run_id,
        )
        context.log.info(f"Reading {table.name} from {chosen.start} {f'to {chosen.end}' if chosen.end else 'on'}.")
        lost: dict[str, int] = {}

        def note_lost(column: str, count: int) -> None:
            lost[column] = lost.get(column, 0) + count
            context.log.warning(f"{count} values of {table.name}.{column} do not fit its type and are NULL.")

        columns = read(account, chosen, Progress(table.name, context.log))
        return Extract(
            table,
            typed_batches(_without_pauses(columns), table, on_lost=note_lost),
            states=(chosen.state,),
            metadata=lambda: (
                {
                    **use(),
                    "read_from": chosen.start.isoformat(),
                    "read_to": chosen.end.isoformat() if chosen.end else "now",
                    "synced_through": str(chosen.state.synced_through),
                }
                | ({"values_lost": lost} if lost else {})
            ),
        )

    return incremental


def read_events(account: KlaviyoAccount, chosen: ReadRange, report: Progress) -> Iterator[Columns]:
    """Read the events of a range. Their times have whole seconds, so half-open windows fit exactly."""
    client = account.client
    names: dict[str, str] = {}
    for page in client.pages("get_metrics", "/metrics"):
        names |= metrics.names(page.json())
    context = events.EventContext(names, dict(account.warehouse.rows("campaign_message", ("id", "campaign_id"))))

    def fetch(start: dt.datetime, end: dt.datetime | None) -> Iterator[Page]:
        parameters: dict[str, str | int] = {
            "filter": between("datetime", start, end),
            "sort": "datetime",
            "include": "attributions",
            "page[size]": 1000,
        }
        return client.pages("get_events", "/events", parameters)

    for page in _windows(account, chosen, fetch, attribute_times("datetime"), report):
        yield events.columns(page.content, context)


def read_profiles(account: KlaviyoAccount, chosen: ReadRange, report: Progress) -> Iterator[Columns]:
    """Read the profiles that were updated in a range.

    The API has only strict bounds, so windows are a second wider on both sides; what comes twice is matched by key.
    """

    def fetch(start: dt.datetime, end: dt.datetime | None) -> Iterator[Page]:
        parameters: dict[str, str | int] = {
            "filter": strictly_between("updated", start, end),
            "sort": "updated",
            "additional-fields[profile]": "subscriptions",
            "page[size]": 100,
        }
        return account.client.pages("get_profiles", "/profiles", parameters)

    for page in _windows(account, chosen, fetch, attribute_times("updated"), report):
        yield profiles.columns(page.content)


def _windows(
    account: KlaviyoAccount,
    chosen: ReadRange,
    fetch: Callable[[dt.datetime, dt.datetime | None], Iterator[Page]],
    times: Callable[[Page], Sequence[dt.datetime | None]],
    report: Progress,
) -> Iterator[Page]:
    return read_windows(
        fetch,
        chosen.start,
        chosen.end,
        times=times,
        workers=account.client.max_concurrency,
        now=account.client.now(),
        on_progress=lambda done: report(*done),
    )


def _without_pauses(columns: Iterator[Columns]) -> Iterator[Columns]:
    """Keep the garbage collector from looking through a page's many new objects while they are made."""
    was_on = gc.isenabled()
    try:
        while True:
            gc.disable()
            try:
                batch = next(columns, None)
            finally:
                if was_on:
                    gc.enable()
            if batch is None:
                return
            yield batch
    finally:
        if isinstance(columns, Generator):
            columns.close()
