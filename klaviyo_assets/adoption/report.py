"""The report before a schema is taken over, which changes nothing; and the adoption itself."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from klaviyo_assets.adoption.findings import Finding, Kind
from klaviyo_assets.adoption.history import KeptHistory, beginning, duration, kept_history
from klaviyo_assets.adoption.tables import compare, kept_types
from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.ranges import DAY, LONGEST_COMPARED
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.tables.metrics import METRIC
from klaviyo_assets.tables.profiles import PERSON
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.warehouse.results import SchemaSurvey, TableSurvey
from klaviyo_assets.warehouse.warehouse import Warehouse

_SAMPLE = 100
_HEX_OR_BASE64 = 20
_WEEK = dt.timedelta(days=7)


@dataclass(frozen=True)
class AdoptionReport:
    """What is there, what differs, and what follows.

    rows: table -> its rows, deleted ones included. kept: the days of EVENT that count as read; None: none do.
    first: the time of the first event that is there, but for a few that are dated far back.
    events, profiles: that the first sync and the backfill read: those that are there, and those since, at the same
        pace. What Klaviyo has from before the first one nobody has counted.
    duration: how long that takes, at least and at most.
    """

    rows: dict[str, int]
    findings: list[Finding]
    kept: KeptHistory | None
    events: int
    profiles: int
    duration: tuple[dt.timedelta, dt.timedelta] = field(default=(dt.timedelta(0), dt.timedelta(0)))
    first: dt.datetime | None = None

    @property
    def problems(self) -> list[Finding]:
        """What keeps the schema from being taken over."""
        return [finding for finding in self.findings if finding.kind is Kind.PROBLEM]


def look(
    settings: Settings,
    warehouse: Warehouse,
    specs: Sequence[TableSpec],
    *,
    now: dt.datetime,
    keep: bool,
    since: dt.date | None,
) -> AdoptionReport:
    """Compare the tables of a schema with those that a sync makes.

    specs: those that are synced, as the settings have them. now: aware.
    keep: whether the days of EVENT that are there count as read. since: only from this day on.
    Raises WarehouseError if the warehouse can't be read.
    """
    survey = warehouse.survey(specs)
    findings = list(_of_schema(warehouse, survey, specs))
    for spec in specs if survey.tables else ():
        findings += compare(spec, warehouse.schema_name, survey, packed=settings.packing == "packed")
    findings += [*kept_types(survey), *_digests(warehouse, survey)]
    event, person = survey.tables.get(EVENT.name), survey.tables.get(PERSON.name)
    by_day = _by_day(warehouse, event)
    first = event.first if event else None
    if begins := beginning(by_day):
        first = dt.datetime.combine(begins, dt.time(), dt.UTC)
        since = since or begins + DAY
    midnight = dt.datetime.combine(since, dt.time(), dt.UTC) if since else None
    kept = kept_history(event, midnight) if keep else None
    findings += _of_history(settings, kept, event is not None and keep)
    events = event.rows if event else 0
    metrics, comparisons = survey.tables.get(METRIC.name), 0
    if event and event.last and kept:
        unread = (kept.end - settings.reread_days * DAY).date()
        within = {day: count for day, count in by_day.items() if kept.start.date() <= day < kept.end.date()}
        events -= sum(count for day, count in within.items() if day < unread)
        events += round(_a_day(within, kept) * max(0.0, (now - event.last) / DAY))
        comparisons = (metrics.rows if metrics else 0) * math.ceil((kept.end - kept.start) / LONGEST_COMPARED)
    profiles = person.rows if person else 0
    rows = {name: found.rows for name, found in survey.tables.items()}
    return AdoptionReport(rows, findings, kept, events, profiles, duration(events, profiles, comparisons), first)


def adopt(warehouse: Warehouse, specs: Iterable[TableSpec], report: AdoptionReport) -> None:
    """Take over what `look` has reported on; raises WarehouseError, and then has changed nothing."""
    warehouse.adopt(specs, report.kept.state if report.kept else None)


def _of_schema(warehouse: Warehouse, survey: SchemaSurvey, specs: Iterable[TableSpec]) -> Iterable[Finding]:
    if not survey.tables:
        text = f"{warehouse.place} has no table of Klaviyo's: `warehouse` and `schema` say where to look."
        yield Finding(Kind.PROBLEM, None, text)
    if ours := sorted({table for table, _ in warehouse.states()} & {spec.name for spec in specs}):
        text = f"{warehouse.place} is synced by klaviyo_assets already ({', '.join(ours[:3])}): nothing to take over."
        yield Finding(Kind.PROBLEM, None, text)
    elif staged := sorted(survey.staged & {table.name for table in TABLES if table.family in READS}):
        text = (
            f"{', '.join(staged)} in the schema {warehouse.staging_schema}, where syncs keep what they import, would "
            "be replaced. Rename what is yours there, and drop what an earlier adoption has left."
        )
        yield Finding(Kind.PROBLEM, None, text)
    known = {spec.name for spec in specs}
    others = [name for name in sorted(survey.names) if name not in known and not name.startswith("_")]
    bare = {name.replace("_", "") for name in known}
    if others := [name for name in others if name.replace("_", "").lower() not in bare]:
        text = f"Tables that nothing writes from now on: {', '.join(others)}."
        if could := sorted({table.name for table in TABLES} & set(others)):
            text += f" The settings `tables` and `memberships` turn on {', '.join(could)}."
        yield Finding(Kind.KEPT, None, text)


def _digests(warehouse: Warehouse, survey: SchemaSurvey) -> Iterable[Finding]:
    """Yield what is to be said of columns that seem to hold digests: those of emails have no @ in them."""
    for table, found in survey.tables.items():
        for column in (name for name in found.types if name.split("_")[-1] == "email"):
            values = [str(value) for value in warehouse.values(table, column, most=_SAMPLE)]
            if values and all("@" not in value and len(value) >= _HEX_OR_BASE64 for value in values):
                yield Finding(
                    Kind.CHOICE,
                    table,
                    f"{column} seems to be hashed. The other connector's digests can't be made here: put {column} into "
                    "`hashed_columns`, whose digests differ from those that are there, or into `blocked_columns`.",
                )


def _of_history(settings: Settings, kept: KeptHistory | None, wanted: bool) -> Iterable[Finding]:
    if kept is None:
        if wanted:
            yield Finding(Kind.LATER, EVENT.name, "has no whole day that counts as read: all of them are read again.")
        return
    last = (kept.end - DAY).date()
    yield Finding(
        Kind.KEPT,
        EVENT.name,
        f"has the days from {kept.start.date()} to {last}, which count as read. The first sync reads from "
        f"{(kept.end - settings.reread_days * DAY).date()} on, and compares the number of events of each day before "
        "that with Klaviyo's own; days that differ, and days before the first, are read by the backfill.",
    )
    if settings.only_active_profiles:
        yield Finding(
            Kind.CHOICE,
            EVENT.name,
            "can't be compared with Klaviyo's numbers under `only_active_profiles`: events that the other connector "
            "has missed stay missing. --history read reads all days again.",
        )


def _by_day(warehouse: Warehouse, event: TableSurvey | None) -> dict[dt.date, int]:
    """Return the number of live events of each UTC day, up to the newest that was not in the future."""
    found: dict[dt.date, int] = {}
    if event and event.first and event.last:
        counts = warehouse.daily_counts(EVENT.name, "metric_id", "datetime", event.first, event.last)
        for (_, day), count in counts.items():
            found[day] = found.get(day, 0) + count
    return found


def _a_day(events: Mapping[dt.date, int], kept: KeptHistory) -> float:
    """Return how many events a day has, in the last week that is kept."""
    start = max(kept.start, kept.end - _WEEK)
    return sum(count for day, count in events.items() if day >= start.date()) / ((kept.end - start) / DAY)
