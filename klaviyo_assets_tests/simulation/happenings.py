"""What happens to an account, and to its tables."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from klaviyo_assets.sandbox.account import Account, Event, Resource, format_datetime
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed
from klaviyo_assets.sync.ranges import midnight
from klaviyo_assets_tests.simulation.plan import DAY, HOUR, SECOND

NAMES = ("Odd", "odd", "ODD ", 'a "quoted" name', "$value", "select", "_fivetran_synced")
STRANGE = ("naïve", "x" * 70, "", "\u0000", "; DROP TABLE event; --")
VALUES = (1, "1", None, [1], {"a": [1.50]}, 1.5, True, "2026-01-01T00:00:00Z", "", 2**40, -0.0, "\u0000", 1e300)


DAYS_READ_AGAIN = 5
"""Days of which all events are read again each day, and more."""


LARGE = 0.05
"""Share of the large imports that are large: they take long."""


def happen(account: Account, seed: int | str, gone: list[Callable[[], object]]) -> str:
    """Something happens to the account; return what.

    seed: a text begins with what, and goes on after a slash. gone: what brings back what is gone.
    """
    chance = random.Random(seed)
    number = chance.getrandbits(28)
    now = account.clock.now()
    today = midnight(now)
    profiles = sorted(each.id for each in account.all("profile"))
    lists = sorted(each.id for each in account.all("list"))
    messages = sorted(each.id for each in account.all("campaign-message"))
    campaigns = sorted((kind, each.id) for kind in ("campaign", "canvas-campaign") for each in account.all(kind))
    metrics = sorted(each.id for each in account.all("metric"))
    events = sorted(event.id for event in account.events)

    def event(at: dt.datetime, times: int = 1) -> None:
        for each in range(times):
            account.add_event(
                chance.choice(metrics),
                at,
                profile_id=chance.choice([*profiles, None]),
                properties={
                    "n": each,
                    **{name: chance.choice(VALUES) for name in chance.sample(NAMES, chance.randrange(4))},
                    **{name: f"of {name}" for name in chance.sample(STRANGE, chance.randrange(2))},
                },
                id=f"E{number:07x}{each:02x}",  # as long as Klaviyo has them
            )

    def again(old: Event, at: dt.datetime) -> None:
        profile_id, properties = old.profile_id, old.properties_json
        same = {"id": old.id, "uuid": old.uuid, "attribution": old.attribution}
        account.add_event(old.metric_id, at, profile_id=profile_id, properties=properties, **same)

    def move(id: str) -> None:
        """Its time is corrected."""
        old = account.events[id]
        if now.timestamp() - old.occurred_at < DAYS_READ_AGAIN * 86_400:
            again(old, now - dt.timedelta(hours=chance.randrange(DAYS_READ_AGAIN * 24)))

    def move_away() -> None:
        """From yesterday to the days before: who reads yesterday alone misses it."""
        yesterday = range(int((today - DAY).timestamp()), int(today.timestamp()))
        if of_day := [id for id in events if account.events[id].occurred_at in yesterday]:
            again(account.events[chance.choice(of_day)], now - chance.randrange(2, DAYS_READ_AGAIN) * DAY)

    def lose_event(id: str) -> None:
        old = account.events[id]
        account.remove_event(id)
        gone.append(lambda: again(old, dt.datetime.fromtimestamp(old.occurred_at, dt.UTC)))

    def lose_list(id: str) -> None:
        old = account.get("list", id)
        account.delete("list", id)
        if old:
            gone.append(lambda: account.add(old))

    def profile(change: Callable[[str], object]) -> None:
        if profiles:
            change(chance.choice(profiles))

    def new_profiles(count: int, **odd: object) -> None:
        stamps = dict.fromkeys(("created", "updated"), format_datetime(now))
        attributes = {"properties": {}, "location": {}, "subscriptions": never_subscribed(), **stamps, **odd}
        for each in range(count):
            account.add(Resource("profile", f"01J{number:020d}{each:03d}", attributes))

    def a_list(change: Callable[[str], object]) -> None:
        if len(lists) > 1:
            change(chance.choice(lists))

    def a_campaign(change: Callable[[str, str], object]) -> None:
        if campaigns:
            change(*chance.choice(campaigns))

    choices: list[tuple[str, Callable[[], object]]] = [
        ("an event now", lambda: event(now)),
        ("an event some minutes ago", lambda: event(now - dt.timedelta(seconds=chance.randrange(80)))),
        ("an event within the overlap", lambda: event(now - dt.timedelta(minutes=chance.randrange(2, 179)))),
        ("a late event", lambda: event(now - dt.timedelta(hours=chance.randrange(1, 40)))),
        ("a very late event", lambda: event(now - dt.timedelta(days=chance.randrange(2, 12)))),
        ("an event of a week ago", lambda: event(now - dt.timedelta(days=6, hours=chance.randrange(12, 25)))),
        (
            "an event on the edge of a day",
            lambda: event(today - chance.randrange(12) * DAY - chance.randrange(2) * SECOND),
        ),
        ("an event of the future", lambda: event(now + dt.timedelta(hours=chance.randrange(1, 60)))),
        ("an import of one second", lambda: event(now - HOUR * chance.randrange(6), 25)),
        ("a large import", lambda: event(now - HOUR * chance.randrange(6), 300 if chance.random() < LARGE else 1)),
        ("an event is moved", lambda: move(chance.choice(events)) if events else None),
        ("an event of yesterday is moved away", move_away),
        ("a profile of another shape", lambda: new_profiles(1, location=[])),
        ("an import of profiles", lambda: new_profiles(14)),
        ("an event is gone", lambda: lose_event(chance.choice(events)) if events else None),
        ("something comes back", lambda: gone.pop(chance.randrange(len(gone)))() if gone else None),
        ("a profile changes", lambda: profile(lambda id: account.update("profile", id, title=f"T{number}"))),
        ("a profile is gone", lambda: profile(lambda id: account.delete("profile", id)) if len(profiles) > 4 else None),
        ("a profile is suppressed", lambda: profile(account.suppress)),
        ("a profile is unsuppressed", lambda: profile(lambda id: account.unsuppress(id))),
        ("a profile leaves a list", lambda: profile(lambda id: account.suppress(id, "UNSUBSCRIBE", list_id=lists[0]))),
        ("a profile is back in a list", lambda: profile(lambda id: account.unsuppress(id, list_id=lists[0]))),
        ("a list is renamed", lambda: a_list(lambda id: account.rename("list", id, f'L"{number}'))),
        ("a list is gone", lambda: a_list(lose_list)),
        ("a campaign is renamed", lambda: a_campaign(lambda kind, id: account.update(kind, id, name=f"C{number}"))),
        ("a campaign is archived", lambda: a_campaign(account.archive)),
        ("a campaign is out of the archive", lambda: a_campaign(account.unarchive)),
        ("a campaign is gone", lambda: a_campaign(account.delete)),
        ("all campaigns are gone", lambda: [account.delete(*each) for each in campaigns]),
        (
            "a message changes",
            lambda: account.update("campaign-message", chance.choice(messages), label=f"M{number}") if messages else 0,
        ),
        ("a metric is renamed", lambda: account.rename("metric", chance.choice(metrics), f"M{number}")),
    ]
    if len(profiles) > 5:
        choices.append(("profiles are merged", lambda: account.merge_profiles(*chance.sample(profiles, 2))))
    what, act = next((each for each in choices if each[0] == str(seed).split("/")[0]), None) or chance.choice(choices)
    try:
        act()
    except (KeyError, ValueError) as error:
        return f"{what}, but {error}"
    return what


TIMES = {"event": "datetime", "person": "updated", "metric": "updated", "list": "updated"}
"""Columns with times, as Fivetran leaves some of them: zoned."""


@dataclass(frozen=True)
class Meddling:
    """What a user does to a table. statements: with which he does it in SQL."""

    what: str
    table: str
    statements: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.what} of {self.table}"


def is_removed(key: str) -> bool:
    """Whether a row with a key is one of those that a user removes."""
    return hashlib.md5(key.encode()).hexdigest() < "5"


def meddling(names: list[str], keys: Mapping[str, tuple[str, ...]], seed: int | str) -> Meddling:
    """Return what a user does to one of the tables. seed: a text says what, such as `removal of person`."""
    chance = random.Random(seed)
    what, name = seed.rsplit(" of ", 1) if isinstance(seed, str) else ("", chance.choice(names))
    table, key, time = f"klaviyo.{name}", keys[name][0], TIMES.get(name)
    choices = {
        "a new column": (f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS "my own" INTEGER',),
        "a view": (f"CREATE OR REPLACE VIEW klaviyo.my_{name} AS SELECT * FROM {table}",),
        "an index": (f"CREATE INDEX IF NOT EXISTS my_{name} ON {table} (_fivetran_synced)",),
        "a unique index": (f"CREATE UNIQUE INDEX IF NOT EXISTS my_unique_{name} ON {table} ({', '.join(keys[name])})",),
        "removal of rows": (f"DELETE FROM {table} WHERE md5({key}) < '5'",),
        "removal": (f"DROP TABLE {table}",),
        "other letters for the key": (
            f"ALTER TABLE {table} RENAME {key} TO mine",
            f'ALTER TABLE {table} RENAME mine TO "{key.upper()}"',
        ),
    }
    if time:
        zoned = f"ALTER TABLE {table} ALTER {time} TYPE TIMESTAMPTZ USING {time} AT TIME ZONE 'UTC'"
        choices["zoned times"] = (zoned,)
    what = what or chance.choice([*choices])
    return Meddling(what, name, choices[what])
