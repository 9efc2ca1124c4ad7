"""How far back EVENT and PERSON have been read, and which days come next."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import dagster as dg

from klaviyo_assets.api import KlaviyoClient, NotPermitted
from klaviyo_assets.assets.changes import with_changes
from klaviyo_assets.assets.described import HISTORY, DescribedAssets
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.specs import account_key
from klaviyo_assets.settings import Settings
from klaviyo_assets.settings.model import FOUNDED
from klaviyo_assets.sync.due import fingerprint
from klaviyo_assets.sync.ranges import DAY, first_whole_day, midnight
from klaviyo_assets.tables import exclusions
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.tables.jsonapi import first_time
from klaviyo_assets.tables.profiles import PERSON
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.state import RANGE, States, SyncState
from klaviyo_assets.warehouse.warehouse import Warehouse

WITH_HISTORY = (EVENT.name, PERSON.name, *(table.name for table in exclusions.TABLES))
"""Tables whose past is read bit by bit."""

TABLES_LEFT = "tables"
"""Metadata that says for each of them how many days are left."""

NEXT_RANGE = "next_range"
"""Metadata with the days to read next; absent if the history is complete."""

RANGES = "ranges_to_reread"
"""Metadata of this asset and of the comparison: days whose numbers of events differ, and that were not read since."""

NEXT_DUE = "next_due"
"""Metadata: the assets that the next syncs need not ask for, and until when."""

MOST_RANGES = 200
"""Ranges that are said at a time; a run that reads one makes room."""


@dataclass(frozen=True)
class TableHistory:
    """What is known of a table's past.

    first: the first day wanted. complete_from: every day since has been read. read_until: and so have days before this
    one, the newest that were asked for by themselves; None: none was.
    """

    table: str
    first: dt.date
    complete_from: dt.date
    read_until: dt.date | None = None

    @property
    def days_left(self) -> int:
        """Days that have not been read completely."""
        return max((self.complete_from - self.first).days, 0)


@dataclass(frozen=True)
class DayRange:
    """Days to read, both ends included, and of which tables."""

    first_day: dt.date
    last_day: dt.date
    tables: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the range as asset metadata."""
        return {
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "tables": list(self.tables),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the range that asset metadata holds."""
        first_day, last_day = (dt.date.fromisoformat(value[name]) for name in ("first_day", "last_day"))
        return cls(first_day, last_day, tuple(value["tables"]))


def table_history(
    known: SyncState | None,
    earliest: Iterable[dt.datetime | None],
    start: dt.date | None,
    apart: Iterable[SyncState] = (),
) -> TableHistory | None:
    """Return what is known of a table's past; None before its first sync.

    apart: ranges that have been read, and that do not touch the known one.
    earliest: times of its first rows, as far as there are any. start: no day before is wanted; None: all are.
    """
    if known is None or known.synced_through is None:
        return None
    days = [moment.astimezone(dt.UTC).date() for moment in earliest if moment]
    if known.synced_from is None:
        first = start or min([*days, FOUNDED])
        return TableHistory(known.table, first, first)
    complete_from = first_whole_day(known.synced_from).date()
    first = min([*days, complete_from])
    ends = [midnight(state.synced_through).date() for state in apart if state.synced_through]
    read_until = max((end for end in ends if end < complete_from), default=None)
    return TableHistory(known.table, max(start, first) if start else first, complete_from, read_until)


def next_range(histories: Iterable[TableHistory], chunk_days: int) -> DayRange | None:
    """Return the newest days that have not been read, at most `chunk_days`; None if all have been.

    A table that is behind is read alone until it has caught up: no day is read twice.
    """
    unread = [history for history in histories if history.days_left]
    if not unread:
        return None
    end = max(history.complete_from for history in unread)
    level = [history for history in unread if history.complete_from == end]
    until = [history.first for history in level] + [h.complete_from for h in unread if h.complete_from < end]
    until += [history.read_until for history in level if history.read_until]
    return DayRange(
        max(end - dt.timedelta(days=chunk_days), *until),
        end - DAY,
        tuple(history.table for history in level),
    )


def ranges(days: Iterable[dt.date], longest: int) -> list[DayRange]:
    """Return the days of EVENT as ranges of at most `longest` days, oldest first."""
    found: list[DayRange] = []
    for day in sorted(set(days)):
        latest = found[-1] if found else None
        if latest and day - latest.last_day == DAY and (day - latest.first_day).days < longest:
            found[-1] = replace(latest, last_day=day)
        else:
            found.append(DayRange(day, day, (EVENT.name,)))
    return found


def to_reread(settings: Settings, warehouse: Warehouse) -> dg.JsonMetadataValue:
    """Return the metadata `RANGES`: what the last comparison wants read, less what has been read since."""
    days = (max(day, settings.first_partition) for day in warehouse.wanted_days(EVENT.name))
    found = ranges(days, settings.history_chunk_days)
    return dg.MetadataValue.json([each.to_json() for each in found[:MOST_RANGES]])


NextDue = Callable[[DescribedAssets, States], Mapping[dg.AssetKey, dt.datetime]]


def build_history(described: DescribedAssets, next_due: NextDue) -> dg.AssetsDefinition:
    """Return the asset whose metadata says how far the history has come, and what need not be asked for until when.

    next_due: tells that, from the states.
    """
    settings, spec = described.settings, described.progress(HISTORY)

    # It has to come last and whatever becomes of the others, so it depends on none of them.
    @dg.multi_asset(
        name=f"{settings.name}__{HISTORY}",
        specs=[spec],
        **described.options.of_asset(**{"dagster/priority": "-1000"}),
        required_resource_keys={account_key(settings)},
    )
    @described.options.executed
    def history(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        account: KlaviyoAccount = getattr(context.resources, account_key(settings))
        histories = known_histories(settings, account.warehouse, account.client)
        states = with_changes(settings, account, account.warehouse.states(), context.run.run_id)
        waiting = next_due(described, states)
        metadata = {
            **describe(histories, account.client.now().date(), settings.history_chunk_days),
            RANGES: to_reread(settings, account.warehouse),
            NEXT_DUE: dg.MetadataValue.json(
                {
                    "settings": fingerprint(settings),
                    "assets": {key.to_user_string(): due.isoformat() for key, due in sorted(waiting.items())},
                }
            ),
        }
        yield dg.MaterializeResult(asset_key=spec.key, metadata=metadata)

    return history


def known_histories(settings: Settings, warehouse: Warehouse, client: KlaviyoClient) -> list[TableHistory]:
    """Return what is known of the past of EVENT and PERSON, and of what comes with them, as far as they are synced.

    Klaviyo is asked for the first event and profile unless everything since `history_start` has been read.
    """
    states = warehouse.states()
    found = []
    persons = [PERSON, *(table for table in exclusions.TABLES if settings.enabled(table))]
    limit = settings.history_start
    for main, *others in ([EVENT], persons):
        known = [states[table.name, ""] for table in (main, *others) if (table.name, "") in states]
        unread = any(state.synced_from and (not limit or state.synced_from.date() > limit) for state in known)
        earliest = first_times(main, warehouse, client) if unread else []
        for state in known:
            apart = [each for each in states.values() if each.table == state.table and each.scope.startswith(RANGE)]
            found.append(table_history(state, earliest, limit, apart))
    return [history for history in found if history]


def first_times(table: Table, warehouse: Warehouse, client: KlaviyoClient) -> list[dt.datetime]:
    """Ask for the time of the first row of EVENT or PERSON, at Klaviyo and, of EVENT, in the warehouse."""
    if table.name != EVENT.name:
        times = [_if_permitted(first_update, client)]
    else:  # of days that Klaviyo has emptied, the rows are still to be flagged
        times = [_if_permitted(first_event, client), warehouse.earliest(EVENT.name, "datetime")]
    return [time for time in times if time]


def with_days_before(
    settings: Settings, account: KlaviyoAccount, table: Table, days: tuple[dt.datetime, dt.datetime]
) -> tuple[dt.datetime, dt.datetime]:
    """Return the days of a range of partitions, [start, end): the first partition stands for all days before it, too.

    Imported orders may be dated before Klaviyo was founded. So many days more would burden Dagster in every account.
    """
    start, end = days
    if settings.history_start or start.date() > settings.first_partition:
        return days
    return min([start, *map(midnight, first_times(table, account.warehouse, account.client))]), end


def progress(histories: Sequence[TableHistory], today: dt.date) -> dict[str, int | str]:
    """Return how far the history is; days are UTC, numbers of days are those of the table that is furthest behind."""
    oldest = max(history.complete_from for history in histories)
    return {
        "days_done": max((today - oldest).days, 0),
        "days_left": max(history.days_left for history in histories),
        "oldest_day_complete": oldest.isoformat(),
        "first_day": min(history.first for history in histories).isoformat(),
    }


def describe(histories: list[TableHistory], today: dt.date, chunk_days: int) -> dict[str, Any]:
    """Return the asset's metadata."""
    if not histories:
        return {}
    described: dict[str, Any] = {
        **progress(histories, today),
        TABLES_LEFT: dg.MetadataValue.json(
            {
                h.table: {
                    "days_left": h.days_left,
                    "oldest_day_complete": h.complete_from.isoformat(),
                    "first_day": h.first.isoformat(),
                }
                for h in histories
            }
        ),
    }
    following = next_range(histories, chunk_days)
    if following:
        described[NEXT_RANGE] = dg.MetadataValue.json(following.to_json())
    return described


def first_event(client: KlaviyoClient) -> dt.datetime | None:
    """Ask for the time of the account's first event; None if it has none."""
    page = client.get(
        "get_events", "/events", {"sort": "datetime", "page[size]": 1, "fields[event]": "datetime"}, many=True
    )
    return first_time(page.json(), "datetime")


def first_update(client: KlaviyoClient) -> dt.datetime | None:
    """Ask for the last update of the profile that has not been updated for the longest; None if there is none."""
    page = client.get(
        "get_profiles", "/profiles", {"sort": "updated", "page[size]": 1, "fields[profile]": "updated"}, many=True
    )
    return first_time(page.json(), "updated")


def _if_permitted(ask: Callable[[KlaviyoClient], dt.datetime | None], client: KlaviyoClient) -> dt.datetime | None:
    try:
        return ask(client)
    except NotPermitted:
        return None
