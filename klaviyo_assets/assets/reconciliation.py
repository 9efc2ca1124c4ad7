"""Comparing the number of events per metric and day with Klaviyo's own."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import msgspec

from klaviyo_assets.api import MARGIN, InvalidRequest, KlaviyoClient, NotPermitted
from klaviyo_assets.assets.due import is_due, is_incremental
from klaviyo_assets.assets.history import DayRange
from klaviyo_assets.assets.ranges import DAY, first_whole_day, midnight
from klaviyo_assets.assets.snapshots import SnapshotConfig, skip_or_raise
from klaviyo_assets.assets.specs import latest_day, progress_spec, table_key
from klaviyo_assets.privacy import Action
from klaviyo_assets.resources import KlaviyoAccount
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables import metrics
from klaviyo_assets.tables.documents import instant
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.tables.table import WEEKLY
from klaviyo_assets.warehouse.extract import SyncState

RECONCILIATION = "event_reconciliation"
"""Name of the asset, and scope of the state of EVENT that says when it last ran."""

RANGES = "ranges_to_reread"
DIFFERENCES = "differences_found"
"""Metadata of the asset, JSON: what `klaviyo_backfill_sensor` requests, and what the next comparison remembers."""

LONGEST = dt.timedelta(days=365)
"""Klaviyo aggregates at most a year at a time."""

MOST = 2000
"""Differences that are kept and acted on at a time, newest first."""

MOST_TIMES = 3
"""How often a day is read again because of the same difference."""


@dataclass(frozen=True)
class Difference:
    """Numbers of events of a metric and UTC day. times: how many comparisons in a row have found these numbers."""

    day: dt.date
    metric_id: str
    klaviyo: int
    warehouse: int
    times: int = 1


def build_reconciliation(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset."""
    shows_names = settings.masking.policy(metrics.METRIC).action("name") is Action.KEEP
    spec = progress_spec(
        settings,
        RECONCILIATION,
        "Once a week the number of events of each metric and day is compared with Klaviyo's own; "
        "`klaviyo_backfill_sensor` has the days that differ read again. Events that are dated back are found this way.",
        fresh_for=WEEKLY + DAY,
        deps=[latest_day(settings, EVENT)],
    )

    @dg.multi_asset(
        name=f"{settings.name}__{RECONCILIATION}",
        specs=[spec],
        required_resource_keys={settings.name},
    )
    def event_reconciliation(
        context: dg.AssetExecutionContext, config: SnapshotConfig
    ) -> Iterator[dg.MaterializeResult[Any]]:
        account: KlaviyoAccount = getattr(context.resources, settings.name)
        now = account.client.now()
        states = account.warehouse.states()
        if is_incremental(context, config.only_due) and not is_due(
            settings, states, EVENT.name, RECONCILIATION, WEEKLY, now
        ):
            context.log.info("The reconciliation is not due yet.")
            return
        known = states.get((EVENT.name, ""))
        if known is None or known.synced_through is None:
            return
        start = first_whole_day(max(known.synced_from or _start(settings), _start(settings)))
        # Of the latest days the daily re-read takes care: there it is normal that Klaviyo knows more. The oldest day
        # that it reads is compared all the same: from the next midnight on it reads that day no more.
        end = midnight(now - MARGIN) - max(settings.reread_days - 1, 0) * DAY
        if start >= end:
            context.log.info("There is nothing to compare yet: the days before the daily re-read have not been read.")
            return
        try:
            names, theirs = klaviyo_counts(account.client, start, end, context, show_names=shows_names)
        except NotPermitted as error:
            skip_or_raise(settings, context, error, [EVENT])
            return
        ours = account.warehouse.daily_counts(EVENT.name, "metric_id", "datetime", start, end)
        before = context.instance.get_latest_materialization_event(table_key(settings, RECONCILIATION))
        metadata = before.asset_materialization.metadata if before and before.asset_materialization else {}
        found = compare(theirs, ours, _remembered(metadata))
        # Klaviyo's own numbers count the events of deleted profiles too: that it knows more is no reason to read again.
        wrong = [each for each in found if not settings.only_active_profiles or each.warehouse > each.klaviyo]
        state = SyncState(EVENT.name, RECONCILIATION, synced_through=now, complete=True, run_id=context.run.run_id)
        account.warehouse.remember(state)
        yield dg.MaterializeResult(
            asset_key=table_key(settings, RECONCILIATION),
            metadata={
                "metrics": len(names),
                "days_compared": (end - start).days,
                "days_that_differ": len({difference.day for difference in found}),
                "differences": dg.MetadataValue.md(as_table(found, names)),
                DIFFERENCES: dg.MetadataValue.json(msgspec.to_builtins(found)),
                RANGES: dg.MetadataValue.json([r.to_json() for r in ranges(wrong, settings.history_chunk_days)]),
            },
        )

    return event_reconciliation


def klaviyo_counts(
    client: KlaviyoClient,
    start: dt.datetime,
    end: dt.datetime,
    context: dg.AssetExecutionContext,
    *,
    show_names: bool = True,
) -> tuple[dict[str, str], dict[str, dict[dt.date, int]]]:
    """Return the names of the metrics by id, and by id the number of events of each day in [start, end).

    A metric that Klaviyo does not aggregate is left out, with a warning. start, end: midnights, UTC. show_names: else
    ids take the places of names.
    """
    names: dict[str, str] = {}
    for page in client.pages("get_metrics", "/metrics"):
        for row in metrics.rows(page.json())["metric"]:
            names[row["id"]] = (row["name"] if show_names else None) or row["id"]
    counts: dict[str, dict[dt.date, int]] = {}
    for metric in names:
        try:
            counts[metric] = counts_of(client, metric, start, end)
        except InvalidRequest as error:
            context.log.warning(f"The metric {names[metric]} can't be compared: {error}")
    return names, counts


def counts_of(client: KlaviyoClient, metric: str, start: dt.datetime, end: dt.datetime) -> dict[dt.date, int]:
    """Return the number of a metric's events on each day in [start, end): midnights, UTC."""
    counts: dict[dt.date, int] = {}
    while start < end:
        until = min(start + LONGEST, end)
        attributes = {
            "metric_id": metric,
            "measurements": ["count"],
            "interval": "day",
            "filter": [
                f"greater-or-equal(datetime,{start:%Y-%m-%dT%H:%M:%S})",
                f"less-than(datetime,{until:%Y-%m-%dT%H:%M:%S})",
            ],
            "timezone": "UTC",
        }
        body = {"data": {"type": "metric-aggregate", "attributes": attributes}}
        answer = client.post("query_metric_aggregates", "/metric-aggregates", body).json()["data"]["attributes"]
        days = [instant(date).date() for date in answer["dates"]]
        for row in answer["data"]:
            for day, count in zip(days, row["measurements"]["count"], strict=True):
                counts[day] = counts.get(day, 0) + int(count)
        start = until
    return counts


def compare(
    theirs: Mapping[str, Mapping[dt.date, int]],
    ours: Mapping[tuple[str, dt.date], int],
    before: Iterable[Difference] = (),
) -> list[Difference]:
    """Return where the numbers of the metrics in `theirs` differ, newest day first, at most `MOST`.

    before: the differences that the last comparison found.
    """
    times = {replace(difference, times=0): difference.times for difference in before}
    found = []
    for metric, counts in theirs.items():
        days = {day for day, count in counts.items() if count} | {day for id, day in ours if id == metric}
        for day in days:
            klaviyo, warehouse = counts.get(day, 0), ours.get((metric, day), 0)
            if klaviyo != warehouse:
                difference = Difference(day, metric, klaviyo, warehouse, times=0)
                found.append(replace(difference, times=times.get(difference, 0) + 1))
    return sorted(found, key=lambda d: (-d.day.toordinal(), d.metric_id))[:MOST]


def ranges(differences: Iterable[Difference], longest: int) -> list[DayRange]:
    """Return the days to read again as ranges of at most `longest` days, newest first.

    Days whose numbers did not change by being read `MOST_TIMES` times are left alone.
    """
    found: list[DayRange] = []
    for day in sorted({d.day for d in differences if d.times <= MOST_TIMES}, reverse=True):
        latest = found[-1] if found else None
        if latest and latest.first_day - day == DAY and (latest.last_day - day).days < longest:
            found[-1] = replace(latest, first_day=day)
        else:
            found.append(DayRange(day, day, (EVENT.name,)))
    return found


def as_table(differences: Sequence[Difference], names: Mapping[str, str], rows: int = 100) -> str:
    """Return a Markdown table of the first differences, a sentence if there are none."""
    if not differences:
        return "Klaviyo and the warehouse have the same number of events on every day."
    lines = ["| day | metric | Klaviyo | warehouse | found |", "|---|---|--:|--:|---|"]
    for each in differences[:rows]:
        name = names.get(each.metric_id, each.metric_id).replace("|", "\\|")
        again = "" if each.times == 1 else f"{each.times} times"
        lines.append(f"| {each.day} | {name} | {each.klaviyo:,} | {each.warehouse:,} | {again} |")
    if len(differences) > rows:
        lines.append(f"\n... and {len(differences) - rows:,} more.")
    return "\n".join(lines)


def _remembered(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[Difference]:
    value = metadata.get(DIFFERENCES)
    return msgspec.convert(value.value, list[Difference]) if value else []


def _start(settings: Settings) -> dt.datetime:
    return dt.datetime.combine(settings.history_start, dt.time(), dt.UTC)
