"""What must be true of a warehouse, said without any of the product's code.

It is told what the account was at each time, and looks at the tables between two loads.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected import MORE_TABLES, TABLES, mismatches
from klaviyo_assets_tests.expected.rows import Expected

EXPECTED = TABLES | MORE_TABLES
CORRECTED_LATER = {"event": ("type", "campaign_id")}
"""Columns that repeat another table, whichever of the two comes last."""

ON_TIME = dt.timedelta(seconds=59)
"""An event that Klaviyo shows so soon after it happened is not late."""

REREAD = dt.timedelta(days=7)
"""How far before the last one each daily re-read goes back; of older days only the number of events is compared."""


class Model:
    """Every version that each row of some tables has had, and when it lived."""

    def __init__(self, account: Account, keys: Mapping[str, tuple[str, ...]]) -> None:
        self._account = account
        self._keys = keys
        self.versions: dict[str, dict[Any, list[Mapping[str, Any]]]] = {name: defaultdict(list) for name in keys}
        self.died: dict[str, set[Any]] = {name: set() for name in keys}
        self.seen: dict[Any, dt.datetime] = {}
        """Event -> since when Klaviyo shows it at its time."""
        self.gone: dict[Any, dt.datetime] = {}
        """Event -> since when Klaviyo does not show it any more."""
        self._groups: dict[Any, tuple[str, dt.datetime]] = {}
        """Event -> its metric and time."""
        self._flagged: dict[str, set[Any]] = {name: set() for name in keys}
        """Rows that were seen flagged, and have not been there since."""
        self._reread: dt.datetime | None = None
        self._now: dict[str, Expected] = {name: {} for name in keys}
        self._right: dict[str, dict[Any, Mapping[str, Any]]] = {name: {} for name in keys}
        """Rows that were found to be right: so they are the next time."""
        self.observe()

    def observe(self) -> None:
        """Take note of what the account is now."""
        for event in self._account.events:
            self._groups[event.id] = event.metric_id, dt.datetime.fromtimestamp(event.occurred_at, dt.UTC)
        for name, before in self._now.items():
            now = EXPECTED[name](self._account)
            for key, row in now.items():
                if before.get(key) != row:
                    self.versions[name][key].append(row)
                if name == "event" and (key not in before or before[key]["datetime"] != row["datetime"]):
                    self.seen[row["id"]] = self._account.clock.now()
            self.died[name] |= before.keys() - now.keys()
            if name == "event":
                self.gone |= {key[0]: self._account.clock.now() for key in before.keys() - now.keys()}
            self._flagged[name] -= now.keys()
            self._now[name] = now

    def wrong(self, name: str, rows: Iterable[Mapping[str, Any]], read: tuple[Any, Any] | None) -> list[str]:
        """What is wrong with a table, whatever has been read until now. read: the range of time that counts as read."""
        rows = list(rows)
        found: dict[Any, Mapping[str, Any]] = {}
        problems = []
        for row in rows:
            key = tuple(row[column] for column in self._keys[name])
            if key in found:
                problems.append(f"{name} has {key} twice")
            found[key] = row
        for key, row in found.items():
            versions = self.versions[name].get(key)
            if versions is None:
                problems.append(f"{name} has {key}, which Klaviyo never had")
            elif row["_fivetran_deleted"]:
                if key not in self.died[name]:
                    problems.append(f"{name} {key} is flagged as deleted and has never been gone")
            elif self._right[name].get(key) == row:
                continue
            elif any(self._is(name, key, row, version) for version in reversed(versions)):
                self._right[name][key] = row
            else:
                problems.append(f"{name} {key} is as it never was: {mismatches(name, {key: versions[-1]}, {key: row})}")
        if name == "event" and read and read[1]:
            problems += self._lost(found, *read)
        return problems

    def undone(self, name: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Rows that were flagged as deleted, are live again, and still are not there."""
        flagged, live = self._flagged[name], set()
        for row in rows:
            key = tuple(row[column] for column in self._keys[name])
            (live if not row["_fivetran_deleted"] else flagged).add(key)
        problems = [
            f"{name} {key} was flagged as deleted, and is live again" for key in flagged & live - self._now[name].keys()
        ]
        flagged -= live | self._now[name].keys()
        return problems

    def not_read_again(
        self, rows: Iterable[Mapping[str, Any]], start: dt.datetime | None, reread: dt.datetime | None
    ) -> list[str]:
        """Events that are late by less than the daily re-read goes back, and are not there after it.

        start: since when all days count as read. reread: until when the last re-read did.
        """
        before, self._reread = self._reread, reread
        if before is None or reread is None or reread <= before:
            return []
        back_to = before.replace(hour=0, minute=0, second=0, microsecond=0) - REREAD
        found = {row["id"] for row in rows}
        problems = []
        for event in self._account.events:
            at = dt.datetime.fromtimestamp(event.occurred_at, dt.UTC)
            is_promised = max(back_to, start or back_to) <= at < reread and event.id in self.seen
            if is_promised and self.seen[event.id] <= reread + ON_TIME and event.id not in found:
                problems.append(f"event lacks {event.id} of {at}, though days since {back_to} were read again")
        return problems

    def not_as_read(self, rows: Iterable[Mapping[str, Any]], first: int, last: int) -> list[str]:
        """What is wrong with the events of past days, from so many before today to so many, that were just read."""
        today = self._account.clock.now().date()
        days = {today - dt.timedelta(days=back) for back in range(max(last, 1), first + 1)}
        expected = {
            key: row for key, row in EXPECTED["event"](self._account).items() if self._groups[key[0]][1].date() in days
        }
        found = {
            (row["id"],): dict(row)
            for row in rows
            if not row["_fivetran_deleted"] and _utc(row["datetime"]).date() in days
        }
        self._settle(expected, found)
        return mismatches("event", expected, found)

    def differs(self, name: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """What is wrong with a table when all has been read that the syncs promise to read."""
        found = {
            tuple(row[column] for column in self._keys[name]): dict(row) for row in rows if not row["_fivetran_deleted"]
        }
        expected = dict(EXPECTED[name](self._account))
        if name == "event":
            for key in self._not_in_the_numbers(expected.keys() - found.keys(), found.keys() - expected.keys()):
                (expected if key in expected else found).pop(key)
            self._settle(expected, found)
        return mismatches(name, expected, found)

    def _settle(self, expected: Expected, found: dict[Any, dict[str, Any]]) -> None:
        """Take for right who a profile was merged into, and whose a message was, until their day is read again."""
        for key in expected.keys() & found.keys():
            for column in ("person_id", "campaign_id"):
                if found[key][column] in {each[column] for each in self.versions["event"][key]}:
                    found[key][column] = expected[key][column]

    def _not_in_the_numbers(self, lacking: Iterable[Any], extra: Iterable[Any]) -> set[Any]:
        """Return the events that no comparison of numbers shows: as many came on an old day of a metric as went."""
        groups: dict[Any, list[set[Any]]] = defaultdict(lambda: [set(), set()])
        for place, (keys, since) in enumerate(((lacking, self.seen), (extra, self.gone))):
            for key in keys:
                metric, at = self._groups.get(key[0], ("", None))
                if at and key[0] in since and since[key[0]] - at > REREAD:
                    groups[metric, at.date()][place].add(key)
        return {key for came, went in groups.values() if len(came) == len(went) for key in came | went}

    def _is(self, name: str, key: Any, row: Mapping[str, Any], version: Mapping[str, Any]) -> bool:
        hidden = CORRECTED_LATER.get(name, ())
        row = {column: None if column in hidden else value for column, value in row.items()}
        version = {column: None if column in hidden else value for column, value in version.items()}
        return not mismatches(name, {key: version}, {key: row})

    def _lost(self, found: Mapping[Any, Any], start: dt.datetime | None, end: dt.datetime) -> list[str]:
        """Events that came on time, lie below the watermark, and are not there."""
        problems = []
        for event in self._account.events:
            at = dt.datetime.fromtimestamp(event.occurred_at, dt.UTC)
            is_read = (start is None or start <= at) and at < end
            if is_read and self._came_on_time(event.id, at) and (event.id,) not in found:
                problems.append(f"event lacks {event.id} of {at}, below the watermark {end}")
        return problems

    def _came_on_time(self, id: str, at: dt.datetime) -> bool:
        return id in self.seen and self.seen[id] - at <= ON_TIME

    def ahead(self, name: str, watermark: dt.datetime | None) -> list[str]:
        """A watermark after Klaviyo's time is ahead of its data."""
        if watermark and watermark > self._account.clock.now():
            return [f"the watermark of {name} is {watermark}, and it is {self._account.clock.now()}"]
        return []


def _utc(time: dt.datetime) -> dt.datetime:
    return time if time.tzinfo is None else time.astimezone(dt.UTC)
