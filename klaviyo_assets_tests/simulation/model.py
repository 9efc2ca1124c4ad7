"""What must be true of a warehouse, said without any of the product's code.

It is told what the account was at each time, and looks at the tables between two loads.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected import MORE_TABLES, TABLES, mismatches, same
from klaviyo_assets_tests.expected.rows import Expected

EXPECTED = TABLES | MORE_TABLES
EXCLUSIONS = ("global_exclusion", "list_exclusion")
"""Tables whose rows come with those of PERSON: the first column of their keys says of whom."""

STAMP = "_fivetran_synced"
CORRECTED_LATER = {"event": ("type", "campaign_id")}
"""Columns that repeat another table, whichever of the two comes last."""

OVERLAP = dt.timedelta(hours=3)
"""An event that Klaviyo shows at most so late lands with the next sync."""

MARGIN = dt.timedelta(seconds=59)
"""What came at most so long after a watermark was there before its read began."""

REREAD = dt.timedelta(days=7)
"""How far before the last one each daily re-read goes back; of older days only the number of events is compared."""


class Model:
    """Every version that each row of some tables has had, and when it lived."""

    def __init__(self, account: Account, keys: Mapping[str, tuple[str, ...]]) -> None:
        self._account = account
        self._keys = keys
        self.versions: dict[str, dict[Any, list[Mapping[str, Any]]]] = {name: defaultdict(list) for name in keys}
        self.died: dict[str, dict[Any, dt.datetime]] = {name: {} for name in keys}
        """Row -> when it was gone last."""
        self.changed: dict[str, dt.datetime] = {}
        """Table -> since when Klaviyo has of it what it has now."""
        self._updated: dict[str, dict[Any, dt.datetime]] = {name: {} for name in keys}
        """Table -> row -> when it came or changed last."""
        self.seen: dict[Any, dt.datetime] = {}
        """Event -> since when Klaviyo shows it at its time: those of the beginning have always been there."""
        self._groups: dict[Any, tuple[str, dt.datetime]] = {}
        """Event -> its metric and time."""
        self._flagged: dict[str, set[Any]] = {name: set() for name in keys}
        """Rows that were seen flagged, and have not been there since."""
        self.reread: dt.datetime | None = None
        """Until when the last daily re-read did."""
        self._made: dict[str, tuple[dict[str, int], Expected]] = {}
        """Table -> what Klaviyo has of it, and the versions of all that it has at that time."""
        self._now: dict[str, Expected] = {name: {} for name in keys}
        self._right: dict[str, dict[Any, Mapping[str, Any]]] = {name: {} for name in keys}
        """Rows that were found to be right: so they are the next time."""
        self._before: dict[str, dict[Any, Mapping[str, Any]]] = {name: {} for name in keys}
        """Rows as they were at the last look."""
        self.observe()
        self.seen = dict.fromkeys(self.seen, _ALWAYS)

    def observe(self) -> None:
        """Take note of what the account is now."""
        moment = self._account.clock.now()
        for event in self._account.events:
            self._groups[event.id] = event.metric_id, dt.datetime.fromtimestamp(event.occurred_at, dt.UTC)
        for name, before in self._now.items():
            now = self._has(name)
            if now is before:
                continue
            for key, row in now.items():
                if before.get(key) != row:
                    self.versions[name][key].append(row)
                    self._updated[name][key] = moment
                if name == "event" and (key not in before or before[key]["datetime"] != row["datetime"]):
                    self.seen[row["id"]] = moment
            self.died[name] |= dict.fromkeys(before.keys() - now.keys(), moment)
            if now != before:
                self.changed[name] = moment
            self._flagged[name] -= now.keys()
            self._now[name] = now

    def _has(self, name: str) -> Expected:
        """Return what Klaviyo has of a table now, made anew only where something has changed."""
        versions = dict(self._account.versions)
        if name == "event" or name not in self._made or self._made[name][0] != versions:
            self._made[name] = versions, EXPECTED[name](self._account)
        return self._made[name][1]

    def wrong(
        self, name: str, rows: Iterable[Mapping[str, Any]], read: tuple[Any, Any] | None, *, waiting: bool = False
    ) -> list[str]:
        """What is wrong with a table, whatever has been read until now.

        read: the range of time that counts as read. waiting: rows may wait to be flagged as deleted.
        """
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
        problems += self._not_stamped(name, found)
        if read and read[1]:
            problems += self._lost(found, *read) if name == "event" else self._stale(name, found, *read, waiting)
        return problems

    def _not_stamped(self, name: str, found: Mapping[Any, Mapping[str, Any]]) -> list[str]:
        """Rows that were written since the last look, and still say that they were last written before it."""
        before, self._before[name] = self._before[name], dict(found)
        problems = []
        for key, row in found.items():
            old = before.get(key, row)
            is_same = STAMP not in row or old == row or old[STAMP] != row[STAMP]
            if is_same or (old["_fivetran_deleted"] and row["_fivetran_deleted"]):
                continue
            columns = ["_fivetran_deleted", *self.versions[name].get(key, [{}])[-1]]
            changed = [each for each in columns if not each.endswith("_") and not same(old.get(each), row[each])]
            problems += [f"{name} {key} has another {column}, and the stamp of before" for column in changed]
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

    def last_update(self, name: str) -> dt.datetime:
        """When a row of a table came or changed last that is still there."""
        return max((self._updated[name][key] for key in self._now[name]), default=_ALWAYS)

    def not_read_again(
        self, rows: Iterable[Mapping[str, Any]], start: dt.datetime | None, reread: dt.datetime | None
    ) -> list[str]:
        """Events that are not there after a daily re-read that goes back to them, or late by less than it goes back.

        start: since when all days count as read. reread: until when the last re-read did.
        """
        before, self.reread = self.reread, reread
        if reread is None or reread == before:
            return []
        back_to = before.replace(hour=0, minute=0, second=0, microsecond=0) - REREAD if before else reread
        found = {(row["id"],): row for row in rows}
        problems = []
        for event in self._account.events:
            at, seen = dt.datetime.fromtimestamp(event.occurred_at, dt.UTC), self.seen.get(event.id)
            if seen is None or seen > reread + MARGIN or not (start or at) <= at < reread:
                continue
            if (back_to <= at or seen <= at + REREAD) and not _is_there(found, event.id, at):
                problems.append(f"event lacks {event.id} of {at}, seen since {seen}, after the re-read of {reread}")
        return problems

    def not_as_read(self, rows: Iterable[Mapping[str, Any]], first: dt.date, last: dt.date) -> list[str]:
        """What is wrong with the events of some past days, of which all were just read."""
        expected = {
            key: row for key, row in self._now["event"].items() if first <= self._groups[key[0]][1].date() <= last
        }
        found = {
            (row["id"],): dict(row)
            for row in rows
            if not row["_fivetran_deleted"] and first <= _utc(row["datetime"]).date() <= last
        }
        self._settle(expected, found)
        return mismatches("event", expected, found)

    def differs(self, name: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """What is wrong with a table when all has been read that the syncs promise to read."""
        found = {
            tuple(row[column] for column in self._keys[name]): dict(row) for row in rows if not row["_fivetran_deleted"]
        }
        expected = dict(self._has(name))
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
        gone = {key[0]: when for key, when in self.died["event"].items()}
        for place, (keys, since) in enumerate(((lacking, self.seen), (extra, gone))):
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
        """Events that came in time for a read below the watermark, and are not there as Klaviyo has them."""
        problems = []
        for event in self._account.events:
            at = dt.datetime.fromtimestamp(event.occurred_at, dt.UTC)
            is_read = (start is None or start <= at) and at < end
            if is_read and self._came_in_time(event.id, at, end) and not _is_there(found, event.id, at):
                problems.append(f"event lacks {event.id} of {at}, below the watermark {end}")
        return problems

    def _came_in_time(self, id: str, at: dt.datetime, end: dt.datetime) -> bool:
        seen = self.seen.get(id)
        return seen is not None and seen <= at + OVERLAP and seen <= end + MARGIN

    def _stale(
        self, name: str, found: Mapping[Any, Any], start: dt.datetime | None, end: dt.datetime, waiting: bool
    ) -> list[str]:
        """What is wrong with the profiles, or their exclusions, that have not changed since a time below the watermark.

        Of a table that is imported as a whole: what is wrong with it if nothing has changed since its import.
        """
        if name != "person" and name not in EXCLUSIONS:
            rows = [row for key, row in found.items() if not waiting or key in self._now[name]]
            return self.differs(name, rows) if self.changed.get(name, _ALWAYS) < end else []
        settled = {
            id: row["updated"]
            for (id,), row in self._now["person"].items()
            if (start is None or start <= dt.datetime.fromisoformat(row["updated"]))
            and dt.datetime.fromisoformat(row["updated"]) < end
        }
        if name == "person":
            return [
                f"person {id} is not as it is since {updated}, below the watermark {end}"
                for id, updated in settled.items()
                if not _is_live(found, (id,)) or not same(updated, found[id,]["updated"])
            ]
        expected = {key for key in self._now[name] if key[0] in settled}
        live = {key for key in found if key[0] in settled and _is_live(found, key)}
        return [f"{name} should {'not ' * (key in live)}have {key}, as since before {end}" for key in expected ^ live]

    def not_swept(self, began: dt.datetime, rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[str]:
        """Rows of profiles, and of their exclusions, that are live though a sweep began after the profile was gone."""
        gone = {key[0] for key, when in self.died["person"].items() if when < began} - {
            id for (id,) in self._now["person"]
        }
        return [
            f"{name} has a row of {row[self._keys[name][0]]}, which the sweep of {began} did not find"
            for name in rows
            for row in rows[name]
            if row[self._keys[name][0]] in gone and not row["_fivetran_deleted"]
        ]

    def ahead(self, name: str, watermark: dt.datetime | None) -> list[str]:
        """A watermark after Klaviyo's time is ahead of its data."""
        if watermark and watermark > self._account.clock.now():
            return [f"the watermark of {name} is {watermark}, and it is {self._account.clock.now()}"]
        return []


_ALWAYS = dt.datetime.min.replace(tzinfo=dt.UTC)


def _is_live(found: Mapping[Any, Mapping[str, Any]], key: Any) -> bool:
    return key in found and not found[key]["_fivetran_deleted"]


def _is_there(found: Mapping[Any, Mapping[str, Any]], id: str, at: dt.datetime) -> bool:
    """Whether an event is there at its time."""
    return _is_live(found, (id,)) and same(at, found[id,]["datetime"])


def _utc(time: dt.datetime) -> dt.datetime:
    return time if time.tzinfo is None else time.astimezone(dt.UTC)
