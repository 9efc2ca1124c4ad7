"""EVENT and PERSON: straight from the API into the warehouse, incremental, partitioned by day."""

import datetime as dt
import gc
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field

from klaviyo_assets.api import (
    NotPermitted,
    Page,
    all_of,
    attribute_times,
    between,
    has,
    read_windows,
    strictly_between,
)
from klaviyo_assets.assets.advice import advised
from klaviyo_assets.assets.days import days_of_run, has_days
from klaviyo_assets.assets.described import DescribedAssets, asset_out, deps_of
from klaviyo_assets.assets.history import with_days_before
from klaviyo_assets.assets.pools import pool
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.specs import account_key
from klaviyo_assets.assets.step import UNREAD_ONLY, Step, chosen
from klaviyo_assets.schema.lost import UNDESCRIBED, UNIDENTIFIED
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.fields import asks_for_subscriptions
from klaviyo_assets.sync.pages import IDS, EventPages, ProfilePages
from klaviyo_assets.sync.progress import ProgressReporter
from klaviyo_assets.sync.ranges import ReadRange, plan, sync_back_to
from klaviyo_assets.sync.scopes import REREAD
from klaviyo_assets.sync.vanished import ask_for_events
from klaviyo_assets.tables import events, exclusions, metrics, profiles
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.extract import Ask, Coverage, Extract
from klaviyo_assets.warehouse.spool import Spool, SpoolWriter
from klaviyo_assets.warehouse.state import States, is_read
from klaviyo_assets.workers.conversion import Convert

T = TypeVar("T")


class ReadConfig(dg.Config):
    """What a run may decide about event and person."""

    reread: bool | None = Field(
        default=None,
        description="In a range that contains today: read its past days again even if they were read before, instead "
        "of continuing from the watermark. Default: yes, except in syncs. A range of past days is always read.",
    )
    accept_shrink: bool = Field(
        default=False,
        description="Flag events as deleted even if days lack more of them than `delete_guard` allows.",
    )


Read = tuple[Iterator[Page], Convert]
"""Pages, and what makes rows of them."""

Reading = Callable[[Settings, KlaviyoAccount, ReadRange, ProgressReporter, logging.Logger], Read]
"""Reads a range."""

_PAGES_PER_COLLECTION = 50


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Return the partitions of EVENT and PERSON: UTC days since the first that the settings want, today included."""
    return dg.DailyPartitionsDefinition(start_date=settings.first_partition.isoformat(), end_offset=1)


def build_incremental(described: DescribedAssets) -> list[dg.AssetsDefinition]:
    """Return the assets of EVENT and of PERSON with what else its pages hold.

    They share one daily partitions definition, so that one run takes both. A table that is off takes with it what
    comes from its pages.
    """
    settings = described.settings
    days = daily_partitions(settings)
    families: tuple[tuple[Sequence[Table], Reading], ...] = (
        ((events.EVENT,), read_events),
        ((profiles.PERSON, *exclusions.TABLES), read_profiles),
    )
    return [
        _incremental(described, days, [settings.table(table) for table in tables], read)
        for tables, read in families
        if settings.enabled(tables[0])
    ]


def _incremental(
    described: DescribedAssets, days: dg.PartitionsDefinition, tables: Sequence[Table], read: Reading
) -> dg.AssetsDefinition:
    settings, main = described.settings, tables[0]
    enabled = [table for table in tables if settings.enabled(table)]
    specs = {table.name: described.table(table.name) for table in enabled}

    @dg.multi_asset(
        name=f"{settings.name}__{main.name}",
        outs={name: asset_out(settings, spec, Extract, is_required=False) for name, spec in specs.items()},
        deps=deps_of(specs.values()),
        partitions_def=days,
        backfill_policy=described.options.backfill_policy,
        can_subset=True,
        required_resource_keys={account_key(settings)},
        **described.options.of_asset(pool(settings, "events" if main.name == "event" else "profiles")),
    )
    @described.options.executed
    def incremental(context: dg.AssetExecutionContext, config: ReadConfig) -> Iterator[dg.Output[Extract]]:
        wanted = chosen(context, enabled)
        with Step(settings, context, wanted) as step:
            account, states = step.account, step.states
            days_asked = days_of_run(context, settings.first_partition, step.now, is_sync=step.is_sync)
            days_wanted = with_days_before(settings, account, main, days_asked)
            unread_only = context.run.tags.get(UNREAD_ONLY) == "true"
            if unread_only and all(is_read(states, table.name, *days_wanted) for table in wanted):
                context.log.info(f"These days of {main.name} have been read meanwhile.")
                return
            back_to = {table.name: _back_to(settings, states, table, step.now) for table in wanted}
            # Each table has a watermark of its own: a run may end between two loads, or be of one table only.
            plans = [
                plan(
                    table.name,
                    days_wanted,
                    states.get((table.name, "")),
                    now=step.now,
                    overlap=settings.overlap,
                    reread=not step.is_sync if config.reread is None else config.reread,
                    reread_days=settings.reread_days,
                    back_to=back_to[table.name],
                    run_id=context.run.run_id,
                )
                for table in wanted
            ]
            read_range = min(plans, key=lambda each: (each.start, each.state.synced_through or each.start))
            bound = f"to {read_range.end}" if read_range.end else "on"
            context.log.info(f"Reading {main.name} from {read_range.start} {bound}.")
            report = ProgressReporter(main.name, context.log)
            with advised():
                pages, convert = read(settings, account, read_range, report, context.log)
            writers = step.spool_pages(without_pauses(pages), convert, (*wanted, IDS))
            lost = step.losses(*(writers[table.name].lost for table in wanted))
            used = step.used()
            for table in wanted:
                went_back = read_range.end is None and back_to[table.name] is not None
                extract = _extract(context, main, table, writers, read_range, went_back, used, lost, step.now)
                extract.began = step.began
                extract.guarded = extract.guarded and not config.accept_shrink
                if extract.coverage and extract.coverage.column not in table.primary_key:
                    extract.ask = ask_about_events(settings, account, table, context.log)
                yield dg.Output(extract, output_name=table.name)

    return incremental


def _back_to(settings: Settings, states: States, table: Table, now: dt.datetime) -> dt.datetime | None:
    back_to = sync_back_to(
        states.get((table.name, "")),
        states.get((table.name, REREAD)),
        now=now,
        first_days=settings.first_sync_days,
        reread_days=settings.reread_days,
        interval=settings.sync_interval,
    )
    limit = settings.history_start
    return max(back_to, dt.datetime.combine(limit, dt.time(), dt.UTC)) if back_to and limit else back_to


def _extract(
    context: dg.AssetExecutionContext,
    main: Table,
    table: Table,
    writers: Mapping[str, SpoolWriter],
    read_range: ReadRange,
    went_back: bool,
    used: Mapping[str, Any],
    lost: Mapping[str, Any],
    now: dt.datetime,
) -> Extract:
    """Say what is loaded: the main table's rows, or those of a table that comes with it."""
    writer = writers[table.name]
    state = replace(read_range.state, table=table.name)
    went_back_at = replace(state, scope=REREAD, synced_from=None, complete=True)
    states = (state, went_back_at) if went_back else (state,)
    if table is not main:
        # The page of a profile shows all of its exclusions: those that are not on it are gone.
        ids = Coverage(table.primary_key[0], values=writers[IDS.name].spool)
        return Extract(table, spool=writer.spool, coverage=ids, guarded=False, states=states, metadata=lambda: used)
    complete = read_range.complete
    if not {UNIDENTIFIED, UNDESCRIBED}.isdisjoint(lost.get("values_lost", ())):
        complete = None  # some rows that are there did not come: none is gone for their sake
    coverage = None
    if complete and table.version is None:
        coverage = Coverage(table.partitioned_by, *complete, read_at=now)
    described = {
        **used,
        "spool_bytes": writer.spool.bytes,
        "read_from": str(read_range.start),
        "read_to": str(read_range.end) if read_range.end else "now",
        **lost,
    }
    if not read_range.state.extends:
        described["synced_through"] = str(read_range.state.synced_through)
    keys = context.partition_keys if has_days(context) else []
    if len(keys) > 1:
        described["figures_are_of"] = f"all {len(keys)} days from {keys[0]} to {keys[-1]}"
    return Extract(table, spool=writer.spool, coverage=coverage, states=states, metadata=lambda: described)


def read_events(
    settings: Settings, account: KlaviyoAccount, chosen: ReadRange, report: ProgressReporter, log: logging.Logger
) -> Read:
    """Read the events of a range. Their times have whole seconds, so half-open windows fit exactly."""

    def fetch(start: dt.datetime, end: dt.datetime | None) -> Iterator[Page]:
        parameters: dict[str, str | int | None] = {
            "filter": all_of(
                between("datetime", start, end), has("profile") if settings.only_active_profiles else None
            ),
            "sort": "datetime",
            "include": _event_includes(settings),
            "page[size]": 1000,
        }
        return account.client.pages("get_events", "/events", parameters)

    convert = _event_pages(settings, account, log)
    return _windows(account, chosen, fetch, attribute_times("datetime"), report), convert


def ask_about_events(settings: Settings, account: KlaviyoAccount, table: Table, log: logging.Logger) -> Ask:
    """Return what asks for events by their ids; those that Klaviyo still has are spooled as they are now."""

    def ask(ids: list[str], spool: Spool) -> set[str]:
        answer = ask_for_events(
            account.client,
            ids,
            include=_event_includes(settings),
            only_active=settings.only_active_profiles,
            log=log,
        )
        if answer.found:
            log.info(f"{len(answer.found):,} of them are still there: their times have changed.")
            writer = SpoolWriter(table, spool)
            writer.add(_event_pages(settings, account, log).columns(answer.page.content))
            writer.close()
        return set(answer.gone)

    return ask


def _event_includes(settings: Settings) -> str | None:
    return None if settings.privacy.policy(events.EVENT).blocks(events.ATTRIBUTION) else "attributions"


def _event_pages(settings: Settings, account: KlaviyoAccount, log: logging.Logger) -> EventPages:
    """Return what makes rows of pages of events, with what they take from other tables."""
    policy = settings.privacy.policy(events.EVENT)
    names: dict[str, str] = {}
    try:
        for page in account.client.pages("get_metrics", "/metrics") if not policy.blocks("type") else ():
            names |= metrics.names(page.json())
    except NotPermitted as error:
        log.warning(f"The type of events will be NULL: {error}")
    context = events.EventContext(names, dict(account.warehouse.rows("campaign_message", ("id", "campaign_id"))))
    return EventPages(policy, context)


def read_profiles(
    settings: Settings, account: KlaviyoAccount, chosen: ReadRange, report: ProgressReporter, log: logging.Logger
) -> Read:
    """Read the profiles that were updated in a range.

    The API has only strict bounds, so windows are a second wider on both sides; what comes twice is matched by key.
    """
    subscriptions = "subscriptions" if asks_for_subscriptions(settings) else None

    def fetch(start: dt.datetime, end: dt.datetime | None) -> Iterator[Page]:
        parameters: dict[str, str | int | None] = {
            "filter": strictly_between("updated", start, end),
            "sort": "updated",
            "additional-fields[profile]": subscriptions,
            "page[size]": 100,
        }
        return account.client.pages("get_profiles", "/profiles", parameters)

    convert = ProfilePages(settings.privacy.policy(profiles.PERSON))
    return _windows(account, chosen, fetch, attribute_times("updated"), report), convert


def _windows(
    account: KlaviyoAccount,
    chosen: ReadRange,
    fetch: Callable[[dt.datetime, dt.datetime | None], Iterator[Page]],
    times: Callable[[Page], Sequence[dt.datetime | None]],
    report: ProgressReporter,
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


def without_pauses(pages: Iterator[T]) -> Iterator[T]:
    """Keep the garbage collector from looking, again and again, through what waits to be spooled.

    Pages make no cycles; what else is left behind is collected now and then.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        for number, page in enumerate(pages, 1):
            yield page
            if number % _PAGES_PER_COLLECTION == 0:
                gc.collect(1)  # not what was there before the read
    finally:
        if was_on:
            gc.enable()
        if isinstance(pages, Generator):
            pages.close()
