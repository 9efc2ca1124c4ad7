"""Random small accounts that change: nasty values, events that come late, leave or move, people who are merged."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.models.by_hand import put

FIRST = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SYNCED = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
MESSAGES = (
    "Received Email",
    "Opened Email",
    "Clicked Email",
    "Unsubscribed",
    "Received SMS",
    "Clicked SMS",
    "Sent SMS",
)
OTHERS = ("Placed Order", "Ordered Product", "Refunded Order", "Active on Site", "cancelled order", "Odd (Metric) #1")
RENAMED = {
    "Received SMS": "Received Text Message",
    "Clicked SMS": "Clicked Text Message",
    "Active on Site": "Was there",
}

VALUES: tuple[Any, ...] = (10, 25.5, 0, 19.99)
NASTY_VALUES: tuple[Any, ...] = (-5, 1e-7, "1,258.54", "$7", "", "-", "1e3", "NaN", True, ["x"], 10**24, "12 or 13")
TEXTS = ("Ada", "ada@acme.example", "O'Brien; --", "Å\u0301\u2028", 'quo"te', "x" * 300)
NASTY_TEXTS = ("", " ", "\\", "null", "{", "%s {{ 1 }}")
NASTY_CREDITS: tuple[Any, ...] = ({}, [], "text", {"relationships": None}, {"$attributed_event_id": ""}, 7)


@dataclass
class RandomAccount:
    """What the tables hold, and how it goes on.

    warehouse: where they are. nasty: also values that dbt_klaviyo can't read, or reads as something else.
    """

    warehouse: Warehouse
    seed: int
    people: int = 80
    nasty: bool = True
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    step: int = 0
    made: int = 0

    def __post_init__(self) -> None:
        """Begin with people and messages, of which some events know nothing."""
        self.random = random.Random(self.seed)
        self.names = dict.fromkeys((*MESSAGES, *OTHERS))
        self.of_campaign = {f"c{number}": f"v{number}" for number in range(4)}
        self.put("metric", [self._metric(name) for name in self.names])
        self.put("campaign", [self._campaign(id) for id in list(self.of_campaign)[:-1]])
        self.put("flow", [self._flow(id) for id in ("f0", "f1")])
        self.put("person", [self._person(f"p{number}") for number in range(self.people)])
        self.put("event", [self._new_event() for _ in range(4 * self.people)])

    def go_on(self) -> None:
        """Change some of everything."""
        self.step += 1
        touches = [id for id, event in self.events.items() if event.get("campaign_id") or event.get("flow_id")]
        some = [*self.random.sample(sorted(self.events), 3), *self.random.sample(touches, 7)]
        changed = [self._changed(self.events[id]) for id in some[:6]]
        changed[0]["person_id"] = self._who()
        self.put("event", [*changed, *(self._new_event() for _ in range(self.random.randrange(1, 9)))])
        # A backfill that began before brings what is older than what is there.
        self.put("event", [self._new_event(late=True) for _ in range(2)], before=dt.timedelta(hours=self.step, days=9))
        self.delete("event", some[6:])
        if self.random.random() < 0.7:
            self._merge(*(f"p{number}" for number in self.random.sample(range(self.people), 2)))
        if self.random.random() < 0.7:
            self.put("person", [self._person(f"p{self.random.randrange(self.people)}")])
        if self.random.random() < 0.5:
            self.put("campaign", [self._campaign(self.random.choice(list(self.of_campaign)))])
            self.put("flow", [self._flow(self.random.choice(("f0", "f1", "f2")))])
        if self.random.random() < 0.5:
            former = self.random.choice(list(RENAMED))
            self.names[former] = RENAMED[former]
            self.put("metric", [self._metric(former)])
        if self.random.random() < 0.3:
            self.delete("campaign", ["c1"])

    def put(self, table: str, rows: list[dict[str, Any]], before: dt.timedelta = dt.timedelta(0)) -> None:
        """Load rows as a sync does that begins a day after the former step's, or so long `before`."""
        if table == "event":
            self.events |= {row["id"]: row for row in rows}
        put(self.warehouse, table, rows, SYNCED + dt.timedelta(days=self.step) - before)

    def delete(self, table: str, ids: list[str]) -> None:
        """Flag rows as deleted; those that are put again are live again."""
        with self.warehouse.session(writes=True) as session:
            for id in ids:
                session.change(
                    f"UPDATE {session.name('klaviyo', table)} SET {quote('_fivetran_deleted')} = true WHERE id = ?",
                    [id],
                )
            session.commit()

    def _merge(self, former: str, kept: str) -> None:
        """Give the events of a profile to another one, and delete it."""
        moved = [{**event, "person_id": kept} for event in self.events.values() if event["person_id"] == former]
        if moved:
            self.put("event", moved)
        self.delete("person", [former])

    def _new_event(self, *, late: bool = False) -> dict[str, Any]:
        name = self.random.choice(list(self.names))
        minutes = self.random.randrange(0, 9 * 1440, 30) + (0 if late else self.step * 1440)
        moment = FIRST + dt.timedelta(minutes=minutes)
        event: dict[str, Any] = {
            "id": self._id(self.made),
            "datetime": moment,
            "timestamp": moment,
            "person_id": self._who(),
            "metric_id": self._metric_id(name),
            "type": self.names[name] or name,
            "uuid": "",
        }
        self.made += 1
        return self._changed(event)

    def _changed(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Give an event another message, or another value and another credit."""
        values = (*VALUES, *NASTY_VALUES) if self.nasty else VALUES
        changed = {**event, "uuid": str(self.random.random())}
        if event["metric_id"] in map(self._metric_id, MESSAGES):
            if self.random.random() < 0.9:
                campaign = self.random.choice([*self.of_campaign, None, None])
                flow = None if campaign else self.random.choice(("f0", "f1", "f2"))
                variation = self.of_campaign.get(campaign or "")
                changed |= {"campaign_id": campaign, "_variation": variation, "flow_id": flow}
        else:
            changed["property_value"] = self.random.choice(values)
            nasty = [self.random.choice(NASTY_CREDITS)] if self.nasty else []
            changed["property_attribution"] = self.random.choice([None, *nasty, *(self._credit() for _ in range(6))])
        return changed

    def _id(self, number: int) -> str:
        return f"e{number:04}"

    def _who(self) -> str | None:
        everybody: list[str | None] = [None, "nobody", *(f"p{number}" for number in range(self.people))]
        return self.random.choice(everybody)

    def _credit(self) -> dict[str, Any]:
        """Another event, which may be no message's, be deleted, come later or never."""
        id = self._id(self.random.randrange(self.made + 10))
        if self.random.random() < 0.5:
            return {"$attributed_event_id": id, "$flow": "f"}
        return {"relationships": {"attributed-event": {"data": {"type": "event", "id": id}}}}

    def _text(self) -> str | None:
        return self.random.choice([None, *TEXTS, *(NASTY_TEXTS if self.nasty else ())])

    def _person(self, id: str) -> dict[str, Any]:
        names = ("first_name", "last_name", "city", "country", "region", "timezone")
        return {"id": id, "email": f"{id}-{self.step}@acme.example", **{name: self._text() for name in names}}

    def _campaign(self, id: str) -> dict[str, Any]:
        return {"id": id, "name": self._text(), "subject": self._text(), "campaign_type": "email", "status": "Sent"}

    def _flow(self, id: str) -> dict[str, Any]:
        return {"id": id, "name": self._text(), "status": "live"}

    def _metric_id(self, name: str) -> str:
        return f"m of {name}"

    def _metric(self, name: str) -> dict[str, Any]:
        return {"id": self._metric_id(name), "name": self.names[name] or name, "integration_name": self._text()}
