"""A month in the life of an account, hour by hour, and how long each of its events took to land."""

from __future__ import annotations

import copy
import datetime as dt
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from klaviyo_assets.sandbox.account import Account, Resource, format_datetime

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
YEAR = dt.timedelta(days=365)


@dataclass
class Sent:
    """An event: when it happened, when Klaviyo showed it first, and when it was first found in the warehouse."""

    id: str
    happened: dt.datetime
    appeared: dt.datetime
    landed: dt.datetime | None = None

    @property
    def late(self) -> dt.timedelta:
        return self.appeared - self.happened


@dataclass
class Month:
    """Tells the account's story: `live` one hour after the other, with the same seed always the same.

    Of a hundred events, 60 appear within a minute, 17 up to three hours and 20 up to nine days late; one is dated back
    (by a year, unless told otherwise) and two lie in the future. A third of them are credited to a campaign three hours
    after they appeared.
    """

    account: Account
    seed: int = 4
    dated_back: dt.timedelta = YEAR
    events_an_hour: float = 3
    sent: dict[str, Sent] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._metrics = [metric.id for metric in self.account.all("metric")]
        mentioned = {str(event.properties.get("$message")) for event in self.account.events}
        self._campaigns = [
            campaign.id
            for campaign in self.account.all("campaign")
            if not mentioned & {campaign.id, *self.account.related("campaign", campaign.id, "campaign-messages")}
        ]
        self._touch = next(event for event in self.account.events if event.properties.get("$message"))
        self._born = 0

    def live(self, hours: float) -> None:
        """Let so many hours pass: the clock goes on, and what happens now and then happens as often as it would."""
        began = self.account.clock.now()
        moments = sorted(self.random.uniform(0, hours) for _ in range(self._times(hours * self.events_an_hour)))
        for moment in moments:
            self._event(began + moment * HOUR)
        self.account.clock.set(began + hours * HOUR)
        for change, an_hour in self._changes():
            for _ in range(self._times(hours * an_hour)):
                change()
                self.done[change.__name__.strip("_")] += 1

    def _changes(self) -> list[tuple[Callable[[], object], float]]:
        """What happens, and how often an hour."""
        return [
            (self._new_profile, 1 / 8),
            (self._profile_changes, 1 / 3),
            (self._profile_changes_twice, 1 / 24),
            (self._profile_goes, 1 / 60),
            (self._profiles_merge, 1 / 48),
            (self._suppression_comes_or_goes, 1 / 12),
            (self._joins, 1 / 4),
            (self._leaves, 1 / 6),
            (self._campaign_changes, 1 / 12),
            (self._campaign_goes, 1 / 90),
            (self._flow_changes, 1 / 24),
            (self._list_is_renamed, 1 / 72),
            (self._event_is_removed, 1 / 60),
        ]

    def _times(self, expected: float) -> int:
        whole = int(expected)
        return whole + (self.random.random() < expected - whole)

    # Events

    def _event(self, happened: dt.datetime) -> None:
        kind = self.random.random()
        appeared = happened + dt.timedelta(seconds=self.random.uniform(5, 60))
        if kind < 0.17:
            appeared = happened + self.random.uniform(0.1, 2.9) * HOUR
        elif kind < 0.37:
            appeared = happened + self.random.uniform(0.2, 9) * DAY
        elif kind < 0.38:
            happened -= self.dated_back
        elif kind < 0.40:
            happened += self.random.uniform(0.1, 20) * DAY
        self.send(happened, appeared)

    def send(self, happened: dt.datetime, appeared: dt.datetime) -> Sent:
        """Add an event that Klaviyo shows from `appeared` on."""
        credited = self.random.random() < 1 / 3
        event = self.account.add_event(
            self.random.choice(self._metrics),
            happened,
            profile_id=self._profile(),
            properties={"n": len(self.sent), "$value": self.random.randint(1, 9_999) / 100},
            attribution={"attributed-event": self._touch.id} if credited else None,
            visible_at=appeared,
            attributed_at=appeared + 3 * HOUR,
        )
        happened = dt.datetime.fromtimestamp(event.occurred_at, dt.UTC)
        self.sent[event.id] = Sent(event.id, happened, appeared)
        return self.sent[event.id]

    def _event_is_removed(self) -> None:
        """One that Klaviyo has shown for a day, so that it has landed; late ones are left to be waited for."""
        before = (self.account.clock.now() - DAY).timestamp()
        known = [
            event
            for event in self.account.events
            if event.visible_at < before
            and event.occurred_at < before
            and (event.id not in self.sent or self.sent[event.id].landed)
            and event is not self._touch
        ]
        self.account.remove_event(self.random.choice(known).id)

    # Profiles and lists

    def _profile(self) -> str:
        return self.random.choice(self.account.all("profile")).id

    def _new_profile(self) -> None:
        self._born += 1
        born = copy.deepcopy(self.random.choice(self.account.all("profile")).attributes)
        now = format_datetime(self.account.clock.now())
        born |= {"email": f"born{self._born}@example.com", "created": now, "updated": now}
        self.account.add(Resource("profile", f"01JBRN{self._born:020d}", born))

    def _profile_changes(self, profile: str | None = None) -> None:
        points = self.random.randint(0, 999)
        self.account.update("profile", profile or self._profile(), properties={"points": points}, title=f"No {points}")

    def _profile_changes_twice(self) -> None:
        """Within a second, which is as exact as `updated` is."""
        profile = self._profile()
        self._profile_changes(profile)
        self._profile_changes(profile)

    def _profile_goes(self) -> None:
        self.account.delete("profile", self._profile())

    def _profiles_merge(self) -> None:
        source, survivor = self.random.sample([profile.id for profile in self.account.all("profile")], 2)
        self.account.merge_profiles(source, survivor)

    def _suppression_comes_or_goes(self) -> None:
        profile = self._profile()
        marketing = self.account.resources["profile"][profile].attributes["subscriptions"]["email"]["marketing"]
        change = self.account.unsuppress if marketing["suppression"] else self.account.suppress
        change(profile)

    def _joins(self) -> None:
        self.account.join(self.random.choice(self.account.all("list")).id, self._profile())

    def _leaves(self) -> None:
        group = max(self.account.all("list"), key=lambda group: len(self.account.memberships[group.id])).id
        self.account.leave(group, self.random.choice(list(self.account.memberships[group])))

    def _list_is_renamed(self) -> None:
        self.account.rename("list", self.random.choice(self.account.all("list")).id, f"List {self.random.random()}")

    # Campaigns and flows

    def _campaign_changes(self) -> None:
        if not (campaigns := self.account.all("campaign")):
            return
        campaign = self.random.choice(campaigns)
        if self.random.random() < 0.5:
            self.account.rename("campaign", campaign.id, f"Campaign {self.random.random()}")
        else:
            self.account.update("campaign", campaign.id, archived=not campaign.attributes["archived"])

    def _campaign_goes(self) -> None:
        if self._campaigns:
            self.account.delete("campaign", self._campaigns.pop())

    def _flow_changes(self) -> None:
        self.account.rename("flow", self.random.choice(self.account.all("flow")).id, f"Flow {self.random.random()}")
