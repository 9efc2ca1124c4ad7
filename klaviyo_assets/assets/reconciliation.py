"""Comparing the number of events per metric and day with Klaviyo's own."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from klaviyo_assets.api import InvalidRequest, KlaviyoClient
from klaviyo_assets.assets.described import DescribedAssets
from klaviyo_assets.assets.history import RANGES, first_times, to_reread
from klaviyo_assets.assets.pools import pool
from klaviyo_assets.assets.specs import account_key
from klaviyo_assets.assets.step import SnapshotConfig, Step
from klaviyo_assets.privacy.policy import Action
from klaviyo_assets.sync.ranges import DAY, LONGEST_COMPARED, first_whole_day, reread_from
from klaviyo_assets.sync.scopes import RECONCILIATION, REREAD
from klaviyo_assets.tables import metrics
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.tables.jsonapi import instant
from klaviyo_assets.tables.table import WEEKLY
from klaviyo_assets.warehouse.results import Difference

MOST_TIMES = 3
"""How often a day is read again because of the same difference: once after each comparison that finds it."""


def build_reconciliation(described: DescribedAssets) -> dg.AssetsDefinition:
    """Return the asset."""
    settings, spec = described.settings, described.progress(RECONCILIATION)
    shows_names = settings.privacy.policy(metrics.METRIC).action("name") is Action.KEEP

    @dg.multi_asset(
        name=f"{settings.name}__{RECONCILIATION}",
        specs=[spec],
        required_resource_keys={account_key(settings)},
        **described.options.of_asset(pool(settings, "small")),
    )
    @described.options.executed
    def event_reconciliation(
        context: dg.AssetExecutionContext, config: SnapshotConfig
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with Step(settings, context, [settings.table(EVENT)]) as step:
            states, warehouse = step.states, step.account.warehouse
            due = step.is_due(EVENT.name, RECONCILIATION, WEEKLY)
            if step.skips(config, due=due, what="The reconciliation is"):
                return
            known = states.get((EVENT.name, ""))
            if known is None or known.synced_through is None:
                return
            limit = dt.datetime.combine(settings.first_partition, dt.time(), dt.UTC)
            start = first_whole_day(known.synced_from or limit)
            start = max(start, limit) if settings.history_start else start
            # Of the days from there on the next daily re-read takes care: that Klaviyo knows more of them is normal.
            end = reread_from(known.synced_through, states.get((EVENT.name, REREAD)), settings.reread_days)
            if start >= end:
                context.log.info(
                    "There is nothing to compare yet: the days before the daily re-read have not been read."
                )
                return
            names, theirs = klaviyo_counts(step.account.client, start, end, context, show_names=shows_names)
            ours = warehouse.daily_counts(EVENT.name, "metric_id", "datetime", start, end)

            def is_wanted(each: Difference) -> bool:
                # Klaviyo's own numbers count the events of deleted profiles too: that it has more is no reason to read.
                is_wrong = not settings.only_active_profiles or each.ours > each.theirs
                return is_wrong and each.reads < MOST_TIMES

            state = step.state(EVENT.name, RECONCILIATION)
            found = warehouse.remember_differences(compare(theirs, ours), is_wanted, state)
            compared = start.date(), (end - DAY).date()
            times = [each.date() for each in first_times(EVENT, warehouse, step.account.client)]
            first = max(min(times, default=start.date()), settings.history_start or dt.date.min)
            sentences = [as_table(found, names, compared), *not_compared(names, theirs, compared, first)]
            if settings.only_active_profiles:
                sentences.append(
                    "Klaviyo also counts the events of deleted profiles, so days on which it has more are not read "
                    "again."
                )
            yield dg.MaterializeResult(
                asset_key=spec.key,
                metadata={
                    "metrics": len(theirs),
                    "days_compared": (end - start).days,
                    "first_day_compared": start.date().isoformat(),
                    "last_day_compared": (end - DAY).date().isoformat(),
                    "days_that_differ": len({difference.day for difference in found}),
                    "differences": dg.MetadataValue.md("\n\n".join(sentences)),
                    RANGES: to_reread(settings, warehouse),
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
        until = min(start + LONGEST_COMPARED, end)
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


def compare(theirs: Mapping[str, Mapping[dt.date, int]], ours: Mapping[tuple[str, dt.date], int]) -> list[Difference]:
    """Return where the numbers of the metrics in `theirs` differ, oldest day first."""
    found = []
    for metric, counts in theirs.items():
        days = {day for day, count in counts.items() if count} | {day for id, day in ours if id == metric}
        for day in days:
            klaviyo, warehouse = counts.get(day, 0), ours.get((metric, day), 0)
            if klaviyo != warehouse:
                found.append(Difference(day, metric, klaviyo, warehouse))
    return sorted(found, key=lambda each: (each.day, each.group))


def as_table(
    differences: Sequence[Difference], names: Mapping[str, str], compared: tuple[dt.date, dt.date], rows: int = 100
) -> str:
    """Return a Markdown table of differences, those to be read again first; a sentence if there are none.

    compared: the first and the last day that were.
    """
    if not differences:
        return "Klaviyo and the warehouse have the same number of events on each day from {} to {}.".format(*compared)
    lines = ["| day | metric | Klaviyo | warehouse | read again |", "|---|---|--:|--:|---|"]
    for each in sorted(differences, key=lambda each: not each.wanted)[:rows]:
        name = names.get(each.group, each.group).replace("|", "\\|")
        again = {0: "", 1: "once"}.get(each.reads, f"{each.reads} times")
        lines.append(f"| {each.day} | {name} | {each.theirs:,} | {each.ours:,} | {again} |")
    if len(differences) > rows:
        lines.append(f"\n... and {len(differences) - rows:,} more.")
    return "\n".join(lines)


def not_compared(
    names: Mapping[str, str], theirs: Mapping[str, object], compared: tuple[dt.date, dt.date], first: dt.date
) -> list[str]:
    """Return sentences about what a comparison says nothing of. first: the first day that is wanted."""
    start, last = compared
    sentences = [f"Days after {last} were not compared: the daily re-read reads them again."]
    if first < start:
        sentences.append(f"Days from {first} to {start - DAY} have not been read yet, and were not compared.")
    if others := sorted(name for id, name in names.items() if id not in theirs):
        sentences.append(f"Metrics that Klaviyo does not count, and that were not compared: {', '.join(others)}.")
    return sentences
